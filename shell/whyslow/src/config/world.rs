//! What a configuration refers to outside itself: environment variables, files, this machine's
//! name. Tests bring their own.

use std::io;
use std::path::{Path, PathBuf};

/// The outside, as far as a configuration asks for it.
pub struct World<'a> {
    /// The value of an environment variable.
    pub environment: &'a dyn Fn(&str) -> Option<String>,
    /// The first bytes of a file; the error says why it cannot be read.
    pub file: &'a dyn Fn(&Path) -> io::Result<Vec<u8>>,
    /// Where relative file names begin.
    pub base: PathBuf,
}

impl std::fmt::Debug for World<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("base", &self.base).finish_non_exhaustive()
    }
}

impl World<'static> {
    /// This process's environment and files; relative names begin at `base`.
    pub fn here(base: &Path) -> Self {
        World {
            environment: &|name| std::env::var(name).ok(),
            file: &read_start,
            base: base.to_owned(),
        }
    }

    /// A world in which nothing is set and every file is there and holds one word.
    pub fn nowhere() -> Self {
        World { environment: &|_| None, file: &|_| Ok(b"x".to_vec()), base: PathBuf::new() }
    }
}

impl World<'_> {
    /// A file name as it is opened.
    pub fn resolved(&self, name: &str) -> PathBuf {
        self.base.join(name)
    }
}

/// Reads at most 64 KiB: enough to see that a file can be read and holds something.
fn read_start(path: &Path) -> io::Result<Vec<u8>> {
    use std::io::Read as _;
    let file = std::fs::File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a directory"));
    }
    let mut bytes = Vec::new();
    file.take(64 << 10).read_to_end(&mut bytes)?;
    Ok(bytes)
}
