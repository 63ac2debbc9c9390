//! The built program as scripts meet it: exit statuses, streams, a reader who leaves.

use std::process::{Command, Output, Stdio};

fn whyslow(line: &str) -> Output {
    let words = line.split_whitespace();
    Command::new(env!("CARGO_BIN_EXE_whyslow")).args(words).output().expect("a built program")
}

#[test]
fn each_way_to_fail_has_its_exit_status_and_says_nothing_on_stdout() {
    let cases = [
        ("check shop.example", 64),
        ("frobnicate", 64),
        ("check https://shop.example/ --cacert /nowhere/ca.pem", 66),
        ("config check /nowhere/whyslow.yaml", 66),
        ("config check src/config/fixtures/broken/names.yaml", 78),
        ("up --config src/config/fixtures/broken/names.yaml", 78),
    ];
    for (line, status) in cases {
        let done = whyslow(line);
        assert_eq!(done.status.code(), Some(status), "{line}");
        assert!(done.stdout.is_empty() && !done.stderr.is_empty(), "{line}");
    }
}

#[test]
fn a_refused_connection_is_a_result_with_status_2_and_no_colour_in_a_pipe() {
    let done = whyslow("check tcp:127.0.0.1:1");
    let told = String::from_utf8_lossy(&done.stdout);
    assert_eq!(done.status.code(), Some(2), "{told}");
    assert!(told.contains("FAILED  connect_refused") && !told.contains('\u{1b}'), "{told}");
    assert!(done.stderr.is_empty());
}

#[test]
fn a_reader_who_leaves_is_not_an_error() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_whyslow"))
        .args(["config", "schema"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a built program");
    drop(child.stdout.take());
    let done = child.wait_with_output().expect("an end");
    assert!(done.status.success() && done.stderr.is_empty(), "{done:?}");
}
