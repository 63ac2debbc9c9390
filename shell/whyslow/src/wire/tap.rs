//! One interface and the ring that holds its past: waits for the interface, binds to it again
//! after it was away, and keeps account of what was not seen.

use std::os::fd::OwnedFd;

use whyslow_model::Wall;
use whyslow_sys::ring::{self, Follower, History, Interface, Layout, Link, Walked};
use whyslow_sys::{Error, clock};
use whyslow_wire::packet::{Captured, LinkType};
use whyslow_wire::plan::{Loss, Losses, RETIRE, RingPlan, Why};

use super::filter::Programs;

/// What an interface's frames can be to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// It is there and switched on.
    Sees,
    /// It is switched off.
    Down,
    /// There is none of that name.
    Absent,
    /// It is there, but its frames begin with something that is not read.
    Foreign(u16),
}

impl Sight {
    /// What stands in the way of seeing `interface`, and what mends it; `None` where nothing does.
    pub fn problem(self, interface: &str) -> Option<String> {
        match self {
            Self::Sees => None,
            Self::Down => Some(format!(
                "the interface is down; it is waited for; hint: `ip link set {interface} up`"
            )),
            Self::Absent => {
                let there = ring::interface::names().join(", ");
                Some(format!(
                    "there is no such interface; it is waited for; hint: there are {there}"
                ))
            }
            Self::Foreign(kind) => Some(format!(
                "its frames are not read (hardware type {kind}); hint: record the interface that \
                 carries its IP packets"
            )),
        }
    }
}

/// A ring and its interface.
#[derive(Debug)]
pub struct Tap {
    name: String,
    follower: Follower,
    history: History,
    programs: Programs,
    sight: Sight,
    /// The interface as it was bound to last.
    bound: Option<Interface>,
    /// When it was last known that everything was seen, or since when nothing is.
    since: Wall,
    /// When the kernel's count of drops was read last.
    counted: Wall,
    losses: Losses,
    packets: u64,
    freezes: u64,
}

impl Tap {
    /// Sets a ring of about `bytes` up on a packet socket. Nothing is seen before the first
    /// [`Self::look`].
    ///
    /// # Errors
    /// Where the kernel has no memory for the ring.
    pub fn new(name: &str, socket: OwnedFd, bytes: u64, programs: Programs) -> Result<Self, Error> {
        let plan = RingPlan::of(bytes);
        let RingPlan { block_bytes, blocks, held } = plan;
        let (follower, history) =
            ring::open(socket, Layout { block_bytes, blocks, held, retire: RETIRE })?;
        let now = clock::wall();
        Ok(Self {
            name: name.to_owned(),
            follower,
            history,
            programs,
            // As if it had been seen: the first look tells whether it can be.
            sight: Sight::Sees,
            bound: None,
            since: now,
            counted: now,
            losses: Losses::default(),
            packets: 0,
            freezes: 0,
        })
    }

    /// Looks at the interface: binds to it when it came, and admits the time it was away. Gives
    /// the loss that ended just now, if one did.
    ///
    /// # Errors
    /// Where the kernel does not let us bind to it.
    pub fn look(&mut self, now: Wall) -> Result<Option<Loss>, Error> {
        // Down and up again since the last look shows in the socket alone.
        let was_away = self.follower.problem().is_some() && self.sight == Sight::Sees;
        let found = Interface::named(&self.name)?;
        let sight = match found {
            None => Sight::Absent,
            Some(Interface { link: Link::Unknown(kind), .. }) => Sight::Foreign(kind),
            Some(interface) if !interface.up => Sight::Down,
            Some(_) => Sight::Sees,
        };
        if let (Sight::Sees, Some(interface)) = (sight, found)
            && self.bound != Some(interface)
        {
            self.follower.filter(self.programs.for_link(interface.link))?;
            self.follower.bind(interface.index)?;
            // Since it was bound by us, what the socket says of before is no news.
            self.follower.problem();
            self.bound = Some(interface);
        }
        let before = std::mem::replace(&mut self.sight, sight);
        let blind = match (before, sight) {
            (Sight::Sees, Sight::Sees) if was_away => Some(Why::Down),
            (Sight::Sees, _) | (_, Sight::Down | Sight::Absent | Sight::Foreign(_)) => None,
            (Sight::Down, Sight::Sees) => Some(Why::Down),
            (Sight::Absent | Sight::Foreign(_), Sight::Sees) => Some(Why::Absent),
        };
        let loss = blind.map(|why| self.blind(why, self.since, now));
        if sight == Sight::Sees {
            self.since = now;
        }
        Ok(loss)
    }

    /// Admits a time in which nothing was seen.
    pub fn blind(&mut self, why: Why, from: Wall, to: Wall) -> Loss {
        self.losses.handle_blind(why, from, to);
        Loss { from, to, lost: None, why }
    }

    /// Reads the kernel's count of drops: the loss since the last time, if there was one.
    ///
    /// # Errors
    /// Where the kernel does not say what it dropped.
    pub fn count(&mut self, now: Wall) -> Result<Option<Loss>, Error> {
        let stats = self.follower.stats()?;
        let from = std::mem::replace(&mut self.counted, now);
        self.packets += stats.packets;
        self.freezes += stats.freezes;
        if stats.drops == 0 {
            return Ok(None);
        }
        self.losses.handle_dropped(stats.drops, from, now);
        Ok(Some(Loss { from, to: now, lost: Some(stats.drops), why: Why::Dropped }))
    }

    /// Shows `each` packet of at most `blocks_max` blocks that were retired since the last time.
    pub fn walk(&mut self, blocks_max: u64, mut each: impl FnMut(&Captured<'_>)) -> Walked {
        let link = self.link();
        self.follower.walk(blocks_max, |packet| {
            if let Some(captured) = captured(packet, link) {
                each(&captured);
            }
        })
    }

    /// What the interface's frames begin with.
    pub fn link(&self) -> Link {
        self.bound.map_or(Link::Ethernet, |interface| interface.link)
    }

    /// Whether the interface can be seen.
    pub const fn sight(&self) -> Sight {
        self.sight
    }

    /// What was not seen.
    pub const fn losses(&self) -> &Losses {
        &self.losses
    }

    /// Packets that went into the ring.
    pub const fn packets(&self) -> u64 {
        self.packets
    }

    /// How often the ring was full.
    pub const fn freezes(&self) -> u64 {
        self.freezes
    }

    /// The fewest blocks that the kernel had left.
    pub const fn free_blocks_min(&self) -> u64 {
        self.follower.free_min()
    }

    /// A handle on what is held.
    pub fn history(&self) -> History {
        self.history.clone()
    }
}

/// A packet of a ring as the engine takes it; `None` of those that loopback shows a second time.
pub(super) fn captured<'a>(packet: &ring::Packet<'a>, link: Link) -> Option<Captured<'a>> {
    let (begins, outgoing) = match link {
        // What leaves by loopback comes by loopback: counted once, as coming.
        Link::Loopback if packet.outgoing => return None,
        Link::Loopback => (LinkType::Ethernet, None),
        Link::Ethernet => (LinkType::Ethernet, Some(packet.outgoing)),
        Link::Raw | Link::Unknown(_) => (LinkType::Raw, Some(packet.outgoing)),
    };
    Some(Captured {
        at: packet.at,
        interface: 0,
        link: begins,
        outgoing,
        original_len: packet.original_len,
        bytes: packet.bytes,
    })
}
