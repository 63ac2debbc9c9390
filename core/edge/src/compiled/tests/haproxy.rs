//! `HAProxy`'s strings over its lines.

use super::*;

#[test]
fn haproxy_httplog_is_read_with_captures_and_without() {
    for captures in ["", "{shop.example|a b} ", "{shop.example} {|} "] {
        let line = format!(
            "192.0.2.7:50412 [22/Nov/2026:10:11:12.345] www~ app/web1 1/2/3/40/146 200 1024 - - \
             ---- 5/4/3/2/+1 7/8 {captures}\"GET /a?b HTTP/1.1\""
        );
        record(HTTPLOG, &line, |r| {
            assert_eq!(r.at_us, at("2026-11-22T09:11:12.345Z"), "the balancer's own zone");
            assert_eq!(
                (r.client_port, r.vip, r.backend, r.server),
                (50412, &b"www"[..], &b"app"[..], &b"web1"[..])
            );
            let spans = EdgePhase::ALL.map(|p| phase(&r, p));
            assert_eq!(spans[0], Span::exact(1_000));
            assert_eq!(spans[1], Span::mixed(2_000), "a redispatch queues anew");
            assert_eq!(spans[2..4], [3, 40].map(|ms| Span::exact(ms * 1000)));
            assert_eq!(spans[4..], [Span::mixed(100_000), Span::ABSENT]);
            assert_eq!((r.total, r.retries, r.redispatched), (Span::exact(146_000), 1, true));
            assert_eq!((r.queued, r.server_conns), (Some((7, 8)), Some(2)));
            assert_eq!((r.method, r.path, r.end.flags), (&b"GET"[..], &b"/a"[..], &b"----"[..]));
        });
    }
}

#[test]
fn haproxy_lines_that_never_got_there_say_so() {
    let bad = "2001:db8::7:50412 [22/Nov/2026:10:11:12.345] www www/<NOSRV> -1/-1/-1/-1/3002 \
               408 212 - - cR-- 1/1/0/0/0 0/0 \"<BADREQ>\"";
    record(HTTPLOG, bad, |r| {
        assert_eq!(r.client, Some("2001:db8::7".parse().unwrap()));
        assert_eq!(
            (r.server, r.path, r.end.flags),
            (&b"<NOSRV>"[..], &b"<BADREQ>"[..], &b"cR--"[..])
        );
        assert!(EdgePhase::ALL.iter().all(|p| phase(&r, *p) == Span::ABSENT));
    });
    let cut = "192.0.2.7:50412 [22/Nov/2026:10:11:12.345] www app/web1 0/0/0/1/+1 200 +10 - - \
               LR-- 1/1/0/0/0 0/0 \"GET /a-long-pa";
    record(HTTPLOG, cut, |r| {
        assert!(r.truncated && r.path == b"/a-long-pa");
        assert_eq!((r.total, r.bytes_out), (Span::bound(1_000), Some(10)));
    });
}

#[test]
fn haproxys_own_extensions_are_read() {
    let format = "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %U %tsc \
                  rtt=%[fc_rtt(us)] retrans=%[fc_retrans] lc=%lc rt=%rt %{+Q}[capture.req.hdr(0)] \
                  %HM %HP%HQ";
    let line = "192.0.2.7:50412 [22/Nov/2026:10:11:12.345] www app/web1 1/2/3/40/146 200 1024 77 \
                ---- rtt=5122 retrans=- lc=17 rt=3 \"a b\" GET /a/b?c=d";
    record(format, line, |r| {
        assert_eq!((r.client_rtt_us, r.client_retransmits), (Some(5122), None));
        assert_eq!((r.sequence, r.bytes_in), (Some(17), Some(77)));
        assert_eq!((r.method, r.path), (&b"GET"[..], &b"/a/b"[..]));
    });
}

