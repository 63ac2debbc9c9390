//! The store on a real directory: opened, filled, closed, cut short.

use std::collections::BTreeMap;

use whyslow_model::Labels;
use whyslow_model::Wall;
use whyslow_model::observation::{Cohort, Locus, Plane};
use whyslow_model::read::SelectHint;

use super::*;

fn now_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(now.as_millis()).unwrap()
}

fn sample(series: &str, at_ms: i64, value: f64) -> Sample {
    Sample { labels: Labels::from_pairs([("__name__", series)]), at_ms, value }
}

fn all(db: &Db, metric: &str) -> Vec<(i64, f64)> {
    let hint = SelectHint {
        from_ms: i64::MIN,
        to_ms: i64::MAX,
        step_ms: 0,
        range_ms: 0,
        function: None,
        samples_max: 1_000_000,
    };
    let found = db.reader().select(&[Matcher::equal("__name__", metric)], &hint).unwrap();
    let points = |s: whyslow_model::read::SeriesPoints| s.times_ms.into_iter().zip(s.values);
    found.into_iter().flat_map(points).collect()
}

fn observation(id: &str, at: Wall, outcome: &str) -> Observation {
    Observation {
        id: id.to_owned(),
        at,
        clock_error_ms: None,
        plane: Plane::Probe,
        agent: "lon1".to_owned(),
        cohort: Cohort { service: Some("shop".to_owned()), ..Cohort::default() },
        locus: Locus::default(),
        values: BTreeMap::from([("total_ms".to_owned(), 12.5)]),
        words: BTreeMap::from([("outcome".to_owned(), outcome.to_owned())]),
        evidence: Vec::new(),
        gaps: Vec::new(),
    }
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_reopen() {
    let dir = tempfile::tempdir().unwrap();
    let db = Db::open(dir.path(), StoreOptions::default()).unwrap();
    let t = now_ms();
    let samples = vec![sample("up", t - 20, 1.0), sample("up", t - 10, 0.0), sample("x", t, 2.0)];
    let done = db.append(Batch { samples, ..Batch::default() }).await.unwrap();
    assert_eq!(done.samples.appended, 3);
    assert_eq!(all(&db, "up"), [(t - 20, 1.0), (t - 10, 0.0)]);
    db.close().await;
    let db = Db::open(dir.path(), StoreOptions::default()).unwrap();
    assert_eq!(all(&db, "up"), [(t - 20, 1.0), (t - 10, 0.0)]);
    assert_eq!(db.counters().series, 2);
}

#[tokio::test]
async fn a_second_process_is_refused_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    let _first = Db::open(dir.path(), StoreOptions::default()).unwrap();
    let second = Db::open(dir.path(), StoreOptions::default());
    assert!(matches!(second, Err(StorageError::InUse { .. })));
}

#[tokio::test]
async fn observations_come_newest_first_page_by_page() {
    let dir = tempfile::tempdir().unwrap();
    let db = Db::open(dir.path(), StoreOptions::default()).unwrap();
    let now = Wall::from_millis(now_ms());
    let observations: Vec<Observation> = (0..10)
        .map(|i| {
            let outcome = if i % 2 == 0 { "ok" } else { "failed" };
            let at = now.before(Duration::from_hours(9 * i));
            observation(&format!("o{i}"), at, outcome)
        })
        .collect();
    let batch = Batch { observations: observations.clone(), ..Batch::default() };
    assert_eq!(db.append(batch.clone()).await.unwrap().observations, 10);
    assert_eq!(db.append(batch).await.unwrap().observations, 0, "the same facts again");
    let filter = ObservationFilter { outcomes: vec!["failed".to_owned()], ..Default::default() };
    let mut request = PageRequest { limit: 2, after: None };
    let mut ids = Vec::new();
    loop {
        let page = db.observations(&filter, &request).unwrap();
        ids.extend(page.observations.into_iter().map(|o| o.id));
        let Some(next) = page.next else { break };
        request.after = Some(next);
    }
    assert_eq!(ids, ["o1", "o3", "o5", "o7", "o9"]);
}

