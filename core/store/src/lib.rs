//! The store without the disk: what comes in to be stored, and how it is kept.

pub mod remote_write;
