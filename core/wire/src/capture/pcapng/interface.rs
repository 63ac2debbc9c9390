//! The description of an interface: what its packets begin with, and how its clock counts.

use whyslow_model::Wall;

use super::block::{Block, Options};
use crate::packet::LinkType;

/// Bytes of an interface's name that are kept.
const NAME_LEN_MAX: usize = 64;

/// One interface of a capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name, where the capture says.
    pub name: Option<String>,
    /// What its packets begin with.
    pub link: LinkType,
    /// Bytes of a packet that were kept at most; 0 where there was no limit.
    pub snap_len: u32,
    resolution: Resolution,
    /// Seconds to be added to every stamp.
    offset_s: i64,
}

/// What one tick of a stamp is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Resolution {
    /// So many nanoseconds.
    Nanos(u64),
    /// A nanosecond has so many of them.
    PerNano(u64),
    /// A second has two to the power of this of them.
    PowerOfTwo(u32),
}

impl Interface {
    /// Reads the body of the block.
    pub(super) fn read(block: &mut Block<'_>) -> Result<Self, &'static str> {
        let link = LinkType::from_number(block.u16()?);
        let _reserved = block.u16()?;
        let snap_len = block.u32()?;
        let mut interface = Self { link, snap_len, ..Self::plain(link) };
        for (code, value) in Options(*block) {
            match (code, value) {
                (2, name) => {
                    let name = &name[..name.len().min(NAME_LEN_MAX)];
                    interface.name = Some(String::from_utf8_lossy(name).into_owned());
                }
                (9, &[power]) => interface.resolution = Resolution::of(power),
                (14, value) => {
                    // It is signed.
                    let seconds = block.fields.number(value).unwrap_or(0);
                    interface.offset_s = seconds.cast_signed();
                }
                _ => {}
            }
        }
        Ok(interface)
    }

    /// An interface of which nothing else is known; its stamps are microseconds.
    pub(in crate::capture) const fn plain(link: LinkType) -> Self {
        let resolution = Resolution::Nanos(1000);
        Self { name: None, link, snap_len: 0, resolution, offset_s: 0 }
    }

    /// The instant of a stamp, clamped to what [`Wall`] can hold.
    pub(super) fn at(&self, ticks: u64) -> Wall {
        let ns = match self.resolution {
            Resolution::Nanos(each) => ticks.saturating_mul(each),
            Resolution::PerNano(many) => ticks / many,
            Resolution::PowerOfTwo(power) => {
                let ns = (u128::from(ticks) * 1_000_000_000).checked_shr(power).unwrap_or(0);
                u64::try_from(ns).unwrap_or(u64::MAX)
            }
        };
        let ns = i64::try_from(ns).unwrap_or(i64::MAX);
        Wall::from_nanos(ns.saturating_add(self.offset_s.saturating_mul(1_000_000_000)))
    }
}

impl Resolution {
    /// From the option's byte: a negative power of ten, or of two if the highest bit is set.
    fn of(power: u8) -> Self {
        let exponent = u32::from(power & 0x7f);
        if power & 0x80 != 0 {
            return Self::PowerOfTwo(exponent);
        }
        match exponent.checked_sub(9) {
            None => Self::Nanos(10_u64.pow(9 - exponent)),
            Some(beyond) => Self::PerNano(10_u64.checked_pow(beyond).unwrap_or(u64::MAX)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_of_every_resolution_become_nanoseconds() {
        let at = |power, ticks| {
            let resolution = Resolution::of(power);
            let plain = Interface::plain(LinkType::Ethernet);
            Interface { resolution, ..plain }.at(ticks).as_nanos()
        };
        assert_eq!(at(0, 3), 3_000_000_000);
        assert_eq!(at(6, 3), 3000);
        assert_eq!(at(9, 3), 3);
        assert_eq!(at(12, 3999), 3);
        assert_eq!(at(127, u64::MAX), 1);
        assert_eq!(at(0x80, 2), 2_000_000_000);
        assert_eq!(at(0x80 | 10, 1536), 1_500_000_000);
        assert_eq!(at(0xff, u64::MAX), 0);
        assert_eq!(at(0, u64::MAX), i64::MAX);
    }

    #[test]
    fn an_offset_is_added_in_seconds() {
        let plain = Interface::plain(LinkType::Ethernet);
        let shifted = Interface { offset_s: -2, ..plain };
        assert_eq!(shifted.at(5_000_000).as_nanos(), 3_000_000_000);
    }
}
