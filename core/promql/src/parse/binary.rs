//! Operators, their precedence, and how two vectors are told to match.

use crate::ast::{Binary, BinaryOp, Expr, Kind, Many, Matching};
use crate::error::ParseError;

use super::lex::Token;
use super::{Node, Parser};

/// Binding strength, weakest first; `^` alone groups to the right.
const OPERATORS: [(&str, BinaryOp, u8); 16] = [
    ("or", BinaryOp::Or, 1),
    ("and", BinaryOp::And, 2),
    ("unless", BinaryOp::Unless, 2),
    ("==", BinaryOp::Equal, 3),
    ("!=", BinaryOp::NotEqual, 3),
    (">", BinaryOp::Greater, 3),
    (">=", BinaryOp::GreaterEqual, 3),
    ("<", BinaryOp::Less, 3),
    ("<=", BinaryOp::LessEqual, 3),
    ("+", BinaryOp::Add, 4),
    ("-", BinaryOp::Sub, 4),
    ("*", BinaryOp::Mul, 5),
    ("/", BinaryOp::Div, 5),
    ("%", BinaryOp::Mod, 5),
    ("atan2", BinaryOp::Atan2, 5),
    ("^", BinaryOp::Pow, POWER),
];

const POWER: u8 = 6;

impl Parser {
    /// An expression whose operators all bind at least as strongly as `weakest`.
    pub(super) fn expression(&mut self, weakest: u8) -> Result<Node, ParseError> {
        let mut left = self.operand()?;
        while let Some((op, strength)) = self.operator() {
            if strength < weakest {
                break;
            }
            self.advance();
            let (as_bool, matching) = self.modifiers()?;
            let groups_right = op == BinaryOp::Pow;
            let next = if groups_right { strength } else { strength + 1 };
            let right = self.nested(|p| p.expression(next))?;
            left = combine(op, as_bool, matching, left, right)?;
        }
        Ok(left)
    }

    /// A sign binds weaker than `^` and stronger than everything else: `-2 ^ 2` is -4.
    fn operand(&mut self) -> Result<Node, ParseError> {
        let from = self.at();
        if self.take_mark("+") {
            let node = self.nested(|p| p.expression(POWER))?;
            return signed(&node, from).map(|()| Node { from, bare: false, ..node });
        }
        if self.take_mark("-") {
            let node = self.nested(|p| p.expression(POWER))?;
            signed(&node, from)?;
            if let Expr::Number(n) = node.expr {
                return Ok(Node::new(Expr::Number(-n), Kind::Scalar, from));
            }
            let height = node.height;
            return Node::new(Expr::Negate(Box::new(node.expr)), node.kind, from).above(height);
        }
        self.primary()
    }

    fn operator(&self) -> Option<(BinaryOp, u8)> {
        let written = match self.token() {
            Token::Mark(mark) => (*mark).to_owned(),
            Token::Word(word) => word.to_ascii_lowercase(),
            Token::Number(_) | Token::Duration(_) | Token::Text(_) | Token::End => return None,
        };
        let found = OPERATORS.iter().find(|(symbol, _, _)| *symbol == written);
        found.map(|(_, op, strength)| (*op, *strength))
    }

    /// `bool`, `on(…)`, `ignoring(…)`, `group_left(…)`, `group_right(…)`.
    fn modifiers(&mut self) -> Result<(bool, Option<Matching>), ParseError> {
        let as_bool = self.take_word("bool");
        let on = self.is_word("on");
        if !on && !self.is_word("ignoring") {
            if self.is_word("group_left") || self.is_word("group_right") {
                let hint = "write on(…) or ignoring(…) before it";
                return Err(self.unexpected("nothing says which labels match").with_hint(hint));
            }
            return Ok((as_bool, None));
        }
        self.advance();
        let mut matching = Matching { on, labels: self.label_list()?, ..Matching::default() };
        let group_at = self.at();
        matching.many = if self.take_word("group_left") {
            Many::Left
        } else if self.take_word("group_right") {
            Many::Right
        } else {
            return Ok((as_bool, Some(matching)));
        };
        if self.is_mark("(") {
            matching.include = self.label_list()?;
        }
        let both = matching.include.iter().find(|l| on && matching.labels.contains(l));
        if let Some(label) = both {
            let message = format!("label {label:?} must not stand in both on and group");
            return Err(ParseError::new(group_at, message));
        }
        Ok((as_bool, Some(matching)))
    }
}

fn signed(node: &Node, from: usize) -> Result<(), ParseError> {
    if matches!(node.kind, Kind::Scalar | Kind::Vector) {
        return Ok(());
    }
    let message = format!("a {} cannot have a sign", node.kind.name());
    Err(ParseError::new(from, message))
}

fn combine(
    op: BinaryOp,
    as_bool: bool,
    matching: Option<Matching>,
    left: Node,
    right: Node,
) -> Result<Node, ParseError> {
    let symbol = op.symbol();
    for side in [&left, &right] {
        if !matches!(side.kind, Kind::Scalar | Kind::Vector) {
            let message =
                format!("{symbol} needs scalars or instant vectors, not a {}", side.kind.name());
            let error = ParseError::new(side.from, message);
            return Err(match side.kind {
                Kind::Range => error.with_hint("put a function such as rate(…) around the range"),
                Kind::Scalar | Kind::Vector | Kind::Text => error,
            });
        }
    }
    let scalars = left.kind == Kind::Scalar && right.kind == Kind::Scalar;
    let vectors = left.kind == Kind::Vector && right.kind == Kind::Vector;
    if as_bool && !op.is_comparison() {
        return Err(ParseError::new(
            left.from,
            format!("bool goes with comparisons, not with {symbol}"),
        ));
    }
    if scalars && op.is_comparison() && !as_bool {
        let error = ParseError::new(left.from, "a comparison of two scalars must use bool");
        return Err(error.with_hint(format!("write {symbol} bool")));
    }
    if op.is_set() && !vectors {
        let message = format!("{symbol} is defined between two instant vectors only");
        return Err(ParseError::new(left.from, message));
    }
    if matching.is_some() && !vectors {
        let message = "labels are matched between two instant vectors only";
        return Err(ParseError::new(left.from, message));
    }
    let matching = matching.unwrap_or_default();
    if op.is_set() && matching.many != Many::Neither {
        let message = format!("{symbol} matches many to many already and takes no grouping");
        return Err(ParseError::new(left.from, message));
    }
    let (from, tallest) = (left.from, left.height.max(right.height));
    let kind = if scalars { Kind::Scalar } else { Kind::Vector };
    let binary = Binary {
        op,
        left_kind: left.kind,
        right_kind: right.kind,
        left: left.expr,
        right: right.expr,
        as_bool,
        matching,
    };
    Node::new(Expr::Binary(Box::new(binary)), kind, from).above(tallest)
}
