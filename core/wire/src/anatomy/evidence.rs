//! The sentences under a verdict: what was measured, what that proves, and what could not be used.

use std::borrow::Cow;
use std::time::Duration;

use super::figures::{Figure, Number, Rtt};
use super::gap::{Gap, GapCause};
use super::ms;
use super::numbers::Numbers;
use super::owners::{AckExcess, Found, Sight};
use super::timeline::Timeline;
use crate::handshake::{Phase, VantagePoint};
use crate::opening::{Gaps, Opening, Outcome, Side};

/// Pauses and delays below this are not worth a sentence, in nanoseconds.
const WORTH_NS: i64 = 5_000_000;
/// A handshake without trouble has no more.
const SENTENCES_USUAL: usize = 6;

/// A sentence, which costs nothing where it has no figure.
pub(super) type Sentence = Cow<'static, str>;

/// All sentences, in the order of the phases they are about; those on the capture last.
pub(super) fn sentences(sight: &Sight<'_>, timeline: &Timeline, found: &Found) -> Vec<Sentence> {
    let opening = sight.opening;
    let mut says = Says(Vec::with_capacity(SENTENCES_USUAL));
    round_trip(sight, &mut says);
    opening_of_tcp(opening, &mut says);
    if let Some(gap) = found.hello.as_ref().filter(|gap| gap.stretch.ns() >= WORTH_NS) {
        says.push(format!("{} before the ClientHello", pause(gap)));
        proofs(sight, gap, &mut says);
    }
    retry(opening, &mut says);
    flight(opening, found, &mut says);
    acknowledgment(opening, found, &mut says);
    think(sight, timeline, found, &mut says);
    sent_again("client", &opening.client_side, "server", &mut says);
    sent_again("server", &opening.server_side, "client", &mut says);
    ending(opening, timeline, &mut says);
    capture(&opening.gaps, &mut says);
    says.0
}

/// What is said so far.
struct Says(Vec<Sentence>);

impl Says {
    fn push(&mut self, sentence: impl Into<Sentence>) {
        self.0.push(sentence.into());
    }
}

fn round_trip(sight: &Sight<'_>, says: &mut Says) {
    let (client, server) = (Rtt(sight.rtt_client_ns), Rtt(sight.rtt_server_ns));
    match sight.vantage {
        VantagePoint::Server => {
            says.push(format!("seen at the server; least round trip to the client {client}"));
        }
        VantagePoint::Client => {
            says.push(format!("seen at the client; least round trip to the server {server}"));
        }
        VantagePoint::Middle => says.push(format!(
            "seen between the two; least round trip to the client {client}, to the server {server}"
        )),
        VantagePoint::Unknown => says.push("where this was seen cannot be told"),
    }
}

fn opening_of_tcp(opening: &Opening, says: &mut Says) {
    let syns = opening.syns;
    if let (true, Some(first), Some(last)) = (syns.count > 1, syns.first, syns.last) {
        let waited = figure_of(last.since(first));
        let again = times(syns.count - 1);
        says.push(format!("the SYN was sent again {again} over {waited}"));
    }
    let answers = opening.syn_acks;
    if let (true, Some(first), Some(last)) = (answers.count > 1, answers.first, answers.last) {
        let waited = figure_of(last.since(first));
        let again = times(answers.count - 1);
        says.push(format!(
            "the SYN-ACK was sent again {again} over {waited}: it, or its acknowledgment, was lost"
        ));
    }
}

fn retry(opening: &Opening, says: &mut Says) {
    if let (Some(retry), Some(hello)) = (opening.retry, opening.hello) {
        let cost = figure_of(hello.last.since(retry.hello.last));
        says.push(format!("a HelloRetryRequest cost a further round of {cost}"));
    }
}

