//! Certificates: what they say, and what is wrong with them.

use std::net::IpAddr;

use sha2::{Digest, Sha256};
use whyslow_model::conversation::{ChainFault, TlsDone};
use whyslow_model::{Wall, limits};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::codes::{self, Code};
use crate::run::Certificate;

/// Names of one certificate that are kept.
const NAMES_MAX: usize = 64;
/// Bytes of one name that are kept.
const NAME_BYTES_MAX: usize = 256;
const DAY_NS: i64 = 86_400 * 1_000_000_000;

/// What a chain of certificates is worth at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Judgement {
    /// The chain as shown, leaf first; what cannot be read is left out.
    pub chain: Vec<Certificate>,
    /// The end of the earliest-ending certificate.
    pub not_after: Option<Wall>,
    /// What is wrong, the plainest first; empty where nothing is.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong with a chain.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// Its word in `chain_problem`: the code's name without `tls_`.
    pub word: &'static str,
    /// The code with which a run fails for it.
    pub code: &'static Code,
    /// A sentence about it.
    pub text: String,
}

impl Judgement {
    /// Whole days until the earliest end, rounded down, negative once past.
    pub fn days_left(&self, now: Wall) -> Option<i64> {
        let left = self.not_after?.as_nanos().saturating_sub(now.as_nanos());
        Some(left.div_euclid(DAY_NS))
    }

    /// All that is wrong, as one sentence.
    pub fn text(&self) -> String {
        self.problems.iter().map(|p| p.text.as_str()).collect::<Vec<_>>().join("; ")
    }
}

/// Reads the chain shown in a handshake and says what is wrong with it at `now`, for a peer
/// that was asked for as `name`.
pub fn judge(done: &TlsDone, name: &str, now: Wall) -> Judgement {
    let chain = read_chain(&done.chain);
    let not_after = chain.iter().map(|c| c.not_after).min();
    let mut problems = Vec::new();
    problems.extend(chain.iter().find_map(|c| out_of_time(c, now)));
    if !done.name_fits && !done.chain.is_empty() {
        problems.push(wrong_name(name, chain.first()));
    }
    if let Some(fault) = &done.untrusted {
        let told = |word: &str| problems.iter().any(|p: &Problem| p.word == word);
        let again = match fault {
            ChainFault::Expired => told("expired"),
            ChainFault::NotYetValid => told("not_yet_valid"),
            ChainFault::UnknownIssuer
            | ChainFault::BadSignature
            | ChainFault::Revoked
            | ChainFault::WrongUse
            | ChainFault::IssuerAsServer
            | ChainFault::Other(_) => false,
        };
        if !again {
            problems.push(untrusted(fault, &chain));
        }
    }
    Judgement { chain, not_after, problems }
}

/// Reads certificates in DER, at most 16 of them.
pub fn read_chain(chain: &[Vec<u8>]) -> Vec<Certificate> {
    chain.iter().take(limits::CHAIN_MAX).filter_map(|der| read(der)).collect()
}

fn read(der: &[u8]) -> Option<Certificate> {
    let (_, x509) = X509Certificate::from_der(der).ok()?;
    Some(Certificate {
        subject: clipped(&x509.subject().to_string()),
        issuer: clipped(&x509.issuer().to_string()),
        names: names(&x509),
        not_before: wall(x509.validity().not_before.timestamp()),
        not_after: wall(x509.validity().not_after.timestamp()),
        sha256: hex(&Sha256::digest(der)),
    })
}

fn names(x509: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = x509.subject_alternative_name() else { return Vec::new() };
    let name = |general: &GeneralName<'_>| match general {
        GeneralName::DNSName(name) => Some(clipped(name)),
        GeneralName::IPAddress(bytes) => address(bytes).map(|ip| ip.to_string()),
        GeneralName::OtherName(..)
        | GeneralName::RFC822Name(_)
        | GeneralName::X400Address(_)
        | GeneralName::DirectoryName(_)
        | GeneralName::EDIPartyName(_)
        | GeneralName::URI(_)
        | GeneralName::RegisteredID(_)
        | GeneralName::Invalid(..) => None,
    };
    extension.value.general_names.iter().filter_map(name).take(NAMES_MAX).collect()
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from);
    v4.or_else(|| <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from))
}

