//! A name's addresses: from the machine's own list, or by asking its name servers, or one that
//! is given.

use std::net::IpAddr;
use std::time::Duration;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RData;
use tokio::time::{Instant, timeout};
use whyslow_model::conversation::{DnsFault, NameServerTry, ResolveAsk, ResolveFault, Resolved};
use whyslow_model::limits;
use whyslow_sys::clock::mono;

use crate::Dial;
use crate::dns::{self, Question, Way, rcode_name};
use crate::machine::Resolver;

/// How long the answer for one family waits for the other's (RFC 8305 section 3).
const RESOLUTION_DELAY: Duration = Duration::from_millis(50);

impl Dial {
    /// Finds the addresses of a name.
    pub async fn resolve(&self, ask: &ResolveAsk) -> Resolved {
        let began = mono();
        let mut resolved =
            Resolved { began, ended: began, addresses: Vec::new(), fault: None, tries: Vec::new() };
        if ask.server.is_none() {
            let known = self.machine.hosts().addresses(&ask.name);
            let wanted = known.into_iter().filter(|ip| if ip.is_ipv4() { ask.v4 } else { ask.v6 });
            resolved.addresses = wanted.collect();
        }
        if resolved.addresses.is_empty() {
            let resolver = match ask.server {
                Some(server) => Resolver::of(server),
                None => (*self.machine.resolver()).clone(),
            };
            let end = Instant::now() + ask.timeout;
            match search(&resolver, ask, end, &mut resolved.tries).await {
                Ok(addresses) => resolved.addresses = addresses,
                Err(fault) => resolved.fault = Some(fault),
            }
        }
        resolved.addresses.truncate(limits::ADDRESSES_MAX);
        resolved.ended = mono();
        resolved
    }
}

/// Asks for each name that may be meant, until one has addresses.
async fn search(
    resolver: &Resolver,
    ask: &ResolveAsk,
    end: Instant,
    tries: &mut Vec<NameServerTry>,
) -> Result<Vec<IpAddr>, ResolveFault> {
    let mut last = ResolveFault::NoSuchName;
    for name in resolver.candidates(&ask.name) {
        match lookup(resolver, &name, ask, end, tries).await {
            Ok(addresses) => return Ok(addresses),
            Err(fault @ (ResolveFault::NoSuchName | ResolveFault::NoAddress)) => {
                // That the name exists says more than that another does not.
                if last == ResolveFault::NoSuchName {
                    last = fault;
                }
            }
            Err(fault) => return Err(fault),
        }
    }
    Err(last)
}

/// Asks one server after the other, round after round, until one gives an answer that counts.
async fn lookup(
    resolver: &Resolver,
    name: &str,
    ask: &ResolveAsk,
    end: Instant,
    tries: &mut Vec<NameServerTry>,
) -> Result<Vec<IpAddr>, ResolveFault> {
    let mut last = ResolveFault::TimedOut;
    for _ in 0..resolver.attempts {
        for server in &resolver.servers {
            let began = mono();
            let until = end.min(Instant::now() + resolver.timeout);
            let way = Way { server: *server, source: None, end: until, again: resolver.timeout };
            let answer = both(&way, name, ask).await;
            let text = describe(name, ask, &answer);
            tries.push(NameServerTry { server: *server, text, began, ended: mono() });
            match answer {
                Err(
                    fault @ (ResolveFault::TimedOut
                    | ResolveFault::ServerFailed(_)
                    | ResolveFault::Malformed(_)
                    | ResolveFault::Unreachable(_)),
                ) => last = heavier(last, fault),
                decided => return decided,
            }
            if Instant::now() >= end || tries.len() >= limits::NAME_SERVER_TRIES_MAX {
                return Err(last);
            }
        }
    }
    Err(last)
}

/// What a server said outweighs that another said nothing.
fn heavier(before: ResolveFault, now: ResolveFault) -> ResolveFault {
    if now == ResolveFault::TimedOut { before } else { now }
}

