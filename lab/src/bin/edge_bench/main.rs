//! What a report over two million lines costs beside halog, mawk and goaccess, in one run:
//! `edge_bench`. Programs that are missing are named and left out. Exit: 0 · 1 nothing measured.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use whyslow_lab::cost::{self, Cost, best};
use whyslow_lab::edge_logs;
use whyslow_lab::figure::{Figure, HEAD};

/// Lines of each file.
const LINES: u64 = 2_000_000;
/// Where the files are made, once.
const DIRECTORY: &str = "target/edge-bench";

/// The last server's address, and the path with its query cut off and numbers as `:id`.
const MAWK_NGINX: &str = r#"{
  if (match($0, /urt="[^"]*"/)) { u = substr($0, RSTART + 5, RLENGTH - 6) } else next
  n = split(u, parts, /[,:] */); sum = 0
  for (i = 1; i <= n; i++) if (parts[i] != "-") sum += parts[i]
  if (match($0, /up="[^"]*"/)) { a = substr($0, RSTART + 4, RLENGTH - 5) } else a = "-"
  sub(/.*[, ]/, "", a)
  r = $7; sub(/\?.*/, "", r); gsub(/\/[0-9]+/, "/:id", r)
  k = a " " r; hits[k]++; total[k] += sum
} END { for (k in hits) print k, hits[k], total[k] / hits[k] }"#;

const NGINX_FORMAT: &str = r#"$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent" rt=$request_time uct="$upstream_connect_time" uht="$upstream_header_time" urt="$upstream_response_time" up="$upstream_addr""#;

const GOACCESS_FORMAT: &str =
    r#"%^ %^ %^ %^ %^ %h:%^ [%d:%t.%^] %^ %^ %^/%^/%^/%^/%L %s %b %^ %^ %^ %^ %^ "%r""#;

fn main() -> ExitCode {
    match figures() {
        Ok(figures) => {
            println!("{HEAD}");
            figures.iter().for_each(|figure| println!("{figure}"));
            ExitCode::SUCCESS
        }
        Err(e) => {
            eprintln!("error: {e:#}");
            ExitCode::FAILURE
        }
    }
}

fn figures() -> Result<Vec<Figure>> {
    let directory = Path::new(DIRECTORY);
    let haproxy = edge_logs::haproxy(directory, LINES).context("making the HAProxy log")?;
    let nginx = edge_logs::nginx(directory, LINES).context("making the nginx log")?;
    let (haproxy, nginx) = (haproxy.as_str(), nginx.as_str());
    let (servers, routes) = ("backend,server", "backend,route,code");
    let mut figures = vec![
        in_turn("per server, one core", ("haproxy", servers), ("halog", "-srv"), haproxy, 1.5)?,
        in_turn(
            "backend, route, code, percentiles, one core",
            ("haproxy", routes),
            ("halog", "-ua"),
            haproxy,
            5.0,
        )?,
        in_turn(
            "nginx upstream lists, server, route, one core",
            (NGINX_FORMAT, "server,route"),
            ("mawk", MAWK_NGINX),
            nginx,
            4.0,
        )?,
    ];
    let (program, rest) = (cost::ours()?, ["--format", "haproxy", "--by", routes, haproxy]);
    let by = |threads| [&["edge", "--quiet", "--threads", threads], &rest[..]].concat();
    let (routes, both) = cost::beside((&program, &by("1")), (&program, &by("2")), None)?;
    figures.push(beside(
        "backend, route, code, percentiles, one core",
        &routes,
        "goaccess",
        goaccess_cost(haproxy)?,
        5.0,
    ));
    figures.push(Figure::at_most(
        "memory of backend, route, code, percentiles",
        "MB",
        routes.rss_mb,
        64.0,
    ));
    let times = routes.wall_s / both.wall_s;
    figures.push(Figure {
        what: "two cores against one, backend, route, code".to_owned(),
        unit: "times",
        whyslow: times,
        peer: None,
        wanted: "≥ 1.8".to_owned(),
        holds: times >= 1.8,
    });
    Ok(figures)
}

/// A report of ours, by a format and keys, and a peer's with one argument, over the same file.
fn in_turn(
    what: &str,
    (format, by): (&str, &str),
    (name, argument): (&'static str, &str),
    file: &str,
    times: f64,
) -> Result<Figure> {
    let ours = cost::ours()?;
    let arguments = ["edge", "--quiet", "--threads", "1", "--format", format, "--by", by, file];
    let Some(path) = cost::found(name) else {
        println!("{name} is missing: apt-get install {}", cost::package(name));
        return Ok(beside(what, &best(&ours, &arguments, None)?, name, None, times));
    };
    let (ours, peer) = cost::beside((&ours, &arguments), (&path, &[argument]), Some(file))?;
    Ok(beside(what, &ours, name, Some(peer), times))
}

/// Ours beside a peer's: processor seconds over the same file. Unlike wall time they do not hold
/// what else the machine was doing.
fn beside(what: &str, ours: &Cost, name: &'static str, peer: Option<Cost>, times: f64) -> Figure {
    let peer_s = peer.as_ref().map(|cost| cost.cpu_s);
    Figure {
        what: format!("{what}, 2 M lines"),
        unit: "CPU s",
        whyslow: ours.cpu_s,
        peer: peer_s.map(|s| (name, s)),
        wanted: format!("{times} × faster than {name}"),
        // What could not be measured does not hold.
        holds: peer_s.is_some_and(|s| ours.cpu_s * times <= s),
    }
}

/// It takes some twenty seconds, so once is enough. Its report goes where ours does.
fn goaccess_cost(file: &str) -> Result<Option<Cost>> {
    let arguments = [
        "--no-global-config",
        "--log-format",
        GOACCESS_FORMAT,
        "--date-format",
        "%d/%b/%Y",
        "--time-format",
        "%T",
        "--no-progress",
        "-o",
        "json",
        "-",
    ];
    match cost::found("goaccess") {
        Some(path) => cost::once(&path, &arguments, Some(file)).map(Some),
        None => {
            println!("goaccess is missing: apt-get install goaccess");
            Ok(None)
        }
    }
}
