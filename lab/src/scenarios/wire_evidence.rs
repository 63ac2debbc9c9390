//! What is noticed on the wire leaves its packets behind: those of before it was noticed, of that
//! connection alone; and SYNs without an answer leave the cause too.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use socket2::{Domain, Socket, Type};

use crate::certificates::{Authority, Valid};
use crate::line::{Line, joined};
use crate::peer::Peer;
use crate::scenario::{Need, Scenario};
use crate::slow_tls::{Manner, NAME, Papers, Server, ask};
use crate::world::{World, must, words};

/// See the module.
pub const SCENARIO: Scenario = Scenario {
    name: "wire-evidence",
    proves: "a slow handshake and unanswered SYNs leave one file each, which begins with the SYN and \
             says the cause; the oldest files make room",
    needs: &[
        Need::Root,
        Need::Program("/usr/sbin/ip"),
        Need::Program("/usr/sbin/nft"),
        Need::Program("/usr/sbin/ethtool"),
        Need::Program("/usr/bin/openssl"),
        Need::Program("/usr/bin/curl"),
        Need::Program("/usr/bin/tshark"),
    ],
    run,
};

const TLS: u16 = 8443;
/// Listens and never accepts.
const FULL: u16 = 8444;
/// Listens behind a rule that drops.
const DROPPED: u16 = 8445;
/// Nothing is there, and nothing says so.
const NOBODY: u16 = 8446;
const API: u16 = 7070;
const THINK: Duration = Duration::from_millis(700);
/// How long a file may take to come: SYNs are given up three seconds after the last.
const FILE_MAX: Duration = Duration::from_secs(20);
/// More than the time between two readings of the kernel's counts.
const COUNTED_APART: Duration = Duration::from_millis(2500);
const LOOK_EVERY: Duration = Duration::from_millis(100);

fn run(world: &World) -> Result<()> {
    let line = Line::new(Duration::from_millis(5), Vec::new())?;
    let up = up(world, &line)?;
    let flow = slow_handshake(world, &line)?;
    let file = file(world, "slow_handshake", 0)?;
    is_the_handshake(world, &file, flow)?;

    let _full = full_listener(&line)?;
    let mut waiting = Vec::new();
    for _ in 0..2 {
        waiting.push(connect(&line, FULL, Duration::from_secs(2))?.context("there is room yet")?);
    }
    ensure!(
        connect(&line, FULL, Duration::from_millis(1500))?.is_none(),
        "the queue has more room"
    );
    let rules = format!(
        "add table ip lab\nadd chain ip lab input {{ type filter hook input priority 0 ; }}\n\
         add rule ip lab input tcp dport {{ {DROPPED}, {NOBODY} }} drop\n"
    );
    let rules = world.write("drop.nft", &rules)?;
    must(&mut line.server(&format!("nft -f {rules}")))?;
    let _dropped = joined(line.in_server(|| Ok(TcpListener::bind((Line::SERVER, DROPPED))?)))?;
    // The kernel's counts are of the whole host and read every second: an overflow of the same
    // second would leave it open what dropped these.
    std::thread::sleep(COUNTED_APART);
    for port in [DROPPED, NOBODY] {
        ensure!(connect(&line, port, Duration::from_millis(300))?.is_none(), "{port} answers");
    }
    for (port, cause, also) in [
        (FULL, "accept_queue_full", format!("at {}:{FULL} was full", Line::SERVER)),
        (DROPPED, "firewall", "between the capture and the socket".to_owned()),
        (NOBODY, "no_listener", String::new()),
    ] {
        let said = unanswered(world, port)?;
        ensure!(
            said.contains(&format!("cause {cause}: ")) && said.contains(&also),
            "{port}: {said}"
        );
    }
    for port in [FULL, DROPPED] {
        points_at_its_file(&line, "unanswered", port)?;
    }
    points_at_its_file(&line, "handshakes", TLS)?;
    let causes = curl(&line, "/api/v1/wire/unanswered?cause=accept_queue_full", None)?;
    ensure!(causes.contains(&format!("{}:{FULL}", Line::SERVER)), "{causes}");
    quota(world, &line, &up, flow)
}

/// What is kept of an event to this port names the file of its packets, soon.
fn points_at_its_file(line: &Line, what: &str, port: u16) -> Result<()> {
    let began = std::time::Instant::now();
    let path = format!("/api/v1/wire/{what}?evidence=1&server={}:{port}", Line::SERVER);
    loop {
        let said = curl(line, &path, None)?;
        if said.contains(".pcapng") {
            return Ok(());
        }
        ensure!(began.elapsed() < FILE_MAX, "no event of {what} to {port} names a file: {said}");
        std::thread::sleep(LOOK_EVERY);
    }
}

