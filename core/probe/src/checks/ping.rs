//! `ping`: a round of ICMP echoes, loss and spread judged.
//!
//! Its phases are `resolve` and `wait`, the mean round trip, so that its total compares with the
//! other kinds'; where no echo was answered, `wait` is the time waited in vain.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use whyslow_model::conversation::{PingAsk, PingDone, PingFault};
use whyslow_model::{Phase, Segment, limits};

use super::ledger::{Ledger, ms};
use super::opening::{Opening, Progress, seconds};
use super::{CheckKind, Step, Talk, Told};
use crate::codes;
use crate::run::{PingFacts, RttMs};
use crate::spec::{CheckSpec, Kind};

pub(super) const KIND: CheckKind = CheckKind {
    kind: Kind::Ping,
    summary: "A round of ICMP echoes: loss, and round-trip times by the kernel's own stamps.",
    target: "ping:HOST",
    fields: &["connect_to", "addresses", "packets", "spacing", "payload_bytes"],
    expects: &[],
    segments: &[Segment::Vantage, Segment::Dns, Segment::Transit, Segment::Host],
    metrics: &[
        "probe_icmp_duration_seconds",
        "whyslow_ping_sent",
        "whyslow_ping_received",
        "whyslow_ping_rtt_seconds",
    ],
};

/// Echoes in a round where nothing is said.
const PACKETS: u16 = 5;
/// From one echo to the next where nothing is said.
const SPACING: Duration = Duration::from_millis(200);
/// Bytes of an echo's payload where nothing is said.
const PAYLOAD_BYTES: u16 = 56;
/// Handing an echo to the kernel takes microseconds; from here on it casts doubt on the times.
const SEND_SLOWNESS_MIN: Duration = Duration::from_millis(1);

/// A round to one address of a host.
#[derive(Debug)]
pub(super) struct Ping {
    host: String,
    begun: bool,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// The address is looked for. Only it is wanted, so the opening is never connected.
    Finding(Opening),
    Asked(IpAddr),
    Done,
}

impl Ping {
    pub(super) fn new(spec: &CheckSpec, host: &str, pinned: Option<SocketAddr>) -> Self {
        let opening = Opening::new(host, 0, spec.connect_to.as_ref()).pinned(pinned);
        Self { host: host.to_owned(), begun: false, stage: Stage::Finding(opening) }
    }
}

impl Talk for Ping {
    fn step(&mut self, ledger: &mut Ledger) -> Option<Step> {
        if !self.begun {
            self.begun = true;
            ledger.begin_exchange(format!("ping:{}", self.host));
        }
        let Stage::Finding(opening) = &mut self.stage else { return None };
        match opening.progress(ledger) {
            Progress::Step(Step::Connect(found)) => {
                let to = found.addresses.first()?.ip();
                self.stage = Stage::Asked(to);
                ledger.amend(|exchange| exchange.remote = Some(to.to_string()));
                Some(Step::Ping(ask(to, ledger)))
            }
            Progress::Step(step) => Some(step),
            Progress::Open | Progress::Failed => None,
        }
    }

    fn handle(&mut self, told: &Told, ledger: &mut Ledger) {
        match (&mut self.stage, told) {
            (Stage::Finding(opening), told) => opening.handle(told, ledger),
            (Stage::Asked(to), Told::Ping(done)) => {
                answered(*to, done, ledger);
                self.stage = Stage::Done;
            }
            (Stage::Asked(_) | Stage::Done, _) => self.stage = Stage::Done,
        }
    }
}

/// All echoes leave in the first half of the time that is left, so that each of them, the last
/// too, may take at least the other half.
fn ask(to: IpAddr, ledger: &Ledger) -> PingAsk {
    let spec = ledger.spec();
    let left = ledger.left(Phase::Wait);
    let packets = spec.packets.unwrap_or(PACKETS).clamp(1, limits::PING_PACKETS_MAX);
    let spacing = spec.spacing.map_or(SPACING, |d| d.std()).min(left / (2 * u32::from(packets)));
    PingAsk {
        to,
        source: spec.source,
        packets,
        spacing,
        patience: left.saturating_sub(spacing * u32::from(packets - 1)),
        payload_bytes: spec.payload_bytes.unwrap_or(PAYLOAD_BYTES),
    }
}

