//! Chunks: what goes in comes out, and nothing that is no chunk does harm.

use proptest::prelude::*;
use whyslow_model::sample::stale_nan;

use super::*;

fn read(bytes: &[u8]) -> Result<(Vec<i64>, Vec<u64>), ChunkError> {
    let (mut times, mut values) = (Vec::new(), Vec::new());
    decode(bytes, &mut times, &mut values)?;
    Ok((times, values.iter().map(|v| v.to_bits()).collect()))
}

fn any_value() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<u64>().prop_map(f64::from_bits),
        (-1000i32..1000).prop_map(f64::from),
        (0u32..100_000_000).prop_map(|ns| f64::from(ns) / 1e9),
        Just(stale_nan()),
        Just(-0.0),
        Just(f64::INFINITY),
        Just(f64::MIN_POSITIVE / 4.0),
    ]
}

prop_compose! {
    fn any_samples()(
        first in any::<i32>(),
        rest in prop::collection::vec((prop_oneof![
            Just(10_000i64), 9_990i64..10_010, 1i64..5, 1i64..100_000_000
        ], any_value()), 1..300),
    ) -> (Vec<i64>, Vec<f64>) {
        let mut at = i64::from(first);
        rest.into_iter().map(|(d, v)| { at += d; (at, v) }).unzip()
    }
}

proptest! {
    #[test]
    fn every_bit_survives_both_encodings((times, values) in any_samples()) {
        let raw: Vec<u64> = values.iter().map(|v| v.to_bits()).collect();
        let plain = Appender::of(&times, &values).unwrap();
        prop_assert_eq!(read(&plain.encoded()), Ok((times.clone(), raw.clone())));
        prop_assert_eq!(read(&pack(&times, &values)), Ok((times, raw)));
    }

    #[test]
    fn a_cut_chunk_is_an_error_or_padding((times, values) in any_samples(), cut in 0usize..64) {
        let bytes = pack(&times, &values);
        let cut = cut.min(bytes.len());
        let short = &bytes[..bytes.len() - cut];
        if cut > 0 {
            prop_assert!(read(short).is_err());
        }
    }

    #[test]
    fn anything_at_all_is_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        fuzz_chunk(&bytes);
    }
}

#[test]
fn the_ends_of_time_survive() {
    let times = [i64::MIN, -1, 0, i64::MAX];
    let values = [f64::MAX, f64::MIN, 0.0, stale_nan()];
    let raw: Vec<u64> = values.iter().map(|v| v.to_bits()).collect();
    assert_eq!(read(&pack(&times, &values)), Ok((times.to_vec(), raw)));
}

#[test]
fn nothing_packs_to_nothing() {
    assert!(pack(&[], &[]).is_empty());
}

#[test]
fn a_failed_read_leaves_the_columns_as_they_were() {
    let bytes = pack(&[1, 2, 3], &[0.1, 0.7, 0.3]);
    let (mut times, mut values) = (vec![7], vec![8.0]);
    assert!(decode(&bytes[..bytes.len() - 1], &mut times, &mut values).is_err());
    assert_eq!((times, values), (vec![7], vec![8.0]));
}

/// Samples 10 s apart for two hours, as a check every 10 s gives them.
fn two_hours(value: impl Fn(i32) -> f64) -> usize {
    let times: Vec<i64> = (0..720).map(|i| i * 10_000).collect();
    let values: Vec<f64> = (0..720).map(value).collect();
    pack(&times, &values).len()
}

#[test]
fn what_checks_and_counters_give_takes_few_bytes_a_sample() {
    let steady_counter = two_hours(|i| f64::from(i * 37));
    assert!(steady_counter < 720 / 2, "{steady_counter}");
    let uneven_counter = two_hours(|i| f64::from(i * 1000 + i * 7919 % 331));
    assert!(uneven_counter < 720 * 2, "{uneven_counter}");
    let seconds_in_microseconds = two_hours(|i| f64::from(20_000 + i * 7919 % 4001) / 1e6);
    assert!(seconds_in_microseconds < 720 * 5 / 2, "{seconds_in_microseconds}");
    let success = two_hours(|_| 1.0);
    assert!(success < 220, "{success}");
}
