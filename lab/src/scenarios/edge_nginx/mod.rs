//! Real nginx and HAProxy with the recommended log formats: each cause injected is found in the
//! phase, or is said to be mixed, as the balancer's own times allow.

pub(super) mod app;
mod balancer;
mod causes;

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use whyslow_edge::compiled::{Compiled, compile};
use whyslow_edge::format::{Context, Parse, Scratch};
use whyslow_edge::record::{EdgePhase, Mark, Record, Span};
use whyslow_model::Wall;

use crate::peer::{Peer, START_MAX, free_port, loopback};
use crate::scenario::{Need, Scenario};
use crate::server::{HAPROXY, NGINX};
use crate::world::{World, must, words};
use app::App;

/// See the module.
pub const SCENARIO: Scenario = Scenario {
    name: "edge-nginx",
    proves: "nginx's and HAProxy's recommended formats: each cause in its phase, attempts, aborts",
    needs: &[Need::Program(NGINX), Need::Program(HAPROXY)],
    run,
};

fn run(world: &World) -> Result<()> {
    let app = App::start()?;
    let nginx = Nginx::start(world, &app)?;
    causes::play(&nginx, &app)?;
    balancer::play(world, &app)
}

/// nginx in front of the application, logging as `examples/nginx-log.conf` has it.
#[derive(Debug)]
struct Nginx {
    at: SocketAddr,
    /// A port at which nothing listens.
    dead: SocketAddr,
    log: String,
    compiled: Compiled,
    _peer: Peer,
}

impl Nginx {
    fn start(world: &World, app: &App) -> Result<Self> {
        let (at, dead) = (loopback(free_port()?), loopback(free_port()?));
        let (root, log) = (world.dir().display(), world.path("access.log"));
        let example = example("nginx-log.conf")?;
        let included = example.replace("/var/log/nginx/whyslow.log", &log);
        ensure!(included != example, "the example logs elsewhere");
        let included = world.write("nginx-log.conf", &included)?;
        let config = world.write(
            "nginx.conf",
            &format!(
                "daemon off; master_process off; pid {root}/nginx.pid; error_log stderr;\n\
                 events {{ worker_connections 256; }}\nhttp {{\ninclude {included};\n\
                 client_body_temp_path {root}/b; proxy_temp_path {root}/p;\n\
                 fastcgi_temp_path {root}/f; uwsgi_temp_path {root}/u; scgi_temp_path {root}/s;\n\
                 upstream app {{ server {app}; }}\n\
                 upstream pair {{ server {dead} max_fails=0; server {app} backup; }}\n\
                 server {{ listen {at}; server_name shop.lab;\n{LOCATIONS}}} }}\n",
                app = app.at,
            ),
        )?;
        must(&mut words(&format!("{NGINX} -t -p {root} -e stderr -c {config}")))?;
        let mut command = words(&format!("{NGINX} -p {root} -e stderr -c {config}"));
        let peer = Peer::start("nginx", world.dir(), &mut command)?.until_listening(at)?;
        let start = example.find("\nlog_format").context("no log_format in the example")?;
        let end = example[start..].find(';').context("no end of log_format")?;
        let compiled = compile(&example[start..=start + end])?;
        Ok(Self { at, dead, log, compiled, _peer: peer })
    }

    /// The record of the one request for `path`, once it is logged.
    fn record<T>(&self, path: &str, look: impl FnOnce(&Record<'_>) -> Result<T>) -> Result<T> {
        let line = self.line(&format!(" {path} HTTP/1.1\""))?;
        self.read(&line, look)
    }

    /// Waits for a line that holds `text`.
    fn line(&self, text: &str) -> Result<String> {
        let began = Instant::now();
        loop {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            let whole = log.rfind('\n').map_or("", |end| &log[..end]);
            if let Some(line) = whole.lines().find(|l| l.contains(text)) {
                return Ok(line.to_owned());
            }
            ensure!(began.elapsed() < START_MAX, "no line with '{text}' in:\n{log}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn read<T>(&self, line: &str, look: impl FnOnce(&Record<'_>) -> Result<T>) -> Result<T> {
        let mut scratch = Scratch::default();
        let record = self.compiled.parse(line.as_bytes(), &CONTEXT, &mut scratch);
        let record = record.with_context(|| format!("reading {line}"))?;
        look(&record).with_context(|| format!("of the line {line}"))
    }

    /// All lines are read, that of the request that was none too.
    fn every_line(&self) -> Result<()> {
        let junk = self.line("junk")?;
        self.read(&junk, |r| {
            ensure!(r.code == 400 && r.path == b"<BADREQ>" && r.end.local, "{r:#?}");
            Ok(())
        })?;
        let log = std::fs::read_to_string(&self.log)?;
        log.lines().try_for_each(|line| self.read(line, |_| Ok(())))
    }
}

const CONTEXT: Context = Context { near: Wall::from_nanos(0), zone_s: 0 };

const LOCATIONS: &str = "\
     location / { proxy_pass http://app; }\n\
     location = /unbuffered { proxy_buffering off; proxy_pass http://app/big; }\n\
     location = /unspooled { proxy_max_temp_file_size 0; proxy_pass http://app/big; }\n\
     location = /left { proxy_pass http://app/big; }\n\
     location = /retried { proxy_pass http://pair/quick; }\n\
     location = /silent { proxy_read_timeout 300ms; proxy_pass http://app/hang; }\n\
     location = /impatient { proxy_pass http://app/hang; }\n\
     location = /other { proxy_pass http://app/quick; }\n\
     location = /own { return 200 own; }\n";

/// A file of the repository's examples.
fn example(name: &str) -> Result<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name);
    std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))
}

/// Demands that this phase, so marked, took at least that long and more than every other one.
fn mostly(record: &Record<'_>, phase: EdgePhase, mark: Mark, at_least_us: u64) -> Result<()> {
    let spans = EdgePhase::ALL.map(|p| (p, record.phases.of(p)));
    let of = |p| record.phases.of(p);
    let longest = |(p, span): &(EdgePhase, Span)| *p == phase || span.micros < of(phase).micros;
    ensure!(
        of(phase).mark == mark && of(phase).micros >= at_least_us && spans.iter().all(longest),
        "expected {} {mark:?} of {at_least_us} µs and more: {record:#?}",
        phase.as_str()
    );
    Ok(())
}
