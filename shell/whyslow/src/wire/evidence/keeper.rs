//! The keeper's thread: hears what recorders tell, waits until an incident's tail has come, and
//! has its packets written.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use whyslow_model::Wall;
use whyslow_model::limits::WIRE_INCIDENTS_WAITING_MAX;
use whyslow_model::seeded::Seed;
use whyslow_sys::clock;
use whyslow_wire::event::Unanswered;
use whyslow_wire::evidence::Trigger;
use whyslow_wire::evidence::slow::Slow;
use whyslow_wire::handshake::Handshake;
use whyslow_wire::plan::{REST, RETIRE};

use super::counted::WAITING;
use super::incident::{Ends, Incident};
use super::{Noticed, Shared, Tapped, take};
use crate::config::Keep;
use crate::wire::event::{Kept, Listener, What, WireEvent};

/// How long it waits for an event at most.
const TICK: Duration = Duration::from_millis(200);
/// How often the kernel's counts are read.
const SAMPLE_EVERY: Duration = Duration::from_secs(1);
/// Events that are handled before anything else has its turn.
const EVENTS_AT_ONCE: usize = 1000;

/// Keeps evidence until told to stop; what waits then is written.
pub(super) fn until_stopped(shared: &Shared, listener: &Listener) {
    let mut keeper = Keeper::new(shared);
    while !shared.stop.is_told() {
        let turn = AssertUnwindSafe(|| keeper.turn(listener));
        if std::panic::catch_unwind(turn).is_err() {
            tracing::error!("keeping evidence ended in a mistake of whyslow's own and begins anew");
            keeper = Keeper::new(shared);
        }
    }
    std::thread::sleep(RETIRE + REST);
    keeper.take_up();
    keeper.write_all();
}

struct Keeper<'a> {
    shared: &'a Shared,
    slow: Slow,
    waiting: Vec<Waiting>,
    sampled: Option<Wall>,
}

/// An incident whose tail is yet to come.
struct Waiting {
    incident: Incident,
    /// What was told of it.
    event: Option<Arc<WireEvent>>,
    due: Wall,
    left_out: u64,
}

impl<'a> Keeper<'a> {
    fn new(shared: &'a Shared) -> Self {
        Self { shared, slow: Slow::new(Seed(shared.seed)), waiting: Vec::new(), sampled: None }
    }

    fn turn(&mut self, listener: &Listener) {
        let mut limit = TICK;
        for _ in 0..EVENTS_AT_ONCE {
            match listener.next(limit) {
                Ok(Some(event)) => self.handle_event(&event),
                Ok(None) => break,
                // No recorder is left, which one may be again after a reload.
                Err(_) => {
                    self.shared.stop.rest(TICK);
                    break;
                }
            }
            limit = Duration::ZERO;
        }
        self.shared.counted.unheard(listener.lost());
        self.take_up();
        let now = clock::wall();
        if self.sampled.is_none_or(|at| now < at || now.since(at) >= SAMPLE_EVERY) {
            self.sampled = Some(now);
            self.shared.causes.sample(now);
        }
        self.write_due(now);
    }

    fn handle_event(&mut self, event: &Arc<WireEvent>) {
        let tapped = self.shared.tapped();
        let Some(Tapped { keep, .. }) = tapped.get(&*event.interface) else { return };
        let noticed = match &event.what {
            What::Handshake(handshake) => self.slow(handshake, keep),
            What::Unanswered(syns) if keep.unanswered => Some(self.unanswered(syns)),
            What::Unanswered(_) | What::Ending(_) | What::Loss(_) | What::Kept(_) => None,
        };
        if let Some(incident) = noticed {
            let incident = Incident { interface: Some(event.interface.clone()), ..incident };
            self.wait(incident, keep, Some(Arc::clone(event)));
        }
    }

