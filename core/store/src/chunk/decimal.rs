//! The column of values as decimal integers: counters, byte sizes and times taken in whole
//! microseconds or nanoseconds are short decimals whose bit patterns look like noise.
//!
//! A value stands for the integer `q` with `q / 10^scale` equal to it bit for bit; a value for
//! which there is none (NaN, infinities, -0) is written out whole.

use super::{BitWriter, ChunkError, KIND_DELTA, KIND_DELTA2, put_varint, varint};
use crate::bits::{BitReader, unzigzag, zigzag};

/// Powers of ten by which values are tried; all are exact in binary.
const SCALES: [f64; 13] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12];
/// Integers up to here survive the way through a float.
const INTEGER_MAX: f64 = 9_007_199_254_740_992.0;
/// One value in so many may have no integer; with more the other encoding is as good.
const WHOLE_SHARE: usize = 16;

/// How steps are written: no step, a short one, a long one, or a value written out whole.
#[derive(Clone, Copy, Debug)]
struct Widths {
    short: u32,
    long: u32,
    bits: usize,
}

/// The smaller of the two kinds and its column, or `None` where values are no short decimals.
pub(super) fn encode(values: &[f64]) -> Option<(u8, Vec<u8>)> {
    let scale = common_scale(values)?;
    let integers: Vec<Option<i64>> = values.iter().map(|v| integer(*v, scale)).collect();
    let whole = integers.iter().filter(|q| q.is_none()).count();
    if whole > 1 + values.len() / WHOLE_SHARE {
        return None;
    }
    let first = integers.iter().find_map(|q| *q)?;
    let (one, two) = (steps(&integers, first, false), steps(&integers, first, true));
    let (plan_one, plan_two) = (widths(&one), widths(&two));
    let (kind, steps, plan) = if plan_one.bits <= plan_two.bits {
        (KIND_DELTA, one, plan_one)
    } else {
        (KIND_DELTA2, two, plan_two)
    };
    let mut out = Vec::with_capacity(16 + plan.bits / 8);
    put_varint(&mut out, scale as u64);
    put_varint(&mut out, u64::from(plan.short));
    put_varint(&mut out, u64::from(plan.long));
    put_varint(&mut out, zigzag(first));
    let mut bits = BitWriter::default();
    for (step, value) in steps.iter().zip(values) {
        match step {
            None => {
                bits.put(0b111, 3);
                bits.put(value.to_bits(), 64);
            }
            Some(0) => bits.put(0, 1),
            Some(step) if length(*step) <= plan.short => {
                bits.put(0b10, 2);
                bits.put(*step, plan.short);
            }
            Some(step) => {
                bits.put(0b110, 3);
                bits.put(*step, plan.long);
            }
        }
    }
    out.extend_from_slice(bits.bytes());
    Some((kind, out))
}

/// Reads `count` values of the given kind.
pub(super) fn decode(
    bytes: &[u8],
    kind: u8,
    count: usize,
    out: &mut Vec<f64>,
) -> Result<(), ChunkError> {
    let mut rest = bytes;
    let mut field = || varint(&mut rest).ok_or(ChunkError::Incomplete("the shape of its values"));
    let (scale, short, long, first) = (field()?, field()?, field()?, field()?);
    let malformed = ChunkError::Malformed("shape of its values");
    let scale = usize::try_from(scale).ok().and_then(|s| SCALES.get(s)).ok_or(malformed)?;
    let width = |w: u64| u32::try_from(w).ok().filter(|w| (1..=64).contains(w)).ok_or(malformed);
    let (short, long) = (width(short)?, width(long)?);
    let mut bits = BitReader::new(rest);
    let (mut q, mut distance) = (unzigzag(first), 0i64);
    out.reserve(count);
    for _ in 0..count {
        let end = ChunkError::Incomplete("a value");
        let step = match code(&mut bits).ok_or(end)? {
            0 => 0,
            1 => bits.take(short).ok_or(end)?,
            2 => bits.take(long).ok_or(end)?,
            _ => {
                out.push(f64::from_bits(bits.take(64).ok_or(end)?));
                continue;
            }
        };
        let step = unzigzag(step);
        distance = if kind == KIND_DELTA2 { distance.wrapping_add(step) } else { step };
        q = q.wrapping_add(distance);
        #[expect(clippy::cast_precision_loss, reason = "the encoder keeps integers below 2^53")]
        out.push(q as f64 / scale);
    }
    Ok(())
}

/// How many ones stand before the next zero, at most three.
#[inline]
fn code(bits: &mut BitReader<'_>) -> Option<u32> {
    for ones in 0..3 {
        if !bits.bit()? {
            return Some(ones);
        }
    }
    Some(3)
}

/// The smallest scale under which every short decimal among the values is an integer.
fn common_scale(values: &[f64]) -> Option<usize> {
    let mut scale = 0;
    let mut hopeless = 0;
    for v in values.iter().filter(|v| v.is_finite()) {
        match (scale..SCALES.len()).find(|s| integer(*v, *s).is_some()) {
            Some(s) => scale = s,
            None => hopeless += 1,
        }
        if hopeless > 1 + values.len() / WHOLE_SHARE {
            return None;
        }
    }
    Some(scale)
}

/// The integer that stands for `v`, if its way back gives the same bits.
#[inline]
fn integer(v: f64, scale: usize) -> Option<i64> {
    let scaled = (v * SCALES[scale]).round_ties_even();
    if scaled.is_nan() || scaled.abs() > INTEGER_MAX {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "within 2^53")]
    let q = scaled as i64;
    #[expect(clippy::cast_precision_loss, reason = "within 2^53")]
    let back = q as f64 / SCALES[scale];
    (back.to_bits() == v.to_bits()).then_some(q)
}

/// The steps from integer to integer, or from step to step; `None` for a value without one.
fn steps(integers: &[Option<i64>], first: i64, second: bool) -> Vec<Option<u64>> {
    let (mut last, mut distance) = (first, 0);
    let step = |q: &Option<i64>| {
        let q = (*q)?;
        let now = q - last;
        let step = if second { now - distance } else { now };
        (last, distance) = (q, now);
        Some(zigzag(step))
    };
    integers.iter().map(step).collect()
}

/// The width for short steps that makes the column smallest, and the width of the longest.
fn widths(steps: &[Option<u64>]) -> Widths {
    let mut of_length = [0usize; 65];
    let mut whole = 0;
    for step in steps {
        match step {
            Some(s) => of_length[length(*s) as usize] += 1,
            None => whole += 1,
        }
    }
    let long = (1..65).rev().find(|l| of_length[*l] > 0).unwrap_or(1);
    let some: usize = of_length[1..].iter().sum();
    let fixed = of_length[0] + whole * 67;
    let mut best = Widths { short: 1, long: to_width(long), bits: usize::MAX };
    let mut below = 0;
    for (short, count) in of_length.iter().enumerate().take(long + 1).skip(1) {
        below += count;
        let bits = fixed + below * (2 + short) + (some - below) * (3 + long);
        if bits < best.bits {
            best = Widths { short: to_width(short), long: to_width(long), bits };
        }
    }
    best
}

fn to_width(bits: usize) -> u32 {
    u32::try_from(bits).unwrap_or(64)
}

/// How many bits hold `step`.
#[inline]
const fn length(step: u64) -> u32 {
    64 - step.leading_zeros()
}
