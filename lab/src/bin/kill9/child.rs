//! What lives until it is killed: appends, says what was acknowledged, and checks it all at start.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use whyslow::storage::{
    Batch, Db, ObservationFilter, PageRequest, Retention, StoreOptions, StoredRun,
};
use whyslow_model::matcher::Matcher;
use whyslow_model::observation::{Cohort, Locus, Observation, Plane};
use whyslow_model::read::{SelectHint, SeriesReader};
use whyslow_model::{Labels, Sample, Wall};

/// Writers at once.
const WRITERS: usize = 4;
/// Series of each writer.
const SERIES: usize = 8;
/// Between two samples of a series: twenty minutes, so that windows end quickly.
const STEP_MS: i64 = 1_200_000;
/// When the data's clock begins, before ours.
const SPAN: Duration = Duration::from_hours(24 * 300);

fn open(dir: &Path) -> Result<Db> {
    let day = Duration::from_hours(24);
    let steps = [(Duration::from_secs(10), 310 * day), (Duration::from_mins(5), 320 * day)];
    let retention = Retention::new(&steps)?;
    let long = 310 * day;
    let options = StoreOptions {
        retention,
        observations_for: long,
        transcripts_for: long,
        ok_runs_for: long,
        ..StoreOptions::default()
    };
    Ok(Db::open(dir, options)?)
}

/// Checks what was acknowledged before, then appends until it is killed.
pub fn run(dir: &Path) -> Result<()> {
    let before = acknowledged(dir)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build()?;
    let db = open(dir)?;
    check(&db, &before, base_ms(dir)?)?;
    say("verified")?;
    runtime.block_on(async {
        let base = base_ms(dir)?;
        let mut writers = Vec::new();
        for (writer, next) in before.into_iter().enumerate() {
            writers.push(tokio::spawn(write(db.clone(), writer, next, base)));
        }
        for writer in writers {
            writer.await??;
        }
        Ok(())
    })
}

/// How many batches of each writer were acknowledged; they are numbered from 0.
pub fn acknowledged(dir: &Path) -> Result<[u64; WRITERS]> {
    let mut all = [0; WRITERS];
    let Ok(text) = std::fs::read_to_string(dir.join("acknowledged.txt")) else { return Ok(all) };
    for line in text.lines() {
        let (writer, number) = line.split_once(' ').context("a line of acknowledged.txt")?;
        let (writer, number): (usize, u64) = (writer.parse()?, number.parse()?);
        all[writer] = all[writer].max(number + 1);
    }
    Ok(all)
}

/// Opens the store and checks it.
pub fn verify(dir: &Path, acknowledged: &[u64; WRITERS]) -> Result<()> {
    check(&open(dir)?, acknowledged, base_ms(dir)?)
}

async fn write(db: Db, writer: usize, mut number: u64, base: i64) -> Result<()> {
    loop {
        let done = db.append(batch(writer, number, base)).await?;
        // What was stored but not acknowledged before a kill is there already, and the same.
        let known = done.samples.appended + done.samples.duplicates;
        ensure!(known == SERIES as u64, "writer {writer}, batch {number}: {done:?}");
        say(&format!("{writer} {number}"))?;
        number += 1;
    }
}

fn batch(writer: usize, number: u64, base: i64) -> Batch {
    let at_ms = at(number, base);
    let sample = |series| Sample { labels: labels(writer, series), at_ms, value: value(number) };
    let at = Wall::from_millis(at_ms);
    let id = format!("lab/kill9:{writer}:direct/{}", at.as_nanos());
    let run =
        StoredRun { id: id.clone(), at, keep_long: number.is_multiple_of(2), json: id.clone() };
    Batch {
        samples: (0..SERIES).map(sample).collect(),
        observations: vec![observation(id, at, writer)],
        runs: vec![run],
        ..Batch::default()
    }
}

fn observation(id: String, at: Wall, writer: usize) -> Observation {
    Observation {
        id,
        at,
        clock_error_ms: None,
        plane: Plane::Probe,
        agent: "lab".to_owned(),
        cohort: Cohort { check: Some(writer.to_string()), ..Cohort::default() },
        locus: Locus::default(),
        values: BTreeMap::new(),
        words: BTreeMap::new(),
        evidence: Vec::new(),
        gaps: Vec::new(),
    }
}

fn at(number: u64, base: i64) -> i64 {
    base + i64::try_from(number).unwrap_or(i64::MAX / STEP_MS) * STEP_MS
}

/// As uneven as what is measured.
fn value(number: u64) -> f64 {
    (number.wrapping_mul(2_654_435_761) % 1_000_003) as f64 / 1e6
}

fn labels(writer: usize, series: usize) -> Labels {
    let (writer, series) = (writer.to_string(), series.to_string());
    Labels::from_pairs([("__name__", "kill9"), ("writer", &writer), ("series", &series)])
}

/// When the data's clock began; the first child writes it down.
fn base_ms(dir: &Path) -> Result<i64> {
    let path = dir.join("base.txt");
    if let Ok(text) = std::fs::read_to_string(&path) {
        return Ok(text.trim().parse()?);
    }
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let base = i64::try_from((since - SPAN).as_millis())? / STEP_MS * STEP_MS;
    // Renamed into its place, so that a kill leaves a whole file or none.
    let new = dir.join("base.new");
    std::fs::write(&new, base.to_string())?;
    std::fs::rename(new, path)?;
    Ok(base)
}

fn check(db: &Db, acknowledged: &[u64; WRITERS], base: i64) -> Result<()> {
    let (from_ms, to_ms) = (i64::MIN, i64::MAX);
    let samples_max = usize::MAX;
    let hint = SelectHint { from_ms, to_ms, step_ms: 0, range_ms: 0, function: None, samples_max };
    for (writer, count) in acknowledged.iter().enumerate() {
        let matcher = Matcher::equal("writer", &writer.to_string());
        let found = db.reader().select(&[matcher], &hint)?;
        ensure!(*count == 0 || found.len() == SERIES, "writer {writer} has {} series", found.len());
        for series in found {
            let there = series.times_ms.len() as u64;
            ensure!(there >= *count, "{}: {there} of {count} samples", series.labels);
            for (number, (t, v)) in (0..*count).zip(series.times_ms.iter().zip(&series.values)) {
                let (at, value) = (at(number, base), value(number));
                ensure!(
                    *t == at && v.to_bits() == value.to_bits(),
                    "{}, number {number}: {t} {v} for {at} {value}",
                    series.labels
                );
            }
        }
        check_facts(db, writer, *count, base)?;
    }
    Ok(())
}

/// Every observation, and the run of every hundredth.
fn check_facts(db: &Db, writer: usize, count: u64, base: i64) -> Result<()> {
    let filter = ObservationFilter { check: Some(writer.to_string()), ..Default::default() };
    let mut request = PageRequest { limit: 1000, after: None };
    let mut there = std::collections::BTreeSet::new();
    loop {
        let page = db.observations(&filter, &request)?;
        there.extend(page.observations.into_iter().map(|o| o.at));
        let Some(next) = page.next else { break };
        request.after = Some(next);
    }
    for number in 0..count {
        let at = Wall::from_millis(at(number, base));
        ensure!(there.contains(&at), "writer {writer}: observation {number} is gone");
        if number % 100 == 0 {
            let id = format!("lab/kill9:{writer}:direct/{}", at.as_nanos());
            ensure!(db.run(&id)?.is_some(), "writer {writer}: run {number} is gone");
        }
    }
    Ok(())
}

fn say(line: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}
