//! Calendar arithmetic in UTC on any Unix time a sample's value may hold.
//!
//! A sample's value is a float and may name a year far outside what calendar libraries hold, so
//! the proleptic Gregorian calendar is computed here. Its 400-year cycle has 146,097 days.

/// A UTC date and time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Civil {
    pub(crate) year: i64,
    /// 1 to 12.
    pub(crate) month: i64,
    /// 1 to 31.
    pub(crate) day: i64,
    /// 0 to 23.
    pub(crate) hour: i64,
    /// 0 to 59.
    pub(crate) minute: i64,
    /// 0 is Sunday.
    pub(crate) weekday: i64,
    /// 1 to 366.
    pub(crate) day_of_year: i64,
}

const DAYS_PER_CYCLE: i64 = 146_097;
/// Days from 0000-03-01 to 1970-01-01.
const EPOCH_DAYS: i64 = 719_468;

impl Civil {
    /// The date `seconds` after the epoch.
    pub(crate) fn from_unix(seconds: i64) -> Self {
        let days = seconds.div_euclid(86_400);
        let second = seconds.rem_euclid(86_400);
        // Years begin in March, so that the leap day is the last of the year.
        let shifted = days + EPOCH_DAYS;
        let cycle = shifted.div_euclid(DAYS_PER_CYCLE);
        let day_of_cycle = shifted.rem_euclid(DAYS_PER_CYCLE);
        let leaps = day_of_cycle / 1460 - day_of_cycle / 36_524 + day_of_cycle / 146_096;
        let year_of_cycle = (day_of_cycle - leaps) / 365;
        let day_from_march =
            day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
        let month_from_march = (5 * day_from_march + 2) / 153;
        let day = day_from_march - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        let year = cycle * 400 + year_of_cycle + i64::from(month <= 2);
        let before: i64 = (1..month).map(|m| days_in_month(year, m)).sum();
        Self {
            year,
            month,
            day,
            hour: second / 3600,
            minute: second / 60 % 60,
            weekday: (days + 4).rem_euclid(7),
            day_of_year: before + day,
        }
    }
}

/// 28 to 31.
pub(crate) fn days_in_month(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_agree_with_jiff_over_four_thousand_years() {
        let mut seconds: i64 = -62_135_596_800;
        while seconds < 64_000_000_000 {
            let ours = Civil::from_unix(seconds);
            let theirs = jiff::Timestamp::from_second(seconds).unwrap();
            let theirs = theirs.to_zoned(jiff::tz::TimeZone::UTC);
            assert_eq!(ours.year, i64::from(theirs.year()), "{seconds}");
            assert_eq!(ours.month, i64::from(theirs.month()));
            assert_eq!(ours.day, i64::from(theirs.day()));
            assert_eq!(ours.hour, i64::from(theirs.hour()));
            assert_eq!(ours.minute, i64::from(theirs.minute()));
            assert_eq!(ours.weekday, i64::from(theirs.weekday().to_sunday_zero_offset()));
            assert_eq!(ours.day_of_year, i64::from(theirs.day_of_year()));
            assert_eq!(days_in_month(ours.year, ours.month), i64::from(theirs.days_in_month()));
            seconds += 31_337_357;
        }
    }

    #[test]
    fn the_ends_of_time_do_not_overflow() {
        assert!(Civil::from_unix(i64::MAX).year > 0);
        assert!(Civil::from_unix(i64::MIN).year < 0);
    }
}
