//! What every page has around its content: head, navigation, range, foot.

use maud::{DOCTYPE, Markup, html};

use super::assets::address;
use super::figures::visible;
use super::model::Track;
use super::model::standing::State;
use super::when::{NAMED, Span, escaped, rfc3339};

/// A page without its content.
#[derive(Clone, Debug)]
pub struct Frame<'a> {
    /// The window's title, without the product's name.
    pub title: &'a str,
    /// The navigation entry it belongs to.
    pub section: Section,
    /// The time it shows.
    pub span: &'a Span,
    /// Its own address without the range; a query may be in it.
    pub path: &'a str,
    /// The steps above it, outermost first: text and address.
    pub crumbs: Vec<(String, String)>,
    /// What its last crumb is called; empty on a page that needs no path.
    pub here: &'a str,
    /// The heading, where it stands beside the ranges; empty where the content brings its own.
    pub heading: &'a str,
    /// Whether live changes belong on it.
    pub live: bool,
    /// The vantage this process is.
    pub vantage: &'a str,
    /// What the operator has to know first.
    pub banner: Option<&'a str>,
    /// Modules it needs besides the common one, by plain name.
    pub scripts: &'a [&'a str],
}

/// An entry of the navigation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// Services.
    Overview,
    /// Checks and runs.
    Checks,
    /// The balancers' requests.
    Edge,
    /// What packets tell.
    Wire,
    /// Queries.
    Query,
}

const NAVIGATION: [(Section, &str, &str); 5] = [
    (Section::Overview, "Overview", "/"),
    (Section::Checks, "Checks", "/checks"),
    (Section::Edge, "Edge", "/edge"),
    (Section::Wire, "Wire", "/wire"),
    (Section::Query, "Query", "/query"),
];

/// Puts `content` into its frame. `beside` is what stands at the
/// right of the path instead of the time ranges.
pub fn page(frame: &Frame<'_>, beside: Option<Markup>, content: &Markup) -> Markup {
    let (span, path) = (frame.span, frame.path);
    html! {
        (DOCTYPE)
        html lang="en" {
            (head(frame.title, &[&["app.js"], frame.scripts].concat()))
            body data-live[frame.live] data-path=(path) data-query=(span.query())
                data-from=(span.from_ms) data-to=(span.to_ms) {
                a.skip href="#main" { "Skip to the page" }
                (top(frame))
                p.stale id="stale" hidden { }
                @if let Some(text) = frame.banner { p.banner role="status" { (visible(text)) } }
                main.wrap id="main" tabindex="-1" {
                    div.sub {
                        @if !frame.here.is_empty() { (crumbs(frame)) }
                        @if !frame.heading.is_empty() { h1 { (visible(frame.heading)) } }
                        @match beside { Some(links) => (links), None => (ranges(span, path)) }
                    }
                    (content)
                }
                (foot(frame))
            }
        }
    }
}

/// A page that stands alone: a problem, or the login. It reads nothing, so it always shows.
pub fn bare(title: &str, content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            (head(title, &[]))
            body {
                header.top { div.wrap { a.brand href="/" { (brand()) "whyslow" } } }
                main.wrap id="main" { (content) }
            }
        }
    }
}

fn head(title: &str, scripts: &[&str]) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width,initial-scale=1";
            title { (visible(title)) ", whyslow" }
            link rel="icon" href=(address("icon.svg")) type="image/svg+xml";
            link rel="stylesheet" href=(address("tokens.css"));
            link rel="stylesheet" href=(address("pages.css"));
            @if scripts.contains(&"query.js") {
                link rel="stylesheet" href=(address("uplot.css"));
            }
            // Before the first paint, so that a chosen theme does not flash.
            script src=(address("theme.js")) { }
            @for script in scripts { script type="module" src=(address(script)) { } }
        }
    }
}

fn brand() -> Markup {
    html! {
        svg viewBox="0 0 28 12" fill="none" stroke="currentColor" stroke-width="1.8"
            aria-hidden="true" {
            circle cx="3" cy="6" r="2.1" { }
            path d="M5.2 6h5M18 6h4.8" { }
            circle cx="25" cy="6" r="2.1" { }
            path.fbad d="M14 2.9L17.1 6 14 9.1 10.9 6z" stroke="none" { }
        }
    }
}

