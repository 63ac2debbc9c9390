//! How a source's lines are read: by the format it names, or by the first that fits.

use whyslow_edge::compiled::{self, FormatError};
use whyslow_edge::format::{Context, Format, Parse, Reject, Scratch};
use whyslow_edge::formats;
use whyslow_edge::record::Record;

/// A source's parser.
#[derive(Debug)]
pub(super) enum Reading {
    /// The format it names.
    Named(Box<dyn Parse>),
    /// Not yet known; every format is tried.
    Searching(Vec<(&'static Format, Box<dyn Parse>)>),
    /// The first that took a line.
    Found(&'static Format, Box<dyn Parse>),
}

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
            let all = formats::ALL.iter().map(|format| (format, (format.parser)()));
            return Ok(Self::Searching(all.collect()));
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
            Self::Found(format, _) => Some(format.name),
            Self::Named(_) | Self::Searching(_) => None,
        }
    }

    /// Looks for the format that takes `line`, where none is known yet.
    pub(super) fn look_at(&mut self, line: &[u8], context: &Context, scratch: &mut Scratch) {
        let Self::Searching(all) = self else { return };
        let fits = |(_, parser): &(&Format, Box<dyn Parse>)| {
            scratch.text.clear();
            parser.parse(line, context, scratch).is_ok()
        };
        if let Some(at) = all.iter().position(fits) {
            let (format, parser) = all.swap_remove(at);
            *self = Self::Found(format, parser);
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
            Self::Named(parser) | Self::Found(_, parser) => parser.parse(line, context, scratch),
            Self::Searching(_) => Err(Reject::NotARequest("no format takes it")),
        }
    }
}
