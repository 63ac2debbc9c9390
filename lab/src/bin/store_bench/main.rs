//! What the store costs: `store_bench steady|many`.
//!
//! `steady`: 2,000 series, 6 h, 10 s apart (4.3 M samples), as remote write brings them; `many`:
//! 200,000 active series. Prints samples a second (durable ones), bytes a sample at rest, memory,
//! and how long reading takes. Exit: 0 · 64 usage.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use whyslow::storage::{Batch, Columns, Db, Retention, StoreOptions};
use whyslow_model::matcher::Matcher;
use whyslow_model::read::{SelectHint, SeriesReader};

/// Between two samples of a series.
const EVERY_MS: i64 = 10_000;
/// Appends under way at once.
const IN_FLIGHT: usize = 4;

/// What is stored.
#[derive(Clone, Copy)]
struct Load {
    series: usize,
    points: i64,
    /// Samples of one append.
    batch: usize,
}

fn main() -> ExitCode {
    let loads: &[Load] = match std::env::args().nth(1).as_deref() {
        Some("steady") => &[
            Load { series: 2_000, points: 2_160, batch: 500 },
            Load { series: 2_000, points: 2_160, batch: 2_000 },
            Load { series: 2_000, points: 2_160, batch: 20_000 },
        ],
        Some("many") => &[Load { series: 200_000, points: 60, batch: 10_000 }],
        _ => {
            eprintln!("store_bench steady|many");
            return ExitCode::from(64);
        }
    };
    for load in loads {
        if let Err(e) = measure(*load) {
            eprintln!("error: {e:#}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn options() -> Result<StoreOptions> {
    let retention = Retention::new(&[(Duration::from_secs(10), Duration::from_hours(48))])?;
    Ok(StoreOptions { retention, ..StoreOptions::default() })
}

fn measure(load: Load) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build()?;
    let samples = load.series as f64 * load.points as f64;
    println!("{} series, {samples} samples, {} an append", load.series, load.batch);
    let db = Db::open(dir.path(), options()?)?;
    let before = rss_mb()?;
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
    let start = (now / EVERY_MS - load.points) * EVERY_MS;
    let (seconds, slowest) = runtime.block_on(ingest(&db, load, start))?;
    println!("  {:>12.0} samples/s, acknowledged after commit", samples / seconds);
    println!("  {slowest:>12.3} s the slowest append");
    println!("  {:>12.1} MB resident, {before:.1} before", rss_mb()?);
    read(&db, load, start)?;
    let began = Instant::now();
    runtime.block_on(db.close());
    println!("  {:>12.3} s to close", began.elapsed().as_secs_f64());
    let bytes = bytes_in(dir.path())?;
    println!("  {:>12.3} bytes a sample at rest, index included", bytes as f64 / samples);
    let began = Instant::now();
    let db = Db::open(dir.path(), options()?)?;
    println!("  {:>12.3} s to open again", began.elapsed().as_secs_f64());
    read(&db, load, start)
}

async fn ingest(db: &Db, load: Load, start: i64) -> Result<(f64, f64)> {
    let labels: Vec<[(String, String); 5]> = (0..load.series).map(labels).collect();
    // A sender that has more to send than it has series sends several points of each.
    let at_once = i64::try_from(load.batch / load.series)?.max(1);
    let began = Instant::now();
    let mut appends = tokio::task::JoinSet::new();
    let mut slowest: f64 = 0.0;
    for first in (0..load.points).step_by(usize::try_from(at_once)?) {
        let points = first..load.points.min(first + at_once);
        for (part, some) in labels.chunks(load.batch).enumerate() {
            let mut columns = Columns::default();
            for (i, labels) in some.iter().enumerate() {
                let series = part * load.batch + i;
                columns.series(labels.iter().map(|(n, v)| (n.as_str(), v.as_str())));
                points.clone().for_each(|p| columns.point(start + p * EVERY_MS, value(series, p)));
            }
            if appends.len() >= IN_FLIGHT {
                slowest = slowest.max(settled(&mut appends).await?);
            }
            let db = db.clone();
            appends.spawn(async move {
                let began = Instant::now();
                let done = db.append(Batch { columns, ..Batch::default() }).await?;
                anyhow::ensure!(done.samples.refused() == 0, "refused: {:?}", done.samples);
                Ok(began.elapsed().as_secs_f64())
            });
        }
    }
    while !appends.is_empty() {
        slowest = slowest.max(settled(&mut appends).await?);
    }
    Ok((began.elapsed().as_secs_f64(), slowest))
}

/// Seconds that the append which ends next took.
async fn settled(appends: &mut tokio::task::JoinSet<Result<f64>>) -> Result<f64> {
    appends.join_next().await.transpose()?.unwrap_or(Ok(0.0))
}

fn labels(series: usize) -> [(String, String); 5] {
    let of = |name: &str, value: String| (name.to_owned(), value);
    [
        of("__name__", format!("metric_{}", series % 50)),
        of("instance", format!("host-{}:9100", series / 50)),
        of("job", "node".to_owned()),
        of("mode", ["user", "system", "idle", "iowait"][series % 4].to_owned()),
        of("zone", format!("zone-{}", series % 3)),
    ]
}

/// Counters, levels and fractions, a third each.
fn value(series: usize, point: i64) -> f64 {
    let noise = (series as u64 * 7_919 + point as u64 * 104_729) % 1_009;
    match series % 3 {
        0 => (point as u64 * 1_500 + noise) as f64,
        1 => (series as u64 * 4_096 + noise * 4_096) as f64,
        _ => noise as f64 / 1_009.0,
    }
}

fn read(db: &Db, load: Load, start: i64) -> Result<()> {
    let end = start + load.points * EVERY_MS;
    for (what, matchers) in [
        ("one host", vec![Matcher::equal("instance", "host-7:9100")]),
        ("one metric", vec![Matcher::equal("__name__", "metric_7")]),
        ("all series", vec![Matcher::equal("job", "node")]),
    ] {
        let hint = SelectHint {
            from_ms: start,
            to_ms: end,
            step_ms: 60_000,
            range_ms: 0,
            function: None,
            samples_max: usize::MAX,
        };
        let began = Instant::now();
        let found = db.reader().select(&matchers, &hint)?;
        let samples: usize = found.iter().map(|s| s.times_ms.len()).sum();
        let ms = began.elapsed().as_secs_f64() * 1e3;
        println!("  {ms:>12.2} ms to read {what}: {} series, {samples} samples", found.len());
    }
    Ok(())
}

fn bytes_in(dir: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir)? {
        bytes += entry?.metadata()?.len();
    }
    Ok(bytes)
}

fn rss_mb() -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap_or_default();
    let kb: f64 = line.split_whitespace().nth(1).unwrap_or("0").parse()?;
    Ok(kb / 1024.0)
}
