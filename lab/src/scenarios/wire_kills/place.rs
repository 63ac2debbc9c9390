//! Where it happens: servers and a recorder beside them, and a client at the end of a line.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::certificates::{Authority, Valid};
use crate::line::{Line, joined};
use crate::peer::Peer;
use crate::server::nginx_inside;
use crate::slow_tls::{Manner, NAME, Papers, Server, ask};
use crate::world::{World, must, words};

/// The server that thinks.
const TLS: u16 = 8443;
/// nginx.
pub(super) const WEB: u16 = 8444;
const API: u16 = 7070;
const THINK: Duration = Duration::from_millis(500);
/// Bytes of the file whose packets take a while to be written.
const BIG_BYTES: usize = 12 << 20;

/// The lab of this scenario.
pub(super) struct Place<'w> {
    pub(super) world: &'w World,
    line: Line,
    papers: Papers,
    config: String,
    _web: Peer,
}

impl<'w> Place<'w> {
    pub(super) fn new(world: &'w World) -> Result<Self> {
        let line = Line::new(Duration::from_millis(1), Vec::new())?;
        let authority = Authority::new(world, "authority")?;
        let short = authority.sign("short", &format!("DNS:{NAME}"), Valid::Days(30))?;
        let papers = Papers { authority: authority.pem(), long: short.clone(), short };
        world.write("big", &"x".repeat(BIG_BYTES))?;
        let more = format!("location /big {{ root {}; }}", world.dir().display());
        let inside = |command: &str| line.server(command);
        let web = nginx_inside(world, &papers.short, (Line::SERVER, WEB), &more, &inside)?;
        let config = world.write(
            "whyslow.yaml",
            &format!(
                "data: {}\nlisten: 127.0.0.1:{API}\nwire:\n  - interface: {}\n    \
                 ports: [{TLS}, {WEB}]\n    ring: 64MiB\n    keep: {{slow: 300ms, after: 300ms, \
                 payload: true, connection: 64MiB, quota: 256MiB, rate: 1000}}\n",
                world.path("data"),
                Line::INTERFACE
            ),
        )?;
        Ok(Self { world, line, papers, config, _web: web })
    }

    /// `whyslow up`, once it sees the interface.
    pub(super) fn up(&self) -> Result<Peer> {
        let command = format!("{} up --config {}", self.world.whyslow_path(), self.config);
        self.ready(Peer::start("up", self.world.dir(), &mut self.line.server(&command))?)
    }

    /// The same, where the first child that opens sockets is killed before it passed any. It reads
    /// its configuration from a pipe, so that it waits until there is another program where the
    /// child is started from.
    pub(super) fn up_without_its_first_child(&self) -> Result<Peer> {
        let (own, real) = (self.world.path("whyslow"), self.world.whyslow_path());
        if fs::hard_link(&real, &own).is_err() {
            fs::copy(&real, &own).with_context(|| format!("copying {real}"))?;
        }
        let (killed, pipe) = (self.world.path("killed"), self.world.path("pipe.yaml"));
        let script = format!(
            "#!/bin/sh\nif [ ! -e {killed} ]; then : >{killed}; kill -9 $$; fi\nexec {real} \"$@\"\n"
        );
        let script = self.world.write("child", &script)?;
        must(&mut words(&format!("chmod 755 {script}")))?;
        must(&mut words(&format!("mkfifo {pipe}")))?;
        let command = format!("{own} up --config {pipe}");
        let mut up = Peer::start("up", self.world.dir(), &mut self.line.server(&command))?;
        let exe = format!("/proc/{}/exe", up.pid());
        up.until(|| Ok(fs::read_link(&exe)?.as_os_str().as_bytes() == own.as_bytes()))?;
        must(&mut words(&format!("nsenter -t {} -m mount --bind {script} {own}", up.pid())))?;
        fs::write(&pipe, fs::read(&self.config)?)?;
        let up = self.ready(up)?;
        let said = up.output();
        ensure!(fs::exists(&killed)? && said.contains("(signal: 9 (SIGKILL)), 1 of"), "{said}");
        Ok(up)
    }

    /// The same, with a spool of a quarter of a megabyte, which goes with the process.
    pub(super) fn up_with_little_room(&self) -> Result<Peer> {
        let script = "mount -t tmpfs -o size=256k tmpfs \"$1\" && exec \"$2\" up --config \"$3\"";
        let mut command = self.line.server("sh -c");
        command.args([script, "sh", &self.spool(), &self.world.whyslow_path(), &self.config]);
        self.ready(Peer::start("up", self.world.dir(), &mut command)?)
    }

    fn ready(&self, mut up: Peer) -> Result<Peer> {
        let sees = format!("whyslow_wire_sees{{interface=\"{}\"}} 1", Line::INTERFACE);
        up.until(|| Ok(self.metrics().is_ok_and(|text| text.contains(&sees))))?;
        Ok(up)
    }

