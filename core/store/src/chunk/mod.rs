//! One series' samples of one stretch of time as few bytes; `docs/formats/chunks.md` draws it.
//!
//! [`Appender`] grows a chunk sample by sample, [`pack`] writes a finished one as small as it
//! can, and [`decode`] reads either. Every bit of a value survives, NaN payloads included.

mod decimal;
mod times;
mod xor;

use crate::bits::{BitWriter, put_varint, varint};

/// Values as differences of bit patterns.
const KIND_XOR: u8 = 1;
/// Values as decimal integers, each by its difference from the one before.
const KIND_DELTA: u8 = 2;
/// Values as decimal integers, each by how its difference differs from the one before.
const KIND_DELTA2: u8 = 3;

/// Bytes that are no chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// The bytes end early.
    #[error("the chunk ends before {0}")]
    Incomplete(&'static str),
    /// No further byte can make it valid.
    #[error("malformed {0} in a chunk")]
    Malformed(&'static str),
}

/// A chunk that is still growing.
#[derive(Clone, Debug)]
pub struct Appender {
    count: u32,
    first_ms: i64,
    times: times::Encoder,
    values: xor::Encoder,
}

impl Appender {
    /// A chunk of one sample.
    pub fn new(at_ms: i64, value: f64) -> Self {
        Self {
            count: 1,
            first_ms: at_ms,
            times: times::Encoder::new(at_ms),
            values: xor::Encoder::new(value),
        }
    }

    /// A chunk of these samples, or `None` of nothing.
    pub fn of(times_ms: &[i64], values: &[f64]) -> Option<Self> {
        let mut samples = times_ms.iter().zip(values);
        let (at, v) = samples.next()?;
        let mut chunk = Self::new(*at, *v);
        for (at, v) in samples {
            chunk.push(*at, *v);
        }
        Some(chunk)
    }

    /// Appends a sample.
    ///
    /// # Panics
    /// Where `at_ms` is not later than the last sample's time.
    #[inline]
    pub fn push(&mut self, at_ms: i64, value: f64) {
        assert!(at_ms > self.last_ms(), "samples of a chunk ascend in time");
        self.times.push(at_ms);
        self.values.push(value);
        self.count += 1;
    }

    /// The time of the last sample.
    #[inline]
    pub const fn last_ms(&self) -> i64 {
        self.times.last()
    }

    /// The last sample's value.
    #[inline]
    pub const fn last_value(&self) -> f64 {
        self.values.last()
    }

    /// How many samples there are; at least one.
    pub const fn len(&self) -> usize {
        self.count as usize
    }

    /// Never: a chunk begins with a sample.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes of memory its columns take.
    pub const fn bytes(&self) -> usize {
        self.times.bits().capacity() + self.values.bits().capacity()
    }

    /// The chunk so far, as [`decode`] reads it.
    pub fn encoded(&self) -> Vec<u8> {
        let (times, values) = (self.times.bits().bytes(), self.values.bits().bytes());
        let mut out = Vec::with_capacity(32 + times.len() + values.len());
        begin(&mut out, KIND_XOR, self.count, self.first_ms, times);
        out.extend_from_slice(&self.values.first().to_bits().to_be_bytes());
        out.extend_from_slice(values);
        out
    }
}

/// Encodes the samples as small as this module can; empty for no samples.
///
/// # Panics
/// Where the columns differ in length, times do not strictly ascend, or there are 2³² of them.
pub fn pack(times_ms: &[i64], values: &[f64]) -> Vec<u8> {
    assert_eq!(times_ms.len(), values.len(), "two columns of one table");
    let Some(plain) = Appender::of(times_ms, values) else { return Vec::new() };
    let xor = plain.encoded();
    let Some((kind, column)) = decimal::encode(values) else { return xor };
    let mut out = Vec::with_capacity(xor.len());
    begin(&mut out, kind, plain.count, plain.first_ms, plain.times.bits().bytes());
    out.extend_from_slice(&column);
    if out.len() < xor.len() { out } else { xor }
}

/// Encodes a column of values as small as this module can, without times and without its length.
///
/// # Panics
/// Never for fewer than 2³² values.
pub(crate) fn pack_column(values: &[f64]) -> Vec<u8> {
    let Some((first, rest)) = values.split_first() else { return Vec::new() };
    let mut plain = xor::Encoder::new(*first);
    for v in rest {
        plain.push(*v);
    }
    let mut xor = vec![KIND_XOR];
    xor.extend_from_slice(&first.to_bits().to_be_bytes());
    xor.extend_from_slice(plain.bits().bytes());
    match decimal::encode(values) {
        Some((kind, column)) if column.len() + 1 < xor.len() => {
            let mut out = vec![kind];
            out.extend_from_slice(&column);
            out
        }
        _ => xor,
    }
}

/// Appends the `count` values of what [`pack_column`] wrote.
pub(crate) fn decode_column(
    bytes: &[u8],
    count: usize,
    values: &mut Vec<f64>,
) -> Result<(), ChunkError> {
    let (&kind, column) = bytes.split_first().ok_or(ChunkError::Incomplete("a column's kind"))?;
    if count == 0 || count > column.len().saturating_mul(8) + 1 {
        return Err(ChunkError::Malformed("count"));
    }
    match kind {
        KIND_XOR => xor::decode(column, count, values),
        KIND_DELTA | KIND_DELTA2 => decimal::decode(column, kind, count, values),
        _ => Err(ChunkError::Malformed("kind")),
    }
}

/// Appends the chunk's samples to the two columns; on an error both are as they were.
///
/// # Errors
/// [`ChunkError`] for bytes that [`pack`] and [`Appender::encoded`] never write.
pub fn decode(
    bytes: &[u8],
    times_ms: &mut Vec<i64>,
    values: &mut Vec<f64>,
) -> Result<(), ChunkError> {
    let before = (times_ms.len(), values.len());
    let done = decode_columns(bytes, times_ms, values);
    if done.is_err() {
        times_ms.truncate(before.0);
        values.truncate(before.1);
    }
    done
}

/// Reads anything at all, for the fuzzer: it must neither panic nor take much memory.
pub fn fuzz_chunk(bytes: &[u8]) {
    let (mut times, mut values) = (Vec::new(), Vec::new());
    if decode(bytes, &mut times, &mut values).is_ok() {
        let again = pack(&times, &values);
        let (mut times2, mut values2) = (Vec::new(), Vec::new());
        assert_eq!(decode(&again, &mut times2, &mut values2), Ok(()), "packed bytes decode");
        assert_eq!(times, times2, "times survive packing");
        let bits = |v: &[f64]| v.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&values), bits(&values2), "values survive packing");
    }
}

