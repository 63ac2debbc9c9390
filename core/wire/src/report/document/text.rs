//! Documents as JSON on one line, byte for byte as `serde_json` writes them and at a third of the
//! cost: a report of every handshake of a capture is mostly that.
//!
//! What `serde` derives asks of every name whether it has to be escaped, and searches for the
//! shortest form of every number; here names are as they are, and most numbers are whole
//! nanoseconds.

use std::net::SocketAddr;

use serde::Serialize;
use whyslow_model::Wall;
use whyslow_model::digits::{Digits, fill};

use super::{EndingDocument, HandshakeDocument};
use crate::handshake::{Bounds, Phases, Shares};

impl HandshakeDocument<'_> {
    /// Writes its members and the brace behind them; the brace before them is the caller's, who
    /// may have members of his own to put first.
    pub fn write_members(&self, to: &mut Vec<u8>) {
        let to = &mut Text(to);
        to.raw("\"client\":").address(&self.client);
        to.raw(",\"server\":").address(&self.server);
        to.raw(",\"sni\":").optional(self.sni, Text::text);
        to.raw(",\"alpn\":").texts(self.alpn.iter().map(String::as_str));
        to.raw(",\"ja4\":").optional(self.ja4, Text::text);
        to.raw(",\"version\":").optional(self.version, Text::text);
        to.raw(",\"cipher\":").optional(self.cipher.map(u64::from), Text::whole);
        to.raw(",\"resumed\":").optional(self.resumed, Text::flag);
        to.raw(",\"retry\":").flag(self.retry);
        to.raw(",\"early_data\":").flag(self.early_data);
        to.raw(",\"client_auth\":").optional(self.client_auth, Text::flag);
        to.raw(",\"started\":").time(self.started);
        to.raw(",\"outcome\":").text(self.outcome);
        self.write_judgment(to);
    }

    fn write_judgment(&self, to: &mut Text<'_>) {
        to.raw(",\"phases_ms\":").phases(&self.phases_ms);
        to.raw(",\"total_ms\":").number(self.total_ms);
        to.raw(",\"shares\":").shares(&self.shares);
        to.raw(",\"blame\":").text(self.blame.word());
        to.raw(",\"bounds_ms\":").bounds(&self.bounds_ms);
        to.raw(",\"rtt_ref_ms\":").optional(self.rtt_ref_ms, Text::number);
        to.raw(",\"estimated\":").flag(self.estimated);
        to.raw(",\"vantage_point\":").plainly(&self.vantage_point);
        to.raw(",\"interface\":").whole(u64::from(self.interface));
        to.raw(",\"drops\":").whole(self.drops);
        to.raw(",\"incomplete\":").texts(self.incomplete.iter().copied());
        to.raw(",\"evidence\":").texts(self.evidence.iter().map(AsRef::as_ref));
        to.raw("}");
    }
}

impl EndingDocument {
    /// Writes its members and the brace behind them, as [`HandshakeDocument::write_members`].
    pub fn write_members(&self, to: &mut Vec<u8>) {
        let to = &mut Text(to);
        to.raw("\"client\":").address(&self.client);
        to.raw(",\"server\":").address(&self.server);
        to.raw(",\"first\":").time(self.first);
        to.raw(",\"at\":").time(self.at);
        to.raw(",\"kind\":").text(self.kind.word());
        to.raw(",\"reset\":").flag(self.reset);
        to.raw(",\"by\":").text(self.by);
        to.raw(",\"phase\":").text(self.phase);
        to.raw(",\"client_bytes\":").whole(self.client_bytes);
        to.raw(",\"server_bytes\":").whole(self.server_bytes);
        to.raw("}");
    }
}

/// Where text goes.
struct Text<'a>(&'a mut Vec<u8>);

