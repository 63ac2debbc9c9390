//! What is done with each line of a log: most tell of nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use regex::bytes::CaptureLocations;
use whyslow_edge::format::Context;
use whyslow_edge::framing::Frame;
use whyslow_edge::trigger::{self, Pattern};
use whyslow_model::Wall;
use whyslow_sys::clock;
use whyslow_wire::evidence::Trigger;

use super::super::Shared;
use super::super::incident::{Became, Ends, Incident};
use super::told::{Match, Told, TriggerCounts};
use crate::config::LogTrigger;
use crate::edge::resume::{Oldest, Resume};
use crate::edge::taker::{PlaceOf, Taker};
use crate::edge::worker::Lies;
use crate::edge::zone::Zoned;

/// How often counts are given to others, and the place to go on from is kept.
const TICK: Duration = Duration::from_millis(200);

/// Takes the lines of one log.
pub(super) struct LogTaker {
    config: Arc<LogTrigger>,
    pattern: Pattern,
    room: CaptureLocations,
    zone: Zoned,
    context: Context,
    shared: Arc<Shared>,
    told: Told,
    /// What the others were not told yet.
    counts: TriggerCounts,
    ticked: Option<Instant>,
    /// Whether anything was taken since the place was kept.
    moved: bool,
    place: Option<Resume>,
    /// There are no windows to be made anew.
    oldest: Oldest,
}

/// From when to when something went on, and how that is known.
struct Span {
    began: Wall,
    ended: Wall,
    within: Duration,
    by: &'static str,
}

impl LogTaker {
    pub(super) fn new(
        config: Arc<LogTrigger>,
        pattern: Pattern,
        told: Told,
        shared: Arc<Shared>,
    ) -> Self {
        let (zone, now) = (Zoned::of(&config.time_zone), clock::wall());
        Self {
            room: pattern.room(),
            context: Context { near: now, zone_s: zone.offset_s(now) },
            counts: TriggerCounts::default(),
            ticked: None,
            moved: true,
            place: None,
            oldest: Oldest::default(),
            config,
            pattern,
            zone,
            shared,
            told,
        }
    }

    fn line(&mut self, line: &[u8], written_us: Option<i64>) {
        match self.pattern.read(line, &self.context, &mut self.room) {
            Ok(None) => self.counts.other += 1,
            Err(_) => {
                self.counts.odd += 1;
                self.told.odd(trigger::quoted(line));
            }
            Ok(Some(told)) => {
                let slow = self.config.slow.map(whyslow_model::Duration::std);
                if slow.is_some_and(|slow| told.duration.unwrap_or_default() < slow) {
                    self.counts.faster += 1;
                    return;
                }
                self.counts.matched += 1;
                self.notice(&told, line, written_us);
            }
        }
    }

    fn notice(&self, told: &trigger::Told, line: &[u8], written_us: Option<i64>) {
        let now = clock::wall();
        let Span { began, ended, within, by } = span(told, written_us, now);
        let window = self.config.window.std();
        let ends = Ends {
            client: Some(told.client_ip),
            client_port: told.client_port,
            server: told.server_ip,
            server_port: told.server_port,
        };
        let mut text = format!("a line of trigger {} tells of {ends}", self.config.name);
        if let Some(duration) = told.duration {
            text = format!("{text}; it took {:.3} ms", duration.as_secs_f64() * 1000.0);
        }
        text = format!("{text}; it ended at {ended}, {by}");
        let quote = trigger::quoted(line);
        let incident = Incident {
            interface: self.config.interface.as_deref().map(Arc::from),
            to: Some(ended.after(within + window)),
            cause: self.config.cause.as_deref().map(Arc::from),
            quote: Some(quote.clone()),
            fate: self.told.fate(),
            ..Incident::of(Trigger::Log, ends, began.before(window), now, text)
        };
        let (client, duration) = (ends.client(), told.duration);
        let (noticed, became, line) = (now, Became::Waiting, quote);
        let one = Match { noticed, began, ended, duration, ends, client, line, became };
        self.told.matched(one, incident.fate.clone());
        self.shared.notice(incident);
    }

    fn settle(&mut self) {
        self.ticked = Some(Instant::now());
        let now = clock::wall();
        self.context = Context { near: now, zone_s: self.zone.offset_s(now) };
        self.told.add(&std::mem::take(&mut self.counts));
    }

    fn keep_place(&mut self, place: PlaceOf<'_>) {
        self.place = place(&self.oldest);
        self.moved = false;
    }
}

