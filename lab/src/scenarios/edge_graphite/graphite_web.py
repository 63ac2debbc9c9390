"""Writes the lines of DIR/lines into whisper files below DIR, ten seconds a point, and serves
Debian's graphite-web over them on 127.0.0.1:PORT."""
import inspect
import os
import sys
import types

# Debian's graphite-web asks for what Python 3.11 no longer has, for its list of functions.
inspect.getargspec = lambda function: inspect.getfullargspec(function)[:4]
inspect.formatargspec = lambda *parts: "(%s)" % ", ".join(parts[0])

directory, port = sys.argv[1], int(sys.argv[2])
from graphite import settings as base

own = types.ModuleType("lab_settings")
own.__dict__.update({k: v for k, v in vars(base).items() if k.isupper()})
for name in ("whisper", "log"):
    os.makedirs(os.path.join(directory, name), exist_ok=True)

import whisper

series = {}
with open(os.path.join(directory, "lines")) as lines:
    for line in lines:
        path, value, at = line.split()
        series.setdefault(path, []).append((int(at), float(value)))
own.__dict__.update(
    SECRET_KEY="lab",
    ALLOWED_HOSTS=["*"],
    TIME_ZONE="UTC",
    STORAGE_DIR=directory,
    WHISPER_DIR=os.path.join(directory, "whisper"),
    STANDARD_DIRS=[os.path.join(directory, "whisper")],
    DATA_DIRS=[os.path.join(directory, "whisper")],
    LOG_DIR=os.path.join(directory, "log"),
    INDEX_FILE=os.path.join(directory, "index"),
    CARBONLINK_HOSTS=[],
    TAGDB="graphite.tags.localdatabase.LocalDatabaseTagDB",
    MEMCACHE_HOSTS=[],
    CACHES={"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}},
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3",
                           "NAME": os.path.join(directory, "graphite.db")}},
)
sys.modules["lab_settings"] = own
os.environ["DJANGO_SETTINGS_MODULE"] = "lab_settings"
os.environ["GRAPHITE_SETTINGS_MODULE"] = "lab_settings"
import django

django.setup()
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application

call_command("migrate", run_syncdb=True, verbosity=0)
from graphite.storage import STORE
from graphite.tags.utils import TaggedSeries

for path, points in series.items():
    if ";" in path:
        STORE.tagdb.tag_series(path)
        parts = [TaggedSeries.encode(TaggedSeries.parse(path).path, os.sep)]
    else:
        parts = path.split(".")
    name = os.path.join(directory, "whisper", *parts) + ".wsp"
    os.makedirs(os.path.dirname(name), exist_ok=True)
    whisper.create(name, [(10, 8640)])
    whisper.update_many(name, points)
from wsgiref.simple_server import WSGIServer, WSGIRequestHandler, make_server


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


make_server("127.0.0.1", port, get_wsgi_application(), WSGIServer, Quiet).serve_forever()
