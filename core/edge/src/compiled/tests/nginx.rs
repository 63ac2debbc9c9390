//! nginx's strings over its lines.

use super::*;

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
