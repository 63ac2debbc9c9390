//! What a log or a check says went wrong leaves the packets of its connection behind, from before
//! it was said: nginx's access log is tailed through rotation and truncation, journald is followed
//! past the end of journalctl, and the client's name comes from reverse DNS.

mod kept;
mod place;
mod unusual;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::journald::{JOURNALCTL, JOURNALD};
use crate::namespace::Pair;
use crate::scenario::{Need, Scenario};
use crate::server::{NGINX, UNBOUND};
use crate::world::{World, must, words};
use kept::{Kept, is_one_connection};
use place::{CHECKED, CLIENT_NAME, Place, WEB};

/// See the module.
pub const SCENARIO: Scenario = Scenario {
    name: "wire-triggers",
    proves: "what a tailed access log, journald or a check says was slow leaves the packets of that \
             connection alone, each line once over rotation and a killed journalctl; a handshake is \
             slow by what is usual at its server",
    needs: &[
        Need::Root,
        Need::Program("/usr/sbin/ip"),
        Need::Program(NGINX),
        Need::Program(UNBOUND),
        Need::Program(JOURNALD),
        Need::Program(JOURNALCTL),
        Need::Program("/usr/bin/logger"),
        Need::Program("/usr/bin/systemd-cat"),
        Need::Program("/usr/bin/openssl"),
        Need::Program("/usr/bin/ss"),
        Need::Program("/usr/bin/curl"),
        Need::Program("/usr/bin/tshark"),
    ],
    run,
};

/// Incidents of one cause that are kept in a minute.
const RATE: usize = 5;
/// Lines of a flood.
const FLOOD: usize = 8;

fn run(world: &World) -> Result<()> {
    let mut place = Place::new(world)?;
    access_log(&place)?;
    rotation(&place)?;
    journal(&place)?;
    journalctl_killed(&place)?;
    flood(&place)?;
    unusual::unusual(&place)?;
    check(&mut place)
}

/// One slow request among quick ones: by both ends it is one connection, by its address it is any.
fn access_log(place: &Place) -> Result<()> {
    let slow = place.begin_slow(40_001)?;
    for port in [40_011, 40_012, 40_013] {
        must(&mut place.curl_web(port, "/fast"))?;
    }
    slow.wait()?;
    let exact = place.kept("exact", 1)?;
    ensure!(exact["exact"] == true && exact["candidates"] == 1, "{exact:#}");
    ensure!(exact["duration_ms"].as_f64().is_some_and(|ms| ms >= 500.0), "{exact:#}");
    let file = Kept::read(place, &exact)?;
    let ends = (format!("{}:40001", Pair::CLIENT), format!("{}:{WEB}", Pair::SERVER));
    is_one_connection(&file, (&ends.0, &ends.1), &exact)?;
    for said in [
        "slow_requests at ",
        "The line: 10.99.0.1:40001 10.99.0.2:8080 ",
        "\n1 connection matched what is known of it: client 10.99.0.1:40001, server 10.99.0.2:8080.",
    ] {
        ensure!(file.comment.contains(said), "{said:?} is not in {:?}", file.comment);
    }
    ensure!(file.names.contains(CLIENT_NAME), "{:?}", file.names);

    let address = place.kept("by_address", 1)?;
    ensure!(address["exact"] == false && address["candidates"] == 4, "{address:#}");
    let file = Kept::read(place, &address)?;
    ensure!(file.connections() == 4, "{:?}", file.rows);
    let said = "\n4 connections matched what is known of it: client 10.99.0.1.";
    ensure!(file.comment.contains(said), "{:?}", file.comment);
    let lines = &place.trigger("exact")?["lines"];
    ensure!(lines["faster"] == 3 && lines["odd"] == 0, "{lines:#}");
    Ok(())
}

/// The log is renamed and opened anew, then copied and truncated, then truncated without a copy:
/// each line counts once, and what may be lost is admitted.
fn rotation(place: &Place) -> Result<()> {
    let log = place.world.path("timed.log");
    fs::rename(&log, place.world.path("timed.log.1"))?;
    place.nginx.signal("USR1")?;
    place.wait("the log to be opened anew", || Ok(Path::new(&log).exists().then_some(())))?;
    place.begin_slow(40_002)?.wait()?;
    place.kept("exact", 2)?;

    fs::copy(&log, place.world.path("timed.log.2"))?;
    fs::OpenOptions::new().write(true).open(&log)?.set_len(0)?;
    place.begin_slow(40_003)?.wait()?;
    place.kept("exact", 3)?;
    ensure!(place.trigger("exact")?["gaps"] == 0, "{:#}", place.trigger("exact")?);

    fs::OpenOptions::new().write(true).open(&log)?.set_len(0)?;
    place.wait("the gap to be counted", || {
        Ok((place.trigger("exact")?["gaps"] == 1).then_some(()))
    })?;
    place.begin_slow(40_004)?.wait()?;
    place.kept("exact", 4)?;
    let trigger = place.trigger("exact")?;
    let ports: Vec<&str> =
        place::matches(&trigger).filter_map(|one| one["client"].as_str()).collect();
    let all = [40_004, 40_003, 40_002, 40_001].map(|port| format!("{}:{port}", Pair::CLIENT));
    ensure!(ports == all, "{trigger:#}");
    Ok(())
}

