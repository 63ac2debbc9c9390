//! `-i`: an interface as it is now, by the same way as a capture.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use whyslow_model::Wall;
use whyslow_sys::clock;
use whyslow_sys::ring::Layout;
use whyslow_wire::plan::{REST, RETIRE};
use whyslow_wire::watch::{Told, Watch};

use super::Stop;
use super::pass::{Capture, Ended, RingFared};
use crate::cli::{Output, interrupt};
use crate::config::{Size, WireTap};
use crate::prober::sockets::{self, Opener, Sockets};
use crate::wire::Programs;
use crate::wire::tap::{Sight, Tap};

/// How often the interface is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Blocks that are followed before what became known is shown.
const BLOCKS_AT_ONCE: u64 = 64;
/// How far behind the clock packets may be that are still to come.
const BEHIND: Duration = Duration::from_millis(200);

/// What of which interface, and for how long.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    pub(super) interface: &'a str,
    pub(super) ports: &'a [u16],
    pub(super) ring: Size,
    pub(super) seconds: Option<u64>,
}

/// What is done with what became known.
type Tell<'a> = &'a mut dyn FnMut(Told, &mut Output) -> Result<(), Stop>;

/// Follows the interface until interrupted, or for as long as was asked for.
pub(super) fn read(
    asked: &Asked<'_>,
    watch: &mut Watch,
    told: Tell<'_>,
    out: &mut Output,
) -> Result<Capture, Stop> {
    let mut tap = open(asked)?;
    let interrupted = interrupt::asked()
        .map_err(|e| Stop::operation(format!("cannot listen for signals: {e}")))?;
    let began = Instant::now();
    let is_over = || {
        interrupted.load(Ordering::Relaxed)
            || asked.seconds.is_some_and(|s| began.elapsed() >= Duration::from_secs(s))
    };
    let mut looked: Option<Instant> = None;
    let mut sight = None;
    while !is_over() {
        let now = clock::wall();
        if looked.is_none_or(|at| at.elapsed() >= LOOK_EVERY) {
            looked = Some(Instant::now());
            let loss = tap.look(now).map_err(|e| failed(&e))?;
            if let Some(loss) = loss.filter(|loss| loss.to.since(loss.from) >= LOOK_EVERY) {
                let (from, to) = (loss.from, loss.to);
                out.note(format_args!(
                    "nothing was seen from {from} to {to}: {}",
                    loss.why.as_str()
                ));
            }
            if sight.replace(tap.sight()) != Some(tap.sight()) {
                say(tap.sight(), asked.interface, out);
            }
        }
        if follow(&mut tap, now, watch, &mut |t| told(t, out))? == 0 {
            watch.handle_timeout(now.before(RETIRE + BEHIND));
            drain(watch, &mut |t| told(t, out))?;
            out.flush()?;
            std::thread::sleep(REST);
        }
    }
    // What is in the last block comes when the kernel retires it.
    std::thread::sleep(RETIRE + REST);
    while follow(&mut tap, clock::wall(), watch, &mut |t| told(t, out))? > 0 {}
    watch.finish();
    drain(watch, &mut |t| told(t, out))?;
    Ok(Capture {
        ended: Ended::Whole,
        lost: tap.losses().dropped(),
        timeless: 0,
        unknown_link: 0,
        interfaces: vec![Some(asked.interface.to_owned())],
        ring: Some(fared(&tap)),
    })
}

fn fared(tap: &Tap) -> RingFared {
    let Layout { blocks, block_bytes, .. } = tap.history().layout();
    let (free_blocks_min, freezes) = (tap.free_blocks_min(), tap.freezes());
    RingFared { blocks, block_bytes, free_blocks_min, freezes }
}

/// While there is one thread only: has the socket opened, then gives the privileges up.
fn open(asked: &Asked<'_>) -> Result<Tap, Stop> {
    let program = std::env::current_exe()
        .map_err(|e| Stop::operation(format!("cannot find our own program: {e}")))?;
    let mut opened = Sockets::open(Opener::Child(&program), 1);
    sockets::give_up_privileges()
        .map_err(|e| Stop::operation(format!("cannot give up privileges: {e}")))?;
    let (sockets, problem) = opened.take_packet();
    let Some(socket) = sockets.into_iter().next() else {
        let problem = problem.unwrap_or_else(|| "no packet socket was passed".to_owned());
        return Err(Stop::operation(problem).hint("`whyslow doctor` says what is lacking"));
    };
    let tap = WireTap { ports: asked.ports.to_vec(), ..WireTap::of(asked.interface) };
    let programs = Programs::of(&tap).map_err(|e| Stop::usage(e).hint(e.hint()))?;
    Tap::new(asked.interface, socket, asked.ring.0, programs).map_err(|e| failed(&e))
}

fn say(sight: Sight, interface: &str, out: &mut Output) {
    match sight.problem(interface) {
        Some(problem) => out.note(format_args!("{interface}: {problem}")),
        None => out.note(format_args!("following {interface}; an interrupt ends it")),
    }
}

/// Follows what was retired; gives how many blocks still wait.
fn follow(
    tap: &mut Tap,
    now: Wall,
    watch: &mut Watch,
    told: &mut dyn FnMut(Told) -> Result<(), Stop>,
) -> Result<u64, Stop> {
    if let Some(loss) = tap.count(now).map_err(|e| failed(&e))? {
        // It moves no time: packets from before may still be on their way here.
        watch.handle_drops(loss.lost.unwrap_or(0), Wall::from_nanos(i64::MIN));
    }
    let walked = tap.walk(BLOCKS_AT_ONCE, |packet| watch.handle_packet(packet));
    drain(watch, told)?;
    Ok(walked.waiting)
}

fn drain(watch: &mut Watch, told: &mut dyn FnMut(Told) -> Result<(), Stop>) -> Result<(), Stop> {
    while let Some(known) = watch.poll() {
        told(known)?;
    }
    Ok(())
}

/// One line of what became known, for a terminal.
pub(super) fn show(told: &Told, out: &mut Output) -> Result<(), Stop> {
    let line = match told {
        Told::Handshake(of) if of.is_tls() => {
            let (flow, shares) = (of.opening.flow, of.shares);
            let ms = |share: f64| of.total_ms * share;
            format!(
                "{}  {} to {}  {:.1} ms: server {:.1}, network {:.1}, client {:.1}; {}",
                of.opening.first,
                flow.client,
                flow.server,
                of.total_ms,
                ms(shares.server),
                ms(shares.network),
                ms(shares.client),
                of.opening.outcome.word(),
            )
        }
        Told::Unanswered(of) => {
            let (flow, syns) = (of.flow, of.retries + 1);
            format!("{}  {} to {}  no answer to {syns} SYNs", of.first, flow.client, flow.server)
        }
        Told::Handshake(_) | Told::Ending(_) => return Ok(()),
    };
    Ok(out.line(line)?)
}

fn failed(error: &whyslow_sys::Error) -> Stop {
    let stop = Stop::operation(error.to_string());
    match error.hint {
        Some(hint) => stop.hint(hint),
        None => stop,
    }
}