    /// Takes the room that is left; gives the file to remove.
    pub(super) fn fill(&self, up: &Peer) -> Result<String> {
        let filler = format!("/proc/{}/root{}/filler", up.pid(), self.spool());
        let output =
            Command::new("dd").args(["if=/dev/zero", "bs=1k", &format!("of={filler}")]).output()?;
        ensure!(!output.status.success(), "the little spool did not fill up");
        Ok(filler)
    }

    /// One handshake in which the server thinks.
    pub(super) fn slow(&self) -> Result<()> {
        let manner = Manner { server_think: THINK, ..Manner::PROMPT };
        let address = format!("{}:{TLS}", Line::SERVER);
        let (here, there) = (self.papers.clone(), address.clone());
        let server = joined(self.line.in_server(move || Server::new(manner, &here, &there)))?;
        let answering = std::thread::spawn(move || server.answer());
        let papers = self.papers.clone();
        joined(self.line.in_client(move || ask(manner, &papers, &address)))?;
        joined(answering)?;
        Ok(())
    }

    /// One request of the client to a port.
    pub(super) fn fetch(&self, port: u16) -> Result<()> {
        let url = format!("https://{}:{port}/", Line::SERVER);
        must(&mut self.line.client(&format!("curl -sSk --max-time 10 -o /dev/null {url}")))
            .map(drop)
    }

    /// A connection of many packets.
    pub(super) fn fetch_big(&self) -> Result<()> {
        let url = format!("https://{}:{WEB}/big", Line::SERVER);
        must(&mut self.line.client(&format!("curl -sSk --max-time 20 -o /dev/null {url}")))
            .map(drop)
    }

    /// Asks for all the client's packets, without waiting for the answer.
    pub(super) fn keep_all(&self) -> JoinHandle<Result<()>> {
        let body = format!("{{\"client\":\"{}\",\"seconds_back\":60}}", Line::CLIENT);
        let mut command = self.asking("/api/v1/wire/keep", Some(&body));
        std::thread::spawn(move || must(&mut command).map(drop))
    }

    /// How many handshakes the windows count.
    pub(super) fn handshakes(&self) -> Result<u64> {
        let said = self.json("/api/v1/wire/windows")?;
        let rows = said["rows"].as_array().with_context(|| said.to_string())?;
        let all = rows.iter().find(|row| row["kind"] == "all");
        Ok(all.and_then(|row| row["handshakes"].as_u64()).unwrap_or(0))
    }

    /// Sets the interface under the recorder `up` or `down`. What was known of the neighbour goes
    /// with it.
    pub(super) fn interface(&self, to: &str) -> Result<()> {
        let device = Line::INTERFACE;
        must(&mut self.line.server(&format!("ip link set {device} {to}")))?;
        if to == "up" {
            let neighbour = format!("{} lladdr 02:00:00:00:00:01", Line::CLIENT);
            let line = format!("ip neigh replace {neighbour} dev {device} nud permanent");
            must(&mut self.line.server(&line))?;
        }
        Ok(())
    }

    pub(super) fn spool(&self) -> String {
        self.world.path("data/wire")
    }

    /// Files of evidence that are whole, as anybody sees them.
    pub(super) fn files(&self) -> Result<Vec<String>> {
        let names = names(&self.spool())?;
        Ok(names.into_iter().filter(|name| !name.contains("/.")).collect())
    }

    /// The same in the little spool of a recorder.
    pub(super) fn files_of(&self, up: &Peer) -> Result<Vec<String>> {
        let names = names(&format!("/proc/{}/root{}", up.pid(), self.spool()))?;
        Ok(names.into_iter().filter(|name| name.ends_with(".pcapng")).collect())
    }

    /// Files that are not whole.
    pub(super) fn left_over(&self) -> Result<Vec<String>> {
        let names = names(&self.spool())?;
        Ok(names.into_iter().filter(|name| name.ends_with(".part")).collect())
    }

    pub(super) fn metrics(&self) -> Result<String> {
        self.curl("/metrics", None)
    }

    pub(super) fn json(&self, path: &str) -> Result<Value> {
        let said = self.curl(path, None)?;
        serde_json::from_str(&said).with_context(|| format!("{path}: {said}"))
    }

    /// Asks the process under test from beside it.
    pub(super) fn curl(&self, path: &str, body: Option<&str>) -> Result<String> {
        must(&mut self.asking(path, body))
    }

    fn asking(&self, path: &str, body: Option<&str>) -> Command {
        let mut command = self.line.server("curl -sS --max-time 10");
        if let Some(body) = body {
            command.args(["-H", "content-type: application/json", "-d", body]);
        }
        command.arg(format!("http://127.0.0.1:{API}{path}"));
        command
    }
}

/// The paths of a directory's files, in order; none where it is not there yet.
fn names(dir: &str) -> Result<Vec<String>> {
    let Ok(entries) = fs::read_dir(dir) else { return Ok(Vec::new()) };
    let paths: std::io::Result<Vec<_>> = entries.map(|entry| Ok(entry?.path())).collect();
    let mut paths: Vec<String> = paths?.iter().map(|path| path.display().to_string()).collect();
    paths.sort();
    Ok(paths)
}
