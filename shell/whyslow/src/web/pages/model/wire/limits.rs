//! From when on handshakes are slow, as the taps are configured now.

use whyslow_model::Duration;

use crate::config::WireTap;
use crate::config::slow::Slow;
use crate::web::pages::figures::{limit, visible};

/// The limits of all taps that a page shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits(Vec<Group>);

/// Taps whose limits are the same.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Group {
    slow: Slow,
    taps: Vec<String>,
}

/// A limit of the whole handshake, for a line across a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// In milliseconds.
    pub ms: f64,
    /// Which limit it is.
    pub label: String,
}

impl Default for Limits {
    /// What holds where nothing is said.
    fn default() -> Self {
        Self(vec![Group { slow: Slow::default(), taps: Vec::new() }])
    }
}

impl Limits {
    /// Those of the taps of these names; of all configured ones where there are none, as before the
    /// first window is closed. One that is not configured (any more) goes by what holds where
    /// nothing is said.
    pub fn of(taps: &[String], configured: &[WireTap]) -> Self {
        if taps.is_empty() && !configured.is_empty() {
            let all: Vec<String> = configured.iter().map(|own| own.interface.clone()).collect();
            return Self::of(&all, configured);
        }
        let mut groups: Vec<Group> = Vec::new();
        for tap in taps {
            let own = configured.iter().find(|c| c.interface == *tap);
            let slow = own.map_or_else(Slow::default, |own| own.slow.clone());
            match groups.iter_mut().find(|group| group.slow == slow) {
                Some(group) => group.taps.push(tap.clone()),
                None => groups.push(Group { slow, taps: vec![tap.clone()] }),
            }
        }
        if groups.is_empty() { Self::default() } else { Self(groups) }
    }

    /// The limits of the whole, the lowest first.
    pub fn lines(&self) -> Vec<Line> {
        let one = self.0.len() == 1;
        let with = self.0.iter().filter(|group| is_set(group.slow.total));
        let mut lines: Vec<(u64, String)> = with
            .map(|group| {
                let (ms, taps) = (group.slow.total.as_millis(), group.taps());
                let of = if one { String::new() } else { format!(" on {taps}") };
                (ms, format!("slow from {}{of}", limit(ms)))
            })
            .collect();
        lines.sort();
        lines.into_iter().map(|(ms, label)| Line { ms: super::sum::float(ms), label }).collect()
    }

    /// What counts as slow, in a sentence.
    pub fn sentence(&self) -> String {
        match self.0.as_slice() {
            [one] => format!("Slow is {}.", one.words()),
            all => {
                let each = all.iter().map(|group| format!("{} {}", group.taps(), group.words()));
                format!("Slow is on {}.", each.collect::<Vec<_>>().join("; on "))
            }
        }
    }
}

impl Group {
    fn taps(&self) -> String {
        let names: Vec<String> = self.taps.iter().map(|tap| visible(tap)).collect();
        names.join(", ")
    }

    fn words(&self) -> String {
        let Slow { total, server, network, client, times_p99 } = &self.slow;
        let mut words = Vec::new();
        if is_set(*total) {
            words.push(format!("what takes {} as a whole", limit(total.as_millis())));
        }
        for (part, whose) in [(server, "server"), (network, "network"), (client, "client")] {
            if is_set(*part) {
                words.push(format!("{} or more of the {whose}'s time", limit(part.as_millis())));
            }
        }
        if *times_p99 > 0 {
            let times = "times what 99 of 100 take at the same server, from 100\u{a0}ms on";
            words.push(format!("{times_p99} {times}"));
        }
        match words.pop() {
            None => "nothing: every limit is 0".to_owned(),
            Some(only) if words.is_empty() => only,
            Some(last) => format!("{}, or {last}", words.join(", ")),
        }
    }
}

fn is_set(limit: Duration) -> bool {
    limit.as_millis() > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tap(name: &str, slow: &str) -> WireTap {
        WireTap { slow: serde_json::from_str(slow).unwrap(), ..WireTap::of(name) }
    }

    fn of(taps: &[&str], configured: &[WireTap]) -> Limits {
        let taps: Vec<String> = taps.iter().map(|tap| (*tap).to_owned()).collect();
        Limits::of(&taps, configured)
    }

    #[test]
    fn a_tap_goes_by_its_own_limits_and_an_unknown_one_by_the_usual() {
        let own = [tap("eth0", r#"{"total": "1500ms", "client": "400ms", "times_p99": 4}"#)];
        let eth0 = of(&["eth0"], &own);
        let line = Line { ms: 1500.0, label: "slow from 1.5\u{a0}s".to_owned() };
        assert_eq!(eth0.lines(), [line]);
        assert_eq!(
            eth0.sentence().replace('\u{a0}', " "),
            "Slow is what takes 1.5 s as a whole, 400 ms or more of the client's time, or 4 \
             times what 99 of 100 take at the same server, from 100 ms on."
        );
        assert_eq!(of(&["lo"], &own), of(&["lo"], &[]));
        assert_eq!(of(&[], &own), eth0, "no window of any tap yet");
        assert_eq!(of(&[], &[]), Limits::default());
        assert_eq!(Limits::default().lines(), of(&["lo"], &own).lines());
    }

    #[test]
    fn limits_that_differ_are_told_by_tap_and_none_is_drawn_where_the_whole_has_none() {
        let own = [tap("eth0", r#"{"total": "1s"}"#), tap("eth1", r#"{"total": "200ms"}"#)];
        let both = of(&["eth0", "eth1"], &own);
        let labels: Vec<String> = both.lines().into_iter().map(|line| line.label).collect();
        assert_eq!(
            labels,
            ["slow from 200\u{a0}ms on eth1", "slow from 1\u{a0}s on eth0"],
            "the lowest first"
        );
        assert!(both.sentence().contains("; on eth1 what takes 200"), "{}", both.sentence());
        let parts = of(&["eth0"], &[tap("eth0", r#"{"total": "0s", "server": "100ms"}"#)]);
        assert_eq!(parts.lines(), []);
        assert_eq!(parts.sentence(), "Slow is 100\u{a0}ms or more of the server's time.");
        let never = of(&["eth0"], &[tap("eth0", r#"{"total": "0s"}"#)]);
        assert_eq!(never.sentence(), "Slow is nothing: every limit is 0.");
    }
}
