//! SYNs that a server answered and nobody heard, and those that were refused: each gets its cause,
//! live and from its file alone, and tshark sees in the file what the cause says.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::line::{Line, joined};
use crate::peer::Peer;
use crate::scenario::{Need, Scenario};
use crate::world::{World, must, words};

/// See the module.
pub const SCENARIO: Scenario = Scenario {
    name: "wire-unanswered",
    proves: "a way back that loses SYN-ACKs, one that is no way, a reset of nobody and a reset of a \
             firewall each get their cause, live and from the file",
    needs: &[
        Need::Root,
        Need::Program("/usr/sbin/ip"),
        Need::Program("/usr/sbin/nft"),
        Need::Program("/usr/sbin/ethtool"),
        Need::Program("/usr/bin/curl"),
        Need::Program("/usr/bin/tshark"),
    ],
    run,
};

/// Its SYN-ACKs are dropped where they arrive.
const LOST: u16 = 8451;
/// Listens behind a rule that answers with a reset.
const REJECTED: u16 = 8452;
/// Nobody listens.
const CLOSED: u16 = 8453;
/// Listens, and has no route back.
const NO_ROUTE: u16 = 8454;
const API: u16 = 7070;
/// How long the client tries: two SYNs are sent again meanwhile.
const PATIENCE: Duration = Duration::from_millis(2500);
/// How long a file may take to come: SYNs are given up some seconds after the last.
const FILE_MAX: Duration = Duration::from_secs(25);
/// More than the time between two readings of the kernel's counts.
const COUNTED_APART: Duration = Duration::from_millis(2500);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A port, its cause, and how many SYNs, SYN-ACKs and resets its file has at least and at most.
struct Case {
    port: u16,
    cause: &'static str,
    /// What the packets alone say.
    offline: &'static str,
    syns: std::ops::RangeInclusive<usize>,
    syn_acks: std::ops::RangeInclusive<usize>,
    resets: std::ops::RangeInclusive<usize>,
}

const CASES: [Case; 4] = [
    Case {
        port: LOST,
        cause: "return_path",
        offline: "return_path",
        syns: 2..=9,
        syn_acks: 1..=9,
        resets: 0..=0,
    },
    Case {
        port: REJECTED,
        cause: "refused",
        offline: "refused",
        syns: 1..=1,
        syn_acks: 0..=0,
        resets: 1..=1,
    },
    Case {
        port: CLOSED,
        cause: "no_listener",
        offline: "refused",
        syns: 1..=1,
        syn_acks: 0..=0,
        resets: 1..=1,
    },
    Case {
        port: NO_ROUTE,
        cause: "no_route",
        offline: "silence",
        syns: 2..=9,
        syn_acks: 0..=0,
        resets: 0..=0,
    },
];

fn run(world: &World) -> Result<()> {
    let line = Line::new(Duration::from_millis(5), Vec::new())?;
    let _up = up(world, &line)?;
    let listen =
        |port| joined(line.in_server(move || Ok(TcpListener::bind((Line::SERVER, port))?)));
    let _listening = [listen(LOST)?, listen(REJECTED)?, listen(NO_ROUTE)?];
    let table =
        "add table ip lab\nadd chain ip lab input { type filter hook input priority 0 ; }\n";
    let client = format!("{table}add rule ip lab input tcp sport {LOST} drop\n");
    let server =
        format!("{table}add rule ip lab input tcp dport {REJECTED} reject with tcp reset\n");
    let client = world.write("client.nft", &client)?;
    must(&mut line.client(&format!("nft -f {client}")))?;
    let server = world.write("server.nft", &server)?;
    must(&mut line.server(&format!("nft -f {server}")))?;
    // The kernel's counts are of the whole host and read every second.
    std::thread::sleep(COUNTED_APART);
    for (port, refused) in [(REJECTED, true), (CLOSED, true), (LOST, false)] {
        ensure!(connect(&line, port)? == Some(refused), "{port} answers otherwise");
    }
    must(&mut line.server(&format!("ip route add blackhole {}/32", Line::CLIENT)))?;
    ensure!(connect(&line, NO_ROUTE)? == Some(false), "{NO_ROUTE} answers");
    CASES.iter().try_for_each(|case| holds(world, &line, case))
}

