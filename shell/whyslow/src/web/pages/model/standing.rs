//! How a check, and a service, stands: a state, since when, and one sentence with its reason.
//!
//! The rules look at one vantage's own runs and its own past. They say what is seen, and where in
//! the run the time went; they blame nobody.

use whyslow_model::Phase;

use super::bins::streaks;
use super::{Figures, Point, RUNS_TO_JUDGE, Track};
use crate::web::pages::figures::{count, counted, lasted, limit, part, time};
use crate::web::pages::when::Span;

/// A state, worst first: the order in which things are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Nothing gets through.
    Down,
    /// Some fail, or they are slow.
    Degraded,
    /// Nobody can tell.
    Unknown,
    /// As it should be.
    Ok,
}

impl State {
    /// The word in addresses, classes and JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Degraded => "degraded",
            Self::Unknown => "unknown",
            Self::Ok => "ok",
        }
    }

    /// The word on pages.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Down => "Down",
            Self::Degraded => "Degraded",
            Self::Unknown => "Unknown",
            Self::Ok => "OK",
        }
    }
}

/// How a check on a path stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// The state.
    pub state: State,
    /// Since when, where it began inside what was read.
    pub since_ms: Option<i64>,
    /// What is seen, as the rest of a sentence that begins with the path.
    pub says: String,
    /// The runs by which it was judged.
    pub now: Figures,
    /// The runs before those.
    pub usual: Figures,
}

/// The runs that count as "now": at least this many and this long.
const NOW_MS: i64 = 15 * 60_000;
/// Failed runs in a row that mean "down".
const DOWN_RUNS: usize = 3;
/// Good runs that end a stretch of bad ones.
const CALM_RUNS: usize = 8;
/// How much slower than usual is worth saying, and by how much at least.
const SLOWER_TIMES: f64 = 2.0;
const SLOWER_MS: f64 = 20.0;

/// Judges one track at `span.now_ms`.
pub fn of_track(track: &Track, span: &Span) -> Standing {
    let now_from = now_from(track, span.now_ms);
    let split = track.points.partition_point(|p| p.at_ms < now_from);
    let (before, recent) = track.points.split_at(split);
    let (now, usual) = (Figures::of(recent), Figures::of(before));
    let found = silent(track, span)
        .or_else(|| failing(track, recent))
        .or_else(|| above_warn(track, recent))
        .or_else(|| slower(track, &now, &usual))
        .or_else(|| expiring(track, span));
    let (state, since_ms, says) = found.unwrap_or_else(|| (State::Ok, None, calm(track, span)));
    Standing { state, since_ms, says, now, usual }
}

type Found = (State, Option<i64>, String);

/// Where "now" begins: 15 minutes ago, or as far back as 20 runs reach, but within a tenth of a day.
fn now_from(track: &Track, now_ms: i64) -> i64 {
    let needed = track.every_ms().saturating_mul(i64::try_from(RUNS_TO_JUDGE).unwrap_or(20) + 1);
    now_ms - needed.clamp(NOW_MS, 144 * 60_000)
}

fn silent(track: &Track, span: &Span) -> Option<Found> {
    let Some(last) = track.points.last() else {
        return Some((State::Unknown, None, "has no run in this range".to_owned()));
    };
    let timeout = track.plan.as_ref().map_or(0, |p| i64::try_from(p.timeout_ms).unwrap_or(0));
    let patience = track.every_ms() * 3 + timeout;
    // A range in the past is judged by its own end.
    let end = span.now_ms.min(span.to_ms);
    (end - last.at_ms > patience).then(|| {
        let at = span.clock_s(last.at_ms);
        (
            State::Unknown,
            Some(last.at_ms),
            format!("is silent: {} last reported at {at}", track.vantage),
        )
    })
}

fn failing(track: &Track, recent: &[Point]) -> Option<Found> {
    let tail = recent.iter().rev().take_while(|p| !p.ok).count();
    let failed = recent.iter().filter(|p| !p.ok).count();
    let since = open_since(track, |p| !p.ok);
    if tail >= DOWN_RUNS.min(track.points.len()) && tail > 0 {
        let where_ = recent.last().and_then(Point::longest);
        let where_ = where_.map(|(phase, ms)| format!(", {} in {}", time(ms), phase.as_str()));
        return Some((
            State::Down,
            since,
            format!("fails every run{}", where_.unwrap_or_default()),
        ));
    }
    (since.is_some() && failed >= 2).then(|| {
        (State::Degraded, since, format!("fails now and then: {}", part(failed, recent.len())))
    })
}

