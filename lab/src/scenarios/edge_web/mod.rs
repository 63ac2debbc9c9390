//! Real Apache and Caddy in front of an application: what their logs say is what the clients saw.

mod clients;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::edge_nginx::app::App;
use crate::peer::{Peer, free_port, loopback};
use crate::scenario::{Need, Scenario};
use crate::world::{World, must, words};
use clients::Seen;

const APACHE: &str = "/usr/sbin/apache2";
const CADDY: &str = "/usr/bin/caddy";

/// Apache's logs.
pub const APACHES: Scenario = Scenario {
    name: "edge-apache",
    proves: "a real Apache's logs, stock and with times, say what its clients saw",
    needs: &[Need::Program(APACHE), Need::Program("/usr/bin/python3")],
    run: apache,
};

/// Caddy's logs.
pub const CADDYS: Scenario = Scenario {
    name: "edge-caddy",
    proves: "a real Caddy's log says what its clients saw",
    needs: &[Need::Program(CADDY), Need::Program("/usr/bin/python3")],
    run: caddy,
};

/// Apache's log formats: file, string, and the seconds that its last field counts in; `auto` where
/// no string is given.
const FORMATS: [(&str, &str, Option<f64>); 6] = [
    ("common", "%h %l %u %t \"%r\" %>s %b", None),
    ("combined", "%h %l %u %t \"%r\" %>s %O \"%{Referer}i\" \"%{User-Agent}i\"", None),
    ("vhost", "%v:%p %h %l %u %t \"%r\" %>s %O \"%{Referer}i\" \"%{User-Agent}i\"", None),
    ("micros", "%h %l %u %t \"%r\" %>s %O \"%{Referer}i\" \"%{User-Agent}i\" %D", Some(1e-6)),
    ("millis", "%h %l %u %t \"%r\" %>s %O \"%{User-Agent}i\" %{ms}T", Some(1e-3)),
    ("phases", "%v %a %{msec}t \"%r\" %>s %B %I %O \"%{User-Agent}i\" %X %^FB %D", Some(1e-6)),
];

fn apache(world: &World) -> Result<()> {
    let app = App::start()?;
    let (v4, v6) = addresses()?;
    let root = world.dir().display();
    let config = world.write("httpd.conf", &apache_config(world, &app, v4))?;
    // The log is opened before it gives up being root.
    let mut command = words(&format!("{APACHE} -X -f {config} -d {root}"));
    let peer = Peer::start("apache", world.dir(), &mut command)?.until_listening(v4)?;
    let junk: [&[u8]; 4] = [
        b"junk\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
        b"GET /half HTTP/1.1\r\nHost: shop",
        b"GET /no-host HTTP/1.1\r\n\r\n",
    ];
    let seen = clients::play(v4, v6, &junk)?;
    for (name, string, unit) in FORMATS {
        let log = world.path(&format!("{name}.log"));
        lines(&peer, &log, seen.all())?;
        let format = if unit.is_some() { string } else { "auto" };
        let report = report(world, &log, format)?;
        agrees(&report, &seen, unit.is_some()).with_context(|| format!("{name}: {report:#}"))?;
        if let Some(unit) = unit {
            let told = total(&report)?;
            let counted = last_fields(&log, unit * 1000.0)?;
            ensure!((told - counted).abs() < 0.5, "{name}: {told} ms, counted {counted} ms");
        }
        println!("  {name}: {} requests by code as their clients counted", seen.all());
    }
    let phases = report(world, &world.path("phases.log"), FORMATS[5].1)?;
    left(&phases, &seen)
}

fn apache_config(world: &World, app: &App, v4: SocketAddr) -> String {
    let (root, port) = (world.dir().display(), v4.port());
    let module =
        |name: &str| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n");
    let logs = FORMATS.map(|(name, string, _)| {
        let string = string.replace('"', "\\\"");
        format!("CustomLog {root}/{name}.log \"{string}\"\n")
    });
    let modules = ["mpm_event", "authz_core", "alias", "proxy", "proxy_http"].map(module);
    format!(
        "PidFile {root}/httpd.pid\nErrorLog {root}/error.log\nServerName shop.lab\n\
         Listen {v4}\nListen [::1]:{port}\n{}User www-data\nGroup www-data\n\
         Timeout 2\nLogIOTrackTTFB On\n{}\
         Redirect 404 /missing\nRedirect 500 /broken\nProxyPass /missing !\n\
         ProxyPass /broken !\nProxyPass / http://{}/ disablereuse=On\n",
        modules.concat(),
        logs.concat(),
        app.at
    )
}

