//! Which echo leaves when, and what becomes of it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use whyslow_model::Mono;
use whyslow_model::limits::{PING_PACKETS_MAX, PINGS_IN_FLIGHT_MAX};

use super::packet::{self, Arrived, Mark, Message, PAYLOAD_BYTES_MIN, Refusal};

/// A round to make: some echoes to one host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Round {
    /// The host.
    pub to: IpAddr,
    /// The address of ours to send from; the kernel's choice where `None`.
    pub from: Option<IpAddr>,
    /// How many echoes, 1 to [`PING_PACKETS_MAX`]; others are taken as the nearest of these.
    pub packets: u16,
    /// From one echo to the next; below [`SPACING_MIN`] is taken as that.
    pub spacing: Duration,
    /// How long each echo may take.
    pub patience: Duration,
    /// Bytes of each echo's payload; below [`PAYLOAD_BYTES_MIN`] is taken as that.
    pub payload_bytes: u16,
}

/// Names one round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RoundId(u64);

/// An echo to send now; [`Engine::handle_sent`] must hear of it.
#[derive(Debug)]
pub struct Transmit<'a> {
    /// To whom.
    pub to: IpAddr,
    /// From which address of ours.
    pub from: Option<IpAddr>,
    /// The ICMP message.
    pub packet: &'a [u8],
    /// To be given back.
    pub sent: Sent,
}

/// Stands for one echo that was handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    round: RoundId,
    index: u16,
}

/// Why the kernel did not take an echo: our machine's trouble, or its routing table's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Whether there is no way to the host from here, rather than a want of ours.
    pub unreachable: bool,
    /// What the kernel said.
    pub message: String,
}

/// What came of a round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Which round.
    pub id: RoundId,
    /// Echoes that left.
    pub sent: u16,
    /// The time of each echo that left and was answered in time, in order of leaving; `None`
    /// where it was not.
    pub times: Vec<Option<Duration>>,
    /// Answers beyond the first to the same echo.
    pub duplicates: u16,
    /// Answers that came after their echo's time was over.
    pub late: u16,
    /// The first refusal, and who said so.
    pub refusal: Option<(Refusal, IpAddr)>,
    /// The first echo that could not leave.
    pub problem: Option<Problem>,
    /// The longest time that handing one echo to the kernel took: our own machine's slowness, by
    /// which a time may be too long.
    pub send_slowness: Duration,
}

impl Finished {
    /// Echoes answered in time.
    pub fn received(&self) -> usize {
        self.times.iter().flatten().count()
    }
}

/// What has happened so far, over all rounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Echoes that left.
    pub sent: u64,
    /// Echoes answered in time.
    pub received: u64,
    /// Answers to echoes of rounds that were over.
    pub late: u64,
    /// Packets that were not ours, or could not be read.
    pub foreign: u64,
    /// Times an echo had to wait because [`PINGS_IN_FLIGHT_MAX`] were unanswered.
    pub held_back: u64,
}

/// Decides what to send and makes sense of what arrives.
#[derive(Debug)]
pub struct Engine {
    secret: u64,
    ident: u16,
    rounds: BTreeMap<RoundId, Progress>,
    next_round: u64,
    /// Exactly one entry per round: when it wants to be looked at.
    timers: BTreeSet<(Mono, RoundId)>,
    /// Rounds with an echo to send now.
    sending: VecDeque<RoundId>,
    /// Unanswered echoes by sequence number, the one thing that an ICMP error surely quotes.
    in_flight: BTreeMap<u16, (RoundId, u16)>,
    next_seq: u16,
    finished: VecDeque<Finished>,
    buffer: Vec<u8>,
    counters: Counters,
}

