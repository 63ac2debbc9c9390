//! The machine's own way of resolving names: `/etc/resolv.conf` and `/etc/hosts`, read again
//! when they change.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// Name servers one machine is asked to use, as the C library has it (resolv.conf(5)).
const SERVERS_MAX: usize = 3;
/// Domains of the search list.
const SEARCH_MAX: usize = 6;
/// Bytes of either file that are read.
const FILE_BYTES_MAX: usize = 4 << 20;
const DNS_PORT: u16 = 53;

/// What the two files say, as of when they were changed last.
#[derive(Debug, Default)]
pub(crate) struct Machine {
    resolver: Mutex<Option<(Option<SystemTime>, Arc<Resolver>)>>,
    hosts: Mutex<Option<(Option<SystemTime>, Arc<Hosts>)>>,
}

impl Machine {
    /// What `/etc/resolv.conf` says.
    pub(crate) fn resolver(&self) -> Arc<Resolver> {
        fresh(&self.resolver, "/etc/resolv.conf", Resolver::parse)
    }

    /// What `/etc/hosts` says.
    pub(crate) fn hosts(&self) -> Arc<Hosts> {
        fresh(&self.hosts, "/etc/hosts", Hosts::parse)
    }
}

fn fresh<T>(
    kept: &Mutex<Option<(Option<SystemTime>, Arc<T>)>>,
    file: &str,
    parse: impl Fn(&str) -> T,
) -> Arc<T> {
    let changed = fs::metadata(file).and_then(|m| m.modified()).ok();
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((then, value)) = &*kept
        && *then == changed
    {
        return Arc::clone(value);
    }
    let mut bytes = fs::read(file).unwrap_or_default();
    bytes.truncate(FILE_BYTES_MAX);
    let value = Arc::new(parse(&String::from_utf8_lossy(&bytes)));
    *kept = Some((changed, Arc::clone(&value)));
    value
}

/// How names are asked for (resolv.conf(5)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resolver {
    /// Never empty: this machine's own where none is named.
    pub(crate) servers: Vec<SocketAddr>,
    pub(crate) search: Vec<String>,
    /// Dots from which on a name is asked for as it stands first.
    pub(crate) ndots: usize,
    /// How long one server is waited for.
    pub(crate) timeout: Duration,
    /// Rounds over the servers.
    pub(crate) attempts: usize,
}

impl Resolver {
    /// One server, asked again until time is up.
    pub(crate) fn of(server: SocketAddr) -> Self {
        let (search, timeout) = (Vec::new(), Duration::from_secs(2));
        Self { servers: vec![server], search, ndots: 1, timeout, attempts: 3 }
    }

    fn parse(text: &str) -> Self {
        let mut this = Self {
            servers: Vec::new(),
            search: Vec::new(),
            ndots: 1,
            timeout: Duration::from_secs(2),
            attempts: 2,
        };
        for line in text.lines() {
            let line = line.split(['#', ';']).next().unwrap_or_default();
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => this.servers.extend(words.next().and_then(server)),
                Some("search" | "domain") => {
                    // `search .`, as systemd-resolved writes it, is the name as it stands.
                    let domains = words.map(|domain| domain.trim_matches('.'));
                    let sound = domains.filter(|domain| domain.split('.').all(|l| !l.is_empty()));
                    this.search = sound.take(SEARCH_MAX).map(str::to_owned).collect();
                }
                Some("options") => words.for_each(|word| this.option(word)),
                Some(_) | None => {}
            }
        }
        this.servers.truncate(SERVERS_MAX);
        if this.servers.is_empty() {
            this.servers.push(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), DNS_PORT));
        }
        this
    }

    fn option(&mut self, word: &str) {
        let Some((name, value)) = word.split_once(':') else { return };
        let Ok(value) = value.parse::<u8>() else { return };
        match name {
            "ndots" => self.ndots = usize::from(value.min(15)),
            "timeout" => self.timeout = Duration::from_secs(value.clamp(1, 30).into()),
            "attempts" => self.attempts = usize::from(value.clamp(1, 5)),
            _ => {}
        }
    }

    /// The full names that `name` may mean, in the order in which to ask.
    pub(crate) fn candidates(&self, name: &str) -> Vec<String> {
        if name.ends_with('.') {
            return vec![name.to_owned()];
        }
        let whole = format!("{name}.");
        let mut searched: Vec<String> =
            self.search.iter().map(|domain| format!("{name}.{domain}.")).collect();
        let as_is_first = name.matches('.').count() >= self.ndots;
        searched.insert(if as_is_first { 0 } else { searched.len() }, whole);
        searched
    }
}

