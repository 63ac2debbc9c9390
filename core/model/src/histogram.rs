//! Latencies in exponential buckets: the one structure that merges over time, keys and balancers.

use serde::{Deserialize, Serialize};

/// Buckets to a doubling: Prometheus' native schema 5, so a value is known within ±1.09 %.
pub const BUCKETS_PER_DOUBLING: i32 = 32;

/// Observations up to which a histogram is the list of their buckets; beyond it is an array.
const FEW_MAX: usize = 64;

/// How many observations fell into each bucket; bucket `i` holds seconds in
/// `(2^((i-1)/32), 2^(i/32)]`, and zero has a bucket of its own.
///
/// Merging adds counts, so the order of merging never shows. Serialised as
/// `{"zero": n, "buckets": [[index, n], …]}`, empty buckets left out.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "Plain", into = "Plain")]
pub struct Histogram {
    zero: u64,
    counts: Counts,
}

/// Most histograms are of rare keys and hold a handful of observations; the few of busy keys are
/// hot, and the smaller their counts are the more of them the processor's caches hold.
#[derive(Clone, Debug)]
enum Counts {
    /// Each observation's bucket, as they came; at most [`FEW_MAX`].
    Few(Vec<i16>),
    /// Every count fits.
    Narrow(Many<u16>),
    Wide(Many<u64>),
}

#[derive(Clone, Debug)]
struct Many<T> {
    /// The bucket of `counts[0]`.
    first: i32,
    /// Never empty.
    counts: Vec<T>,
}

impl Default for Counts {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl Histogram {
    /// Counts one duration of so many microseconds.
    #[inline]
    pub fn observe(&mut self, micros: u64) {
        match bucket(micros) {
            None => self.zero += 1,
            Some(index) => self.add(index, 1),
        }
    }

    /// The same of so many whole milliseconds.
    #[inline(always)]
    pub fn observe_millis(&mut self, millis: u32) {
        match MILLIS.get(millis as usize) {
            Some(index) if millis > 0 => self.add((*index).into(), 1),
            _ => self.observe(u64::from(millis) * 1000),
        }
    }

    /// Adds `n` observations to a bucket, or to that of zero where `index` is `None`; false, and
    /// nothing is added, where no duration falls into such a bucket.
    pub fn add_bucket(&mut self, index: Option<i32>, n: u64) -> bool {
        let Some(index) = index else {
            self.zero = self.zero.saturating_add(n);
            return true;
        };
        // One microsecond to all that 64 bits hold.
        if Some(index) < bucket(1) || Some(index) > bucket(u64::MAX) {
            return false;
        }
        self.add(index, n);
        true
    }

    /// Counts durations whose buckets are known, as [`bucket`] gives them.
    pub fn observe_buckets(&mut self, indices: &[i16]) {
        let mut counted = 0;
        if let Counts::Narrow(many) = &mut self.counts {
            for index in indices {
                match many.at((*index).into()) {
                    Some(count) if *count < u16::MAX => *count += 1,
                    _ => break,
                }
                counted += 1;
            }
        }
        indices.iter().skip(counted).for_each(|index| self.add((*index).into(), 1));
    }

    /// Counts so many durations of zero.
    pub const fn observe_zeros(&mut self, n: u64) {
        self.zero = self.zero.saturating_add(n);
    }

    /// Adds what `other` counted.
    pub fn merge(&mut self, other: &Self) {
        self.zero += other.zero;
        match &other.counts {
            Counts::Few(few) => few.iter().for_each(|index| self.add(i32::from(*index), 1)),
            Counts::Narrow(many) => self.merge_many(many.first, &many.counts),
            Counts::Wide(many) => self.merge_many(many.first, &many.counts),
        }
    }

    /// Observations of exactly zero.
    pub const fn zeros(&self) -> u64 {
        self.zero
    }

    /// Buckets that are not empty, ascending: index and count; zeros apart.
    pub fn buckets(&self) -> impl Iterator<Item = (i32, u64)> {
        let (few, first, narrow, wide) = match &self.counts {
            Counts::Few(few) => (in_order(few), 0, &[][..], &[][..]),
            Counts::Narrow(many) => (Vec::new(), many.first, many.counts.as_slice(), &[][..]),
            Counts::Wide(many) => (Vec::new(), many.first, &[][..], many.counts.as_slice()),
        };
        let many = narrow.iter().map(|n| u64::from(*n)).chain(wide.iter().copied());
        few.into_iter().chain((first..).zip(many).filter(|(_, n)| *n > 0))
    }

    /// How many durations were counted.
    pub fn count(&self) -> u64 {
        let counted = match &self.counts {
            Counts::Few(few) => few.len() as u64,
            Counts::Narrow(many) => many.counts.iter().map(|n| u64::from(*n)).sum(),
            Counts::Wide(many) => many.counts.iter().sum(),
        };
        self.zero + counted
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.zero == 0 && matches!(&self.counts, Counts::Few(few) if few.is_empty())
    }

