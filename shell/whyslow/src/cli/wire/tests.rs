//! The command as it is typed, over captures made here packet by packet.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::Path;

use serde_json::Value;
use whyslow_model::Wall;
use whyslow_wire::capture::write;
use whyslow_wire::packet::made::Made;
use whyslow_wire::packet::{Captured, LinkType};
use whyslow_wire::segment::{Flags, Options};

use crate::cli::{Exit, Output, run_line};

fn typed(arguments: &[&str]) -> (Exit, String, String) {
    let (mut out, written) = Output::captured();
    let line = ["whyslow", "wire"].iter().chain(arguments).map(OsString::from);
    let exit = run_line(line, &mut out);
    drop(out);
    let (stdout, stderr) = written.texts();
    (exit, stdout, stderr)
}

/// A capture in the making, of one connection after the other.
struct Tape {
    bytes: Vec<u8>,
    client: String,
    start_us: i64,
    seq: [u32; 2],
    ip_id: u16,
}

impl Tape {
    fn new() -> Self {
        let mut bytes = Vec::new();
        write::section(&mut bytes, &write::Origin::default());
        let link = LinkType::Ethernet;
        let tap = write::Description { name: "eth0", link, snap_len: 0, filter: None };
        write::interface(&mut bytes, &tap);
        Self { bytes, client: String::new(), start_us: 0, seq: [0; 2], ip_id: 0x7d48 }
    }

    /// A segment of either side, `ms` after the connection's beginning.
    fn segment(&mut self, ms: f64, by_client: bool, flags: u8, payload: &[u8]) {
        let (client, server) = (self.client.parse().unwrap(), "203.0.113.7:443".parse().unwrap());
        let own = usize::from(!by_client);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small")]
        let (us, clock) = (self.start_us + (ms * 1000.0) as i64, 1000 + ms as u32);
        let made = Made {
            from: if by_client { client } else { server },
            to: if by_client { server } else { client },
            ip_id: Some(if by_client { self.ip_id } else { 0 }),
            ttl: 57,
            seq: self.seq[own],
            ack: if flags & Flags::ACK > 0 { self.seq[1 - own] } else { 0 },
            flags: Flags(flags),
            window: 64_000,
            options: Options {
                mss: (flags & Flags::SYN > 0).then_some(1460),
                timestamps: Some((clock, 1)),
                ..Options::default()
            },
            payload,
        };
        self.ip_id += u16::from(by_client);
        let begins = u32::from(flags & (Flags::SYN | Flags::FIN) > 0);
        self.seq[own] += u32::try_from(payload.len()).unwrap() + begins;
        let frame = made.ethernet();
        let packet = Captured {
            at: Wall::from_nanos(us * 1000),
            interface: 0,
            link: LinkType::Ethernet,
            outgoing: None,
            original_len: u32::try_from(frame.len()).unwrap(),
            bytes: &frame,
        };
        write::packet(&mut self.bytes, &packet, &[]);
    }

    /// A TLS 1.3 handshake, 50 ms away, whose client takes `think_ms` over the server's flight.
    fn handshake(&mut self, client: &str, start_s: i64, think_ms: f64) {
        client.clone_into(&mut self.client);
        self.start_us = 1_790_000_000_000_000 + start_s * 1_000_000;
        self.seq = [7000, 90_000];
        self.segment(0.0, true, Flags::SYN, &[]);
        self.segment(0.03, false, Flags::SYN | Flags::ACK, &[]);
        self.segment(50.03, true, Flags::ACK, &[]);
        self.segment(50.13, true, Flags::ACK | Flags::PSH, &client_hello());
        self.segment(51.13, false, Flags::ACK | Flags::PSH, &server_flight());
        self.segment(101.23, true, Flags::ACK, &[]);
        let finished = [record(20, &[1]), record(23, &[0; 53]), record(23, &[0; 90])].concat();
        self.segment(101.23 + think_ms, true, Flags::ACK | Flags::PSH, &finished);
        self.segment(102.0 + think_ms, false, Flags::ACK | Flags::PSH, &record(23, &[0; 400]));
    }

