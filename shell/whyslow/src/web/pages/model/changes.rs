//! What changed: marks that people made, and stretches of failure and silence.

use super::Track;
use super::bins::{Streak, streaks};
use crate::web::pages::figures::{counted, lasted};
use crate::web::pages::when::Span;

/// A change somebody made and wrote down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// When.
    pub at_ms: i64,
    /// The service it concerns; empty: all.
    pub service: String,
    /// What was done, in the person's words.
    pub text: String,
}

/// One line of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// When it began.
    pub at_ms: i64,
    /// The service; empty: all.
    pub service: String,
    /// What happened.
    pub text: String,
    /// Whether it is bad and still goes on.
    pub open: bool,
}

/// Failed runs that make a stretch worth a line.
const BAD_MIN: usize = 2;
/// Stretches of one track that are told one by one.
const STRETCHES_EACH_MAX: usize = 2;
/// Good runs that end it.
const CALM_RUNS: usize = 8;
/// Lines of the list.
const LINES_MAX: usize = 12;

/// The newest changes first.
pub fn changes(tracks: &[Track], marks: &[Mark], span: &Span) -> Vec<Change> {
    let mut all: Vec<Change> = marks
        .iter()
        .map(|m| Change {
            at_ms: m.at_ms,
            service: m.service.clone(),
            text: format!("mark “{}”", m.text),
            open: false,
        })
        .collect();
    for track in tracks {
        all.extend(failures(track, span));
        all.extend(silences(track, span));
    }
    all.sort_by(|a, b| b.at_ms.cmp(&a.at_ms).then_with(|| a.service.cmp(&b.service)));
    all.truncate(LINES_MAX);
    all
}

/// The stretches of failure of one track: each its own line, or all of them one line where they
/// are many.
fn failures(track: &Track, span: &Span) -> Vec<Change> {
    let found = streaks(&track.points, |p| !p.ok, CALM_RUNS);
    let long: Vec<&Streak> = found.iter().filter(|s| s.bad >= BAD_MIN).collect();
    let (Some(first), Some(last)) = (found.first(), found.last()) else { return Vec::new() };
    let until = if last.open {
        "still going on".to_owned()
    } else {
        format!("the last at {}", span.clock_s(last.to_ms))
    };
    let change = |at_ms: i64, text: String, open: bool| Change {
        at_ms,
        service: track.service.clone(),
        text: format!("{} by {}: {text}", track.check, track.label),
        open,
    };
    if long.len() > STRETCHES_EACH_MAX {
        let bad: usize = found.iter().map(|s| s.bad).sum();
        let text = format!("{} failed in {} stretches, {until}", counted(bad, "run"), found.len());
        return vec![change(first.from_ms, text, last.open)];
    }
    let line = |s: &&Streak| {
        let failed = counted(s.bad, "run");
        let text = match s.open {
            true => format!("{failed} failed so far"),
            false => format!("{failed} failed, the last at {}", span.clock_s(s.to_ms)),
        };
        change(s.from_ms, text, s.open)
    };
    long.iter().map(line).collect()
}

fn silences<'a>(track: &'a Track, span: &'a Span) -> impl Iterator<Item = Change> + 'a {
    let patience = track.every_ms().saturating_mul(4).max(60_000);
    let gap = move |from: i64, to: i64, open: bool| Change {
        at_ms: from,
        service: track.service.clone(),
        text: format!(
            "{} by {}: no run for {}{}",
            track.check,
            track.label,
            lasted(to - from),
            if open { ", still silent" } else { "" },
        ),
        open,
    };
    let pairs = track.points.windows(2).map(|w| (w[0].at_ms, w[1].at_ms));
    let inside = pairs.filter(move |(a, b)| b - a > patience).map(move |(a, b)| gap(a, b, false));
    let last = track.points.last().map_or(span.to_ms, |p| p.at_ms);
    let open = (span.to_ms - last > patience).then(|| gap(last, span.to_ms, span.is_live()));
    inside.chain(open)
}

#[cfg(test)]
mod tests {
    use super::super::tests::track;
    use super::*;
    use crate::web::pages::when::Asked;

    #[test]
    fn marks_failures_and_silences_stand_in_one_list() {
        let mut t = track(&[100.0; 100]);
        for failed in &mut t.points[10..14] {
            failed.ok = false;
        }
        t.points.drain(50..70);
        let span = Span::new(&Asked::default(), 100 * 15_000);
        let mark = Mark { at_ms: 40 * 15_000, service: "shop".into(), text: "deploy".into() };
        let texts: Vec<String> = changes(&[t], &[mark], &span)
            .into_iter()
            .map(|c| c.text.replace('\u{a0}', " "))
            .collect();
        assert_eq!(
            texts,
            [
                "home by web2: no run for 5 min",
                "mark “deploy”",
                "home by web2: 4 runs failed, the last at 00:03:15",
            ]
        );
    }
}
