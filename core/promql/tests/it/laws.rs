//! What must hold for any data.

use proptest::prelude::*;
use whyslow_model::Labels;
use whyslow_model::labels::NAME;
use whyslow_model::read::SeriesPoints;
use whyslow_promql::{EvalError, EvalOptions, InstantValue, LeftEdge, Matrix, parse};

use crate::memory::Memory;

/// Up to 12 series of whole numbers, at irregular times within ten minutes.
fn stores() -> impl Strategy<Value = Memory> {
    let points = prop::collection::btree_map(0_i64..600_000, -50_i32..50, 0..40);
    prop::collection::vec(points, 0..12).prop_map(|all| {
        let series = all.into_iter().enumerate().map(|(i, points)| SeriesPoints {
            labels: Labels::from_pairs([
                (NAME, "m".to_owned()),
                ("a", (i % 3).to_string()),
                ("b", i.to_string()),
            ]),
            times_ms: points.keys().copied().collect(),
            values: points.values().map(|v| f64::from(*v)).collect(),
        });
        Memory { series: series.collect() }
    })
}

fn ask(store: &Memory, query: &str, left_edge: LeftEdge) -> Matrix {
    let options = EvalOptions { left_edge, ..EvalOptions::default() };
    let query = parse(query).unwrap();
    query.range(store, 0, 660_000, 33_000, &options).unwrap().matrix
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn parts_sum_to_the_whole_however_they_are_parted(store in stores()) {
        let whole = ask(&store, "sum(m)", LeftEdge::Open);
        prop_assert_eq!(&ask(&store, "sum(sum by (a) (m))", LeftEdge::Open), &whole);
        prop_assert_eq!(&ask(&store, "sum(sum without (a) (m))", LeftEdge::Open), &whole);
        prop_assert_eq!(
            ask(&store, "sum by (a) (m)", LeftEdge::Open),
            ask(&store, "sum without (b) (m)", LeftEdge::Open)
        );
    }

    #[test]
    fn and_and_unless_part_a_vector_in_two(store in stores()) {
        let rejoined = "(m and on(b) m > 0) or (m unless on(b) m > 0)";
        prop_assert_eq!(ask(&store, rejoined, LeftEdge::Open), ask(&store, "m", LeftEdge::Open));
    }

    #[test]
    fn open_ranges_side_by_side_count_every_point_once(store in stores()) {
        let whole = ask(&store, "sum(count_over_time(m[66s]))", LeftEdge::Open);
        let halves = "sum(count_over_time(m[33s]) or 0 * m) \
                      + (sum(count_over_time(m[33s] offset 33s)) or vector(0))";
        let halves = ask(&store, halves, LeftEdge::Open);
        for points in &whole {
            for (at, count) in points.times_ms.iter().zip(&points.values) {
                let same = halves.iter().any(|s| {
                    s.times_ms.iter().zip(&s.values).any(|(t, v)| t == at && v == count)
                });
                prop_assert!(same, "{count} at {at}: {halves:?}");
            }
        }
    }

    #[test]
    fn a_range_query_is_its_instant_queries(store in stores(), edge in prop::bool::ANY) {
        let left_edge = if edge { LeftEdge::Open } else { LeftEdge::Closed };
        let options = EvalOptions { left_edge, ..EvalOptions::default() };
        for query in [
            "m", "rate(m[2m])", "quantile by (a) (0.3, m)", "topk(2, m + m * 0.001 * time())",
            "m - on(b) group_left() avg by (b) (m offset 1m)", "max_over_time(m[3m:20s])",
            "increase(m[90s])", "stddev_over_time(m[5m])", "count_values(\"v\", m)",
        ] {
            let matrix = ask(&store, query, left_edge);
            let parsed = parse(query).unwrap();
            for at_ms in (0..=660_000).step_by(33_000) {
                let answer = parsed.instant(&store, at_ms, &options).unwrap();
                let InstantValue::Vector(mut samples) = answer.value else { unreachable!() };
                samples.sort_by(|a, b| a.labels.cmp(&b.labels));
                let column: Vec<(&Labels, f64)> = matrix
                    .iter()
                    .filter_map(|s| {
                        let i = s.times_ms.binary_search(&at_ms).ok()?;
                        Some((&s.labels, s.values[i]))
                    })
                    .collect();
                let instants: Vec<(&Labels, f64)> =
                    samples.iter().map(|s| (&s.labels, s.value)).collect();
                prop_assert_eq!(column, instants, "{} at {}", query, at_ms);
            }
        }
    }

    #[test]
    fn any_text_is_parsed_or_refused(text in "[a-z0-9{}()\\[\\]\"'`@^*<>=!~+,.: -]{0,60}") {
        whyslow_promql::fuzz_promql(text.as_bytes());
    }

    #[test]
    fn any_row_of_words_is_answered_or_refused(words in prop::collection::vec(prop::sample::select(WORDS), 1..14)) {
        whyslow_promql::fuzz_promql(words.join(" ").as_bytes());
    }
}

