//! Requests of every kind, and a count of what was answered that no log had a part in.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::super::edge_nginx::app::SLOW;

/// Ordinary requests on connections of their own.
const ORDINARY: usize = 40;
/// A user agent with quotes, a backslash, a tab, UTF-8 and a byte that is none.
const AGENT: &[u8] = b"odd \"agent\" \\ \t\xc3\xa4 \xff [x] {\"a\": 1}";
const PATIENCE: Duration = Duration::from_secs(20);

/// What the clients saw.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Answers by code.
    pub(super) codes: BTreeMap<u16, u64>,
    /// Requests that came by IPv6.
    pub(super) by_v6: u64,
    /// Clients that left in the midst of the answer, and before it.
    pub(super) left: u64,
    /// Requests that were answered slowly, on purpose.
    pub(super) slow: u64,
    /// What each answer took, summed.
    pub(super) waited: Duration,
}

impl Seen {
    /// Requests in all.
    pub(super) fn all(&self) -> u64 {
        self.codes.values().sum::<u64>() + self.left
    }

    /// Sends a request and counts its answer.
    fn ask(&mut self, at: SocketAddr, request: &[u8]) -> Result<u16> {
        let began = Instant::now();
        let mut stream = sent(at, request)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).context("reading an answer")?;
        self.waited += began.elapsed();
        let code = answer.get(9..12).and_then(|code| std::str::from_utf8(code).ok()?.parse().ok());
        let code: u16 = code.with_context(|| format!("no status in {answer:.80?}"))?;
        *self.codes.entry(code).or_default() += 1;
        self.by_v6 += u64::from(at.is_ipv6());
        Ok(code)
    }
}

/// Plays all of it against one server at two addresses. What a server refuses before it is a
/// request is in `junk`.
pub(super) fn play(v4: SocketAddr, v6: SocketAddr, junk: &[&[u8]]) -> Result<Seen> {
    let mut seen = Seen::default();
    for n in 0..ORDINARY {
        let at = if n % 4 == 0 { v6 } else { v4 };
        ensure!(seen.ask(at, &get(format!("/quick/{n}?a=b%20{n}").as_bytes()))? == 200);
    }
    for _ in 0..3 {
        ensure!(seen.ask(v4, &get(b"/missing/page"))? == 404);
        ensure!(seen.ask(v6, &get(b"/broken/page"))? == 500);
        ensure!(seen.ask(v4, &get(b"/think"))? == 200);
        ensure!(seen.ask(v4, &get(b"/stall"))? == 200);
        seen.slow += 2;
    }
    for path in
        [&b"/odd/%22%5c%7f%c3%a4%ff"[..], b"/odd/'[x]'{}|^`", b"/odd/\xc3\xa4", b"/odd/\"q\""]
    {
        seen.ask(v4, &get(path))?;
    }
    for junk in junk {
        seen.ask(v4, junk)?;
    }
    leave_amid(v4, &mut seen)?;
    Ok(seen)
}

/// Takes the beginning of an answer that no buffer on the way takes in, and is gone.
fn leave_amid(at: SocketAddr, seen: &mut Seen) -> Result<()> {
    for _ in 0..2 {
        let mut stream = sent(at, &get(b"/big"))?;
        stream.read_exact(&mut [0; 4096]).context("reading a beginning")?;
        seen.left += 1;
    }
    Ok(())
}

fn sent(at: SocketAddr, request: &[u8]) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(at).with_context(|| format!("connecting to {at}"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(request)?;
    Ok(stream)
}

fn get(path: &[u8]) -> Vec<u8> {
    let head = b" HTTP/1.1\r\nHost: shop.lab\r\nConnection: close\r\nUser-Agent: ";
    [b"GET ", path, head, AGENT, b"\r\n\r\n"].concat()
}

/// The least and the most that all logged times together may be: every slow answer was slow, and
/// nothing took longer than its client waited, but for the clients that left and a moment each.
pub(super) fn bounds_ms(seen: &Seen) -> (f64, f64) {
    let ms = |d: Duration| d.as_secs_f64() * 1000.0;
    #[expect(clippy::cast_precision_loss, reason = "a few requests")]
    let (slow, all, left) = (seen.slow as f64, seen.all() as f64, seen.left as f64);
    (slow * ms(SLOW), ms(seen.waited) + all * 5.0 + left * ms(PATIENCE))
}