fn answered(to: IpAddr, done: &PingDone, ledger: &mut Ledger) {
    ledger.ping(done);
    let (sent, received) = (done.times.len(), done.times.iter().flatten().count());
    let mean = mean(&done.times);
    let waited = done.ended.since(done.began);
    ledger.spend_for(Phase::Wait, mean.unwrap_or(waited));
    let failed = |ledger: &mut Ledger, code, message| ledger.fail(code, Some(Phase::Wait), message);
    match (&done.fault, &done.refusal) {
        _ if received > 0 => warn_of_loss(to, done, sent - received, ledger),
        (Some(PingFault::NotPermitted(why)), _) => {
            failed(ledger, &codes::PING_NOT_PERMITTED, format!("cannot send echoes: {why}"));
        }
        (Some(PingFault::Unreachable(why)), _) => {
            failed(ledger, &codes::PING_UNREACHABLE, format!("no way to {to}: {why}"));
        }
        (Some(PingFault::Local(why)), _) => {
            failed(ledger, &codes::LOCAL_FAILURE, format!("cannot ping {to}: {why}"));
        }
        (None, Some((by, why))) => {
            failed(ledger, &codes::PING_UNREACHABLE, format!("{by} says of {to} that {why}"));
        }
        (None, None) => {
            let waited = seconds(ms(waited));
            let text = format!("none of {sent} echoes to {to} was answered in {waited}");
            failed(ledger, &codes::PING_UNANSWERED, text);
        }
    }
}

fn warn_of_loss(to: IpAddr, done: &PingDone, lost: usize, ledger: &mut Ledger) {
    if lost > 0 {
        ledger.warn(format!("{lost} of {} echoes to {to} were not answered", done.times.len()));
    }
    match &done.fault {
        Some(PingFault::Local(why) | PingFault::Unreachable(why)) => {
            ledger.warn(format!("not every echo to {to} could be sent or taken: {why}"));
        }
        Some(PingFault::NotPermitted(_)) | None => {}
    }
    let doubt = done.send_slowness;
    if doubt > SEND_SLOWNESS_MIN.max(mean(&done.times).unwrap_or_default() / 10) {
        ledger.warn(format!(
            "this machine was busy: times may be up to {:.1} ms too long",
            ms(doubt)
        ));
    }
}

fn mean(times: &[Option<Duration>]) -> Option<Duration> {
    let n = u32::try_from(times.iter().flatten().count()).ok().filter(|n| *n > 0)?;
    Some(times.iter().flatten().sum::<Duration>() / n)
}

/// The rounds of one run, added up.
#[derive(Clone, Debug, Default)]
pub(super) struct Rounds {
    times: Vec<Option<Duration>>,
    duplicates: u16,
    late: u16,
}

impl Rounds {
    /// Adds one round.
    pub(super) fn add(&mut self, done: &PingDone) {
        self.times.extend(&done.times);
        self.duplicates = self.duplicates.saturating_add(done.duplicates);
        self.late = self.late.saturating_add(done.late);
    }

    /// What they come to.
    pub(super) fn facts(&self) -> PingFacts {
        let answered: Vec<f64> = self.times.iter().flatten().map(|t| ms(*t)).collect();
        let count = |n: usize| u16::try_from(n).unwrap_or(u16::MAX);
        PingFacts {
            sent: count(self.times.len()),
            received: count(answered.len()),
            duplicates: self.duplicates,
            late: self.late,
            rtt_ms: spread(&answered),
        }
    }
}