#[tokio::test]
async fn an_observation_is_known_by_its_id_whatever_times_it_tells() {
    let dir = tempfile::tempdir().unwrap();
    let db = Db::open(dir.path(), StoreOptions::default()).unwrap();
    let now = Wall::from_nanos(now_ms() / 1000 * 1_000_000_000 + 123_456_789);
    let later = now.after(Duration::from_millis(1));
    let own = format!("lon1/shop:home:direct/{}", now.as_nanos());
    // An agent's own clock told microseconds, so its second telling is not quite at that time.
    let posted = Wall::from_nanos(now.as_nanos() / 1000 * 1000);
    let other = format!("lon1/shop:other:direct/{}", now.as_nanos());
    let told = [
        (own.as_str(), now, 1),
        (&own, now, 0),
        (&own, posted, 0),
        (&own, later, 0),
        (&other, later, 1),
        (&other, now, 0),
        (&other, later, 0),
        ("words/alone", now, 1),
        ("words/alone", later, 0),
    ];
    for (id, at, new) in told {
        let observations = vec![observation(id, at, "ok")];
        let batch = Batch { observations, ..Batch::default() };
        assert_eq!(db.append(batch).await.unwrap().observations, new, "{id} at {at}");
    }
}

#[tokio::test]
async fn runs_of_one_nanosecond_are_all_found_and_each_is_kept_once() {
    let dir = tempfile::tempdir().unwrap();
    let db = Db::open(dir.path(), StoreOptions::default()).unwrap();
    let at = Wall::from_millis(now_ms());
    let run = |name: &str, ns: i64, json: &str| {
        let id = format!("lon1/shop:{name}:direct/{}", at.as_nanos() + ns);
        StoredRun { id, at, keep_long: false, json: json.to_owned() }
    };
    let all = [run("a", 0, "1"), run("b", 0, "2"), run("c", 0, "3"), run("d", 1, "4")];
    for runs in [all.to_vec(), all.to_vec(), vec![run("a", 0, "another")]] {
        db.append(Batch { runs, ..Batch::default() }).await.unwrap();
    }
    for one in &all {
        assert_eq!(db.run(&one.id).unwrap().as_deref(), Some(one.json.as_str()));
    }
    assert_eq!(db.run(&run("e", 0, "").id).unwrap(), None);
}

#[tokio::test]
async fn a_run_is_found_by_its_id() {
    let dir = tempfile::tempdir().unwrap();
    let db = Db::open(dir.path(), StoreOptions::default()).unwrap();
    let at = Wall::from_millis(now_ms());
    let run = |name: &str, keep_long| StoredRun {
        id: format!("lon1/shop:{name}:cdn/{}", at.as_nanos()),
        at,
        keep_long,
        json: format!("{{\"name\":\"{name}\"}}"),
    };
    let runs = vec![run("home", false), run("cart", true)];
    db.append(Batch { runs: runs.clone(), ..Batch::default() }).await.unwrap();
    for r in &runs {
        assert_eq!(db.run(&r.id).unwrap().as_ref(), Some(&r.json));
    }
    assert_eq!(db.run("nobody").unwrap(), None);
}

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Feeds three series, a sample a minute, oldest first; answers what `select` must give of each.
async fn feed(db: &Db, from_ms: i64, to_ms: i64) -> Vec<(i64, f64)> {
    let mut points = Vec::new();
    let mut at = from_ms;
    while at < to_ms {
        let mut columns = Columns::default();
        let end = to_ms.min(at + 6 * HOUR);
        let times: Vec<i64> = (at..end).step_by(60_000).collect();
        for series in ["a", "b", "c"] {
            columns.series([("__name__", "fed"), ("series", series)]);
            times.iter().for_each(|t| columns.point(*t, (*t / MINUTE % 1000) as f64));
        }
        points.extend(times.iter().map(|t| (*t, (*t / MINUTE % 1000) as f64)));
        let sent = 3 * times.len() as u64;
        let done = db.append(Batch { columns, ..Batch::default() }).await.unwrap();
        assert_eq!(done.samples.appended, sent);
        at = end;
    }
    points
}

