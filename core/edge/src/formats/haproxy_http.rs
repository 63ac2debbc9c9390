//! `option httplog` and `option httpslog` of `HAProxy`; manual, sections 8.2.3 and 8.2.4.
//!
//! What the timers mean was measured against injected causes: the time a client takes to send a
//! body is booked as the server's, a retry's pause as queueing, and what follows the response
//! headers holds the server's body and the client's reading alike.

use whyslow_model::Segment;

use super::haproxy::{Haproxy, Shape, Timer, body, counters, is_client, timer_then, total};
use super::request;
use crate::blame;
use crate::brief::Brief;
use crate::cursor::{Cursor, whole};
use crate::format::{Context, Format, Reject, Scratch, Wanted};
use crate::places::Places;
use crate::record::{EdgePhase, End, Record};
use crate::stamp;

/// `option httplog`, and `option httpslog` with its two fields more.
pub(super) const FORMAT: Format = Format {
    name: "haproxy-http",
    summary: "HAProxy: option httplog and option httpslog, and examples/haproxy-log.cfg",
    looks_like: "HAProxy httplog",
    example: "10.0.1.2:33317 [06/Feb/2009:12:14:14.655] http-in static/srv1 10/0/30/69/109 200 2750 \
              - - ---- 1/1/1/1/0 0/0 {1wt.eu} {} \"GET /index.html HTTP/1.1\"",
    parser: || Box::new(Haproxy(Shape::Http)),
};

/// The seven numbers of a line: five timers, the code, the bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Numbers {
    /// Request, queue, connect, response.
    phases: [Timer; 4],
    active: Timer,
    code: u64,
    bytes: u64,
}

impl Numbers {
    /// Reads them where none has a sign; nothing is taken where one has. Requests rarely wait for
    /// anybody but a server.
    #[inline(always)]
    pub(super) fn plain(cursor: &mut Cursor<'_>) -> Option<Self> {
        let numbers = cursor.numbers(NUMBERS)?;
        let (request, queue) = (numbers.small::<0>(), numbers.small::<1>());
        let (connect, response) = (numbers.small::<2>(), numbers.value::<3>());
        let active = Timer::whole(numbers.value::<4>());
        let (code, bytes) = (numbers.value::<5>(), numbers.long::<6>());
        let phases = [request, queue, connect, response].map(Timer::whole);
        Some(Self { phases, active, code: code.into(), bytes: bytes.into() })
    }

    /// Reads on from the slash behind the third timer, signs and all.
    pub(super) fn read(
        [request, queue, connect]: [Timer; 3],
        cursor: &mut Cursor<'_>,
    ) -> Result<Self, Reject> {
        cursor.eat(b'/');
        const TIMERS: Reject = Reject::Malformed("the timers");
        let response = timer_then(cursor, b'/').ok_or(TIMERS)?;
        let active = timer_then(cursor, b' ').ok_or(TIMERS)?;
        let number = |cursor: &mut Cursor<'_>| {
            // `-1` where nothing was answered, `+` where the line came early.
            let nothing = cursor.eat(b'-');
            cursor.eat(b'+');
            let value = cursor.number_then(b' ')?;
            Some(if nothing { 0 } else { value })
        };
        Ok(Self {
            phases: [request, queue, connect, response],
            active,
            code: number(cursor).ok_or(CODE)?,
            bytes: number(cursor).ok_or(Reject::Malformed("the bytes sent"))?,
        })
    }
}

/// What stands behind each of the seven numbers.
const NUMBERS: &[u8; 7] = b"////   ";

/// What a report counts of a line as nearly all are: without a sign among its numbers, without
/// cookies, retries or queues, answered in order by a server that was met before.
#[inline(always)]
pub(super) fn brief(line: &[u8], context: &Context, scratch: &mut Scratch) -> Option<Brief> {
    let mut cursor = Cursor::new(line);
    cursor.until_within(b' ').filter(|word| is_client(word))?;
    let date = stamp::bracketed_again(&mut cursor, &mut scratch.last)?;
    let place = known_server(&mut cursor, &scratch.places)?;
    let numbers = cursor.numbers(NUMBERS)?;
    if !cursor.eat_all(b"- - ---- ") {
        return None;
    }
    if !is_unqueued(&mut cursor) {
        return None;
    }
    if !matches!(cursor.peek(), Some(b'"' | b'{')) {
        return None;
    }
    Some(Brief {
        place,
        second: date.local_s - i64::from(context.zone_s),
        micros: date.micros,
        code: u16::try_from(numbers.value::<5>()).ok().filter(|code| *code <= 999)?,
        bytes_out: numbers.long::<6>().into(),
        total_ms: numbers.value::<4>(),
        server_ms: numbers.small::<2>() + numbers.value::<3>(),
    })
}

