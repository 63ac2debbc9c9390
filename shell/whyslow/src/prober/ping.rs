//! Pumps the ping engine: one task owns the sockets, everybody else asks it for rounds.

use std::collections::BTreeMap;
use std::future::pending;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use whyslow_model::conversation::{PingAsk, PingDone, PingFault};
use whyslow_model::{Mono, limits};
use whyslow_probe::ping::{Arrived, Engine, Finished, Problem, Round, RoundId};
use whyslow_sys::icmp::{Access, BATCH_MAX, Batch, Family, IcmpSocket};
use whyslow_sys::watch::Watched;
use whyslow_sys::{clock, random};

use super::sockets::Sockets;
use super::timer;

/// Where several rounds are under way, what is due within this leaves in one go: to wake up costs
/// as much as to send. Each echo still has a stamp of its own.
const GRAIN: Duration = Duration::from_millis(4);
/// Rounds whose echoes follow each other faster than this are not made to wait.
const SPACING_COARSE: Duration = Duration::from_millis(50);

/// Asks for rounds of pings; clone it freely.
#[derive(Clone, Debug)]
pub struct Pinger {
    asks: mpsc::Sender<Asked>,
}

#[derive(Debug)]
struct Asked {
    ask: PingAsk,
    began: Mono,
    answer: oneshot::Sender<PingDone>,
}

impl Pinger {
    /// Starts the task on the current runtime. It ends when the last clone is dropped.
    pub fn start(sockets: Sockets) -> Self {
        let (asks, inbox) = mpsc::channel(limits::RUNS_IN_FLIGHT_MAX);
        tokio::spawn(async move {
            if let Err(e) = Pump::new(sockets, inbox).run().await {
                tracing::error!("ping has stopped: {e}");
            }
        });
        Self { asks }
    }

    /// Makes one round.
    pub async fn round(&self, ask: PingAsk) -> PingDone {
        let began = clock::mono();
        let (answer, done) = oneshot::channel();
        // Either end is gone only when the task has stopped, and said so.
        let _ = self.asks.send(Asked { ask, began, answer }).await;
        done.await.unwrap_or_else(|_| {
            without_echo(began, PingFault::Local("ping has stopped; see the log".to_owned()))
        })
    }
}

struct Pump {
    engine: Engine,
    sockets: [Option<Watched>; 2],
    problem: String,
    inbox: mpsc::Receiver<Asked>,
    waiting: BTreeMap<RoundId, Waiting>,
    /// Of those, rounds with a shorter spacing than [`SPACING_COARSE`].
    fine: usize,
    batch: Batch,
}

struct Waiting {
    began: Mono,
    /// The kernel's stamp of lost packets when the round began, so that loss of our own making
    /// is told from the network's.
    dropped: u32,
    fine: bool,
    answer: oneshot::Sender<PingDone>,
}

enum Event {
    Asked(Option<Asked>),
    Readable,
    Due,
}

impl Pump {
    fn new(sockets: Sockets, inbox: mpsc::Receiver<Asked>) -> Self {
        let problem = sockets.problem.unwrap_or_default();
        let watch = |socket: Option<IcmpSocket>| socket.and_then(|s| Watched::new(s).ok());
        // Without randomness the identifier is weaker, and the secret merely unusual.
        let secret = random::number().unwrap_or_else(|_| clock::mono().as_nanos());
        let ident = u16::from_ne_bytes([secret.to_ne_bytes()[6], secret.to_ne_bytes()[7]]);
        Self {
            engine: Engine::new(random::number().unwrap_or(secret), ident),
            sockets: [watch(sockets.v4), watch(sockets.v6)],
            problem,
            inbox,
            waiting: BTreeMap::new(),
            fine: 0,
            batch: Batch::default(),
        }
    }

    async fn run(mut self) -> io::Result<()> {
        loop {
            let wake = self.engine.poll_timeout().map(|at| self.coarse(at));
            let event = tokio::select! {
                // What has arrived comes before what is overdue: it may have arrived in time.
                biased;
                ready = readable(&self.sockets) => ready.map(|()| Event::Readable)?,
                asked = self.inbox.recv() => Event::Asked(asked),
                () = timer::until(wake) => Event::Due,
            };
            match event {
                Event::Asked(Some(asked)) => self.begin(asked),
                Event::Asked(None) if self.waiting.is_empty() => return Ok(()),
                Event::Asked(None) | Event::Readable | Event::Due => {}
            }
            self.receive()?;
            self.engine.handle_timeout(clock::mono());
            self.transmit();
            self.answer();
        }
    }

    fn begin(&mut self, asked: Asked) {
        let Asked { ask, began, answer } = asked;
        if self.socket(ask.to).is_none() {
            let fault = PingFault::NotPermitted(self.problem.clone());
            let _ = answer.send(without_echo(began, fault));
            return;
        }
        let round = Round {
            to: ask.to,
            from: ask.source,
            packets: ask.packets,
            spacing: ask.spacing,
            patience: ask.patience,
            payload_bytes: ask.payload_bytes.min(limits::PING_PAYLOAD_BYTES_MAX),
        };
        let fine = ask.spacing < SPACING_COARSE;
        self.fine += usize::from(fine);
        let id = self.engine.begin(round, clock::mono());
        self.waiting.insert(id, Waiting { began, dropped: self.batch.dropped(), fine, answer });
    }

    /// When to wake up for what is due at `at`.
    fn coarse(&self, at: Mono) -> Mono {
        if self.fine > 0 || self.waiting.len() < 2 {
            return at;
        }
        let grain = u64::try_from(GRAIN.as_nanos()).unwrap_or(1);
        Mono::from_nanos(at.as_nanos().next_multiple_of(grain))
    }

