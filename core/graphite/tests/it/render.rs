//! What targets answer.

use crate::memory::Memory;
use whyslow_graphite::{Render, RenderError, Series, Window, render};

const NONE: f64 = f64::NAN;

fn try_ask(memory: &Memory, target: &str) -> Result<Vec<Series>, RenderError> {
    let window = Window { from_s: 995, until_s: 1049 };
    render(Render { reader: memory, window, stop: &|| false }, target)
}

fn ask(memory: &Memory, target: &str) -> Vec<Series> {
    try_ask(memory, target).unwrap()
}

/// Names and values, `-` for none.
fn told(memory: &Memory, target: &str) -> Vec<String> {
    let value = |v: &f64| if v.is_nan() { "-".to_owned() } else { v.to_string() };
    let one = |s: Series| {
        let values: Vec<String> = s.values.iter().map(value).collect();
        format!("{} @{}/{} {}", s.name, s.start_s, s.step_s, values.join(" "))
    };
    ask(memory, target).into_iter().map(one).collect()
}

fn two() -> Memory {
    Memory::default()
        .with("web.a.hits", 1000, &[1.0, 2.0, NONE, 4.0, 5.0])
        .with("web.b.hits", 1000, &[10.0, NONE, NONE, 40.0, 30.0])
        .with("web.b.hits;dc=x", 1000, &[7.0, 7.0])
}

#[test]
fn a_path_is_laid_out_at_its_own_step() {
    assert_eq!(told(&two(), "web.a.hits"), ["web.a.hits @1000/10 1 2 - 4 5"]);
    assert_eq!(told(&two(), "web.*.hits").len(), 2, "a tagged series is no path");
    assert_eq!(told(&two(), "web.b.hits;dc=x"), ["web.b.hits;dc=x @1000/10 7 7 - - -"]);
    assert!(told(&two(), "web.c.*").is_empty());
}

#[test]
fn each_function_gives_what_its_name_says() {
    for (target, answers) in ANSWERS {
        assert_eq!(told(&two(), target), *answers, "{target}");
    }
}

#[test]
fn a_moving_window_looks_back_before_the_time_asked_for() {
    let values: Vec<f64> = (0..20).map(f64::from).collect();
    let memory = Memory::default().with("x.y", 880, &values);
    // At 1000 stands the average of 980 and 990, which are 10 and 11.
    let wanted = ["movingAverage(x.y,2) @1000/10 10.5 11.5 12.5 13.5 14.5"];
    assert_eq!(told(&memory, "movingAverage(x.y,2)"), wanted);
    let by_time = ["movingMedian(x.y,\"30s\") @1000/10 10 11 12 13 14"];
    assert_eq!(told(&memory, "movingMedian(x.y,'30s')"), by_time);
}

#[test]
fn series_of_other_origin_are_found_by_their_labels() {
    let memory = Memory::default()
        .with_labels(&[("__name__", "up"), ("job", "a")], 1000, &[1.0])
        .with_labels(&[("__name__", "up"), ("job", "b")], 1000, &[0.0])
        .with("up;job=c", 1000, &[1.0]);
    let names = |target| ask(&memory, target).into_iter().map(|s| s.name).collect::<Vec<_>>();
    assert_eq!(names("seriesByTag('name=up')"), ["up;job=a", "up;job=b", "up;job=c"]);
    assert_eq!(names("seriesByTag('name=up','job=~[ab]')"), ["up;job=a", "up;job=b"]);
    assert_eq!(names("groupByTags(seriesByTag('name=up'),'sum','name')"), ["up"]);
}

#[test]
fn steps_that_differ_are_brought_together() {
    let memory = Memory::default().with("a.fine", 1000, &[1.0, 2.0, 3.0, 4.0]).with_step(
        "a.wide",
        1000,
        20,
        &[10.0, 20.0, 30.0],
    );
    assert_eq!(told(&memory, "sumSeries(a.*)"), ["sumSeries(a.*) @1000/20 11.5 23.5 30"]);
}