/// `whyslow up` beside the server.
fn up(world: &World, line: &Line) -> Result<Peer> {
    let data = world.path("data");
    let ports = format!("{TLS}, {FULL}, {DROPPED}, {NOBODY}");
    let config = format!(
        "data: {data}\nlisten: 127.0.0.1:{API}\nwire:\n  - interface: {}\n    ports: [{ports}]\n    \
         ring: 16MiB\n    keep: {{slow: 500ms, after: 300ms, quota: 16KiB, rate: 60}}\n",
        Line::INTERFACE
    );
    let config = world.write("whyslow.yaml", &config)?;
    let command = format!("{} up --config {config}", world.whyslow_path());
    let mut up = Peer::start("up", world.dir(), &mut line.server(&command))?;
    up.until(|| {
        let ready = curl(line, "/metrics", None);
        Ok(ready.is_ok_and(|text| text.contains("whyslow_wire_sees{interface=\"w0\"} 1")))
    })?;
    Ok(up)
}

/// One handshake in which the server thinks; gives the client's address.
fn slow_handshake(world: &World, line: &Line) -> Result<SocketAddr> {
    let authority = Authority::new(world, "authority")?;
    let short = authority.sign("short", &format!("DNS:{NAME}"), Valid::Days(30))?;
    let papers = Papers { authority: authority.pem(), long: short.clone(), short };
    let manner = Manner { server_think: THINK, ..Manner::PROMPT };
    let address = format!("{}:{TLS}", Line::SERVER);
    let (here, there) = (papers.clone(), address.clone());
    let server = joined(line.in_server(move || Server::new(manner, &here, &there)))?;
    let answering = std::thread::spawn(move || server.answer());
    let asked = joined(line.in_client(move || ask(manner, &papers, &address)))?;
    joined(answering)?;
    Ok(SocketAddr::new(Line::CLIENT.parse()?, asked.port))
}

