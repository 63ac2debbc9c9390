//! The functions: one list line each, from which the parser, the evaluator and the
//! documentation read. A family of functions is one file.

mod absent;
mod clock;
mod counter;
mod histogram;
mod labels;
mod number;
mod over_time;
mod sort;
mod trend;

use crate::ast::{Expr, Kind};
use crate::error::EvalError;
use crate::eval::{Evaluator, Steps, Value, Window};

/// One function of the language.
#[derive(Debug)]
pub struct Function {
    /// The name in queries.
    pub name: &'static str,
    /// The types of its arguments, in order.
    pub args: &'static [Kind],
    /// How many of the last arguments may be left out.
    pub optional: usize,
    /// Whether the last argument may be given more than once.
    pub repeats: bool,
    /// The type of its value.
    pub returns: Kind,
    /// What it answers, in one sentence.
    pub summary: &'static str,
    pub(crate) body: Body,
}

impl Function {
    /// As documentation shows it, such as `clamp(instant vector, scalar, scalar)`.
    pub fn signature(&self) -> String {
        let first_optional = self.args.len() - self.optional;
        let mut args: Vec<String> = Vec::new();
        for (i, kind) in self.args.iter().enumerate() {
            let mark = if i >= first_optional { "?" } else { "" };
            args.push(format!("{}{mark}", kind.name()));
        }
        let dots = if self.repeats { ", …" } else { "" };
        format!("{}({}{dots})", self.name, args.join(", "))
    }

    const fn optional(mut self, count: usize) -> Self {
        self.optional = count;
        self
    }

    const fn repeating(mut self) -> Self {
        self.repeats = true;
        self
    }

    const fn keeping_name(mut self) -> Self {
        if let Body::Over(over) = &mut self.body {
            over.keeps_name = true;
        }
        self
    }

    const fn with_falls(mut self) -> Self {
        if let Body::Over(over) = &mut self.body {
            over.wants_falls = true;
        }
        self
    }

    const fn checked(mut self, check: Check) -> Self {
        if let Body::Over(over) = &mut self.body {
            over.check = Some(check);
        }
        self
    }
}

/// How a function is evaluated.
#[derive(Debug)]
pub(crate) enum Body {
    /// Value by value.
    Map(fn(f64) -> f64),
    /// Value by value with scalar arguments; may answer absent.
    MapWith(fn(f64, &[f64]) -> f64),
    /// Window by window.
    Over(Over),
    /// In its own way.
    Whole(Whole),
}

/// A function of its unevaluated arguments.
pub(crate) type Whole = fn(&Evaluator<'_>, &[Expr], Steps) -> Result<Value, EvalError>;

/// Looks at the scalar arguments of all steps before any window is read.
type Check = fn(&Evaluator<'_>, &[Vec<f64>]) -> Result<(), EvalError>;

/// A function over windows of points.
pub(crate) struct Over {
    pub(crate) function: fn(&Window<'_>, &mut Vec<f64>) -> f64,
    pub(crate) keeps_name: bool,
    pub(crate) wants_falls: bool,
    pub(crate) check: Option<Check>,
}

impl std::fmt::Debug for Over {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Over").field("keeps_name", &self.keeps_name).finish_non_exhaustive()
    }
}

/// The function of this name.
pub fn named(name: &str) -> Option<&'static Function> {
    let at = ALL.binary_search_by(|f| f.name.cmp(name)).ok()?;
    Some(&ALL[at])
}

/// The function somebody probably meant.
pub(crate) fn nearest(name: &str) -> Option<&'static str> {
    let word = name.to_ascii_lowercase();
    let scored = ALL.iter().map(|f| (strsim::damerau_levenshtein(f.name, &word), f.name));
    let (distance, near) = scored.min()?;
    (distance <= 2.max(word.len() / 4)).then_some(near)
}

use Kind::{Range as R, Scalar as S, Text as T, Vector as V};

