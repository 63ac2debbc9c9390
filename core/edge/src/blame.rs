//! Termination and response flags to the segment they point at. An ambiguous flag points at none:
//! wrong but sure is the worst answer there is.

use whyslow_model::Segment;

use crate::record::End;

/// What a flag or code says of a request's end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Blame {
    /// The part of the world it points at.
    pub blames: Option<Segment>,
    /// The client left before it had the whole answer.
    pub client_aborted: bool,
    /// The balancer answered by itself.
    pub local: bool,
}

impl Blame {
    /// A request's end with these flags, as it tells it.
    pub const fn end(self, flags: &[u8]) -> End<'_> {
        let Self { blames, client_aborted, local } = self;
        End { flags, blames, client_aborted, local }
    }

    const NOBODY: Self = Self { blames: None, client_aborted: false, local: false };
    const LOCAL: Self = Self { local: true, ..Self::NOBODY };
    /// The client left while it waited for somebody else: its patience is not its fault.
    const IMPATIENT: Self = Self { client_aborted: true, ..Self::NOBODY };
    const LEFT: Self = Self { client_aborted: true, ..Self::of(Segment::Client) };
    const CLIENT: Self = Self::of(Segment::Client);
    const EDGE: Self = Self::of(Segment::Edge);
    const BACKEND: Self = Self::of(Segment::Backend);

    const fn of(segment: Segment) -> Self {
        Self { blames: Some(segment), client_aborted: false, local: false }
    }
}

/// `HAProxy`'s termination state (manual, section 8.5): who ended it, and in which phase.
/// `code` tells apart whose fault an answer was that the proxy blocked.
pub const fn haproxy(flags: &[u8], code: u16) -> Blame {
    let &[who, phase, ..] = flags else { return Blame::NOBODY };
    match (who, phase) {
        (b'-', _) => Blame::NOBODY,
        // Upper case: it closed or aborted. Lower case: its timeout struck.
        (b'C', b'R' | b'D' | b'C' | b'T' | b'L') => Blame::LEFT,
        (b'C', _) => Blame::IMPATIENT,
        (b'c', b'R' | b'D' | b'L') => Blame::CLIENT,
        // Queued too long: the balancer had no free slot.
        (b's', b'Q') => Blame::EDGE,
        (b'S' | b's', _) => Blame::BACKEND,
        // A denied or invalid request, a tarpit: refused by rule, not by fault.
        (b'P', b'R' | b'T') | (b'L', _) => Blame::LOCAL,
        // An answer the proxy could not let through: the server's where it says bad gateway.
        (b'P', b'H') if code == 502 => Blame::BACKEND,
        (b'P', b'H') if code == 400 => Blame::CLIENT,
        // Limits, exhausted resources and bugs of the balancer's own.
        (b'P' | b'R' | b'I', _) => Blame::EDGE,
        // A client that stalls while the server could be awaited too (`cH`), and what the
        // operator did: server taken down, up again, session killed.
        _ => Blame::NOBODY,
    }
}

/// Envoy's response flags, several with commas between them; `-` or nothing where there are none.
/// `code` 0: nothing was answered, the client left before.
pub fn envoy(flags: &[u8], code: u16) -> Blame {
    let mut whole = Blame::NOBODY;
    for flag in flags.split(|&byte| byte == b',') {
        let one = envoy_flag(flag.trim_ascii(), code);
        whole.blames = whole.blames.or(one.blames);
        whole.client_aborted |= one.client_aborted;
        whole.local |= one.local;
    }
    // A client that left while a server failed was sent away by the failure.
    if code == 0 && flags != b"-" && !flags.is_empty() {
        whole.client_aborted = true;
    }
    whole
}

fn envoy_flag(flag: &[u8], code: u16) -> Blame {
    match flag {
        // Left before any answer: who kept it waiting the phases tell.
        b"DC" | b"DR" if code == 0 => Blame::IMPATIENT,
        b"DC" | b"DR" => Blame::LEFT,
        b"DPE" | b"SI" => Blame::CLIENT,
        b"UF" | b"UC" | b"UR" | b"UT" | b"UPE" | b"LR" | b"DF" | b"UMSDR" => Blame::BACKEND,
        // No healthy server, or every retry failed.
        b"UH" | b"URX" => Blame::BACKEND,
        // The balancer's own circuit breaker, overload or missing configuration.
        b"UO" | b"NC" | b"OM" | b"DO" | b"UDO" | b"RLSE" => Blame::EDGE,
        // Policy, cache, faults that were asked for, its own health page.
        b"NR" | b"RL" | b"UAEX" | b"IH" | b"RFCF" | b"FI" | b"DI" | b"LH" => Blame::LOCAL,
        _ => Blame::NOBODY,
    }
}

/// An AWS ALB's codes: its own, and whether the target answered at all.
pub const fn alb(code: u16, target_answered: bool) -> Blame {
    match code {
        // The client closed before the target answered: it may have been kept waiting.
        460 => Blame::IMPATIENT,
        // Malformed, too long, or not read in time, as far as the balancer says it itself.
        400 | 408 | 413 | 414 | 431 | 463 | 464 if !target_answered => Blame::CLIENT,
        502 | 504 if !target_answered => Blame::BACKEND,
        _ => Blame::NOBODY,
    }
}

