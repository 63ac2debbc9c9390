//! Where the lines come from, and how many of them were seen.

/// One configured source, as it is now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// The service whose requests it logs.
    pub service: Option<String>,
    /// Where it reads.
    pub input: String,
    /// The format its lines are read by.
    pub format: String,
    /// What it does now, in words.
    pub state: String,
    /// Whether that needs somebody.
    pub troubled: bool,
    /// Lines that came.
    pub lines: u64,
    /// Lines that became a record.
    pub parsed: u64,
    /// Lines that did not, by reason.
    pub rejects: Vec<Rejects>,
    /// Lines the balancer numbered, and how many of those came; `None` where it numbers none.
    pub numbered: Option<Numbered>,
    /// Lines lost on the way, by reason.
    pub lost: Vec<(String, u64)>,
    /// When its last line came, in milliseconds since the epoch.
    pub last_ms: Option<i64>,
}

/// Lines that bear the balancer's own numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbered {
    /// Those that were sent.
    pub sent: u64,
    /// Those that came.
    pub seen: u64,
}

/// Lines that were rejected for one reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rejects {
    /// The reason.
    pub reason: String,
    /// How many.
    pub count: u64,
    /// One of them, as it came.
    pub sample: String,
}

/// How much of what was sent was seen, over all sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Complete {
    /// Every source numbers its lines, and this many of so many came.
    Counted {
        /// Lines that came.
        seen: u64,
        /// Lines that were sent.
        sent: u64,
    },
    /// Some source does not number its lines; this many lines are known to be missing.
    Unknown {
        /// Lines that came.
        seen: u64,
        /// Lines known to be missing.
        missing: u64,
    },
}

impl Source {
    /// Lines that were rejected.
    pub fn rejected(&self) -> u64 {
        self.rejects.iter().map(|r| r.count).sum()
    }

    /// Lines known to be missing: by their numbers where they are numbered, else as counted on
    /// the way.
    pub fn missing(&self) -> u64 {
        let lost = self.lost.iter().map(|(_, n)| n).sum();
        self.numbered.map_or(lost, |n| n.sent.saturating_sub(n.seen).max(lost))
    }
}

/// How complete all sources together are; `None` of no source.
pub fn complete(sources: &[Source]) -> Option<Complete> {
    if sources.is_empty() {
        return None;
    }
    let numbered: Option<Vec<Numbered>> = sources.iter().map(|s| s.numbered).collect();
    Some(match numbered {
        Some(all) => Complete::Counted {
            seen: all.iter().map(|n| n.seen).sum(),
            sent: all.iter().map(|n| n.sent).sum(),
        },
        None => Complete::Unknown {
            seen: sources.iter().map(|s| s.lines).sum(),
            missing: sources.iter().map(Source::missing).sum(),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_source_without_numbers_makes_the_whole_unknown() {
        let numbered = Source {
            lines: 90,
            numbered: Some(Numbered { sent: 100, seen: 90 }),
            ..Source::default()
        };
        let plain = Source { lines: 5, lost: vec![("kernel".into(), 2)], ..Source::default() };
        assert_eq!(
            complete(std::slice::from_ref(&numbered)),
            Some(Complete::Counted { seen: 90, sent: 100 })
        );
        let both = [numbered, plain];
        assert_eq!(complete(&both), Some(Complete::Unknown { seen: 95, missing: 12 }));
        assert_eq!(complete(&[]), None);
    }
}