impl Text<'_> {
    /// What is JSON already.
    fn raw(&mut self, json: &'static str) -> &mut Self {
        self.0.extend_from_slice(json.as_bytes());
        self
    }

    /// As `serde_json` does it.
    fn plainly(&mut self, value: &(impl Serialize + ?Sized)) {
        // Texts, numbers and variants cannot fail, nor does memory.
        let _ = serde_json::to_writer(&mut *self.0, value);
    }

    fn optional<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        match value {
            Some(value) => write(self, value),
            None => self.0.extend_from_slice(b"null"),
        }
    }

    fn text(&mut self, text: &str) {
        if is_plain(text.as_bytes()) {
            self.quoted(text.as_bytes());
        } else {
            self.plainly(text);
        }
    }

    fn quoted(&mut self, plain: &[u8]) {
        self.0.reserve(plain.len() + 2);
        self.0.push(b'"');
        self.0.extend_from_slice(plain);
        self.0.push(b'"');
    }

    fn texts<'t>(&mut self, texts: impl Iterator<Item = &'t str>) {
        let mut before = b'[';
        for text in texts {
            self.0.push(before);
            self.text(text);
            before = b',';
        }
        self.0.extend_from_slice(if before == b'[' { b"[]" } else { b"]" });
    }

    fn flag(&mut self, flag: bool) {
        self.0.extend_from_slice(if flag { b"true" } else { b"false" });
    }

    fn whole(&mut self, n: u64) {
        self.0.extend_from_slice(Digits::whole(n).as_bytes());
    }

    fn time(&mut self, at: Wall) {
        self.quoted(&at.rfc3339());
    }

    fn address(&mut self, of: &SocketAddr) {
        let SocketAddr::V4(of) = of else { return self.plainly(of) };
        let mut before = b'"';
        for octet in of.ip().octets() {
            self.0.push(before);
            self.whole(u64::from(octet));
            before = b'.';
        }
        self.0.push(b':');
        self.whole(u64::from(of.port()));
        self.0.push(b'"');
    }

    fn number(&mut self, value: f64) {
        let Some(millionths) = millionths(value) else { return self.plainly(&value) };
        self.whole(millionths / 1_000_000);
        let rest = millionths % 1_000_000;
        let mut room = *b".000000";
        // Captures have microseconds, mostly.
        let decimals = if rest.is_multiple_of(1_000) { 3 } else { 6 };
        fill(&mut room[1..=decimals], if decimals == 3 { rest / 1_000 } else { rest });
        let mut end = decimals + 1;
        while end > 2 && room[end - 1] == b'0' {
            end -= 1;
        }
        self.0.extend_from_slice(&room[..end]);
    }

    fn between(&mut self, (least, most): (f64, f64)) {
        self.raw("[").number(least);
        self.raw(",").number(most);
        self.raw("]");
    }

    fn phases(&mut self, of: &Phases) {
        self.raw("{\"syn_wait\":").optional(of.syn_wait, Text::number);
        self.raw(",\"syn_ack\":").optional(of.syn_ack, Text::number);
        self.raw(",\"network\":").optional(of.network, Text::number);
        self.raw(",\"hello_wait\":").optional(of.hello_wait, Text::number);
        self.raw(",\"server_think\":").optional(of.server_think, Text::number);
        self.raw(",\"server_flight\":").optional(of.server_flight, Text::number);
        self.raw(",\"ack\":").optional(of.ack, Text::number);
        self.raw(",\"client_think\":").optional(of.client_think, Text::number);
        self.raw(",\"finish\":").optional(of.finish, Text::number);
        self.raw("}");
    }

    fn shares(&mut self, of: &Shares) {
        self.raw("{\"server\":").number(of.server);
        self.raw(",\"network\":").number(of.network);
        self.raw(",\"client\":").number(of.client);
        self.raw(",\"unknown\":").number(of.unknown);
        self.raw("}");
    }

    fn bounds(&mut self, of: &Bounds) {
        self.raw("{\"server\":").optional(of.server, Text::between);
        self.raw(",\"network\":").optional(of.network, Text::between);
        self.raw(",\"client\":").optional(of.client, Text::between);
        self.raw(",\"client_think\":").optional(of.client_think, Text::between);
        self.raw(",\"ack_delay\":").optional(of.ack_delay, Text::between);
        self.raw("}");
    }
}

/// Whether nothing of it has to be escaped.
fn is_plain(text: &[u8]) -> bool {
    let (words, rest) = text.as_chunks::<8>();
    words.iter().all(|word| is_plain_word(u64::from_le_bytes(*word)))
        && rest.iter().all(|byte| *byte >= b' ' && !matches!(byte, b'"' | b'\\'))
}

