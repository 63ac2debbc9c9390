//! What is said of which lines.

use super::*;

const TCP: &str =
    "10.0.1.2:33313 [06/Feb/2009:12:12:51.443] fnt bck/srv1 0/0/5007 212 -- 0/0/0/0/3 0/0";
const HTTP: &str = "10.0.1.2:3 [06/Feb/2009:12:14:14.655] f b/s 0/0/1/2/3 200 88 - - ---- 2/2/0/0/0 0/0 \"GET /a HTTP/1.1\"";
const HEADER: &str = "Feb  6 12:14:14 haproxy[14389]: ";

fn context() -> Context {
    Context { near: "2009-02-06T12:15:00Z".parse().unwrap(), zone_s: 0 }
}

fn parser(name: &str) -> Box<dyn Parse> {
    (formats::find(name).unwrap().parser)()
}

#[test]
fn every_format_is_found_by_its_own_example() {
    for format in formats::ALL {
        let lines = [format.example.as_bytes()];
        let found = find(&lines, &context()).0.unwrap_or_else(|| panic!("{}", format.name));
        let family = |format: &'static Format| format.name.split('-').next();
        // nginx writes the combined format unless told otherwise.
        let same = family(found) == family(format) || format.name == "common";
        assert!(same, "{} taken for {}", format.name, found.name);
        let own = check((format.parser)().as_ref(), &lines, &context());
        assert_eq!((own.parsed, own.text()), (1, None), "{}", format.name);
    }
}

#[test]
fn of_formats_that_take_a_line_the_one_that_finds_its_client_is_taken() {
    let combined =
        "192.0.2.7 - - [06/Feb/2009:12:14:14 +0100] \"GET / HTTP/1.1\" 200 2750 \"-\" \"-\"";
    let vhost = format!("shop.example:443 {combined}");
    for (line, name) in [(combined, "nginx"), (&vhost, "apache"), ("?", "")] {
        let found = of_line(line.as_bytes(), &context()).map_or("", |format| format.name);
        assert_eq!(found, name, "{line}");
    }
    // A name in its place is a client all the same.
    let named = combined.replace("192.0.2.7", "web1.lan");
    assert!(of_line(named.as_bytes(), &context()).is_some());
}

#[test]
fn every_formats_example_is_read_behind_every_kind_of_syslog_header() {
    for format in formats::ALL {
        for header in [
            HEADER,
            "<134>Feb  6 12:14:14 lb1 haproxy[1]: ",
            "<134>1 2009-02-06T12:14:14Z lb1 a 7 - - ",
            "<6>",
        ] {
            let line = format!("{header}{}", format.example);
            let own = check((format.parser)().as_ref(), &[line.as_bytes()], &context());
            assert_eq!(own.parsed, 1, "{} behind {header}", format.name);
        }
    }
}

#[test]
fn lines_of_another_format_are_named_with_what_to_do() {
    let line = format!("{HEADER}{TCP}");
    let lines = vec![line.as_bytes(); 1000];
    let found = check(parser("haproxy-http").as_ref(), &lines, &context());
    assert_eq!((found.parsed, found.of, found.guess.unwrap().name), (0, 1000, "haproxy-tcp"));
    assert_eq!(
        found.text().unwrap(),
        "0 of the first 1000 lines parsed; line 1 looks like HAProxy tcplog without hostname; \
         use --format haproxy-tcp"
    );
}

#[test]
fn a_mixed_log_is_recommended_the_format_that_takes_all_of_it() {
    let lines = [HTTP, TCP, TCP, HTTP].map(str::as_bytes);
    let found = check(parser("haproxy-http").as_ref(), &lines, &context());
    assert_eq!(
        found.text().unwrap(),
        "2 of the first 4 lines parsed; line 2 looks like HAProxy log without syslog header; \
         use --format haproxy"
    );
    let (format, found) = find(&lines, &context());
    assert_eq!((format.unwrap().name, found.parsed, found.text()), ("haproxy", 4, None));
}

#[test]
fn lines_of_no_format_say_why() {
    let lines = [&b"what is this"[..], b"and that"];
    let (format, found) = find(&lines, &context());
    assert!(format.is_none());
    assert_eq!((found.parsed, found.of), (0, 2));
    assert_eq!(
        found.text().unwrap(),
        "0 of the first 2 lines parsed; line 1 is of no known format: 'what is this'; give the \
         balancer's own format string to --format"
    );
}

#[test]
fn a_live_log_is_checked_from_its_first_line_on_and_again_later() {
    let mut check = LiveCheck::default();
    assert_eq!(check.poll_text(&context(), true), None);
    let line = format!("{HEADER}{TCP}");
    let reject = Reject::Malformed("the timers");
    check.handle_rejected(line.as_bytes(), reject, false);
    let looks = "line 1 looks like HAProxy tcplog without hostname; use format: haproxy-tcp";
    let text = check.poll_text(&context(), true).unwrap().unwrap();
    assert_eq!(text, format!("0 of the first 1 lines parsed; {looks}"));
    assert_eq!(check.poll_text(&context(), true), None);
    (1..FIRST_LINES).for_each(|_| check.handle_rejected(line.as_bytes(), reject, false));
    let text = check.poll_text(&context(), true).unwrap().unwrap();
    assert_eq!(text, format!("0 of the first 1000 lines parsed; {looks}"));
    // From then on of each thousand: it ends where lines parse.
    (0..9).for_each(|_| check.handle_parsed());
    check.handle_rejected(b"what is this", reject, false);
    assert_eq!(check.poll_text(&context(), true), Some(None));
    check.handle_rejected(b"and that", reject, false);
    let text = check.poll_text(&context(), true).unwrap().unwrap();
    assert_eq!(
        text,
        "9 of the last 11 lines parsed; line 10 is of no known format: 'what is this' (malformed \
         the timers); give the balancer's own format string as format:"
    );
}

