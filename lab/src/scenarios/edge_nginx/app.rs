//! The server behind the balancers, slow on demand, and clients that are.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

/// How long whoever is slow is slow.
pub const SLOW: Duration = Duration::from_millis(300);
/// A body that no socket and no proxy's memory takes in.
pub const BIG: usize = 20_000_000;
/// How long a read may take until the scenario fails.
const READ_MAX: Duration = Duration::from_secs(20);

/// The application server.
#[derive(Debug)]
pub struct App {
    /// Where it listens.
    pub at: SocketAddr,
    /// How long each big body took until all of it was handed to the kernel.
    pub sent: Receiver<Duration>,
}

impl App {
    /// Starts it; its threads end with the process.
    ///
    /// # Errors
    /// Where it cannot listen.
    pub fn start() -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let (at, (tell, sent)) = (listener.local_addr()?, channel());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let tell = tell.clone();
                // Clients that leave are part of the play.
                std::thread::spawn(move || drop(serve(stream, &tell)));
            }
        });
        Ok(Self { at, sent })
    }
}

fn serve(mut stream: TcpStream, sent: &Sender<Duration>) -> Result<()> {
    stream.set_read_timeout(Some(READ_MAX))?;
    let (head, got) = head(&mut stream)?;
    let path = head.split_ascii_whitespace().nth(1).unwrap_or_default();
    let answer = |length: usize| format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
    match path {
        "/think" => {
            std::thread::sleep(SLOW);
            stream.write_all(format!("{}ready", answer(5)).as_bytes())?;
        }
        "/stall" => {
            stream.write_all(format!("{}half", answer(8)).as_bytes())?;
            std::thread::sleep(SLOW);
            stream.write_all(b"rest")?;
        }
        "/big" => {
            let began = Instant::now();
            stream.write_all(answer(BIG).as_bytes())?;
            stream.write_all(&vec![b'x'; BIG])?;
            sent.send(began.elapsed())?;
        }
        // Says nothing until the other side gives up.
        "/hang" => drop(stream.read(&mut [0])),
        "/elsewhere" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nX-Accel-Redirect: /other\r\n")?;
            stream.write_all(b"Content-Length: 0\r\n\r\n")?;
        }
        _ => {
            let mut left = length(&head).saturating_sub(got);
            while left > 0 {
                let n = stream.read(&mut [0; 4096])?;
                ensure!(n > 0, "the body ended early");
                left = left.saturating_sub(n);
            }
            stream.write_all(format!("{}quick", answer(5)).as_bytes())?;
        }
    }
    Ok(())
}

/// A request's head, and how many bytes of its body came with it.
fn head(stream: &mut TcpStream) -> Result<(String, usize)> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            let body = bytes.split_off(end + 4);
            return Ok((String::from_utf8_lossy(&bytes).into_owned(), body.len()));
        }
        let mut room = [0; 4096];
        let n = stream.read(&mut room)?;
        ensure!(n > 0 && bytes.len() < 65_536, "no request head");
        bytes.extend_from_slice(&room[..n]);
    }
}

fn length(head: &str) -> usize {
    let told =
        head.lines().find_map(|l| l.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    told.unwrap_or(0)
}

/// A request sent, its answer not yet read.
#[derive(Debug)]
pub struct Asked(TcpStream);

/// Sends a request for a path; the connection closes behind the answer.
///
/// # Errors
/// Where nobody listens.
pub fn ask(at: SocketAddr, path: &str) -> Result<Asked> {
    send(at, &format!("GET {path} HTTP/1.1\r\nHost: shop.lab\r\nConnection: close\r\n\r\n"))
}

/// Sends bytes as they are.
///
/// # Errors
/// Where nobody listens.
pub fn send(at: SocketAddr, bytes: &str) -> Result<Asked> {
    let mut stream = TcpStream::connect(at).with_context(|| format!("connecting to {at}"))?;
    stream.set_read_timeout(Some(READ_MAX))?;
    stream.write_all(bytes.as_bytes())?;
    Ok(Asked(stream))
}

/// A request whose body comes in two halves with a pause between.
///
/// # Errors
/// Where nobody listens.
pub fn upload(at: SocketAddr, path: &str) -> Result<Asked> {
    let head = "Host: shop.lab\r\nConnection: close\r\nContent-Length: 10";
    let mut asked = send(at, &format!("POST {path} HTTP/1.1\r\n{head}\r\n\r\nfirst"))?;
    std::thread::sleep(SLOW);
    asked.0.write_all(b"after")?;
    Ok(asked)
}

impl Asked {
    /// Reads the answer to its end and gives its length.
    ///
    /// # Errors
    /// Where it does not end.
    pub fn read(mut self) -> Result<usize> {
        let (mut room, mut length) = (vec![0; 1 << 18], 0);
        loop {
            match self.0.read(&mut room)? {
                0 => return Ok(length),
                n => length += n,
            }
        }
    }

    /// Leaves without reading.
    pub fn leave(self) {
        drop(self.0);
    }
}
