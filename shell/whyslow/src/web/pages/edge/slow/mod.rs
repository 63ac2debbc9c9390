//! `/edge/slow`: slow requests one by one, and what they have in common.

mod facets;
mod form;
mod read;
mod rows;

use maud::{Markup, html};
use whyslow_edge::slow::{SlowCount, SlowRow};

use super::Names;
use super::parts::chips;
use crate::storage::{Facet, FacetCount, SlowBucket};
use crate::web::pages::chart::edge::bars;
use crate::web::pages::chart::{axis, strip};
use crate::web::pages::figures::{counted, limit};
use crate::web::pages::frame::{Frame, page, section};
use crate::web::pages::model::edge::filter::Filter;
use crate::web::pages::model::edge::lead::big;
use crate::web::pages::when::{Span, escaped};

pub use read::{slow_field, slow_filter};

/// What was read for the page.
#[derive(Clone, Debug, Default)]
pub struct SlowSeen {
    /// The page's requests.
    pub rows: Vec<SlowRow>,
    /// Where the next page begins.
    pub next: Option<String>,
    /// Whether the slowest stand first, not the newest.
    pub slowest: bool,
    /// What all that fit have in common.
    pub facets: Vec<Facet>,
    /// The same of the equally long stretch before, where it is compared.
    pub before: Option<Vec<Facet>>,
    /// How many fit in each stretch of time.
    pub over_time: Vec<SlowBucket>,
    /// Seconds of such a stretch.
    pub step_s: i64,
    /// How many slow requests there were, and are kept.
    pub counts: Vec<SlowCount>,
}

impl SlowSeen {
    /// How many that are kept fit the filter, and for how many they stand.
    fn fitting(&self) -> FacetCount {
        self.facets.first().map(|facet| facet.all).unwrap_or_default()
    }

    /// Slow requests of the range, whatever the filter: how many there were, and are kept.
    fn kept_of(&self) -> (u64, u64) {
        self.counts.iter().fold((0, 0), |(seen, kept), c| (seen + c.seen, kept + c.kept))
    }
}

/// The address of a page of the list, without its range.
pub fn address(filter: &Filter, slowest: bool, after: Option<&str>) -> String {
    let mut path = filter.path("/edge/slow");
    let mut add = |pair: String| {
        path.push(if path.contains('?') { '&' } else { '?' });
        path.push_str(&pair);
    };
    if slowest {
        add("order=slowest".to_owned());
    }
    if let Some(after) = after {
        add(format!("after={}", escaped(after)));
    }
    path
}

/// The page.
pub fn page_of(seen: &SlowSeen, filter: &Filter, frame: &Frame<'_>, names: &Names<'_>) -> Markup {
    let span = frame.span;
    let content = html! {
        div.verdict {
            h1 { (sentence(seen, filter)) }
            p.lead { (kept_words(seen)) }
        }
        (chips(filter, "/edge/slow", span, names))
        (form::search(filter, span))
        (over_time(seen, span))
        (facets::section(seen, filter, span, names))
        (rows::section(seen, filter, span, names))
    };
    page(frame, None, &content)
}

fn sentence(seen: &SlowSeen, filter: &Filter) -> String {
    let fitting = seen.fitting();
    let n = counted(usize::try_from(fitting.kept).unwrap_or(usize::MAX), "slow request");
    match (fitting.kept, filter.is_empty()) {
        (0, true) => "No slow request is kept of this range.".to_owned(),
        (0, false) => "No kept request fits.".to_owned(),
        (_, true) => format!("{n} of this range {} kept.", is(fitting.kept)),
        (_, false) => format!("{n} {}.", if fitting.kept == 1 { "fits" } else { "fit" }),
    }
}

const fn is(n: u64) -> &'static str {
    if n == 1 { "is" } else { "are" }
}

/// The honest counter: how many were slow, how many are kept, for how many those stand.
fn kept_words(seen: &SlowSeen) -> String {
    let (all, kept) = seen.kept_of();
    let fitting = seen.fitting();
    let dropped = all.saturating_sub(kept);
    let counts = match (all, dropped) {
        (0, _) => "No request of this range was over its limit.".to_owned(),
        (_, 0) => format!("All {} requests over their limit are kept.", big(all)),
        _ => format!(
            "{} requests were over their limit; {} found no room and are not kept.",
            big(all),
            big(dropped)
        ),
    };
    if dropped == 0 || fitting.kept == 0 {
        return counts;
    }
    format!("{counts} Those shown stand for about {:.0}.", fitting.stands_for)
}

fn over_time(seen: &SlowSeen, span: &Span) -> Markup {
    if seen.over_time.is_empty() {
        return html! {};
    }
    let step_ms = seen.step_s * 1000;
    let first = span.from_ms.div_euclid(step_ms) * step_ms;
    let starts = (0..).map(|i| first + i * step_ms).take_while(|at| *at < span.to_ms);
    let of = |at: i64| {
        let found = seen.over_time.iter().filter(|b| b.start_s * 1000 == at);
        (at.max(span.from_ms), (at + step_ms).min(span.to_ms), found.map(|b| b.count.kept).sum())
    };
    let bins: Vec<(i64, i64, u64)> = starts.map(of).collect();
    let most = bins.iter().map(|(_, _, n)| *n).max().unwrap_or(0);
    let note = format!("kept requests that fit, bins of {}", limit(step_ms.unsigned_abs()));
    let content = html! {
        figure data-chart="" data-from=(span.from_ms) data-to=(span.to_ms) {
            ol.strips { (strip("Slow requests", "a bin", &bars(span, &bins, "Slow requests"), &big(most), "at most", false)) }
            (axis(span))
        }
        details.tbl {
            summary { "The same as a table" }
            div.tw tabindex="0" role="region" aria-label="Slow requests over time" { table {
                thead { tr { th { "From" } th.n { "Slow requests" } } }
                tbody { @for (from, to, n) in bins.iter().filter(|(_, _, n)| *n > 0) {
                    tr { th scope="row" { a href={ "?" (span.query_of(*from, *to)) } { (span.clock_s(*from)) } } td.n { (big(*n)) } }
                } }
            } }
        }
    };
    section("over-time", "Over time", &note, None, &content)
}
