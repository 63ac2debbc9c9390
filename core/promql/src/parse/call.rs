//! `rate(…)`: the function is looked up and its arguments are checked here, so that evaluation
//! meets well-typed calls only.

use crate::ast::{Expr, Kind};
use crate::error::ParseError;
use crate::functions::{self, Function};

use super::{Node, Parser};

impl Parser {
    /// The current token is the function's name, the next an opening parenthesis.
    pub(super) fn call(&mut self, name: &str) -> Result<Node, ParseError> {
        let from = self.at();
        let Some(function) = functions::named(name) else {
            let error = ParseError::new(from, format!("there is no function {name:?}"));
            return Err(match functions::nearest(name) {
                Some(near) => error.with_hint(format!("did you mean {near}?")),
                None => error,
            });
        };
        self.advance();
        let (args, tallest) = self.arguments()?;
        check_count(function, args.len(), from)?;
        for (i, arg) in args.iter().enumerate() {
            check_kind(function, i, arg)?;
        }
        let args = args.into_iter().map(|a| a.expr).collect();
        Node::new(Expr::Call { function, args }, function.returns, from).above(tallest)
    }
}

fn check_count(function: &Function, count: usize, from: usize) -> Result<(), ParseError> {
    let most = function.args.len();
    let least = most - function.optional;
    let enough = count >= least && (count <= most || function.repeats);
    if enough {
        return Ok(());
    }
    let wanted = match (function.repeats, least == most) {
        (true, _) => format!("at least {least}"),
        (false, true) => format!("{most}"),
        (false, false) => format!("{least} to {most}"),
    };
    let message = format!("{} takes {wanted} argument(s), not {count}", function.name);
    Err(ParseError::new(from, message).with_hint(function.signature()))
}

fn check_kind(function: &Function, index: usize, arg: &Node) -> Result<(), ParseError> {
    let last = function.args.len().saturating_sub(1);
    let kind = function.args.get(index.min(last)).copied().unwrap_or(Kind::Vector);
    if arg.kind == kind {
        return Ok(());
    }
    let (wanted, found) = (kind.name(), arg.kind.name());
    let message = format!("{} needs a {wanted} here, not a {found}", function.name);
    let error = ParseError::new(arg.from, message);
    Err(match (kind, arg.kind) {
        (Kind::Range, Kind::Vector) => error.with_hint("give a range, as in [5m]"),
        _ => error.with_hint(function.signature()),
    })
}
