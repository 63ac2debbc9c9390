//! What the anatomy of a capture costs beside tshark and tcptrace, in one run: `wire_bench`. The
//! capture is taken first, of nginx and wrk in namespaces, so it needs root. Exit: 0 · 1 nothing
//! measured.

mod capture;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use whyslow_lab::cost::{self, Cost, best};
use whyslow_lab::figure::{Figure, HEAD};
use whyslow_lab::world::World;

use capture::Size;

/// Packets at least.
const PACKETS: u64 = 300_000;
/// How many times as long the capture is by which memory is seen to be flat.
const TIMES: u32 = 4;
/// Where files are memory.
const MEMORY: &str = "/dev/shm";

const TSHARK: &[&str] = &[
    "-n",
    "-Y",
    "tls.handshake",
    "-T",
    "fields",
    "-e",
    "frame.time_epoch",
    "-e",
    "tcp.stream",
    "-e",
    "tls.handshake.type",
    "-r",
];

fn main() -> ExitCode {
    match figures() {
        Ok((size, figures)) => {
            println!("{} packets, {:.1} MB\n", size.packets, size.bytes as f64 / 1e6);
            println!("{HEAD}");
            figures.iter().for_each(|figure| println!("{figure}"));
            ExitCode::SUCCESS
        }
        Err(e) => {
            eprintln!("error: {e:#}");
            ExitCode::FAILURE
        }
    }
}

fn figures() -> Result<(Size, Vec<Figure>)> {
    let world = World::new("wire-bench")?;
    let memory = tempfile::Builder::new().prefix("whyslow-wire-bench-").tempdir_in(MEMORY)?;
    let path = |name: &str| memory.path().join(name).display().to_string();
    let (file, long) = (path("once.pcap"), path("often.pcap"));
    let size = capture::take(&world, &file, PACKETS).context("taking the capture")?;
    capture::repeated(&file, TIMES, &long)?;

    let ours =
        |file: &str, more: &[&str]| best(&cost::ours()?, &[&["wire", file], more].concat(), None);
    let (report, json) = (ours(&file, &[])?, ours(&file, &["--json"])?);
    let mut figures = Vec::new();
    for (name, arguments, times) in
        [("tshark", TSHARK, 40.0), ("tcptrace", &["-n", "-l", "-r"][..], 5.0)]
    {
        let program = Path::new("/usr/bin").join(name);
        let peer = best(&program, &[arguments, &[file.as_str()]].concat(), None)?;
        for (what, ours) in [("report", &report), ("every handshake as JSON", &json)] {
            let (cpu, wall) = (format!("{what}, processor time"), format!("{what}, wall time"));
            figures.push(faster(&cpu, ours.cpu_s, name, peer.cpu_s, times));
            figures.push(faster(&wall, ours.wall_s, name, peer.wall_s, times));
        }
        figures.push(memory_beside(&json, name, &peer));
    }
    for (what, once, more) in [("report", &report, &[][..]), ("JSON", &json, &["--json"][..])] {
        let what = format!("memory of {TIMES} times the capture, {what}");
        let often = ours(&long, more)?;
        figures.push(Figure::at_most(&what, "MB", often.rss_mb, once.rss_mb * 1.1));
    }
    Ok((size, figures))
}

fn faster(what: &str, ours: f64, name: &'static str, peer: f64, times: f64) -> Figure {
    Figure {
        what: format!("{what}, {:.0} times less than {name}", peer / ours),
        unit: "s",
        whyslow: ours,
        peer: Some((name, peer)),
        wanted: format!("{times} × faster than {name}"),
        holds: ours * times <= peer,
    }
}

fn memory_beside(ours: &Cost, name: &'static str, peer: &Cost) -> Figure {
    Figure {
        what: "memory".to_owned(),
        unit: "MB",
        whyslow: ours.rss_mb,
        peer: Some((name, peer.rss_mb)),
        wanted: "said".to_owned(),
        holds: true,
    }
}
