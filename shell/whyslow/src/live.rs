//! What just happened, told to every page that is open.
//!
//! A broadcast that nobody has to keep up with: a reader that falls behind is told how many
//! events it missed and reads the store instead.

use std::sync::Arc;

use serde::Serialize;
use tokio::sync::broadcast;
use whyslow_model::Wall;
use whyslow_probe::run::{Outcome, PhasesMs};

/// Events a slow reader may lag behind by: the busiest second there may be, and half as much more.
/// They stay in memory.
const BACKLOG: usize = 2048;

/// Something that just happened and is stored.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Event {
    /// A check has run.
    Run(Box<RunEvent>),
    /// This vantage saw nothing for a while.
    Blind(BlindEvent),
}

/// A check has run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunEvent {
    /// The run's id, under which its document is stored.
    pub id: String,
    /// The service's name.
    pub service: String,
    /// The check's name.
    pub check: String,
    /// The path's name.
    pub path: String,
    /// The vantage that ran it.
    pub vantage: String,
    /// The check kind's name.
    pub kind: String,
    /// When it began.
    pub at: Wall,
    /// How it ended.
    pub outcome: Outcome,
    /// How late it began; our own doing.
    pub late_ms: f64,
    /// From start to end.
    pub total_ms: f64,
    /// The sum over all exchanges.
    pub phases_ms: PhasesMs,
    /// The failure's code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The failure's sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// This vantage saw nothing for a while.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BlindEvent {
    /// The vantage.
    pub vantage: String,
    /// When sight was lost.
    pub from: Wall,
    /// When it came back.
    pub to: Wall,
    /// Runs that were due in between.
    pub missed: u64,
    /// Why.
    pub reason: String,
}

/// The end at which events go in; clone it freely.
#[derive(Clone, Debug)]
pub struct Live(broadcast::Sender<Arc<Event>>);

impl Default for Live {
    fn default() -> Self {
        Self(broadcast::channel(BACKLOG).0)
    }
}

impl Live {
    /// Tells everybody who listens, which may be nobody.
    pub fn tell(&self, event: Event) {
        // Refused only where nobody listens.
        let _ = self.0.send(Arc::new(event));
    }

    /// Listens from now on.
    pub fn listen(&self) -> broadcast::Receiver<Arc<Event>> {
        self.0.subscribe()
    }

    /// How many listen.
    pub fn listeners(&self) -> usize {
        self.0.receiver_count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listener_hears_an_event_and_none_is_needed() {
        let live = Live::default();
        let blind = |missed| {
            let (from, to) = (Wall::from_millis(0), Wall::from_millis(5));
            let (vantage, reason) = ("lon1".to_owned(), "the machine slept".to_owned());
            Event::Blind(BlindEvent { vantage, from, to, missed, reason })
        };
        live.tell(blind(1));
        let mut heard = (live.listen(), live.listen());
        live.tell(blind(2));
        assert_eq!(*heard.0.try_recv().unwrap(), blind(2));
        assert_eq!(*heard.1.try_recv().unwrap(), blind(2));
        let text = serde_json::to_string(&blind(2)).unwrap();
        assert!(text.starts_with(r#"{"event":"blind","vantage":"lon1""#), "{text}");
    }
}