/// The `n`th file of a cause, waited for.
fn file(world: &World, cause: &str, n: usize) -> Result<String> {
    let began = std::time::Instant::now();
    loop {
        let mut names = names(world)?;
        names.retain(|name| name.contains(&format!("-{cause}-")));
        if let Some(name) = names.get(n) {
            return Ok(world.path(&format!("data/wire/{name}")));
        }
        ensure!(began.elapsed() < FILE_MAX, "no file {n} of {cause}");
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Files that are kept, oldest first.
fn names(world: &World) -> Result<Vec<String>> {
    let Ok(entries) = fs::read_dir(world.path("data/wire")) else { return Ok(Vec::new()) };
    let names: std::io::Result<Vec<_>> = entries.map(|entry| Ok(entry?.file_name())).collect();
    let mut names: Vec<String> =
        names?.into_iter().map(|name| name.to_string_lossy().into_owned()).collect();
    names.retain(|name| !name.starts_with('.'));
    names.sort();
    Ok(names)
}

/// The file is one connection's from its SYN on, readable for its owner alone, and says what its
/// packets mean.
fn is_the_handshake(world: &World, file: &str, client: SocketAddr) -> Result<()> {
    let mode = fs::metadata(file)?.permissions().mode() & 0o777;
    ensure!(mode == 0o600, "{file}: mode {mode:o}");
    let fields = "-e tcp.flags.syn -e tcp.flags.ack -e tcp.port -e frame.comment";
    let rows = must(&mut words(&format!("tshark -n -r {file} -T fields {fields}")))?;
    let rows: Vec<Vec<&str>> = rows.lines().map(|row| row.split('\t').collect()).collect();
    let ports = format!("{},{TLS}", client.port());
    ensure!(rows.len() >= 6, "{rows:?}");
    ensure!(rows[0][0] == "1" && rows[0][1] == "0" && rows[0][2] == ports, "{:?}", rows[0]);
    let back = format!("{TLS},{}", client.port());
    ensure!(rows.iter().all(|row| row[2] == ports || row[2] == back), "others' packets: {rows:?}");
    for said in ["SYN", "SYN-ACK (syn_ack", "ClientHello", "server think ends (server_think "] {
        let is_said = rows
            .iter()
            .any(|row| row.get(3).is_some_and(|c| c.starts_with(said) || c.contains(said)));
        ensure!(is_said, "{said} is said of no packet: {rows:?}");
    }
    let broken = must(&mut words(&format!("tshark -n -r {file} -Y _ws.malformed")))?;
    ensure!(broken.is_empty(), "{broken}");
    let own = must(world.whyslow().args(["wire", file, "--json"]))?;
    let own: Value = serde_json::from_str(&own).context("whyslow wire")?;
    let think = own["handshakes"][0]["phases_ms"]["server_think"].as_f64();
    ensure!(think.is_some_and(|ms| (690.0..1500.0).contains(&ms)), "{own:#}");
    Ok(())
}

/// Something that listens for one connection more than it lets wait, and never accepts.
fn full_listener(line: &Line) -> Result<Socket> {
    joined(line.in_server(|| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        let address: SocketAddr = format!("{}:{FULL}", Line::SERVER).parse()?;
        socket.bind(&address.into())?;
        socket.listen(1)?;
        Ok(socket)
    }))
}

/// A connection from the client; `None` where nothing answers.
fn connect(line: &Line, port: u16, limit: Duration) -> Result<Option<TcpStream>> {
    let address: SocketAddr = format!("{}:{port}", Line::SERVER).parse()?;
    joined(line.in_client(move || match TcpStream::connect_timeout(&address, limit) {
        Ok(stream) => Ok(Some(stream)),
        Err(e) if e.kind() == std::io::ErrorKind::TimedOut => Ok(None),
        Err(e) => Err(e.into()),
    }))
}

/// What the file of a port's unanswered SYNs says.
fn unanswered(world: &World, port: u16) -> Result<String> {
    for n in 0.. {
        let file = file(world, "unanswered_syn", n)?;
        let to = must(&mut words(&format!("tshark -n -r {file} -T fields -e tcp.dstport")))?;
        if to.lines().next() == Some(&port.to_string()) {
            return Ok(String::from_utf8_lossy(&fs::read(&file)?).into_owned());
        }
    }
    unreachable!("an endless range")
}

/// Asked for again and again, by the API and by the local socket in turn, the files of before make
/// room.
fn quota(world: &World, line: &Line, up: &Peer, client: SocketAddr) -> Result<()> {
    let evicted = "whyslow_self_wire_evidence_evicted_total{cause=\"slow_handshake\"} 1";
    let mut socket = BufReader::new(local_socket(world)?);
    for n in 0_u32..12 {
        let body = format!("{{\"client\":\"{client}\",\"seconds_back\":60}}");
        let kept = if n % 2 == 0 {
            curl(line, "/api/v1/wire/keep", Some(&body))?
        } else {
            writeln!(socket.get_mut(), "{body}")?;
            let mut answer = String::new();
            socket.read_line(&mut answer)?;
            answer
        };
        let kept: Value = serde_json::from_str(&kept).with_context(|| kept.clone())?;
        ensure!(kept["candidates"] == 1, "{kept:#}\n{}", up.output());
        let listed: Value = serde_json::from_str(&curl(line, "/api/v1/wire/evidence", None)?)?;
        let files = listed["files"].as_array().context("no files")?;
        let bytes: u64 = files.iter().filter_map(|file| file["bytes"].as_u64()).sum();
        ensure!(bytes <= 16 << 10, "{bytes} bytes are kept: {listed:#}");
        ensure!(files.iter().any(|file| file["name"] == kept["files"][0]["name"]), "{listed:#}");
        let metrics = curl(line, "/metrics", None)?;
        if n > 0 && metrics.contains(evicted) {
            let answers = "whyslow_self_wire_socket_answers_total{result=\"kept\"} ";
            ensure!(metrics.contains(&format!("{answers}{}", n.div_ceil(2))), "{metrics}");
            return Ok(());
        }
    }
    anyhow::bail!("nothing was evicted: {}", curl(line, "/metrics", None)?)
}

/// The socket of the process under test, for its owner alone.
fn local_socket(world: &World) -> Result<UnixStream> {
    let path = world.path("data/keep.sock");
    let mode = fs::metadata(&path)?.permissions().mode() & 0o777;
    ensure!(mode == 0o600, "{path}: mode {mode:o}");
    let socket = UnixStream::connect(&path)?;
    socket.set_read_timeout(Some(FILE_MAX))?;
    Ok(socket)
}

/// Asks the process under test from beside it.
fn curl(line: &Line, path: &str, body: Option<&str>) -> Result<String> {
    let mut command = line.server("curl -sS --max-time 10");
    if let Some(body) = body {
        command.args(["-H", "content-type: application/json", "-d", body]);
    }
    must(command.arg(format!("http://127.0.0.1:{API}{path}")))
}
