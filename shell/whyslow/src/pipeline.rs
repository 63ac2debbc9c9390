//! `whyslow up`: the planes, the store and the pages, wired together.
