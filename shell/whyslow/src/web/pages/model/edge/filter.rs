//! What a page of the edge is narrowed to: every filter is part of the address.

use std::collections::BTreeMap;
use std::sync::Arc;

use whyslow_edge::row::{ClientAsn, ClientPrefix, Key, OTHER};

use crate::web::pages::when::escaped;

/// What requests can be told apart by, in the order in which pages list them.
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
    Asn,
    /// The client's /24 or /48.
    Prefix,
    /// The client's country; slow requests only.
    Country,
    /// The balancer's termination or response flags; slow requests only.
    Flag,
    /// The phase that took longest; slow requests only.
    Phase,
    /// The client's address; slow requests only.
    Client,
    /// A part of the path; slow requests only.
    Path,
    /// The least total, in milliseconds.
    MinMs,
}

impl Field {
    /// All there are.
    pub const ALL: [Self; 13] = [
        Self::Vip,
        Self::Backend,
        Self::Server,
        Self::Route,
        Self::Code,
        Self::Asn,
        Self::Prefix,
        Self::Country,
        Self::Flag,
        Self::Phase,
        Self::Client,
        Self::Path,
        Self::MinMs,
    ];

    /// The name in addresses and in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Vip => "vip",
            Self::Backend => "backend",
            Self::Server => "server",
            Self::Route => "route",
            Self::Code => "code",
            Self::Asn => "asn",
            Self::Prefix => "prefix",
            Self::Country => "country",
            Self::Flag => "flag",
            Self::Phase => "phase",
            Self::Client => "client",
            Self::Path => "path",
            Self::MinMs => "min_ms",
        }
    }

    /// The words a page uses for it.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Asn => "client network",
            Self::Prefix => "client prefix",
            Self::Country => "client country",
            Self::Phase => "longest phase",
            Self::Client => "client address",
            Self::Path => "path holds",
            Self::MinMs => "at least, ms",
            Self::Vip | Self::Backend | Self::Server | Self::Route | Self::Code | Self::Flag => {
                self.name()
            }
        }
    }

    /// Whether window rows can tell it apart.
    pub const fn in_rows(self) -> bool {
        matches!(
            self,
            Self::Vip
                | Self::Backend
                | Self::Server
                | Self::Route
                | Self::Code
                | Self::Asn
                | Self::Prefix
        )
    }

    /// A key's value, as it stands in addresses; `None` where the key does not tell it apart.
    pub fn of(self, key: &Key) -> Option<String> {
        match self {
            Self::Vip => key.vip.as_deref().map(str::to_owned),
            Self::Backend => key.backend.as_deref().map(str::to_owned),
            Self::Server => key.server.as_deref().map(str::to_owned),
            Self::Route => key.route.as_deref().map(str::to_owned),
            Self::Code => key.code.map(|code| code.to_string()),
            Self::Asn => key.client_asn.map(asn_text),
            Self::Prefix => key.client_prefix.map(prefix_text),
            Self::Country | Self::Flag | Self::Phase | Self::Client | Self::Path | Self::MinMs => {
                None
            }
        }
    }
}

fn asn_text(asn: ClientAsn) -> String {
    match asn {
        ClientAsn::As(number) => number.to_string(),
        ClientAsn::Unknown => "unknown".to_owned(),
        ClientAsn::Other => "other".to_owned(),
    }
}

fn prefix_text(prefix: ClientPrefix) -> String {
    match prefix {
        ClientPrefix::Net(net) => net.to_string(),
        ClientPrefix::Unknown => "unknown".to_owned(),
        ClientPrefix::Other => "other".to_owned(),
    }
}

/// What a text says; `None` where it is there and says nothing.
fn told<T>(text: Option<&str>, read: fn(&str) -> Option<T>) -> Option<Option<T>> {
    text.map_or(Some(None), |text| read(text).map(Some))
}

/// Undoes [`asn_text`].
fn asn(text: &str) -> Option<ClientAsn> {
    match text {
        "unknown" => Some(ClientAsn::Unknown),
        "other" => Some(ClientAsn::Other),
        number => number.parse().ok().map(ClientAsn::As),
    }
}

/// Undoes [`prefix_text`].
fn prefix(text: &str) -> Option<ClientPrefix> {
    match text {
        "unknown" => Some(ClientPrefix::Unknown),
        "other" => Some(ClientPrefix::Other),
        net => net.parse().ok().map(ClientPrefix::Net),
    }
}

/// Which fields a key tells apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fields(u16);

impl Fields {
    /// The fields of a key.
    pub fn of(key: &Key) -> Self {
        let told = [
            (Field::Vip, key.vip.is_some()),
            (Field::Backend, key.backend.is_some()),
            (Field::Server, key.server.is_some()),
            (Field::Route, key.route.is_some()),
            (Field::Code, key.code.is_some()),
            (Field::Asn, key.client_asn.is_some()),
            (Field::Prefix, key.client_prefix.is_some()),
        ];
        told.into_iter().filter(|(_, told)| *told).fold(Self::default(), |all, (f, _)| all.with(f))
    }

    /// The same and one more.
    #[must_use]
    pub const fn with(self, field: Field) -> Self {
        Self(self.0 | 1 << field as u16)
    }

    /// Whether one is among them.
    pub const fn has(self, field: Field) -> bool {
        self.0 & 1 << field as u16 != 0
    }

    /// Whether all of `others` are among them.
    pub const fn hold(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }

    /// How many they are.
    pub const fn count(self) -> u32 {
        self.0.count_ones()
    }

    /// How many of them tell clients apart: such groupings may be cut to the largest clients.
    pub const fn clients(self) -> u32 {
        (self.0 & (1 << Field::Asn as u16 | 1 << Field::Prefix as u16)).count_ones()
    }
}

