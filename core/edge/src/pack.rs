//! What was counted of a key in a window, as the bytes that are stored.
//! `docs/formats/edge-rows.md` draws them.

use whyslow_model::Histogram;

use crate::record::Mark;
use crate::row::{Timing, Totals};

/// The first byte of every packed row.
const VERSION: u8 = 1;
/// The most that a sum or a plain count of a row can hold; sums of them saturate.
const FIELD_MAX: u64 = 1 << 56;
/// The most that one bucket can hold: adding up a million such rows stays within 64 bits.
const BUCKET_MAX: u64 = 1 << 44;
/// Entries of one list within a row.
const ENTRIES_MAX: u64 = 4096;

/// Packs.
pub fn pack(totals: &Totals) -> Vec<u8> {
    let mut out = vec![VERSION];
    for field in fields(totals) {
        put(&mut out, field.min(FIELD_MAX));
    }
    put(&mut out, totals.by_second.len() as u64);
    totals.by_second.iter().for_each(|n| put(&mut out, u64::from(*n)));
    put(&mut out, totals.codes.len() as u64);
    for (code, n) in &totals.codes {
        put(&mut out, u64::from(*code));
        put(&mut out, (*n).min(BUCKET_MAX));
    }
    put_timing(&mut out, &totals.latency);
    put_timing(&mut out, &totals.server);
    for phase in &totals.phases {
        out.push(mark_number(phase.mark));
        if phase.mark != Mark::Absent {
            put_timing(&mut out, &phase.timing);
        }
    }
    out
}

/// Reads what [`pack`] wrote; `None` of anything else.
pub fn unpack(bytes: &[u8]) -> Option<Totals> {
    let (&version, mut rest) = bytes.split_first()?;
    if version != VERSION {
        return None;
    }
    let rest = &mut rest;
    let mut totals = Totals::default();
    for field in fields_mut(&mut totals) {
        *field = take(rest)?;
    }
    totals.peak_per_s = u32::try_from(take(rest)?).ok()?;
    for _ in 0..entries(rest)? {
        totals.by_second.push(u32::try_from(take(rest)?).ok()?);
    }
    for _ in 0..entries(rest)? {
        let code = u16::try_from(take(rest)?).ok()?;
        totals.codes.insert(code, take_count(rest)?);
    }
    totals.latency = take_timing(rest)?;
    totals.server = take_timing(rest)?;
    for phase in &mut totals.phases {
        let (&mark, after) = rest.split_first()?;
        *rest = after;
        phase.mark = mark_of(mark)?;
        if phase.mark != Mark::Absent {
            phase.timing = take_timing(rest)?;
        }
    }
    rest.is_empty().then_some(totals)
}

/// Reads anything at all, for the fuzzer.
pub fn fuzz_edge_row(bytes: &[u8]) {
    if let Some(totals) = unpack(bytes) {
        assert_eq!(unpack(&pack(&totals)), Some(totals), "a row survives its bytes");
    }
}

/// The plain counts, the peak last.
fn fields(t: &Totals) -> [u64; 9] {
    [
        t.hits,
        t.bytes_out,
        t.bytes_in,
        t.client_aborted,
        t.local,
        t.retries,
        t.redispatched,
        t.failed_attempts,
        u64::from(t.peak_per_s),
    ]
}

/// The plain counts without the peak.
const fn fields_mut(t: &mut Totals) -> [&mut u64; 8] {
    [
        &mut t.hits,
        &mut t.bytes_out,
        &mut t.bytes_in,
        &mut t.client_aborted,
        &mut t.local,
        &mut t.retries,
        &mut t.redispatched,
        &mut t.failed_attempts,
    ]
}

fn put_timing(out: &mut Vec<u8>, timing: &Timing) {
    put(out, timing.sum_us.min(FIELD_MAX));
    put(out, timing.max_us.min(FIELD_MAX));
    put(out, timing.histogram.zeros().min(BUCKET_MAX));
    put(out, timing.histogram.buckets().count() as u64);
    let mut before = 0;
    for (index, n) in timing.histogram.buckets() {
        put(out, zigzag(index - before));
        put(out, n.min(BUCKET_MAX));
        before = index;
    }
}

