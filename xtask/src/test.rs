//! `cargo xtask test`: what the README promises and CI runs, from a bare machine on.

use anyhow::Result;

use crate::steps::{Ended, Report, sh};
use crate::{lab, packages, tidy};

/// Runs every step, the cheap ones first, and fails at the end if one failed.
///
/// # Errors
/// Where a step failed, or was skipped under CI.
pub fn run() -> Result<()> {
    let mut report = Report::default();
    report.step("packages", packages::ensure);
    report.step("tidy", || tidy::run().map(|()| Ended::Passed));
    report.step("formatting", || sh("cargo", &["fmt", "--all", "--check"]));
    report.step("clippy", || {
        sh(
            "cargo",
            &["clippy", "-q", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"],
        )
    });
    report.step("unit tests", || sh("cargo", &["test", "-q", "--workspace", "--locked"]));
    report.step("documentation", || {
        let strict = "build.rustdocflags=['-Dwarnings']";
        sh("cargo", &["doc", "-q", "--workspace", "--no-deps", "--locked", "--config", strict])
    });
    report.step("release build", || {
        sh("cargo", &["build", "-q", "--release", "--locked", "-p", "whyslow", "-p", "whyslow-lab"])
    });
    lab::steps(&mut report)?;
    report.close()
}