fn describe(name: &str, ask: &ResolveAsk, answer: &Result<Vec<IpAddr>, ResolveFault>) -> String {
    let kinds = match (ask.v4, ask.v6) {
        (true, true) => "A and AAAA",
        (false, true) => "AAAA",
        (true | false, false) => "A",
    };
    match answer {
        Ok(addresses) => format!("{name} {kinds}: {} addresses", addresses.len()),
        Err(fault) => format!("{name} {kinds}: {fault}"),
    }
}

/// Asks for both families at once; the second to answer is waited for a moment only.
async fn both(way: &Way, name: &str, ask: &ResolveAsk) -> Result<Vec<IpAddr>, ResolveFault> {
    if !ask.v6 {
        return family(way, name, "A").await;
    }
    if !ask.v4 {
        return family(way, name, "AAAA").await;
    }
    let (mut v4, mut v6) =
        (std::pin::pin!(family(way, name, "A")), std::pin::pin!(family(way, name, "AAAA")));
    let (first, second) = tokio::select! {
        biased;
        first = &mut v6 => { let wait = timeout_of(&first); (first, late(wait, &mut v4).await) }
        first = &mut v4 => { let wait = timeout_of(&first); (first, late(wait, &mut v6).await) }
    };
    merged(first, second)
}

/// How long the other family is waited for after this one's answer.
fn timeout_of(first: &Result<Vec<IpAddr>, ResolveFault>) -> Option<Duration> {
    first.is_ok().then_some(RESOLUTION_DELAY)
}

async fn late(
    wait: Option<Duration>,
    other: impl Future<Output = Result<Vec<IpAddr>, ResolveFault>>,
) -> Option<Result<Vec<IpAddr>, ResolveFault>> {
    match wait {
        Some(wait) => timeout(wait, other).await.ok(),
        None => Some(other.await),
    }
}

fn merged(
    first: Result<Vec<IpAddr>, ResolveFault>,
    second: Option<Result<Vec<IpAddr>, ResolveFault>>,
) -> Result<Vec<IpAddr>, ResolveFault> {
    match (first, second) {
        (Ok(mut a), Some(Ok(b))) => {
            a.extend(b);
            Ok(a)
        }
        (Ok(a), _) => Ok(a),
        (Err(_), Some(Ok(b))) => Ok(b),
        // One family out of order and the other merely absent: what is out of order counts.
        (Err(ResolveFault::NoAddress), Some(Err(b))) => Err(b),
        (Err(a), _) => Err(a),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "a foreign enum that grows")]
async fn family(way: &Way, name: &str, record: &str) -> Result<Vec<IpAddr>, ResolveFault> {
    let question = Question::new(name, record).map_err(fault)?;
    let mut scratch = dns::blank(way.server, mono());
    let message = question.put(way, false, &mut scratch).await.map_err(fault)?;
    match message.metadata.response_code {
        ResponseCode::NoError => {
            let found = addresses(&message);
            if found.is_empty() { Err(ResolveFault::NoAddress) } else { Ok(found) }
        }
        ResponseCode::NXDomain => Err(ResolveFault::NoSuchName),
        other => Err(ResolveFault::ServerFailed(rcode_name(other))),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "a foreign enum that grows")]
fn addresses(message: &Message) -> Vec<IpAddr> {
    let address = |data: &RData| match data {
        RData::A(v4) => Some(IpAddr::V4(v4.0)),
        RData::AAAA(v6) => Some(IpAddr::V6(v6.0)),
        _ => None,
    };
    message.answers.iter().filter_map(|r| address(&r.data)).collect()
}

fn fault(fault: DnsFault) -> ResolveFault {
    match fault {
        DnsFault::TimedOut => ResolveFault::TimedOut,
        DnsFault::Refused => ResolveFault::Unreachable("nothing listens there".to_owned()),
        DnsFault::Reset => ResolveFault::Unreachable("the connection was cut".to_owned()),
        DnsFault::Unreachable(what) => ResolveFault::Unreachable(what),
        DnsFault::Malformed(what) | DnsFault::Local(what) => ResolveFault::Malformed(what),
    }
}
