//! `whyslow edge --follow` beside a log that grows and is rotated: what it shows piped, as JSON lines
//! and to a reader that goes away, and how it ends.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use whyslow_model::Wall;
use whyslow_sys::clock;

use crate::log::{self, Windows};
use crate::scenario::Scenario;
use crate::world::World;

/// See the module.
pub const SCENARIO: Scenario = Scenario {
    name: "edge-follow",
    proves: "whyslow edge --follow shows each window of a rotated log once, and ends cleanly",
    needs: &[],
    run,
};

const SECONDS: i64 = 60;
const LINES_PER_SECOND: u64 = 200;
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(20);

fn run(world: &World) -> Result<()> {
    let path = world.path("lb.log");
    let begin_ms = (clock::wall().as_millis() / 10_000 - 30) * 10_000;
    let at = |second: i64| Wall::from_millis(begin_ms + second * 1000);
    // By these the format is found; they are not of what is followed.
    append(&path, &log::lines(at(0), 10, &mut Windows::new()))?;
    let mut lines = Follower::start(world, &path, &["--json-lines"])?;
    let mut piped = Follower::start(world, &path, &[])?;
    let mut gone = Follower::start(world, &path, &["--json-lines"])?;
    gone.out = None;
    let all = [lines.child.id(), piped.child.id(), gone.child.id()];
    caught_up(&all, &path)?;
    let mut written = Windows::new();
    for second in 0..SECONDS {
        append(&path, &log::lines(at(second), LINES_PER_SECOND, &mut written))?;
        match second {
            15 | 45 => {
                fs::rename(&path, format!("{path}.{second}"))?;
                File::create(&path)?;
            }
            30 => {
                // Who copies and truncates loses what nobody has read yet.
                caught_up(&all[..2], &path)?;
                fs::copy(&path, format!("{path}.{second}"))?;
                OpenOptions::new().write(true).open(&path)?.set_len(0)?;
                // A truncation shows as a file that is shorter than what was read of it.
                truncation_seen(&all[..2], &path)?;
            }
            _ => {}
        }
    }
    // Leaves all windows before it behind.
    append(&path, &log::lines(at(SECONDS + 20), 1, &mut written))?;
    let last_s = at(SECONDS + 20).as_millis().div_euclid(10_000) * 10;
    let ended = gone.ended()?;
    ensure!(ended == Some(0), "without a reader it ended with {ended:?}: {}", gone.said(world)?);
    let before: Windows = written.range(..last_s).map(|(start, n)| (*start, *n)).collect();
    json_lines(&mut lines, &before, &written, world)?;
    sentences(&mut piped, &before, &written, world)
}

/// What `--json-lines` shows: each window whole once the lines' own clock has left it behind, and
/// the last one at an interrupt.
fn json_lines(of: &mut Follower, before: &Windows, all: &Windows, world: &World) -> Result<()> {
    let mut shown = Windows::new();
    let mut out = of.out.take().context("its output")?;
    let mut take = |shown: &mut Windows| -> Result<bool> {
        let mut line = String::new();
        if out.read_line(&mut line)? == 0 {
            return Ok(false);
        }
        let window: Value = serde_json::from_str(&line).with_context(|| line.clone())?;
        ensure!(line.starts_with("{\"schema\":\"whyslow.edge_window/1\""), "{line}");
        ensure!(window["rejected"] == 0, "{line}");
        let start: Wall = window["start"].as_str().context("no start")?.parse()?;
        let rows = window["rows"].as_array().context("no rows")?;
        let vip = |row: &&Value| row["key"]["backend"].is_null() && !row["key"]["vip"].is_null();
        let hits = rows.iter().filter(vip).filter_map(|row| row["totals"]["hits"].as_u64()).sum();
        shown.insert(start.as_millis() / 1000, hits);
        Ok(true)
    };
    while shown != *before {
        ensure!(take(&mut shown)?, "it ended: {}", of.said(world)?);
    }
    of.interrupt()?;
    while take(&mut shown)? {}
    ensure!(shown == *all, "shown {shown:?}\nwritten {all:?}");
    let ended = of.ended()?;
    ensure!(ended == Some(0), "after an interrupt it ended with {ended:?}");
    Ok(())
}

