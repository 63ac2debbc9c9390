//! Balancers' logs to read: the same bytes on every machine.

use std::fmt::Write as _;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use anyhow::Result;

/// Requests a second of the log's own clock.
const RATE: u64 = 10_000;

/// Numbers that look random and are not (xorshift64*).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % n
    }

    /// Most are small, a few are very large: the product of three.
    fn tail(&mut self, scale: u64) -> u64 {
        (self.below(scale) + 1) * (self.below(scale) + 1) * (self.below(scale) + 1)
            / (scale * scale)
    }

    /// One of 400, the first ones more often.
    fn popular(&mut self) -> u64 {
        self.below(20) * self.below(21)
    }
}

/// An HAProxy httplog by way of syslog, with a host name, of which `halog` has need: 24 servers in
/// two backends, some 400 templates.
///
/// # Errors
/// Where the file cannot be written.
pub fn haproxy(directory: &Path, lines: u64) -> Result<String> {
    made(directory, "haproxy.log", lines, |line, n, i| {
        let (ms, second) = (i % RATE * 1000 / RATE, i / RATE % 60);
        let minute = i / RATE / 60;
        let (server, word) = (n.below(24) + 1, n.popular());
        let backend = if server <= 16 { "bidders" } else { "sync" };
        let (wait, body) = (n.tail(90) + 1, n.below(9));
        let code = match n.below(1000) {
            0..980 => 200,
            980..990 => 302,
            990..997 => 404,
            _ => 503,
        };
        writeln!(
            line,
            "Nov 21 10:{minute:02}:{second:02} lb1 haproxy[1234]: 10.{}.{}.{}:{} \
             [21/Nov/2026:10:{minute:02}:{second:02}.{ms:03}] fe_main {backend}/app{server:02} \
             0/0/{}/{wait}/{} {code} {} - - ---- {}/{}/{}/{}/0 0/0 \
             \"GET /{}/{}{}/items/{} HTTP/1.1\"",
            n.below(256),
            n.below(256),
            n.below(256),
            1024 + n.below(60_000),
            n.below(3),
            wait + body + 2,
            200 + n.below(40_000),
            200 + n.below(500),
            190 + n.below(10),
            90 + n.below(10),
            9 + n.below(10),
            ["api", "shop", "static", "feed"][(word % 4) as usize],
            ["orders", "products", "users", "carts", "offers"][(word / 4 % 5) as usize],
            word / 20,
            n.below(2000),
        )
    })
}

/// An nginx access log with the four upstream lists, one request in twenty tried twice.
///
/// # Errors
/// Where the file cannot be written.
pub fn nginx(directory: &Path, lines: u64) -> Result<String> {
    made(directory, "nginx.log", lines, |line, n, i| {
        let (second, minute) = (i / RATE % 60, i / RATE / 60);
        let (server, word, wait, drain) =
            (n.below(24) + 1, n.popular(), n.tail(90) + 1, n.below(9));
        write!(
            line,
            "10.{}.{}.{} - - [21/Nov/2026:10:{minute:02}:{second:02} +0000] \"GET /{}/{}{}/items/{}?q={} \
             HTTP/1.1\" 200 {} \"-\" \"Mozilla/5.0 (X11; Linux x86_64)\" rt={}.{:03} ",
            n.below(256),
            n.below(256),
            n.below(256),
            ["api", "shop", "static", "feed"][(word % 4) as usize],
            ["orders", "products", "users", "carts", "offers"][(word / 4 % 5) as usize],
            word / 20,
            n.below(2000),
            n.below(100),
            200 + n.below(40_000),
            (wait + drain) / 1000,
            (wait + drain) % 1000,
        )?;
        let (s, ms, other) = (wait / 1000, wait % 1000, n.below(24) + 1);
        if n.below(20) == 0 {
            writeln!(
                line,
                "uct=\"0.000, 0.001\" uht=\"-, {s}.{ms:03}\" urt=\"0.000, {s}.{ms:03}\" \
                 up=\"10.9.0.{other}:8080, 10.9.0.{server}:8080\"",
            )
        } else {
            writeln!(
                line,
                "uct=\"0.001\" uht=\"{s}.{ms:03}\" urt=\"{s}.{ms:03}\" up=\"10.9.0.{server}:8080\"",
            )
        }
    })
}

/// The file, which is made where it is not there in its full length.
fn made(
    directory: &Path,
    name: &str,
    lines: u64,
    mut line: impl FnMut(&mut String, &mut Numbers, u64) -> std::fmt::Result,
) -> Result<String> {
    std::fs::create_dir_all(directory)?;
    let (path, part) = (directory.join(name), directory.join(format!("{name}.part")));
    if !path.exists() {
        let mut file = BufWriter::with_capacity(1 << 20, std::fs::File::create(&part)?);
        let (mut numbers, mut text) = (Numbers(0x5eed), String::new());
        for i in 0..lines {
            text.clear();
            line(&mut text, &mut numbers, i)?;
            file.write_all(text.as_bytes())?;
        }
        file.flush()?;
        // So that the disk is not still busy with it while programs read it.
        file.get_ref().sync_all()?;
        std::fs::rename(&part, &path)?;
    }
    Ok(path.display().to_string())
}
