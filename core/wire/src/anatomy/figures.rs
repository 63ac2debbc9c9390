//! Times in sentences.

use std::cmp::Ordering;
use std::fmt;

use whyslow_model::digits::Digits;

use super::ms;

/// A time in nanoseconds, written as milliseconds to a tenth, to a hundredth below 1 ms.
#[derive(Clone, Copy, Debug)]
pub(super) struct Number(pub(super) i64);

/// The same with its unit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Figure(pub(super) i64);

/// A round trip that may be unknown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rtt(pub(super) Option<i64>);

const MS_NS: u64 = 1_000_000;
/// Above this not every nanosecond is a float.
const EXACT_NS_MAX: u64 = 1 << 53;

impl Number {
    /// As digits; `None` of what is negative or too much.
    fn digits(self) -> Option<Digits> {
        let ns = u64::try_from(self.0).ok().filter(|ns| *ns < EXACT_NS_MAX)?;
        let places = if 0 < ns && ns < MS_NS { 2 } else { 1 };
        let unit = if places == 2 { MS_NS / 100 } else { MS_NS / 10 };
        let (units, rest) = (ns / unit, ns % unit);
        let up = match rest.cmp(&(unit / 2)) {
            Ordering::Less => false,
            Ordering::Greater => true,
            Ordering::Equal => is_float_above(ms(self.0), ns).unwrap_or(units % 2 == 1),
        };
        Some(Digits::decimal(units + u64::from(up), places))
    }
}

/// Whether milliseconds that were made of nanoseconds are more than they were; `None` where they
/// are the same. What lies halfway is rounded as the float is that lies nearest to it.
fn is_float_above(ms: f64, ns: u64) -> Option<bool> {
    const MANTISSA_BITS: u32 = f64::MANTISSA_DIGITS - 1;
    let (bits, hidden) = (ms.to_bits(), 1_u64 << MANTISSA_BITS);
    let mantissa = u128::from((bits & (hidden - 1)) | hidden);
    // Of 5 µs to 2^53 ns the mantissa is to be divided by two so often, 19 to 60 times.
    let halvings = 1_075_u64.checked_sub(bits >> MANTISSA_BITS)?;
    let (float, exact) = (mantissa * u128::from(MS_NS), u128::from(ns) << halvings.min(64));
    (float != exact).then_some(float > exact)
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.digits() {
            Some(digits) => f.write_str(digits.as_str()),
            None => write!(f, "{:.1}", ms(self.0)),
        }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Number(self.0).fmt(f)?;
        f.write_str(" ms")
    }
}

impl fmt::Display for Rtt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(ns) => Figure(ns).fmt(f),
            None => f.write_str("unknown"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rounded_as_floats_are() {
        let expected = |ns: i64| {
            let ms = ms(ns);
            if ms < 1.0 && ms > 0.0 { format!("{ms:.2}") } else { format!("{ms:.1}") }
        };
        let near = [0, 5_000, 10_000, 995_000, 1_000_000, 50_000, 150_000, 7_000_000, 1 << 53];
        let all = near.into_iter().flat_map(|ns| ns - 2..=ns + 2);
        // Every multiple of 5 µs below 1 s, of which many lie halfway, and some far beyond.
        let halves = (0..200_000).map(|n| n * 5_000 + (n % 7 / 6) * 9_000_000_000_000_000);
        let far = (0..62).map(|power| 1_i64 << power);
        for ns in all.chain(halves).chain(far).chain([i64::MIN, i64::MAX]) {
            assert_eq!(Number(ns).to_string(), expected(ns), "{ns}");
        }
        assert_eq!(Figure(301_230_000).to_string(), "301.2 ms");
        assert_eq!(Rtt(None).to_string(), "unknown");
    }
}