/// What queries are made of.
const WORDS: &[&str] = &[
    "a",
    "b",
    "sum",
    "topk",
    "quantile",
    "count_values",
    "by",
    "without",
    "(",
    ")",
    "(a)",
    "(1,",
    "rate(",
    "x[5m]",
    "x[1m:10s]",
    "[5m]",
    "[1s:1ms]",
    "offset",
    "5m",
    "-1m",
    "@",
    "start()",
    "end()",
    "0",
    "1e3",
    "-",
    "+",
    "*",
    "/",
    "^",
    "atan2",
    "and",
    "or",
    "unless",
    ">",
    "== bool",
    "on(x)",
    "ignoring(le)",
    "group_left",
    "group_right(x)",
    "\"t\"",
    "{x=\"y\"}",
    "{le=~\".+\"}",
    "abs(",
    "absent(",
    "histogram_quantile(0.9,",
    "label_replace(a, \"x\", \"$1\", \"le\", \"(.*)\")",
    "time()",
    "vector(1)",
    "scalar(a)",
    "sort(",
    "holt_winters(a[1m], 0.5, 0.5)",
    "timestamp(",
    "quantile_over_time(0.5,",
    "predict_linear(a[1m],",
    "clamp(a, 0, 1)",
    "year(",
    "NaN",
    "Inf",
];

#[test]
fn a_query_may_nest_as_deep_as_is_allowed_and_no_deeper() {
    for (open, close) in [("(", ")"), ("-", ""), ("abs(", ")"), ("sum(", ")"), ("1+(", ")")] {
        for depth in [10, 45, 99, 101, 30_000] {
            let text = format!("{}a{}", open.repeat(depth), close.repeat(depth));
            whyslow_promql::fuzz_promql(text.as_bytes());
            let parsed = parse(&text);
            assert!(depth > 45 || parsed.is_ok(), "{open} {depth}: {parsed:?}");
            assert!(depth < 101 || parsed.is_err(), "{open} {depth}");
        }
    }
    let chain = |terms: usize| vec!["a"; terms].join(" or ");
    assert!(parse(&chain(90)).is_ok() && parse(&chain(20_000)).is_err());
}

#[test]
fn limits_end_a_query_and_say_which() {
    let times_ms: Vec<i64> = (0..100).map(|i| i * 1000).collect();
    let series = (0..5).map(|i| SeriesPoints {
        labels: Labels::from_pairs([(NAME, "m".to_owned()), ("i", i.to_string())]),
        times_ms: times_ms.clone(),
        values: vec![1.0; 100],
    });
    let store = Memory { series: series.collect() };
    let query = parse("sum_over_time(m[100s])").unwrap();
    let fails =
        |options: EvalOptions<'_>| query.range(&store, 0, 99_000, 1000, &options).unwrap_err();
    let standard = EvalOptions::default();
    assert_eq!(
        fails(EvalOptions { samples_max: 499, ..standard }),
        EvalError::Limit { what: "samples", limit: 499 }
    );
    assert_eq!(
        fails(EvalOptions { series_max: 4, ..standard }),
        EvalError::Limit { what: "series", limit: 4 }
    );
    assert_eq!(
        fails(EvalOptions { steps_max: 98, ..standard }),
        EvalError::Limit { what: "steps", limit: 98 }
    );
    assert_eq!(fails(EvalOptions { stop: Some(&|| true), ..standard }), EvalError::Cancelled);
    assert!(query.range(&store, 0, 99_000, 1000, &standard).is_ok());
    assert!(query.range(&store, 0, 99_000, 0, &standard).is_err());
    assert!(query.range(&store, 1, 0, 1000, &standard).is_err());
    assert!(query.instant(&store, i64::MAX, &standard).is_err());
    for odd in [i64::MIN, -1, 0, i64::MAX] {
        let options = EvalOptions { lookback_ms: odd, subquery_step_ms: odd, ..standard };
        let query = parse("sum_over_time(m[1m:]) + m").unwrap();
        assert!(query.range(&store, 0, 99_000, 1000, &options).is_ok());
    }
}
