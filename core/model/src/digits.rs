//! Whole and decimal numbers as text, without the formatting machinery of the standard library:
//! documents of thousands of rows are little else.

/// The digits of one number.
#[derive(Clone, Copy, Debug)]
pub struct Digits {
    /// Digits and points only, from `from` on.
    room: [u8; ROOM],
    from: usize,
}

/// The longest: twenty digits and a point.
const ROOM: usize = 21;
/// So many decimals at most.
const PLACES_MAX: usize = 19;

impl Digits {
    /// A whole number.
    #[inline]
    pub fn whole(n: u64) -> Self {
        let mut digits = Self { room: [b'0'; ROOM], from: ROOM };
        digits.push_before(n);
        digits
    }

    /// `n` in units of the last of so many decimals (19 at most), all of which are written:
    /// `12.30` of 1230 and 2.
    #[inline]
    pub fn decimal(n: u64, places: usize) -> Self {
        let places = places.min(PLACES_MAX);
        let mut digits = Self { room: [b'0'; ROOM], from: ROOM };
        let unit = 10_u64.pow(u32::try_from(places).unwrap_or(0));
        digits.push_before(n % unit);
        if let Some(point) = digits.room.get_mut(ROOM - places - 1) {
            *point = b'.';
        }
        digits.from = ROOM - places - 1;
        digits.push_before(n / unit);
        digits
    }

    /// What is to be read.
    #[inline]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// The same, of ASCII.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        self.room.get(self.from..).unwrap_or_default()
    }

    /// Writes a number in front of what is there.
    #[inline]
    fn push_before(&mut self, n: u64) {
        self.from -= put(n, self.room.get_mut(..self.from).unwrap_or_default());
    }
}

/// Writes as much of a number as fits to the end of a place; says how many digits it has there.
#[inline]
fn put(mut n: u64, place: &mut [u8]) -> usize {
    let mut count = 0;
    for byte in place.iter_mut().rev() {
        *byte = digit(n % 10);
        n /= 10;
        count += 1;
        if n == 0 {
            break;
        }
    }
    count
}

/// Fills a place with a number's last digits, zeros in front.
#[inline]
pub fn fill(place: &mut [u8], mut n: u64) {
    for byte in place.iter_mut().rev() {
        *byte = digit(n % 10);
        n /= 10;
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a digit")]
const fn digit(n: u64) -> u8 {
    b'0' + n as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_the_standard_library_does() {
        let steps = (0..20).flat_map(|power| {
            let ten = 10_u64.pow(power);
            [ten - 1, ten, ten + 1, ten.wrapping_mul(7)]
        });
        for n in steps.chain([0, 42, u64::MAX]) {
            assert_eq!(Digits::whole(n).as_str(), n.to_string());
            let (whole, rest) = (n / 1_000_000, n % 1_000_000);
            assert_eq!(Digits::decimal(n, 6).as_str(), format!("{whole}.{rest:06}"));
        }
        assert_eq!(Digits::decimal(1230, 2).as_str(), "12.30");
        assert_eq!(Digits::decimal(u64::MAX, 19).as_str(), "1.8446744073709551615");
        assert_eq!(Digits::decimal(5, 0).as_str(), "5.");
    }

    #[test]
    fn a_place_is_filled_whatever_was_in_it() {
        let mut place = *b"1999";
        fill(&mut place, 7);
        assert_eq!(&place, b"0007");
        fill(&mut place, 123_456);
        assert_eq!(&place, b"3456");
    }
}
