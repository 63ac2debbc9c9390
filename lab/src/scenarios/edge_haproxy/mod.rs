//! A real HAProxy with its own log formats: each of the ten causes of slowness and every way to
//! end is injected, and the line read must put the time where it was spent, or say that HAProxy
//! cannot tell.

mod clients;
mod origin;

use std::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use whyslow_edge::format::{Context, Parse, Scratch};
use whyslow_edge::record::{EdgePhase, Mark, Record, Span};
use whyslow_edge::{auto, formats, syslog};
use whyslow_model::{Segment, Wall};

use crate::certificates::{Authority, Valid};
use crate::peer::{Peer, START_MAX, free_port, loopback};
use crate::scenario::{Need, Scenario};
use crate::server::{HAPROXY, haproxy};
use crate::world::World;
use origin::SLOW;

/// See the module.
pub const SCENARIO: Scenario = Scenario {
    name: "edge-haproxy",
    proves: "HAProxy's own formats: ten causes each in its phase or said to be mixed, flags, errors",
    needs: &[Need::Program(HAPROXY), Need::Program("/usr/bin/openssl")],
    run,
};

fn run(world: &World) -> Result<()> {
    let log = UnixDatagram::bind(world.path("log.sock"))?;
    log.set_read_timeout(Some(Duration::from_millis(50)))?;
    let balancer = Balancer::start(world, origin::start()?)?;
    let (lines, ports) = std::thread::scope(|scope| {
        let asked = scope.spawn(|| ask_all(world, &balancer));
        let lines = collect(&log, EXPECTED, || asked.is_finished())?;
        let ports = asked.join().map_err(|_| anyhow::anyhow!("a client panicked"))??;
        anyhow::Ok((lines, ports))
    })?;
    let log = Log { lines, parser: formats::haproxy::FORMAT.parser };
    log.is_whole()?;
    slow(&log)?;
    waits(&log)?;
    ends(&log)?;
    nobody(&log, &ports)?;
    others(&log, &ports)
}

/// Lines that the play leaves behind.
const EXPECTED: usize = 21;

/// HAProxy with its frontends.
struct Balancer {
    http: SocketAddr,
    buffered: SocketAddr,
    tcp: SocketAddr,
    tls: SocketAddr,
    _peer: Peer,
}

impl Balancer {
    fn start(world: &World, origin: SocketAddr) -> Result<Self> {
        let at = || Ok::<_, anyhow::Error>(loopback(free_port()?));
        let (http, buffered, tcp, tls, dead) = (at()?, at()?, at()?, at()?, at()?);
        let leaf = Authority::new(world, "ca")?.sign("web", "DNS:shop.lab", Valid::Days(60))?;
        let both =
            std::fs::read_to_string(&leaf.certificate)? + &std::fs::read_to_string(&leaf.key)?;
        let pem = world.write("both.pem", &both)?;
        let log = world.path("log.sock");
        let rules = "http-request deny if { path /denied }\n \
                     http-request redirect location /moved if { path /elsewhere }\n \
                     use_backend one if { path_beg /full }\n use_backend dead if { path /refused }\n \
                     use_backend pair if { path /redispatched }\n default_backend app\n";
        let config = format!(
            "global\n log {log} local0\n\
             defaults\n mode http\n log global\n option httplog\n option dontlognull\n timeout connect 300ms\n \
             timeout client 10s\n timeout server 800ms\n timeout http-request 600ms\n \
             timeout queue 5s\n retries 1\n option redispatch 1\n\
             frontend web\n bind {http}\n capture request header Host len 32\n \
             capture request header User-Agent len 32\n {rules}\
             frontend buffered\n bind {buffered}\n option http-buffer-request\n default_backend app\n\
             frontend secure\n bind {tls} ssl crt {pem} alpn h2,http/1.1\n option httpslog\n \
             default_backend app\n\
             frontend raw\n bind {tcp}\n mode tcp\n option tcplog\n default_backend raw\n\
             backend app\n server web1 {origin}\n\
             backend one\n server web1 {origin} maxconn 1\n\
             backend dead\n no option redispatch\n server gone {dead}\n\
             backend pair\n balance first\n server gone {dead}\n server web2 {origin}\n\
             backend raw\n mode tcp\n server web1 {origin}\n"
        );
        let peer = haproxy(world, &config, http)?;
        Ok(Self { http, buffered, tcp, tls, _peer: peer })
    }
}

