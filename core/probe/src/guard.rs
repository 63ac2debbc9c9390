//! Where a redirect may lead. A service under watch may be hostile, and the machine that
//! watches stands inside somebody's network: a redirect must not turn it into a way in.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How far inside an address lies; a redirect may only lead outwards or stay at its level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// Anybody can reach it.
    Public,
    /// A site's own space: RFC 1918, RFC 6598 (shared), RFC 4193 (unique local).
    Private,
    /// This machine.
    Loopback,
    /// This link, where clouds keep their metadata (RFC 3927, RFC 4291), or no host at all:
    /// unspecified, multicast, reserved.
    Never,
}

/// How far inside `ip` lies, an IPv4 address within an IPv6 one counting as itself.
pub fn reach(ip: IpAddr) -> Reach {
    match ip {
        IpAddr::V4(v4) => reach4(v4),
        IpAddr::V6(v6) => reach6(v6),
    }
}

/// Why a redirect, got over a connection to `from`, must not lead to `to`.
pub fn refusal(from: IpAddr, to: IpAddr) -> Option<&'static str> {
    match (reach(from), reach(to)) {
        (_, Reach::Never) => Some("link-local, metadata or reserved space"),
        (Reach::Public, Reach::Private) => Some("private space, from a public address"),
        (Reach::Public, Reach::Loopback) => Some("this machine, from a public address"),
        (Reach::Private, Reach::Loopback) => Some("this machine, from a private address"),
        (Reach::Public | Reach::Private | Reach::Loopback | Reach::Never, _) => None,
    }
}

fn reach4(ip: Ipv4Addr) -> Reach {
    if METADATA_V4.contains(&ip) {
        return Reach::Never;
    }
    let [a, b, c, _] = ip.octets();
    match (a, b, c) {
        (127, _, _) => Reach::Loopback,
        (10, _, _) | (192, 168, _) => Reach::Private,
        (172, 16..=31, _) | (100, 64..=127, _) => Reach::Private,
        // RFC 2544 (benchmarks) is somebody's laboratory.
        (198, 18..=19, _) => Reach::Private,
        (169, 254, _) | (0, _, _) | (192, 0, 0) | (224.., _, _) => Reach::Never,
        _ => Reach::Public,
    }
}

fn reach6(ip: Ipv6Addr) -> Reach {
    if ip == Ipv6Addr::LOCALHOST {
        return Reach::Loopback;
    }
    if let Some(v4) = embedded(ip) {
        return reach4(v4);
    }
    let head = ip.segments()[0];
    match head {
        // AWS keeps its metadata in unique local space.
        0xfd00 if ip == METADATA_V6 => Reach::Never,
        0xfc00..=0xfdff => Reach::Private,
        // Site-local, deprecated by RFC 3879 and still routed here and there.
        0xfec0..=0xfeff => Reach::Private,
        0xfe80..=0xfebf | 0xff00..=0xffff => Reach::Never,
        0 if ip.is_unspecified() => Reach::Never,
        _ => Reach::Public,
    }
}

/// Metadata services outside the link-local range: Alibaba's, and Azure's wire server.
const METADATA_V4: [Ipv4Addr; 2] =
    [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(168, 63, 129, 16)];

const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

/// The IPv4 address that a packet to `ip` ends at: mapped and compatible (RFC 4291), NAT64
/// (RFC 6052 and RFC 8215), 6to4 (RFC 3056), Teredo's client (RFC 4380), ISATAP (RFC 5214).
fn embedded(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let s = ip.segments();
    let last = v4(s[6], s[7]);
    match s {
        [0, 0, 0, 0, 0, 0xffff, ..] | [0, 0, 0, 0, 0xffff, 0, ..] => Some(last),
        [0, 0, 0, 0, 0, 0, high, low] if (high, low) > (0, 1) => Some(last),
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => Some(last),
        // RFC 8215 leaves the prefix length open; the usual one is /96.
        [0x64, 0xff9b, 1, ..] => Some(last),
        [0x2002, high, low, ..] => Some(v4(high, low)),
        [0x2001, 0, ..] => Some(v4(!s[6], !s[7])),
        [_, _, _, _, 0 | 0x200, 0x5efe, ..] => Some(last),
        _ => None,
    }
}

