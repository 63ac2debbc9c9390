//! One HTTP request and its answer, driven in place: no task is started that could outlive it.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, Sleep, sleep_until};
use whyslow_model::Mono;
use whyslow_model::conversation::{HttpAsk, HttpDone, HttpFault};
use whyslow_sys::clock::mono;

use crate::conduit::{Conduit, Stamps};
use crate::{faults, tls};

type Answer = hyper::Response<Incoming>;
type Answering = Pin<Box<dyn Future<Output = hyper::Result<Answer>> + Send>>;
type Driving = Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>;

/// Bytes of an answer's head.
const HEAD_BYTES_MAX: usize = 256 << 10;
/// Header fields of an answer.
const HEADERS_MAX: usize = 256;

/// An HTTP conversation on one connection.
pub(crate) struct Session {
    speaker: Speaker,
    /// What moves the bytes; `None` once the connection is over.
    driver: Option<Driving>,
    chores: Chores,
}

type Chore = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What HTTP/2 wants done beside. It is done when the conversation is driven, and dropped with
/// it, so that a peer that goes silent holds no task and no socket of ours.
#[derive(Clone, Default)]
struct Chores(Arc<Mutex<Vec<Chore>>>);

impl<F> hyper::rt::Executor<F> for Chores
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, chore: F) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Box::pin(chore));
    }
}

impl Chores {
    fn take(&self) -> Vec<Chore> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Goes on with each, and with those that begin meanwhile.
    fn drive(&self, cx: &mut Context<'_>) {
        let mut waiting = Vec::new();
        loop {
            let new = self.take();
            if new.is_empty() {
                break;
            }
            for mut chore in new {
                if chore.as_mut().poll(cx).is_pending() {
                    waiting.push(chore);
                }
            }
        }
        self.0.lock().unwrap_or_else(PoisonError::into_inner).append(&mut waiting);
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // A chore may hold the list it stands in.
        drop(self.chores.take());
    }
}

enum Speaker {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.speaker {
            Speaker::Http1(_) => "HTTP/1.1",
            Speaker::Http2(_) => "HTTP/2",
        };
        f.debug_struct("Session").field("speaks", &name).finish_non_exhaustive()
    }
}

impl Session {
    pub(crate) async fn begin(conduit: Conduit, http2: bool) -> Result<Self, HttpFault> {
        let io = TokioIo::new(conduit);
        let refused = |e: hyper::Error| fault(&e);
        let chores = Chores::default();
        if http2 {
            let mut builder = http2::Builder::new(chores.clone());
            builder.max_header_list_size(u32::try_from(HEAD_BYTES_MAX).unwrap_or(u32::MAX));
            let (sender, driver) = builder.handshake(io).await.map_err(refused)?;
            Ok(Self { speaker: Speaker::Http2(sender), driver: Some(Box::pin(driver)), chores })
        } else {
            let mut builder = http1::Builder::new();
            builder.max_headers(HEADERS_MAX).max_buf_size(HEAD_BYTES_MAX);
            let (sender, driver) = builder.handshake(io).await.map_err(refused)?;
            Ok(Self { speaker: Speaker::Http1(sender), driver: Some(Box::pin(driver)), chores })
        }
    }

    fn send(&mut self, request: hyper::Request<Full<Bytes>>) -> Answering {
        match &mut self.speaker {
            Speaker::Http1(sender) => Box::pin(sender.send_request(request)),
            Speaker::Http2(sender) => Box::pin(sender.send_request(request)),
        }
    }

    /// Moves bytes as far as they go now.
    fn drive(&mut self, cx: &mut Context<'_>) {
        if let Some(driver) = &mut self.driver
            && driver.as_mut().poll(cx).is_ready()
        {
            self.driver = None;
        }
        self.chores.drive(cx);
    }

    fn reusable(&self) -> bool {
        self.driver.is_some()
            && match &self.speaker {
                Speaker::Http1(sender) => sender.is_ready(),
                Speaker::Http2(sender) => sender.is_ready() && !sender.is_closed(),
            }
    }
}

/// Sends the request and reads its answer to the end, or to the first fault.
pub(crate) async fn exchange(
    session: &mut Session,
    stamps: &Stamps,
    ask: &HttpAsk,
    began: Mono,
) -> HttpDone {
    let mut done = HttpDone {
        began,
        sent: None,
        first_byte: None,
        ended: began,
        status: None,
        headers: Vec::new(),
        body: Vec::new(),
        body_bytes: 0,
        reusable: false,
        fault: None,
        tcp: None,
    };
    let answer = match request(ask) {
        Ok(request) => session.send(request),
        Err(why) => {
            done.fault = Some(HttpFault::Local(why));
            return done;
        }
    };
    let mut reading =
        Reading { answer: Some(answer), body: None, limit: Limit::new(ask), done: &mut done, ask };
    let fault = poll_fn(|cx| reading.poll(session, stamps, cx)).await;
    done.ended = mono();
    done.sent = stamps.sent();
    done.first_byte = stamps.first().filter(|_| done.sent.is_some());
    done.reusable = fault.is_none() && session.reusable();
    done.fault = fault;
    done
}

