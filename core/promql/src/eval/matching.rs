//! Arithmetic and comparison of two vectors: which series meet, and under which labels.
//!
//! Series are matched once for all steps. Only where several series of one side share a match
//! group does it depend on the step which of them is there.

use whyslow_model::Labels;
use whyslow_model::labels::NAME;
use whyslow_model::seeded::{Seed, SeededMap};

use crate::ast::{Binary, Many, Matching};
use crate::error::EvalError;

use super::arithmetic::{Operation, operation, truth};
use super::block::{is_absent, merge_equal};
use super::{ABSENT, Block, Evaluator};

impl Matching {
    /// The labels by which a series finds its partners.
    pub(super) fn signature(&self, labels: &Labels) -> Labels {
        labels.filtered(|name| {
            let listed = self.labels.iter().any(|l| l == name);
            if self.on { listed } else { !listed && name != NAME }
        })
    }
}

impl Evaluator<'_> {
    pub(super) fn matched(
        &self,
        binary: &Binary,
        left: Block,
        right: Block,
    ) -> Result<Block, EvalError> {
        // The "one" side is looked up, the "many" side is walked over.
        let swapped = binary.matching.many == Many::Right;
        let (many, one) = if swapped { (right, left) } else { (left, right) };
        let steps = many.steps;
        if many.labels.is_empty() || one.labels.is_empty() {
            return Ok(Block::empty(steps));
        }
        let partners = self.partners(binary, &one, swapped)?;
        self.budget.compute(many.values.len())?;
        let pairing = Pairing { binary, swapped, operation: operation(binary.op) };
        let mut matched = Block::empty(steps);
        let mut taken = self.options.seed.map::<Labels, Vec<bool>>();
        for (labels, row) in many.rows() {
            self.budget.check()?;
            let signature = binary.matching.signature(labels);
            let Some(rows) = partners.get(&signature) else {
                continue;
            };
            for partner in rows {
                let name = pairing.result_labels(labels, &one.labels[*partner]);
                let from = matched.labels.len();
                matched.push_filled(name, |cells| pairing.fill(row, one.row(*partner), cells));
                if binary.matching.many == Many::Neither && matched.labels.len() > from {
                    claim(&mut taken, &signature, matched.row(from))?;
                }
            }
        }
        unique(&matched, self.options.seed)
    }

    /// The one side's rows by signature; no two of a group are there at the same step.
    fn partners(
        &self,
        binary: &Binary,
        one: &Block,
        swapped: bool,
    ) -> Result<SeededMap<Labels, Vec<usize>>, EvalError> {
        let mut partners = self.options.seed.map::<Labels, Vec<usize>>();
        for (i, labels) in one.labels.iter().enumerate() {
            let signature = binary.matching.signature(labels);
            let rows = partners.entry(signature.clone()).or_default();
            for other in rows.iter() {
                if overlap(one.row(*other), one.row(i)) {
                    let side = if swapped { "left" } else { "right" };
                    return Err(EvalError::Execution(format!(
                        "two series on the {side} side share the match group {signature}: \
                         {} and {labels}; labels must be unique on one side",
                        one.labels[*other]
                    )));
                }
            }
            rows.push(i);
        }
        Ok(partners)
    }
}

/// How two matched series become one.
struct Pairing<'a> {
    binary: &'a Binary,
    /// The "many" side stands on the right.
    swapped: bool,
    operation: Operation,
}

impl Pairing<'_> {
    fn fill(&self, many: &[f64], one: &[f64], cells: &mut [f64]) {
        for ((cell, m), o) in cells.iter_mut().zip(many).zip(one) {
            if is_absent(*m) || is_absent(*o) {
                continue;
            }
            let (a, b) = if self.swapped { (*o, *m) } else { (*m, *o) };
            *cell = match self.operation {
                Operation::Arithmetic(f) => f(a, b),
                Operation::Comparison(f) if self.binary.as_bool => truth(f(a, b)),
                Operation::Comparison(f) if f(a, b) => a,
                Operation::Comparison(_) => ABSENT,
            };
        }
    }

    /// The many side's labels, or just the matched ones where one meets one.
    fn result_labels(&self, many: &Labels, one: &Labels) -> Labels {
        let matching = &self.binary.matching;
        let keeps_name = matches!(self.operation, Operation::Comparison(_)) && !self.binary.as_bool;
        let one_to_one = matching.many == Many::Neither;
        let mut labels = many.filtered(|name| {
            let listed = || matching.labels.iter().any(|l| l == name);
            (name != NAME || keeps_name) && (!one_to_one || listed() == matching.on)
        });
        for name in &matching.include {
            labels = labels.with(name, one.value(name).unwrap_or(""));
        }
        labels
    }
}

/// Whether two series have a value at the same step.
fn overlap(a: &[f64], b: &[f64]) -> bool {
    a.iter().zip(b).any(|(a, b)| !is_absent(*a) && !is_absent(*b))
}

/// Marks the steps at which a match group has its one result.
fn claim(
    taken: &mut SeededMap<Labels, Vec<bool>>,
    signature: &Labels,
    row: &[f64],
) -> Result<(), EvalError> {
    let Some(steps) = taken.get_mut(signature) else {
        taken.insert(signature.clone(), row.iter().map(|v| !is_absent(*v)).collect());
        return Ok(());
    };
    for (step, value) in steps.iter_mut().zip(row) {
        if is_absent(*value) {
            continue;
        }
        if *step {
            return Err(EvalError::Execution(format!(
                "several series on the left side share the match group {signature}; \
                 to match many with one write group_left or group_right"
            )));
        }
        *step = true;
    }
    Ok(())
}

/// Joins what one series has with different partners at different steps.
fn unique(block: &Block, seed: Seed) -> Result<Block, EvalError> {
    merge_equal(block, seed).map_err(|error| {
        EvalError::Execution(format!("several matches would have the same labels: {error}"))
    })
}
