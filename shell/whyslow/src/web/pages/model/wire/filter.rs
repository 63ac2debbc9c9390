//! What a page of the wire is narrowed to, as its address says it.

use std::collections::BTreeMap;
use std::sync::Arc;

use whyslow_model::Wall;
use whyslow_model::observation::{Cohort, Locus};
use whyslow_wire::row::{Cell, Dimension};

use crate::storage::WireEventQuery;
use crate::web::pages::when::{Span, escaped};

/// What one can narrow by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    /// The interface that is recorded.
    Tap,
    /// The address that was asked.
    Server,
    /// The client's network.
    Asn,
    /// The client's /24 or /48.
    Prefix,
    /// The suffix of the client's name.
    Rdns,
}

impl Field {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Tap, Self::Server, Self::Asn, Self::Prefix, Self::Rdns];

    /// The name in addresses.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tap => "tap",
            Self::Server => "server",
            Self::Asn => "asn",
            Self::Prefix => "prefix",
            Self::Rdns => "rdns",
        }
    }

    /// What it is called on pages.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Tap => "tap",
            Self::Server => "server",
            Self::Asn => "client network",
            Self::Prefix => "client prefix",
            Self::Rdns => "reverse DNS",
        }
    }

    /// The field of a dimension.
    pub const fn of(dimension: Dimension) -> Self {
        match dimension {
            Dimension::Server => Self::Server,
            Dimension::Asn => Self::Asn,
            Dimension::Prefix => Self::Prefix,
            Dimension::Rdns => Self::Rdns,
        }
    }

    /// The cell of a value, as addresses and single events write it.
    fn cell(self, value: &str) -> Option<Cell> {
        let dimension = match self {
            Self::Tap => return None,
            Self::Server => Dimension::Server,
            Self::Asn => Dimension::Asn,
            Self::Prefix => Dimension::Prefix,
            Self::Rdns => Dimension::Rdns,
        };
        match (value, self) {
            ("unknown", _) => Some(Cell::Unknown(dimension)),
            ("other", _) => Some(Cell::Other(dimension)),
            (_, Self::Server) => value.parse().ok().map(Cell::Server),
            (_, Self::Asn) => value.parse().ok().map(Cell::Asn),
            (_, Self::Prefix) => value.parse().ok().map(Cell::Prefix),
            (_, _) => Some(Cell::Rdns(Arc::from(value))),
        }
    }
}

/// The value of a cell in an address; of all: none.
pub fn value(cell: &Cell) -> Option<String> {
    Some(match cell {
        Cell::All => return None,
        Cell::Server(address) => address.to_string(),
        Cell::Asn(asn) => asn.to_string(),
        Cell::Prefix(net) => net.to_string(),
        Cell::Rdns(suffix) => suffix.to_string(),
        Cell::Unknown(_) => "unknown".to_owned(),
        Cell::Other(_) => "other".to_owned(),
    })
}

/// What is wanted; nothing set takes all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    wanted: BTreeMap<Field, String>,
    /// Which cohorts the first table tells apart.
    pub by: Dimension,
}

impl Default for Filter {
    fn default() -> Self {
        Self { wanted: BTreeMap::new(), by: Dimension::Asn }
    }
}

/// The dimensions of clients, with the word of each in addresses and its label.
pub const COHORTS: [(Dimension, &str, &str); 3] = [
    (Dimension::Asn, "asn", "network"),
    (Dimension::Prefix, "prefix", "prefix"),
    (Dimension::Rdns, "rdns", "reverse DNS"),
];

impl Filter {
    /// The filter that an address's parameters name; others are left alone.
    pub fn from_parameters(parameter: impl Fn(&str) -> Option<String>) -> Self {
        let named = Field::ALL.into_iter().filter_map(|field| {
            let value = parameter(field.name()).filter(|v| !v.trim().is_empty())?;
            Some((field, value.trim().to_owned()))
        });
        let by = parameter("by");
        let by = COHORTS.into_iter().find(|(_, word, _)| by.as_deref() == Some(*word));
        Self { wanted: named.collect(), by: by.map_or(Dimension::Asn, |(dimension, ..)| dimension) }
    }

    /// What is wanted of one field.
    pub fn get(&self, field: Field) -> Option<&str> {
        self.wanted.get(&field).map(String::as_str)
    }

    /// Everything that is wanted, in the fields' order.
    pub fn all(&self) -> impl Iterator<Item = (Field, &str)> {
        self.wanted.iter().map(|(field, value)| (*field, value.as_str()))
    }

    /// Whether nothing but a tap is asked for.
    pub fn is_whole(&self) -> bool {
        self.wanted.keys().all(|field| *field == Field::Tap)
    }

