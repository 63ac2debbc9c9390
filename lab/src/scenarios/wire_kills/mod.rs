//! Whatever ends a recorder, or stands in its way, damages nothing and is admitted: an orderly
//! end, kill -9 amid a file of evidence, a killed child, an interface that goes and comes, and a
//! spool that fills.

mod place;

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::line::joined;
use crate::peer::Peer;
use crate::scenario::{Need, Scenario};
use crate::world::{World, must, words};
use place::{Place, WEB};

/// See the module.
pub const SCENARIO: Scenario = Scenario {
    name: "wire-kills",
    proves: "kill -9, SIGTERM, an interface that goes and comes and a full spool damage nothing \
             the wire keeps, double nothing, and are told as gaps",
    needs: &[
        Need::Root,
        Need::Program("/usr/sbin/ip"),
        Need::Program("/usr/sbin/ethtool"),
        Need::Program("/usr/sbin/nginx"),
        Need::Program("/usr/bin/openssl"),
        Need::Program("/usr/bin/curl"),
        Need::Program("/usr/bin/nsenter"),
    ],
    run,
};

/// How long something may take to be seen.
const SOON: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How often a recorder is killed at most until a file was half written.
const KILLS_MAX: u32 = 6;
/// For how long the interface is down.
const DOWN: Duration = Duration::from_secs(2);
/// `CAP_DAC_OVERRIDE` and `CAP_NET_BIND_SERVICE`.
const LEFT: &str = "0000000000000402";
const NO_NEW: &str = "NoNewPrivs:\t1\n";

fn run(world: &World) -> Result<()> {
    let place = Place::new(world)?;
    // SIGTERM.
    let mut up = place.up_without_its_first_child()?;
    for _ in 0..3 {
        place.fetch(WEB)?;
    }
    place.slow()?;
    ends_in_order(&place, &mut up)?;
    let kept = place.files()?.len();
    ensure!(kept == 1, "what waited when it was told to end is not written: {kept} files");

    let (counted, made) = killed_amid_a_file(&place)?;

    let mut up = place.up()?;
    let after = place.handshakes()?;
    ensure!((counted..=made).contains(&after), "{after} handshakes, {counted} to {made} were made");
    nothing_half_written(&place, &up)?;
    goes_and_comes(&place)?;
    ends_in_order(&place, &mut up)?;

    let mut up = place.up_with_little_room()?;
    let all = place.handshakes()?;
    ensure!(all == after + 2, "{all} handshakes are counted, not {after} and 2");
    gaps(&place)?;
    full_spool(&place, &up)?;
    ends_in_order(&place, &mut up)
}

/// It has no rights but the two that are documented, ends with 0, and leaves nothing half done.
fn ends_in_order(place: &Place<'_>, up: &mut Peer) -> Result<()> {
    let status = fs::read_to_string(format!("/proc/{}/status", up.pid()))?;
    for said in [format!("CapPrm:\t{LEFT}\n"), format!("CapEff:\t{LEFT}\n"), NO_NEW.to_owned()] {
        ensure!(status.contains(&said), "it does not say {said:?}: {status}");
    }
    up.signal("TERM")?;
    let code = up.ended(SOON)?;
    ensure!(code == Some(0), "it ended with {code:?}: {}", up.output());
    ensure!(place.left_over()?.is_empty(), "an orderly end left {:?}", place.left_over()?);
    Ok(())
}

/// Kills recorders until one leaves a file half written. Gives how many handshakes were kept
/// before, and how many there were in all.
fn killed_amid_a_file(place: &Place<'_>) -> Result<(u64, u64)> {
    let mut counted = 0;
    for n in 1..=KILLS_MAX {
        let up = place.up()?;
        if n == 1 {
            counted = place.handshakes()?;
            ensure!(counted == 4, "the process before kept {counted} handshakes of 4");
        }
        place.fetch(WEB)?;
        place.slow()?;
        is_kept(place, u64::from(n) + 1)?;
        place.fetch_big()?;
        let (before, asking) = (place.files()?, place.keep_all());
        let began = Instant::now();
        while place.left_over()?.is_empty() && began.elapsed() < SOON {
            thread::sleep(Duration::from_micros(200));
        }
        drop(up);
        // Nobody answers any more.
        let _ = joined(asking);
        let after = place.files()?;
        if !place.left_over()?.is_empty() {
            ensure!(after == before, "a file that is not whole is to be seen: {after:?}");
            return Ok((counted, 4 + 3 * u64::from(n)));
        }
    }
    anyhow::bail!("none of {KILLS_MAX} kills met a file that was being written")
}

