//! Nothing acknowledged is lost by `kill -9`, whenever it comes.
//!
//! `kill9 [KILLS]` (100): a child opens the store, checks that everything acknowledged so far is
//! there, and appends on; its data's clock runs fast, so that chunks and roll-ups are written all
//! the time. It is killed at random moments, some of them while it opens. Exit: 0 all is there.

mod child;

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["child", dir] => child::run(Path::new(dir)),
        [] => parent(100),
        [kills] => kills.parse().context("KILLS must be a whole number").and_then(parent),
        _ => Err(anyhow::anyhow!("kill9 [KILLS]")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("kill9: {e:#}");
            ExitCode::FAILURE
        }
    }
}

fn parent(kills: u32) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut moments = Moments(0x9e37_79b9_7f4a_7c15 ^ u64::from(std::process::id()));
    let mut early = 0;
    for kill in 0..kills {
        // Every fourth dies on its way up, or in the check of what was acknowledged.
        let opening = kill % 4 == 3;
        early += u32::from(opening);
        round(dir.path(), opening, &mut moments).with_context(|| format!("round {kill}"))?;
    }
    let acknowledged = child::acknowledged(dir.path())?;
    child::verify(dir.path(), &acknowledged)?;
    println!(
        "{kills} kills, {early} of them while opening: all {} acknowledged batches are there",
        acknowledged.iter().sum::<u64>()
    );
    Ok(())
}

/// One life of a child, and its end.
fn round(dir: &Path, opening: bool, moments: &mut Moments) -> Result<()> {
    let mut child = Command::new(std::env::current_exe()?)
        .arg("child")
        .arg(dir)
        .stdout(Stdio::piped())
        .spawn()
        .context("starting a child")?;
    let lines = lines(&mut child)?;
    let mut acknowledged = Vec::new();
    if opening {
        read_for(&lines, Duration::from_micros(moments.below(60_000)), &mut acknowledged);
    } else {
        let patience = Duration::from_secs(120);
        let first = lines.recv_timeout(patience).context("the child says nothing")?;
        ensure!(first == "verified", "the child said {first:?}");
        read_for(&lines, Duration::from_micros(moments.below(250_000)), &mut acknowledged);
    }
    let ended = child.try_wait()?;
    ensure!(ended.is_none(), "the child ended by itself: {ended:?}");
    child.kill()?;
    child.wait()?;
    // What it said before it died counts, too.
    acknowledged.extend(lines.iter());
    let mut file =
        OpenOptions::new().create(true).append(true).open(dir.join("acknowledged.txt"))?;
    for line in acknowledged.iter().filter(|l| *l != "verified") {
        writeln!(file, "{line}")?;
    }
    Ok(())
}

fn lines(child: &mut Child) -> Result<Receiver<String>> {
    let out = child.stdout.take().context("the child has no output")?;
    let (send, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(out).lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                return;
            }
        }
    });
    Ok(lines)
}

/// Takes down what is said until the time is over.
fn read_for(lines: &Receiver<String>, time: Duration, said: &mut Vec<String>) {
    let end = std::time::Instant::now() + time;
    while let Ok(line) =
        lines.recv_timeout(end.saturating_duration_since(std::time::Instant::now()))
    {
        said.push(line);
    }
}

/// Random moments (Marsaglia's xorshift).
struct Moments(u64);

impl Moments {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}