    fn keep(&self, directory: &Path, name: &str) -> String {
        keep(directory, name, &self.bytes)
    }
}

fn keep(directory: &Path, name: &str, bytes: &[u8]) -> String {
    let path = directory.join(name);
    std::fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Behind a length of so many bytes.
fn sized(bytes: usize, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&length[4 - bytes..], body].concat()
}

fn record(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind, 3, 3][..], &sized(2, body)].concat()
}

fn hello(kind: u8, middle: &[u8], extensions: &[u8]) -> Vec<u8> {
    let body = [&[3, 3][..], &[0x5a; 32], &sized(1, &[0xa5; 32]), middle, &sized(2, extensions)];
    record(22, &[&[kind][..], &sized(3, &body.concat())].concat())
}

fn client_hello() -> Vec<u8> {
    let name = sized(2, &[&[0][..], &sized(2, b"shop.example")].concat());
    let extensions =
        [&[0, 0][..], &sized(2, &name), &[0, 43], &sized(2, &sized(1, &[3, 4]))].concat();
    let middle = [sized(2, &[0x13, 1]), sized(1, &[0])].concat();
    hello(1, &middle, &extensions)
}

fn server_flight() -> Vec<u8> {
    let chosen = [&[0, 43][..], &sized(2, &[3, 4])].concat();
    let encrypted = [23, 817, 281, 53].map(|size| record(23, &vec![0; size]));
    [hello(2, &[0x13, 1, 0], &chosen), record(20, &[1]), encrypted.concat()].concat()
}

fn document(arguments: &[&str]) -> Value {
    let (exit, stdout, stderr) = typed(arguments);
    assert_eq!((exit, stderr.as_str()), (Exit::Ok, ""), "{stdout}");
    serde_json::from_str(&stdout).unwrap()
}

/// Ten quick handshakes and five whose client thinks for 412.7 ms.
fn tape() -> Tape {
    let mut tape = Tape::new();
    for n in 0..15 {
        let (client, think) =
            if n % 3 == 0 { ("198.51.100.73", 412.7) } else { ("192.0.2.9", 0.6) };
        tape.handshake(&format!("{client}:{}", 40_000 + n), n, think);
    }
    tape
}

#[test]
fn a_capture_becomes_a_document_that_says_whose_time_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let told = document(&["--json", &tape().keep(directory.path(), "a.pcapng")]);
    assert_eq!(told["schema"], "whyslow.wire/1");
    let handshakes = told["handshakes"].as_array().unwrap();
    assert_eq!((handshakes.len(), &told["packets"]), (15, &120.into()));
    let slow: Vec<&Value> = handshakes.iter().filter(|h| h["blame"] != "none").collect();
    assert_eq!(slow.len(), 5);
    for one in slow {
        assert_eq!((&one["blame"], &one["outcome"]), (&"client".into(), &"complete".into()));
        assert_eq!((&one["sni"], &one["version"]), (&"shop.example".into(), &"TLS 1.3".into()));
        let think = one["phases_ms"]["client_think"].as_f64().unwrap();
        assert!((think - 412.7).abs() < 0.01, "{think}");
        let phases: f64 =
            one["phases_ms"].as_object().unwrap().values().filter_map(Value::as_f64).sum();
        assert!((phases - one["total_ms"].as_f64().unwrap()).abs() < 1e-6, "{one}");
        let shares: f64 =
            one["shares"].as_object().unwrap().values().filter_map(Value::as_f64).sum();
        assert!((shares - 1.0).abs() < 1e-9, "{one}");
        let evidence = one["evidence"].to_string();
        assert!(evidence.contains("no hole in the packet numbers"), "{evidence}");
        assert!(evidence.contains("412 ticks of 1 ms passed"), "{evidence}");
    }
    assert_eq!(told["vantage_point"], "server");
    assert_eq!((&told["drops"], &told["ended"]), (&0.into(), &"whole".into()));
    assert_eq!(told["by_cohort"][0]["prefix"], "198.51.100.0/24");
    assert_eq!(told["by_cohort"][0]["blamed"]["client"], 5);
}

