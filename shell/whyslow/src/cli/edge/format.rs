//! Which format the lines are of.

use std::sync::Arc;

use whyslow_edge::auto::SelfCheck;
use whyslow_edge::format::{Context, Parse};
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
/// against the first lines of the first input.
pub(super) fn choose(wanted: &str, inputs: &mut [Input], zone_s: i32) -> Result<Choice, Stop> {
    let context = Context { near: now(), zone_s };
    let named = named(wanted)?;
    let sample = match inputs.first_mut() {
        Some(input) => input.sample().map_err(|e| unreadable(&input.name, &e))?,
        None => Vec::new(),
    };
    // The last one may have been cut.
    let whole = memchr::memrchr(b'\n', &sample).map_or(sample.len(), |end| end);
    let lines: Vec<&[u8]> = sample[..whole]
        .split(|byte| *byte == b'\n')
        .take(auto::FIRST_LINES)
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .filter(|line| !line.is_empty())
        .collect();
    let named = match of_header(wanted, &lines)? {
        Some(parser) => Some(parser),
        None => named,
    };
    if let Some(parser) = named {
        let said = Said::of(auto::check(&*parser, &lines, &context));
        return Ok(Choice { parser, context, name: wanted.to_owned(), said });
    }
    let (found, check) = auto::find(&lines, &context);
    match found.or_else(|| formats::ALL.first().filter(|_| lines.is_empty())) {
        Some(format) => {
            let parser = Arc::from((format.parser)());
            Ok(Choice { parser, context, name: format.name.to_owned(), said: Said::of(check) })
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
            let known: Vec<_> = formats::ALL.iter().map(|format| format.name).collect();
            let hint =
                format!("auto, the balancer's own format string, or one of {}", known.join(", "));
            Err(Stop::usage(format!("there is no format '{wanted}'")).hint(hint))
        }
    }
}
