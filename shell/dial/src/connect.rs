//! A TCP connection to the first of several addresses that answers (RFC 8305).

use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};
use whyslow_model::conversation::{Attempt, ConnectAsk, ConnectFault, Connected, TcpState};
use whyslow_sys::clock::mono;

use crate::Dial;
use crate::connection::Connection;
use crate::faults;

/// How long one address is waited for before the next is tried beside it (RFC 8305 section 5).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

impl Dial {
    /// Connects to the first address that answers.
    pub async fn connect(&self, ask: &ConnectAsk) -> (Connected, Option<Connection>) {
        let (connected, stream) = connect_stream(ask).await;
        (connected, stream.map(Connection::over))
    }
}

pub(crate) async fn connect_stream(ask: &ConnectAsk) -> (Connected, Option<TcpStream>) {
    let began = mono();
    let mut race = Race::new(ask);
    let winner = race.run().await;
    let ended = mono();
    let tcp = winner.as_ref().and_then(|winner| winner.tcp);
    let remote = winner.as_ref().map(|winner| winner.address);
    let attempts = race.attempts(remote);
    let fault = if remote.is_some() { None } else { Some(most_telling(&attempts)) };
    let stream = winner.map(|winner| winner.stream);
    let local = stream.as_ref().and_then(|stream| stream.local_addr().ok());
    (Connected { began, ended, remote, local, attempts, fault, tcp }, stream)
}

/// The attempts under way.
struct Race<'a> {
    ask: &'a ConnectAsk,
    end: Instant,
    runners: Vec<Runner>,
    next: usize,
    /// When the next address is tried although the ones before have not failed.
    patience: Pin<Box<Sleep>>,
}

struct Runner {
    told: Attempt,
    stream: Option<TcpStream>,
}

/// The first attempt that succeeded.
struct Winner {
    address: SocketAddr,
    stream: TcpStream,
    /// The kernel's view at that moment.
    tcp: Option<TcpState>,
}

impl<'a> Race<'a> {
    fn new(ask: &'a ConnectAsk) -> Self {
        let now = Instant::now();
        let end = now + ask.timeout;
        let patience = Box::pin(sleep_until(end.min(now + ATTEMPT_DELAY)));
        Self { ask, end, runners: Vec::with_capacity(1), next: 0, patience }
    }

    async fn run(&mut self) -> Option<Winner> {
        self.start_next();
        poll_fn(|cx| self.poll(cx)).await
    }

    fn start_next(&mut self) -> bool {
        let Some(address) = self.ask.addresses.get(self.next).copied() else { return false };
        self.next += 1;
        let began = mono();
        let mut told = Attempt { address, began, ended: began, fault: None, syn_retransmits: 0 };
        let stream = match begin(address, self.ask.source) {
            Ok(stream) => Some(stream),
            Err(error) => {
                told.ended = mono();
                told.fault = Some(faults::of_connect(&error));
                None
            }
        };
        self.runners.push(Runner { told, stream });
        true
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Winner>> {
        loop {
            for runner in &mut self.runners {
                if let Some(winner) = runner.poll(cx) {
                    return Poll::Ready(Some(winner));
                }
            }
            let all_failed = self.runners.iter().all(|r| r.stream.is_none());
            let more = self.next < self.ask.addresses.len();
            if all_failed && !more {
                return Poll::Ready(None);
            }
            let waited = !all_failed && self.patience.as_mut().poll(cx).is_ready();
            if waited && Instant::now() >= self.end {
                self.give_up();
                return Poll::Ready(None);
            }
            if !all_failed && !waited {
                return Poll::Pending;
            }
            let started = more && self.start_next();
            let next = Instant::now() + ATTEMPT_DELAY;
            let wait =
                if started && self.next < self.ask.addresses.len() { next } else { self.end };
            self.patience.as_mut().reset(wait.min(self.end));
        }
    }

    fn give_up(&mut self) {
        let now = mono();
        for runner in self.runners.iter_mut().filter(|r| r.stream.is_some()) {
            runner.told.ended = now;
            runner.told.fault = Some(ConnectFault::TimedOut);
        }
    }

    /// What became of each attempt, SYNs counted while the sockets are still there.
    fn attempts(&mut self, winner: Option<SocketAddr>) -> Vec<Attempt> {
        let now = mono();
        let told = |mut runner: Runner| {
            if let Some(stream) = &runner.stream {
                runner.told.syn_retransmits = retransmits(stream);
            }
            let undecided = runner.told.fault.is_none() && Some(runner.told.address) != winner;
            if undecided {
                runner.told.ended = now;
            }
            runner.told
        };
        self.runners.drain(..).map(told).collect()
    }
}

impl Runner {
    fn poll(&mut self, cx: &mut Context<'_>) -> Option<Winner> {
        let stream = self.stream.as_ref()?;
        let Poll::Ready(ready) = stream.poll_write_ready(cx) else { return None };
        self.told.ended = mono();
        let tcp = faults::tcp_state(stream);
        self.told.syn_retransmits = tcp.map_or(0, |state| state.retransmits);
        match ready.and_then(|()| stream.take_error()) {
            Ok(None) => {
                let address = self.told.address;
                self.stream.take().map(|stream| Winner { address, stream, tcp })
            }
            Ok(Some(error)) | Err(error) => {
                self.told.fault = Some(faults::of_connect(&error));
                self.stream = None;
                None
            }
        }
    }
}

fn retransmits(stream: &TcpStream) -> u32 {
    faults::tcp_state(stream).map_or(0, |state| state.retransmits)
}

/// Sends the first SYN. The socket exists from here on, so that the kernel can be asked how it
/// goes, even where nothing ever answers.
fn begin(address: SocketAddr, source: Option<IpAddr>) -> io::Result<TcpStream> {
    let kind = Type::STREAM.nonblocking();
    let socket = Socket::new(Domain::for_address(address), kind, Some(Protocol::TCP))?;
    socket.set_tcp_nodelay(true)?;
    if let Some(source) = source {
        socket.bind(&SockAddr::from(SocketAddr::new(source, 0)))?;
    }
    match socket.connect(&SockAddr::from(address)) {
        Ok(()) => {}
        Err(error) if error.raw_os_error() == Some(EINPROGRESS) => {}
        Err(error) => return Err(error),
    }
    TcpStream::from_std(socket.into())
}

/// Linux's number for "under way", which std has no kind for.
const EINPROGRESS: i32 = 115;

/// Of several failed attempts the one that says most: an answer over silence, silence over no
/// way at all, and our own fault last.
fn most_telling(attempts: &[Attempt]) -> ConnectFault {
    let weight = |fault: &ConnectFault| match fault {
        ConnectFault::Refused => 0,
        ConnectFault::Reset => 1,
        ConnectFault::TimedOut => 2,
        ConnectFault::Unreachable(_) => 3,
        ConnectFault::Local(_) => 4,
    };
    let faults = attempts.iter().filter_map(|a| a.fault.as_ref());
    faults.min_by_key(|f| weight(f)).cloned().unwrap_or(ConnectFault::TimedOut)
}
