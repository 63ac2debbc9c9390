//! Lines read a second by compiled format strings. Budget: 160 ns for an nginx line of 250 bytes
//! with its four upstream lists, so that windows and all stay above four million lines a second.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use whyslow_edge::compiled::compile;
use whyslow_edge::format::{Context, Parse, Scratch};
use whyslow_model::Wall;

const NGINX: &str = "$remote_addr - $remote_user [$time_local] \"$request\" $status \
    $body_bytes_sent rt=$request_time ua=\"$upstream_addr\" us=\"$upstream_status\" \
    uct=\"$upstream_connect_time\" uht=\"$upstream_header_time\" urt=\"$upstream_response_time\"";
const HAPROXY: &str = "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc \
    %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %{+Q}r";
const LINES: usize = 1024;

fn main() {
    divan::main();
}

#[divan::bench]
fn nginx_with_upstream_lists(bencher: Bencher<'_, '_>) {
    let line = |n: usize| {
        let (server, code) = match n % 50 {
            0 => ("10.0.0.1:8080, 10.0.0.2:8080", "502, 200"),
            _ => ("10.0.0.1:8080", "200"),
        };
        let times = |t: &str| if n.is_multiple_of(50) { format!("-, {t}") } else { t.to_owned() };
        format!(
            "192.0.2.{} - - [22/Nov/2026:10:11:{:02} +0100] \"GET /catalogue/item/{n}/details?\
             session={n} HTTP/1.1\" 200 {} rt=0.{:03} ua=\"{server}\" us=\"{code}\" uct=\"{}\" \
             uht=\"{}\" urt=\"{}\"",
            n % 250,
            n % 60,
            n * 17,
            n % 999,
            times("0.001"),
            times("0.012"),
            times("0.028"),
        )
    };
    lines(bencher, NGINX, line);
}

#[divan::bench]
fn haproxy_httplog(bencher: Bencher<'_, '_>) {
    let line = |n: usize| {
        format!(
            "192.0.2.{}:{} [22/Nov/2026:10:11:{:02}.123] www~ app/web{} 0/0/1/{}/{} 200 {} - - \
             ---- 120/80/20/3/0 0/0 \"GET /catalogue/item/{n}/details?session={n} HTTP/1.1\"",
            n % 250,
            1024 + n,
            n % 60,
            n % 8,
            n % 99,
            n % 99 + 7,
            n * 17,
        )
    };
    lines(bencher, HAPROXY, line);
}

fn lines(bencher: Bencher<'_, '_>, format: &str, line: impl Fn(usize) -> String) {
    let Ok(compiled) = compile(format) else { return };
    let lines: Vec<String> = (0..LINES).map(line).collect();
    let context = Context { near: Wall::from_nanos(0), zone_s: 0 };
    bencher.counter(ItemsCount::new(LINES)).bench_local(|| {
        let mut scratch = Scratch::default();
        let mut sum = 0;
        for line in &lines {
            let record = compiled.parse(black_box(line.as_bytes()), &context, &mut scratch);
            sum += record.map_or(0, |r| r.total.micros);
        }
        sum
    });
}
