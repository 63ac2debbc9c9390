//! Which server of the configuration an address belongs to.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::config::Config;

/// The configured servers, by address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Names {
    exact: BTreeMap<SocketAddr, Arc<str>>,
    any_port: BTreeMap<IpAddr, Arc<str>>,
}

impl Names {
    /// Those of one service, or of all where none is named; where several have one address the
    /// first counts.
    pub(super) fn of(config: &Config, service: Option<&str>) -> Self {
        let mut names = Self::default();
        let services = config.services.iter().filter(|(n, _)| service.is_none_or(|s| s == *n));
        for (name, server) in services.flat_map(|(_, service)| &service.servers) {
            for address in &server.addresses {
                let Some(ip) = address.ip() else { continue };
                let name = Arc::from(name.as_str());
                match address.port {
                    Some(port) => names.exact.entry(SocketAddr::new(ip, port)).or_insert(name),
                    None => names.any_port.entry(ip).or_insert(name),
                };
            }
        }
        names
    }

    /// The server's name, or its address where it has none.
    pub(super) fn name(&self, address: SocketAddr) -> Arc<str> {
        let known = self.exact.get(&address).or_else(|| self.any_port.get(&address.ip()));
        known.map_or_else(|| Arc::from(address.to_string()), Arc::clone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_with_its_port_comes_before_one_without() {
        let config: Config = serde_json::from_str(
            r#"{"services": {"shop": {"servers": {
                "web1": {"addresses": ["10.0.0.5:443"]},
                "web2": {"addresses": ["10.0.0.5", "[2001:db8::1]:443"]}}},
              "other": {"servers": {"web3": {"addresses": ["10.0.0.9"]}}}}}"#,
        )
        .unwrap();
        let names = Names::of(&config, Some("shop"));
        let name = |address: &str| names.name(address.parse().unwrap()).to_string();
        assert_eq!(name("10.0.0.5:443"), "web1");
        assert_eq!(name("10.0.0.5:8443"), "web2");
        assert_eq!(name("[2001:db8::1]:443"), "web2");
        assert_eq!(name("10.0.0.9:443"), "10.0.0.9:443");
        assert_eq!(&*Names::of(&config, None).name("10.0.0.9:443".parse().unwrap()), "web3");
    }
}
