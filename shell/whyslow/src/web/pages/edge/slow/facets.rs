//! What the slow requests that fit have in common, beside the stretch before where it is compared.

use maud::{Markup, html};

use super::SlowSeen;
use super::read::slow_field;
use crate::storage::{Facet, FacetCount, SlowField};
use crate::web::pages::edge::Names;
use crate::web::pages::edge::parts::{facet_row, narrow};
use crate::web::pages::figures::lasted;
use crate::web::pages::frame;
use crate::web::pages::model::RUNS_TO_JUDGE;
use crate::web::pages::model::edge::filter::{Field, Filter};
use crate::web::pages::model::edge::lead::big;
use crate::web::pages::when::Span;

/// The section.
pub(super) fn section(seen: &SlowSeen, filter: &Filter, span: &Span, names: &Names<'_>) -> Markup {
    let before = lasted(span.length_ms());
    let note = match &seen.before {
        Some(facets) => format!(
            "bar: share of these; black tick and grey figure: share of the {} before",
            facets.first().map_or_else(
                || before.clone(),
                |f| format!("{} kept in the {before}", big(f.all.kept))
            )
        ),
        None => {
            "share of the kept requests that fit, weighed by how many each stands for".to_owned()
        }
    };
    let compared = Span { compare: !span.compare, ..span.clone() };
    let path = super::address(filter, seen.slowest, None);
    let link = html! {
        a.end.meta href=(compared.link(&path)) {
            @if span.compare { "Do not compare" } @else { "Compare with the " (before) " before" }
        }
    };
    let content = html! {
        @if seen.facets.iter().all(|f| f.all.kept == 0) { p.note { "Nothing to count." } }
        @else {
            div.grid.facets {
                @for facet in &seen.facets { (one(facet, seen, filter, span, names)) }
            }
        }
    };
    frame::section("facets", "In common", &note, Some(link), &content)
}

fn one(facet: &Facet, seen: &SlowSeen, filter: &Filter, span: &Span, names: &Names<'_>) -> Markup {
    let Some(field) = field_of(facet.field) else { return html! {} };
    let before = seen.before.iter().flatten().find(|before| before.field == facet.field);
    let known = before.is_none_or(|b| b.all.kept >= RUNS_TO_JUDGE as u64);
    let share = |count: FacetCount, all: FacetCount| count.stands_for / all.stands_for.max(1e-9);
    let earlier = |value: &str| {
        let before = before.filter(|_| known)?;
        let found = before.values.iter().find(|v| v.value == value);
        Some(found.map_or(0.0, |v| share(v.count, before.all)))
    };
    html! {
        section {
            div.hd { h3 { (field.words()) }
                @if !known { p.end { "too few before to compare" } }
            }
            table {
                thead.unseen { tr { th { "Value" } th { "Bar" } th { "Share" } th { "Share before" } } }
                tbody {
                    @for value in &facet.values {
                        @let now = share(value.count, facet.all);
                        @let was = earlier(&value.value);
                        @let grew = facet.all.kept >= RUNS_TO_JUDGE as u64 && now >= 0.2 && was.is_some_and(|was| now >= was * 2.0);
                        (facet_row(&label(field, &value.value, value.count, filter, span, names), now, was, grew))
                    }
                    @if facet.more > 0 {
                        (facet_row(&html! { (big(facet.more)) " others " small { (big(facet.rest.kept)) } }, share(facet.rest, facet.all), None, false))
                    }
                }
            }
        }
    }
}

fn label(
    field: Field,
    value: &str,
    count: FacetCount,
    filter: &Filter,
    span: &Span,
    names: &Names<'_>,
) -> Markup {
    let value = if value.is_empty() { "unknown" } else { value };
    html! {
        (narrow(filter, field, value, "/edge/slow", span, names)) " " small { (big(count.kept)) }
    }
}

fn field_of(field: SlowField) -> Option<Field> {
    Field::ALL.into_iter().find(|f| slow_field(*f) == Some(field))
}
