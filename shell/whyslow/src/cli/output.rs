//! Where a command's words go: results to stdout, notes and errors to stderr.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};

use anstream::{AutoStream, ColorChoice, StripStream};

use super::{Exit, Stop};

/// The two streams of one command. Text may carry ANSI colours; where they are not wanted
/// (NO_COLOR, `--no-color`, a pipe, TERM=dumb) they are left out on the way.
pub struct Output {
    stdout: Box<dyn Write + Send>,
    /// Whether colours stay in what goes to stdout.
    colours: bool,
    /// Room for a document, kept from one to the next.
    document: Vec<u8>,
    stderr: AutoStream<Box<dyn Write + Send>>,
    /// Whether notes and progress are wanted.
    notes: bool,
    /// Whether a person watches stderr.
    progress: bool,
    /// Whether a person watches stdout.
    terminal: bool,
}

/// Bytes of results that are written at once; whoever follows something sends them off earlier.
const BUFFER: usize = 64 << 10;

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output").field("notes", &self.notes).finish_non_exhaustive()
    }
}

impl Output {
    /// The process's own streams.
    pub fn of_process() -> Self {
        let stdout_colour = AutoStream::choice(&io::stdout());
        let stderr_colour = AutoStream::choice(&io::stderr());
        Self {
            stdout: Box::new(io::BufWriter::with_capacity(BUFFER, io::stdout())),
            colours: stdout_colour != ColorChoice::Never,
            document: Vec::new(),
            stderr: coloured(Box::new(io::stderr()), stderr_colour),
            notes: true,
            progress: io::stderr().is_terminal(),
            terminal: io::stdout().is_terminal(),
        }
    }

    /// Streams kept in memory, without colours, and the place where they end up.
    pub fn captured() -> (Self, Captured) {
        let written = Captured::default();
        let out = Self {
            stdout: Box::new(Sink(Arc::clone(&written.stdout))),
            colours: false,
            document: Vec::new(),
            stderr: coloured(Box::new(Sink(Arc::clone(&written.stderr))), ColorChoice::Never),
            notes: true,
            progress: false,
            terminal: false,
        };
        (out, written)
    }

    /// Writes one line of the result.
    pub fn line(&mut self, text: impl fmt::Display) -> io::Result<()> {
        if self.colours {
            writeln!(self.stdout, "{text}")
        } else {
            writeln!(StripStream::new(&mut self.stdout), "{text}")
        }
    }

    /// Writes one JSON document and a newline.
    pub fn json(&mut self, document: &impl serde::Serialize) -> Result<(), Stop> {
        self.document.clear();
        let written = serde_json::to_writer_pretty(&mut self.document, document);
        self.end_document(written)
    }

    /// Writes one JSON document on a single line, behind some text that begins it.
    pub fn json_after(&mut self, text: &str, document: &impl serde::Serialize) -> Result<(), Stop> {
        self.document.clear();
        self.document.extend_from_slice(text.as_bytes());
        let written = serde_json::to_writer(&mut self.document, document);
        self.end_document(written)
    }

    /// Writes one JSON document on a single line that begins with a text and goes on as `write`
    /// does.
    pub fn json_written(&mut self, text: &str, write: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        self.document.clear();
        self.document.extend_from_slice(text.as_bytes());
        write(&mut self.document);
        self.document.push(b'\n');
        self.stdout.write_all(&self.document)
    }

    /// Writes one JSON document on a single line and sends it off at once.
    pub fn json_line(&mut self, document: &impl serde::Serialize) -> Result<(), Stop> {
        self.json_after("", document)?;
        Ok(self.flush()?)
    }

    /// JSON escapes what could colour a terminal, so nothing has to be taken out of it.
    fn end_document(&mut self, written: serde_json::Result<()>) -> Result<(), Stop> {
        written.map_err(|e| Stop::operation(format!("cannot write the result as JSON: {e}")))?;
        self.document.push(b'\n');
        Ok(self.stdout.write_all(&self.document)?)
    }

    /// Sends off what was written.
    pub fn flush(&mut self) -> io::Result<()> {
        self.stdout.flush()
    }

    /// Says something that is no result, unless `--quiet`. A stderr nobody can read is no error.
    pub fn note(&mut self, text: impl fmt::Display) {
        if self.notes {
            self.note_always(text);
        }
    }

    /// Says something that is no result, whatever `--quiet` says.
    pub fn note_always(&mut self, text: impl fmt::Display) {
        let _ = writeln!(self.stderr, "{text}");
    }

    /// Whether progress is wanted: a person watches stderr and did not ask for quiet.
    pub const fn shows_progress(&self) -> bool {
        self.progress && self.notes
    }

    /// Whether a person watches the result.
    pub const fn is_terminal(&self) -> bool {
        self.terminal
    }

    pub(super) const fn silence_notes(&mut self) {
        self.notes = false;
    }

    pub(super) fn without_colour(&mut self) {
        self.colours = false;
        let old =
            std::mem::replace(&mut self.stderr, coloured(Box::new(io::sink()), ColorChoice::Never));
        self.stderr = coloured(old.into_inner(), ColorChoice::Never);
    }

    /// Prints why a command stopped and gives the status to end with.
    pub(super) fn explain(&mut self, stop: &Stop) -> Exit {
        // What was found before the stop is still worth reading.
        let _ = self.flush();
        if !stop.what.is_empty() {
            self.note_always(format_args!("whyslow: {}", stop.what));
        }
        if let Some(hint) = &stop.hint {
            self.note_always(format_args!("hint: {hint}"));
        }
        stop.exit
    }
}

fn coloured(to: Box<dyn Write + Send>, choice: ColorChoice) -> AutoStream<Box<dyn Write + Send>> {
    AutoStream::new(to, choice)
}

/// What a captured command wrote.
#[derive(Clone, Debug, Default)]
pub struct Captured {
    stdout: Arc<Mutex<Vec<u8>>>,
    stderr: Arc<Mutex<Vec<u8>>>,
}

impl Captured {
    /// Results, then notes.
    pub fn texts(&self) -> (String, String) {
        let text = |of: &Mutex<Vec<u8>>| {
            let bytes = of.lock().unwrap_or_else(PoisonError::into_inner);
            String::from_utf8_lossy(&bytes).into_owned()
        };
        (text(&self.stdout), text(&self.stderr))
    }
}

struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_who_left_is_not_an_error() {
        let stop = Stop::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!((stop.exit, stop.what.as_str()), (Exit::Ok, ""));
    }

    #[test]
    fn quiet_keeps_errors_and_drops_notes() {
        let (mut out, written) = Output::captured();
        out.silence_notes();
        out.note("progress");
        out.explain(&Stop::usage("no such thing").hint("try another"));
        assert_eq!(written.texts().1, "whyslow: no such thing\nhint: try another\n");
    }

    #[test]
    fn colours_are_left_out_where_they_are_not_wanted() {
        let (mut out, written) = Output::captured();
        out.line("\u{1b}[1mbold\u{1b}[0m").unwrap();
        assert_eq!(written.texts().0, "bold\n");
    }
}
