//! Cuts the syslog header off a line: RFC 5424, RFC 3164 with and without a host name, the ISO
//! dates rsyslog writes into files, and the shorter headers `HAProxy` can send (its `format`
//! keyword: `local`, `rfc3164`, `rfc5424`, `iso`, `timed`, `priority`, `short`, `raw`).

use crate::brief::Brief;
use crate::cursor::{Cursor, whole};
use crate::format::{Context, Parse, Reject, Scratch};
use crate::record::Record;
use crate::stamp;

/// What a syslog header tells. Everything borrowed is as it stands in the line, and hostile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header<'a> {
    /// 0 to 23; `None` where the line has no priority, as in files.
    pub facility: Option<u8>,
    /// 0 (emergency) to 7 (debug).
    pub severity: Option<u8>,
    /// The sender's own name; empty where it gives none, as `HAProxy` by default.
    pub hostname: &'a [u8],
    /// The program; empty where the header has none.
    pub tag: &'a [u8],
    /// The process id, where it is a number.
    pub pid: Option<u32>,
    /// The date as it stands; empty where there is none.
    stamp: &'a [u8],
}

impl Header<'_> {
    /// When the message was sent by the sender's clock, in microseconds since the epoch. Worked
    /// out only when asked for: most balancers put a better date into their text.
    pub fn at_us(&self, context: &Context) -> Option<i64> {
        let mut cursor = Cursor::new(self.stamp);
        match self.stamp.first()? {
            b'0'..=b'9' => stamp::rfc3339(&mut cursor, context),
            _ => stamp::yearless(&mut cursor, context),
        }
    }
}

/// Cuts the header off; the whole line where it has none. Anything that is not surely a header
/// stays, so that the format can say what it misses.
#[inline]
pub fn cut(line: &[u8]) -> (Option<Header<'_>>, &[u8]) {
    let found = match line.first() {
        Some(b'<') => with_priority(line),
        // The month of RFC 3164 in a file.
        Some(b'A'..=b'S') => in_a_file(line),
        // An ISO date in a file, the `T` being what no address has there.
        Some(b'0'..=b'9') if line.get(10) == Some(&b'T') => in_a_file(line),
        _ => None,
    };
    match found {
        Some((header, text)) => (Some(header), text),
        None => (None, line),
    }
}

/// Cuts the header off and reads the rest; a record without a time takes the header's. A line
/// that merely looks as if it had a header is read whole.
///
/// # Errors
/// [`Reject`] of the text without its header.
pub fn read<'a>(
    parser: &dyn Parse,
    line: &'a [u8],
    context: &Context,
    scratch: &'a mut Scratch,
) -> Result<Record<'a>, Reject> {
    // The record is given where it was made: it is large.
    let mut read = Ok(Record::default());
    if let Ok(record) = &mut read
        && let Err(reject) = read_into(parser, line, context, scratch, record)
    {
        read = Err(reject);
    }
    read
}

/// The same into a record that holds nothing yet; see [`Parse::parse_into`].
///
/// # Errors
/// [`Reject`] of the text without its header.
#[inline]
pub fn read_into<'a>(
    parser: &dyn Parse,
    line: &'a [u8],
    context: &Context,
    scratch: &'a mut Scratch,
    record: &mut Record<'a>,
) -> Result<(), Reject> {
    let text = match scratch.header.cut_again(line) {
        Some(text) => text,
        None => text_of(parser, line, context, scratch),
    };
    parser.parse_into(text, context, scratch, record)?;
    if record.at_us.is_none() && text.len() < line.len() {
        record.at_us = cut(line).0.and_then(|header| header.at_us(context));
    }
    Ok(())
}

/// The same in brief; see [`Parse::brief`].
#[inline]
pub fn brief(
    parser: &dyn Parse,
    line: &[u8],
    context: &Context,
    scratch: &mut Scratch,
) -> Option<Brief> {
    let text = match scratch.header.cut_again(line) {
        Some(text) => text,
        None if cut(line).0.is_none() => line,
        None => return None,
    };
    parser.brief(text, context, scratch)
}