/// The ports of clients whose lines have no path.
struct Ports {
    late: u16,
    half: u16,
    junk: u16,
    tcp: u16,
    not_tls: u16,
}

/// Plays all clients at once.
fn ask_all(world: &World, balancer: &Balancer) -> Result<Ports> {
    let Balancer { http, buffered, tcp, tls, .. } = *balancer;
    std::thread::scope(|scope| {
        let get = |path: &'static str| scope.spawn(move || clients::get(http, path));
        let post = |at, path: &'static str| {
            let head = format!(
                "POST {path} HTTP/1.1\r\nHost: shop.lab\r\nContent-Length: 10\r\n\
                                Connection: close\r\n\r\nfirst"
            );
            scope.spawn(move || clients::pieces(at, &[&head, "after"]))
        };
        let plays = [
            get("/wait"),
            get("/stall"),
            get("/full-1"),
            get("/full-2"),
            get("/refused"),
            get("/redispatched"),
            get("/too-long"),
            get("/denied"),
            get("/elsewhere"),
            post(http, "/upload"),
            post(buffered, "/upload-buffered"),
            scope.spawn(move || clients::slow_reader(http, "/big-body", SLOW * 2)),
            scope.spawn(move || clients::slow_reader(http, "/small-body", SLOW * 2)),
            scope.spawn(move || {
                clients::pieces(
                    http,
                    &["GET /typed HTTP/1.1\r\nHost: ", "a\r\nConnection: close\r\n\r\n"],
                )
            }),
            scope.spawn(move || clients::resets(http, "/left")),
        ];
        let late = scope.spawn(move || clients::pieces(http, &["GET /late HTTP/1.1\r\n"]));
        let half = scope.spawn(move || clients::half(http));
        let junk = scope.spawn(move || clients::pieces(http, &["\u{1}\u{2}junk\r\n\r\n"]));
        let raw = scope.spawn(move || clients::get(tcp, "/wait"));
        let not_tls = scope.spawn(move || clients::pieces(tls, &["GET / HTTP/1.1\r\n\r\n"]));
        let ca = world.path("ca.pem");
        world
            .check(&[
                &format!("https://shop.lab:{}/secure?secret=1", tls.port()),
                "--cacert",
                &ca,
                "--connect-to",
                &tls.to_string(),
            ])?
            .is("ok", "", 0)?;
        let port = |play: std::thread::ScopedJoinHandle<'_, Result<u16>>| {
            play.join().map_err(|_| anyhow::anyhow!("a client panicked"))?
        };
        for play in plays {
            port(play)?;
        }
        Ok(Ports {
            late: port(late)?,
            half: port(half)?,
            junk: port(junk)?,
            tcp: port(raw)?,
            not_tls: port(not_tls)?,
        })
    })
}

/// Takes datagrams until there are `expected`, or none comes although all have been asked.
fn collect(
    log: &UnixDatagram,
    expected: usize,
    all_asked: impl Fn() -> bool,
) -> Result<Vec<Vec<u8>>> {
    let (mut lines, began) = (Vec::new(), Instant::now());
    let mut room = [0; 65_536];
    while lines.len() < expected || !all_asked() {
        match log.recv(&mut room) {
            // HAProxy says when a proxy starts, too.
            Ok(n) => lines.push(room[..n].trim_ascii_end().to_vec()),
            Err(e)
                if matches!(
                    e.kind(),
                    std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                ) => {}
            Err(e) => return Err(e.into()),
        }
        lines.retain(|line| !is_notice(line));
        ensure!(
            began.elapsed() < START_MAX,
            "only {} lines of {expected}:\n{}",
            lines.len(),
            shown(&lines)
        );
    }
    Ok(lines)
}

fn is_notice(line: &[u8]) -> bool {
    let (_, text) = syslog::cut(line);
    [&b"Proxy "[..], b"Server ", b"backend "].iter().any(|notice| text.starts_with(notice))
}

fn shown(lines: &[Vec<u8>]) -> String {
    lines.iter().map(|line| String::from_utf8_lossy(line).into_owned() + "\n").collect()
}

/// What HAProxy wrote.
struct Log {
    lines: Vec<Vec<u8>>,
    parser: fn() -> Box<dyn Parse>,
}

