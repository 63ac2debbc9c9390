//! The evaluator: one call of [`Evaluator::eval`] per node, for all steps at once.

mod aggregate;
mod arithmetic;
mod binary;
mod block;
mod budget;
mod call;
mod matching;
mod rank;
mod select;
mod sets;
mod slide;
mod window;

use std::cell::RefCell;

use whyslow_model::read::SeriesReader;

use crate::ast::{At, Expr, Shift};
use crate::error::EvalError;
use crate::options::EvalOptions;
use budget::Budget;

pub(crate) use arithmetic::quantile;
pub(crate) use block::{ABSENT, Block, is_absent, merge_equal};
pub(crate) use slide::{Window, seconds};

/// Distinct warnings one answer carries.
const WARNINGS_MAX: usize = 10;

/// The times at which a query, or the inside of a subquery, is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Steps {
    pub(crate) from_ms: i64,
    pub(crate) step_ms: i64,
    /// At least 1.
    pub(crate) count: usize,
}

impl Steps {
    /// The time of step `i`.
    pub(crate) fn at(self, i: usize) -> i64 {
        self.from_ms + self.step_ms * i64::try_from(i).unwrap_or(i64::MAX)
    }

    pub(crate) fn last(self) -> i64 {
        self.at(self.count - 1)
    }
}

/// What a node yields.
#[derive(Debug)]
pub(crate) enum Value {
    /// One number a step; all present.
    Scalar(Vec<f64>),
    Vector(Block),
    Text(String),
}

/// One query under way.
pub(crate) struct Evaluator<'a> {
    reader: &'a dyn SeriesReader,
    options: &'a EvalOptions<'a>,
    /// The whole query's steps, for `@ start()` and `@ end()`.
    outermost: Steps,
    budget: Budget<'a>,
    warnings: RefCell<Vec<String>>,
}

impl<'a> Evaluator<'a> {
    pub(crate) fn new(
        reader: &'a dyn SeriesReader,
        options: &'a EvalOptions<'a>,
        steps: Steps,
    ) -> Self {
        let warnings = RefCell::new(Vec::new());
        Self { reader, options, outermost: steps, budget: Budget::new(options), warnings }
    }

    /// The node's value at every step.
    pub(crate) fn eval(&self, expr: &Expr, steps: Steps) -> Result<Value, EvalError> {
        match expr {
            Expr::Number(n) => self.constant(*n, steps).map(Value::Scalar),
            Expr::Text(text) => Ok(Value::Text(text.clone())),
            Expr::Instant(selector) => self.instant(selector, steps).map(Value::Vector),
            Expr::Range { .. } | Expr::Subquery { .. } => {
                unreachable!("the parser lets ranges stand only inside of functions that take them")
            }
            Expr::Call { function, args } => self.call(function, args, steps),
            Expr::Aggregate(aggregate) => self.aggregate(aggregate, steps).map(Value::Vector),
            Expr::Binary(binary) => self.binary(binary, steps),
            Expr::Negate(inner) => self.negate(inner, steps),
        }
    }

    /// The value of a node whose type the parser has made sure of.
    pub(crate) fn vector(&self, expr: &Expr, steps: Steps) -> Result<Block, EvalError> {
        match self.eval(expr, steps)? {
            Value::Vector(block) => Ok(block),
            Value::Scalar(_) | Value::Text(_) => unreachable!("the parser checks types"),
        }
    }

    /// The column of a node whose type the parser has made sure of.
    pub(crate) fn scalar(&self, expr: &Expr, steps: Steps) -> Result<Vec<f64>, EvalError> {
        match self.eval(expr, steps)? {
            Value::Scalar(column) => Ok(column),
            Value::Vector(_) | Value::Text(_) => unreachable!("the parser checks types"),
        }
    }

    /// The text of a node whose type the parser has made sure of.
    pub(crate) fn text<'e>(&self, expr: &'e Expr) -> &'e str {
        let Expr::Text(text) = expr else {
            unreachable!("the parser checks types, and only literals are texts");
        };
        text
    }

    /// The same number at every step.
    pub(crate) fn constant(&self, n: f64, steps: Steps) -> Result<Vec<f64>, EvalError> {
        self.budget.compute(steps.count)?;
        Ok(vec![n; steps.count])
    }

    pub(crate) fn budget(&self) -> &Budget<'a> {
        &self.budget
    }

    pub(crate) fn options(&self) -> &EvalOptions<'a> {
        self.options
    }

    pub(crate) fn warn(&self, text: impl FnOnce() -> String) {
        let mut all = self.warnings.borrow_mut();
        if all.len() < WARNINGS_MAX {
            let text = text();
            if !all.contains(&text) {
                all.push(text);
            }
        }
    }

    pub(crate) fn warnings(&self) -> Vec<String> {
        self.warnings.borrow().clone()
    }

    fn negate(&self, inner: &Expr, steps: Steps) -> Result<Value, EvalError> {
        match self.eval(inner, steps)? {
            Value::Scalar(mut column) => {
                column.iter_mut().for_each(|v| *v = -*v);
                Ok(Value::Scalar(column))
            }
            Value::Vector(mut block) => {
                block.map(|v| -v);
                block.drop_names();
                Ok(Value::Vector(block))
            }
            Value::Text(_) => unreachable!("the parser refuses signs before texts"),
        }
    }

    /// The steps a shifted selector looks at: the same for all where `@` pins them.
    fn shifted(&self, shift: Shift, steps: Steps) -> Steps {
        let pinned = match shift.at {
            None => {
                return Steps { from_ms: steps.from_ms - shift.offset_ms, ..steps };
            }
            Some(At::Start) => self.outermost.from_ms,
            Some(At::End) => self.outermost.last(),
            Some(At::Ms(ms)) => ms,
        };
        Steps { from_ms: pinned - shift.offset_ms, step_ms: 0, count: steps.count }
    }
}
