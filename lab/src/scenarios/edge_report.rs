//! `whyslow edge` counts what awk and Python count, to the last request.

use std::io::Write as _;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::edge_logs;
use crate::scenario::{Need, Scenario};
use crate::world::{World, must};

/// See the module.
pub const SCENARIO: Scenario = Scenario {
    name: "edge-report",
    proves: "hits, codes, totals, peaks equal awk's and Python's count, percentiles within 1.1 %",
    needs: &[Need::Program("/usr/bin/awk"), Need::Program("/usr/bin/python3")],
    run,
};

const LINES: u64 = 200_000;
/// Distinct paths that no template folds.
const PATHS: u64 = 1_000_000;

/// Recounts the log by rules of its own and holds the report against it.
const RECOUNT: &str = r#"
import json, math, re, sys
from collections import defaultdict
line = re.compile(r'\[(\d\d/\w+/\d+:\d\d:\d\d:\d\d)\.\d+\] \S+ ([^/]+)/(\S+) (-?\d+)/(-?\d+)/(-?\d+)/(-?\d+)/(\d+) (-?\d+) ')
groups = defaultdict(lambda: [0, [], defaultdict(int), defaultdict(int), []])
parsed = 0
for text in open(sys.argv[1], errors='replace'):
    m = line.search(text)
    if not m: continue
    parsed += 1
    second, backend, server, tr, tw, tc, ts, ta, code = m.groups()
    g = groups[backend, server]
    g[0] += 1
    g[2][code if code != '-1' else '0'] += 1
    g[3][second] += 1
    if '-1' not in (tr, tw, tc, ts): g[1].append(int(ta))
    if tc != '-1' and ts != '-1': g[4].append(int(tc) + int(ts))
report = json.load(open(sys.argv[2]))
assert report['parsed'] == parsed, (report['parsed'], parsed)
assert report['lines'] == report['parsed'] + report['rejected']
seen = {(g['key']['backend'], g['key']['server']): g for g in report['groups']}
assert set(seen) == set(groups), set(seen) ^ set(groups)
def quantile(values, q): return sorted(values)[max(1, math.ceil(q * len(values))) - 1]
def close(told, wanted): return wanted == told == 0 or abs(told / wanted - 1) <= 0.011
for key, (hits, totals, codes, seconds, server) in groups.items():
    g = seen[key]
    assert g['hits'] == hits and g['timed'] == len(totals), (key, g['hits'], g['timed'], hits, len(totals))
    assert g['codes'] == codes, (key, g['codes'], codes)
    assert g['tps']['max'] == max(seconds.values()), (key, g['tps'], max(seconds.values()))
    for name, values in (('latency_ms', totals), ('server_ms', server)):
        told = g[name]
        if not values:
            assert told['p50'] is None
            continue
        assert told['total'] == sum(values) and told['max'] == max(values), (key, name, told)
        for q in (50, 90, 99):
            wanted = quantile(values, q / 100)
            assert close(told['p%d' % q], wanted), (key, name, q, told, wanted)
print('recounted', parsed, 'requests of', len(groups), 'groups')
"#;

fn run(world: &World) -> Result<()> {
    let log = made(world)?;
    let by = ["edge", "--json", "--format", "haproxy", "--by", "backend,server"];
    let text = must(world.whyslow().args(by).arg(&log))?;
    let report: Value = serde_json::from_str(&text)?;
    let json = world.write("report.json", &text)?;
    let script = world.write("recount.py", RECOUNT)?;
    println!("{}", must(Command::new("/usr/bin/python3").args([&script, &log, &json]))?.trim());
    awk_agrees(&log, &report)?;
    parts_agree(world, &log, &by, &report)?;
    distinct_paths(world)
}

/// A log with all that a balancer writes: requests, some never answered, some not understood, and
/// lines that are none.
fn made(world: &World) -> Result<String> {
    let path = edge_logs::haproxy(world.dir(), LINES)?;
    let mut file = std::fs::OpenOptions::new().append(true).open(&path)?;
    let start =
        "Nov 21 10:00:09 lb1 haproxy[1234]: 10.0.0.1:4000 [21/Nov/2026:10:00:09.000] fe_main";
    for n in 0..500 {
        writeln!(
            file,
            "{start} fe_main/<NOSRV> -1/-1/-1/-1/{n} 400 187 - - CR-- 1/1/0/0/0 0/0 \"<BADREQ>\""
        )?;
        writeln!(
            file,
            "{start} sync/<NOSRV> 0/{n}/-1/-1/{n} 503 212 - - sQ-- 1/1/0/0/3 0/9 \"GET /late HTTP/1.1\""
        )?;
        writeln!(
            file,
            "Nov 21 10:00:09 lb1 haproxy[1234]: Server sync/app24 is DOWN, reason: {n}"
        )?;
    }
    file.write_all(b"\x00\xff\x1b[2J no log at all\n")?;
    Ok(path)
}

