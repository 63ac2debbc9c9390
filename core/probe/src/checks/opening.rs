//! The way to an open connection: resolve, connect, shake hands. What http, tls and tcp share.

use std::net::{IpAddr, SocketAddr};

use whyslow_model::conversation::{
    ConnectAsk, ConnectFault, Connected, ResolveAsk, ResolveFault, Resolved, TlsAsk, TlsDone,
    TlsFault, Trust,
};
use whyslow_model::{Phase, limits};

use super::ledger::{Ledger, ms};
use super::{Step, Told};
use crate::certificate;
use crate::codes::{self, Code};
use crate::expect::CERTIFICATE_DAYS;
use crate::guard;
use crate::spec::{Addresses, CheckSpec, Family, HostPort};

/// The port name servers listen on.
pub(super) const DNS_PORT: u16 = 53;

/// A connection on its way.
#[derive(Debug)]
pub(super) struct Opening {
    host: String,
    port: u16,
    /// The name to shake hands for, and the protocols to offer; `None` for a bare connection.
    tls: Option<(String, Vec<&'static str>)>,
    /// The peer that redirected us here.
    redirected_by: Option<IpAddr>,
    stage: Stage,
    /// Where it ended up.
    pub(super) remote: Option<SocketAddr>,
    /// And from where.
    pub(super) local: Option<SocketAddr>,
    /// The protocol chosen by ALPN.
    pub(super) alpn: Option<String>,
}

#[derive(Debug)]
enum Stage {
    Resolving,
    Connecting(Vec<SocketAddr>),
    Greeting,
    Open,
    Failed,
}

/// What an opening asks for next.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "handed on at once, a few times in a run")]
pub(super) enum Progress {
    /// This, first.
    Step(Step),
    /// Nothing: the connection stands.
    Open,
    /// Nothing: it has failed, and the ledger says why.
    Failed,
}

impl Opening {
    /// A connection to `host`, or to what `instead` names.
    pub(super) fn new(host: &str, port: u16, instead: Option<&HostPort>) -> Self {
        let (host, port) = match instead {
            Some(other) => (other.host.as_str(), other.port.unwrap_or(port)),
            None => (host, port),
        };
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let stage = match bare.parse::<IpAddr>() {
            Ok(ip) => Stage::Connecting(vec![SocketAddr::new(ip, port)]),
            Err(_) => Stage::Resolving,
        };
        Self {
            host: bare.to_owned(),
            port,
            tls: None,
            redirected_by: None,
            stage,
            remote: None,
            local: None,
            alpn: None,
        }
    }

    /// With a TLS handshake for `name`.
    pub(super) fn with_tls(mut self, name: String, alpn: Vec<&'static str>) -> Self {
        self.tls = Some((name, alpn));
        self
    }

    /// To one address, already known.
    pub(super) fn pinned(mut self, address: Option<SocketAddr>) -> Self {
        if let Some(address) = address {
            self.stage = Stage::Connecting(vec![address]);
        }
        self
    }

    /// Where a redirect got from `peer` leads; it may not lead inwards.
    pub(super) fn redirected_by(mut self, peer: Option<IpAddr>) -> Self {
        self.redirected_by = peer;
        self
    }

    pub(super) fn progress(&mut self, ledger: &mut Ledger) -> Progress {
        match &self.stage {
            Stage::Resolving => Progress::Step(Step::Resolve(self.resolve_ask(ledger))),
            Stage::Connecting(addresses) => {
                let allowed = self.allowed(addresses, ledger);
                if allowed.is_empty() {
                    self.stage = Stage::Failed;
                    return Progress::Failed;
                }
                Progress::Step(Step::Connect(ConnectAsk {
                    addresses: allowed,
                    source: ledger.spec().source,
                    timeout: ledger.left(Phase::Connect),
                }))
            }
            Stage::Greeting => match &self.tls {
                Some((name, alpn)) => Progress::Step(Step::Tls(TlsAsk {
                    name: name.clone(),
                    alpn: alpn.clone(),
                    trust: trust(ledger.spec()),
                    timeout: ledger.left(Phase::Tls),
                })),
                None => Progress::Open,
            },
            Stage::Open => Progress::Open,
            Stage::Failed => Progress::Failed,
        }
    }

    pub(super) fn handle(&mut self, told: &Told, ledger: &mut Ledger) {
        self.stage = match told {
            Told::Resolved(done) => self.resolved(done, ledger),
            Told::Connected(done) => self.connected(done, ledger),
            Told::Tls(done) => self.greeted(done, ledger),
            Told::Http(_) | Told::Dns(_) | Told::Ping(_) => Stage::Failed,
        };
    }

    fn resolve_ask(&self, ledger: &Ledger) -> ResolveAsk {
        let spec = ledger.spec();
        ResolveAsk {
            name: self.host.clone(),
            v4: spec.family != Family::Ipv6,
            v6: spec.family != Family::Ipv4,
            server: spec.resolver.as_ref().and_then(|server| server.socket(DNS_PORT)),
            timeout: ledger.left(Phase::Resolve),
        }
    }

