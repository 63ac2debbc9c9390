//! Why a run can fail: the closed list of codes, each with what it means and where to look.

use whyslow_model::{Phase, Segment};

/// One reason for which a run can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code {
    /// Its name in JSON, API, configuration and pages.
    pub name: &'static str,
    /// The phase in which it shows; `None` where it can be several.
    pub phase: Option<Phase>,
    /// Where to look first; a hint from one run, never a verdict.
    pub segment: Option<Segment>,
    /// What has happened.
    pub summary: &'static str,
    /// What to look at next.
    pub advice: &'static str,
}

/// The code of that name.
pub fn by_name(name: &str) -> Option<&'static Code> {
    ALL.iter().copied().find(|code| code.name == name)
}

/// The list as a page of Markdown: `docs/failure-codes.md`, which a test holds to it.
pub fn page() -> String {
    let mut page = String::from(concat!(
        "# Failure codes\n\n",
        "Why a run can fail: `failure.code` is always one of these. Made from ",
        "`core/probe/src/codes.rs`.\n\n",
        "| code | phase | look first at | what has happened | what to look at next |\n",
        "|---|---|---|---|---|\n",
    ));
    for code in ALL {
        let phase = code.phase.map_or("any", Phase::as_str);
        let segment = code.segment.map_or("-", Segment::as_str);
        let (name, summary, advice) = (code.name, code.summary, code.advice);
        page.push_str(&format!("| `{name}` | {phase} | {segment} | {summary} | {advice} |\n"));
    }
    page.push_str("\n## Statuses\n\n| status | meaning | look first at |\n|---|---|---|\n");
    for status in 400..600 {
        let Some((meaning, segment)) = status_meaning(status) else { continue };
        if !meaning.starts_with("the server says that it failed") {
            page.push_str(&format!("| {status} | {meaning} | {} |\n", segment.as_str()));
        }
    }
    page
}

macro_rules! codes {
    ($($constant:ident $name:literal $phase:expr, $segment:expr, $summary:literal, $advice:literal;)*) => {
        $(
            #[doc = $summary]
            pub const $constant: Code = Code {
                name: $name,
                phase: $phase,
                segment: $segment,
                summary: $summary,
                advice: $advice,
            };
        )*

        /// Every code, in the order of the phases.
        pub const ALL: &[&Code] = &[$(&$constant),*];
    };
}

use Phase::{Connect, Receive, Resolve, Send, Tls, Wait};

