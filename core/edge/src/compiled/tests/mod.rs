//! The engine as a whole: each language's strings over lines as real balancers write them.

mod haproxy;
mod nginx;

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
fn a_user_who_imitates_the_rest_of_the_line_is_still_only_a_user() {
    let line = "192.0.2.7 - x [22/Nov/2026:10:11:12 +0100] [22/Nov/2026:10:11:13 +0100] \
                \"GET / HTTP/1.1\" 200 612 \"-\" \"-\"";
    record(COMBINED, line, |r| assert_eq!(r.at_us, at("2026-11-22T09:11:13Z")));
    let free = "$http_x_note $status $body_bytes_sent [$msec]";
    record(free, "200 5 [1.5] 404 6 [1795338672.345]", |r| assert_eq!(r.code, 404));
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