fn caddy(world: &World) -> Result<()> {
    let app = App::start()?;
    let (v4, v6) = addresses()?;
    let (log, port) = (world.path("access.log"), v4.port());
    let config = world.write(
        "Caddyfile",
        &format!(
            "{{\n admin off\n auto_https off\n}}\nhttp://:{port} {{\n\
             bind 127.0.0.1 ::1\n log {{\n output file {log}\n }}\n\
             respond /missing/* 404\n respond /broken/* 500\n reverse_proxy {}\n}}\n",
            app.at
        ),
    )?;
    let mut command = Command::new(CADDY);
    command.args(["run", "--config", &config, "--adapter", "caddyfile"]);
    command.env("HOME", world.dir()).env("XDG_DATA_HOME", world.dir());
    let peer = Peer::start("caddy", world.dir(), &mut command)?.until_listening(v4)?;
    let seen = clients::play(v4, v6, &[])?;
    lines(&peer, &log, seen.all())?;
    for format in ["auto", "caddy"] {
        let report = report(world, &log, format)?;
        agrees(&report, &seen, true).with_context(|| format!("{report:#}"))?;
        let counted: f64 = python(
            "import json,sys\nprint(sum(json.loads(l)['duration'] for l in open(sys.argv[1], \
             'rb'))*1000)",
            &log,
        )?;
        let told = total(&report)?;
        ensure!((told - counted).abs() < 0.5, "{told} ms, counted {counted} ms");
    }
    println!("  {} requests by code as their clients counted", seen.all());
    Ok(())
}

/// The same port of 127.0.0.1 and ::1.
fn addresses() -> Result<(SocketAddr, SocketAddr)> {
    let v4 = loopback(free_port()?);
    Ok((v4, SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, v4.port()))))
}

/// Waits until a log has a line for each request, and no more.
fn lines(peer: &Peer, log: &str, wanted: u64) -> Result<()> {
    let began = std::time::Instant::now();
    loop {
        let bytes = std::fs::read(log).unwrap_or_default();
        let n = bytes.iter().filter(|b| **b == b'\n').count() as u64;
        if n == wanted {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&bytes);
        let late = began.elapsed() > crate::peer::START_MAX;
        ensure!(n < wanted && !late, "{n} lines of {wanted}: {text}\n{}", peer.output());
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

fn report(world: &World, log: &str, format: &str) -> Result<Value> {
    let mut command = world.whyslow();
    command.args(["edge", "--json", "--by", "code", "--by", "client_prefix", "--format", format]);
    Ok(serde_json::from_str(&must(command.arg(log))?)?)
}

/// The groups that tell one field apart, by its value.
fn groups<'a>(report: &'a Value, by: &str) -> BTreeMap<String, &'a Value> {
    let all = report["groups"].as_array().into_iter().flatten();
    let own = all.filter(|group| group["by"][0] == by);
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    own.map(|group| (text(&group["key"][by]), group)).collect()
}

/// Codes, addresses and times are what the clients saw.
fn agrees(report: &Value, seen: &Seen, timed: bool) -> Result<()> {
    ensure!(report["parsed"] == seen.all() && report["rejected"] == 0, "lines are rejected");
    let mut codes = BTreeMap::new();
    for (code, group) in groups(report, "code") {
        codes.insert(code.parse::<u16>()?, group["hits"].as_u64().unwrap_or(0));
    }
    let mut left = 0;
    for (code, n) in &codes {
        let more = n.checked_sub(seen.codes.get(code).copied().unwrap_or(0));
        left += more.with_context(|| format!("too few {code}: {codes:?} {seen:?}"))?;
    }
    ensure!(left == seen.left, "codes {codes:?}, clients {seen:?}");
    let by_v6: u64 = groups(report, "client_prefix")
        .iter()
        .filter(|(prefix, _)| prefix.starts_with("::"))
        .filter_map(|(_, group)| group["hits"].as_u64())
        .sum();
    ensure!(by_v6 == seen.by_v6, "{by_v6} by IPv6, sent {}", seen.by_v6);
    if timed {
        let (least, most) = clients::bounds_ms(seen);
        let told = total(report)?;
        ensure!((least..=most).contains(&told), "{told} ms, not in {least}..={most}");
    }
    Ok(())
}

/// Milliseconds of all requests together.
fn total(report: &Value) -> Result<f64> {
    let all = groups(report, "code");
    ensure!(all.values().all(|group| group["timed"] == group["hits"]), "some are not timed");
    Ok(all.values().filter_map(|group| group["latency_ms"]["total"].as_f64()).sum())
}

/// The last field of each line, summed and multiplied, by Python.
fn last_fields(log: &str, factor: f64) -> Result<f64> {
    let script = format!(
        "import sys\nprint(sum(int(l.split()[-1]) for l in open(sys.argv[1], 'rb'))*{factor})"
    );
    python(&script, log)
}

fn python(script: &str, log: &str) -> Result<f64> {
    let said = must(Command::new("/usr/bin/python3").args(["-c", script, log]))?;
    said.trim().parse().with_context(|| format!("no number: {said}"))
}

/// Clients that left are told by `%X`, and the wait for the first byte by `%^FB`.
fn left(report: &Value, seen: &Seen) -> Result<()> {
    let all = groups(report, "code");
    let sum = |field: &str| all.values().filter_map(|group| group[field].as_u64()).sum::<u64>();
    ensure!(sum("client_aborted") == seen.left, "{} left: {report:#}", seen.left);
    let wait = &all["200"]["phases_ms"]["wait"];
    ensure!(wait["kind"] == "mixed" && wait["p99"].as_f64() >= Some(295.0), "{wait}");
    Ok(())
}
