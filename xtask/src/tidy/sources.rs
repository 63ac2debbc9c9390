//! Rules on the text of source files.

use std::path::Path;

use anyhow::{Context, Result};

use super::Complaint;

/// Lines a source file may have before its tests; a longer one hides a second subject.
const LINES_MAX: usize = 500;

/// Catalogues and tables that are long and easy all the same.
const LONG_BY_NATURE: &[&str] = &[];

/// Words a core may not say, with what to do instead.
const WORLDLY: &[(&str, &str)] = &[
    ("std::fs", "the shell reads and writes files"),
    ("std::process", "the shell starts programs"),
    ("std::env", "the shell reads the environment"),
    ("std::thread", "a core owns no thread"),
    ("std::net::Tcp", "the shell opens sockets"),
    ("std::net::Udp", "the shell opens sockets"),
    ("Instant::now", "time is an argument"),
    ("SystemTime", "time is an argument"),
    ("async fn", "a core is driven by handle_* and poll_*"),
];

/// Words no source file may keep.
const UNFINISHED: &[&str] = &["todo!(", "unimplemented!(", "FIXME", "XXX", "#[ignore"];

/// File and folder names that say nothing.
const EMPTY_NAMES: &[&str] = &["util", "utils", "common", "helper", "helpers", "misc", "manager"];

/// Checks every tracked Rust file.
pub fn check(root: &Path, files: &[String]) -> Result<Vec<Complaint>> {
    let mut complaints = Vec::new();
    for file in files.iter().filter(|f| f.ends_with(".rs")) {
        let text = std::fs::read_to_string(root.join(file)).with_context(|| file.clone())?;
        whole_file(file, &text, &mut complaints);
        lines(file, &text, &mut complaints);
    }
    fuzz_targets(root, files, &mut complaints)?;
    Ok(complaints)
}

fn whole_file(file: &str, text: &str, complaints: &mut Vec<Complaint>) {
    let mut complain =
        |what: String| complaints.push(Complaint { file: file.to_owned(), line: 0, what });
    if !text.starts_with("//!") && !text.starts_with("#![no_main]") {
        complain("begin with a `//!` comment that says what this file is for".to_owned());
    }
    let length = text.lines().take_while(|l| !l.starts_with("mod tests")).count();
    if length > LINES_MAX && !is_proof(file) && !LONG_BY_NATURE.contains(&file) {
        complain(format!("{length} lines before the tests; split it, {LINES_MAX} is the most"));
    }
    let named_empty = |part: &str| EMPTY_NAMES.contains(&part.trim_end_matches(".rs"));
    if file.split('/').any(named_empty) {
        complain("name the file for what it holds".to_owned());
    }
}

fn lines(file: &str, text: &str, complaints: &mut Vec<Complaint>) {
    // The rules themselves spell the words they forbid.
    if file == "xtask/src/tidy/sources.rs" {
        return;
    }
    let core = file.starts_with("core/") && file.contains("/src/");
    for (i, line) in text.lines().enumerate() {
        let mut complain = |what: String| {
            complaints.push(Complaint { file: file.to_owned(), line: i + 1, what });
        };
        let code = line.split("//").next().unwrap_or("");
        if core && let Some((word, way)) = WORLDLY.iter().find(|(w, _)| code.contains(w)) {
            complain(format!("`{word}` in a core: {way}"));
        }
        if let Some(word) = UNFINISHED.iter().find(|w| line.contains(**w)) {
            complain(format!("`{word}`: finish it or leave it out"));
        }
        if code.contains("fn get_") {
            complain("name it for what it gives, without `get_`".to_owned());
        }
        if code.contains("#[allow(") {
            complain("use `#[expect(lint, reason = \"…\")]`".to_owned());
        }
    }
}

/// Tests, benches and lab programs may run on: each of their parts stands alone.
fn is_proof(file: &str) -> bool {
    file.contains("/tests/") || file.contains("/benches/")
}

/// Every `pub fn fuzz_NAME` has a target of that name and a corpus that is replayed.
fn fuzz_targets(root: &Path, files: &[String], complaints: &mut Vec<Complaint>) -> Result<()> {
    for file in files.iter().filter(|f| f.ends_with(".rs") && !f.starts_with("fuzz/")) {
        let text = std::fs::read_to_string(root.join(file)).with_context(|| file.clone())?;
        for (i, line) in text.lines().enumerate() {
            let Some(rest) = line.trim_start().strip_prefix("pub fn fuzz_") else { continue };
            let name = rest.split('(').next().unwrap_or(rest);
            let target = format!("fuzz/fuzz_targets/{name}.rs");
            let corpus = format!("fuzz/corpus/{name}/");
            let seeds = files.iter().filter(|f| f.starts_with(&corpus)).count();
            if !files.contains(&target) || seeds == 0 {
                let what = format!("fuzz_{name} needs {target} and a file in {corpus}");
                complaints.push(Complaint { file: file.clone(), line: i + 1, what });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(file: &str, text: &str) -> Vec<String> {
        let mut found = Vec::new();
        whole_file(file, text, &mut found);
        lines(file, text, &mut found);
        found.into_iter().map(|c| c.what).collect()
    }

    #[test]
    fn a_core_that_reads_the_clock_is_told_so() {
        let found = complaints("core/x/src/a.rs", "//! A.\nlet t = Instant::now();\n");
        assert_eq!(found, ["`Instant::now` in a core: time is an argument"]);
    }

    #[test]
    fn a_comment_may_name_what_the_code_may_not() {
        assert!(complaints("core/x/src/a.rs", "//! A.\n// not std::fs\n").is_empty());
    }

    #[test]
    fn a_file_without_a_subject_is_refused() {
        assert_eq!(complaints("shell/x/src/util.rs", "//! A.\n").len(), 1);
        assert_eq!(complaints("shell/x/src/a.rs", "fn a() {}\n").len(), 1);
    }

    #[test]
    fn tests_do_not_count_towards_a_files_length() {
        let long = format!("//! A.\nmod tests {{\n{}}}\n", "\n".repeat(900));
        assert!(complaints("shell/x/src/a.rs", &long).is_empty());
    }
}
