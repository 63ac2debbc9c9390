//! A scenario's own directory, the program under test, and what is asked of it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// Where a scenario plays.
#[derive(Debug)]
pub struct World {
    dir: tempfile::TempDir,
    whyslow: PathBuf,
}

impl World {
    /// A new directory, and the `whyslow` beside this program (or the one `WHYSLOW` names).
    ///
    /// # Errors
    /// Where the directory cannot be made or the program is not built.
    pub fn new(name: &str) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix(&format!("whyslow-lab-{name}-")).tempdir()?;
        let whyslow = match std::env::var_os("WHYSLOW") {
            Some(named) => PathBuf::from(named),
            None => std::env::current_exe()?.with_file_name("whyslow"),
        };
        ensure!(whyslow.exists(), "{} is not built", whyslow.display());
        Ok(Self { dir, whyslow: whyslow.canonicalize()? })
    }

    /// The world's directory.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A path inside the world's directory, as text.
    pub fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    /// Writes a file into the world and gives its path.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn write(&self, name: &str, text: &str) -> Result<String> {
        let path = self.path(name);
        std::fs::write(&path, text).with_context(|| format!("writing {path}"))?;
        Ok(path)
    }

    /// The program under test, with an environment of its own.
    pub fn whyslow(&self) -> Command {
        let mut command = Command::new(&self.whyslow);
        command.env("XDG_STATE_HOME", self.dir()).env("NO_COLOR", "1");
        command
    }

    /// The program under test, as text.
    pub fn whyslow_path(&self) -> String {
        self.whyslow.display().to_string()
    }

    /// A sibling of this program, such as `kill9`.
    ///
    /// # Errors
    /// Where this program's own place is unknown.
    pub fn sibling(&self, name: &str) -> Result<Command> {
        let mut command = Command::new(std::env::current_exe()?.with_file_name(name));
        command.env("WHYSLOW", &self.whyslow);
        Ok(command)
    }

    /// One `whyslow check … --json`.
    ///
    /// # Errors
    /// Where the program cannot run or says something else than one JSON document.
    pub fn check(&self, arguments: &[&str]) -> Result<Checked> {
        checked(self.whyslow().arg("check").args(arguments).arg("--json"))
    }

    /// Leaves the directory where it is and gives its path.
    pub fn keep(self) -> PathBuf {
        self.dir.keep()
    }
}

/// What `whyslow check --json` said.
#[derive(Debug)]
pub struct Checked {
    /// The exit code.
    pub exit: i32,
    /// The document.
    pub run: Value,
}

impl Checked {
    /// `ok`, `slow` or `failed`.
    pub fn outcome(&self) -> &str {
        self.run["outcome"].as_str().unwrap_or_default()
    }

    /// The failure's code; empty where there is none.
    pub fn code(&self) -> &str {
        self.run["failure"]["code"].as_str().unwrap_or_default()
    }

    /// One phase in milliseconds.
    pub fn phase(&self, name: &str) -> Option<f64> {
        self.run["phases_ms"][name].as_f64()
    }

    /// Demands this outcome, code and exit; a failure shows the whole document.
    ///
    /// # Errors
    /// Where one of them is another.
    pub fn is(&self, outcome: &str, code: &str, exit: i32) -> Result<&Self> {
        let found = (self.outcome(), self.code(), self.exit);
        ensure!(
            found == (outcome, code, exit),
            "expected {outcome} {code} {exit}, found {found:?} in {:#}",
            self.run
        );
        Ok(self)
    }

    /// Demands that the phases are contiguous: they add up to the total within 0.1 ms.
    ///
    /// # Errors
    /// Where they do not.
    pub fn adds_up(&self) -> Result<&Self> {
        let phases = ["resolve", "connect", "tls", "send", "wait", "receive"];
        let sum: f64 = phases.iter().filter_map(|p| self.phase(p)).sum();
        let total = self.run["total_ms"].as_f64().context("no total_ms")?;
        ensure!((sum - total).abs() <= 0.1, "phases are {sum} of {total} in {:#}", self.run);
        Ok(self)
    }
}

/// Runs a `whyslow check` already put together, perhaps inside a namespace.
///
/// # Errors
/// Where it cannot run or says something else than one JSON document.
pub fn checked(command: &mut Command) -> Result<Checked> {
    let output = command.output().with_context(|| format!("running {command:?}"))?;
    let run = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("{command:?} did not print JSON: {}", text(&output)))?;
    Ok(Checked { exit: output.status.code().context("ended by a signal")?, run })
}

/// Runs a command that must succeed, and gives its standard output.
///
/// # Errors
/// Where it cannot run or does not end with 0.
pub fn must(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("running {command:?}"))?;
    ensure!(
        output.status.success(),
        "{command:?} ended with {}:\n{}",
        output.status,
        text(&output)
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A command from one line of words without spaces in them.
pub fn words(line: &str) -> Command {
    let mut words = line.split_whitespace();
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words);
    command
}

fn text(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!("{}{}", String::from_utf8_lossy(out), String::from_utf8_lossy(err))
}
