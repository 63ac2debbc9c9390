//! Binary operators by the types of their sides.

use crate::ast::{Binary, Kind};
use crate::error::EvalError;

use super::arithmetic::{Operation, operation, truth};
use super::{ABSENT, Block, Evaluator, Steps, Value};

impl Evaluator<'_> {
    pub(super) fn binary(&self, binary: &Binary, steps: Steps) -> Result<Value, EvalError> {
        match (binary.left_kind, binary.right_kind) {
            (Kind::Scalar, Kind::Scalar) => {
                let left = self.scalar(&binary.left, steps)?;
                let right = self.scalar(&binary.right, steps)?;
                Ok(Value::Scalar(scalars(operation(binary.op), left, &right)))
            }
            (Kind::Vector, Kind::Scalar) => {
                let block = self.vector(&binary.left, steps)?;
                let column = self.scalar(&binary.right, steps)?;
                Ok(Value::Vector(with_scalar(binary, block, &column, false)))
            }
            (Kind::Scalar, Kind::Vector) => {
                let column = self.scalar(&binary.left, steps)?;
                let block = self.vector(&binary.right, steps)?;
                Ok(Value::Vector(with_scalar(binary, block, &column, true)))
            }
            _ => {
                let left = self.vector(&binary.left, steps)?;
                let right = self.vector(&binary.right, steps)?;
                let (left, right) = (self.settle(left)?, self.settle(right)?);
                if binary.op.is_set() {
                    self.set(binary, left, right).map(Value::Vector)
                } else {
                    self.matched(binary, left, right).map(Value::Vector)
                }
            }
        }
    }
}

fn scalars(operation: Operation, mut left: Vec<f64>, right: &[f64]) -> Vec<f64> {
    for (a, b) in left.iter_mut().zip(right) {
        *a = match operation {
            Operation::Arithmetic(f) => f(*a, *b),
            Operation::Comparison(f) => truth(f(*a, *b)),
        };
    }
    left
}

/// A comparison keeps the vector's value, on whichever side it stands.
fn with_scalar(binary: &Binary, mut block: Block, column: &[f64], swapped: bool) -> Block {
    let sides = |i: usize, v: f64| if swapped { (column[i], v) } else { (v, column[i]) };
    match operation(binary.op) {
        Operation::Arithmetic(f) => {
            block.map_steps(|i, v| {
                let (a, b) = sides(i, v);
                f(a, b)
            });
            block.drop_names();
        }
        Operation::Comparison(f) if binary.as_bool => {
            block.map_steps(|i, v| {
                let (a, b) = sides(i, v);
                truth(f(a, b))
            });
            block.drop_names();
        }
        Operation::Comparison(f) => block.map_steps(|i, v| {
            let (a, b) = sides(i, v);
            if f(a, b) { v } else { ABSENT }
        }),
    }
    block
}
