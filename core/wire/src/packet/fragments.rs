//! Datagrams put together from their fragments, within bounds.
//!
//! Fragments may come in any order and cut short by the snap length. One that comes twice is
//! ignored; two that overlap otherwise spoil their datagram, as RFC 5722 demands for IPv6 and as
//! Linux does for IPv4: which of two overlapping truths the receiver took cannot be known.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use whyslow_model::Wall;
use whyslow_model::limits::{
    WIRE_FRAGMENT_BYTES_MAX, WIRE_FRAGMENT_HELD_S_MAX, WIRE_FRAGMENTED_MAX,
    WIRE_FRAGMENTS_PER_DATAGRAM_MAX,
};

use super::Refused;
use super::ip::{Ip, Part};

/// Bytes an IP datagram can have.
const DATAGRAM_LEN_MAX: usize = 65_535;

/// The fragments that wait for others.
#[derive(Debug, Default)]
pub(super) struct Fragments {
    held: BTreeMap<Key, Held>,
    /// The keys of `held` by the number of their first fragment: the oldest goes first.
    order: BTreeMap<u64, Key>,
    /// Number of the next datagram.
    next: u64,
    /// Captured bytes in `held`.
    bytes: usize,
    /// The datagram that was put together last.
    whole: Vec<u8>,
    /// Datagrams that were put together.
    pub completed: u64,
    /// Datagrams given up: too old, spoilt, or pushed out.
    pub lost: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    from: IpAddr,
    to: IpAddr,
    id: u32,
    /// Part of the name in IPv4 only (RFC 791, section 3.2).
    protocol: u8,
}

#[derive(Debug)]
struct Held {
    number: u64,
    since: Wall,
    pieces: Vec<Piece>,
    /// Where the datagram ends, once its last fragment was seen.
    end: Option<usize>,
}

#[derive(Debug)]
struct Piece {
    offset: usize,
    /// Bytes on the wire; fewer may have been captured.
    len: usize,
    protocol: u8,
    ttl: u8,
    bytes: Vec<u8>,
}

impl Fragments {
    /// Takes one fragment; gives the datagram when it was the last one missing.
    pub(super) fn handle(
        &mut self,
        ip: &Ip<'_>,
        part: Part,
        at: Wall,
    ) -> Result<Option<Ip<'_>>, Refused> {
        let end = part.offset + ip.len;
        if ip.len == 0 || end > DATAGRAM_LEN_MAX || (part.more && !ip.len.is_multiple_of(8)) {
            return Err(Refused::Malformed("IP fragment"));
        }
        self.expire(at);
        let protocol = if ip.from.is_ipv4() { ip.protocol } else { 0 };
        let key = Key { from: ip.from, to: ip.to, id: part.id, protocol };
        let (next, order) = (&mut self.next, &mut self.order);
        let held = self.held.entry(key).or_insert_with(|| {
            *next += 1;
            order.insert(*next, key);
            Held { number: *next, since: at, pieces: Vec::new(), end: None }
        });
        match held.place(part, ip.len) {
            Place::Again => return Ok(None),
            Place::Spoils => {
                self.give_up(key);
                return Ok(None);
            }
            Place::New => {}
        }
        self.bytes += ip.payload.len();
        held.add(ip, part);
        if !held.is_whole() {
            self.bound();
            return Ok(None);
        }
        Ok(self.put_together(key, ip))
    }

    /// Forgets what has waited too long, by the packets' own time.
    fn expire(&mut self, now: Wall) {
        let held_max = Duration::from_secs(WIRE_FRAGMENT_HELD_S_MAX);
        while let Some(key) = self.order.first_key_value().map(|(_, key)| *key) {
            match self.held.get(&key) {
                Some(held) if now.since(held.since) <= held_max => return,
                _ => self.give_up(key),
            }
        }
    }

    /// Pushes the oldest out while there are too many, or too many bytes.
    fn bound(&mut self) {
        while self.held.len() > WIRE_FRAGMENTED_MAX || self.bytes > WIRE_FRAGMENT_BYTES_MAX {
            let Some(key) = self.order.first_key_value().map(|(_, key)| *key) else { return };
            self.give_up(key);
        }
    }

    fn give_up(&mut self, key: Key) {
        self.take(key);
        self.lost += 1;
    }

    fn take(&mut self, key: Key) -> Option<Held> {
        let held = self.held.remove(&key)?;
        self.order.remove(&held.number);
        self.bytes -= held.pieces.iter().map(|p| p.bytes.len()).sum::<usize>();
        Some(held)
    }

    /// The datagram, with what is told by its first fragment; captured up to the first byte that
    /// was not.
    fn put_together(&mut self, key: Key, ip: &Ip<'_>) -> Option<Ip<'_>> {
        let mut held = self.take(key)?;
        self.completed += 1;
        held.pieces.sort_unstable_by_key(|p| p.offset);
        let first = held.pieces.first()?;
        let (protocol, ttl) = (first.protocol, first.ttl);
        self.whole.clear();
        for piece in &held.pieces {
            self.whole.extend_from_slice(&piece.bytes);
            if piece.bytes.len() < piece.len {
                break;
            }
        }
        let len = held.end?;
        Some(Ip {
            from: ip.from,
            to: ip.to,
            protocol,
            id: ip.id,
            ttl,
            len,
            payload: &self.whole,
            fragment: None,
        })
    }
}

/// How a fragment fits to those that were there.
enum Place {
    New,
    Again,
    Spoils,
}

