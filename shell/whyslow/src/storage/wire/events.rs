//! Files of single handshakes, unanswered SYNs and endings, a day each: what is filtered by stands
//! in columns, the whole as a document.

use std::path::Path;
use std::sync::Arc;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};
use whyslow_model::Wall;
use whyslow_model::limits::EDGE_PAGE_MAX;

use super::super::days::{Files, Kind};
use super::super::error::{StorageError, damage};
use super::super::file::Shape;
use super::{WireEvent, WireEvidence, WireKind};

pub(in super::super) const SHAPE: Shape = Shape {
    schema: "CREATE TABLE events (
                 id INTEGER PRIMARY KEY, at_ns INTEGER NOT NULL, tap TEXT NOT NULL,
                 kind INTEGER NOT NULL, client TEXT NOT NULL, server TEXT NOT NULL,
                 prefix TEXT NOT NULL, asn INTEGER, rdns TEXT, total_us INTEGER,
                 word TEXT NOT NULL, outcome TEXT, notable INTEGER NOT NULL, evidence TEXT,
                 document TEXT NOT NULL);
             CREATE INDEX events_by_time ON events (kind, at_ns);
             CREATE INDEX events_by_total ON events (kind, total_us);",
    page_bytes: 4096,
    outlives_power_loss: true,
};

const COLUMNS: &str = "id, at_ns, tap, kind, client, server, asn, rdns, total_us, word, outcome, \
                       notable, evidence, document";

/// Which events are wanted; what is absent wants all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WireEventQuery {
    /// The kind.
    pub kind: Option<WireKind>,
    /// The earliest, inclusive.
    pub from: Option<Wall>,
    /// The latest, exclusive.
    pub to: Option<Wall>,
    /// Of this tap.
    pub tap: Option<String>,
    /// To this server.
    pub server: Option<String>,
    /// From this network.
    pub asn: Option<u32>,
    /// From this prefix, a /24 or /48.
    pub prefix: Option<String>,
    /// From clients whose names end so.
    pub rdns: Option<String>,
    /// Of this word.
    pub word: Option<String>,
    /// Only slow or failed ones.
    pub notable: bool,
    /// Only those whose packets are kept.
    pub with_evidence: bool,
    /// Which come first.
    pub order: WireOrder,
    /// How many at most; [`EDGE_PAGE_MAX`] where more are asked for, 0 for as many as that.
    pub limit: usize,
}

/// Which events come first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WireOrder {
    /// The newest.
    #[default]
    Newest,
    /// The slowest.
    Slowest,
}

/// Events, and how many there are in all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WireEventPage {
    /// The first ones, in the order asked for.
    pub events: Vec<WireEvent>,
    /// How many the query wants, the ones left out included.
    pub of: u64,
}

/// Writes events in the place of those of the same id.
pub(super) fn write(
    db: &mut Connection,
    path: &Path,
    events: &[&WireEvent],
) -> Result<(), StorageError> {
    let failed = |e: rusqlite::Error| StorageError::of_sqlite("write to", path, &e);
    let tx = db.transaction().map_err(failed)?;
    for event in events {
        insert(&tx, event).map_err(failed)?;
    }
    tx.commit().map_err(failed)
}

/// Notes where the packets of events are that are kept.
pub(super) fn point(
    db: &mut Connection,
    path: &Path,
    evidence: &[&WireEvidence],
) -> Result<(), StorageError> {
    let failed = |e: rusqlite::Error| StorageError::of_sqlite("write to", path, &e);
    let tx = db.transaction().map_err(failed)?;
    for told in evidence {
        tx.prepare_cached("UPDATE events SET evidence = ?2 WHERE id = ?1")
            .and_then(|mut sql| sql.execute(params![told.id.cast_signed(), told.file]))
            .map_err(failed)?;
    }
    tx.commit().map_err(failed)
}

fn insert(db: &Connection, event: &WireEvent) -> rusqlite::Result<()> {
    let total = event.total_us.map(|us| i64::try_from(us).unwrap_or(i64::MAX));
    let prefix = whyslow_wire::windows::prefix(event.client.ip()).to_string();
    // What was kept of it before stays where the newer one does not know it.
    db.prepare_cached(
        "INSERT INTO events (id, at_ns, tap, kind, client, server, prefix, asn, rdns, total_us,
                             word, outcome, notable, evidence, document)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
             ON CONFLICT (id) DO UPDATE SET
                 rdns = coalesce(excluded.rdns, rdns), total_us = excluded.total_us,
                 word = excluded.word, outcome = excluded.outcome,
                 notable = max(notable, excluded.notable),
                 evidence = coalesce(excluded.evidence, evidence), document = excluded.document",
    )?
    .execute(params![
        event.id.cast_signed(),
        event.at.as_nanos(),
        event.tap,
        kind_number(event.kind),
        event.client.to_string(),
        event.server.to_string(),
        prefix,
        event.asn,
        event.rdns,
        total,
        event.word,
        event.outcome,
        event.notable,
        event.evidence,
        event.document,
    ])?;
    Ok(())
}

