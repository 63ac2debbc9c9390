//! `whyslow edge FILE…`: a report over a balancer's log.

mod fail;
mod follow;
mod format;
mod json;
mod lines;
mod open;
mod pass;
mod sequence;
mod table;
mod tally;

use std::num::NonZero;
use std::path::PathBuf;
use std::sync::Arc;

use whyslow_edge::completeness::Completeness;
use whyslow_edge::report::{Field, Options, Outcome, Table};
use whyslow_edge::routes::Routes;
use whyslow_model::Wall;
use whyslow_model::seeded::Seed;

use super::{Exit, Output, Stop, progress};
use crate::asn::Tables;
use crate::config::default_data;
use fail::Bound;
use format::{Choice, Said};
use tally::Tally;

/// Reports on a balancer's log: how many requests, how long, where the time went.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Log files, plain or packed with gzip or zstd; - for standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The log's format: auto, a name such as haproxy or nginx, or the balancer's own format
    /// string.
    #[arg(long, default_value = "auto", value_name = "FORMAT")]
    format: String,
    /// Groups requests by these fields together: vip, backend, server, route, code, client_asn,
    /// client_prefix. May be given again for a further table.
    #[arg(long, value_name = "FIELD,FIELD", value_parser = by)]
    by: Vec<By>,
    /// Names routes by the globs of this file, one a line; other paths get templates.
    #[arg(long, value_name = "FILE")]
    routes: Option<PathBuf>,
    /// Shows the N groups with most requests of each table; 20 in a terminal, all in JSON.
    #[arg(long, value_name = "N")]
    top: Option<NonZero<usize>>,
    /// One JSON document instead of tables.
    #[arg(long, conflicts_with = "json_lines")]
    json: bool,
    /// With --follow: each window as one JSON document on a line of its own.
    #[arg(long, requires = "follow")]
    json_lines: bool,
    /// Goes on reading from the files' ends and shows each window of 10 s once it is complete: a
    /// table in a terminal, a line where piped, a JSON line with --json-lines. Windows of late
    /// requests are shown again. An interrupt ends it once the windows under way are shown.
    #[arg(long, conflicts_with_all = ["by", "fail_on", "threads"])]
    follow: bool,
    /// Ends with status 2 where this holds: rejected (any line), 5xx=SHARE%, p50=D, p90=D, p99=D.
    /// May be given again.
    #[arg(long, value_name = "WHAT")]
    fail_on: Vec<Bound>,
    /// How many threads read; as many as there are cores where left out.
    #[arg(long, value_name = "N")]
    threads: Option<NonZero<usize>>,
    /// Seconds by which the balancer's clock is ahead of UTC, for dates without a zone.
    #[arg(long, value_name = "SECONDS", default_value_t = 0, allow_negative_numbers = true)]
    zone: i32,
    /// The data directory that holds imported address tables, for client_asn.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// One composite key.
#[derive(Clone, Debug)]
struct By(Vec<Field>);

fn by(text: &str) -> Result<By, String> {
    let mut fields = Vec::new();
    for name in text.split(',') {
        let field = Field::of(name.trim()).ok_or_else(|| {
            let known: Vec<_> = Field::ALL.iter().map(|f| f.as_str()).collect();
            format!("'{name}' is none of {}", known.join(", "))
        })?;
        if fields.contains(&field) {
            return Err(format!("'{name}' stands there twice"));
        }
        fields.push(field);
    }
    Ok(By(fields))
}

/// Rows of a table in a terminal where nothing else is asked for.
const TERMINAL_TOP: usize = 20;

pub(super) fn run(args: &Args, out: &mut Output) -> Result<Exit, Stop> {
    let options = options(args)?;
    if args.follow {
        return follow(args, options, out);
    }
    let mut inputs = open::inputs(&args.files)?;
    let choice = format::choose(&args.format, &mut inputs, args.zone)?;
    say(&choice, out);
    let threads = args.threads.or_else(|| std::thread::available_parallelism().ok());
    let waiting = progress::waiting(out, "reading");
    let threads = threads.map_or(1, NonZero::get);
    let done = pass::read(inputs, &choice, &options, threads)?;
    drop(waiting);
    let complete = sequence::completeness(&done.runs, options.seed);
    let (outcome, tally) = (done.report.finish(), done.tally);
    let failed = args.fail_on.iter().find_map(|bound| bound.broken(&outcome, &tally));
    show(args, outcome, &tally, complete, &choice, out)?;
    match failed {
        Some(said) => {
            out.note_always(said);
            Ok(Exit::Failed)
        }
        None => Ok(Exit::Ok),
    }
}

