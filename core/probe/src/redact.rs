//! What is taken out before anything is stored or shown: query values, credentials, cookies.

use url::Url;

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
