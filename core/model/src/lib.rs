//! The words every stage of whyslow exchanges: times, labels, samples, phases, segments,
//! observations, and the one narrow trait through which stored series are read.
//!
//! Nothing here touches the world. Bytes and `now` come in, values go out.

pub mod asn;
pub mod conversation;
pub mod digits;
pub mod duration;
pub mod faults;
pub mod hash;
pub mod histogram;
pub mod labels;
pub mod limits;
pub mod matcher;
pub mod notice;
pub mod observation;
pub mod phase;
pub mod printable;
pub mod read;
pub mod reader;
pub mod reading;
pub mod sample;
pub mod seeded;
pub mod segment;
pub mod stats;
pub mod time;

pub use duration::Duration;
pub use histogram::Histogram;
pub use labels::Labels;
pub use observation::Observation;
pub use phase::Phase;
pub use printable::{is_unprintable, printable};
pub use sample::Sample;
pub use segment::Segment;
pub use time::{Mono, Wall};
