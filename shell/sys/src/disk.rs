//! Room left on a file system.

use std::ffi::CString;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::Error;

/// Room on the file system that holds a path, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// In all.
    pub total_bytes: u64,
    /// Still to be had without being root.
    pub free_bytes: u64,
}

/// Room on the file system that holds `path`.
///
/// # Errors
/// Where `path` does not exist or may not be looked at.
pub fn room(path: &Path) -> Result<Room, Error> {
    const OPERATION: &str = "ask for the room left on a file system";
    let name =
        CString::new(path.as_os_str().as_bytes()).map_err(|e| Error::new(OPERATION, e.into()))?;
    let mut raw = MaybeUninit::<libc::statvfs>::zeroed();
    // SAFETY: `name` ends in a zero byte, and `raw` has room for one statvfs, which the kernel
    // fills before the call returns 0.
    let fs = unsafe {
        if libc::statvfs(name.as_ptr(), raw.as_mut_ptr()) != 0 {
            return Err(Error::last(OPERATION));
        }
        raw.assume_init()
    };
    let bytes = |blocks: u64| blocks.saturating_mul(fs.f_frsize);
    Ok(Room { total_bytes: bytes(fs.f_blocks), free_bytes: bytes(fs.f_bavail) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_temporary_directory_has_room() {
        let dir = tempfile::tempdir().expect("dir");
        let room = room(dir.path()).expect("room");
        assert!(room.total_bytes >= room.free_bytes && room.total_bytes > 0);
    }

    #[test]
    fn a_path_that_is_not_there_is_an_error() {
        let dir = tempfile::tempdir().expect("dir");
        assert!(room(&dir.path().join("no")).is_err());
    }
}
