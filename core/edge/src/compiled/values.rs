//! What one line's fields held, before they are made a record.

use std::net::{IpAddr, Ipv4Addr};

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

const NUMBERS: usize = Number::DayTime as usize + 1;
const TEXTS: usize = Text::UpstreamBytes as usize + 1;
// Each number has a bit for its plus.
const _: () = assert!(NUMBERS <= 64, "more numbers than bits");
/// Stands for a number the line does not tell.
const ABSENT: i64 = i64::MIN;

/// The fields of one line.
#[derive(Clone, Debug)]
pub(super) struct Values<'a> {
    numbers: [i64; NUMBERS],
    texts: [&'a [u8]; TEXTS],
    /// The line's own time, where one field holds all of it.
    pub(super) at_us: Option<i64>,
    /// The client.
    pub(super) client: Option<IpAddr>,
    /// What will be read of them.
    pub(super) wanted: Wanted,
    /// Numbers that stood behind a `+`, a bit each.
    plus: u64,
    /// The line ended inside a text field.
    pub(super) truncated: bool,
}

impl<'a> Values<'a> {
    pub(super) const fn new(wanted: Wanted) -> Self {
        Self {
            numbers: [ABSENT; NUMBERS],
            texts: [b""; TEXTS],
            at_us: None,
            client: None,
            wanted,
            plus: 0,
            truncated: false,
        }
    }

    /// Keeps a number, or that the line does not tell it.
    pub(super) const fn set(&mut self, number: Number, value: Option<i64>, plus: bool) {
        self.numbers[number as usize] = match value {
            Some(value) => value,
            None => ABSENT,
        };
        let bit = 1 << number as u64;
        self.plus = if plus { self.plus | bit } else { self.plus & !bit };
    }

    /// Keeps a text.
    pub(super) const fn set_text(&mut self, text: Text, value: &'a [u8]) {
        self.texts[text as usize] = value;
    }

    /// A number the line tells; −1 where the balancer says so.
    pub(super) const fn number(&self, number: Number) -> Option<i64> {
        match self.numbers[number as usize] {
            ABSENT => None,
            value => Some(value),
        }
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
        self.plus & (1 << number as u64) != 0
    }

    /// A text, empty where the line has none.
    pub(super) const fn text(&self, text: Text) -> &'a [u8] {
        self.texts[text as usize]
    }

    /// A text, empty where the line has none or a lone dash for it.
    pub(super) const fn told(&self, text: Text) -> &'a [u8] {
        match self.texts[text as usize] {
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