fn out_of_time(certificate: &Certificate, now: Wall) -> Option<Problem> {
    let subject = &certificate.subject;
    if now > certificate.not_after {
        let days = now.since(certificate.not_after).as_secs() / 86_400;
        let ago = if days == 1 { "1 day ago".to_owned() } else { format!("{days} days ago") };
        return Some(Problem {
            word: "expired",
            code: &codes::TLS_EXPIRED,
            text: format!(
                "the certificate of {subject} expired {ago}, on {}",
                day(certificate.not_after)
            ),
        });
    }
    (now < certificate.not_before).then(|| Problem {
        word: "not_yet_valid",
        code: &codes::TLS_NOT_YET_VALID,
        text: format!(
            "the certificate of {subject} is valid from {} only",
            day(certificate.not_before)
        ),
    })
}

fn wrong_name(name: &str, leaf: Option<&Certificate>) -> Problem {
    let names = leaf.map(|c| c.names.as_slice()).unwrap_or_default();
    let shown = match names {
        [] => "no name at all".to_owned(),
        few if few.len() <= 4 => few.join(", "),
        many => format!("{} and {} others", many[..3].join(", "), many.len() - 3),
    };
    Problem {
        word: "wrong_name",
        code: &codes::TLS_WRONG_NAME,
        text: format!("the certificate is for {shown}, not for {name}"),
    }
}

fn untrusted(fault: &ChainFault, chain: &[Certificate]) -> Problem {
    let issuer = chain.last().map_or("nobody", |c| c.issuer.as_str());
    let alone = matches!(chain, [one] if one.subject == one.issuer);
    let (code, text) = match fault {
        ChainFault::Expired => (&codes::TLS_EXPIRED, "a certificate has expired".to_owned()),
        ChainFault::NotYetValid => {
            (&codes::TLS_NOT_YET_VALID, "a certificate is not valid yet".to_owned())
        }
        ChainFault::UnknownIssuer | ChainFault::IssuerAsServer if alone => {
            (&codes::TLS_SELF_SIGNED, format!("the certificate of {issuer} is self-signed"))
        }
        ChainFault::UnknownIssuer => {
            (&codes::TLS_UNKNOWN_ISSUER, format!("the issuer, {issuer}, is not trusted here"))
        }
        ChainFault::BadSignature => {
            (&codes::TLS_BAD_SIGNATURE, "a signature in the chain is wrong".to_owned())
        }
        ChainFault::Revoked => (&codes::TLS_REVOKED, "the certificate has been revoked".to_owned()),
        ChainFault::WrongUse => {
            (&codes::TLS_BAD_CERTIFICATE, "the certificate is not made for servers".to_owned())
        }
        ChainFault::IssuerAsServer => (
            &codes::TLS_BAD_CERTIFICATE,
            "the certificate is one for issuing others, not a server's".to_owned(),
        ),
        ChainFault::Other(what) => {
            (&codes::TLS_BAD_CERTIFICATE, format!("the certificate cannot be used: {what}"))
        }
    };
    Problem { word: code.name.trim_start_matches("tls_"), code, text }
}

fn wall(seconds: i64) -> Wall {
    Wall::from_millis(seconds.saturating_mul(1000))
}

/// The day of a moment, as `2026-11-18`.
pub fn day(at: Wall) -> String {
    at.to_string().chars().take(10).collect()
}

fn clipped(text: &str) -> String {
    let mut end = text.len().min(NAME_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        for nibble in [byte >> 4, byte & 15] {
            text.push(char::from_digit(nibble.into(), 16).unwrap_or('0'));
        }
        text
    })
}

