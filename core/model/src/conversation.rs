//! What the shell is asked to do on the network, and what it saw when it did it.
//!
//! An `…Ask` says what to do and how long it may take; its answer says what happened and when,
//! each moment on the monotonic clock. A conversation that fails is data: its answer carries a
//! fault, never an error.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::time::Mono;

/// Find a name's addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolveAsk {
    /// The name.
    pub name: String,
    /// Whether IPv4 addresses are wanted.
    pub v4: bool,
    /// Whether IPv6 addresses are wanted.
    pub v6: bool,
    /// The server to ask; the machine's own way where `None`.
    pub server: Option<SocketAddr>,
    /// How long it may take.
    pub timeout: Duration,
}

/// What became of a [`ResolveAsk`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// When it began.
    pub began: Mono,
    /// When it ended.
    pub ended: Mono,
    /// The addresses in the order in which to try them, at most `limits::ADDRESSES_MAX`.
    pub addresses: Vec<IpAddr>,
    /// Why there is none.
    pub fault: Option<ResolveFault>,
    /// Each question to a server, in order.
    pub tries: Vec<NameServerTry>,
}

/// One question to one name server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameServerTry {
    /// The server.
    pub server: SocketAddr,
    /// What was asked and what came back, in words.
    pub text: String,
    /// When it was asked.
    pub began: Mono,
    /// When it answered or was given up.
    pub ended: Mono,
}

/// Why a name gave no address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResolveFault {
    /// The name does not exist (NXDOMAIN).
    NoSuchName,
    /// The name exists without an address of the wanted family.
    NoAddress,
    /// The server says it failed, or refuses: the response code's name.
    ServerFailed(String),
    /// No server answered in time.
    TimedOut,
    /// What came back is no answer to the question.
    Malformed(String),
    /// The server cannot be reached: what the kernel says.
    Unreachable(String),
}

/// Open a TCP connection to one of several addresses (RFC 8305).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectAsk {
    /// Where to, in order of preference.
    pub addresses: Vec<SocketAddr>,
    /// The local address to come from.
    pub source: Option<IpAddr>,
    /// How long it may take.
    pub timeout: Duration,
}

/// What became of a [`ConnectAsk`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connected {
    /// When it began.
    pub began: Mono,
    /// When it ended.
    pub ended: Mono,
    /// The peer, where there is a connection.
    pub remote: Option<SocketAddr>,
    /// Our own end of it.
    pub local: Option<SocketAddr>,
    /// Each address tried, in order.
    pub attempts: Vec<Attempt>,
    /// Why there is no connection: the fault of the attempt that tells most.
    pub fault: Option<ConnectFault>,
    /// The kernel's view at the end.
    pub tcp: Option<TcpState>,
}

/// One address tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The address.
    pub address: SocketAddr,
    /// When its first SYN was asked for.
    pub began: Mono,
    /// When it was decided or given up.
    pub ended: Mono,
    /// Why it gave no connection; `None` for the one that won and for those it overtook.
    pub fault: Option<ConnectFault>,
    /// SYNs sent again.
    pub syn_retransmits: u32,
}

/// Why an address gave no connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectFault {
    /// Answered with a reset.
    Refused,
    /// Nothing answered.
    TimedOut,
    /// A router or our own kernel says there is no way: in words.
    Unreachable(String),
    /// The connection was cut while it was made.
    Reset,
    /// Our own machine does not let us: in words.
    Local(String),
}

/// What the kernel says of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpState {
    /// The smoothed round-trip time.
    pub rtt: Option<Duration>,
    /// The smallest round-trip time seen.
    pub min_rtt: Option<Duration>,
    /// Segments we sent again, SYNs included.
    pub retransmits: u32,
}

/// Whom to trust and what to show in a TLS handshake.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Trust {
    /// A PEM file that replaces the machine's trusted certificates.
    pub ca_file: Option<String>,
    /// PEM files: our certificate and its key.
    pub client: Option<(String, String)>,
}

/// Shake hands by TLS on the open connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsAsk {
    /// The name to ask for, and to expect in the certificate.
    pub name: String,
    /// Protocols offered by ALPN, in order of preference.
    pub alpn: Vec<&'static str>,
    /// Whom to trust.
    pub trust: Trust,
    /// How long it may take.
    pub timeout: Duration,
}