fn v4(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low))
}

/// For the fuzzer: every pair of addresses has an answer, and a mapped address has that of the
/// address within.
pub fn fuzz_guard(bytes: &[u8]) {
    let Some(four) = bytes.first_chunk::<4>() else { return };
    let inside = Ipv4Addr::from(*four);
    let mapped = IpAddr::V6(inside.to_ipv6_mapped());
    assert_eq!(reach(mapped), reach(IpAddr::V4(inside)));
    if let Some(sixteen) = bytes.first_chunk::<16>() {
        let _ = refusal(IpAddr::V4(inside), IpAddr::V6(Ipv6Addr::from(*sixteen)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_space_has_its_reach_in_every_spelling() {
        let cases = [
            ("93.184.216.34", Reach::Public),
            ("2606:4700::1", Reach::Public),
            ("172.32.0.1", Reach::Public),
            ("100.128.0.1", Reach::Public),
            ("10.1.2.3", Reach::Private),
            ("172.16.0.1", Reach::Private),
            ("172.31.255.255", Reach::Private),
            ("192.168.1.1", Reach::Private),
            ("100.64.0.1", Reach::Private),
            ("fd12::1", Reach::Private),
            ("fec0::1", Reach::Private),
            ("127.0.0.1", Reach::Loopback),
            ("127.8.9.1", Reach::Loopback),
            ("::1", Reach::Loopback),
            ("169.254.169.254", Reach::Never),
            ("168.63.129.16", Reach::Never),
            ("100.100.100.200", Reach::Never),
            ("fd00:ec2::254", Reach::Never),
            ("fe80::1", Reach::Never),
            ("0.0.0.0", Reach::Never),
            ("0.1.2.3", Reach::Never),
            ("::", Reach::Never),
            ("224.0.0.1", Reach::Never),
            ("255.255.255.255", Reach::Never),
            ("ff02::1", Reach::Never),
            // The same in an IPv6 coat: mapped, compatible, translated, NAT64, 6to4, Teredo, ISATAP.
            ("::ffff:169.254.169.254", Reach::Never),
            ("::ffff:10.0.0.1", Reach::Private),
            ("::ffff:127.0.0.1", Reach::Loopback),
            ("::127.0.0.1", Reach::Loopback),
            ("::ffff:0:10.0.0.1", Reach::Private),
            ("64:ff9b::169.254.169.254", Reach::Never),
            ("64:ff9b::8.8.8.8", Reach::Public),
            ("64:ff9b:1::10.0.0.1", Reach::Private),
            ("2002:a9fe:a9fe::1", Reach::Never),
            ("2002:7f00:1::1", Reach::Loopback),
            ("2001:0:4136:e378:8000:63bf:f5ff:fffe", Reach::Private),
            ("2001:db8::5efe:10.0.0.1", Reach::Private),
        ];
        for (text, expected) in cases {
            assert_eq!(reach(text.parse().expect(text)), expected, "{text}");
        }
    }

    #[test]
    fn a_redirect_leads_outwards_or_stays() {
        let cases = [
            ("93.184.216.34", "93.184.216.35", true),
            ("93.184.216.34", "10.0.0.1", false),
            ("93.184.216.34", "127.0.0.1", false),
            ("93.184.216.34", "::ffff:192.168.0.1", false),
            ("10.0.0.1", "192.168.0.1", true),
            ("10.0.0.1", "93.184.216.34", true),
            ("10.0.0.1", "127.0.0.1", false),
            ("10.0.0.1", "169.254.169.254", false),
            ("127.0.0.1", "127.0.0.2", true),
            ("127.0.0.1", "10.0.0.1", true),
            ("127.0.0.1", "169.254.169.254", false),
            ("169.254.1.1", "169.254.169.254", false),
        ];
        for (from, to, allowed) in cases {
            let refused = refusal(from.parse().expect(from), to.parse().expect(to));
            assert_eq!(refused.is_none(), allowed, "{from} to {to}: {refused:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_address_breaks_the_guard(bytes in proptest::array::uniform16(0_u8..)) {
            fuzz_guard(&bytes);
        }
    }
}
