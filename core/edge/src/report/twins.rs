//! Servers of a report that answer slower than their twins, as its headline says it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use whyslow_model::Histogram;
use whyslow_model::limits::EDGE_REPORT_NOTICES_MAX;
use whyslow_model::notice::interval::float;
use whyslow_model::notice::ms;

use super::{Cell, Field, Group, Outcome, Table, Value};
use crate::contrast::{Contrast, Peers, Slower, contrast, is_server};

/// A server that answers slower than its twins do at comparable load.
#[derive(Clone, Debug)]
struct Slow {
    server: Arc<str>,
    /// Where servers of other pools have the same name.
    backend: Option<Value>,
    /// `None` where the report does not tell routes apart beside servers.
    route: Option<Value>,
    twins: usize,
    slower: Slower,
    /// Whether the figures are the server's own time, not the balancer's total.
    own: bool,
    /// How long its clients waited in vain, in seconds.
    lost_s: f64,
}

/// What servers have in common that are each other's twins: the key without the server.
type Work<'a> = Vec<&'a Value>;

impl Outcome {
    /// What the groups show by themselves, a sentence each, the worst first: servers slower than
    /// those that serve the same pool (and the same route, where a key has routes beside servers).
    /// At most [`EDGE_REPORT_NOTICES_MAX`], and one more that says how many there are beyond. To be
    /// asked before groups are added up by [`Table::keep`].
    pub fn notices(&self) -> Vec<String> {
        // Of several tables that tell servers apart, the one that says most of their work.
        let tables = self.tables.iter().filter(|table| tells_servers(&table.by));
        let most = tables.max_by_key(|t| (t.by.contains(&Field::Route), t.by.len()));
        let mut slow = most.map(slow_servers).unwrap_or_default();
        slow.sort_by(|a, b| b.lost_s.total_cmp(&a.lost_s).then_with(|| a.server.cmp(&b.server)));
        let more = slow.len().saturating_sub(EDGE_REPORT_NOTICES_MAX);
        slow.truncate(EDGE_REPORT_NOTICES_MAX);
        let mut notices: Vec<String> = slow.iter().map(Slow::to_string).collect();
        match more {
            0 => {}
            1 => notices.push("1 more is slower than its twins.".to_owned()),
            _ => notices.push(format!("{more} more are slower than their twins.")),
        }
        notices
    }
}

/// Whether groups by these fields are servers that may be each other's twins.
fn tells_servers(by: &[Field]) -> bool {
    let fits = |f: &Field| matches!(f, Field::Vip | Field::Backend | Field::Server | Field::Route);
    by.contains(&Field::Backend) && by.contains(&Field::Server) && by.iter().all(fits)
}

fn slow_servers(table: &Table) -> Vec<Slow> {
    let mut works: BTreeMap<Work<'_>, Vec<(&Arc<str>, &Cell)>> = BTreeMap::new();
    let mut pools: BTreeMap<&Arc<str>, BTreeSet<&Value>> = BTreeMap::new();
    for group in &table.groups {
        let Some(Value::Name(server)) = value(table, group, Field::Server) else { continue };
        let fields = table.by.iter().zip(&group.key);
        let work: Work<'_> = fields.filter(|(f, _)| **f != Field::Server).map(|(_, v)| v).collect();
        if is_server(server) && !work.contains(&&Value::Other) {
            works.entry(work).or_default().push((server, &group.cell));
            pools.entry(server).or_default().extend(value(table, group, Field::Backend));
        }
    }
    let part = |work: &Work<'_>, field| {
        let fields = table.by.iter().filter(|f| **f != Field::Server);
        fields.zip(work).find(|(f, _)| **f == field).map(|(_, value)| (*value).clone())
    };
    let mut slow = Vec::new();
    for (work, servers) in &works {
        for mut found in slow_of(servers) {
            let shared = pools.get(&found.server).is_some_and(|pools| pools.len() > 1);
            found.backend = if shared { part(work, Field::Backend) } else { None };
            found.route = part(work, Field::Route);
            slow.push(found);
        }
    }
    slow
}

/// Those of a work's servers that are slower than the others.
fn slow_of<'a>(servers: &[(&'a Arc<str>, &'a Cell)]) -> Vec<Slow> {
    // Times that mean different things are not held against each other.
    let own = servers.iter().all(|(_, cell)| cell.timed == 0 || cell.server.max_us > 0);
    let timing = |cell: &'a Cell| if own { &cell.server } else { &cell.latency };
    let times: Vec<(&'a Arc<str>, &'a Histogram)> =
        servers.iter().map(|(server, cell)| (*server, &timing(cell).histogram)).collect();
    let peers = Peers::of(times.iter().copied());
    let judged = |(server, here): &(&'a Arc<str>, &'a Histogram)| {
        let Contrast::Slower(slower) = contrast(here, peers.typical(server)?) else { return None };
        Some(Slow {
            server: Arc::clone(server),
            backend: None,
            route: None,
            twins: peers.others(server),
            slower,
            own,
            lost_s: (slower.here_s - slower.there_s) * float(here.count()),
        })
    };
    times.iter().filter_map(judged).collect()
}

fn value<'a>(table: &Table, group: &'a Group, field: Field) -> Option<&'a Value> {
    table.by.iter().zip(&group.key).find(|(f, _)| **f == field).map(|(_, value)| value)
}