fn top(frame: &Frame<'_>) -> Markup {
    let span = frame.span;
    html! {
        header.top {
            div.wrap {
                a.brand href=(span.link("/")) {
                    (brand())
                    "whyslow"
                }
                nav.nav aria-label="Main" {
                    @for (section, label, path) in NAVIGATION {
                        a href=(span.link(path)) aria-current=[(section == frame.section).then_some("page")]
                            { (label) }
                    }
                }
                p.end id="clock" { time datetime=(rfc3339(span.now_ms)) { (span.present()) } }
            }
        }
        // Patterns that charts paint gaps with; a display of none would take them away.
        svg.defs width="0" height="0" aria-hidden="true" focusable="false" {
            pattern id="hatch" width="5" height="5" patternUnits="userSpaceOnUse" {
                path.hatch d="M0 5L5 0" { }
            }
        }
    }
}

fn crumbs(frame: &Frame<'_>) -> Markup {
    html! {
        nav.crumb aria-label="Where you are" {
            @for (text, path) in &frame.crumbs {
                a href=(frame.span.link(path)) { (visible(text)) } span aria-hidden="true" { "/" }
            }
            b { (visible(frame.here)) }
        }
    }
}

/// The ranges, the comparison, and the zone; script adds the local one.
pub fn ranges(span: &Span, path: &str) -> Markup {
    let compared = Span { compare: !span.compare, ..span.clone() };
    html! {
        nav.range.end aria-label="Time range" {
            @for (word, label, _) in NAMED {
                @let there = Span { named: Some(word), ..span.clone() };
                a href=(there.link(path)) data-range=(word)
                    aria-current=[(span.named == Some(word)).then_some("true")] { (label) }
            }
            @if span.named.is_none() {
                b { (span.clock(span.from_ms)) " to " (span.clock(span.to_ms)) }
            }
            a href=(compared.link(path)) aria-current=[span.compare.then_some("true")]
                title="Beside the equally long stretch before" { "Compare" }
            @if span.zone_min == 0 {
                span id="zone" { "UTC" }
            } @else {
                a id="zone" href=(Span { zone_min: 0, ..span.clone() }.link(path))
                    title="Show UTC" { (span.zone()) }
            }
        }
    }
}

fn foot(frame: &Frame<'_>) -> Markup {
    html! {
        footer.wrap {
            p.foot {
                span { "whyslow " (env!("CARGO_PKG_VERSION")) " on " (visible(frame.vantage)) }
                span { "Times are " (frame.span.zone()) }
                span id="switches" { }
                a href=(frame.span.link("/keys")) id="keys" { "Keys: ?" }
            }
            p.unseen id="said" role="status" aria-live="polite" { }
        }
    }
}

/// A state as shape, word and colour.
pub fn state(state: State) -> Markup {
    shape(state.word(), state.label())
}

/// The same for any word that has a shape.
pub fn shape(word: &str, label: &str) -> Markup {
    html! {
        span class={ "st st-" (word) } { i class={ "i i-" (word) } aria-hidden="true" { } (label) }
    }
}

/// How a run ended, as shape, word and colour.
pub fn outcome(word: &str) -> Markup {
    match word {
        "ok" => shape("ok", "OK"),
        "slow" => shape("degraded", "Slow"),
        "failed" => shape("down", "Failed"),
        _ => shape("unknown", "Unknown"),
    }
}

/// A section with its heading and the line that says unit, range and scale.
pub fn section(
    id: &str,
    heading: &str,
    note: &str,
    end: Option<Markup>,
    content: &Markup,
) -> Markup {
    html! {
        section aria-labelledby=(id) {
            div.hd {
                h2 id=(id) { (heading) }
                @if !note.is_empty() { p { (note) } }
                @if let Some(end) = end { (end) }
            }
            (content)
        }
    }
}

/// The address of a check's page.
pub fn check_path(id: &str) -> String {
    format!("/checks/{}", escaped(id))
}

/// The address of a track's page: the check's, from the track's vantage.
pub fn check_link(track: &Track) -> String {
    format!("{}?vantage={}", check_path(&track.id()), escaped(&track.vantage))
}

/// The address of a service's page.
pub fn service_path(name: &str) -> String {
    format!("/services/{}", escaped(name))
}

/// The address of one run's page: `vantage/service:check:path/started_ns` names it.
pub fn run_path(run_id: &str) -> Option<String> {
    let mut parts = run_id.splitn(3, '/');
    let (_, check, _) = (parts.next()?, parts.next()?, parts.next()?);
    Some(format!("{}?run={}", check_path(check), escaped(run_id)))
}
