"""Prints each whisper file's path, and time and value of each of its points in a stretch."""

import os
import sys

import whisper

top, begin, end = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
for directory, _, names in sorted(os.walk(top)):
    for name in sorted(names):
        path = os.path.join(directory, name)
        (start, _, step), values = whisper.fetch(path, begin - 1, end - 1)
        for n, value in enumerate(values):
            if value is not None:
                print(os.path.relpath(path, top), start + n * step, repr(value))
