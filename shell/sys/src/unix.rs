//! Unix sockets at a path of the file system: made with the wanted rights, and in place of what a
//! killed process left behind, but never of a socket that somebody listens on.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use crate::Error;

/// The file of a bound socket; removed when dropped.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    /// Device and number of the file, so that a successor's is not removed.
    id: (u64, u64),
}

/// Listens for streams at `path`, with the access rights `mode`.
///
/// # Errors
/// Where somebody listens there already, something else than a socket is there, or the directory
/// cannot be written.
pub fn listen(path: &Path, mode: u32) -> Result<(UnixListener, SocketFile), Error> {
    make_way(path)?;
    let listener = UnixListener::bind(path).map_err(refused)?;
    listener.set_nonblocking(true).map_err(refused)?;
    let file = SocketFile::of(path, mode)?;
    Ok((listener, file))
}

/// Receives datagrams at `path`, with the access rights `mode`.
///
/// # Errors
/// As [`listen`].
pub fn bind_datagram(path: &Path, mode: u32) -> Result<(UnixDatagram, SocketFile), Error> {
    make_way(path)?;
    let socket = UnixDatagram::bind(path).map_err(refused)?;
    socket.set_nonblocking(true).map_err(refused)?;
    let file = SocketFile::of(path, mode)?;
    Ok((socket, file))
}

impl SocketFile {
    fn of(path: &Path, mode: u32) -> Result<Self, Error> {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(refused)?;
        let id = id(&fs::symlink_metadata(path).map_err(refused)?);
        Ok(Self { path: path.to_owned(), id })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|found| id(&found) == self.id) {
            // What is left is found stale by the next one.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn id(of: &fs::Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    (of.dev(), of.ino())
}

/// Removes a socket that nobody listens on; leaves everything else.
fn make_way(path: &Path) -> Result<(), Error> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(refused(error)),
    };
    if !found.file_type().is_socket() {
        let source = io::Error::new(io::ErrorKind::AlreadyExists, "something else is there");
        let hint = Some("choose a path at which nothing is");
        return Err(Error { operation: OPERATION, hint, source });
    }
    if is_alive(path) {
        let hint = Some("another program, perhaps another whyslow, listens there");
        return Err(Error { operation: OPERATION, hint, source: io::ErrorKind::AddrInUse.into() });
    }
    fs::remove_file(path).map_err(refused)
}

/// Whether somebody has the socket open: a refusal is what a dead one answers, and a socket of the
/// other type answers by its type.
fn is_alive(path: &Path) -> bool {
    let refused = |error: &io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    if let Err(error) = UnixStream::connect(path)
        && refused(&error)
    {
        return false;
    }
    let datagram = UnixDatagram::unbound().and_then(|socket| socket.connect(path));
    !matches!(datagram, Err(error) if refused(&error))
}

const OPERATION: &str = "open a unix socket";

fn refused(source: io::Error) -> Error {
    let hints = [
        (io::ErrorKind::NotFound, "make the directory first; it is not made here"),
        (
            io::ErrorKind::PermissionDenied,
            "the user whyslow runs as needs the right to write the directory",
        ),
        (io::ErrorKind::InvalidInput, "choose a shorter path: the kernel takes 107 bytes"),
    ];
    let hint = hints.iter().find(|(kind, _)| *kind == source.kind()).map(|(_, hint)| *hint);
    Error { operation: OPERATION, hint, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_somebody_listens_on_is_left_alone_and_a_dead_one_is_replaced() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("lb.sock");
        let (first, file) = listen(&path, 0o600).expect("listen");
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        let taken = listen(&path, 0o600).expect_err("taken");
        assert_eq!(taken.source.kind(), io::ErrorKind::AddrInUse);
        assert!(bind_datagram(&path, 0o600).is_err());
        drop(first);
        std::mem::forget(file);
        let (_socket, file) = bind_datagram(&path, 0o666).expect("the dead one is replaced");
        assert!(bind_datagram(&path, 0o666).is_err());
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn what_is_no_socket_is_left_alone() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("file");
        fs::write(&path, "precious").expect("write");
        assert!(listen(&path, 0o666).is_err());
        assert_eq!(fs::read_to_string(&path).expect("there"), "precious");
        let nowhere = listen(&dir.path().join("no/such"), 0o666).expect_err("no directory");
        assert!(nowhere.hint.is_some());
    }
}
