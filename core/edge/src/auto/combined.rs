//! How far a line goes along the combined log format: most formats of one's own begin as it does
//! and put what they add behind it.

use std::net::IpAddr;

use crate::cursor::Cursor;

/// How much of the combined log format a line begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// As far as the request.
    Request,
    /// As far as the size: the common log format.
    Common,
    /// All of it.
    Combined,
}

/// The beginning of a line, and what goes on behind it, without the space between.
pub(super) fn beginning(line: &[u8]) -> Option<(Part, &[u8])> {
    let mut cursor = Cursor::new(line);
    // Who asks: an address or a name, and two words more.
    cursor.until(b' ').filter(|client| !client.is_empty())?;
    let open = memchr::memmem::find(cursor.rest(), b" [")?;
    cursor.take(open + 2)?;
    cursor.until(b']').filter(|date| is_clf(date))?;
    cursor.eat_all(b" ").then_some(())?;
    cursor.quoted().filter(|(_, closed)| *closed)?;
    let mut furthest = (Part::Request, cursor.rest());
    if sizes(&mut cursor).is_some() {
        furthest = (Part::Common, cursor.rest());
        let two = [(); 2].map(|()| cursor.eat(b' ') && matches!(cursor.quoted(), Some((_, true))));
        if two == [true; 2] {
            furthest = (Part::Combined, cursor.rest());
        }
    }
    let (part, rest) = furthest;
    Some((part, rest.strip_prefix(b" ").unwrap_or(rest)))
}

/// What a line that begins as the combined log format has behind it, where that is more than the
/// addresses of `X-Forwarded-For`, which say nothing of the request's time.
pub(super) fn behind(line: &[u8]) -> Option<&[u8]> {
    match beginning(line) {
        Some((Part::Combined, rest)) if !rest.is_empty() && !is_forwarded_for(rest) => Some(rest),
        _ => None,
    }
}

/// A code of three digits and a size, or a dash for none.
fn sizes(cursor: &mut Cursor<'_>) -> Option<()> {
    cursor.eat(b' ').then_some(())?;
    let code = cursor.number_then(b' ')?;
    let sized = cursor.eat(b'-') || cursor.number().is_some();
    let ended = matches!(cursor.peek(), None | Some(b' '));
    ((100..1000).contains(&code) && sized && ended).then_some(())
}

/// `06/Feb/2009:12:14:14 +0100`.
fn is_clf(date: &[u8]) -> bool {
    let at = |i: usize| date.get(i).copied();
    date.len() == 26 && [at(2), at(6), at(11)] == [Some(b'/'), Some(b'/'), Some(b':')]
}

/// `"-"`, or addresses in quotes: how the stock `main` of nginx's packages ends.
fn is_forwarded_for(rest: &[u8]) -> bool {
    let inside = rest.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    let Some(inside) = inside.and_then(|inside| std::str::from_utf8(inside).ok()) else {
        return false;
    };
    let is_address = |word: &str| word == "unknown" || word.parse::<IpAddr>().is_ok();
    inside == "-" || inside.split(',').all(|word| is_address(word.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMON: &str = "192.0.2.7 - - [06/Feb/2009:12:14:14 +0100] \"GET /a HTTP/1.1\" 200 2750";

    #[test]
    fn a_line_is_followed_as_far_as_it_goes() {
        let is = |line: &str, told: Option<(Part, &str)>| {
            let told = told.map(|(part, rest)| (part, rest.as_bytes()));
            assert_eq!(beginning(line.as_bytes()), told, "{line}");
        };
        is(COMMON, Some((Part::Common, "")));
        is(&format!("{COMMON} 0.801"), Some((Part::Common, "0.801")));
        is(&format!("{COMMON} \"-\" rt=0.801"), Some((Part::Common, "\"-\" rt=0.801")));
        is(&format!("{COMMON} \"-\" \"curl\""), Some((Part::Combined, "")));
        is(&format!("{COMMON} \"-\" \"a \\\" b\" rt=1 x"), Some((Part::Combined, "rt=1 x")));
        is(&COMMON.replace("2750", "0.8 2750"), Some((Part::Request, "200 0.8 2750")));
        is(&COMMON.replace(" 200 ", " 0 "), Some((Part::Request, "0 2750")));
        is("192.0.2.7 - - [06/Feb/2009:12:14:14 +0100] \"GET /a", None);
        is("10.0.1.2:3 [06/Feb/2009:12:14:14.655] f b/s 0/0/1/2/3 200 88 \"GET /\"", None);
        is("", None);
    }

    #[test]
    fn addresses_of_proxies_are_nothing_that_is_missed() {
        let told = |rest: &str| {
            let line = format!("{COMMON} \"-\" \"curl\"{rest}");
            behind(line.as_bytes()).map(|rest| String::from_utf8_lossy(rest).into_owned())
        };
        for rest in ["", " \"-\"", " \"192.0.2.1\"", " \"2001:db8::1, 192.0.2.1\"", " \"unknown\""]
        {
            assert_eq!(told(rest), None, "{rest}");
        }
        for rest in ["rt=0.8", "\"0.801\"", "\"\"", "\"-\" \"-\"", "801"] {
            assert_eq!(told(&format!(" {rest}")).as_deref(), Some(rest));
        }
    }
}