fn above_warn(track: &Track, recent: &[Point]) -> Option<Found> {
    #[expect(clippy::cast_precision_loss, reason = "thresholds are far below 2^53 ms")]
    let warn = track.plan.as_ref()?.warn_ms? as f64;
    let tail: Vec<&Point> = recent.iter().rev().take(5).collect();
    let above = tail.iter().filter(|p| p.total_ms > warn).count();
    if tail.is_empty() || above * 2 < tail.len() {
        return None;
    }
    let slowest = tail.iter().max_by(|a, b| a.total_ms.total_cmp(&b.total_ms))?;
    let phase = slowest.longest().map_or("wait", |(phase, _)| phase.as_str());
    let since = open_since(track, |p| p.total_ms > warn);
    let warn = limit(track.plan.as_ref()?.warn_ms?);
    Some((
        State::Degraded,
        since,
        format!("takes up to {}, warn is {warn}; most of it in {phase}", time(slowest.total_ms)),
    ))
}

fn slower(track: &Track, now: &Figures, usual: &Figures) -> Option<Found> {
    let (p90, was) = (now.p90_ms?, usual.p90_ms?);
    if p90 < was * SLOWER_TIMES || p90 < was + SLOWER_MS {
        return None;
    }
    let since = open_since(track, |p| p.total_ms > was * SLOWER_TIMES);
    let grown = grown_phase(now, usual);
    let grown = grown.map(|(phase, now, was)| {
        format!("; most in {}, {} instead of {}", phase.as_str(), time(now), time(was))
    });
    let says = format!("is slower than usual, p90 {} instead of {}", time(p90), time(was));
    Some((State::Degraded, since, says + &grown.unwrap_or_default()))
}

/// A certificate whose end is near: nothing hurts yet, but it will, all at once.
fn expiring(track: &Track, span: &Span) -> Option<Found> {
    const DAY_MS: i64 = 86_400_000;
    let left = (track.certificate_ends_ms? - span.now_ms).div_euclid(DAY_MS);
    let soon = i64::from(track.plan.as_ref()?.certificate_days);
    let says = match left {
        0 => "has a certificate that ends within a day".to_owned(),
        1 => "has a certificate that ends in 1 day".to_owned(),
        days => format!("has a certificate that ends in {days} days"),
    };
    (0..soon).contains(&left).then_some((State::Degraded, None, says))
}

/// The phase whose tail grew most: which, now, and usually.
fn grown_phase(now: &Figures, usual: &Figures) -> Option<(Phase, f64, f64)> {
    let pairs = now.phases_p90_ms.into_iter().zip(usual.phases_p90_ms);
    let all = Phase::ALL.into_iter().zip(pairs).filter(|(_, (n, u))| (n - u) > 1.0);
    all.max_by(|a, b| (a.1.0 - a.1.1).total_cmp(&(b.1.0 - b.1.1))).map(|(p, (n, u))| (p, n, u))
}

/// When the stretch of bad runs that still goes on began.
fn open_since(track: &Track, is_bad: impl Fn(&Point) -> bool) -> Option<i64> {
    streaks(&track.points, is_bad, CALM_RUNS).last().filter(|s| s.open).map(|s| s.from_ms)
}

fn calm(track: &Track, span: &Span) -> String {
    let failed = track.points.iter().filter(|p| !p.ok).count();
    match track.points.iter().rfind(|p| !p.ok) {
        None if track.points.len() < RUNS_TO_JUDGE => {
            format!(
                "is fine so far: {} runs, {RUNS_TO_JUDGE} are needed to judge",
                track.points.len()
            )
        }
        None => format!("has no failed run of {}", count(track.points.len())),
        Some(last) => {
            let at = span.clock_s(last.at_ms);
            format!("is fine now; {} failed, the last at {at}", part(failed, track.points.len()))
        }
    }
}

/// How a service stands, from how its tracks stand.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceStanding {
    /// The state.
    pub state: State,
    /// Since when.
    pub since_ms: Option<i64>,
    /// One whole sentence.
    pub sentence: String,
}

