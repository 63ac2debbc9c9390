//! "What slow requests have in common", on `/edge`.

use maud::{Markup, html};

use super::parts::names::Names;
use super::parts::{facet_row, narrow};
use crate::web::pages::figures::time;
use crate::web::pages::frame;
use crate::web::pages::model::RUNS_TO_JUDGE;
use crate::web::pages::model::edge::filter::{Field, Filter};
use crate::web::pages::model::edge::lead::big;
use crate::web::pages::model::edge::shared_traits::{Common, Facet, Reads};
use crate::web::pages::when::Span;

/// The section.
pub(super) fn section(common: &Common, filter: &Filter, span: &Span, names: &Names<'_>) -> Markup {
    let note = format!(
        "{} of {} timed requests above {}. Bar: share of the slow; black tick and grey figure: share of all.",
        big(common.slow),
        big(common.all),
        time(common.over_ms)
    );
    let slow = filter.with(Field::MinMs, &format!("{:.0}", common.over_ms));
    let content = html! {
        @if common.facets.is_empty() {
            p.note { "There is nothing to tell them apart by: " @if common.slow == 0 { "no request took that long." } @else { "all of them share one server, route and network." } }
        }
        div.grid.facets { @for facet in &common.facets { (one(facet, common, filter, span, names)) } }
        p.note {
            @if clients_untold(filter) { "Windows do not tell clients apart beside a server, route or code. " }
            a href=(span.link(&slow.path("/edge/slow"))) { "Show the slow requests" }
            ", with phases and addresses, as far as they were kept."
        }
    };
    frame::section("common", "What slow requests have in common", &note, None, &content)
}

/// Whether the filter asks for something beside which no window has clients.
fn clients_untold(filter: &Filter) -> bool {
    [Field::Server, Field::Route, Field::Code].into_iter().any(|field| filter.get(field).is_some())
}

fn one(facet: &Facet, common: &Common, filter: &Filter, span: &Span, names: &Names<'_>) -> Markup {
    let (reads, value) = facet.reads(common.slow);
    let called = value.map_or_else(String::new, |v| names.of(facet.field, &v.value));
    let reading = match reads {
        Reads::StandsOut => format!("{called} stands out"),
        Reads::More => format!("{called} a little more"),
        Reads::Same => "no difference".to_owned(),
        Reads::TooFew => format!("{} slow, {RUNS_TO_JUDGE} are needed to judge", common.slow),
    };
    html! {
        section {
            div.hd { h3 { (facet.field.words()) } p.end { (reading) } }
            table {
                thead.unseen { tr { th { "Value" } th { "Bar" } th { "Share of the slow" } th { "Share of all" } } }
                tbody {
                    @for value in &facet.values {
                        @let label = narrow(filter, facet.field, &value.value, "/edge", span, names);
                        (facet_row(&label, value.of_slow, Some(value.of_all), value.stands_out() && reads == Reads::StandsOut))
                    }
                    @if let Some((n, rest)) = &facet.others {
                        @let label = html! { (big(*n as u64)) " others" };
                        (facet_row(&label, rest.of_slow, Some(rest.of_all), false))
                    }
                }
            }
            @if facet.hidden_at_most > 0 {
                p.note { "The most frequent are told apart; " em { "other" } " may hold up to " (big(facet.hidden_at_most)) " requests of any one." }
            }
        }
    }
}