fn keeping(raw: Duration) -> StoreOptions {
    let long = Duration::from_hours(24 * 365);
    let minutes = Duration::from_mins;
    let steps = [(minutes(1), raw), (minutes(5), long), (minutes(60), 2 * long)];
    StoreOptions { retention: Retention::new(&steps).unwrap(), ..StoreOptions::default() }
}

fn select(db: &Db, hint: &SelectHint<'_>) -> Vec<Vec<(i64, f64)>> {
    let found = db.reader().select(&[Matcher::equal("__name__", "fed")], hint).unwrap();
    found.into_iter().map(|s| s.times_ms.into_iter().zip(s.values).collect()).collect()
}

fn hint(from_ms: i64, to_ms: i64) -> SelectHint<'static> {
    let samples_max = 1_000_000;
    SelectHint { from_ms, to_ms, step_ms: MINUTE, range_ms: 0, function: None, samples_max }
}

#[tokio::test]
async fn days_of_samples_are_read_from_chunks_as_they_were_given() {
    let dir = tempfile::tempdir().unwrap();
    let end = now_ms() / MINUTE * MINUTE;
    let options = keeping(Duration::from_hours(24 * 30));
    let db = Db::open(dir.path(), options.clone()).unwrap();
    let points = feed(&db, end - 3 * DAY, end).await;
    for _ in 0..2 {
        let db = Db::open(dir.path(), options.clone());
        assert!(db.is_err(), "still open");
    }
    let all = select(&db, &hint(i64::MIN, i64::MAX));
    assert_eq!(all, vec![points.clone(); 3]);
    db.close().await;
    let db = Db::open(dir.path(), options).unwrap();
    assert_eq!(select(&db, &hint(i64::MIN, i64::MAX)), vec![points.clone(); 3]);
    let (from, to) = (end - 40 * HOUR, end - 13 * HOUR);
    let part: Vec<_> = points.iter().copied().filter(|p| (from..=to).contains(&p.0)).collect();
    assert_eq!(select(&db, &hint(from, to)), vec![part; 3]);
    let few = SelectHint { samples_max: 100, ..hint(from, to) };
    let refused = db.reader().select(&[Matcher::equal("series", "a")], &few);
    assert_eq!(refused, Err(ReadError::TooManySamples { limit: 100 }));
}

#[tokio::test]
async fn what_is_too_old_goes_and_its_roll_ups_answer_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let end = now_ms() / MINUTE * MINUTE;
    let db = Db::open(dir.path(), keeping(Duration::from_hours(24 * 30))).unwrap();
    let points = feed(&db, end - 5 * DAY, end).await;
    db.close().await;
    let db = Db::open(dir.path(), keeping(Duration::from_hours(24))).unwrap();
    // Files go one by one; of five days' six the last two reach into the 24 hours that are kept.
    while db.counters().files_removed < 4 {
        tokio::task::yield_now().await;
    }
    let sums = SelectHint {
        function: Some("sum_over_time"),
        range_ms: 10 * MINUTE,
        ..hint(i64::MIN, i64::MAX)
    };
    let total: f64 = points.iter().map(|p| p.1).sum();
    for series in select(&db, &sums) {
        // Late in the day almost two days are kept as they came.
        assert!(series.len() < points.len() * 3 / 5, "much is buckets by now: {}", series.len());
        assert!(series.is_sorted_by(|a, b| a.0 < b.0), "nothing is given twice");
        let sum: f64 = series.iter().map(|p| p.1).sum();
        assert!((sum - total).abs() < 1e-6 * total, "nothing is missed: {sum} {total}");
    }
    let counts = SelectHint { function: Some("count_over_time"), ..sums };
    assert!(select(&db, &counts).iter().all(|s| s.len() == points.len()));
    let recent = select(&db, &hint(end - 10 * HOUR, end));
    assert!(recent.iter().all(|s| s[..] == points[points.len() - s.len()..]), "still exact");
}

