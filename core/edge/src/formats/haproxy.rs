//! `HAProxy`'s own log formats, mixed as they come: one process writes HTTP, TCP and error lines
//! into one log. The shape of a line says which it is; manual, section 8.2.

use std::net::{IpAddr, Ipv4Addr};

use super::{haproxy_error, haproxy_http, haproxy_tcp};
use crate::brief::Brief;
use crate::cursor::{Cursor, ends_in_port, whole};
use crate::format::{Context, Format, Parse, Reject, Scratch, Wanted};
use crate::places::{Cuts, Places};
use crate::record::{Record, Span};
use crate::stamp;

/// Any of them.
pub const FORMAT: Format = Format {
    name: "haproxy",
    summary: "HAProxy: httplog, httpslog, tcplog and error lines, mixed",
    looks_like: "HAProxy log",
    example: haproxy_http::FORMAT.example,
    parser: || Box::new(Haproxy(Shape::Any)),
};

/// Which kinds of lines are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Any,
    Http,
    Tcp,
    Error,
}

/// The parser behind the four formats.
#[derive(Clone, Copy, Debug)]
pub(super) struct Haproxy(pub(super) Shape);

impl Parse for Haproxy {
    fn parse<'a>(
        &self,
        line: &'a [u8],
        context: &Context,
        scratch: &'a mut Scratch,
    ) -> Result<Record<'a>, Reject> {
        parse(line, context, self.0, scratch)
    }

    fn parse_into<'a>(
        &self,
        line: &'a [u8],
        context: &Context,
        scratch: &'a mut Scratch,
        record: &mut Record<'a>,
    ) -> Result<(), Reject> {
        fill(record, line, context, self.0, scratch)
    }

    fn brief(&self, line: &[u8], context: &Context, scratch: &mut Scratch) -> Option<Brief> {
        matches!(self.0, Shape::Any | Shape::Http)
            .then(|| haproxy_http::brief(line, context, scratch))?
    }
}

fn parse<'a>(
    line: &'a [u8],
    context: &Context,
    shape: Shape,
    scratch: &mut Scratch,
) -> Result<Record<'a>, Reject> {
    let mut record = Record::default();
    fill(&mut record, line, context, shape, scratch)?;
    Ok(record)
}

#[inline(always)]
fn fill<'a>(
    record: &mut Record<'a>,
    line: &'a [u8],
    context: &Context,
    shape: Shape,
    scratch: &mut Scratch,
) -> Result<(), Reject> {
    let (wanted, last, places) = (scratch.wanted, &mut scratch.last, &mut scratch.places);
    let mut cursor = Cursor::new(line);
    if wanted.client || !some_client(&mut cursor) {
        client(&mut cursor, record).ok_or_else(|| no_client(line))?;
    }
    let date = stamp::bracketed_again(&mut cursor, last).ok_or(Reject::Malformed("the date"))?;
    record.at_us = Some(date.at_us(i64::from(context.zone_s)));
    if names_again(&mut cursor, record, places).is_none() {
        let from = cursor.rest();
        let frontend = cursor.until(b' ').ok_or(Reject::Incomplete("the frontend"))?;
        if let Some(listener) = frontend.strip_suffix(b":")
            && matches!(shape, Shape::Any | Shape::Error)
        {
            haproxy_error::finish(record, listener, cursor.rest());
            return Ok(());
        }
        // The tilde marks a TLS frontend; it is no part of the name.
        record.vip = frontend.strip_suffix(b"~").unwrap_or(frontend);
        record.backend = cursor.until(b'/').ok_or(Reject::Incomplete("backend/server"))?;
        record.server = cursor.until(b' ').ok_or(Reject::Incomplete("the server"))?;
        remember_names(from, frontend, record, places);
    }

    if matches!(shape, Shape::Any | Shape::Http)
        && let Some(numbers) = haproxy_http::Numbers::plain(&mut cursor)
    {
        haproxy_http::finish(record, numbers, cursor, wanted)?;
        return Ok(());
    }
    const TIMERS: Reject = Reject::Malformed("the timers");
    let first = [
        timer_then(&mut cursor, b'/').ok_or(TIMERS)?,
        timer_then(&mut cursor, b'/').ok_or(TIMERS)?,
    ];
    let third = timer(&mut cursor).ok_or(TIMERS)?;
    // Three timers are a TCP session's, five a request's.
    match (cursor.peek(), shape) {
        (Some(b'/'), Shape::Any | Shape::Http) => {
            let numbers = haproxy_http::Numbers::read([first[0], first[1], third], &mut cursor)?;
            haproxy_http::finish(record, numbers, cursor, wanted)?;
        }
        (Some(b' '), Shape::Any | Shape::Tcp) => {
            haproxy_tcp::finish(record, [first[0], first[1], third], cursor, wanted)?;
        }
        _ => return Err(TIMERS),
    }
    Ok(())
}

