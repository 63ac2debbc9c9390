//! `whyslow demo` starts without root or internet, and each fault of its script shows where it
//! should and not where it should not.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::peer::{free_port, loopback};
use crate::scenario::{Need, Scenario};
use crate::up::Up;
use crate::world::World;

/// See the module.
pub const SCENARIO: Scenario = Scenario {
    name: "demo",
    proves: "each fault of the demo shows on the right path within its time, and on no other",
    needs: &[Need::Program("/usr/bin/curl")],
    run,
};

/// How much faster than in real life the script is played.
const PACE: &str = "3";
/// Marks of one round: the faults of [`EXPECTED`], and one that packets alone show.
const MARKS: usize = EXPECTED.len() + 1;
/// One round at that pace, and some room.
const ROUND_MAX: Duration = Duration::from_secs(120);

/// What one fault must look like. `hit` and `spared` say which runs do and do not show `sign`.
struct Expected {
    mark: &'static str,
    hit: fn(&Run) -> bool,
    spared: fn(&Run) -> bool,
    sign: fn(&Run) -> bool,
}

/// A run as the observations tell it.
struct Run {
    at: String,
    check: String,
    path: String,
    vantage: String,
    outcome: String,
    code: String,
    warned: bool,
    resolve_ms: f64,
    wait_ms: f64,
}

const EXPECTED: [Expected; 5] = [
    Expected {
        mark: "demo: web2 slows",
        hit: |r| r.check == "home" && r.path == "web2",
        spared: |r| r.check == "home" && r.path == "web1",
        sign: |r| r.outcome == "slow" && r.wait_ms > 400.0,
    },
    Expected {
        mark: "demo: the first resolver slows",
        hit: |r| r.check == "home" && r.path == "lb" && r.vantage == "demo-inside",
        spared: |r| r.check == "home" && r.path == "other-resolver",
        sign: |r| r.resolve_ms > 400.0,
    },
    Expected {
        mark: "demo: the balancer shows a certificate that ends within days",
        hit: |r| r.check == "certificate" && r.path == "lb",
        spared: |r| r.check == "certificate" && r.path == "web1",
        sign: |r| r.warned,
    },
    Expected {
        mark: "demo: web1 refuses connections",
        hit: |r| r.check == "port" && r.path == "web1",
        spared: |r| r.check == "port" && r.path == "web2",
        sign: |r| r.code == "connect_refused",
    },
    Expected {
        mark: "demo: the network Northline slows",
        hit: |r| r.vantage == "demo-northline",
        spared: |r| r.vantage == "demo-rheinkabel",
        sign: |r| r.outcome == "slow",
    },
];

fn run(world: &World) -> Result<()> {
    let address = loopback(free_port()?);
    let mut command = world.whyslow();
    command.env("TMPDIR", world.dir());
    command.args(["demo", "--pace", PACE, "--listen", &address.to_string()]);
    let mut up = Up::run(world, address, &mut command)?;
    // The second round's first mark says that the first round is over.
    let marks = up.wait("all faults of a round", ROUND_MAX, || {
        let marks = marks(&up)?;
        Ok((marks.len() > MARKS).then_some(marks))
    })?;
    let runs = runs(&up)?;
    for (n, expected) in EXPECTED.iter().enumerate() {
        let (from, text) = &marks[n];
        let (to, _) = &marks[n + 1];
        ensure!(text.contains(expected.mark), "expected '{}', found '{text}'", expected.mark);
        // A fault may still show in a run begun just before the next one's mark, never before its own.
        let within: Vec<&Run> = runs.iter().filter(|r| *from <= r.at && r.at < *to).collect();
        let show = |which: fn(&Run) -> bool| {
            let those = within.iter().filter(|r| which(r));
            let shown = those.clone().filter(|r| (expected.sign)(r)).count();
            (shown, those.count())
        };
        let ((hit, of), (stray, spared)) = (show(expected.hit), show(expected.spared));
        ensure!(hit >= 2, "{}: {hit} of {of} runs show it", expected.mark);
        ensure!(spared >= 2 && stray == 0, "{}: {stray} of {spared} strays", expected.mark);
    }
    edge(&up)?;
    wire(&up)?;
    let page = up.get("/")?;
    ensure!(
        page.status == 200 && page.body.contains("Demo: a sample shop"),
        "the page does not say demo"
    );
    up.peer.signal("INT")?;
    ensure!(up.peer.ended(Duration::from_secs(20))? == Some(0), "{}", up.peer.output());
    let left: Vec<_> = std::fs::read_dir(world.dir())?.flatten().map(|e| e.file_name()).collect();
    ensure!(left.len() == 1, "it left files behind: {left:?}");
    Ok(())
}

