//! How a source's lines are read: by the format it names, or by the first that fits.

use whyslow_edge::compiled::{self, FormatError};
use whyslow_edge::format::{Context, Parse, Reject, Scratch};
use whyslow_edge::record::Record;
use whyslow_edge::{auto, syslog};

/// A source's parser.
#[derive(Debug)]
pub(super) enum Reading {
    /// The format it names.
    Named(Box<dyn Parse>),
    /// Not yet known; so many lines have fitted none.
    Searching(u64),
    /// The first that took a line.
    Found(&'static str, Box<dyn Parse>),
}

/// Lines of which each is tried by every format while none is known; then one in so many is, so
/// that a log that no format takes costs little.
const TRIED_EACH: u64 = 1000;

/// A format that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoSuchFormat {
    /// A name that no format has.
    #[error("there is no format '{0}'")]
    Name(String),
    /// A format string by which no line can be read.
    #[error(transparent)]
    String(FormatError),
}

impl Reading {
    /// The parser of what a configuration names.
    ///
    /// # Errors
    /// [`NoSuchFormat`].
    pub(super) fn of(format: &str) -> Result<Self, NoSuchFormat> {
        if format == "auto" {
            return Ok(Self::Searching(0));
        }
        match compiled::parser(format) {
            Some(Ok(parser)) => Ok(Self::Named(parser)),
            Some(Err(refused)) => Err(NoSuchFormat::String(refused)),
            None => Err(NoSuchFormat::Name(format.to_owned())),
        }
    }

    /// The format that was found, where it had to be.
    pub(super) const fn found(&self) -> Option<&'static str> {
        match self {
            Self::Found(name, _) => Some(name),
            Self::Named(_) | Self::Searching(_) => None,
        }
    }

    /// Whether a format is asked for, or was found.
    pub(super) const fn is_known(&self) -> bool {
        !matches!(self, Self::Searching(_))
    }

    /// Looks for the format that takes `line`, where none is known yet.
    pub(super) fn look_at(&mut self, line: &[u8], context: &Context) {
        let Self::Searching(tried) = self else { return };
        *tried += 1;
        if *tried > TRIED_EACH && !tried.is_multiple_of(TRIED_EACH) {
            return;
        }
        if let Some(format) = auto::of_line(line, context) {
            *self = Self::Found(format.name, (format.parser)());
        }
    }

    /// Reads a line.
    ///
    /// # Errors
    /// [`Reject`], by which it is counted.
    pub(super) fn read<'a>(
        &self,
        line: &'a [u8],
        context: &Context,
        scratch: &'a mut Scratch,
    ) -> Result<Record<'a>, Reject> {
        scratch.text.clear();
        match self {
            Self::Named(parser) | Self::Found(_, parser) => {
                syslog::read(parser.as_ref(), line, context, scratch)
            }
            Self::Searching(_) => Err(Reject::NotARequest("no format takes it")),
        }
    }
}