/// What is left of a line without its header, if it is one; the header is remembered.
fn text_of<'a>(
    parser: &dyn Parse,
    line: &'a [u8],
    context: &Context,
    scratch: &mut Scratch,
) -> &'a [u8] {
    let (header, text) = cut(line);
    let Some(header) = header else { return line };
    // Only a priority is unmistakable; a date may be the format's own first field.
    if header.facility.is_none()
        && header.tag.is_empty()
        && parser.parse(text, context, scratch).is_err()
    {
        return line;
    }
    scratch.header.remember(line, &header, text);
    text
}

/// The last header, since the next line mostly has the same.
#[derive(Debug, Default)]
pub struct LastHeader(Vec<u8>);

impl LastHeader {
    /// The text behind the header, where it is the same as before.
    #[inline(always)]
    fn cut_again<'a>(&self, line: &'a [u8]) -> Option<&'a [u8]> {
        // Not compared: reading nothing from an empty vector's address, where no memory is, takes
        // the processor a hundred nanoseconds.
        if self.0.is_empty() {
            return None;
        }
        let (start, text) = line.split_at_checked(self.0.len())?;
        // A header is short and the next line has it mostly: to call for a comparison takes longer.
        let same = match (self.0.last_chunk::<16>(), start.last_chunk()) {
            (Some(last), Some(own_last)) => {
                let (sixteens, own) = (self.0.as_chunks::<16>().0, start.as_chunks().0);
                last == own_last && sixteens.iter().zip(own).all(|(a, b)| a == b)
            }
            _ => start == self.0,
        };
        same.then_some(text)
    }

    /// Keeps a header that ends in its tag: where that stands is settled by what is before it,
    /// so that a line that begins alike has the same header. RFC 5424 has its text's byte order
    /// mark behind the header.
    fn remember(&mut self, line: &[u8], header: &Header<'_>, text: &[u8]) {
        self.0.clear();
        let Some(start) = line.len().checked_sub(text.len()).and_then(|end| line.get(..end)) else {
            return;
        };
        let is_rfc5424 = memchr::memchr(b'>', start)
            .is_some_and(|end| start.get(end + 1..).is_some_and(|rest| rest.starts_with(b"1 ")));
        if !header.tag.is_empty() && start.ends_with(b": ") && !is_rfc5424 {
            self.0.extend_from_slice(start);
        }
    }
}

fn with_priority(line: &[u8]) -> Option<(Header<'_>, &[u8])> {
    let mut cursor = Cursor::new(line);
    cursor.eat(b'<');
    let priority = u8::try_from(cursor.number()?).ok().filter(|&p| p < 192)?;
    if !cursor.eat(b'>') {
        return None;
    }
    let facility_severity = |header: &mut Header<'_>| {
        header.facility = Some(priority >> 3);
        header.severity = Some(priority & 7);
    };
    let rest = cursor.rest();
    let (mut header, text) = match rest {
        [b'1', b' ', new @ ..] => rfc5424(new)?,
        _ => match dated(rest) {
            Some((stamp, after)) => named(stamp, after),
            // `short` and `priority` have nothing but the priority; some send a tag without date.
            None => tagged(rest).unwrap_or((Header::default(), rest)),
        },
    };
    facility_severity(&mut header);
    Some((header, text))
}

fn in_a_file(line: &[u8]) -> Option<(Header<'_>, &[u8])> {
    let (stamp, after) = dated(line)?;
    Some(named(stamp, after))
}

/// The date at a line's front and what follows the space behind it.
fn dated(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = match line.first()? {
        b'0'..=b'9' => {
            // Only with a `T`: `2009-02-06 12:14:14` is how other formats begin.
            if line.get(4) != Some(&b'-') || line.get(10) != Some(&b'T') {
                return None;
            }
            line.iter().take(36).position(|&byte| byte == b' ')?
        }
        _ => {
            // `Feb  6 12:14:14`, perhaps with a fraction.
            if line.get(3) != Some(&b' ')
                || line.get(9) != Some(&b':')
                || line.get(12) != Some(&b':')
            {
                return None;
            }
            let month = [*line.first()?, *line.get(1)?, *line.get(2)?];
            stamp::month(month)?;
            15 + line.get(15..)?.iter().take(8).position(|&byte| byte == b' ')?
        }
    };
    Some((line.get(..end)?, line.get(end + 1..)?))
}

