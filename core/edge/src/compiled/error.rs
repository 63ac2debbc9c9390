//! Why a format string cannot be read by.

/// Why a format string is refused. Names are those of the string's own items.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// There is nothing in it.
    #[error("the format string is empty")]
    Empty,
    /// It is longer, or has more items, than one may have.
    #[error("the format string has more than {most} {what}")]
    TooMuch {
        /// Bytes or items.
        what: &'static str,
        /// How many there may be.
        most: usize,
    },
    /// It is of no balancer's language, or could be of two.
    #[error("no balancer's format language is to be told from this string")]
    UnknownLanguage,
    /// It has no item that says anything of a request.
    #[error("the format string names nothing that is known of a request")]
    NothingKnown,
    /// Something in it is opened and never closed.
    #[error("the format string ends inside {0}")]
    Unclosed(String),
    /// It asks for an encoding as a whole, which is a format of its own.
    #[error("the format string writes {0}, not text")]
    Encoded(&'static str),
    /// Where one item ends cannot be told.
    #[error("where {first} ends and {second} begins cannot be told from a line: {why}")]
    Ambiguous {
        /// The item whose end is in doubt.
        first: String,
        /// The item that makes it doubtful.
        second: String,
        /// What is wrong between the two.
        why: &'static str,
    },
}

impl FormatError {
    /// What would mend it, in a sentence.
    pub fn hint(&self) -> String {
        match self {
            Self::Empty => {
                "give the string as it stands in the balancer's configuration".to_owned()
            }
            Self::TooMuch { .. } => "leave out items that no report needs".to_owned(),
            Self::UnknownLanguage => "HAProxy writes %ci, nginx $remote_addr, Apache %h and %>s, \
                                      Envoy %START_TIME%, IIS '#Fields: date time'"
                .to_owned(),
            Self::NothingKnown => "name at least a status, a time or a path".to_owned(),
            Self::Unclosed(what) => format!("close {what}, or quote the whole string in the shell"),
            Self::Encoded(_) => "name the format instead, such as --format haproxy-json".to_owned(),
            Self::Ambiguous { first, second, .. } => {
                format!("put {first} or {second} in double quotes in the balancer's configuration")
            }
        }
    }
}
