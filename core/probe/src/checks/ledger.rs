//! What one run has spent, seen and found, as it goes along.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use whyslow_model::conversation::{PingDone, TcpState, TlsDone};
use whyslow_model::{Mono, Phase, Segment, Wall};

use super::ping::Rounds;
use super::{Context, Secrets, Step, Told};
use crate::certificate::Judgement;
use crate::codes::Code;
use crate::run::{DnsFacts, Exchange, Failure, Outcome, PhasesMs, Run, SCHEMA, TcpFacts, TlsFacts};
use crate::spec::CheckSpec;
use crate::transcript::{self, Entry};

/// What one run has spent, seen and found.
#[derive(Debug)]
pub(super) struct Ledger {
    spec: Arc<CheckSpec>,
    context: Context,
    target: String,
    /// The end of the last phase. Each phase begins where the one before ended, so that they
    /// are contiguous by construction.
    cursor: Mono,
    /// When the conversation with the present address began.
    address_began: Mono,
    /// The longest conversation with one address.
    longest: Duration,
    current: Option<Exchange>,
    exchanges: Vec<Exchange>,
    addresses: VecDeque<SocketAddr>,
    failure: Option<Failure>,
    warnings: Vec<String>,
    dns: Option<DnsFacts>,
    pings: Option<Rounds>,
    entries: Vec<Entry>,
}

impl Ledger {
    pub(super) fn new(spec: Arc<CheckSpec>, context: Context) -> Self {
        Self {
            target: crate::redact::GONE.to_owned(),
            cursor: context.began,
            address_began: context.began,
            longest: Duration::ZERO,
            current: None,
            exchanges: Vec::new(),
            addresses: VecDeque::new(),
            failure: None,
            warnings: Vec::new(),
            dns: None,
            pings: None,
            entries: Vec::new(),
            spec,
            context,
        }
    }

    pub(super) fn spec(&self) -> &Arc<CheckSpec> {
        &self.spec
    }

    pub(super) fn secrets(&self) -> &Secrets {
        &self.context.secrets
    }

    pub(super) fn set_target(&mut self, shown: String) {
        self.target = shown;
    }

    /// The wall clock at the end of the last phase.
    pub(super) fn wall(&self) -> Wall {
        self.context.started.after(self.cursor.since(self.context.began))
    }

    /// How long `phase` may take from here.
    pub(super) fn left(&self, phase: Phase) -> Duration {
        let whole = self.whole_left();
        self.spec.timeouts.of(phase).map_or(whole, |own| own.std().min(whole))
    }

    /// How long all that is left may take.
    pub(super) fn whole_left(&self) -> Duration {
        self.spec.timeout.std().saturating_sub(self.cursor.since(self.address_began))
    }

    /// Addresses to measure after the present one.
    pub(super) fn set_addresses(&mut self, rest: impl IntoIterator<Item = SocketAddr>) {
        self.addresses.extend(rest);
    }

    /// Begins with the next address, its time counted anew.
    pub(super) fn next_address(&mut self) -> Option<SocketAddr> {
        self.end_exchange();
        self.end_address();
        self.addresses.pop_front()
    }

    fn end_address(&mut self) {
        self.longest = self.longest.max(self.cursor.since(self.address_began));
        self.address_began = self.cursor;
    }

    /// Begins an exchange, ending the one before.
    pub(super) fn begin_exchange(&mut self, url: String) {
        self.end_exchange();
        self.current = Some(Exchange {
            url,
            status: None,
            remote: None,
            local: None,
            phases_ms: PhasesMs::default(),
            total_ms: 0.0,
            http_version: None,
            tls: None,
            tcp: None,
            body_bytes: None,
            reused_connection: false,
        });
    }

    /// Changes the present exchange.
    pub(super) fn amend(&mut self, change: impl FnOnce(&mut Exchange)) {
        if let Some(exchange) = &mut self.current {
            change(exchange);
        }
    }

    /// Books the time from the end of the last phase until `until` to `phase`.
    pub(super) fn spend(&mut self, phase: Phase, until: Mono) {
        let took = until.since(self.cursor);
        self.cursor = self.cursor.max(until);
        self.amend(|exchange| {
            let place = exchange.phases_ms.of_mut(phase);
            *place = Some(place.unwrap_or(0.0) + ms(took));
        });
    }

    /// Books `took` to `phase`, as if that was when it ended.
    pub(super) fn spend_for(&mut self, phase: Phase, took: Duration) {
        self.spend(phase, self.cursor.after(took));
    }

