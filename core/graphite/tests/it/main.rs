//! Targets over series in memory.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod memory;
mod render;
