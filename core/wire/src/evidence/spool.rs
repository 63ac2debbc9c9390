//! The directory that evidence is kept in: what its files are called, and which go when room is
//! needed.
//!
//! Names begin with the time, so that their order is that of the incidents, oldest first. A file
//! has a leading dot until it is whole.

use std::fmt::Write;
use std::net::SocketAddr;

use whyslow_model::Wall;

use super::Trigger;

/// The end of every name.
const SUFFIX: &str = ".pcapng";
/// Letters of the time: `20260101T000000.000000Z`.
const STAMP_LETTERS: usize = 23;

/// A file that is kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kept {
    /// Its name.
    pub name: String,
    /// Its bytes.
    pub bytes: u64,
}

/// What a new file needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// So many of the oldest files have to go.
    Evict(usize),
    /// It is larger than all that may be kept.
    TooLarge,
}

/// How many of the files that are kept, oldest first, have to go for one of `coming` bytes where
/// `quota` bytes may be kept.
pub fn room(kept: &[Kept], coming: u64, quota: u64) -> Room {
    if coming > quota {
        return Room::TooLarge;
    }
    let mut bytes: u64 = kept.iter().map(|file| file.bytes).sum::<u64>().saturating_add(coming);
    let mut evict = 0;
    for file in kept {
        if bytes <= quota {
            break;
        }
        bytes = bytes.saturating_sub(file.bytes);
        evict += 1;
    }
    Room::Evict(evict)
}

/// What the file of an incident is called: `cause` is what an operator calls its cause; `n` tells
/// those apart that have all else in common.
pub fn name(
    at: Wall,
    (trigger, cause): (Trigger, Option<&str>),
    interface: &str,
    client: Option<SocketAddr>,
    n: u32,
) -> String {
    let mut name: String =
        at.to_string().chars().filter(|letter| !matches!(letter, '-' | ':')).collect();
    // Writing to a text does not fail.
    let _ = write!(name, "-{}", trigger.as_str());
    if let Some(cause) = cause {
        let _ = write!(name, ".{}", plain(cause));
    }
    let _ = write!(name, "-{}", plain(interface));
    if let Some(client) = client {
        let _ = write!(name, "-{}", plain(&client.to_string()));
    }
    if n > 0 {
        // An underscore comes behind the point of the one without a number.
        let _ = write!(name, "_{n:02}");
    }
    name + SUFFIX
}

/// Whether a file of the directory is one that was kept and is whole.
pub fn is_kept(name: &str) -> bool {
    let Some(stamp) = name.as_bytes().get(..STAMP_LETTERS) else { return false };
    let is_stamp = stamp.iter().enumerate().all(|(at, letter)| match at {
        8 => *letter == b'T',
        15 => *letter == b'.',
        22 => *letter == b'Z',
        _ => letter.is_ascii_digit(),
    });
    is_stamp
        && name.ends_with(SUFFIX)
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

/// Why the packets of a file were kept, as its name says.
pub fn trigger_of(name: &str) -> Option<Trigger> {
    let word = name.get(STAMP_LETTERS..)?.strip_prefix('-')?.split(['-', '.']).next()?;
    Trigger::ALL.into_iter().find(|trigger| trigger.as_str() == word)
}

/// The cause under which a file is counted, as its name says: an operator's word, or the trigger's.
pub fn cause_of(name: &str) -> Option<&str> {
    let trigger = trigger_of(name)?.as_str();
    let word = name.get(STAMP_LETTERS + 1..)?.split('-').next()?;
    let named = word.strip_prefix(trigger).and_then(|rest| rest.strip_prefix('.'));
    Some(named.unwrap_or(trigger))
}

/// What it is called while it is written.
pub fn hidden(name: &str) -> String {
    format!(".{name}.part")
}

/// Whether a file is what is left of one that never became whole.
pub fn is_left_over(name: &str) -> bool {
    let whole = name.strip_prefix('.').and_then(|name| name.strip_suffix(".part"));
    whole.is_some_and(is_kept)
}

/// Letters that need no quoting anywhere.
fn plain(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '_' };
    text.chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(sizes: &[u64]) -> Vec<Kept> {
        sizes.iter().map(|bytes| Kept { name: String::new(), bytes: *bytes }).collect()
    }

    #[test]
    fn the_oldest_go_and_no_more_than_needed() {
        assert_eq!(room(&[], 100, 100), Room::Evict(0));
        assert_eq!(room(&[], 101, 100), Room::TooLarge);
        assert_eq!(room(&kept(&[40, 30, 30]), 0, 100), Room::Evict(0));
        assert_eq!(room(&kept(&[40, 30, 30]), 40, 100), Room::Evict(1));
        assert_eq!(room(&kept(&[40, 30, 30]), 41, 100), Room::Evict(2));
        assert_eq!(room(&kept(&[40, 30, 30]), 100, 100), Room::Evict(3));
        assert_eq!(room(&kept(&[90, 90]), 10, 50), Room::Evict(2), "the quota was made smaller");
    }

    #[test]
    fn names_are_in_the_order_of_time_and_are_known_again() {
        let at = Wall::from_millis(1_767_225_600_123);
        let client = "[2001:db8::7]:40000".parse().ok();
        let one = name(at, (Trigger::SlowHandshake, None), "eth0.7", client, 0);
        let whole = "20260101T000000.123000Z-slow_handshake-eth0.7-_2001_db8__7__40000.pcapng";
        assert_eq!(one, whole);
        let later =
            name(Wall::from_millis(1_767_225_600_124), (Trigger::Asked, None), "../a", None, 1);
        assert!(one < later);
        let again = name(at, (Trigger::SlowHandshake, None), "eth0.7", client, 1);
        assert!(one < again && again < later);
        assert_eq!(later, "20260101T000000.124000Z-asked-.._a_01.pcapng");
        assert_eq!(
            (trigger_of(&one), trigger_of(&later)),
            (Some(Trigger::SlowHandshake), Some(Trigger::Asked))
        );
        let log = name(at, (Trigger::Log, Some("lb.tls")), "eth0.7", None, 0);
        assert_eq!(log, "20260101T000000.123000Z-log.lb.tls-eth0.7.pcapng");
        assert_eq!((trigger_of(&log), cause_of(&log)), (Some(Trigger::Log), Some("lb.tls")));
        assert_eq!((cause_of(&one), cause_of(&later)), (Some("slow_handshake"), Some("asked")));
        for name in [&one, &later, &log] {
            assert!(is_kept(name) && !is_kept(&hidden(name)) && is_left_over(&hidden(name)));
        }
        for name in ["", "notes.pcapng", ".x.part", "20260101T000000.123000Z-a/b.pcapng"] {
            assert!(!is_kept(name) && !is_left_over(name), "{name}");
        }
    }
}