/// The packets tell that the clients of one network stalled, by themselves, and of nothing else.
fn wire(up: &Up) -> Result<()> {
    let of = |asn: &str| {
        let found =
            up.json(&format!("/api/v1/wire/handshakes?tap=replayed&asn={asn}&blame=client"))?;
        Ok::<_, anyhow::Error>(found["handshakes"].as_array().map_or(0, Vec::len))
    };
    let (stalled, fine) = (of("64503")?, of("64501")?);
    ensure!(
        stalled >= 20 && fine == 0,
        "{stalled} handshakes stalled, and {fine} of another network"
    );
    let page = up.get("/wire?r=15m")?;
    ensure!(
        page.status == 200 && page.body.contains("AS64503"),
        "the wire page does not tell of the network: {}",
        page.status
    );
    Ok(())
}

/// The balancer's log tells of both backends, every line of it, and that only web2 was slow.
fn edge(up: &Up) -> Result<()> {
    let found = up.json("/api/v1/edge?by=server&r=15m")?;
    let groups = found["groups"].as_array().context("no groups")?;
    let of = |server: &str| {
        let group = groups.iter().find(|g| g["key"]["server"] == server);
        group.with_context(|| format!("no {server} in {found:#}"))
    };
    for (server, slow) in [("web1", false), ("web2", true)] {
        let group = of(server)?;
        let hits = group["hits"].as_u64().unwrap_or(0);
        ensure!(hits > 100, "{hits} requests of {server} in the log");
        let p99 = group["server_ms"]["p99"].as_f64().unwrap_or(0.0);
        ensure!((p99 > 700.0) == slow, "{server} took {p99} ms (p99) by the log");
    }
    let sources = up.json("/api/v1/edge/sources")?;
    let lines = &sources["sources"][0]["lines"];
    ensure!(lines["parsed"].as_u64() > Some(200) && lines["rejected"] == 0, "{sources:#}");
    let page = up.get("/edge?r=15m")?;
    ensure!(page.status == 200 && page.body.contains("web2"), "the edge page: {}", page.status);
    Ok(())
}

/// Times and texts of the marks, oldest first.
fn marks(up: &Up) -> Result<Vec<(String, String)>> {
    let mut marks: Vec<_> = observations(up, "plane=mark")?
        .iter()
        .map(|o| (word(&o["at"]), word(&o["words"]["text"])))
        .collect();
    marks.sort();
    Ok(marks)
}

fn runs(up: &Up) -> Result<Vec<Run>> {
    let all = observations(up, "plane=probe")?;
    let run = |o: &Value| Run {
        at: word(&o["at"]),
        check: word(&o["cohort"]["check"]),
        path: word(&o["cohort"]["path"]),
        vantage: word(&o["cohort"]["vantage"]),
        outcome: word(&o["words"]["outcome"]),
        code: word(&o["words"]["code"]),
        warned: o["words"]["warning"].as_str().is_some_and(|w| w.contains("certificate")),
        resolve_ms: o["values"]["resolve_ms"].as_f64().unwrap_or_default(),
        wait_ms: o["values"]["wait_ms"].as_f64().unwrap_or_default(),
    };
    Ok(all.iter().map(run).collect())
}

/// All observations of one kind, page by page.
fn observations(up: &Up, filter: &str) -> Result<Vec<Value>> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = up.json(&format!("/api/v1/observations?{filter}&limit=1000{cursor}"))?;
        let data = page["data"].as_array().or(page["observations"].as_array());
        all.extend_from_slice(data.with_context(|| format!("no list in {page:#}"))?);
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(all),
        }
    }
}

fn word(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
