//! Who may ask: names under which the listener answers, origins that may write, and tokens.
//!
//! Pure decisions over headers; `guard` applies them.

use std::net::{IpAddr, SocketAddr};

use http::header::{AUTHORIZATION, COOKIE, HOST, ORIGIN, REFERER};
use http::uri::Authority;
use http::{HeaderMap, Method, Uri};
use sha2::{Digest, Sha256};

/// The cookie that holds a browser's session.
pub const COOKIE_NAME: &str = "whyslow";

/// What the configuration says about who may talk to the listener.
#[derive(Clone, Debug)]
pub struct Access {
    listen: SocketAddr,
    /// Lower case, without port.
    hosts: Vec<String>,
    token: Option<Secret>,
    agents: Vec<(String, Secret)>,
}

/// Who a request comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Nobody in particular, on a listener that asks no one.
    Anyone,
    /// Somebody who knows the listener's token.
    Operator,
    /// The agent of this name.
    Agent(String),
    /// Somebody without a valid token, on a listener that wants one.
    Stranger,
}

/// A listener that strangers could reach has no token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("listening on {listen}, which is beyond loopback, needs a token")]
pub struct NeedsToken {
    /// The address asked for.
    pub listen: SocketAddr,
}

impl NeedsToken {
    /// What the operator can do about it.
    pub const HINT: &'static str =
        "set `token: {file: …}` in the configuration, or listen on 127.0.0.1";
}

impl Access {
    /// The rules for a listener on `listen` that also answers to the names in `hosts`.
    ///
    /// # Errors
    /// [`NeedsToken`] where the address is beyond loopback and there is no token.
    pub fn new(
        listen: SocketAddr,
        hosts: &[String],
        token: Option<&str>,
        agents: &[(String, String)],
    ) -> Result<Self, NeedsToken> {
        let token = token.filter(|t| !t.is_empty());
        if token.is_none() && !listen.ip().to_canonical().is_loopback() {
            return Err(NeedsToken { listen });
        }
        Ok(Self {
            listen,
            hosts: hosts.iter().map(|h| h.trim_end_matches('.').to_ascii_lowercase()).collect(),
            token: token.map(Secret::of),
            agents: agents.iter().map(|(n, t)| (n.clone(), Secret::of(t))).collect(),
        })
    }

    /// Whether a request may be answered at all, judged by the name it was sent to.
    ///
    /// A page of another site can point its own name at our address (DNS rebinding), but the
    /// browser then sends that name. So only names we know pass.
    pub fn host_allowed(&self, uri: &Uri, headers: &HeaderMap) -> bool {
        match asked_authority(uri, headers) {
            Some(asked) => self.name_allowed(host_without_brackets(&asked)),
            None => false,
        }
    }

    fn name_allowed(&self, host: &str) -> bool {
        if let Ok(address) = host.parse::<IpAddr>() {
            let own = self.listen.ip();
            // An address cannot be rebound; on an unspecified listener we have all of them.
            return address.to_canonical().is_loopback()
                || own == address
                || own.is_unspecified()
                || self.hosts.iter().any(|h| h == host);
        }
        let name = host.trim_end_matches('.').to_ascii_lowercase();
        name == "localhost" || self.hosts.contains(&name)
    }

    /// Whether a request may change something, judged by the page it comes from.
    ///
    /// Programs send neither `Origin` nor `Sec-Fetch-Site`; browsers send both with every write.
    pub fn origin_allowed(&self, uri: &Uri, headers: &HeaderMap) -> bool {
        let site = headers.get("sec-fetch-site").map(|v| v.as_bytes());
        if site.is_some_and(|s| s != b"same-origin" && s != b"none") {
            return false;
        }
        let Some(asked) = asked_authority(uri, headers) else { return false };
        if headers.get_all(ORIGIN).iter().count() > 1 {
            return false;
        }
        match (headers.get(ORIGIN), headers.get(REFERER)) {
            (Some(origin), _) => origin.to_str().is_ok_and(|o| same_place(o, &asked)),
            // Browsers too old for `Origin` on forms still say where a form stood.
            (None, Some(page)) => page.to_str().is_ok_and(|p| same_place(p, &asked)),
            (None, None) => true,
        }
    }

    /// Who the request says it comes from, by bearer token, basic password or session cookie.
    pub fn caller(&self, headers: &HeaderMap) -> Caller {
        if let Some(shown) = shown_token(headers) {
            let digest = Secret::of(&shown);
            if self.token.as_ref().is_some_and(|t| t.same(&digest)) {
                return Caller::Operator;
            }
            // Every agent is compared, so time tells nothing about which one matched.
            let mut found = None;
            for (name, secret) in &self.agents {
                if secret.same(&digest) {
                    found = Some(name.clone());
                }
            }
            if let Some(name) = found {
                return Caller::Agent(name);
            }
        }
        match &self.token {
            None => Caller::Anyone,
            Some(token) if session_shown(headers).is_some_and(|s| token.session().same_hex(s)) => {
                Caller::Operator
            }
            Some(_) => Caller::Stranger,
        }
    }

