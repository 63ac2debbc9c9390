//! `sum by (a) (…)`, `topk(3, …) without (b)`.

use crate::ast::{Aggregate, AggregateOp, Expr, Grouping, Kind};
use crate::error::ParseError;

use super::{Node, Parser};

impl Parser {
    /// The current token is the aggregation's word.
    pub(super) fn aggregate(&mut self, op: AggregateOp) -> Result<Node, ParseError> {
        let from = self.at();
        self.advance();
        let before = self.grouping()?;
        let (mut args, tallest) = self.arguments()?;
        let grouping = match before {
            Some(grouping) => grouping,
            None => self.grouping()?.unwrap_or(Grouping::By(Vec::new())),
        };
        let wanted = if op.param().is_some() { 2 } else { 1 };
        if args.len() != wanted {
            let message =
                format!("this aggregation takes {wanted} argument(s), not {}", args.len());
            return Err(ParseError::new(from, message));
        }
        let (Some(inner), param) = (args.pop(), args.pop()) else {
            return Err(ParseError::new(from, "this aggregation has no argument"));
        };
        if inner.kind != Kind::Vector {
            let message =
                format!("an aggregation needs an instant vector, not a {}", inner.kind.name());
            return Err(ParseError::new(inner.from, message));
        }
        if let (Some(param), Some(kind)) = (&param, op.param())
            && param.kind != kind
        {
            let message = format!(
                "the first argument must be a {}, not a {}",
                kind.name(),
                param.kind.name()
            );
            return Err(ParseError::new(param.from, message));
        }
        check_label_of_count_values(op, param.as_ref())?;
        let aggregate = Aggregate { op, grouping, param: param.map(|p| p.expr), inner: inner.expr };
        Node::new(Expr::Aggregate(Box::new(aggregate)), Kind::Vector, from).above(tallest)
    }

    fn grouping(&mut self) -> Result<Option<Grouping>, ParseError> {
        if self.take_word("by") {
            return self.label_list().map(|labels| Some(Grouping::By(labels)));
        }
        if self.take_word("without") {
            return self.label_list().map(|labels| Some(Grouping::Without(labels)));
        }
        Ok(None)
    }

    /// `(a, b)`, and the height of the tallest.
    pub(super) fn arguments(&mut self) -> Result<(Vec<Node>, usize), ParseError> {
        self.expect_mark("(", "before the arguments")?;
        let mut args = Vec::new();
        if self.take_mark(")") {
            return Ok((args, 0));
        }
        loop {
            args.push(self.nested(|p| p.expression(0))?);
            if self.take_mark(")") {
                let tallest = args.iter().map(|a| a.height).max().unwrap_or(0);
                return Ok((args, tallest));
            }
            self.expect_mark(",", "or \")\" after an argument")?;
        }
    }
}

fn check_label_of_count_values(op: AggregateOp, param: Option<&Node>) -> Result<(), ParseError> {
    let (AggregateOp::CountValues, Some(Node { expr: Expr::Text(label), from, .. })) = (op, param)
    else {
        return Ok(());
    };
    if is_label_name(label) {
        return Ok(());
    }
    Err(ParseError::new(*from, format!("{label:?} is no label name")))
}

/// Whether a text may name a label: letters, digits and underscores, no digit first.
pub(crate) fn is_label_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    let first = bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    first && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}
