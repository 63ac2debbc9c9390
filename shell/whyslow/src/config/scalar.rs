//! Scalars: read as the type their place asks for, and told about where they cannot be.

use serde_json::Value as Json;

use super::node::{Node, Value, is_null};

/// Reads a scalar as the first of the wanted types it can be (YAML 1.2.2 section 10.3.2).
pub(super) fn typed(text: &str, plain: bool, wanted: &[&str]) -> Option<Json> {
    let any = wanted.is_empty();
    let may = |name: &str| plain && (any || wanted.contains(&name));
    if may("boolean") {
        match text {
            "true" | "True" | "TRUE" => return Some(Json::Bool(true)),
            "false" | "False" | "FALSE" => return Some(Json::Bool(false)),
            _ => {}
        }
    }
    if (may("integer") || may("number"))
        && let Some(number) = integer(text)
    {
        return Some(Json::Number(number));
    }
    if may("number")
        && looks_decimal(text)
        && let Some(number) = text.parse().ok().and_then(serde_json::Number::from_f64)
    {
        return Some(Json::Number(number));
    }
    (any || wanted.contains(&"string")).then(|| Json::String(text.to_owned()))
}

/// Decimal digits without a leading zero, which some would read as octal.
fn integer(text: &str) -> Option<serde_json::Number> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let decimal = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    if !decimal || (digits.len() > 1 && digits.starts_with('0')) {
        return None;
    }
    let text = text.strip_prefix('+').unwrap_or(text);
    text.parse::<u64>()
        .map(Into::into)
        .or_else(|_| text.parse::<i64>().map(serde_json::Number::from))
        .ok()
}

fn looks_decimal(text: &str) -> bool {
    text.bytes().any(|b| b.is_ascii_digit())
        && text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E'))
}

/// A type of the schema in words.
pub(super) fn type_words(name: &str) -> &str {
    match name {
        "string" => "a text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        "object" => "a mapping",
        other => other,
    }
}

/// What stands there, in words.
pub(super) fn found(node: &Node) -> String {
    match &node.value {
        Value::List(_) => "a list".to_owned(),
        Value::Map(_) => "a mapping".to_owned(),
        Value::Scalar { text, plain: true } if is_null(text) => "nothing".to_owned(),
        Value::Scalar { text, .. } => {
            let clipped: String = text.chars().take(40).collect();
            format!("'{clipped}'")
        }
        Value::Broken => "nothing usable".to_owned(),
    }
}

/// What to write where a value has the wrong type.
pub(super) fn hint_for(node: &Node, wanted: &[&str]) -> Option<String> {
    let Value::Scalar { text, plain } = &node.value else {
        let inside = matches!(node.value, Value::Map(_)) && wanted.contains(&"array");
        return inside.then(|| "a list's items begin with '- '".to_owned());
    };
    let lower = text.to_ascii_lowercase();
    if wanted.contains(&"boolean") && matches!(lower.as_str(), "yes" | "on" | "1") {
        return Some("write true".to_owned());
    }
    if wanted.contains(&"boolean") && matches!(lower.as_str(), "no" | "off" | "0") {
        return Some("write false".to_owned());
    }
    let number = wanted.contains(&"integer") || wanted.contains(&"number");
    if number && !plain && integer(text).is_some() {
        return Some(format!("write {text} without quotes"));
    }
    if number && text.starts_with('0') && text.len() > 1 {
        return Some("write it without the leading zero".to_owned());
    }
    let listable = wanted.contains(&"array") && !is_null(text);
    listable.then(|| format!("write [{}]", text.chars().take(40).collect::<String>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scalar_is_read_as_its_place_asks() {
        let cases = [
            ("no", true, "string", Some(Json::from("no"))),
            ("007", true, "string", Some(Json::from("007"))),
            ("007", true, "integer", None),
            ("-7", true, "integer", Some(Json::from(-7))),
            ("7", false, "integer", None),
            ("true", true, "boolean", Some(Json::Bool(true))),
            ("yes", true, "boolean", None),
            ("1.5", true, "number", Some(Json::from(1.5))),
            ("inf", true, "number", None),
            ("1e999", true, "number", None),
        ];
        for (text, plain, wanted, read) in cases {
            assert_eq!(typed(text, plain, &[wanted]), read, "{text} as {wanted}");
        }
    }

    #[test]
    fn where_anything_goes_quotes_decide() {
        assert_eq!(typed("5", true, &[]), Some(Json::from(5)));
        assert_eq!(typed("5", false, &[]), Some(Json::from("5")));
    }
}
