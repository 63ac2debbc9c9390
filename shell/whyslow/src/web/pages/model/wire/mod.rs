//! What the pages of the wire say, as plain data.

pub mod bins;
pub mod document;
pub mod filter;
pub mod ladder;
pub mod lead;
pub mod limits;
pub mod rings;
pub mod silence;
pub mod sum;
