//! Lines of a log looked at by the expressions of triggers. Budget: 1 µs for a line and an
//! expression that matches, so that eight triggers on one log of 10,000 lines a second take a tenth
//! of a core.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use whyslow_edge::format::Context;
use whyslow_edge::trigger::Pattern;
use whyslow_model::Wall;

/// Of the example configuration: lines of nginx that say how long a request took.
const TIMED: &str = r"^(?<client_ip>\S+):(?<client_port>\d+) (?<server_ip>\S+):(?<server_port>\d+) (?<duration_s>[0-9.]+) (?<ended>[0-9.]+)";
/// And what HAProxy says of a handshake that broke off.
const HANDSHAKE: &str = r"(?<client_ip>[0-9a-f.:]+):(?<client_port>\d+) \[(?<began>[^\]]+)\] \S+: SSL handshake failure";
const LINES: usize = 1024;

fn main() {
    divan::main();
}

/// Every line matches.
#[divan::bench(args = [1, 8])]
fn timed_lines(bencher: Bencher<'_, '_>, expressions: usize) {
    let line = |n: usize| {
        format!(
            "192.0.2.{}:{} 10.0.0.1:443 0.{:03} 1795262{:03}.{:03} \"GET /item/{n}/details HTTP/1.1\"",
            n % 250,
            1024 + n,
            n % 999,
            n % 600,
            n % 1000,
        )
    };
    assert_eq!(looked_at(bencher, TIMED, expressions, line), LINES * expressions);
}

/// One of a hundred does; the others are HAProxy's usual ones.
#[divan::bench(args = [1, 8])]
fn broken_handshakes(bencher: Bencher<'_, '_>, expressions: usize) {
    let line = |n: usize| {
        let (client, port, second) = (n % 250, 1024 + n, n % 60);
        let head = format!("192.0.2.{client}:{port} [22/Nov/2026:10:11:{second:02}.123] www~");
        if n.is_multiple_of(100) {
            return format!("{head}1: SSL handshake failure");
        }
        format!(
            "{head} app/web{} 0/0/1/{}/{} 200 {} - - ---- 120/80/20/3/0 0/0 \"GET /item/{n} \
             HTTP/1.1\"",
            n % 8,
            n % 99,
            n % 99 + 7,
            n * 17,
        )
    };
    let matched = LINES.div_ceil(100) * expressions;
    assert_eq!(looked_at(bencher, HANDSHAKE, expressions, line), matched);
}

/// Times all lines by so many expressions; says how often one matched.
fn looked_at(
    bencher: Bencher<'_, '_>,
    expression: &str,
    expressions: usize,
    line: impl Fn(usize) -> String,
) -> usize {
    let lines: Vec<String> = (0..LINES).map(line).collect();
    let context = Context { near: Wall::from_nanos(1_795_265_448_000_000_000), zone_s: 3600 };
    let patterns = (0..expressions).filter_map(|_| Pattern::new(expression).ok());
    let mut patterns: Vec<_> = patterns.map(|p| (p.room(), p)).collect();
    let mut all = || {
        let mut matched = 0;
        for line in &lines {
            for (room, pattern) in &mut patterns {
                let told = pattern.read(black_box(line.as_bytes()), &context, room);
                matched += usize::from(matches!(told, Ok(Some(_))));
            }
        }
        matched
    };
    let matched = all();
    bencher.counter(ItemsCount::new(LINES)).bench_local(all);
    matched
}