    /// The session cookie's value for somebody who typed `token`, if it is the right one.
    pub fn session_for(&self, token: &str) -> Option<String> {
        let own = self.token.as_ref()?;
        own.same(&Secret::of(token)).then(|| own.session().hex())
    }

    /// Whether a login form makes sense here.
    pub const fn wants_token(&self) -> bool {
        self.token.is_some()
    }
}

/// Whether a method may change something; `POST` to a query counts, which costs nobody anything.
pub fn is_write(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// The host and port the client asked for; `None` where it said none, or two.
fn asked_authority(uri: &Uri, headers: &HeaderMap) -> Option<Authority> {
    if let Some(authority) = uri.authority() {
        return Some(authority.clone());
    }
    let mut hosts = headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return None };
    let authority: Authority = host.to_str().ok()?.parse().ok()?;
    (!authority.as_str().contains('@')).then_some(authority)
}

fn host_without_brackets(authority: &Authority) -> &str {
    authority.host().trim_start_matches('[').trim_end_matches(']')
}

/// Whether a URL or origin names the very host and port that was asked.
fn same_place(origin: &str, asked: &Authority) -> bool {
    let Ok(uri) = origin.parse::<Uri>() else { return false };
    let default_port = match uri.scheme_str() {
        Some("http") => 80,
        Some("https") => 443,
        _ => return false,
    };
    let Some(from) = uri.authority() else { return false };
    from.host().eq_ignore_ascii_case(asked.host())
        && from.port_u16().unwrap_or(default_port) == asked.port_u16().unwrap_or(default_port)
}

/// The token in `Authorization: Bearer …`, or the password of `Basic …`.
fn shown_token(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, rest) = value.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.trim().to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = base64::Engine::decode(&base64::prelude::BASE64_STANDARD, rest.trim()).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    text.split_once(':').map(|(_, password)| password.to_owned())
}

fn session_shown(headers: &HeaderMap) -> Option<&str> {
    let all = headers.get_all(COOKIE).iter().filter_map(|v| v.to_str().ok());
    let pairs = all.flat_map(|v| v.split(';')).filter_map(|p| p.trim().split_once('='));
    pairs.filter(|(name, _)| *name == COOKIE_NAME).map(|(_, v)| v).next()
}

