//! What running a program costs: wall time, processor time and the most memory it held.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use whyslow_sys::process;

/// What a run cost.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// From its start to its end.
    pub wall_s: f64,
    /// Of processors: its own, and the kernel's for it.
    pub cpu_s: f64,
    /// Resident at the most, in 10⁶ bytes.
    pub rss_mb: f64,
}

/// Runs of which the quickest counts.
const RUNS: usize = 3;
const RUNS_IN_TURN: usize = 7;
/// How often a running program's memory is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// How often a program is asked whether it has ended: wall time is known as well as this.
const ASK_EVERY: Duration = Duration::from_millis(1);
/// How long a program may take.
const LONGEST: Duration = Duration::from_secs(600);

/// The best of three runs. `input` is given as standard input.
///
/// # Errors
/// Where the program cannot be run, or fails.
pub fn best(program: &Path, arguments: &[&str], input: Option<&str>) -> Result<Cost> {
    let mut best = once(program, arguments, input)?;
    for _ in 1..RUNS {
        best = best.or(once(program, arguments, input)?);
    }
    Ok(best)
}

/// The best of seven runs of each of two programs in turn, so that whatever else the machine does
/// meets both. `input` is the second's standard input.
///
/// # Errors
/// Where one cannot be run, or fails.
pub fn beside(
    ours: (&Path, &[&str]),
    peer: (&Path, &[&str]),
    input: Option<&str>,
) -> Result<(Cost, Cost)> {
    let both =
        || Ok::<_, anyhow::Error>((once(ours.0, ours.1, None)?, once(peer.0, peer.1, input)?));
    let mut best = both()?;
    for _ in 1..RUNS_IN_TURN {
        let next = both()?;
        best = (best.0.or(next.0), best.1.or(next.1));
    }
    Ok(best)
}

impl Cost {
    /// The lower times of two runs, and the higher memory.
    fn or(self, other: Self) -> Self {
        Self {
            wall_s: self.wall_s.min(other.wall_s),
            cpu_s: self.cpu_s.min(other.cpu_s),
            rss_mb: self.rss_mb.max(other.rss_mb),
        }
    }
}

/// One run. Nothing else may be started meanwhile.
///
/// # Errors
/// Where the program cannot be run, or fails.
pub fn once(program: &Path, arguments: &[&str], input: Option<&str>) -> Result<Cost> {
    let name = program.display();
    let mut command = Command::new(program);
    command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).env("LC_ALL", "C");
    command.stdin(Stdio::null());
    if let Some(input) = input {
        command.stdin(File::open(input)?);
    }
    let (began, before) = (Instant::now(), process::children_cpu()?);
    let mut child = command.spawn().with_context(|| format!("starting {name}"))?;
    let pid = child.id();
    let watch = std::thread::spawn(move || watch(pid));
    let status = ended(&mut child).with_context(|| format!("waiting for {name}"))?;
    let wall_s = began.elapsed().as_secs_f64();
    let cpu_s = (process::children_cpu()? - before).as_secs_f64();
    ensure!(status.success(), "{name} ended with {status}");
    let rss_mb = watch.join().unwrap_or(f64::NAN);
    Ok(Cost { wall_s, cpu_s, rss_mb })
}

/// Waits for a program's end, and brings it about where it takes too long.
fn ended(child: &mut Child) -> Result<ExitStatus> {
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if began.elapsed() > LONGEST {
            child.kill()?;
            child.wait()?;
            bail!("it took longer than {} s", LONGEST.as_secs());
        }
        std::thread::sleep(ASK_EVERY);
    }
}

/// The most memory a process ever held, as the kernel keeps it, until the process is gone.
fn watch(pid: u32) -> f64 {
    let mut most = f64::NAN;
    while let Ok(status) = std::fs::read_to_string(format!("/proc/{pid}/status")) {
        let line = status.lines().find(|line| line.starts_with("VmHWM:"));
        let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
        // A process that has ended holds nothing any more.
        let Some(kib) = kib else { break };
        most = kib * 1024.0 / 1e6;
        std::thread::sleep(LOOK_EVERY);
    }
    most
}

/// The whyslow built beside this program.
///
/// # Errors
/// Where it is not built.
pub fn ours() -> Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name("whyslow");
    ensure!(path.exists(), "{} is not built", path.display());
    Ok(path)
}

/// Where a program is.
pub fn found(program: &str) -> Option<PathBuf> {
    let places = ["/usr/bin", "/usr/sbin", "/usr/local/bin"];
    places.iter().map(|place| Path::new(place).join(program)).find(|path| path.exists())
}

/// The Debian package a program is in.
pub fn package(program: &str) -> &str {
    if program == "halog" { "haproxy" } else { program }
}
