//! What outputs have sent and what not, on a real directory.

use std::path::Path;

use whyslow_edge::row::{Key, Row, Totals};
use whyslow_model::{Labels, Sample};

use super::super::{Batch, Db, EdgeBatch, StoreOptions};
use super::*;

fn now_s() -> i64 {
    whyslow_sys::clock::wall().as_millis() / 1000
}

fn open(dir: &Path) -> Db {
    Db::open(dir, StoreOptions::default()).unwrap()
}

fn output(name: &str, stream: Stream) -> Output {
    Output { name: name.into(), stream, bytes_max: 1 << 20 }
}

async fn put(db: &Db, series: &str, at_s: i64) {
    let labels = Labels::from_pairs([("__name__", series)]);
    let samples = vec![Sample { labels, at_ms: at_s * 1000, value: 1.5 }];
    db.append(Batch { samples, ..Batch::default() }).await.unwrap();
}

async fn window(db: &Db, start_s: i64, revision: u32, hits: u64) {
    let key = Key { vip: Some("www".into()), ..Key::default() };
    let row = Row { start_s, span_s: 10, key, totals: Totals { hits, ..Totals::default() } };
    let edge = EdgeBatch { rows: vec![("lb".into(), revision, row)], ..EdgeBatch::default() };
    db.append(Batch { edge, ..Batch::default() }).await.unwrap();
}

async fn sent(db: &Db, name: &str, place: i64) {
    let sent = vec![(name.into(), place)];
    db.append(Batch { sent, ..Batch::default() }).await.unwrap();
}

/// The times of the samples after a place, in seconds, and the place of the last.
fn samples(db: &Db, after: i64) -> (Vec<i64>, i64) {
    let end = db.ends().borrow().samples;
    let commits = db.unsent().samples(after, end, usize::MAX).unwrap();
    let times = commits.iter().flat_map(|commit| commit.samples.entries());
    let times = times.flat_map(|entry| entry.times_ms.iter().map(|ms| ms / 1000)).collect();
    (times, commits.last().map_or(after, |commit| commit.place))
}

/// The windows after a place with the hits they hold now.
fn windows(db: &Db, after: i64) -> Vec<(i64, u64)> {
    let end = db.ends().borrow().windows;
    let changed = db.unsent().windows(after, end, 100).unwrap();
    let hits = |w: &Changed| -> u64 {
        let rows = db.edge_window(&w.source, w.start_s).unwrap();
        rows.iter().map(|row| row.totals.hits).sum()
    };
    changed.iter().map(|w| (w.start_s, hits(w))).collect()
}

#[tokio::test]
async fn an_output_goes_on_behind_what_it_sent_whenever_the_store_is_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path());
    let t = now_s();
    put(&db, "a", t - 50).await;
    let wanted = vec![output("out", Stream::Samples)];
    let opened = db.set_outputs(wanted.clone()).await.unwrap();
    let mut place = opened[0].place;
    assert!(samples(&db, place).0.is_empty(), "it begins with what is stored after it");
    // Closing puts all samples into chunks, and what was sent meanwhile is forgotten.
    let mut db = db;
    for round in 0..4i64 {
        put(&db, "a", t - 40 + round * 10).await;
        put(&db, "b", t - 40 + round * 10).await;
        let (times, end) = samples(&db, place);
        let unsent = if round % 2 == 0 { 1 } else { 2 };
        assert_eq!(times.len(), 2 * unsent, "{times:?}");
        if round % 2 == 1 {
            place = end;
            sent(&db, "out", end).await;
        }
        db.close().await;
        db = open(dir.path());
        let opened = db.set_outputs(wanted.clone()).await.unwrap();
        assert_eq!(opened[0].place, place);
        let waiting = if round % 2 == 1 { 0 } else { 2 };
        assert_eq!(opened[0].waiting.samples(), waiting);
        assert_eq!(samples(&db, place).0.len() as u64, waiting);
    }
    // What waits is not taken for new samples: each is there once.
    assert_eq!(db.counters().series, 2);
    db.set_outputs(Vec::new()).await.unwrap();
    let again = db.set_outputs(wanted).await.unwrap();
    assert_eq!(again[0].place, db.ends().borrow().samples, "one that was gone begins anew");
}

