//! Patterns as people write them, over lines as programs do.

use super::*;

fn context() -> Context {
    Context { near: "2026-11-21T12:00:00Z".parse().unwrap(), zone_s: 3600 }
}

fn read(expression: &str, line: &str) -> Result<Option<Told>, Odd> {
    let pattern = Pattern::new(expression).unwrap();
    pattern.read(line.as_bytes(), &context(), &mut pattern.room())
}

#[test]
fn a_line_tells_whose_connection_it_was_and_how_long_it_took() {
    let expression = r"^(?<client_ip>\S+):(?<client_port>\d+) (?<server_ip>\S+):(?<server_port>\d+) (?<duration_s>\S+) (?<ended>\S+)";
    let told = read(expression, "192.0.2.7:40000 10.0.0.1:443 0.801 1795262400.123 /x").unwrap();
    let told = told.unwrap();
    assert_eq!((told.client_ip, told.client_port), ("192.0.2.7".parse().unwrap(), Some(40_000)));
    assert_eq!((told.server_ip, told.server_port), ("10.0.0.1".parse().ok(), Some(443)));
    assert_eq!(told.duration, Some(Duration::from_millis(801)));
    let ended = told.ended.unwrap();
    assert_eq!(ended.at, Wall::from_millis(1_795_262_400_123));
    assert_eq!(ended.within, Duration::from_millis(1));
    assert_eq!(read(expression, "something else"), Ok(None));
    let v6 = read(r"(?<client_ip>\[\S+\]):(?<client_port>\d+)", "[2001:db8::7]:40000 x");
    assert_eq!(v6.unwrap().unwrap().client_ip, "2001:db8::7".parse::<IpAddr>().unwrap());
}

#[test]
fn a_dash_is_nothing_and_what_cannot_be_is_odd() {
    let expression = r"c=(?<client_ip>\S*) p=(?<client_port>\S*) t=(?<duration_ms>\S*)";
    let told = read(expression, "c=192.0.2.7 p=- t=-").unwrap().unwrap();
    assert_eq!((told.client_port, told.duration), (None, None));
    for (line, group) in [
        ("c=shop.example p=1 t=1", "client_ip"),
        ("c= p=1 t=1", "client_ip"),
        ("c=192.0.2.7 p=0 t=1", "client_port"),
        ("c=192.0.2.7 p=65536 t=1", "client_port"),
        ("c=192.0.2.7 p=1 t=-1", "duration"),
        ("c=192.0.2.7 p=1 t=86400001", "duration"),
    ] {
        assert_eq!(read(expression, line), Err(Odd { group }), "{line}");
    }
}

#[test]
fn dates_of_many_logs_are_read_with_what_they_leave_open() {
    for (text, at, within_us) in [
        ("1795262400", "2026-11-21T12:00:00Z", 1_000_000),
        ("1795262400.5", "2026-11-21T12:00:00.5Z", 100_000),
        ("1795262400500", "2026-11-21T12:00:00.5Z", 1000),
        ("1795262400500001", "2026-11-21T12:00:00.500001Z", 1),
        ("21/Nov/2026:12:00:00 +0000", "2026-11-21T12:00:00Z", 1_000_000),
        ("21/Nov/2026:13:00:00.655", "2026-11-21T12:00:00.655Z", 1000),
        ("2026-11-21T12:00:00.250+00:00", "2026-11-21T12:00:00.25Z", 1000),
        ("2026-11-21 13:00:00,250", "2026-11-21T12:00:00.25Z", 1000),
        ("Nov 21 13:00:00", "2026-11-21T12:00:00Z", 1_000_000),
    ] {
        let ended = date(text.as_bytes(), &context()).unwrap_or_else(|| panic!("{text}"));
        assert_eq!(ended.at, at.parse().unwrap(), "{text}");
        assert_eq!(ended.within, Duration::from_micros(within_us), "{text}");
    }
    for text in ["", "12", "yesterday", "21/Nov/2026:25:00:00", "1795262400x", "2026-11-21"] {
        assert_eq!(date(text.as_bytes(), &context()), None, "{text}");
    }
}

#[test]
fn an_expression_that_can_find_nothing_is_refused_with_a_hint() {
    let refused = |text: &str| Pattern::new(text).unwrap_err();
    assert_eq!(refused(r"slow \S+"), BadPattern::NoClient);
    assert_eq!(refused("(?<client>x)"), BadPattern::UnknownGroup("client".to_owned()));
    let unit = refused("(?<client_ip>x)(?<duration>y)");
    assert!(unit.hint().contains("duration_ms"), "{}", unit.hint());
    let twice = "(?<client_ip>x)(?<duration_ms>y)(?<duration_s>z)";
    assert_eq!(refused(twice), BadPattern::TwoDurations);
    assert_eq!(refused(&"a".repeat(5000)), BadPattern::TooLong(5000));
    assert_eq!(refused(r"(?<client_ip>(\w{900}){900})"), BadPattern::TooLarge);
    assert_eq!(refused("(?<client_ip>x"), BadPattern::Syntax("unclosed group".to_owned()));
}

#[test]
fn a_quoted_line_does_nothing_to_whoever_reads_it() {
    assert_eq!(quoted(b"GET /a\\b \xc3\xa9"), "GET /a\\b é");
    assert_eq!(quoted(b"\x1b[2Ja\nb\xff"), "\\u{1b}[2Ja\\u{a}b\u{fffd}");
    assert_eq!(quoted("a\u{202e}b".as_bytes()), "a\\u{202e}b");
    let long = quoted(&[b'x'; 600]);
    assert_eq!((long.chars().count(), long.ends_with('…')), (513, true));
}

proptest::proptest! {
    #[test]
    fn no_line_does_harm(bytes: Vec<u8>, text in "[0-9a-f.:/\\[\\] -]{0,60}") {
        fuzz_trigger_line(&bytes);
        fuzz_trigger_line(text.as_bytes());
    }
}