/// Steps over the counters of a request that was sent once, and past no other.
#[inline(always)]
fn is_unqueued(cursor: &mut Cursor<'_>) -> bool {
    let near_the_end = |cursor: &mut Cursor<'_>| (0..4).all(|_| cursor.number_then(b'/').is_some());
    (cursor.step_over_numbers(b"////") || near_the_end(cursor)) && cursor.eat_all(b"0 0/0 ")
}

/// The number of frontend, backend and server that some line before had too.
#[inline(always)]
fn known_server(cursor: &mut Cursor<'_>, places: &Places) -> Option<u32> {
    let text = cursor.two_words()?;
    let (cuts, number) = places.again(text)?;
    // Those in `<` are no servers.
    (text.get(usize::from(cuts.server)) != Some(&b'<')).then_some(number)
}

/// Reads on from the captured cookies.
#[inline(always)]
pub(super) fn finish<'a>(
    record: &mut Record<'a>,
    numbers: Numbers,
    mut cursor: Cursor<'a>,
    wanted: Wanted,
) -> Result<(), Reject> {
    let Numbers { phases, active, code, bytes } = numbers;
    let [request, queue, connect, response] = phases;
    record.code = u16::try_from(code).ok().filter(|code| *code <= 999).ok_or(CODE)?;
    record.bytes_out = Some(bytes);
    let flags =
        state(&mut cursor, record, wanted).ok_or(Reject::Malformed("the termination state"))?;
    asked(&mut cursor, record, wanted.request || wanted.phases)?;

    record.total = total(active, &phases);
    let spans = &mut record.phases;
    spans.set(EdgePhase::Connect, connect.exact());
    // A body is uploaded after the headers: its time hides in the server's.
    spans.set(EdgePhase::Wait, response.mixed_if(request::uploads(record.method)));
    if wanted.phases {
        spans.set(EdgePhase::ClientIn, request.exact());
        // The pause before a retry counts as queueing, and a redispatch queues anew.
        spans.set(EdgePhase::Queue, queue.mixed_if(record.retries > 0 || record.redispatched));
        spans.set(EdgePhase::Body, body(active, &phases));
    }
    record.end = end(flags, record, &phases, active);
    Ok(())
}

const CODE: Reject = Reject::Malformed("the status code");

/// Captured cookies, termination state, counters. The cookies are one word each as a rule; one
/// that holds spaces is stepped over word by word.
#[inline(always)]
fn state<'a>(cursor: &mut Cursor<'a>, record: &mut Record<'a>, wanted: Wanted) -> Option<&'a [u8]> {
    if cursor.eat_all(b"- - ") {
        let flags = cursor.take(4).filter(|_| cursor.eat(b' '))?;
        counters(cursor, record, wanted)?;
        return Some(flags);
    }
    cursor.until(b' ')?;
    loop {
        cursor.until(b' ')?;
        let mut tried = *cursor;
        if let Some(flags) = tried.take(4)
            && tried.eat(b' ')
            && counters(&mut tried, record, wanted).is_some()
        {
            *cursor = tried;
            return Some(flags);
        }
    }
}