    fn slow(&mut self, handshake: &Handshake, keep: &Keep) -> Option<Incident> {
        let why = self.slow.handle_handshake(handshake, &keep.thresholds())?;
        let opening = &handshake.opening;
        let mut text = format!("{why} ({} to {}", opening.flow.client, opening.flow.server);
        if let Some(sni) = opening.tls.as_ref().and_then(|tls| tls.sni.as_deref()) {
            text = format!("{text}, {}", sni.escape_default());
        }
        text.push(')');
        for sentence in &handshake.evidence {
            text = format!("{text}; {}", sentence.trim_end_matches('.'));
        }
        let (trigger, ends) = (Trigger::SlowHandshake, Ends::of(&opening.flow));
        Some(Incident::of(trigger, ends, opening.first, clock::wall(), text))
    }

    fn unanswered(&self, syns: &Unanswered) -> Incident {
        let (n, flow, now) = (syns.retries + 1, &syns.flow, clock::wall());
        let mut text = format!("{n} SYNs of {} to {} got no SYN-ACK", flow.client, flow.server);
        if let Some(cause) = self.shared.causes.of(syns, now) {
            text = format!("{text}; cause {}: {}", cause.as_str(), cause.text());
        }
        Incident::of(Trigger::UnansweredSyn, Ends::of(flow), syns.first, now, text)
    }

    /// Takes up what others noticed.
    fn take_up(&mut self) {
        let mut noticed = self.shared.noticed.lock().unwrap_or_else(PoisonError::into_inner);
        let all = std::mem::take(&mut *noticed);
        drop(noticed);
        for Noticed { incident, left_out, after } in all {
            self.wait_for_tail(incident, None, after, left_out);
        }
    }

    fn wait(&mut self, incident: Incident, keep: &Keep, event: Option<Arc<WireEvent>>) {
        if keep.quota.0 == 0 {
            return;
        }
        let Some(left_out) = self.shared.admit(&incident, keep.rate) else { return };
        self.wait_for_tail(incident, event, keep.after.std(), left_out);
    }

    fn wait_for_tail(
        &mut self,
        incident: Incident,
        event: Option<Arc<WireEvent>>,
        after: Duration,
        left_out: u64,
    ) {
        if self.waiting.len() >= WIRE_INCIDENTS_WAITING_MAX {
            return self.shared.not_kept(&incident, WAITING);
        }
        self.shared.ask_names(&incident);
        let tail = RETIRE + REST + self.tail(&incident, after);
        let due = incident.at.after(tail);
        self.waiting.push(Waiting { incident, event, due, left_out });
    }

    /// How long the tail may be: a ring that forgets soon must not forget the beginning meanwhile.
    fn tail(&self, incident: &Incident, wanted: Duration) -> Duration {
        let past = incident.interface.as_deref().and_then(|name| self.shared.wire.past(name));
        let Some(depth) = past.and_then(|past| past.depth()) else { return wanted };
        let behind = incident.at.since(depth.from);
        let begun = incident.at.since(incident.from);
        wanted.min(behind.saturating_sub(begun) / 2)
    }

    fn write_due(&mut self, now: Wall) {
        let (due, waiting): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.waiting).into_iter().partition(|one| one.due <= now);
        self.waiting = waiting;
        due.iter().for_each(|one| self.write(one, now));
    }

    fn write_all(&mut self) {
        let now = clock::wall();
        std::mem::take(&mut self.waiting).iter().for_each(|one| self.write(one, now));
    }

    /// Writes an incident's packets, and tells where they are: whoever keeps what was noticed can
    /// point at them.
    fn write(&self, one: &Waiting, now: Wall) {
        let Waiting { incident, event, left_out, .. } = one;
        let taken = take::take(self.shared, incident, now, *left_out);
        let handshake = match incident.trigger {
            Trigger::SlowHandshake => event.as_ref(),
            Trigger::UnansweredSyn => None,
            Trigger::Log | Trigger::Check | Trigger::Asked => return,
        };
        let Some(flow) = incident.ends.flow() else { return };
        for file in taken.files {
            let kept =
                Kept { handshake: handshake.cloned(), began: incident.from, flow, file: file.name };
            let interface = file.interface.into();
            let what = What::Kept(kept);
            self.shared.wire.tell(WireEvent { interface, service: None, what });
        }
    }
}
