//! nginx's variables: how each is written and what it says.

use crate::compiled::bytes::ByteSet;
use crate::compiled::date::Date;
use crate::compiled::layout::{Item, Scale, Shape, To};
use crate::compiled::values::{Number, Text};

/// What one variable is; what is not known is text that says nothing.
pub(super) fn item(name: &str, escapes: bool) -> Item {
    let mut item = known(name).unwrap_or(Item { name: "variable", shape: TEXT, to: To::Nothing });
    if item.shape == TEXT && !escapes {
        item.shape = Shape::Text { of: ByteSet::ANY, escaped: false };
    }
    item
}

/// Whether nginx has such a variable, so far as a log would name it.
pub(super) fn is_known(name: &str) -> bool {
    known(name).is_some()
}

/// Whether a query may follow this item as part of it.
pub(super) fn is_path(item: &Item) -> bool {
    item.to == To::Text(Text::Path)
}

/// Whether the variable is (part of) a query, which a path before it takes in.
pub(super) fn is_query(name: &str) -> bool {
    matches!(name, "is_args" | "args" | "query_string")
}

fn known(name: &str) -> Option<Item> {
    let of = |name: &'static str, shape: Shape, to: To| Some(Item { name, shape, to });
    let number = |name, number| of(name, Shape::Integer, To::Number(number, Scale::One));
    let seconds = |name, number| of(name, Shape::Decimal, To::Number(number, Scale::One));
    let word = |name, text| of(name, WORD, To::Text(text));
    let text = |name, text| of(name, TEXT, To::Text(text));
    let list = |name, text| of(name, Shape::List, To::Text(text));
    match name {
        "remote_addr" => of("remote_addr", PLAIN, To::Client),
        "remote_port" => number("remote_port", Number::ClientPort),
        "time_local" => of("time_local", Shape::Date(Date::Clf), To::Time),
        "time_iso8601" => of("time_iso8601", Shape::Date(Date::Iso), To::Time),
        "msec" => seconds("msec", Number::Epoch),
        "request" => text("request", Text::Request),
        "request_method" => of("request_method", PLAIN, To::Text(Text::Method)),
        "uri" => text("uri", Text::Path),
        "request_uri" => text("request_uri", Text::Path),
        "document_uri" => text("document_uri", Text::Path),
        "host" => word("host", Text::Host),
        "http_host" => text("http_host", Text::Host),
        "server_name" => word("server_name", Text::Vip),
        "status" => number("status", Number::Code),
        "body_bytes_sent" => number("body_bytes_sent", Number::BodyOut),
        "bytes_sent" => number("bytes_sent", Number::BytesOut),
        "request_length" => number("request_length", Number::BytesIn),
        "request_time" => seconds("request_time", Number::Total),
        "request_completion" => word("request_completion", Text::Completion),
        "request_id" => word("request_id", Text::RequestId),
        "req_id" => word("req_id", Text::RequestId),
        "http_x_request_id" => text("http_x_request_id", Text::RequestId),
        "proxy_host" => word("proxy_host", Text::Backend),
        "proxy_upstream_name" => word("proxy_upstream_name", Text::Backend),
        "upstream_addr" => list("upstream_addr", Text::UpstreamAddr),
        "upstream_status" => list("upstream_status", Text::UpstreamStatus),
        "upstream_connect_time" => list("upstream_connect_time", Text::UpstreamConnect),
        "upstream_header_time" => list("upstream_header_time", Text::UpstreamHeader),
        "upstream_response_time" => list("upstream_response_time", Text::UpstreamResponse),
        "upstream_bytes_received" => list("upstream_bytes_received", Text::UpstreamBytes),
        "tcpinfo_rtt" => number("tcpinfo_rtt", Number::ClientRtt),
        "geoip_country_code" => word("geoip_country_code", Text::Country),
        _ => passed_over(name),
    }
}

/// Variables that say nothing we keep, but whose writing is known.
fn passed_over(name: &str) -> Option<Item> {
    let shape = match name {
        "upstream_response_length"
        | "upstream_bytes_sent"
        | "upstream_queue_time"
        | "upstream_first_byte_time"
        | "upstream_last_byte_time" => Shape::List,
        "connection"
        | "connection_requests"
        | "tcpinfo_rttvar"
        | "tcpinfo_snd_cwnd"
        | "tcpinfo_rcv_space"
        | "server_port"
        | "proxy_port"
        | "pid"
        | "content_length"
        | "proxy_protocol_port"
        | "proxy_protocol_server_port" => Shape::Integer,
        "connection_time" | "gzip_ratio" => Shape::Decimal,
        "upstream_cache_status"
        | "scheme"
        | "server_protocol"
        | "server_addr"
        | "hostname"
        | "pipe"
        | "https"
        | "http2"
        | "http3"
        | "ssl_protocol"
        | "ssl_cipher"
        | "ssl_server_name"
        | "ssl_session_id"
        | "ssl_session_reused"
        | "ssl_client_verify"
        | "ssl_client_serial"
        | "ssl_client_fingerprint"
        | "ssl_curve"
        | "proxy_protocol_addr"
        | "realip_remote_addr"
        | "realip_remote_port"
        | "binary_remote_addr"
        | "proxy_protocol_server_addr"
        | "ssl_early_data"
        | "proxy_alternative_upstream_name" => WORD,
        "remote_user"
        | "args"
        | "query_string"
        | "is_args"
        | "request_body"
        | "request_filename"
        | "document_root"
        | "realpath_root"
        | "content_type"
        | "ssl_client_s_dn"
        | "ssl_client_i_dn"
        | "ssl_client_escaped_cert"
        | "ssl_ciphers"
        | "ssl_curves"
        | "proxy_add_x_forwarded_for"
        | "limit_rate" => TEXT,
        _ if PREFIXES.iter().any(|p| name.starts_with(p)) => TEXT,
        _ => return None,
    };
    Some(Item { name: "variable", shape, to: To::Nothing })
}

/// Families of variables, by what their names begin with.
const PREFIXES: &[&str] = &[
    "http_",
    "sent_http_",
    "sent_trailer_",
    "upstream_http_",
    "upstream_trailer_",
    "upstream_cookie_",
    "cookie_",
    "arg_",
    "geoip_",
    "geoip2_",
    "ssl_",
    "jwt_",
];
const WORD: Shape = Shape::Text { of: ByteSet::WORD, escaped: false };
/// An address (of a client, or `unix:`), or a method, of which nginx takes letters, `_` and `-`.
const PLAIN: Shape = Shape::Text { of: ByteSet::WORD.without(b","), escaped: false };
const TEXT: Shape = Shape::Text { of: ByteSet::TEXT, escaped: true };