    fn resolved(&self, done: &Resolved, ledger: &mut Ledger) -> Stage {
        ledger.spend(Phase::Resolve, done.ended);
        if let Some(fault) = &done.fault {
            let (code, message) = resolve_failure(fault, &self.host, done);
            ledger.fail(code, Some(Phase::Resolve), message);
            return Stage::Failed;
        }
        let usable = done.addresses.iter().filter(|ip| ledger.spec().family.allows(**ip));
        let all: Vec<SocketAddr> = usable.map(|ip| SocketAddr::new(*ip, self.port)).collect();
        let mut ordered = interleaved(&all);
        ordered.truncate(limits::ADDRESSES_MAX);
        if ordered.is_empty() {
            let message = format!("{} has no address of the wanted family", self.host);
            ledger.fail(&codes::RESOLVE_NO_ADDRESS, Some(Phase::Resolve), message);
            return Stage::Failed;
        }
        if ledger.spec().addresses == Addresses::All && self.redirected_by.is_none() {
            ledger.set_addresses(ordered.split_off(1));
        }
        Stage::Connecting(ordered)
    }

    /// The addresses a redirect may lead to; all of them where it is none.
    fn allowed(&self, addresses: &[SocketAddr], ledger: &mut Ledger) -> Vec<SocketAddr> {
        let Some(peer) = self.redirected_by else { return addresses.to_vec() };
        let allowed: Vec<SocketAddr> =
            addresses.iter().filter(|a| guard::refusal(peer, a.ip()).is_none()).copied().collect();
        if let (true, Some(first)) = (allowed.is_empty(), addresses.first()) {
            let why = guard::refusal(peer, first.ip()).unwrap_or("refused space");
            let at = first.ip().to_string();
            let to = if at == self.host { at } else { format!("{} at {at}", self.host) };
            let message = format!("a redirect from {peer} leads to {to}: {why}");
            ledger.fail(&codes::REDIRECT_REFUSED, Some(Phase::Resolve), message);
        }
        allowed
    }

    fn connected(&mut self, done: &Connected, ledger: &mut Ledger) -> Stage {
        ledger.spend(Phase::Connect, done.ended);
        let winner = done.attempts.iter().find(|a| Some(a.address) == done.remote);
        let again = winner.or(done.attempts.last()).map(|a| a.syn_retransmits);
        ledger.tcp(done.tcp, again);
        let shown = done.remote.or(done.attempts.first().map(|a| a.address));
        ledger.amend(|exchange| {
            exchange.remote = shown.map(|a| a.to_string());
            exchange.local = done.local.map(|a| a.to_string());
        });
        if let Some(fault) = &done.fault {
            let (code, message) = connect_failure(fault, done);
            ledger.fail(code, Some(Phase::Connect), message);
            return Stage::Failed;
        }
        (self.remote, self.local) = (done.remote, done.local);
        if self.tls.is_some() { Stage::Greeting } else { Stage::Open }
    }