/// `10.0.1.2:33317 `, `::1:53124 `, `unix:1 `; a masked address is no address, but the line is
/// sound.
#[inline(always)]
fn client(cursor: &mut Cursor<'_>, record: &mut Record<'_>) -> Option<()> {
    let mut quick = *cursor;
    if let Some((address, port)) = ipv4_client(&mut quick) {
        record.client = Some(IpAddr::V4(address));
        record.client_port = port;
        *cursor = quick;
        return Some(());
    }
    let word = cursor.until(b' ').filter(|word| word.len() <= CLIENT_BYTES_MAX)?;
    let colon = memchr::memrchr(b':', word)?;
    let (address, port) = (word.get(..colon)?, word.get(colon + 1..)?);
    record.client_port = u16::try_from(whole(port)?).unwrap_or(0);
    let address = std::str::from_utf8(address).ok();
    let address = address.and_then(|text| text.parse::<IpAddr>().ok());
    record.client = address.map(|address| address.to_canonical());
    Some(())
}

/// The same names as in some line before.
#[inline(always)]
fn names_again<'a>(
    cursor: &mut Cursor<'a>,
    record: &mut Record<'a>,
    places: &Places,
) -> Option<()> {
    let (from, mut tried) = (cursor.rest(), *cursor);
    let frontend = tried.until(b' ')?;
    let pool = tried.until(b' ')?;
    let text = from.get(..frontend.len() + 1 + pool.len())?;
    let (cuts, number) = places.again(text)?;
    record.vip = text.get(..usize::from(cuts.vip))?;
    record.backend = text.get(usize::from(cuts.backend)..usize::from(cuts.server) - 1)?;
    record.server = text.get(usize::from(cuts.server)..)?;
    record.place = number;
    *cursor = tried;
    Some(())
}

/// Keeps names for the next line that has them, where no name holds a space.
fn remember_names(from: &[u8], frontend: &[u8], record: &Record<'_>, places: &mut Places) {
    let backend = frontend.len() + 1;
    let server = backend + record.backend.len() + 1;
    let end = server + record.server.len();
    let short = |length: usize| u8::try_from(length).ok();
    if let (Some(vip), Some(backend), Some(server)) =
        (short(record.vip.len()), short(backend), short(server))
        && memchr::memchr(b' ', record.backend).is_none()
        && let Some(text) = from.get(..end)
    {
        places.remember(text, Cuts { vip, backend, server });
    }
}

/// Steps over a client that nobody asks for, where it surely is one.
#[inline(always)]
fn some_client(cursor: &mut Cursor<'_>) -> bool {
    let mut tried = *cursor;
    let sound = tried.until_within(b' ').is_some_and(is_client);
    if sound {
        *cursor = tried;
    }
    sound
}

/// Whether a word is surely a client: it ends in a colon and a port.
#[inline(always)]
pub(super) fn is_client(word: &[u8]) -> bool {
    word.len() <= CLIENT_BYTES_MAX && ends_in_port(word)
}

/// More than any address with its port, less than a path.
const CLIENT_BYTES_MAX: usize = 64;

#[inline(always)]
fn ipv4_client(cursor: &mut Cursor<'_>) -> Option<(Ipv4Addr, u16)> {
    let numbers = cursor.numbers(b"...: ")?;
    let octet = |value: u32| u8::try_from(value).ok();
    let [a, b] = [octet(numbers.value::<0>())?, octet(numbers.value::<1>())?];
    let [c, d] = [octet(numbers.value::<2>())?, octet(numbers.value::<3>())?];
    Some((Ipv4Addr::new(a, b, c, d), u16::try_from(numbers.value::<4>()).ok()?))
}

