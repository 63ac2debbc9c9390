//! Two namespaces: nginx, journald, a resolver and whyslow in the server's, curl in the client's,
//! where another nginx answers checks.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::certificates::{Authority, Valid};
use crate::journald::Journald;
use crate::namespace::Pair;
use crate::peer::Peer;
use crate::server::{NGINX, Unbound, until_bound};
use crate::world::{World, must};

/// Where nginx serves the client.
pub(super) const WEB: u16 = 8080;
/// Where the client's nginx answers checks.
pub(super) const CHECKED: u16 = 8081;
/// Where another nginx speaks TLS.
pub(super) const TLS: u16 = 8443;
/// What reverse DNS calls the client.
pub(super) const CLIENT_NAME: &str = "client-1.cable.lab";
/// How long anything may take to be seen.
const PATIENCE: Duration = Duration::from_secs(20);

const API: &str = "http://127.0.0.1:7070";
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Bytes of a page that takes more than a second to be sent at the rate of `/slow`.
const PAGE_LINES: usize = 600;

/// Everything that runs; all gone when dropped.
pub(super) struct Place<'w> {
    pub(super) world: &'w World,
    pub(super) up: Peer,
    pub(super) nginx: Peer,
    pub(super) secure: Peer,
    pub(super) journald: Journald,
    pair: Pair,
    _checked: Peer,
    _resolver: Unbound,
}

/// A slow request under way.
pub(super) struct Slow(Child);

impl Slow {
    pub(super) fn wait(mut self) -> Result<()> {
        let status = self.0.wait()?;
        ensure!(status.success(), "curl ended with {status}");
        Ok(())
    }
}

impl<'w> Place<'w> {
    pub(super) fn new(world: &'w World) -> Result<Self> {
        let pair = Pair::new()?;
        let page = "a page like many others\n".repeat(PAGE_LINES);
        world.write("page", &page)?;
        let log = "log_format timed '$remote_addr:$remote_port $server_addr:$server_port \
                   $request_time $msec \"$request\"';\n\
                   log_format plain '$remote_addr $request_time $msec';";
        let logs = format!(
            "access_log {} timed; access_log {} plain;",
            world.path("timed.log"),
            world.path("plain.log")
        );
        let here = |line: &str| pair.server(line);
        let nginx = nginx(world, (Pair::SERVER, WEB), log, &logs, &here)?;
        let there = |line: &str| pair.client(line);
        let checked = nginx_off(world, (Pair::CLIENT, CHECKED), "", &there)?;
        let authority = Authority::new(world, "authority")?;
        let leaf = authority.sign("leaf", &format!("IP:{}", Pair::SERVER), Valid::Days(30))?;
        let keys =
            format!("ssl_certificate {}; ssl_certificate_key {};", leaf.certificate, leaf.key);
        let secure = nginx_off(world, (Pair::SERVER, TLS), &keys, &here)?;
        let names = format!(
            " local-zone: \"10.in-addr.arpa.\" static\n \
             local-data: \"1.0.99.10.in-addr.arpa. 60 IN PTR {CLIENT_NAME}.\"\n"
        );
        let resolver = Unbound::start_inside(world, &names, &here)?;
        let resolv = world.write("resolv.conf", "nameserver 127.0.0.1\n")?;
        let mount = format!("mount --bind {resolv} /etc/resolv.conf;");
        let journald = Journald::start(world, &mount)?;
        let config = write_config(world, "")?;
        let line = format!("{} up --config {config}", world.whyslow_path());
        let mut command = journald.inside_with(&pair.server_file(), &line);
        let up = Peer::start("up", world.dir(), &mut command)?;
        let mut place = Self {
            world,
            up,
            nginx,
            secure,
            journald,
            pair,
            _checked: checked,
            _resolver: resolver,
        };
        place.until_ready()?;
        Ok(place)
    }

    /// Until the interface is recorded and all logs are followed: journalctl begins where the
    /// journal ends when it starts.
    fn until_ready(&mut self) -> Result<()> {
        let api = |pair: &Pair, path: &str| {
            must(pair.server("curl -sS --max-time 10").arg(format!("{API}{path}")))
        };
        let pair = &self.pair;
        self.up.until(|| {
            let metrics = api(pair, "/metrics");
            Ok(metrics.is_ok_and(|text| text.contains("whyslow_wire_sees{interface=\"w0\"} 1")))
        })?;
        for (name, tag) in [("journal", "lab-edge"), ("flood", "lab-flood")] {
            self.wait(&format!("{name} to be followed"), || {
                let line = format!("systemd-cat -t {tag} echo are you there");
                must(&mut self.journald.inside(&line))?;
                Ok((self.trigger(name)?["lines"]["other"] != 0).then_some(()))
            })?;
        }
        Ok(())
    }