/// Cloudflare's own codes; `origin` is what the origin answered, 0 where it was not asked or said
/// nothing.
pub const fn cloudflare(code: u16, origin: u16) -> Blame {
    match code {
        499 => Blame::IMPATIENT,
        // Bad reply, refused, silent, unreachable, too slow, TLS, certificate.
        520..=526 => Blame::BACKEND,
        // Answered from the cache or by a rule.
        _ if origin == 0 => Blame::LOCAL,
        _ => Blame::NOBODY,
    }
}

/// nginx's codes; `kept_waiting` where a server had been asked and had not answered.
pub const fn nginx(code: u16, kept_waiting: bool) -> Blame {
    match code {
        499 if kept_waiting => Blame::IMPATIENT,
        499 => Blame::LEFT,
        // Headers too large, certificate wrong or missing, plain text to a TLS port.
        408 | 494..=497 => Blame::CLIENT,
        502 | 504 => Blame::BACKEND,
        _ => Blame::NOBODY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn haproxys_flags_point_where_the_manual_says() {
        let table: [(&str, u16, Blame); 33] = [
            ("----", 200, Blame::NOBODY),
            ("--", 0, Blame::NOBODY),
            ("--VN", 200, Blame::NOBODY),
            ("CR--", 400, Blame::LEFT),
            ("cR--", 408, Blame::CLIENT),
            ("CD--", 200, Blame::LEFT),
            ("cD--", 200, Blame::CLIENT),
            ("CC--", 503, Blame::LEFT),
            ("CT--", 500, Blame::LEFT),
            ("CL", 0, Blame::LEFT),
            ("CH--", 0, Blame::IMPATIENT),
            ("CQ--", 503, Blame::IMPATIENT),
            ("cH--", 408, Blame::NOBODY),
            ("SC--", 503, Blame::BACKEND),
            ("sC--", 503, Blame::BACKEND),
            ("SH--", 502, Blame::BACKEND),
            ("sH--", 504, Blame::BACKEND),
            ("SD--", 200, Blame::BACKEND),
            ("sD--", 200, Blame::BACKEND),
            ("sQ--", 503, Blame::EDGE),
            ("PC--", 503, Blame::EDGE),
            ("RC--", 503, Blame::EDGE),
            ("PD--", 200, Blame::EDGE),
            ("PH--", 502, Blame::BACKEND),
            ("PH--", 400, Blame::CLIENT),
            ("PH--", 500, Blame::EDGE),
            ("PR--", 403, Blame::LOCAL),
            ("PT--", 500, Blame::LOCAL),
            ("LR--", 302, Blame::LOCAL),
            ("DH--", 0, Blame::NOBODY),
            ("UD--", 200, Blame::NOBODY),
            ("KD--", 200, Blame::NOBODY),
            ("", 0, Blame::NOBODY),
        ];
        for (flags, code, blame) in table {
            assert_eq!(haproxy(flags.as_bytes(), code), blame, "{flags} {code}");
        }
    }

    #[test]
    fn envoys_flags_add_up() {
        let table: [(&str, u16, Blame); 11] = [
            ("-", 200, Blame::NOBODY),
            ("", 0, Blame::NOBODY),
            ("DC", 0, Blame::IMPATIENT),
            ("DC", 200, Blame::LEFT),
            ("UF,URX", 503, Blame::BACKEND),
            ("UT", 504, Blame::BACKEND),
            ("UO", 503, Blame::EDGE),
            ("NR", 404, Blame::LOCAL),
            ("SI", 408, Blame::CLIENT),
            ("UT,DC", 0, Blame { client_aborted: true, ..Blame::BACKEND }),
            ("XX", 200, Blame::NOBODY),
        ];
        for (flags, code, blame) in table {
            assert_eq!(envoy(flags.as_bytes(), code), blame, "{flags} {code}");
        }
    }

    #[test]
    fn codes_of_the_balancers_own_point_where_their_makers_say() {
        assert_eq!(alb(460, false), Blame::IMPATIENT);
        assert_eq!((alb(400, false), alb(400, true)), (Blame::CLIENT, Blame::NOBODY));
        assert_eq!((alb(502, false), alb(502, true)), (Blame::BACKEND, Blame::NOBODY));
        assert_eq!((cloudflare(522, 0), cloudflare(200, 200)), (Blame::BACKEND, Blame::NOBODY));
        assert_eq!((cloudflare(200, 0), cloudflare(499, 0)), (Blame::LOCAL, Blame::IMPATIENT));
        assert_eq!((nginx(499, true), nginx(499, false)), (Blame::IMPATIENT, Blame::LEFT));
        assert_eq!(
            (nginx(496, false), nginx(504, true), nginx(200, false)),
            (Blame::CLIENT, Blame::BACKEND, Blame::NOBODY)
        );
    }
}