/// Joins the standings of a service's tracks: which are hit, and which are not.
pub fn of_service(tracks: &[(&Track, &Standing)], span: &Span) -> ServiceStanding {
    let Some(worst) = tracks.iter().map(|(_, s)| s.state).min() else {
        let sentence = "Nothing is measured yet.".to_owned();
        return ServiceStanding { state: State::Unknown, since_ms: None, sentence };
    };
    let (hit, rest): (Vec<_>, Vec<_>) = tracks.iter().copied().partition(|(_, s)| s.state == worst);
    // One path down while another gets through is a service that some still reach.
    let some_get_through =
        rest.iter().any(|(_, s)| s.state == State::Ok || s.state == State::Degraded);
    let state = if worst == State::Down && some_get_through { State::Degraded } else { worst };
    let since_ms = hit.iter().filter_map(|(_, s)| s.since_ms).min();
    if state == State::Ok {
        return ServiceStanding { state, since_ms, sentence: all_fine(tracks, span) };
    }
    let says = hit.first().map_or("", |(_, s)| s.says.as_str());
    let subject = if hit.len() == tracks.len() { &hit[..] } else { &hit[..1] };
    let mut sentence = format!("{} {says}", names(subject, tracks));
    if subject.len() < hit.len() {
        let more = hit.len() - subject.len();
        let others = if more == 1 { names(&hit[1..], tracks) } else { format!("{more} others") };
        let are = if more == 1 { "is" } else { "are" };
        sentence = format!("{sentence}; {others} {are} {} too", worst.word());
    }
    let fine: Vec<_> = rest.iter().filter(|(_, s)| s.state == State::Ok).copied().collect();
    match fine.len() {
        0 => {}
        1 => sentence = format!("{sentence}; {} is fine", names(&fine, tracks)),
        2 => sentence = format!("{sentence}; {} are fine", names(&fine, tracks)),
        n => sentence = format!("{sentence}; {n} others are fine"),
    }
    sentence.push('.');
    ServiceStanding { state, since_ms, sentence: capitalised(&sentence) }
}

fn all_fine(tracks: &[(&Track, &Standing)], span: &Span) -> String {
    let runs: usize = tracks.iter().map(|(t, _)| t.points.len()).sum();
    let failures =
        tracks.iter().flat_map(|(t, _)| t.points.iter().filter(|p| !p.ok).map(move |p| (p, t)));
    let failed = failures.clone().count();
    let over = lasted(span.length_ms());
    match failures.max_by_key(|(p, _)| p.at_ms) {
        None if runs < RUNS_TO_JUDGE => {
            format!("No failed run so far; {runs} runs, {RUNS_TO_JUDGE} are needed to judge.")
        }
        None => format!("No failed run of {} in {over}.", count(runs)),
        Some((last, track)) => format!(
            "{} of {} failed in {over}, none since {} ({}).",
            count(failed),
            counted(runs, "run"),
            span.clock_s(last.at_ms),
            track.label,
        ),
    }
}

/// `web2`, `cdn and lb`, `home on web2`, or `every path`.
fn names(some: &[(&Track, &Standing)], all: &[(&Track, &Standing)]) -> String {
    if some.len() == all.len() && all.len() > 1 {
        return "every path".to_owned();
    }
    let one_check = all.iter().all(|(t, _)| t.check == all[0].0.check);
    let one_path = all.iter().all(|(t, _)| t.label == all[0].0.label);
    let mut names: Vec<String> = some
        .iter()
        .map(|(t, _)| match (one_check, one_path) {
            (true, true) => format!("check {}", t.check),
            (true, false) => t.label.clone(),
            (false, true) => t.check.clone(),
            (false, false) => format!("{} by {}", t.check, t.label),
        })
        .collect();
    names.dedup();
    match names.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [some @ .., last] if some.len() < 3 => format!("{} and {last}", some.join(", ")),
        [a, b, ..] => format!("{a}, {b} and {} others", names.len() - 2),
    }
}