/// What it shows piped: a sentence for each window.
fn sentences(of: &mut Follower, before: &Windows, all: &Windows, world: &World) -> Result<()> {
    let mut shown: BTreeMap<i64, u64> = BTreeMap::new();
    let mut out = of.out.take().context("its output")?;
    let mut take = |shown: &mut Windows| -> Result<bool> {
        let mut line = String::new();
        if out.read_line(&mut line)? == 0 {
            return Ok(false);
        }
        let (time, rest) = line.split_once(' ').context("no time")?;
        let hits = rest.split(" requests").next().unwrap_or_default();
        let hits = hits.rsplit(") ").next().unwrap_or_default();
        let digits: String = hits.chars().filter(char::is_ascii_digit).collect();
        let start: Wall = time.parse().with_context(|| line.clone())?;
        shown.insert(start.as_millis() / 1000, digits.parse().with_context(|| line.clone())?);
        Ok(true)
    };
    while shown != *before {
        ensure!(take(&mut shown)?, "it ended: {}", of.said(world)?);
    }
    of.interrupt()?;
    while take(&mut shown)? {}
    ensure!(shown == *all, "shown {shown:?}\nwritten {all:?}");
    let ended = of.ended()?;
    ensure!(ended == Some(0), "after an interrupt it ended with {ended:?}");
    Ok(())
}

/// A running `whyslow edge --follow`; killed when dropped.
struct Follower {
    child: Child,
    out: Option<BufReader<ChildStdout>>,
    errors: String,
}

impl Follower {
    fn start(world: &World, path: &str, more: &[&str]) -> Result<Self> {
        static STARTED: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = STARTED.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let errors = format!("follow{number}.err");
        let said = File::create(world.path(&errors))?;
        let mut command = world.whyslow();
        command.args(["edge", "--follow"]).args(more).arg(path);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(said).spawn()?;
        let out = child.stdout.take().map(BufReader::new);
        Ok(Self { child, out, errors })
    }

    fn interrupt(&self) -> Result<()> {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args(["-s", "INT", &pid]).status()?;
        ensure!(status.success(), "kill -s INT {pid} ended with {status}");
        Ok(())
    }

    /// Waits for its end and says with which code.
    fn ended(&mut self) -> Result<Option<i32>> {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status.code());
            }
            ensure!(began.elapsed() < PATIENCE, "it still runs after {PATIENCE:?}");
            std::thread::sleep(LOOK_EVERY);
        }
    }

    fn said(&self, world: &World) -> Result<String> {
        Ok(fs::read_to_string(world.path(&self.errors))?)
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        // It may have ended by itself, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until each process has read a file that it has open to its end.
fn caught_up(pids: &[u32], path: &str) -> Result<()> {
    let size = fs::metadata(path)?.len();
    until(pids, path, |position| position == size)
}

/// Waits until each process has gone back to the beginning of a file.
fn truncation_seen(pids: &[u32], path: &str) -> Result<()> {
    until(pids, path, |position| position == 0)
}

fn until(pids: &[u32], path: &str, is: impl Fn(u64) -> bool) -> Result<()> {
    let began = Instant::now();
    for pid in pids {
        while !position(*pid, path).is_some_and(&is) {
            if began.elapsed() > PATIENCE {
                bail!("{pid} has not read {path} after {PATIENCE:?}");
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }
    Ok(())
}

/// How far a process has read a file, by what the kernel says of its descriptors.
fn position(pid: u32, path: &str) -> Option<u64> {
    let wanted = fs::canonicalize(path).ok()?;
    let open = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    let mut mine = open.filter_map(|fd| Some(fd.ok()?.path()));
    let fd = mine.find(|fd| fs::read_link(fd).is_ok_and(|to| to == wanted))?;
    let facts = fd.to_str()?.replace("/fd/", "/fdinfo/");
    let text = fs::read_to_string(facts).ok()?;
    text.lines().find_map(|line| line.strip_prefix("pos:")?.trim().parse().ok())
}

fn append(path: &str, text: &str) -> Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(text.as_bytes())?;
    Ok(())
}
