//! The demo's client networks. Loopback owns all of 127.0.0.0/8, so each network is a prefix of it
//! and a client's network is the source address it connects from. Numbers and names are invented:
//! the AS numbers are those set aside for documentation (RFC 5398).

use std::net::{IpAddr, Ipv4Addr};

/// One invented network.
#[derive(Clone, Copy, Debug)]
pub struct Network {
    /// The second byte of its 127.x.0.0/16.
    pub second_byte: u8,
    /// Its AS number.
    pub asn: u32,
    /// Its name.
    pub name: &'static str,
    /// Its country's ISO 3166 code.
    pub country: &'static str,
    /// The vantage inside it.
    pub vantage: &'static str,
}

/// The networks that simulated clients come from.
pub const NETWORKS: [Network; 3] = [
    Network {
        second_byte: 64,
        asn: 64_501,
        name: "Home & Harbour (demo)",
        country: "GB",
        vantage: "demo-harbour",
    },
    Network {
        second_byte: 65,
        asn: 64_502,
        name: "Northline (demo)",
        country: "GB",
        vantage: "demo-northline",
    },
    Network {
        second_byte: 66,
        asn: 64_503,
        name: "Rheinkabel (demo)",
        country: "DE",
        vantage: "demo-rheinkabel",
    },
];

impl Network {
    /// The address its clients connect from.
    pub const fn source(&self) -> Ipv4Addr {
        Ipv4Addr::new(127, self.second_byte, 0, 10)
    }

    /// Whether `address` lies inside.
    pub fn holds(&self, address: IpAddr) -> bool {
        matches!(address, IpAddr::V4(v4) if v4.octets()[..2] == [127, self.second_byte])
    }
}

/// The networks as rows `first,last,asn,name` for `whyslow asn import`.
pub fn asn_csv() -> String {
    NETWORKS.iter().fold(String::new(), |rows, n| {
        let b = n.second_byte;
        rows + &format!("127.{b}.0.0,127.{b}.255.255,{},{}\n", n.asn, n.name)
    })
}

/// The networks as rows `first,last,country` for `whyslow asn import`.
pub fn country_csv() -> String {
    NETWORKS.iter().fold(String::new(), |rows, n| {
        let b = n.second_byte;
        rows + &format!("127.{b}.0.0,127.{b}.255.255,{}\n", n.country)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_source_lies_in_its_own_network_only() {
        for a in &NETWORKS {
            for b in &NETWORKS {
                assert_eq!(b.holds(a.source().into()), a.asn == b.asn);
            }
        }
        assert!(NETWORKS.iter().all(|n| !n.holds(Ipv4Addr::LOCALHOST.into())));
    }
}
