//! How a command ends: the exit status scripts rely on, and the words for a person.

use std::fmt;
use std::io;
use std::process::ExitCode;

/// The exit status. `check` and `why` use the first four; every command uses the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All is well, or the report was made.
    Ok = 0,
    /// Slow, or a warning; of other commands: the operation failed.
    Degraded = 1,
    /// What was measured failed.
    Failed = 2,
    /// It could not be told.
    Unknown = 3,
    /// The command line makes no sense.
    Usage = 64,
    /// An input file cannot be read.
    Unreadable = 66,
    /// The configuration is wrong.
    Config = 78,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command stopped early: what happened to what, the line that mends it, the status.
#[derive(Debug)]
pub struct Stop {
    /// The status the process ends with.
    pub exit: Exit,
    /// What happened, to what. Empty where the command has said all there is to say.
    pub what: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Stop {
    /// The command line makes no sense.
    pub fn usage(what: impl fmt::Display) -> Self {
        Self::new(Exit::Usage, what)
    }

    /// An input file cannot be read.
    pub fn unreadable(what: impl fmt::Display) -> Self {
        Self::new(Exit::Unreadable, what)
    }

    /// The configuration is wrong.
    pub fn config(what: impl fmt::Display) -> Self {
        Self::new(Exit::Config, what)
    }

    /// An operation of ours failed.
    pub fn operation(what: impl fmt::Display) -> Self {
        Self::new(Exit::Degraded, what)
    }

    /// An error with its causes, outermost first.
    pub fn with_causes(exit: Exit, error: &anyhow::Error) -> Self {
        Self::new(exit, format!("{error:#}"))
    }

    /// Everything has been said already; only the status is left.
    pub fn said(exit: Exit) -> Self {
        Self::new(exit, "")
    }

    /// Adds the line that mends it.
    #[must_use]
    pub fn hint(mut self, hint: impl fmt::Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }

    fn new(exit: Exit, what: impl fmt::Display) -> Self {
        Self { exit, what: what.to_string(), hint: None }
    }
}

impl From<io::Error> for Stop {
    /// Only writing results gives a bare I/O error; a reader who left is not one.
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::said(Exit::Ok);
        }
        Self::operation(format!("cannot write the result: {error}"))
    }
}
