//! Checks that failed or were slow: their own connections are kept.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;
use whyslow_model::Wall;
use whyslow_probe::run::{Exchange, Outcome, Run};
use whyslow_sys::clock;
use whyslow_wire::evidence::Trigger;

use super::{Ends, Evidence, Fate, Incident, a_little_before};
use crate::live::{Event, Live, RunEvent};
use crate::storage::Db;

/// What belongs to a run after its end: the close of its connection.
const AFTER: Duration = Duration::from_millis(500);

/// Follows runs until the process ends.
pub(crate) async fn follow(
    live: Live,
    db: Db,
    evidence: Arc<Evidence>,
    mut stopping: watch::Receiver<bool>,
) {
    let mut heard = live.listen();
    loop {
        let event = tokio::select! {
            event = heard.recv() => event,
            _ = stopping.wait_for(|stop| *stop) => return,
        };
        match event {
            Ok(event) => {
                if let Event::Run(run) = &*event
                    && run.outcome != Outcome::Ok
                    && !evidence.interfaces().is_empty()
                {
                    notice(run, &db, &evidence).await;
                }
            }
            // It is stored, and what it was about is not kept.
            Err(RecvError::Lagged(n)) => tracing::debug!("{n} runs went by unheard"),
            Err(RecvError::Closed) => return,
        }
    }
}

async fn notice(event: &RunEvent, db: &Db, evidence: &Evidence) {
    let (db, id) = (db.clone(), event.id.clone());
    let found = tokio::task::spawn_blocking(move || db.run(&id)).await;
    let Ok(Ok(Some(document))) = found else { return };
    match serde_json::from_str::<Run>(&document) {
        Ok(run) => {
            let all = incidents(event, &run.exchanges, clock::wall());
            all.for_each(|one| evidence.notice(one));
        }
        Err(error) => tracing::debug!("run {} cannot be read: {error}", event.id),
    }
}

/// One for each connection of a run.
fn incidents<'a>(
    event: &'a RunEvent,
    exchanges: &'a [Exchange],
    now: Wall,
) -> impl Iterator<Item = Incident> + 'a {
    let own = exchanges.iter().filter(|exchange| !exchange.reused_connection);
    own.filter_map(move |exchange| {
        let remote: SocketAddr = exchange.remote.as_ref()?.parse().ok()?;
        let local: Option<SocketAddr> = exchange.local.as_ref().and_then(|a| a.parse().ok());
        let RunEvent { service, check, path, total_ms, message, .. } = event;
        let what = message.as_deref().unwrap_or("it was slow");
        let lasted = Duration::try_from_secs_f64(total_ms / 1e3).unwrap_or_default();
        Some(Incident {
            trigger: Trigger::Check,
            interface: None,
            ends: Ends {
                client: local.map(|a| a.ip()),
                client_port: local.map(|a| a.port()),
                server: Some(remote.ip()),
                server_port: Some(remote.port()),
            },
            from: a_little_before(event.at),
            to: Some(event.at.after(lasted + AFTER)),
            at: now,
            text: format!("check {check} of {service} by {path}: {what}"),
            cause: None,
            quote: None,
            fate: Fate::default(),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_connection_of_a_run_is_an_incident_by_both_its_ends() {
        let exchange = |remote: &str, local: &str, reused: bool| {
            format!(
                r#"{{"url": "https://shop.example/", "status": null, "remote": "{remote}",
                    "local": "{local}", "phases_ms": {{}}, "total_ms": 1.0, "http_version": null,
                    "tls": null, "tcp": null, "reused_connection": {reused}}}"#
            )
        };
        let all = [
            exchange("10.0.0.1:443", "192.0.2.7:40000", false),
            exchange("10.0.0.1:443", "192.0.2.7:40000", true),
            exchange("[2001:db8::1]:443", "", false),
        ];
        let exchanges: Vec<Exchange> =
            all.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
        let event = RunEvent {
            id: "1".to_owned(),
            service: "shop".to_owned(),
            check: "home".to_owned(),
            path: "direct".to_owned(),
            vantage: "lon1".to_owned(),
            kind: "http".to_owned(),
            at: Wall::from_millis(10_000),
            outcome: Outcome::Failed,
            late_ms: 0.0,
            total_ms: 2000.0,
            phases_ms: whyslow_probe::run::PhasesMs::default(),
            code: None,
            message: Some("nothing came".to_owned()),
        };
        let now = Wall::from_millis(13_000);
        let told: Vec<Incident> = incidents(&event, &exchanges, now).collect();
        assert_eq!(told.len(), 2);
        assert!(told[0].ends.is_exact() && !told[1].ends.is_exact());
        assert_eq!(told[0].text, "check home of shop by direct: nothing came");
        assert_eq!(told[1].to, Some(Wall::from_millis(12_500)));
        assert!(told[0].from < event.at);
    }
}
