//! What one line's fields held, before they are made a record.

use std::net::{IpAddr, Ipv4Addr};

use super::date::LastDate;
use crate::format::Wanted;

/// A field read as a number: durations in microseconds, the rest as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Number {
    /// The status code.
    Code,
    /// Bytes sent to the client, headers included.
    BytesOut,
    /// Bytes of the response's body sent to the client.
    BodyOut,
    /// Bytes received from the client.
    BytesIn,
    /// The client's port.
    ClientPort,
    /// The kernel's round-trip time to the client.
    ClientRtt,
    /// Segments retransmitted to the client.
    ClientRetransmits,
    /// The balancer's sequence number.
    Sequence,
    /// Connection attempts beyond the first.
    Retries,
    /// Connections of the server.
    ServerConns,
    /// Requests queued at the server.
    ServerQueue,
    /// Requests queued at the backend.
    BackendQueue,
    /// Whole seconds since the epoch, in microseconds.
    Epoch,
    /// The part of a second, in microseconds.
    Fraction,
    /// The balancer's total.
    Total,
    /// `HAProxy`'s total of the connection or session.
    Session,
    /// Receiving the request (`HAProxy`'s TR).
    ClientIn,
    /// Waiting for a server (Tw).
    Queue,
    /// Connecting (Tc).
    Connect,
    /// Waiting for response headers (Tr).
    Wait,
    /// The response's data (Td).
    Body,
    /// Handshakes before the request (Th).
    Handshake,
    /// Idle before the request (Ti).
    Idle,
    /// Handshake, idle and receiving the request (Tq).
    Arrival,
    /// Sending what was left of the response, once the server had sent all of it.
    ClientOut,
    /// From the request's start to the response's first byte.
    FirstByte,
    /// From the request's start to its last byte.
    Upload,
    /// From the response's first byte to the last one sent to the client.
    Download,
    /// From asking the server to its response headers, connecting and queueing included.
    Service,
    /// Servers asked.
    Attempts,
    /// IIS's error of the socket.
    SocketError,
    /// A day's start, in microseconds since the epoch.
    Day,
    /// The time since a day's start.
    DayTime,
}

/// A field kept as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Text {
    /// The frontend or virtual server.
    Vip,
    /// The pool.
    Backend,
    /// The server.
    Server,
    /// The request line.
    Request,
    /// The method.
    Method,
    /// The path, with or without its query.
    Path,
    /// The host asked for.
    Host,
    /// Termination or response flags.
    Flags,
    /// The request's id.
    RequestId,
    /// The client's country.
    Country,
    /// nginx's `OK`, or Apache's connection status.
    Completion,
    /// nginx's list of servers asked.
    UpstreamAddr,
    /// nginx's list of their codes.
    UpstreamStatus,
    /// nginx's list of connect times.
    UpstreamConnect,
    /// nginx's list of header times.
    UpstreamHeader,
    /// nginx's list of response times.
    UpstreamResponse,
    /// nginx's list of bytes received.
    UpstreamBytes,
}

/// Places for numbers and for texts: each has a bit.
const PLACES: usize = NOWHERE as usize + 1;
/// The place of what nobody has use for.
pub(super) const NOWHERE: u8 = 63;
const _: () = assert!(
    (Number::DayTime as u8) < NOWHERE && (Text::UpstreamBytes as u8) < NOWHERE,
    "more fields than places"
);

/// Room for one line's fields, and the last line's date. Kept from line to line: to clear it all
/// takes longer than to read most fields.
#[derive(Clone, Debug)]
pub struct Fields {
    /// Of those that have their bit in `told`; what the others are means nothing.
    numbers: [i64; PLACES],
    /// Where they begin and end in the line, of those that have their bit in `held`.
    texts: [(u32, u32); PLACES],
    told: u64,
    held: u64,
    /// Numbers that stood behind a `+`, a bit each.
    plus: u64,
    /// The last date.
    pub(super) date: LastDate,
}

impl Default for Fields {
    fn default() -> Self {
        Self {
            numbers: [0; PLACES],
            texts: [(0, 0); PLACES],
            told: 0,
            held: 0,
            plus: 0,
            date: LastDate::default(),
        }
    }
}

impl Fields {
    /// Keeps the number of a place, or that the line does not tell it.
    #[inline(always)]
    pub(super) const fn set(&mut self, place: u8, value: Option<i64>, plus: bool) {
        let bit = 1 << (place as usize % PLACES);
        match value {
            Some(value) => self.set_plain(place, value),
            None => (self.told, self.plus) = (self.told & !bit, self.plus & !bit),
        }
        if plus {
            self.plus |= bit;
        }
    }

    /// Keeps the number of a place, which stood behind no `+`.
    #[inline(always)]
    pub(super) const fn set_plain(&mut self, place: u8, value: i64) {
        let place = place as usize % PLACES;
        self.numbers[place] = value;
        self.told |= 1 << place;
        self.plus &= !(1 << place);
    }

    /// Keeps the text of a place.
    #[inline(always)]
    pub(super) fn set_text(&mut self, place: u8, start: usize, end: usize) {
        let place = usize::from(place) % PLACES;
        // A line is much shorter.
        let at = |at| u32::try_from(at).unwrap_or(u32::MAX);
        self.texts[place] = (at(start), at(end));
        self.held |= 1 << place;
    }
}

/// The fields of one line.
#[derive(Debug)]
pub(super) struct Values<'a> {
    /// The line.
    pub(super) line: &'a [u8],
    /// What its fields are kept in.
    pub(super) fields: &'a mut Fields,
    /// The line's own time, where one field holds all of it.
    pub(super) at_us: Option<i64>,
    /// The client.
    pub(super) client: Option<IpAddr>,
    /// What will be read of them.
    pub(super) wanted: Wanted,
    /// The line ended inside a text field.
    pub(super) truncated: bool,
}

