//! What the pages of the planes have alike: the range where none is asked for, what stands above
//! everything else, the filters in force, lines to type back.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::figures::{lasted, visible};
use super::frame::{Frame, Section, section, service_path, state};
use super::handlers::frame;
use super::model::lead::Lead;
use super::source::Material;
use super::when::{Asked, Span, rfc3339};

/// The longest range whose page is drawn anew with every change.
const LIVE_MS: i64 = 3_600_000;
/// The range of a plane that has seen less than this is as long.
const SHORT_MS: i64 = 15 * 60_000;

/// What an address says behind its path.
pub(super) type Parameters = BTreeMap<String, String>;

/// The time that is asked for; else the last hour, or less where the plane's `oldest_ms` of now
/// says that there is less.
pub(super) fn span(p: &Parameters, oldest_ms: impl FnOnce(i64) -> Option<i64>) -> Span {
    let get = |name: &str| p.get(name).cloned();
    let mut asked = Asked {
        r: get("r"),
        from: get("from"),
        to: get("to"),
        tz: get("tz"),
        compare: get("compare"),
    };
    let now_ms = whyslow_sys::clock::wall().as_millis();
    if asked.r.is_none() && asked.from.is_none() {
        let age = oldest_ms(now_ms).map_or(0, |oldest| now_ms - oldest);
        asked.r = Some(if age < SHORT_MS { "15m" } else { "1h" }.to_owned());
    }
    Span::new(&asked, now_ms)
}

/// A frame below `crumb`, live only while the range is short.
pub(super) fn plane_frame<'a>(
    m: &'a Material,
    (of, crumb, address): (Section, &str, &str),
    title: &'a str,
    path: &'a str,
    span: &'a Span,
) -> Frame<'a> {
    let frame = frame(m, of, title, path, span);
    let live = frame.live && span.length_ms() <= LIVE_MS;
    Frame { live, crumbs: vec![(crumb.to_owned(), address.to_owned())], ..frame }
}

/// What stands above everything else on a plane's page.
pub(super) fn lead(of: &Lead, plane: &str, span: &Span) -> Markup {
    html! {
        div.verdict data-state=(of.state.word()) data-name=(plane) {
            p {
                (state(of.state))
                @if of.service.is_some() || of.since_ms.is_some() {
                    span.ink2 {
                        @if let Some(service) = &of.service {
                            a href=(span.link(&service_path(service))) { (visible(service)) }
                        }
                        @if let Some(at) = of.since_ms {
                            @if of.service.is_some() { ", " }
                            "since " time datetime=(rfc3339(at)) { (span.clock_s(at)) }
                            ", for " (lasted(span.now_ms - at))
                        }
                    }
                }
            }
            h1 { (visible(&of.sentence)) }
            @if !of.more.is_empty() { p.lead { (visible(&of.more.join(" "))) } }
        }
    }
}

/// A filter in force.
pub(super) struct Chip {
    /// What it is about.
    pub(super) words: &'static str,
    /// What it wants of that.
    pub(super) value: String,
    /// The address of the page without it.
    pub(super) without: String,
}

/// The filters in force, each a link that takes it away; `page` is the address without any.
pub(super) fn chips(chips: impl Iterator<Item = Chip>, page: &str, span: &Span) -> Markup {
    html! {
        p.chips {
            span.meta { "Narrowed to" }
            @for chip in chips {
                a.btn href=(span.link(&chip.without)) {
                    (chip.words) " " b { (chip.value) }
                    span aria-hidden="true" { " ×" } span.unseen { ", take it away" }
                }
            }
            a.meta href=(span.link(page)) { "Show all" }
        }
    }
}

/// A section with lines that can be typed back.
pub(super) fn lines(id: &str, heading: &str, note: &str, text: &str) -> Markup {
    section(id, heading, note, None, &html! { pre tabindex="0" { (text) } })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Text that no page may run or obey.
    pub(crate) const HOSTILE: &str = "<script>alert(1)</script>\u{202e}\u{1b}[31m";

    /// Ten minutes.
    pub(crate) fn span() -> Span {
        let asked = Asked { from: Some("0".into()), to: Some("600000".into()), ..Asked::default() };
        Span::new(&asked, 600_000)
    }

    /// A frame of one section's page.
    pub(crate) fn made_up(span: &Span, section: Section) -> Frame<'_> {
        Frame {
            title: "A plane",
            section,
            span,
            path: "/",
            crumbs: Vec::new(),
            here: "",
            heading: "",
            live: false,
            vantage: "lon1",
            banner: None,
            scripts: &[],
        }
    }

    #[test]
    fn a_plane_that_is_young_is_shown_for_minutes_and_what_is_asked_for_goes_before() {
        let nothing = Parameters::new();
        let minutes = |span: &Span| span.length_ms() / 60_000;
        assert_eq!(minutes(&super::span(&nothing, |_| None)), 15);
        assert_eq!(minutes(&super::span(&nothing, |now| Some(now - SHORT_MS))), 60);
        let asked = Parameters::from([("r".to_owned(), "3h".to_owned())]);
        assert_eq!(minutes(&super::span(&asked, |_| None)), 180);
    }
}
