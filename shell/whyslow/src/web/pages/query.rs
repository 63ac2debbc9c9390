//! `/query`: one PromQL expression, its table, and its chart where script draws it.

use std::fmt::Write as _;

use maud::{Markup, html};
use whyslow_model::Labels;

use super::chart::{axis, plot, strip};
use super::figures::{count, shortened, visible};
use super::frame::{Frame, page, section};
use super::when::{Span, escaped};

/// Series the page lists; more are counted.
pub const SERIES_SHOWN: usize = 50;

/// What became of an expression.
#[derive(Clone, Debug)]
pub enum Answer {
    /// None was given.
    Nothing,
    /// It could not be answered: what, and where in the text.
    Refused(String),
    /// Series over the range: labels, then `(time in ms, value)`.
    Series(Vec<(Labels, Vec<(i64, f64)>)>),
}

/// Examples that work on every whyslow.
const EXAMPLES: [(&str, &str); 4] = [
    ("slowest checks", "topk(5, quantile_over_time(0.9, probe_duration_seconds[15m]))"),
    ("failed share", "1 - avg_over_time(probe_success[1h])"),
    ("time in connect", "max_over_time(whyslow_check_phase_seconds{phase=\"connect\"}[5m])"),
    ("certificate days", "(probe_ssl_earliest_cert_expiry - time()) / 86400"),
];

/// The page.
pub fn page_of(expression: &str, answer: &Answer, frame: &Frame<'_>) -> Markup {
    let span = frame.span;
    let content = html! {
        form.add method="get" action="/query" {
            label for="query" { "PromQL" }
            textarea.mono id="query" name="query" rows="3" required spellcheck="false" autocapitalize="off" { (expression) }
            @if let Some(word) = span.named { input type="hidden" name="r" value=(word); }
            @else { input type="hidden" name="from" value=(span.from_ms); input type="hidden" name="to" value=(span.to_ms); }
            button.btn.pri type="submit" { "Ask" }
        }
        @match answer {
            Answer::Nothing => (examples(span)),
            Answer::Refused(why) => div.problem role="alert" { p.bad { (visible(why)) } p.meta { "The rest of whyslow is not affected." } },
            Answer::Series(series) => (result(expression, series, span)),
        }
    };
    page(&Frame { heading: "Query", ..frame.clone() }, None, &content)
}

fn examples(span: &Span) -> Markup {
    section(
        "examples",
        "For example",
        "",
        None,
        &html! {
            ul.plain { @for (what, expression) in EXAMPLES { li {
                span.l { (what) }
                a.mono href=(span.link(&format!("/query?query={}", escaped(expression)))) { (expression) }
            } } }
        },
    )
}

fn result(expression: &str, series: &[(Labels, Vec<(i64, f64)>)], span: &Span) -> Markup {
    let note = format!(
        "{} series over {} to {}",
        count(series.len()),
        span.clock(span.from_ms),
        span.clock(span.to_ms)
    );
    let content = html! {
        @if series.is_empty() { p.note { "No series matches in this range." } }
        @else {
            figure data-chart="" data-query-chart=(expression) data-from=(span.from_ms) data-to=(span.to_ms) {
                ol.strips { (lines(series, span)) }
                (axis(span))
                div.live-chart { }
            }
        }
        div.tw tabindex="0" role="region" aria-label="Series" { table {
            thead { tr { th { "Series" } th.n { "Last value" } th.n { "least" } th.n { "most" } th.n { "points" } } }
            tbody { @for (labels, points) in series.iter().take(SERIES_SHOWN) {
                @let values = points.iter().map(|(_, v)| *v).filter(|v| v.is_finite());
                tr {
                    th.mono scope="row" { (visible(&labels.to_string())) }
                    td.n { (points.last().map_or_else(|| "–".to_owned(), |(_, v)| v.to_string())) }
                    td.n { (number(values.clone().fold(f64::NAN, f64::min))) }
                    td.n { (number(values.fold(f64::NAN, f64::max))) }
                    td.n { (count(points.len())) }
                }
            } }
        } }
        @if series.len() > SERIES_SHOWN { p.note { (count(series.len() - SERIES_SHOWN)) " more series are not listed; the API gives all of them." } }
    };
    section("result", "Answer", &note, None, &content)
}

fn number(v: f64) -> String {
    if v.is_nan() {
        "–".to_owned()
    } else {
        format!("{v:.6}").trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

/// The first lines as a plain picture, so that the page says something without script.
fn lines(series: &[(Labels, Vec<(i64, f64)>)], span: &Span) -> Markup {
    const HEIGHT: f64 = 160.0;
    let shown = &series[..series.len().min(10)];
    let values =
        || shown.iter().flat_map(|(_, p)| p.iter().map(|(_, v)| *v)).filter(|v| v.is_finite());
    let high = values().fold(f64::NAN, f64::max);
    let low = values().fold(f64::NAN, f64::min).min(0.0);
    let height = if high > low { high - low } else { 1.0 };
    let stretched = html! { @for (i, (_, points)) in shown.iter().enumerate() {
        @let d = path(points, span, |v| HEIGHT * (1.0 - (v - low) / height));
        path.k.thin.ref[i > 0] d=(d) { }
    } path.zero d={ "M0 " (HEIGHT) "H1000" } { } };
    let upright =
        html! { text.y x="0" y="8" { (number(high)) } text.y.z x="0" y=(HEIGHT) { (number(low)) } };
    let says = format!("{} series, {} to {}", shown.len(), number(low), number(high));
    let first =
        shown.first().map_or(String::new(), |(l, _)| shortened(&visible(&l.to_string()), 60));
    let plot = plot(HEIGHT, &says, &stretched, &upright);
    strip(
        "Value",
        if shown.len() < series.len() { "of the first 10 series" } else { "" },
        &plot,
        "",
        &first,
        false,
    )
}

fn path(points: &[(i64, f64)], span: &Span, y: impl Fn(f64) -> f64) -> String {
    let step = points.windows(2).map(|w| w[1].0 - w[0].0).min().unwrap_or(0);
    let mut d = String::new();
    let mut before: Option<i64> = None;
    for (at, value) in points.iter().filter(|(_, v)| v.is_finite()) {
        // A missing step is a gap, never a line across it.
        let joined = before.is_some_and(|b| at - b <= step + step / 2);
        let _ = write!(
            d,
            "{}{:.1} {:.1}",
            if joined { 'L' } else { 'M' },
            super::chart::x(span, *at),
            y(*value)
        );
        before = Some(*at);
    }
    d
}
