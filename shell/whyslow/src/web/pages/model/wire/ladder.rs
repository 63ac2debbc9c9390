//! One handshake as a ladder: its messages in their order, when each was seen, the phase before
//! each, and the gap that matters.

use whyslow_wire::handshake::Phase;

use super::document::Handshake;

/// A message.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Whether the client sent it.
    pub from_client: bool,
    /// What it was.
    pub label: &'static str,
    /// When it was seen, in milliseconds from the first one.
    pub at_ms: f64,
    /// How long the phase took that it ended, and whose time that usually is.
    pub before: Option<Before>,
}

/// The phase before a message.
#[derive(Clone, Debug, PartialEq)]
pub struct Before {
    /// Which.
    pub phase: Phase,
    /// How long, in milliseconds.
    pub ms: f64,
    /// Whose time it was: of the gap that matters by the judgment, else whose it usually is.
    pub whose: String,
    /// Whether it is the gap that matters.
    pub matters: bool,
}

/// The ladder.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ladder {
    /// Messages, first ones first.
    pub steps: Vec<Step>,
}

/// From which part of the whole on a phase alone carries the judgment.
const CARRIES: f64 = 0.5;
/// Phases shorter than this are not worth a message of their own, in milliseconds.
const WORTH_MS: f64 = 0.05;

impl Ladder {
    /// The ladder of a handshake; phases that were not observed leave their messages out.
    pub fn of(handshake: &Handshake) -> Self {
        let took = |phase: Phase| handshake.phases_ms.get(phase.as_str()).copied().flatten();
        let slow = handshake.blame != "none";
        let longest = Phase::ALL.into_iter().filter_map(|phase| Some((phase, took(phase)?)));
        let longest = longest.max_by(|a, b| a.1.total_cmp(&b.1)).filter(|_| slow);
        let mut at_ms = 0.0;
        let first = Step { from_client: true, label: "SYN", at_ms, before: None };
        let mut steps = vec![first];
        for phase in Phase::ALL {
            let Some(ms) = took(phase) else { continue };
            at_ms += ms;
            let Some((from_client, label)) = message(phase, ms, handshake) else { continue };
            let matters = longest.is_some_and(|(longest, _)| longest == phase);
            let carries = matters && ms >= handshake.total_ms * CARRIES;
            let judged = carries && handshake.blame != "unknown";
            let whose = if judged { handshake.blame.clone() } else { usually(phase).to_owned() };
            let before = Some(Before { phase, ms, whose, matters });
            steps.push(Step { from_client, label, at_ms, before });
        }
        Self { steps }
    }

    /// The gap that matters, with the times it lies between.
    pub fn gap(&self) -> Option<(&Before, f64, f64)> {
        let step = self.steps.iter().find(|s| s.before.as_ref().is_some_and(|b| b.matters))?;
        let before = step.before.as_ref()?;
        Some((before, step.at_ms - before.ms, step.at_ms))
    }
}

/// The message that ends a phase; `None` where none does that is worth a line.
fn message(phase: Phase, ms: f64, handshake: &Handshake) -> Option<(bool, &'static str)> {
    let old = handshake.version.as_deref() != Some("TLS 1.3");
    let resumed = handshake.resumed == Some(true);
    Some(match phase {
        Phase::SynWait if ms < WORTH_MS => return None,
        Phase::SynWait => (true, "SYN, sent again"),
        Phase::SynAck => (false, "SYN-ACK"),
        Phase::Network => (true, "ACK"),
        Phase::HelloWait if handshake.retry => (true, "second ClientHello"),
        Phase::HelloWait => (true, "ClientHello"),
        Phase::ServerThink => (false, "ServerHello"),
        Phase::ServerFlight if ms < WORTH_MS => return None,
        Phase::ServerFlight if old && !resumed => (false, "ServerHelloDone"),
        Phase::ServerFlight => (false, "Finished"),
        Phase::Ack => (true, "ACK of the whole flight"),
        Phase::ClientThink if old && !resumed => (true, "ClientKeyExchange"),
        Phase::ClientThink => (true, "Finished"),
        Phase::Finish if ms < WORTH_MS => return None,
        Phase::Finish if old && !resumed => (false, "Finished"),
        Phase::Finish => (true, "end of Finished"),
    })
}

