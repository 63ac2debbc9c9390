//! What made-up taps saw: seventy minutes of packets through the real decoder, engine, windows and
//! detectors, in which the clients of one network begin to wait for themselves.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use whyslow::config::WireTap;
use whyslow::config::slow::Slow;
use whyslow::demo::wire::{Course, Dice, Ends, Frame, frames};
use whyslow::storage::{Batch, Db, EdgeBatch, WireBatch, WireEvent, WireKind};
use whyslow_model::Wall;
use whyslow_model::seeded::Seed;
use whyslow_wire::detect::{self, Detectors};
use whyslow_wire::handshake::Blame;
use whyslow_wire::opening::Outcome;
use whyslow_wire::report::document::{EndingDocument, HandshakeDocument, UnansweredDocument};
use whyslow_wire::watch::{self, Told, Watch};
use whyslow_wire::windows::{Client, Windows};

/// How long ago the first packet came, and since when clients wait, in seconds.
const BEGAN_S: i64 = 70 * 60;
const SLOW_SINCE_S: i64 = 30 * 60;
/// Connections in a second.
const PER_S: u64 = 2;
/// Of handshakes that are not slow, one in so many is kept.
const SAMPLE: u64 = 12;
const TAPS: [(&str, &str); 2] = [("eth0", "10.0.0.5:443"), ("eth1", "10.0.0.6:443")];
/// What the names of the clients of each network end in, with its number.
const NETWORKS: [(u32, [u8; 3], &str); 3] = [
    (64_496, [203, 0, 113], "*.corvex.example"),
    (64_501, [198, 51, 100], "*.micro.cumulo.example"),
    (64_502, [192, 0, 2], "*.<script>alert(1)</script>.example"),
];

/// A tap with all that follows it.
struct Tap {
    name: Arc<str>,
    watch: Watch,
    windows: Windows,
    detectors: Detectors,
    kept: u64,
    batch: Batch,
}

/// Fills the store with what taps judge that are configured so; `now_ms` is the present.
pub(super) async fn fill(db: &Db, taps: &[WireTap], now_ms: i64) -> anyhow::Result<()> {
    let now_s = now_ms / 1000;
    for (n, (name, server)) in TAPS.into_iter().enumerate() {
        let own = taps.iter().find(|tap| tap.interface == name).map(|tap| tap.slow.clone());
        let mut tap = Tap::new(name, &own.unwrap_or_default());
        let mut waiting: VecDeque<Frame> = VecDeque::new();
        let mut dice = Dice(n as u64 + 5);
        for second in (now_s - BEGAN_S)..now_s {
            for _ in 0..PER_S {
                waiting.extend(frames(course(&mut dice, server.parse()?, second, now_s)));
            }
            waiting.make_contiguous().sort_by_key(|frame| frame.at);
            tap.see(&mut waiting, second);
            let lost = n == 1 && (now_s - second) % 900 == 0;
            let seen = if lost { 11 } else { 0 };
            tap.windows.handle_packets(PER_S * 17, seen, Wall::from_millis(second * 1000));
            if n == 1 && (now_s - second) / 60 == 50 {
                tap.windows.handle_blindness(Wall::from_millis(second * 1000));
            }
            if second % 300 == 0 {
                tap.tell();
                db.append(std::mem::take(&mut tap.batch)).await?;
            }
        }
        tap.tell();
        db.append(tap.batch).await?;
    }
    Ok(())
}

fn course(dice: &mut Dice, server: SocketAddr, second: i64, now_s: i64) -> Course {
    let (_, net, _) = NETWORKS[usize::try_from(dice.below(3)).unwrap_or(0)];
    let [a, b, c] = net;
    let host = u8::try_from(1 + dice.below(250)).unwrap_or(1);
    let port = u16::try_from(20_000 + dice.below(40_000)).unwrap_or(20_000);
    let faulty = now_s - second < SLOW_SINCE_S && c == 100 && dice.below(10) < 4;
    let think_ms = if faulty { 380 + dice.below(120) } else { 1 };
    let far_ms = [18, 26, 64][usize::from(c) % 3];
    let ends = match dice.below(400) {
        0..3 => Ends::Abandoned,
        3..16 => Ends::Unused,
        // A listener whose queue was full for two seconds.
        _ if (now_s - second) / 2 == 400 => Ends::Unanswered,
        _ => Ends::Answered,
    };
    let micros = i64::try_from(dice.below(1_000_000)).unwrap_or(0);
    Course {
        client: SocketAddr::new(IpAddr::from([a, b, c, host]), port),
        server,
        at: Wall::from_nanos((second * 1_000_000 + micros) * 1000),
        round_trip: Duration::from_micros(1000 * far_ms + dice.below(8000)),
        server_think: Duration::from_micros(700 + dice.below(500)),
        client_think: Duration::from_micros(1000 * think_ms + dice.below(900)),
        seed: dice.throw(),
        ends,
    }
}