impl<'a> Values<'a> {
    /// None of this line yet.
    #[inline]
    pub(super) const fn new(line: &'a [u8], fields: &'a mut Fields, wanted: Wanted) -> Self {
        (fields.told, fields.held, fields.plus) = (0, 0, 0);
        Self { line, fields, at_us: None, client: None, wanted, truncated: false }
    }

    /// Keeps a number, or that the line does not tell it.
    #[inline]
    pub(super) const fn set(&mut self, number: Number, value: Option<i64>, plus: bool) {
        self.fields.set(number as u8, value, plus);
    }

    /// Keeps a text, which stands in the line from `start` to `end`.
    #[inline]
    pub(super) fn set_text(&mut self, text: Text, start: usize, end: usize) {
        self.fields.set_text(text as u8, start, end);
    }

    /// A number the line tells; −1 where the balancer says so.
    #[inline]
    pub(super) const fn number(&self, number: Number) -> Option<i64> {
        if self.fields.told & (1 << number as u64) == 0 {
            return None;
        }
        Some(self.fields.numbers[number as usize])
    }

    /// A number that is none where negative: the balancer's −1 is "not reached".
    pub(super) fn natural(&self, number: Number) -> Option<u64> {
        u64::try_from(self.number(number)?).ok()
    }

    /// A natural number of 32 bits; none where it does not fit.
    pub(super) fn small(&self, number: Number) -> Option<u32> {
        u32::try_from(self.number(number)?).ok()
    }

    /// A natural number of 16 bits, 0 where it is not told or does not fit.
    pub(super) fn tiny(&self, number: Number) -> u16 {
        self.number(number).and_then(|n| u16::try_from(n).ok()).unwrap_or(0)
    }

    /// Whether the number stood behind a `+`.
    pub(super) const fn plus(&self, number: Number) -> bool {
        self.fields.plus & (1 << number as u64) != 0
    }

    /// A text, empty where the line has none.
    #[inline]
    pub(super) fn text(&self, text: Text) -> &'a [u8] {
        if self.fields.held & (1 << text as u64) == 0 {
            return b"";
        }
        let (start, end) = self.fields.texts[text as usize];
        self.line.get(start as usize..end as usize).unwrap_or_default()
    }

    /// A text, empty where the line has none or a lone dash for it.
    #[inline]
    pub(super) fn told(&self, text: Text) -> &'a [u8] {
        match self.text(text) {
            b"-" => b"",
            told => told,
        }
    }

    /// The line's time: of one field, or put together from two.
    pub(super) fn time_us(&self) -> Option<i64> {
        let whole = self
            .number(Number::Epoch)
            .or_else(|| self.number(Number::Day)?.checked_add(self.number(Number::DayTime)?));
        let fraction = self.number(Number::Fraction);
        match (self.at_us, whole) {
            (None, None) => None,
            (None, Some(whole)) => whole.checked_add(fraction.unwrap_or(0)),
            // The finer of two fields for one time.
            (Some(_), Some(whole)) if whole % 1_000_000 != 0 => Some(whole),
            // A whole second beside its fraction: the two make one time.
            (Some(at), _) if at % 1_000_000 == 0 => at.checked_add(fraction.unwrap_or(0)),
            (Some(at), _) => Some(at),
        }
    }
}

/// An address as balancers write it, perhaps in brackets; none for a name or a socket's path.
pub(super) fn address(text: &[u8]) -> Option<IpAddr> {
    if let Some(v4) = ipv4(text) {
        return Some(IpAddr::V4(v4));
    }
    let bare = text.strip_prefix(b"[").and_then(|t| t.strip_suffix(b"]")).unwrap_or(text);
    if bare.len() > 45 {
        return None;
    }
    let parsed: IpAddr = std::str::from_utf8(bare).ok()?.parse().ok()?;
    Some(parsed.to_canonical())
}

fn ipv4(text: &[u8]) -> Option<Ipv4Addr> {
    if text.len() > 15 {
        return None;
    }
    let (mut octets, mut at, mut value, mut digits) = ([0_u8; 4], 0, 0_u16, 0);
    for byte in text {
        match byte {
            b'0'..=b'9' => {
                value = value * 10 + u16::from(byte - b'0');
                digits += 1;
                if digits > 3 {
                    return None;
                }
            }
            b'.' if digits > 0 && at < 3 => {
                octets[at] = u8::try_from(value).ok()?;
                (at, value, digits) = (at + 1, 0, 0);
            }
            _ => return None,
        }
    }
    if at != 3 || digits == 0 {
        return None;
    }
    octets[3] = u8::try_from(value).ok()?;
    Some(Ipv4Addr::from(octets))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_both_families_are_read_and_names_are_not() {
        for text in ["127.0.0.1", "255.255.255.255", "2001:db8::1", "::1", "0.0.0.0"] {
            assert_eq!(address(text.as_bytes()), Some(text.parse().unwrap()), "{text}");
        }
        assert_eq!(address(b"[::1]"), Some("::1".parse().unwrap()));
        assert_eq!(address(b"::ffff:10.0.0.1"), Some("10.0.0.1".parse().unwrap()));
        for text in
            ["", "-", "1.2.3", "1.2.3.4.5", "256.1.1.1", "1..2.3", "unix:", "web1", "\u{e9}"]
        {
            assert_eq!(address(text.as_bytes()), None, "{text}");
        }
    }
}
