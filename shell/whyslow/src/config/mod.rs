//! The configuration file: read, checked as a whole, swapped as a whole.
