//! One file of evidence, as tshark reads it.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use whyslow_model::Wall;

use super::place::Place;
use crate::world::{must, words};

/// What is in a file.
pub(super) struct Kept {
    /// What the file says of itself.
    pub(super) comment: String,
    /// Its packets.
    pub(super) rows: Vec<Row>,
    /// What tshark calls the senders, by the file alone.
    pub(super) names: BTreeSet<String>,
}

/// One packet.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) at_s: f64,
    /// Sender and receiver.
    pub(super) from: String,
    pub(super) to: String,
    /// Whether it is a SYN without an acknowledgment.
    pub(super) syn: bool,
}

impl Kept {
    /// The file that a match names.
    pub(super) fn read(place: &Place, matched: &Value) -> Result<Self> {
        let name = matched["files"][0].as_str().with_context(|| format!("no file: {matched:#}"))?;
        Self::open(place, name)
    }

    pub(super) fn open(place: &Place, name: &str) -> Result<Self> {
        let file = place.world.path(&format!("data/wire/{name}"));
        let fields = "-e frame.time_epoch -e ip.src -e tcp.srcport -e ip.dst -e tcp.dstport \
                      -e tcp.flags.syn -e tcp.flags.ack -e ip.src_host";
        let told = must(&mut words(&format!("tshark -N n -r {file} -T fields {fields}")))?;
        let (mut rows, mut names) = (Vec::new(), BTreeSet::new());
        for line in told.lines() {
            let [at, src, srcport, dst, dstport, syn, ack, name] =
                line.split('\t').collect::<Vec<_>>()[..]
            else {
                anyhow::bail!("{line:?}")
            };
            names.insert(name.to_owned());
            rows.push(Row {
                at_s: at.parse()?,
                from: format!("{src}:{srcport}"),
                to: format!("{dst}:{dstport}"),
                syn: syn == "1" && ack == "0",
            });
        }
        let bytes = fs::read(&file)?;
        let comment = comment(&bytes).with_context(|| format!("{file} says nothing of itself"))?;
        Ok(Self { comment, rows, names })
    }

    /// How many connections its packets are of.
    pub(super) fn connections(&self) -> usize {
        let both = |row: &Row| {
            let (a, b) = (row.from.clone(), row.to.clone());
            if a < b { (a, b) } else { (b, a) }
        };
        self.rows.iter().map(both).collect::<BTreeSet<_>>().len()
    }
}

/// The comment of the section: option 1 of the first block.
fn comment(bytes: &[u8]) -> Option<String> {
    let mut options = bytes.get(24..)?;
    loop {
        let [kind, length] = [0, 2].map(|at| {
            options.get(at..at + 2).map(|two| usize::from(u16::from_le_bytes([two[0], two[1]])))
        });
        let (kind, length) = (kind?, length?);
        if kind == 0 {
            return None;
        }
        if kind == 1 {
            return Some(String::from_utf8_lossy(options.get(4..4 + length)?).into_owned());
        }
        options = options.get(4 + length.next_multiple_of(4)..)?;
    }
}

/// The file is of this connection alone, and from its SYN on, which was long before the line.
pub(super) fn is_one_connection(
    file: &Kept,
    (client, server): (&str, &str),
    matched: &Value,
) -> Result<()> {
    let rows = &file.rows;
    ensure!(rows.len() >= 6 && rows[0].syn, "{rows:?}");
    ensure!(rows[0].from == client && rows[0].to == server, "{rows:?}");
    ensure!(file.connections() == 1, "others' packets: {rows:?}");
    let noticed = matched["noticed"].as_str().context("no time")?;
    let noticed: Wall = noticed.parse().map_err(|e| anyhow::anyhow!("{noticed}: {e:?}"))?;
    let before_ms = noticed.as_millis() - ms(rows[0].at_s);
    ensure!(before_ms > 0, "the SYN came {before_ms} ms before the line");
    Ok(())
}

#[expect(clippy::cast_possible_truncation, reason = "a time of this century")]
fn ms(seconds: f64) -> i64 {
    (seconds * 1000.0) as i64
}