#[test]
fn what_cannot_be_answered_is_told_with_its_function() {
    for (target, words) in [
        ("nope(web.a.hits)", "no function \"nope\""),
        ("scale(web.a.hits)", "scale: factor is missing"),
        ("scale(web.a.hits,'x')", "scale: factor must be a number"),
        ("scale(web.a.hits,1,2)", "scale: it takes 2 arguments at most"),
        ("scale(web.a.hits,foo=2)", "no parameter \"foo\""),
        ("grep(web.a.hits,'(')", "grep: \"(\" is no regular expression"),
        ("summarize(web.a.hits,'soon')", "\"soon\" is no length of time"),
        ("summarize(web.a.hits,'1h','nope')", "no aggregation function"),
        ("movingAverage(web.a.hits,0)", "one value at least"),
        ("seriesByTag('a!=b')", "at least one expression"),
        ("web.[a", "a bracket is not closed"),
        ("3", "is no series"),
    ] {
        let error = try_ask(&two(), target).unwrap_err().to_string();
        assert!(error.contains(words), "{target}: {error}");
    }
}

#[test]
fn a_target_that_would_fill_memory_is_stopped() {
    let memory = Memory::default().with_step("a.b", 0, 1, &vec![1.0; 30]);
    let window = Window { from_s: 0, until_s: 3_000_000_000 };
    let answer = render(Render { reader: &memory, window, stop: &|| false }, "a.b");
    assert!(matches!(answer, Err(RenderError::Limit { what: "points", .. })));
    let window = Window { from_s: 0, until_s: 30 };
    let request = Render { reader: &memory, window, stop: &|| true };
    assert_eq!(render(request, "a.b"), Err(RenderError::Stopped));
}

#[test]
fn a_name_made_longer_and_longer_is_stopped() {
    let names_of =
        |target: &str| try_ask(&two(), target).map(|all| all.iter().map(|s| s.name.len()).max());
    let doubled = |times: usize| {
        let target = format!("{}web.a.hits", "aliasSub(".repeat(times));
        target + &",'(.+)','\\1\\1')".repeat(times)
    };
    assert_eq!(names_of(&doubled(3)), Ok(Some(8 * "web.a.hits".len())));
    let long = "x".repeat(40_000);
    for target in [
        doubled(31),
        format!("aliasSub(web.a.hits,'.','{long}')"),
        format!("aliasSub(web.a.hits,'(.*)','{}')", "\\1".repeat(20_000)),
        format!("asPercent({0},{0})", doubled(12)),
    ] {
        let answer = names_of(&target);
        let is_limit = matches!(answer, Err(RenderError::Limit { what: "bytes in a name", .. }));
        assert!(is_limit, "{}: {answer:?}", &target[..30]);
    }
    let many = format!("aliasByNode(web.a.hits{})", ",0".repeat(10_000));
    assert!(matches!(names_of(&many), Err(RenderError::Limit { what: "nodes", .. })));
}