    /// Keeps what the kernel says of the connection; a later word replaces an earlier one.
    pub(super) fn tcp(&mut self, state: Option<TcpState>, syn_retransmits: Option<u32>) {
        let Some(state) = state else { return };
        self.amend(|exchange| {
            let before = exchange.tcp.and_then(|t| t.syn_retransmits);
            exchange.tcp = Some(TcpFacts {
                rtt_ms: state.rtt.map(ms),
                min_rtt_ms: state.min_rtt.map(ms),
                retransmits: Some(state.retransmits),
                syn_retransmits: syn_retransmits.or(before),
            });
        });
    }

    /// Keeps what a handshake agreed on and what its certificates are worth.
    pub(super) fn tls(&mut self, done: &TlsDone, judged: &Judgement) {
        let shown = !done.chain.is_empty();
        if !shown && done.version.is_none() {
            return;
        }
        let now = self.wall();
        self.amend(|exchange| {
            exchange.tls = Some(TlsFacts {
                version: done.version.map(str::to_owned),
                cipher: done.cipher.clone(),
                alpn: done.alpn.clone(),
                resumed: done.resumed,
                not_after: judged.not_after,
                days_left: judged.days_left(now),
                chain_ok: shown.then_some(judged.problems.is_empty()),
                chain_problem: judged.problems.first().map(|p| p.word.to_owned()),
                chain: judged.chain.clone(),
            });
        });
    }

    pub(super) fn dns(&mut self, facts: DnsFacts) {
        self.dns = Some(facts);
    }

    /// Adds a round of pings to those before.
    pub(super) fn ping(&mut self, done: &PingDone) {
        self.pings.get_or_insert_default().add(done);
    }

    /// Adds a sentence about what is not wrong yet.
    pub(super) fn warn(&mut self, sentence: String) {
        if !self.warnings.contains(&sentence) {
            self.warnings.push(sentence);
        }
    }

    /// Fails the run, with the code's own hint. The first failure is the one that counts.
    pub(super) fn fail(&mut self, code: &'static Code, phase: Option<Phase>, message: String) {
        self.fail_at(code, phase, code.segment, message);
    }

    /// Fails the run, with a hint of its own.
    pub(super) fn fail_at(
        &mut self,
        code: &'static Code,
        phase: Option<Phase>,
        segment_hint: Option<Segment>,
        message: String,
    ) {
        if self.failure.is_none() {
            let code = code.name.to_owned();
            self.failure = Some(Failure { phase, code, segment_hint, message });
        }
    }

    /// Keeps a step and what came of it, for the transcript.
    pub(super) fn note(&mut self, step: Option<Step>, told: Told) {
        if let Some(step) = step {
            self.entries.push(Entry { step, told });
        }
    }

    fn end_exchange(&mut self) {
        if let Some(mut exchange) = self.current.take() {
            exchange.total_ms = exchange.phases_ms.total();
            self.exchanges.push(exchange);
        }
    }

    pub(super) fn finish(mut self) -> Run {
        self.end_exchange();
        self.end_address();
        let slow = self.spec.warn.is_some_and(|warn| self.longest > warn.std());
        let outcome = match (&self.failure, slow) {
            (Some(_), _) => Outcome::Failed,
            (None, true) => Outcome::Slow,
            (None, false) => Outcome::Ok,
        };
        let mut phases_ms = PhasesMs::default();
        self.exchanges.iter().for_each(|e| phases_ms.add(&e.phases_ms));
        let transcript = (outcome != Outcome::Ok).then(|| {
            transcript::of(&self.entries, self.context.began, &self.spec, &self.context.secrets)
        });
        if outcome == Outcome::Ok && self.warnings.is_empty() {
            self.exchanges.iter_mut().filter_map(|e| e.tls.as_mut()).for_each(drop_sound_chain);
        }
        Run {
            schema: SCHEMA.to_owned(),
            target: self.target,
            kind: self.spec.kind.as_str().to_owned(),
            vantage: self.context.vantage,
            started: self.context.started,
            outcome,
            warnings: self.warnings,
            failure: self.failure,
            phases_ms,
            warn_ms: self.spec.warn.map(|d| d.as_ms()),
            timeout_ms: Some(self.spec.timeout.as_ms()),
            total_ms: ms(self.cursor.since(self.context.began)),
            exchanges: self.exchanges,
            ping: self.pings.as_ref().map(Rounds::facts),
            dns: self.dns,
            transcript,
            belongs: Default::default(),
        }
    }
}

/// A chain nothing is wrong with is the same every time, and not worth keeping every time.
fn drop_sound_chain(tls: &mut TlsFacts) {
    if tls.chain_problem.is_none() {
        tls.chain.clear();
    }
}

pub(super) fn ms(d: Duration) -> f64 {
    // Divided rather than multiplied, so that 21 µs is 0.021 and not 0.020999….
    let ns = u64::try_from(d.as_nanos()).unwrap_or(u64::MAX);
    ns as f64 / 1e6
}
