//! One incident: whose packets are wanted, from when to when, and why.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use whyslow_model::Wall;
use whyslow_wire::evidence::Trigger;
use whyslow_wire::segment::FlowKey;

/// Something whose packets are to be kept.
#[derive(Clone, Debug)]
pub struct Incident {
    /// Why.
    pub trigger: Trigger,
    /// On which interface; on every one that is recorded where it is not known.
    pub interface: Option<Arc<str>>,
    /// Whose.
    pub ends: Ends,
    /// The first moment that belongs to it.
    pub from: Wall,
    /// The last one; where it is not known, some time after it was noticed.
    pub to: Option<Wall>,
    /// When it was noticed.
    pub at: Wall,
    /// What happened, in a sentence without its full stop.
    pub text: String,
    /// What the configuration calls its cause; the trigger's own word where it says nothing.
    pub cause: Option<Arc<str>>,
    /// The log line that told of it, harmless to print.
    pub quote: Option<String>,
    /// What becomes of it.
    pub fate: Fate,
}

impl Incident {
    /// One of which nothing else is known.
    pub fn of(trigger: Trigger, ends: Ends, from: Wall, at: Wall, text: String) -> Self {
        let (interface, to, cause, quote) = (None, None, None, None);
        Self { trigger, interface, ends, from, to, at, text, cause, quote, fate: Fate::default() }
    }

    /// The word it is counted and limited under.
    pub fn cause(&self) -> &str {
        self.cause.as_deref().unwrap_or(self.trigger.as_str())
    }
}

/// What became of an incident, for whoever noticed it; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Fate {
    became: Arc<Mutex<Became>>,
    /// Where it is counted.
    fates: Fates,
}

/// What became of many incidents, for whoever noticed them; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Fates(Arc<Mutex<FateCounts>>);

/// Incidents by what became of them; those that wait are in none of these.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FateCounts {
    /// Incidents with files.
    pub kept: u64,
    /// Incidents without one, by why.
    pub not_kept: BTreeMap<&'static str, u64>,
}

/// What became of an incident.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Became {
    /// Its tail is yet to come.
    #[default]
    Waiting,
    /// Its packets are in these files.
    Kept {
        /// Their names.
        files: Vec<String>,
        /// Connections that matched, on all interfaces.
        candidates: u64,
    },
    /// It has no file: why.
    NotKept(&'static str),
}

impl Fate {
    /// What became of it until now.
    pub fn read(&self) -> Became {
        self.became.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What became of it on one interface gives way to what becomes of it on the next.
    pub(super) fn is(&self, became: Became) {
        let mut known = self.became.lock().unwrap_or_else(PoisonError::into_inner);
        self.fates.recount(&known, &became);
        *known = became;
    }
}

impl Fates {
    /// The fate of one more.
    pub fn one(&self) -> Fate {
        Fate { became: Arc::default(), fates: self.clone() }
    }

    /// How many had which until now.
    pub fn read(&self) -> FateCounts {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn recount(&self, was: &Became, is: &Became) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(n) = counts.of(was) {
            *n -= 1;
        }
        if let Some(n) = counts.of(is) {
            *n += 1;
        }
    }
}

impl FateCounts {
    fn of(&mut self, became: &Became) -> Option<&mut u64> {
        match became {
            Became::Waiting => None,
            Became::Kept { .. } => Some(&mut self.kept),
            Became::NotKept(why) => Some(self.not_kept.entry(why).or_default()),
        }
    }
}

/// What is known of a connection's ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    /// The address that opened it.
    pub client: Option<IpAddr>,
    /// The port it came from.
    pub client_port: Option<u16>,
    /// The address it was opened to.
    pub server: Option<IpAddr>,
    /// The port.
    pub server_port: Option<u16>,
}

impl Ends {
    /// Those of one connection.
    pub const fn of(flow: &FlowKey) -> Self {
        let FlowKey { client, server } = flow;
        Self {
            client: Some(client.ip()),
            client_port: Some(client.port()),
            server: Some(server.ip()),
            server_port: Some(server.port()),
        }
    }

