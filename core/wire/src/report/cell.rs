//! What is counted of handshakes that have a key in common.

use whyslow_model::Histogram;

use crate::handshake::{Blame, Handshake};
use crate::opening::Outcome;

/// Handshakes with a key in common.
#[derive(Clone, Debug, Default)]
pub struct Cell {
    /// All of them.
    pub handshakes: u64,
    /// Those that took longer than the threshold.
    pub slow: u64,
    /// Of the slow ones, whom they waited for: server, network, client, nobody can say.
    pub blamed: [u64; 4],
    /// Those that did not end as handshakes should.
    pub failed: u64,
    /// The whole.
    pub total: Histogram,
    /// The server's part.
    pub server: Histogram,
    /// The network's part.
    pub network: Histogram,
    /// The client's part.
    pub client: Histogram,
    /// The time that nobody can be given.
    pub unknown: Histogram,
}

impl Cell {
    pub(super) fn observe(&mut self, handshake: &Handshake) {
        self.handshakes += 1;
        let blamed = match handshake.blame {
            Blame::Server => Some(0),
            Blame::Network => Some(1),
            Blame::Client => Some(2),
            Blame::Unknown => Some(3),
            Blame::None => None,
        };
        if let Some(whom) = blamed {
            self.slow += 1;
            self.blamed[whom] += 1;
        }
        let ended = handshake.opening.outcome;
        self.failed += u64::from(!matches!(ended, Outcome::Complete | Outcome::CutOff));
        let (total, shares) = (handshake.total_ms, handshake.shares);
        self.total.observe(micros(total));
        self.server.observe(micros(total * shares.server));
        self.network.observe(micros(total * shares.network));
        self.client.observe(micros(total * shares.client));
        self.unknown.observe(micros(total * shares.unknown));
    }

    /// Adds another's handshakes.
    pub fn merge(&mut self, other: &Self) {
        self.handshakes += other.handshakes;
        self.slow += other.slow;
        self.failed += other.failed;
        self.blamed.iter_mut().zip(other.blamed).for_each(|(mine, theirs)| *mine += theirs);
        self.total.merge(&other.total);
        self.server.merge(&other.server);
        self.network.merge(&other.network);
        self.client.merge(&other.client);
        self.unknown.merge(&other.unknown);
    }

    /// How many slow ones waited for this one.
    pub const fn blamed(&self, whom: Blame) -> u64 {
        match whom {
            Blame::Server => self.blamed[0],
            Blame::Network => self.blamed[1],
            Blame::Client => self.blamed[2],
            Blame::Unknown => self.blamed[3],
            Blame::None => self.handshakes - self.slow,
        }
    }

    /// For whom most of the slow ones waited; nobody where none was slow, unknown of a tie.
    pub fn blame(&self) -> Blame {
        if self.slow == 0 {
            return Blame::None;
        }
        let of = [Blame::Server, Blame::Network, Blame::Client];
        let most = of.into_iter().max_by_key(|whom| self.blamed(*whom));
        most.filter(|whom| self.blamed(*whom) * 2 > self.slow).unwrap_or(Blame::Unknown)
    }

    /// The share of slow ones.
    #[expect(clippy::cast_precision_loss, reason = "a share is shown with a few digits")]
    pub fn slow_share(&self) -> f64 {
        self.slow as f64 / (self.handshakes.max(1)) as f64
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "not negative; saturates"
)]
fn micros(ms: f64) -> u64 {
    (ms * 1e3).round() as u64
}
