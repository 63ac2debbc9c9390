//! The engine as a whole: each language's strings over lines as real balancers write them.

use whyslow_model::{Segment, Wall};

use super::*;
use crate::record::{EdgePhase, Mark, Span};

const COMBINED: &str = "$remote_addr - $remote_user [$time_local] \"$request\" $status \
                        $body_bytes_sent \"$http_referer\" \"$http_user_agent\"";
const UPSTREAMS: &str = "$remote_addr [$time_local] \"$request\" $status $bytes_sent \
                         rt=$request_time ua=\"$upstream_addr\" us=\"$upstream_status\" \
                         uct=\"$upstream_connect_time\" uht=\"$upstream_header_time\" \
                         urt=\"$upstream_response_time\" ubr=\"$upstream_bytes_received\" \
                         rc=$request_completion rtt=$tcpinfo_rtt";
const HTTPLOG: &str = "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc \
                       %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %{+Q}r";

fn with<T>(format: &str, line: &str, look: impl FnOnce(Result<Record<'_>, Reject>) -> T) -> T {
    let compiled = compile(format).unwrap_or_else(|e| panic!("{format}: {e}"));
    let context = Context { near: Wall::from_nanos(0), zone_s: 3600 };
    look(compiled.parse(line.as_bytes(), &context, &mut Scratch::default()))
}

fn record(format: &str, line: &str, look: impl FnOnce(Record<'_>)) {
    with(format, line, |r| look(r.unwrap_or_else(|e| panic!("{line}: {e}"))));
}

fn phase(record: &Record<'_>, phase: EdgePhase) -> Span {
    record.phases.of(phase)
}

fn at(rfc3339: &str) -> Option<i64> {
    Some(rfc3339.parse::<jiff::Timestamp>().unwrap().as_microsecond())
}

#[test]
fn nginx_combined_is_read() {
    let line = "192.0.2.7 - ann [22/Nov/2026:10:11:12 +0100] \"GET /a/b?c HTTP/1.1\" 200 612 \
                \"-\" \"curl/8 (a \\x22b\\x22)\"";
    record(COMBINED, line, |r| {
        assert_eq!(r.at_us, at("2026-11-22T09:11:12Z"));
        assert_eq!(r.client, Some("192.0.2.7".parse().unwrap()));
        assert_eq!((r.method, r.path, r.code), (&b"GET"[..], &b"/a/b"[..], 200));
        assert_eq!((r.bytes_out, r.total), (Some(612), Span::ABSENT));
        assert!(!r.end.local, "the format does not tell of servers");
    });
}

#[test]
fn columns_between_commas_are_read_where_none_may_hold_one() {
    let format =
        "$time_iso8601,$remote_addr,$request_method,\"$request_uri\",$status,$request_time";
    let line = "2026-11-22T10:11:12+01:00,192.0.2.7,GET,\"/a,b?c\",200,0.801";
    record(format, line, |r| {
        assert_eq!((r.at_us, r.client), (at("2026-11-22T09:11:12Z"), "192.0.2.7".parse().ok()));
        assert_eq!((r.method, r.path, r.code), (&b"GET"[..], &b"/a,b"[..], 200));
        assert_eq!(r.total, Span::exact(801_000));
    });
    let doubtful = compile("$time_iso8601,$host,$http_x_note,$status");
    assert!(matches!(doubtful, Err(FormatError::Ambiguous { .. })));
}

#[test]
fn a_user_who_imitates_the_rest_of_the_line_is_still_only_a_user() {
    let line = "192.0.2.7 - x [22/Nov/2026:10:11:12 +0100] [22/Nov/2026:10:11:13 +0100] \
                \"GET / HTTP/1.1\" 200 612 \"-\" \"-\"";
    record(COMBINED, line, |r| assert_eq!(r.at_us, at("2026-11-22T09:11:13Z")));
    let free = "$http_x_note $status $body_bytes_sent [$msec]";
    record(free, "200 5 [1.5] 404 6 [1795338672.345]", |r| assert_eq!(r.code, 404));
}

fn upstreams(rest: &str) -> String {
    format!("192.0.2.7 [22/Nov/2026:10:11:12 +0100] \"GET / HTTP/1.1\" {rest}")
}

#[test]
fn nginx_splits_the_last_servers_time_and_books_the_rest_with_the_client() {
    let line = upstreams(
        "200 1500 rt=0.801 ua=\"10.0.0.1:80\" us=\"200\" uct=\"0.002\" uht=\"0.012\" \
         urt=\"0.028\" ubr=\"1600\" rc=OK rtt=120",
    );
    record(UPSTREAMS, &line, |r| {
        assert_eq!(r.server, b"10.0.0.1:80");
        assert_eq!(phase(&r, EdgePhase::Connect), Span::exact(2_000));
        assert_eq!(phase(&r, EdgePhase::Wait), Span::exact(10_000));
        assert_eq!(phase(&r, EdgePhase::Body), Span::exact(16_000));
        assert_eq!(phase(&r, EdgePhase::ClientOut), Span::mixed(773_000));
        assert_eq!(phase(&r, EdgePhase::ClientIn), Span::ABSENT);
        assert_eq!((r.total, r.client_rtt_us), (Span::exact(801_000), Some(120)));
        assert!(r.attempts.is_empty() && r.timed() && !r.end.client_aborted);
    });
}

#[test]
fn nginx_charges_earlier_servers_with_their_own_failures_only() {
    let line = upstreams(
        "200 1500 rt=0.009 ua=\"10.0.0.1:80, 10.0.0.2:80\" us=\"502, 200\" uct=\"-, 0.001\" \
         uht=\"-, 0.005\" urt=\"0.004, 0.006\" ubr=\"0, 1600\" rc=OK rtt=120",
    );
    record(UPSTREAMS, &line, |r| {
        let first =
            crate::record::Attempt { server: b"10.0.0.1:80", code: Some(502), micros: Some(4_000) };
        assert_eq!((&r.attempts[..], r.server), (&[first][..], &b"10.0.0.2:80"[..]));
        assert_eq!((r.retries, r.redispatched), (1, true));
        assert_eq!(phase(&r, EdgePhase::Wait), Span::exact(4_000));
        // Two clocks: the parts may be longer than the whole by a little.
        assert_eq!(phase(&r, EdgePhase::ClientOut), Span::mixed(0));
    });
}

#[test]
fn an_internal_redirect_is_no_retry_unless_the_first_server_failed() {
    let sendfile = upstreams(
        "200 9 rt=0.001 ua=\"10.0.0.1:80 : 10.0.0.2:80\" us=\"200 : 200\" uct=\"0.000 : 0.001\" \
         uht=\"0.000 : 0.001\" urt=\"0.000 : 0.001\" ubr=\"1 : 9\" rc=OK rtt=1",
    );
    record(UPSTREAMS, &sendfile, |r| {
        assert_eq!((r.retries, r.attempts.len(), r.server), (0, 0, &b"10.0.0.2:80"[..]));
    });
    let error_page = upstreams(
        "503 9 rt=0.001 ua=\"10.0.0.1:80, app : \" us=\"502, 502 : \" uct=\"-, - : \" \
         uht=\"-, - : \" urt=\"0.001, 0.000 : \" ubr=\"0, 0 : \" rc=OK rtt=1",
    );
    record(UPSTREAMS, &error_page, |r| assert_eq!((r.retries, r.server), (1, &b"app"[..])));
}

#[test]
fn a_large_body_as_slow_as_its_client_may_be_the_clients() {
    let large = |rt: &str, urt: &str| {
        upstreams(&format!(
            "200 20000000 rt={rt} ua=\"10.0.0.1:80\" us=\"200\" uct=\"0.000\" uht=\"0.001\" \
             urt=\"{urt}\" ubr=\"20000100\" rc=OK rtt=1"
        ))
    };
    let body = |rt, urt| {
        let mut mark = Mark::Absent;
        record(UPSTREAMS, &large(rt, urt), |r| mark = phase(&r, EdgePhase::Body).mark);
        mark
    };
    assert_eq!(body("0.801", "0.028"), Mark::Exact, "buffered: the client came after");
    assert_eq!(body("0.808", "0.808"), Mark::Mixed, "proxy_buffering off");
    assert_eq!(body("0.801", "0.798"), Mark::Mixed, "proxy_max_temp_file_size 0");
}

#[test]
fn nginx_tells_who_left_and_who_never_answered() {
    let left = upstreams(
        "499 0 rt=0.500 ua=\"10.0.0.1:80\" us=\"-\" uct=\"0.000\" uht=\"-\" urt=\"0.500\" \
         ubr=\"0\" rc= rtt=1",
    );
    record(UPSTREAMS, &left, |r| {
        assert!(r.end.client_aborted);
        assert_eq!(r.end.blames, None, "it was kept waiting");
        assert_eq!(phase(&r, EdgePhase::Wait), Span::bound(500_000));
        assert_eq!(phase(&r, EdgePhase::Body), Span::ABSENT);
    });
    let cut = upstreams(
        "200 100000 rt=0.500 ua=\"10.0.0.1:80\" us=\"200\" uct=\"0.000\" uht=\"0.001\" \
         urt=\"0.500\" ubr=\"9000000\" rc= rtt=1",
    );
    record(UPSTREAMS, &cut, |r| assert!(r.end.client_aborted && r.end.blames.is_none()));
    let silent = upstreams(
        "504 160 rt=1.001 ua=\"10.0.0.1:80\" us=\"504\" uct=\"0.000\" uht=\"-\" urt=\"1.001\" \
         ubr=\"0\" rc=OK rtt=1",
    );
    record(UPSTREAMS, &silent, |r| {
        assert_eq!((r.end.blames, r.end.client_aborted), (Some(Segment::Backend), false));
        assert_eq!(phase(&r, EdgePhase::Wait), Span::bound(1_001_000));
    });
    let own = upstreams(
        "200 160 rt=0.000 ua=\"-\" us=\"-\" uct=\"-\" uht=\"-\" urt=\"-\" ubr=\"-\" rc=OK rtt=1",
    );
    record(UPSTREAMS, &own, |r| {
        assert!(r.end.local && !r.timed());
        assert_eq!(r.server, b"<NOSRV>");
    });
}

#[test]
fn a_directive_of_nginx_is_read_as_it_stands() {
    let directive = "log_format edge escape=json '{\"t\":\"$time_iso8601\",'\n    \
                     '\"r\":\"$request\",\"s\":$status,\"urt\":\"$upstream_response_time\",' \
                     '\"ua\":\"$http_user_agent\",\"x\":$request_time}';";
    let line = r#"{"t":"2026-11-22T10:11:12+01:00","r":"GET /\"q\" HTTP/1.1","s":200,"urt":"","ua":"say \"hi\\","x":0.004}"#;
    record(directive, line, |r| {
        assert_eq!((r.code, r.path), (200, &b"/\"q\""[..]));
        assert_eq!((r.total, r.end.local), (Span::exact(4_000), true));
    });
}

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

#[test]
fn a_string_under_which_a_line_has_two_readings_is_refused() {
    for format in [
        "$http_a $http_user_agent_b $status $http_host x$uri",
        "$uri $http_host $status",
        "$status$body_bytes_sent",
        "$request$status",
        "$upstream_addr, $upstream_status",
        "$http_x_request_id $upstream_addr $status",
        "%ST%B %ci",
        "%r %[capture.req.hdr(0)] %ST %ci",
    ] {
        match compile(format) {
            Err(refused @ FormatError::Ambiguous { .. }) => {
                assert!(refused.hint().contains("quotes"), "{}", refused.hint());
            }
            other => panic!("{format}: {other:?}"),
        }
    }
}

#[test]
fn what_is_no_format_string_is_refused_with_a_hint() {
    let refused = |format: &str| {
        let refused = compile(format).unwrap_err();
        assert!(!refused.hint().is_empty());
        refused
    };
    assert_eq!(refused("  "), FormatError::Empty);
    assert_eq!(refused("hello world"), FormatError::UnknownLanguage);
    assert_eq!(refused("$scheme x"), FormatError::NothingKnown);
    assert_eq!(refused("$status ${request_time"), FormatError::Unclosed("${".to_owned()));
    assert_eq!(refused("%ST %[fc_rtt"), FormatError::Unclosed("%[".to_owned()));
    assert_eq!(refused("%{+json}o %ST"), FormatError::Encoded("JSON"));
    assert!(matches!(refused(&"$status ".repeat(300)), FormatError::TooMuch { .. }));
    assert!(matches!(refused(&" $status".repeat(9000)), FormatError::TooMuch { .. }));
}

#[test]
fn a_line_of_another_format_is_rejected_by_the_field_that_fails() {
    let rejected = |line: &str| with(COMBINED, line, |r| r.unwrap_err());
    assert_eq!(rejected(""), Reject::Incomplete("the time"));
    assert_eq!(rejected("hello"), Reject::Incomplete("the time"));
    let line = "::1 - - [22/Nov/2026:10:11:12 +0100] \"GET / HTTP/1.1\" 2x0 612 \"-\" \"-\"";
    assert_eq!(rejected(line), Reject::Malformed("status"));
    let line = "::1 - - [22/Nov/2026:10:11:12 +0100] \"GET / HTTP/1.1\" 200 612 \"-\" \"-\" x";
    assert_eq!(rejected(line), Reject::Malformed("end of line"));
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

#[test]
fn apaches_strings_are_read_and_first_bytes_are_mixed() {
    let directive = "LogFormat \"%v:%p %h %l %u %t \\\"%r\\\" %>s %O \\\"%{Referer}i\\\" \
                     \\\"%{User-Agent}i\\\" %I %D %^FB %X %{BALANCER_WORKER_NAME}e\" edge";
    let line = r#"shop.example:443 192.0.2.7 - ann [22/Nov/2026:10:11:12 +0100] "GET /\"q\" HTTP/1.1" 200 1024 "-" "say \"hi\" \\" 77 801000 1000 X http://10.0.0.1:8080"#;
    record(directive, line, |r| {
        assert_eq!(compile(directive).unwrap().language(), Language::Apache);
        assert_eq!((r.vip, r.server), (&b"shop.example"[..], &b"http://10.0.0.1:8080"[..]));
        assert_eq!((r.code, r.bytes_out, r.bytes_in), (200, Some(1024), Some(77)));
        assert_eq!((r.path, r.total), (&b"/\"q\""[..], Span::exact(801_000)));
        assert_eq!(phase(&r, EdgePhase::Wait), Span::mixed(1_000));
        assert_eq!(phase(&r, EdgePhase::Body), Span::mixed(800_000));
        assert!(r.end.client_aborted);
    });
    let own = "%{%Y-%m-%dT%H:%M:%S}t.%{msec_frac}t %a %m %U%q %H %s %b %{ms}T";
    let line = "2026-11-22T10:11:12.345 ::1 GET /a b/c?d HTTP/1.1 304 - 7";
    record(own, line, |r| {
        assert_eq!(r.at_us, at("2026-11-22T09:11:12.345Z"), "the server's own zone");
        assert_eq!((r.method, r.path, r.bytes_out), (&b"GET"[..], &b"/a b/c"[..], None));
        assert_eq!(r.total, Span::exact(7_000));
    });
}

#[test]
fn envoys_points_in_time_tell_each_phase_exactly() {
    let format = "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" \
                  %RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% \
                  in=%COMMON_DURATION(DS_RX_BEG:DS_RX_END:us)% \
                  queue=%COMMON_DURATION(DS_RX_END:US_TX_BEG:us)% \
                  connect=%COMMON_DURATION(US_CX_BEG:US_HS_END:us)% \
                  wait=%COMMON_DURATION(US_TX_END:US_RX_BEG:us)% \
                  body=%COMMON_DURATION(US_RX_BEG:US_RX_END:us)% \
                  out=%COMMON_DURATION(US_RX_END:DS_TX_END:ns)% \
                  all=%COMMON_DURATION(DS_RX_BEG:DS_TX_END:us)% %UPSTREAM_CLUSTER% %UPSTREAM_HOST% \
                  %DOWNSTREAM_REMOTE_ADDRESS% %UPSTREAM_REQUEST_ATTEMPT_COUNT%\\n";
    let line = "[2026-11-22T09:11:12.345Z] \"GET /a?b HTTP/2\" 200 - 0 20000000 in=10 queue=20 \
                connect=- wait=1500 body=7000 out=800000000 all=808530 app 10.0.0.1:80 \
                [2001:db8::7]:50412 2";
    record(format, line, |r| {
        let spans = EdgePhase::ALL.map(|p| phase(&r, p));
        let exact = Span::exact;
        let absent = Span::ABSENT;
        assert_eq!(spans, [exact(10), exact(20), absent, exact(1500), exact(7000), exact(800_000)]);
        assert_eq!((r.total, r.code, r.retries), (exact(808_530), 200, 1));
        assert_eq!((r.backend, r.server), (&b"app"[..], &b"10.0.0.1:80"[..]));
        assert_eq!(r.client, Some("2001:db8::7".parse().unwrap()));
        assert_eq!((r.client_port, r.path), (50412, &b"/a"[..]));
    });
}

/// The stock format and its own string must say the same of a line.
#[test]
fn envoys_default_and_its_string_read_alike() {
    const DEFAULT: &str = "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" \
         %RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% \
         %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% \"%REQ(X-FORWARDED-FOR)%\" \"%REQ(USER-AGENT)%\" \
         \"%REQ(X-REQUEST-ID)%\" \"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\"";
    let stock = crate::formats::find("envoy").unwrap();
    let lines = [
        stock.example.to_owned(),
        "[2026-02-06T12:14:14.655Z] \"- - HTTP/1.1\" 400 DPE 0 11 0 - \"-\" \"-\" \"-\" \"-\" \"-\""
            .to_owned(),
        stock.example.replace("200 -", "503 UF,URX").replace("\"10.0.0.7:80\"", "\"-\""),
        stock.example.replace("200 - 0 2750 71 69", "0 DC 0 0 5000 -"),
        stock.example.replace("\"10.0.0.7:80\"", "\"-\""),
    ];
    for line in lines {
        let context = Context { near: Wall::from_nanos(0), zone_s: 3600 };
        let mut scratch = Scratch::default();
        let expected =
            (stock.parser)().parse(line.as_bytes(), &context, &mut scratch).map(|mut r| {
                // The stock format takes the client from a forwarded-for header.
                (r.client, r.client_port) = (None, 0);
                format!("{r:#?}")
            });
        record(DEFAULT, &line, |r| assert_eq!(Ok(format!("{r:#?}")), expected, "{line}"));
    }
}

#[test]
fn a_w3c_header_is_a_format_too() {
    let header = "#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username \
                  c-ip cs(User-Agent) cs(Referer) sc-status sc-substatus sc-win32-status sc-bytes \
                  time-taken";
    let line = "2026-11-22 09:11:12 10.0.0.1 GET /a/b c=d 443 - 192.0.2.7 curl/8+(\"x\") - 200 0 64 \
                2750 801\r";
    record(header, line, |r| {
        assert_eq!(r.at_us, at("2026-11-22T09:11:12Z"));
        assert_eq!((r.client, r.path), (Some("192.0.2.7".parse().unwrap()), &b"/a/b"[..]));
        assert_eq!((r.total, r.bytes_out), (Span::exact(801_000), Some(2750)));
        assert!(r.end.client_aborted, "the connection was gone");
    });
    let software = "#Software: Microsoft Internet Information Services 10.0";
    with(header, software, |r| assert!(matches!(r, Err(Reject::NotARequest(_)))));
}

#[test]
fn each_language_is_told_by_its_signs() {
    let told = |format: &str| compile(format).map(|c| c.language());
    for (format, language) in [
        (HTTPLOG, Language::Haproxy),
        ("%ci:%cp [%t] %ft %b/%s %Tw/%Tc/%Tt %B %ts", Language::Haproxy),
        ("%{+Q}r %ST", Language::Haproxy),
        ("%[src] %t", Language::Haproxy),
        (COMBINED, Language::Nginx),
        ("\"$request\" $status", Language::Nginx),
        ("%h %l %u %t \"%r\" %>s %b", Language::Apache),
        ("%h %l %u %t \\\"%r\\\" %>s %b %Ts", Language::Apache),
        ("%{X-Forwarded-For}i %t %s %D", Language::Apache),
        ("%START_TIME% %RESPONSE_CODE%", Language::Envoy),
        ("#Fields: date time sc-status", Language::W3c),
    ] {
        assert_eq!(told(format), Ok(language), "{format}");
    }
    assert_eq!(told("%t %s"), Err(FormatError::UnknownLanguage), "HAProxy's or Apache's");
}

/// Pieces of all languages, sound and not.
const PIECES: &[&str] = &[
    "$status",
    "$request",
    "${uri}",
    "$upstream_addr",
    "$msec",
    "$time_local",
    "$http_x",
    "$",
    "${",
    "%ci",
    "%tr",
    "%ST",
    "%{+Q}r",
    "%hr",
    "%[fc_rtt(us)]",
    "%[",
    "%{",
    "%>s",
    "%t",
    "%{Host}i",
    "%START_TIME%",
    "%REQ(:PATH)%",
    "%COMMON_DURATION(US_TX_END:US_RX_BEG:ns)%",
    "%DURATION%",
    "%",
    "#Fields: date time",
    "log_format x '",
    "LogFormat \"",
    "log-format ",
    "\\",
    "\"",
    "'",
    " ",
    "[",
    "]",
    " - ",
    "\u{e9}",
    "\u{1f980}",
    ";",
    "escape=json ",
    "escape=none ",
    "sc-status",
    "c-ip",
];

proptest::proptest! {
    #[test]
    fn no_string_and_no_line_do_harm(
        pieces in proptest::collection::vec(0..PIECES.len(), 0..12),
        lines in proptest::collection::vec("[ -~\u{0}\u{e9}]{0,40}|(a, | : |\" |- |[0-9.]{1,4}){0,12}", 0..4),
    ) {
        let format: String = pieces.iter().map(|p| PIECES[*p]).collect();
        fuzz_compiled(format!("{format}\n{}", lines.join("\n")).as_bytes());
    }
}