/// Why a line does not begin as a request does: `HAProxy` writes notices into the same log.
fn no_client(line: &[u8]) -> Reject {
    const NOTICES: [&[u8]; 10] = [
        b"Proxy ",
        b"Server ",
        b"Backup Server ",
        b"backend ",
        b"Health check ",
        b"Connect from ",
        b"Stopping ",
        b"Pausing ",
        b"Enabling ",
        b"Enabled ",
    ];
    if NOTICES.iter().any(|notice| line.starts_with(notice)) {
        return Reject::NotARequest("a notice of HAProxy's own");
    }
    if line.is_empty() { Reject::Incomplete("the client") } else { Reject::Malformed("the client") }
}

/// Milliseconds as they stand: `-1` of a phase that was never reached or finished, `+` before a
/// total that was logged before the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Timer {
    /// `None` where it was never reached or finished.
    pub(super) micros: Option<u64>,
    /// It will have grown after the line was written.
    pub(super) grows: bool,
}

impl Timer {
    /// Of that many milliseconds, written with at most eight digits.
    #[inline(always)]
    pub(super) const fn whole(ms: u32) -> Self {
        Self { micros: Some(ms as u64 * 1000), grows: false }
    }

    /// As a phase of which this is all.
    pub(super) fn exact(self) -> Span {
        self.micros.map_or(Span::ABSENT, Span::exact)
    }

    /// As a phase that may hold time of another owner.
    pub(super) fn mixed_if(self, mixed: bool) -> Span {
        match self.micros {
            Some(micros) if mixed => Span::mixed(micros),
            Some(micros) => Span::exact(micros),
            None => Span::ABSENT,
        }
    }

    /// Zero where it is absent.
    pub(super) fn or_zero(self) -> u64 {
        self.micros.unwrap_or(0)
    }
}

#[inline(always)]
pub(super) fn timer(cursor: &mut Cursor<'_>) -> Option<Timer> {
    if cursor.eat(b'-') {
        cursor.number()?;
        return Some(Timer { micros: None, grows: false });
    }
    let grows = cursor.eat(b'+');
    let micros = cursor.number()?.saturating_mul(1000);
    Some(Timer { micros: Some(micros), grows })
}

#[inline(always)]
pub(super) fn timer_then(cursor: &mut Cursor<'_>, end: u8) -> Option<Timer> {
    let timer = timer(cursor)?;
    cursor.eat(end).then_some(timer)
}

/// A total that a request without all its phases, or one logged early, only has a lower bound of:
/// such requests are not timed.
pub(super) fn total(total: Timer, phases: &[Timer]) -> Span {
    let Some(micros) = total.micros else { return Span::ABSENT };
    if total.grows || phases.iter().any(|phase| phase.micros.is_none()) {
        Span::bound(micros)
    } else {
        Span::exact(micros)
    }
}

/// What is left of the total behind the last phase the balancer timed: server's body and client's
/// reading of it, which it cannot tell apart.
pub(super) fn body(total: Timer, phases: &[Timer]) -> Span {
    let Some(micros) = total.micros else { return Span::ABSENT };
    let mut before = 0_u64;
    for phase in phases {
        let Some(micros) = phase.micros else { return Span::ABSENT };
        before = before.saturating_add(micros);
    }
    let left = micros.saturating_sub(before);
    if total.grows { Span::bound(left) } else { Span::mixed(left) }
}

/// `1/1/1/1/0 0/0`: concurrent connections, retries, queue positions.
#[inline(always)]
pub(super) fn counters(
    cursor: &mut Cursor<'_>,
    record: &mut Record<'_>,
    wanted: Wanted,
) -> Option<()> {
    if plain_counters(cursor, record, wanted).is_some() {
        return Some(());
    }
    for _ in 0..3 {
        cursor.number_then(b'/')?;
    }
    record.server_conns = Some(clamped(cursor.number_then(b'/')?));
    record.redispatched = cursor.eat(b'+');
    record.retries = u16::try_from(cursor.number_then(b' ')?).unwrap_or(u16::MAX);
    let ahead = cursor.number_then(b'/')?;
    record.queued = Some((clamped(ahead), clamped(cursor.number()?)));
    cursor.eat(b' ');
    Some(())
}

