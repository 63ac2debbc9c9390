//! `whyslow wire FILE`: who was slow in every handshake of a capture, or of an interface as it is
//! now.

mod fail;
mod json;
mod ladder;
mod live;
mod pass;
mod table;

use std::fs::File;
use std::io::Read;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use whyslow_model::Duration;
use whyslow_model::asn::AsnTable;
use whyslow_model::limits::WIRE_REPORT_WORST_MAX;
use whyslow_model::seeded::Seed;
use whyslow_wire::anatomy::Judge;
use whyslow_wire::report::{Options, Outcome, Report};
use whyslow_wire::watch::{self, Told, Watch};

use super::{Exit, Output, Stop, progress};
use crate::asn::Tables;
use crate::config::{Size, default_data};
use crate::packed::unpacked;
use fail::Bound;
use pass::{Capture, Ended, Refused};

/// Says whose time each TLS handshake of a capture, or of an interface, took: the server's, the
/// network's, the client's.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A pcap or pcapng file, plain or packed with gzip or zstd; - for standard input.
    #[arg(value_name = "FILE", required_unless_present = "interface")]
    file: Option<PathBuf>,
    /// Follows this network interface instead, until interrupted; each handshake is shown as it
    /// ends, the report at the end. Needs CAP_NET_RAW.
    #[arg(short, long, value_name = "IFACE", conflicts_with = "file")]
    interface: Option<String>,
    /// Follows the interface for so many seconds.
    #[arg(long, value_name = "N", requires = "interface")]
    seconds: Option<u64>,
    /// Memory of the kernel in which the interface's packets wait.
    #[arg(long, value_name = "SIZE", requires = "interface", default_value = "64MiB")]
    ring: Size,
    /// One JSON document instead of tables; handshakes stream, totals come last.
    #[arg(long)]
    json: bool,
    /// A JSON document a line: handshakes, unanswered SYNs and resets as they become known, then
    /// the totals.
    #[arg(long, conflicts_with = "json")]
    json_lines: bool,
    /// A handshake that takes as long is slow.
    #[arg(long, value_name = "D", default_value = "300ms")]
    slow: Duration,
    /// Rows of each table, and how many of the slowest handshakes are listed; in a terminal 10
    /// where left out, in JSON all rows.
    #[arg(long, value_name = "N")]
    top: Option<NonZero<usize>>,
    /// Looks only at connections with this port. May be given again.
    #[arg(long, value_name = "PORT")]
    server_port: Vec<u16>,
    /// Address ranges that say whose a client is, beside those imported with `whyslow asn import`.
    /// May be given again.
    #[arg(long, value_name = "FILE")]
    asn: Vec<PathBuf>,
    /// The data directory that holds imported address tables.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Ends with status 2 where this holds: drops, unanswered, slow=SHARE%, server=SHARE%,
    /// network=SHARE%, client=SHARE%, p50=D, p90=D, p99=D. May be given again.
    #[arg(long, value_name = "WHAT")]
    fail_on: Vec<Bound>,
}

/// Rows of a table in a terminal where nothing else is asked for.
const TERMINAL_TOP: usize = 10;

pub(super) fn run(args: &Args, out: &mut Output) -> Result<Exit, Stop> {
    let networks = networks(args)?;
    let seed = seed();
    let worst = args.top.map_or(TERMINAL_TOP, NonZero::get).min(WIRE_REPORT_WORST_MAX);
    let mut report = Report::new(Options { asn: Some(Arc::clone(&networks)), seed, worst });
    let evidence_of_all = args.json || args.json_lines;
    let judge = Judge { slow: args.slow.std(), evidence_of_all, ..Judge::default() };
    let ports = args.server_port.clone();
    let options = watch::Options { judge, ports, ..watch::Options::default() };
    let mut watch = Watch::new(options, seed);
    let mut stream = Stream::Terminal;
    let mut handle = |told: Told, out: &mut Output| {
        stream.handle(&told, args, out)?;
        match told {
            Told::Handshake(handshake) => report.handle_handshake(&handshake),
            Told::Unanswered(unanswered) => report.handle_unanswered(unanswered),
            Told::Ending(ending) => report.handle_ending(ending),
        }
        Ok(())
    };
    let file = args.file.clone().unwrap_or_default();
    let capture = match &args.interface {
        Some(interface) => {
            let (ports, ring, seconds) = (&*args.server_port, args.ring, args.seconds);
            let asked = live::Asked { interface, ports, ring, seconds };
            live::read(&asked, &mut watch, &mut handle, out)?
        }
        None => {
            let mut input = open(&file)?;
            let _waiting = progress::waiting(out, "reading");
            let read = pass::read(&mut *input, &mut watch, &mut |told| handle(told, out));
            read.map_err(|refused| stop(&file, refused))?
        }
    };
    let outcome = report.finish();
    let failed = args.fail_on.iter().find_map(|bound| bound.broken(&outcome, capture.lost));
    show(args, stream, outcome, &Seen { watch: &watch, capture: &capture, networks }, out)?;
    end(&file, &capture.ended, failed, out)
}

