//! Why a target is not answered.

use whyslow_model::limits::GRAPHITE_ANSWER_NAME_BYTES_MAX;
use whyslow_model::read::ReadError;

/// Why a target is not answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// The target is no expression.
    #[error("{0}")]
    BadTarget(String),
    /// A function of this name is not known.
    #[error("there is no function {0:?}")]
    NoFunction(String),
    /// A function cannot be called so.
    #[error("{function}: {what}")]
    BadCall {
        /// The function.
        function: &'static str,
        /// What is wrong.
        what: String,
    },
    /// The target needs more than one request may have.
    #[error("the target needs more than {limit} {what}")]
    Limit {
        /// What there was too much of.
        what: &'static str,
        /// How much one request may have.
        limit: usize,
    },
    /// The caller's check said that the time is up, or that nobody waits any more.
    #[error("the request was stopped before it was done")]
    Stopped,
    /// The store beneath could not be read.
    #[error(transparent)]
    Read(ReadError),
}

impl RenderError {
    pub(crate) const NAME_TOO_LONG: Self =
        Self::Limit { what: "bytes in a name", limit: GRAPHITE_ANSWER_NAME_BYTES_MAX };
}

impl From<ReadError> for RenderError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::TooManySamples { limit } => Self::Limit { what: "samples", limit },
            ReadError::TooManySeries { limit } => Self::Limit { what: "series", limit },
            ReadError::Storage(_) => Self::Read(error),
        }
    }
}