/// The stock format and its own string must say the same of a line.
#[test]
fn haproxys_stock_formats_and_their_strings_read_alike() {
    const TCPLOG: &str = "%ci:%cp [%t] %ft %b/%s %Tw/%Tc/%Tt %B %ts %ac/%fc/%bc/%sc/%rc %sq/%bq";
    let start = "192.0.2.7:50412 [22/Nov/2026:10:11:12.345] www~ ";
    let http = [
        "app/web1 0/0/0/801/801 200 1024 - - ---- 1/1/0/0/0 0/0 \"GET /a?b HTTP/1.1\"",
        "app/web1 0/1002/-1/-1/1002 503 217 - - SC-- 1/1/0/0/1 0/0 \"GET / HTTP/1.1\"",
        "app/web1 0/0/0/-1/3001 504 198 - - sH-- 1/1/0/0/0 0/0 \"POST /x HTTP/1.1\"",
        "app/web1 0/0/0/1001/1001 200 0 - - CD-- 1/1/0/0/0 0/0 \"GET / HTTP/1.1\"",
        "app/web1 0/0/1/1/900 200 70 - - CD-- 1/1/0/0/+2 0/1 {a b} \"PUT / HTTP/1.1\"",
        "www/<NOSRV> -1/-1/-1/-1/3002 408 212 - - cR-- 1/1/0/0/0 0/0 \"<BADREQ>\"",
        "www/<NOSRV> 0/-1/-1/-1/0 403 192 - - PR-- 1/1/0/0/0 0/0 \"GET /deny HTTP/1.1\"",
        "www/<STATS> 0/0/0/0/0 200 1920 - - LR-- 1/1/0/0/0 0/0 \"GET /stats HTTP/1.1\"",
        "app/web1 5/0/0/1/+6 200 +99 - - ---- 1/1/0/0/0 0/0 \"GET https://h.x/a HTTP/2.0\"",
        "app/web1 5/0/2500/-1/2600 503 0 - - CC-- 1/1/0/0/0 0/0 \"GET /cut-off",
    ];
    let tcp = [
        "app/web1 0/0/5007 212 -- 0/0/0/0/3 0/0",
        "app/<NOSRV> -1/-1/0 0 SC 0/0/0/0/0 0/0",
        "app/web1 1/-1/3005 0 sC 1/1/0/0/+1 2/3",
    ];
    let cases = http.map(|l| ("haproxy-http", HTTPLOG, l)).into_iter();
    for (name, format, rest) in cases.chain(tcp.map(|l| ("haproxy-tcp", TCPLOG, l))) {
        let line = format!("{start}{rest}");
        let stock = (crate::formats::find(name).unwrap().parser)();
        let context = Context { near: Wall::from_nanos(0), zone_s: 3600 };
        let mut scratch = Scratch::default();
        let expected = stock.parse(line.as_bytes(), &context, &mut scratch).unwrap();
        record(format, &line, |r| {
            assert_eq!(format!("{r:#?}"), format!("{expected:#?}"), "{line}")
        });
    }
}

/// The directive of the file, quotes and all.
fn haproxy_example() -> &'static str {
    let file = include_str!("../../../../../examples/haproxy-log.cfg");
    file.lines().map(str::trim).find(|l| l.starts_with("log-format ")).unwrap()
}

#[test]
fn the_recommended_haproxy_format_tells_rtt_retransmits_sequence_and_the_request() {
    let line = "192.0.2.7:50412 [22/Nov/2026:10:11:12.345] www~ app/web1 1/2/3/40/146 200 1024 - - \
                ---- 5/4/3/2/0 7/8 Th=9 Ti=15 in=77 rtt=5122 rttvar=900 retrans=3 lost=1 unacked=2 \
                lc=17 rt=40 \"GET /a/b?c HTTP/1.1\"";
    let newer = haproxy_example().replace("lc=%lc", "srtt=%[bc_rtt(us)] lc=%lc");
    let newer_line = line.replace("lc=17", "srtt=88 lc=17");
    for (format, line) in [(haproxy_example(), line), (&newer, newer_line.as_str())] {
        record(format, line, |r| {
            assert_eq!((r.client_rtt_us, r.client_retransmits), (Some(5122), Some(3)));
            assert_eq!((r.sequence, r.bytes_in, r.path), (Some(17), Some(77), &b"/a/b"[..]));
            assert_eq!((r.vip, r.total), (&b"www"[..], Span::exact(146_000)));
        });
    }
    let cut = &line[..line.len() - 12];
    record(haproxy_example(), cut, |r| assert!(r.truncated && r.sequence == Some(17)));
}