#[derive(Debug)]
struct Progress {
    round: Round,
    timer: Mono,
    /// When the next echo is due.
    next: Mono,
    echoes: Vec<Echo>,
    duplicates: u16,
    late: u16,
    refusal: Option<(Refusal, IpAddr)>,
    problem: Option<Problem>,
    send_slowness: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Echo {
    seq: u16,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Handed to the shell, which has not yet said that it left.
    Leaving,
    /// It never left.
    Unsent,
    /// It left then, and nothing came back yet.
    Waiting(Mono),
    /// Answered after this time.
    Answered(Duration),
    /// Refused, or its time is over.
    Lost(Mono),
}

/// The shortest time from one echo of a round to the next.
pub const SPACING_MIN: Duration = Duration::from_millis(1);
/// How long an echo waits for room when too many are unanswered.
const HELD_BACK: Duration = Duration::from_millis(5);

impl Engine {
    /// An engine without rounds. Both numbers are drawn at random: the identifier tells our echoes
    /// from other pingers', the secret makes answers impossible to guess.
    pub fn new(secret: u64, ident: u16) -> Self {
        Self {
            secret,
            ident,
            rounds: BTreeMap::new(),
            next_round: 0,
            timers: BTreeSet::new(),
            sending: VecDeque::new(),
            in_flight: BTreeMap::new(),
            next_seq: 0,
            finished: VecDeque::new(),
            buffer: Vec::new(),
            counters: Counters::default(),
        }
    }

    /// Begins a round; its first echo is due at once.
    pub fn begin(&mut self, mut round: Round, now: Mono) -> RoundId {
        round.packets = round.packets.clamp(1, PING_PACKETS_MAX);
        round.payload_bytes = round.payload_bytes.max(PAYLOAD_BYTES_MIN);
        round.spacing = round.spacing.max(SPACING_MIN);
        let id = RoundId(self.next_round);
        self.next_round += 1;
        let progress = Progress {
            round,
            timer: now,
            next: now,
            echoes: Vec::with_capacity(round.packets.into()),
            duplicates: 0,
            late: 0,
            refusal: None,
            problem: None,
            send_slowness: Duration::ZERO,
        };
        self.rounds.insert(id, progress);
        self.timers.insert((now, id));
        self.handle_timeout(now);
        id
    }

    /// Gives a round up: nobody waits for it any more.
    pub fn abandon(&mut self, id: RoundId) {
        self.end(id);
    }

    /// Finds the echoes that are due and the rounds that are over.
    pub fn handle_timeout(&mut self, now: Mono) {
        while let Some(&(_, id)) = self.timers.first().filter(|(at, _)| *at <= now) {
            self.timers.pop_first();
            let Some(progress) = self.rounds.get_mut(&id) else { continue };
            for seq in progress.expire(now) {
                self.in_flight.remove(&seq);
            }
            if progress.sends_more() && progress.next <= now {
                if self.in_flight.len() + self.sending.len() < PINGS_IN_FLIGHT_MAX {
                    self.sending.push_back(id);
                    progress.next = now.after(progress.round.spacing);
                } else {
                    self.counters.held_back += 1;
                    progress.next = now.after(HELD_BACK);
                }
            }
            self.look_at(id, now);
        }
    }

    /// The next echo to send; `None` until time passes.
    pub fn poll_transmit(&mut self) -> Option<Transmit<'_>> {
        let (id, progress) = loop {
            let id = self.sending.pop_front()?;
            // A round that was given up sends no more.
            match self.rounds.get_mut(&id) {
                Some(progress) if progress.sends_more() => break (id, progress),
                _ => {}
            }
        };
        while self.in_flight.contains_key(&self.next_seq) {
            self.next_seq = self.next_seq.wrapping_add(1);
        }
        let seq = self.next_seq;
        self.next_seq = seq.wrapping_add(1);
        let index = u16::try_from(progress.echoes.len()).unwrap_or(u16::MAX);
        progress.echoes.push(Echo { seq, state: State::Leaving });
        self.in_flight.insert(seq, (id, index));
        let mark = Mark { secret: self.secret, round: id.0, index };
        let Round { to, from, payload_bytes, .. } = progress.round;
        packet::write_request(&mut self.buffer, to, (self.ident, seq), mark, payload_bytes);
        Some(Transmit { to, from, packet: &self.buffer, sent: Sent { round: id, index } })
    }

