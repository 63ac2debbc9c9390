//! Whose a client's address is.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use whyslow_model::asn::AsnTable;

use crate::record::Record;
use crate::row::{ClientAsn, ClientPrefix};

/// The network the source itself names, else the one the table knows.
pub(crate) fn network_of(record: &Record<'_>, asn: Option<&AsnTable>) -> ClientAsn {
    let looked_up = || asn?.lookup(record.client?)?.asn;
    record.client_asn.or_else(looked_up).map_or(ClientAsn::Unknown, ClientAsn::As)
}

/// The /24 or /48 of an address.
pub(crate) fn prefix_of(client: Option<IpAddr>) -> ClientPrefix {
    let net = match client.map(|c| c.to_canonical()) {
        Some(IpAddr::V4(a)) => Ipv4Net::new(a, 24).map(|n| IpNet::V4(n.trunc())),
        Some(IpAddr::V6(a)) => Ipv6Net::new(a, 48).map(|n| IpNet::V6(n.trunc())),
        None => return ClientPrefix::Unknown,
    };
    net.map_or(ClientPrefix::Unknown, ClientPrefix::Net)
}
