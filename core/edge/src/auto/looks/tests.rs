//! Lines as they come from elsewhere, and what is said of each.

use super::super::mend::Setting;
use super::*;

const HTTP: &str = "10.0.1.2:3 [06/Feb/2009:12:14:14.655] f b/s 0/0/1/2/3 200 88 - - ---- 2/2/0/0/0 0/0 \"GET /a HTTP/1.1\"";
const TCP: &str =
    "10.0.1.2:33313 [06/Feb/2009:12:12:51.443] fnt bck/srv1 0/0/5007 212 -- 0/0/0/0/3 0/0";
const COMMON: &str = "192.0.2.7 - - [06/Feb/2009:12:14:14 +0100] \"GET / HTTP/1.1\" 200 2750";

fn context() -> Context {
    Context { near: "2009-02-06T12:15:00Z".parse().unwrap(), zone_s: 0 }
}

fn is(line: impl AsRef<[u8]>, what: &str, hint: &str) {
    let looks = of(line.as_ref(), &context());
    assert_eq!(looks.what, what);
    let said = looks.mend.hint(Setting::Option);
    assert!(said.contains(hint), "{what}: {said}");
    let key = looks.mend.hint(Setting::Key);
    assert!(!key.contains("--format") && !key.contains("FILE"), "{what}: {key}");
}

#[test]
fn a_format_of_ones_own_that_begins_as_a_known_one_is_told_apart() {
    is(
        format!("{COMMON} \"-\" \"curl\" rt=0.801 us=10.0.0.1:80"),
        "begins as the combined log format and goes on with 'rt=0.801 us=10.0.0.1:80'",
        "; --format combined-start reads hits",
    );
    is(
        format!("{COMMON} 0.801"),
        "begins as the common log format and goes on with '0.801'",
        "give nginx's log_format (nginx -T shows it) or Apache's LogFormat to --format, such as",
    );
    is(
        COMMON.replace(" 200", " 801 200"),
        "begins as the common log format and goes on with '2750'",
        "LogFormat",
    );
    is(
        COMMON.replace(" 200", " 0.8 200"),
        "has client, time and request as the combined log format, then '0.8 200 2750'",
        "LogFormat",
    );
    is(
        format!("web1 id=7 {HTTP}"),
        "looks like HAProxy httplog behind 'web1 id=7'",
        "cut -d' ' -f3- FILE | whyslow edge -",
    );
    is(
        HTTP.replace("----", "?"),
        "begins as HAProxy's httplog and goes on otherwise: '200 88 - - ? 2/2/0/0/0 0/0 \"GET /a \
         HTTP/1.1\"'",
        "give the log-format of haproxy.cfg to --format, such as --format '%ci:%cp",
    );
    is(
        format!("lb1 {}", TCP.replace("5007", "-")),
        "looks like HAProxy's tcplog with 'lb1' before it",
        "%Tw/%Tc/%Tt",
    );
}

#[test]
fn a_known_format_behind_a_header_of_another_kind_is_found() {
    is(
        format!("2009/02/06 12:14:14 lb1: {TCP}"),
        "looks like HAProxy tcplog behind '2009/02/06 12:14:14 lb1:'",
        "cut -d' ' -f4- FILE | whyslow edge -",
    );
    let packed = HTTP.replace('"', "\\\"");
    is(
        format!("{{\"log\":\"{packed}\\n\",\"stream\":\"stdout\"}}"),
        "is JSON, and its 'log' looks like HAProxy httplog",
        "take it out: jq -rj .log FILE | whyslow edge -",
    );
    is(
        format!("{{\"@timestamp\":\"x\",\"@message\":\"{packed}\"}}"),
        "is JSON, and its '@message' looks like HAProxy httplog",
        "jq -r '.\"@message\"' FILE",
    );
}

#[test]
fn lines_of_nobodys_format_show_their_names() {
    is(
        r#"{"when":"2009","url":"/","st":200,"up":{"a":1}}"#,
        "is JSON with the keys when, url, st, up",
        "--format '{\"time\":\"$time_iso8601\"",
    );
    is("{\"a\":1,\"b\":\"cu", "is JSON that was cut, with the keys a", "");
    is("{}", "is JSON with the keys none", "");
    is(
        "ts=2009-02-06T12:14:14Z client=10.0.0.1 uri=\"/a b\" st=200",
        "is names with values: ts, client, uri, st",
        "--format 'time=$time_iso8601",
    );
    is(
        "2009-02-06 11:14:14 10.0.0.1 GET / - 443 - 192.0.2.7 200 109 x",
        "looks like 12 columns of a W3C extended log, such as IIS writes",
        "--format '#Fields: date time",
    );
    is(
        "2009-02-06T12:14:14Z,10.0.0.1,GET,\"/a\",200,0.801",
        "is 6 columns with commas between them, the first '2009-02-06T12:14:14Z'",
        "--format '$time_iso8601,",
    );
    is("a\tb\tc\td", "is 4 columns with tabs between them, the first 'a'", "log_format");
    is(
        "what is this, and that, and so on, he said",
        "is of no known format: 'what is this, and that, and so on, he said'",
        "",
    );
}

#[test]
fn what_is_no_log_of_requests_is_named() {
    is(
        "2026/11/21 10:00:00 [error] 7#7: *1 connect() failed",
        "looks like nginx's error log, which tells of no requests",
        "name its access log",
    );
    is(
        "[Sat Nov 21 10:00:00.123456 2026] [core:error] x",
        "looks like Apache's error log, which tells of no requests",
        "access log",
    );
    is(b"\x1f\x8b\x08\x00", "is gzip data, packed twice", "zcat FILE | whyslow edge -");
    is(b"\xfd7zXZ\0\0", "is xz data", "xzcat FILE");
    is(b"\xff\xfe1\x009\x00", "is text in UTF-16", "iconv -f UTF-16 -t UTF-8 FILE");
    is(b"1\x009\x002\x00", "has a NUL at every other byte, as UTF-16 has", "iconv -f UTF-16LE");
    is(b"\x7fELF\x02\x01\x01\x03\x04", "is binary data, no text", "");
}

#[test]
fn what_is_shown_is_short_and_does_nothing_to_a_terminal() {
    assert_eq!(shown(b"\x1b[2J\xff"), "'\\x1b[2J\u{fffd}'");
    assert_eq!(shown(&[b'x'; 99]), format!("'{}…'", "x".repeat(60)));
    assert_eq!(shown("é".repeat(60).as_bytes()), format!("'{}'", "é".repeat(60)));
}

proptest::proptest! {
    #[test]
    fn any_line_is_said_something_of(bytes: Vec<u8>, cut in 0..200_usize, known in 0..4_usize) {
        let known = [HTTP, TCP, COMMON, r#"{"a":"b","c":"d"}"#][known].as_bytes();
        let cut = cut.min(known.len());
        for line in [&bytes[..], &[&known[..cut], &bytes].concat(), &[&bytes, known].concat()] {
            let looks = of(line, &context());
            proptest::prop_assert!(!looks.what.is_empty() && looks.what.len() < 4096);
            proptest::prop_assert!(!looks.mend.hint(Setting::Option).is_empty());
        }
    }
}
