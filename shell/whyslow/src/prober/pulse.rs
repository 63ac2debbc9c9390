//! How long the prober itself was held up: by a machine without a processor to spare, or by its
//! own loop being busy with other runs.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use whyslow_model::Mono;
use whyslow_probe::starved::STARVED_MIN;
use whyslow_sys::clock;
use whyslow_sys::process::ThreadWait;

/// From one beat to the next while there are runs.
const BEAT: Duration = Duration::from_millis(20);
/// The runtime's timers are as fine as this.
const GRAIN: Duration = Duration::from_millis(2);
/// Late beats that are remembered.
const LATE_MAX: usize = 512;

/// The beat of one loop, shared by its tasks, all on one thread.
#[derive(Clone, Debug)]
pub(super) struct Pulse(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// `None` where the kernel keeps no account of a thread's waiting.
    wait: Option<ThreadWait>,
    beats: Mutex<Beats>,
}

#[derive(Debug, Default)]
struct Beats {
    /// When the next beat is due; `None` while nobody runs.
    due: Option<Mono>,
    /// Beats that came late: when, and by how much.
    late: VecDeque<(Mono, Duration)>,
}

/// The state at the start of a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Since {
    at: Mono,
    waited: Option<Duration>,
}

impl Pulse {
    /// The pulse of the calling thread.
    pub(super) fn of_this_thread() -> Self {
        let wait = ThreadWait::of_this_thread().ok();
        Self(Arc::new(Inner { wait, beats: Mutex::default() }))
    }

    /// A run begins now.
    pub(super) fn begin(&self) -> Since {
        Since { at: clock::mono(), waited: self.waited() }
    }

    /// How long the loop has been held up since then, at most.
    pub(super) fn held_up(&self, since: Since) -> Duration {
        // Less than this counts for nothing, and to ask the kernel costs several microseconds.
        if clock::mono().since(since.at) < STARVED_MIN {
            return Duration::ZERO;
        }
        let waited = match (since.waited, self.waited()) {
            (Some(before), Some(now)) => now.saturating_sub(before),
            _ => Duration::ZERO,
        };
        let now = clock::mono();
        self.with(|beats| waited.max(beats.held_up(since.at, now)))
    }

    /// Beats until dropped; to be polled beside the loop's other work while there are runs.
    pub(super) async fn beat(&self) {
        let _stops = Stops(self);
        loop {
            let due = clock::mono().after(BEAT);
            self.with(|beats| beats.due = Some(due));
            tokio::time::sleep(BEAT).await;
            let now = clock::mono();
            self.with(|beats| beats.came(due, now));
        }
    }

    fn waited(&self) -> Option<Duration> {
        self.0.wait.as_ref().and_then(ThreadWait::total)
    }

    fn with<T>(&self, f: impl FnOnce(&mut Beats) -> T) -> T {
        f(&mut self.0.beats.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Says that no beat is awaited any more.
struct Stops<'a>(&'a Pulse);

impl Drop for Stops<'_> {
    fn drop(&mut self) {
        self.0.with(|beats| beats.due = None);
    }
}

impl Beats {
    fn came(&mut self, due: Mono, now: Mono) {
        let late = now.since(due.after(GRAIN));
        if late >= STARVED_MIN {
            if self.late.len() == LATE_MAX {
                self.late.pop_front();
            }
            self.late.push_back((now, late));
        }
    }

    /// The sum of the delays since `from`, a beat that is overdue included.
    fn held_up(&self, from: Mono, now: Mono) -> Duration {
        let recent = self.late.iter().rev().take_while(|(at, _)| *at >= from);
        // Of a delay that began before the run, only the part within it counts.
        let told: Duration = recent.map(|(at, late)| (*late).min(at.since(from))).sum();
        let overdue = self.due.map_or(Duration::ZERO, |due| now.since(due.after(GRAIN)));
        told + overdue.min(now.since(from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Mono {
        Mono::from_nanos(ms * 1_000_000)
    }

    #[test]
    fn late_beats_within_a_run_add_up_and_earlier_ones_do_not_count() {
        let mut beats = Beats::default();
        beats.came(at(100), at(100));
        beats.came(at(200), at(302));
        beats.came(at(400), at(452));
        beats.came(at(500), at(504));
        assert_eq!(beats.held_up(at(50), at(600)), Duration::from_millis(150));
        assert_eq!(beats.held_up(at(350), at(600)), Duration::from_millis(50));
        assert_eq!(beats.held_up(at(290), at(600)), Duration::from_millis(62));
        beats.due = Some(at(520));
        assert_eq!(beats.held_up(at(500), at(602)), Duration::from_millis(80));
    }

    #[tokio::test]
    async fn a_loop_that_does_not_come_back_is_found_out() {
        let pulse = Pulse::of_this_thread();
        let beating = tokio::spawn({
            let pulse = pulse.clone();
            async move { pulse.beat().await }
        });
        tokio::task::yield_now().await;
        let since = pulse.begin();
        let end = clock::mono().after(Duration::from_millis(60));
        while clock::mono() < end {
            std::hint::spin_loop();
        }
        assert!(pulse.held_up(since) >= Duration::from_millis(30));
        beating.abort();
    }
}
