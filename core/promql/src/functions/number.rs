//! Plain numbers: bounds, rounding, signs, and the way between scalars and vectors.

use crate::ast::Expr;
use crate::error::EvalError;
use crate::eval::{ABSENT, Block, Evaluator, Steps, Value, is_absent};

pub(super) fn pi(e: &Evaluator<'_>, _: &[Expr], steps: Steps) -> Result<Value, EvalError> {
    e.constant(std::f64::consts::PI, steps).map(Value::Scalar)
}

pub(super) fn scalar(e: &Evaluator<'_>, args: &[Expr], steps: Steps) -> Result<Value, EvalError> {
    let block = e.vector(&args[0], steps)?;
    let mut column = e.constant(ABSENT, steps)?;
    let mut many = vec![false; steps.count];
    for (_, row) in block.rows() {
        for (i, value) in row.iter().enumerate().filter(|(_, v)| !is_absent(**v)) {
            many[i] |= !is_absent(column[i]);
            column[i] = *value;
        }
    }
    for (cell, many) in column.iter_mut().zip(many) {
        if many || is_absent(*cell) {
            *cell = f64::NAN;
        }
    }
    Ok(Value::Scalar(column))
}

pub(super) fn vector(e: &Evaluator<'_>, args: &[Expr], steps: Steps) -> Result<Value, EvalError> {
    e.scalar(&args[0], steps).map(|column| Value::Vector(Block::of_scalar(column)))
}

pub(super) fn sgn(value: f64) -> f64 {
    if value > 0.0 {
        1.0
    } else if value < 0.0 {
        -1.0
    } else {
        value
    }
}

/// Bounds that exclude each other leave nothing.
pub(super) fn clamp(value: f64, args: &[f64]) -> f64 {
    let (lowest, highest) = (args[0], args[1]);
    if highest < lowest { ABSENT } else { higher(lowest, lower(highest, value)) }
}

pub(super) fn clamp_max(value: f64, args: &[f64]) -> f64 {
    lower(args[0], value)
}

pub(super) fn clamp_min(value: f64, args: &[f64]) -> f64 {
    higher(args[0], value)
}

pub(super) fn round(value: f64, args: &[f64]) -> f64 {
    let nearest = args.first().copied().unwrap_or(1.0);
    // Multiplying by the inverse keeps multiples of 0.1 and their like exact more often.
    let inverse = 1.0 / nearest;
    (value * inverse + 0.5).floor() / inverse
}

/// The higher one; NaN wins, unlike in [`f64::max`].
fn higher(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }
}

/// The lower one; NaN wins, unlike in [`f64::min`].
fn lower(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.min(b) }
}