impl fmt::Display for Slow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.server)?;
        if let Some(Value::Name(backend)) = &self.backend {
            write!(f, " of {backend}")?;
        }
        match &self.route {
            Some(Value::Name(route)) => write!(f, " answers {route} slower than its ")?,
            _ => write!(f, " is slower than its ")?,
        }
        match self.twins {
            1 => write!(f, "twin: ")?,
            n => write!(f, "{n} twins: ")?,
        }
        let own = if self.own { "server " } else { "" };
        let (here, there) = (ms(self.slower.here_s), ms(self.slower.there_s));
        write!(f, "{own}{} {here} against {there}", self.slower.figure)?;
        if self.route.is_none() {
            write!(f, ", all routes together")?;
        }
        write!(f, ".")
    }
}

#[cfg(test)]
mod tests {
    use whyslow_model::seeded::Seed;

    use super::super::{Options, Report};
    use super::*;
    use crate::record::{EdgePhase, Record, Span};
    use crate::routes::Routes;

    /// Requests to a server of a pool: how many, of which path, and how long each waited for it.
    type Served<'a> = (&'a str, &'a str, &'a str, u64, u64);

    fn noticed(by: &[&[Field]], all: &[Served<'_>]) -> Vec<String> {
        let by = by.iter().map(|by| by.to_vec()).collect();
        let options =
            Options { by, routes: Routes::default(), asn: None, seed: Seed(3), phases: false };
        let mut report = Report::new(options);
        for (backend, server, path, n, wait_ms) in all {
            for i in 0..*n {
                let wait = Span::exact(wait_ms * 1000 + i);
                let mut record = Record {
                    backend: backend.as_bytes(),
                    server: server.as_bytes(),
                    path: path.as_bytes(),
                    total: Span::exact(wait.micros + 2000),
                    ..Record::default()
                };
                record.phases.set(EdgePhase::Connect, Span::exact(0));
                record.phases.set(EdgePhase::Wait, wait);
                report.handle_record(&record);
            }
        }
        report.finish().notices()
    }

    const SERVERS: &[Field] = &[Field::Backend, Field::Server];
    const ROUTES: &[Field] = &[Field::Backend, Field::Server, Field::Route];

    fn twelve(app7_ms: u64) -> Vec<(String, u64)> {
        (1..=12).map(|n| (format!("app{n}"), if n == 7 { app7_ms } else { 18 })).collect()
    }

    #[test]
    fn a_server_slower_than_its_twins_is_noticed_and_none_where_none_is() {
        let named = |servers: &[(String, u64)]| {
            let served: Vec<Served<'_>> =
                servers.iter().map(|(name, ms)| ("bidders", &**name, "/bid", 100, *ms)).collect();
            noticed(&[SERVERS, &[Field::Route]], &served)
        };
        assert_eq!(
            named(&twelve(41)),
            [
                "app7 is slower than its 11 twins: server p90 41 ms against 18 ms, all routes together."
            ]
        );
        assert_eq!(named(&twelve(18)), Vec::<String>::new());
    }

    #[test]
    fn where_routes_are_told_apart_each_is_held_against_itself() {
        // All that makes app2 slower is that it serves the slow route more often.
        let unlike = [
            ("app", "app1", "/fast", 300, 3),
            ("app", "app1", "/slow", 20, 90),
            ("app", "app2", "/fast", 100, 3),
            ("app", "app2", "/slow", 220, 90),
        ];
        assert_eq!(noticed(&[SERVERS, ROUTES], &unlike), Vec::<String>::new());
        let slower = [
            ("app", "web1", "/fast", 100, 3),
            ("app", "web2", "/fast", 100, 30),
            // A pool of its own, whose server is nobody's twin.
            ("static", "web2", "/fast", 100, 300),
        ];
        assert_eq!(
            noticed(&[ROUTES], &slower),
            ["web2 of app answers /fast slower than its twin: server p90 30 ms against 3.1 ms."]
        );
    }

    #[test]
    fn few_requests_more_load_and_stand_ins_say_nothing() {
        for unlike in [("app2", 29), ("app2", 151), ("<NOSRV>", 100)] {
            let (server, n) = unlike;
            let served = [("app", "app1", "/", 100, 3), ("app", server, "/", n, 300)];
            assert_eq!(noticed(&[SERVERS], &served), Vec::<String>::new(), "{unlike:?}");
        }
        let served = [("app", "app1", "/", 100, 3), ("app", "app2", "/", 100, 300)];
        assert_eq!(noticed(&[SERVERS], &served).len(), 1);
        assert_eq!(noticed(&[&[Field::Server]], &served), Vec::<String>::new(), "no pool");
    }

    #[test]
    fn sentences_beyond_the_limit_are_counted() {
        let pools: Vec<String> = (0..=EDGE_REPORT_NOTICES_MAX).map(|n| format!("app{n}")).collect();
        let mut served = Vec::new();
        for pool in &pools {
            served.extend([(&**pool, "a", "/", 100, 3), (&**pool, "b", "/", 100, 30)]);
        }
        let said = noticed(&[SERVERS], &served);
        assert_eq!(said.len(), EDGE_REPORT_NOTICES_MAX + 1);
        assert_eq!(said.last().map(String::as_str), Some("1 more is slower than its twins."));
    }
}