/// Whose time a phase usually is, seen at a server.
const fn usually(phase: Phase) -> &'static str {
    match phase {
        Phase::Network | Phase::Ack => "network",
        // The server had it, and did not answer.
        Phase::SynWait | Phase::SynAck | Phase::ServerThink | Phase::ServerFlight => "server",
        Phase::HelloWait | Phase::ClientThink | Phase::Finish => "client",
    }
}

/// A phase in words.
pub const fn words(phase: Phase) -> &'static str {
    match phase {
        Phase::SynWait => "SYN without an answer",
        Phase::SynAck => "wait for the SYN-ACK",
        Phase::Network => "round trip",
        Phase::HelloWait => "wait for the ClientHello",
        Phase::ServerThink => "server think",
        Phase::ServerFlight => "server flight",
        Phase::Ack => "wait for the acknowledgment",
        Phase::ClientThink => "client think",
        Phase::Finish => "finish",
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::document::read;
    use super::*;

    /// The document of a slow handshake whose client thought.
    pub(crate) const SLOW: &str = r#"{"client":"198.51.100.73:51644","server":"10.0.0.1:443",
        "sni":"shop.example","version":"TLS 1.3","resumed":false,"retry":false,
        "outcome":"complete","phases_ms":{"syn_wait":0.0,"syn_ack":0.03,"network":24.6,
        "hello_wait":1.1,"server_think":0.9,"server_flight":0.0,"ack":25.5,"client_think":412.7,
        "finish":0.01},"total_ms":464.84,"shares":{"server":0.002,"network":0.108,"client":0.89,
        "unknown":0.0},"blame":"client","bounds_ms":{"server":[0.9,0.9],"client":[412.7,413.4],
        "client_think":[412.7,413.4],"network":null,"ack_delay":null},"vantage_point":"server",
        "evidence":["client think 412.7 ms; between 412.7 and 413.4 ms"]}"#;

    #[test]
    fn the_gap_that_matters_lies_between_two_messages() {
        let handshake: Handshake = read(SLOW).unwrap();
        let ladder = Ladder::of(&handshake);
        let labels: Vec<&str> = ladder.steps.iter().map(|step| step.label).collect();
        let all = ["SYN", "SYN-ACK", "ACK", "ClientHello", "ServerHello"];
        assert_eq!(labels, [&all[..], &["ACK of the whole flight", "Finished"]].concat());
        let (gap, from, to) = ladder.gap().unwrap();
        assert_eq!((gap.phase, gap.whose.as_str()), (Phase::ClientThink, "client"));
        assert!((from - 52.13).abs() < 1e-6 && (to - 464.83).abs() < 1e-6);
        assert!(ladder.steps.windows(2).all(|pair| pair[0].at_ms <= pair[1].at_ms));
    }

    #[test]
    fn what_was_not_slow_has_no_gap_and_what_was_not_seen_no_message() {
        let mut handshake: Handshake = read(SLOW).unwrap();
        handshake.phases_ms.insert("ack".to_owned(), None);
        handshake.blame = "none".to_owned();
        let ladder = Ladder::of(&handshake);
        assert!(ladder.gap().is_none());
        assert!(ladder.steps.iter().all(|step| step.label != "ACK of the whole flight"));
    }

    #[test]
    fn a_gap_that_the_judgment_lays_on_somebody_else_is_theirs() {
        let mut handshake: Handshake = read(SLOW).unwrap();
        handshake.blame = "network".to_owned();
        assert_eq!(Ladder::of(&handshake).gap().unwrap().0.whose, "network");
        handshake.blame = "unknown".to_owned();
        assert_eq!(Ladder::of(&handshake).gap().unwrap().0.whose, "client");
        assert!(read::<Handshake>("{").is_none());
    }
}