    /// How many lie at or below the bound `2^(index/32)` seconds.
    pub fn count_up_to(&self, index: i32) -> u64 {
        self.zero + self.buckets().take_while(|(i, _)| *i <= index).map(|(_, n)| n).sum::<u64>()
    }

    /// The `q`-quantile (0 to 1) in seconds, within ±1.09 %; `None` of nothing.
    ///
    /// The middle, by ratio, of the bucket that holds the observation of rank `⌈q·n⌉`.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rank of 2^53 and beyond may be off by one"
        )]
        let rank = ((q.clamp(0.0, 1.0) * count as f64).ceil() as u64).max(1);
        let mut below = self.zero;
        if rank <= below {
            return Some(0.0);
        }
        for (index, n) in self.buckets() {
            below += n;
            if rank <= below {
                return Some(upper_bound(index) / half_bucket());
            }
        }
        None
    }

    #[inline(always)]
    fn add(&mut self, index: i32, n: u64) {
        if let Counts::Narrow(many) = &mut self.counts
            && let Some(count) = many.at(index)
            && let Some(sum) = u16::try_from(n).ok().and_then(|n| count.checked_add(n))
        {
            *count = sum;
        } else {
            self.add_apart(index, n);
        }
    }

    /// Adds to a bucket that has no place in an array of small counts yet.
    #[inline(never)]
    fn add_apart(&mut self, index: i32, n: u64) {
        if let Counts::Few(few) = &mut self.counts {
            let room = FEW_MAX - few.len();
            if let (Ok(short), Ok(n)) = (i16::try_from(index), usize::try_from(n))
                && n <= room
            {
                few.extend(std::iter::repeat_n(short, n));
                return;
            }
            self.counts = Counts::Narrow(Many::of(few, index));
        }
        if let Counts::Narrow(many) = &mut self.counts {
            let count = many.reach(index);
            if let Some(sum) = u16::try_from(n).ok().and_then(|n| count.checked_add(n)) {
                *count = sum;
                return;
            }
            let counts = many.counts.iter().map(|n| u64::from(*n)).collect();
            self.counts = Counts::Wide(Many { first: many.first, counts });
        }
        if let Counts::Wide(many) = &mut self.counts {
            *many.reach(index) += n;
        }
    }

    fn merge_many<T: Copy + Into<u64>>(&mut self, first: i32, counts: &[T]) {
        for (index, n) in (first..).zip(counts) {
            let n: u64 = (*n).into();
            if n > 0 {
                self.add(index, n);
            }
        }
    }
}

/// The buckets of a list, ascending, each once and with its count.
fn in_order(few: &[i16]) -> Vec<(i32, u64)> {
    let mut sorted = few.to_vec();
    sorted.sort_unstable();
    let run = |run: &[i16]| Some((i32::from(*run.first()?), run.len() as u64));
    sorted.chunk_by(|a, b| a == b).filter_map(run).collect()
}

impl Many<u16> {
    /// The counts of a list, with a place for `index` too.
    fn of(few: &[i16], index: i32) -> Self {
        let (mut first, mut last) = (index, index);
        for index in few {
            (first, last) = (first.min((*index).into()), last.max((*index).into()));
        }
        let mut many =
            Self { first, counts: vec![0; usize::try_from(last - first).unwrap_or(0) + 1] };
        // A list has no more observations than a count holds.
        few.iter().for_each(|index| *many.reach(i32::from(*index)) += 1);
        many
    }
}

impl<T: Copy + Default> Many<T> {
    /// The count of a bucket, where it has a place.
    #[inline]
    fn at(&mut self, index: i32) -> Option<&mut T> {
        self.counts.get_mut(usize::try_from(index.wrapping_sub(self.first)).ok()?)
    }

    /// The count of a bucket, once the array reaches it.
    fn reach(&mut self, index: i32) -> &mut T {
        if index < self.first {
            let more = usize::try_from(self.first - index).unwrap_or(0);
            self.counts.splice(0..0, std::iter::repeat_n(T::default(), more));
            self.first = index;
        }
        let at = usize::try_from(index - self.first).unwrap_or(0);
        if at >= self.counts.len() {
            self.counts.resize(at + 1, T::default());
        }
        &mut self.counts[at]
    }
}

/// Two histograms are equal where their buckets are, however they are held.
impl PartialEq for Histogram {
    fn eq(&self, other: &Self) -> bool {
        self.zero == other.zero && self.buckets().eq(other.buckets())
    }
}

impl Eq for Histogram {}

/// The serialised shape.
#[derive(Serialize, Deserialize)]
struct Plain {
    zero: u64,
    buckets: Vec<(i16, u64)>,
}

