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
