//! Runs checks that ask name servers made here.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use whyslow_probe::run::Outcome;
use whyslow_probe::spec::{DnsTransport, Duration as Length, Family};

use crate::peers::{check, code, run};

const NOERROR: u8 = 0;
const SERVFAIL: u8 = 2;
const NXDOMAIN: u8 = 3;

/// An answer to `question`, which is a packet: its first question again, with one A record
/// where `address` is given and the question is for one.
fn answer(question: &[u8], rcode: u8, address: Option<[u8; 4]>) -> Vec<u8> {
    let name = question[12..].iter().position(|b| *b == 0).expect("a name's end") + 13;
    let asks_a = question[name..name + 2] == [0, 1];
    let address = address.filter(|_| asks_a);
    let mut packet = question[..2].to_vec();
    packet.extend([0x81, 0x80 | rcode, 0, 1, 0, u8::from(address.is_some()), 0, 0, 0, 0]);
    packet.extend(&question[12..name + 4]);
    if let Some(address) = address {
        packet.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        packet.extend(address);
    }
    packet
}

/// A server by UDP that answers with what `reply` makes of each question.
async fn by_udp<F>(reply: F) -> SocketAddr
where
    F: Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static,
{
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("bound");
    let address = socket.local_addr().expect("an address");
    tokio::spawn(async move {
        let mut room = [0; 1500];
        while let Ok((n, from)) = socket.recv_from(&mut room).await {
            for packet in reply(&room[..n]) {
                let _ = socket.send_to(&packet, from).await;
            }
        }
    });
    address
}

#[tokio::test]
async fn an_answer_is_judged_by_code_and_records() {
    let server = by_udp(|q| vec![answer(q, NOERROR, Some([192, 0, 2, 7]))]).await;
    let mut spec = check(&format!("dns:shop.example@{server}"));
    spec.expect.answers = vec!["192.0.2.7".to_owned()];
    let good = run(spec.clone()).await;
    assert_eq!(good.outcome, Outcome::Ok, "{good:?}");
    let facts = good.dns.expect("an answer");
    assert_eq!((facts.rcode.as_deref(), facts.server), (Some("NOERROR"), server.to_string()));
    assert_eq!(facts.answers, ["A 192.0.2.7"]);
    spec.expect.answers = vec!["192.0.2.8".to_owned()];
    assert_eq!(code(&run(spec).await), "dns_answer");
}

#[tokio::test]
async fn each_bad_answer_has_its_code() {
    let gone = by_udp(|q| vec![answer(q, NXDOMAIN, None)]).await;
    let mut spec = check(&format!("dns:shop.example@{gone}"));
    assert_eq!(code(&run(spec.clone()).await), "resolve_nxdomain");
    spec.expect.rcode = Some("nxdomain".to_owned());
    assert_eq!(code(&run(spec.clone()).await), "ok");
    let there = by_udp(|q| vec![answer(q, NOERROR, Some([192, 0, 2, 7]))]).await;
    spec.target = format!("shop.example@{there}");
    assert_eq!(code(&run(spec).await), "dns_rcode");
    let lame = by_udp(|q| vec![answer(q, SERVFAIL, None)]).await;
    assert_eq!(code(&run(check(&format!("dns:shop.example@{lame}"))).await), "resolve_servfail");

    let torn = by_udp(|q| vec![[&q[..2], &[0x81, 0x80, 0, 9, 9]].concat()]).await;
    assert_eq!(code(&run(check(&format!("dns:shop.example@{torn}"))).await), "resolve_malformed");

    let silent = by_udp(|_| Vec::new()).await;
    let mut spec = check(&format!("dns:shop.example@{silent}"));
    spec.timeout = Length::from_millis(100);
    assert_eq!(code(&run(spec).await), "resolve_timeout");

    let closed = UdpSocket::bind("127.0.0.1:0").await.expect("bound");
    let address = closed.local_addr().expect("an address");
    drop(closed);
    assert_eq!(code(&run(check(&format!("dns:shop.example@{address}"))).await), "connect_refused");
}

