//! Searching slow requests: pages, facets, a histogram over time, and how many were not kept.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use whyslow_edge::slow::{Reason, SlowCount, SlowRow};
use whyslow_model::Wall;
use whyslow_model::limits::EDGE_PAGE_MAX;

use super::super::days::{Day, Files, Kind};
use super::super::error::{StorageError, damage};
use super::super::rollup::stretches;
use super::slow::known_word;
pub(super) use super::slow_field::FieldKind;
pub use super::slow_field::SlowField;

/// What a field must, or must not, be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlowMatch {
    /// Which field.
    pub field: SlowField,
    /// Any of these; the empty text stands for what the log does not tell.
    pub values: Vec<String>,
    /// None of these instead.
    pub exclude: bool,
}

/// Which slow requests are wanted; what is absent wants all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SlowFilter {
    /// The earliest, inclusive.
    pub from: Option<Wall>,
    /// The latest, exclusive.
    pub to: Option<Wall>,
    /// All of these hold.
    pub matches: Vec<SlowMatch>,
    /// At least so long, in microseconds.
    pub total_us_min: Option<u64>,
    /// At most so long, in microseconds.
    pub total_us_max: Option<u64>,
    /// The path has this in it.
    pub path_has: Option<String>,
}

/// Which come first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SlowOrder {
    /// The newest.
    #[default]
    Newest,
    /// The slowest.
    Slowest,
}

/// Slow requests.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SlowPage {
    /// The page's own.
    pub rows: Vec<SlowRow>,
    /// Where the next page begins; absent after the last.
    pub next: Option<String>,
}

/// How often the values of a field occur.
#[derive(Clone, Debug, PartialEq)]
pub struct Facet {
    /// The field.
    pub field: SlowField,
    /// The commonest values, commonest first.
    pub values: Vec<FacetValue>,
    /// How many further values there are.
    pub more: u64,
    /// Requests with further values.
    pub rest: FacetCount,
    /// All requests.
    pub all: FacetCount,
}

/// One value of a field.
#[derive(Clone, Debug, PartialEq)]
pub struct FacetValue {
    /// The value; empty where the log does not tell.
    pub value: String,
    /// How often.
    pub count: FacetCount,
}

/// How many requests.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FacetCount {
    /// That are kept.
    pub kept: u64,
    /// For how many they stand.
    pub stands_for: f64,
}

impl FacetCount {
    fn add(&mut self, other: Self) {
        self.kept += other.kept;
        self.stands_for += other.stands_for;
    }
}

/// How many requests of one stretch of time.
#[derive(Clone, Debug, PartialEq)]
pub struct SlowBucket {
    /// The stretch's start: seconds since the epoch.
    pub start_s: i64,
    /// The value by which they are told apart; empty where they are not, or the log does not tell.
    pub value: String,
    /// How many.
    pub count: FacetCount,
}

/// Where in an order a page ended: the ordering value, the file, the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Cursor {
    value: i64,
    file_ms: i64,
    seq: i64,
}

impl Cursor {
    fn parse(text: &str) -> Result<Self, StorageError> {
        let bad = || StorageError::Cursor { cursor: text.chars().take(64).collect() };
        let mut parts = text.split('.').map(str::parse);
        let mut next = || parts.next().and_then(Result::ok).ok_or_else(bad);
        let cursor = Self { value: next()?, file_ms: next()?, seq: next()? };
        if parts.next().is_some() { Err(bad()) } else { Ok(cursor) }
    }
}

/// A page of slow requests.
pub(in super::super) fn page(
    files: &Files,
    filter: &SlowFilter,
    order: SlowOrder,
    limit: usize,
    after: Option<&str>,
) -> Result<SlowPage, StorageError> {
    let cursor = after.map(Cursor::parse).transpose()?;
    let limit = limit.clamp(1, EDGE_PAGE_MAX);
    let mut found: Vec<(Cursor, SlowRow)> = Vec::new();
    for (day, ..) in days(files, filter).into_iter().rev() {
        let file_ms = Kind::Slow.span_ms(day).0;
        let read = |db: &Connection| page_of(db, filter, order, file_ms, limit + 1, cursor);
        found.extend(files.read(Kind::Slow, day, read)?.into_iter().flatten());
        if order == SlowOrder::Newest && found.len() > limit {
            break;
        }
        found.sort_by_key(|(at, _)| Reverse(*at));
        found.truncate(limit + 1);
    }
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more);
    let next = next.map(|(c, _)| format!("{}.{}.{}", c.value, c.file_ms, c.seq));
    Ok(SlowPage { rows: found.into_iter().map(|(_, row)| row).collect(), next })
}

