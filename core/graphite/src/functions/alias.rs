//! Other names.

use regex::Regex;
use whyslow_model::limits::GRAPHITE_ANSWER_NAME_BYTES_MAX;

use super::Kind::{Node, NodeOrTag, SeriesList, String as Text};
use super::call::NodeOrTag as Place;
use super::group::key_of;
use super::{Answer, Call, Function, Parameter, needed};
use crate::error::RenderError;

const LIST: Parameter = needed("seriesList", SeriesList);

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "alias",
        group: "Alias",
        description: "Another name.",
        parameters: &[LIST, needed("newName", Text)],
        run: |c| {
            let name = c.needed_text(1)?.to_owned();
            renamed(c, |_| name.clone())
        },
    },
    Function {
        name: "aliasByNode",
        group: "Alias",
        description: "Named by nodes of the path, or tags.",
        parameters: &[LIST, needed("nodes", NodeOrTag).many()],
        run: by_nodes,
    },
    Function {
        name: "aliasByTags",
        group: "Alias",
        description: "Named by tags, or nodes of the path.",
        parameters: &[LIST, needed("tags", NodeOrTag).many()],
        run: by_nodes,
    },
    Function {
        name: "aliasByMetric",
        group: "Alias",
        description: "Named by the last node of the path.",
        parameters: &[LIST],
        run: |c| {
            renamed(c, |s| {
                let name = key_of(s, &[Place::Node(-1)]);
                name.split(',').next().unwrap_or_default().to_owned()
            })
        },
    },
    Function {
        name: "aliasSub",
        group: "Alias",
        description: "Named by what a regular expression makes of the name.",
        parameters: &[LIST, needed("search", Text), needed("replace", Text)],
        run: |c| {
            let pattern = c.pattern(1)?;
            let replacement = replacement(c.needed_text(2)?);
            let mut series = c.series(0)?;
            for one in &mut series {
                one.name = replaced(&pattern, &one.name, &replacement)?;
            }
            Ok(series)
        },
    },
    Function {
        name: "substr",
        group: "Special",
        description: "Named by the nodes from one number on up to another.",
        parameters: &[LIST, needed("start", Node).or("0"), needed("stop", Node).or("0")],
        run: substr,
    },
];

fn renamed(call: &mut Call<'_, '_>, name: impl Fn(&crate::Series) -> String) -> Answer {
    let mut series = call.series(0)?;
    for one in &mut series {
        // What it came from stays, so that functions around still see it.
        one.name = name(one);
    }
    Ok(series)
}

fn by_nodes(call: &mut Call<'_, '_>) -> Answer {
    let nodes = call.nodes(1)?;
    renamed(call, |s| key_of(s, &nodes))
}

/// The name with all that the pattern finds in it replaced. Groups may be asked for again and
/// again: whether all of it has room is told before any is written.
fn replaced(pattern: &Regex, name: &str, replacement: &str) -> Result<String, RenderError> {
    let groups = replacement.matches('$').count();
    let (mut text, mut rest_at) = (String::new(), 0);
    for found in pattern.captures_iter(name) {
        let whole = found.get_match();
        let most = replacement.len() + groups * whole.len();
        if text.len() + whole.start() - rest_at + most > GRAPHITE_ANSWER_NAME_BYTES_MAX {
            return Err(RenderError::NAME_TOO_LONG);
        }
        text.push_str(&name[rest_at..whole.start()]);
        found.expand(replacement, &mut text);
        rest_at = whole.end();
    }
    text.push_str(&name[rest_at..]);
    Ok(text)
}

/// `\1` and `\g<name>` as this engine writes them: `${1}`, `${name}`.
fn replacement(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let mut rest = text;
    while let Some(at) = rest.find(['\\', '$']) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let digits = from[1..].bytes().take_while(u8::is_ascii_digit).count().min(2);
        let named = from.strip_prefix("\\g<").and_then(|n| n.split_once('>'));
        if let Some(after) = from.strip_prefix('$') {
            out.push_str("$$");
            rest = after;
        } else if let Some((name, after)) = named {
            out.push_str(&format!("${{{name}}}"));
            rest = after;
        } else if digits > 0 {
            out.push_str(&format!("${{{}}}", &from[1..=digits]));
            rest = &from[1 + digits..];
        } else {
            out.push('\\');
            rest = &from[1..];
        }
    }
    out.push_str(rest);
    out
}

fn substr(call: &mut Call<'_, '_>) -> Answer {
    let whole = |n: Option<f64>| {
        #[expect(clippy::cast_possible_truncation, reason = "the cast saturates")]
        let n = n.unwrap_or(0.0) as i64;
        n
    };
    let (start, stop) = (whole(call.number(1)?), whole(call.number(2)?));
    renamed(call, |s| {
        let left = s.name.rfind('(').map_or(0, |at| at + 1);
        let right = s.name.find(')').filter(|at| *at >= left).unwrap_or(s.name.len());
        let nodes: Vec<&str> = s.name[left..right].split('.').collect();
        let place = |n: i64| {
            let length = i64::try_from(nodes.len()).unwrap_or(i64::MAX);
            let at = if n < 0 { n.saturating_add(length) } else { n };
            usize::try_from(at.clamp(0, length)).unwrap_or(0)
        };
        let end = if stop == 0 { nodes.len() } else { place(stop) };
        let kept = nodes[place(start).min(end)..end].join(".");
        kept.split(',').next().unwrap_or_default().to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_found_is_replaced_and_groups_are_put_in() {
        let replaced = |pattern: &str, name: &str, text: &str| {
            replaced(&Regex::new(pattern).unwrap(), name, &replacement(text)).unwrap()
        };
        assert_eq!(replaced("web(\\d)", "a.web1.web22.b", "\\1!"), "a.1!.2!2.b");
        assert_eq!(replaced("x*", "axb", "-"), "-a-b-");
        assert_eq!(replaced("none", "a.b", "c"), "a.b");
    }

    #[test]
    fn groups_are_written_as_this_engine_wants_them() {
        for (python, ours) in [
            ("\\1-\\2x", "${1}-${2}x"),
            ("\\g<name>", "${name}"),
            ("$5", "$$5"),
            ("a\\b\\", "a\\b\\"),
            ("\\10", "${10}"),
        ] {
            assert_eq!(replacement(python), ours);
        }
    }
}