codes! {
    TARGET_UNUSABLE "target_unusable" None, None,
        "The target, or something the check refers to, cannot be used.",
        "Mend the check: the message names what is wrong.";
    LOCAL_FAILURE "local_failure" None, Some(Segment::Vantage),
        "The machine that measures could not do its part.",
        "Look at the vantage: its addresses, files, limits and privileges.";

    RESOLVE_NXDOMAIN "resolve_nxdomain" None, Some(Segment::Dns),
        "The name does not exist.",
        "Compare with `dns:NAME@SERVER` at the zone's own servers: a record lost, a zone expired, a typing error.";
    RESOLVE_NO_ADDRESS "resolve_no_address" Some(Resolve), Some(Segment::Dns),
        "The name exists, without an address of the wanted family.",
        "Look at the A and AAAA records, and at `family`.";
    RESOLVE_TIMEOUT "resolve_timeout" None, Some(Segment::Dns),
        "No name server answered in time.",
        "Ask each name server by itself; silence from one of several shows as slowness in between.";
    RESOLVE_SERVFAIL "resolve_servfail" None, Some(Segment::Dns),
        "The name server says that it failed, or refuses.",
        "SERVFAIL is often DNSSEC, or the zone's own servers out of reach of the resolver.";
    RESOLVE_MALFORMED "resolve_malformed" None, Some(Segment::Dns),
        "What the name server sent is no answer to the question.",
        "Something between may answer in the server's place.";
    RESOLVE_UNREACHABLE "resolve_unreachable" Some(Resolve), Some(Segment::Dns),
        "The name server cannot be reached.",
        "Look at the vantage's resolver and its route.";

    CONNECT_REFUSED "connect_refused" Some(Connect), Some(Segment::Host),
        "The port is closed: the SYN was answered with a reset.",
        "Nothing listens there, or a firewall rejects. The host itself is up.";
    CONNECT_TIMEOUT "connect_timeout" Some(Connect), Some(Segment::Host),
        "No SYN was answered.",
        "Host or a firewall before it. Refused ports answer; silence means dropped.";
    CONNECT_UNREACHABLE "connect_unreachable" Some(Connect), Some(Segment::Transit),
        "There is no way to the address.",
        "A router on the way, or the vantage's own routing table, says so.";

    RESET "reset" None, Some(Segment::Edge),
        "The peer cut the connection with a reset.",
        "A crash, a full queue, an idle limit, or a middle box. A capture shows who sent the RST.";
    CLOSED "closed" None, Some(Segment::Edge),
        "The peer closed the connection before it had answered.",
        "A worker that died, an idle limit shorter than the request, or a balancer without a backend.";

    TLS_TIMEOUT "tls_timeout" Some(Tls), Some(Segment::Edge),
        "The TLS handshake did not end in time.",
        "A busy TLS proxy, or large handshake packets lost on the way (path MTU).";
    TLS_ALERT "tls_alert" Some(Tls), Some(Segment::Edge),
        "The peer refused the TLS handshake with an alert.",
        "The alert names why: no common version or cipher, an unknown name, a client certificate missing.";
    TLS_MALFORMED "tls_malformed" Some(Tls), Some(Segment::Edge),
        "What the peer sent is not TLS.",
        "A port that speaks plain text, or a proxy's error page in place of the handshake.";
    TLS_EXPIRED "tls_expired" Some(Tls), Some(Segment::Edge),
        "The certificate's time is over.",
        "Renew it, and reload every server that holds the old one.";
    TLS_NOT_YET_VALID "tls_not_yet_valid" Some(Tls), Some(Segment::Edge),
        "The certificate's time has not begun.",
        "Compare the clocks of issuer, server and vantage.";
    TLS_WRONG_NAME "tls_wrong_name" Some(Tls), Some(Segment::Edge),
        "The certificate is for other names.",
        "A default virtual host answered: look at SNI, and at which server the address belongs to.";
    TLS_UNKNOWN_ISSUER "tls_unknown_issuer" Some(Tls), Some(Segment::Edge),
        "The certificate's issuer is not trusted here.",
        "Often an intermediate certificate that the server does not send; for a private CA set `ca_file`.";
    TLS_SELF_SIGNED "tls_self_signed" Some(Tls), Some(Segment::Edge),
        "The certificate is signed by nobody but itself.",
        "A default certificate, or a private one: set `ca_file`, or `insecure`.";
    TLS_BAD_SIGNATURE "tls_bad_signature" Some(Tls), Some(Segment::Edge),
        "A signature of the certificates or of the handshake is wrong.",
        "Somebody between may show certificates that are not his.";
    TLS_REVOKED "tls_revoked" Some(Tls), Some(Segment::Edge),
        "The certificate has been revoked.",
        "Ask the issuer why, and replace it.";
    TLS_BAD_CERTIFICATE "tls_bad_certificate" Some(Tls), Some(Segment::Edge),
        "The certificate cannot be used: malformed, or not made for servers.",
        "Look at its extensions; the message names what is wrong.";

    SEND_TIMEOUT "send_timeout" Some(Send), Some(Segment::Edge),
        "The request could not be handed over in time.",
        "The peer does not read: its window is shut, or packets are lost.";
    WAIT_TIMEOUT "wait_timeout" Some(Wait), Some(Segment::Backend),
        "No first byte of an answer in time.",
        "The connection stands, so the network is well enough; the server, or what it waits for, is slow.";
    BODY_TIMEOUT "body_timeout" Some(Receive), Some(Segment::Backend),
        "The answer began and did not end in time.",
        "A stalled backend, an endless stream, or loss on the way; TCP_INFO tells loss apart.";
    BODY_TOO_LARGE "body_too_large" Some(Receive), Some(Segment::Page),
        "The body is larger than the check reads.",
        "Raise `body_bytes_max`, or aim at something smaller.";
    HTTP_MALFORMED "http_malformed" Some(Wait), Some(Segment::Edge),
        "What the peer sent is not HTTP.",
        "A port of another protocol, or a broken proxy.";

    HTTP_STATUS "http_status" Some(Wait), Some(Segment::Backend),
        "The status is not one of those expected.",
        "The message explains the status; the excerpt of the body often tells more.";
    HEADER_MISMATCH "header_mismatch" Some(Wait), Some(Segment::Route),
        "A header field is missing or does not hold what is expected.",
        "Compare the header in the transcript with `expect.headers`.";
    BODY_MISMATCH "body_mismatch" Some(Receive), Some(Segment::Page),
        "The body does not hold what is expected, or holds what it must not.",
        "The status was right, the content is not: look at the excerpt.";
    JSON_MISMATCH "json_mismatch" Some(Receive), Some(Segment::Page),
        "The body is not JSON, or a place in it does not hold what is expected.",
        "Compare the excerpt with `expect.json`.";

    REDIRECT_LOOP "redirect_loop" Some(Wait), Some(Segment::Route),
        "A redirect leads back to where the run has been.",
        "Often http against https behind a proxy, or two hosts that name each other.";
    TOO_MANY_REDIRECTS "too_many_redirects" Some(Wait), Some(Segment::Route),
        "More than 10 redirects.",
        "Look at the chain in the transcript.";
    REDIRECT_REFUSED "redirect_refused" None, Some(Segment::Route),
        "A redirect leads to where no redirect may lead: link-local space, space further inside than the server that sent it, or something that is not http or https.",
        "A service that redirects there is misconfigured or hostile: look at the Location header in the transcript.";

    DNS_RCODE "dns_rcode" Some(Wait), Some(Segment::Dns),
        "The response code is not the one expected.",
        "Compare with the zone's own servers: a name has come or gone since the check was written.";
    DNS_ANSWER "dns_answer" Some(Wait), Some(Segment::Dns),
        "An expected record is not among the answers.",
        "Compare with the zone's own servers; a stale copy or a changed record.";
    PING_NOT_PERMITTED "ping_not_permitted" Some(Wait), Some(Segment::Vantage),
        "This process may not send pings, so nothing is known of the target.",
        "Grant it CAP_NET_RAW; `whyslow doctor` prints the line.";
    PING_UNREACHABLE "ping_unreachable" Some(Wait), Some(Segment::Transit),
        "A router, or our own kernel, says that the echo cannot get there.",
        "The message names who said so: look there.";
    PING_UNANSWERED "ping_unanswered" Some(Wait), Some(Segment::Transit),
        "No echo was answered.",
        "The host is down, the way is broken, or ICMP is dropped; a tcp check tells these apart.";
}

