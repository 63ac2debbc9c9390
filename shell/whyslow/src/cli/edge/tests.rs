//! The command as it is typed, over files of its own.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use serde_json::Value;

use crate::cli::{Exit, Output, run_line};

fn typed(arguments: &[&str]) -> (Exit, String, String) {
    let (mut out, written) = Output::captured();
    let line = ["whyslow", "edge"].iter().chain(arguments).map(OsString::from);
    let exit = run_line(line, &mut out);
    drop(out);
    let (stdout, stderr) = written.texts();
    (exit, stdout, stderr)
}

fn log(lines: u32) -> String {
    let mut text = String::new();
    for i in 0..lines {
        let (server, second, wait) = (i % 3 + 1, 10 + i / 100, i % 50);
        let code = if i % 20 == 0 { 503 } else { 200 };
        let _ = writeln!(
            text,
            "Nov 21 10:00:{second} lb1 haproxy[7]: 10.0.0.{}:4242 [21/Nov/2026:10:00:{second}.{:03}] \
             web app/app{server} 0/0/1/{wait}/{} {code} 512 - - ---- 1/1/1/1/0 0/0 \
             \"GET /users/{i}?q=1 HTTP/1.1\"",
            i % 250,
            i % 100 * 10,
            wait + 2,
        );
    }
    text
}