impl Held {
    fn place(&self, part: Part, len: usize) -> Place {
        let end = part.offset + len;
        if self.pieces.iter().any(|p| p.offset == part.offset && p.len == len) {
            return Place::Again;
        }
        let overlaps = self.pieces.iter().any(|p| p.offset < end && part.offset < p.offset + p.len);
        let beyond = self.end.is_some_and(|known| end > known || !part.more);
        let short = !part.more && self.pieces.iter().any(|p| p.offset + p.len > end);
        let full = self.pieces.len() >= WIRE_FRAGMENTS_PER_DATAGRAM_MAX;
        if overlaps || beyond || short || full { Place::Spoils } else { Place::New }
    }

    fn add(&mut self, ip: &Ip<'_>, part: Part) {
        if !part.more {
            self.end = Some(part.offset + ip.len);
        }
        self.pieces.push(Piece {
            offset: part.offset,
            len: ip.len,
            protocol: ip.protocol,
            ttl: ip.ttl,
            bytes: ip.payload.to_vec(),
        });
    }

    /// Nothing overlaps, so that the lengths add up to the end only when all are there.
    fn is_whole(&self) -> bool {
        self.end == Some(self.pieces.iter().map(|p| p.len).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(payload: &[u8], len: usize) -> Ip<'_> {
        Ip {
            from: IpAddr::from([192, 0, 2, 1]),
            to: IpAddr::from([192, 0, 2, 2]),
            protocol: 6,
            id: Some(9),
            ttl: 60,
            len,
            payload,
            fragment: None,
        }
    }

    fn part(offset: usize, more: bool) -> Part {
        Part { id: 9, offset, more }
    }

    fn at(s: i64) -> Wall {
        Wall::from_millis(s * 1000)
    }

    fn whole(f: &mut Fragments, offset: usize, more: bool, bytes: &[u8]) -> Option<Vec<u8>> {
        f.handle(&ip(bytes, bytes.len()), part(offset, more), at(0))
            .unwrap()
            .map(|ip| ip.payload.to_vec())
    }

    #[test]
    fn the_last_one_missing_completes_it_in_any_order() {
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [1, 0, 2]] {
            let mut f = Fragments::default();
            let data: Vec<u8> = (0..20).collect();
            let mut last = None;
            for n in order {
                assert_eq!(last, None);
                last = whole(&mut f, n * 8, n < 2, &data[n * 8..data.len().min(n * 8 + 8)]);
            }
            assert_eq!(last.unwrap(), data);
            assert_eq!((f.bytes, f.held.len(), f.order.len(), f.completed), (0, 0, 0, 1));
        }
    }

    #[test]
    fn a_copy_is_ignored_and_an_overlap_spoils_the_datagram() {
        let mut f = Fragments::default();
        assert_eq!(whole(&mut f, 0, true, &[1; 16]), None);
        assert_eq!(whole(&mut f, 0, true, &[1; 16]), None);
        assert_eq!((f.held.len(), f.bytes, f.lost), (1, 16, 0));
        assert_eq!(whole(&mut f, 8, true, &[2; 16]), None);
        assert_eq!((f.held.len(), f.bytes, f.lost), (0, 0, 1));
        // What comes behind the overlap is alone, and stays so.
        assert_eq!(whole(&mut f, 24, false, &[3; 3]), None);
        assert_eq!(f.completed, 0);
    }

    #[test]
    fn a_cut_fragment_ends_what_is_known_but_not_the_length() {
        let mut f = Fragments::default();
        let first = ip(&[1; 10], 16);
        assert!(f.handle(&first, part(0, true), at(0)).unwrap().is_none());
        let last = ip(&[2; 4], 4);
        let whole = f.handle(&last, part(16, false), at(0)).unwrap().unwrap();
        assert_eq!((whole.len, whole.payload), (20, [1; 10].as_slice()));
    }

    #[test]
    fn what_waits_too_long_or_is_too_much_is_forgotten_and_counted() {
        let mut f = Fragments::default();
        for n in 0..u32::try_from(WIRE_FRAGMENTED_MAX).unwrap() + 5 {
            let part = Part { id: n, offset: 0, more: true };
            assert!(f.handle(&ip(&[0; 8], 8), part, at(0)).unwrap().is_none());
        }
        assert_eq!((f.held.len(), f.lost), (WIRE_FRAGMENTED_MAX, 5));
        let late = at(i64::try_from(WIRE_FRAGMENT_HELD_S_MAX).unwrap() + 1);
        assert!(f.handle(&ip(&[0; 8], 8), part(8, true), late).unwrap().is_none());
        assert_eq!((f.held.len(), f.bytes), (1, 8));
        let big = vec![0; 65_512];
        for n in 0..200 {
            let part = Part { id: 1000 + n, offset: 0, more: true };
            assert!(f.handle(&ip(&big, big.len()), part, late).unwrap().is_none());
            assert!(f.bytes <= WIRE_FRAGMENT_BYTES_MAX);
        }
    }

    #[test]
    fn fragments_that_cannot_be_are_refused() {
        let mut f = Fragments::default();
        assert!(f.handle(&ip(&[0; 9], 9), part(0, true), at(0)).is_err());
        assert!(f.handle(&ip(&[], 0), part(0, true), at(0)).is_err());
        assert!(f.handle(&ip(&[0; 16], 16), part(65_528, false), at(0)).is_err());
    }
}
