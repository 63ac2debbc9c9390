//! SYNs without an answer by server, with their causes, their clients, and when.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use whyslow_wire::row::{Cell, Counts, Dimension};

use super::document::{Unanswered, read};
use super::sum::{Taken, lines};
use crate::storage::WireEvent;

/// One server.
#[derive(Clone, Debug, PartialEq)]
pub struct Silent {
    /// The server.
    pub server: SocketAddr,
    /// Connections that were asked for.
    pub asked: u64,
    /// Those of them whose SYNs got no answer for a second or more.
    pub unanswered: u64,
    /// Why, as far as anybody says.
    pub causes: Counts,
    /// Of the events that are kept: how many, and by whom.
    pub kept: Kept,
}

/// What single events add.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Kept {
    /// How many there are.
    pub events: u64,
    /// Clients' addresses.
    pub addresses: usize,
    /// Clients' networks; prefixes where no table knows them.
    pub networks: usize,
    /// The first SYN and the last, in milliseconds.
    pub span_ms: Option<(i64, i64)>,
    /// Those that were answered in the end.
    pub answered: u64,
}

impl Kept {
    /// What these events add.
    pub fn of<'a>(events: impl IntoIterator<Item = &'a WireEvent>) -> Self {
        let mut kept = Self::default();
        let (mut addresses, mut networks) = (BTreeSet::<IpAddr>::new(), BTreeSet::new());
        for event in events {
            let document: Unanswered = read(&event.document).unwrap_or_default();
            let first = event.at.as_millis();
            let last = document.last.map_or(first, |last| last.as_millis());
            let (from, to) = kept.span_ms.unwrap_or((first, last));
            kept.span_ms = Some((from.min(first), to.max(last)));
            kept.events += 1;
            kept.answered += u64::from(document.answered.is_some());
            let client = event.client.ip();
            addresses.insert(client);
            let prefix = whyslow_wire::windows::prefix(client);
            networks.insert(event.asn.map_or_else(|| prefix.to_string(), |asn| asn.to_string()));
        }
        (kept.addresses, kept.networks) = (addresses.len(), networks.len());
        kept
    }
}

/// The servers that windows tell apart, most unanswered first, then by name.
pub fn servers(windows: &[Taken], events: &[WireEvent], most: usize) -> Vec<Silent> {
    let mut servers: Vec<Silent> = lines(windows, Dimension::Server, usize::MAX)
        .into_iter()
        .filter_map(|line| {
            let Cell::Server(server) = line.cell else { return None };
            Some(Silent {
                server,
                asked: line.totals.asked(),
                unanswered: line.totals.unanswered,
                causes: line.totals.causes,
                kept: Kept::of(events.iter().filter(|event| event.server == server)),
            })
        })
        .collect();
    servers.sort_by(|a, b| b.unanswered.cmp(&a.unanswered).then(a.server.cmp(&b.server)));
    servers.truncate(most);
    servers
}

/// A cause in words.
pub fn cause_words(cause: &str) -> String {
    match cause {
        "accept_queue_full" | "accept_queue" => "accept queue full".to_owned(),
        "refused" => "nobody listens, or a firewall rejects".to_owned(),
        "no_listener" => "nobody listens".to_owned(),
        "firewall" => "a firewall drops it".to_owned(),
        "no_route" => "this machine has no route for the SYN-ACK".to_owned(),
        "return_path" => "the SYN-ACK went out: the way back loses it".to_owned(),
        "silence" => "no answer at all".to_owned(),
        "unknown" => "not told".to_owned(),
        other => other.replace('_', " "),
    }
}

/// A kind of ending in words: what happened, and whether it is trouble.
pub fn ending_words(kind: &str) -> String {
    match kind {
        "unused" => "opened and closed without a byte, as health checks do".to_owned(),
        "handshake_unfinished" => "the handshake did not end".to_owned(),
        "before_request" => "closed before any request".to_owned(),
        "request_abandoned" => "the client went before a response".to_owned(),
        "request_refused" => "the server ended it before a response".to_owned(),
        "reset_midway" => "reset while data was under way".to_owned(),
        other => other.replace('_', " "),
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::sync::Arc;

    use whyslow_model::Wall;
    use whyslow_wire::row::Totals;

    use super::super::sum::tests::window;
    use super::*;
    use crate::storage::WireKind;

    fn event(client: &str, server: &str, at_ms: i64) -> WireEvent {
        let (client, server) = (client.parse().unwrap(), server.parse().unwrap());
        let at = Wall::from_millis(at_ms);
        WireEvent {
            id: WireEvent::id_of(WireKind::Unanswered, at, client, server),
            at,
            tap: Arc::from("eth0"),
            kind: WireKind::Unanswered,
            client,
            server,
            asn: None,
            rdns: None,
            total_us: None,
            word: "unknown".into(),
            outcome: None,
            notable: true,
            evidence: None,
            document: format!(
                r#"{{"first":{0},"last":{1},"retries":1}}"#,
                serde_json::to_string(&at).unwrap(),
                serde_json::to_string(&Wall::from_millis(at_ms + 3000)).unwrap()
            ),
        }
    }

    #[test]
    fn servers_are_told_with_who_asked_and_when() {
        let quiet = Totals { handshakes: 50, ..Totals::default() };
        let mut silent = Totals { handshakes: 40, unanswered: 3, ..Totals::default() };
        silent.causes.insert(Cow::Borrowed("accept_queue_full"), 3);
        let (a, b) = ("10.0.0.1:443".parse().unwrap(), "10.0.0.2:443".parse().unwrap());
        let windows = [window(0, vec![(Cell::Server(a), quiet), (Cell::Server(b), silent)])];
        let events = [
            event("192.0.2.1:4000", "10.0.0.2:443", 5_000),
            event("192.0.2.2:4001", "10.0.0.2:443", 9_000),
            event("192.0.2.1:4002", "10.0.0.2:443", 7_000),
        ];
        let servers = servers(&windows, &events, 9);
        assert_eq!((servers[0].server, servers[0].asked, servers[0].unanswered), (b, 43, 3));
        let kept = &servers[0].kept;
        assert_eq!((kept.events, kept.addresses, kept.networks), (3, 2, 1));
        assert_eq!(kept.span_ms, Some((5_000, 12_000)));
        assert_eq!(servers[1].kept, Kept::default());
        assert_eq!(cause_words("accept_queue_full"), "accept queue full");
    }
}