    /// An echo has been handed to the kernel, from `before` to `after`, or was not taken.
    pub fn handle_sent(
        &mut self,
        sent: Sent,
        before: Mono,
        after: Mono,
        taken: Result<(), Problem>,
    ) {
        let Some(progress) = self.rounds.get_mut(&sent.round) else { return };
        progress.send_slowness = progress.send_slowness.max(after.since(before));
        let echo = &mut progress.echoes[usize::from(sent.index)];
        match taken {
            Ok(()) => {
                echo.state = State::Waiting(before);
                self.counters.sent += 1;
            }
            Err(problem) => {
                echo.state = State::Unsent;
                self.in_flight.remove(&echo.seq);
                progress.problem.get_or_insert(problem);
            }
        }
        self.look_at(sent.round, after);
    }

    /// A packet arrived; the kernel received it at `at`.
    pub fn handle_packet(&mut self, packet: &Arrived<'_>, at: Mono) {
        match packet::read(packet) {
            Ok(Message::Reply(mark)) if mark.secret == self.secret => self.answered(mark, at),
            Ok(Message::Refused { why, to, ident, seq }) if ident == self.ident => {
                self.refused(why, to, seq, packet.from, at);
            }
            Ok(Message::Reply(_) | Message::Refused { .. } | Message::Other) | Err(_) => {
                self.counters.foreign += 1;
            }
        }
    }

    /// A round that is over.
    pub fn poll_finished(&mut self) -> Option<Finished> {
        self.finished.pop_front()
    }

    /// When `handle_timeout` is wanted next; `None` while there is no round.
    pub fn poll_timeout(&self) -> Option<Mono> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// What has happened so far.
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    fn answered(&mut self, mark: Mark, at: Mono) {
        let id = RoundId(mark.round);
        let Some(progress) = self.rounds.get_mut(&id) else {
            self.counters.late += 1;
            return;
        };
        let Some(echo) = progress.echoes.get_mut(usize::from(mark.index)) else { return };
        match echo.state {
            // Given up or not, what the kernel received in time was in time.
            State::Waiting(left) | State::Lost(left)
                if at.since(left) <= progress.round.patience =>
            {
                echo.state = State::Answered(at.since(left));
                self.in_flight.remove(&echo.seq);
                self.counters.received += 1;
                self.look_at(id, at);
            }
            State::Waiting(left) | State::Lost(left) => {
                echo.state = State::Lost(left);
                self.in_flight.remove(&echo.seq);
                progress.late = progress.late.saturating_add(1);
            }
            State::Answered(_) => progress.duplicates = progress.duplicates.saturating_add(1),
            // Nobody can answer what never left.
            State::Leaving | State::Unsent => {}
        }
    }

    fn refused(&mut self, why: Refusal, to: IpAddr, seq: u16, by: IpAddr, at: Mono) {
        let Some(&(id, index)) = self.in_flight.get(&seq) else { return };
        let Some(progress) = self.rounds.get_mut(&id).filter(|p| p.round.to == to) else { return };
        let echo = &mut progress.echoes[usize::from(index)];
        let State::Waiting(left) = echo.state else { return };
        echo.state = State::Lost(left);
        self.in_flight.remove(&seq);
        progress.refusal.get_or_insert((why, by));
        self.look_at(id, at);
    }

    /// Ends the round where nothing is left to wait for, and sets its timer otherwise.
    fn look_at(&mut self, id: RoundId, now: Mono) {
        let Some(progress) = self.rounds.get_mut(&id) else { return };
        self.timers.remove(&(progress.timer, id));
        let wake = if progress.sends_more() { Some(progress.next) } else { progress.over_at() };
        match wake {
            Some(at) if at > now || progress.sends_more() => {
                progress.timer = at;
                self.timers.insert((at, id));
            }
            _ => {
                if let Some(finished) = self.end(id) {
                    self.finished.push_back(finished);
                }
            }
        }
    }

