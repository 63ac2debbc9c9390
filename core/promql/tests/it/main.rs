//! The language's conformance, told in scripts, laws and hostile texts.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a script that cannot be read is a failed test"
)]

mod laws;
mod memory;
mod peer;
mod reference;
mod script;

#[test]
#[expect(clippy::disallowed_methods, reason = "scripts are files found by folder")]
fn every_script_gives_what_it_expects() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|f| f.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    let mut wrong = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        wrong.extend(script::run(&name, &text));
    }
    assert!(wrong.is_empty(), "{} wrong answers:\n{}", wrong.len(), wrong.join("\n"));
}
