//! The directory that evidence is kept in.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use whyslow_model::Wall;
use whyslow_wire::evidence::Trigger;
use whyslow_wire::evidence::spool::{self, Kept, Room};

/// A file's name among those of the same moment is given up after so many.
const SAME_MOMENT_MAX: u32 = 100;

/// The directory; one incident is written at a time.
#[derive(Debug, Default)]
pub(super) struct Spool {
    dir: PathBuf,
    one_at_a_time: Mutex<()>,
}

/// What a file is about, as far as its name says it.
#[derive(Clone, Copy, Debug)]
pub(super) struct About<'a> {
    pub(super) at: Wall,
    pub(super) trigger: Trigger,
    /// What an operator calls its cause.
    pub(super) cause: Option<&'a str>,
    pub(super) interface: &'a str,
    pub(super) client: Option<std::net::SocketAddr>,
}

/// Why a file was not written.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotWritten {
    #[error("{bytes} bytes are more than may be kept")]
    TooLarge { bytes: u64 },
    #[error("cannot write to {}: {error}", dir.display())]
    Io { dir: PathBuf, error: io::Error },
}

impl Spool {
    /// That of a data directory. What a process left half written before is removed.
    pub(super) fn of(data: &Path) -> Self {
        let dir = data.join("wire");
        if let Ok(entries) = fs::read_dir(&dir) {
            let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
            let mut removed = 0;
            for name in names.filter(|name| spool::is_left_over(name)) {
                // It is tried again at the next start.
                removed += u32::from(fs::remove_file(dir.join(name)).is_ok());
            }
            if removed > 0 {
                let dir = dir.display();
                tracing::warn!(
                    "{removed} files of evidence in {dir} were half written when the process \
                     before ended, and are removed"
                );
            }
        }
        Self { dir, one_at_a_time: Mutex::default() }
    }

    /// The files that are kept, oldest first.
    ///
    /// # Errors
    /// Where the directory cannot be read; one that is not there yet is empty.
    pub(super) fn list(&self) -> io::Result<Vec<Kept>> {
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(e),
        };
        let kept = entries.flatten().filter_map(|entry| {
            let name = entry.file_name().into_string().ok().filter(|name| spool::is_kept(name))?;
            Some(Kept { bytes: entry.metadata().ok()?.len(), name })
        });
        let mut kept: Vec<Kept> = kept.collect();
        kept.sort();
        Ok(kept)
    }

    /// Writes a file, and shows it once it is whole; gives its name and the names of those that
    /// had to go for it.
    pub(super) fn write(
        &self,
        about: About<'_>,
        bytes: &[u8],
        quota: u64,
    ) -> Result<(String, Vec<String>), NotWritten> {
        let _held = self.one_at_a_time.lock().unwrap_or_else(PoisonError::into_inner);
        let of_dir = |error| NotWritten::Io { dir: self.dir.clone(), error };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.dir).map_err(of_dir)?;
        let kept = self.list().map_err(of_dir)?;
        let coming = bytes.len() as u64;
        let Room::Evict(evict) = spool::room(&kept, coming, quota) else {
            return Err(NotWritten::TooLarge { bytes: coming });
        };
        let mut gone = Vec::new();
        for old in kept.iter().take(evict) {
            match fs::remove_file(self.dir.join(&old.name)) {
                Ok(()) => gone.push(old.name.clone()),
                // Somebody else removed it.
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(of_dir(e)),
            }
        }
        let name = self.free_name(about);
        self.write_hidden(&name, bytes).map_err(of_dir)?;
        Ok((name, gone))
    }

    fn free_name(&self, about: About<'_>) -> String {
        let About { at, trigger, cause, interface, client } = about;
        let named = |n| spool::name(at, (trigger, cause), interface, client, n);
        let free = (0..SAME_MOMENT_MAX).map(named).find(|name| !self.dir.join(name).exists());
        free.unwrap_or_else(|| named(SAME_MOMENT_MAX))
    }

    fn write_hidden(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let (hidden, whole) = (self.dir.join(spool::hidden(name)), self.dir.join(name));
        let written = (|| {
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(true).mode(0o600);
            let mut file = options.open(&hidden)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&hidden, &whole)
        })();
        if written.is_err() {
            // The disk may be full of it.
            let _ = fs::remove_file(&hidden);
        }
        written
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn about(ms: i64) -> About<'static> {
        let (at, trigger) = (Wall::from_millis(ms), Trigger::Asked);
        About { at, trigger, cause: None, interface: "eth0", client: None }
    }

    #[test]
    fn files_are_whole_or_not_there_and_the_oldest_go() {
        let data = tempfile::tempdir().unwrap();
        let spool = Spool::of(data.path());
        assert!(spool.list().unwrap().is_empty());
        let (first, gone) = spool.write(about(1), &[1; 60], 100).unwrap();
        assert!(gone.is_empty());
        let path = data.path().join("wire").join(&first);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let (again, _) = spool.write(about(1), &[2; 30], 100).unwrap();
        assert_ne!(first, again);
        let (third, gone) = spool.write(about(3), &[3; 60], 100).unwrap();
        assert_eq!(gone, [first]);
        let names: Vec<String> = spool.list().unwrap().into_iter().map(|kept| kept.name).collect();
        assert_eq!(names, [again, third]);
        assert!(matches!(spool.write(about(4), &[4; 101], 100), Err(NotWritten::TooLarge { .. })));
        assert_eq!(spool.list().unwrap().len(), 2, "nothing went for what is not kept");
    }

    #[test]
    fn what_was_left_half_written_is_removed_and_nothing_else() {
        let data = tempfile::tempdir().unwrap();
        let dir = data.path().join("wire");
        fs::create_dir(&dir).unwrap();
        let name = spool::name(Wall::from_millis(1), (Trigger::Log, Some("lb")), "eth0", None, 0);
        for name in [spool::hidden(&name).as_str(), &name, ".mine", "notes"] {
            fs::write(dir.join(name), "x").unwrap();
        }
        let spool = Spool::of(data.path());
        assert_eq!(spool.list().unwrap().len(), 1);
        let mut left: Vec<_> =
            fs::read_dir(&dir).unwrap().map(|e| e.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, [".mine", &name, "notes"]);
    }
}