/// `whyslow up` beside the server.
fn up(world: &World, line: &Line) -> Result<Peer> {
    let ports = CASES.map(|case| case.port.to_string()).join(", ");
    let config = format!(
        "data: {}\nlisten: 127.0.0.1:{API}\nwire:\n  - interface: {}\n    ports: [{ports}]\n    \
         ring: 16MiB\n    keep: {{after: 300ms, rate: 60}}\n",
        world.path("data"),
        Line::INTERFACE
    );
    let config = world.write("whyslow.yaml", &config)?;
    let command = format!("{} up --config {config}", world.whyslow_path());
    let mut up = Peer::start("up", world.dir(), &mut line.server(&command))?;
    up.until(|| {
        let ready = curl(line, "/metrics");
        Ok(ready.is_ok_and(|text| text.contains("whyslow_wire_sees{interface=\"w0\"} 1")))
    })?;
    Ok(up)
}

/// Whether a connection of the client is refused; `None` where it is made, `false` in silence.
fn connect(line: &Line, port: u16) -> Result<Option<bool>> {
    let address: SocketAddr = format!("{}:{port}", Line::SERVER).parse()?;
    let tried = line.in_client(move || match TcpStream::connect_timeout(&address, PATIENCE) {
        Ok(_) => Ok(None),
        Err(e) if e.kind() == std::io::ErrorKind::TimedOut => Ok(Some(false)),
        Err(e) if e.kind() == std::io::ErrorKind::ConnectionRefused => Ok(Some(true)),
        Err(e) => Err(e.into()),
    });
    joined(tried)
}

/// The API says the cause and names the file, which says it too and shows it to others.
fn holds(world: &World, line: &Line, case: &Case) -> Result<()> {
    let Case { port, cause, .. } = case;
    let path = format!("/api/v1/wire/unanswered?evidence=1&server={}:{port}", Line::SERVER);
    let began = Instant::now();
    let event = loop {
        let said: Value = serde_json::from_str(&curl(line, &path)?)?;
        if let Some(event) = said["unanswered"].get(0) {
            break event.clone();
        }
        ensure!(began.elapsed() < FILE_MAX, "nothing of {port} names a file: {said:#}");
        std::thread::sleep(LOOK_EVERY);
    };
    ensure!(event["cause"] == *cause, "{port}: not {cause}: {event:#}");
    let file = event["pcapng"].as_str().context("no file")?;
    let file = world.path(&format!("data/wire/{file}"));
    let text = String::from_utf8_lossy(&std::fs::read(&file)?).into_owned();
    ensure!(text.contains(&format!("cause {cause}: ")), "{port}: the file does not say {cause}");
    let count = |filter: &str| -> Result<usize> {
        let rows =
            must(words(&format!("tshark -n -r {file} -T fields -e frame.number -Y")).arg(filter))?;
        Ok(rows.lines().count())
    };
    for (what, filter, wanted) in [
        ("SYNs", "tcp.flags.syn==1 && tcp.flags.ack==0", &case.syns),
        ("SYN-ACKs", "tcp.flags.syn==1 && tcp.flags.ack==1", &case.syn_acks),
        ("resets", "tcp.flags.reset==1", &case.resets),
    ] {
        let n = count(filter)?;
        ensure!(wanted.contains(&n), "{port}: {n} {what}, not {wanted:?}");
    }
    let own = must(world.whyslow().args(["wire", &file, "--json"]))?;
    let own: Value = serde_json::from_str(&own).context("whyslow wire")?;
    let offline = &own["unanswered_syns"][0]["cause"];
    ensure!(*offline == case.offline, "{port}: {offline} of the file, not {}", case.offline);
    Ok(())
}

/// Asks the process under test from beside it.
fn curl(line: &Line, path: &str) -> Result<String> {
    must(line.server("curl -sS --max-time 10").arg(format!("http://127.0.0.1:{API}{path}")))
}