/// The digest of a token; the token itself is not kept.
#[derive(Clone)]
struct Secret([u8; 32]);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }

    /// What a browser holds instead of the token: worthless once the token changes.
    fn session(&self) -> Self {
        let mut hash = Sha256::new_with_prefix(b"whyslow session\0");
        hash.update(self.0);
        Self(hash.finalize().into())
    }

    /// Compares in a time that does not depend on the contents.
    fn same(&self, other: &Self) -> bool {
        let differing = self.0.iter().zip(other.0).fold(0u8, |all, (a, b)| all | (a ^ b));
        std::hint::black_box(differing) == 0
    }

    fn same_hex(&self, hex: &str) -> bool {
        // Digests of the text, so that neither its length nor a common start shows in time.
        Self::of(&self.hex()).same(&Self::of(hex))
    }

    fn hex(&self) -> String {
        self.0.iter().fold(String::with_capacity(64), |mut text, byte| {
            text.push(char::from(b"0123456789abcdef"[usize::from(byte >> 4)]));
            text.push(char::from(b"0123456789abcdef"[usize::from(byte & 15)]));
            text
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(listen: &str, token: Option<&str>) -> Access {
        let hosts = ["Probe.Example.".to_owned()];
        let agents = [("lon1".to_owned(), "agent-token".to_owned())];
        Access::new(listen.parse().unwrap(), &hosts, token, &agents).unwrap()
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap())).fold(
            HeaderMap::new(),
            |mut map, (n, v): (http::HeaderName, _)| {
                map.append(n, v);
                map
            },
        )
    }

    #[test]
    fn only_names_of_this_listener_are_answered() {
        let local = access("127.0.0.1:7070", None);
        let path = Uri::from_static("/");
        for good in [
            "localhost:7070",
            "LOCALHOST",
            "localhost.",
            "127.0.0.1:7070",
            "127.8.9.1",
            "[::1]:7070",
            "[::ffff:127.0.0.1]",
            "probe.example",
            "PROBE.example.:443",
            "localhost:1",
        ] {
            assert!(local.host_allowed(&path, &headers(&[("host", good)])), "{good}");
        }
        for bad in [
            "evil.example",
            "evil.example:7070",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "10.0.0.1",
            "169.254.169.254",
            "0.0.0.0",
            "[::]:7070",
            "localhost@evil.example",
            "evil.example@localhost",
            "xlocalhost",
            "notprobe.example",
            "",
            "a b",
            "localhost/x",
        ] {
            assert!(!local.host_allowed(&path, &headers(&[("host", bad)])), "{bad}");
        }
    }

    #[test]
    fn a_missing_or_doubled_host_is_refused() {
        let local = access("127.0.0.1:7070", None);
        let path = Uri::from_static("/");
        assert!(!local.host_allowed(&path, &HeaderMap::new()));
        let two = headers(&[("host", "localhost"), ("host", "evil.example")]);
        assert!(!local.host_allowed(&path, &two));
    }

    #[test]
    fn an_absolute_request_target_counts_before_the_host_header() {
        let local = access("127.0.0.1:7070", None);
        let elsewhere = Uri::from_static("http://evil.example/");
        assert!(!local.host_allowed(&elsewhere, &headers(&[("host", "localhost")])));
    }

    #[test]
    fn an_unspecified_listener_answers_to_addresses_but_not_to_unknown_names() {
        let all = access("0.0.0.0:7070", Some("t"));
        let path = Uri::from_static("/");
        assert!(all.host_allowed(&path, &headers(&[("host", "192.0.2.7:7070")])));
        assert!(!all.host_allowed(&path, &headers(&[("host", "evil.example:7070")])));
    }

    #[test]
    fn a_page_of_another_site_cannot_write() {
        let local = access("127.0.0.1:7070", None);
        let path = Uri::from_static("/api/v1/checks");
        let host = ("host", "localhost:7070");
        for good in [
            &[][..],
            &[("origin", "http://localhost:7070")],
            &[("origin", "http://localhost:7070"), ("sec-fetch-site", "same-origin")],
            &[("referer", "http://localhost:7070/checks")],
            &[("sec-fetch-site", "none")],
        ] {
            let all: Vec<_> = good.iter().copied().chain([host]).collect();
            assert!(local.origin_allowed(&path, &headers(&all)), "{good:?}");
        }
        for bad in [
            &[("origin", "null")][..],
            &[("origin", "http://evil.example")],
            &[("origin", "http://localhost:8080")],
            &[("origin", "http://localhost")],
            &[("origin", "http://localhost:7070.evil.example")],
            &[("origin", "http://evil.example/?http://localhost:7070")],
            &[("origin", "http://localhost:7070@evil.example")],
            &[("origin", "file://localhost:7070")],
            &[("origin", "")],
            &[("origin", "http://127.0.0.1:7070")],
            &[("origin", "http://localhost:7070"), ("origin", "http://evil.example")],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-site")],
            &[("origin", "http://localhost:7070"), ("sec-fetch-site", "cross-site")],
            &[("referer", "http://evil.example/")],
            &[("referer", "nonsense")],
        ] {
            let all: Vec<_> = bad.iter().copied().chain([host]).collect();
            assert!(!local.origin_allowed(&path, &headers(&all)), "{bad:?}");
        }
    }

    #[test]
    fn a_listener_beyond_loopback_needs_a_token() {
        for open in ["0.0.0.0:7070", "[::]:7070", "192.0.2.1:7070"] {
            let listen = open.parse().unwrap();
            assert!(Access::new(listen, &[], None, &[]).is_err());
            assert!(Access::new(listen, &[], Some(""), &[]).is_err());
            assert!(Access::new(listen, &[], Some("t"), &[]).is_ok());
        }
        assert!(Access::new("[::1]:7070".parse().unwrap(), &[], None, &[]).is_ok());
    }

    #[test]
    fn tokens_pass_as_bearer_as_basic_password_and_as_session() {
        let a = access("0.0.0.0:7070", Some("secret"));
        let by = |n: &'static str, v: &str| a.caller(&headers(&[(n, v)]));
        assert_eq!(by("authorization", "Bearer secret"), Caller::Operator);
        assert_eq!(by("authorization", "bearer agent-token"), Caller::Agent("lon1".into()));
        assert_eq!(by("authorization", "Basic eDpzZWNyZXQ="), Caller::Operator);
        assert_eq!(by("authorization", "Bearer wrong"), Caller::Stranger);
        let session = a.session_for("secret").unwrap();
        assert_eq!(by("cookie", &format!("a=b; whyslow={session}")), Caller::Operator);
        assert_eq!(by("cookie", "whyslow=secret"), Caller::Stranger);
        assert_eq!(a.session_for("wrong"), None);
        assert_eq!(a.caller(&HeaderMap::new()), Caller::Stranger);
    }

    #[test]
    fn an_open_listener_knows_its_agents_too() {
        let a = access("127.0.0.1:7070", None);
        assert_eq!(a.caller(&HeaderMap::new()), Caller::Anyone);
        let agent = headers(&[("authorization", "Bearer agent-token")]);
        assert_eq!(a.caller(&agent), Caller::Agent("lon1".into()));
    }
}
