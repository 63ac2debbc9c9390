//! The order of an instant query's samples. A range query's series are ordered by labels.

use crate::ast::Expr;
use crate::error::EvalError;
use crate::eval::{Block, Evaluator, Steps, Value};

pub(super) fn sort(e: &Evaluator<'_>, args: &[Expr], steps: Steps) -> Result<Value, EvalError> {
    sorted(e, args, steps, |value| value)
}

pub(super) fn sort_desc(
    e: &Evaluator<'_>,
    args: &[Expr],
    steps: Steps,
) -> Result<Value, EvalError> {
    sorted(e, args, steps, |value| -value)
}

/// NaN comes last either way.
fn sorted(
    e: &Evaluator<'_>,
    args: &[Expr],
    steps: Steps,
    key: fn(f64) -> f64,
) -> Result<Value, EvalError> {
    let block = e.vector(&args[0], steps)?;
    if steps.count != 1 {
        return Ok(Value::Vector(block));
    }
    let mut order: Vec<usize> = (0..block.labels.len()).collect();
    order.sort_by(|a, b| {
        let (a, b) = (key(block.values[*a]), key(block.values[*b]));
        a.is_nan().cmp(&b.is_nan()).then(a.partial_cmp(&b).unwrap_or(std::cmp::Ordering::Equal))
    });
    let labels = order.iter().map(|i| block.labels[*i].clone()).collect();
    let values = order.iter().map(|i| block.values[*i]).collect();
    Ok(Value::Vector(Block { labels, values, ..block }))
}
