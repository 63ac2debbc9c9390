//! The fields by which slow requests are filtered and counted, and how each is stored.

use whyslow_edge::record::EdgePhase;
use whyslow_edge::slow::{Reason, SlowRow};
use whyslow_model::Segment;

/// How a field is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FieldKind {
    /// As the number of a text of the file.
    Word,
    /// As a number of its own meaning.
    Number,
    /// As the text itself.
    Text,
}

macro_rules! fields {
    ($($variant:ident $name:literal $kind:ident $doc:literal;)*) => {
        /// A field of a slow request that can be filtered by.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum SlowField {
            $(#[doc = $doc] $variant,)*
        }

        impl SlowField {
            /// All of them.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$variant),*];

            /// The name in API, URLs and files.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            pub(super) const fn kind(self) -> FieldKind {
                match self { $(Self::$variant => FieldKind::$kind,)* }
            }
        }
    };
}

fields! {
    Source "source" Word "The log it stands in.";
    Client "client" Word "The client's address.";
    Prefix "prefix" Word "The client's /24 or /48.";
    Asn "asn" Number "The number of the client's network.";
    Country "country" Word "The client's country.";
    Vip "vip" Word "The frontend.";
    Backend "backend" Word "The pool.";
    Server "server" Word "The server.";
    Method "method" Word "The method.";
    Host "host" Word "The host the client asked for.";
    Path "path" Word "The path.";
    Route "route" Word "The route.";
    Code "code" Number "The status code; 0 where none was sent.";
    Flags "flags" Word "The balancer's flags.";
    Blamed "blamed" Number "The segment that the flags blame.";
    Dominant "dominant" Number "The phase that took the most.";
    Reason "reason" Number "Why it is kept.";
    RequestId "request_id" Text "The id by which other logs know it.";
}

impl SlowField {
    /// The field of a name.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|f| f.as_str() == name)
    }

    /// The column of `slow`; names are the same.
    pub(super) const fn as_column(self) -> &'static str {
        self.as_str()
    }

    /// A row's value as text; `None` where the row has none.
    pub fn of(self, row: &SlowRow) -> Option<String> {
        let told = |text: &str| Some(text.to_owned()).filter(|t| !t.is_empty());
        match self {
            Self::Source => told(&row.source),
            Self::Client => row.client.map(|c| c.to_string()),
            Self::Prefix => row.prefix.map(|p| p.to_string()),
            Self::Asn => row.asn.map(|n| n.to_string()),
            Self::Country => row.country.clone(),
            Self::Vip => told(&row.vip),
            Self::Backend => told(&row.backend),
            Self::Server => told(&row.server),
            Self::Method => told(&row.method),
            Self::Host => told(&row.host),
            Self::Path => told(&row.path),
            Self::Route => told(&row.route),
            Self::Code => Some(row.code.to_string()),
            Self::Flags => told(&row.flags),
            Self::Blamed => row.blamed.map(|s| s.as_str().to_owned()),
            Self::Dominant => row.dominant.map(|p| p.as_str().to_owned()),
            Self::Reason => Some(row.reason.as_str().to_owned()),
            Self::RequestId => told(&row.request_id),
        }
    }

    /// The number that stands for a text; −1, which stands for none, where the text is none.
    pub(super) fn number(self, text: &str) -> i64 {
        let found = match self.names() {
            Some(names) => {
                let place = names.iter().position(|n| *n == text);
                place.and_then(|at| i64::try_from(at).ok())
            }
            None => text.parse().ok().filter(|n| *n >= 0),
        };
        found.unwrap_or(-1)
    }

    /// Undoes [`Self::number`].
    pub(super) fn text(self, number: i64) -> String {
        let Some(names) = self.names() else { return number.to_string() };
        let name = usize::try_from(number).ok().and_then(|at| names.get(at).copied());
        name.unwrap_or_default().to_owned()
    }

    /// The words that a field is one of, where it is.
    fn names(self) -> Option<Vec<&'static str>> {
        if self == Self::Blamed {
            return Some(Segment::ALL.map(Segment::as_str).to_vec());
        }
        if self == Self::Dominant {
            return Some(EdgePhase::ALL.map(EdgePhase::as_str).to_vec());
        }
        (self == Self::Reason).then(|| Reason::ALL.map(Reason::as_str).to_vec())
    }
}
