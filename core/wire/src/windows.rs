//! Judged openings, unanswered SYNs and endings, counted into windows.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use whyslow_model::Wall;
use whyslow_model::limits::{WIRE_CELLS_PER_DIMENSION_MAX, WIRE_RDNS_BYTES_MAX};

use crate::event::{Ending, EndingKind, Unanswered};
use crate::handshake::{Blame, Handshake};
use crate::opening::{Opening, Outcome};
use crate::row::{Cell, Dimension, Row, Totals, Window};

/// For how long after its end a window takes what became known late.
const GRACE: Duration = Duration::from_secs(2);

/// What is known of a client beside its address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Client {
    /// Its network's number.
    pub asn: Option<u32>,
    /// The suffix of its name: see [`rdns_suffix`].
    pub rdns: Option<Arc<str>>,
}

/// Windows that are still open, of one tap.
#[derive(Debug)]
pub struct Windows {
    length: Duration,
    open: BTreeMap<i64, Open>,
    closed_until: Wall,
    closed: VecDeque<Window>,
    counters: Counters,
}

/// What the windows count of themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// What became known after its window was closed; it is counted in the next one.
    pub late: u64,
    /// Cells that found no place of their own.
    pub other: u64,
}

#[derive(Debug, Default)]
struct Open {
    packets: u64,
    drops: u64,
    blind: bool,
    cells: BTreeMap<Cell, Totals>,
    told_apart: [usize; 4],
}

impl Windows {
    /// Windows of a length (whole seconds, at least one), none open.
    pub fn new(length: Duration) -> Self {
        Self {
            length: Duration::from_secs(length.as_secs().max(1)),
            open: BTreeMap::new(),
            closed_until: Wall::from_nanos(i64::MIN),
            closed: VecDeque::new(),
            counters: Counters::default(),
        }
    }

    /// Counts a judged opening that became known at `at`.
    pub fn handle_handshake(&mut self, handshake: &Handshake, client: &Client, at: Wall) {
        let flow = handshake.opening.flow;
        self.count(at, flow.server, flow.client.ip(), client, |t| count(t, handshake));
    }

    /// Counts SYNs without an answer, with the cause where somebody said it.
    pub fn handle_unanswered(
        &mut self,
        syns: &Unanswered,
        cause: Option<&'static str>,
        client: &Client,
        at: Wall,
    ) {
        self.count(at, syns.flow.server, syns.flow.client.ip(), client, |t| {
            // One that was answered in the end is counted as an opening too.
            t.unanswered += 1;
            let cause = cause.unwrap_or(if syns.refused {
                "refused"
            } else if syns.syn_ack_lost {
                "return_path"
            } else {
                "unknown"
            });
            *t.causes.entry(Cow::Borrowed(cause)).or_default() += 1;
        });
    }

    /// Counts an ending.
    pub fn handle_ending(&mut self, ending: &Ending, client: &Client, at: Wall) {
        let word = Cow::Borrowed(ending.kind.word());
        self.count(at, ending.flow.server, ending.flow.client.ip(), client, |t| {
            *t.endings.entry(word.clone()).or_default() += 1;
        });
    }

    /// Notes what the tap gave and lost since it was last noted.
    pub fn handle_packets(&mut self, packets: u64, drops: u64, at: Wall) {
        let open = self.at(at);
        open.packets += packets;
        open.drops += drops;
    }

    /// Notes that nothing can be seen at `at`.
    pub fn handle_blindness(&mut self, at: Wall) {
        self.at(at).blind = true;
    }

    /// Closes windows that are over.
    pub fn handle_timeout(&mut self, now: Wall) {
        while let Some((start, _)) = self.open.first_key_value() {
            let end = Wall::from_nanos(*start).after(self.length);
            if end.after(GRACE) > now {
                return;
            }
            self.close_first();
        }
    }

