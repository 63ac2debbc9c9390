//! One TCP connection and what is spoken on it.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::time::timeout;
use whyslow_model::Mono;
use whyslow_model::conversation::{
    HttpAsk, HttpDone, HttpFault, TcpState, TlsAsk, TlsDone, TlsFault,
};
use whyslow_sys::clock::mono;

use crate::conduit::{Conduit, Stamps, Stream};
use crate::http::{self, Session};
use crate::{Dial, faults, tls};

/// One TCP connection; closed when dropped.
#[derive(Debug)]
pub struct Connection {
    state: State,
    stamps: Arc<Stamps>,
    /// A second handle to the socket, since hyper keeps the first to itself.
    kernel: Option<OwnedFd>,
}

#[derive(Debug)]
enum State {
    Fresh(Stream),
    Http(Session),
    Gone,
}

impl Connection {
    pub(crate) fn over(stream: TcpStream) -> Self {
        let kernel = stream.as_fd().try_clone_to_owned().ok();
        Self { state: State::Fresh(Stream::Plain(stream)), stamps: Arc::default(), kernel }
    }

    /// Shakes hands by TLS. What follows is within TLS.
    pub async fn tls(&mut self, dial: &Dial, ask: &TlsAsk) -> TlsDone {
        let State::Fresh(Stream::Plain(stream)) = std::mem::replace(&mut self.state, State::Gone)
        else {
            // A second handshake on one connection is nothing the core asks for.
            let why = "the connection is not fresh".to_owned();
            return TlsDone::failed(mono(), TlsFault::Local(why));
        };
        let (mut done, stream) = tls::greet(&dial.trust, stream, ask).await;
        if let Some(stream) = stream {
            self.state = State::Fresh(Stream::Tls(Box::new(stream)));
        }
        done.tcp = self.tcp().or(done.tcp);
        done
    }

    /// Sends one request and reads its answer.
    pub async fn http(&mut self, ask: &HttpAsk) -> HttpDone {
        let began = mono();
        self.stamps.clear();
        if let State::Fresh(_) = self.state
            && let State::Fresh(stream) = std::mem::replace(&mut self.state, State::Gone)
        {
            let conduit = Conduit::new(stream, Arc::clone(&self.stamps), ask.http2);
            let limit = ask.limits.send.min(ask.limits.total);
            match timeout(limit, Session::begin(conduit, ask.http2)).await {
                Ok(Ok(session)) => self.state = State::Http(session),
                Ok(Err(fault)) => return self.failed(began, fault),
                Err(_) => return self.failed(began, HttpFault::TimedOut),
            }
        }
        let State::Http(session) = &mut self.state else {
            return self.failed(began, HttpFault::Closed);
        };
        let mut done = http::exchange(session, &self.stamps, ask, began).await;
        done.tcp = self.tcp();
        done
    }

    fn tcp(&self) -> Option<TcpState> {
        self.kernel.as_ref().and_then(faults::tcp_state)
    }

    fn failed(&self, began: Mono, fault: HttpFault) -> HttpDone {
        HttpDone { ended: mono(), tcp: self.tcp(), ..HttpDone::failed(began, fault) }
    }
}
