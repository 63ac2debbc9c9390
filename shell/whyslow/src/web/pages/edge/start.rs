//! What `/edge` says before any balancer speaks: what it would show, and the lines that start it.

use maud::{Markup, html};

use crate::web::pages::frame::{Frame, page};
use crate::web::pages::plane::lines;

const CONFIG: &str = "edge:
  - name: lb1
    input: unix-stream:/run/whyslow/lb.sock   # or file:/var/log/haproxy.log, syslog-udp:127.0.0.1:5514 …
    format: auto
    service: shop
";

const HAPROXY: &str = "global
    log ring@whyslow len 8192 local0

ring whyslow
    format rfc5424
    maxlen 8192
    size 16777216
    timeout connect 5s
    timeout server 10s
    server whyslow unix@/run/whyslow/lb.sock log-proto octet-count

defaults
    mode http
    log global
    option httplog
";

const NGINX: &str = "access_log syslog:server=127.0.0.1:5514 combined;

# with the times of every attempt: the log_format of
# examples/nginx-log.conf, and the same string in
# whyslow's `format:`
";

/// The page where no source is configured and nothing is stored.
pub fn start(frame: &Frame<'_>) -> Markup {
    let content = html! {
        div.verdict {
            p { span.ink2 { "No balancer is read yet." } }
            h1 { "Which server, route or network is slow?" }
            p.lead { "Point a balancer's request log at whyslow, and this page shows every request, un-sampled: by vip, backend and server, by route and client network, with its time split between client, balancer and server." }
        }
        (lines("config", "In whyslow's configuration", "then: kill -HUP, or start again", CONFIG))
        div.cols {
            (lines("haproxy", "In HAProxy's", "a ring to a stream socket", HAPROXY))
            (lines("nginx", "In nginx's", "with input: syslog-udp:127.0.0.1:5514", NGINX))
        }
        p.note { code { "examples/haproxy-log.cfg" } " and " code { "examples/nginx-log.conf" } " hold what balancers should log so that client, balancer and server can be told apart, and lines that never arrive be counted." }
        p.note { "A file that is there already can be read at once: " code { "whyslow edge access.log" } "." }
    };
    page(frame, None, &content)
}