impl From<Histogram> for Plain {
    fn from(histogram: Histogram) -> Self {
        // No duration has a bucket outside: 2^64 µs are in bucket 1411.
        let short = |(index, n)| Some((i16::try_from(index).ok()?, n));
        Self { zero: histogram.zero, buckets: histogram.buckets().filter_map(short).collect() }
    }
}

impl From<Plain> for Histogram {
    fn from(plain: Plain) -> Self {
        let mut histogram = Self { zero: plain.zero, counts: Counts::default() };
        plain.buckets.into_iter().for_each(|(index, n)| histogram.add(i32::from(index), n));
        histogram
    }
}

/// The largest duration of a bucket, in seconds.
pub fn upper_bound(index: i32) -> f64 {
    (f64::from(index) / f64::from(BUCKETS_PER_DOUBLING)).exp2()
}

/// From a bucket's upper bound to its middle, by ratio.
fn half_bucket() -> f64 {
    (0.5 / f64::from(BUCKETS_PER_DOUBLING)).exp2()
}

/// Bits of a double's mantissa.
const MANTISSA_BITS: u32 = 52;
/// A double's mantissa.
const MANTISSA: u64 = (1 << MANTISSA_BITS) - 1;

/// The mantissas of the bucket bounds between one power of two microseconds and the next:
/// `1e6 * 2^(i/32)` for 32 consecutive `i`, of which the first with exponent 0 is -637. The bound
/// of a power of two seconds is exact.
const BOUNDS: [u64; 32] = [
    0x048846692c19e,
    0x0a3cbbb8ff349,
    0x10112be1ac3b1,
    0x16064a27f6a20,
    0x1c1ccdbd8d8ea,
    0x225571d70d17e,
    0x28b0f5c27ae15,
    0x2f301cfe40c40,
    0x35d3af50a8476,
    0x3c9c78dfd9bcb,
    0x438b4a4a61de7,
    0x4aa0f8c040e63,
    0x51de5e1c861b7,
    0x594458ff7aee3,
    0x60d3cce960c38,
    0x688da255c4a81,
    0x7072c6d76c337,
    0x78842d34def50,
    0x80c2cd858fd8e,
    0x892fa54faa057,
    0x91cbb7a684c59,
    0x9a980d49c2287,
    0xa395b4c51c135,
    0xacc5c290e397c,
    0xb629513336754,
    0xbfc18161eec34,
    0xc98f7a2550d78,
    0xd39468fb7b934,
    0xddd181fc9f583,
    0xe848000000000,
    0xf2f924c1c6473,
    0xfde63909a5374,
];

/// For each value of a mantissa's first six bits, how many bounds lie below all mantissas that
/// begin so. Buckets are wider than a 64th, so at most one bound lies among those.
const BELOW: [u8; 64] = {
    let mut below = [0; 64];
    let mut sixth = 0;
    while sixth < 64 {
        let mut n = 0;
        while n < 32 && BOUNDS[n] < (sixth as u64) << (MANTISSA_BITS - 6) {
            n += 1;
        }
        #[expect(clippy::cast_possible_truncation, reason = "at most 32")]
        {
            below[sixth] = n as u8;
        }
        sixth += 1;
    }
    below
};

/// The bucket of a duration; `None` of zero.
#[inline]
pub const fn bucket(micros: u64) -> Option<i32> {
    if micros == 0 {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "2^53 µs are 285 years")]
    let bits = (micros as f64).to_bits();
    let mantissa = bits & MANTISSA;
    let (first, exponent) =
        ((mantissa >> (MANTISSA_BITS - 6)) as usize, (bits >> MANTISSA_BITS) as i32 - 1023);
    let below = BELOW[first];
    let one_more = (below as usize) < BOUNDS.len() && mantissa > BOUNDS[below as usize];
    Some(BUCKETS_PER_DOUBLING * exponent - 637 + below as i32 + one_more as i32)
}

