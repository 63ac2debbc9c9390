//! One request for each cause, and what its record must say (the table of nginx in the manual of
//! formats).

use anyhow::{Result, ensure};
use whyslow_edge::record::{EdgePhase, Mark, Record};
use whyslow_model::Segment;

use super::app::{App, BIG, SLOW, ask, send, upload};
use super::{Nginx, mostly};

pub(super) fn play(nginx: &Nginx, app: &App) -> Result<()> {
    servers(nginx)?;
    readers(nginx, app)?;
    attempts(nginx)?;
    ends(nginx, app)
}

/// What a slow phase takes at least: a busy nginx notices the beginning of a pause late.
fn slow_us() -> u64 {
    u64::try_from((SLOW / 2).as_micros()).unwrap_or(u64::MAX)
}

/// The server's waits, the client's upload, and an answer of nginx's own.
fn servers(nginx: &Nginx) -> Result<()> {
    ask(nginx.at, "/think")?.read()?;
    nginx.record("/think", |r| {
        sound(r)?;
        mostly(r, EdgePhase::Wait, Mark::Exact, slow_us())
    })?;
    ask(nginx.at, "/stall")?.read()?;
    nginx.record("/stall", |r| {
        sound(r)?;
        mostly(r, EdgePhase::Body, Mark::Exact, slow_us())
    })?;
    upload(nginx.at, "/posted")?.read()?;
    nginx.record("/posted", |r| {
        sound(r)?;
        mostly(r, EdgePhase::ClientOut, Mark::Mixed, slow_us())
    })?;
    ask(nginx.at, "/own")?.read()?;
    nginx.record("/own", |r| {
        ensure!(r.end.local && !r.timed() && r.server == b"<NOSRV>", "not nginx's own: {r:#?}");
        ensure!(EdgePhase::ALL.iter().all(|p| r.phases.of(*p).mark == Mark::Absent), "{r:#?}");
        Ok(())
    })
}

/// What every answered request of the format tells.
fn sound(r: &Record<'_>) -> Result<()> {
    ensure!(r.code == 200 && r.timed() && !r.end.local && r.end.blames.is_none(), "{r:#?}");
    ensure!(r.vip == b"shop.lab" && r.backend == b"app" && r.attempts.is_empty(), "{r:#?}");
    ensure!(r.client.is_some_and(|c| c.is_loopback()) && r.client_port > 0, "{r:#?}");
    ensure!(r.client_rtt_us.is_some() && r.request_id.len() == 32, "{r:#?}");
    Ok(())
}

/// A client that reads a large body late: nginx takes it all in first, unless told not to.
fn readers(nginx: &Nginx, app: &App) -> Result<()> {
    let asked = ask(nginx.at, "/big")?;
    let took = app.sent.recv()?;
    // Longer than the server by far, however slow this machine is.
    std::thread::sleep(SLOW + took * 2);
    ensure!(asked.read()? > BIG, "the body is short");
    nginx.record("/big", |r| {
        sound(r)?;
        mostly(r, EdgePhase::ClientOut, Mark::Mixed, slow_us())?;
        ensure!(r.phases.of(EdgePhase::Body).mark == Mark::Exact, "buffered: {r:#?}");
        Ok(())
    })?;
    for path in ["/unbuffered", "/unspooled"] {
        let asked = ask(nginx.at, path)?;
        std::thread::sleep(SLOW);
        ensure!(app.sent.try_recv().is_err(), "{path} was taken in without its reader");
        asked.read()?;
        app.sent.recv()?;
        nginx.record(path, |r| {
            sound(r)?;
            mostly(r, EdgePhase::Body, Mark::Mixed, slow_us())
        })?;
    }
    Ok(())
}

/// Servers tried in turn, and in different groups.
fn attempts(nginx: &Nginx) -> Result<()> {
    ask(nginx.at, "/retried")?.read()?;
    nginx.record("/retried", |r| {
        let [failed] = &r.attempts[..] else { anyhow::bail!("expected one failure: {r:#?}") };
        ensure!(failed.server == nginx.dead.to_string().as_bytes(), "{failed:?}");
        ensure!(failed.code == Some(502) && failed.micros.is_some(), "{failed:?}");
        ensure!(r.code == 200 && r.retries == 1 && r.redispatched, "{r:#?}");
        ensure!(r.phases.of(EdgePhase::Wait).mark == Mark::Exact, "{r:#?}");
        Ok(())
    })?;
    ask(nginx.at, "/elsewhere")?.read()?;
    nginx.record("/elsewhere", |r| {
        ensure!(r.code == 200 && r.attempts.is_empty() && r.retries == 0, "no retry: {r:#?}");
        Ok(())
    })
}

/// Who ended it.
fn ends(nginx: &Nginx, app: &App) -> Result<()> {
    ask(nginx.at, "/silent")?.read()?;
    nginx.record("/silent", |r| {
        ensure!(r.code == 504 && r.end.blames == Some(Segment::Backend), "{r:#?}");
        mostly(r, EdgePhase::Wait, Mark::Bound, slow_us())
    })?;
    let asked = ask(nginx.at, "/impatient")?;
    std::thread::sleep(SLOW);
    asked.leave();
    nginx.record("/impatient", |r| {
        ensure!(r.code == 499 && r.end.client_aborted, "{r:#?}");
        ensure!(r.phases.of(EdgePhase::Wait).mark == Mark::Bound, "{r:#?}");
        ensure!(r.phases.of(EdgePhase::Body).mark == Mark::Absent, "{r:#?}");
        Ok(())
    })?;
    let asked = ask(nginx.at, "/left")?;
    app.sent.recv()?;
    asked.leave();
    nginx.record("/left", |r| {
        ensure!(r.code == 200 && r.end.client_aborted, "an abort inside the body: {r:#?}");
        Ok(())
    })?;
    // No request at all: the line has no path to find it by, but must be read.
    send(nginx.at, "\u{1}\u{2}junk\r\n\r\n")?.read()?;
    nginx.every_line()
}