/// A line of a program, as journald keeps it, with a byte in it that a terminal would obey.
fn journal(place: &Place) -> Result<()> {
    must(&mut place.curl_web(40_021, "/fast"))?;
    let text = format!("handshake of {}:40021 took 700 ms \u{1b}[2J", Pair::CLIENT);
    must(place.journald.inside("systemd-cat -t lab-edge echo").arg(&text))?;
    let kept = place.kept("journal", 1)?;
    ensure!(kept["exact"] == false && kept["candidates"] == 1, "{kept:#}");
    let line = kept["line"].as_str().context("no line")?;
    ensure!(line.ends_with("took 700 ms \\u{1b}[2J"), "{line:?}");
    let file = Kept::read(place, &kept)?;
    let ends = (format!("{}:40021", Pair::CLIENT), format!("{}:{WEB}", Pair::SERVER));
    is_one_connection(&file, (&ends.0, &ends.1), &kept)?;
    ensure!(file.comment.contains("when the journal received the line"), "{:?}", file.comment);
    Ok(())
}

/// journalctl is killed, lines come while it is down, and the journal is rotated: each counts once.
fn journalctl_killed(place: &Place) -> Result<()> {
    let children = format!("pgrep -f -P {} lab-edge", place.up.pid());
    let child = must(&mut words(&children))?;
    must(&mut words(&format!("kill -KILL {}", child.trim())))?;
    place.wait("the end of journalctl to be told", || {
        let problem = place.trigger("journal")?["problem"].clone();
        Ok(problem.as_str().is_some_and(|told| told.contains("journalctl ended")).then_some(()))
    })?;
    for port in [40_022, 40_023] {
        must(&mut place.curl_web(port, "/fast"))?;
        place.say("lab-edge", port)?;
    }
    place.kept("journal", 3)?;
    place.journald.peer.signal("USR2")?;
    must(&mut place.curl_web(40_024, "/fast"))?;
    place.say("lab-edge", 40_024)?;
    place.kept("journal", 4)?;
    // What journald says when it throws messages away.
    let id = "MESSAGE_ID=a596d6fe7bfa4994828e72309e95d61e";
    let dropped = format!("{id}\nN_DROPPED=41\nMESSAGE=Suppressed 41 messages from lb.service\n");
    let file = place.world.write("dropped", &dropped)?;
    must(&mut place.journald.inside(&format!("logger --journald={file}")))?;
    place.wait("what was thrown away to be counted", || {
        Ok((place.trigger("journal")?["dropped"] == 41).then_some(()))
    })?;
    let trigger = place.trigger("journal")?;
    let told: Vec<&str> =
        place::matches(&trigger).filter_map(|one| one["client"].as_str()).collect();
    let all = [40_024, 40_023, 40_022, 40_021].map(|port| format!("{}:{port}", Pair::CLIENT));
    ensure!(told == all && trigger["gaps"] == 1 && trigger["problem"].is_null(), "{trigger:#}");
    Ok(())
}

/// More of one cause than may be: the others are counted, and no other cause has less room.
fn flood(place: &Place) -> Result<()> {
    must(&mut place.curl_web(40_031, "/fast"))?;
    (0..FLOOD).try_for_each(|_| place.say("lab-flood", 40_031))?;
    let kept = |metrics: &str, what: &str, n: usize| {
        metrics.lines().any(|line| line == format!("{what} {n}"))
    };
    place.wait("the flood to be counted", || {
        let metrics = place.api("/metrics")?;
        let is = kept(&metrics, "whyslow_self_wire_evidence_kept_total{cause=\"flood\"}", RATE)
            && kept(
                &metrics,
                "whyslow_self_wire_evidence_not_kept_total{cause=\"flood\",reason=\"rate\"}",
                FLOOD - RATE,
            );
        Ok(is.then_some(()))
    })?;
    let trigger = place.trigger("flood")?;
    let left = place::matches(&trigger).filter(|one| one["reason"] == "rate").count();
    ensure!(left == FLOOD - RATE, "{trigger:#}");
    Ok(())
}

/// A check that is slow and one that fails keep their own connections; the triggers went on over
/// the new configuration.
fn check(place: &mut Place) -> Result<()> {
    place.begin_checks()?;
    for (name, path, told) in [("slow", "/slow", "it was slow"), ("gone", "/gone", "404")] {
        let file = place.wait(&format!("evidence of check {name}"), || {
            let files = place.evidence("check")?;
            let all = files.iter().map(|file| Kept::open(place, file));
            let all = all.collect::<Result<Vec<Kept>>>()?;
            let said = format!("check {name} of lab by direct");
            Ok(all.into_iter().find(|kept| kept.comment.contains(&said)))
        })?;
        let local = file.rows.first().map(|row| row.from.clone()).context("no packet")?;
        ensure!(local.starts_with(&format!("{}:", Pair::SERVER)), "{path}: {:?}", file.rows);
        ensure!(file.connections() == 1 && file.rows[0].syn, "{path}: {:?}", file.rows);
        let to = format!("{}:{CHECKED}", Pair::CLIENT);
        ensure!(file.rows[0].to == to, "{path}: {:?}", file.rows);
        ensure!(file.comment.contains(told), "{:?}", file.comment);
        let runs = place.runs_of(name)?;
        let is_its_own = runs.iter().any(|run| run["exchanges"][0]["local"] == local.as_str());
        ensure!(is_its_own, "{local} is no run's of {name}: {runs:#?}");
    }
    let since = |trigger: &Value| trigger["lines"]["matched"].as_u64();
    ensure!(since(&place.trigger("exact")?) == Some(4), "the trigger began anew");
    Ok(())
}