impl Tap {
    fn new(name: &str, slow: &Slow) -> Self {
        let options = detect::Options {
            service: Some("shop".to_owned()),
            host: Some("web1".to_owned()),
            ..detect::Options::default()
        };
        let (judge, times_p99) = slow.judge();
        let judged = watch::Options { judge, times_p99, ..watch::Options::default() };
        Self {
            name: Arc::from(name),
            watch: Watch::new(judged, Seed(1)),
            windows: Windows::new(Duration::from_secs(60)),
            detectors: Detectors::new(options),
            kept: 0,
            batch: Batch::default(),
        }
    }

    /// Follows the frames of before the end of a second.
    fn see(&mut self, waiting: &mut VecDeque<Frame>, second: i64) {
        let end = Wall::from_millis((second + 1) * 1000);
        while waiting.front().is_some_and(|frame| frame.at < end) {
            let Some(frame) = waiting.pop_front() else { return };
            self.watch.handle_packet(&frame.captured(0));
        }
        self.watch.handle_timeout(end);
        while let Some(told) = self.watch.poll() {
            self.count(&told, end);
        }
        self.windows.handle_timeout(end);
    }

    fn count(&mut self, told: &Told, at: Wall) {
        let (flow, began) = match told {
            Told::Handshake(h) => (h.opening.flow, h.opening.first),
            Told::Unanswered(syns) => (syns.flow, syns.first),
            Told::Ending(ending) => (ending.flow, ending.first),
        };
        let net = NETWORKS.iter().find(|(_, net, _)| match flow.client.ip() {
            IpAddr::V4(ip) => ip.octets()[..3] == net[..],
            IpAddr::V6(_) => false,
        });
        let client =
            Client { asn: net.map(|(asn, ..)| *asn), rdns: net.map(|(.., rdns)| Arc::from(*rdns)) };
        let event = |kind, word: &str, document: serde_json::Result<String>| WireEvent {
            id: WireEvent::id_of(kind, began, flow.client, flow.server),
            at: began,
            tap: Arc::clone(&self.name),
            kind,
            client: flow.client,
            server: flow.server,
            asn: client.asn,
            rdns: client.rdns.clone(),
            total_us: None,
            word: word.to_owned(),
            outcome: None,
            notable: true,
            evidence: None,
            document: document.unwrap_or_default(),
        };
        let event = match told {
            Told::Handshake(h) => {
                self.windows.handle_handshake(h, &client, at);
                self.kept += 1;
                let notable = h.blame != Blame::None;
                let document = serde_json::to_string(&HandshakeDocument::from(&**h));
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "ms")]
                let total_us = (h.total_ms * 1000.0) as u64;
                let complete = h.opening.outcome == Outcome::Complete;
                let event = WireEvent {
                    total_us: complete.then_some(total_us),
                    outcome: Some(h.opening.outcome.word().to_owned()),
                    notable,
                    evidence: notable.then(|| format!("{:016x}.pcapng", began.as_nanos())),
                    ..event(WireKind::Handshake, h.blame.word(), document)
                };
                (h.is_tls() && (notable || self.kept.is_multiple_of(SAMPLE))).then_some(event)
            }
            Told::Unanswered(syns) => {
                let cause = "accept_queue_full";
                self.windows.handle_unanswered(syns, Some(cause), &client, at);
                let document = serde_json::to_string(&UnansweredDocument::from(syns));
                Some(event(WireKind::Unanswered, cause, document))
            }
            Told::Ending(ending) => {
                self.windows.handle_ending(ending, &client, at);
                let document = serde_json::to_string(&EndingDocument::from(ending));
                Some(event(WireKind::Ending, ending.kind.word(), document))
            }
        };
        self.batch.wire.events.extend(event);
    }

    /// Judges the windows that are over, and puts all into the batch.
    fn tell(&mut self) {
        let mut wire = WireBatch::default();
        let mut edge = EdgeBatch::default();
        while let Some(window) = self.windows.poll() {
            self.detectors.handle_window(&window);
            wire.windows.push((Arc::clone(&self.name), window));
        }
        edge.readings.extend(std::iter::from_fn(|| self.detectors.poll_reading()));
        edge.findings.extend(std::iter::from_fn(|| self.detectors.poll_finding()));
        self.batch.wire.windows.append(&mut wire.windows);
        self.batch.edge.readings.append(&mut edge.readings);
        self.batch.edge.findings.append(&mut edge.findings);
    }
}
