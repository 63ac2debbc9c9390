//! What Envoy's commands are.

use super::Command;
use crate::compiled::bytes::ByteSet;
use crate::compiled::date::Date;
use crate::compiled::layout::{Item, Scale, Shape, To};
use crate::compiled::values::{Number, Text};

/// Text of which nothing is known.
pub(super) const UNKNOWN: Item = Item { name: "command", shape: TEXT, to: To::Nothing };
const WORD: Shape = Shape::Text { of: ByteSet::WORD, escaped: false };
const TEXT: Shape = Shape::Text { of: ByteSet::TEXT, escaped: false };
const MS: Scale = Scale::Times(1000);

/// What a command is.
pub(super) fn known(command: &Command<'_>) -> Option<Item> {
    let of = |name: &'static str, shape: Shape, to: To| Some(Item { name, shape, to });
    let number = |name, number, scale| of(name, Shape::Integer, To::Number(number, scale));
    let word = |name, text| of(name, WORD, To::Text(text));
    match command.name {
        "START_TIME" => Some(start_time(command.arguments)),
        "REQ" => Some(request_header(command.arguments)),
        "RESP" if is_header(command.arguments, "X-ENVOY-UPSTREAM-SERVICE-TIME") => {
            number("%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%", Number::Service, MS)
        }
        "RESPONSE_CODE" => number("%RESPONSE_CODE%", Number::Code, Scale::One),
        "RESPONSE_FLAGS" | "RESPONSE_FLAGS_LONG" => word("%RESPONSE_FLAGS%", Text::Flags),
        "BYTES_RECEIVED" => number("%BYTES_RECEIVED%", Number::BytesIn, Scale::One),
        "BYTES_SENT" => number("%BYTES_SENT%", Number::BytesOut, Scale::One),
        "DURATION" => number("%DURATION%", Number::Total, MS),
        "REQUEST_DURATION" => number("%REQUEST_DURATION%", Number::Upload, MS),
        "RESPONSE_DURATION" => number("%RESPONSE_DURATION%", Number::FirstByte, MS),
        "RESPONSE_TX_DURATION" => number("%RESPONSE_TX_DURATION%", Number::Download, MS),
        "COMMON_DURATION" => Some(between(command.arguments)),
        "UPSTREAM_HOST" => word("%UPSTREAM_HOST%", Text::Server),
        "UPSTREAM_CLUSTER" | "UPSTREAM_CLUSTER_RAW" => word("%UPSTREAM_CLUSTER%", Text::Backend),
        "UPSTREAM_REQUEST_ATTEMPT_COUNT" => {
            number("%UPSTREAM_REQUEST_ATTEMPT_COUNT%", Number::Attempts, Scale::One)
        }
        "DOWNSTREAM_REMOTE_ADDRESS" | "DOWNSTREAM_DIRECT_REMOTE_ADDRESS" => {
            of("%DOWNSTREAM_REMOTE_ADDRESS%", WORD, To::ClientSocket)
        }
        "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT"
        | "DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT" => {
            of("%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%", WORD, To::Client)
        }
        "DOWNSTREAM_REMOTE_PORT" | "DOWNSTREAM_DIRECT_REMOTE_PORT" => {
            number("%DOWNSTREAM_REMOTE_PORT%", Number::ClientPort, Scale::One)
        }
        "REQUESTED_SERVER_NAME" => word("%REQUESTED_SERVER_NAME%", Text::Host),
        "FILTER_CHAIN_NAME" => word("%FILTER_CHAIN_NAME%", Text::Vip),
        name => passed_over(name).map(|shape| Item { name: "command", shape, to: To::Nothing }),
    }
}

