//! The store of whyslow without the disk: the head of recent samples, chunk encoding, the label
//! index, the rules for late and repeated samples, retention and roll-ups.
//!
//! Nothing here touches the world. The shell keeps what [`Head`] hands out, hands it back at
//! start, and says what time it is.

pub mod batch;
mod bits;
pub mod chunk;
pub mod head;
pub mod index;
pub mod journal;
pub mod labels;
pub mod level;
pub mod remote_write;
pub mod retention;
pub mod rollup;
mod series;

pub use batch::{Columns, Tally};
pub use head::Head;
pub use retention::Retention;