/// The captured headers, which are stepped over, the request and what `httpslog` puts behind it.
/// `HAProxy` writes quotes inside captures and request as `#22`, so the first quote opens the
/// request and the second closes it.
#[inline(always)]
fn asked<'a>(cursor: &mut Cursor<'a>, record: &mut Record<'a>, wanted: bool) -> Result<(), Reject> {
    if cursor.peek() == Some(b'T') {
        named(cursor, record);
    }
    // However the line goes on from a quote or a brace, it is taken.
    if !wanted && matches!(cursor.peek(), Some(b'"' | b'{')) {
        return Ok(());
    }
    if !cursor.eat(b'"') {
        if cursor.peek() != Some(b'{') {
            return Err(Reject::Incomplete("the request"));
        }
        if cursor.until_far(b'"').is_none() {
            // Cut inside the captured headers.
            record.truncated = true;
            return Ok(());
        }
    }
    if let Some(request) = cursor.rest().strip_suffix(b"\"") {
        request::line(request, record);
        return Ok(());
    }
    let request = cursor.until_far(b'"');
    record.truncated = request.is_none();
    request::line(request.unwrap_or(cursor.rest()), record);
    if !record.truncated && cursor.eat(b' ') {
        record.host = server_name(cursor, record.host);
    }
    Ok(())
}

/// The name the client asked for in its TLS greeting: `0/0000000000000000/0/0/0 shop.example/TLSv1.3/…`
/// behind the request; `known` where there is none.
fn server_name<'a>(cursor: &mut Cursor<'a>, known: &'a [u8]) -> &'a [u8] {
    let (Some(errors), Some(tls)) = (cursor.word(), cursor.word()) else { return known };
    let mut tls = Cursor::new(tls);
    let fields = errors.iter().filter(|&&byte| byte == b'/').count();
    match tls.until(b'/') {
        Some(name) if fields == 4 && name != b"-" && !name.is_empty() && known.is_empty() => name,
        _ => known,
    }
}

/// The `name=value` words that `examples/haproxy-log.cfg` puts before captures and request;
/// `-` is a value that the request never had. Names that are not known are stepped over.
#[inline(never)]
fn named(cursor: &mut Cursor<'_>, record: &mut Record<'_>) {
    let narrow = |value: &[u8]| whole(value).and_then(|n| u32::try_from(n).ok());
    while cursor.peek().is_some_and(|byte| byte.is_ascii_lowercase() || byte == b'T') {
        let mut tried = *cursor;
        let Some(word) = tried.word() else { return };
        let Some(equals) = memchr::memchr(b'=', word) else { return };
        let (name, value) = (&word[..equals], &word[equals + 1..]);
        match name {
            b"in" => record.bytes_in = whole(value),
            b"lc" => record.sequence = whole(value),
            b"rtt" => record.client_rtt_us = narrow(value),
            b"retrans" => record.client_retransmits = narrow(value),
            _ => {}
        }
        *cursor = tried;
    }
}

/// How it ended. A client that left is to blame for that only where it was not kept waiting.
#[inline(always)]
fn end<'a>(flags: &'a [u8], record: &Record<'_>, phases: &[Timer; 4], active: Timer) -> End<'a> {
    if flags == b"----" && record.server.first() != Some(&b'<') {
        return End { flags, ..End::default() };
    }
    let mut blame = blame::haproxy(flags, record.code);
    // `<STATS>`, `<PROMEX>`, `<CACHE>`: services inside the balancer.
    let inside = record.server.starts_with(b"<") && record.server != b"<NOSRV>";
    let [request, queue, connect, response] = phases.map(Timer::or_zero);
    let active = active.or_zero();
    let kept_waiting = match flags {
        // The answer came, but it was the server that most of the time went to.
        [b'C', b'D', ..] => queue.saturating_add(connect).saturating_add(response) > active / 2,
        // A connection still not there after a lost SYN would have been sent again.
        [b'C', b'C', ..] => active.saturating_sub(request).saturating_sub(queue) >= SYN_RETRY_US,
        _ => false,
    };
    if kept_waiting && blame.blames == Some(Segment::Client) {
        blame.blames = None;
    }
    End {
        flags,
        blames: blame.blames,
        client_aborted: blame.client_aborted,
        local: blame.local || inside,
    }
}

