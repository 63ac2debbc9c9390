//! One TCP connection and what is spoken on it.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
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

/// How long a peer is waited for when all is said.
const FAREWELL: Duration = Duration::from_millis(200);

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
        done.tcp = self.tcp();
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

    /// Takes leave of a peer that was only greeted, and reads what it still sends (session
    /// tickets, its own farewell): closing over unread bytes would reset the connection, which
    /// servers log and count. Whatever else was said is read already, so dropping will do.
    pub async fn close(self) {
        let State::Fresh(Stream::Tls(mut stream)) = self.state else { return };
        let farewell = async {
            stream.shutdown().await?;
            let mut room = [0; 2048];
            while stream.read(&mut room).await? > 0 {}
            Ok::<_, std::io::Error>(())
        };
        // A peer that does not answer is left all the same.
        let _ = timeout(FAREWELL, farewell).await;
    }

    fn tcp(&self) -> Option<TcpState> {
        self.kernel.as_ref().and_then(faults::tcp_state)
    }

    fn failed(&self, began: Mono, fault: HttpFault) -> HttpDone {
        HttpDone { ended: mono(), tcp: self.tcp(), ..HttpDone::failed(began, fault) }
    }
}