    fn end(&mut self, id: RoundId) -> Option<Finished> {
        let progress = self.rounds.remove(&id)?;
        self.timers.remove(&(progress.timer, id));
        for echo in &progress.echoes {
            if self.in_flight.get(&echo.seq).is_some_and(|(round, _)| *round == id) {
                self.in_flight.remove(&echo.seq);
            }
        }
        let times: Vec<Option<Duration>> =
            progress.echoes.iter().filter_map(|e| e.state.time()).collect();
        Some(Finished {
            id,
            sent: u16::try_from(times.len()).unwrap_or(u16::MAX),
            times,
            duplicates: progress.duplicates,
            late: progress.late,
            refusal: progress.refusal,
            problem: progress.problem,
            send_slowness: progress.send_slowness,
        })
    }
}

impl Progress {
    fn sends_more(&self) -> bool {
        self.echoes.len() < usize::from(self.round.packets)
    }

    /// Gives up the echoes whose time is over; returns their sequence numbers.
    fn expire(&mut self, now: Mono) -> impl Iterator<Item = u16> {
        let patience = self.round.patience;
        self.echoes.iter_mut().filter_map(move |echo| {
            let State::Waiting(left) = echo.state else { return None };
            (left.after(patience) < now).then(|| {
                echo.state = State::Lost(left);
                echo.seq
            })
        })
    }

    /// When the last echo's time is over; `None` where no echo is under way.
    fn over_at(&self) -> Option<Mono> {
        let over = |e: &Echo| match e.state {
            State::Waiting(left) => Some(left.after(self.round.patience)),
            State::Leaving => Some(Mono::from_nanos(u64::MAX)),
            State::Unsent | State::Answered(_) | State::Lost(_) => None,
        };
        self.echoes.iter().filter_map(over).max()
    }
}

impl State {
    /// The echo's time, `Some(None)` where it left without being answered in time, `None` where
    /// it never left.
    const fn time(self) -> Option<Option<Duration>> {
        match self {
            Self::Answered(time) => Some(Some(time)),
            Self::Waiting(_) | Self::Lost(_) => Some(None),
            Self::Leaving | Self::Unsent => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn at(ms: u64) -> Mono {
        Mono::from_nanos(ms * MS)
    }

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn host(n: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, n])
    }

    fn round(to: IpAddr, packets: u16) -> Round {
        Round { to, from: None, packets, spacing: ms(100), patience: ms(1000), payload_bytes: 56 }
    }

    /// What the network does to one echo.
    type Fate = Vec<Happening>;

    #[derive(Clone, Copy, Debug)]
    enum Happening {
        AnswerAfter(u64),
        RefusalAfter(u64),
    }

    /// A network in which `fate` decides by how many echoes were sent before.
    struct World<F> {
        engine: Engine,
        now: u64,
        fate: F,
        sent: usize,
        coming: BTreeMap<(u64, usize), (IpAddr, Vec<u8>)>,
        finished: Vec<Finished>,
    }

    impl<F: FnMut(usize) -> Fate> World<F> {
        fn new(fate: F) -> Self {
            let engine = Engine::new(0xfeed, 0x7701);
            let (coming, finished) = (BTreeMap::new(), Vec::new());
            Self { engine, now: 1, fate, sent: 0, coming, finished }
        }

        fn run(&mut self) {
            for _ in 0..100_000 {
                self.send();
                while let Some(finished) = self.engine.poll_finished() {
                    self.finished.push(finished);
                }
                let arrival = self.coming.first_key_value().map(|((at, _), _)| *at);
                let wake = self.engine.poll_timeout().map(|t| t.as_nanos().div_ceil(MS));
                let Some(next) = arrival.into_iter().chain(wake).min() else { return };
                self.now = self.now.max(next);
                while let Some(entry) = self.coming.first_entry().filter(|e| e.key().0 <= self.now)
                {
                    let ((when, _), (from, bytes)) = entry.remove_entry();
                    let packet = Arrived { from, bytes: &bytes, with_ip_header: false };
                    self.engine.handle_packet(&packet, at(when));
                }
                self.engine.handle_timeout(at(self.now));
            }
            panic!("the rounds do not end");
        }