/// The deviation is that of the round itself, not an estimate beyond it, as ping prints it.
fn spread(ms: &[f64]) -> RttMs {
    if ms.is_empty() {
        return RttMs::default();
    }
    let n = f64::from(u32::try_from(ms.len()).unwrap_or(u32::MAX));
    let avg = ms.iter().sum::<f64>() / n;
    let variance = ms.iter().map(|t| (t - avg).powi(2)).sum::<f64>() / n;
    RttMs {
        min: ms.iter().copied().reduce(f64::min),
        avg: Some(avg),
        max: ms.iter().copied().reduce(f64::max),
        stddev: Some(variance.sqrt()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use whyslow_model::{Mono, Wall};

    use super::*;
    use crate::checks::{CheckRun, Context, Secrets};
    use crate::run::{Outcome, Run};
    use crate::spec::parse_target;

    fn at(ms: u64) -> Mono {
        Mono::from_nanos(ms * 1_000_000)
    }

    fn done(times: &[Option<u64>]) -> PingDone {
        PingDone {
            began: at(1000),
            ended: at(1800),
            times: times.iter().map(|t| t.map(Duration::from_millis)).collect(),
            duplicates: 0,
            late: 0,
            refusal: None,
            fault: None,
            send_slowness: Duration::ZERO,
        }
    }

    fn run(change: impl FnOnce(&mut CheckSpec), done: PingDone) -> Run {
        let mut spec = CheckSpec::of("lo", &parse_target("ping:192.0.2.7").expect("a target"));
        change(&mut spec);
        let context = Context {
            vantage: "lon1".to_owned(),
            started: Wall::from_millis(0),
            began: at(1000),
            secrets: Secrets::default(),
        };
        let mut run = CheckRun::begin(Arc::new(spec), context);
        let Some(Step::Ping(_)) = run.poll_step() else { panic!("an address needs no resolving") };
        run.handle(Told::Ping(done));
        assert_eq!(run.poll_step(), None);
        run.finish()
    }

    fn failure(done: PingDone) -> (String, String, Option<Segment>) {
        let failure = run(|_| {}, done).failure.expect("a failure");
        (failure.code, failure.message, failure.segment_hint)
    }

    #[test]
    fn a_round_gives_loss_and_spread_and_its_mean_as_total() {
        let all = run(|_| {}, done(&[Some(10), Some(20), Some(30), Some(20)]));
        assert_eq!((all.outcome, all.warnings.len(), all.total_ms), (Outcome::Ok, 0, 20.0));
        assert_eq!((all.phases_ms.wait, all.phases_ms.resolve), (Some(20.0), None));
        let facts = all.ping.expect("facts");
        assert_eq!((facts.sent, facts.received), (4, 4));
        assert_eq!((facts.rtt_ms.min, facts.rtt_ms.max), (Some(10.0), Some(30.0)));
        assert!((facts.rtt_ms.stddev.expect("known") - 50_f64.sqrt()).abs() < 1e-9);
        assert_eq!(all.exchanges[0].remote.as_deref(), Some("192.0.2.7"));
    }

    #[test]
    fn some_loss_is_a_warning_and_all_of_it_a_failure() {
        let some = run(|_| {}, done(&[Some(10), None, Some(10), None]));
        assert_eq!(some.outcome, Outcome::Ok);
        assert_eq!(some.warnings, ["2 of 4 echoes to 192.0.2.7 were not answered"]);
        let (code, message, segment) = failure(done(&[None, None]));
        assert_eq!((code.as_str(), segment), ("ping_unanswered", Some(Segment::Transit)));
        assert_eq!(message, "none of 2 echoes to 192.0.2.7 was answered in 800 ms");
    }

    #[test]
    fn a_mean_above_the_threshold_is_slow() {
        let warn = |spec: &mut CheckSpec| spec.warn = Some(Duration::from_millis(15).into());
        assert_eq!(run(warn, done(&[Some(10), Some(30)])).outcome, Outcome::Slow);
        assert_eq!(run(warn, done(&[Some(10), Some(12)])).outcome, Outcome::Ok);
    }

    #[test]
    fn each_reason_for_which_no_echo_came_back_has_its_code() {
        let with = |fault| PingDone { fault: Some(fault), ..done(&[]) };
        let (code, message, segment) = failure(with(PingFault::NotPermitted("grant it".into())));
        assert_eq!((code.as_str(), segment), ("ping_not_permitted", Some(Segment::Vantage)));
        assert_eq!(message, "cannot send echoes: grant it");
        assert_eq!(failure(with(PingFault::Unreachable("no route".into()))).0, "ping_unreachable");
        assert_eq!(failure(with(PingFault::Local("no buffer".into()))).0, "local_failure");
        let router = "10.9.9.9".parse().expect("an address");
        let refused = PingDone {
            refusal: Some((router, "policy forbids the packet".into())),
            ..done(&[None])
        };
        let (code, message, _) = failure(refused);
        assert_eq!(code, "ping_unreachable");
        assert_eq!(message, "10.9.9.9 says of 192.0.2.7 that policy forbids the packet");
    }

    #[test]
    fn a_busy_machine_is_told_of_rather_than_the_network_blamed() {
        let slow = PingDone { send_slowness: Duration::from_millis(9), ..done(&[Some(10)]) };
        let told = run(|_| {}, slow);
        assert_eq!(told.warnings, ["this machine was busy: times may be up to 9.0 ms too long"]);
    }

    #[test]
    fn the_echoes_of_a_round_fit_its_timeout() {
        let mut spec = CheckSpec::of("lo", &parse_target("ping:192.0.2.7").expect("a target"));
        spec.packets = Some(100);
        spec.timeout = Duration::from_secs(2).into();
        let context = Context {
            vantage: String::new(),
            started: Wall::from_millis(0),
            began: at(0),
            secrets: Secrets::default(),
        };
        let mut run = CheckRun::begin(Arc::new(spec), context);
        let Some(Step::Ping(ask)) = run.poll_step() else { panic!("a round") };
        assert_eq!((ask.packets, ask.spacing), (100, Duration::from_millis(10)));
        assert_eq!(ask.patience + ask.spacing * 99, Duration::from_secs(2));
    }
}