/// By the line's own dates, else by the journal's, else by our clock: a line is written when what
/// it tells of ended.
fn span(told: &trigger::Told, written_us: Option<i64>, now: Wall) -> Span {
    const OWN: &str = "by the line's own date";
    let lasted = told.duration.unwrap_or_default();
    let until = |ended: Wall, within: Duration, by: &'static str| {
        let began = told.began.map_or_else(|| ended.before(lasted), |began| began.at);
        Span { began, ended: ended.max(began), within, by }
    };
    match (told.began, told.ended) {
        (_, Some(ended)) => until(ended.at, ended.within, OWN),
        (Some(began), None) if told.duration.is_some() => {
            until(began.at.after(lasted), began.within, OWN)
        }
        _ => match written_us.and_then(|us| us.checked_mul(1000)) {
            Some(ns) => {
                until(Wall::from_nanos(ns), Duration::ZERO, "when the journal received the line")
            }
            None => until(now, Duration::ZERO, "when the line was read"),
        },
    }
}

impl Taker for LogTaker {
    fn take(&mut self, line: &[u8], lies: Lies) -> Option<i64> {
        self.moved = true;
        if !lies.again() {
            self.line(line, lies.at_us);
        }
        None
    }

    fn take_frame(&mut self, frame: Frame<'_>, lies: Lies) {
        match frame {
            Frame::Line(line) => {
                self.take(line, lies);
            }
            Frame::TooLong | Frame::Broken if lies.again() => {}
            Frame::TooLong | Frame::Broken => self.handle_no_line(),
        }
    }

    fn handle_no_line(&mut self) {
        self.moved = true;
        self.counts.unreadable += 1;
    }

    fn handle_bytes(&mut self, _: u64) {
        self.moved = true;
    }

    fn handle_unsure(&mut self) {
        self.counts.gaps += 1;
    }

    fn handle_dropped(&mut self, n: u64) {
        self.counts.gaps += 1;
        self.counts.dropped += n;
    }

    fn handle_files(&mut self, _: u64, _: u64) {}

    fn handle_problem(&mut self, problem: Option<String>) {
        self.told.problem(problem);
    }

    /// Files are read as they come: there is nothing to put in order.
    fn time_of(&mut self, _: &[u8]) -> Option<i64> {
        None
    }

    fn last_at_us(&self) -> Option<i64> {
        None
    }

    fn is_behind(&self) -> bool {
        false
    }

    fn resume(&self) -> Option<&Resume> {
        self.place.as_ref()
    }

    /// It need not outlive a kill: the packets do not either.
    fn keeps_journal(&self) -> bool {
        self.place.as_ref().is_some_and(|place| place.journal.is_some())
    }

    fn oldest(&mut self) -> &mut Oldest {
        &mut self.oldest
    }

    fn freeze(&mut self, _: &mut dyn Iterator<Item = i64>) {}

    fn tick(&mut self, at_once: bool, place: PlaceOf<'_>) {
        if at_once || self.ticked.is_none_or(|at| at.elapsed() >= TICK) {
            self.settle();
            if self.moved || at_once {
                self.keep_place(place);
            }
        }
    }

    fn break_off(&mut self, place: PlaceOf<'_>) {
        self.keep_place(place);
        self.settle();
    }

