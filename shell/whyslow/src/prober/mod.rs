//! The probe role: runs checks when they are due and carries their conversations out.

mod ping;
pub mod sockets;
mod timer;

pub use ping::Pinger;

pub mod carry;
mod secrets;
