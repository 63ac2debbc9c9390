//! The HTTP request of a check, and what is left of it after a redirect.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use url::Url;

use crate::checks::Secrets;
use crate::spec::{Auth, CheckSpec, SecretRef, Text};

/// What we call ourselves.
pub const USER_AGENT: &str = concat!("whyslow/", env!("CARGO_PKG_VERSION"));

/// One request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Request {
    pub(crate) url: Url,
    pub(crate) method: String,
    pub(crate) body: Vec<u8>,
    fields: Vec<Field>,
}

/// One header field.
#[derive(Clone, Debug, PartialEq)]
struct Field {
    name: String,
    value: Vec<u8>,
    /// Whether it is for the target's own origin only.
    private: bool,
}

impl Request {
    /// The check's own request.
    ///
    /// # Errors
    /// A sentence where a secret could not be read.
    pub(crate) fn first(spec: &CheckSpec, secrets: &Secrets, url: &Url) -> Result<Self, String> {
        let body = spec.body.as_ref().map(|b| text(b, secrets)).transpose()?.unwrap_or_default();
        let usual = if body.is_empty() { "GET" } else { "POST" };
        let mut fields = Vec::new();
        for (name, value) in &spec.headers {
            let private = value.secret().is_some() || is_credential(name);
            let value = text(value, secrets)?.into_bytes();
            fields.push(Field { name: name.to_ascii_lowercase(), value, private });
        }
        if let Some(auth) = &spec.auth {
            let value = authorization(auth, secrets)?.into_bytes();
            fields.push(Field { name: "authorization".to_owned(), value, private: true });
        }
        let mut add = |name: &str, value: &str| {
            if !fields.iter().any(|f| f.name == name) {
                let (name, value) = (name.to_owned(), value.as_bytes().to_vec());
                fields.push(Field { name, value, private: false });
            }
        };
        add("user-agent", USER_AGENT);
        add("accept", "*/*");
        Ok(Self {
            url: url.clone(),
            method: spec.method.clone().unwrap_or_else(|| usual.to_owned()).to_ascii_uppercase(),
            body: body.into_bytes(),
            fields,
        })
    }

    /// Path and query, as they go on the wire.
    pub(crate) fn path(&self) -> String {
        match self.url.query() {
            Some(query) => format!("{}?{query}", self.url.path()),
            None => self.url.path().to_owned(),
        }
    }

    /// The header fields to send; what is private goes to the origin of `first` only.
    pub(crate) fn fields(&self, first: &Url) -> Vec<(String, Vec<u8>)> {
        let own = self.url.origin() == first.origin();
        let sent = self.fields.iter().filter(|f| own || !f.private);
        sent.map(|f| (f.name.clone(), f.value.clone())).collect()
    }

    /// The request after a redirect: a POST becomes a GET, save after 307 and 308
    /// (RFC 9110 section 15.4).
    pub(crate) fn redirected(&self, url: Url, status: u16) -> Self {
        let mut next = Self { url, ..self.clone() };
        let keep = matches!(status, 307 | 308) || matches!(self.method.as_str(), "GET" | "HEAD");
        if !keep {
            next.method = "GET".to_owned();
            next.body.clear();
            next.fields.retain(|f| !matches!(f.name.as_str(), "content-type" | "content-length"));
        }
        next
    }
}

/// Host and port as the Host header has them.
pub(crate) fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Whether a header field carries something that opens doors.
pub(crate) fn is_credential(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let words =
        ["auth", "cookie", "token", "secret", "api-key", "apikey", "password", "session", "csrf"];
    words.iter().any(|word| name.contains(word))
}

fn text(text: &Text, secrets: &Secrets) -> Result<String, String> {
    match text {
        Text::Plain(plain) => Ok(plain.clone()),
        Text::Secret(at) => secret(at, secrets),
    }
}

fn secret(at: &SecretRef, secrets: &Secrets) -> Result<String, String> {
    let found = secrets.0.get(at).cloned();
    found.ok_or_else(|| match at {
        SecretRef::File(file) => format!("the secret in file {file} cannot be read"),
        SecretRef::Env(name) => format!("the secret in environment variable {name} is not set"),
    })
}

fn authorization(auth: &Auth, secrets: &Secrets) -> Result<String, String> {
    match auth {
        Auth::Basic(basic) => {
            let pair = format!("{}:{}", basic.user, secret(&basic.password, secrets)?);
            Ok(format!("Basic {}", BASE64_STANDARD.encode(pair)))
        }
        Auth::Bearer(token) => Ok(format!("Bearer {}", secret(token, secrets)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{Basic, parse_target};

    fn check(target: &str) -> CheckSpec {
        CheckSpec::of("a", &parse_target(target).expect("a target"))
    }

    fn url(text: &str) -> Url {
        Url::parse(text).expect("a URL")
    }

    #[test]
    fn credentials_stay_with_the_targets_own_origin() {
        let mut spec = check("https://a.example/");
        let password = SecretRef::Env("PW".into());
        let secrets = Secrets([(password.clone(), "opensesame".to_owned())].into());
        spec.auth = Some(Auth::Basic(Basic { user: "Aladdin".into(), password }));
        spec.headers.insert("Cookie".into(), Text::Plain("id=1".into()));
        spec.headers.insert("X-Plain".into(), Text::Plain("yes".into()));
        let first = url("https://a.example/");
        let request = Request::first(&spec, &secrets, &first).expect("a request");
        let names =
            |r: &Request| r.fields(&first).iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        let all = ["cookie", "x-plain", "authorization", "user-agent", "accept"];
        assert_eq!(names(&request), all);
        let value = &request.fields(&first)[2].1;
        assert_eq!(value, b"Basic QWxhZGRpbjpvcGVuc2VzYW1l");
        let same = request.redirected(url("https://a.example/in"), 302);
        assert_eq!(names(&same), all);
        for elsewhere in ["https://b.example/", "http://a.example/", "https://a.example:444/"] {
            let next = request.redirected(url(elsewhere), 307);
            assert_eq!(names(&next), ["x-plain", "user-agent", "accept"], "{elsewhere}");
        }
    }

    #[test]
    fn a_post_becomes_a_get_save_after_307_and_308() {
        let mut spec = check("https://a.example/");
        spec.body = Some(Text::Plain("x=1".into()));
        let first = url("https://a.example/");
        let request = Request::first(&spec, &Secrets::default(), &first).expect("a request");
        assert_eq!(request.method, "POST");
        let cases = [(301, "GET", 0), (303, "GET", 0), (307, "POST", 3), (308, "POST", 3)];
        for (status, method, bytes) in cases {
            let next = request.redirected(url("https://a.example/b?c=d"), status);
            assert_eq!((next.method.as_str(), next.body.len()), (method, bytes), "{status}");
            assert_eq!(next.path(), "/b?c=d");
        }
    }

    #[test]
    fn a_secret_that_is_not_there_is_named() {
        let mut spec = check("https://a.example/");
        spec.auth = Some(Auth::Bearer(SecretRef::File("/run/token".into())));
        let refused = Request::first(&spec, &Secrets::default(), &url("https://a.example/"));
        assert!(refused.is_err_and(|why| why.contains("/run/token")));
    }
}
