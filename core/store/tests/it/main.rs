//! The head against a model that cannot be wrong: a `BTreeMap` from time to value.
#![expect(clippy::unwrap_used, reason = "a test may fail by a panic")]

use std::collections::BTreeMap;

use proptest::prelude::*;
use whyslow_model::matcher::Matcher;
use whyslow_model::seeded::Seed;
use whyslow_store::head::{Bounds, Limits, Span, WINDOW_MS};
use whyslow_store::{Head, Tally, chunk, journal};

/// What a shell keeps: enough to make the head anew at any moment.
#[derive(Default)]
struct Disk {
    series: Vec<(i64, String)>,
    spans: BTreeMap<i64, Span>,
    chunks: BTreeMap<(i64, i64), Vec<u8>>,
    /// Each with the time of its newest sample.
    batches: Vec<(i64, Vec<u8>)>,
}

/// What may happen to a store.
#[derive(Clone, Debug)]
enum Event {
    Append {
        series: usize,
        samples: Vec<(i64, u8)>,
    },
    /// Windows that end by then become chunks, finished ones leave the memory.
    Seal {
        until_window: i64,
    },
    /// The process is killed after so many chunks of a pass, and starts again.
    Kill {
        until_window: i64,
        chunks: usize,
    },
}

const NAMES: [&str; 3] = ["a", "b", "c"];
const LATE_MS: i64 = WINDOW_MS;

fn event() -> impl Strategy<Value = Event> {
    // Three quarters of an hour apart, so that a few samples cross windows.
    let sample = (0i64..40).prop_flat_map(|step| (Just(step * 2_700_000), 0u8..3));
    prop_oneof![
        6 => (0..NAMES.len(), prop::collection::vec(sample, 1..6))
            .prop_map(|(series, samples)| Event::Append { series, samples }),
        2 => (0i64..16).prop_map(|until_window| Event::Seal { until_window }),
        1 => (0i64..16, 0usize..4)
            .prop_map(|(until_window, chunks)| Event::Kill { until_window, chunks }),
    ]
}

/// The rule in four lines: what a series holds, and when a sample is refused.
#[derive(Default)]
struct Model {
    points: BTreeMap<i64, f64>,
    tally: Tally,
}

impl Model {
    fn append(&mut self, at: i64, value: f64) {
        let newest = self.points.last_key_value().map(|(at, _)| *at);
        match self.points.get(&at) {
            _ if newest.is_some_and(|n| at < n - LATE_MS) => self.tally.too_old += 1,
            Some(there) if *there == value => self.tally.duplicates += 1,
            Some(_) => self.tally.conflicts += 1,
            None => {
                self.tally.appended += 1;
                self.tally.late += u64::from(newest.is_some_and(|n| at < n));
                self.points.insert(at, value);
            }
        }
    }
}

fn limits() -> Limits {
    Limits { series_max: 10, late_ms: LATE_MS }
}

fn append(head: &mut Head, disk: &mut Disk, name: &str, samples: &[(i64, f64)]) -> Tally {
    let slot = head.resolve([("__name__", name)].into_iter()).unwrap();
    let times: Vec<i64> = samples.iter().map(|s| s.0).collect();
    let values: Vec<f64> = samples.iter().map(|s| s.1).collect();
    let mut batch = journal::Writer::default();
    batch.series(head.id(slot), &times, &values);
    for new in head.unsaved() {
        disk.series.push((new.id, new.labels.metric().unwrap().to_owned()));
    }
    disk.batches.push((batch.newest_ms(), batch.bytes().to_vec()));
    head.unsaved_are_saved();
    let mut tally = Tally::default();
    head.append(slot, &times, &values, Bounds::ALL, 0, &mut tally);
    tally
}

/// A pass as the shell makes it; `chunks_max` stops it in the middle, as a kill does.
fn seal(head: &mut Head, disk: &mut Disk, until_ms: i64, mut chunks_max: usize) {
    for slot in head.slots() {
        for window in head.seal(slot, until_ms) {
            if chunks_max == 0 {
                return;
            }
            chunks_max -= 1;
            disk.chunks.insert((head.id(slot), window.start_ms), window.bytes.to_vec());
        }
        head.forget_finished(slot, 0);
        disk.spans.insert(head.id(slot), head.span(slot).unwrap());
    }
    disk.batches.retain(|(newest, _)| *newest >= until_ms);
}

fn restart(disk: &Disk) -> Head {
    let mut head = Head::new(Seed(3), limits(), 1);
    let mut slots = BTreeMap::new();
    for (id, name) in &disk.series {
        slots.insert(*id, head.restore_series(*id, [("__name__", name.as_str())].into_iter()));
    }
    for (id, span) in &disk.spans {
        head.restore_floor(slots[id], span.floor_ms, 0);
    }
    for ((id, start), bytes) in &disk.chunks {
        if disk.spans.get(id).is_some_and(|s| *start >= s.floor_ms) {
            assert!(head.restore_window(slots[id], *start, bytes));
        }
    }
    let mut nobody = Tally::default();
    for (_, batch) in &disk.batches {
        let read = journal::replay(batch, |id, at, v| {
            head.append(slots[&id], &[at], &[v], Bounds::ALL, 0, &mut nobody);
        });
        assert_eq!(read, Some(()));
    }
    for (id, span) in &disk.spans {
        head.restore_reach(slots[id], *span);
    }
    head
}

/// All of one series: what is on disk below its floor, and what is in memory.
fn read(head: &Head, disk: &Disk, name: &str) -> BTreeMap<i64, f64> {
    let slots = head.matching(&[Matcher::equal("__name__", name)], i64::MIN, i64::MAX);
    let (mut times, mut values) = (Vec::new(), Vec::new());
    for slot in slots {
        let snapshot = head.snapshot(slot, i64::MIN, i64::MAX).unwrap();
        for ((id, start), bytes) in &disk.chunks {
            if *id == snapshot.id && *start < snapshot.floor_ms {
                chunk::decode(bytes, &mut times, &mut values).unwrap();
            }
        }
        snapshot.pieces.iter().for_each(|p| p.read(&mut times, &mut values));
    }
    assert!(times.is_sorted_by(|a, b| a < b), "times ascend: {times:?}");
    times.into_iter().zip(values).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_store_holds_what_a_map_would_hold_through_seals_and_kills(
        events in prop::collection::vec(event(), 1..40)
    ) {
        let mut disk = Disk::default();
        let mut head = Head::new(Seed(3), limits(), 1);
        let mut models: BTreeMap<&str, Model> = BTreeMap::new();
        for event in events {
            match event {
                Event::Append { series, samples } => {
                    let samples: Vec<(i64, f64)> =
                        samples.into_iter().map(|(at, v)| (at, f64::from(v))).collect();
                    let model = models.entry(NAMES[series]).or_default();
                    let before = model.tally;
                    samples.iter().for_each(|(at, v)| model.append(*at, *v));
                    let mut total = append(&mut head, &mut disk, NAMES[series], &samples);
                    total.add(&before);
                    prop_assert_eq!(total, model.tally, "as the rules say");
                }
                Event::Seal { until_window } => {
                    seal(&mut head, &mut disk, until_window * WINDOW_MS, usize::MAX);
                }
                Event::Kill { until_window, chunks } => {
                    seal(&mut head, &mut disk, until_window * WINDOW_MS, chunks);
                    head = restart(&disk);
                }
            }
            for (name, model) in &models {
                prop_assert_eq!(&read(&head, &disk, name), &model.points, "series {}", name);
            }
        }
    }
}
