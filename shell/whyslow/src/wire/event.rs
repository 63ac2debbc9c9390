//! What a recorder tells as it becomes known, and to whom.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use whyslow_model::Wall;
use whyslow_model::limits::WIRE_EVENTS_WAITING_MAX;
use whyslow_wire::event::{Ending, Unanswered};
use whyslow_wire::handshake::Handshake;
use whyslow_wire::plan::Loss;
use whyslow_wire::segment::FlowKey;
use whyslow_wire::watch::Told;

/// One thing that became known on an interface.
#[derive(Clone, Debug)]
pub struct WireEvent {
    /// The interface.
    pub interface: Arc<str>,
    /// The service whose connections are recorded there, as configured.
    pub service: Option<Arc<str>>,
    /// What became known.
    pub what: What,
}

/// What became known.
#[derive(Clone, Debug)]
pub enum What {
    /// An opening ended, and was judged.
    Handshake(Box<Handshake>),
    /// SYNs got no SYN-ACK.
    Unanswered(Unanswered),
    /// A connection ended in a way worth telling.
    Ending(Ending),
    /// Not everything was seen for a while.
    Loss(Loss),
    /// The packets of something told before are in a file.
    Kept(Kept),
}

/// A file that holds the packets of something told before.
#[derive(Clone, Debug)]
pub struct Kept {
    /// The handshake that was told; SYNs without an answer otherwise.
    pub handshake: Option<Arc<WireEvent>>,
    /// When that began.
    pub began: Wall,
    /// Whose packets.
    pub flow: FlowKey,
    /// The file's name.
    pub file: String,
}

impl From<Told> for What {
    fn from(told: Told) -> Self {
        match told {
            Told::Handshake(handshake) => Self::Handshake(handshake),
            Told::Unanswered(unanswered) => Self::Unanswered(unanswered),
            Told::Ending(ending) => Self::Ending(ending),
        }
    }
}

/// Tells events to all who listen; cheap to clone. Nobody who listens can hold a recorder up: what
/// finds no room with a listener is thrown away there and counted.
#[derive(Clone, Debug, Default)]
pub struct Events(Arc<Mutex<Vec<Listening>>>);

#[derive(Debug)]
struct Listening {
    inbox: SyncSender<Arc<WireEvent>>,
    lost: Arc<AtomicU64>,
}

/// Hears events from when it was made on.
#[derive(Debug)]
pub struct Listener {
    outbox: Receiver<Arc<WireEvent>>,
    lost: Arc<AtomicU64>,
}

impl Events {
    /// Listens from now on, with room for [`WIRE_EVENTS_WAITING_MAX`] events.
    pub fn listen(&self) -> Listener {
        self.listen_with_room(WIRE_EVENTS_WAITING_MAX)
    }

    /// Listens from now on, with room for so many events.
    pub fn listen_with_room(&self, room: usize) -> Listener {
        let (inbox, outbox) = sync_channel(room);
        let lost = Arc::<AtomicU64>::default();
        let listening = Listening { inbox, lost: Arc::clone(&lost) };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(listening);
        Listener { outbox, lost }
    }

    /// Tells one event to everybody.
    pub fn tell(&self, event: WireEvent) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.is_empty() {
            return;
        }
        let event = Arc::new(event);
        all.retain(|one| match one.inbox.try_send(Arc::clone(&event)) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                one.lost.fetch_add(1, Ordering::Relaxed);
                true
            }
            Err(TrySendError::Disconnected(_)) => false,
        });
    }

    /// Events that were thrown away because whoever listens was too slow.
    pub fn lost(&self) -> u64 {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().map(|one| one.lost.load(Ordering::Relaxed)).sum()
    }
}

impl Listener {
    /// The next event, waited for at most so long; `Err` when no recorder is left that could tell.
    ///
    /// # Errors
    /// [`NobodyTells`].
    pub fn next(&self, limit: Duration) -> Result<Option<Arc<WireEvent>>, NobodyTells> {
        match self.outbox.recv_timeout(limit) {
            Ok(event) => Ok(Some(event)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(NobodyTells),
        }
    }

    /// Events that found no room here.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

/// Nobody is left who could tell events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no recorder is left")]
pub struct NobodyTells;

#[cfg(test)]
mod tests {
    use whyslow_wire::plan::Why;

    use super::*;

    fn event(n: i64) -> WireEvent {
        let at = Wall::from_millis(n);
        let what = What::Loss(Loss { from: at, to: at, lost: None, why: Why::Down });
        WireEvent { interface: "eth0".into(), service: None, what }
    }

    #[test]
    fn who_is_too_slow_loses_events_and_nobody_else_does() {
        let events = Events::default();
        let (slow, fast) = (events.listen_with_room(2), events.listen());
        (0..5).for_each(|n| events.tell(event(n)));
        let count =
            |of: &Listener| std::iter::from_fn(|| of.next(Duration::ZERO).unwrap_or(None)).count();
        assert_eq!((count(&slow), slow.lost(), count(&fast), fast.lost()), (2, 3, 5, 0));
        assert_eq!(events.lost(), 3);
        drop(slow);
        events.tell(event(9));
        assert_eq!((events.lost(), count(&fast)), (0, 1));
        drop(events);
        assert!(matches!(fast.next(Duration::ZERO), Err(NobodyTells)));
    }
}
