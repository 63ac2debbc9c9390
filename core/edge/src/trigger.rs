//! Lines of any log that tell of an incident: a regular expression finds them, and its named
//! groups say whose connection it was, how long it took, and when.

mod date;

use std::net::IpAddr;
use std::sync::LazyLock;
use std::time::Duration;

use regex::bytes::{CaptureLocations, Regex, RegexBuilder};
use whyslow_model::Wall;
use whyslow_model::limits::{
    WIRE_TRIGGER_DURATION_S_MAX, WIRE_TRIGGER_PROGRAM_BYTES_MAX, WIRE_TRIGGER_QUOTE_BYTES_MAX,
    WIRE_TRIGGER_REGEX_BYTES_MAX,
};

use crate::cursor::whole;
use crate::format::Context;
use crate::formats::json::decimal;

pub use date::Date;
use date::date;

/// The groups that mean something, by name.
pub const GROUPS: [&str; 9] = [
    "client_ip",
    "client_port",
    "server_ip",
    "server_port",
    "duration_ms",
    "duration_s",
    "duration_us",
    "began",
    "ended",
];

/// The power of ten that makes microseconds of a group's numbers.
const DURATIONS: [(&str, i32); 3] = [("duration_ms", 3), ("duration_s", 6), ("duration_us", 0)];
/// Groups within groups.
const NESTED_MAX: u32 = 64;

/// What is looked for.
#[derive(Clone, Debug)]
pub struct Pattern {
    regex: Regex,
    groups: Groups,
}

/// Where each group is among those of the expression.
#[derive(Clone, Copy, Debug, Default)]
struct Groups {
    client_ip: usize,
    client_port: Option<usize>,
    server_ip: Option<usize>,
    server_port: Option<usize>,
    /// With the power of ten that makes microseconds of it.
    duration: Option<(usize, i32)>,
    began: Option<usize>,
    ended: Option<usize>,
}

/// Why nothing can be found by an expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPattern {
    /// Its text is too long.
    #[error("{0} bytes; at most {WIRE_TRIGGER_REGEX_BYTES_MAX}")]
    TooLong(usize),
    /// It would take too much memory.
    #[error("compiled it takes more than {} KiB", WIRE_TRIGGER_PROGRAM_BYTES_MAX >> 10)]
    TooLarge,
    /// It is none.
    #[error("no regular expression: {0}")]
    Syntax(String),
    /// A group's name means nothing.
    #[error("there is no group '{0}'")]
    UnknownGroup(String),
    /// Nothing says whose connection is meant.
    #[error("no group 'client_ip'")]
    NoClient,
    /// The duration is said twice.
    #[error("more than one group for the duration")]
    TwoDurations,
}

impl BadPattern {
    /// What mends it.
    pub fn hint(&self) -> String {
        match self {
            Self::TooLong(_) => "look for less of the line".to_owned(),
            Self::TooLarge => "repeat less, as {1,1000} does; or write (?-u)".to_owned(),
            Self::Syntax(_) => "see https://docs.rs/regex#syntax".to_owned(),
            Self::UnknownGroup(name) if name == "duration" => {
                "its unit belongs to its name: duration_ms, duration_s or duration_us".to_owned()
            }
            Self::UnknownGroup(_) => format!("groups are {}", GROUPS.join(", ")),
            Self::NoClient => r"write one, such as (?<client_ip>[0-9a-f.:]+)".to_owned(),
            Self::TwoDurations => "keep one of duration_ms, duration_s and duration_us".to_owned(),
        }
    }
}

/// What a line tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// The address that opened the connection.
    pub client_ip: IpAddr,
    /// The port it came from.
    pub client_port: Option<u16>,
    /// The address it was opened to.
    pub server_ip: Option<IpAddr>,
    /// The port.
    pub server_port: Option<u16>,
    /// How long it took.
    pub duration: Option<Duration>,
    /// When it began, by the line's own date.
    pub began: Option<Date>,
    /// When it ended.
    pub ended: Option<Date>,
}

/// A line that matched, and says in a group what cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{group}' is not what it should be")]
pub struct Odd {
    /// The group.
    pub group: &'static str,
}

impl Pattern {
    /// Compiles an expression.
    ///
    /// # Errors
    /// [`BadPattern`].
    pub fn new(text: &str) -> Result<Self, BadPattern> {
        if text.len() > WIRE_TRIGGER_REGEX_BYTES_MAX {
            return Err(BadPattern::TooLong(text.len()));
        }
        let compiled = RegexBuilder::new(text)
            .size_limit(WIRE_TRIGGER_PROGRAM_BYTES_MAX)
            .dfa_size_limit(WIRE_TRIGGER_PROGRAM_BYTES_MAX)
            .nest_limit(NESTED_MAX)
            .build();
        let regex = compiled.map_err(|error| {
            if matches!(error, regex::Error::CompiledTooBig(_)) {
                BadPattern::TooLarge
            } else {
                BadPattern::Syntax(in_one_line(&error.to_string()))
            }
        })?;
        let groups = Groups::of(&regex)?;
        Ok(Self { regex, groups })
    }

    /// Whether it says how long something took.
    pub const fn tells_duration(&self) -> bool {
        self.groups.duration.is_some()
    }

    /// Room for what one line matched, to be kept from line to line.
    pub fn room(&self) -> CaptureLocations {
        self.regex.capture_locations()
    }

