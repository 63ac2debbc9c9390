//! What is taken out before anything is stored or shown: query values, credentials, cookies.

use std::sync::LazyLock;

use regex::Regex;
use url::Url;
use whyslow_model::limits;

use crate::checks::Secrets;
use crate::request::is_credential;

/// What stands where something was taken out.
pub const GONE: &str = "…";

/// A URL without user, password, fragment and query values; the names of the values stay.
pub fn url(url: &Url) -> String {
    let mut shown = String::with_capacity(url.as_str().len());
    shown.push_str(url.scheme());
    shown.push_str("://");
    shown.push_str(url.host_str().unwrap_or(""));
    if let Some(port) = url.port() {
        shown.push(':');
        shown.push_str(&port.to_string());
    }
    shown.push_str(url.path());
    if let Some(query) = url.query() {
        shown.push('?');
        shown.push_str(&query_names(query));
    }
    shown
}

/// A Location header, or a path with its query, without query values and user.
pub fn location(text: &str) -> String {
    if let Ok(whole) = Url::parse(text)
        && whole.has_host()
    {
        return url(&whole);
    }
    let text = text.split_once('#').map_or(text, |(before, _)| before);
    match text.split_once('?') {
        Some((path, query)) => format!("{path}?{}", query_names(query)),
        None => text.to_owned(),
    }
}

/// A header field as a transcript shows it, its value cut to 1 KiB; `secret` hides it whole.
pub fn header(name: &str, value: &[u8], secret: bool) -> String {
    let value = &value[..value.len().min(limits::TRANSCRIPT_HEADER_BYTES_MAX)];
    let text = String::from_utf8_lossy(value);
    let shown = match name.to_ascii_lowercase().as_str() {
        _ if secret => GONE.to_owned(),
        "set-cookie" => cookie(&text),
        "location" | "content-location" | "referer" | "link" | "refresh" => location(&text),
        "www-authenticate" => text.into_owned(),
        lower if is_credential(lower) => GONE.to_owned(),
        _ => text.into_owned(),
    };
    format!("{name}: {shown}")
}

/// A cookie's name and attributes without its value.
fn cookie(text: &str) -> String {
    let (pair, rest) = text.split_once(';').map_or((text, ""), |(pair, rest)| (pair, rest));
    let name = pair.split_once('=').map_or("", |(name, _)| name.trim());
    let attributes = if rest.is_empty() { String::new() } else { format!(";{rest}") };
    format!("{name}={GONE}{attributes}")
}

/// The start of a body, at most 2 KiB, without our own secrets and what looks like others'.
pub fn body(bytes: &[u8], secrets: &Secrets) -> String {
    // Cut with room to spare, so that a secret across the cut is still seen whole.
    let part = &bytes[..bytes.len().min(2 * limits::BODY_EXCERPT_BYTES_MAX)];
    let mut text = String::from_utf8_lossy(part).into_owned();
    for secret in secrets.0.values().filter(|s| s.len() >= 4) {
        text = text.replace(secret.as_str(), GONE);
    }
    text = TOKEN.replace_all(&text, GONE).into_owned();
    text = NAMED.replace_all(&text, format!("${{1}}{GONE}")).into_owned();
    let mut end = text.len().min(limits::BODY_EXCERPT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

/// A value whose name says that it is a secret.
static NAMED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r#"(?i)((?:password|passwd|secret|token|api[_-]?key|session(?:id)?|authorization|csrf\w*)"#,
        r#"["']?\s*(?:[:=]|value=)\s*["']?(?:bearer |basic )?)[^\s"'&<>,;}]+"#
    ))
});

/// JSON web tokens, bearer tokens and long keys, wherever they stand.
static TOKEN: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"eyJ[\w-]{8,}\.[\w-]+\.[\w-]*|(?i:bearer )[\w.~+/-]{8,}=*|\b[A-Za-z0-9]{40,}\b")
});

fn pattern(text: &str) -> Regex {
    #[expect(clippy::expect_used, reason = "both patterns are constants, and a test uses both")]
    Regex::new(text).expect("a sound pattern")
}

/// A query with every value replaced. A part without `=` may itself be a secret, so it goes too.
fn query_names(query: &str) -> String {
    let part = |p: &str| match p.split_once('=') {
        Some((name, "")) => format!("{name}="),
        Some((name, _)) => format!("{name}={GONE}"),
        None if p.is_empty() => String::new(),
        None => GONE.to_owned(),
    };
    query.split('&').map(part).collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_keeps_its_name_and_loses_what_opens_doors() {
        let cases = [
            ("Authorization", "Bearer abc", "Authorization: …"),
            ("Set-Cookie", "sid=abc; Path=/; HttpOnly", "Set-Cookie: sid=…; Path=/; HttpOnly"),
            ("Cookie", "sid=abc", "Cookie: …"),
            ("X-Api-Key", "k", "X-Api-Key: …"),
            ("Location", "/login?next=%2F&code=1", "Location: /login?next=…&code=…"),
            ("Location", "https://me:pw@b.example/?x=1", "Location: https://b.example/?x=…"),
            ("Server", "nginx", "Server: nginx"),
        ];
        for (name, value, shown) in cases {
            assert_eq!(header(name, value.as_bytes(), false), shown);
        }
        assert_eq!(header("X-Plain", b"from a file", true), "X-Plain: …");
    }

    #[test]
    fn a_body_keeps_its_words_and_loses_its_secrets() {
        let at = crate::spec::SecretRef::Env("PW".into());
        let secrets = Secrets([(at, "opensesame".to_owned())].into());
        let cases = [
            (r#"{"error": "db down", "token": "abc123"}"#, r#"{"error": "db down", "token": "…"}"#),
            ("you sent opensesame", "you sent …"),
            ("password=hunter2&user=me", "password=…&user=me"),
            ("eyJhbGciOiJIUzI1.eyJzdWIi.c2ln is yours", "… is yours"),
            ("Authorization: Bearer abcdefgh", "Authorization: …"),
        ];
        for (text, shown) in cases {
            assert_eq!(body(text.as_bytes(), &secrets), shown);
        }
        assert!(
            body("é".repeat(5000).as_bytes(), &secrets).len() <= limits::BODY_EXCERPT_BYTES_MAX
        );
    }

    #[test]
    fn a_stored_url_loses_its_secrets_and_keeps_its_shape() {
        let cases = [
            ("https://a.example/x?token=abc&page=2#frag", "https://a.example/x?token=…&page=…"),
            ("https://me:pw@a.example:8443/", "https://a.example:8443/"),
            ("https://a.example/?abcdef", "https://a.example/?…"),
            ("https://a.example/?empty=&", "https://a.example/?empty=&"),
        ];
        for (full, shown) in cases {
            assert_eq!(url(&Url::parse(full).expect(full)), shown);
        }
    }
}
