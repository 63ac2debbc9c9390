//! A named hash over plain text, so that every process names a thing alike.

/// A hash that is the same in every process: FNV-1a of 64 bits, by which requests and findings are
/// named.
pub fn fnv1a(text: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, step)
}
