//! What `/wire` says before any interface is recorded: what it would show, and what starts it.

use maud::{Markup, html};

use crate::web::pages::frame::{Frame, page};
use crate::web::pages::plane::lines;

const CONFIG: &str = "wire:
  - interface: eth0
    ports: [443]
    service: shop
";

const DOCTOR: &str = "whyslow doctor
";

const FILE: &str = "whyslow wire capture.pcapng
";

/// The page where nothing is recorded and nothing is stored.
pub fn start(frame: &Frame<'_>) -> Markup {
    let content = html! {
        div.verdict {
            p { span.ink2 { "No interface is recorded yet." } }
            h1 { "Who waits in a slow handshake: server, network or client?" }
            p.lead { "Name an interface, and this page takes every TCP and TLS opening apart as it happens: how long the server thought, how long packets were under way, how long the client waited for itself; with bounds, and with the packets of those that were slow." }
        }
        (lines("config", "In whyslow's configuration", "then start whyslow again", CONFIG))
        div.cols {
            (lines("doctor", "What this machine allows", "recording needs CAP_NET_RAW; doctor says how to give it", DOCTOR))
            (lines("file", "A capture that is there already", "read at once, by the same engine", FILE))
        }
        p.note { "A small child opens the packet sockets, passes them on and holds nothing else. Payload stays in the ring in memory, except for what is written out as evidence." }
    };
    page(frame, None, &content)
}
