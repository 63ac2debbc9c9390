//! `http`: one request over HTTP or HTTPS, redirects followed, one exchange for each.

use std::net::SocketAddr;

use url::Url;
use whyslow_model::conversation::{HttpAsk, HttpDone, HttpFault, HttpLimits};
use whyslow_model::{Phase, Segment, limits};

use super::answer;
use super::ledger::{Ledger, ms};
use super::opening::{Opening, Progress, seconds};
use super::{CheckKind, Step, Talk, Told};
use crate::codes::{self, Code};
use crate::redact;
use crate::request::{Request, authority};
use crate::spec::{HttpVersion, Kind};

pub(super) const KIND: CheckKind = CheckKind {
    kind: Kind::Http,
    summary: "One request over HTTP or HTTPS: every phase timed, redirects followed, the answer judged.",
    target: "https://HOST/PATH or http://HOST/PATH",
    fields: &[
        "connect_to",
        "host",
        "sni",
        "addresses",
        "ca_file",
        "client_certificate",
        "insecure",
        "method",
        "headers",
        "body",
        "auth",
        "follow_redirects",
        "http_version",
        "body_bytes_max",
    ],
    expects: &["status", "headers", "body", "body_without", "json", "certificate_days"],
    segments: &[
        Segment::Vantage,
        Segment::Dns,
        Segment::Transit,
        Segment::Cdn,
        Segment::Edge,
        Segment::Host,
        Segment::Backend,
        Segment::Route,
        Segment::Page,
    ],
    metrics: &[
        "probe_http_duration_seconds",
        "probe_http_status_code",
        "probe_http_version",
        "probe_http_redirects",
        "probe_http_ssl",
        "probe_http_uncompressed_body_length",
        "probe_ssl_earliest_cert_expiry",
    ],
};

/// A conversation by HTTP.
#[derive(Debug)]
pub(super) struct Http {
    state: State,
    request: Option<Request>,
    first: Url,
    pinned: Option<SocketAddr>,
    visited: Vec<Url>,
    link: Option<Link>,
    refusal: Option<String>,
    /// Whether a connection that was closed under a second request has been replaced already.
    replaced: bool,
}

#[derive(Debug)]
enum State {
    Beginning,
    Opening(Box<Opening>),
    Asking,
    Over,
}

/// The open connection.
#[derive(Debug)]
struct Link {
    origin: url::Origin,
    remote: Option<SocketAddr>,
    local: Option<SocketAddr>,
    http2: bool,
    used: bool,
}

impl Http {
    pub(super) fn new(url: Url, pinned: Option<SocketAddr>, ledger: &Ledger) -> Self {
        let (request, refusal) = match Request::first(ledger.spec(), ledger.secrets(), &url) {
            Ok(request) => (Some(request), None),
            Err(why) => (None, Some(why)),
        };
        Self {
            state: State::Beginning,
            request,
            first: url,
            pinned,
            visited: Vec::new(),
            link: None,
            refusal,
            replaced: false,
        }
    }

    /// Where the present request goes first: to the connection there is, or to a new one.
    fn begin(&mut self, ledger: &mut Ledger) -> State {
        let Some(request) = &self.request else {
            let why = self.refusal.take().unwrap_or_default();
            ledger.fail(&codes::TARGET_UNUSABLE, None, why);
            return State::Over;
        };
        ledger.begin_exchange(redact::url(&request.url));
        self.visited.push(request.url.clone());
        if let Some(link) = self.link.as_ref().filter(|l| l.origin == request.url.origin()) {
            let (remote, local) = (link.remote, link.local);
            ledger.amend(|exchange| {
                exchange.reused_connection = true;
                exchange.remote = remote.map(|a| a.to_string());
                exchange.local = local.map(|a| a.to_string());
            });
            return State::Asking;
        }
        State::Opening(Box::new(self.opening(request, ledger)))
    }

    fn opening(&self, request: &Request, ledger: &Ledger) -> Opening {
        let spec = ledger.spec();
        let url = &request.url;
        let host = url.host_str().unwrap_or_default();
        let port = url.port_or_known_default().unwrap_or(80);
        let own = url.host_str() == self.first.host_str();
        // What stands in for the target's address stands in for its other port too, but then
        // by that port.
        let mut instead = spec.connect_to.clone().filter(|_| own);
        if let Some(instead) = &mut instead
            && url.port_or_known_default() != self.first.port_or_known_default()
        {
            instead.port = None;
        }
        let redirected = self.visited.len() > 1 && instead.is_none();
        let peer = self.link.as_ref().and_then(|l| l.remote).map(|a| a.ip());
        let mut opening =
            Opening::new(host, port, instead.as_ref()).redirected_by(peer.filter(|_| redirected));
        if self.visited.len() == 1 {
            opening = opening.pinned(self.pinned);
        }
        if url.scheme() == "https" {
            let bare = host.trim_start_matches('[').trim_end_matches(']');
            let name = spec.sni.clone().filter(|_| own).unwrap_or_else(|| bare.to_owned());
            opening = opening.with_tls(name, offered(spec.http_version));
        }
        opening
    }

