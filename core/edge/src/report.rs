//! A report over whole files: requests by composite keys, exact in hits, codes and peaks.
//!
//! Unlike [`crate::windows`] it tells no windows apart and waits for nothing: lines may come in
//! any order, and the reports of several workers or balancers are added up by [`Report::absorb`].

use std::sync::Arc;

use ipnet::IpNet;
use whyslow_model::asn::AsnTable;
use whyslow_model::seeded::Seed;

use crate::brief::Brief;
use crate::format::Wanted;
use crate::record::{Phases, Record};
use crate::routes::Routes;

mod cell;
mod groups;
mod meanings;
mod pending;
mod seconds;
mod twins;

pub use cell::Cell;
use cell::Request;
pub use seconds::Seconds;

use groups::Groups;
use meanings::Meanings;

/// A part of a report's key; `--by` names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// The frontend.
    Vip,
    /// The pool.
    Backend,
    /// The server.
    Server,
    /// The route.
    Route,
    /// The status code.
    Code,
    /// The client's network.
    ClientAsn,
    /// The client's /24 or /48.
    ClientPrefix,
}

impl Field {
    /// In the order in which help shows them.
    pub const ALL: [Self; 7] = [
        Self::Vip,
        Self::Backend,
        Self::Server,
        Self::Route,
        Self::Code,
        Self::ClientAsn,
        Self::ClientPrefix,
    ];

    /// The name in `--by` and in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Vip => "vip",
            Self::Backend => "backend",
            Self::Server => "server",
            Self::Route => "route",
            Self::Code => "code",
            Self::ClientAsn => "client_asn",
            Self::ClientPrefix => "client_prefix",
        }
    }

    /// The field of a name.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.as_str() == name)
    }
}

/// What a report is made by.
#[derive(Clone, Debug)]
pub struct Options {
    /// The composite keys; none twice the same field.
    pub by: Vec<Vec<Field>>,
    /// How paths become routes.
    pub routes: Routes,
    /// Whose an address is.
    pub asn: Option<Arc<AsnTable>>,
    /// The hash seed.
    pub seed: Seed,
    /// Whether each phase is wanted too, which costs about as much as all the rest.
    pub phases: bool,
}

impl Options {
    /// What the report reads of each record.
    pub fn wanted(&self) -> Wanted {
        let by = |field| self.by.iter().any(|by| by.contains(&field));
        Wanted {
            client: by(Field::ClientAsn) || by(Field::ClientPrefix),
            request: by(Field::Route),
            phases: self.phases,
            counters: false,
        }
    }
}

/// A field's value in a key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    /// A name; one that the line leaves empty is `-`.
    Name(Arc<str>),
    /// A status code, 0 where none was sent.
    Code(u16),
    /// A network.
    Asn(u32),
    /// A prefix.
    Net(IpNet),
    /// Nobody knows the client's network, or the line names no client.
    Unknown,
    /// What found no place of its own.
    Other,
}

/// Requests by one composite key.
#[derive(Debug)]
pub struct Table {
    /// The key's fields.
    pub by: Vec<Field>,
    /// The groups, most hits first; their hits sum to the requests.
    pub groups: Vec<Group>,
}

/// What is known of one key.
#[derive(Debug)]
pub struct Group {
    /// One value per field.
    pub key: Vec<Value>,
    /// What was counted.
    pub cell: Cell,
}

impl Table {
    /// Keeps the `top` groups with most hits and adds all others to one whose key is `other`
    /// throughout; says how many those were. Groups of `other` stay where they are last.
    pub fn keep(&mut self, top: usize) -> usize {
        let is_other = |group: &Group| group.key.iter().all(|value| *value == Value::Other);
        let rest = self.groups.iter().filter(|group| !is_other(group)).count();
        if rest <= top {
            return 0;
        }
        let mut other = Group { key: vec![Value::Other; self.by.len()], cell: Cell::default() };
        let mut kept = 0;
        self.groups.retain(|group| {
            kept += usize::from(!is_other(group));
            let keep = !is_other(group) && kept <= top;
            if !keep {
                other.cell.merge(&group.cell);
            }
            keep
        });
        self.groups.push(other);
        rest - top
    }
}

/// All that a report holds.
#[derive(Debug)]
pub struct Outcome {
    /// Requests.
    pub parsed: u64,
    /// The earliest and the latest time of a request, in microseconds since the epoch; `None`
    /// where no line had a time.
    pub span_us: Option<(i64, i64)>,
    /// All requests together.
    pub total: Cell,
    /// One table per composite key.
    pub tables: Vec<Table>,
    /// Requests whose name, route, client or key found no place and went to `other`.
    pub to_other: u64,
}

/// A report in the making.
#[derive(Debug)]
pub struct Report {
    options: Options,
    names: Meanings,
    groups: Vec<Groups>,
    parsed: u64,
    span_us: Option<(i64, i64)>,
    /// Requests that are in no cell yet; fewer than [`WAITING_MAX`].
    waiting: Vec<Request>,
    /// Their keys, and [`Record::place`].
    waiting_keys: Vec<(groups::Key, u32)>,
    /// Their phases, where wanted.
    waiting_phases: Vec<Phases>,
    /// Requests of absorbed reports that had gone to `other` there.
    absorbed_to_other: u64,
}

/// Requests that are counted at once. Cells are spread over more memory than the processor's
/// caches hold: counting many in a row, it fetches several cells at a time, not one between two
/// lines.
const WAITING_MAX: usize = 128;