fn capitalised(text: &str) -> String {
    // Names keep their spelling; only our own words begin a sentence.
    match text.strip_prefix("every ").map(|rest| ("Every ", rest)) {
        Some((first, rest)) => format!("{first}{rest}"),
        None => match text.strip_prefix("check ") {
            Some(rest) => format!("Check {rest}"),
            None => text.to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::track;
    use super::*;
    use crate::web::pages::when::Asked;

    fn judged(totals: &[f64]) -> (Standing, String) {
        let track = track(totals);
        let now = 15_000 * i64::try_from(totals.len()).unwrap();
        let span = Span::new(&Asked::default(), now);
        let standing = of_track(&track, &span);
        let plain = standing.says.replace(['\u{a0}', '\u{202f}'], " ");
        (standing, plain)
    }

    #[test]
    fn a_calm_check_is_ok_and_says_how_much_it_rests_on() {
        let (s, says) = judged(&[100.0; 5]);
        assert_eq!(
            (s.state, says.as_str()),
            (State::Ok, "is fine so far: 5 runs, 20 are needed to judge")
        );
        let (s, says) = judged(&[100.0; 500]);
        assert_eq!((s.state, says.as_str()), (State::Ok, "has no failed run of 500"));
    }

    #[test]
    fn three_failures_in_a_row_are_down_and_one_is_not() {
        let mut totals = vec![100.0; 300];
        totals.push(-5000.0);
        assert_eq!(judged(&totals).0.state, State::Ok);
        totals.extend([-5000.0, -5000.0]);
        let (s, says) = judged(&totals);
        assert_eq!((s.state, says.as_str()), (State::Down, "fails every run, 5.00 s in connect"));
        assert_eq!(s.since_ms, Some(300 * 15_000));
    }

    #[test]
    fn scattered_failures_are_degraded_until_they_have_stopped_for_a_while() {
        let mut totals = vec![100.0; 300];
        totals.extend([-5000.0, 100.0, 100.0, -5000.0, 100.0]);
        assert_eq!(judged(&totals).0.state, State::Degraded);
        totals.extend([100.0; 8]);
        assert_eq!(judged(&totals).0.state, State::Ok);
    }

    #[test]
    fn slower_than_its_own_past_names_the_phase_that_grew() {
        let mut totals = vec![100.0; 300];
        totals.extend([400.0; 60]);
        let (s, says) = judged(&totals);
        assert_eq!(s.state, State::Degraded);
        assert_eq!(
            says,
            "is slower than usual, p90 400 ms instead of 100 ms; most in wait, 368 ms instead of 67.9 ms"
        );
    }

    #[test]
    fn above_its_threshold_is_slow_from_the_first_runs_on() {
        let (s, says) = judged(&[2500.0, 2600.0]);
        assert_eq!(
            (s.state, says.as_str()),
            (State::Degraded, "takes up to 2.60 s, warn is 2 s; most of it in wait")
        );
    }

    #[test]
    fn a_certificate_near_its_end_degrades_a_check_that_works() {
        let now = 15_000 * 50;
        let span = Span::new(&Asked::default(), now);
        let mut track = track(&[100.0; 50]);
        for (days, state) in [(5, State::Degraded), (13, State::Degraded), (14, State::Ok)] {
            track.certificate_ends_ms = Some(now + days * 86_400_000 + 1);
            let standing = of_track(&track, &span);
            assert_eq!(standing.state, state, "{days} days: {}", standing.says);
        }
        track.certificate_ends_ms = Some(now + 5 * 86_400_000 + 1);
        assert_eq!(of_track(&track, &span).says, "has a certificate that ends in 5 days");
    }

    #[test]
    fn silence_is_unknown_and_not_ok() {
        let track = track(&[100.0; 50]);
        let span = Span::new(&Asked::default(), 50 * 15_000 + 120_000);
        let standing = of_track(&track, &span);
        assert_eq!(standing.state, State::Unknown);
        assert!(
            standing.says.starts_with("is silent: lon1 last reported at "),
            "{}",
            standing.says
        );
    }

    #[test]
    fn one_path_down_beside_a_good_one_leaves_the_service_degraded_and_names_both() {
        let (mut down, mut good) = (track(&[-5000.0; 30]), track(&[100.0; 30]));
        (down.label, good.label) = ("web2".into(), "web1".into());
        let span = Span::new(&Asked::default(), 30 * 15_000);
        let (a, b) = (of_track(&down, &span), of_track(&good, &span));
        let both = of_service(&[(&down, &a), (&good, &b)], &span);
        assert_eq!(both.state, State::Degraded);
        let plain = both.sentence.replace('\u{a0}', " ");
        assert_eq!(plain, "web2 fails every run, 5.00 s in connect; web1 is fine.");
        let only = of_service(&[(&down, &a)], &span);
        assert_eq!(only.state, State::Down);
        assert!(only.sentence.starts_with("Check home fails"), "{}", only.sentence);
    }
}
