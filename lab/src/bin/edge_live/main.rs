//! `edge_live stream|udp [SECONDS] [LINES_PER_S]`: a live log at a rate, read by a `whyslow up` of
//! its own: by a unix stream, or by UDP as fast as it can be sent (rate 0). Says what became of
//! the lines, and what that cost.

use std::io::Write;
use std::net::UdpSocket;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use whyslow_lab::log::{self, Windows};
use whyslow_lab::peer::{free_port, loopback};
use whyslow_lab::up::Up;
use whyslow_lab::world::World;
use whyslow_sys::clock;

/// Lines that are written at once, as a balancer's ring does.
const AT_ONCE: u64 = 64;
const PATIENCE: Duration = Duration::from_secs(60);

/// Writes lines to the source, one way or the other.
type Send = Box<dyn FnMut(&str) -> Result<()>>;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let way = arguments.next().unwrap_or_else(|| "stream".to_owned());
    let seconds: u64 = arguments.next().map_or(Ok(60), |n| n.parse())?;
    let rate: u64 = arguments.next().map_or(Ok(500_000), |n| n.parse())?;
    let world = World::new("edge-live")?;
    let (path, port) = (world.path("lb.sock"), free_port()?);
    let input = match way.as_str() {
        "stream" => format!("unix-stream:{path}"),
        "udp" => format!("syslog-udp:127.0.0.1:{port}"),
        _ => bail!("stream or udp, not {way}"),
    };
    let edge = format!(
        "  web: {{owner: lab}}\nedge:\n  - {{name: lb, input: \"{input}\", format: haproxy, \
         time_zone: UTC, service: web}}\n"
    );
    let mut up = Up::start(&world, &edge)?;
    let mut send: Send = if way == "stream" {
        let mut stream = UnixStream::connect(&path)?;
        Box::new(move |text| Ok(stream.write_all(text.as_bytes())?))
    } else {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.connect(loopback(port))?;
        Box::new(move |text| {
            text.lines().try_for_each(|line| socket.send(line.as_bytes()).map(drop))?;
            Ok(())
        })
    };
    let (cpu_before, began) = (up.peer.cpu_s()?, Instant::now());
    let mut written = Windows::new();
    let mut sent = 0;
    while began.elapsed() < Duration::from_secs(seconds) {
        // One text a tenth of a second, sent piece by piece: making lines is not what is measured.
        let piece = log::lines(clock::wall(), AT_ONCE, &mut Windows::new());
        let window = clock::wall().as_millis().div_euclid(10_000) * 10;
        let tenth = Instant::now();
        while tenth.elapsed() < Duration::from_millis(100) {
            let due = began.elapsed().as_secs_f64() * rate as f64;
            if rate > 0 && sent as f64 >= due {
                std::thread::sleep(Duration::from_micros(200));
                continue;
            }
            send(&piece)?;
            sent += AT_ONCE;
            *written.entry(window).or_default() += AT_ONCE;
        }
    }
    let took_s = began.elapsed().as_secs_f64();
    let (parsed, lost) = accounted(&up, sent)?;
    let cpu_s = up.peer.cpu_s()? - cpu_before;
    println!(
        "{way}: sent {sent} lines in {took_s:.1} s ({:.0} a second); parsed {parsed}, lost in the \
         kernel {lost}; whyslow used {cpu_s:.1} s of processor ({:.0} % of one core), {:.0} MB",
        sent as f64 / took_s,
        cpu_s / took_s * 100.0,
        up.peer.rss_mb()?,
    );
    up.peer.signal("TERM")?;
    up.peer.ended(PATIENCE)?;
    let stored = log::stored(&world.path("data"), "lb")?;
    let total: u64 = stored.values().sum();
    ensure!(total == parsed, "{parsed} parsed, {total} in stored windows");
    println!("stored windows hold {total} requests");
    ensure!(way == "udp" || lost == 0, "{lost} lines were lost");
    Ok(())
}

/// Waits until every line was either parsed or counted as lost.
fn accounted(up: &Up, sent: u64) -> Result<(u64, u64)> {
    up.wait("all lines to be accounted for", PATIENCE, || {
        let all = up.json("/api/v1/edge/sources")?;
        let source = all["sources"].get(0).context("no source")?;
        let n = |value: &Value| value.as_u64().unwrap_or(0);
        let (parsed, lost) = (n(&source["lines"]["parsed"]), n(&source["kernel_dropped"]));
        ensure!(parsed + lost <= sent, "{source:#}");
        Ok((parsed + lost == sent).then_some((parsed, lost)))
    })
}
