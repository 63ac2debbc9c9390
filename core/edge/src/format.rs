//! What a log format is: its entry in the list, and how a line becomes a record.

use whyslow_model::Wall;

use crate::brief::Brief;
use crate::record::Record;

/// Facts a line may leave out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// A time close to the lines', from which a date without a year takes its year.
    pub near: Wall,
    /// Seconds east of UTC of the balancer's clock, for dates without a zone (`HAProxy`'s `%t`).
    pub zone_s: i32,
}

/// Room a parser may use, kept from line to line.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Text that must be unescaped; cleared by who uses it.
    pub text: Vec<u8>,
    /// The last date, since the next line mostly has the same.
    pub last: crate::stamp::LastStamp,
    /// The last syslog header, for the same reason.
    pub header: crate::syslog::LastHeader,
    /// The fields of a compiled format string's line.
    pub fields: crate::compiled::Fields,
    /// Names that stand together in the lines.
    pub places: crate::places::Places,
    /// What will be read of the records.
    pub wanted: Wanted,
}

/// Which parts of a record will be read at all. A parser may leave out the others, as if the line
/// did not tell them; which lines it takes does not depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The client's address and port.
    pub client: bool,
    /// Method, host and path, and whether the line was cut inside them.
    pub request: bool,
    /// The phases other than connecting and waiting for the server, and how well all are known.
    pub phases: bool,
    /// Connections and queue positions.
    pub counters: bool,
}

impl Default for Wanted {
    /// Everything.
    fn default() -> Self {
        Self { client: true, request: true, phases: true, counters: true }
    }
}

/// Why a line is not a request of this format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Reject {
    /// The line ends too early; the field that was expected.
    #[error("the line ends before {0}")]
    Incomplete(&'static str),
    /// A field holds what it cannot; the field.
    #[error("malformed {0}")]
    Malformed(&'static str),
    /// A sound line that tells of no request (a start-up notice, a comment).
    #[error("not a request: {0}")]
    NotARequest(&'static str),
}

/// Reads the lines of one format. Never panics, never guesses; syslog headers are cut off before.
pub trait Parse: Send + Sync + std::fmt::Debug {
    /// Reads one line, without its line feed.
    ///
    /// # Errors
    /// [`Reject`], by which the line is counted.
    fn parse<'a>(
        &self,
        line: &'a [u8],
        context: &Context,
        scratch: &'a mut Scratch,
    ) -> Result<Record<'a>, Reject>;

    /// The same into a record that holds nothing yet, for who reads millions: a record is large,
    /// and handing it on costs as much as reading it. What it holds of a rejected line means
    /// nothing.
    ///
    /// # Errors
    /// [`Reject`], by which the line is counted.
    fn parse_into<'a>(
        &self,
        line: &'a [u8],
        context: &Context,
        scratch: &'a mut Scratch,
        record: &mut Record<'a>,
    ) -> Result<(), Reject> {
        *record = self.parse(line, context, scratch)?;
        Ok(())
    }

    /// What a report by names alone counts of a line, where the parser can tell that for much less
    /// than the whole record. `None` says nothing of the line, which is to be read whole.
    fn brief(&self, line: &[u8], context: &Context, scratch: &mut Scratch) -> Option<Brief> {
        let _ = (line, context, scratch);
        None
    }
}

/// A format's entry in the list.
#[derive(Clone, Copy)]
pub struct Format {
    /// The name by which `--format` and the configuration ask for it.
    pub name: &'static str,
    /// What writes it, in a few words.
    pub summary: &'static str,
    /// The words one would know it by, for hints: what a line of it looks like.
    pub looks_like: &'static str,
    /// A line of it, as the balancer writes it.
    pub example: &'static str,
    /// Its parser.
    pub parser: fn() -> Box<dyn Parse>,
}

impl std::fmt::Debug for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Format").field("name", &self.name).finish_non_exhaustive()
    }
}