fn server(text: &str) -> Option<SocketAddr> {
    // A scope (`fe80::1%eth0`) is something we cannot bind to here.
    text.parse().ok().map(|ip| SocketAddr::new(ip, DNS_PORT))
}

/// Names the machine knows itself (hosts(5)).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hosts(Vec<(IpAddr, Vec<String>)>);

impl Hosts {
    fn parse(text: &str) -> Self {
        let line = |line: &str| {
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line.split_whitespace();
            let ip = words.next()?.parse().ok()?;
            Some((ip, words.map(str::to_ascii_lowercase).collect()))
        };
        Self(text.lines().filter_map(line).collect())
    }

    /// The addresses of `name`; `localhost` is always this machine (RFC 6761 section 6.3).
    pub(crate) fn addresses(&self, name: &str) -> Vec<IpAddr> {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let listed = self.0.iter().filter(|(_, names)| names.contains(&name));
        let mut found: Vec<IpAddr> = listed.map(|(ip, _)| *ip).collect();
        if found.is_empty() && (name == "localhost" || name.ends_with(".localhost")) {
            found = vec![Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()];
        }
        found
    }
}

/// For the fuzzer: no file breaks either reader.
pub fn fuzz_resolv_conf(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let resolver = Resolver::parse(&text);
    assert!(!resolver.servers.is_empty());
    for name in ["a", "a.b", "a."] {
        let candidates = resolver.candidates(name);
        assert!(candidates.contains(&format!("{}.", name.trim_end_matches('.'))));
        let empty = |name: &String| name.trim_end_matches('.').is_empty() || name.contains("..");
        assert!(candidates.iter().all(|name| name.ends_with('.')), "{candidates:?}");
        assert!(!candidates.iter().any(empty), "an empty label in {candidates:?}");
    }
    let _ = Hosts::parse(&text).addresses("localhost");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resolv_conf_is_read_as_the_c_library_reads_it() {
        let text = "# made by hand\nnameserver 192.0.2.1\nnameserver 2001:db8::1 # second\n\
                    nameserver fe80::1%eth0\nsearch a.example b.example\n\
                    options ndots:2 timeout:1 attempts:9 rotate\nnonsense\n";
        let resolver = Resolver::parse(text);
        let servers: Vec<String> = resolver.servers.iter().map(ToString::to_string).collect();
        assert_eq!(servers, ["192.0.2.1:53", "[2001:db8::1]:53"]);
        assert_eq!((resolver.ndots, resolver.attempts), (2, 5));
        assert_eq!(resolver.timeout, Duration::from_secs(1));
        assert_eq!(resolver.candidates("web"), ["web.a.example.", "web.b.example.", "web."]);
        assert_eq!(resolver.candidates("a.b.c")[0], "a.b.c.");
        assert_eq!(resolver.candidates("a.b."), ["a.b."]);
    }

    #[test]
    fn the_root_and_broken_domains_are_not_searched() {
        let resolver = Resolver::parse("search . a..b .lan. ..\n");
        assert_eq!(resolver.candidates("web"), ["web.lan.", "web."]);
        assert_eq!(Resolver::parse("search .\n").candidates("shop.example"), ["shop.example."]);
    }

    #[test]
    fn an_empty_resolv_conf_means_this_machine() {
        assert_eq!(Resolver::parse("").servers[0].to_string(), "127.0.0.1:53");
    }

    #[test]
    fn hosts_are_names_of_addresses() {
        let hosts =
            Hosts::parse("127.0.0.1 localhost\n::1 localhost # v6\n10.0.0.5 Web1 web1.lan\nx y\n");
        assert_eq!(
            hosts.addresses("WEB1.lan."),
            ["10.0.0.5".parse::<IpAddr>().expect("an address")]
        );
        assert_eq!(hosts.addresses("localhost").len(), 2);
        assert_eq!(hosts.addresses("shop.localhost").len(), 2);
        assert!(hosts.addresses("other").is_empty());
        fuzz_resolv_conf(b"nameserver\nsearch\noptions :\n\xff");
    }
}