/// What the report rests on.
struct Seen<'a> {
    watch: &'a Watch,
    capture: &'a Capture,
    networks: Arc<AsnTable>,
}

/// Where handshakes go as they become known.
enum Stream {
    /// Nowhere: the report comes at the end. Also before the first one of a JSON stream, so that a
    /// file that is no capture leaves no half document.
    Terminal,
    Json(json::Stream),
}

impl Stream {
    fn handle(&mut self, told: &Told, args: &Args, out: &mut Output) -> Result<(), Stop> {
        let Some(stream) = self.opened(args, out)? else {
            return if args.interface.is_some() { live::show(told, out) } else { Ok(()) };
        };
        match told {
            Told::Handshake(handshake) if handshake.is_tls() => stream.handshake(handshake, out),
            Told::Handshake(_) => Ok(()),
            Told::Unanswered(unanswered) => stream.unanswered(unanswered, out),
            Told::Ending(ending) => stream.ending(ending, out),
        }
    }

    fn opened(&mut self, args: &Args, out: &mut Output) -> Result<Option<&mut json::Stream>, Stop> {
        if matches!(self, Self::Terminal) && (args.json || args.json_lines) {
            *self = Self::Json(json::Stream::new(args.json_lines, out)?);
        }
        Ok(match self {
            Self::Terminal => None,
            Self::Json(stream) => Some(stream),
        })
    }
}

fn show(
    args: &Args,
    mut stream: Stream,
    mut outcome: Outcome,
    seen: &Seen<'_>,
    out: &mut Output,
) -> Result<(), Stop> {
    let name = |asn: u32| seen.networks.name_of(asn).map(str::to_owned);
    let top = args.top.map(NonZero::get);
    if stream.opened(args, out)?.is_some() {
        if let Some(top) = top {
            outcome.cohorts.keep(top);
            outcome.servers.keep(top);
        }
        let slow_ms = args.slow.std().as_secs_f64() * 1e3;
        let totals = json::totals(&outcome, seen.watch, seen.capture, slow_ms, &name);
        if let Stream::Json(stream) = stream {
            stream.finish(&outcome, &totals, out)?;
        }
        return Ok(());
    }
    let asked = table::Asked { slow: args.slow, top: top.unwrap_or(TERMINAL_TOP) };
    for line in table::lines(&mut outcome, seen.watch, seen.capture, &asked, &name) {
        out.line(line.coloured())?;
    }
    Ok(())
}

/// Says what was wrong with the capture, and what `--fail-on` found.
fn end(file: &Path, ended: &Ended, failed: Option<String>, out: &mut Output) -> Result<Exit, Stop> {
    match ended {
        Ended::Whole => {}
        Ended::Cut(bytes) => out.note(format_args!(
            "the capture ends within a packet, {bytes} bytes of which are there: still being \
             written, or cut off"
        )),
        Ended::Broken(error) => {
            let what = format!("{}: {error}", name_of(file));
            return Err(Stop::unreadable(what).hint(error.hint()));
        }
        Ended::Unread(error) => {
            let what = format!("cannot read {} to its end: {error}", name_of(file));
            return Err(Stop::unreadable(what).hint("what was read before that place is good"));
        }
    }
    let Some(said) = failed else { return Ok(Exit::Ok) };
    out.note_always(said);
    Ok(Exit::Failed)
}

fn stop(file: &Path, refused: Refused) -> Stop {
    match refused {
        Refused::Stop(stop) => stop,
        Refused::Read(error) => Stop::unreadable(format!("cannot read {}: {error}", name_of(file))),
        Refused::Capture(error) => {
            Stop::unreadable(format!("{}: {error}", name_of(file))).hint(error.hint())
        }
    }
}

fn open(file: &Path) -> Result<Box<dyn Read + Send>, Stop> {
    let unreadable = |error| Stop::unreadable(format!("cannot read {}: {error}", name_of(file)));
    let input: Box<dyn Read + Send> = if file == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        let opened = File::open(file).map_err(unreadable)?;
        if opened.metadata().map_err(unreadable)?.is_dir() {
            return Err(unreadable(std::io::Error::other("it is a directory")));
        }
        Box::new(opened)
    };
    unpacked(input).map_err(unreadable)
}

fn name_of(file: &Path) -> String {
    if file == Path::new("-") { "standard input".to_owned() } else { file.display().to_string() }
}

fn networks(args: &Args) -> Result<Arc<AsnTable>, Stop> {
    let data = args.data.clone().or_else(default_data).unwrap_or_default();
    let tables = Tables::load(&data, &args.asn).map_err(|e| Stop::unreadable(&e).hint(e.hint()))?;
    Ok(tables.networks)
}

/// A seed of this process's own, so that hostile addresses cannot aim at the tables.
fn seed() -> Seed {
    use std::hash::{BuildHasher as _, Hasher as _};
    Seed(std::hash::RandomState::new().build_hasher().finish())
}

#[cfg(test)]
mod tests;