    /// The same, narrowed to one value more.
    #[must_use]
    pub fn with(&self, field: Field, value: &str) -> Self {
        let mut changed = self.clone();
        changed.wanted.insert(field, value.to_owned());
        changed
    }

    /// The same without one field.
    #[must_use]
    pub fn without(&self, field: Field) -> Self {
        let mut changed = self.clone();
        changed.wanted.remove(&field);
        changed
    }

    /// The same with cohorts told apart otherwise.
    #[must_use]
    pub fn told_by(&self, by: Dimension) -> Self {
        Self { by, ..self.clone() }
    }

    /// The windows' cell it asks for; `None` where windows do not tell all of it apart together,
    /// or where a value can be nobody's.
    pub fn cell(&self) -> Option<Cell> {
        let mut cells = self.all().filter(|(field, _)| *field != Field::Tap);
        match (cells.next(), cells.next()) {
            (None, _) => Some(Cell::All),
            (Some((field, value)), None) => field.cell(value),
            (Some(_), Some(_)) => None,
        }
    }

    /// The single events it asks for; `None` where no event can be asked for so.
    pub fn events(&self, span: &Span) -> Option<WireEventQuery> {
        let text = |field| self.get(field).map(str::to_owned);
        let known = |value: &Option<String>| {
            value.as_deref().is_none_or(|v| !matches!(v, "unknown" | "other"))
        };
        let (prefix, rdns) = (text(Field::Prefix), text(Field::Rdns));
        let asn = self.get(Field::Asn).map(str::parse).transpose().ok()?;
        (known(&prefix) && known(&rdns)).then(|| WireEventQuery {
            from: Some(Wall::from_millis(span.from_ms)),
            to: Some(Wall::from_millis(span.to_ms)),
            tap: text(Field::Tap),
            server: text(Field::Server),
            asn,
            prefix,
            rdns,
            ..WireEventQuery::default()
        })
    }

    /// What a finding or reading is about, as a filter.
    pub fn about(cohort: &Cohort, locus: &Locus) -> Self {
        let asn = locus.asn.or(cohort.asn).map(|asn| asn.to_string());
        let pairs = [
            (Field::Server, locus.server.clone()),
            (Field::Asn, asn),
            (Field::Prefix, locus.prefix.clone().or_else(|| cohort.prefix.clone())),
            (Field::Rdns, cohort.rdns.clone()),
        ];
        let wanted = pairs.into_iter().filter_map(|(field, value)| Some((field, value?)));
        Self { wanted: wanted.collect(), ..Self::default() }
    }

    /// A page's address with the filter in it.
    pub fn path(&self, page: &str) -> String {
        let mut pairs: Vec<String> =
            self.all().map(|(f, v)| format!("{}={}", f.name(), escaped(v))).collect();
        let by = COHORTS.into_iter().find(|(dimension, ..)| *dimension == self.by);
        pairs.extend(by.filter(|(d, ..)| *d != Dimension::Asn).map(|(_, w, _)| format!("by={w}")));
        if pairs.is_empty() { page.to_owned() } else { format!("{page}?{}", pairs.join("&")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_an_address_and_back() {
        let filter = Filter::default().with(Field::Server, "[::1]:443").told_by(Dimension::Rdns);
        assert_eq!(filter.path("/wire"), "/wire?server=%5B::1%5D:443&by=rdns");
        let read = Filter::from_parameters(|name| match name {
            "server" => Some(" [::1]:443".to_owned()),
            "by" => Some("rdns".to_owned()),
            "asn" => Some(String::new()),
            _ => None,
        });
        assert_eq!(read, filter);
        assert_eq!(filter.without(Field::Server).told_by(Dimension::Asn), Filter::default());
    }

    #[test]
    fn windows_tell_one_dimension_apart_and_a_tap_is_none() {
        let tap = Filter::default().with(Field::Tap, "eth0");
        assert_eq!((tap.cell(), tap.is_whole()), (Some(Cell::All), true));
        let network = tap.with(Field::Asn, "64500");
        assert_eq!(network.cell(), Some(Cell::Asn(64_500)));
        assert_eq!(network.with(Field::Server, "10.0.0.1:443").cell(), None);
        assert_eq!(tap.with(Field::Asn, "x").cell(), None);
        let unknown = tap.with(Field::Rdns, "unknown").cell();
        assert_eq!(unknown, Some(Cell::Unknown(Dimension::Rdns)));
        for cell in [Cell::Asn(7), Cell::Other(Dimension::Prefix), Cell::Unknown(Dimension::Asn)] {
            let field = Field::of(cell.dimension().unwrap());
            assert_eq!(field.cell(&value(&cell).unwrap()), Some(cell));
        }
    }
}
