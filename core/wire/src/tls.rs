//! TLS as far as it can be read from outside: records, the handshake's messages in the clear, and
//! what the sizes of the sealed ones give away.
//!
//! ```text
//! bytes in order ─ record ─ message ─ hello
//!                    └─────────┴──── exchange: whose flight it was, when it began and ended
//! ```

pub mod exchange;
pub mod flight;
mod fuzz;
pub mod hello;
#[cfg(test)]
pub(crate) mod made;
pub mod message;
mod reader;
pub mod record;
mod sealed;

pub use fuzz::fuzz_tls_walker;

/// Bytes in the order the sender wrote them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chunk<'a> {
    /// Bytes that were captured.
    Known(&'a [u8]),
    /// So many bytes that were sent and not captured: cut by the snap length, or missed.
    Unknown(u32),
}

/// One of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Party {
    /// Who opened the connection.
    Client,
    /// Who took it.
    Server,
}
