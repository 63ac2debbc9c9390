//! Lines of their own, how values become fewer, and marks for drawing that change no value.

use super::Kind::{Float, Integer, SeriesList, String as Text};
use super::{Answer, Call, Function, Parameter, needed};
use crate::consolidate::Reduction;
use crate::series::Series;

const LIST: Parameter = needed("seriesList", SeriesList);

/// Its answer is given where expressions are evaluated, since it reads and takes no series.
const SERIES_BY_TAG: Function = Function {
    name: "seriesByTag",
    group: "Special",
    description: "The series whose tags satisfy all expressions.",
    parameters: &[needed("tagExpressions", Text).many()],
    run: |c| Err(c.bad("it cannot be called so")),
};

const fn drawn(
    name: &'static str,
    parameters: &'static [Parameter],
    description: &'static str,
) -> Function {
    Function { name, group: "Graph", description, parameters, run: |c| c.series(0) }
}

pub(super) const FUNCTIONS: &[Function] = &[
    SERIES_BY_TAG,
    Function {
        name: "consolidateBy",
        group: "Special",
        description: "How values become one where there is no room for all.",
        parameters: &[
            LIST,
            needed("consolidationFunc", Text)
                .such_as(&["sum", "average", "min", "max", "first", "last", "avg_zero"]),
        ],
        run: consolidate_by,
    },
    Function {
        name: "constantLine",
        group: "Special",
        description: "A line at a value.",
        parameters: &[needed("value", Float)],
        run: |c| {
            let value = c.needed_number(0)?;
            Ok(vec![line(c, value, format!("{value:?}"))])
        },
    },
    Function {
        name: "threshold",
        group: "Graph",
        description: "A line at a value, with a name.",
        parameters: &[
            needed("value", Float),
            needed("label", Text).optional(),
            needed("color", Text).optional(),
        ],
        run: |c| {
            let value = c.needed_number(0)?;
            let name = c.text(1)?.map_or_else(|| format!("{value:?}"), str::to_owned);
            Ok(vec![line(c, value, name)])
        },
    },
    drawn(
        "color",
        &[LIST, needed("theColor", Text)],
        "The series as they are; a color is for Graphite's own graphs.",
    ),
    drawn(
        "alpha",
        &[LIST, needed("alpha", Float)],
        "The series as they are; transparency is for Graphite's own graphs.",
    ),
    drawn(
        "dashed",
        &[LIST, needed("dashLength", Integer).optional()],
        "The series as they are; dashes are for Graphite's own graphs.",
    ),
    drawn(
        "lineWidth",
        &[LIST, needed("width", Float)],
        "The series as they are; widths are for Graphite's own graphs.",
    ),
    drawn("secondYAxis", &[LIST], "The series as they are; axes are for Graphite's own graphs."),
    drawn("drawAsInfinite", &[LIST], "The series as they are; bars are for Graphite's own graphs."),
];

fn line(call: &Call<'_, '_>, value: f64, name: String) -> Series {
    let (from_s, until_s) = (call.window.from_s, call.window.until_s);
    let step_s = ((until_s - from_s) / 2).max(1);
    let mut line = Series::of_values(name, from_s, step_s, vec![value; 3]);
    line.expression = format!("constantLine({value:?})");
    line
}

fn consolidate_by(call: &mut Call<'_, '_>) -> Answer {
    let (name, reduction) = call.reduction(1, Reduction::Average)?;
    let mut series = call.series_as(0, call.window, reduction)?;
    for one in &mut series {
        one.reduction = reduction;
        one.rename(format!("consolidateBy({},\"{name}\")", one.name));
    }
    Ok(series)
}
