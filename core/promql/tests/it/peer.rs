//! The `promql-parser` crate as a second opinion on what is a query at all.

use whyslow_promql::parse;

/// Queries it misjudges, or judges later than we do, each with the reason.
const DISAGREED: &[(&str, &str)] = &[
    ("temperature_celsius{sensor=`a b\"c\\`}", "it takes a backslash in back quotes for an escape"),
    ("holt_winters(node_load1[10m], 0.3, 0.1)", "it knows this function by its newer name only"),
    ("holt_winters(up[5m], 1.5, 0.5)", "the same"),
    ("count_values(\"1bad\", up)", "it leaves the label's name to the evaluator"),
];

#[test]
fn another_parser_agrees_on_what_is_a_query() {
    let lines = include_str!("../../../../lab/queries/promql.txt").lines();
    let mut compared = 0;
    let mut disagreed = Vec::new();
    for line in lines.filter(|l| !l.is_empty() && !l.starts_with('#')) {
        let query = line.trim_start_matches("closed: ").trim_start_matches("departs: ");
        compared += 1;
        if parse(query).is_ok() != promql_parser::parser::parse(query).is_ok() {
            disagreed.push(query);
        }
    }
    assert!(compared > 200);
    let known: Vec<&str> = DISAGREED.iter().map(|(query, _)| *query).collect();
    assert_eq!(disagreed, known);
}
