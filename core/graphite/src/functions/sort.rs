//! Series in another order.

use super::Kind::{AggFunc, Boolean, SeriesList};
use super::filter::sorted;
use super::{Answer, Call, Function, Parameter, Run, needed};
use crate::consolidate::Reduction;

const LIST: Parameter = needed("seriesList", SeriesList);

const fn by(name: &'static str, description: &'static str, run: Run) -> Function {
    Function { name, group: "Sorting", description, parameters: &[LIST], run }
}

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "sortByName",
        group: "Sorting",
        description: "By name.",
        parameters: &[
            LIST,
            needed("natural", Boolean).or("false"),
            needed("reverse", Boolean).or("false"),
        ],
        run: by_name,
    },
    by("sortByMaxima", "By peak, the highest first.", |c| {
        Ok(sorted(c.series(0)?, Reduction::Max, true))
    }),
    by("sortByMinima", "By smallest value, of series that rise above zero.", |c| {
        let mut series = c.series(0)?;
        series.retain(|s| Reduction::Max.of(&s.values) > 0.0);
        Ok(sorted(series, Reduction::Min, false))
    }),
    by("sortByTotal", "By sum, the highest first.", |c| {
        Ok(sorted(c.series(0)?, Reduction::Sum, true))
    }),
    Function {
        name: "sortBy",
        group: "Sorting",
        description: "By the value of a function.",
        parameters: &[
            LIST,
            needed("func", AggFunc).or("\"average\""),
            needed("reverse", Boolean).or("false"),
        ],
        run: |c| {
            let (_, reduction) = c.reduction(1, Reduction::Average)?;
            let descending = c.is_true(2);
            Ok(sorted(c.series(0)?, reduction, descending))
        },
    },
];

fn by_name(call: &mut Call<'_, '_>) -> Answer {
    let (natural, reverse) = (call.is_true(1), call.is_true(2));
    let mut series = call.series(0)?;
    series.sort_by_cached_key(|s| if natural { padded(&s.name) } else { s.name.clone() });
    if reverse {
        series.reverse();
    }
    Ok(series)
}

/// The name with its numbers at ten digits, so that web10 comes after web9.
fn padded(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 20);
    let mut rest = name;
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, from) = rest.split_at(at);
        let digits = from.bytes().take_while(u8::is_ascii_digit).count();
        out.push_str(before);
        out.extend(std::iter::repeat_n('0', 10usize.saturating_sub(digits)));
        out.push_str(&from[..digits]);
        rest = &from[digits..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_within_names_sort_by_size() {
        assert!(padded("web9.load") < padded("web10.load"));
        assert_eq!(padded("a1b22"), "a0000000001b0000000022");
    }
}