fn keep(directory: &Path, name: &str, bytes: &[u8]) -> String {
    let path = directory.join(name);
    std::fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

fn document(arguments: &[&str]) -> Value {
    let (exit, stdout, stderr) = typed(arguments);
    assert_eq!((exit, stderr.as_str()), (Exit::Ok, ""), "{stdout}");
    serde_json::from_str(&stdout).unwrap()
}

#[test]
fn plain_gzip_and_zstd_files_give_the_same_report_whatever_the_threads() {
    let directory = tempfile::tempdir().unwrap();
    let text = log(3000);
    let plain = keep(directory.path(), "a.log", text.as_bytes());
    let mut gzip = Vec::new();
    // Two members, as a rotation that appends leaves them.
    for half in [&text.as_bytes()[..text.len() / 2], &text.as_bytes()[text.len() / 2..]] {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(half).unwrap();
        gzip.extend(packer.finish().unwrap());
    }
    let gzip = keep(directory.path(), "b.log.gz", &gzip);
    let level = ruzstd::encoding::CompressionLevel::Fastest;
    let zstd = ruzstd::encoding::compress_to_vec(text.as_bytes(), level);
    let zstd = keep(directory.path(), "c.log.zst", &[zstd.clone(), zstd].concat());
    let by = ["--json", "--by", "backend,server", "--by", "route,code"];
    let one = document(&[&by[..], &["--threads", "1", &plain]].concat());
    assert_eq!(one, document(&[&by[..], &["--threads", "4", &plain]].concat()));
    assert_eq!(one, document(&[&by[..], &[&gzip]].concat()));
    let twice = document(&[&by[..], &[&zstd]].concat());
    assert_eq!(twice["parsed"], 6000);
    assert_eq!(one["parsed"], 3000);
    assert_eq!(one["schema"], "whyslow.edge/1");
    let first = &one["groups"][0];
    assert_eq!((&first["key"]["server"], &first["hits"]), (&"app1".into(), &1000.into()));
    assert_eq!(first["tps"]["max"], 34);
    assert_eq!(twice["groups"][0]["tps"]["max"], 68);
    assert_eq!(first["phases_ms"]["wait"]["kind"], "exact");
    assert_eq!(first["phases_ms"]["client_out"]["kind"], "absent");
}

#[test]
fn rejected_lines_are_counted_with_reason_number_and_text() {
    let directory = tempfile::tempdir().unwrap();
    let text = log(1000).replacen("web app/app2 0/0", "web app/app2 0/x", 1) + "\u{1b}[2J junk\n";
    let file = keep(directory.path(), "a.log", text.as_bytes());
    let (exit, stdout, _) = typed(&["--json", &file]);
    let report: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(exit, Exit::Ok);
    let counts = ["lines", "parsed", "rejected"].map(|k| report[k].as_u64().unwrap());
    assert_eq!(counts, [1001, 999, 2]);
    let at: Vec<_> = report["rejects"].as_array().unwrap().iter().map(|r| &r["line_no"]).collect();
    assert_eq!(at, [2, 1001]);
    let (_, stdout, _) = typed(&[&file]);
    assert!(!stdout.contains('\u{1b}'), "{stdout}");
    assert!(stdout.contains("line 1001 rejected"), "{stdout}");
    assert_eq!(typed(&["--fail-on", "rejected", &file]).0, Exit::Failed);
    assert_eq!(typed(&["--fail-on", "5xx=1%", &file]).0, Exit::Failed);
    assert_eq!(typed(&["--fail-on", "5xx=20%", "--fail-on", "p99=1s", &file]).0, Exit::Ok);
}

#[test]
fn a_server_slower_than_its_twins_is_the_headline() {
    let directory = tempfile::tempdir().unwrap();
    let text = log(3000);
    let even = keep(directory.path(), "even.log", text.as_bytes());
    // What app2 answers takes 40 ms longer.
    let slower = |line: &str| {
        let (before, times) = line.split_once(" web app/app2 0/0/1/")?;
        let (wait, rest) = times.split_once('/')?;
        let (total, rest) = rest.split_once(' ')?;
        let later = |ms: &str| ms.parse::<u32>().ok().map(|ms| ms + 40);
        Some(format!("{before} web app/app2 0/0/1/{}/{} {rest}\n", later(wait)?, later(total)?))
    };
    let uneven: String =
        text.lines().map(|line| slower(line).unwrap_or_else(|| format!("{line}\n"))).collect();
    let uneven = keep(directory.path(), "uneven.log", uneven.as_bytes());
    let said =
        "app2 is slower than its 2 twins: server p90 86 ms against 45 ms, all routes together.";
    let (_, stdout, _) = typed(&[&uneven]);
    assert_eq!(stdout.lines().nth(1), Some(said), "{stdout}");
    assert_eq!(document(&["--json", "--top", "1", &uneven])["notices"], serde_json::json!([said]));
    let (_, stdout, _) = typed(&[&even]);
    assert!(!stdout.contains("twin"), "{stdout}");
    assert_eq!(document(&["--json", &even])["notices"], serde_json::json!([]));
}

#[test]
fn the_table_folds_what_is_beyond_the_top_and_adds_up() {
    let directory = tempfile::tempdir().unwrap();
    let file = keep(directory.path(), "a.log", log(3000).as_bytes());
    let (_, stdout, _) = typed(&["--top", "1", "--by", "backend,server", &file]);
    assert!(stdout.contains("2 others"), "{stdout}");
    assert!(
        stdout.contains("3 000 lines, 0 rejected; 2026-11-21 10:00:10 to 10:00:39 UTC"),
        "{stdout}"
    );
    assert!(stdout.lines().all(|line| line.chars().count() <= 100), "{stdout}");
    let report = document(&["--json", "--top", "1", "--by", "server", &file]);
    let hits: Vec<_> = report["groups"].as_array().unwrap().iter().map(|g| &g["hits"]).collect();
    assert_eq!(hits, [1000, 2000]);
    assert_eq!(report["groups"][1]["key"]["server"], "other");
}

#[test]
fn a_log_of_ones_own_format_is_read_as_far_as_combined_goes_and_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let line = "192.0.2.7 - - [21/Nov/2026:10:00:00 +0000] \"GET /a?b HTTP/1.1\" 200 12 \"-\" \
                \"curl\" rt=0.801 up=10.0.0.1:80\n";
    let own = keep(directory.path(), "own.log", line.repeat(3).as_bytes());
    let (exit, stdout, stderr) = typed(&["--json", "--by", "code", &own]);
    let report: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((exit, &report["format"]), (Exit::Ok, &"combined-start".into()));
    assert_eq!((&report["parsed"], &report["groups"][0]["bytes_out"]), (&3.into(), &36.into()));
    let said = "what goes on behind it is not read: 'rt=0.801 up=10.0.0.1:80'";
    assert!(report["warnings"][0].as_str().unwrap().ends_with(said), "{stdout}");
    let (first, hint) = stderr.split_once('\n').unwrap();
    assert!(first.ends_with(said) && hint.starts_with("hint: to have it read"), "{stderr}");
    // Its own string reads all of it, and who names the lesser one knows.
    let string = "$remote_addr - $remote_user [$time_local] \"$request\" $status \
                  $body_bytes_sent \"$http_referer\" \"$http_user_agent\" rt=$request_time \
                  up=$upstream_addr";
    let report = document(&["--json", "--format", string, &own]);
    assert_eq!((&report["groups"][0]["timed"], &report["format"]), (&3.into(), &string.into()));
    assert_eq!(report["warnings"], serde_json::json!([]));
    assert_eq!(document(&["--json", "--format", "combined-start", &own])["parsed"], 3);
    // A size that may be something else is not taken for one.
    let short = keep(directory.path(), "short.log", line.replace(" \"-\" \"curl\"", "").as_bytes());
    let (exit, stdout, stderr) = typed(&[&short]);
    assert_eq!((exit, stdout.as_str()), (Exit::Unreadable, ""), "{stderr}");
    assert!(stderr.contains("line 1 begins as the common log format and goes on with 'rt="));
}

