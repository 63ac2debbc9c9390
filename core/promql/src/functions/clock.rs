//! Time: the step's, the samples', and what the calendar says of a Unix time.

use crate::ast::Expr;
use crate::civil::{self, Civil};
use crate::error::EvalError;
use crate::eval::{Block, Evaluator, Steps, Value, seconds};

pub(super) fn time(e: &Evaluator<'_>, _: &[Expr], steps: Steps) -> Result<Value, EvalError> {
    step_times(e, steps).map(Value::Scalar)
}

/// A bare selector's samples have times of their own; everything else happens at the step.
pub(super) fn timestamp(
    e: &Evaluator<'_>,
    args: &[Expr],
    steps: Steps,
) -> Result<Value, EvalError> {
    let mut block = if let Expr::Instant(selector) = &args[0] {
        e.instant_with(selector, steps, Some("timestamp"), |at_ms, _| seconds(at_ms))?
    } else {
        let mut block = e.vector(&args[0], steps)?;
        block.map_steps(|i, _| seconds(steps.at(i)));
        block
    };
    block.drop_names();
    Ok(Value::Vector(block))
}

/// The calendar functions: of the given times, or of the step's where none are given.
macro_rules! calendar {
    ($($name:ident: $pick:expr;)*) => {$(
        pub(super) fn $name(
            e: &Evaluator<'_>,
            args: &[Expr],
            steps: Steps,
        ) -> Result<Value, EvalError> {
            calendar(e, args, steps, $pick)
        }
    )*};
}

calendar! {
    day_of_month: |c| c.day;
    day_of_week: |c| c.weekday;
    day_of_year: |c| c.day_of_year;
    days_in_month: |c| civil::days_in_month(c.year, c.month);
    hour: |c| c.hour;
    minute: |c| c.minute;
    month: |c| c.month;
    year: |c| c.year;
}

fn calendar(
    e: &Evaluator<'_>,
    args: &[Expr],
    steps: Steps,
    pick: fn(Civil) -> i64,
) -> Result<Value, EvalError> {
    let mut block = match args.first() {
        Some(arg) => e.vector(arg, steps)?,
        None => Block::of_scalar(step_times(e, steps)?),
    };
    block.map(|unix_s| {
        // A time that no integer holds has no date.
        if unix_s.abs() < 9.2e18 { number(pick(Civil::from_unix(whole(unix_s)))) } else { f64::NAN }
    });
    block.drop_names();
    Ok(Value::Vector(block))
}

fn step_times(e: &Evaluator<'_>, steps: Steps) -> Result<Vec<f64>, EvalError> {
    e.budget().compute(steps.count)?;
    Ok((0..steps.count).map(|i| seconds(steps.at(i))).collect())
}

/// Towards zero, as Prometheus does it.
#[expect(clippy::cast_possible_truncation, reason = "truncation is the meaning")]
fn whole(value: f64) -> i64 {
    value as i64
}

#[expect(clippy::cast_precision_loss, reason = "dates are small")]
fn number(value: i64) -> f64 {
    value as f64
}
