//! Termination and response flags to the segment they point at. An ambiguous flag points at none:
//! wrong but sure is the worst answer there is.

use whyslow_model::Segment;

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
}