    /// A request from this port of the client's.
    pub(super) fn curl_web(&self, port: u16, path: &str) -> Command {
        let url = format!("http://{}:{WEB}{path}", Pair::SERVER);
        self.pair.client(&format!("curl -sS --max-time 20 --local-port {port} -o /dev/null {url}"))
    }

    /// So many handshakes, one after the other, each a whole one.
    pub(super) fn curl_tls(&self, n: usize) -> Command {
        let url = format!("https://{}:{TLS}/fast?[1-{n}]", Pair::SERVER);
        let mut command = self.pair.client("curl -sSk --no-sessionid --max-time 20 -o /dev/null");
        command.args(["-H", "Connection: close", &url]);
        command
    }

    /// Whether something came to the nginx that speaks TLS, and is not read yet.
    pub(super) fn tls_waits(&self) -> Result<bool> {
        let told =
            must(&mut self.pair.server(&format!("ss -Htn state established sport = :{TLS}")))?;
        Ok(told.lines().any(|line| line.split_whitespace().next().is_some_and(|n| n != "0")))
    }

    /// A slow request from this port, not waited for.
    pub(super) fn begin_slow(&self, port: u16) -> Result<Slow> {
        let mut command = self.curl_web(port, "/slow");
        Ok(Slow(command.stdout(Stdio::null()).spawn().context("starting curl")?))
    }

    /// Has journald keep a line about the connection from this port, as a program writes it.
    pub(super) fn say(&self, tag: &str, port: u16) -> Result<()> {
        let text = format!("handshake of {}:{port} took 700 ms", Pair::CLIENT);
        let line = format!("logger --socket /run/systemd/journal/dev-log -t {tag} {text}");
        must(&mut self.journald.inside(&line)).map(drop)
    }

    /// Adds checks to the configuration, and lets it take effect.
    pub(super) fn begin_checks(&self) -> Result<()> {
        let url = format!("http://{}:{CHECKED}", Pair::CLIENT);
        let checks = format!(
            "services:\n  lab:\n    checks:\n      \
             - {{name: slow, kind: http, target: \"{url}/slow\", every: 10s, warn: 300ms, timeout: 5s}}\n      \
             - {{name: gone, kind: http, target: \"{url}/gone\", every: 10s, timeout: 5s}}\n"
        );
        write_config(self.world, &checks)?;
        self.up.signal("HUP")
    }

    /// What the API says.
    pub(super) fn api(&self, path: &str) -> Result<String> {
        must(self.pair.server("curl -sS --max-time 10").arg(format!("{API}{path}")))
    }

    pub(super) fn json(&self, path: &str) -> Result<Value> {
        let text = self.api(path)?;
        serde_json::from_str(&text).with_context(|| format!("{path}: {text}"))
    }

    /// How a trigger fares.
    pub(super) fn trigger(&self, name: &str) -> Result<Value> {
        let all = self.json("/api/v1/wire/triggers")?;
        let mut triggers = all["triggers"].as_array().into_iter().flatten();
        let found = triggers.find(|trigger| trigger["name"] == name).cloned();
        found.with_context(|| format!("no trigger {name} in {all:#}"))
    }

    /// The last match of a trigger, once there are `n` and its packets are kept.
    pub(super) fn kept(&self, name: &str, n: u64) -> Result<Value> {
        self.wait(&format!("match {n} of {name} to be kept"), || {
            let trigger = self.trigger(name)?;
            let matched = trigger["lines"]["matched"].as_u64().context("no count")?;
            ensure!(matched <= n, "a line counted twice: {trigger:#}");
            let last = matches(&trigger).next().cloned();
            let all_kept = matches(&trigger).all(|one| one["state"] == "kept");
            Ok(last.filter(|_| matched == n && all_kept))
        })
    }

    /// Files of a cause, oldest first.
    pub(super) fn evidence(&self, cause: &str) -> Result<Vec<String>> {
        let all = self.json("/api/v1/wire/evidence")?;
        let files = all["files"].as_array().into_iter().flatten();
        let named = files.filter(|file| file["cause"] == cause);
        Ok(named.filter_map(|file| file["name"].as_str().map(str::to_owned)).collect())
    }

