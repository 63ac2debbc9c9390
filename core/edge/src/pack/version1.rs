//! Rows as they were written first; they are read until no store keeps one any more.

use whyslow_model::Histogram;

use super::numbers::{take, unzigzag, varint};
use super::{entries, mark_of, take_count};
use crate::record::Mark;
use crate::row::{Timing, Totals};

/// Reads what follows the version.
pub(super) fn unpack(mut bytes: &[u8]) -> Option<Totals> {
    let rest = &mut bytes;
    let mut totals = Totals::default();
    for field in [
        &mut totals.hits,
        &mut totals.bytes_out,
        &mut totals.bytes_in,
        &mut totals.client_aborted,
        &mut totals.local,
        &mut totals.retries,
        &mut totals.redispatched,
        &mut totals.failed_attempts,
    ] {
        *field = take(rest)?;
    }
    totals.peak_per_s = u32::try_from(take(rest)?).ok()?;
    super::take_seconds_and_codes(rest, &mut totals)?;
    totals.latency = take_timing(rest)?;
    totals.server = take_timing(rest)?;
    for phase in &mut totals.phases {
        let (&mark, after) = rest.split_first()?;
        *rest = after;
        phase.mark = mark_of(mark.into())?;
        if phase.mark != Mark::Absent {
            phase.timing = take_timing(rest)?;
        }
    }
    rest.is_empty().then_some(totals)
}

fn take_timing(rest: &mut &[u8]) -> Option<Timing> {
    let (sum_us, max_us) = (take(rest)?, take(rest)?);
    let mut histogram = Histogram::default();
    histogram.add_bucket(None, take_count(rest)?);
    let mut index: i32 = 0;
    for place in 0..entries(rest)? {
        let step = unzigzag(varint(rest)?);
        // Ascending, so that no bucket is given twice.
        if place > 0 && step <= 0 {
            return None;
        }
        index = index.checked_add(i32::try_from(step).ok()?)?;
        let n = take_count(rest)?;
        if n == 0 || !histogram.add_bucket(Some(index), n) {
            return None;
        }
    }
    Some(Timing { sum_us, max_us, histogram })
}

/// Writes as it was written then.
#[cfg(test)]
pub(super) fn pack(totals: &Totals) -> Vec<u8> {
    use super::numbers::{put, zigzag};

    fn put_timing(out: &mut Vec<u8>, timing: &Timing) {
        for n in [timing.sum_us, timing.max_us, timing.histogram.zeros()] {
            put(out, n);
        }
        put(out, timing.histogram.buckets().count() as u64);
        let mut before = 0;
        for (index, n) in timing.histogram.buckets() {
            put(out, zigzag((index - before).into()));
            put(out, n);
            before = index;
        }
    }
    let mut out = vec![1];
    super::counts(totals).into_iter().take(9).for_each(|n| put(&mut out, n));
    put(&mut out, totals.by_second.len() as u64);
    totals.by_second.iter().for_each(|n| put(&mut out, u64::from(*n)));
    put(&mut out, totals.codes.len() as u64);
    for (code, n) in &totals.codes {
        put(&mut out, u64::from(*code));
        put(&mut out, *n);
    }
    put_timing(&mut out, &totals.latency);
    put_timing(&mut out, &totals.server);
    for phase in &totals.phases {
        put(&mut out, super::mark_number(phase.mark));
        if phase.mark != Mark::Absent {
            put_timing(&mut out, &phase.timing);
        }
    }
    out
}