/// The same where none has a sign, and the line goes on.
#[inline(always)]
fn plain_counters(cursor: &mut Cursor<'_>, record: &mut Record<'_>, wanted: Wanted) -> Option<()> {
    let numbers = cursor.numbers(b"//// / ")?;
    if wanted.counters {
        record.server_conns = Some(numbers.value::<3>());
        record.queued = Some((numbers.small::<5>(), numbers.small::<6>()));
    }
    record.retries = u16::try_from(numbers.small::<4>()).unwrap_or(u16::MAX);
    Some(())
}

fn clamped(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// For the fuzzer: what a line tells in brief its record tells.
fn is_in_brief(brief: &Brief, record: Option<&Record<'_>>) {
    let Some(record) = record else { panic!("a line that is refused is read in brief") };
    let at_us = brief.second * 1_000_000 + i64::from(brief.micros);
    let us = |ms: u32| u64::from(ms) * 1000;
    assert_eq!((brief.place, Some(at_us)), (record.place, record.at_us));
    assert_eq!((brief.code, Some(brief.bytes_out)), (record.code, record.bytes_out));
    assert_eq!(Span::exact(us(brief.total_ms)), record.total);
    assert_eq!(Some(us(brief.server_ms)), record.server_micros());
    assert!(record.timed() && !record.end.client_aborted && record.retries == 0);
}

/// For the fuzzer: any bytes do no harm, of any of the kinds.
pub fn fuzz_haproxy(bytes: &[u8]) {
    let near = whyslow_model::Wall::from_nanos(1_795_265_448_000_000_000);
    let context = Context { near, zone_s: 0 };
    let read = |shape| {
        let whole = parse(bytes, &context, shape, &mut Scratch::default());
        let nothing = Wanted { client: false, request: false, phases: false, counters: false };
        let mut scratch = Scratch { wanted: nothing, ..Scratch::default() };
        // Twice, so that the names are met again.
        let [_, bare] = [(); 2].map(|()| parse(bytes, &context, shape, &mut scratch));
        assert_eq!(
            whole.as_ref().err(),
            bare.as_ref().err(),
            "what is wanted decides what is read"
        );
        if let (Ok(whole), Ok(bare)) = (&whole, &bare) {
            let told =
                |r: &Record<'_>| (r.at_us, r.total.micros, r.server_micros(), r.code, r.retries);
            assert_eq!(told(whole), told(bare));
            assert_eq!((whole.end, whole.timed()), (bare.end, bare.timed()));
        }
        if let Some(brief) = Haproxy(shape).brief(bytes, &context, &mut scratch) {
            is_in_brief(&brief, bare.as_ref().ok());
        }
        whole.is_ok()
    };
    let one = [Shape::Http, Shape::Tcp, Shape::Error].into_iter().any(read);
    assert_eq!(read(Shape::Any), one, "a kind alone and all together disagree");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_addresses_sockets_or_masked() {
        let seen = |text: &str| {
            let mut record = Record::default();
            client(&mut Cursor::new(text.as_bytes()), &mut record)?;
            Some((record.client.map(|ip| ip.to_string()), record.client_port))
        };
        let ip = |text: &str| Some(text.to_owned());
        assert_eq!(seen("10.0.1.2:33317 x"), Some((ip("10.0.1.2"), 33317)));
        assert_eq!(seen("::1:53124 x"), Some((ip("::1"), 53124)));
        assert_eq!(seen("2001:db8::5:443 x"), Some((ip("2001:db8::5"), 443)));
        assert_eq!(seen("::ffff:10.0.1.2:9 x"), Some((ip("10.0.1.2"), 9)));
        assert_eq!(seen("unix:1 x"), Some((None, 1)));
        assert_eq!(seen("10.0.1.x:5 x"), Some((None, 5)));
        assert_eq!(seen("10.0.1.256:5 x"), Some((None, 5)));
        assert_eq!(seen("10.0.1.2 x"), None);
        assert_eq!(seen("GET / HTTP/1.1"), None);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_do_harm(
            bytes: Vec<u8>,
            kind in 0..3_usize,
            at in 0..400_usize,
            patch: Vec<u8>,
        ) {
            fuzz_haproxy(&bytes);
            let formats = [haproxy_http::FORMAT, haproxy_tcp::FORMAT, haproxy_error::FORMAT];
            let mut line = formats[kind].example.as_bytes().to_vec();
            let at = at % line.len();
            let end = (at + patch.len()).min(line.len());
            line.splice(at..end, patch);
            fuzz_haproxy(&line);
        }
    }
}
