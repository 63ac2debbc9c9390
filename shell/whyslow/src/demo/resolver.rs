//! A small DNS server that knows the shop's name and nothing else.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Context as _;
use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use tokio::net::UdpSocket;
use tokio::sync::{Semaphore, watch};
use whyslow_model::limits::DEMO_CONNECTIONS_MAX;

use super::script::Conditions;

/// How long others may keep an answer, in seconds.
const TTL_S: u32 = 5;
/// The longest query looked at; longer ones are cut by the socket and then do not parse.
const QUERY_BYTES_MAX: usize = 1232;

/// Answers queries on a free loopback port until dropped with the task that runs it.
#[derive(Debug)]
pub struct Resolver {
    socket: Arc<UdpSocket>,
    name: Name,
    /// `None`: this resolver never slows.
    conditions: Option<watch::Receiver<Conditions>>,
}

impl Resolver {
    /// Binds a free port. With `conditions` it slows when the script says so.
    pub async fn bind(
        name: &str,
        conditions: Option<watch::Receiver<Conditions>>,
    ) -> anyhow::Result<Self> {
        let socket =
            UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.context("binding a UDP port")?;
        let name = Name::from_ascii(format!("{name}."))?;
        Ok(Self { socket: Arc::new(socket), name, conditions })
    }

    /// Where it listens.
    pub fn address(&self) -> anyhow::Result<SocketAddr> {
        self.socket.local_addr().context("asking for a socket's own address")
    }

    /// Answers until the task is dropped. Queries beyond the cap go unanswered, as UDP allows.
    pub async fn run(self) {
        let room = Arc::new(Semaphore::new(DEMO_CONNECTIONS_MAX));
        let mut buffer = [0; QUERY_BYTES_MAX];
        loop {
            let Ok((length, peer)) = self.socket.recv_from(&mut buffer).await else { continue };
            let Some(reply) = answer(&buffer[..length], &self.name) else { continue };
            let Ok(permit) = room.clone().try_acquire_owned() else { continue };
            let delay = self.conditions.as_ref().map(|c| c.borrow().resolver_delay);
            let socket = self.socket.clone();
            tokio::spawn(async move {
                let _held = permit;
                tokio::time::sleep(delay.unwrap_or_default()).await;
                // A client that has gone away is none of the demo's business.
                let _ = socket.send_to(&reply, peer).await;
            });
        }
    }
}

/// The reply to one datagram; `None` where it is no query.
fn answer(query: &[u8], known: &Name) -> Option<Vec<u8>> {
    let query = Message::from_vec(query).ok()?;
    let asks = query.metadata.message_type == MessageType::Query;
    let [question] = query.queries.as_slice() else { return None };
    if !asks || query.metadata.op_code != OpCode::Query {
        return None;
    }
    let mut reply = Message::response(query.metadata.id, OpCode::Query);
    reply.metadata.recursion_desired = query.metadata.recursion_desired;
    reply.metadata.recursion_available = true;
    reply.add_query(question.clone());
    if question.name() != known {
        reply.metadata.response_code = ResponseCode::NXDomain;
    } else if question.query_type() == RecordType::A {
        let here = RData::A(A(Ipv4Addr::LOCALHOST));
        reply.add_answer(Record::from_rdata(known.clone(), TTL_S, here));
    }
    reply.to_vec().ok()
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::Query;

    use super::*;

    fn ask(name: &str, kind: RecordType) -> Message {
        let mut query = Message::query();
        query.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
        let known = Name::from_ascii("shop.example.").unwrap();
        let reply = answer(&query.to_vec().unwrap(), &known).unwrap();
        Message::from_vec(&reply).unwrap()
    }

    #[test]
    fn the_shop_is_on_loopback_whatever_the_letters_case() {
        for name in ["shop.example.", "SHOP.Example."] {
            assert_eq!(ask(name, RecordType::A).answers.len(), 1);
        }
    }

    #[test]
    fn the_shop_has_no_ipv6_and_nobody_else_exists() {
        let none = ask("shop.example.", RecordType::AAAA);
        assert_eq!((none.metadata.response_code, none.answers.len()), (ResponseCode::NoError, 0));
        let unknown = ask("other.example.", RecordType::A);
        assert_eq!(unknown.metadata.response_code, ResponseCode::NXDomain);
    }

    #[test]
    fn what_is_no_query_gets_no_reply() {
        let known = Name::root();
        assert_eq!(answer(b"", &known), None);
        assert_eq!(answer(&[0xff; 40], &known), None);
        let mut reply = Message::query();
        reply.metadata.message_type = MessageType::Response;
        assert_eq!(answer(&reply.to_vec().unwrap(), &known), None);
    }
}
