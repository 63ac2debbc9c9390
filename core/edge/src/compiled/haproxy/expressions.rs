//! Sample expressions inside `%[…]` (manual 7.3): the ones whose value is known; all else is text
//! that says nothing.

use crate::compiled::layout::{Item, Scale, Shape, To};
use crate::compiled::values::{Number, Text};

use super::items::{PATH, TEXT, WORD};

/// What an expression is. One with converters is text.
pub(super) fn item(expression: &str) -> Item {
    known(expression.trim()).unwrap_or(Item { name: "%[expression]", shape: TEXT, to: To::Nothing })
}

fn known(expression: &str) -> Option<Item> {
    // Without an argument these are milliseconds (manual 7.3.3).
    let (bare, scale) = match expression.strip_suffix("(us)") {
        Some(bare) => (bare, Scale::One),
        None => (expression.strip_suffix("(ms)").unwrap_or(expression), Scale::Times(1000)),
    };
    let number = |name, number, scale| {
        Some(Item { name, shape: Shape::Integer, to: To::Number(number, scale) })
    };
    let word = |name, to| Some(Item { name, shape: WORD, to });
    let count = |name| Some(Item { name, shape: Shape::Integer, to: To::Nothing });
    match bare {
        "fc_rtt" => number("%[fc_rtt]", Number::ClientRtt, scale),
        "fc_rttvar" => count("%[fc_rttvar]"),
        "bc_rtt" => count("%[bc_rtt]"),
        "bc_rttvar" => count("%[bc_rttvar]"),
        "fc_retrans" => number("%[fc_retrans]", Number::ClientRetransmits, Scale::One),
        "fc_lost" | "fc_unacked" | "fc_sacked" | "fc_reordering" | "fc_fackets" => count("%[fc_…]"),
        "src" => word("%[src]", To::Client),
        "src_port" => number("%[src_port]", Number::ClientPort, Scale::One),
        "dst" => word("%[dst]", To::Nothing),
        "dst_port" | "so_id" | "fe_conn" | "be_conn" => count("%[number]"),
        "status" | "txn.status" => number("%[status]", Number::Code, Scale::One),
        "method" | "capture.req.method" => word("%[method]", To::Text(Text::Method)),
        "path" | "url" | "pathq" | "capture.req.uri" => word("%[path]", PATH),
        "fe_name" => word("%[fe_name]", To::Text(Text::Vip)),
        "be_name" => word("%[be_name]", To::Text(Text::Backend)),
        "srv_name" => word("%[srv_name]", To::Text(Text::Server)),
        "ssl_fc_sni" => word("%[ssl_fc_sni]", To::Nothing),
        "ssl_fc_protocol" | "ssl_fc_cipher" | "ssl_fc_alpn" => word("%[ssl_fc_…]", To::Nothing),
        "unique-id" => word("%[unique-id]", To::Text(Text::RequestId)),
        "req.timer.hdr" => number("%[req.timer.hdr]", Number::ClientIn, scale),
        "req.timer.queue" => number("%[req.timer.queue]", Number::Queue, scale),
        "bc.timer.connect" => number("%[bc.timer.connect]", Number::Connect, scale),
        "res.timer.hdr" => number("%[res.timer.hdr]", Number::Wait, scale),
        "res.timer.data" => number("%[res.timer.data]", Number::Body, scale),
        "txn.timer.total" => number("%[txn.timer.total]", Number::Total, scale),
        "fc.timer.total" => number("%[fc.timer.total]", Number::Session, scale),
        "hdr(host)" | "req.hdr(host)" | "req.hdr(Host)" | "hdr(Host)" => {
            Some(Item { name: "%[req.hdr(host)]", shape: TEXT, to: To::Text(Text::Host) })
        }
        _ => None,
    }
}