fn request(ask: &HttpAsk) -> Result<hyper::Request<Full<Bytes>>, String> {
    let scheme = if ask.https { "https" } else { "http" };
    let uri = if ask.http2 {
        format!("{scheme}://{}{}", ask.authority, ask.path)
    } else {
        ask.path.clone()
    };
    let mut builder = hyper::Request::builder().method(ask.method.as_str()).uri(uri);
    if !ask.http2 {
        builder = builder.header(hyper::header::HOST, ask.authority.as_str());
    }
    for (name, value) in &ask.headers {
        builder = builder.header(name.as_str(), value.as_slice());
    }
    let body = Full::new(Bytes::copy_from_slice(&ask.body));
    builder.body(body).map_err(|e| e.to_string())
}

/// An answer on its way.
struct Reading<'a> {
    answer: Option<Answering>,
    body: Option<Incoming>,
    limit: Limit,
    done: &'a mut HttpDone,
    ask: &'a HttpAsk,
}

impl Reading<'_> {
    fn poll(
        &mut self,
        session: &mut Session,
        stamps: &Stamps,
        cx: &mut Context<'_>,
    ) -> Poll<Option<HttpFault>> {
        session.drive(cx);
        if let Poll::Ready(fault) = self.take(cx) {
            // Once more, so that hyper sees the end and keeps the connection or lets it go.
            session.drive(cx);
            return Poll::Ready(fault);
        }
        if self.limit.poll(stamps, cx).is_ready() {
            return Poll::Ready(Some(HttpFault::TimedOut));
        }
        Poll::Pending
    }

    fn take(&mut self, cx: &mut Context<'_>) -> Poll<Option<HttpFault>> {
        if let Some(answer) = &mut self.answer {
            match std::task::ready!(answer.as_mut().poll(cx)) {
                Ok(answer) => self.head(answer),
                Err(error) => return Poll::Ready(Some(fault(&error))),
            }
        }
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        loop {
            match std::task::ready!(Pin::new(&mut *body).poll_frame(cx)) {
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(fault(&error))),
                Some(Ok(frame)) => {
                    let data = frame.data_ref().map(|d| &d[..]).unwrap_or_default();
                    let room = self.ask.keep_bytes.saturating_sub(self.done.body.len());
                    self.done.body.extend_from_slice(&data[..data.len().min(room)]);
                    self.done.body_bytes += data.len() as u64;
                    if self.done.body_bytes > self.ask.body_bytes_max {
                        return Poll::Ready(Some(HttpFault::BodyTooLarge));
                    }
                }
            }
        }
    }

    fn head(&mut self, answer: Answer) {
        self.answer = None;
        let (head, body) = answer.into_parts();
        self.done.status = Some(head.status.as_u16());
        let field = |(name, value): (&hyper::header::HeaderName, &hyper::header::HeaderValue)| {
            (name.as_str().to_owned(), value.as_bytes().to_vec())
        };
        self.done.headers = head.headers.iter().map(field).collect();
        self.body = Some(body);
    }
}

/// The limit of the phase the exchange is in.
struct Limit {
    started: Instant,
    began: Mono,
    sleep: Pin<Box<Sleep>>,
    until: Instant,
    limits: whyslow_model::conversation::HttpLimits,
}

impl Limit {
    fn new(ask: &HttpAsk) -> Self {
        let started = Instant::now();
        let limits = ask.limits;
        let until = started + limits.send.min(limits.total);
        Self { started, began: mono(), sleep: Box::pin(sleep_until(until)), until, limits }
    }

    fn poll(&mut self, stamps: &Stamps, cx: &mut Context<'_>) -> Poll<()> {
        let (from, limit) = match (stamps.sent(), stamps.first()) {
            (_, Some(first)) => (first, self.limits.receive),
            (Some(sent), None) => (sent, self.limits.wait),
            (None, None) => (self.began, self.limits.send),
        };
        let spent: Duration = from.since(self.began);
        let until = self.started + (spent + limit).min(self.limits.total);
        if until != self.until {
            self.until = until;
            self.sleep.as_mut().reset(until);
        }
        self.sleep.as_mut().poll(cx)
    }
}

fn fault(error: &hyper::Error) -> HttpFault {
    if let Some(io) = faults::io_within(error) {
        if faults::is_reset(io) {
            return HttpFault::Reset;
        }
        if io.kind() == std::io::ErrorKind::UnexpectedEof {
            return HttpFault::Closed;
        }
        return match tls::alert(io) {
            Some(alert) => HttpFault::Alert(alert),
            None => HttpFault::Malformed(faults::words(io)),
        };
    }
    if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
        return HttpFault::Closed;
    }
    if error.is_user() {
        return HttpFault::Local(error.to_string());
    }
    let source = std::error::Error::source(error).map(|s| format!(": {s}"));
    let text = format!("{error}{}", source.unwrap_or_default());
    if text.contains("stream error received") || text.contains("connection error received") {
        return HttpFault::Reset;
    }
    HttpFault::Malformed(text)
}
