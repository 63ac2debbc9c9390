//! What whyslow asks of Linux directly: clocks, capabilities, kernel facts about a connection,
//! raw ICMP sockets with kernel receive stamps, datagrams in batches with the count of those lost,
//! packet rings, listening sockets, unix sockets at a path, passing file descriptors between processes, whole frames of
//! an interface, and entering a network namespace.
//!
//! This is the only crate with `unsafe`. Each block says why it is sound, and no type of ours
//! hands out anything whose misuse could break memory.

#![expect(unsafe_code, reason = "system calls that std and socket2 do not wrap")]

pub mod clock;
mod control;
pub mod datagrams;
pub mod discipline;
pub mod disk;
pub mod error;
pub mod frames;
pub mod icmp;
pub mod namespace;
pub mod pass;
pub mod poll;
pub mod privilege;
pub mod process;
pub mod random;
pub mod ring;
pub mod sock_diag;
pub mod tcp_info;
pub mod unix;
pub mod watch;

pub use error::Error;