#[tokio::test]
async fn a_guess_before_the_answer_is_not_believed() {
    let server = by_udp(|q| {
        let mut guess = answer(q, NOERROR, Some([6, 6, 6, 6]));
        guess[0] ^= 0xff;
        let mut other = answer(q, NOERROR, Some([6, 6, 6, 6]));
        other[13] ^= 1;
        vec![guess, other, answer(q, NOERROR, Some([192, 0, 2, 7]))]
    })
    .await;
    let run = run(check(&format!("dns:shop.example@{server}"))).await;
    assert_eq!(run.dns.map(|d| d.answers), Some(vec!["A 192.0.2.7".to_owned()]));
}

#[tokio::test]
async fn an_answer_cut_short_is_asked_for_again_by_tcp() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let address = listener.local_addr().expect("an address");
    let udp = UdpSocket::bind(address).await.expect("the same port");
    tokio::spawn(async move {
        let mut room = [0; 1500];
        while let Ok((n, from)) = udp.recv_from(&mut room).await {
            let mut cut = answer(&room[..n], NOERROR, None);
            cut[2] |= 2;
            let _ = udp.send_to(&cut, from).await;
        }
    });
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let length = stream.read_u16().await.expect("a length");
            let mut question = vec![0; length.into()];
            stream.read_exact(&mut question).await.expect("a question");
            let packet = answer(&question, NOERROR, Some([192, 0, 2, 9]));
            stream
                .write_u16(u16::try_from(packet.len()).expect("a short answer"))
                .await
                .expect("sent");
            stream.write_all(&packet).await.expect("sent");
        }
    });
    let mut spec = check(&format!("dns:shop.example@{address}"));
    let by_both = run(spec.clone()).await;
    assert_eq!(by_both.dns.map(|d| d.answers), Some(vec!["A 192.0.2.9".to_owned()]));
    assert_eq!(by_both.phases_ms.connect, None);
    spec.transport = Some(DnsTransport::Tcp);
    let by_tcp = run(spec).await;
    assert_eq!(by_tcp.outcome, Outcome::Ok, "{by_tcp:?}");
    assert!(by_tcp.phases_ms.connect.is_some());
}

#[tokio::test]
async fn a_check_may_have_its_own_resolver() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let port = listener.local_addr().expect("an address").port();
    let server = by_udp(|q| vec![answer(q, NOERROR, Some([127, 0, 0, 1]))]).await;
    let mut spec = check(&format!("tcp:shop.test:{port}"));
    spec.resolver = Some(server.to_string().parse().expect("an address"));
    let found = run(spec.clone()).await;
    assert_eq!(found.outcome, Outcome::Ok, "{found:?}");
    assert!(found.phases_ms.resolve.is_some());
    spec.family = Family::Ipv6;
    assert_eq!(code(&run(spec).await), "resolve_no_address");
}

#[tokio::test]
async fn a_name_that_cannot_be_resolved_says_why() {
    let cases = [(NXDOMAIN, "resolve_nxdomain"), (SERVFAIL, "resolve_servfail")];
    for (rcode, expected) in cases {
        let server = by_udp(move |q| vec![answer(q, rcode, None)]).await;
        let mut spec = check("https://shop.test/");
        spec.resolver = Some(server.to_string().parse().expect("an address"));
        assert_eq!(code(&run(spec).await), expected);
    }
    let silent = by_udp(|_| Vec::new()).await;
    let mut spec = check("https://shop.test/");
    spec.resolver = Some(silent.to_string().parse().expect("an address"));
    spec.timeout = Length::from_millis(100);
    let run = run(spec).await;
    assert_eq!(code(&run), "resolve_timeout", "{run:?}");
    assert!(run.failure.is_some_and(|f| f.message.contains(&silent.to_string())));
}