/// The slow handshakes are in the store, each once, however often the process ended.
fn is_kept(place: &Place<'_>, n: u64) -> Result<()> {
    let path = "/api/v1/wire/handshakes?notable=1";
    let said = until(&format!("{n} slow handshakes"), || {
        let said = place.json(path)?;
        Ok((said["of"].as_u64() >= Some(n)).then_some(said))
    })?;
    let events = said["handshakes"].as_array().context("no handshakes")?;
    let mut ids: Vec<&str> = events.iter().filter_map(|e| e["id"].as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    ensure!(ids.len() as u64 == n && said["of"] == n, "{said:#}");
    Ok(())
}

/// What a kill left is gone, and said; what is whole is read.
fn nothing_half_written(place: &Place<'_>, up: &Peer) -> Result<()> {
    ensure!(place.left_over()?.is_empty(), "left over: {:?}", place.left_over()?);
    ensure!(up.output().contains("half written"), "nothing is said of it: {}", up.output());
    let listed = place.json("/api/v1/wire/evidence")?;
    let listed = listed["files"].as_array().context("no files")?.len();
    let files = place.files()?;
    ensure!(listed == files.len() && listed > 0, "{listed} of {} files are listed", files.len());
    for file in files {
        let read = must(place.world.whyslow().args(["wire", &file, "--json"]))?;
        let read: Value = serde_json::from_str(&read)?;
        ensure!(read["packets"].as_u64() > Some(0), "{file}: {read:#}");
    }
    Ok(())
}

/// While the interface is down that is said; up again, it is recorded by itself.
fn goes_and_comes(place: &Place<'_>) -> Result<()> {
    place.fetch(WEB)?;
    let problem =
        || -> Result<Value> { Ok(place.json("/api/v1/wire/taps")?["taps"][0]["problem"].clone()) };
    place.interface("down")?;
    let said = until("being told of the interface", || Ok(problem()?.as_str().map(str::to_owned)))?;
    ensure!(said.contains("down") && said.contains("hint: "), "{said}");
    ensure!(place.metrics()?.contains("whyslow_wire_sees{interface=\"w0\"} 0"), "it sees");
    thread::sleep(DOWN);
    place.interface("up")?;
    until("seeing again", || Ok(problem()?.is_null().then_some(())))?;
    place.fetch(WEB)?;
    let series = "whyslow_wire_unseen_seconds_total{interface=\"w0\",why=\"down\"} ";
    let metrics = place.metrics()?;
    let seconds = metrics.lines().find_map(|line| line.strip_prefix(series));
    let seconds: f64 = seconds.context("no such series")?.parse()?;
    ensure!((DOWN.as_secs_f64()..10.0).contains(&seconds), "{seconds} s");
    Ok(())
}

/// The time after the kill, and that without an interface, are observations; windows of which a
/// part was not seen are no calm ones.
fn gaps(place: &Place<'_>) -> Result<()> {
    let told = place.json("/api/v1/observations?plane=wire&limit=100")?;
    let reasons = told.to_string();
    for reason in ["nobody recorded", "the interface was down"] {
        ensure!(reasons.contains(reason), "no gap says {reason:?}: {told:#}");
    }
    let windows = place.json("/api/v1/wire/windows")?;
    ensure!(windows["blind_windows"].as_u64() > Some(0), "{windows:#}");
    ensure!(windows["unseen_of"].as_u64() > Some(0), "{windows:#}");
    Ok(())
}

/// With no room a file is refused and counted, and all else goes on; with room again it is kept.
fn full_spool(place: &Place<'_>, up: &Peer) -> Result<()> {
    let filler = place.fill(up)?;
    let known = place.json("/api/v1/wire/handshakes?notable=1")?["of"].as_u64().unwrap_or(0);
    place.slow()?;
    let refused =
        "whyslow_self_wire_evidence_not_kept_total{cause=\"slow_handshake\",reason=\"disk\"} 1";
    until("being refused", || Ok(place.metrics()?.contains(refused).then_some(())))?;
    is_kept(place, known + 1)?;
    let ready = place.curl("/readyz", None)?;
    ensure!(
        !ready.is_empty() && place.files_of(up)?.is_empty(),
        "{ready} {:?}",
        place.files_of(up)
    );
    fs::remove_file(filler)?;
    place.slow()?;
    until("a file again", || Ok((place.files_of(up)?.len() == 1).then_some(())))?;
    let dir = format!("/proc/{}/root{}", up.pid(), place.spool());
    let hidden = must(&mut words(&format!("find {dir} -name .*.part")))?;
    ensure!(hidden.is_empty(), "left over: {hidden}");
    Ok(())
}

/// Waits until `look` finds something.
fn until<T>(what: &str, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let began = Instant::now();
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        ensure!(began.elapsed() < SOON, "{what}: not within {SOON:?}");
        thread::sleep(LOOK_EVERY);
    }
}