#[test]
fn a_person_reads_who_is_slow_in_100_columns() {
    let directory = tempfile::tempdir().unwrap();
    let (exit, stdout, _) = typed(&[&tape().keep(directory.path(), "a.pcapng")]);
    assert_eq!(exit, Exit::Ok);
    assert!(stdout.starts_with("The clients are the slow ones: 5 of 15"), "{stdout}");
    assert!(stdout.contains("198.51.100.0/24 holds 100.0 % of the slow ones"), "{stdout}");
    assert!(stdout.contains("client_think 412.7 ms"), "{stdout}");
    assert!(stdout.contains("seen at the server; none lost"), "{stdout}");
    assert!(stdout.lines().all(|line| line.chars().count() <= 100), "{stdout}");
}

#[test]
fn packed_captures_and_lines_say_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let tape = tape();
    let plain = document(&["--json", &tape.keep(directory.path(), "a.pcapng")]);
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(&tape.bytes).unwrap();
    let gzip = keep(directory.path(), "a.pcapng.gz", &packer.finish().unwrap());
    assert_eq!(plain, document(&["--json", &gzip]));
    let (_, lines, _) = typed(&["--json-lines", &gzip]);
    let lines: Vec<Value> = lines.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let kinds = |kind| lines.iter().filter(|line| line["kind"] == kind).count();
    assert_eq!((kinds("handshake"), kinds("totals")), (15, 1));
    assert_eq!(lines.last().unwrap()["packets"], 120);
}

#[test]
fn a_capture_that_was_cut_off_is_reported_and_said_to_be() {
    let directory = tempfile::tempdir().unwrap();
    let tape = tape();
    let cut = keep(directory.path(), "cut.pcapng", &tape.bytes[..tape.bytes.len() - 9]);
    let (exit, stdout, stderr) = typed(&["--json", &cut]);
    let told: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((exit, &told["ended"]), (Exit::Ok, &"cut".into()));
    assert!(stderr.contains("ends within a packet"), "{stderr}");
}

#[test]
fn what_is_no_capture_is_refused_with_what_it_looks_like() {
    let directory = tempfile::tempdir().unwrap();
    let junk = keep(directory.path(), "junk", b"Nov 21 10:00:00 lb1 haproxy[7]: nothing like it\n");
    let (exit, stdout, stderr) = typed(&["--json", &junk]);
    assert_eq!((exit, stdout.as_str()), (Exit::Unreadable, ""));
    assert!(stderr.contains("not a capture") && stderr.contains("hint:"), "{stderr}");
    assert_eq!(typed(&["/nonexistent/a.pcap"]).0, Exit::Unreadable);
    assert_eq!(typed(&[&keep(directory.path(), "empty", b"")]).0, Exit::Unreadable);
}

#[test]
fn bounds_end_with_a_status() {
    let directory = tempfile::tempdir().unwrap();
    let file = tape().keep(directory.path(), "a.pcapng");
    assert_eq!(typed(&["--fail-on", "slow=40%", "--fail-on", "drops", &file]).0, Exit::Ok);
    assert_eq!(typed(&["--fail-on", "client=20%", &file]).0, Exit::Failed);
    assert_eq!(typed(&["--fail-on", "p99=200ms", &file]).0, Exit::Failed);
    assert_eq!(typed(&["--fail-on", "nonsense", &file]).0, Exit::Usage);
    assert_eq!(document(&["--json", "--slow", "1s", &file])["slow"], 0);
    assert_eq!(document(&["--json", "--server-port", "8443", &file])["handshake_count"], 0);
}