    /// The documents of a check's runs, newest first.
    pub(super) fn runs_of(&self, check: &str) -> Result<Vec<Value>> {
        let listed = self.json(&format!("/api/v1/checks/lab:{check}:direct/runs"))?;
        let all = listed["data"].as_array().with_context(|| format!("{listed:#}"))?;
        let evidence = all.iter().filter_map(|one| one["evidence"][0]["ref"].as_str());
        let run = |id: &str| Ok(self.json(&format!("/api/v1/runs/{id}"))?["data"].clone());
        evidence.map(run).collect()
    }

    /// Waits until `look` finds something.
    pub(super) fn wait<T>(
        &self,
        what: &str,
        mut look: impl FnMut() -> Result<Option<T>>,
    ) -> Result<T> {
        let began = Instant::now();
        loop {
            if let Some(found) = look()? {
                return Ok(found);
            }
            if began.elapsed() > PATIENCE {
                let triggers = self.api("/api/v1/wire/triggers").unwrap_or_default();
                bail!("waited in vain for {what}:\n{triggers}\n{}", self.up.output());
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

/// What a trigger tells of its last matches, the newest first.
pub(super) fn matches(trigger: &Value) -> impl Iterator<Item = &Value> {
    trigger["matches"].as_array().into_iter().flatten()
}

fn write_config(world: &World, checks: &str) -> Result<String> {
    let (data, timed, plain) =
        (world.path("data"), world.path("timed.log"), world.path("plain.log"));
    let took = r"handshake of (?<client_ip>[0-9.]+):(?<client_port>\d+) took (?<duration_ms>\d+)";
    let text = format!(
        r#"data: {data}
listen: 127.0.0.1:7070
wire:
  - interface: w0
    ports: [{WEB}, {CHECKED}, {TLS}]
    ring: 16MiB
    slow: {{total: 0s, times_p99: 4}}
    keep: {{slow: 0s, times_p99: 0, unanswered: false, after: 300ms, rate: 5, quota: 64MiB}}
triggers:
  - name: exact
    input: "file:{timed}"
    regex: '^(?<client_ip>\S+):(?<client_port>\d+) (?<server_ip>\S+):(?<server_port>\d+) (?<duration_s>\S+) (?<ended>\S+)'
    slow: 500ms
    cause: slow_requests
    window: 2s
  - name: by_address
    input: "file:{plain}"
    regex: '^(?<client_ip>\S+) (?<duration_s>\S+) (?<ended>\S+)'
    slow: 500ms
    cause: by_address
    window: 1s
  - {{name: journal, input: "journald:", fields: {{SYSLOG_IDENTIFIER: lab-edge}}, regex: '{took}', cause: journal}}
  - {{name: flood, input: "journald:", fields: {{SYSLOG_IDENTIFIER: lab-flood}}, regex: '{took}', cause: flood}}
{checks}"#
    );
    world.write("whyslow.yaml", &text)
}

/// nginx in a namespace: `/fast` is short, `/slow` is sent slowly.
fn nginx(
    world: &World,
    (address, port): (&str, u16),
    formats: &str,
    logs: &str,
    inside: &dyn Fn(&str) -> Command,
) -> Result<Peer> {
    let root = world.dir().display();
    let ssl = if port == TLS { " ssl" } else { "" };
    let config = world.write(
        &format!("nginx-{port}.conf"),
        &format!(
            "daemon off; master_process off; pid {root}/nginx-{port}.pid; error_log stderr;\n\
             events {{ worker_connections 1024; }}\n\
             http {{ {formats} {logs} default_type text/plain; client_body_temp_path {root}/b;\n\
             proxy_temp_path {root}/p; fastcgi_temp_path {root}/f; uwsgi_temp_path {root}/u;\n\
             scgi_temp_path {root}/s;\n\
             server {{ listen {address}:{port}{ssl}; location /fast {{ return 200 \"here\\n\"; }}\n\
             location /slow {{ alias {root}/page; limit_rate 10k; }}\n\
             location / {{ return 404; }} }} }}\n"
        ),
    )?;
    let mut command = inside(&format!("{NGINX} -p {root} -e stderr -c {config}"));
    let mut peer = Peer::start(&format!("nginx-{port}"), world.dir(), &mut command)?;
    until_bound(&mut peer, port, inside)?;
    Ok(peer)
}

fn nginx_off(
    world: &World,
    at: (&str, u16),
    more: &str,
    inside: &dyn Fn(&str) -> Command,
) -> Result<Peer> {
    nginx(world, at, more, "access_log off;", inside)
}