/// Host name and tag behind a date. The tag is the first of at most three words that ends in a
/// colon (F5 puts the level between host and tag); without one there is no header but the date.
fn named<'a>(stamp: &'a [u8], after: &'a [u8]) -> (Header<'a>, &'a [u8]) {
    if let Some((header, text)) = tagged(after) {
        return (Header { stamp, ..header }, text);
    }
    let bare = (Header { stamp, ..Header::default() }, after);
    let mut cursor = Cursor::new(after);
    let Some(hostname) = cursor.until(b' ') else { return bare };
    if let Some(log) = container(hostname, cursor.rest()) {
        return (bare.0, log);
    }
    for _ in 0..2 {
        if let Some((header, text)) = tagged(cursor.rest()) {
            return (Header { stamp, hostname, ..header }, text);
        }
        if cursor.until(b' ').is_none() {
            break;
        }
    }
    bare
}

/// The text behind `stdout F `: what Kubernetes writes between its date and a container's line.
fn container<'a>(stream: &[u8], after: &'a [u8]) -> Option<&'a [u8]> {
    matches!(stream, b"stdout" | b"stderr").then(|| after.strip_prefix(b"F "))?
}

/// `haproxy[14389]: ` at the front.
fn tagged(text: &[u8]) -> Option<(Header<'_>, &[u8])> {
    let end = text.iter().take(TAG_BYTES_MAX).position(|&byte| byte == b' ')?;
    // An IPv6 address that ends in `::` is a host name.
    let word = text.get(..end)?.strip_suffix(b":").filter(|word| !word.ends_with(b":"))?;
    if !word.first()?.is_ascii_alphabetic() {
        return None;
    }
    let mut cursor = Cursor::new(word);
    let (tag, pid) = match cursor.until(b'[') {
        Some(tag) => (tag, cursor.until(b']')),
        None => (word, None),
    };
    let pid = pid.and_then(whole).and_then(|pid| u32::try_from(pid).ok());
    Some((Header { tag, pid, ..Header::default() }, text.get(end + 1..)?))
}

/// The longest tag that is looked for; RFC 5424 allows 48 for name, 128 for process.
const TAG_BYTES_MAX: usize = 180;

/// `TIMESTAMP HOSTNAME APP-NAME PROCID MSGID STRUCTURED-DATA [MSG]`, section 6 of RFC 5424.
fn rfc5424(text: &[u8]) -> Option<(Header<'_>, &[u8])> {
    let mut cursor = Cursor::new(text);
    let mut field = || cursor.until(b' ').map(|f| if f == b"-" { &b""[..] } else { f });
    let (stamp, hostname, tag) = (field()?, field()?, field()?);
    let pid = whole(field()?).and_then(|pid| u32::try_from(pid).ok());
    field()?;
    structured_data(&mut cursor)?;
    cursor.eat(b' ');
    cursor.eat_all(b"\xef\xbb\xbf");
    // rsyslog keeps the space that stood behind the tag of what it took by RFC 3164.
    cursor.eat(b' ');
    Some((Header { hostname, tag, pid, stamp, ..Header::default() }, cursor.rest()))
}

/// `-`, or elements in brackets whose quoted values may hold brackets.
fn structured_data(cursor: &mut Cursor<'_>) -> Option<()> {
    if cursor.eat(b'-') {
        return Some(());
    }
    if cursor.peek() != Some(b'[') {
        return None;
    }
    while cursor.eat(b'[') {
        loop {
            let stop = memchr::memchr2(b'"', b']', cursor.rest())?;
            cursor.take(stop)?;
            if cursor.eat(b']') {
                break;
            }
            cursor.quoted().filter(|(_, closed)| *closed)?;
        }
    }
    Some(())
}

