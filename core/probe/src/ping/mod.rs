//! Ping: rounds of ICMP echoes to many hosts, over sockets that all rounds share.
//!
//! [`Engine`] decides what to send when and makes sense of what comes back; the shell owns the
//! sockets, stamps packets as they leave, and hands over what arrives with the kernel's stamp.
//! Every echo carries a secret of this process, its round and its place in the round, so that
//! neither another pinger's answers nor a guess are taken for ours, and a late answer or a second
//! one is known for what it is.

mod engine;
mod packet;

pub use engine::{
    Counters, Engine, Finished, Problem, Round, RoundId, SPACING_MIN, Sent, Transmit,
};
pub use packet::{Arrived, PAYLOAD_BYTES_MIN, Refusal, fuzz_ping_packet};
