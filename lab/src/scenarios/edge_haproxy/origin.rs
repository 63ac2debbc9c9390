//! The server behind HAProxy: slow where the path says so.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use anyhow::{Result, ensure};

/// How long whoever is slow is slow.
pub const SLOW: Duration = Duration::from_millis(400);
/// How long an answer takes that HAProxy does not wait for.
const TOO_LONG: Duration = Duration::from_millis(1500);
/// A body that no kernel buffer takes in.
const BIG: usize = 20_000_000;

/// Starts it and says where; its threads end with the process.
///
/// # Errors
/// Where it cannot listen.
pub fn start() -> Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let at = listener.local_addr()?;
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // Clients that leave and proxies that give up are part of the play.
            std::thread::spawn(move || drop(serve(stream)));
        }
    });
    Ok(at)
}

fn serve(mut stream: TcpStream) -> Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let path = request(&mut stream)?;
    let length = match path.as_str() {
        "/big-body" => BIG,
        "/small-body" => 20_000,
        _ => 8,
    };
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    let body = vec![b'x'; length];
    let (first, second) = body.split_at(length / 2);
    match path.as_str() {
        "/wait" | "/left" | "/full-1" | "/full-2" => std::thread::sleep(SLOW),
        "/too-long" => std::thread::sleep(TOO_LONG),
        _ => {}
    }
    stream.write_all(head.as_bytes())?;
    stream.write_all(first)?;
    if path == "/stall" {
        std::thread::sleep(SLOW);
    }
    stream.write_all(second)?;
    Ok(())
}

/// Reads a request, its body too, and gives its path.
fn request(stream: &mut TcpStream) -> Result<String> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break at + 4;
        }
        more(stream, &mut bytes)?;
    };
    let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    while bytes.len() < end + length.unwrap_or(0) {
        more(stream, &mut bytes)?;
    }
    Ok(head.split_ascii_whitespace().nth(1).unwrap_or_default().to_owned())
}

fn more(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Result<()> {
    let mut room = [0; 4096];
    let n = stream.read(&mut room)?;
    ensure!(n > 0 && bytes.len() < 1 << 20, "no whole request");
    bytes.extend_from_slice(&room[..n]);
    Ok(())
}
