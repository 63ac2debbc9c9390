//! What `/edge` says before any balancer speaks: what it would show, and the lines that start it.

use maud::{Markup, html};

use crate::web::pages::frame::{Frame, page, section};

const CONFIG: &str = "edge:
  - name: lb1
    input: unix-stream:/run/whyslow/lb.sock   # or file:/var/log/haproxy.log, syslog-udp:127.0.0.1:5514 …
    format: auto
    service: shop
";

const HAPROXY: &str = "global
    log /run/whyslow/lb.sock len 8192 format raw daemon local0

defaults
    mode http
    log global
    option httplog
";

const NGINX: &str = "log_format whyslow '$remote_addr [$time_iso8601] \"$request\" $status $bytes_sent '
                   'rt=$request_time urt=\"$upstream_response_time\" uct=\"$upstream_connect_time\" '
                   'uht=\"$upstream_header_time\" ua=\"$upstream_addr\" us=\"$upstream_status\"';
access_log syslog:server=127.0.0.1:5514 whyslow;
";

/// The page where no source is configured and nothing is stored.
pub fn start(frame: &Frame<'_>) -> Markup {
    let lines = |id: &str, heading: &str, note: &str, text: &str| {
        section(id, heading, note, None, &html! { pre tabindex="0" { (text) } })
    };
    let content = html! {
        div.verdict {
            p { span.ink2 { "No balancer is read yet." } }
            h1 { "Which server, route or network is slow?" }
            p.lead { "Point a balancer's request log at whyslow, and this page shows every request, un-sampled: by vip, backend and server, by route and client network, with its time split between client, balancer and server." }
        }
        (lines("config", "In whyslow's configuration", "then: kill -HUP, or start again", CONFIG))
        div.cols {
            (lines("haproxy", "In HAProxy's", "a stream socket loses nothing; HAProxy 2.x and later", HAPROXY))
            (lines("nginx", "In nginx's", "with the times of every upstream attempt", NGINX))
        }
        p.note { "A file that is there already can be read at once: " code { "whyslow edge access.log" } "." }
    };
    page(frame, None, &content)
}
