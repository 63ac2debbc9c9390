//! Finds the format of a log by its first lines, and says so when lines do not parse: a report
//! over nothing looks like a quiet service otherwise.

use crate::format::{Context, Format, Parse, Reject, Scratch};
use crate::formats;
use crate::syslog;

/// How many lines are looked at.
pub const FIRST_LINES: usize = 1000;
/// Rejected lines that are kept of a live log, from which its format is guessed.
const KEPT_LINES: usize = 8;
/// Bytes of a line that are kept of a live log; a longer one says nothing of its format.
const KEPT_BYTES: usize = 16 << 10;

/// What the first lines say of a format.
#[derive(Clone, Debug)]
pub struct SelfCheck {
    /// Lines that parsed.
    pub parsed: usize,
    /// Lines that were looked at; at most [`FIRST_LINES`].
    pub of: usize,
    /// Sound lines that tell of no request: they speak for the format, too.
    pub notices: usize,
    /// The format that takes more of the lines, where there is one.
    pub guess: Option<&'static Format>,
    /// What is wrong, as a sentence for people; `None` where nothing is.
    pub sentence: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
}

impl SelfCheck {
    /// The sentence and what to do, in one line; `None` where nothing is wrong.
    pub fn text(&self) -> Option<String> {
        let sentence = self.sentence.as_ref()?;
        Some(match &self.hint {
            Some(hint) => format!("{sentence}; {hint}"),
            None => sentence.clone(),
        })
    }
}

/// The format that takes most of the lines, the first in the list of several that take the same,
/// and what there is to say about it. No format where none takes any line.
pub fn find(lines: &[&[u8]], context: &Context) -> (Option<&'static Format>, SelfCheck) {
    let lines = first(lines);
    let best = best(lines, context);
    let check = match best {
        Some(format) => check((format.parser)().as_ref(), lines, context),
        None => judged(&Tally::of_nothing(lines, context), lines, None),
    };
    (best, check)
}

/// What the first lines say of a format that was asked for.
pub fn check(parser: &dyn Parse, lines: &[&[u8]], context: &Context) -> SelfCheck {
    let lines = first(lines);
    let tally = Tally::of(parser, lines, context);
    if tally.is_well(lines.len()) {
        return judged(&tally, lines, None);
    }
    let better = best(lines, context).filter(|format| {
        let other = Tally::of((format.parser)().as_ref(), lines, context);
        other.parsed > tally.parsed
    });
    judged(&tally, lines, better.map(|format| specific(format, lines, context)))
}

/// The format that a single line is of; the first in the list of several.
pub fn of_line(line: &[u8], context: &Context) -> Option<&'static Format> {
    best(&[line], context)
}

/// The same check of a log that is read as it grows: of its first lines, then of each further
/// [`FIRST_LINES`] anew.
#[derive(Debug, Default)]
pub struct LiveCheck {
    parsed: usize,
    notices: usize,
    of: usize,
    /// The first rejected ones, each with its number and why.
    rejected: Vec<(usize, Reject, Vec<u8>)>,
    /// Whether there were other lines before these.
    later: bool,
    /// Whether a line came since it was judged.
    news: bool,
}

impl LiveCheck {
    /// A line that was read as a request.
    pub const fn handle_parsed(&mut self) {
        self.parsed += 1;
        self.of += 1;
        self.news = true;
    }

    /// A line that was not.
    pub fn handle_rejected(&mut self, line: &[u8], reject: Reject, is_notice: bool) {
        self.notices += usize::from(is_notice);
        if !is_notice && self.rejected.len() < KEPT_LINES && line.len() <= KEPT_BYTES {
            self.rejected.push((self.of, reject, line.to_vec()));
        }
        self.of += 1;
        self.news = true;
    }

    /// What is to be said of the lines so far, in one line; outside, `None` where no line came
    /// since it was asked last. `is_known` is false while a format is still looked for.
    pub fn poll_text(&mut self, context: &Context, is_known: bool) -> Option<Option<String>> {
        if !std::mem::take(&mut self.news) {
            return None;
        }
        let text = self.text(context, is_known);
        if self.of >= FIRST_LINES {
            *self = Self { later: true, ..Self::default() };
        }
        Some(text)
    }

    fn text(&self, context: &Context, is_known: bool) -> Option<String> {
        let (number, reject, line) = self.rejected.first()?;
        if is_well(self.parsed, self.notices, self.of) {
            return None;
        }
        let lines: Vec<&[u8]> = self.rejected.iter().map(|(_, _, line)| &**line).collect();
        let guess = best(&lines, context).filter(|_| is_known);
        let guess = guess.map(|format| specific(format, &lines, context));
        let (parsed, of, which) = (self.parsed, self.of, if self.later { "last" } else { "first" });
        let sentence = sentence(
            &format!("{parsed} of the {which} {of} lines parsed"),
            *number,
            line,
            *reject,
            guess,
        );
        Some(match guess {
            Some(guess) => format!("{sentence}; use format: {}", guess.name),
            None => format!("{sentence}; give the balancer's own format string as format:"),
        })
    }
}

