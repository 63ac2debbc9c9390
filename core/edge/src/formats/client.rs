//! Who asked, as balancers write it.

use std::net::IpAddr;

use crate::cursor::whole;

/// `10.0.1.2:33317`, `[2001:db8::7]:443`, `2001:db8::7`, `10.0.1.2`; port 0 where there is none.
pub(super) fn address(text: &[u8]) -> (Option<IpAddr>, u16) {
    if let Some(ip) = ip(text) {
        return (Some(ip), 0);
    }
    let Some(colon) = memchr::memrchr(b':', text) else { return (None, 0) };
    let (host, port) = (text.get(..colon), text.get(colon + 1..));
    let port = port.and_then(whole).and_then(|port| u16::try_from(port).ok()).unwrap_or(0);
    (host.and_then(ip), port)
}

/// An address alone, in brackets or not; an IPv4 address in IPv6 clothes as what it is.
pub(super) fn ip(text: &[u8]) -> Option<IpAddr> {
    let bare = text.strip_prefix(b"[").and_then(|t| t.strip_suffix(b"]")).unwrap_or(text);
    // The longest address has 45 characters.
    let text = std::str::from_utf8(bare).ok().filter(|text| text.len() <= 45)?;
    text.parse::<IpAddr>().ok().map(|ip| ip.to_canonical())
}

/// The last of a list: what a balancer itself appended to `X-Forwarded-For`, the only one of them
/// that its client could not have written.
pub(super) fn last_forwarded(text: &[u8]) -> Option<IpAddr> {
    ip(text.rsplit(|&byte| byte == b',').next()?.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_come_with_and_without_port_and_brackets() {
        let seen = |text: &str| {
            let (ip, port) = address(text.as_bytes());
            (ip.map(|ip| ip.to_string()).unwrap_or_default(), port)
        };
        assert_eq!(seen("10.0.1.2:33317"), ("10.0.1.2".into(), 33317));
        assert_eq!(seen("10.0.1.2"), ("10.0.1.2".into(), 0));
        assert_eq!(seen("[2001:db8::7]:443"), ("2001:db8::7".into(), 443));
        assert_eq!(seen("2001:db8::7"), ("2001:db8::7".into(), 0));
        assert_eq!(seen("[::ffff:10.0.1.2]"), ("10.0.1.2".into(), 0));
        assert_eq!(seen("-"), (String::new(), 0));
        assert_eq!(last_forwarded(b"1.1.1.1, 10.0.1.2"), ip(b"10.0.1.2"));
        assert_eq!(last_forwarded(b"-"), None);
    }
}
