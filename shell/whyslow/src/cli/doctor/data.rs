//! The data directory: whether it can be written, on what, and how much room there is.

use std::io;
use std::path::{Path, PathBuf};

use whyslow_sys::disk;

use super::Finding;
use crate::config::Config;

const NAME: &str = "data";
/// Room below which a store soon has to stop.
const FREE_BYTES_MIN: u64 = 1 << 30;

pub(super) fn look(config: &Config) -> Vec<Finding> {
    let Some(dir) = &config.data else {
        return vec![
            Finding::broken(NAME, "no directory: neither HOME nor XDG_STATE_HOME is set")
                .mend("whyslow up --data DIR"),
        ];
    };
    let there = nearest(dir);
    if let Err(error) = written(&there) {
        let shown = dir.display();
        let what = format!("{shown} cannot be written: {error}");
        return vec![
            Finding::broken(NAME, what).mend(format!("sudo install -d -o \"$(id -un)\" '{shown}'")),
        ];
    }
    vec![room(dir, &there)]
}

fn room(dir: &Path, there: &Path) -> Finding {
    let shown = dir.display();
    let kind = filesystem(there).unwrap_or_else(|| "an unknown file system".to_owned());
    let free = match disk::room(there) {
        Ok(room) => room.free_bytes,
        Err(error) => {
            return Finding::limited(NAME, format!("{shown} on {kind}: {error}"))
                .mend(format!("df -h '{}'", there.display()));
        }
    };
    let what = format!("{shown} can be written, {kind}, {} free", bytes(free));
    let elsewhere = "whyslow up --data DIR, on a local disk";
    match kind.as_str() {
        "tmpfs" | "ramfs" => {
            Finding::limited(NAME, format!("{what}; lost when the machine stops")).mend(elsewhere)
        }
        "nfs" | "nfs4" | "cifs" | "smb3" | "9p" | "fuse.sshfs" => {
            let why = "SQLite needs locks that network file systems do not keep";
            Finding::limited(NAME, format!("{what}; {why}")).mend(elsewhere)
        }
        _ if free < FREE_BYTES_MIN => {
            Finding::limited(NAME, what).mend("retention: [10s:6h, 5m:7d]")
        }
        _ => Finding::works(NAME, what),
    }
}

/// The directory itself, or the nearest one above it that is there: `up` makes the rest.
fn nearest(dir: &Path) -> PathBuf {
    let there = dir.ancestors().find(|d| d.is_dir());
    there.filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

fn written(dir: &Path) -> io::Result<()> {
    let probe = dir.join(format!(".whyslow-doctor-{}", std::process::id()));
    std::fs::OpenOptions::new().write(true).create_new(true).open(&probe)?;
    std::fs::remove_file(&probe)
}

/// The type of the file system that holds `dir`: that of the longest mount point above it.
fn filesystem(dir: &Path) -> Option<String> {
    let dir = dir.canonicalize().ok()?;
    let mounts = std::fs::read_to_string("/proc/self/mounts").ok()?;
    let fields = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        Some((unescaped(fields.next()?), fields.next()?))
    });
    let above = fields.filter(|(point, _)| dir.starts_with(point));
    above.max_by_key(|(point, _)| point.len()).map(|(_, kind)| kind.to_owned())
}

/// `/proc/self/mounts` writes a blank as `\040`.
fn unescaped(point: &str) -> String {
    point.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")
}

#[expect(clippy::cast_precision_loss, reason = "shown to one decimal")]
fn bytes(n: u64) -> String {
    let gib = n as f64 / f64::from(1 << 30);
    if gib >= 1.0 { format!("{gib:.1} GiB") } else { format!("{} MiB", n >> 20) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_is_not_there_yet_is_judged_by_the_one_above() {
        let dir = tempfile::tempdir().unwrap();
        let config = Config { data: Some(dir.path().join("a/b")), ..Config::default() };
        let [finding] = &look(&config)[..] else { panic!("one finding") };
        assert!(finding.what.contains("can be written"), "{finding:?}");
        assert!(std::fs::read_dir(dir.path()).unwrap().next().is_none(), "nothing is left behind");
    }

    #[test]
    fn a_directory_below_a_file_cannot_be_written() {
        let config = Config { data: Some("/proc/version/x".into()), ..Config::default() };
        assert_eq!(look(&config)[0].state, super::super::State::Broken);
    }
}
