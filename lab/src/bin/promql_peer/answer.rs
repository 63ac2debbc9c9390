//! Answers of either engine, and whether two are equal.

use whyslow_model::Labels;
use whyslow_promql::{InstantValue, Matrix};

/// What a query yields.
#[derive(Debug)]
pub enum Answer {
    /// Series, or a scalar as one without labels.
    Rows(Vec<Row>),
    /// A text.
    Text(String),
    /// Refused, and why.
    Failed(String),
}

/// One series of an answer.
#[derive(Debug)]
pub struct Row {
    /// Its name.
    pub labels: Labels,
    /// Milliseconds and values.
    pub points: Vec<(i64, f64)>,
}

impl Answer {
    /// Of our range query.
    pub fn of_matrix(matrix: Matrix) -> Self {
        let row = |s: whyslow_model::read::SeriesPoints| Row {
            labels: s.labels,
            points: s.times_ms.into_iter().zip(s.values).collect(),
        };
        Self::Rows(matrix.into_iter().map(row).collect())
    }

    /// Of our instant query.
    pub fn of_instant(answer: whyslow_promql::Answer) -> Self {
        let at_ms = answer.at_ms;
        match answer.value {
            InstantValue::Scalar(value) => {
                Self::Rows(vec![Row { labels: Labels::empty(), points: vec![(at_ms, value)] }])
            }
            InstantValue::Vector(samples) => {
                let row = |s: whyslow_promql::Sample| Row {
                    labels: s.labels,
                    points: vec![(s.at_ms, s.value)],
                };
                Self::Rows(samples.into_iter().map(row).collect())
            }
            InstantValue::Matrix(matrix) => Self::of_matrix(matrix),
            InstantValue::Text(text) => Self::Text(text),
        }
    }
}

/// What differs first, if anything does.
pub fn difference(ours: Answer, theirs: Answer, ordered: bool) -> Option<String> {
    match (ours, theirs) {
        (Answer::Rows(ours), Answer::Rows(theirs)) => rows(ours, theirs, ordered),
        (Answer::Text(ours), Answer::Text(theirs)) if ours == theirs => None,
        (Answer::Failed(_), Answer::Failed(_)) => None,
        (Answer::Failed(why), _) => Some(format!("we failed: {why}")),
        (_, Answer::Failed(why)) => Some(format!("they failed: {why}")),
        _ => Some("the answers are of different types".to_owned()),
    }
}

fn rows(mut ours: Vec<Row>, mut theirs: Vec<Row>, ordered: bool) -> Option<String> {
    if !ordered {
        ours.sort_by(|a, b| a.labels.cmp(&b.labels));
        theirs.sort_by(|a, b| a.labels.cmp(&b.labels));
    }
    for (a, b) in ours.iter().zip(&theirs) {
        if a.labels != b.labels {
            return Some(format!("we have {}, they have {}", a.labels, b.labels));
        }
        for ((at, x), (bt, y)) in a.points.iter().zip(&b.points) {
            if at != bt || !same(*x, *y) {
                return Some(format!("{}: we {x:e} at {at}, they {y:e} at {bt}", a.labels));
            }
        }
        if a.points.len() != b.points.len() {
            let (x, y) = (a.points.len(), b.points.len());
            return Some(format!("{}: we {x} points, they {y}", a.labels));
        }
    }
    let (x, y) = (ours.len(), theirs.len());
    (x != y).then(|| format!("we have {x} series, they have {y}"))
}

/// Equal to 1e-9 relative.
fn same(a: f64, b: f64) -> bool {
    let near = (a - b).abs() <= 1e-9 * a.abs().max(b.abs());
    a == b || (a.is_nan() && b.is_nan()) || near
}