/// Writes what both columns follow: kind, count, first time, and the column of times.
fn begin(out: &mut Vec<u8>, kind: u8, count: u32, first_ms: i64, times: &[u8]) {
    out.push(kind);
    put_varint(out, u64::from(count));
    put_varint(out, crate::bits::zigzag(first_ms));
    put_varint(out, times.len() as u64);
    out.extend_from_slice(times);
}

fn decode_columns(
    bytes: &[u8],
    times_ms: &mut Vec<i64>,
    values: &mut Vec<f64>,
) -> Result<(), ChunkError> {
    let mut rest = bytes;
    let (&kind, after) = rest.split_first().ok_or(ChunkError::Incomplete("its kind"))?;
    rest = after;
    let count = varint(&mut rest).ok_or(ChunkError::Incomplete("its count"))?;
    let first = varint(&mut rest).ok_or(ChunkError::Incomplete("its first time"))?;
    let len = varint(&mut rest).ok_or(ChunkError::Incomplete("the length of its times"))?;
    let len = usize::try_from(len).map_err(|_| ChunkError::Malformed("length of its times"))?;
    let (times, column) = rest.split_at_checked(len).ok_or(ChunkError::Incomplete("its times"))?;
    // Every sample but the first takes a bit in both columns, so bytes bound the memory.
    let room = times.len().min(column.len()) as u64 * 8 + 1;
    if count == 0 || count > room {
        return Err(ChunkError::Malformed("count"));
    }
    let count = usize::try_from(count).map_err(|_| ChunkError::Malformed("count"))?;
    times::decode(times, crate::bits::unzigzag(first), count, times_ms)?;
    match kind {
        KIND_XOR => xor::decode(column, count, values),
        KIND_DELTA | KIND_DELTA2 => decimal::decode(column, kind, count, values),
        _ => Err(ChunkError::Malformed("kind")),
    }
}

#[cfg(test)]
mod tests;
