//! The rings in which recorders hold the recent past, as they are now.

/// One recorder's ring.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ring {
    /// The interface.
    pub interface: String,
    /// The service whose connections are recorded.
    pub service: Option<String>,
    /// The oldest and the newest packet held, in milliseconds.
    pub held_ms: Option<(i64, i64)>,
    /// Bytes held, and of the whole ring.
    pub bytes: (u64, u64),
    /// Packets that went in since the start, and those there was no room for.
    pub packets: (u64, u64),
    /// How often it was full.
    pub freezes: u64,
    /// What stands in the way, and what mends it.
    pub problem: Option<String>,
}

impl Ring {
    /// How far back it reaches, in milliseconds.
    pub fn depth_ms(&self) -> Option<i64> {
        self.held_ms.map(|(from, to)| (to - from).max(0))
    }

    /// How full it is, 0 to 1.
    pub fn filled(&self) -> f64 {
        let (held, all) = self.bytes;
        super::sum::share(held.min(all), all)
    }

    /// Bits a second over what it holds; `None` of less than a second.
    pub fn bits_per_s(&self) -> Option<f64> {
        let ms = self.depth_ms().filter(|ms| *ms >= 1000)?;
        let ms = super::sum::float(u64::try_from(ms).unwrap_or(0));
        Some(super::sum::float(self.bytes.0) * 8.0 * 1000.0 / ms)
    }
}

/// Bytes for reading: `512 B`, `4.1 KiB`, `256 MiB`; memory by its powers of two.
pub fn size(bytes: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut figure = super::sum::float(bytes);
    let mut unit = 0;
    while figure >= 1024.0 && unit + 1 < units.len() {
        figure /= 1024.0;
        unit += 1;
    }
    let places = usize::from(unit > 0 && figure < 9.95);
    format!("{figure:.places$}\u{a0}{}", units[unit])
}

/// A rate for reading: `0.47 Gbit/s`.
pub fn rate(bits_per_s: f64) -> String {
    let (figure, unit) = match bits_per_s {
        r if r >= 1e8 => (r / 1e9, "Gbit/s"),
        r if r >= 1e5 => (r / 1e6, "Mbit/s"),
        r => (r / 1e3, "kbit/s"),
    };
    format!("{figure:.2}\u{a0}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_says_how_far_back_it_reaches_and_an_empty_one_does_not() {
        let ring = Ring {
            held_ms: Some((1_000, 701_000)),
            bytes: (38 << 30, 40 << 30),
            ..Ring::default()
        };
        assert_eq!(ring.depth_ms(), Some(700_000));
        assert!((ring.filled() - 0.95).abs() < 1e-9);
        assert_eq!(ring.bits_per_s().map(rate).unwrap(), "0.47\u{a0}Gbit/s");
        assert_eq!(Ring::default().bits_per_s(), None);
        assert!(Ring::default().filled().abs() < f64::EPSILON);
        assert_eq!(
            [512, 4200, 256 << 20].map(size),
            ["512\u{a0}B", "4.1\u{a0}KiB", "256\u{a0}MiB"]
        );
    }
}
