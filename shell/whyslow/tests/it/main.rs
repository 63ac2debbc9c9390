//! Tests that need the built program.

mod opener;