        fn send(&mut self) {
            while let Some(t) = self.engine.poll_transmit() {
                for (n, what) in (self.fate)(self.sent).into_iter().enumerate() {
                    let (after, from, bytes) = match what {
                        Happening::AnswerAfter(ms) => (ms, t.to, reply(t.packet)),
                        Happening::RefusalAfter(ms) => (ms, host(254), refusal(t.to, t.packet)),
                    };
                    self.coming.insert((self.now + after, self.sent * 10 + n), (from, bytes));
                }
                self.sent += 1;
                let (sent, now) = (t.sent, at(self.now));
                self.engine.handle_sent(sent, now, now, Ok(()));
            }
        }
    }

    fn reply(request: &[u8]) -> Vec<u8> {
        let mut bytes = request.to_vec();
        bytes[0] = 0;
        bytes
    }

    fn refusal(to: IpAddr, request: &[u8]) -> Vec<u8> {
        let mut bytes = vec![3, 1, 0, 0, 0, 0, 0, 0];
        bytes.extend([0x45, 0, 0, 0, 0, 0, 0, 0, 64, 1, 0, 0, 10, 0, 0, 1]);
        let IpAddr::V4(to) = to else { panic!("IPv4") };
        bytes.extend(to.octets());
        bytes.extend(&request[..8]);
        bytes
    }

    fn one_round(packets: u16, fate: impl FnMut(usize) -> Fate) -> (Finished, u64) {
        let mut world = World::new(fate);
        world.engine.begin(round(host(1), packets), at(1));
        world.run();
        assert!(world.engine.in_flight.is_empty() && world.engine.timers.is_empty());
        (world.finished.pop().expect("one round"), world.now)
    }

    #[test]
    fn a_round_ends_with_its_last_answer() {
        let (f, now) = one_round(5, |n| vec![Happening::AnswerAfter(10 + n as u64)]);
        let times: Vec<_> = (10..15).map(|n| Some(ms(n))).collect();
        assert_eq!((f.sent, f.received(), &f.times), (5, 5, &times));
        assert_eq!(now, 1 + 400 + 14);
    }

    #[test]
    fn a_lost_echo_is_waited_for_as_long_as_it_may_take() {
        let lost = |n| if n == 4 { vec![] } else { vec![Happening::AnswerAfter(10)] };
        let (f, now) = one_round(5, lost);
        assert_eq!((f.sent, f.received()), (5, 4));
        assert_eq!(now, 1 + 400 + 1000);
    }

    #[test]
    fn a_second_answer_is_a_duplicate_and_an_answer_past_its_time_is_late() {
        let (f, _) = one_round(3, |n| match n {
            0 => vec![Happening::AnswerAfter(10), Happening::AnswerAfter(20)],
            1 => vec![Happening::AnswerAfter(1001)],
            _ => vec![],
        });
        assert_eq!((f.received(), f.duplicates, f.late), (1, 1, 1));
        assert_eq!(f.times[1], None);
    }

    #[test]
    fn an_answer_after_the_round_is_counted_and_changes_nothing() {
        let mut world = World::new(|_| vec![Happening::AnswerAfter(5000)]);
        world.engine.begin(round(host(1), 1), at(1));
        world.run();
        assert_eq!(world.finished[0].received(), 0);
        assert_eq!(world.engine.counters().late, 1);
    }

    #[test]
    fn a_refused_echo_is_not_waited_for() {
        let (f, now) = one_round(2, |_| vec![Happening::RefusalAfter(7)]);
        assert_eq!(f.refusal, Some((Refusal::HostUnreachable, host(254))));
        assert_eq!((f.sent, f.received(), now), (2, 0, 1 + 100 + 7));
    }

