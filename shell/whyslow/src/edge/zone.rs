//! How far a balancer's clock is from UTC.

use jiff::tz::{Offset, TimeZone};
use whyslow_model::Wall;

use crate::config::Zone;

/// The time zone of dates that name none.
#[derive(Clone, Debug)]
pub(crate) struct Zoned(TimeZone);

impl Zoned {
    /// The zone a configuration names; UTC where the system knows it no more.
    pub(crate) fn of(zone: &Zone) -> Self {
        Self(match zone {
            Zone::Local => TimeZone::system(),
            Zone::Fixed(s) => Offset::from_seconds(*s).map_or(TimeZone::UTC, TimeZone::fixed),
            Zone::Named(name) => TimeZone::get(name).unwrap_or(TimeZone::UTC),
        })
    }

    /// Seconds east of UTC at a time.
    pub(crate) fn offset_s(&self, at: Wall) -> i32 {
        let at = jiff::Timestamp::from_nanosecond(i128::from(at.as_nanos())).unwrap_or_default();
        self.0.to_offset(at).seconds()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_zone_knows_summer_time() {
        let zone = Zoned::of(&Zone::Named("Europe/Paris".to_owned()));
        let at = |text: &str| zone.offset_s(text.parse().unwrap());
        assert_eq!(at("2026-01-15T12:00:00Z"), 3600);
        assert_eq!(at("2026-07-15T12:00:00Z"), 7200);
        assert_eq!(Zoned::of(&Zone::Fixed(-5400)).offset_s(Wall::from_nanos(0)), -5400);
    }
}
