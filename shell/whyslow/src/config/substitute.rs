//! `${VAR}` inside values. It happens after YAML was read, so a variable can fill a value and never
//! add a key, a list item or a line.

use whyslow_model::limits::CONFIG_PROBLEMS_MAX;

use super::node::{Node, Value};
use super::problem::Problem;

/// Replaces `${VAR}` in every scalar by what `environment` says; `$$` stands for one `$`, any other
/// `$` for itself. A value that cannot be filled is told and becomes [`Value::Broken`].
pub fn substitute(
    root: &mut Node,
    environment: &dyn Fn(&str) -> Option<String>,
    problems: &mut Vec<Problem>,
) {
    let mut broken = Vec::new();
    each(root, environment, &mut broken);
    for (at, what) in broken {
        let path = root.path_to(at).unwrap_or_default();
        let hint = "set it, or write $$ for a plain $; a default is not supported";
        problems.push(Problem::new(at, path, what).hint(hint));
    }
}

type Refused = (super::problem::At, String);

fn each(node: &mut Node, environment: &dyn Fn(&str) -> Option<String>, broken: &mut Vec<Refused>) {
    match &mut node.value {
        Value::Scalar { text, plain } if text.contains('$') => match filled(text, environment) {
            // A filled value has the type its place asks for, quotes or not: flow mappings need them.
            Ok((filled, replaced)) => {
                *text = filled;
                *plain |= replaced;
            }
            Err(what) => {
                if broken.len() <= CONFIG_PROBLEMS_MAX {
                    broken.push((node.at, what));
                }
                node.value = Value::Broken;
            }
        },
        Value::Scalar { .. } | Value::Broken => {}
        Value::List(items) => items.iter_mut().for_each(|i| each(i, environment, broken)),
        Value::Map(entries) => {
            entries.iter_mut().for_each(|e| each(&mut e.node, environment, broken));
        }
    }
}

/// The text with its variables filled in, and whether there was one.
fn filled(
    text: &str,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<(String, bool), String> {
    let (mut out, mut rest, mut replaced) = (String::with_capacity(text.len()), text, false);
    while let Some(dollar) = rest.find('$') {
        out.push_str(&rest[..dollar]);
        rest = &rest[dollar + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some(after) = rest.strip_prefix('{') {
            let Some((name, after)) = after.split_once('}') else {
                return Err("'${' without its '}'".to_owned());
            };
            out.push_str(&variable(name, environment)?);
            replaced = true;
            rest = after;
        } else {
            out.push('$');
        }
    }
    out.push_str(rest);
    Ok((out, replaced))
}

fn variable(name: &str, environment: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let first = name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    if !first || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        let clipped: String = name.chars().take(40).collect();
        return Err(format!("'${{{clipped}}}' does not name an environment variable"));
    }
    environment(name).ok_or_else(|| format!("the environment variable {name} is not set"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(name: &str) -> Option<String> {
        match name {
            "PORT" => Some("7070".to_owned()),
            "EVIL" => Some("x\nlisten: 0.0.0.0:1".to_owned()),
            _ => None,
        }
    }

    #[test]
    fn variables_fill_values_and_two_dollars_are_one() {
        let cases = [
            ("a${PORT}b", "a7070b"),
            ("$$5", "$5"),
            ("^x$", "^x$"),
            ("$PORT", "$PORT"),
            ("$", "$"),
        ];
        for (from, to) in cases {
            assert_eq!(filled(from, &environment).unwrap().0, to);
        }
    }

    #[test]
    fn a_variable_with_line_breaks_stays_one_value() {
        let mut problems = Vec::new();
        let mut root = super::super::node::read(0, "a: ${EVIL}\n", &mut problems).unwrap();
        substitute(&mut root, &environment, &mut problems);
        let Value::Map(entries) = &root.value else { panic!("a mapping") };
        assert_eq!((entries.len(), problems.len()), (1, 0));
    }

    #[test]
    fn what_cannot_be_filled_is_refused() {
        for text in ["${NOT_SET}", "${", "${}", "${A B}", "${PORT:-80}"] {
            assert!(filled(text, &environment).is_err(), "{text}");
        }
    }
}
