//! Scripts of two ends become packets, packets a file, and the file is read again.

use whyslow_model::Wall;

use super::*;
use crate::made::Wire;
use crate::opening::Opening;
use crate::packet::made::Made;
use crate::tls::made::{ccs, client_hello, record, sealed, server_hello_1_3, versions};

/// A handshake of TLS 1.3 with so many milliseconds of think time, then a request and a response.
pub(crate) fn handshake_of(server_think_ms: i64, client_think_ms: i64) -> Wire {
    let mut wire = Wire::new();
    let flight = [
        record(22, &server_hello_1_3(&[])),
        ccs(),
        sealed(23),
        sealed(900),
        sealed(281),
        sealed(53),
    ];
    wire.connect(10).wait_us(300);
    wire.client(&record(22, &client_hello(&[versions()]))).wait_ms(server_think_ms);
    wire.server(&flight.concat()).wait_ms(10).ack(true).wait_ms(client_think_ms);
    // The first of the request comes along with the Finished.
    wire.client(&[ccs(), sealed(53), sealed(200), sealed(100)].concat()).wait_ms(3);
    wire.server(&[sealed(250), sealed(250)].concat()).wait_ms(1);
    wire.server(&sealed(3000)[..1400]).wait_ms(1);
    wire.server(&sealed(3000)[1400..]).wait_ms(1);
    wire.send(true, Flags::RST, &[]);
    wire
}

pub(crate) fn opening_of(wire: &Wire) -> Opening {
    let frames = frames(wire);
    let told = events(&captured(&frames), Seed(7));
    let opening = told.into_iter().find_map(|e| match e {
        Event::Opening(opening) => Some(*opening),
        Event::Unanswered(_) | Event::Ending(_) => None,
    });
    opening.unwrap()
}

fn frames(wire: &Wire) -> Vec<(Wall, Vec<u8>)> {
    let frame = |segment: Segment<'_>| {
        let Segment { from, to, ip_id, ttl, seq, ack, flags, window, options, payload, .. } =
            segment;
        let made = Made { from, to, ip_id, ttl, seq, ack, flags, window, options, payload };
        (segment.at, made.ethernet())
    };
    wire.segments().map(frame).collect()
}

fn captured(frames: &[(Wall, Vec<u8>)]) -> Vec<Captured<'_>> {
    frames
        .iter()
        .map(|(at, bytes)| Captured {
            at: *at,
            interface: 0,
            link: LinkType::Ethernet,
            outgoing: None,
            original_len: u32::try_from(bytes.len()).unwrap(),
            bytes,
        })
        .collect()
}

const ALL: Extent = Extent { connection_bytes: u64::MAX, payload: true };
const HANDSHAKES: Extent = Extent { payload: false, ..ALL };

fn kept(wire: &Wire, extent: Extent) -> Evidence {
    let frames = frames(wire);
    let incident = Incident {
        text: "slow_handshake: for a test",
        application: "whyslow",
        interface: "eth0",
        link: LinkType::Ethernet,
        statistics: Statistics {
            received: Some(10),
            dropped_by_system: Some(3),
            ..Statistics::default()
        },
        names: &[(IpAddr::from([192, 0, 2, 7]), "client.example")],
    };
    evidence(&incident, &captured(&frames), extent, Seed(7))
}

/// Bytes of each packet that is read, its length before, and what stands beside it first.
fn read(file: &[u8]) -> (Vec<(Vec<u8>, u32, String)>, Statistics) {
    let (mut reader, mut at, mut packets) = (Reader::new(), 0, Vec::new());
    let mut counted = Statistics::default();
    loop {
        match reader.next(&file[at..]).unwrap() {
            Step::Packet { packet, comment, consumed } => {
                let comment = String::from_utf8(comment.unwrap_or_default().to_vec()).unwrap();
                packets.push((packet.bytes.to_vec(), packet.original_len, comment));
                at += consumed;
            }
            Step::Statistics { statistics, consumed } => {
                counted = statistics;
                at += consumed;
            }
            Step::Other { consumed } => at += consumed,
            Step::Need(_) => return (packets, counted),
        }
    }
}

#[test]
fn each_packet_says_what_it_begins_or_ends() {
    let made = kept(&handshake_of(301, 40), ALL);
    let (packets, counted) = read(&made.bytes);
    let comments: Vec<&str> = packets.iter().map(|(_, _, comment)| comment.as_str()).collect();
    assert_eq!(
        comments,
        [
            "SYN",
            "SYN-ACK (syn_ack 0.030 ms)",
            "the SYN-ACK is acknowledged (network 10.000 ms)",
            "ClientHello: server think begins (hello_wait 0.300 ms)",
            "ServerHello: server think ends (server_think 301.000 ms)",
            "the server's flight is acknowledged: client think begins (ack 10.000 ms)",
            "client think ends: its answer begins (client_think 40.000 ms)",
            "",
            "the first byte of a response",
            "",
            "reset in phase response",
        ]
    );
    assert_eq!((counted.received, counted.dropped_by_system), (Some(10), Some(3)));
    assert_eq!((made.packets, made.beyond, made.cut), (11, 0, 0));
    let text = String::from_utf8_lossy(&made.bytes);
    for what in ["slow_handshake: for a test", "client.example", "the client's Finished (finish"] {
        assert!(text.contains(what), "{what}");
    }
}

