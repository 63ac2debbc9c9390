//! Whether an HTTP answer is what the check expects.

use whyslow_model::conversation::HttpDone;
use whyslow_model::{Phase, Segment};

use crate::codes::{self, Code};
use crate::expect::{Expect, JsonRule, StatusSet};

/// Characters of somebody else's text that a sentence quotes.
const QUOTED_MAX: usize = 80;

/// What is wrong with an answer.
#[derive(Debug, PartialEq)]
pub(super) struct Wrong {
    pub(super) code: &'static Code,
    pub(super) phase: Phase,
    pub(super) segment: Option<Segment>,
    pub(super) message: String,
}

/// The first thing that is wrong with a whole answer.
pub(super) fn judge(expect: &Expect, done: &HttpDone) -> Option<Wrong> {
    status(expect, done).or_else(|| headers(expect, done)).or_else(|| body(expect, done))
}

fn status(expect: &Expect, done: &HttpDone) -> Option<Wrong> {
    let status = done.status?;
    let usual = StatusSet::usual();
    let wanted = expect.status.as_ref().unwrap_or(&usual);
    if wanted.holds(status) {
        return None;
    }
    let meaning = codes::status_meaning(status);
    let expected = match &expect.status {
        Some(set) => format!("; {set} expected"),
        None => String::new(),
    };
    let explained = meaning.map(|(text, _)| format!(": {text}")).unwrap_or_default();
    Some(Wrong {
        code: &codes::HTTP_STATUS,
        phase: Phase::Wait,
        segment: meaning.map(|(_, segment)| segment).or(codes::HTTP_STATUS.segment),
        message: format!("status {status}{explained}{expected}"),
    })
}

fn headers(expect: &Expect, done: &HttpDone) -> Option<Wrong> {
    let wrong = |message| {
        let code = &codes::HEADER_MISMATCH;
        Some(Wrong { code, phase: Phase::Wait, segment: code.segment, message })
    };
    for (name, rule) in &expect.headers {
        let values: Vec<String> = done
            .headers
            .iter()
            .filter(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| String::from_utf8_lossy(value).into_owned())
            .collect();
        if values.is_empty() {
            return wrong(format!("the answer has no header {name}"));
        }
        if !values.iter().any(|value| rule.fits(value)) {
            return wrong(format!("header {name} is '{}', not {rule}", quoted(&values.join(", "))));
        }
    }
    None
}

fn body(expect: &Expect, done: &HttpDone) -> Option<Wrong> {
    if !expect.needs_body() {
        return None;
    }
    let wrong = |code: &'static Code, message| {
        Some(Wrong { code, phase: Phase::Receive, segment: code.segment, message })
    };
    let text = String::from_utf8_lossy(&done.body);
    let wanted = expect.body.as_ref().map_or(&[][..], |b| b.rules());
    if let Some(rule) = wanted.iter().find(|rule| !rule.fits(&text)) {
        return wrong(&codes::BODY_MISMATCH, format!("the body does not hold {rule}"));
    }
    let unwanted = expect.body_without.as_ref().map_or(&[][..], |b| b.rules());
    if let Some(rule) = unwanted.iter().find(|rule| rule.fits(&text)) {
        return wrong(&codes::BODY_MISMATCH, format!("the body holds {rule}, which it must not"));
    }
    if expect.json.is_empty() {
        return None;
    }
    let document = match serde_json::from_slice(&done.body) {
        Ok(document) => document,
        Err(e) => return wrong(&codes::JSON_MISMATCH, format!("the body is not JSON: {e}")),
    };
    let first = expect.json.iter().find_map(|rule| json(rule, &document))?;
    wrong(&codes::JSON_MISMATCH, first)
}

fn json(rule: &JsonRule, document: &serde_json::Value) -> Option<String> {
    let places = rule.path.places(document);
    let Some(first) = places.first() else {
        return Some(format!("the body has nothing at {}", rule.path));
    };
    let text =
        |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    if let Some(wanted) = &rule.equals
        && !places.contains(&wanted)
    {
        return Some(format!("{} is {}, not {wanted}", rule.path, quoted(&text(first))));
    }
    if let Some(pattern) = &rule.regex
        && !places.iter().any(|value| pattern.is_match(&text(value)))
    {
        return Some(format!("{} is {}, not /{pattern}/", rule.path, quoted(&text(first))));
    }
    None
}

fn quoted(text: &str) -> String {
    let mut short: String = text.chars().take(QUOTED_MAX).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use whyslow_model::Mono;

    fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> HttpDone {
        let field = |(name, value): &(&str, &str)| ((*name).to_owned(), value.as_bytes().to_vec());
        HttpDone {
            began: Mono::default(),
            sent: None,
            first_byte: None,
            ended: Mono::default(),
            status: Some(status),
            headers: headers.iter().map(field).collect(),
            body: body.as_bytes().to_vec(),
            body_bytes: 0,
            reusable: true,
            fault: None,
            tcp: None,
        }
    }

    #[test]
    fn an_answer_is_judged_by_all_that_is_expected() {
        let good = answer(200, &[("server", "nginx/1.2")], r#"{"ok":true,"n":[1,2],"v":"1.2.3"}"#);
        let cases = [
            (r"{}", ""),
            (r#"{"status": 200}"#, ""),
            (r#"{"status": [204, "3xx"]}"#, "status 200; 204, 3xx expected"),
            (r#"{"headers": {"Server": "nginx"}}"#, ""),
            (
                r#"{"headers": {"server": {"regex": "^apache"}}}"#,
                "header server is 'nginx/1.2', not /^apache/",
            ),
            (r#"{"headers": {"x-cache": "HIT"}}"#, "the answer has no header x-cache"),
            (r#"{"body": "ok"}"#, ""),
            (r#"{"body": ["ok", {"regex": "v.:.1"}]}"#, ""),
            (r#"{"body": "welcome"}"#, "the body does not hold 'welcome'"),
            (r#"{"body_without": "ok"}"#, "the body holds 'ok', which it must not"),
            (
                r#"{"json": [{"path": "$.ok", "equals": true}, {"path": "$.n[*]", "equals": 2}]}"#,
                "",
            ),
            (r#"{"json": [{"path": "$.v", "regex": "^1\\."}]}"#, ""),
            (r#"{"json": [{"path": "$.v", "equals": "2"}]}"#, "$.v is 1.2.3, not \"2\""),
            (r#"{"json": [{"path": "$.gone"}]}"#, "the body has nothing at $.gone"),
        ];
        for (expect, message) in cases {
            let expect: Expect = serde_json::from_str(expect).expect(expect);
            let wrong = judge(&expect, &good).map(|w| w.message).unwrap_or_default();
            assert_eq!(wrong, message);
        }
    }

    #[test]
    fn a_cdn_status_says_what_it_means_and_where_to_look() {
        let wrong = judge(&Expect::default(), &answer(521, &[], "")).expect("521 is wrong");
        assert_eq!(wrong.message, "status 521: the origin refused the CDN's connection");
        assert_eq!(wrong.segment, Some(Segment::Host));
    }

    #[test]
    fn a_body_that_is_no_json_is_a_mismatch() {
        let expect: Expect =
            serde_json::from_str(r#"{"json": [{"path": "$"}]}"#).expect("an expectation");
        let wrong = judge(&expect, &answer(200, &[], "<html>")).expect("not JSON");
        assert_eq!(wrong.code.name, "json_mismatch");
    }
}