fn page_of(
    db: &Connection,
    filter: &SlowFilter,
    order: SlowOrder,
    file_ms: i64,
    limit: usize,
    cursor: Option<Cursor>,
) -> rusqlite::Result<Vec<(Cursor, SlowRow)>> {
    let by = match order {
        SlowOrder::Newest => "at",
        SlowOrder::Slowest => "total",
    };
    let mut wanted = Wanted::of(db, filter)?;
    if let Some(c) = cursor {
        // The rest of the cursor are numbers, so they may stand in the text.
        let seq = if file_ms == c.file_ms { c.seq } else { 0 };
        let before = match file_ms.cmp(&c.file_ms) {
            std::cmp::Ordering::Less => format!("{by} <= ?#"),
            std::cmp::Ordering::Equal => format!("({by}, slow.seq) < (?#, {seq})"),
            std::cmp::Ordering::Greater => format!("{by} < ?#"),
        };
        wanted.and(&before, c.value.into());
    }
    let sql = format!(
        "SELECT {by}, slow.seq, document FROM slow JOIN documents USING (seq)
             WHERE {} ORDER BY {by} DESC, slow.seq DESC LIMIT {limit}",
        wanted.sql()
    );
    let mut select = db.prepare_cached(&sql)?;
    let mut rows = select.query(params_from_iter(wanted.values))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let place = Cursor { value: row.get(0)?, file_ms, seq: row.get(1)? };
        let document: String = row.get(2)?;
        let parsed = serde_json::from_str(&document)
            .map_err(|e| damage(&format!("request {} makes no sense: {e}", place.seq)))?;
        found.push((place, parsed));
    }
    Ok(found)
}

/// The commonest values of fields.
pub(in super::super) fn facets(
    files: &Files,
    filter: &SlowFilter,
    fields: &[SlowField],
    top: usize,
) -> Result<Vec<Facet>, StorageError> {
    let mut counted: Vec<HashMap<String, FacetCount>> = vec![HashMap::new(); fields.len()];
    for (day, ..) in days(files, filter) {
        files.read(Kind::Slow, day, |db| facets_of(db, filter, fields, &mut counted))?;
    }
    let facet = |(field, values): (&SlowField, HashMap<String, FacetCount>)| {
        let mut values: Vec<FacetValue> =
            values.into_iter().map(|(value, count)| FacetValue { value, count }).collect();
        values.sort_by(|a, b| {
            b.count.stands_for.total_cmp(&a.count.stands_for).then_with(|| a.value.cmp(&b.value))
        });
        let mut all = FacetCount::default();
        values.iter().for_each(|v| all.add(v.count));
        let further = values.split_off(top.min(values.len()));
        let mut rest = FacetCount::default();
        further.iter().for_each(|v| rest.add(v.count));
        Facet { field: *field, values, more: further.len() as u64, rest, all }
    };
    Ok(fields.iter().zip(counted).map(facet).collect())
}

fn facets_of(
    db: &Connection,
    filter: &SlowFilter,
    fields: &[SlowField],
    counted: &mut [HashMap<String, FacetCount>],
) -> rusqlite::Result<()> {
    let wanted = Wanted::of(db, filter)?;
    let columns: String = fields.iter().map(|f| format!(", {}", f.as_column())).collect();
    let sql = format!("SELECT stands_for{columns} FROM slow WHERE {}", wanted.sql());
    let mut select = db.prepare_cached(&sql)?;
    let mut rows = select.query(params_from_iter(wanted.values))?;
    let mut numbers: Vec<Counts> = fields.iter().map(|_| Counts::default()).collect();
    while let Some(row) = rows.next()? {
        let one = FacetCount { kept: 1, stands_for: row.get(0)? };
        for (at, field) in fields.iter().enumerate() {
            if field.kind() == FieldKind::Text {
                let text: Option<String> = row.get(at + 1)?;
                counted[at].entry(text.unwrap_or_default()).or_default().add(one);
            } else {
                numbers[at].add(row.get(at + 1)?, one);
            }
        }
    }
    for ((field, numbers), counted) in fields.iter().zip(numbers).zip(counted) {
        for (number, count) in numbers.counted() {
            counted.entry(text_of(db, *field, number)?).or_default().add(count);
        }
    }
    Ok(())
}