/// Events in the order asked for.
pub(super) fn page(files: &Files, query: &WireEventQuery) -> Result<WireEventPage, StorageError> {
    let limit = if query.limit == 0 { EDGE_PAGE_MAX } else { query.limit.min(EDGE_PAGE_MAX) };
    let mut page = WireEventPage::default();
    for day in files.days(Kind::WireEvents).into_iter().rev() {
        let (start, end) = Kind::WireEvents.span_ms(day);
        let outside = query.to.is_some_and(|to| start > to.as_millis())
            || query.from.is_some_and(|from| end <= from.as_millis());
        if outside {
            continue;
        }
        let Some((of, events)) =
            files.read(Kind::WireEvents, day, |db| of_file(db, query, limit))?
        else {
            continue;
        };
        page.of += of;
        page.events.extend(events);
        if query.order == WireOrder::Slowest {
            page.events.sort_by_key(|e| std::cmp::Reverse(e.total_us));
        }
        page.events.truncate(limit);
    }
    Ok(page)
}

fn of_file(
    db: &Connection,
    query: &WireEventQuery,
    limit: usize,
) -> rusqlite::Result<(u64, Vec<WireEvent>)> {
    let (conditions, values) = conditions(query);
    let order = match query.order {
        WireOrder::Newest => "at_ns",
        WireOrder::Slowest => "total_us",
    };
    let count = format!("SELECT count(*) FROM events WHERE {conditions}");
    let of: i64 =
        db.prepare_cached(&count)?.query_row(params_from_iter(&values), |row| row.get(0))?;
    let sql = format!(
        "SELECT {COLUMNS} FROM events WHERE {conditions} ORDER BY {order} DESC LIMIT {limit}"
    );
    let mut select = db.prepare_cached(&sql)?;
    let mut rows = select.query(params_from_iter(&values))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(event(row)?);
    }
    Ok((u64::try_from(of).unwrap_or(0), found))
}

fn conditions(query: &WireEventQuery) -> (String, Vec<Value>) {
    let mut conditions = vec!["1".to_owned()];
    let mut values: Vec<Value> = Vec::new();
    let mut and = |condition: &str, value: Value| {
        values.push(value);
        conditions.push(condition.replace('#', &format!("?{}", values.len())));
    };
    if let Some(kind) = query.kind {
        and("kind = #", kind_number(kind).into());
    }
    if let Some(from) = query.from {
        and("at_ns >= #", from.as_nanos().into());
    }
    if let Some(to) = query.to {
        and("at_ns < #", to.as_nanos().into());
    }
    if let Some(asn) = query.asn {
        and("asn = #", i64::from(asn).into());
    }
    let texts = [
        ("tap = #", &query.tap),
        ("server = #", &query.server),
        ("prefix = #", &query.prefix),
        ("rdns = #", &query.rdns),
        ("word = #", &query.word),
    ];
    for (condition, text) in texts {
        if let Some(text) = text {
            and(condition, text.clone().into());
        }
    }
    if query.notable {
        and("notable = #", 1.into());
    }
    if query.with_evidence {
        and("(evidence IS NOT NULL) = #", 1.into());
    }
    (conditions.join(" AND "), values)
}

/// One event, newest file first.
pub(super) fn find(files: &Files, id: u64) -> Result<Option<WireEvent>, StorageError> {
    for day in files.days(Kind::WireEvents).into_iter().rev() {
        let found = files.read(Kind::WireEvents, day, |db| {
            let sql = format!("SELECT {COLUMNS} FROM events WHERE id = ?1");
            let mut select = db.prepare_cached(&sql)?;
            select.query_row([id.cast_signed()], event).optional()
        })?;
        if let Some(event) = found.flatten() {
            return Ok(Some(event));
        }
    }
    Ok(None)
}

fn event(row: &Row<'_>) -> rusqlite::Result<WireEvent> {
    let address = |n: usize| {
        let text: String = row.get(n)?;
        text.parse().map_err(|_| damage("an address that is none"))
    };
    let total: Option<i64> = row.get(8)?;
    Ok(WireEvent {
        id: row.get::<_, i64>(0)?.cast_unsigned(),
        at: Wall::from_nanos(row.get(1)?),
        tap: row.get::<_, String>(2)?.into(),
        kind: kind_of(row.get(3)?).ok_or_else(|| damage("a kind that is none"))?,
        client: address(4)?,
        server: address(5)?,
        asn: row.get(6)?,
        rdns: row.get::<_, Option<String>>(7)?.map(Arc::from),
        total_us: total.map(|us| u64::try_from(us).unwrap_or(0)),
        word: row.get(9)?,
        outcome: row.get(10)?,
        notable: row.get(11)?,
        evidence: row.get(12)?,
        document: row.get(13)?,
    })
}

const fn kind_number(kind: WireKind) -> i64 {
    match kind {
        WireKind::Handshake => 0,
        WireKind::Unanswered => 1,
        WireKind::Ending => 2,
    }
}

const fn kind_of(number: i64) -> Option<WireKind> {
    Some(match number {
        0 => WireKind::Handshake,
        1 => WireKind::Unanswered,
        2 => WireKind::Ending,
        _ => return None,
    })
}
