//! Aggregations that need all values of a group and step at once: topk, bottomk, limitk,
//! quantile, `count_values`.

use whyslow_model::Labels;

use crate::ast::{Aggregate, AggregateOp, Expr, Grouping};
use crate::error::EvalError;

use super::aggregate::Groups;
use super::block::is_absent;
use super::{ABSENT, Block, Evaluator, Steps, quantile};

impl Evaluator<'_> {
    pub(super) fn ranked(
        &self,
        aggregate: &Aggregate,
        param: &Expr,
        inner: Block,
        steps: Steps,
    ) -> Result<Block, EvalError> {
        let grouping = &aggregate.grouping;
        if aggregate.op == AggregateOp::CountValues {
            return self.count_values(grouping, self.text(param), &inner);
        }
        let column = self.scalar(param, steps)?;
        if aggregate.op == AggregateOp::Quantile {
            self.warn_of_quantiles(&column);
            return self.quantiles(grouping, &column, &inner);
        }
        let inner = self.settle(inner)?;
        self.chosen(aggregate.op, grouping, &column, inner)
    }

    fn quantiles(
        &self,
        grouping: &Grouping,
        quantiles: &[f64],
        inner: &Block,
    ) -> Result<Block, EvalError> {
        let groups = self.groups(grouping, inner);
        let mut answer = Block::empty(inner.steps);
        let mut values = Vec::new();
        for (labels, rows) in groups.members() {
            self.budget.compute(inner.steps)?;
            answer.push_filled(labels, |cells| {
                for (i, cell) in cells.iter_mut().enumerate() {
                    values.clear();
                    let present = rows.iter().map(|row| inner.row(*row)[i]);
                    values.extend(present.filter(|v| !is_absent(*v)));
                    if !values.is_empty() {
                        *cell = quantile(quantiles[i], &mut values);
                    }
                }
            });
        }
        Ok(answer)
    }

    /// Keeps the cells of the k best rows of each group and step, their labels untouched.
    fn chosen(
        &self,
        op: AggregateOp,
        grouping: &Grouping,
        counts: &[f64],
        mut inner: Block,
    ) -> Result<Block, EvalError> {
        let counts = counts.iter().map(|k| whole(*k)).collect::<Result<Vec<usize>, EvalError>>()?;
        let groups = self.groups(grouping, &inner);
        let steps = inner.steps;
        let mut ranking: Vec<(f64, usize)> = Vec::new();
        let mut order = Vec::new();
        for (_, rows) in groups.members() {
            for (i, k) in counts.iter().enumerate() {
                ranking.clear();
                let cells = rows.iter().map(|row| (inner.values[row * steps + i], *row));
                ranking.extend(cells.filter(|(v, _)| !is_absent(*v)));
                if op != AggregateOp::LimitK {
                    ranking.sort_by(|a, b| best_first(op, a.0, b.0));
                }
                for (_, row) in ranking.iter().skip(*k) {
                    inner.values[row * steps + i] = ABSENT;
                }
                if steps == 1 {
                    order.extend(ranking.iter().take(*k).map(|(_, row)| *row));
                }
            }
            self.budget.check()?;
        }
        Ok(if steps == 1 { in_order(&inner, &order) } else { inner })
    }

    fn count_values(
        &self,
        grouping: &Grouping,
        label: &str,
        inner: &Block,
    ) -> Result<Block, EvalError> {
        let groups = self.groups(grouping, inner);
        // The new label counts as one of the inner vector's, so it can be grouped away.
        let hidden = matches!(grouping, Grouping::Without(out) if out.iter().any(|l| l == label));
        let steps = inner.steps;
        let mut by_value = self.options.seed.map::<(usize, u64), usize>();
        let mut by_labels = self.options.seed.map::<Labels, usize>();
        let mut answer = Block::empty(steps);
        for ((_, row), group) in inner.rows().zip(&groups.of_row) {
            self.budget.check()?;
            for (i, value) in row.iter().enumerate().filter(|(_, v)| !is_absent(**v)) {
                let key = (*group, if value.is_nan() { f64::NAN } else { *value }.to_bits());
                let place = *by_value.entry(key).or_insert_with(|| {
                    let of_group = &groups.labels[*group];
                    let labels = match hidden {
                        true => of_group.clone(),
                        false => of_group.with(label, &written(*value)),
                    };
                    *by_labels.entry(labels).or_insert_with_key(|labels| {
                        answer.labels.push(labels.clone());
                        answer.labels.len() - 1
                    })
                });
                if place * steps == answer.values.len() {
                    self.budget.compute(steps)?;
                    answer.values.resize((place + 1) * steps, ABSENT);
                }
                let cell = &mut answer.values[place * steps + i];
                *cell = if is_absent(*cell) { 1.0 } else { *cell + 1.0 };
            }
        }
        Ok(answer)
    }
}

impl Groups {
    /// Each group's labels and rows.
    fn members(&self) -> Vec<(Labels, Vec<usize>)> {
        let mut members: Vec<(Labels, Vec<usize>)> =
            self.labels.iter().map(|labels| (labels.clone(), Vec::new())).collect();
        for (row, group) in self.of_row.iter().enumerate() {
            members[*group].1.push(row);
        }
        members
    }
}

/// How many to keep; fewer than one is none.
fn whole(k: f64) -> Result<usize, EvalError> {
    if k.is_nan() || k.abs() >= 9.2e18 {
        return Err(EvalError::Execution(format!("{k} is no count of series")));
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "bounds are checked"
    )]
    Ok(k.max(0.0) as usize)
}

/// NaN is worst, whether the highest or the lowest are wanted.
fn best_first(op: AggregateOp, a: f64, b: f64) -> std::cmp::Ordering {
    let (a, b) = if op == AggregateOp::TopK { (-a, -b) } else { (a, b) };
    a.is_nan().cmp(&b.is_nan()).then(a.partial_cmp(&b).unwrap_or(std::cmp::Ordering::Equal))
}

fn in_order(block: &Block, order: &[usize]) -> Block {
    Block {
        labels: order.iter().map(|row| block.labels[*row].clone()).collect(),
        values: order.iter().map(|row| block.values[*row]).collect(),
        steps: 1,
        nameless: block.nameless,
    }
}

/// As the language writes a number in a label.
fn written(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned()
    } else {
        value.to_string()
    }
}
