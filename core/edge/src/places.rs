//! Frontend, backend and server as they stand together in a line: few texts, read millions of
//! times.

/// Places of two texts each that are remembered; a power of two.
const RECENT: usize = 512;
/// Texts that get a number.
const NUMBERS_MAX: u32 = u16::MAX as u32;
const TEXT_BYTES: std::ops::RangeInclusive<usize> = 8..=48;

/// The texts seen lately, each with its number and where it is cut.
#[derive(Debug, Default)]
pub struct Places {
    /// Two texts at a place, the later one first; empty until there is one.
    recent: Vec<[(Text, Cuts, u32); 2]>,
    numbered: u32,
}

/// Where the names within a text end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cuts {
    /// The frontend's length.
    pub(crate) vip: u8,
    /// Where the backend begins.
    pub(crate) backend: u8,
    /// Where the server begins, a slash behind the backend.
    pub(crate) server: u8,
}

impl Places {
    /// Where a text that was remembered is cut, and its number, which no other text has.
    #[inline(always)]
    pub(crate) fn again(&self, text: &[u8]) -> Option<(Cuts, u32)> {
        let text = Text::of(text)?;
        let known = self.recent.get(text.place())?.iter().find(|(known, ..)| known.is(&text));
        known.map(|(_, cuts, number)| (*cuts, *number))
    }

    /// Remembers a text. One that was forgotten meanwhile gets another number.
    pub(crate) fn remember(&mut self, text: &[u8], cuts: Cuts) {
        let Some(text) = Text::of(text).filter(|_| self.numbered < NUMBERS_MAX) else { return };
        self.numbered += 1;
        self.recent.resize(RECENT, [(Text::NONE, Cuts::default(), 0); 2]);
        let [first, second] = &mut self.recent[text.place()];
        *second = std::mem::replace(first, (text, cuts, self.numbered));
    }
}

/// A text of 8 to 48 bytes as numbers: equal texts alone have equal ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Text {
    first: [u64; 2],
    /// What `first` and `last` leave out of more than 32 bytes.
    middle: [u64; 2],
    last: [u64; 2],
    length: usize,
}

impl Text {
    /// Equal to no text's.
    const NONE: Self = Self { first: [0; 2], middle: [0; 2], last: [0; 2], length: 0 };

    #[inline(always)]
    fn of(text: &[u8]) -> Option<Self> {
        let halves = |sixteen: &[u8; 16]| {
            let ([first, second], _) = sixteen.as_chunks::<8>() else { return [0; 2] };
            [u64::from_le_bytes(*first), u64::from_le_bytes(*second)]
        };
        let (first, last) = match (text.first_chunk(), text.last_chunk()) {
            (Some(first), Some(last)) => (halves(first), halves(last)),
            _ => {
                let (first, last) = (text.first_chunk::<8>()?, text.last_chunk::<8>()?);
                ([u64::from_le_bytes(*first), 0], [u64::from_le_bytes(*last), 0])
            }
        };
        let middle = match text.get(16..32) {
            Some(middle) if text.len() > 32 => middle.first_chunk().map_or([0; 2], halves),
            _ => [0; 2],
        };
        let length = text.len();
        TEXT_BYTES.contains(&length).then_some(Self { first, middle, last, length })
    }

    /// The same as `==`, by fewer steps: two texts of one length have a middle or have none.
    #[inline(always)]
    fn is(&self, other: &Self) -> bool {
        let differ = |a: [u64; 2], b: [u64; 2]| (a[0] ^ b[0]) | (a[1] ^ b[1]);
        let ends = differ(self.first, other.first) | differ(self.last, other.last);
        let length = (self.length ^ other.length) as u64;
        ends | length == 0 && (self.length <= 32 || self.middle == other.middle)
    }

    /// Where it is remembered: the high bits of a product depend on all bits. What tells names
    /// apart mostly stands at an end.
    #[expect(clippy::cast_possible_truncation, reason = "nine bits")]
    #[inline(always)]
    const fn place(&self) -> usize {
        const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
        let ends = self.last[1] ^ self.last[0].rotate_left(32) ^ self.first[0].rotate_left(17);
        let mixed = ends ^ self.first[1].rotate_left(47) ^ self.middle[1];
        (mixed.wrapping_mul(ODD) >> (64 - RECENT.trailing_zeros())) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cuts(vip: u8) -> Cuts {
        Cuts { vip, backend: vip + 1, server: vip + 3 }
    }

    #[test]
    fn a_text_is_known_again_and_none_that_differs_in_one_byte() {
        let mut places = Places::default();
        for length in 0..60_u8 {
            let text: Vec<u8> = (0..length).collect();
            assert_eq!(places.again(&text), None);
            places.remember(&text, cuts(length));
            let kept = TEXT_BYTES.contains(&text.len());
            let number = u32::from(length).wrapping_sub(7);
            assert_eq!(places.again(&text), kept.then_some((cuts(length), number)), "{length}");
            for at in 0..text.len() {
                let mut other = text.clone();
                other[at] ^= 0x40;
                assert_eq!(places.again(&other), None, "{length} but for byte {at}");
            }
        }
    }

    #[test]
    fn numbers_end_and_what_is_forgotten_gets_a_new_one() {
        let mut places = Places::default();
        for n in 0..70_000_u32 {
            let text = format!("frontend backend/{n}");
            places.remember(text.as_bytes(), cuts(8));
            let number = places.again(text.as_bytes()).map(|(_, number)| number);
            assert_eq!(number, (n < NUMBERS_MAX).then_some(n + 1));
        }
    }
}