#[tokio::test]
async fn the_oldest_samples_go_where_there_is_no_room_and_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path());
    let wanted = Output { bytes_max: 40, ..output("out", Stream::Samples) };
    db.set_outputs(vec![wanted.clone()]).await.unwrap();
    let t = now_s();
    for i in 0..10 {
        put(&db, "a", t - 100 + i * 10).await;
    }
    db.close().await;
    let db = open(dir.path());
    let opened = db.set_outputs(vec![wanted]).await.unwrap();
    let (left, _) = samples(&db, opened[0].place);
    assert!(!left.is_empty() && left.len() < 10, "{left:?}");
    assert_eq!(*left.last().unwrap(), t - 10, "the newest stay");
    assert_eq!(opened[0].waiting.samples(), left.len() as u64);
    // While it runs, it is counted.
    for i in 0..10 {
        put(&db, "b", t - 100 + i * 10).await;
    }
    db.close().await;
    assert!(opened[0].waiting.dropped() >= 10, "{:?}", opened[0].waiting);
}

#[tokio::test]
async fn a_window_that_is_revised_is_to_be_sent_again_as_it_is_then() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path());
    let wanted = vec![output("graphite", Stream::Windows), output("kept", Stream::Windows)];
    let opened = db.set_outputs(wanted.clone()).await.unwrap();
    assert_eq!(opened.iter().map(|o| o.place).collect::<Vec<_>>(), [0, 0]);
    let t = now_s() / 10 * 10;
    window(&db, t - 30, 1, 5).await;
    window(&db, t - 20, 1, 6).await;
    assert_eq!(windows(&db, 0), [(t - 30, 5), (t - 20, 6)]);
    let first = db.unsent().windows(0, i64::MAX, 1).unwrap()[0].place;
    window(&db, t - 30, 2, 9).await;
    assert_eq!(windows(&db, first), [(t - 20, 6), (t - 30, 9)]);
    assert_eq!(db.unsent().windows_after(first).unwrap(), 2);
    let end = db.ends().borrow().windows;
    sent(&db, "graphite", end).await;
    assert_eq!(windows(&db, 0).len(), 2, "the other has not sent them");
    db.close().await;
    let db = open(dir.path());
    let opened = db.set_outputs(wanted).await.unwrap();
    assert_eq!(opened.iter().map(|o| o.place).collect::<Vec<_>>(), [end, 0]);
    sent(&db, "kept", end).await;
    assert_eq!(windows(&db, 0), []);
    window(&db, t - 10, 3, 1).await;
    assert_eq!(windows(&db, end), [(t - 10, 1)], "places are never given twice");
}

#[tokio::test]
async fn without_outputs_nothing_is_noted() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path());
    db.set_outputs(Vec::new()).await.unwrap();
    window(&db, now_s() / 10 * 10, 1, 5).await;
    assert!(!path(dir.path()).exists());
}

#[test]
fn notes_of_windows_that_are_no_longer_kept_go_and_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let mut outputs = Outputs::open(dir.path()).unwrap();
    let nothing = |_| Ok(0);
    let opened = outputs.set(&[output("graphite", Stream::Windows)], nothing).unwrap();
    let put = "INSERT INTO changed (source, start_s, noted_s) VALUES ('lb', ?1, 0)";
    for start_s in [10, 20, 30] {
        outputs.execute(put, start_s).unwrap();
    }
    outputs.remove_old(20).unwrap();
    assert_eq!(opened[0].waiting.dropped(), 1);
    assert_eq!(outputs.number("SELECT count(*) FROM changed WHERE n > ?1", 0).unwrap(), 2);
}
