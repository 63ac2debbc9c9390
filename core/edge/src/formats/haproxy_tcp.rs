//! `option tcplog` of `HAProxy`; manual, section 8.2.2.

use super::haproxy::{Haproxy, Shape, Timer, body, counters, timer, total};
use crate::blame;
use crate::cursor::Cursor;
use crate::format::{Format, Reject, Wanted};
use crate::record::{EdgePhase, End, Record};

/// One line a session.
pub(super) const FORMAT: Format = Format {
    name: "haproxy-tcp",
    summary: "HAProxy: option tcplog",
    looks_like: "HAProxy tcplog",
    example: "10.0.1.2:33313 [06/Feb/2009:12:12:51.443] fnt bck/srv1 0/0/5007 212 -- 0/0/0/0/3 0/0",
    parser: || Box::new(Haproxy(Shape::Tcp)),
};

/// Reads on from the space behind the third timer.
pub(super) fn finish<'a>(
    record: &mut Record<'a>,
    [queue, connect, session]: [Timer; 3],
    mut cursor: Cursor<'a>,
    wanted: Wanted,
) -> Result<(), Reject> {
    cursor.eat(b' ');
    let bytes = timer(&mut cursor).filter(|_| cursor.eat(b' '));
    record.bytes_out = bytes.ok_or(Reject::Malformed("the bytes sent"))?.micros.map(|b| b / 1000);
    let flags = cursor.take(2).filter(|_| cursor.eat(b' '));
    let flags = flags.ok_or(Reject::Malformed("the termination state"))?;
    counters(&mut cursor, record, wanted).ok_or(Reject::Malformed("the counters"))?;
    if !matches!(cursor.peek(), None | Some(b' ')) {
        return Err(Reject::Malformed("the end of the line"));
    }

    let phases = [queue, connect];
    record.total = total(session, &phases);
    // The pause before a retry counts as queueing.
    record.phases.set(EdgePhase::Queue, queue.mixed_if(record.retries > 0 || record.redispatched));
    record.phases.set(EdgePhase::Connect, connect.exact());
    // What both sides said and how long they thought about it.
    record.phases.set(EdgePhase::Body, body(session, &phases));
    let blame = blame::haproxy(flags, 0);
    record.end = End {
        flags,
        blames: blame.blames,
        client_aborted: blame.client_aborted,
        local: blame.local,
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Context;
    use crate::record::Span;

    fn read(line: &'static str) -> Result<Record<'static>, Reject> {
        let context = Context { near: "2009-02-06T12:15:00Z".parse().unwrap(), zone_s: 0 };
        Box::leak((FORMAT.parser)()).parse(line.as_bytes(), &context, Box::leak(Box::default()))
    }

    #[test]
    fn the_manuals_line_is_read_whole() {
        let r = read(FORMAT.example).unwrap();
        assert_eq!((r.vip, r.backend, r.server), (&b"fnt"[..], &b"bck"[..], &b"srv1"[..]));
        assert_eq!((r.total, r.bytes_out, r.retries), (Span::exact(5_007_000), Some(212), 3));
        assert_eq!(r.phases.of(EdgePhase::Queue), Span::mixed(0));
        assert_eq!(r.phases.of(EdgePhase::Connect), Span::exact(0));
        assert_eq!(r.phases.of(EdgePhase::Body), Span::mixed(5_007_000));
        assert_eq!((r.path, r.method, r.code), (&b""[..], &b""[..], 0));
    }

    #[test]
    fn a_session_that_never_reached_a_server_is_not_timed() {
        let r =
            read("10.0.1.2:1 [06/Feb/2009:12:12:51.443] f b/<NOSRV> -1/-1/0 0 SC 0/0/0/0/0 0/0")
                .unwrap();
        assert_eq!((r.total, r.server), (Span::bound(0), &b"<NOSRV>"[..]));
        assert_eq!(r.phases.of(EdgePhase::Queue), Span::ABSENT);
        assert_eq!(r.end.blames, Some(whyslow_model::Segment::Backend));
    }

    #[test]
    fn an_http_line_is_none_and_a_cut_one_neither() {
        assert!(read(super::super::haproxy_http::FORMAT.example).is_err());
        for line in [
            "10.0.1.2:1 [06/Feb/2009:12:12:51.443] f b/s 0/0/5007 212 -- 0/0/0/0/3",
            "10.0.1.2:1 [06/Feb/2009:12:12:51.443] f b/s 0/0/5007 212 - 0/0/0/0/3 0/0",
            "10.0.1.2:1 [06/Feb/2009:12:12:51.443] f b/s 0/0/5007 212 -- 0/0/0/0/3 0/0x",
        ] {
            assert!(read(line).is_err(), "{line}");
        }
    }
}