impl Report {
    /// No requests yet.
    pub fn new(options: Options) -> Self {
        let seed = options.seed;
        Self {
            names: Meanings::new(&options),
            groups: options.by.iter().map(|by| Groups::new(by.clone(), seed)).collect(),
            options,
            parsed: 0,
            span_us: None,
            waiting: Vec::with_capacity(WAITING_MAX),
            waiting_keys: Vec::with_capacity(WAITING_MAX),
            waiting_phases: Vec::new(),
            absorbed_to_other: 0,
        }
    }

    /// Counts one request. All records of a report are read with one [`crate::format::Scratch`]:
    /// their places are known by its numbers.
    #[inline]
    pub fn handle_record(&mut self, record: &Record<'_>) {
        self.parsed += 1;
        if let Some(at) = record.at_us {
            let (first, last) = self.span_us.unwrap_or((at, at));
            self.span_us = Some((first.min(at), last.max(at)));
        }
        if !self.count_again(record) {
            self.count_later(record);
        }
    }

    /// Whether it counts by names alone, so that [`Self::handle_brief`] is worth a try.
    pub fn is_by_names(&self) -> bool {
        !self.options.phases && matches!(self.groups.as_slice(), [groups] if groups.is_together)
    }

    /// Counts one request of a report by names alone ([`Self::is_by_names`]); false, and nothing is
    /// counted, where its names were not met before.
    #[inline]
    pub fn handle_brief(&mut self, brief: &Brief) -> bool {
        let [groups] = self.groups.as_mut_slice() else { return false };
        let Some(cell) = groups.cell_again(brief.place) else { return false };
        cell.observe_brief(brief);
        self.parsed += 1;
        let at_us = brief.second * 1_000_000 + i64::from(brief.micros);
        let (first, last) = self.span_us.unwrap_or((at_us, at_us));
        self.span_us = Some((first.min(at_us), last.max(at_us)));
        true
    }

    /// Has a request wait, until enough of them do to be counted.
    #[inline(never)]
    fn count_later(&mut self, record: &Record<'_>) {
        let key = self.names.key_of(record, self.options.asn.as_deref());
        self.waiting_keys.push((key, record.place));
        self.waiting.push(Request::of(record));
        if self.options.phases {
            self.waiting_phases.push(record.phases);
        }
        if self.waiting.len() == WAITING_MAX {
            self.count();
        }
    }

    /// Counts a request at once whose frontend, backend and server were seen together before,
    /// where the report has one key and that is of them alone: such cells are few.
    #[inline]
    fn count_again(&mut self, record: &Record<'_>) -> bool {
        let [groups] = self.groups.as_mut_slice() else { return false };
        let Some(cell) = groups.cell_again(record.place) else { return false };
        cell.observe(&Request::of(record));
        if self.options.phases {
            cell.observe_phases(&record.phases);
        }
        true
    }

    /// Counts the requests that wait, each in the cells of its key.
    fn count(&mut self) {
        for groups in &mut self.groups {
            groups.count(&self.waiting_keys, &self.waiting, &self.waiting_phases);
        }
        self.waiting_keys.clear();
        self.waiting.clear();
        self.waiting_phases.clear();
    }

    /// Brings every request into its cell.
    fn settle(&mut self) {
        self.count();
        self.groups.iter_mut().for_each(Groups::settle);
    }

    /// Adds what another worker counted; both were made by the same options.
    pub fn absorb(&mut self, mut other: Self) {
        self.settle();
        other.settle();
        self.parsed += other.parsed;
        self.span_us = match (self.span_us, other.span_us) {
            (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
            (one, None) | (None, one) => one,
        };
        let names = &mut self.names;
        for (mine, theirs) in self.groups.iter_mut().zip(&other.groups) {
            let by = theirs.by.clone();
            for (key, cell) in theirs.cells() {
                let mut own = groups::Key::default();
                for field in &by {
                    let value = other.names.value(*field, key.of(*field));
                    own = own.with(*field, names.number(*field, &value));
                }
                mine.merge(own, cell);
            }
            mine.overflowed += theirs.overflowed;
        }
        self.absorbed_to_other += other.names.overflowed() + other.absorbed_to_other;
    }

    /// The report.
    pub fn finish(mut self) -> Outcome {
        self.settle();
        let names = &self.names;
        let to_other = self.absorbed_to_other
            + names.overflowed()
            + self.groups.iter().map(|g| g.overflowed).sum::<u64>();
        let mut total = Cell::default();
        if let Some(groups) = self.groups.first() {
            groups.cells().for_each(|(_, cell)| total.merge(cell));
        }
        let table = |groups: Groups| {
            let by = groups.by.clone();
            let value = |field: &Field, key: &groups::Key| names.value(*field, key.of(*field));
            let mut found: Vec<Group> = groups
                .into_cells()
                .map(|(key, cell)| Group { key: by.iter().map(|f| value(f, &key)).collect(), cell })
                .collect();
            found.sort_by(|a, b| b.cell.hits.cmp(&a.cell.hits).then_with(|| a.key.cmp(&b.key)));
            Table { by, groups: found }
        };
        Outcome {
            parsed: self.parsed,
            span_us: self.span_us,
            total,
            to_other,
            tables: self.groups.into_iter().map(table).collect(),
        }
    }
}

#[cfg(test)]
mod tests;