/// For the fuzzer: whatever a certificate says, at the ends of time too, what is shown of it is
/// bounded, and nothing is wrong without a sentence.
pub fn fuzz_certificate(bytes: &[u8]) {
    let done = TlsDone { chain: vec![bytes.to_vec(), Vec::new()], ..handshake() };
    for now in [0, i64::MIN, i64::MAX].map(Wall::from_nanos) {
        let judgement = judge(&done, "shop.example", now);
        let Judgement { chain, not_after, problems } = &judgement;
        assert!(chain.len() <= 1, "no bytes are a certificate");
        assert_eq!(not_after.is_some(), !chain.is_empty());
        assert_eq!(judgement.days_left(now).is_some(), not_after.is_some());
        assert!(problems.iter().all(|problem| !problem.text.is_empty()));
        for certificate in chain {
            assert!(certificate.names.len() <= NAMES_MAX);
            let texts = certificate.names.iter().chain([&certificate.subject, &certificate.issuer]);
            assert!(texts.into_iter().all(|text| text.len() <= NAME_BYTES_MAX));
            // Out of time or not: never both ways.
            let late = now > certificate.not_after;
            let told = problems.iter().any(|problem| problem.word == "expired");
            assert_eq!(told, late, "{certificate:?} at {now}");
        }
    }
}

/// A handshake that ended well and showed no certificate.
fn handshake() -> TlsDone {
    TlsDone {
        began: whyslow_model::Mono::default(),
        ended: whyslow_model::Mono::default(),
        version: None,
        cipher: None,
        alpn: None,
        resumed: None,
        chain: Vec::new(),
        untrusted: None,
        name_fits: true,
        fault: None,
        tcp: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(name: &str) -> Vec<u8> {
        let key = rcgen::KeyPair::generate().expect("a key");
        let mut params = rcgen::CertificateParams::new([name.to_owned()]).expect("a name");
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2026, 4, 1);
        params.self_signed(&key).expect("signed").der().to_vec()
    }

    fn at(text: &str) -> Wall {
        text.parse().expect("a time")
    }

    #[test]
    fn a_certificate_says_whose_it_is_and_until_when() {
        let done = TlsDone { chain: vec![signed("shop.example")], ..handshake() };
        let now = at("2026-03-22T12:00:00Z");
        let judged = judge(&done, "shop.example", now);
        assert_eq!(judged.problems, []);
        assert_eq!(judged.days_left(now), Some(9));
        assert_eq!(judged.chain[0].names, ["shop.example"]);
        assert_eq!(judged.chain[0].sha256.len(), 64);
    }

    #[test]
    fn all_that_is_wrong_is_told_the_plainest_first() {
        let done = TlsDone {
            chain: vec![signed("other.example")],
            name_fits: false,
            untrusted: Some(ChainFault::UnknownIssuer),
            ..handshake()
        };
        let words = |now: &str| {
            let judged = judge(&done, "shop.example", at(now));
            judged.problems.iter().map(|p| p.word).collect::<Vec<_>>()
        };
        assert_eq!(words("2026-05-01T00:00:00Z"), ["expired", "wrong_name", "self_signed"]);
        assert_eq!(words("2025-05-01T00:00:00Z"), ["not_yet_valid", "wrong_name", "self_signed"]);
        assert_eq!(words("2026-02-01T00:00:00Z"), ["wrong_name", "self_signed"]);
        let text = judge(&done, "shop.example", at("2026-04-03T00:00:00Z")).text();
        assert!(text.contains("expired 2 days ago, on 2026-04-01"), "{text}");
        assert!(text.contains("is for other.example, not for shop.example"), "{text}");
    }

    #[test]
    fn an_expired_chain_is_told_once() {
        let done = TlsDone {
            chain: vec![signed("a.example")],
            untrusted: Some(ChainFault::Expired),
            ..handshake()
        };
        let judged = judge(&done, "a.example", at("2027-01-01T00:00:00Z"));
        assert_eq!(judged.problems.len(), 1);
    }

    #[test]
    fn every_torn_certificate_is_left_out() {
        let whole = signed("shop.example");
        for end in 0..whole.len() {
            assert!(read_chain(&[whole[..end].to_vec()]).is_empty());
            fuzz_certificate(&whole[..end]);
        }
    }
}
