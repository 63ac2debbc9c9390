//! `label_replace` and `label_join`: the values stay, the labels change.

use whyslow_model::Labels;
use whyslow_model::matcher::anchored;

use crate::ast::Expr;
use crate::error::EvalError;
use crate::eval::{Evaluator, Steps, Value, merge_equal};
use crate::parse::is_label_name;

pub(super) fn label_replace(
    e: &Evaluator<'_>,
    args: &[Expr],
    steps: Steps,
) -> Result<Value, EvalError> {
    let [target, template, source, pattern] = [1, 2, 3, 4].map(|i| e.text(&args[i]));
    check_target(target)?;
    let regex = anchored(pattern)
        .map_err(|_| EvalError::Execution(format!("bad pattern {pattern:?} in label_replace")))?;
    relabelled(e, &args[0], steps, |labels| {
        let found = regex.captures(labels.value(source).unwrap_or(""))?;
        let mut value = String::new();
        found.expand(template, &mut value);
        Some(labels.with(target, &value))
    })
}

pub(super) fn label_join(
    e: &Evaluator<'_>,
    args: &[Expr],
    steps: Steps,
) -> Result<Value, EvalError> {
    let (target, separator) = (e.text(&args[1]), e.text(&args[2]));
    check_target(target)?;
    let sources: Vec<&str> = args[3..].iter().map(|a| e.text(a)).collect();
    if let Some(bad) = sources.iter().find(|s| !is_label_name(s)) {
        return Err(EvalError::Execution(format!("{bad:?} is no label name")));
    }
    relabelled(e, &args[0], steps, |labels| {
        let parts: Vec<&str> = sources.iter().map(|s| labels.value(s).unwrap_or("")).collect();
        Some(labels.with(target, &parts.join(separator)))
    })
}

fn check_target(target: &str) -> Result<(), EvalError> {
    if is_label_name(target) {
        return Ok(());
    }
    Err(EvalError::Execution(format!("{target:?} is no label name")))
}

/// The vector with what `change` makes of its label sets; `None` leaves one as it is.
fn relabelled(
    e: &Evaluator<'_>,
    arg: &Expr,
    steps: Steps,
    change: impl Fn(&Labels) -> Option<Labels>,
) -> Result<Value, EvalError> {
    let block = e.vector(arg, steps)?;
    let mut block = e.settle(block)?;
    for labels in &mut block.labels {
        if let Some(changed) = change(labels) {
            *labels = changed;
        }
    }
    merge_equal(&block, e.options().seed).map(Value::Vector)
}