#[test]
fn notices_and_a_few_bad_lines_are_no_reason_to_speak() {
    let mut lines = vec![HTTP.as_bytes(); 95];
    lines.extend([&b"Proxy http-in started."[..]; 20]);
    lines.extend([&b"broken"[..]; 5]);
    let found = check(parser("haproxy").as_ref(), &lines, &context());
    assert_eq!((found.parsed, found.notices, found.text()), (95, 20, None));
    let (format, found) = find(&[], &context());
    assert!(format.is_none() && found.text().is_none() && found.of == 0);
}

const COMBINED: &str =
    "192.0.2.7 - - [06/Feb/2009:12:14:14 +0100] \"GET / HTTP/1.1\" 200 2750 \"-\" \"curl\"";

#[test]
fn a_log_that_begins_as_combined_is_read_so_far_and_says_so() {
    let line = format!("{COMBINED} rt=0.801 urt=\"0.800\"");
    let (format, found) = find(&[line.as_bytes(); 3], &context());
    assert_eq!((format.unwrap().name, found.parsed), ("combined-start", 3));
    let sentence = found.sentence.unwrap();
    assert!(sentence.ends_with("is not read: 'rt=0.801 urt=\"0.800\"'"), "{sentence}");
    let hint = found.hint.unwrap();
    assert!(hint.starts_with("to have it read, give nginx's log_format"), "{hint}");
    // Who names it knows.
    let named = check(parser("combined-start").as_ref(), &[line.as_bytes()], &context());
    assert_eq!((named.parsed, named.text()), (1, None));
    // A source that is read for months is not content with it.
    assert!(of_line(line.as_bytes(), &context()).is_none());
    let mut live = LiveCheck::default();
    live.handle_rejected(line.as_bytes(), Reject::NotARequest("no format takes it"), false);
    let text = live.poll_text(&context(), false).unwrap().unwrap();
    let looks = "line 1 begins as the combined log format and goes on with 'rt=0.801";
    assert!(text.contains(looks) && text.contains("format: combined-start"), "{text}");
}

#[test]
fn a_line_in_a_hundred_that_was_cut_takes_no_times_from_the_others() {
    let whole = format!("{COMBINED} rt=0.801 uct=\"0.000\" uht=\"0.800\" urt=\"0.800\"");
    let mut lines = vec![whole.as_bytes(); 99];
    let cut = &whole.as_bytes()[..whole.len() - 4];
    lines.push(cut);
    let (format, found) = find(&lines, &context());
    assert_eq!((format.unwrap().name, found.parsed, found.text()), ("nginx", 99, None));
    // Of two formats in one log each is said something of.
    let own = format!("{COMBINED} 801");
    let lines = [COMBINED, &own, COMBINED, &own].map(str::as_bytes);
    let (format, found) = find(&lines, &context());
    assert_eq!((format.unwrap().name, found.parsed), ("nginx", 2));
    let text = found.text().unwrap();
    assert!(
        text.contains("2 of the first 4 lines parsed; line 2 begins as the combined"),
        "{text}"
    );
}

#[test]
fn what_nginx_ships_as_main_is_whole_and_a_time_in_its_place_is_not() {
    for forwarded in ["-", "192.0.2.9, 10.0.0.1"] {
        let line = format!("{COMBINED} \"{forwarded}\"");
        let (format, found) = find(&[line.as_bytes(); 2], &context());
        assert_eq!((format.unwrap().name, found.text()), ("nginx", None));
        assert_eq!(of_line(line.as_bytes(), &context()).unwrap().name, "nginx");
    }
    let line = format!("{COMBINED} \"0.801\"");
    let (format, found) = find(&[line.as_bytes(); 2], &context());
    assert_eq!((format.unwrap().name, found.parsed), ("nginx", 2));
    assert!(found.sentence.unwrap().ends_with("is not read: '\"0.801\"'"));
    assert!(of_line(line.as_bytes(), &context()).is_none());
}

#[test]
fn a_format_that_was_asked_for_says_where_a_line_leaves_it() {
    let string = "$remote_addr [$time_local] \"$request\" $status $request_time";
    let parser = crate::compiled::compile(string).unwrap();
    let line = b"192.0.2.7 [06/Feb/2009:12:14:14 +0100] \"GET / HTTP/1.1\" x 0.801";
    let text = check(&parser, &[line], &context()).text().unwrap();
    assert!(text.contains("(malformed status)"), "{text}");
}
