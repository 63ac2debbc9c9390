//! `/keys`: what the keyboard does, and the visible counterpart of each key.

use maud::{Markup, html};

use super::frame::{Frame, page};

const KEYS: [(&str, &str); 15] = [
    ("/", "find a check"),
    ("g o", "Overview"),
    ("g c", "Checks"),
    ("g e", "Edge"),
    ("g w", "Wire"),
    ("g q", "Query"),
    ("[", "the range before, or the run before"),
    ("]", "the range after, or the run after"),
    ("+", "half the range"),
    ("-", "twice the range"),
    ("j  k", "next and previous row"),
    ("Enter", "open the row"),
    ("m", "write a change down"),
    ("t", "the chart as a table"),
    ("?", "this list"),
];

/// The page.
pub fn page_of(frame: &Frame<'_>) -> Markup {
    let content = html! {
        section.first aria-label="Keys" { div.tw { table.keys {
            thead { tr { th { "Key" } th { "What it does" } } }
            tbody { @for (key, what) in KEYS { tr { th scope="row" { kbd { (key) } } td { (what) } } } }
        } } }
        p.note { "Dragging over a chart looks into that stretch of time. Each key has a link or a button of its own on the pages." }
    };
    page(&Frame { heading: "Keys", ..frame.clone() }, None, &content)
}