const fn of(
    name: &'static str,
    args: &'static [Kind],
    returns: Kind,
    body: Body,
    summary: &'static str,
) -> Function {
    Function { name, args, optional: 0, repeats: false, returns, summary, body }
}

const fn map(name: &'static str, f: fn(f64) -> f64, summary: &'static str) -> Function {
    of(name, &[V], V, Body::Map(f), summary)
}

const fn map_with(
    name: &'static str,
    args: &'static [Kind],
    f: fn(f64, &[f64]) -> f64,
    summary: &'static str,
) -> Function {
    of(name, args, V, Body::MapWith(f), summary)
}

const fn over(
    name: &'static str,
    args: &'static [Kind],
    function: fn(&Window<'_>, &mut Vec<f64>) -> f64,
    summary: &'static str,
) -> Function {
    let over = Over { function, keeps_name: false, wants_falls: false, check: None };
    of(name, args, V, Body::Over(over), summary)
}

const fn whole(
    name: &'static str,
    args: &'static [Kind],
    returns: Kind,
    f: Whole,
    summary: &'static str,
) -> Function {
    of(name, args, returns, Body::Whole(f), summary)
}

/// Every function, ascending by name.
#[rustfmt::skip]
pub const ALL: &[Function] = &[
    map("abs", f64::abs, "The value without its sign."),
    whole("absent", &[V], V, absent::absent, "1 where the vector is empty, nothing otherwise."),
    whole("absent_over_time", &[R], V, absent::absent_over_time, "1 where the range holds no point of any series, nothing otherwise."),
    map("acos", f64::acos, "The arc cosine in radians."),
    map("acosh", f64::acosh, "The inverse hyperbolic cosine."),
    map("asin", f64::asin, "The arc sine in radians."),
    map("asinh", f64::asinh, "The inverse hyperbolic sine."),
    map("atan", f64::atan, "The arc tangent in radians."),
    map("atanh", f64::atanh, "The inverse hyperbolic tangent."),
    over("avg_over_time", &[R], over_time::avg, "The mean of the range's points."),
    map("ceil", f64::ceil, "The next whole number upwards."),
    over("changes", &[R], over_time::changes, "How often the value changed within the range."),
    map_with("clamp", &[V, S, S], number::clamp, "The value, kept between a lowest and a highest."),
    map_with("clamp_max", &[V, S], number::clamp_max, "The value, kept at or below a highest."),
    map_with("clamp_min", &[V, S], number::clamp_min, "The value, kept at or above a lowest."),
    map("cos", f64::cos, "The cosine of radians."),
    map("cosh", f64::cosh, "The hyperbolic cosine."),
    over("count_over_time", &[R], over_time::count, "How many points the range has."),
    whole("day_of_month", &[V], V, clock::day_of_month, "The day of the month in UTC, 1 to 31.").optional(1),
    whole("day_of_week", &[V], V, clock::day_of_week, "The day of the week in UTC, 0 (Sunday) to 6.").optional(1),
    whole("day_of_year", &[V], V, clock::day_of_year, "The day of the year in UTC, 1 to 366.").optional(1),
    whole("days_in_month", &[V], V, clock::days_in_month, "How many days the month has in UTC, 28 to 31.").optional(1),
    map("deg", f64::to_degrees, "Radians as degrees."),
    over("delta", &[R], counter::delta, "How far a gauge moved within the range, extrapolated to its ends."),
    over("deriv", &[R], trend::deriv, "A gauge's change a second, by linear regression."),
    map("exp", f64::exp, "The exponential."),
    map("floor", f64::floor, "The next whole number downwards."),
    whole("histogram_quantile", &[S, V], V, histogram::histogram_quantile, "The quantile of a histogram given by its buckets' le labels."),
    over("holt_winters", &[R, S, S], trend::holt_winters, "A value smoothed by level and trend factors between 0 and 1.").checked(trend::check_factors),
    whole("hour", &[V], V, clock::hour, "The hour of the day in UTC, 0 to 23.").optional(1),
    over("idelta", &[R], counter::idelta, "The difference between the range's last two points."),
    over("increase", &[R], counter::increase, "How far a counter grew within the range, extrapolated to its ends.").with_falls(),
    over("irate", &[R], counter::irate, "A counter's growth a second between the range's last two points."),
    whole("label_join", &[V, T, T, T], V, labels::label_join, "The vector with a label made of other labels' values and a separator.").optional(1).repeating(),
    whole("label_replace", &[V, T, T, T, T], V, labels::label_replace, "The vector with a label made from another by a pattern."),
    over("last_over_time", &[R], over_time::last, "The range's newest point.").keeping_name(),
    map("ln", f64::ln, "The natural logarithm."),
    map("log10", f64::log10, "The decimal logarithm."),
    map("log2", f64::log2, "The binary logarithm."),
    over("max_over_time", &[R], over_time::max, "The highest of the range's points."),
    over("min_over_time", &[R], over_time::min, "The lowest of the range's points."),
    whole("minute", &[V], V, clock::minute, "The minute of the hour in UTC, 0 to 59.").optional(1),
    whole("month", &[V], V, clock::month, "The month in UTC, 1 to 12.").optional(1),
    whole("pi", &[], S, number::pi, "The number π."),
    over("predict_linear", &[R, S], trend::predict_linear, "A gauge's value so many seconds from now, by linear regression."),
    over("present_over_time", &[R], over_time::present, "1 where the range has a point."),
    over("quantile_over_time", &[S, R], over_time::quantile_of, "The quantile of the range's points.").checked(over_time::check_quantile),
    map("rad", f64::to_radians, "Degrees as radians."),
    over("rate", &[R], counter::rate, "A counter's growth a second within the range, extrapolated to its ends.").with_falls(),
    over("resets", &[R], counter::resets, "How often a counter fell within the range.").with_falls(),
    map_with("round", &[V, S], number::round, "The nearest multiple of a number, by default of 1; halves go up.").optional(1),
    whole("scalar", &[V], S, number::scalar, "The value of a vector's only series, NaN where there is not exactly one."),
    map("sgn", number::sgn, "1 for positive, -1 for negative values, 0 for 0."),
    map("sin", f64::sin, "The sine of radians."),
    map("sinh", f64::sinh, "The hyperbolic sine."),
    whole("sort", &[V], V, sort::sort, "An instant query's samples by ascending value."),
    whole("sort_desc", &[V], V, sort::sort_desc, "An instant query's samples by descending value."),
    map("sqrt", f64::sqrt, "The square root."),
    over("stddev_over_time", &[R], over_time::stddev, "The population standard deviation of the range's points."),
    over("stdvar_over_time", &[R], over_time::stdvar, "The population variance of the range's points."),
    over("sum_over_time", &[R], over_time::sum, "The sum of the range's points."),
    map("tan", f64::tan, "The tangent of radians."),
    map("tanh", f64::tanh, "The hyperbolic tangent."),
    whole("time", &[], S, clock::time, "The step's time in seconds since the epoch."),
    whole("timestamp", &[V], V, clock::timestamp, "When each sample was taken, in seconds since the epoch."),
    whole("vector", &[S], V, number::vector, "A scalar as a series without labels."),
    whole("year", &[V], V, clock::year, "The year in UTC.").optional(1),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_ascends_so_that_it_can_be_searched() {
        assert!(ALL.windows(2).all(|pair| pair[0].name < pair[1].name));
    }

    #[test]
    fn a_slip_of_the_pen_is_recognised() {
        assert_eq!(nearest("histogram_quantil"), Some("histogram_quantile"));
        assert_eq!(nearest("Rate"), Some("rate"));
        assert_eq!(nearest("completely_different"), None);
    }
}