/// The same of eight bytes at once: of each byte's difference from the least that may stay, the
/// highest bit says that it is negative.
const fn is_plain_word(word: u64) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const fn below(word: u64, least: u64) -> u64 {
        word.wrapping_sub(ONES * least) & !word
    }
    let quote = word ^ (ONES * b'"' as u64);
    let backslash = word ^ (ONES * b'\\' as u64);
    (below(word, b' ' as u64) | below(quote, 1) | below(backslash, 1)) & (ONES << 7) == 0
}

/// Millionths below this have fifteen digits at most. No two of those are the same float, so that
/// one is the shortest way to write its own.
const MILLIONTHS_MAX: f64 = 1e15;
/// Below this the shortest way may have an exponent.
const MILLIONTHS_MIN: f64 = 1e3;

/// A float that is a whole number of millionths, as milliseconds are that were nanoseconds.
fn millionths(value: f64) -> Option<u64> {
    let scaled = value * 1e6;
    if !(MILLIONTHS_MIN..MILLIONTHS_MAX).contains(&scaled) {
        return (value.to_bits() == 0).then_some(0);
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in the range")]
    let whole = (scaled + 0.5) as u64;
    #[expect(clippy::cast_precision_loss, reason = "below 2^53")]
    let back = whole as f64 / 1e6;
    (back.to_bits() == value.to_bits()).then_some(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is written is what `serde_json` writes.
    #[track_caller]
    fn same(value: &(impl Serialize + ?Sized), write: impl FnOnce(&mut Text<'_>)) {
        let mut to = Vec::new();
        write(&mut Text(&mut to));
        assert_eq!(String::from_utf8(to).unwrap(), serde_json::to_string(value).unwrap());
    }

    #[track_caller]
    fn same_number(value: f64) {
        same(&value, |to| to.number(value));
    }

    #[track_caller]
    fn same_text(text: &str) {
        same(text, |to| to.text(text));
    }

    #[test]
    fn texts_are_escaped_wherever_in_them_it_has_to_be() {
        for odd in ('\0'..='\u{ff}').chain(['\u{2028}', '\u{10ffff}']) {
            for before in 0..17 {
                let text = format!("{}{odd}{}", "a".repeat(before), "~ \u{7f}é".repeat(before % 3));
                same_text(&text);
            }
        }
    }

    #[test]
    fn numbers_are_written_in_their_shortest_form() {
        let edges = [0.0, 1e-3, 9.99e-4, 1e-6, 1.0, 1e9, 999_999_999.999_999, 1e15, 1e16, 1e300];
        let near = |value: f64| [-1_i64, 0, 1].map(|by| value.to_bits().wrapping_add_signed(by));
        for bits in edges.into_iter().flat_map(near) {
            same_number(f64::from_bits(bits));
            same_number(-f64::from_bits(bits));
        }
        for odd in [f64::MIN_POSITIVE, f64::MAX, f64::INFINITY, f64::NAN, 0.1 + 0.2, 1.0 / 3.0] {
            same_number(odd);
        }
        // Every thousandth of the first seconds, and nanoseconds of all lengths.
        for thousandth in 0..5_000_u32 {
            same_number(f64::from(thousandth) / 1e3);
        }
        for power in 0..60 {
            for n in [1_u64 << power, (1 << power) - 1, (1 << power) * 10 / 7] {
                same_number(n as f64 / 1e6);
            }
        }
    }

    #[test]
    fn addresses_are_written_as_they_write_themselves() {
        for text in ["0.0.0.0:0", "255.255.255.255:65535", "10.20.3.9:443", "[2001:db8::1]:40000"] {
            let address: SocketAddr = text.parse().unwrap();
            same(&address, |to| to.address(&address));
        }
    }

    proptest::proptest! {
        #[test]
        fn any_number_and_text_is_written_as_serde_json_does(
            float: f64,
            nanoseconds in 0_u64..10_000_000_000_000_000,
            whole: u64,
            text: String,
        ) {
            same_number(float);
            same_number(nanoseconds as f64 / 1e6);
            same(&whole, |to| to.whole(whole));
            same_text(&text);
        }
    }
}