#[test]
fn a_log_that_was_just_rotated_is_empty_and_says_nothing_of_the_others_format() {
    let directory = tempfile::tempdir().unwrap();
    let empty = keep(directory.path(), "access.log", b"");
    let line = "192.0.2.7 - - [21/Nov/2026:10:00:00 +0000] \"GET /a HTTP/1.1\" 200 12\n";
    let older = keep(directory.path(), "access.log.1", line.repeat(9).as_bytes());
    let report = document(&["--json", &empty, &older]);
    assert_eq!((&report["parsed"], &report["format"]), (&9.into(), &"common".into()));
    let (exit, stdout, stderr) = typed(&["--json", &empty]);
    let said = format!("there is no line in {empty}");
    let report: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((exit, stderr), (Exit::Ok, format!("{said}\n")));
    assert_eq!(report["warnings"], serde_json::json!([said]));
    assert_eq!((&report["lines"], &report["format"]), (&0.into(), &"auto".into()));
    let (exit, _, stderr) = typed(&["--follow", &empty]);
    assert_eq!(exit, Exit::Usage, "{stderr}");
    assert!(stderr.contains("hint: name the format with --format"), "{stderr}");
}

#[test]
fn a_byte_order_mark_is_none_of_the_first_line() {
    let directory = tempfile::tempdir().unwrap();
    let text = log(3000).repeat(20);
    let marked = [b"\xef\xbb\xbf", text.as_bytes()].concat();
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(&marked).unwrap();
    let plain = keep(directory.path(), "a.log", text.as_bytes());
    let plain = document(&["--json", "--by", "vip", &plain]);
    let packed = keep(directory.path(), "a.log.gz", &packer.finish().unwrap());
    let marked = keep(directory.path(), "b.log", &marked);
    // Large enough for several pieces.
    for (file, threads) in [(&marked, "1"), (&marked, "4"), (&packed, "1")] {
        let report = document(&["--json", "--by", "vip", "--threads", threads, file]);
        assert_eq!(report, plain, "{file} with {threads}");
    }
    assert_eq!(plain["parsed"], 60_000);
}