/// For the fuzzer: any bytes do no harm, and the text is the line's end.
pub fn fuzz_syslog(bytes: &[u8]) {
    let context =
        Context { near: whyslow_model::Wall::from_nanos(1_795_265_448_000_000_000), zone_s: 0 };
    let (header, text) = cut(bytes);
    assert!(bytes.ends_with(text), "the text is not the line's end");
    match header {
        Some(header) => {
            assert!(
                header.facility.is_none_or(|n| n < 24) && header.severity.is_none_or(|n| n < 8)
            );
            assert_eq!(header.facility.is_some(), header.severity.is_some());
            // The year 9999, and a day for the zone.
            let at_us = header.at_us(&context);
            assert!(at_us.is_none_or(|us| us.abs() < 253_402_387_200_000_000), "{at_us:?}");
        }
        None => assert_eq!(text, bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> Context {
        Context { near: "2009-02-06T12:15:00Z".parse().unwrap(), zone_s: 0 }
    }

    fn seen(line: &str) -> (String, String, String, Option<u32>, Option<String>, String) {
        let (header, text) = cut(line.as_bytes());
        let header = header.unwrap_or_default();
        let own = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let priority = match (header.facility, header.severity) {
            (Some(facility), Some(severity)) => format!("{facility}.{severity}"),
            _ => String::new(),
        };
        let at = header
            .at_us(&context())
            .map(|us| whyslow_model::Wall::from_nanos(us * 1000).to_string());
        (priority, own(header.hostname), own(header.tag), header.pid, at, own(text))
    }

    fn is(
        line: &str,
        priority: &str,
        host: &str,
        tag: &str,
        pid: Option<u32>,
        at: &str,
        text: &str,
    ) {
        let at = (!at.is_empty()).then(|| format!("2009-02-06T{at}Z"));
        let expected = (priority.into(), host.into(), tag.into(), pid, at, text.to_owned());
        assert_eq!(seen(line), expected, "{line}");
    }

    #[test]
    fn haproxys_own_header_has_no_host_name() {
        let at = "12:14:14.000000";
        is(
            "<134>Feb  6 12:14:14 haproxy[14389]: 10.0.1.2:1 [",
            "16.6",
            "",
            "haproxy",
            Some(14389),
            at,
            "10.0.1.2:1 [",
        );
        is(
            "Feb  6 12:14:14 haproxy[14389]: 10.0.1.2:1 [",
            "",
            "",
            "haproxy",
            Some(14389),
            at,
            "10.0.1.2:1 [",
        );
    }

    #[test]
    fn a_host_name_may_be_an_address_and_a_level_may_follow_it() {
        let at = "12:14:14.000000";
        is("Feb  6 12:14:14 lb1 haproxy[7]: x", "", "lb1", "haproxy", Some(7), at, "x");
        is(
            "<134>Feb  6 12:14:14 2001:db8:: nginx: x",
            "16.6",
            "2001:db8::",
            "nginx",
            None,
            at,
            "x",
        );
        is("Feb  6 12:14:14 bigip1 info tmm1[123]: x", "", "bigip1", "tmm1", Some(123), at, "x");
    }

    #[test]
    fn iso_dates_are_those_of_rsyslog_files_and_haproxy_formats() {
        let at = "12:14:14.655123";
        is(
            "2009-02-06T13:14:14.655123+01:00 lb1 haproxy[7]: x",
            "",
            "lb1",
            "haproxy",
            Some(7),
            at,
            "x",
        );
        is("<134>2009-02-06T12:14:14.655123Z text here", "16.6", "", "", None, at, "text here");
        is("2009-02-06T12:14:14.655123789Z stdout F x y", "", "", "", None, at, "x y");
    }

    #[test]
    fn rfc_5424_has_nil_fields_structured_data_and_a_byte_order_mark() {
        let at = "12:14:14.003000";
        is(
            "<134>1 2009-02-06T12:14:14.003Z lb1 haproxy 7 - - x y",
            "16.6",
            "lb1",
            "haproxy",
            Some(7),
            at,
            "x y",
        );
        is("<134>1 - - - - - - x", "16.6", "", "", None, "", "x");
        is("<134>1 - - haproxy - - -  x", "16.6", "", "haproxy", None, "", "x");
        is(
            "<134>1 2009-02-06T12:14:14.003Z - - - - [a@1 k=\"v\\\"]\"][b] \u{feff}x",
            "16.6",
            "",
            "",
            None,
            at,
            "x",
        );
    }

    #[test]
    fn a_priority_may_stand_alone_or_before_a_tag() {
        is("<134>10.0.1.2:33317 [x", "16.6", "", "", None, "", "10.0.1.2:33317 [x");
        is("<190>nginx: x", "23.6", "", "nginx", None, "", "x");
    }

    #[test]
    fn what_is_no_header_stays() {
        for line in [
            "10.0.1.2:33317 [06/Feb/2009:12:14:14.655] f b/s",
            "<192>x",
            "<>x",
            "<1",
            "",
            "Feb",
            "Feb  6 12",
            "2009-02-06 12:14:14 W3SVC1 GET",
            "<134>1 2009-02-06T12:14:14Z lb1",
            "<134>1 - - - - - [a x",
            "{\"a\":1}",
            "May the 4th be with",
            "Xyz  6 12:14:14 haproxy[1]: x",
        ] {
            assert_eq!(cut(line.as_bytes()), (None, line.as_bytes()), "{line}");
        }
    }

    #[test]
    fn a_format_that_begins_with_an_iso_date_keeps_it() {
        #[derive(Debug)]
        struct Own;
        impl Parse for Own {
            fn parse<'a>(
                &self,
                line: &'a [u8],
                _: &Context,
                _: &'a mut Scratch,
            ) -> Result<Record<'a>, Reject> {
                let path =
                    line.strip_prefix(b"2009-02-06T12:14:14Z ").ok_or(Reject::Malformed("date"))?;
                Ok(Record { path, ..Record::default() })
            }
        }
        let mut scratch = Scratch::default();
        let line = b"2009-02-06T12:14:14Z /path";
        assert_eq!(read(&Own, line, &context(), &mut scratch).unwrap().path, b"/path");
    }

    #[test]
    fn a_record_without_a_time_takes_the_headers() {
        #[derive(Debug)]
        struct Timeless;
        impl Parse for Timeless {
            fn parse<'a>(
                &self,
                line: &'a [u8],
                _: &Context,
                _: &'a mut Scratch,
            ) -> Result<Record<'a>, Reject> {
                Ok(Record { path: line, ..Record::default() })
            }
        }
        let mut scratch = Scratch::default();
        let record =
            read(&Timeless, b"<134>Feb  6 12:14:14 app: /x", &context(), &mut scratch).unwrap();
        assert_eq!((record.path, record.at_us), (&b"/x"[..], Some(1_233_922_454_000_000)));
    }

    /// Takes any text, so that what is left of a line shows.
    #[derive(Debug)]
    struct AsItStands;
    impl Parse for AsItStands {
        fn parse<'a>(
            &self,
            line: &'a [u8],
            _: &Context,
            _: &'a mut Scratch,
        ) -> Result<Record<'a>, Reject> {
            Ok(Record { path: line, ..Record::default() })
        }
    }

    proptest::proptest! {
        #[test]
        fn a_remembered_header_changes_nothing(
            lines in proptest::collection::vec((0_usize..7, "[ x:1>a]{0,6}(\u{feff}|)"), 1..12),
        ) {
            const STARTS: [&str; 7] = [
                "<134>Feb  6 12:14:14 haproxy[1]: ",
                "Feb  6 12:14:14 lb1 haproxy[1]: ",
                "Feb  6 12:14:14 lb1 ",
                "<134>1 2009-02-06T12:14:14Z lb1 a: 7 - - ",
                "2009-02-06T12:14:14Z stdout F ",
                "<134>a: ",
                "",
            ];
            let mut kept = Scratch::default();
            for (start, text) in lines {
                let line = format!("{}{text}", STARTS[start]).into_bytes();
                let mut fresh = Scratch::default();
                let once = read(&AsItStands, &line, &context(), &mut fresh).unwrap();
                let again = read(&AsItStands, &line, &context(), &mut kept).unwrap();
                proptest::prop_assert_eq!((once.path, once.at_us), (again.path, again.at_us));
            }
        }

        #[test]
        fn no_bytes_do_harm(bytes: Vec<u8>, end: Vec<u8>) {
            fuzz_syslog(&bytes);
            for start in [&b"<134>1 "[..], b"<134>Feb  6 12:14:14 ", b"2009-02-06T12:14:14Z "] {
                fuzz_syslog(&[start, &end].concat());
            }
        }
    }
}