/// Counts by stored value. Most values are small numbers, and a million rows of ten fields are
/// counted for one page, so that those have a place each.
#[derive(Debug, Default)]
struct Counts {
    untold: FacetCount,
    small: Vec<FacetCount>,
    large: HashMap<i64, FacetCount>,
}

impl Counts {
    const SMALL: usize = 1 << 16;

    fn add(&mut self, value: Option<i64>, one: FacetCount) {
        let Some(value) = value else { return self.untold.add(one) };
        let place = usize::try_from(value).ok().filter(|place| *place < Self::SMALL);
        let Some(place) = place else { return self.large.entry(value).or_default().add(one) };
        if place >= self.small.len() {
            self.small.resize(place + 1, FacetCount::default());
        }
        self.small[place].add(one);
    }

    /// Each value that occurs.
    fn counted(self) -> impl Iterator<Item = (Option<i64>, FacetCount)> {
        let small = (0..).zip(self.small).map(|(value, count)| (Some(value), count));
        let large = self.large.into_iter().map(|(value, count)| (Some(value), count));
        let all = std::iter::once((None, self.untold)).chain(small).chain(large);
        all.filter(|(_, count)| count.kept > 0)
    }
}

/// The text of a stored value.
fn text_of(db: &Connection, field: SlowField, number: Option<i64>) -> rusqlite::Result<String> {
    match number {
        None => Ok(String::new()),
        Some(number) if field.kind() == FieldKind::Number => Ok(field.text(number)),
        Some(number) => db
            .prepare_cached("SELECT text FROM words WHERE id = ?1")?
            .query_row([number], |row| row.get(0)),
    }
}

/// How many lie in each stretch of time.
pub(in super::super) fn histogram(
    files: &Files,
    filter: &SlowFilter,
    step_s: i64,
    by: Option<SlowField>,
) -> Result<Vec<SlowBucket>, StorageError> {
    let step_s = step_s.max(1);
    let mut all: BTreeMap<(i64, String), FacetCount> = BTreeMap::new();
    for (day, ..) in days(files, filter) {
        files.read(Kind::Slow, day, |db| histogram_of(db, filter, step_s, by, &mut all))?;
    }
    let bucket = |((start_s, value), count): ((i64, String), FacetCount)| SlowBucket {
        start_s,
        value,
        count,
    };
    Ok(all.into_iter().map(bucket).collect())
}

fn histogram_of(
    db: &Connection,
    filter: &SlowFilter,
    step_s: i64,
    by: Option<SlowField>,
    all: &mut BTreeMap<(i64, String), FacetCount>,
) -> rusqlite::Result<()> {
    let wanted = Wanted::of(db, filter)?;
    let column = by.filter(|f| f.kind() != FieldKind::Text).map_or("NULL", SlowField::as_column);
    let step_us = step_s.saturating_mul(1_000_000);
    let sql = format!(
        "SELECT at / {step_us} * {step_s}, {column}, count(*), sum(stands_for) FROM slow
             WHERE {} GROUP BY 1, 2",
        wanted.sql()
    );
    let mut select = db.prepare_cached(&sql)?;
    let mut rows = select.query(params_from_iter(wanted.values))?;
    while let Some(row) = rows.next()? {
        let value = match by {
            Some(field) => text_of(db, field, row.get(1)?)?,
            None => String::new(),
        };
        let sum = FacetCount { kept: count(row, 2)?, stands_for: row.get(3)? };
        all.entry((row.get(0)?, value)).or_default().add(sum);
    }
    Ok(())
}

/// How many there were and are kept.
pub(in super::super) fn counts(
    files: &Files,
    from_s: i64,
    to_s: i64,
) -> Result<Vec<SlowCount>, StorageError> {
    let mut all = Vec::new();
    for (day, from, to) in stretches(files, Kind::Slow, from_s, to_s) {
        let found = files.read(Kind::Slow, day, |db| counts_of(db, from, to))?;
        all.extend(found.into_iter().flatten());
    }
    Ok(all)
}

