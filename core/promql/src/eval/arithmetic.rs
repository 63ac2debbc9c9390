//! Operators on two numbers, and the quantile of many.

use crate::ast::BinaryOp;

use super::Evaluator;

/// The value of an arithmetic operator.
pub(super) type Arithmetic = fn(f64, f64) -> f64;

/// The truth of a comparison.
pub(super) type Comparison = fn(f64, f64) -> bool;

/// What a binary operator other than a set operator does with two numbers.
#[derive(Clone, Copy)]
pub(super) enum Operation {
    Arithmetic(Arithmetic),
    Comparison(Comparison),
}

#[expect(clippy::float_cmp, reason = "the language compares floats exactly")]
pub(super) fn operation(op: BinaryOp) -> Operation {
    match op {
        BinaryOp::Add => Operation::Arithmetic(|a, b| a + b),
        BinaryOp::Sub => Operation::Arithmetic(|a, b| a - b),
        BinaryOp::Mul => Operation::Arithmetic(|a, b| a * b),
        BinaryOp::Div => Operation::Arithmetic(|a, b| a / b),
        BinaryOp::Mod => Operation::Arithmetic(|a, b| a % b),
        BinaryOp::Pow => Operation::Arithmetic(f64::powf),
        BinaryOp::Atan2 => Operation::Arithmetic(f64::atan2),
        BinaryOp::Equal => Operation::Comparison(|a, b| a == b),
        BinaryOp::NotEqual => Operation::Comparison(|a, b| a != b),
        BinaryOp::Greater => Operation::Comparison(|a, b| a > b),
        BinaryOp::GreaterEqual => Operation::Comparison(|a, b| a >= b),
        BinaryOp::Less => Operation::Comparison(|a, b| a < b),
        BinaryOp::LessEqual => Operation::Comparison(|a, b| a <= b),
        BinaryOp::And | BinaryOp::Or | BinaryOp::Unless => {
            unreachable!("set operators look at labels, not at values")
        }
    }
}

pub(super) fn truth(is_true: bool) -> f64 {
    if is_true { 1.0 } else { 0.0 }
}

/// The quantile of values in any order, which is changed; NaN is lower than everything.
/// Between two neighbours it is linear; below 0 and above 1 it is infinite.
pub(crate) fn quantile(q: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    #[expect(clippy::cast_precision_loss, reason = "fewer than 2^53 values")]
    let rank = q * (values.len() - 1) as f64;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 ≤ rank < len")]
    let at = rank.floor() as usize;
    let (_, lower, above) = values.select_nth_unstable_by(at, nan_first);
    let lower = *lower;
    let upper = above.iter().copied().min_by(nan_first).unwrap_or(lower);
    let weight = rank - rank.floor();
    lower * (1.0 - weight) + upper * weight
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that sorting wants")]
pub(super) fn nan_first(a: &f64, b: &f64) -> std::cmp::Ordering {
    a.partial_cmp(b).unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()))
}

impl Evaluator<'_> {
    /// Says so where a quantile is none.
    pub(crate) fn warn_of_quantiles(&self, quantiles: &[f64]) {
        if let Some(q) = quantiles.iter().find(|q| !(0.0..=1.0).contains(*q)) {
            self.warn(|| format!("a quantile lies between 0 and 1; this one is {q}"));
        }
    }
}