/// What became of a [`TlsAsk`]. Trust is judged after the handshake, so a certificate that is
/// not trusted is seen all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsDone {
    /// When it began.
    pub began: Mono,
    /// When it ended.
    pub ended: Mono,
    /// `TLS 1.2` or `TLS 1.3`.
    pub version: Option<&'static str>,
    /// The cipher suite's IANA name.
    pub cipher: Option<String>,
    /// The protocol chosen.
    pub alpn: Option<String>,
    /// Whether an earlier session was resumed.
    pub resumed: Option<bool>,
    /// The certificates shown, leaf first, in DER.
    pub chain: Vec<Vec<u8>>,
    /// Why the chain does not lead to anybody we trust.
    pub untrusted: Option<ChainFault>,
    /// Whether the leaf bears the name asked for.
    pub name_fits: bool,
    /// Why the handshake did not end.
    pub fault: Option<TlsFault>,
    /// The kernel's view at the end.
    pub tcp: Option<TcpState>,
}

impl TlsDone {
    /// A handshake that came to nothing at `at`, with nothing seen.
    pub const fn failed(at: Mono, fault: TlsFault) -> Self {
        Self {
            began: at,
            ended: at,
            version: None,
            cipher: None,
            alpn: None,
            resumed: None,
            chain: Vec::new(),
            untrusted: None,
            name_fits: true,
            fault: Some(fault),
            tcp: None,
        }
    }
}

/// Why a chain of certificates does not lead to anybody we trust.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChainFault {
    /// A certificate's time is over.
    Expired,
    /// A certificate's time has not begun.
    NotYetValid,
    /// The issuer is not among those we trust, or its certificate was not sent.
    UnknownIssuer,
    /// A signature in the chain is wrong.
    BadSignature,
    /// A certificate has been revoked.
    Revoked,
    /// A certificate is not made for this use.
    WrongUse,
    /// The server's certificate is one made for issuing others.
    IssuerAsServer,
    /// Anything else, in words.
    Other(String),
}

/// Why a TLS handshake did not end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsFault {
    /// The peer went silent.
    TimedOut,
    /// The peer cut the connection.
    Reset,
    /// The peer closed the connection in the midst of it.
    Closed,
    /// The peer refused, with this alert.
    Alert(String),
    /// What the peer sent is not TLS, or not sound: in words.
    Malformed(String),
    /// The peer could not prove that it holds the certificate's key.
    BadSignature,
    /// A file of ours cannot be used: which, and why.
    Local(String),
}

/// Send one HTTP request on the open connection and read its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpAsk {
    /// HTTP/2 rather than HTTP/1.1.
    pub http2: bool,
    /// Whether the scheme is https.
    pub https: bool,
    /// The method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// The Host header or `:authority`.
    pub authority: String,
    /// Further header fields, in order.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body; empty for none.
    pub body: Vec<u8>,
    /// Bytes of the answer's body to hand back.
    pub keep_bytes: usize,
    /// Bytes of the answer's body to read; more is a fault.
    pub body_bytes_max: u64,
    /// Limits of the three phases.
    pub limits: HttpLimits,
}

/// How long each part of an exchange may take, all of them together at most `total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpLimits {
    /// Handing the request over.
    pub send: Duration,
    /// Until the answer's first byte.
    pub wait: Duration,
    /// From its first byte to its last.
    pub receive: Duration,
    /// All three.
    pub total: Duration,
}

/// What became of an [`HttpAsk`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpDone {
    /// When it began.
    pub began: Mono,
    /// When the request was with the kernel.
    pub sent: Option<Mono>,
    /// When the answer's first byte came.
    pub first_byte: Option<Mono>,
    /// When it ended.
    pub ended: Mono,
    /// The status of the answer.
    pub status: Option<u16>,
    /// The answer's header fields, in order.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The start of the answer's body, as much as was asked for.
    pub body: Vec<u8>,
    /// Bytes of the body that were read.
    pub body_bytes: u64,
    /// Whether another request can be sent on the connection.
    pub reusable: bool,
    /// Why the answer is not whole.
    pub fault: Option<HttpFault>,
    /// The kernel's view at the end.
    pub tcp: Option<TcpState>,
}