fn take_timing(rest: &mut &[u8]) -> Option<Timing> {
    let (sum_us, max_us) = (take(rest)?, take(rest)?);
    let mut histogram = Histogram::default();
    histogram.add_bucket(None, take_count(rest)?);
    let mut index: i32 = 0;
    for place in 0..entries(rest)? {
        let step = unzigzag(u32::try_from(varint(rest)?).ok()?);
        // Ascending, so that no bucket is given twice.
        if place > 0 && step <= 0 {
            return None;
        }
        index = index.checked_add(step)?;
        let n = take_count(rest)?;
        if n == 0 || !histogram.add_bucket(Some(index), n) {
            return None;
        }
    }
    Some(Timing { sum_us, max_us, histogram })
}

const fn mark_number(mark: Mark) -> u8 {
    match mark {
        Mark::Absent => 0,
        Mark::Exact => 1,
        Mark::Mixed => 2,
        Mark::Bound => 3,
    }
}

const fn mark_of(number: u8) -> Option<Mark> {
    Some(match number {
        0 => Mark::Absent,
        1 => Mark::Exact,
        2 => Mark::Mixed,
        3 => Mark::Bound,
        _ => return None,
    })
}

/// How many entries follow.
fn entries(rest: &mut &[u8]) -> Option<u64> {
    take(rest).filter(|n| *n <= ENTRIES_MAX)
}

/// One bucket's count.
fn take_count(rest: &mut &[u8]) -> Option<u64> {
    varint(rest).filter(|n| *n <= BUCKET_MAX)
}

/// One sum or plain count.
fn take(rest: &mut &[u8]) -> Option<u64> {
    varint(rest).filter(|n| *n <= FIELD_MAX)
}

/// Appends `value` seven bits a byte, lowest first, the top bit saying that more follow.
fn put(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            out.push(low & 0x7f);
            return;
        }
        out.push(low | 0x80);
    }
}

/// Consumes what [`put`] wrote; `None` where the bytes end early or say more than 63 bits.
fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..63).step_by(7) {
        let (first, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Maps small numbers of either sign to small numbers without one.
fn zigzag(value: i32) -> u64 {
    u64::from((value.wrapping_shl(1) ^ (value >> 31)).cast_unsigned())
}

const fn unzigzag(value: u32) -> i32 {
    (value >> 1).cast_signed() ^ (value & 1).cast_signed().wrapping_neg()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn totals() -> impl Strategy<Value = Totals> {
        let micros = prop_oneof![Just(0), 1..100_u64, 100..30_000_000_u64];
        let mark = prop_oneof![Just(Mark::Exact), Just(Mark::Mixed), Just(Mark::Bound)];
        let times = prop::collection::vec(micros, 0..60);
        (times, mark, prop::collection::vec(0..90_000_u32, 0..11), 0..1000_u64).prop_map(
            |(times, mark, by_second, n)| {
                let mut t = Totals { hits: n, bytes_out: n * 7, by_second, ..Totals::default() };
                for us in &times {
                    t.latency.observe(*us);
                    t.server.observe(us / 2);
                    t.phases[4].timing.observe(us / 3);
                    t.phases[4].mark = mark;
                }
                t.codes.insert(200, n);
                t.codes.insert(503, 1);
                t.peak_per_s = 17;
                t
            },
        )
    }

    proptest! {
        #[test]
        fn a_row_survives_its_bytes_and_a_cut_one_does_not(t in totals()) {
            let bytes = pack(&t);
            prop_assert_eq!(unpack(&bytes), Some(t));
            for end in 0..bytes.len() {
                prop_assert_eq!(unpack(&bytes[..end]), None);
            }
        }

        #[test]
        fn any_bytes_at_all_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            fuzz_edge_row(&bytes);
        }
    }
}
