//! One question to one name server, by UDP or TCP (RFC 1035, RFC 7766).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{Edns, Message, MessageType, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant, timeout_at};
use whyslow_model::conversation::{ConnectAsk, ConnectFault, DnsAsk, DnsDone, DnsFault, TcpState};
use whyslow_model::{Mono, limits};
use whyslow_sys::clock::mono;

use crate::Dial;
use crate::connect;
use crate::faults;

/// Bytes an answer by UDP may have; what fits without fragments (DNS flag day 2020).
const UDP_BYTES_MAX: u16 = 1232;
/// How long a UDP question is waited for before it is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(2);

impl Dial {
    /// Puts one question to one name server.
    pub async fn dns(&self, ask: &DnsAsk) -> DnsDone {
        let began = mono();
        let server = ask.server.or_else(|| self.machine.resolver().servers.first().copied());
        let mut done = DnsDone {
            server,
            began,
            connected: None,
            sent: None,
            first_byte: None,
            ended: began,
            by_tcp: ask.tcp,
            rcode: None,
            answers: Vec::new(),
            fault: None,
            tcp: None,
        };
        let question = server
            .ok_or_else(|| DnsFault::Local("no name server is known".to_owned()))
            .and_then(|server| Ok((server, Question::new(&ask.name, &ask.record)?)));
        let outcome = match question {
            Err(fault) => Err(fault),
            Ok((server, question)) => {
                let way = Way {
                    server,
                    source: ask.source,
                    end: Instant::now() + ask.timeout,
                    again: ASK_AGAIN,
                };
                question.put(&way, ask.tcp, &mut done).await
            }
        };
        match outcome {
            Ok(message) => tell(&message, &mut done),
            Err(fault) => done.fault = Some(fault),
        }
        done.ended = mono();
        done
    }
}

fn tell(message: &Message, done: &mut DnsDone) {
    done.rcode = Some(rcode_name(message.metadata.response_code));
    let record = |r: &hickory_proto::rr::Record| format!("{} {}", r.record_type(), value(&r.data));
    done.answers = message.answers.iter().take(limits::DNS_ANSWERS_MAX).map(record).collect();
}

/// A record's value as zone files write it.
#[expect(clippy::wildcard_enum_match_arm, reason = "a foreign enum that grows")]
fn value(data: &RData) -> String {
    match data {
        RData::TXT(txt) => {
            let part = |bytes: &[u8]| format!("\"{}\"", String::from_utf8_lossy(bytes));
            txt.txt_data.iter().map(|bytes| part(bytes)).collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    }
}

/// A response code as `dig` writes it.
#[expect(clippy::wildcard_enum_match_arm, reason = "a foreign enum that grows")]
pub(crate) fn rcode_name(code: ResponseCode) -> String {
    match code {
        ResponseCode::NoError => "NOERROR".to_owned(),
        ResponseCode::Unknown(n) => format!("RCODE{n}"),
        named => format!("{named:?}").to_ascii_uppercase(),
    }
}

/// Whom to ask and how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    pub(crate) server: SocketAddr,
    pub(crate) source: Option<IpAddr>,
    pub(crate) end: Instant,
    /// How long until a question by UDP is sent again.
    pub(crate) again: Duration,
}

/// A name and a type, ready to be asked for.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    query: Query,
}

impl Question {
    pub(crate) fn new(name: &str, record: &str) -> Result<Self, DnsFault> {
        let mut full = Name::from_ascii(name)
            .map_err(|e| DnsFault::Local(format!("'{name}' cannot be asked for: {e}")))?;
        full.set_fqdn(true);
        let kind: RecordType = record
            .parse()
            .map_err(|_| DnsFault::Local(format!("'{record}' is no record type we know")))?;
        Ok(Self { query: Query::query(full, kind) })
    }

    /// Puts it; by TCP where that is asked for, or where the answer by UDP is cut short.
    pub(crate) async fn put(
        &self,
        way: &Way,
        tcp: bool,
        done: &mut DnsDone,
    ) -> Result<Message, DnsFault> {
        if tcp {
            return self.by_tcp(way, done).await;
        }
        let message = self.by_udp(way, true, done).await?;
        let code = message.metadata.response_code;
        if message.metadata.truncation {
            done.by_tcp = true;
            let connected = done.connected;
            let answer = self.by_tcp(way, done).await;
            // The connection came in the midst of waiting; it is no phase of its own.
            done.connected = connected;
            return answer;
        }
        // Some old servers refuse a question that carries EDNS (RFC 6891 section 7).
        if matches!(code, ResponseCode::FormErr | ResponseCode::NotImp) && message.edns.is_none() {
            return self.by_udp(way, false, done).await;
        }
        Ok(message)
    }