#[test]
fn what_cannot_be_read_comes_with_a_hint() {
    let directory = tempfile::tempdir().unwrap();
    let hinted = |arguments: &[&str], exit: Exit, hint: &str| {
        let (ended, stdout, stderr) = typed(arguments);
        assert_eq!((ended, stdout.as_str()), (exit, ""), "{stderr}");
        assert!(stderr.contains(hint), "{stderr}");
    };
    let folder = directory.path().to_str().unwrap();
    hinted(&[folder], Exit::Unreadable, &format!("hint: name the logs in it: {folder}/*.log"));
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(log(1000).as_bytes()).unwrap();
    let packed = packer.finish().unwrap();
    let cut = keep(directory.path(), "cut.gz", &packed[..packed.len() / 2]);
    hinted(&[&cut], Exit::Unreadable, "hint: packed data that is damaged, or cut");
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(&packed).unwrap();
    let twice = keep(directory.path(), "twice.gz", &packer.finish().unwrap());
    hinted(&[&twice], Exit::Unreadable, "hint: make it plain text first: zcat FILE | whyslow");
    let plain = keep(directory.path(), "a.log", log(3).as_bytes());
    hinted(
        &["--format", "httplog", &plain],
        Exit::Usage,
        "hint: perhaps haproxy, haproxy-http; or",
    );
    hinted(&["--format", "nonsense", &plain], Exit::Usage, "hint: auto, the balancer's own");
}

#[test]
fn what_cannot_be_read_is_said_with_its_status() {
    let directory = tempfile::tempdir().unwrap();
    let (exit, _, stderr) = typed(&["/nonexistent/lb.log"]);
    assert_eq!(exit, Exit::Unreadable);
    assert!(stderr.contains("/nonexistent/lb.log"), "{stderr}");
    let junk = keep(directory.path(), "junk.log", b"nothing like a log\nat all\n");
    let (exit, _, stderr) = typed(&[&junk]);
    assert_eq!(exit, Exit::Unreadable);
    assert!(stderr.contains("hint:"), "{stderr}");
    let empty = keep(directory.path(), "empty.log", b"");
    assert_eq!(typed(&["--json", &empty]).0, Exit::Ok);
    let (exit, _, stderr) = typed(&["--format", "nosuch", &empty]);
    assert_eq!(exit, Exit::Usage);
    assert!(stderr.contains("haproxy"), "{stderr}");
    let (exit, ..) = typed(&["--by", "backend,backend", &empty]);
    assert_eq!(exit, Exit::Usage);
}

#[test]
fn a_format_string_of_the_balancers_own_is_read_by() {
    let directory = tempfile::tempdir().unwrap();
    let line = "192.0.2.7 [21/Nov/2026:10:00:00 +0000] \"GET /a/17 HTTP/1.1\" 200 0.125\n";
    let file = keep(directory.path(), "n.log", line.repeat(4).as_bytes());
    let format = "$remote_addr [$time_local] \"$request\" $status $request_time";
    let report = document(&["--json", "--by", "route,code", "--format", format, &file]);
    assert_eq!(report["groups"][0]["key"], serde_json::json!({"route": "/a/:id", "code": 200}));
    assert_eq!(report["groups"][0]["latency_ms"]["max"], 125.0);
}

#[test]
fn missing_numbers_of_the_balancers_own_count_are_told() {
    let directory = tempfile::tempdir().unwrap();
    let mut text = String::new();
    for n in (1..=2000).filter(|n| n % 400 != 7) {
        let _ =
            writeln!(text, "10.0.0.1:4 [21/Nov/2026:10:00:00.000] web app/a 0/0/0/5/6 200 9 {n}");
    }
    let file = keep(directory.path(), "lc.log", text.as_bytes());
    let format = "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %lc";
    let report = document(&["--json", "--format", format, &file]);
    assert_eq!(
        report["completeness"],
        serde_json::json!({"expected": 2000, "seen": 1995, "source": "sequence"})
    );
    let (_, stdout, _) = typed(&["--format", format, &file]);
    assert!(stdout.contains("5 of 2 000 lines never came"), "{stdout}");
}
