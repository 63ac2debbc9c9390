//! The page on log formats: what each tells and how well, read off the record of its own example.

use std::fmt::Write;

use whyslow_edge::format::{Context, Format, Scratch};
use whyslow_edge::formats;
use whyslow_edge::record::{EdgePhase, Mark, Record};

const LEAD: &str = "What `whyslow edge --format NAME` and an `edge:` source's `format:` read. `auto` takes the format \
that most of the first 1000 lines are of, and says so when lines do not parse. Syslog headers (RFC 3164 with and without \
host name, RFC 5424, ISO dates, a bare priority, the header Kubernetes puts before a container's line) are cut off first, \
with every format.\n\n\
**exact**: the source measures just this. **mixed**: the figure holds time of another owner too. **bound**: it took at \
most this long (at least, where the line came before the end). Nothing: the source does not tell, and nothing is put \
in its place.";

const TRAPS: &str = "\
## What to know

**HAProxy.** `TR` is the request's headers, `Tw` the queue, `Tc` the connect (0 on a reused connection), `Tr` the wait \
for the answer's headers; body = `Ta` - (`TR` + `Tw` + `Tc` + `Tr`) holds the server's body and the client's reading of it. \
A client that reads a small answer slowly is invisible: the kernel takes it in. The wait of a `POST`, `PUT` or `PATCH` is \
mixed, for the upload hides in it unless `option http-buffer-request` is set, and then it is in `TR`. The queue of a \
request with retries is mixed: the pause before the retry is booked there. A timer of -1 is absent, and such a request is \
not timed: its total is a lower bound, as with `option logasap` (`+`). A `+` before the retries means that another server \
was tried first, so what happened is not charged to the logged one. Answers of HAProxy's own (denied, redirected, \
statistics) are `local` and not timed. A line cut at the syslog length is read as far as it goes and marked `truncated`.\n\n\
**Flags.** They point at a segment where they are clear; a client that left while it was kept waiting for a server or a \
slot is counted as `client_aborted` and blamed for nothing.\n\n\
**Envoy.** The service time holds connecting too. [examples/envoy-log.yaml](../../examples/envoy-log.yaml) tells the \
phases apart; its connect is a bound, since the stamps may be those of an older connection.\n\n\
**AWS ALB.** Its last stamp is when sending began: how long the client took is not in the log.\n\n\
**Cloudflare.** Jobs write whole seconds by default, which time nothing; ask for `rfc3339` with fractions or `unixnano`.\n\n\
**Caddy.** `log_append upstream_latency_ms {http.reverse_proxy.upstream.latency_ms}` and \
`log_append upstream_address {http.reverse_proxy.upstream.address}` tell the wait and the server.\n\n\
**F5.** An iRule writes what the balancer knows; keys may come in any order, and are those of the example:\n\n\
```tcl\n\
when HTTP_REQUEST { set t0 [clock clicks -milliseconds]; set line \"method=\\\"[HTTP::method]\\\",host=\\\"[HTTP::host]\\\",uri=\\\"[HTTP::uri]\\\"\" }\n\
when HTTP_REQUEST_SEND { clientside { set t1 [clock clicks -milliseconds] } }\n\
when HTTP_RESPONSE {\n\
  set t2 [clock clicks -milliseconds]\n\
  HSL::send [HSL::open -proto TCP -pool hsl] \"time=\\\"$t0\\\",client_ip=\\\"[IP::client_addr]\\\",vip=\\\"[virtual name]\\\",pool=\\\"[LB::server pool]\\\",member=\\\"[LB::server addr]:[LB::server port]\\\",$line,status=\\\"[HTTP::status]\\\",queue_ms=\\\"[expr {$t1-$t0}]\\\",wait_ms=\\\"[expr {$t2-$t1}]\\\",total_ms=\\\"[expr {$t2-$t0}]\\\"\\n\"\n\
}\n\
```\n\n\
**A format string of your own** is given instead of a name: `--format '%ci:%cp [%tr] …'`. \
[examples/](../../examples/) has the recommended ones for HAProxy and nginx, which also tell round-trip times and the \
sequence numbers by which missing lines are counted.\n";

pub(crate) fn page() -> String {
    let mut page = crate::reference::title("Log formats of the edge", LEAD);
    page.push_str("| format | written by |");
    for phase in EdgePhase::ALL {
        write!(page, " {} |", phase.as_str()).expect("a string takes all");
    }
    page.push_str(" total |\n|---|---|---|---|---|---|---|---|---|\n");
    for format in formats::ALL {
        of_example(format, |record| {
            write!(page, "| `{}` | {} |", format.name, format.summary).expect("a string takes all");
            for phase in EdgePhase::ALL {
                write!(page, " {} |", mark(record.phases.of(phase).mark))
                    .expect("a string takes all");
            }
            writeln!(page, " {} |", mark(record.total.mark)).expect("a string takes all");
        });
    }
    page.push_str("\nThe marks are those of the examples below.\n\n");
    page.push_str(TRAPS);
    page.push_str("\n## Examples, and what is read of them beside times\n");
    for format in formats::ALL {
        of_example(format, |record| {
            let fields = told(record).join(", ");
            write!(page, "\n`{}`: {fields}\n\n```\n{}\n```\n", format.name, format.example)
                .expect("a string takes all");
        });
    }
    page
}

fn of_example(format: &Format, look: impl FnOnce(&Record<'_>)) {
    let near = "2026-02-06T12:15:00Z".parse().expect("a time");
    let (context, mut scratch) = (Context { near, zone_s: 0 }, Scratch::default());
    let parser = (format.parser)();
    // Some begin with the header that says which fields follow.
    for line in format.example.lines() {
        if let Ok(record) = parser.parse(line.as_bytes(), &context, &mut scratch) {
            return look(&record);
        }
    }
    panic!("the example of {} is not read", format.name);
}

const fn mark(mark: Mark) -> &'static str {
    match mark {
        Mark::Exact => "exact",
        Mark::Mixed => "mixed",
        Mark::Bound => "bound",
        Mark::Absent => "",
    }
}

/// The fields that the record has, by their names in the record.
fn told(r: &Record<'_>) -> Vec<&'static str> {
    let fields = [
        ("time", r.at_us.is_some()),
        ("client", r.client.is_some()),
        ("vip", !r.vip.is_empty()),
        ("backend", !r.backend.is_empty()),
        ("server", !r.server.is_empty()),
        ("method", !r.method.is_empty()),
        ("host", !r.host.is_empty()),
        ("path", !r.path.is_empty()),
        ("code", r.code != 0),
        ("bytes_out", r.bytes_out.is_some()),
        ("bytes_in", r.bytes_in.is_some()),
        ("flags", !r.end.flags.is_empty()),
        ("queue positions", r.queued.is_some()),
        ("connections of the server", r.server_conns.is_some()),
        ("attempts", !r.attempts.is_empty()),
        ("sequence", r.sequence.is_some()),
        ("client_rtt", r.client_rtt_us.is_some()),
        ("client_asn", r.client_asn.is_some()),
        ("client_country", r.client_country.is_some()),
        ("request_id", !r.request_id.is_empty()),
    ];
    fields.into_iter().filter(|(_, told)| *told).map(|(name, _)| name).collect()
}
