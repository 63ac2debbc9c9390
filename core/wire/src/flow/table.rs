//! The table of connections: one look-up a packet, each kind of connection with its own limit and
//! its own order of age, and a clock for those that are waited for.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hash::BuildHasher as _;

use foldhash::SharedSeed;
use foldhash::fast::SeedableRandomState;
use hashbrown::HashTable;
use whyslow_model::Wall;

use super::finished::Finished;
use super::key::Pair;
use super::open::Open;

/// A connection.
#[derive(Debug)]
pub(crate) enum Flow {
    /// Its opening.
    Open(Box<Open>),
    /// What is left after it.
    Finished(Finished),
}

/// Kinds of connections, kept apart so that one kind pushes out no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Only SYNs and SYN-ACKs were seen.
    HalfOpen = 0,
    /// The opening is under way.
    Open = 1,
    /// The opening was told.
    Finished = 2,
}

/// Names a slot.
pub(crate) type Id = u32;

#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) flow: Option<Flow>,
    key: Pair,
    class: Class,
    /// Neighbours in the order of age of its class.
    older: Id,
    newer: Id,
    deadline: Wall,
    /// The entry of the clock that counts.
    armed: Option<Wall>,
}

/// One class's order of age.
#[derive(Clone, Copy, Debug)]
struct Age {
    oldest: Id,
    newest: Id,
    len: usize,
}

#[derive(Debug)]
pub(crate) struct Table {
    index: HashTable<Id>,
    hasher: SeedableRandomState,
    slots: Vec<Slot>,
    free: Vec<Id>,
    ages: [Age; 3],
    clock: BinaryHeap<Reverse<(Wall, Id)>>,
}

impl Table {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            index: HashTable::new(),
            hasher: SeedableRandomState::with_seed(seed, SharedSeed::global_fixed()),
            slots: Vec::new(),
            free: Vec::new(),
            ages: [Age { oldest: NONE, newest: NONE, len: 0 }; 3],
            clock: BinaryHeap::new(),
        }
    }

    pub(crate) fn find(&self, key: &Pair) -> Option<Id> {
        let hash = self.hasher.hash_one(key);
        self.index.find(hash, |id| self.slots[*id as usize].key == *key).copied()
    }

    pub(crate) fn slot(&mut self, id: Id) -> &mut Slot {
        &mut self.slots[id as usize]
    }

    pub(crate) fn class(&self, id: Id) -> Class {
        self.slots[id as usize].class
    }

    pub(crate) const fn len(&self, class: Class) -> usize {
        self.ages[class as usize].len
    }

    pub(crate) const fn oldest(&self, class: Class) -> Option<Id> {
        let id = self.ages[class as usize].oldest;
        if id == NONE { None } else { Some(id) }
    }

    /// Adds a connection that is not in the table.
    pub(crate) fn insert(&mut self, key: Pair, class: Class, flow: Flow) -> Id {
        let slot = Slot {
            flow: Some(flow),
            key,
            class,
            older: NONE,
            newer: NONE,
            deadline: Wall::default(),
            armed: None,
        };
        let id = match self.free.pop() {
            Some(id) => {
                self.slots[id as usize] = slot;
                id
            }
            None => {
                self.slots.push(slot);
                // The limits of the classes together are far below this.
                u32::try_from(self.slots.len() - 1).unwrap_or(NONE)
            }
        };
        let (slots, hasher) = (&self.slots, &self.hasher);
        let hash = hasher.hash_one(key);
        self.index.insert_unique(hash, id, |id| hasher.hash_one(slots[*id as usize].key));
        self.link(id, class);
        id
    }

    /// Makes it the newest of another class.
    pub(crate) fn move_to(&mut self, id: Id, class: Class) {
        self.unlink(id);
        self.link(id, class);
    }

    /// Takes a connection out.
    pub(crate) fn remove(&mut self, id: Id) -> Option<Flow> {
        self.unlink(id);
        let key = self.slots[id as usize].key;
        let hash = self.hasher.hash_one(key);
        if let Ok(entry) = self.index.find_entry(hash, |other| *other == id) {
            entry.remove();
        }
        let slot = &mut self.slots[id as usize];
        slot.armed = None;
        self.free.push(id);
        slot.flow.take()
    }

    /// Sets when a connection is to be looked at; never, if absent.
    pub(crate) fn wait(&mut self, id: Id, until: Option<Wall>) {
        let slot = &mut self.slots[id as usize];
        let Some(until) = until else {
            slot.armed = None;
            return;
        };
        slot.deadline = until;
        // An entry that rings too early is put off when it rings.
        if slot.armed.is_none_or(|armed| until < armed) {
            slot.armed = Some(until);
            self.clock.push(Reverse((until, id)));
            self.sweep();
        }
    }

    /// The next connection whose time came by `now`.
    pub(crate) fn due(&mut self, now: Wall) -> Option<Id> {
        while let Some(&Reverse((at, id))) = self.clock.peek() {
            if at > now {
                return None;
            }
            self.clock.pop();
            let slot = &mut self.slots[id as usize];
            if slot.armed != Some(at) {
                continue;
            }
            if slot.deadline <= now {
                slot.armed = None;
                return Some(id);
            }
            slot.armed = Some(slot.deadline);
            self.clock.push(Reverse((slot.deadline, id)));
        }
        None
    }

    /// When the clock rings next; may be early.
    pub(crate) fn rings(&self) -> Option<Wall> {
        self.clock.peek().map(|Reverse((at, _))| *at)
    }

    /// Entries of connections that are gone must not outnumber the others.
    fn sweep(&mut self) {
        if self.clock.len() <= 2 * self.slots.len() + CLOCK_SLACK {
            return;
        }
        let slots = &self.slots;
        self.clock.retain(|Reverse((at, id))| slots[*id as usize].armed == Some(*at));
    }

    fn link(&mut self, id: Id, class: Class) {
        let age = &mut self.ages[class as usize];
        let newest = std::mem::replace(&mut age.newest, id);
        age.len += 1;
        if newest == NONE {
            age.oldest = id;
        } else {
            self.slots[newest as usize].newer = id;
        }
        let slot = &mut self.slots[id as usize];
        (slot.class, slot.older, slot.newer) = (class, newest, NONE);
    }

    fn unlink(&mut self, id: Id) {
        let slot = &self.slots[id as usize];
        let (class, older, newer) = (slot.class, slot.older, slot.newer);
        let age = &mut self.ages[class as usize];
        age.len -= 1;
        if older == NONE {
            age.oldest = newer;
        }
        if newer == NONE {
            age.newest = older;
        }
        if older != NONE {
            self.slots[older as usize].newer = newer;
        }
        if newer != NONE {
            self.slots[newer as usize].older = older;
        }
    }
}

const NONE: Id = Id::MAX;
/// So few entries are never worth a sweep.
const CLOCK_SLACK: usize = 1024;