/// What is wanted; nothing set takes all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    wanted: BTreeMap<Field, String>,
}

impl Filter {
    /// The filter that an address's parameters name; others are left alone.
    pub fn from_parameters(parameter: impl Fn(&str) -> Option<String>) -> Self {
        let named = Field::ALL.into_iter().filter_map(|field| {
            let value = parameter(field.name()).filter(|v| !v.is_empty())?;
            Some((field, value.trim().to_owned()))
        });
        Self { wanted: named.collect() }
    }

    /// What is wanted of one field.
    pub fn get(&self, field: Field) -> Option<&str> {
        self.wanted.get(&field).map(String::as_str)
    }

    /// Everything that is wanted, in the fields' order.
    pub fn all(&self) -> impl Iterator<Item = (Field, &str)> {
        self.wanted.iter().map(|(field, value)| (*field, value.as_str()))
    }

    /// Whether everything is taken.
    pub fn is_empty(&self) -> bool {
        self.wanted.is_empty()
    }

    /// The least total wanted, in milliseconds.
    pub fn min_ms(&self) -> Option<f64> {
        self.get(Field::MinMs)?.parse().ok().filter(|ms: &f64| ms.is_finite() && *ms > 0.0)
    }

    /// The same, narrowed to one value more.
    #[must_use]
    pub fn with(&self, field: Field, value: &str) -> Self {
        let mut wanted = self.wanted.clone();
        wanted.insert(field, value.to_owned());
        Self { wanted }
    }

    /// The same without one field.
    #[must_use]
    pub fn without(&self, field: Field) -> Self {
        let mut wanted = self.wanted.clone();
        wanted.remove(&field);
        Self { wanted }
    }

    /// The same of what windows do not tell apart from other routes, networks or prefixes; `None`
    /// where it asks for none of them.
    pub fn of_others(&self) -> Option<Self> {
        let field = [Field::Route, Field::Asn, Field::Prefix].into_iter();
        let asked = field.filter(|field| self.get(*field).is_some_and(|value| value != OTHER));
        asked.map(|field| self.with(field, OTHER)).next()
    }

    /// The fields that window rows must tell apart for it.
    pub fn fields(&self) -> Fields {
        let in_rows = self.wanted.keys().filter(|field| field.in_rows());
        in_rows.fold(Fields::default(), |all, field| all.with(*field))
    }

    /// The values that window rows must have; `None` where one of them can be no row's.
    pub fn key(&self) -> Option<Key> {
        let text = |field| self.get(field).map(Arc::from);
        Some(Key {
            vip: text(Field::Vip),
            backend: text(Field::Backend),
            server: text(Field::Server),
            route: text(Field::Route),
            code: self.get(Field::Code).map(str::parse).transpose().ok()?,
            client_asn: told(self.get(Field::Asn), asn)?,
            client_prefix: told(self.get(Field::Prefix), prefix)?,
        })
    }

    /// Whether a window row's key is wanted. What rows cannot tell is not asked of them.
    pub fn takes(&self, key: &Key) -> bool {
        self.wanted
            .iter()
            .filter(|(field, _)| field.in_rows())
            .all(|(field, value)| field.of(key).is_some_and(|of| of == *value))
    }

    /// The filter as an address's query, without a question mark; empty where all is taken.
    pub fn query(&self) -> String {
        let pairs = self.wanted.iter().map(|(f, v)| format!("{}={}", f.name(), escaped(v)));
        pairs.collect::<Vec<_>>().join("&")
    }

    /// A page's address with the filter in it.
    pub fn path(&self, page: &str) -> String {
        if self.is_empty() { page.to_owned() } else { format!("{page}?{}", self.query()) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::key;
    use super::*;

    #[test]
    fn a_filter_is_an_address_and_back() {
        let filter = Filter::default().with(Field::Route, "/a b&c").with(Field::Asn, "64500");
        assert_eq!(filter.path("/edge"), "/edge?route=%2Fa%20b%26c&asn=64500");
        let read = Filter::from_parameters(|name| match name {
            "route" => Some("/a b&c".to_owned()),
            "asn" => Some("64500".to_owned()),
            "server" => Some(String::new()),
            _ => None,
        });
        assert_eq!(read, filter);
        assert_eq!(filter.without(Field::Route).without(Field::Asn).path("/edge"), "/edge");
    }

    #[test]
    fn a_filter_is_a_key_and_one_that_can_be_none_is_told() {
        let filter = Filter::default().with(Field::Server, "web1").with(Field::Asn, "64500");
        let key = filter.key().unwrap();
        assert!(filter.takes(&key) && Fields::of(&key) == filter.fields());
        for (field, value) in [(Field::Code, "x"), (Field::Asn, "AS1"), (Field::Prefix, "1/99")] {
            assert_eq!(Filter::default().with(field, value).key(), None);
        }
        let other = Filter::default().with(Field::Prefix, "other").key().unwrap();
        assert_eq!(other.client_prefix, Some(ClientPrefix::Other));
        let (asn, server) =
            (filter.of_others().unwrap(), Filter::default().with(Field::Server, "a"));
        assert_eq!((asn.get(Field::Asn), asn.get(Field::Server)), (Some("other"), Some("web1")));
        assert_eq!((asn.of_others(), server.of_others()), (None, None));
    }

    #[test]
    fn a_filter_takes_rows_by_what_they_tell_and_leaves_the_rest_to_slow_requests() {
        let row = key("shop", "app", "web1", "");
        let of = |field, value| Filter::default().with(field, value).takes(&row);
        assert!(of(Field::Server, "web1") && !of(Field::Server, "web2"));
        assert!(!of(Field::Route, "/"), "a row that does not tell routes cannot be taken by one");
        assert!(of(Field::Country, "GB"));
    }
}
