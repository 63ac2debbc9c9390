//! `absent` and `absent_over_time`: a series that appears where nothing else is.

use whyslow_model::Labels;
use whyslow_model::labels::NAME;
use whyslow_model::matcher::{MatchOp, Matcher};

use crate::ast::Expr;
use crate::error::EvalError;
use crate::eval::{ABSENT, Block, Evaluator, Steps, Value, is_absent};

pub(super) fn absent(e: &Evaluator<'_>, args: &[Expr], steps: Steps) -> Result<Value, EvalError> {
    let block = e.vector(&args[0], steps)?;
    let mut cells = e.constant(1.0, steps)?;
    for (_, row) in block.rows() {
        for (cell, value) in cells.iter_mut().zip(row) {
            if !is_absent(*value) {
                *cell = ABSENT;
            }
        }
    }
    Ok(Value::Vector(one_series(&args[0], &cells, steps)))
}

pub(super) fn absent_over_time(
    e: &Evaluator<'_>,
    args: &[Expr],
    steps: Steps,
) -> Result<Value, EvalError> {
    let ranges = e.ranges(&args[0], steps, "absent_over_time")?;
    let mut cells = e.constant(1.0, steps)?;
    for points in &ranges.series {
        e.budget().check()?;
        for (i, cell) in cells.iter_mut().enumerate() {
            let to_ms = ranges.looks.at(i);
            let high = points.times_ms.partition_point(|t| *t <= to_ms);
            let oldest = e.oldest(to_ms, ranges.range_ms);
            if high > 0 && points.times_ms[high - 1] >= oldest {
                *cell = ABSENT;
            }
        }
    }
    Ok(Value::Vector(one_series(&args[0], &cells, steps)))
}

fn one_series(arg: &Expr, cells: &[f64], steps: Steps) -> Block {
    let mut block = Block::empty(steps.count);
    block.push_filled(asked_labels(arg), |row| row.copy_from_slice(cells));
    block
}

/// The labels that a selector pins with exactly one `=`: what is missing would have had them.
fn asked_labels(arg: &Expr) -> Labels {
    let (Expr::Instant(selector) | Expr::Range { selector, .. }) = arg else {
        return Labels::empty();
    };
    let pinned = |m: &&Matcher| {
        let alone = selector.matchers.iter().filter(|other| other.name == m.name).count() == 1;
        m.op == MatchOp::Equal && m.name != NAME && alone
    };
    let pairs = selector.matchers.iter().filter(pinned);
    Labels::from_pairs(pairs.map(|m| (m.name.as_str(), m.value.as_str())))
}