/// The buckets of the first whole milliseconds from one on, looked up where most durations are
/// whole milliseconds.
static MILLIS: [i16; 1024] = {
    let mut buckets = [0; 1024];
    let mut millis = 1;
    while millis < buckets.len() {
        #[expect(clippy::cast_possible_truncation, reason = "no bucket has more bits")]
        if let Some(index) = bucket(millis as u64 * 1000) {
            buckets[millis] = index as i16;
        }
        millis += 1;
    }
    buckets
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_within_a_bucket_of_the_truth() {
        let mut h = Histogram::default();
        (1..=10_000_u64).for_each(|ms| h.observe(ms * 1000));
        for q in [0.5, 0.9, 0.99] {
            let (got, want) = (h.quantile(q).unwrap(), 10.0 * q);
            assert!((got / want - 1.0).abs() < 0.011, "{q}: {got} for {want}");
        }
        assert_eq!(h.count(), 10_000);
        assert_eq!(Histogram::default().quantile(0.5), None);
    }

    #[test]
    fn whole_milliseconds_are_observed_as_their_microseconds() {
        let (mut millis, mut micros) = (Histogram::default(), Histogram::default());
        for ms in (0..1100).chain([u32::MAX]) {
            millis.observe_millis(ms);
            micros.observe(u64::from(ms) * 1000);
            assert_eq!(millis, micros, "{ms} ms");
        }
    }

    #[test]
    fn merging_is_counting_together() {
        let (mut a, mut b, mut both) =
            (Histogram::default(), Histogram::default(), Histogram::default());
        for us in [0, 1, 17, 4_000, 2_000_000] {
            a.observe(us);
            both.observe(us);
        }
        for us in [900_000_000, 3, 0] {
            b.observe(us);
            both.observe(us);
        }
        a.merge(&b);
        assert_eq!(a.count(), both.count());
        assert!(a.buckets().eq(both.buckets()));
        assert_eq!(a.count_up_to(0), 6);
    }

    #[test]
    fn a_bound_is_in_its_bucket_and_the_next_microsecond_is_not() {
        // From 0.1 ms on the bounds lie more than a microsecond apart.
        for index in -425..600 {
            let bound = upper_bound(index) * 1e6;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "below 2^40"
            )]
            let micros = bound.floor() as u64;
            assert_eq!(bucket(micros), Some(index), "{micros}");
            assert_eq!(bucket(micros + 1), Some(index + 1), "{micros} + 1");
        }
        for (micros, index) in [(15_625, -192), (500_000, -32), (1_000_000, 0), (64_000_000, 192)] {
            assert_eq!(bucket(micros), Some(index));
        }
        assert_eq!((bucket(0), bucket(1)), (None, Some(-637)));
        assert!(bucket(u64::MAX).is_some_and(|i| i < 1500));
    }

    #[test]
    fn equal_counts_are_equal_however_they_are_held_and_come_back_from_json() {
        let (mut few, mut many) = (Histogram::default(), Histogram::default());
        (1..=60_u64).for_each(|ms| few.observe(ms * 1000));
        (1..=200_u64).for_each(|ms| many.observe(ms * 1000));
        let mut other = Histogram::default();
        (61..=200_u64).rev().for_each(|ms| other.observe(ms * 1000));
        other.merge(&few);
        assert_eq!(other, many);
        assert_ne!(few, many);
        for histogram in [few, many] {
            let json = serde_json::to_string(&histogram).unwrap();
            assert_eq!(serde_json::from_str::<Histogram>(&json).unwrap(), histogram);
        }
    }

    #[test]
    fn a_count_grows_beyond_any_width_it_is_held_in() {
        let mut h = Histogram::default();
        let index = bucket(1000).unwrap();
        for (n, sum) in [
            (1, 1_u64),
            (63, 64),
            (1, 65),
            (65_470, 65_535),
            (1, 65_536),
            (1 << 40, (1 << 40) + 65_536),
        ] {
            assert!(h.add_bucket(Some(index), n));
            assert_eq!(h.buckets().collect::<Vec<_>>(), [(index, sum)]);
            assert_eq!(h.count(), sum);
        }
        let mut twice = h.clone();
        twice.observe(1);
        twice.merge(&h);
        let sum = h.count() * 2;
        assert_eq!(twice.buckets().collect::<Vec<_>>(), [(bucket(1).unwrap(), 1), (index, sum)]);
    }

    proptest::proptest! {
        #[test]
        fn any_split_merges_to_the_same_counts(
            values in proptest::collection::vec((0_u64..50_000_000, 0_usize..4), 0..600),
        ) {
            let mut whole = std::collections::BTreeMap::new();
            let mut parts = vec![Histogram::default(); 4];
            for (micros, part) in &values {
                parts[*part].observe(*micros);
                *whole.entry(bucket(*micros)).or_insert(0_u64) += 1;
            }
            let mut merged = Histogram::default();
            parts.iter().for_each(|p| merged.merge(p));
            proptest::prop_assert_eq!(merged.zeros(), whole.remove(&None).unwrap_or(0));
            let wanted: Vec<_> = whole.into_iter().filter_map(|(i, n)| Some((i?, n))).collect();
            proptest::prop_assert_eq!(merged.buckets().collect::<Vec<_>>(), wanted);
        }

        #[test]
        fn the_bucket_is_the_logarithms(micros in 1_u64..1_u64 << 45) {
            #[expect(clippy::cast_precision_loss, reason = "below 2^53")]
            let exact = ((micros as f64) / 1e6).log2() * 32.0;
            let got = f64::from(bucket(micros).unwrap());
            proptest::prop_assert!(exact <= got + 1e-9 && got < exact + 1.0 + 1e-9);
        }
    }
}