    async fn by_udp(&self, way: &Way, edns: bool, done: &mut DnsDone) -> Result<Message, DnsFault> {
        let (id, bytes) = self.packet(edns)?;
        let any: IpAddr = match way.server {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let from = SocketAddr::new(way.source.unwrap_or(any), 0);
        let socket = UdpSocket::bind(from).await.map_err(|e| local(&e))?;
        // Connected, so that the kernel drops what others send and tells us of refusals.
        socket.connect(way.server).await.map_err(|e| fault(&e))?;
        let mut room = vec![0; 65_535];
        loop {
            socket.send(&bytes).await.map_err(|e| fault(&e))?;
            done.sent = done.sent.or(Some(mono()));
            let until = way.end.min(Instant::now() + way.again);
            loop {
                let Ok(received) = timeout_at(until, socket.recv(&mut room)).await else { break };
                let n = received.map_err(|e| fault(&e))?;
                let at = mono();
                match self.answer(id, room.get(..n).unwrap_or_default()) {
                    Reading::Answer(message) => {
                        done.first_byte = Some(at);
                        return Ok(*message);
                    }
                    Reading::Broken(what) => {
                        done.first_byte = Some(at);
                        return Err(DnsFault::Malformed(what));
                    }
                    // Somebody guesses; the true answer may still come.
                    Reading::Foreign => {}
                }
            }
            if Instant::now() >= way.end {
                return Err(DnsFault::TimedOut);
            }
        }
    }

    async fn by_tcp(&self, way: &Way, done: &mut DnsDone) -> Result<Message, DnsFault> {
        let timeout = way.end.saturating_duration_since(Instant::now());
        let addresses = vec![way.server];
        let ask = ConnectAsk { addresses, source: way.source, timeout };
        let (connected, stream) = connect::connect_stream(&ask).await;
        let Some(mut stream) = stream else {
            done.tcp = connected.tcp;
            return Err(of_connect(connected.fault));
        };
        done.connected = Some(connected.ended);
        let answer = timeout_at(way.end, self.talk(&mut stream, done)).await;
        done.tcp = faults::tcp_state(&stream);
        answer.unwrap_or(Err(DnsFault::TimedOut))
    }

    async fn talk(&self, stream: &mut TcpStream, done: &mut DnsDone) -> Result<Message, DnsFault> {
        let (id, packet) = self.packet(true)?;
        let length = u16::try_from(packet.len()).unwrap_or(u16::MAX).to_be_bytes();
        let framed = [&length[..], &packet].concat();
        stream.write_all(&framed).await.map_err(|e| fault(&e))?;
        done.sent = done.sent.or(Some(mono()));
        let mut length = [0; 2];
        stream.read_exact(&mut length[..1]).await.map_err(|e| fault(&e))?;
        done.first_byte = Some(mono());
        stream.read_exact(&mut length[1..]).await.map_err(|e| fault(&e))?;
        let mut bytes = vec![0; u16::from_be_bytes(length).into()];
        stream.read_exact(&mut bytes).await.map_err(|e| fault(&e))?;
        match self.answer(id, &bytes) {
            Reading::Answer(message) => Ok(*message),
            Reading::Broken(what) => Err(DnsFault::Malformed(what)),
            Reading::Foreign => {
                Err(DnsFault::Malformed("an answer to another question".to_owned()))
            }
        }
    }

    fn packet(&self, edns: bool) -> Result<(u16, Vec<u8>), DnsFault> {
        let number = whyslow_sys::random::number().map_err(|e| DnsFault::Local(e.to_string()))?;
        let [a, b, ..] = number.to_ne_bytes();
        let id = u16::from_ne_bytes([a, b]);
        let opcode = hickory_proto::op::OpCode::Query;
        let mut message = Message::new(id, MessageType::Query, opcode);
        message.metadata.recursion_desired = true;
        message.add_query(self.query.clone());
        if edns {
            let mut edns = Edns::new();
            edns.set_max_payload(UDP_BYTES_MAX);
            message.set_edns(edns);
        }
        let bytes = message.to_vec().map_err(|e| DnsFault::Local(e.to_string()))?;
        Ok((id, bytes))
    }

    /// What `bytes` are to a question with this identifier.
    fn answer(&self, id: u16, bytes: &[u8]) -> Reading {
        let own = bytes.first_chunk::<2>().is_some_and(|first| u16::from_be_bytes(*first) == id);
        if !own {
            return Reading::Foreign;
        }
        let message = match Message::from_vec(bytes) {
            Ok(message) => message,
            Err(error) => return Reading::Broken(error.to_string()),
        };
        if message.metadata.message_type != MessageType::Response {
            return Reading::Broken("a question in place of an answer".to_owned());
        }
        // A server that understood nothing may leave the question out.
        let asked = match message.queries.as_slice() {
            [] => message.metadata.response_code != ResponseCode::NoError,
            [one] => *one == self.query,
            _ => false,
        };
        if asked { Reading::Answer(Box::new(message)) } else { Reading::Foreign }
    }
}

enum Reading {
    Answer(Box<Message>),
    Broken(String),
    Foreign,
}

fn local(error: &io::Error) -> DnsFault {
    DnsFault::Local(faults::words(error))
}

fn fault(error: &io::Error) -> DnsFault {
    if error.kind() == io::ErrorKind::UnexpectedEof || faults::is_reset(error) {
        return DnsFault::Reset;
    }
    of_connect(Some(faults::of_connect(error)))
}

fn of_connect(fault: Option<ConnectFault>) -> DnsFault {
    match fault {
        Some(ConnectFault::Refused) => DnsFault::Refused,
        Some(ConnectFault::Unreachable(what)) => DnsFault::Unreachable(what),
        Some(ConnectFault::Reset) => DnsFault::Reset,
        Some(ConnectFault::Local(what)) => DnsFault::Local(what),
        Some(ConnectFault::TimedOut) | None => DnsFault::TimedOut,
    }
}

/// An empty record of an exchange, for questions that are no check of their own.
pub(crate) fn blank(server: SocketAddr, began: Mono) -> DnsDone {
    DnsDone {
        server: Some(server),
        began,
        connected: None,
        sent: None,
        first_byte: None,
        ended: began,
        by_tcp: false,
        rcode: None,
        answers: Vec::new(),
        fault: None,
        tcp: None::<TcpState>,
    }
}

/// For the fuzzer: no packet breaks the reader.
pub fn fuzz_dns_answer(bytes: &[u8]) {
    let Ok(question) = Question::new("shop.example", "A") else { return };
    let id = bytes.first_chunk::<2>().map_or(0, |first| u16::from_be_bytes(*first));
    if let Reading::Answer(message) = question.answer(id, bytes) {
        tell(&message, &mut blank(SocketAddr::from(([0; 4], 0)), Mono::default()));
    }
}
