//! Range lists as text: one range a line, comma- or tab-separated.
//!
//! Read are `first,last,asn,name`, `first,last,country`, `first,last,asn,country,name` and the
//! same with `prefix/length` in place of the two addresses. Addresses may be written as numbers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use super::{Country, Owner, Range};

/// What one line held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// A range with an owner.
    Range(Range),
    /// Nothing to keep: empty, a comment, a heading, or a range nobody announces.
    Nothing,
}

/// Why a line could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadLine {
    /// Neither `first,last,…` nor `prefix/length,…`.
    #[error("no address range at the start of the line")]
    NoRange,
    /// The last address is below the first, or of another family.
    #[error("the range ends before it begins")]
    Backwards,
    /// Neither an AS number nor a two-letter country behind the range.
    #[error("neither an AS number nor a country behind the range")]
    NoOwner,
}

/// Longest name that is kept, in bytes; a longer one is cut.
const NAME_BYTES_MAX: usize = 128;
/// Fields of one line that are looked at.
const FIELDS_MAX: usize = 8;

/// Reads one line. Total: any text gives a range, nothing, or a reason.
///
/// # Errors
/// [`BadLine`] where the line claims to be a range and is none.
pub fn parse(line: &str) -> Result<Line, BadLine> {
    let line = line.trim_end_matches(['\r', '\n']);
    if line.trim().is_empty() || line.starts_with('#') {
        return Ok(Line::Nothing);
    }
    let fields = split(line);
    if fields
        .first()
        .is_some_and(|f| f.starts_with(|c: char| c.is_ascii_alphabetic()) && !f.contains(':'))
    {
        return Ok(Line::Nothing);
    }
    let (first, last, rest) = addresses(&fields).ok_or(BadLine::NoRange)?;
    if first.is_ipv4() != last.is_ipv4() || last < first {
        return Err(BadLine::Backwards);
    }
    let owner = owner(rest)?;
    Ok(if owner.is_empty() { Line::Nothing } else { Line::Range(Range { first, last, owner }) })
}

/// For the fuzzer: any bytes, line by line.
pub fn fuzz_asn_csv(data: &[u8]) {
    let ranges = String::from_utf8_lossy(data)
        .lines()
        .filter_map(|l| match parse(l) {
            Ok(Line::Range(r)) => Some(r),
            Ok(Line::Nothing) | Err(_) => None,
        })
        .collect::<Vec<_>>();
    let asked = ranges.first().map(|r| r.last);
    let table = super::AsnTable::build(ranges);
    if let Some(address) = asked {
        assert!(table.lookup(address).is_some(), "a range's own last address is found");
    }
}

/// Splits at tabs where there are any, else at commas; quotes hold commas, `""` is a quote.
fn split(line: &str) -> Vec<String> {
    let separator = if line.contains('\t') { '\t' } else { ',' };
    let mut fields = vec![String::new()];
    let mut quoted = false;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        let Some(field) = fields.last_mut() else { break };
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            '"' => quoted = !quoted,
            c if c == separator && !quoted => {
                if fields.len() == FIELDS_MAX {
                    break;
                }
                fields.push(String::new());
            }
            c => field.push(c),
        }
    }
    fields.into_iter().map(|f| f.trim().to_owned()).collect()
}

/// The range at the start, and the fields behind it.
fn addresses(fields: &[String]) -> Option<(IpAddr, IpAddr, &[String])> {
    let (head, rest) = fields.split_first()?;
    if head.contains('/') {
        let net: ipnet::IpNet = head.parse().ok()?;
        return Some((net.network(), net.broadcast(), rest));
    }
    let (last, rest) = rest.split_first()?;
    let (first, last) = (address(head)?, address(last)?);
    // Small numbers are IPv4, so a numeric IPv6 range may begin below 2^32.
    Some(match (first, last) {
        (IpAddr::V4(a), IpAddr::V6(_)) if head.bytes().all(|b| b.is_ascii_digit()) => {
            (IpAddr::V6(Ipv6Addr::from_bits(a.to_bits().into())), last, rest)
        }
        (first, last) => (first, last, rest),
    })
}

