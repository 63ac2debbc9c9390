//! What is slow by its server's own measure alone: nginx answers hundreds of handshakes as fast as
//! it can, and one late.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::place::{Place, TLS};
use crate::namespace::Pair;
use crate::world::must;

/// Handshakes that tell what is usual: 200 are needed.
const USUAL: usize = 240;
/// For how long nginx does not run with a `ClientHello` before it.
const LATE: Duration = Duration::from_millis(600);
/// Of a hundred usual ones so many may be slow, on a machine that others use too.
const BUSY: usize = 10;

/// Nothing is slow here as a whole, by the configuration: only what is four times the usual.
pub(super) fn unusual(place: &Place) -> Result<()> {
    must(&mut place.curl_tls(USUAL))?;
    let server = format!("{}:{TLS}", Pair::SERVER);
    place.wait("the usual handshakes to be counted", || {
        let metrics = place.api("/metrics")?;
        let totals = metrics.lines().filter(|line| {
            line.starts_with("whyslow_tls_handshake_seconds_count{")
                && line.contains(&format!("server=\"{server}\""))
                && line.contains("part=\"total\"")
        });
        let counted = totals.filter_map(|line| line.rsplit_once(' ')?.1.parse().ok()).next();
        Ok(counted.filter(|n: &f64| *n >= 200.0))
    })?;
    place.secure.signal("STOP")?;
    let late = place.curl_tls(1).stdout(Stdio::null()).spawn().context("starting curl");
    let waits = place.wait("the late ClientHello", || Ok(place.tls_waits()?.then_some(())));
    std::thread::sleep(LATE);
    place.secure.signal("CONT")?;
    let status = late?.wait()?;
    waits?;
    ensure!(status.success(), "curl ended with {status}");
    let all = format!("/api/v1/wire/handshakes?server={server}&notable=1");
    let late = place.wait("the late handshake to be told", || {
        let told = place.json(&format!("{all}&blame=server&order=slowest&limit=1"))?;
        let slowest = told["handshakes"][0].clone();
        Ok(slowest["total_ms"].as_f64().is_some_and(|ms| ms >= 600.0).then_some(slowest))
    })?;
    let usual_ms = usual(&late).with_context(|| format!("nothing is called unusual: {late:#}"))?;
    let total_ms = late["total_ms"].as_f64().unwrap_or_default();
    ensure!(usual_ms * 4.0 <= total_ms, "{usual_ms} is usual: {late:#}");
    ensure!(late["phases_ms"]["server_think"].as_f64() >= Some(600.0), "{late:#}");
    let slow = place.json(&all)?["of"].as_u64().context("no count")?;
    ensure!(slow <= (USUAL * BUSY / 100) as u64, "{slow} of {USUAL} were slow");
    let page = place.api("/wire?r=15m")?;
    for said in ["4 times what 99 of 100 take at the same server", "slow_requests", "by_address"] {
        ensure!(page.contains(said), "{said:?} is not on the page");
    }
    ensure!(!page.contains(">slow from "), "a limit is drawn that nobody set");
    Ok(())
}

/// What 99 of 100 take at the server, as the evidence says it.
fn usual(handshake: &Value) -> Option<f64> {
    let mut all = handshake["evidence"].as_array()?.iter().filter_map(Value::as_str);
    let said = all.rfind(|said| said.starts_with("Unusual at this server: "))?;
    said.rsplit_once("where 99 of 100 take ")?.1.strip_suffix(" ms.")?.parse().ok()
}
