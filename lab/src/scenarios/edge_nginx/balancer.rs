//! HAProxy with `examples/haproxy-log.cfg`: its ring hands lines over a Unix stream, counted.

use std::collections::BTreeSet;
use std::io::Read;
use std::os::unix::net::UnixListener;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use whyslow_edge::compiled::{Compiled, compile};
use whyslow_edge::format::Scratch;
use whyslow_edge::framing::{Frame, Framer, Framing};
use whyslow_edge::record::{EdgePhase, Mark};
use whyslow_edge::syslog;

use super::app::{App, ask, send};
use super::{CONTEXT, example, mostly};
use crate::peer::{free_port, loopback};
use crate::server::{HAPROXY, haproxy};
use crate::world::{World, must, words};

/// Requests on connections of their own, beside the slow one and the junk.
const REQUESTS: usize = 20;
const SILENCE_MAX: Duration = Duration::from_secs(20);

pub(super) fn play(world: &World, app: &App) -> Result<()> {
    let front = loopback(free_port()?);
    let socket = world.path("lb.sock");
    let listener = UnixListener::bind(&socket)?;
    let example = example("haproxy-log.cfg")?;
    let config = example
        .replace("/run/whyslow/lb.sock", &socket)
        .replace("127.0.0.1:8080", &front.to_string())
        .replace("127.0.0.1:8081", &app.at.to_string());
    let file = world.write("checked.cfg", &config)?;
    must(&mut words(&format!("{HAPROXY} -c -f {file}")))?;
    let directive = example.lines().map(str::trim).find(|l| l.starts_with("log-format "));
    let compiled = compile(directive.context("no log-format in the example")?)?;

    let _balancer = haproxy(world, &config, front)?;
    for n in 0..REQUESTS {
        ask(front, &format!("/quick/{n}"))?.read()?;
    }
    ask(front, "/think")?.read()?;
    send(front, "junk\r\n\r\n")?.read()?;
    read(&listener, &compiled)
}

/// Reads until every request's line came; two threads of HAProxy may swap the order of two lines.
fn read(listener: &UnixListener, compiled: &Compiled) -> Result<()> {
    let (mut stream, _) = listener.accept()?;
    stream.set_read_timeout(Some(SILENCE_MAX))?;
    let mut framer = Framer::new(Framing::Detect);
    let mut seen = Seen::default();
    loop {
        let n = stream.read(framer.room());
        let n = n.with_context(|| format!("waiting for HAProxy's lines: {seen:?}"))?;
        ensure!(n > 0, "HAProxy closed the stream: {seen:?}");
        framer.handle_read(n);
        while let Some(frame) = framer.poll_frame() {
            let Frame::Line(line) = frame else { bail!("not a line: {frame:?}") };
            let text = String::from_utf8_lossy(line).into_owned();
            seen.line(compiled, line).with_context(|| format!("of the line {text}"))?;
        }
        if seen.quick == REQUESTS && seen.slow && seen.junk {
            return seen.consecutive();
        }
    }
}

/// What came so far.
#[derive(Debug, Default)]
struct Seen {
    quick: usize,
    slow: bool,
    junk: bool,
    /// `%lc` of each line.
    sequence: BTreeSet<u64>,
}

impl Seen {
    fn line(&mut self, compiled: &Compiled, line: &[u8]) -> Result<()> {
        let text = syslog::cut(line).1;
        if text.starts_with(b"Proxy ") {
            return Ok(());
        }
        let mut scratch = Scratch::default();
        ensure!(text.len() < line.len(), "no syslog header");
        let record = syslog::read(compiled, line, &CONTEXT, &mut scratch)?;
        let sequence = record.sequence.context("no sequence number")?;
        ensure!(self.sequence.insert(sequence), "{sequence} came twice");
        if record.path.starts_with(b"/quick") {
            self.quick += 1;
            ensure!(record.backend == b"app" && record.server == b"web1", "{record:#?}");
            ensure!(record.timed() && record.client_rtt_us.is_some(), "{record:#?}");
            ensure!(record.bytes_in.is_some() && record.at_us.is_some(), "{record:#?}");
            ensure!(record.client_retransmits.is_some() && !record.truncated, "{record:#?}");
        } else if record.path == b"/think" {
            self.slow = true;
            mostly(&record, EdgePhase::Wait, Mark::Exact, 150_000)?;
        } else if record.end.flags.starts_with(b"PR") {
            self.junk = true;
            ensure!(record.path == b"<BADREQ>" && !record.timed(), "{record:#?}");
        }
        Ok(())
    }

    /// No number is missing between the first line and the last.
    fn consecutive(&self) -> Result<()> {
        let ends = self.sequence.first().zip(self.sequence.last());
        let span = ends.map_or(0, |(first, last)| last - first + 1);
        ensure!(usize::try_from(span)? == self.sequence.len(), "a gap in {self:?}");
        Ok(())
    }
}