    fn ask(&self, ledger: &Ledger) -> Option<Step> {
        let (request, link) = (self.request.as_ref()?, self.link.as_ref()?);
        let spec = ledger.spec();
        let body_bytes_max = spec.body_bytes_max.unwrap_or(limits::BODY_BYTES_MAX);
        let keep = if spec.expect.needs_body() {
            usize::try_from(body_bytes_max).unwrap_or(usize::MAX).min(limits::BODY_KEPT_BYTES_MAX)
        } else {
            limits::BODY_EXCERPT_BYTES_MAX
        };
        let own = request.url.host_str() == self.first.host_str();
        let host = spec.host.clone().filter(|_| own);
        Some(Step::Http(HttpAsk {
            http2: link.http2,
            https: request.url.scheme() == "https",
            method: request.method.clone(),
            path: request.path(),
            authority: host.unwrap_or_else(|| authority(&request.url)),
            headers: request.fields(&self.first),
            body: request.body.clone(),
            keep_bytes: keep,
            body_bytes_max,
            limits: HttpLimits {
                send: ledger.left(Phase::Send),
                wait: ledger.left(Phase::Wait),
                receive: ledger.left(Phase::Receive),
                total: ledger.whole_left(),
            },
        }))
    }

    /// Takes over the connection that has just been opened.
    fn opened(&mut self, opening: &Opening, ledger: &mut Ledger) -> State {
        let Some(request) = &self.request else { return State::Over };
        let tls = request.url.scheme() == "https";
        let spec = ledger.spec();
        let http2 = match (spec.http_version, tls) {
            (HttpVersion::Http2, false) => true,
            (HttpVersion::Http11, _) | (HttpVersion::Auto, false) => false,
            (HttpVersion::Auto | HttpVersion::Http2, true) => opening.alpn.as_deref() == Some("h2"),
        };
        if spec.http_version == HttpVersion::Http2 && !http2 {
            let message = "the server does not offer HTTP/2".to_owned();
            ledger.fail(&codes::HTTP_MALFORMED, Some(Phase::Tls), message);
            return State::Over;
        }
        let origin = request.url.origin();
        let Opening { remote, local, .. } = *opening;
        self.link = Some(Link { origin, remote, local, http2, used: false });
        State::Asking
    }

    fn answered(&mut self, done: &HttpDone, ledger: &mut Ledger) -> State {
        book(done, ledger);
        let Some(link) = self.link.as_mut() else { return State::Over };
        let version = if link.http2 { "HTTP/2" } else { "HTTP/1.1" };
        ledger.amend(|exchange| {
            exchange.status = done.status;
            exchange.http_version = done.status.map(|_| version.to_owned());
            exchange.body_bytes = done.status.map(|_| done.body_bytes);
        });
        let idle_closed = matches!(done.fault, Some(HttpFault::Closed | HttpFault::Reset));
        let unheard = done.first_byte.is_none();
        if link.used && idle_closed && unheard && !self.replaced {
            return self.replace(ledger);
        }
        link.used = true;
        if !done.reusable {
            // Who answered is still needed to judge where a redirect may lead.
            link.origin = url::Origin::new_opaque();
        }
        if let Some(fault) = &done.fault {
            let (code, phase, message) = failure(fault, done);
            ledger.fail(code, Some(phase), message);
            return State::Over;
        }
        self.next_or_judge(done, ledger)
    }

    /// A server may close an idle connection at any time (RFC 9112 section 9.5); the request it
    /// never saw goes to a new one.
    fn replace(&mut self, ledger: &mut Ledger) -> State {
        self.replaced = true;
        ledger.amend(|exchange| exchange.reused_connection = false);
        match &self.request {
            Some(request) => State::Opening(Box::new(self.opening(request, ledger))),
            None => State::Over,
        }
    }

    fn next_or_judge(&mut self, done: &HttpDone, ledger: &mut Ledger) -> State {
        let follow = ledger.spec().follow_redirects.unwrap_or(true);
        let status = done.status.unwrap_or_default();
        let location = done.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("location"));
        let redirect = matches!(status, 301 | 302 | 303 | 307 | 308);
        let (Some((_, location)), true, true) = (location, follow, redirect) else {
            if let Some(wrong) = answer::judge(&ledger.spec().expect, done) {
                ledger.fail_at(wrong.code, Some(wrong.phase), wrong.segment, wrong.message);
            }
            return State::Over;
        };
        match self.redirected(location, status) {
            Ok(request) => {
                self.request = Some(request);
                State::Beginning
            }
            Err((code, message)) => {
                ledger.fail(code, Some(Phase::Wait), message);
                State::Over
            }
        }
    }

    fn redirected(&self, location: &[u8], status: u16) -> Result<Request, (&'static Code, String)> {
        let request = self.request.as_ref();
        let text = String::from_utf8_lossy(location);
        let shown: String = redact::location(&text).chars().take(200).collect();
        let refused = || {
            let message = format!("{status} leads to '{shown}', which is no http or https URL");
            (&codes::REDIRECT_REFUSED, message)
        };
        let request = request.ok_or_else(refused)?;
        let url = request.url.join(text.trim()).map_err(|_| refused())?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
            return Err(refused());
        }
        let next = request.redirected(url, status);
        if self.visited.contains(&next.url) && next.method == request.method {
            let message = format!("{status} leads back to {shown}");
            return Err((&codes::REDIRECT_LOOP, message));
        }
        if self.visited.len() > limits::REDIRECTS_MAX {
            let message =
                format!("more than {} redirects, the last to {shown}", limits::REDIRECTS_MAX);
            return Err((&codes::TOO_MANY_REDIRECTS, message));
        }
        Ok(next)
    }
}