    fn finish(&mut self, place: PlaceOf<'_>) {
        self.keep_place(place);
        self.settle();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::super::Tapped;
    use super::*;
    use crate::config::{Config, Keep};
    use crate::wire::names::Names;

    fn taker(trigger: serde_json::Value) -> LogTaker {
        let config: LogTrigger = serde_json::from_value(trigger).unwrap();
        let names = Names::of(&Config::default(), None);
        let keep = Keep { rate: 2, ..Keep::default() };
        let tapped = Tapped { keep, names, rdns: false };
        let shared = Shared::default();
        *shared.tapped.lock().unwrap() = Arc::new(BTreeMap::from([("eth0".to_owned(), tapped)]));
        let pattern = Pattern::new(&config.regex).unwrap();
        LogTaker::new(Arc::new(config), pattern, Told::new(clock::wall()), Arc::new(shared))
    }

    fn of_nginx() -> LogTaker {
        let regex = r"^(?<client_ip>\S+):(?<client_port>\d+) (?<duration_s>\S+) (?<ended>\S+)";
        taker(serde_json::json!({
            "name": "lb", "input": "file:/var/log/lb.log", "regex": regex, "slow": "500ms",
            "cause": "lb_slow", "window": "2s", "interface": "eth0",
        }))
    }

    const fn lies(again: bool, at_us: Option<i64>) -> Lies {
        Lies::in_journal(again, at_us)
    }

    #[test]
    fn a_line_begins_its_duration_before_its_own_time() {
        let mut taker = of_nginx();
        taker.take(b"192.0.2.7:40000 0.801 1795262400.123 GET /\x1b[2J", lies(false, None));
        let noticed = taker.shared.noticed.lock().unwrap();
        let [one] = noticed.as_slice() else { panic!("{noticed:?}") };
        let incident = &one.incident;
        assert_eq!(incident.from, Wall::from_millis(1_795_262_400_123 - 801 - 2000));
        assert_eq!(incident.to, Some(Wall::from_millis(1_795_262_400_123 + 1 + 2000)));
        assert_eq!((incident.cause(), incident.interface.as_deref()), ("lb_slow", Some("eth0")));
        assert_eq!(incident.ends.client(), "192.0.2.7:40000".parse().ok());
        let quote = incident.quote.as_deref().unwrap();
        assert!(quote.ends_with(r"GET /\u{1b}[2J"), "{quote}");
        // What is said aloud does not hold the line: a log that holds our own would find it again.
        assert!(!incident.text.contains("GET /"), "{}", incident.text);
    }

    #[test]
    fn a_date_of_the_beginning_is_followed_by_the_duration() {
        let mut taker = taker(serde_json::json!({
            "name": "lb", "input": "journald:lb",
            "regex": r"(?<client_ip>\S+) \[(?<began>[^\]]+)\](?: (?<duration_ms>\d+))?",
        }));
        let at = |ms: i64| Wall::from_millis(1_795_262_400_000 + ms);
        let written = Some(1_795_262_410_000_000);
        taker.take(b"192.0.2.7 [1795262400.500] 801", lies(false, written));
        taker.take(b"192.0.2.7 [1795262400.500]", lies(false, written));
        let noticed = taker.shared.noticed.lock().unwrap();
        let spans: Vec<_> = noticed.iter().map(|n| (n.incident.from, n.incident.to)).collect();
        assert_eq!(spans[0], (at(500 - 5000), Some(at(500 + 801 + 1 + 5000))));
        assert_eq!(spans[1], (at(500 - 5000), Some(at(10_000 + 5000))));
    }

    #[test]
    fn what_is_fast_odd_or_something_else_is_counted_and_left_alone() {
        let mut taker = of_nginx();
        for line in [
            "192.0.2.7:40000 0.499 1795262400.123",
            "192.0.2.7:40000 - 1795262400.123",
            "shop.example:40000 0.801 1795262400.123",
            "192.0.2.7:40000 0.801 yesterday",
            "reopening logs",
        ] {
            taker.take(line.as_bytes(), lies(false, None));
        }
        taker.take(b"192.0.2.7:40000 0.801 1795262400.123", lies(true, None));
        taker.take_frame(Frame::TooLong, lies(false, None));
        taker.settle();
        assert!(taker.shared.noticed.lock().unwrap().is_empty());
        let status = taker.told.status(&taker.config);
        let counts = TriggerCounts { faster: 2, odd: 2, other: 1, unreadable: 1, ..status.counts };
        assert_eq!((status.counts, status.counts.matched), (counts, 0));
        assert_eq!(status.odd.as_deref(), Some("192.0.2.7:40000 0.801 yesterday"));
    }

    #[test]
    fn beyond_the_rate_a_match_says_that_it_is_not_kept() {
        let mut taker = of_nginx();
        for n in 0..5 {
            taker
                .take(format!("192.0.2.7:{} 9 1795262400", 1000 + n).as_bytes(), lies(false, None));
        }
        taker.settle();
        let status = taker.told.status(&taker.config);
        let taken = &taker.shared.noticed.lock().unwrap()[0].incident;
        taken.fate.is(Became::NotKept("disk"));
        let kept = Became::Kept { files: vec!["a.pcapng".to_owned()], candidates: 2 };
        taken.fate.is(kept);
        let fates = taker.told.status(&taker.config).fates;
        assert_eq!((fates.kept, fates.not_kept["disk"]), (1, 0), "the last word counts");
        let became: Vec<Became> = status.recent.into_iter().map(|one| one.became).collect();
        let rate = Became::NotKept("rate");
        let expected = [Became::Waiting, Became::Waiting, rate.clone(), rate.clone(), rate];
        assert_eq!((became.as_slice(), status.counts.matched), (&expected[..], 5));
        let counts = taker.shared.counted.read();
        assert_eq!(counts.not_kept, BTreeMap::from([((Arc::from("lb_slow"), "rate"), 3)]));
        assert_eq!((status.fates.kept, status.fates.not_kept), (0, BTreeMap::from([("rate", 3)])));
    }

    #[test]
    fn a_journal_gives_its_own_time_and_a_place_to_go_on_from() {
        let mut taker = taker(serde_json::json!({
            "name": "tls", "input": "journald:lb", "regex": r"from (?<client_ip>\S+)",
        }));
        taker.take(b"from 192.0.2.7", lies(false, Some(1_795_262_400_000_000)));
        let to = taker.shared.noticed.lock().unwrap()[0].incident.to;
        assert_eq!(to, Some(Wall::from_millis(1_795_262_405_000)));
        assert!(!taker.keeps_journal());
        taker.break_off(&mut |_| Some(Resume::behind("s=1")));
        assert!(taker.keeps_journal());
        assert_eq!(taker.resume(), Some(&Resume::behind("s=1")));
    }
}
