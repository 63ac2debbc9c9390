//! Windows that move along a series.

use super::Kind::{AggFunc, Float, IntOrInterval, SeriesList};
use super::{Answer, Call, Function, Parameter, Run, needed, short};
use crate::attime;
use crate::consolidate::{Reduction, percentile};
use crate::render::Window;
use crate::series::Series;

const LIST: Parameter = needed("seriesList", SeriesList);
const SIZE: Parameter =
    needed("windowSize", IntOrInterval).such_as(&["5", "10", "1min", "5min", "10min", "1hour"]);
const SHARE: Parameter = needed("xFilesFactor", Float).optional();

const fn moving(name: &'static str, description: &'static str, run: Run) -> Function {
    Function { name, group: "Calculate", description, parameters: &[LIST, SIZE, SHARE], run }
}

pub(super) const FUNCTIONS: &[Function] = &[
    moving("movingAverage", "The average of the values before each time.", |c| {
        window(c, "Average", Reduction::Average, 2)
    }),
    moving("movingMedian", "The median of the values before each time.", |c| {
        window(c, "Median", Reduction::Median, 2)
    }),
    moving("movingMax", "The largest of the values before each time.", |c| {
        window(c, "Max", Reduction::Max, 2)
    }),
    moving("movingMin", "The smallest of the values before each time.", |c| {
        window(c, "Min", Reduction::Min, 2)
    }),
    moving("movingSum", "The sum of the values before each time.", |c| {
        window(c, "Sum", Reduction::Sum, 2)
    }),
    Function {
        name: "movingWindow",
        group: "Calculate",
        description: "The values before each time as one, by the function named.",
        parameters: &[LIST, SIZE, needed("func", AggFunc).or("\"average\""), SHARE],
        run: |c| {
            let (func, reduction) = c.reduction(2, Reduction::Average)?;
            let mut letters = func.chars();
            let first = letters.next().map(|f| f.to_ascii_uppercase());
            let name: String =
                first.into_iter().chain(letters.flat_map(char::to_lowercase)).collect();
            window(c, &name, reduction, 3)
        },
    },
    Function {
        name: "nPercentile",
        group: "Calculate",
        description: "The n-th percentile of each whole series, at every time.",
        parameters: &[LIST, needed("n", Float)],
        run: n_percentile,
    },
];

/// How far a window reaches back.
enum Size {
    Points(usize),
    Seconds(i64),
}

fn window(call: &mut Call<'_, '_>, name: &str, reduction: Reduction, share: usize) -> Answer {
    let least = call.number(share)?.unwrap_or(0.0);
    let (size, text) = match call.as_number(1) {
        Some(n) if n >= 1.0 => (Size::Points(call.count(1, 1)?), format!("{}", n.trunc())),
        Some(_) => return Err(call.bad("the window must hold one value at least")),
        None => {
            let text = call.needed_text(1)?;
            let seconds = attime::seconds(text).map(i64::abs).filter(|s| *s > 0);
            let wrong = || call.bad(format!("{text:?} is no length of time"));
            (Size::Seconds(seconds.ok_or_else(wrong)?), format!("\"{text}\""))
        }
    };
    let back_s = match size {
        Size::Seconds(seconds) => seconds,
        Size::Points(points) => {
            // How long so many values are shows only from the series.
            let step_s = call.series(0)?.iter().map(|s| s.step_s).max().unwrap_or(0);
            step_s.saturating_mul(i64::try_from(points).unwrap_or(i64::MAX))
        }
    };
    let earlier = Window { from_s: call.window.from_s.saturating_sub(back_s), ..call.window };
    let mut all = Vec::new();
    for one in call.series_within(0, earlier)? {
        let points = match size {
            Size::Points(points) => points,
            Size::Seconds(seconds) => usize::try_from(seconds / one.step_s).unwrap_or(0),
        };
        let values = moved(call, &one, points, reduction, least)?;
        let skipped = i64::try_from(points.min(one.values.len())).unwrap_or(0);
        let start_s = one.start_s + skipped * one.step_s;
        let named = format!("moving{name}({},{text})", one.name);
        let mut moved = Series { start_s, values, ..one };
        moved.rename(named);
        all.push(moved);
    }
    Ok(all)
}

/// From the `points`-th on, the values before each as one.
fn moved(
    call: &mut Call<'_, '_>,
    series: &Series,
    points: usize,
    reduction: Reduction,
    least: f64,
) -> Result<Vec<f64>, crate::RenderError> {
    let mut values = Vec::with_capacity(series.values.len().saturating_sub(points));
    for end in points..series.values.len() {
        if values.len() % 64 == 0 {
            // Wide windows take long; this also asks whether to stop.
            call.charge(0)?;
        }
        let some = &series.values[end - points..end];
        #[expect(clippy::cast_precision_loss, reason = "far fewer values than 2^53")]
        let there = some.iter().filter(|v| !v.is_nan()).count() as f64 / points.max(1) as f64;
        values.push(if there >= least { reduction.of_some(some) } else { f64::NAN });
    }
    Ok(values)
}

fn n_percentile(call: &mut Call<'_, '_>) -> Answer {
    let n = call.needed_number(1)?;
    if n <= 0.0 {
        return Err(call.bad("n must be greater than 0"));
    }
    let mut series = call.series(0)?;
    series.retain(|s| s.values.iter().any(|v| !v.is_nan()));
    for one in &mut series {
        let value = percentile(&one.values, n, false);
        one.values.fill(value);
        one.rename(format!("nPercentile({}, {})", one.name, short(n)));
    }
    Ok(series)
}
