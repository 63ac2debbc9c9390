//! A recorder beside a load: what it took, lost and cost.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use whyslow_lab::peer::Peer;
use whyslow_lab::world::World;

use crate::Plan;
use crate::wire::Wire;

/// How long a recorder may take to end.
const LIMIT: Duration = Duration::from_secs(60);
/// Of what a recorder wrote, the end that is read.
const TAIL_BYTES: u64 = 4 << 20;

/// A recorder.
#[derive(Clone, Debug)]
pub(crate) struct Recorder {
    pub(crate) name: &'static str,
    line: String,
    /// What it says once it records.
    ready: &'static str,
}

/// What one run showed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Run {
    pub(crate) recorder: &'static str,
    pub(crate) seconds: f64,
    /// Frames that were sent.
    pub(crate) sent: u64,
    /// Frames that were recorded.
    pub(crate) recorded: u64,
    /// Frames that the recorder says it lost.
    pub(crate) dropped: u64,
    /// Bytes of all that were recorded, as far as it says.
    pub(crate) bytes: Option<u64>,
    /// How often the ring was full, and the fewest blocks that were free, of how many.
    pub(crate) ring: Option<(u64, u64, u64)>,
    pub(crate) cpu_s: f64,
}

/// The head of the table of runs.
pub(crate) const HEAD: &str = "\
    | run | recorder | frames/s | sent | bytes each | recorded | dropped | unseen | freezes | free \
    blocks, least | core-s | % of a core |\n|---|---|---|---|---|---|---|---|---|---|---|---|";

impl Recorder {
    /// Ours, with the ring that an interface has where its configuration says nothing.
    pub(crate) fn whyslow(world: &World) -> Self {
        let line = format!("{} wire -i w0 --ring 256MiB --json-lines", world.whyslow_path());
        Self { name: "whyslow", line, ready: "following" }
    }

    /// tcpdump as it comes. What it writes goes nowhere: a disk would only slow it.
    pub(crate) fn tcpdump() -> Self {
        let line = "tcpdump -Z root -n -i w0 -w /dev/null".to_owned();
        Self { name: "tcpdump", line, ready: "listening" }
    }

    /// Runs beside frames.
    ///
    /// # Errors
    /// Where a part of it fails.
    pub(crate) fn frames(
        &self,
        world: &World,
        wire: &Wire,
        plan: Plan,
        paced: bool,
    ) -> Result<Run> {
        let rate = paced.then_some(plan.frames_per_s);
        self.run(world, wire, || wire.blast(plan.seconds, rate))
    }

    /// Runs beside `load`, which says as its first word how many frames it sent and as its fourth in
    /// how many seconds.
    ///
    /// # Errors
    /// Where a part of it fails.
    pub(crate) fn run(
        &self,
        world: &World,
        wire: &Wire,
        load: impl FnOnce() -> Result<String>,
    ) -> Result<Run> {
        let mut peer = Peer::start(self.name, world.dir(), &mut wire.recorder(&self.line))?;
        let mut said = String::new();
        peer.until(|| {
            said = self.head(world)?;
            Ok(said.contains(self.ready))
        })?;
        let before = peer.cpu_s()?;
        let told = load()?;
        let cpu_s = peer.cpu_s()? - before;
        peer.signal("INT")?;
        peer.ended(LIMIT)?;
        let words: Vec<&str> = told.split_whitespace().collect();
        let word = |at: usize| words.get(at).copied().context("the sender said nothing");
        let run = Run {
            recorder: self.name,
            sent: word(0)?.parse()?,
            seconds: word(3)?.parse()?,
            cpu_s,
            ..Run::default()
        };
        self.told(world, run)
    }

    /// The beginning of what it said.
    fn head(&self, world: &World) -> Result<String> {
        let mut line = String::new();
        for read in BufReader::new(File::open(self.log(world))?).lines().take(5) {
            line += &read?;
        }
        Ok(line)
    }

    /// Where it writes what it says.
    pub(crate) fn log(&self, world: &World) -> String {
        world.path(&format!("{}.log", self.name))
    }

    /// Reads what it said of itself at its end.
    fn told(&self, world: &World, run: Run) -> Result<Run> {
        let said = tail(&self.log(world))?;
        let totals = said.lines().rev().find_map(|line| serde_json::from_str::<Value>(line).ok());
        let Some(totals) = totals else {
            let count = |what: &str| {
                let line = said.lines().find(|line| line.ends_with(what))?;
                line.split_whitespace().next()?.parse().ok()
            };
            let missing = || format!("{} said no counts:\n{said}", self.name);
            let recorded = count("packets captured").with_context(missing)?;
            let dropped = count("dropped by kernel").with_context(missing)?;
            return Ok(Run { recorded, dropped, ..run });
        };
        let count = |of: &Value| of.as_u64().with_context(|| format!("no counts in {totals:#}"));
        let ring = &totals["ring"];
        let ring =
            (count(&ring["freezes"])?, count(&ring["free_blocks_min"])?, count(&ring["blocks"])?);
        Ok(Run {
            recorded: count(&totals["packets"])?,
            dropped: count(&totals["drops"])?,
            bytes: Some(count(&totals["bytes"])?),
            ring: Some(ring),
            ..run
        })
    }
}

/// The end of a file, as text. What whyslow says in the end is a line of maybe a hundred kilobytes.
fn tail(path: &str) -> Result<String> {
    let mut file = File::open(path)?;
    let from = file.metadata()?.len().saturating_sub(TAIL_BYTES);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

impl Run {
    /// Frames sent in a second.
    pub(crate) fn frames_per_s(&self) -> f64 {
        self.sent as f64 / self.seconds
    }

    /// Of a processor, what the recorder used.
    pub(crate) fn share_percent(&self) -> f64 {
        self.cpu_s / self.seconds * 100.0
    }

    /// Frames that the recorder tells nothing of. What the kernel itself sends besides makes up for
    /// a few.
    pub(crate) const fn unseen(&self) -> u64 {
        self.sent.saturating_sub(self.recorded + self.dropped)
    }

    /// A row of the table.
    pub(crate) fn row(&self, name: &str) -> String {
        let none = || "-".to_owned();
        let each = self.bytes.map_or_else(none, |bytes| {
            format!("{:.1}", bytes as f64 / self.recorded.max(1) as f64)
        });
        let (freezes, free) = self.ring.map_or_else(
            || (none(), none()),
            |(freezes, free, of)| (freezes.to_string(), format!("{free} of {of}")),
        );
        format!(
            "| {name} | {} | {:.0} | {} | {each} | {} | {} | {} | {freezes} | {free} | {:.2} | {:.2} |",
            self.recorder,
            self.frames_per_s(),
            self.sent,
            self.recorded,
            self.dropped,
            self.unseen(),
            self.cpu_s,
            self.share_percent()
        )
    }
}