/// Commands that say nothing we keep.
fn passed_over(name: &str) -> Option<Shape> {
    Some(match name {
        "REQUEST_TX_DURATION"
        | "CONNECTION_ID"
        | "GRPC_STATUS_NUMBER"
        | "UPSTREAM_REMOTE_PORT"
        | "DOWNSTREAM_LOCAL_PORT"
        | "UPSTREAM_LOCAL_PORT"
        | "ROUNDTRIP_DURATION" => Shape::Integer,
        "PROTOCOL"
        | "UPSTREAM_PROTOCOL"
        | "RESPONSE_CODE_DETAILS"
        | "ROUTE_NAME"
        | "VIRTUAL_CLUSTER_NAME"
        | "HOSTNAME"
        | "DOWNSTREAM_LOCAL_ADDRESS"
        | "DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT"
        | "UPSTREAM_LOCAL_ADDRESS"
        | "UPSTREAM_REMOTE_ADDRESS"
        | "UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT"
        | "UPSTREAM_HOST_NAME"
        | "DOWNSTREAM_TLS_VERSION"
        | "DOWNSTREAM_TLS_CIPHER"
        | "GRPC_STATUS"
        | "STREAM_ID"
        | "TRACE_ID"
        | "UNIQUE_ID" => WORD,
        "RESP"
        | "TRAILER"
        | "DYNAMIC_METADATA"
        | "FILTER_STATE"
        | "CLUSTER_METADATA"
        | "UPSTREAM_METADATA"
        | "METADATA"
        | "UPSTREAM_TRANSPORT_FAILURE_REASON"
        | "CONNECTION_TERMINATION_DETAILS"
        | "DOWNSTREAM_PEER_SUBJECT"
        | "LOCAL_REPLY_BODY"
        | "DOWNSTREAM_TRANSPORT_FAILURE_REASON"
        | "ENVIRONMENT"
        | "UPSTREAM_FILTER_STATE"
        | "REQ_WITHOUT_QUERY"
        | "DOWNSTREAM_PEER_ISSUER"
        | "DOWNSTREAM_LOCAL_SUBJECT" => TEXT,
        _ => return None,
    })
}

fn start_time(form: &str) -> Item {
    let of = |shape, to| Item { name: "%START_TIME%", shape, to };
    match form {
        "" => of(Shape::Date(Date::Iso), To::Time),
        "%s" => of(Shape::Integer, To::Number(Number::Epoch, Scale::Times(1_000_000))),
        "%s.%3f" | "%s.%6f" | "%s.%9f" | "%s.%f" => {
            of(Shape::Decimal, To::Number(Number::Epoch, Scale::One))
        }
        "%s%3f" => of(Shape::Integer, To::Number(Number::Epoch, MS)),
        "%s%6f" => of(Shape::Integer, To::Number(Number::Epoch, Scale::One)),
        // Envoy's clock for these is UTC.
        _ if form.starts_with("%Y-%m-%dT%H:%M:%S") && form.ends_with(['Z', 'z']) => {
            of(Shape::Date(Date::Iso), To::Time)
        }
        _ => of(TEXT, To::Nothing),
    }
}

/// `X?Y`: the first header, or the second where the request has none of it.
fn request_header(arguments: &str) -> Item {
    let last = arguments.rsplit('?').next().unwrap_or(arguments);
    let of = |name, shape, text| Item { name, shape, to: To::Text(text) };
    if is_header(last, ":METHOD") {
        of("%REQ(:METHOD)%", WORD, Text::Method)
    } else if is_header(last, ":PATH") {
        of("%REQ(:PATH)%", WORD, Text::Path)
    } else if is_header(last, ":AUTHORITY") {
        of("%REQ(:AUTHORITY)%", WORD, Text::Host)
    } else if is_header(last, "X-REQUEST-ID") {
        of("%REQ(X-REQUEST-ID)%", WORD, Text::RequestId)
    } else {
        Item { name: "%REQ(…)%", shape: TEXT, to: To::Nothing }
    }
}

fn is_header(arguments: &str, name: &str) -> bool {
    arguments.eq_ignore_ascii_case(name)
}

/// `%COMMON_DURATION(from:to:unit)%`: the two points name the phase.
fn between(arguments: &str) -> Item {
    let mut parts = arguments.split(':').map(str::trim);
    let points = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let scale = match parts.next().unwrap_or_default() {
        "us" => Scale::One,
        "ns" => Scale::Per(1000),
        _ => MS,
    };
    let number = match points {
        ("DS_RX_BEG", "DS_RX_END") => Some(Number::ClientIn),
        ("DS_RX_END", "US_TX_BEG" | "US_CX_BEG") => Some(Number::Queue),
        ("US_CX_BEG", "US_CX_END" | "US_HS_END") => Some(Number::Connect),
        ("US_TX_END", "US_RX_BEG") => Some(Number::Wait),
        ("US_RX_BEG", "US_RX_END") => Some(Number::Body),
        ("US_RX_END", "DS_TX_END") => Some(Number::ClientOut),
        ("DS_RX_BEG", "DS_TX_END") => Some(Number::Session),
        ("DS_RX_BEG", "US_RX_BEG") => Some(Number::FirstByte),
        _ => None,
    };
    let to = number.map_or(To::Nothing, |n| To::Number(n, scale));
    Item { name: "%COMMON_DURATION(…)%", shape: Shape::Integer, to }
}
