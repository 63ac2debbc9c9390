//! What was counted of a key in a window, as the bytes that are stored.
//! `docs/formats/edge-rows.md` draws them.

use whyslow_model::Histogram;

use crate::bits::{BitReader, BitWriter};
use crate::record::Mark;
use crate::row::{Timing, Totals};

mod numbers;
mod version1;

use numbers::{FIELD_MAX, put, take, unzigzag, varint, zigzag};

/// The first byte of every packed row.
const VERSION: u8 = 2;
/// The most that one bucket can hold: adding up a million such rows stays within 64 bits.
const BUCKET_MAX: u64 = 1 << 44;
/// Entries of one list within a row.
const ENTRIES_MAX: u64 = 4096;
/// Plain counts there are.
const COUNTS: usize = 11;
/// Bits of the phases' marks, two each, below those of [`timings`].
const MARK_BITS: u32 = 12;

/// Packs.
pub fn pack(totals: &Totals) -> Vec<u8> {
    let mut out = vec![VERSION];
    let counts = counts(totals);
    put(&mut out, bits_of(counts.map(|n| n > 0)));
    counts.into_iter().filter(|n| *n > 0).for_each(|n| put(&mut out, n.min(FIELD_MAX)));
    put(&mut out, totals.by_second.len() as u64);
    totals.by_second.iter().for_each(|n| put(&mut out, u64::from(*n)));
    put(&mut out, totals.codes.len() as u64);
    for (code, n) in &totals.codes {
        put(&mut out, u64::from(*code));
        put(&mut out, (*n).min(BUCKET_MAX));
    }
    let timings = timings(totals);
    let mut told = bits_of(timings.map(|timing| *timing != Timing::default())) << MARK_BITS;
    for (place, phase) in totals.phases.iter().enumerate() {
        told |= mark_number(phase.mark) << (2 * place);
    }
    put(&mut out, told);
    timings
        .into_iter()
        .filter(|timing| **timing != Timing::default())
        .chain(totals.phases.iter().filter(|p| p.mark != Mark::Absent).map(|p| &p.timing))
        .for_each(|timing| put_timing(&mut out, timing));
    out
}