    /// Whether these are all there is to know: then there is one connection at a time.
    pub const fn is_exact(&self) -> bool {
        let Self { client, client_port, server, server_port } = self;
        client.is_some() && client_port.is_some() && server.is_some() && server_port.is_some()
    }

    /// Whether a packet between these two may be of it, whichever way it goes.
    pub fn fit(&self, a: SocketAddr, b: SocketAddr) -> bool {
        self.fit_in_order(a, b) || self.fit_in_order(b, a)
    }

    /// The connection, where it is known.
    pub fn flow(&self) -> Option<FlowKey> {
        let server = SocketAddr::new(self.server?, self.server_port?);
        Some(FlowKey { client: self.client()?, server })
    }

    /// The client, where all of it is known.
    pub fn client(&self) -> Option<SocketAddr> {
        Some(SocketAddr::new(self.client?, self.client_port?))
    }

    /// The client, as far as it is known.
    pub fn client_text(&self) -> Option<String> {
        end(self.client, self.client_port)
    }

    /// The server, as far as it is known.
    pub fn server_text(&self) -> Option<String> {
        end(self.server, self.server_port)
    }

    /// Whether it may be the connection of this client to this server.
    pub(super) fn fit_in_order(&self, client: SocketAddr, server: SocketAddr) -> bool {
        let address = |known: Option<IpAddr>, is: SocketAddr| {
            known.is_none_or(|ip| ip.to_canonical() == is.ip().to_canonical())
        };
        let port = |known: Option<u16>, is: SocketAddr| known.is_none_or(|port| port == is.port());
        address(self.client, client)
            && port(self.client_port, client)
            && address(self.server, server)
            && port(self.server_port, server)
    }
}

/// One end, as far as it is known.
fn end(ip: Option<IpAddr>, port: Option<u16>) -> Option<String> {
    match (ip, port) {
        (Some(ip), Some(port)) => Some(SocketAddr::new(ip, port).to_string()),
        (Some(ip), None) => Some(ip.to_string()),
        (None, Some(port)) => Some(format!("port {port}")),
        (None, None) => None,
    }
}

impl fmt::Display for Ends {
    /// `client 192.0.2.7, server 10.0.0.1:443`: what is known.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = [("client", self.client_text()), ("server", self.server_text())];
        let mut known = known.iter().filter_map(|(what, end)| Some((what, end.as_ref()?)));
        if let Some((what, end)) = known.next() {
            write!(f, "{what} {end}")?;
        }
        known.try_for_each(|(what, end)| write!(f, ", {what} {end}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_must_fit_one_way_or_the_other() {
        let of = |text: &str| -> SocketAddr { text.parse().unwrap() };
        let (client, server) = (of("192.0.2.7:40000"), of("10.0.0.1:443"));
        let exact = Ends::of(&FlowKey { client, server });
        assert!(exact.is_exact() && exact.fit(client, server) && exact.fit(server, client));
        assert!(!exact.fit(of("192.0.2.7:40001"), server));
        let host = Ends { client: Some(client.ip()), ..Ends::default() };
        assert!(!host.is_exact() && host.fit(server, of("192.0.2.7:9")));
        assert!(!host.fit(server, of("192.0.2.8:9")));
        let swapped = Ends { client: Some(client.ip()), server_port: Some(40_000), ..host };
        assert!(!swapped.fit(client, server), "the port is that of the other end");
        assert_eq!(exact.to_string(), "client 192.0.2.7:40000, server 10.0.0.1:443");
        assert_eq!(host.to_string(), "client 192.0.2.7");
        assert_eq!(swapped.to_string(), "client 192.0.2.7, server port 40000");
        assert!(
            Ends { client: Some("::ffff:192.0.2.7".parse().unwrap()), ..host }.fit(client, server)
        );
    }
}