    /// Closes all windows at `now`: one that is not over ends then.
    pub fn finish(&mut self, now: Wall) {
        while !self.open.is_empty() {
            self.close_first();
        }
        for window in &mut self.closed {
            window.to = window.to.min(now.max(window.from));
        }
    }

    /// The next closed window.
    pub fn poll(&mut self) -> Option<Window> {
        self.closed.pop_front()
    }

    /// What they count of themselves.
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    fn close_first(&mut self) {
        let Some((start, open)) = self.open.pop_first() else { return };
        let from = Wall::from_nanos(start);
        let to = from.after(self.length);
        self.closed_until = to;
        let Open { packets, drops, blind, cells, .. } = open;
        let rows = cells.into_iter().map(|(cell, totals)| Row { cell, totals }).collect();
        self.closed.push_back(Window { from, to, packets, drops, blind, rows });
    }

    fn at(&mut self, at: Wall) -> &mut Open {
        let late = at < self.closed_until;
        self.counters.late += u64::from(late);
        let at = at.max(self.closed_until).as_nanos();
        let length = i64::try_from(self.length.as_nanos()).unwrap_or(i64::MAX);
        self.open.entry(at - at.rem_euclid(length)).or_default()
    }

    fn count(
        &mut self,
        at: Wall,
        server: SocketAddr,
        address: IpAddr,
        client: &Client,
        add: impl Fn(&mut Totals),
    ) {
        let cells = [
            Cell::Server(server),
            client.asn.map_or(Cell::Unknown(Dimension::Asn), Cell::Asn),
            Cell::Prefix(prefix(address)),
            client.rdns.clone().map_or(Cell::Unknown(Dimension::Rdns), Cell::Rdns),
        ];
        let open = self.at(at);
        add(open.cells.entry(Cell::All).or_default());
        let mut other = 0;
        for ((cell, dimension), told) in
            cells.into_iter().zip(Dimension::ALL).zip(&mut open.told_apart)
        {
            let known = open.cells.contains_key(&cell);
            let full = !known && cell.is_one() && *told >= WIRE_CELLS_PER_DIMENSION_MAX;
            *told += usize::from(!known && !full && cell.is_one());
            other += u64::from(full);
            let cell = if full { Cell::Other(dimension) } else { cell };
            add(open.cells.entry(cell).or_default());
        }
        self.counters.other += other;
    }
}

/// The /24 or /48 an address belongs to.
pub fn prefix(address: IpAddr) -> IpNet {
    let bits = if address.is_ipv4() { 24 } else { 48 };
    IpNet::new(address, bits).map_or_else(|_| IpNet::from(address), |net| net.trunc())
}

/// What names of many machines of one kind share: the labels behind those that hold a digit, two
/// at least, as `*.micro.cumulo.example`. `None` for a name of fewer labels or an overlong one.
pub fn rdns_suffix(name: &str) -> Option<String> {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    if name.len() > WIRE_RDNS_BYTES_MAX {
        return None;
    }
    let labels: Vec<&str> = name.split('.').collect();
    let numbered = |label: &&str| label.bytes().any(|b| b.is_ascii_digit());
    let last = labels.len().checked_sub(2)?;
    let from =
        labels.iter().take(last).rposition(numbered).map_or(usize::from(last > 0), |i| i + 1);
    Some(format!("*.{}", labels.get(from..)?.join(".")))
}

fn count(totals: &mut Totals, handshake: &Handshake) {
    let opening = &handshake.opening;
    if opening.tls.is_none() {
        totals.plain += 1;
        return;
    }
    totals.handshakes += 1;
    *totals.outcomes.entry(Cow::Borrowed(opening.outcome.word())).or_default() += 1;
    let gaps = &opening.gaps;
    let missed = gaps.drops > 0 || gaps.no_syn || gaps.one_sided || gaps.cut;
    totals.incomplete += u64::from(missed);
    totals.lost_before_tap += u64::from(lost_before_tap(opening));
    if handshake.blame != Blame::None {
        totals.slow += 1;
        *totals.blame.entry(Cow::Borrowed(handshake.blame.word())).or_default() += 1;
    }
    if opening.outcome != Outcome::Complete {
        return;
    }
    let parts = [
        (&mut totals.total, 1.0),
        (&mut totals.server, handshake.shares.server),
        (&mut totals.network, handshake.shares.network),
        (&mut totals.client, handshake.shares.client),
    ];
    for (histogram, share) in parts {
        histogram.observe(micros(handshake.total_ms * share));
    }
    if let Some(think) = handshake.phases.server_think {
        totals.server_think.observe(micros(think));
    }
}