fn flight(opening: &Opening, found: &Found, says: &mut Says) {
    let Some(flight) = opening.flight else { return };
    if let Some((waited, _)) = found.flight.filter(|(waited, _)| *waited >= WORTH_NS) {
        let (bytes, segments) = (flight.span.bytes, flight.segments);
        says.push(format!(
            "the server's flight of {bytes} bytes in {segments} segments waited {} for \
             acknowledgments",
            Figure(waited)
        ));
    }
    let paused = i64::try_from(flight.writer_pause_ns).unwrap_or(i64::MAX);
    if found.flight.is_some_and(|(_, own)| own >= WORTH_NS) && paused >= WORTH_NS {
        let paused = Figure(paused);
        says.push(format!("the server paused {paused} within its flight, waiting for nobody"));
    }
    if flight.zero_window {
        says.push("the client's window was closed during the server's flight");
    }
}

fn acknowledgment(opening: &Opening, found: &Found, says: &mut Says) {
    let Some((why, excess)) = found.ack.filter(|(_, excess)| *excess >= WORTH_NS) else { return };
    let late = Figure(excess);
    let says_why = match why {
        AckExcess::Window => "its window was closed",
        AckExcess::Loss => "packets were lost and sent again",
        AckExcess::Undecided if opening.client_side.dsacks > 0 => {
            "what was sent again it had already, so its acknowledgment was late or lost"
        }
        AckExcess::Undecided => {
            "clients may hold it back for up to 200 ms, or it was queued on the way"
        }
    };
    says.push(format!(
        "the client acknowledged the flight {late} later than a round trip: {says_why}"
    ));
}

fn think(sight: &Sight<'_>, timeline: &Timeline, found: &Found, says: &mut Says) {
    let Some(gap) = &found.think else { return };
    if let Some((least, most)) = found.client_think {
        let observed = Figure(gap.stretch.ns());
        let (least, most) = (Number(least), Figure(most));
        says.push(format!("client think {observed}; between {least} and {most}"));
    }
    if timeline.ack_estimated() {
        says.push("estimated: the flight was acknowledged together with the answer");
    }
    if gap.stretch.ns() >= WORTH_NS {
        proofs(sight, gap, says);
    }
}

/// What is known of a pause of the client's, and what could not be used.
fn proofs(sight: &Sight<'_>, gap: &Gap, says: &mut Says) {
    if sight.vantage == VantagePoint::Client {
        return;
    }
    if let GapCause::Hole { missed } = gap.cause {
        says.push(format!(
            "bytes of the client were missing for {} while later ones were here: lost, or \
             overtaken, before us",
            Figure(missed.ns())
        ));
    }
    if gap.cause == GapCause::LikeTimeout {
        says.push("the pause is as long as a retransmission takes");
    }
    clock(sight, gap, says);
    says.push(numbers(sight.client_numbers(), gap));
}

fn clock(sight: &Sight<'_>, gap: &Gap, says: &mut Says) {
    let Some((ticks, shown)) = gap.clock else {
        says.push("the client sends no timestamps");
        return;
    };
    let Some((shown, clock)) = shown.zip(sight.client_clock()) else {
        says.push(format!(
            "{ticks} ticks of the client's clock passed in the gap; how long one is cannot be told \
             from so short a time"
        ));
        return;
    };
    let tick = clock.tick_ns / 1e6;
    says.push(match gap.cause {
        GapCause::HeldUp { ns } => format!(
            "the client's clock ran only {:.1} ms in the gap: its packet was held up for {} on the \
             way",
            shown / 1e6,
            Figure(ns)
        ),
        // A segment sent again carries a new stamp, so the clock says nothing against loss.
        GapCause::Hole { .. } | GapCause::Lost { .. } | GapCause::LikeTimeout => {
            format!("{ticks} ticks of {tick} ms passed in the gap, as for a segment sent again")
        }
        GapCause::Silent => {
            format!("{ticks} ticks of {tick} ms passed in the gap: the client was not cut off")
        }
    });
}

