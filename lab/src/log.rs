//! A balancer's log as a scenario writes it: lines of now, each with a number of its own.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context, Result};
use whyslow::storage::{Db, EdgeQuery, StoreOptions};
use whyslow_edge::grouping::Grouping;
use whyslow_model::Wall;

/// Lines that were written, by the start of their window in seconds since the epoch.
pub type Windows = BTreeMap<i64, u64>;

/// Writes `count` lines as HAProxy's `option httplog` does, of the time `at`, and counts them.
pub fn lines(at: Wall, count: u64, written: &mut Windows) -> String {
    let text = at.to_string();
    let (day, time) = text.split_once('T').unwrap_or((&text, ""));
    let part = |i: usize| day.split('-').nth(i).unwrap_or_default();
    let month: usize = part(1).parse().unwrap_or(1);
    let month = MONTHS.get(month - 1).copied().unwrap_or("Jan");
    let date = format!("{}/{month}/{}:{}", part(2), part(0), &time[..time.len().min(12)]);
    let mut out = String::new();
    let before: u64 = written.values().sum();
    for n in before..before + count {
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "10.0.{}.{}:4000 [{date}] web app/web{} 0/0/1/{}/{} 200 {n} - - ---- 9/9/1/1/0 0/0 \
             \"GET /cart/{n} HTTP/1.1\"",
            n / 250 % 250,
            n % 250,
            n % 3,
            n % 50,
            n % 50 + 2,
        );
    }
    *written.entry(at.as_millis().div_euclid(10_000) * 10).or_default() += count;
    out
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// What a data directory holds of one source: requests by window. Nothing may be running on it.
///
/// # Errors
/// Where it cannot be read.
pub fn stored(data: &str, source: &str) -> Result<Windows> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let _entered = runtime.enter();
    let db = Db::open(data.as_ref(), StoreOptions::default()).context("opening the store")?;
    let now_s = whyslow_sys::clock::wall().as_millis() / 1000;
    let query = EdgeQuery {
        from_s: now_s - 7200,
        to_s: now_s + 60,
        span_s: Some(10),
        grouping: Grouping::VIP,
        sources: vec![source.to_owned()],
        ..EdgeQuery::default()
    };
    let mut windows = Windows::new();
    for row in db.edge_rows(&query)? {
        *windows.entry(row.start_s).or_default() += row.totals.hits;
    }
    runtime.block_on(db.close());
    Ok(windows)
}
