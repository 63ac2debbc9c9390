//! The search form: every field is part of the address, and it works without script.

use maud::{Markup, html};

use crate::web::pages::model::edge::filter::{Field, Filter};
use crate::web::pages::when::Span;

/// The fields one types into, with what one could type.
const TYPED: [(Field, &str); 13] = [
    (Field::Path, "/basket"),
    (Field::MinMs, "500"),
    (Field::Client, "192.0.2.7"),
    (Field::Route, "/item/{n}"),
    (Field::Server, "web1"),
    (Field::Backend, "app"),
    (Field::Vip, "shop"),
    (Field::Code, "503"),
    (Field::Flag, "sH--"),
    (Field::Phase, "wait"),
    (Field::Asn, "64500"),
    (Field::Prefix, "192.0.2.0/24"),
    (Field::Country, "GB"),
];
/// Those that are always open; the others fold away while nothing is typed into them.
const ALWAYS: usize = 3;

/// The form.
pub(super) fn search(filter: &Filter, span: &Span) -> Markup {
    let (always, more) = TYPED.split_at(ALWAYS);
    let used = more.iter().any(|(field, _)| filter.get(*field).is_some());
    html! {
        form.add.find method="get" action="/edge/slow" role="search" {
            @for (name, value) in url_pairs(span) { input type="hidden" name=(name) value=(value); }
            @for (field, example) in always { (input(filter, *field, example)) }
            details.tbl open[used] {
                summary { "More fields" }
                div.fields { @for (field, example) in more { (input(filter, *field, example)) } }
            }
            button.btn type="submit" { "Find" }
        }
    }
}

fn input(filter: &Filter, field: Field, example: &str) -> Markup {
    let id = format!("f-{}", field.name());
    html! {
        span.field {
            label for=(id) { (field.words()) }
            input id=(id) name=(field.name()) type="search" maxlength="400" autocomplete="off" spellcheck="false"
                value=(filter.get(field).unwrap_or("")) placeholder=(example);
        }
    }
}

/// The range, so that a search keeps it.
fn url_pairs(span: &Span) -> Vec<(String, String)> {
    let query = span.query();
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