fn awk_agrees(log: &str, report: &Value) -> Result<()> {
    // Fields behind the syslog header: client, date, frontend, backend/server, timers, code.
    let program = r#"$7 ~ /^\[/ && $10 ~ /\// { split($9, b, "/"); k = b[1] " " b[2] " " ($11 < 0 ? 0 : $11); n[k]++ }
        END { for (k in n) print k, n[k] }"#;
    let counted = must(Command::new("/usr/bin/awk").arg(program).arg(log))?;
    let groups = report["groups"].as_array().context("no groups")?;
    let mut told = Vec::new();
    for group in groups {
        let name = |field: &str| group["key"][field].as_str().unwrap_or_default().to_owned();
        for (code, n) in group["codes"].as_object().context("no codes")? {
            told.push(format!("{} {} {code} {n}", name("backend"), name("server")));
        }
    }
    let mut counted: Vec<String> = counted.lines().map(str::to_owned).collect();
    counted.sort();
    told.sort();
    ensure!(counted == told, "awk: {counted:#?}\nwhyslow: {told:#?}");
    println!("awk agrees on {} counts", told.len());
    Ok(())
}

/// The same lines as the logs of four balancers add up to the same report.
fn parts_agree(world: &World, log: &str, by: &[&str], report: &Value) -> Result<()> {
    let text = std::fs::read(log)?;
    let mut parts = vec![Vec::new(); 4];
    for (n, line) in text.split_inclusive(|byte| *byte == b'\n').enumerate() {
        parts[n % 4].extend_from_slice(line);
    }
    let mut files = Vec::new();
    for (n, part) in parts.iter().enumerate() {
        let path = world.path(&format!("lb{n}.log"));
        std::fs::write(&path, part)?;
        files.push(path);
    }
    for threads in ["1", "3"] {
        let text = must(world.whyslow().args(by).args(["--threads", threads]).args(&files))?;
        let merged: Value = serde_json::from_str(&text)?;
        for field in ["lines", "parsed", "rejected", "reasons", "first", "last", "groups"] {
            ensure!(merged[field] == report[field], "{field} differs with {threads} threads");
        }
    }
    println!("four logs add up to the one they were cut from");
    Ok(())
}

/// A million paths that are all different stay within bounds, and `other` holds the rest.
fn distinct_paths(world: &World) -> Result<()> {
    let log = world.path("paths.log");
    let mut file = std::io::BufWriter::new(std::fs::File::create(&log)?);
    for n in 0..PATHS {
        let word: String = n.to_string().bytes().map(|b| char::from(b - b'0' + b'a')).collect();
        writeln!(
            file,
            "10.0.0.1:4000 [21/Nov/2026:10:00:09.000] web app/a 0/0/0/1/1 200 9 - - ---- \
             1/1/1/1/0 0/0 \"GET /{word} HTTP/1.1\""
        )?;
    }
    file.flush()?;
    let by = ["edge", "--json", "--format", "haproxy", "--by", "route"];
    let text = must(world.whyslow().args(by).arg(&log))?;
    let report: Value = serde_json::from_str(&text)?;
    let groups = report["groups"].as_array().context("no groups")?;
    let hits = |group: &Value| group["hits"].as_u64().unwrap_or(0);
    let sum: u64 = groups.iter().map(hits).sum();
    ensure!(sum == PATHS, "{sum} of {PATHS} requests are in a group");
    let other = groups.iter().find(|g| g["key"]["route"] == "other").context("no other")?;
    ensure!(report["to_other"].as_u64() == Some(hits(other)), "{}", report["to_other"]);
    ensure!(groups.len() < 100_000, "{} groups", groups.len());
    println!("{PATHS} paths: {} routes, {} requests in other", groups.len() - 1, hits(other));
    Ok(())
}
