//! Peers that break every rule get a coded failure in time, and their bytes never reach a terminal.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::scenario::Scenario;
use crate::world::World;

/// See the module.
pub const SCENARIO: Scenario = Scenario {
    name: "hostile",
    proves: "broken, stalled and endless answers, and redirects inwards, are coded failures",
    needs: &[],
    run,
};

/// What a hostile server does with a connection, and what must be said of it.
struct Case {
    name: &'static str,
    scheme: &'static str,
    answer: fn(&mut TcpStream) -> std::io::Result<()>,
    codes: &'static [&'static str],
}

const CASES: &[Case] = &[
    Case {
        name: "garbage instead of HTTP",
        scheme: "http",
        answer: |s| s.write_all(&[0, 159, 146, 150, 13, 10, 13, 10]),
        codes: &["http_malformed"],
    },
    Case {
        name: "garbage instead of TLS",
        scheme: "https",
        answer: |s| s.write_all(b"SSH-2.0-OpenSSH_9.2\r\n"),
        codes: &["tls_malformed"],
    },
    Case {
        name: "closed without a word",
        scheme: "http",
        answer: |_| Ok(()),
        codes: &["closed", "reset"],
    },
    Case { name: "never a word", scheme: "http", answer: |s| wait(s), codes: &["wait_timeout"] },
    Case {
        name: "a handshake that never goes on",
        scheme: "https",
        answer: |s| wait(s),
        codes: &["tls_timeout"],
    },
    Case {
        name: "a body that stalls",
        scheme: "http",
        answer: |s| {
            s.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")?;
            wait(s)
        },
        codes: &["body_timeout"],
    },
    Case {
        name: "a body that ends early",
        scheme: "http",
        answer: |s| s.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf"),
        codes: &["closed", "reset", "http_malformed"],
    },
    Case {
        name: "a body without end",
        scheme: "http",
        answer: |s| {
            s.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
            loop {
                s.write_all(&[b'x'; 65536])?;
            }
        },
        codes: &["body_too_large", "body_timeout"],
    },
    Case {
        name: "headers without end",
        scheme: "http",
        answer: |s| {
            s.write_all(b"HTTP/1.1 200 OK\r\n")?;
            loop {
                s.write_all(b"x-more: and more and more and more and more\r\n")?;
            }
        },
        codes: &["http_malformed"],
    },
    Case {
        name: "a redirect to the cloud's metadata",
        scheme: "http",
        answer: |s| redirect(s, "http://169.254.169.254/latest/meta-data/"),
        codes: &["redirect_refused"],
    },
    Case {
        name: "the same, mapped into IPv6",
        scheme: "http",
        answer: |s| redirect(s, "http://[::ffff:169.254.169.254]/latest/meta-data/"),
        codes: &["redirect_refused"],
    },
    Case {
        name: "a redirect to a file",
        scheme: "http",
        answer: |s| redirect(s, "file:///etc/passwd"),
        codes: &["redirect_refused"],
    },
];

/// More than any run's timeout here.
const LONGER: Duration = Duration::from_secs(8);

fn run(world: &World) -> Result<()> {
    for case in CASES {
        let url = format!("{}://{}/", case.scheme, serve(case.answer)?);
        let seen = world.check(&[&url, "--timeout", "1500ms", "--insecure"])?;
        ensure!(
            seen.exit == 2 && case.codes.contains(&seen.code()),
            "{}: expected {:?}, found {:#}",
            case.name,
            case.codes,
            seen.run
        );
        seen.adds_up().context(case.name)?;
    }
    dns(world)?;
    terminal(world)
}

/// A name server that answers with noise.
fn dns(world: &World) -> Result<()> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    let at = socket.local_addr()?;
    std::thread::spawn(move || {
        let mut query = [0; 512];
        while let Ok((length, peer)) = socket.recv_from(&mut query) {
            // The id is right, everything after it is not.
            let reply = [&query[..2], &[0xff; 30][..length.min(30)]].concat();
            if socket.send_to(&reply, peer).is_err() {
                return;
            }
        }
    });
    let seen = world.check(&[&format!("dns:shop.lab@{at}"), "--timeout", "1500ms"])?;
    let coded = ["resolve_malformed", "resolve_timeout"].contains(&seen.code());
    ensure!(coded && seen.exit == 2, "{:#}", seen.run);
    Ok(())
}

/// What a server says is shown with its control bytes spelled out.
fn terminal(world: &World) -> Result<()> {
    let at = serve(|s| {
        let headers =
            b"HTTP/1.1 503 \x1b[2Jno\r\nserver: \x1b]0;owned\x07\r\ncontent-length: 9\r\n\r\n";
        s.write_all(headers)?;
        s.write_all(b"\x1b[31mred\n")
    })?;
    let said = world.whyslow().args(["check", &format!("http://{at}/")]).output()?;
    let all = [said.stdout, said.stderr].concat();
    ensure!(said.status.code() == Some(2), "{}", String::from_utf8_lossy(&all));
    let wild = all.iter().any(|b| matches!(b, 0..=8 | 11..=31 | 127));
    ensure!(!wild, "control bytes of the server: {:?}", String::from_utf8_lossy(&all));
    Ok(())
}

/// Serves on a free port for the rest of this process.
fn serve(answer: fn(&mut TcpStream) -> std::io::Result<()>) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let at = listener.local_addr()?;
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut stream = stream;
                let mut asked = [0; 4096];
                if stream.read(&mut asked).is_ok() {
                    // The client may have given up, which is what it should do.
                    let _ = answer(&mut stream);
                }
            });
        }
    });
    Ok(at)
}

fn redirect(stream: &mut TcpStream, to: &str) -> std::io::Result<()> {
    write!(stream, "HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n")
}

/// Says nothing until the client has long given up.
fn wait(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(LONGER))?;
    stream.read(&mut [0; 64]).map(drop)
}
