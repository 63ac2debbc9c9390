//! Which format the lines are of.

use std::sync::Arc;

use whyslow_edge::auto::SelfCheck;
use whyslow_edge::format::{Context, Format, Parse};
use whyslow_edge::{auto, compiled, formats};

use super::open::{Input, unreadable};
use super::{Stop, now};

/// The format that was chosen.
pub(super) struct Choice {
    /// Reads the lines.
    pub(super) parser: Arc<dyn Parse>,
    /// What lines leave out.
    pub(super) context: Context,
    /// Its name, or the balancer's own string, as it was asked for or found.
    pub(super) name: String,
    /// What the first lines say against it.
    pub(super) said: Option<Said>,
    /// Whether it was asked for, or found by a line.
    pub(super) is_known: bool,
}

/// A sentence, and what to do about it.
pub(super) struct Said {
    pub(super) what: String,
    pub(super) hint: Option<String>,
}

impl Said {
    fn of(check: SelfCheck) -> Option<Self> {
        Some(Self { what: check.sentence?, hint: check.hint })
    }
}

/// Takes the format by name, compiles it from the balancer's own string, or finds it; holds it
/// against the first lines of the first input that has any: a log that was just rotated is empty.
pub(super) fn choose(wanted: &str, inputs: &mut [Input], zone_s: i32) -> Result<Choice, Stop> {
    let context = Context { near: now(), zone_s };
    let named = named(wanted)?;
    let mut sample = Vec::new();
    for input in inputs.iter_mut() {
        sample = input.sample().map_err(|e| unreadable(&input.name, &e))?;
        if !lines(&sample).is_empty() {
            break;
        }
    }
    let lines = lines(&sample);
    if lines.is_empty() {
        return nothing(wanted, named, inputs, context);
    }
    let named = match of_header(wanted, &lines)? {
        Some(parser) => Some(parser),
        None => named,
    };
    if let Some(parser) = named {
        let said = Said::of(auto::check(&*parser, &lines, &context));
        return Ok(Choice { parser, context, name: wanted.to_owned(), said, is_known: true });
    }
    let (found, check) = auto::find(&lines, &context);
    match found {
        Some(format) => {
            let parser = Arc::from((format.parser)());
            let (name, said) = (format.name.to_owned(), Said::of(check));
            Ok(Choice { parser, context, name, said, is_known: true })
        }
        None => {
            let what = check.sentence.unwrap_or_else(|| "no format takes these lines".to_owned());
            let hint = check.hint.unwrap_or_else(|| {
                "name it with --format, or give the balancer's own format string".to_owned()
            });
            Err(Stop::unreadable(what).hint(hint))
        }
    }
}

/// The first whole lines of a sample.
fn lines(sample: &[u8]) -> Vec<&[u8]> {
    // The last one may have been cut.
    let whole = memchr::memrchr(b'\n', sample).map_or(sample.len(), |end| end);
    sample[..whole]
        .split(|byte| *byte == b'\n')
        .take(auto::FIRST_LINES)
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .filter(|line| !line.is_empty())
        .collect()
}

/// The choice where no input has a line: any format does.
fn nothing(
    wanted: &str,
    named: Option<Arc<dyn Parse>>,
    inputs: &[Input],
    context: Context,
) -> Result<Choice, Stop> {
    let names: Vec<&str> = inputs.iter().map(|input| &*input.name).collect();
    let what = format!("there is no line in {}", names.join(", "));
    let first = || formats::ALL.first().map(|format| Arc::from((format.parser)()));
    match named.or_else(first) {
        Some(parser) => {
            let said = Some(Said { what, hint: None });
            Ok(Choice {
                parser,
                context,
                name: wanted.to_owned(),
                said,
                is_known: wanted != "auto",
            })
        }
        None => Err(Stop::unreadable(what)),
    }
}

/// The parser that an IIS file's own header asks for, unless another format is wanted.
fn of_header(wanted: &str, lines: &[&[u8]]) -> Result<Option<Arc<dyn Parse>>, Stop> {
    if !matches!(wanted, "auto" | "iis") {
        return Ok(None);
    }
    match lines.iter().find_map(|line| formats::iis::with_header(line)) {
        None => Ok(None),
        Some(Ok(compiled)) => Ok(Some(Arc::new(compiled))),
        Some(Err(e)) => Err(Stop::unreadable(format!("the #Fields line: {e}")).hint(e.hint())),
    }
}

/// The parser of a name or a format string; nothing of `auto`.
fn named(wanted: &str) -> Result<Option<Arc<dyn Parse>>, Stop> {
    if wanted == "auto" {
        return Ok(None);
    }
    match compiled::parser(wanted) {
        Some(Ok(parser)) => Ok(Some(Arc::from(parser))),
        Some(Err(e)) => Err(Stop::usage(format!("--format: {e}")).hint(e.hint())),
        None => {
            let hint = format!(
                "{}auto, the balancer's own format string, or one of {}",
                meant(wanted),
                names(|_| true)
            );
            Err(Stop::usage(format!("there is no format '{wanted}'")).hint(hint))
        }
    }
}

/// Formats that are known by this word, though it is no name of theirs: `httplog`, `combined`.
fn meant(word: &str) -> String {
    let word = word.to_lowercase();
    let is = |format: &Format| {
        [format.summary, format.looks_like].iter().any(|text| text.to_lowercase().contains(&word))
    };
    match names(is) {
        names if names.is_empty() || word.len() < 3 => String::new(),
        names => format!("perhaps {names}; or "),
    }
}

fn names(of: impl Fn(&Format) -> bool) -> String {
    let names: Vec<_> =
        formats::ALL.iter().filter(|format| of(format)).map(|format| format.name).collect();
    names.join(", ")
}