#[test]
fn behind_the_finished_of_each_side_only_headers_are_left() {
    let wire = handshake_of(5, 5);
    let (whole, _) = read(&kept(&wire, ALL).bytes);
    let made = kept(&wire, HANDSHAKES);
    let (packets, _) = read(&made.bytes);
    assert_eq!(packets.len(), whole.len());
    let headers = 14 + 20 + 20 + 12;
    for (n, (bytes, len, _)) in packets.iter().enumerate() {
        assert_eq!(*len, whole[n].1, "how long it was is still said");
        if n < 6 {
            assert_eq!(bytes, &whole[n].0, "packet {n} is of the handshake");
        }
    }
    // ChangeCipherSpec and Finished whole, a record blanked behind its header, one cut there.
    let (answer, finished) = (&packets[6].0, headers + 6 + 5 + 53);
    assert_eq!(answer[..finished + 5], whole[6].0[..finished + 5]);
    assert_eq!(answer[finished + 5..finished + 205], [0; 200]);
    assert_eq!(answer[finished + 205..], whole[6].0[finished + 205..finished + 210]);
    let (tickets, begun, rest) = (&packets[7].0, &packets[8].0, &packets[9].0);
    assert_eq!((tickets.len(), begun.len(), rest.len()), (headers + 260, headers + 5, headers));
    assert_eq!(tickets[headers + 5..headers + 255], [0; 250]);
    assert_eq!(made.cut, 4);
}

#[test]
fn nothing_is_left_of_what_is_no_tls_or_began_unseen() {
    let headers = 14 + 20 + 20 + 12;
    let mut plain = Wire::new();
    plain.connect(1);
    plain.client(b"GET /secret HTTP/1.1\r\n\r\n").wait_ms(5).server(b"HTTP/1.1 200 OK\r\n\r\n");
    let mut late = Wire::new();
    late.client(&sealed(100)).wait_ms(1).server(&sealed(200));
    for (wire, n) in [(plain, 5), (late, 2)] {
        let (packets, _) = read(&kept(&wire, HANDSHAKES).bytes);
        assert_eq!(packets.len(), n);
        assert!(packets.iter().all(|(bytes, ..)| bytes.len() <= headers + 8), "{packets:?}");
    }
}

#[test]
fn a_connection_is_kept_up_to_its_limit_and_its_end_is() {
    let few = Extent { connection_bytes: 400, payload: false };
    let made = kept(&handshake_of(5, 5), few);
    let (packets, _) = read(&made.bytes);
    assert_eq!((made.packets, made.beyond), (packets.len() as u64, 11 - packets.len() as u64));
    let comments: Vec<&str> = packets.iter().map(|p| p.2.as_str()).collect();
    assert_eq!((comments[0], comments[comments.len() - 1]), ("SYN", "reset in phase response"));
    assert!(made.beyond > 0);
}

#[test]
fn connections_are_counted_whichever_way_their_packets_go() {
    let frames = frames(&handshake_of(5, 5));
    let packets = captured(&frames);
    let any = |_, _| true;
    let (all, none) = (candidates(&packets, 9, any), candidates(&packets, 0, any));
    assert_eq!((all.packets.len(), all.connections.len(), all.all), (11, 1, 1));
    assert_eq!((none.packets.len(), none.connections.len(), none.all), (0, 0, 1));
}

#[test]
fn an_address_of_a_client_is_that_of_who_opened_the_connection() {
    let whole = frames(&handshake_of(5, 5));
    let packets = captured(&whole);
    let (client, server) = candidates(&packets, 9, |_, _| true).connections[0];
    let of = |packets: &[Captured<'_>], who: SocketAddr| {
        let found = candidates(packets, 9, |client, _| client == who);
        (found.all, found.packets.len(), found.connections)
    };
    assert_eq!(of(&packets, client), (1, 11, vec![(client, server)]));
    assert_eq!(of(&packets, server), (0, 0, vec![]));
    // The SYN-ACK tells it as well; without either nobody knows.
    assert_eq!(of(&packets[1..], client), (1, 10, vec![(client, server)]));
    assert_eq!(of(&packets[1..], server).0, 0);
    assert_eq!(of(&packets[2..], client), (1, 9, vec![(client, server)]));
    assert_eq!(of(&packets[2..], server), (1, 9, vec![(server, client)]));
}