/// What an HTTP status means where that is not in every book: those a CDN makes up for the
/// origin it stands before, and the gateway ones.
pub const fn status_meaning(status: u16) -> Option<(&'static str, Segment)> {
    Some(match status {
        408 => ("the server gave up waiting for our request", Segment::Edge),
        429 => ("the server limits how often we may ask", Segment::Edge),
        499 => ("the proxy saw its client give up first", Segment::Client),
        502 => ("the proxy got no sound answer from its backend", Segment::Backend),
        503 => ("no backend is ready, or the server sheds load", Segment::Backend),
        504 => ("the proxy's backend did not answer in time", Segment::Backend),
        520 => ("the CDN got an empty or unexpected answer from the origin", Segment::Backend),
        521 => ("the origin refused the CDN's connection", Segment::Host),
        522 => ("the CDN's connection to the origin timed out", Segment::Host),
        523 => {
            ("the CDN has no way to the origin: its address or route is wrong", Segment::Transit)
        }
        524 => ("the origin took the CDN's request and did not answer in time", Segment::Backend),
        525 => ("the TLS handshake between CDN and origin failed", Segment::Edge),
        526 => ("the origin's certificate is not valid for the CDN", Segment::Edge),
        527 => ("the CDN's tunnel to the origin broke", Segment::Transit),
        530 => ("the CDN cannot resolve or use the origin's name", Segment::Dns),
        500 | 501 | 505..=519 | 528 | 529 | 531..=599 => {
            ("the server says that it failed", Segment::Backend)
        }
        400 => ("the server did not understand the request", Segment::Edge),
        401 | 403 => ("the server does not let us", Segment::Route),
        404 | 410 => ("the server knows no such page", Segment::Route),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_own_name_and_says_what_to_do() {
        let mut names: Vec<&str> = ALL.iter().map(|c| c.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
        for code in ALL {
            assert!(code.summary.ends_with('.') && code.advice.ends_with('.'), "{}", code.name);
            assert_eq!(by_name(code.name), Some(*code));
        }
    }

    #[test]
    fn the_page_lists_every_code() {
        let written = include_str!("../../../docs/failure-codes.md");
        assert_eq!(written, page(), "docs/failure-codes.md is not what codes::page() makes");
    }

    #[test]
    fn the_statuses_a_cdn_makes_up_explain_themselves() {
        for status in (520..=527).chain([530]) {
            let (text, _) = status_meaning(status).expect("a meaning");
            assert!(text.contains("CDN"), "{status}: {text}");
        }
        assert_eq!(status_meaning(200), None);
    }
}