    fn greeted(&mut self, done: &TlsDone, ledger: &mut Ledger) -> Stage {
        ledger.spend(Phase::Tls, done.ended);
        ledger.tcp(done.tcp, None);
        let name = self.tls.as_ref().map_or("", |(name, _)| name.as_str());
        let judged = certificate::judge(done, name, ledger.wall());
        ledger.tls(done, &judged);
        if let Some(fault) = &done.fault {
            let (code, message) = tls_failure(fault, done);
            ledger.fail(code, Some(Phase::Tls), message);
            return Stage::Failed;
        }
        let insecure = ledger.spec().insecure;
        if let (Some(problem), false) = (judged.problems.first(), insecure) {
            ledger.fail(problem.code, Some(Phase::Tls), judged.text());
            return Stage::Failed;
        }
        warn_of_expiry(&judged, name, ledger);
        self.alpn.clone_from(&done.alpn);
        Stage::Open
    }
}

pub(super) fn trust(spec: &CheckSpec) -> Trust {
    let client = spec.client_certificate.as_ref();
    Trust {
        ca_file: spec.ca_file.clone(),
        client: client.map(|c| (c.certificate.clone(), c.key.clone())),
    }
}

fn warn_of_expiry(judged: &certificate::Judgement, name: &str, ledger: &mut Ledger) {
    let limit = ledger.spec().expect.certificate_days.unwrap_or(CERTIFICATE_DAYS);
    let Some(days) = judged.days_left(ledger.wall()) else { return };
    if (0..i64::from(limit)).contains(&days) {
        let day = judged.not_after.map(certificate::day).unwrap_or_default();
        let days = if days == 1 { "1 day".to_owned() } else { format!("{days} days") };
        ledger.warn(format!("the certificate of {name} ends in {days}, on {day}"));
    }
}

/// The families in turn, IPv6 first (RFC 8305 section 4).
fn interleaved(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let mut v6 = addresses.iter().filter(|a| a.is_ipv6());
    let mut v4 = addresses.iter().filter(|a| a.is_ipv4());
    let mut ordered = Vec::with_capacity(addresses.len());
    loop {
        let pair = [v6.next(), v4.next()];
        if pair.iter().all(Option::is_none) {
            return ordered;
        }
        ordered.extend(pair.into_iter().flatten());
    }
}

fn resolve_failure(fault: &ResolveFault, host: &str, done: &Resolved) -> (&'static Code, String) {
    let by = done.tries.last().map(|t| format!(" (asked {})", t.server)).unwrap_or_default();
    match fault {
        ResolveFault::NoSuchName => {
            (&codes::RESOLVE_NXDOMAIN, format!("{host} does not exist: NXDOMAIN{by}"))
        }
        ResolveFault::NoAddress => {
            (&codes::RESOLVE_NO_ADDRESS, format!("{host} has no address of the wanted family{by}"))
        }
        ResolveFault::ServerFailed(rcode) => {
            (&codes::RESOLVE_SERVFAIL, format!("the name server says {rcode} for {host}{by}"))
        }
        ResolveFault::TimedOut => (
            &codes::RESOLVE_TIMEOUT,
            format!(
                "no answer for {host} from {} in {}",
                servers(done),
                seconds(ms(done.ended.since(done.began)))
            ),
        ),
        ResolveFault::Malformed(what) => {
            (&codes::RESOLVE_MALFORMED, format!("no sound answer for {host}: {what}{by}"))
        }
        ResolveFault::Unreachable(what) => {
            (&codes::RESOLVE_UNREACHABLE, format!("no way to ask for {host}: {what}{by}"))
        }
    }
}

fn servers(done: &Resolved) -> String {
    let mut all: Vec<String> = done.tries.iter().map(|t| t.server.to_string()).collect();
    all.dedup();
    all.sort();
    all.dedup();
    if all.is_empty() { "any name server".to_owned() } else { all.join(", ") }
}

fn connect_failure(fault: &ConnectFault, done: &Connected) -> (&'static Code, String) {
    let at = match done.attempts.as_slice() {
        [one] => one.address.to_string(),
        several => {
            let all: Vec<String> = several.iter().map(|a| a.address.to_string()).collect();
            all.join(", ")
        }
    };
    match fault {
        ConnectFault::Refused => (&codes::CONNECT_REFUSED, format!("{at} refuses the connection")),
        ConnectFault::TimedOut => {
            let syns: u32 = done.attempts.iter().map(|a| a.syn_retransmits + 1).sum();
            let syns = if syns == 1 { "1 SYN".to_owned() } else { format!("{syns} SYNs") };
            let took = seconds(ms(done.ended.since(done.began)));
            (&codes::CONNECT_TIMEOUT, format!("no answer to {syns} in {took} from {at}"))
        }
        ConnectFault::Unreachable(what) => {
            (&codes::CONNECT_UNREACHABLE, format!("no way to {at}: {what}"))
        }
        ConnectFault::Reset => {
            (&codes::RESET, format!("{at} cut the connection while it was made"))
        }
        ConnectFault::Local(what) => (&codes::LOCAL_FAILURE, format!("cannot connect: {what}")),
    }
}

fn tls_failure(fault: &TlsFault, done: &TlsDone) -> (&'static Code, String) {
    match fault {
        TlsFault::TimedOut => (
            &codes::TLS_TIMEOUT,
            format!(
                "the TLS handshake did not end in {}",
                seconds(ms(done.ended.since(done.began)))
            ),
        ),
        TlsFault::Reset => {
            (&codes::RESET, "the peer reset the connection in the TLS handshake".to_owned())
        }
        TlsFault::Closed => {
            (&codes::CLOSED, "the peer closed the connection in the TLS handshake".to_owned())
        }
        TlsFault::Alert(alert) => {
            (&codes::TLS_ALERT, format!("the peer refused the TLS handshake: {alert}"))
        }
        TlsFault::Malformed(what) => {
            (&codes::TLS_MALFORMED, format!("the peer does not speak sound TLS: {what}"))
        }
        TlsFault::BadSignature => (
            &codes::TLS_BAD_SIGNATURE,
            "the peer cannot prove that it holds the certificate's key".to_owned(),
        ),
        TlsFault::Local(what) => (&codes::LOCAL_FAILURE, what.clone()),
    }
}

/// `0.25 s`, `5 s`, `12.1 s`.
pub(super) fn seconds(ms: f64) -> String {
    if ms < 1000.0 {
        return format!("{ms:.0} ms");
    }
    let text = format!("{:.1}", ms / 1000.0);
    format!("{} s", text.strip_suffix(".0").unwrap_or(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_take_turns_ipv6_first() {
        let all: Vec<SocketAddr> =
            ["1.1.1.1:1", "2.2.2.2:1", "3.3.3.3:1", "[::1]:1"].map(|a| a.parse().expect(a)).into();
        let order: Vec<String> = interleaved(&all).iter().map(ToString::to_string).collect();
        assert_eq!(order, ["[::1]:1", "1.1.1.1:1", "2.2.2.2:1", "3.3.3.3:1"]);
    }
}
