//! A parsed query and its answers.

use whyslow_model::Labels;
use whyslow_model::read::{SeriesPoints, SeriesReader};

use crate::ast::{Expr, Kind};
use crate::error::EvalError;
use crate::eval::{Block, Evaluator, Steps, Value, is_absent};
use crate::options::EvalOptions;

/// Times a query may name, in milliseconds either side of the epoch: 285,000 years.
const TIME_MS_MAX: i64 = 1 << 53;

/// A checked query, to be asked as often as one likes.
#[derive(Debug)]
pub struct Query {
    expr: Expr,
    kind: Kind,
}

/// One value of one series at the asked time.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The series.
    pub labels: Labels,
    /// The asked time, in milliseconds since the epoch.
    pub at_ms: i64,
    /// The value.
    pub value: f64,
}

/// Series with points in ascending time, themselves ascending by labels.
pub type Matrix = Vec<SeriesPoints>;

/// What an instant query yields.
#[derive(Clone, Debug, PartialEq)]
pub enum InstantValue {
    /// One number.
    Scalar(f64),
    /// A set of samples; `sort`, `topk` and their kin decide the order.
    Vector(Vec<Sample>),
    /// The points a range covers.
    Matrix(Matrix),
    /// A text.
    Text(String),
}

/// The answer to an instant query.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The value.
    pub value: InstantValue,
    /// The asked time, in milliseconds since the epoch.
    pub at_ms: i64,
    /// What the asker should know, such as a quantile outside 0 to 1.
    pub warnings: Vec<String>,
}

/// The answer to a range query.
#[derive(Clone, Debug, PartialEq)]
pub struct RangeAnswer {
    /// The series.
    pub matrix: Matrix,
    /// What the asker should know, such as a quantile outside 0 to 1.
    pub warnings: Vec<String>,
}

impl Query {
    pub(crate) fn new(expr: Expr, kind: Kind) -> Self {
        Self { expr, kind }
    }

    /// The type of the answer.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Answers for one time, in milliseconds since the epoch.
    ///
    /// # Errors
    /// [`EvalError`] where the data does not allow an answer, a limit is hit, the caller's check
    /// says stop, or the reader fails.
    pub fn instant(
        &self,
        reader: &dyn SeriesReader,
        at_ms: i64,
        options: &EvalOptions<'_>,
    ) -> Result<Answer, EvalError> {
        check_times(at_ms, at_ms)?;
        let steps = Steps { from_ms: at_ms, step_ms: 0, count: 1 };
        let evaluator = Evaluator::new(reader, options, steps);
        let value = if self.kind == Kind::Range {
            InstantValue::Matrix(sorted(evaluator.points_at(&self.expr, steps)?))
        } else {
            match evaluator.eval(&self.expr, steps)? {
                Value::Scalar(column) => InstantValue::Scalar(column[0]),
                Value::Vector(block) => {
                    InstantValue::Vector(samples(evaluator.settle(block)?, at_ms))
                }
                Value::Text(text) => InstantValue::Text(text),
            }
        };
        Ok(Answer { value, at_ms, warnings: evaluator.warnings() })
    }

    /// Answers for every step from `from_ms` to at most `to_ms`, both inclusive.
    ///
    /// # Errors
    /// As [`Query::instant`]; also [`EvalError::BadQuery`] for a query whose value is a range or
    /// a text, a step that is not positive, or an end before the start.
    pub fn range(
        &self,
        reader: &dyn SeriesReader,
        from_ms: i64,
        to_ms: i64,
        step_ms: i64,
        options: &EvalOptions<'_>,
    ) -> Result<RangeAnswer, EvalError> {
        let steps = self.check_range(from_ms, to_ms, step_ms, options)?;
        let evaluator = Evaluator::new(reader, options, steps);
        let matrix = match evaluator.eval(&self.expr, steps)? {
            Value::Scalar(column) => series(&Block::of_scalar(column), steps),
            Value::Vector(block) => series(&evaluator.settle(block)?, steps),
            Value::Text(_) => unreachable!("check_range refuses texts"),
        };
        Ok(RangeAnswer { matrix: sorted(matrix), warnings: evaluator.warnings() })
    }

    fn check_range(
        &self,
        from_ms: i64,
        to_ms: i64,
        step_ms: i64,
        options: &EvalOptions<'_>,
    ) -> Result<Steps, EvalError> {
        if !matches!(self.kind, Kind::Scalar | Kind::Vector) {
            return Err(EvalError::BadQuery(format!(
                "a range query needs a scalar or an instant vector, not a {}",
                self.kind.name()
            )));
        }
        check_times(from_ms, to_ms)?;
        if step_ms <= 0 {
            return Err(EvalError::BadQuery("the step must be longer than 0".to_owned()));
        }
        if to_ms < from_ms {
            return Err(EvalError::BadQuery("the end lies before the start".to_owned()));
        }
        let count = usize::try_from((to_ms - from_ms) / step_ms + 1).unwrap_or(usize::MAX);
        // As Prometheus counts them: the distances between times, not the times.
        if count - 1 > options.steps_max {
            return Err(EvalError::Limit { what: "steps", limit: options.steps_max });
        }
        Ok(Steps { from_ms, step_ms, count })
    }
}

fn check_times(from_ms: i64, to_ms: i64) -> Result<(), EvalError> {
    let near = |t: i64| (-TIME_MS_MAX..=TIME_MS_MAX).contains(&t);
    if near(from_ms) && near(to_ms) {
        return Ok(());
    }
    Err(EvalError::BadQuery("a time lies too far from the present".to_owned()))
}

fn samples(block: Block, at_ms: i64) -> Vec<Sample> {
    let rows = block.labels.into_iter().zip(block.values);
    rows.filter(|(_, v)| !is_absent(*v))
        .map(|(labels, value)| Sample { labels, at_ms, value })
        .collect()
}

fn series(block: &Block, steps: Steps) -> Matrix {
    let mut matrix = Vec::with_capacity(block.labels.len());
    for (labels, row) in block.labels.iter().zip(block.values.chunks(steps.count)) {
        let present = row.iter().filter(|v| !is_absent(**v)).count();
        if present == 0 {
            continue;
        }
        let mut points = SeriesPoints {
            labels: labels.clone(),
            times_ms: Vec::with_capacity(present),
            values: Vec::with_capacity(present),
        };
        for (i, value) in row.iter().enumerate().filter(|(_, v)| !is_absent(**v)) {
            points.times_ms.push(steps.at(i));
            points.values.push(*value);
        }
        matrix.push(points);
    }
    matrix
}

fn sorted(mut matrix: Matrix) -> Matrix {
    matrix.sort_by(|a, b| a.labels.cmp(&b.labels));
    matrix
}
