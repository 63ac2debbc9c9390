//! `and`, `or`, `unless`: which series are there, whatever their values.

use whyslow_model::Labels;
use whyslow_model::seeded::SeededMap;

use crate::ast::{Binary, BinaryOp};
use crate::error::EvalError;

use super::block::{is_absent, merge_equal};
use super::{ABSENT, Block, Evaluator};

impl Evaluator<'_> {
    pub(super) fn set(
        &self,
        binary: &Binary,
        mut left: Block,
        mut right: Block,
    ) -> Result<Block, EvalError> {
        self.budget.compute(left.values.len().saturating_add(right.values.len()))?;
        if binary.op == BinaryOp::Or {
            let there = self.presence(binary, &left);
            retain(binary, &mut right, &there, false);
            left.labels.append(&mut right.labels);
            left.values.append(&mut right.values);
            return merge_equal(&left, self.options.seed);
        }
        let there = self.presence(binary, &right);
        retain(binary, &mut left, &there, binary.op == BinaryOp::And);
        Ok(left)
    }

    /// At which steps each match group has any series.
    fn presence(&self, binary: &Binary, block: &Block) -> SeededMap<Labels, Vec<bool>> {
        let mut there = self.options.seed.map::<Labels, Vec<bool>>();
        for (labels, row) in block.rows() {
            let signature = binary.matching.signature(labels);
            let steps = there.entry(signature).or_insert_with(|| vec![false; block.steps]);
            for (step, value) in steps.iter_mut().zip(row) {
                *step |= !is_absent(*value);
            }
        }
        there
    }
}

/// Empties the cells whose match group is not there, or is there, unlike `wanted`.
fn retain(binary: &Binary, block: &mut Block, there: &SeededMap<Labels, Vec<bool>>, wanted: bool) {
    for (labels, row) in block.labels.iter().zip(block.values.chunks_mut(block.steps)) {
        let steps = there.get(&binary.matching.signature(labels));
        for (i, value) in row.iter_mut().enumerate() {
            if steps.is_some_and(|steps| steps[i]) != wanted {
                *value = ABSENT;
            }
        }
    }
}