impl HttpDone {
    /// An exchange that came to nothing at `at`, with nothing sent.
    pub const fn failed(at: Mono, fault: HttpFault) -> Self {
        Self {
            began: at,
            sent: None,
            first_byte: None,
            ended: at,
            status: None,
            headers: Vec::new(),
            body: Vec::new(),
            body_bytes: 0,
            reusable: false,
            fault: Some(fault),
            tcp: None,
        }
    }
}

/// Why an HTTP answer is not whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpFault {
    /// The peer went silent, or was too slow; the stamps say in which phase.
    TimedOut,
    /// The peer cut the connection.
    Reset,
    /// The peer closed the connection in the midst of it.
    Closed,
    /// The peer ended the TLS connection with an alert: its name. TLS 1.3 refuses a client without
    /// a certificate this way, once the request has been sent (RFC 8446, section 4.4.2.4).
    Alert(String),
    /// What the peer sent is not HTTP: in words.
    Malformed(String),
    /// The body is larger than we read.
    BodyTooLarge,
    /// Our own request could not be made: in words.
    Local(String),
}

/// Put one question to a name server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsAsk {
    /// The server; the machine's first where `None`.
    pub server: Option<SocketAddr>,
    /// The name.
    pub name: String,
    /// The record type's name, such as `A`.
    pub record: String,
    /// Whether to ask by TCP at once; by UDP otherwise, and by TCP where that is cut short.
    pub tcp: bool,
    /// The local address to come from.
    pub source: Option<IpAddr>,
    /// How long it may take.
    pub timeout: Duration,
}

/// What became of a [`DnsAsk`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsDone {
    /// The server asked.
    pub server: Option<SocketAddr>,
    /// When it began.
    pub began: Mono,
    /// When the TCP connection stood; `None` for UDP.
    pub connected: Option<Mono>,
    /// When the question was with the kernel.
    pub sent: Option<Mono>,
    /// When the answer's first byte came.
    pub first_byte: Option<Mono>,
    /// When it ended.
    pub ended: Mono,
    /// Whether the answer came by TCP.
    pub by_tcp: bool,
    /// The response code's name.
    pub rcode: Option<String>,
    /// The answer section, each record as its type and value.
    pub answers: Vec<String>,
    /// Why there is no answer.
    pub fault: Option<DnsFault>,
    /// The kernel's view of the TCP connection.
    pub tcp: Option<TcpState>,
}

/// Why a name server gave no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DnsFault {
    /// Nothing answered.
    TimedOut,
    /// A port that nobody listens on.
    Refused,
    /// A router or our own kernel says there is no way: in words.
    Unreachable(String),
    /// The peer cut or closed the connection.
    Reset,
    /// What came back is no answer to the question: in words.
    Malformed(String),
    /// Our own question could not be put: in words.
    Local(String),
}

/// Make one round of ICMP echoes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PingAsk {
    /// The host.
    pub to: IpAddr,
    /// The local address to come from.
    pub source: Option<IpAddr>,
    /// How many echoes.
    pub packets: u16,
    /// From one echo to the next.
    pub spacing: Duration,
    /// How long each echo may take.
    pub patience: Duration,
    /// Bytes of each echo's payload.
    pub payload_bytes: u16,
}

/// What became of a [`PingAsk`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PingDone {
    /// When it began.
    pub began: Mono,
    /// When it ended.
    pub ended: Mono,
    /// The time of each echo that left, by the kernel's stamp on its answer, in order of leaving;
    /// `None` where no answer came in time.
    pub times: Vec<Option<Duration>>,
    /// Answers beyond the first to the same echo.
    pub duplicates: u16,
    /// Answers that came after their echo's time was over.
    pub late: u16,
    /// Who said why an echo did not get there, in words.
    pub refusal: Option<(IpAddr, String)>,
    /// Why echoes could not leave, or none could be made at all.
    pub fault: Option<PingFault>,
    /// By how much our own machine may have made a time too long.
    pub send_slowness: Duration,
}

/// Why an echo could not leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PingFault {
    /// This process may not send any: what would mend it.
    NotPermitted(String),
    /// Our own kernel says there is no way: in words.
    Unreachable(String),
    /// Our own machine does not let us: in words.
    Local(String),
}