    #[test]
    fn an_echo_that_never_left_is_not_a_lost_one() {
        let mut engine = Engine::new(1, 2);
        engine.begin(round(host(1), 1), at(1));
        let sent = engine.poll_transmit().expect("one").sent;
        let problem = Problem { unreachable: true, message: "no route".to_owned() };
        engine.handle_sent(sent, at(1), at(9), Err(problem.clone()));
        let f = engine.poll_finished().expect("over");
        assert_eq!((f.sent, f.received(), f.problem), (0, 0, Some(problem)));
        assert_eq!(f.send_slowness, ms(8));
    }

    #[test]
    fn answers_to_other_pingers_are_not_ours() {
        let mut engine = Engine::new(1, 2);
        let mut other = Engine::new(3, 2);
        engine.begin(round(host(1), 1), at(1));
        other.begin(round(host(1), 1), at(1));
        let sent = engine.poll_transmit().expect("one").sent;
        engine.handle_sent(sent, at(1), at(1), Ok(()));
        let theirs = reply(other.poll_transmit().expect("one").packet);
        let packet = Arrived { from: host(1), bytes: &theirs, with_ip_header: false };
        engine.handle_packet(&packet, at(2));
        assert_eq!((engine.counters().foreign, engine.counters().received), (1, 0));
    }

    #[test]
    fn a_round_that_is_given_up_leaves_nothing_behind() {
        let mut engine = Engine::new(1, 2);
        let id = engine.begin(round(host(1), 5), at(1));
        let sent = engine.poll_transmit().expect("one").sent;
        engine.handle_sent(sent, at(1), at(1), Ok(()));
        engine.abandon(id);
        assert!(engine.poll_timeout().is_none() && engine.poll_transmit().is_none());
        assert!(engine.in_flight.is_empty() && engine.rounds.is_empty());
        assert_eq!(engine.poll_finished(), None);
    }

    #[test]
    fn two_hundred_rounds_share_the_sequence_numbers() {
        let mut world = World::new(|n| vec![Happening::AnswerAfter(5 + n as u64 % 50)]);
        for n in 0..200 {
            world.engine.begin(round(host(n), 20), at(1));
        }
        world.run();
        assert_eq!(world.finished.len(), 200);
        assert!(world.finished.iter().all(|f| (f.sent, f.received()) == (20, 20)));
    }

    #[test]
    fn too_many_unanswered_echoes_hold_further_ones_back() {
        let mut world = World::new(|_| vec![]);
        for n in 0..200 {
            let many = Round { spacing: ms(1), patience: ms(500), ..round(host(n), 100) };
            world.engine.begin(many, at(1));
        }
        world.run();
        assert!(world.engine.counters().held_back > 0);
        assert_eq!(world.engine.counters().sent, 20_000);
        assert_eq!(world.finished.len(), 200);
    }

    proptest::proptest! {
        #[test]
        fn whatever_the_network_does_each_echo_ends_once(
            fates in proptest::collection::vec(
                proptest::collection::vec((0_u64..1500, proptest::bool::ANY), 0..3), 1..60),
            rounds in 1_u8..5,
        ) {
            let mut world = World::new(|n: usize| {
                fates[n % fates.len()].iter().map(|(after, answered)| {
                    if *answered { Happening::AnswerAfter(*after) } else { Happening::RefusalAfter(*after) }
                }).collect()
            });
            for n in 0..rounds {
                world.engine.begin(round(host(n), 12), at(1));
            }
            world.run();
            proptest::prop_assert_eq!(world.finished.len(), usize::from(rounds));
            for f in &world.finished {
                proptest::prop_assert_eq!((f.sent, f.times.len()), (12, 12));
                proptest::prop_assert!(f.times.iter().flatten().all(|t| *t <= ms(1000)));
            }
            proptest::prop_assert!(world.engine.in_flight.is_empty());
        }
    }
}
