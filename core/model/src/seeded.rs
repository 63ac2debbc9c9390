//! Hash maps whose seed the shell gives, since their keys come from outside.

use foldhash::quality::SeedableRandomState;

/// A hash map keyed by hostile input; iterate it only where order cannot show.
pub type SeededMap<K, V> = hashbrown::HashMap<K, V, SeedableRandomState>;

/// The process's hash seed, drawn once by the shell; a test gives a fixed one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seed(pub u64);

impl Seed {
    /// An empty map under this seed.
    pub fn map<K, V>(self) -> SeededMap<K, V> {
        SeededMap::with_hasher(self.state())
    }

    /// The hasher state itself, for hashing outside a map.
    pub fn state(self) -> SeedableRandomState {
        SeedableRandomState::with_seed(self.0, foldhash::SharedSeed::global_fixed())
    }
}