fn address(text: &str) -> Option<IpAddr> {
    if let Ok(number) = text.parse::<u128>() {
        return Some(match u32::try_from(number) {
            Ok(v4) => Ipv4Addr::from_bits(v4).into(),
            Err(_) => Ipv6Addr::from_bits(number).into(),
        });
    }
    text.parse().ok()
}

/// What the fields behind the range say. AS 0 and `-` mean that nobody announces it.
fn owner(fields: &[String]) -> Result<Owner, BadLine> {
    let given: Vec<&str> = fields.iter().map(String::as_str).collect();
    let (asn, country, name) = match given.as_slice() {
        [one] | [one, ""] => match Country::new(one) {
            Some(c) => (None, Some(c), None),
            None => (Some(*one), None, None),
        },
        [asn, country, name, ..] if Country::new(country).is_some() || *country == "None" => {
            (Some(*asn), Country::new(country), Some(*name))
        }
        [first, ..] if Country::new(first).is_some() => (None, Country::new(first), None),
        [asn, name, ..] => (Some(*asn), None, Some(*name)),
        [] => return Err(BadLine::NoOwner),
    };
    let asn = match asn {
        None | Some("" | "-") => None,
        Some(text) => {
            let digits = text.strip_prefix("AS").unwrap_or(text);
            Some(digits.parse::<u32>().map_err(|_| BadLine::NoOwner)?).filter(|n| *n != 0)
        }
    };
    let name = name.filter(|_| asn.is_some()).map(cut).filter(|n| !n.is_empty());
    Ok(Owner { asn, name: name.map(Arc::from), country })
}

fn cut(name: &str) -> &str {
    &name[..name.floor_char_boundary(NAME_BYTES_MAX)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str) -> String {
        match parse(line) {
            Ok(Line::Range(r)) => format!("{} {} {}", r.first, r.last, r.owner),
            Ok(Line::Nothing) => "nothing".to_owned(),
            Err(e) => e.to_string(),
        }
    }

    #[test]
    fn every_spelling_that_is_in_use_is_read() {
        let cases = [
            (
                "192.0.2.0,192.0.2.255,64500,\"Example, Net\"",
                "192.0.2.0 192.0.2.255 AS64500 Example, Net",
            ),
            ("192.0.2.0,192.0.2.255,GB", "192.0.2.0 192.0.2.255 GB"),
            ("3221225984,3221226239,64500,Example", "192.0.2.0 192.0.2.255 AS64500 Example"),
            (
                "192.0.2.0\t192.0.2.255\t64500\tGB\tEXAMPLE",
                "192.0.2.0 192.0.2.255 AS64500 EXAMPLE, GB",
            ),
            ("2001:db8::,2001:db8::ff,AS64500,Six", "2001:db8:: 2001:db8::ff AS64500 Six"),
            ("192.0.2.0/25,64500", "192.0.2.0 192.0.2.127 AS64500"),
            ("192.0.2.0,192.0.2.255,0,Not routed", "nothing"),
            ("start_ip,end_ip,asn,name", "nothing"),
            ("# made by hand", "nothing"),
            ("", "nothing"),
        ];
        for (line, wanted) in cases {
            assert_eq!(shown(line), wanted, "{line}");
        }
    }

    #[test]
    fn a_line_that_is_no_range_says_why() {
        assert_eq!(parse("192.0.2.9,192.0.2.1,64500"), Err(BadLine::Backwards));
        assert_eq!(parse("192.0.2.9,2001:db8::1,64500"), Err(BadLine::Backwards));
        assert_eq!(parse("999.0.0.1,x,64500"), Err(BadLine::NoRange));
        assert_eq!(parse("192.0.2.1,192.0.2.2"), Err(BadLine::NoOwner));
        assert_eq!(parse("192.0.2.1,192.0.2.2,what is this"), Err(BadLine::NoOwner));
    }

    #[test]
    fn an_endless_name_is_cut_between_characters() {
        let line = format!("192.0.2.1,192.0.2.2,64500,{}", "é".repeat(1000));
        let Ok(Line::Range(range)) = parse(&line) else { panic!("a range") };
        assert!(range.owner.name.unwrap().len() <= NAME_BYTES_MAX);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_parser_fail(text in "[0-9a-f:.,\"\t/A-Z\n é-]{0,200}") {
            fuzz_asn_csv(text.as_bytes());
        }
    }
}