#[tokio::test]
async fn samples_beyond_the_bounds_are_refused_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let db = Db::open(dir.path(), StoreOptions::default()).unwrap();
    let t = now_ms();
    let samples = vec![
        sample("x", t, 1.0),
        sample("x", t, 1.0),
        sample("x", t, 2.0),
        sample("x", t + 2 * HOUR, 1.0),
        sample("x", t - 3 * HOUR, 1.0),
        sample("x", t - HOUR, 1.0),
        sample("y", t - 30 * HOUR, 1.0),
        Sample { labels: Labels::empty(), at_ms: t, value: 1.0 },
    ];
    let done = db.append(Batch { samples, ..Batch::default() }).await.unwrap().samples;
    let want = Tally {
        appended: 2,
        late: 1,
        duplicates: 1,
        conflicts: 1,
        too_old: 2,
        too_new: 1,
        series_limit: 0,
        labels: 1,
    };
    assert_eq!(done, want);
    assert_eq!(db.counters().samples, want);
}

#[tokio::test]
async fn files_that_are_not_ours_are_named_and_left_alone() {
    let ours = tempfile::tempdir().unwrap();
    Db::open(ours.path(), StoreOptions::default()).unwrap().close().await;
    let whole = fs::read(ours.path().join("head.db")).unwrap();
    let mut torn = whole.clone();
    torn[4096..].fill(0x5a);
    let other = {
        let path = ours.path().join("other.db");
        let db = rusqlite::Connection::open(&path).unwrap();
        db.execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (1)").unwrap();
        drop(db);
        fs::read(path).unwrap()
    };
    let cases = [b"hello, I am no database".to_vec(), other, torn, whole[..1000].to_vec()];
    for bytes in cases {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("head.db");
        fs::write(&file, &bytes).unwrap();
        let error = Db::open(dir.path(), StoreOptions::default()).unwrap_err();
        let (text, hint) = (error.to_string(), error.hint().unwrap_or_default());
        assert!(text.contains("head.db") && !hint.is_empty(), "{text}");
        assert_eq!(fs::read(&file).unwrap(), bytes, "nothing is overwritten: {text}");
    }
}

#[tokio::test]
async fn what_could_not_be_written_is_not_shown_and_may_be_sent_again() {
    let dir = tempfile::tempdir().unwrap();
    let db = Db::open(dir.path(), StoreOptions::default()).unwrap();
    let t = now_ms();
    let batch = |at| Batch { samples: vec![sample("x", at, 1.0)], ..Batch::default() };
    db.append(batch(t)).await.unwrap();
    let saboteur = rusqlite::Connection::open(dir.path().join("head.db")).unwrap();
    saboteur.execute_batch("ALTER TABLE batches RENAME TO away").unwrap();
    let refused = db.append(batch(t + 1)).await.unwrap_err();
    assert!(refused.to_string().contains("head.db"), "{refused}");
    assert_eq!(all(&db, "x"), [(t, 1.0)], "reads go on, without what was refused");
    assert_eq!(db.counters().failed_appends, 1);
    saboteur.execute_batch("ALTER TABLE away RENAME TO batches").unwrap();
    let taken = db.append(batch(t + 1)).await.unwrap().samples;
    assert_eq!((taken.appended, taken.duplicates), (1, 0));
    drop(saboteur);
    db.close().await;
    let db = Db::open(dir.path(), StoreOptions::default()).unwrap();
    assert_eq!(all(&db, "x"), [(t, 1.0), (t + 1, 1.0)]);
}

#[tokio::test]
async fn a_series_that_begins_before_every_file_is_read_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let options = keeping(Duration::from_hours(24 * 30));
    let db = Db::open(dir.path(), options.clone()).unwrap();
    let end = now_ms() / MINUTE * MINUTE;
    feed(&db, end - HOUR, end).await;
    db.close().await;
    let db = Db::open(dir.path(), options).unwrap();
    let samples = vec![sample("older", end - 9 * DAY, 1.0)];
    db.append(Batch { samples, ..Batch::default() }).await.unwrap();
    assert_eq!(all(&db, "older"), [(end - 9 * DAY, 1.0)]);
    assert_eq!(all(&db, "fed").len(), 180);
}
