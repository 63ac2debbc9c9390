//! A configuration as it may be shown to anybody: no secret written in it in the clear is left.

use whyslow_probe::spec::{Kind, Text};

use super::types::Config;

/// What stands where something was taken out.
pub const COVER: &str = "…";

/// `config` with header values, bodies and the values in URLs' queries covered. References to
/// secrets stay; they say where a secret is, not what it is.
pub fn redacted(config: &Config) -> Config {
    let mut shown = config.clone();
    for check in shown.services.values_mut().flat_map(|s| &mut s.checks) {
        for (name, text) in &mut check.headers {
            if !HARMLESS.iter().any(|h| name.eq_ignore_ascii_case(h)) {
                cover(text);
            }
        }
        check.body.iter_mut().for_each(cover);
        if check.kind == Kind::Http
            && let Ok(url) = url::Url::parse(&check.target)
        {
            check.target = whyslow_probe::redact::url(&url);
        }
    }
    shown
}

fn cover(text: &mut Text) {
    if let Text::Plain(plain) = text {
        COVER.clone_into(plain);
    }
}

/// Headers that carry no secret.
const HARMLESS: [&str; 8] = [
    "accept",
    "accept-encoding",
    "accept-language",
    "cache-control",
    "content-type",
    "host",
    "origin",
    "user-agent",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_secret_is_left_and_references_stay() {
        let config: Config = serde_json::from_str(
            r#"{"services": {"shop": {"checks": [{"name": "a", "kind": "http",
                "target": "https://shop.example/?key=hunter1",
                "headers": {"X-Key": "hunter2", "Accept": "text/html", "Y": {"env": "KEY"}},
                "body": "password=hunter3"}]}}}"#,
        )
        .unwrap();
        let shown = serde_json::to_string(&redacted(&config)).unwrap();
        assert!(!shown.contains("hunter"), "{shown}");
        assert!(shown.contains("text/html") && shown.contains("KEY"), "{shown}");
    }
}