/// Reads what [`pack`] wrote, and what it wrote before; `None` of anything else.
pub fn unpack(bytes: &[u8]) -> Option<Totals> {
    let (&version, mut rest) = bytes.split_first()?;
    match version {
        1 => return version1::unpack(rest),
        VERSION => {}
        _ => return None,
    }
    let rest = &mut rest;
    let mut totals = Totals::default();
    let there = varint(rest)?;
    let mut counts = [0; COUNTS];
    for (place, count) in counts.iter_mut().enumerate() {
        if there >> place & 1 == 1 {
            *count = take(rest)?;
        }
    }
    set_counts(&mut totals, counts)?;
    take_seconds_and_codes(rest, &mut totals)?;
    let told = varint(rest)?;
    let timings = timings_mut(&mut totals);
    if there >> COUNTS != 0 || told >> MARK_BITS >> timings.len() != 0 {
        return None;
    }
    for (place, timing) in timings.into_iter().enumerate() {
        if told >> MARK_BITS >> place & 1 == 1 {
            *timing = take_timing(rest)?;
        }
    }
    for (place, phase) in totals.phases.iter_mut().enumerate() {
        phase.mark = mark_of(told >> (2 * place) & 3)?;
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

/// The plain counts.
fn counts(t: &Totals) -> [u64; COUNTS] {
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
        t.hidden_at_most,
        t.spared,
    ]
}

/// The reverse of [`counts`]; `None` where one is too large for its kind.
fn set_counts(t: &mut Totals, counts: [u64; COUNTS]) -> Option<()> {
    let peak;
    [
        t.hits,
        t.bytes_out,
        t.bytes_in,
        t.client_aborted,
        t.local,
        t.retries,
        t.redispatched,
        t.failed_attempts,
        peak,
        t.hidden_at_most,
        t.spared,
    ] = counts;
    t.peak_per_s = u32::try_from(peak).ok()?;
    Some(())
}

/// The durations beside phases.
const fn timings(t: &Totals) -> [&Timing; 3] {
    [&t.latency, &t.server, &t.client_rtt]
}

const fn timings_mut(t: &mut Totals) -> [&mut Timing; 3] {
    [&mut t.latency, &mut t.server, &mut t.client_rtt]
}

/// One bit each, the first the lowest.
fn bits_of<const N: usize>(there: [bool; N]) -> u64 {
    there.into_iter().rev().fold(0, |bits, one| bits << 1 | u64::from(one))
}

fn take_seconds_and_codes(rest: &mut &[u8], totals: &mut Totals) -> Option<()> {
    for _ in 0..entries(rest)? {
        totals.by_second.push(u32::try_from(take(rest)?).ok()?);
    }
    for _ in 0..entries(rest)? {
        let code = u16::try_from(take(rest)?).ok()?;
        totals.codes.insert(code, take_count(rest)?);
    }
    Some(())
}

fn put_timing(out: &mut Vec<u8>, timing: &Timing) {
    put(out, timing.sum_us.min(FIELD_MAX));
    put(out, timing.max_us.min(FIELD_MAX));
    put(out, timing.histogram.zeros().min(BUCKET_MAX));
    let mut buckets = timing.histogram.buckets().map(|(index, n)| (index, n.min(BUCKET_MAX)));
    put(out, timing.histogram.buckets().count() as u64);
    let Some((first, n)) = buckets.next() else { return };
    put(out, zigzag(first.into()));
    let mut bits = BitWriter::default();
    bits.put(n, 0);
    let (mut index_before, mut n_before) = (first, n);
    for (index, n) in buckets {
        bits.put(u64::from((index - index_before - 1).unsigned_abs()), 0);
        bits.put(zigzag(n.cast_signed() - n_before.cast_signed()), order(n_before));
        (index_before, n_before) = (index, n);
    }
    out.extend(bits.finish());
}

fn take_timing(rest: &mut &[u8]) -> Option<Timing> {
    let (sum_us, max_us) = (take(rest)?, take(rest)?);
    let mut histogram = Histogram::default();
    histogram.add_bucket(None, take_count(rest)?);
    let buckets = entries(rest)?;
    if buckets > 0 {
        let mut index = i32::try_from(unzigzag(varint(rest)?)).ok()?;
        let mut bits = BitReader::new(rest);
        let mut n = bits.take(0)?;
        add_bucket(&mut histogram, index, n)?;
        for _ in 1..buckets {
            let gap = i32::try_from(bits.take(0)?).ok()?;
            index = index.checked_add(gap)?.checked_add(1)?;
            n = n.checked_add_signed(unzigzag(bits.take(order(n))?))?;
            add_bucket(&mut histogram, index, n)?;
        }
        *rest = bits.rest()?;
    }
    Some(Timing { sum_us, max_us, histogram })
}

fn add_bucket(histogram: &mut Histogram, index: i32, n: u64) -> Option<()> {
    let sound = (1..=BUCKET_MAX).contains(&n) && histogram.add_bucket(Some(index), n);
    sound.then_some(())
}

/// The order by which a bucket's step from the one before is written: neighbours differ by about
/// the root of what they hold.
const fn order(n_before: u64) -> u32 {
    (u64::BITS - n_before.leading_zeros()) / 2
}

const fn mark_number(mark: Mark) -> u64 {
    match mark {
        Mark::Absent => 0,
        Mark::Exact => 1,
        Mark::Mixed => 2,
        Mark::Bound => 3,
    }
}

const fn mark_of(number: u64) -> Option<Mark> {
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
                    if n % 2 == 0 {
                        t.client_rtt.observe(us / 5);
                    }
                    t.phases[4].mark = mark;
                }
                t.codes.insert(200, n);
                t.codes.insert(503, 1);
                t.peak_per_s = 17;
                t.hidden_at_most = n / 9;
                t.spared = n / 10;
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
        fn a_row_of_the_first_version_is_still_read(t in totals()) {
            let t = Totals { client_rtt: Timing::default(), hidden_at_most: 0, spared: 0, ..t };
            let bytes = version1::pack(&t);
            prop_assert_eq!(unpack(&bytes), Some(t));
            for end in 0..bytes.len() {
                prop_assert_eq!(unpack(&bytes[..end]), None);
            }
        }

        #[test]
        fn buckets_may_hold_anything_up_to_the_bound(
            buckets in prop::collection::btree_map(-600..1400_i32, 0..=44_u32, 0..50),
        ) {
            let mut t = Totals::default();
            for (index, power) in buckets {
                t.latency.histogram.add_bucket(Some(index), 1 << power);
            }
            prop_assert_eq!(unpack(&pack(&t)), Some(t));
        }

        #[test]
        fn any_bytes_at_all_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            fuzz_edge_row(&bytes);
        }
    }

    /// Ten seconds of a key with so many requests, as a balancer's log in milliseconds tells them:
    /// latencies spread about 60 ms, connections mostly kept.
    fn busy(requests: u32) -> Totals {
        let mut state = 1_u64;
        let mut uniform = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            f64::from(u32::try_from(state >> 33).unwrap()) / f64::from(1_u32 << 31)
        };
        let mut t = Totals { hits: requests.into(), ..Totals::default() };
        t.bytes_out = u64::from(requests) * 2750;
        t.by_second = (0..10).map(|second| requests / 10 + second).collect();
        t.peak_per_s = requests / 10 + 9;
        t.codes.insert(200, u64::from(requests) - 3);
        t.codes.insert(503, 3);
        for _ in 0..requests {
            let spread = (0..12).map(|_| uniform()).sum::<f64>() - 6.0;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small")]
            let wait = (60.0 * (spread * 0.7).exp()) as u64 * 1000;
            let connect = u64::from(uniform() < 0.05) * 1000;
            let body = u64::from(uniform() < 0.3) * 1000;
            t.latency.observe(wait + connect + body);
            t.server.observe(wait + connect);
            for (phase, us) in t.phases.iter_mut().zip([0, 0, connect, wait, body]) {
                phase.observe(us, Mark::Exact);
            }
        }
        t
    }

    #[test]
    fn a_busy_keys_row_is_about_half_of_what_it_was() {
        for (requests, bytes) in [(100, 206), (1000, 414), (10_000, 581)] {
            let (row, was) = (pack(&busy(requests)), version1::pack(&busy(requests)));
            // A logarithm may round otherwise elsewhere, and move one request by a bucket.
            assert!(row.len().abs_diff(bytes) < 10, "{requests}: {} bytes", row.len());
            assert!(row.len() * 5 < was.len() * 3, "{requests}: {} of {}", row.len(), was.len());
        }
    }
}
