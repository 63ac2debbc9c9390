//! Made packets go the whole way that captured ones go, and are judged as they were made.

use whyslow_model::seeded::Seed;
use whyslow_wire::event::EndingKind;
use whyslow_wire::handshake::{Blame, Handshake, VantagePoint};
use whyslow_wire::opening::Outcome;
use whyslow_wire::watch::{self, Told, Watch};

use super::*;

fn course(n: u64) -> Course {
    Course {
        client: format!("127.65.0.{}:{}", 10 + n % 100, 20_000 + n).parse().unwrap(),
        server: "127.0.0.1:443".parse().unwrap(),
        at: Wall::from_millis(1_800_000_000_000 + i64::try_from(n).unwrap() * 7),
        round_trip: Duration::from_millis(24),
        server_think: Duration::from_micros(900),
        client_think: Duration::from_micros(800),
        seed: n,
        ends: Ends::Answered,
    }
}

fn told(courses: &[Course]) -> Vec<Told> {
    let mut all: Vec<Frame> = courses.iter().copied().flat_map(frames).collect();
    all.sort_by_key(|frame| frame.at);
    let mut watch = Watch::new(watch::Options::default(), Seed(3));
    let mut told = Vec::new();
    for frame in &all {
        watch.handle_packet(&frame.captured(0));
        told.extend(std::iter::from_fn(|| watch.poll()));
    }
    let last = all.last().unwrap().at;
    watch.handle_timeout(last.after(Duration::from_secs(120)));
    watch.finish();
    told.extend(std::iter::from_fn(|| watch.poll()));
    assert_eq!(watch.packets().malformed, 0);
    told
}

fn handshakes(told: &[Told]) -> Vec<&Handshake> {
    let one = |told: &Told| matches!(told, Told::Handshake(h) if h.is_tls());
    let all = told.iter().filter(|told| one(told));
    all.filter_map(|told| if let Told::Handshake(h) = told { Some(&**h) } else { None }).collect()
}

#[test]
fn every_handshake_is_found_whole_with_the_right_blame() {
    let stalls = |n: u64| match n % 4 {
        0 => (Blame::Client, Course { client_think: Duration::from_millis(420), ..course(n) }),
        1 => (Blame::Server, Course { server_think: Duration::from_millis(450), ..course(n) }),
        2 => (Blame::Network, Course { round_trip: Duration::from_millis(380), ..course(n) }),
        _ => (Blame::None, course(n)),
    };
    let made: Vec<(Blame, Course)> = (0..200).map(stalls).collect();
    let courses: Vec<Course> = made.iter().map(|(_, course)| *course).collect();
    let told = told(&courses);
    let handshakes = handshakes(&told);
    assert_eq!(handshakes.len(), made.len());
    for (blame, course) in &made {
        let of = |h: &&&Handshake| h.opening.flow.client == course.client;
        let found = handshakes.iter().find(of).unwrap();
        assert_eq!(found.opening.outcome, Outcome::Complete, "{course:?}");
        assert_eq!(found.blame, *blame, "{course:?}: {:?}", found.evidence);
        assert_eq!(found.vantage, VantagePoint::Server);
        assert_eq!(found.version(), Some("TLS 1.3"));
        let tls = found.opening.tls.as_ref().unwrap();
        assert_eq!(tls.sni.as_deref(), Some(tls::SERVER_NAME));
        assert!(tls.ja4.as_deref().is_some_and(|ja4| ja4.starts_with("t13d")), "{:?}", tls.ja4);
        assert!(found.incomplete().is_empty(), "{:?}", found.incomplete());
        let within = |ms: Option<f64>, made: Duration| {
            let off = ms.map(|ms| (ms - made.as_secs_f64() * 1000.0).abs());
            assert!(off.is_some_and(|off| off < 0.2), "{ms:?} where {made:?} was made");
        };
        within(found.phases.network, course.round_trip);
        within(found.phases.server_think, course.server_think);
        within(found.phases.client_think, course.client_think);
    }
}

#[test]
fn what_ends_otherwise_is_told_as_it_was_made() {
    let of = |n, ends| Course { ends, ..course(n) };
    let told =
        told(&[of(1, Ends::Abandoned), of(2, Ends::Unused), of(3, Ends::Unanswered), course(4)]);
    assert_eq!(handshakes(&told).len(), 2);
    let endings: Vec<(u16, EndingKind)> = told
        .iter()
        .filter_map(|told| if let Told::Ending(e) = told { Some(e) } else { None })
        .map(|ending| (ending.flow.client.port(), ending.kind))
        .collect();
    assert!(endings.contains(&(20_001, EndingKind::RequestAbandoned)), "{endings:?}");
    assert!(endings.contains(&(20_002, EndingKind::Unused)), "{endings:?}");
    assert!(endings.iter().all(|(port, _)| *port != 20_004), "{endings:?}");
    let silent: Vec<u32> = told
        .iter()
        .filter_map(|told| if let Told::Unanswered(u) = told { Some(u.retries) } else { None })
        .collect();
    assert_eq!(silent, [2]);
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_the_hello_has_the_size_browsers_send() {
    assert_eq!(frames(course(7)), frames(course(7)));
    assert_ne!(frames(course(7))[0].bytes, frames(course(8))[0].bytes);
    assert_eq!(tls::client_hello(&mut Dice(1)).len(), 5 + 512);
}
