//! The bytes under an HTTP conversation, plain or within TLS, with a stamp on those that count.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use whyslow_model::Mono;
use whyslow_sys::clock::mono;

use crate::frames::Frames;

/// A stream in either coat.
#[derive(Debug)]
pub(crate) enum Stream {
    /// Bare TCP.
    Plain(TcpStream),
    /// Within TLS.
    Tls(Box<TlsStream<TcpStream>>),
}

/// When the request of the exchange under way was handed over, and when its answer began.
#[derive(Debug, Default)]
pub(crate) struct Stamps {
    /// Nanoseconds of the monotonic clock; 0 for not yet.
    sent: AtomicU64,
    first: AtomicU64,
}

impl Stamps {
    /// Forgets the exchange before.
    pub(crate) fn clear(&self) {
        self.sent.store(0, Ordering::Relaxed);
        self.first.store(0, Ordering::Relaxed);
    }

    pub(crate) fn sent(&self) -> Option<Mono> {
        stamp(&self.sent)
    }

    pub(crate) fn first(&self) -> Option<Mono> {
        stamp(&self.first)
    }

    fn wrote(&self) {
        if self.first().is_none() {
            self.sent.store(mono().as_nanos(), Ordering::Relaxed);
        }
    }

    fn read(&self) {
        // What comes before a request has gone out is not its answer.
        if self.first().is_none() && self.sent().is_some() {
            self.first.store(mono().as_nanos(), Ordering::Relaxed);
        }
    }
}

fn stamp(at: &AtomicU64) -> Option<Mono> {
    match at.load(Ordering::Relaxed) {
        0 => None,
        ns => Some(Mono::from_nanos(ns)),
    }
}

/// A stream that stamps what passes through it.
#[derive(Debug)]
pub(crate) struct Conduit {
    stream: Stream,
    stamps: Arc<Stamps>,
    /// In HTTP/2 settings and window updates pass besides; only requests and answers count.
    frames: Option<(Frames, Frames)>,
}

impl Conduit {
    pub(crate) fn new(stream: Stream, stamps: Arc<Stamps>, http2: bool) -> Self {
        let frames = http2.then(|| (Frames::after_preface(), Frames::default()));
        Self { stream, stamps, frames }
    }

    fn wrote(&mut self, bytes: &[u8]) {
        let counts = self.frames.as_mut().is_none_or(|(out, _)| out.carry_message(bytes));
        if counts {
            self.stamps.wrote();
        }
    }
}

impl AsyncRead for Conduit {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = match &mut self.stream {
            Stream::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Stream::Tls(tls) => Pin::new(&mut **tls).poll_read(cx, buf),
        };
        let new = buf.filled().get(before..).unwrap_or_default();
        if !new.is_empty() {
            let counts = self.frames.as_mut().is_none_or(|(_, back)| back.carry_message(new));
            if counts {
                self.stamps.read();
            }
        }
        polled
    }
}

impl AsyncWrite for Conduit {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = match &mut self.stream {
            Stream::Plain(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Stream::Tls(tls) => Pin::new(&mut **tls).poll_write(cx, bytes),
        };
        if let Poll::Ready(Ok(n)) = polled {
            self.wrote(bytes.get(..n).unwrap_or_default());
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Stream::Tls(tls) => Pin::new(&mut **tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Stream::Tls(tls) => Pin::new(&mut **tls).poll_shutdown(cx),
        }
    }
}
