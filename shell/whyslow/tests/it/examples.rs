//! Every file in `examples/` is what it says: configurations that are read, a unit that systemd
//! takes.

use std::path::{Path, PathBuf};
use std::process::Command;

use whyslow::config::problem::Source;
use whyslow::config::read::read;
use whyslow::config::world::World;

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples")
}

#[test]
fn every_example_is_a_right_configuration() {
    let mut seen = 0;
    for entry in std::fs::read_dir(examples()).unwrap() {
        let path = entry.unwrap().path();
        // What is named after a log is a balancer's own configuration.
        let of_a_log =
            path.file_stem().is_some_and(|stem| stem.to_string_lossy().ends_with("-log"));
        if of_a_log || path.extension().is_none_or(|e| e != "yaml") {
            continue;
        }
        let name = path.display().to_string();
        let text = std::fs::read_to_string(&path).unwrap();
        let config = read(vec![Source { name: name.clone(), text }], &World::nowhere());
        let config = config.unwrap_or_else(|problems| panic!("{problems}"));
        assert!(!config.planned_checks().is_empty(), "{name} checks nothing");
        seen += 1;
    }
    assert!(seen >= 3);
}

#[test]
fn the_unit_starts_whyslow_with_one_privilege_and_hides_the_rest() {
    let text = std::fs::read_to_string(examples().join("whyslow.service")).unwrap();
    for line in [
        "AmbientCapabilities=CAP_NET_RAW",
        "CapabilityBoundingSet=CAP_NET_RAW",
        "NoNewPrivileges=yes",
        "DynamicUser=yes",
        "ProtectSystem=strict",
        "StateDirectory=whyslow",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is missing");
    }
    let settings = text.lines().filter(|l| !l.is_empty() && !l.starts_with(['#', '[']));
    for line in settings {
        assert!(line.split_once('=').is_some_and(|(key, _)| !key.contains(' ')), "{line}");
    }
}

#[test]
fn systemd_takes_the_unit() {
    let dir = tempfile::tempdir().unwrap();
    let unit = dir.path().join("whyslow.service");
    let text = std::fs::read_to_string(examples().join("whyslow.service")).unwrap();
    // The program it names is not installed where tests run.
    let text = text.replace("/usr/local/bin/whyslow", env!("CARGO_BIN_EXE_whyslow"));
    std::fs::write(&unit, text).unwrap();
    let Ok(done) = Command::new("systemd-analyze").arg("verify").arg(&unit).output() else {
        // Without systemd the test above has read it as far as can be.
        return;
    };
    let told = String::from_utf8_lossy(&done.stderr);
    let ours: Vec<&str> = told.lines().filter(|l| l.contains("whyslow.service")).collect();
    assert!(ours.is_empty(), "{ours:#?}");
}
