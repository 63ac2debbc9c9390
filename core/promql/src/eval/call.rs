//! Function calls: the table's bodies, each in its columnar loop.

use crate::ast::{Expr, Kind};
use crate::error::EvalError;
use crate::functions::{Body, Function, Over};

use super::slide::Slide;
use super::{Block, Evaluator, Steps, Value};

impl Evaluator<'_> {
    pub(super) fn call(
        &self,
        function: &Function,
        args: &[Expr],
        steps: Steps,
    ) -> Result<Value, EvalError> {
        match &function.body {
            Body::Map(f) => {
                let mut block = self.vector(&args[0], steps)?;
                block.map(f);
                block.drop_names();
                Ok(Value::Vector(block))
            }
            Body::MapWith(f) => self.map_with(*f, args, steps).map(Value::Vector),
            Body::Over(over) => self.over(function, over, args, steps).map(Value::Vector),
            Body::Whole(f) => f(self, args, steps),
        }
    }

    /// A vector, and scalars behind it.
    fn map_with(
        &self,
        f: fn(f64, &[f64]) -> f64,
        args: &[Expr],
        steps: Steps,
    ) -> Result<Block, EvalError> {
        let mut block = self.vector(&args[0], steps)?;
        let columns = self.columns(&args[1..], steps)?;
        let mut row = vec![0.0; columns.len()];
        block.map_steps(|i, value| {
            for (cell, column) in row.iter_mut().zip(&columns) {
                *cell = column[i];
            }
            f(value, &row)
        });
        block.drop_names();
        Ok(block)
    }

    /// A range, and scalars before or behind it.
    fn over(
        &self,
        function: &Function,
        over: &Over,
        args: &[Expr],
        steps: Steps,
    ) -> Result<Block, EvalError> {
        let range_at = function.args.iter().position(|k| *k == Kind::Range).unwrap_or(0);
        let columns = self.columns(args[..range_at].iter().chain(&args[range_at + 1..]), steps)?;
        if let Some(check) = over.check {
            check(self, &columns)?;
        }
        let ranges = self.ranges(&args[range_at], steps, function.name)?;
        self.budget.compute(ranges.series.len().saturating_mul(steps.count))?;
        let slide = Slide {
            steps,
            looks: ranges.looks,
            range_ms: ranges.range_ms,
            edge: self.options.left_edge,
            args: &columns,
            wants_falls: over.wants_falls,
            function: over.function,
        };
        let mut block = Block::empty(steps.count);
        block.values.reserve(ranges.series.len() * steps.count);
        let mut scratch = Vec::new();
        for points in &ranges.series {
            self.budget.check()?;
            let mut done = Ok(());
            block.push_filled(points.labels.clone(), |cells| {
                done = slide.over(points, &self.budget, &mut scratch, cells);
            });
            done?;
        }
        if !over.keeps_name {
            block.drop_names();
        }
        Ok(block)
    }

    fn columns<'e>(
        &self,
        args: impl IntoIterator<Item = &'e Expr>,
        steps: Steps,
    ) -> Result<Vec<Vec<f64>>, EvalError> {
        args.into_iter().map(|arg| self.scalar(arg, steps)).collect()
    }
}