/// The kernel sends an unanswered SYN again after a second (RFC 6298, section 2.1).
const SYN_RETRY_US: u64 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Context;
    use crate::record::{Mark, Span};

    const START: &str = "10.0.1.2:33317 [06/Feb/2009:12:14:14.655] http-in static/srv1 ";

    fn read(line: &str) -> Result<Record<'_>, Reject> {
        let context = Context { near: "2009-02-06T12:15:00Z".parse().unwrap(), zone_s: 0 };
        let scratch = Box::leak(Box::default());
        Box::leak((FORMAT.parser)()).parse(line.as_bytes(), &context, scratch)
    }

    /// The record of a line with these fields behind the server's name.
    fn record(rest: &str) -> Record<'static> {
        let line: &'static str = format!("{START}{rest}").leak();
        read(line).unwrap_or_else(|e| panic!("{line}: {e}"))
    }

    fn spans(record: &Record<'_>) -> [Span; 6] {
        EdgePhase::ALL.map(|phase| record.phases.of(phase))
    }

    const ABSENT: Span = Span::ABSENT;
    const fn exact(ms: u64) -> Span {
        Span::exact(ms * 1000)
    }
    const fn mixed(ms: u64) -> Span {
        Span::mixed(ms * 1000)
    }

    #[test]
    fn the_manuals_line_is_read_whole() {
        let r = read(FORMAT.example).unwrap();
        assert_eq!(r.at_us, Some(1_233_922_454_655_000));
        assert_eq!((r.client, r.client_port), (Some("10.0.1.2".parse().unwrap()), 33317));
        assert_eq!((r.vip, r.backend, r.server), (&b"http-in"[..], &b"static"[..], &b"srv1"[..]));
        assert_eq!((r.method, r.path, r.code), (&b"GET"[..], &b"/index.html"[..], 200));
        assert_eq!((r.bytes_out, r.total), (Some(2750), exact(109)));
        assert_eq!(spans(&r), [exact(10), exact(0), exact(30), exact(69), mixed(0), ABSENT]);
        assert_eq!(
            (r.retries, r.redispatched, r.queued, r.server_conns),
            (0, false, Some((0, 0)), Some(1))
        );
        assert_eq!(
            (r.end, r.truncated, r.timed()),
            (End { flags: b"----", ..End::default() }, false, true)
        );
    }

    #[test]
    fn the_zone_of_the_balancers_clock_is_the_contexts() {
        let context = Context { near: "2009-02-06T12:15:00Z".parse().unwrap(), zone_s: 3600 };
        let parser = (FORMAT.parser)();
        let mut scratch = Scratch::default();
        let record = parser.parse(FORMAT.example.as_bytes(), &context, &mut scratch).unwrap();
        assert_eq!(record.at_us, Some(1_233_918_854_655_000));
    }

    #[test]
    fn a_tls_line_names_the_host_and_the_tilde_is_no_part_of_the_frontend() {
        let r = read("[::1]x").unwrap_err();
        assert_eq!(r, Reject::Malformed("the client"));
        let r = read(
            "2001:db8::7:40102 [21/Nov/2026:12:50:48.001] https-in~ app/web1 0/0/1/2/3 200 88 - - ---- \
             2/2/0/0/0 0/0 \"GET https://shop.example/cart?id=7 HTTP/2.0\" 0/0000000000000000/0/0/0 \
             www.shop.example/TLSv1.3/TLS_AES_256_GCM_SHA384",
        )
        .unwrap();
        assert_eq!(
            (r.vip, r.host, r.path),
            (&b"https-in"[..], &b"shop.example"[..], &b"/cart"[..])
        );
        let r = record(
            "0/0/1/2/3 200 88 - - ---- 2/2/0/0/0 0/0 \"GET /x HTTP/1.1\" 0/0/0/0/0 www.shop.example/TLSv1.3/A",
        );
        assert_eq!(r.host, b"www.shop.example");
        let r = record(
            "0/0/1/2/3 200 88 - - ---- 2/2/0/0/0 0/0 \"GET /x HTTP/1.1\" 0/0/0/0/0 -/TLSv1.3/A",
        );
        assert_eq!(r.host, b"");
    }

    #[test]
    fn captures_may_be_absent_or_hold_spaces_and_cookies_too() {
        for captures in ["", "{} ", "{a b|} {c {d} e} ", "{Mozilla/5.0 (X11; Linux)|shop.example} "]
        {
            let r = record(&format!(
                "0/0/1/2/3 200 88 - - ---- 2/2/0/0/0 0/0 {captures}\"GET /a HTTP/1.1\""
            ));
            assert_eq!((r.path, r.truncated), (&b"/a"[..], false), "{captures}");
        }
        let r = record("0/0/1/2/3 200 88 S=a b c T=d --VN 2/2/0/3/+2 4/5 \"GET /a HTTP/1.1\"");
        assert_eq!((r.end.flags, r.server_conns, r.queued), (&b"--VN"[..], Some(3), Some((4, 5))));
        assert_eq!((r.retries, r.redispatched), (2, true));
    }

    #[test]
    fn a_line_cut_by_the_syslog_length_is_read_as_far_as_it_goes() {
        let r = record("0/0/1/2/3 200 88 - - ---- 2/2/0/0/0 0/0 {} \"GET /a/long/pa");
        assert_eq!((r.path, r.truncated, r.total), (&b"/a/long/pa"[..], true, exact(3)));
        let r = record("0/0/1/2/3 200 88 - - ---- 2/2/0/0/0 0/0 {} \"GET /a?x=");
        assert_eq!((r.path, r.truncated), (&b"/a"[..], true));
        let r = record("0/0/1/2/3 200 88 - - ---- 2/2/0/0/0 0/0 {Mozilla/5.0 (X11");
        assert_eq!((r.path, r.truncated), (&b""[..], true));
        for (rest, reject) in [
            ("0/0/1/2/3 200 88 - - ---- 2/2/0/0/0 0/0", Reject::Incomplete("the request")),
            ("0/0/1/2/3 200 88 - - ---- 2/2/0/0/", Reject::Malformed("the termination state")),
            ("0/0/1/2/3 200 ", Reject::Malformed("the bytes sent")),
            ("0/0/1/2", Reject::Malformed("the timers")),
            ("0/0/1/2/3 2000 88 -", Reject::Malformed("the status code")),
        ] {
            assert_eq!(read(format!("{START}{rest}").leak()).unwrap_err(), reject, "{rest}");
        }
    }

    #[test]
    fn timers_that_were_never_reached_are_absent_and_the_request_is_not_timed() {
        let r = record("0/0/0/-1/3001 504 194 - - sH-- 1/1/0/0/0 0/0 \"GET /a HTTP/1.1\"");
        assert_eq!(spans(&r), [exact(0), exact(0), exact(0), ABSENT, ABSENT, ABSENT]);
        assert_eq!(
            (r.total, r.timed(), r.end.blames),
            (Span::bound(3_001_000), false, Some(Segment::Backend))
        );
        let r = record("-1/-1/-1/-1/3002 408 212 - - cR-- 1/1/0/0/0 0/0 \"<BADREQ>\"");
        assert_eq!(spans(&r), [ABSENT; 6]);
        assert_eq!(
            (r.method, r.path, r.end.blames),
            (&b""[..], &b"<BADREQ>"[..], Some(Segment::Client))
        );
        let r = record("0/-1/-1/-1/0 -1 0 - - CQ-- 1/1/0/0/0 0/0 \"GET /a HTTP/1.1\"");
        assert_eq!(
            (r.code, r.bytes_out, r.end.client_aborted, r.end.blames),
            (0, Some(0), true, None)
        );
    }

    #[test]
    fn logasap_gives_lower_bounds() {
        let r = record("0/0/1/2/+3 200 +88 - - ---- 2/2/0/0/0 0/0 \"GET /a HTTP/1.1\"");
        assert_eq!((r.total, r.phases.of(EdgePhase::Body)), (Span::bound(3000), Span::bound(0)));
        assert_eq!((r.bytes_out, r.timed()), (Some(88), false));
    }

    #[test]
    fn an_upload_hides_in_the_wait_and_a_retry_in_the_queue() {
        let r = record("0/0/0/801/801 200 88 - - ---- 2/2/0/0/0 0/0 \"POST /a HTTP/1.1\"");
        assert_eq!(r.phases.of(EdgePhase::Wait), mixed(801));
        let r = record("0/1002/-1/-1/1002 503 222 - - SC-- 1/1/0/0/1 0/0 \"GET /a HTTP/1.1\"");
        assert_eq!(
            (r.phases.of(EdgePhase::Queue), r.end.blames),
            (mixed(1002), Some(Segment::Backend))
        );
    }

    #[test]
    fn what_the_balancer_answers_itself_is_local() {
        for line in [
            "0/-1/-1/-1/0 403 192 - - PR-- 1/1/0/0/0 0/0 \"GET /a HTTP/1.1\"",
            "0/-1/-1/-1/0 302 98 - - LR-- 1/1/0/0/0 0/0 \"GET /a HTTP/1.1\"",
            "0/-1/5000/-1/5000 500 192 - - PT-- 1/1/0/0/0 0/0 \"GET /a HTTP/1.1\"",
        ] {
            assert!(record(line).end.local, "{line}");
        }
        let line = START.replace("srv1", "<STATS>")
            + "0/0/0/0/0 200 9 - - LR-- 1/1/0/0/0 0/0 \"GET /s HTTP/1.1\"";
        assert!(read(line.leak()).unwrap().end.local);
        let line = START.replace("srv1", "<NOSRV>")
            + "0/5/-1/-1/5 503 9 - - sQ-- 1/1/0/0/0 0/0 \"GET /s HTTP/1.1\"";
        let r = read(line.leak()).unwrap();
        assert_eq!((r.end.local, r.end.blames), (false, Some(Segment::Edge)));
    }

    #[test]
    fn a_client_that_was_kept_waiting_is_not_blamed_for_leaving() {
        let blamed = |rest: &str| {
            let r = record(rest);
            assert!(r.end.client_aborted, "{rest}");
            r.end.blames
        };
        let tail = "- - CD-- 1/1/0/0/0 0/0 \"GET /a HTTP/1.1\"";
        assert_eq!(blamed(&format!("0/0/0/1001/1001 200 0 {tail}")), None);
        assert_eq!(blamed(&format!("0/0/0/1/1001 200 9 {tail}")), Some(Segment::Client));
        let tail = "- - CC-- 1/1/0/0/0 0/0 \"GET /a HTTP/1.1\"";
        assert_eq!(blamed(&format!("0/0/-1/-1/3000 503 0 {tail}")), None);
        assert_eq!(blamed(&format!("0/0/-1/-1/20 503 0 {tail}")), Some(Segment::Client));
    }

    #[test]
    fn the_recommended_format_is_an_httplog_with_more_told() {
        let r = record(
            "0/0/0/1/2 200 126 - - ---- 8/8/7/2/0 0/0 Th=0 Ti=3 in=57 rtt=5122 rttvar=3 \
             retrans=2 lost=0 unacked=0 lc=31 rt=33056 {shop.example} \"GET /a/1 HTTP/1.1\"",
        );
        assert_eq!((r.sequence, r.bytes_in), (Some(31), Some(57)));
        assert_eq!((r.client_rtt_us, r.client_retransmits), (Some(5122), Some(2)));
        assert_eq!((r.path, r.total), (&b"/a/1"[..], Span::exact(2000)));
        let r = record(
            "-1/-1/-1/-1/4 400 0 - - CR-- 1/1/0/0/0 0/0 Th=0 Ti=0 in=0 rtt=- rttvar=- retrans=- \
             lost=- unacked=- lc=30 rt=33051 \"<BADREQ>\"",
        );
        assert_eq!((r.sequence, r.client_rtt_us, r.path), (Some(30), None, &b"<BADREQ>"[..]));
    }

    #[test]
    fn targets_that_are_no_paths() {
        for (request, host, path) in [
            ("OPTIONS * HTTP/1.1", "", "*"),
            ("CONNECT shop.example:443 HTTP/1.1", "", "shop.example:443"),
            ("GET http://shop.example HTTP/1.1", "shop.example", "/"),
            ("GET /", "", "/"),
            ("GET  HTTP/1.1", "", ""),
        ] {
            let r = record(&format!("0/0/1/2/3 200 88 - - ---- 2/2/0/0/0 0/0 \"{request}\""));
            assert_eq!((r.host, r.path), (host.as_bytes(), path.as_bytes()), "{request}");
        }
    }

    #[test]
    fn marks_are_never_better_than_what_the_balancer_knows() {
        let r = record("1/2/3/4/20 200 88 - - ---- 2/2/0/0/0 0/0 \"GET /a HTTP/1.1\"");
        assert_eq!(r.phases.of(EdgePhase::Body), mixed(10));
        assert_eq!(r.phases.of(EdgePhase::ClientOut).mark, Mark::Absent);
    }
}