    fn receive(&mut self) -> io::Result<()> {
        for watched in self.sockets.iter().flatten() {
            let socket = watched.socket();
            let with_ip_header = socket.family() == Family::V4 && socket.access() == Access::Raw;
            loop {
                match socket.receive(&mut self.batch) {
                    Ok(taken) => {
                        for packet in self.batch.packets() {
                            let (from, bytes) = (packet.from, packet.bytes);
                            let arrived = Arrived { from, bytes, with_ip_header };
                            self.engine.handle_packet(&arrived, packet.at);
                        }
                        // A batch that is not full has emptied the socket.
                        if taken < BATCH_MAX {
                            break;
                        }
                    }
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    Err(e) => return Err(e),
                }
            }
        }
        Ok(())
    }

    fn transmit(&mut self) {
        while let Some(echo) = self.engine.poll_transmit() {
            let socket = of(&self.sockets, echo.to);
            let before = clock::mono();
            let taken = socket.map_or_else(
                || Err(io::ErrorKind::Unsupported.into()),
                |socket| socket.send(echo.to, echo.from, echo.packet),
            );
            let after = clock::mono();
            let sent = echo.sent;
            self.engine.handle_sent(sent, before, after, taken.map_err(|e| problem(&e)));
        }
    }

    fn answer(&mut self) {
        while let Some(finished) = self.engine.poll_finished() {
            let Some(waiting) = self.waiting.remove(&finished.id) else { continue };
            self.fine -= usize::from(waiting.fine);
            let lost_here = self.batch.dropped().wrapping_sub(waiting.dropped);
            // Whoever asked may have given up meanwhile.
            let _ = waiting.answer.send(done(waiting.began, lost_here, finished));
        }
    }

    fn socket(&self, to: IpAddr) -> Option<&IcmpSocket> {
        of(&self.sockets, to)
    }
}

fn of(sockets: &[Option<Watched>; 2], to: IpAddr) -> Option<&IcmpSocket> {
    let [v4, v6] = sockets;
    let watched = if to.is_ipv4() { v4 } else { v6 };
    watched.as_ref().map(Watched::socket)
}

/// Resolves when either socket has something, or never.
async fn readable(sockets: &[Option<Watched>; 2]) -> io::Result<()> {
    let one = async |watched: &Option<Watched>| match watched {
        Some(socket) => socket.readable().await,
        None => pending().await,
    };
    tokio::select! {
        ready = one(&sockets[0]) => ready,
        ready = one(&sockets[1]) => ready,
    }
}

fn problem(e: &io::Error) -> Problem {
    use io::ErrorKind::{HostUnreachable, NetworkUnreachable};
    let unreachable = matches!(e.kind(), HostUnreachable | NetworkUnreachable);
    Problem { unreachable, message: e.to_string() }
}

fn done(began: Mono, lost_here: u32, finished: Finished) -> PingDone {
    let fault = match finished.problem {
        Some(p) if p.unreachable => Some(PingFault::Unreachable(p.message)),
        Some(p) => Some(PingFault::Local(p.message)),
        None if lost_here > 0 => Some(PingFault::Local(format!(
            "this machine was too slow to take {lost_here} packets that had arrived"
        ))),
        None => None,
    };
    PingDone {
        began,
        ended: clock::mono(),
        times: finished.times,
        duplicates: finished.duplicates,
        late: finished.late,
        refusal: finished.refusal.map(|(why, by)| (by, why.explained())),
        fault,
        send_slowness: finished.send_slowness,
    }
}

fn without_echo(began: Mono, fault: PingFault) -> PingDone {
    PingDone {
        began,
        ended: clock::mono(),
        times: Vec::new(),
        duplicates: 0,
        late: 0,
        refusal: None,
        fault: Some(fault),
        send_slowness: Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use whyslow_sys::privilege;

    use super::super::sockets::Opener;
    use super::*;

    fn ask(to: &str) -> PingAsk {
        PingAsk {
            to: to.parse().unwrap(),
            source: None,
            packets: 3,
            spacing: Duration::from_millis(1),
            patience: Duration::from_secs(5),
            payload_bytes: 56,
        }
    }

    #[tokio::test]
    async fn loopback_answers_every_echo_of_every_round() {
        if !privilege::probe().unwrap().can_ping() {
            return;
        }
        let pinger = Pinger::start(Sockets::open(Opener::Here, 0));
        let rounds: Vec<_> = (1..50)
            .map(|n| {
                let (pinger, ask) = (pinger.clone(), ask(&format!("127.0.0.{n}")));
                tokio::spawn(async move { pinger.round(ask).await })
            })
            .collect();
        for round in rounds {
            let done = round.await.unwrap();
            assert_eq!((done.times.len(), done.times.iter().flatten().count()), (3, 3));
            assert_eq!((done.duplicates, done.late, done.fault), (0, 0, None));
        }
        let from = PingAsk { source: Some("127.0.0.77".parse().unwrap()), ..ask("127.0.0.1") };
        assert_eq!(pinger.round(from).await.times.iter().flatten().count(), 3);
        let foreign = PingAsk { source: Some("192.0.2.1".parse().unwrap()), ..ask("127.0.0.1") };
        assert!(pinger.round(foreign).await.fault.is_some());
    }

    #[tokio::test]
    async fn without_a_socket_the_answer_says_what_is_lacking() {
        let pinger = Pinger::start(Sockets::without("no CAP_NET_RAW; grant it"));
        let done = pinger.round(ask("127.0.0.1")).await;
        let said = PingFault::NotPermitted("no CAP_NET_RAW; grant it".to_owned());
        assert_eq!((done.times.len(), done.fault), (0, Some(said)));
    }
}
