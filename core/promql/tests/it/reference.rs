//! `docs/promql.md` lists the functions as the table has them.

use std::fmt::Write;

use whyslow_promql::functions::ALL;

/// What precedes the generated part.
const MARK: &str = "<!-- from the function table -->\n";

#[test]
#[expect(clippy::disallowed_methods, reason = "the page is a file")]
fn the_page_lists_every_function() {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/promql.md");
    let page = std::fs::read_to_string(file).unwrap();
    let (_, listed) = page.split_once(MARK).unwrap();
    let mut wanted = String::from("\n| function | answers |\n|---|---|\n");
    for function in ALL {
        let (signature, summary) = (function.signature(), function.summary);
        writeln!(wanted, "| `{signature}` | {summary} |").unwrap();
    }
    assert!(listed == wanted, "put this below the mark in docs/promql.md:\n{wanted}");
}
