//! Parts that both pages of the edge use.

pub(super) mod names;

use maud::{Markup, html};

use crate::web::pages::figures::{percent, shortened, visible};
use crate::web::pages::model::edge::filter::{Field, Filter};
use crate::web::pages::plane::{self, Chip};
use crate::web::pages::when::Span;
use names::Names;

/// Characters of a name or value that are shown.
const NAME_SHOWN: usize = 60;

/// A name from outside, fit for a line.
pub(super) fn name(text: &str) -> String {
    match text {
        "" | whyslow_edge::names::EMPTY => "not told".to_owned(),
        text => shortened(&visible(text), NAME_SHOWN),
    }
}

/// The filters in force, each a link that takes it away.
pub(super) fn chips(filter: &Filter, page: &str, span: &Span, names: &Names<'_>) -> Markup {
    let chips = filter.all().map(|(field, value)| Chip {
        words: field.words(),
        value: names.of(field, value),
        without: filter.without(field).path(page),
    });
    html! { @if !filter.is_empty() { (plane::chips(chips, page, span)) } }
}

/// The row of a facet: a bar for its share of the slow, a tick for its share of what it is held
/// against, both as figures.
pub(super) fn facet_row(label: &Markup, share: f64, against: Option<f64>, out: bool) -> Markup {
    let width = |share: f64| format!("{:.1}%", share.clamp(0.0, 1.0) * 100.0);
    html! {
        tr {
            th scope="row" { (label) }
            td.fw {
                svg.p width="100%" height="10" aria-hidden="true" {
                    rect class=(if out { "fbad" } else { "fref" }) y="2" width=(width(share)) height="6" { }
                    @if let Some(against) = against { rect.fink x=(width(against)) y="0" width="2" height="10" { } }
                }
            }
            td.n.bad[out] { (percent(share)) }
            td.n.meta { (against.map_or_else(String::new, percent)) }
        }
    }
}

/// A value as a link that narrows the page to it.
pub(super) fn narrow(
    filter: &Filter,
    field: Field,
    value: &str,
    page: &str,
    span: &Span,
    names: &Names<'_>,
) -> Markup {
    html! {
        a class=[matches!(field, Field::Route | Field::Prefix).then_some("mono")]
            href=(span.link(&filter.with(field, value).path(page))) { (names.of(field, value)) }
    }
}
