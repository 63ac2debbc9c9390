//! Graphite: the plaintext protocol, metric paths and tags, and the functions of `/render`, over
//! the store's read trait.
