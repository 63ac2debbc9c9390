//! The store on disk: SQLite files under one directory, one writer.