impl Talk for Http {
    fn step(&mut self, ledger: &mut Ledger) -> Option<Step> {
        if matches!(self.state, State::Beginning) {
            self.state = self.begin(ledger);
        }
        if let State::Opening(opening) = &mut self.state {
            match opening.progress(ledger) {
                Progress::Step(step) => return Some(step),
                Progress::Failed => self.state = State::Over,
                Progress::Open => {
                    if let State::Opening(opening) = std::mem::replace(&mut self.state, State::Over)
                    {
                        self.state = self.opened(&opening, ledger);
                    }
                }
            }
        }
        if matches!(self.state, State::Asking) { self.ask(ledger) } else { None }
    }

    fn handle(&mut self, told: &Told, ledger: &mut Ledger) {
        match (&mut self.state, told) {
            (State::Opening(opening), told) => opening.handle(told, ledger),
            (State::Asking, Told::Http(done)) => self.state = self.answered(done, ledger),
            (State::Asking | State::Beginning | State::Over, _) => self.state = State::Over,
        }
    }
}

pub(super) fn offered(version: HttpVersion) -> Vec<&'static str> {
    match version {
        HttpVersion::Auto => vec!["h2", "http/1.1"],
        HttpVersion::Http11 => vec!["http/1.1"],
        HttpVersion::Http2 => vec!["h2"],
    }
}

/// Books the exchange's time to its phases; the one in which it ended holds the rest.
fn book(done: &HttpDone, ledger: &mut Ledger) {
    ledger.tcp(done.tcp, None);
    ledger.spend(Phase::Send, done.sent.unwrap_or(done.ended));
    if done.sent.is_some() {
        ledger.spend(Phase::Wait, done.first_byte.unwrap_or(done.ended));
    }
    if done.first_byte.is_some() {
        ledger.spend(Phase::Receive, done.ended);
    }
}

fn failure(fault: &HttpFault, done: &HttpDone) -> (&'static Code, Phase, String) {
    let phase = match (done.sent, done.first_byte) {
        (_, Some(_)) => Phase::Receive,
        (Some(_), None) => Phase::Wait,
        (None, None) => Phase::Send,
    };
    let where_ = match phase {
        Phase::Receive => format!("after {} bytes of the body", done.body_bytes),
        Phase::Wait => "before it answered".to_owned(),
        Phase::Send | Phase::Resolve | Phase::Connect | Phase::Tls => {
            "while the request was sent".to_owned()
        }
    };
    match fault {
        HttpFault::TimedOut => timed_out(phase, done),
        HttpFault::Reset => {
            (&codes::RESET, phase, format!("the peer reset the connection {where_}"))
        }
        HttpFault::Closed => {
            (&codes::CLOSED, phase, format!("the peer closed the connection {where_}"))
        }
        HttpFault::Alert(alert) => {
            let message = format!("the server refused with TLS alert {alert} {where_}");
            (&codes::TLS_ALERT, phase, message)
        }
        HttpFault::Malformed(what) => {
            (&codes::HTTP_MALFORMED, phase, format!("the answer is not sound HTTP: {what}"))
        }
        HttpFault::BodyTooLarge => {
            let message = format!("the body goes on past {} bytes", done.body_bytes);
            (&codes::BODY_TOO_LARGE, Phase::Receive, message)
        }
        HttpFault::Local(what) => {
            (&codes::TARGET_UNUSABLE, phase, format!("the request cannot be made: {what}"))
        }
    }
}

fn timed_out(phase: Phase, done: &HttpDone) -> (&'static Code, Phase, String) {
    let since = |from| seconds(ms(done.ended.since(from)));
    match (phase, done.first_byte, done.sent) {
        (Phase::Receive, Some(first), _) => (
            &codes::BODY_TIMEOUT,
            phase,
            format!(
                "the answer did not end {} after its first byte, {} bytes of the body in",
                since(first),
                done.body_bytes
            ),
        ),
        (Phase::Wait, _, Some(sent)) => (
            &codes::WAIT_TIMEOUT,
            phase,
            format!("no first byte {} after the request was sent", since(sent)),
        ),
        _ => (
            &codes::SEND_TIMEOUT,
            phase,
            format!("the request could not be handed over in {}", since(done.began)),
        ),
    }
}
