//! Which files a pattern names.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::super::super::worker::FileId;

/// The files that a pattern names, in the order of their names. `*` stands for any bytes and `?`
/// for one, in the last part of the path only. Compressed ones are left out: they are no lines.
pub(super) fn matching(pattern: &Path) -> io::Result<Vec<(PathBuf, FileId)>> {
    let name = pattern.file_name().unwrap_or_default();
    if !is_glob(name) {
        return match id(pattern) {
            Ok(id) => Ok(vec![(pattern.to_owned(), id)]),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(e) => Err(e),
        };
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder(pattern))? {
        let path = entry?.path();
        let fits = path.file_name().is_some_and(|n| fits(name.as_bytes(), n.as_bytes()));
        if fits && !is_packed(&path) && path.is_file() {
            // One that went meanwhile is not there.
            found.extend(id(&path).ok().map(|id| (path, id)));
        }
    }
    found.sort();
    Ok(found)
}

/// Files in the same directory whose names begin as this one's: what rotation may have made of it.
pub(super) fn siblings(path: &Path) -> Vec<PathBuf> {
    let name = path.file_name().unwrap_or_default().as_bytes();
    let Ok(entries) = std::fs::read_dir(folder(path)) else { return Vec::new() };
    let mut found: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|other| other != path && !is_packed(other) && other.is_file())
        .filter(|other| other.file_name().is_some_and(|n| related(name, n.as_bytes())))
        .collect();
    found.sort();
    found
}

/// `lb.log` and `lb.log.1`, `lb.log-20261121`, `lb-20261121.log`.
fn related(name: &[u8], other: &[u8]) -> bool {
    let stem = name.split(|b| *b == b'.').next().unwrap_or(name);
    !stem.is_empty() && other.starts_with(stem)
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn id(path: &Path) -> io::Result<FileId> {
    let found = std::fs::metadata(path)?;
    Ok((found.dev(), found.ino()))
}

fn is_glob(name: &OsStr) -> bool {
    name.as_bytes().iter().any(|b| matches!(b, b'*' | b'?'))
}

fn is_packed(path: &Path) -> bool {
    let packed = ["gz", "zst", "xz", "bz2", "lz4"];
    path.extension().is_some_and(|e| packed.iter().any(|p| e == *p))
}

/// Whether a name fits a pattern of `*` and `?`, in time linear in both but for the last star.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(c) if *c == b'?' || *c == name[n] => (p, n) = (p + 1, n + 1),
            _ => {
                let Some((at, taken)) = star else { return false };
                star = Some((at, taken + 1));
                (p, n) = (at + 1, taken + 1);
            }
        }
    }
    pattern[p..].iter().all(|b| *b == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_bytes_and_question_marks_for_one() {
        for (pattern, name, expected) in [
            ("haproxy*.log", "haproxy.log", true),
            ("haproxy*.log", "haproxy-2.log", true),
            ("haproxy*.log", "haproxy.log.1", false),
            ("*", "x", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*a*b", "xaxxab", true),
            ("*a*b", "xaxxa", false),
        ] {
            assert_eq!(fits(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn what_rotation_makes_of_a_file_is_found_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["lb.log", "lb.log.1", "lb.log.2.gz", "lb-20261121.log", "other.log"] {
            std::fs::write(dir.path().join(name), name).unwrap();
        }
        let names = |paths: Vec<PathBuf>| -> Vec<String> {
            paths.iter().map(|p| p.file_name().unwrap().to_string_lossy().into_owned()).collect()
        };
        assert_eq!(names(siblings(&dir.path().join("lb.log"))), ["lb-20261121.log", "lb.log.1"]);
        let found = matching(&dir.path().join("lb.log*")).unwrap();
        assert_eq!(names(found.into_iter().map(|f| f.0).collect()), ["lb.log", "lb.log.1"]);
        assert_eq!(matching(&dir.path().join("none")).unwrap(), []);
    }
}