/// Targets over [`two`] and what they answer.
const ANSWERS: &[(&str, &[&str])] = &[
    ("sumSeries(web.*.hits)", &["sumSeries(web.*.hits) @1000/10 11 2 - 44 35"]),
    ("sum(web.a.hits,web.b.hits)", &["sumSeries(web.a.hits,web.b.hits) @1000/10 11 2 - 44 35"]),
    ("avg(web.*.hits)", &["averageSeries(web.*.hits) @1000/10 5.5 2 - 22 17.5"]),
    ("maxSeries(web.*.hits)", &["maxSeries(web.*.hits) @1000/10 10 2 - 40 30"]),
    ("minSeries(web.*.hits)", &["minSeries(web.*.hits) @1000/10 1 2 - 4 5"]),
    (
        "diffSeries(web.b.hits,web.a.hits)",
        &["diffSeries(web.b.hits,web.a.hits) @1000/10 9 2 - 36 25"],
    ),
    ("multiplySeries(web.*.hits)", &["multiplySeries(web.*.hits) @1000/10 10 - - 160 150"]),
    ("countSeries(web.*.hits)", &["countSeries(web.*.hits) @1000/10 2 2 2 2 2"]),
    (
        "divideSeries(web.b.hits,web.a.hits)",
        &["divideSeries(web.b.hits,web.a.hits) @1000/10 10 - - 10 6"],
    ),
    ("asPercent(web.a.hits,200)", &["asPercent(web.a.hits,200) @1000/10 0.5 1 - 2 2.5"]),
    (
        "asPercent(web.*.hits)|limit(1)",
        &["asPercent(web.a.hits,sumSeries(web.*.hits)) @1000/10 9.090909090909092 100 - \
             9.090909090909092 14.285714285714285"],
    ),
    (
        "percentileOfSeries(web.*.hits,50)",
        &["percentileOfSeries(web.*.hits,50) @1000/10 10 2 - 40 30"],
    ),
    ("alias(web.a.hits,'x y')", &["x y @1000/10 1 2 - 4 5"]),
    ("aliasByNode(scale(web.a.hits,0.5),1,-1)", &["a.hits @1000/10 0.5 1 - 2 2.5"]),
    ("aliasSub(web.a.hits,'^web\\.(.)\\.',\"\\1-\")", &["a-hits @1000/10 1 2 - 4 5"]),
    ("substr(web.a.hits,1,2)", &["a @1000/10 1 2 - 4 5"]),
    ("groupByNode(web.*.hits,2,'sum')", &["hits @1000/10 11 2 - 44 35"]),
    ("groupByNodes(web.*.hits,'max',0,2)", &["web.hits @1000/10 10 2 - 40 30"]),
    ("sumSeriesWithWildcards(web.*.hits,1)", &["web.hits @1000/10 11 2 - 44 35"]),
    (
        "offset(absolute(scale(web.a.hits,-1)),1)",
        &["offset(absolute(scale(web.a.hits,-1)),1) @1000/10 2 3 - 5 6"],
    ),
    ("derivative(web.a.hits)", &["derivative(web.a.hits) @1000/10 - 1 - - 1"]),
    (
        "nonNegativeDerivative(web.b.hits)",
        &["nonNegativeDerivative(web.b.hits) @1000/10 - - - - -"],
    ),
    ("perSecond(web.a.hits)", &["perSecond(web.a.hits) @1000/10 - 0.1 - - 0.1"]),
    ("integral(web.a.hits)", &["integral(web.a.hits) @1000/10 1 3 - 7 12"]),
    ("keepLastValue(web.a.hits)", &["keepLastValue(web.a.hits) @1000/10 1 2 2 4 5"]),
    ("transformNull(web.a.hits,-1)", &["transformNull(web.a.hits,-1) @1000/10 1 2 -1 4 5"]),
    ("removeBelowValue(web.a.hits,2)", &["removeBelowValue(web.a.hits, 2) @1000/10 - 2 - 4 5"]),
    ("removeAboveValue(web.a.hits,2)", &["removeAboveValue(web.a.hits, 2) @1000/10 1 2 - - -"]),
    ("summarize(web.a.hits,'20s')", &["summarize(web.a.hits, \"20s\", \"sum\") @1000/20 3 4 5"]),
    (
        "summarize(web.a.hits,'30s','max',true)",
        &["summarize(web.a.hits, \"30s\", \"max\", true) @1000/30 2 5"],
    ),
    ("hitcount(web.a.hits,'20s')", &["hitcount(web.a.hits, \"20s\") @990/20 10 20 90"]),
    ("highestMax(web.*.hits,1)|aliasByNode(1)", &["b @1000/10 10 - - 40 30"]),
    ("lowestAverage(web.*.hits,1)|aliasByNode(1)", &["a @1000/10 1 2 - 4 5"]),
    ("exclude(web.*.hits,'b\\.h')", &["web.a.hits @1000/10 1 2 - 4 5"]),
    ("grep(web.*.hits,'^web.a')", &["web.a.hits @1000/10 1 2 - 4 5"]),
    ("sortByMaxima(web.*.hits)|limit(1)|aliasByNode(1)", &["b @1000/10 10 - - 40 30"]),
    ("nPercentile(web.a.hits,50)", &["nPercentile(web.a.hits, 50) @1000/10 4 4 4 4 4"]),
    ("constantLine(3)", &["3.0 @995/27 3 3 3"]),
    ("threshold(1.5,'x')", &["x @995/27 1.5 1.5 1.5"]),
    ("timeShift(web.a.hits,'20s')", &["timeShift(web.a.hits, \"-20s\") @1000/10 - - 1 2 -"]),
    ("seriesByTag('name=web.b.hits')", &["web.b.hits;dc=x @1000/10 7 7 - - -"]),
    ("aliasByTags(seriesByTag('dc=~x'),'dc','name')", &["x.web.b.hits @1000/10 7 7 - - -"]),
];
