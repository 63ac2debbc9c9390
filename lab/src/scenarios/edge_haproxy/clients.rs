//! Clients, well-behaved and not. Each gives the port it asked from, by which a line is found that
//! has no path.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Result, ensure};

use super::origin::SLOW;

/// How long a read may take until the scenario fails.
const READ_MAX: Duration = Duration::from_secs(20);

/// Asks and reads the answer.
pub fn get(at: SocketAddr, path: &str) -> Result<u16> {
    pieces(at, &[&format!("GET {path} HTTP/1.1\r\nHost: shop.lab\r\nConnection: close\r\n\r\n")])
}

/// Sends pieces with a pause between them, and reads what is answered.
pub fn pieces(at: SocketAddr, pieces: &[&str]) -> Result<u16> {
    let mut stream = connect(at)?;
    for (n, piece) in pieces.iter().enumerate() {
        if n > 0 {
            std::thread::sleep(SLOW);
        }
        stream.write_all(piece.as_bytes())?;
    }
    let port = stream.local_addr()?.port();
    read(stream)?;
    Ok(port)
}

/// Asks, and reads only after a pause.
pub fn slow_reader(at: SocketAddr, path: &str, pause: Duration) -> Result<u16> {
    let mut stream = connect(at)?;
    let asked = format!("GET {path} HTTP/1.1\r\nHost: shop.lab\r\nConnection: close\r\n\r\n");
    stream.write_all(asked.as_bytes())?;
    std::thread::sleep(pause);
    let port = stream.local_addr()?.port();
    let length = read(stream)?;
    ensure!(length > 20_000, "only {length} bytes of {path}");
    Ok(port)
}

/// Asks and resets the connection long before the answer.
pub fn resets(at: SocketAddr, path: &str) -> Result<u16> {
    let mut stream = connect(at)?;
    let port = stream.local_addr()?.port();
    let asked = format!("GET {path} HTTP/1.1\r\nHost: shop.lab\r\n\r\n");
    stream.write_all(asked.as_bytes())?;
    std::thread::sleep(SLOW / 4);
    let at_once = Some(Duration::ZERO);
    socket2::SockRef::from(&stream).set_linger(at_once)?;
    Ok(port)
}

/// Sends the beginning of a request and closes.
pub fn half(at: SocketAddr) -> Result<u16> {
    let mut stream = connect(at)?;
    stream.write_all(b"GET /half HTTP/1.1\r\nHost: sh")?;
    stream.shutdown(std::net::Shutdown::Write)?;
    let port = stream.local_addr()?.port();
    read(stream)?;
    Ok(port)
}

fn connect(at: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(at)?;
    stream.set_read_timeout(Some(READ_MAX))?;
    Ok(stream)
}

/// To its end, a reset being one.
fn read(mut stream: TcpStream) -> Result<usize> {
    let (mut room, mut length) = (vec![0; 1 << 18], 0);
    loop {
        match stream.read(&mut room) {
            Ok(0) => return Ok(length),
            Ok(n) => length += n,
            Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => return Ok(length),
            Err(e) => return Err(e.into()),
        }
    }
}
