//! Detectors over simulated hours: quiet ones, and ones with a fault.

use super::*;

#[test]
fn the_page_of_notices_is_what_the_list_says() {
    let written = include_str!("../../../../docs/edge-notices.md");
    assert_eq!(written, page(), "docs/edge-notices.md is not what detect::page() makes");
}
