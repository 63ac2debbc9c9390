//! Roll-ups: what is kept of samples when they themselves are too old to be kept.
//!
//! A bucket of resolution `r` holds what lay in `[k·r, (k+1)·r)`. Staleness markers are no values,
//! but a bucket that ends with one remembers it.

use whyslow_model::sample::is_stale;

use crate::bits::{put_varint, varint};
use crate::chunk::{ChunkError, decode, decode_column, pack, pack_column};

/// What one bucket keeps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    /// The time of its last sample, in milliseconds.
    pub last_ms: i64,
    /// How many values there were; 0 where there was nothing but staleness markers.
    pub count: f64,
    /// Their sum.
    pub sum: f64,
    /// The smallest; NaN where there was no number.
    pub min: f64,
    /// The largest; NaN where there was no number.
    pub max: f64,
    /// The last sample's value, a staleness marker included.
    pub last: f64,
}

impl Bucket {
    const fn new(last_ms: i64) -> Self {
        Self { last_ms, count: 0.0, sum: 0.0, min: f64::NAN, max: f64::NAN, last: f64::NAN }
    }

    fn take(&mut self, at_ms: i64, value: f64) {
        self.last_ms = at_ms;
        self.last = value;
        if is_stale(value) {
            return;
        }
        self.count += 1.0;
        self.sum += value;
        // `min` and `max` pass over NaN, as PromQL's do.
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }
}

/// The start of the bucket in which `at_ms` lies.
pub const fn bucket_start(at_ms: i64, resolution_ms: i64) -> i64 {
    at_ms.saturating_sub(at_ms.rem_euclid(resolution_ms))
}

/// The buckets of ascending samples, ascending.
pub fn fold(times_ms: &[i64], values: &[f64], resolution_ms: i64) -> Vec<Bucket> {
    let mut buckets: Vec<Bucket> = Vec::new();
    let mut open = None;
    for (at, value) in times_ms.iter().zip(values) {
        let start = bucket_start(*at, resolution_ms);
        if open != Some(start) {
            open = Some(start);
            buckets.push(Bucket::new(*at));
        }
        if let Some(last) = buckets.last_mut() {
            last.take(*at, *value);
        }
    }
    buckets
}

/// Puts `new` in the place of whatever `old` has from `from_ms` up to but not including `to_ms`.
pub fn replace(old: Vec<Bucket>, new: &[Bucket], from_ms: i64, to_ms: i64) -> Vec<Bucket> {
    let (before, rest): (Vec<Bucket>, Vec<Bucket>) =
        old.into_iter().partition(|b| b.last_ms < from_ms);
    let after = rest.into_iter().filter(|b| b.last_ms >= to_ms);
    before.into_iter().chain(new.iter().copied()).chain(after).collect()
}

/// A row of buckets as bytes; `docs/formats/chunks.md` draws it.
pub fn encode(buckets: &[Bucket]) -> Vec<u8> {
    let times: Vec<i64> = buckets.iter().map(|b| b.last_ms).collect();
    let column = |of: fn(&Bucket) -> f64| buckets.iter().map(of).collect::<Vec<f64>>();
    let mut out = Vec::new();
    let mut put = |bytes: &[u8]| {
        put_varint(&mut out, bytes.len() as u64);
        out.extend_from_slice(bytes);
    };
    put(&pack(&times, &column(|b| b.count)));
    let rest: [fn(&Bucket) -> f64; 4] = [|b| b.sum, |b| b.min, |b| b.max, |b| b.last];
    for of in rest {
        put(&pack_column(&column(of)));
    }
    out
}

/// Undoes [`encode`].
///
/// # Errors
/// [`ChunkError`] for bytes it never writes.
pub fn read(bytes: &[u8]) -> Result<Vec<Bucket>, ChunkError> {
    let mut rest = bytes;
    let mut part = || {
        let end = ChunkError::Incomplete("a column of a roll-up");
        let len = varint(&mut rest).and_then(|l| usize::try_from(l).ok()).ok_or(end)?;
        let (bytes, after) = rest.split_at_checked(len).ok_or(end)?;
        rest = after;
        Ok(bytes)
    };
    let (mut times, mut counts) = (Vec::new(), Vec::new());
    decode(part()?, &mut times, &mut counts)?;
    let mut column = || {
        let mut values = Vec::new();
        decode_column(part()?, times.len(), &mut values)?;
        Ok(values)
    };
    let (sums, mins, maxs, lasts) = (column()?, column()?, column()?, column()?);
    let bucket = |i: usize| Bucket {
        last_ms: times[i],
        count: counts[i],
        sum: sums[i],
        min: mins[i],
        max: maxs[i],
        last: lasts[i],
    };
    Ok((0..times.len()).map(bucket).collect())
}

/// Reads anything at all, for the fuzzer.
pub fn fuzz_rollup(bytes: &[u8]) {
    if let Ok(buckets) = read(bytes) {
        let bits = |b: &Bucket| [b.count, b.sum, b.min, b.max, b.last].map(f64::to_bits);
        let told = |all: &[Bucket]| all.iter().map(|b| (b.last_ms, bits(b))).collect::<Vec<_>>();
        let again = read(&encode(&buckets)).map(|again| told(&again));
        assert_eq!(again, Ok(told(&buckets)), "a row survives its bytes");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use whyslow_model::sample::stale_nan;

    use super::*;

    #[test]
    fn a_bucket_says_how_many_how_much_and_what_came_last() {
        let times = [0, 10, 290, 300, 310];
        let values = [3.0, 1.0, f64::NAN, 7.0, stale_nan()];
        let [a, b] = fold(&times, &values, 300)[..] else { panic!("two buckets") };
        assert_eq!((a.last_ms, a.count, a.min, a.max), (290, 3.0, 1.0, 3.0));
        assert!(a.sum.is_nan() && a.last.is_nan());
        assert_eq!((b.last_ms, b.count, b.sum), (310, 1.0, 7.0));
        assert!(is_stale(b.last));
    }

    #[test]
    fn rolling_a_window_up_again_changes_nothing() {
        let day = fold(&[0, 100, 200, 300, 400], &[1.0; 5], 100);
        let window = fold(&[100, 200], &[1.0; 2], 100);
        assert_eq!(replace(day.clone(), &window, 100, 300), day);
        let later = fold(&[500], &[1.0], 100);
        assert_eq!(replace(day, &later, 500, 600).len(), 6);
    }

    proptest! {
        #[test]
        fn a_row_comes_back(steps in prop::collection::vec((1i64..1_000_000, -9.0f64..9.0), 1..60)) {
            let mut at = 0;
            let (times, values): (Vec<i64>, Vec<f64>) =
                steps.into_iter().map(|(d, v)| { at += d; (at, v) }).unzip();
            let buckets = fold(&times, &values, 300_000);
            prop_assert_eq!(read(&encode(&buckets)), Ok(buckets));
        }

        #[test]
        fn anything_at_all_is_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            fuzz_rollup(&bytes);
        }
    }
}