/// Says what the first lines have against the format.
fn say(choice: &Choice, out: &mut Output) {
    let Some(Said { what, hint }) = &choice.said else { return };
    out.note(what);
    if let Some(hint) = hint {
        out.note(format_args!("hint: {hint}"));
    }
}

/// Late requests change a window for as long: longer than most timeouts.
const LATENESS_S: u32 = 120;

fn follow(args: &Args, options: Options, out: &mut Output) -> Result<Exit, Stop> {
    // Nothing is known of standard input before it is read; files say what they hold so far.
    let readable: Vec<PathBuf> =
        args.files.iter().filter(|file| file.as_os_str() != "-").cloned().collect();
    if readable.is_empty() && args.format == "auto" {
        return Err(Stop::usage("standard input cannot be looked at before it is followed")
            .hint("name the format with --format"));
    }
    let mut inputs = open::inputs(&readable)?;
    let choice = format::choose(&args.format, &mut inputs, args.zone)?;
    drop(inputs);
    if !choice.is_known {
        return Err(Stop::usage("there is no line yet to find the format by")
            .hint("name the format with --format"));
    }
    say(&choice, out);
    let options = whyslow_edge::windows::Options {
        span_s: follow::SPAN_S,
        routes: options.routes,
        asn: options.asn,
        seed: options.seed,
        lateness_s: LATENESS_S,
    };
    let json = args.json || args.json_lines;
    follow::run(&args.files, &choice, options, json, out)?;
    Ok(Exit::Ok)
}

fn show(
    args: &Args,
    mut outcome: Outcome,
    tally: &Tally,
    complete: Option<Completeness>,
    choice: &Choice,
    out: &mut Output,
) -> Result<(), Stop> {
    let notices = outcome.notices();
    let top = args.top.map(NonZero::get).or((!args.json).then_some(TERMINAL_TOP));
    let keep = |table: &mut Table| top.map_or(0, |top| table.keep(top));
    let folded: Vec<usize> = outcome.tables.iter_mut().map(keep).collect();
    if args.json {
        return out.json(&json::document(&outcome, tally, complete, &notices, choice));
    }
    for line in table::lines(&outcome, tally, complete, &notices, &folded) {
        out.line(line.coloured())?;
    }
    Ok(())
}

fn options(args: &Args) -> Result<Options, Stop> {
    let routes = match &args.routes {
        Some(file) => read_routes(file)?,
        None => Routes::default(),
    };
    let mut by: Vec<Vec<Field>> = args.by.iter().map(|by| by.0.clone()).collect();
    if by.is_empty() {
        by = vec![vec![Field::Backend, Field::Server], vec![Field::Route]];
    }
    let asn = if by.iter().flatten().any(|field| *field == Field::ClientAsn) {
        networks(args)?
    } else {
        None
    };
    Ok(Options { by, routes, asn, seed: seed(), phases: args.json })
}

fn read_routes(file: &PathBuf) -> Result<Routes, Stop> {
    let text = std::fs::read_to_string(file)
        .map_err(|e| Stop::unreadable(format!("cannot read {}: {e}", file.display())))?;
    let globs: Vec<&str> =
        text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')).collect();
    Routes::new(&globs).map_err(|e| {
        Stop::config(format!("{}: {e}", file.display()))
            .hint("one glob a line, such as /api/* or /cart/**")
    })
}

fn networks(args: &Args) -> Result<Option<Arc<whyslow_model::asn::AsnTable>>, Stop> {
    let Some(data) = args.data.clone().or_else(default_data) else { return Ok(None) };
    let tables = Tables::load(&data, &[]).map_err(|e| Stop::unreadable(&e).hint(e.hint()))?;
    Ok(Some(tables.networks))
}

/// A seed of this process's own, so that hostile keys cannot aim at the tables.
fn seed() -> Seed {
    use std::hash::{BuildHasher as _, Hasher as _};
    Seed(std::hash::RandomState::new().build_hasher().finish())
}

/// The wall clock.
fn now() -> Wall {
    let since = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
    Wall::from_nanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests;
