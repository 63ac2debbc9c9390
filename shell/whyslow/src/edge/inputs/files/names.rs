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

/// Files in the same directory whose names begin as this one's: what rotation may have made of it,
/// oldest first. A packed file is one of them once what it was packed from is gone.
pub(super) fn siblings(path: &Path) -> Vec<PathBuf> {
    let name = path.file_name().unwrap_or_default().as_bytes();
    let Ok(entries) = std::fs::read_dir(folder(path)) else { return Vec::new() };
    let mut found: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|other| other != path && other.is_file())
        .filter(|other| !is_packed(other) || is_whole(other))
        .filter(|other| other.file_name().is_some_and(|n| related(name, n.as_bytes())))
        .collect();
    found.sort_by_cached_key(|other| {
        (age(name, other.file_name().unwrap_or_default().as_bytes()), other.clone())
    });
    found
}

/// What rotation has called the file of this id; with the name it had.
pub(super) fn renamed(path: &Path, of: FileId) -> Option<(PathBuf, PathBuf)> {
    let now = siblings(path).into_iter().find(|other| id(other).is_ok_and(|id| id == of))?;
    Some((path.to_owned(), now))
}

/// Those of the siblings that rotation made later than the one called `than`, oldest first.
pub(super) fn newer(path: &Path, than: &Path) -> Vec<PathBuf> {
    let name = path.file_name().unwrap_or_default().as_bytes();
    let age = |other: &Path| age(name, other.file_name().unwrap_or_default().as_bytes());
    let Some(than) = age(than) else { return Vec::new() };
    let mut found: Vec<(i64, PathBuf)> = siblings(path)
        .into_iter()
        .filter_map(|other| Some((age(&other)?, other)))
        .filter(|(age, _)| *age > than && (*age < 0) == (than < 0))
        .collect();
    found.sort();
    found.into_iter().map(|(_, path)| path).collect()
}

/// Whether rotation may have made the file of one path from the other's.
pub(super) fn is_rotated(path: &Path, other: &Path) -> bool {
    let name = |path: &Path| path.file_name().unwrap_or_default().to_owned();
    related(name(path).as_bytes(), name(other).as_bytes())
}

/// Whether rotation may have made `other` of a file called `name`: `lb.log.1`, `lb.log-20261121`
/// and `lb-20261121.log` of `lb.log`.
fn related(name: &[u8], other: &[u8]) -> bool {
    age(name, other).is_some()
}

/// Which of two rotated files is newer: a number that counts up is larger, as in dates; one that
/// counts from the newest is below zero. `None` of a name that rotation does not make.
fn age(name: &[u8], other: &[u8]) -> Option<i64> {
    let packed =
        UNPACKED.iter().find_map(|end| other.strip_suffix(end.as_bytes())?.strip_suffix(b"."));
    let other = packed.unwrap_or(other);
    let dot = name.iter().rposition(|b| *b == b'.').unwrap_or(name.len());
    let (stem, end) = name.split_at(dot);
    let behind = other.strip_prefix(name);
    let within = || other.strip_prefix(stem)?.strip_suffix(end);
    let (mark, digits) = behind.or_else(within)?.split_first()?;
    let digits: Vec<u8> = digits.iter().copied().filter(|b| *b != b'-').collect();
    let sound = matches!(mark, b'.' | b'-') && digits.iter().all(u8::is_ascii_digit);
    let number: i64 = std::str::from_utf8(&digits).ok().filter(|_| sound)?.parse().ok()?;
    Some(if digits.len() <= 3 { -number - 1 } else { number })
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Device and number of the file of this name.
pub(super) fn id(path: &Path) -> io::Result<FileId> {
    let found = std::fs::metadata(path)?;
    Ok((found.dev(), found.ino()))
}

/// Whether a path stands for several.
pub(super) fn is_pattern(path: &Path) -> bool {
    path.file_name().is_some_and(is_glob)
}

fn is_glob(name: &OsStr) -> bool {
    name.as_bytes().iter().any(|b| matches!(b, b'*' | b'?'))
}

/// Ends of names of packed files that can be read.
const UNPACKED: [&str; 2] = ["gz", "zst"];
/// Ends of names of those that cannot.
const NOT_UNPACKED: [&str; 3] = ["xz", "bz2", "lz4"];

/// Whether a name is that of a packed file.
pub(super) fn is_packed(path: &Path) -> bool {
    let mut ends = UNPACKED.iter().chain(&NOT_UNPACKED);
    path.extension().is_some_and(|e| ends.any(|end| e == *end))
}

/// Whether a packed file can be read, and is all there: until then, what it is made from is too.
fn is_whole(path: &Path) -> bool {
    let readable = path.extension().is_some_and(|e| UNPACKED.iter().any(|end| e == *end));
    readable && !path.with_extension("").exists()
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
    fn names_tell_which_of_two_rotated_files_is_newer() {
        let age = |other: &str| age(b"lb.log", other.as_bytes());
        assert!(age("lb.log.1") > age("lb.log.2"));
        assert!(age("lb.log-20261121") > age("lb.log-20261120"));
        assert!(age("lb-2026-11-21.log") > age("lb-2026-11-20.log"));
        for other in ["lb.log", "lb.log.old", "lb2.log", "lb-admin.log", "lb.log.1.swp", "lb.log."]
        {
            assert_eq!(age(other), None, "{other}");
        }
    }

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
        let all = || names(siblings(&dir.path().join("lb.log")));
        assert_eq!(all(), ["lb.log.2.gz", "lb.log.1", "lb-20261121.log"]);
        // As long as it is being packed, the file itself is there.
        std::fs::write(dir.path().join("lb.log.2"), "").unwrap();
        assert_eq!(all(), ["lb.log.2", "lb.log.1", "lb-20261121.log"]);
        std::fs::remove_file(dir.path().join("lb.log.2")).unwrap();
        let found = matching(&dir.path().join("lb.log*")).unwrap();
        assert_eq!(names(found.into_iter().map(|f| f.0).collect()), ["lb.log", "lb.log.1"]);
        assert_eq!(matching(&dir.path().join("none")).unwrap(), []);
        std::fs::write(dir.path().join("lb.log.3"), "").unwrap();
        let newer = |than| names(newer(&dir.path().join("lb.log"), &dir.path().join(than)));
        assert_eq!(newer("lb.log.3"), ["lb.log.2.gz", "lb.log.1"]);
        assert_eq!(newer("lb.log.1"), [""; 0]);
        assert_eq!(newer("lb.log"), [""; 0]);
    }
}