impl Log {
    /// Every line is read, behind its header, and the format finds itself.
    fn is_whole(&self) -> Result<()> {
        let lines: Vec<&[u8]> = self.lines.iter().map(Vec::as_slice).collect();
        let (format, check) = auto::find(&lines, &context());
        ensure!(
            check.text().is_none() && check.parsed == lines.len(),
            "{check:?}\n{}",
            shown(&self.lines)
        );
        ensure!(format.map(|f| f.name) == Some("haproxy"), "{format:?}");
        for line in lines {
            let (header, _) = syslog::cut(line);
            let header = header.context("no syslog header")?;
            ensure!(header.tag == b"haproxy" && header.hostname.is_empty(), "{header:?}");
            ensure!((header.facility, header.pid.is_some()) == (Some(16), true), "{header:?}");
        }
        Ok(())
    }

    /// The one record that `wanted` picks, given to `look`.
    fn one(
        &self,
        what: &str,
        wanted: impl Fn(&Record<'_>) -> bool,
        look: impl Fn(&Record<'_>) -> Result<()>,
    ) -> Result<()> {
        let parser = (self.parser)();
        let mut found = 0;
        for line in &self.lines {
            let mut scratch = Scratch::default();
            let record = syslog::read(parser.as_ref(), line, &context(), &mut scratch)?;
            if wanted(&record) {
                found += 1;
                look(&record)
                    .with_context(|| format!("{what}: {}", String::from_utf8_lossy(line)))?;
            }
        }
        ensure!(found == 1, "{found} lines of {what} in:\n{}", shown(&self.lines));
        Ok(())
    }

    fn path(&self, path: &str, look: impl Fn(&Record<'_>) -> Result<()>) -> Result<()> {
        self.one(path, |r| r.path == path.as_bytes(), look)
    }

    /// One port may have asked several frontends.
    fn port(
        &self,
        (vip, port): (&str, u16),
        what: &str,
        look: impl Fn(&Record<'_>) -> Result<()>,
    ) -> Result<()> {
        self.one(what, |r| r.vip == vip.as_bytes() && r.client_port == port, look)
    }
}

/// The balancer's clock is read as UTC; only differences matter here.
fn context() -> Context {
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Context { near: Wall::default().after(now), zone_s: 0 }
}

/// Slow servers and slow clients, each where the table of facts has it.
fn slow(log: &Log) -> Result<()> {
    log.path("/wait", |r| mostly(r, EdgePhase::Wait, Mark::Exact).and(fine(r)))?;
    // A stalling server and a slow reader look alike: HAProxy cannot tell, so neither is blamed.
    log.path("/stall", |r| mostly(r, EdgePhase::Body, Mark::Mixed).and(fine(r)))?;
    log.path("/big-body", |r| mostly(r, EdgePhase::Body, Mark::Mixed).and(fine(r)))?;
    // The kernel took the small body in: the slow reader is invisible.
    log.path("/small-body", |r| {
        ensure!(r.total.micros < 4 * slow_us(), "{r:#?}");
        fine(r)
    })?;
    log.path("/typed", |r| mostly(r, EdgePhase::ClientIn, Mark::Exact).and(fine(r)))?;
    // An upload hides in the server's time, unless HAProxy is told to await it.
    log.path("/upload", |r| mostly(r, EdgePhase::Wait, Mark::Mixed).and(fine(r)))?;
    log.path("/upload-buffered", |r| mostly(r, EdgePhase::ClientIn, Mark::Exact).and(fine(r)))
}

/// A full backend, a refused connection and a server that is too slow.
fn waits(log: &Log) -> Result<()> {
    let queued = |r: &Record<'_>| r.queued.is_some_and(|(server, pool)| server + pool > 0);
    log.one(
        "the request that queued",
        |r| r.path.starts_with(b"/full") && queued(r),
        |r| {
            let queue = r.phases.of(EdgePhase::Queue);
            ensure!(queue.mark == Mark::Exact && queue.micros >= slow_us(), "{r:#?}");
            fine(r)
        },
    )?;
    log.path("/refused", |r| {
        ensure!(r.code == 503 && r.retries == 1 && !r.redispatched, "{r:#?}");
        ensure!(r.end.blames == Some(Segment::Backend) && r.end.flags.starts_with(b"SC"), "{r:#?}");
        // The pause before the retry is booked as queueing: mixed.
        ensure!(r.phases.of(EdgePhase::Queue).mark == Mark::Mixed, "{r:#?}");
        ensure!(r.phases.of(EdgePhase::Connect) == Span::ABSENT && !r.timed(), "{r:#?}");
        Ok(())
    })?;
    log.path("/redispatched", |r| {
        ensure!(r.server == b"web2" && r.redispatched && r.retries > 0 && r.code == 200, "{r:#?}");
        ensure!(r.phases.of(EdgePhase::Queue).mark == Mark::Mixed, "{r:#?}");
        Ok(())
    })?;
    log.path("/too-long", |r| {
        ensure!(r.code == 504 && r.end.blames == Some(Segment::Backend), "{r:#?}");
        ensure!(r.phases.of(EdgePhase::Wait) == Span::ABSENT, "{r:#?}");
        // It took at least as long as HAProxy was patient.
        ensure!(r.total.mark == Mark::Bound && r.total.micros >= 790_000, "{r:#?}");
        Ok(())
    })
}

/// Clients that leave or send nonsense.
fn ends(log: &Log) -> Result<()> {
    log.path("/left", |r| {
        // It waited for the server when it left: its patience is nobody's fault.
        ensure!(r.end.client_aborted && r.end.blames.is_none() && !r.end.local, "{r:#?}");
        Ok(())
    })?;
    log.path("/denied", |r| {
        ensure!(r.code == 403 && r.end.local && !r.timed() && r.end.blames.is_none(), "{r:#?}");
        Ok(())
    })?;
    log.path("/elsewhere", |r| {
        ensure!(r.code == 302 && r.end.local && !r.timed() && r.server == b"<NOSRV>", "{r:#?}");
        Ok(())
    })
}

/// Requests that never were one.
fn nobody(log: &Log, ports: &Ports) -> Result<()> {
    let none = |r: &Record<'_>| {
        let absent = EdgePhase::ALL.iter().all(|p| r.phases.of(*p) == Span::ABSENT);
        ensure!(absent && r.path == b"<BADREQ>" && r.server == b"<NOSRV>" && !r.timed(), "{r:#?}");
        Ok(())
    };
    log.port(("web", ports.late), "the late client", |r| {
        ensure!(r.code == 408 && r.end.blames == Some(Segment::Client), "{r:#?}");
        none(r)
    })?;
    log.port(("web", ports.half), "the client that closed", |r| {
        ensure!(r.end.client_aborted && r.end.blames == Some(Segment::Client), "{r:#?}");
        none(r)
    })?;
    log.port(("web", ports.junk), "junk", |r| {
        ensure!(r.code == 400 && r.end.local && r.end.blames.is_none(), "{r:#?}");
        none(r)
    })
}

/// The other shapes: TCP, TLS, a handshake that failed.
fn others(log: &Log, ports: &Ports) -> Result<()> {
    log.port(("raw", ports.tcp), "the TCP session", |r| {
        ensure!(
            r.vip == b"raw" && r.backend == b"raw" && r.server == b"web1" && r.code == 0,
            "{r:#?}"
        );
        ensure!(r.path.is_empty() && r.total.micros >= slow_us() && r.timed(), "{r:#?}");
        mostly(r, EdgePhase::Body, Mark::Mixed)
    })?;
    log.path("/secure", |r| {
        ensure!(r.vip == b"secure" && r.host.starts_with(b"shop.lab") && r.code == 200, "{r:#?}");
        Ok(())
    })?;
    log.port(("secure", ports.not_tls), "the failed handshake", |r| {
        ensure!(r.vip == b"secure" && r.total == Span::ABSENT, "{r:#?}");
        ensure!(r.end.flags.windows(3).any(|w| w == b"SSL") && r.end.blames.is_none(), "{r:#?}");
        Ok(())
    })
}

/// Half of what was injected: on a busy machine HAProxy accepts a client after its pause began.
fn slow_us() -> u64 {
    u64::try_from(SLOW.as_micros()).unwrap_or(0) / 2
}

/// Demands that this phase, so marked, took the injected time and more than every other one.
fn mostly(record: &Record<'_>, phase: EdgePhase, mark: Mark) -> Result<()> {
    let of = |p| record.phases.of(p);
    let longest = EdgePhase::ALL.iter().all(|p| *p == phase || of(*p).micros < of(phase).micros);
    ensure!(
        of(phase).mark == mark && of(phase).micros >= slow_us() && longest,
        "expected mostly {} {mark:?}: {record:#?}",
        phase.as_str()
    );
    Ok(())
}

/// An ordinary end of an ordinary request.
fn fine(record: &Record<'_>) -> Result<()> {
    let end = record.end;
    ensure!(record.code == 200 && record.timed(), "{record:#?}");
    ensure!(end.blames.is_none() && !end.client_aborted && !end.local, "{record:#?}");
    Ok(())
}