fn counts_of(db: &Connection, from_s: i64, to_s: i64) -> rusqlite::Result<Vec<SlowCount>> {
    let mut select = db.prepare_cached(
        "SELECT start_s, s.text, r.text, reason, seen, kept FROM counts
             JOIN words s ON s.id = source JOIN words r ON r.id = route
             WHERE start_s >= ?1 AND start_s < ?2 ORDER BY start_s, r.text, reason",
    )?;
    let row = |row: &rusqlite::Row<'_>| {
        let text = |at| row.get::<_, String>(at).map(Arc::<str>::from);
        let reason = usize::try_from(row.get::<_, i64>(3)?).ok();
        let reason = reason.and_then(|at| Reason::ALL.get(at).copied());
        Ok(SlowCount {
            source: text(1)?,
            start_s: row.get(0)?,
            route: text(2)?,
            reason: reason.ok_or_else(|| damage("a reason that is none"))?,
            seen: count(row, 4)?,
            kept: count(row, 5)?,
        })
    };
    select.query_map([from_s, to_s], row)?.collect()
}

/// A count; a negative one is none.
fn count(row: &rusqlite::Row<'_>, at: usize) -> rusqlite::Result<u64> {
    Ok(u64::try_from(row.get::<_, i64>(at)?).unwrap_or(0))
}

/// The files in which a filter's requests can lie.
fn days(files: &Files, filter: &SlowFilter) -> Vec<(Day, i64, i64)> {
    let from = filter.from.map_or(i64::MIN, |t| t.as_millis().div_euclid(1000));
    let to = filter.to.map_or(i64::MAX, |t| t.as_millis().div_euclid(1000).saturating_add(1));
    stretches(files, Kind::Slow, from, to)
}

/// A filter as conditions on one file.
struct Wanted {
    conditions: Vec<String>,
    values: Vec<Value>,
}

impl Wanted {
    fn of(db: &Connection, filter: &SlowFilter) -> rusqlite::Result<Self> {
        let mut wanted = Self { conditions: vec!["1".to_owned()], values: Vec::new() };
        let micros = |t: Wall| Value::from(t.as_nanos().div_euclid(1000));
        let clamp = |us: u64| Value::from(i64::try_from(us).unwrap_or(i64::MAX));
        if let Some(from) = filter.from {
            wanted.and("at >= ?#", micros(from));
        }
        if let Some(to) = filter.to {
            wanted.and("at < ?#", micros(to));
        }
        if let Some(us) = filter.total_us_min {
            wanted.and("total >= ?#", clamp(us));
        }
        if let Some(us) = filter.total_us_max {
            wanted.and("total <= ?#", clamp(us));
        }
        if let Some(part) = &filter.path_has {
            let sql = "path IN (SELECT id FROM words WHERE instr(text, ?#))";
            wanted.and(sql, part.clone().into());
        }
        for one in &filter.matches {
            wanted.field(db, one)?;
        }
        Ok(wanted)
    }

    fn field(&mut self, db: &Connection, one: &SlowMatch) -> rusqlite::Result<()> {
        let column = one.field.as_column();
        let mut any = Vec::new();
        for value in &one.values {
            let stored: Value = match one.field.kind() {
                _ if value.is_empty() => Value::Null,
                // No text has this number, so that nothing is found.
                FieldKind::Word => known_word(db, value)?.unwrap_or(-1).into(),
                FieldKind::Number => one.field.number(value).into(),
                FieldKind::Text => value.clone().into(),
            };
            self.values.push(stored);
            any.push(format!("{column} IS ?{}", self.values.len()));
        }
        let any = if any.is_empty() { "0".to_owned() } else { any.join(" OR ") };
        let not = if one.exclude { "NOT " } else { "" };
        self.conditions.push(format!("{not}({any})"));
        Ok(())
    }

    /// Adds a condition, whose `?#` is the value.
    fn and(&mut self, sql: &str, value: Value) {
        self.values.push(value);
        self.conditions.push(sql.replace('#', &self.values.len().to_string()));
    }

    fn sql(&self) -> String {
        self.conditions.join(" AND ")
    }
}
