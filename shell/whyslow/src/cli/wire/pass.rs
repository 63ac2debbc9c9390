//! One pass over a capture: bytes into packets, packets into what became known.

use std::io::{self, Read};

use serde::Serialize;
use whyslow_model::Wall;
use whyslow_wire::capture::{CaptureError, Ending, Reader, Statistics, Step};
use whyslow_wire::watch::{Told, Watch};

use super::Stop;

/// Bytes that are read at once, and that the buffer holds unless a packet is larger: little enough
/// to stay in a processor's second cache until they are decoded.
const BUFFER: usize = 512 << 10;

/// How the capture ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// Between two packets.
    Whole,
    /// Within a packet, of which so many bytes were there.
    Cut(usize),
    /// Where it stopped making sense.
    Broken(CaptureError),
    /// Where it could not be read any further.
    Unread(io::Error),
}

/// What the capture says of itself.
#[derive(Debug)]
pub(super) struct Capture {
    pub(super) ended: Ended,
    /// Packets it says it lost.
    pub(super) lost: u64,
    /// Packets without a time.
    pub(super) timeless: u64,
    /// Packets of interfaces whose link type is not known.
    pub(super) unknown_link: u64,
    /// The interfaces' names, as far as it tells them.
    pub(super) interfaces: Vec<Option<String>>,
    /// How the ring fared, where it is a live tap.
    pub(super) ring: Option<RingFared>,
}

/// How the ring of a live tap fared.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct RingFared {
    /// Blocks it has.
    pub(super) blocks: u32,
    /// Bytes of each.
    pub(super) block_bytes: u32,
    /// The fewest that the kernel had left, the one it fills included; at 0 it dropped what came.
    pub(super) free_blocks_min: u64,
    /// How often the kernel had none.
    pub(super) freezes: u64,
}

/// Why there is nothing to report.
#[derive(Debug)]
pub(super) enum Refused {
    /// It is no capture.
    Capture(CaptureError),
    /// Not a byte could be read.
    Read(io::Error),
    /// What came out could not be written.
    Stop(Stop),
}

impl From<Stop> for Refused {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

/// Reads all of it and hands over what becomes known.
pub(super) fn read(
    input: &mut dyn Read,
    watch: &mut Watch,
    told: &mut dyn FnMut(Told) -> Result<(), Stop>,
) -> Result<Capture, Refused> {
    let mut pass = Pass::default();
    let ended = loop {
        match pass.step(watch) {
            Ok(Some(need)) => match pass.fill(input, need) {
                Ok(true) => {}
                Ok(false) => break pass.finish()?,
                Err(error) if pass.packets == 0 => return Err(Refused::Read(error)),
                Err(error) => break Ended::Unread(error),
            },
            Ok(None) => {}
            Err(error) if pass.packets == 0 => return Err(Refused::Capture(error)),
            Err(error) => break Ended::Broken(error),
        }
        drain(watch, told)?;
    };
    watch.finish();
    drain(watch, told)?;
    let noted = pass.reader.noted();
    Ok(Capture {
        ended,
        lost: noted.lost.saturating_add(pass.counted.total()),
        timeless: noted.timeless,
        unknown_link: noted.unknown_link,
        interfaces: pass.reader.interfaces().iter().map(|i| i.name.clone()).collect(),
        ring: None,
    })
}

fn drain(watch: &mut Watch, told: &mut dyn FnMut(Told) -> Result<(), Stop>) -> Result<(), Stop> {
    while let Some(known) = watch.poll() {
        told(known)?;
    }
    Ok(())
}

#[derive(Debug, Default)]
struct Pass {
    reader: Reader,
    buffer: Vec<u8>,
    /// What of the buffer is not consumed yet.
    from: usize,
    to: usize,
    packets: u64,
    /// Lost packets that were noted beside others, as far as the watch knows of them.
    noted: u64,
    counted: Counted,
}

impl Pass {
    /// Takes whatever the buffer holds; says how many bytes from its beginning on are needed next.
    fn step(&mut self, watch: &mut Watch) -> Result<Option<usize>, CaptureError> {
        // So many packets at a time that what becomes known does not pile up.
        for _ in 0..256 {
            let Some(rest) = self.buffer.get(self.from..self.to) else { return Ok(None) };
            match self.reader.next(rest)? {
                Step::Need(bytes) => return Ok(Some(bytes)),
                Step::Packet { packet, consumed, .. } => {
                    let lost = self.reader.noted().lost;
                    if lost > self.noted {
                        watch.handle_drops(lost - self.noted, packet.at);
                        self.noted = lost;
                    }
                    watch.handle_packet(&packet);
                    self.packets += 1;
                    self.from += consumed;
                }
                Step::Statistics { statistics, consumed } => {
                    let more = self.counted.more(&statistics);
                    if more > 0 {
                        watch.handle_drops(more, latest(statistics.at, watch.span()));
                    }
                    self.from += consumed;
                }
                Step::Other { consumed } => self.from += consumed,
            }
        }
        Ok(None)
    }

    /// Reads on until `need` bytes are there; false at the end of the input.
    fn fill(&mut self, input: &mut dyn Read, need: usize) -> io::Result<bool> {
        self.buffer.copy_within(self.from..self.to, 0);
        self.to -= self.from;
        self.from = 0;
        if self.buffer.len() < need.max(BUFFER) {
            self.buffer.resize(need.max(BUFFER), 0);
        }
        while self.to < need {
            match input.read(&mut self.buffer[self.to..]) {
                Ok(0) => return Ok(false),
                Ok(n) => self.to += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(true)
    }

    fn finish(&self) -> Result<Ended, Refused> {
        match self.reader.finish(&self.buffer[self.from..self.to]) {
            Ok(Ending::Whole) => Ok(Ended::Whole),
            Ok(Ending::Cut(bytes)) => Ok(Ended::Cut(bytes)),
            Err(error) => Err(Refused::Capture(error)),
        }
    }
}

/// What interfaces' statistics counted so far: each block counts from the capture's beginning.
#[derive(Debug, Default)]
struct Counted(Vec<(u32, u64)>);

impl Counted {
    /// Lost packets that are new in this one.
    fn more(&mut self, statistics: &Statistics) -> u64 {
        let by_interface = statistics.dropped_by_interface.unwrap_or(0);
        let lost = by_interface.saturating_add(statistics.dropped_by_system.unwrap_or(0));
        match self.0.iter_mut().find(|(interface, _)| *interface == statistics.interface) {
            Some((_, before)) => {
                let more = lost.saturating_sub(*before);
                *before = lost.max(*before);
                more
            }
            None => {
                self.0.push((statistics.interface, lost));
                lost
            }
        }
    }

    fn total(&self) -> u64 {
        self.0.iter().fold(0, |sum, (_, lost)| sum.saturating_add(*lost))
    }
}

/// A block's own time may be absent; it stands behind the packets it speaks of.
fn latest(at: Wall, span: Option<(Wall, Wall)>) -> Wall {
    span.map_or(at, |(_, last)| last)
}