fn numbers(numbers: Numbers, gap: &Gap) -> Sentence {
    match (numbers, &gap.across) {
        (Numbers::Counted, Some(across)) => {
            let ids = across.ends.map_or_else(String::new, |(before, after)| {
                let then = if across.missing > 0 { " then" } else { "" };
                format!(" (IP id {before:04x},{then} {after:04x})")
            });
            match (across.missing, across.came_late) {
                (0, _) => format!("no hole in the packet numbers{ids}").into(),
                (n, false) => format!("{n} of the client's packets never came here{ids}").into(),
                (n, true) => {
                    format!("{n} of the client's packets came late, overtaken{ids}").into()
                }
            }
        }
        (Numbers::Counted, None) => {
            "packet numbers cannot be used here: packets were put together, or none was seen \
             behind the gap"
                .into()
        }
        (Numbers::None, _) => "packet numbers are not available: IPv6 has none".into(),
        (Numbers::Constant(id), _) => {
            format!("packet numbers are not available: the client sends {id} in all").into()
        }
        (Numbers::Scattered, _) => {
            "packet numbers are not available: the client does not count by one".into()
        }
        (Numbers::TooFew, _) => {
            "packet numbers are not available: too few packets were seen".into()
        }
    }
}

fn sent_again(who: &str, side: &Side, to: &str, says: &mut Says) {
    if side.again > 0 {
        let n = times(side.again);
        says.push(format!("the {who} sent bytes again {n} that had passed here"));
    }
    if side.dsacks > 0 {
        let n = times(side.dsacks);
        says.push(format!("the {who} said {n} that the {to} had sent again in vain (D-SACK)"));
    }
    if side.duplicate_acks > 0 {
        let n = side.duplicate_acks;
        says.push(format!("{n} duplicate acknowledgments of the {who}'s"));
    }
}

fn ending(opening: &Opening, timeline: &Timeline, says: &mut Says) {
    let ended = Phase::ALL.into_iter().find(|p| timeline.get(*p).is_some_and(|o| o.ended));
    let what = match opening.outcome {
        Outcome::Reset { by_client } => format!("the {} reset the connection", side(by_client)),
        Outcome::Closed { by_client } => format!("the {} closed the connection", side(by_client)),
        Outcome::Alert { by_client } => match opening.tls.as_ref().and_then(|tls| tls.alert) {
            Some((code, _)) => format!("the {} sent alert {code}", side(by_client)),
            None => format!("the {} sent an alert", side(by_client)),
        },
        Outcome::TimedOut => "nothing more came".to_owned(),
        Outcome::Complete | Outcome::Plain | Outcome::CutOff => return,
    };
    let within = ended.map_or("", Phase::as_str);
    if let Some(observed) = ended.and_then(|phase| timeline.get(phase)) {
        let after = ms(observed.stretch.ns());
        says.push(format!("{what} {after:.1} ms into {within}"));
    } else {
        says.push(what);
    }
}

fn capture(gaps: &Gaps, says: &mut Says) {
    if gaps.drops > 0 {
        says.push(format!("incomplete: the capture lost {} packets in this time", gaps.drops));
    } else {
        says.push("the capture lost no packet in this time");
    }
    if gaps.no_syn {
        says.push("incomplete: the connection is older than the capture");
    }
    if gaps.one_sided {
        says.push("incomplete: only one direction was seen");
    }
    if gaps.cut {
        says.push("incomplete: packets were cut before the bytes that matter");
    }
    if gaps.unseen_bytes > 0 {
        let unseen = gaps.unseen_bytes;
        says.push(format!("incomplete: {unseen} acknowledged bytes were never seen"));
    }
    if gaps.limit {
        says.push("incomplete: more than is kept of one connection");
    }
}

const fn side(client: bool) -> &'static str {
    if client { "client" } else { "server" }
}

fn times(n: u32) -> String {
    match n {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        n => format!("{n} times"),
    }
}

fn pause(gap: &Gap) -> String {
    format!("nothing came for {}", Figure(gap.stretch.ns()))
}

fn figure_of(duration: Duration) -> Figure {
    Figure(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
}
