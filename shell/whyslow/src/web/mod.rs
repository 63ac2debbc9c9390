//! The one listener: API, pages, and who may talk to it.