    /// What a line tells; `None` where it does not match.
    ///
    /// # Errors
    /// [`Odd`].
    pub fn read(
        &self,
        line: &[u8],
        context: &Context,
        room: &mut CaptureLocations,
    ) -> Result<Option<Told>, Odd> {
        if self.regex.captures_read(room, line).is_none() {
            return Ok(None);
        }
        let text = |group: usize| room.get(group).and_then(|(from, to)| line.get(from..to));
        // A dash is how logs say that there is nothing to say.
        let of = |group: Option<usize>| {
            group.and_then(text).filter(|text| !text.is_empty() && *text != b"-")
        };
        let client_ip = text(self.groups.client_ip).ok_or(Odd { group: "client_ip" })?;
        let duration = self.groups.duration;
        let duration = duration.and_then(|(group, power)| Some((of(Some(group))?, power)));
        Ok(Some(Told {
            client_ip: ip(client_ip).ok_or(Odd { group: "client_ip" })?,
            client_port: one("client_port", of(self.groups.client_port), port)?,
            server_ip: one("server_ip", of(self.groups.server_ip), ip)?,
            server_port: one("server_port", of(self.groups.server_port), port)?,
            duration: one("duration", duration, |(text, power)| lasted(text, power))?,
            began: one("began", of(self.groups.began), |text| date(text, context))?,
            ended: one("ended", of(self.groups.ended), |text| date(text, context))?,
        }))
    }
}

impl Groups {
    fn of(regex: &Regex) -> Result<Self, BadPattern> {
        let (mut groups, mut has_client) = (Self::default(), false);
        for (at, name) in regex.capture_names().enumerate() {
            let Some(name) = name else { continue };
            match name {
                "client_ip" => (groups.client_ip, has_client) = (at, true),
                "client_port" => groups.client_port = Some(at),
                "server_ip" => groups.server_ip = Some(at),
                "server_port" => groups.server_port = Some(at),
                "began" => groups.began = Some(at),
                "ended" => groups.ended = Some(at),
                other => {
                    let unit = DURATIONS.iter().find(|(known, _)| *known == other);
                    let unknown = || BadPattern::UnknownGroup(other.to_owned());
                    let (_, power) = unit.ok_or_else(unknown)?;
                    if groups.duration.replace((at, *power)).is_some() {
                        return Err(BadPattern::TwoDurations);
                    }
                }
            }
        }
        if has_client { Ok(groups) } else { Err(BadPattern::NoClient) }
    }
}

/// What a group says; one that is there must say what it should.
fn one<T, U>(
    group: &'static str,
    text: Option<T>,
    read: impl FnOnce(T) -> Option<U>,
) -> Result<Option<U>, Odd> {
    text.map(|text| read(text).ok_or(Odd { group })).transpose()
}

/// An address, in brackets or not.
fn ip(text: &[u8]) -> Option<IpAddr> {
    let inner = text.strip_prefix(b"[").and_then(|text| text.strip_suffix(b"]")).unwrap_or(text);
    std::str::from_utf8(inner).ok()?.parse().ok()
}

fn port(text: &[u8]) -> Option<u16> {
    whole(text).and_then(|port| u16::try_from(port).ok()).filter(|port| *port != 0)
}

fn lasted(text: &[u8], power: i32) -> Option<Duration> {
    let micros = decimal(text, power)?;
    (micros <= WIRE_TRIGGER_DURATION_S_MAX * 1_000_000).then(|| Duration::from_micros(micros))
}

/// A line as it is quoted: its first bytes, and everything escaped that is no printable letter, so
/// that it can do nothing to a terminal or a page.
pub fn quoted(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(&line[..line.len().min(WIRE_TRIGGER_QUOTE_BYTES_MAX)]);
    let mut quoted = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter == '\\' || is_plain(letter) {
            quoted.push(letter);
        } else {
            quoted.extend(letter.escape_unicode());
        }
    }
    if line.len() > WIRE_TRIGGER_QUOTE_BYTES_MAX {
        quoted.push('…');
    }
    quoted
}

/// Whether a letter can stand as it is: neither a control nor one that turns the order of others.
fn is_plain(letter: char) -> bool {
    !letter.is_control()
        && !matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// An error of several lines, the last of which says it.
fn in_one_line(text: &str) -> String {
    let last = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
    last.trim().trim_start_matches("error: ").to_owned()
}

/// For the fuzzer: any line does no harm, and what is told of it is within bounds.
pub fn fuzz_trigger_line(bytes: &[u8]) {
    const EXPRESSIONS: [&str; 2] = [
        r"(?<client_ip>\S+) (?<client_port>\S+) (?<duration_s>\S+) (?<ended>.*)",
        r"^(?<client_ip>[^ ]*):(?<client_port>\d+) \[(?<began>[^\]]*)\] (?<server_ip>.*?)/(?<duration_ms>.*)$",
    ];
    // Compiling one costs a hundred times what a line does.
    static PATTERNS: LazyLock<[Pattern; 2]> = LazyLock::new(|| {
        EXPRESSIONS.map(|text| Pattern::new(text).unwrap_or_else(|bad| unreachable!("{bad}")))
    });
    let context = Context { near: Wall::from_nanos(1_795_265_448_000_000_000), zone_s: 3600 };
    for pattern in &*PATTERNS {
        if let Ok(Some(told)) = pattern.read(bytes, &context, &mut pattern.room()) {
            let most = Duration::from_secs(WIRE_TRIGGER_DURATION_S_MAX);
            assert!(told.duration.is_none_or(|lasted| lasted <= most));
            assert!(told.client_port != Some(0));
        }
    }
    let quote = quoted(bytes);
    assert!(quote.chars().all(is_plain), "{quote:?}");
    assert!(quote.len() <= 10 * WIRE_TRIGGER_QUOTE_BYTES_MAX + 3);
}

#[cfg(test)]
mod tests;