fn first<'a, 'l>(lines: &'a [&'l [u8]]) -> &'a [&'l [u8]] {
    lines.get(..FIRST_LINES).unwrap_or(lines)
}

/// The format that most lines are of; of several, the one that finds most clients in them: a word
/// in the place of an address fits many a format.
fn best(lines: &[&[u8]], context: &Context) -> Option<&'static Format> {
    let mut best: Option<((usize, usize), &'static Format)> = None;
    for format in formats::ALL {
        let Tally { parsed, clients, .. } = Tally::of((format.parser)().as_ref(), lines, context);
        if parsed > 0 && best.is_none_or(|(most, _)| (parsed, clients) > most) {
            best = Some(((parsed, clients), format));
        }
    }
    best.map(|(_, format)| format)
}

/// `haproxy` takes what `haproxy-tcp` takes: the narrower name says more, where it takes as many.
fn specific(format: &'static Format, lines: &[&[u8]], context: &Context) -> &'static Format {
    let parsed = |format: &Format| Tally::of((format.parser)().as_ref(), lines, context).parsed;
    let most = parsed(format);
    let narrower = |other: &&Format| {
        let rest = other.name.strip_prefix(format.name);
        rest.is_some_and(|rest| rest.starts_with('-')) && parsed(other) == most
    };
    formats::ALL.iter().find(narrower).unwrap_or(format)
}

/// How lines fared.
#[derive(Debug)]
struct Tally {
    parsed: usize,
    /// Requests whose client's address is told.
    clients: usize,
    notices: usize,
    /// The first line that did not parse, and why.
    first_rejected: Option<(usize, Reject)>,
}

impl Tally {
    fn of(parser: &dyn Parse, lines: &[&[u8]], context: &Context) -> Self {
        let mut tally = Self { parsed: 0, clients: 0, notices: 0, first_rejected: None };
        let mut scratch = Scratch::default();
        for (number, line) in lines.iter().enumerate() {
            match syslog::read(parser, line, context, &mut scratch) {
                Ok(record) => {
                    tally.parsed += 1;
                    tally.clients += usize::from(record.client.is_some());
                }
                Err(Reject::NotARequest(_)) => tally.notices += 1,
                Err(reject) => {
                    tally.first_rejected.get_or_insert((number, reject));
                }
            }
        }
        tally
    }

    /// Of lines that no format takes.
    fn of_nothing(lines: &[&[u8]], context: &Context) -> Self {
        let Some(format) = formats::ALL.first() else {
            return Self { parsed: 0, clients: 0, notices: 0, first_rejected: None };
        };
        Self::of((format.parser)().as_ref(), lines, context)
    }

    /// Whether nothing need be said: nine in ten of the lines that could be requests parse.
    const fn is_well(&self, of: usize) -> bool {
        self.first_rejected.is_none() || is_well(self.parsed, self.notices, of)
    }
}

const fn is_well(parsed: usize, notices: usize, of: usize) -> bool {
    let requests = of.saturating_sub(notices);
    parsed * 10 >= requests * 9 && parsed > 0
}

fn judged(tally: &Tally, lines: &[&[u8]], guess: Option<&'static Format>) -> SelfCheck {
    let (parsed, of, notices) = (tally.parsed, lines.len(), tally.notices);
    let mut check = SelfCheck { parsed, of, notices, guess, sentence: None, hint: None };
    let Some((number, reject)) = tally.first_rejected.filter(|_| !tally.is_well(of)) else {
        return check;
    };
    let counted = format!("{parsed} of the first {of} lines parsed");
    let line = lines.get(number).copied().unwrap_or_default();
    check.sentence = Some(sentence(&counted, number, line, reject, guess));
    check.hint = Some(match guess {
        Some(guess) => format!("use --format {}", guess.name),
        None => "give the balancer's own format string to --format".to_owned(),
    });
    check
}

/// What is wrong with lines, shown by one of them.
fn sentence(
    counted: &str,
    number: usize,
    line: &[u8],
    reject: Reject,
    guess: Option<&Format>,
) -> String {
    let number = number + 1;
    match guess {
        Some(guess) => {
            let header = header(line);
            format!("{counted}; line {number} looks like {}{header}", guess.looks_like)
        }
        None => format!("{counted}; line {number} is of no known format ({reject})"),
    }
}

/// What a line lacks that other tools insist on.
fn header(line: &[u8]) -> &'static str {
    match syslog::cut(line).0 {
        None => " without syslog header",
        Some(header) if header.hostname.is_empty() => " without hostname",
        Some(_) => "",
    }
}

#[cfg(test)]
mod tests {
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
            let found = of_line(lines[0], &context()).unwrap_or_else(|| panic!("{}", format.name));
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
            "0 of the first 2 lines parsed; line 1 is of no known format (malformed the client); \
             give the balancer's own format string to --format"
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
            "9 of the last 11 lines parsed; line 10 is of no known format (malformed the timers); \
             give the balancer's own format string as format:"
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
}