/// Whether a packet of the client was lost, or overtaken, before the tap: a hole in its bytes, or
/// a SYN that came again before it had an answer.
fn lost_before_tap(opening: &Opening) -> bool {
    !opening.client_side.holes.is_empty() || opening.syns.count > 1
}

fn micros(ms: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to what fits"
    )]
    let micros = (ms * 1000.0).round().clamp(0.0, 1e15) as u64;
    micros
}

impl EndingKind {
    /// The word users read.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unused => "unused",
            Self::HandshakeUnfinished => "handshake_unfinished",
            Self::BeforeRequest => "before_request",
            Self::RequestAbandoned => "request_abandoned",
            Self::RequestRefused => "request_refused",
            Self::ResetMidway => "reset_midway",
        }
    }
}

impl Blame {
    /// The word users read.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Network => "network",
            Self::Client => "client",
            Self::Unknown => "unknown",
            Self::None => "none",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_many_machines_share_what_stands_behind_their_numbers() {
        let suffix = |name: &str| rdns_suffix(name);
        assert_eq!(
            suffix("i-0a3.micro.cumulo.example.").as_deref(),
            Some("*.micro.cumulo.example")
        );
        assert_eq!(suffix("1.2.pool4.isp.example").as_deref(), Some("*.isp.example"));
        assert_eq!(suffix("mail.isp.example").as_deref(), Some("*.isp.example"));
        assert_eq!(suffix("isp2.example").as_deref(), Some("*.isp2.example"));
        assert_eq!(suffix("localhost"), None);
        assert_eq!(suffix(&"x.".repeat(200)), None);
    }

    #[test]
    fn the_cells_of_every_dimension_add_up_and_a_flood_of_prefixes_is_bounded() {
        let mut windows = Windows::new(Duration::from_secs(60));
        let server = "10.0.0.1:443".parse().unwrap();
        let many = 3 * u32::try_from(WIRE_CELLS_PER_DIMENSION_MAX).unwrap();
        for n in 0..many {
            let address = IpAddr::from((n << 8).to_be_bytes());
            let client = Client { asn: (n % 3 > 0).then_some(n % 3), rdns: None };
            let flow = crate::segment::FlowKey { client: (address, 1).into(), server };
            let at = Wall::from_millis(1_000);
            let syns = Unanswered {
                flow,
                interface: 0,
                first: at,
                last: at,
                retries: 1,
                answered: None,
                refused: false,
                syn_ack_lost: false,
            };
            windows.handle_unanswered(&syns, None, &client, at);
        }
        windows.handle_packets(90, 10, Wall::from_millis(2_000));
        windows.handle_timeout(Wall::from_millis(61_000));
        assert!(windows.poll().is_none(), "late ones are waited for");
        windows.handle_timeout(Wall::from_millis(62_000));
        let window = windows.poll().unwrap();
        assert!((window.completeness() - 0.9).abs() < 1e-9);
        for dimension in Dimension::ALL {
            let of = window.rows.iter().filter(|r| r.cell.dimension() == Some(dimension));
            assert_eq!(of.map(|r| r.totals.unanswered).sum::<u64>(), u64::from(many));
        }
        assert!(window.rows.len() <= WIRE_CELLS_PER_DIMENSION_MAX + 10);
        assert_eq!(windows.counters().other, u64::from(many) * 2 / 3);
    }
}
