//! The wire itself: takes frames at one end and gives them out at the other when they are due.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use whyslow_sys::frames::Frames;
use whyslow_sys::poll;

use super::rule::{Rule, Watch, Way};

/// A TCP segment that came to one end of the wire.
#[derive(Clone, Copy, Debug)]
pub struct Crossing {
    /// Which way.
    pub from_client: bool,
    /// The server's port.
    pub port: u16,
    /// The client's port.
    pub client_port: u16,
    /// Its sequence number.
    pub seq: u32,
    /// Bytes of payload.
    pub len: u32,
    /// Its acknowledgment number.
    pub ack: u32,
    /// When it came in.
    pub arrived: Instant,
    /// When it came out; never, if absent.
    pub left: Option<Instant>,
}

/// What a frame says of itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) from_client: bool,
    pub(super) port: u16,
    pub(super) client_port: u16,
    pub(super) seq: u32,
    pub(super) len: u32,
    pub(super) ack: u32,
}

/// A frame under way: when it is due, its number, and where it goes.
type Due = Reverse<(Instant, usize, bool, Option<usize>, Vec<u8>)>;

pub(super) struct Carrier {
    ends: [Frames; 2],
    delay: Duration,
    watches: Vec<Watch>,
    log: Arc<Mutex<Vec<Crossing>>>,
    under_way: BinaryHeap<Due>,
    taken: usize,
}

/// How often it looks whether it should stop.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// The longest frame without offloads.
const FRAME_BYTES_MAX: usize = 2048;

impl Carrier {
    /// Opens both ends, in the namespace of the calling thread.
    pub(super) fn new(
        delay: Duration,
        rules: Vec<Rule>,
        log: Arc<Mutex<Vec<Crossing>>>,
    ) -> Result<Self> {
        Ok(Self {
            ends: [Frames::open("c0")?, Frames::open("s0")?],
            delay,
            watches: rules.into_iter().map(Watch::new).collect(),
            log,
            under_way: BinaryHeap::new(),
            taken: 0,
        })
    }

    pub(super) fn run(mut self, stop: &AtomicBool) -> Result<()> {
        let mut ready = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            let wait = self.deliver()?;
            let fds = [self.ends[0].as_fd(), self.ends[1].as_fd()];
            poll::readable(&fds, wait, &mut ready)?;
            for (end, from_client) in [(0, true), (1, false)] {
                if ready[end] {
                    self.take(end, from_client)?;
                }
            }
        }
        Ok(())
    }

    /// Gives out what is due and says how long nothing else is.
    fn deliver(&mut self) -> Result<Duration> {
        loop {
            let now = Instant::now();
            match self.under_way.peek() {
                Some(Reverse((due, ..))) if *due <= now => {}
                Some(Reverse((due, ..))) => return Ok((*due - now).min(LOOK_EVERY)),
                None => return Ok(LOOK_EVERY),
            }
            let Some(Reverse((_, _, from_client, entry, frame))) = self.under_way.pop() else {
                continue;
            };
            let end = &self.ends[usize::from(from_client)];
            end.send(&frame).context("giving out a frame")?;
            if let Some(entry) = entry {
                let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
                log[entry].left = Some(now);
            }
        }
    }

    fn take(&mut self, end: usize, from_client: bool) -> Result<()> {
        let mut room = [0; FRAME_BYTES_MAX];
        loop {
            let bytes = match self.ends[end].receive(&mut room) {
                Ok(bytes) => bytes,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(e) => return Err(e).context("taking a frame"),
            };
            let arrived = Instant::now();
            let mut due = Some(arrived + self.delay);
            let mut entry = None;
            if let Some(frame) = read(bytes, from_client) {
                for watch in &mut self.watches {
                    match watch.way(&frame) {
                        Way::On => {}
                        Way::Nowhere => due = None,
                        Way::Later(by) => due = due.map(|at| at + by),
                    }
                }
                let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
                entry = Some(log.len());
                let Frame { from_client, port, client_port, seq, len, ack } = frame;
                log.push(Crossing {
                    from_client,
                    port,
                    client_port,
                    seq,
                    len,
                    ack,
                    arrived,
                    left: None,
                });
            }
            if let Some(due) = due {
                self.taken += 1;
                let next = (due, self.taken, from_client, entry, bytes.to_vec());
                self.under_way.push(Reverse(next));
            }
        }
    }
}

/// Reads a TCP segment in IPv4 in Ethernet; anything else is carried without being looked at.
fn read(frame: &[u8], from_client: bool) -> Option<Frame> {
    let ip = frame.strip_prefix(frame.get(..12)?)?.strip_prefix(&[8, 0])?;
    let (header, protocol) = (usize::from(ip.first()? & 15) * 4, *ip.get(9)?);
    let total = usize::from(two(ip, 2)?);
    let tcp = ip.get(header..total).filter(|_| protocol == 6)?;
    let offset = usize::from(tcp.get(12)? >> 4) * 4;
    let (from, to) = (two(tcp, 0)?, two(tcp, 2)?);
    let (client_port, port) = if from_client { (from, to) } else { (to, from) };
    let four = |at| Some(u32::from(two(tcp, at)?) << 16 | u32::from(two(tcp, at + 2)?));
    let len = u32::try_from(tcp.len().checked_sub(offset)?).ok()?;
    Some(Frame { from_client, port, client_port, seq: four(4)?, len, ack: four(8)? })
}

fn two(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}
