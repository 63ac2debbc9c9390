//! Which format the lines are of.

use std::sync::Arc;

use whyslow_edge::compiled::{self, is_format_string};
use whyslow_edge::format::{Context, Format, Parse, Scratch};
use whyslow_edge::{formats, syslog};

use super::open::{Input, unreadable};
use super::tally::Tally;
use super::{Stop, now};

/// Lines tried to find a format.
const TRIED: usize = 1000;

/// The format that was chosen.
pub(super) struct Choice {
    /// Its name.
    pub(super) name: String,
    /// Reads the lines.
    pub(super) parser: Arc<dyn Parse>,
    /// What lines leave out.
    pub(super) context: Context,
    /// What is worth telling of the choice.
    pub(super) said: Option<String>,
}

/// Takes the format by name, compiles it from the balancer's own string, or finds it.
pub(super) fn choose(wanted: &str, inputs: &mut [Input], zone_s: i32) -> Result<Choice, Stop> {
    let context = Context { near: now(), zone_s };
    let named = |format: &Format| Choice {
        name: format.name.to_owned(),
        parser: Arc::from((format.parser)()),
        context,
        said: None,
    };
    if let Some(format) = formats::find(wanted) {
        return Ok(named(format));
    }
    if is_format_string(wanted) {
        let compiled = compiled::compile(wanted)
            .map_err(|e| Stop::usage(format!("--format: {e}")).hint(e.hint()))?;
        let parser = Arc::new(compiled);
        return Ok(Choice { name: "the given format".to_owned(), parser, context, said: None });
    }
    if wanted != "auto" {
        let known: Vec<_> = formats::ALL.iter().map(|f| f.name).collect();
        return Err(Stop::usage(format!("there is no format '{wanted}'")).hint(format!(
            "auto, the balancer's own format string, or one of {}",
            known.join(", ")
        )));
    }
    let sample = match inputs.first_mut() {
        Some(input) => input.sample().map_err(|e| unreadable(&input.name, &e))?,
        None => Vec::new(),
    };
    let format = found(&sample, &context).ok_or_else(|| Stop::usage("there are no formats"))?;
    Ok(named(format))
}

/// The format that most of the first lines are of; the first of those that are as good.
fn found(sample: &[u8], context: &Context) -> Option<&'static Format> {
    let lines: Vec<&[u8]> = sample.split(|b| *b == b'\n').take(TRIED).collect();
    let parsed = |format: &Format| {
        let (parser, mut scratch) = ((format.parser)(), Scratch::default());
        let sound = |line: &&&[u8]| syslog::read(&*parser, line, context, &mut scratch).is_ok();
        lines.iter().filter(sound).count()
    };
    let mut best: Option<(usize, &Format)> = None;
    for format in formats::ALL {
        let parsed = parsed(format);
        if best.is_none_or(|(most, _)| parsed > most) {
            best = Some((parsed, format));
        }
    }
    best.map(|(_, format)| format)
}

/// What to say where no line at all was of the format.
pub(super) fn none_parsed(choice: &Choice, tally: &Tally) -> String {
    let first = tally.samples.first();
    let why = first.map_or_else(String::new, |s| format!("; line {}: {}", s.line_no, s.reason));
    format!("0 of {} lines are of {}{why}", tally.lines, choice.name)
}
