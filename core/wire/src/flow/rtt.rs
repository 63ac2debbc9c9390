//! Round trips from the tap to one side and back: what the peer sent, and when this side
//! acknowledged it. A segment that was sent twice counts only where the timestamp says which copy
//! was answered (Karn's rule; RFC 7323, section 4.1).

use whyslow_model::Wall;

/// Segments towards one side that it has not acknowledged.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outstanding {
    sent: [Option<Sent>; SENT_MAX],
    at: usize,
    least_ns: Option<u64>,
}

/// A segment that waits for its acknowledgment.
#[derive(Clone, Copy, Debug)]
struct Sent {
    end: u32,
    at: Wall,
    tsval: Option<u32>,
    /// Another copy of its bytes was sent.
    doubtful: bool,
}

impl Outstanding {
    /// A segment that ends at `end` passed the tap towards this side.
    pub(crate) fn sent(&mut self, end: u32, at: Wall, tsval: Option<u32>, again: bool) {
        if again {
            for sent in self.sent.iter_mut().flatten() {
                sent.doubtful |= sent.end >= end || sent.tsval == tsval;
            }
        }
        self.sent[self.at] = Some(Sent { end, at, tsval, doubtful: again });
        self.at = (self.at + 1) % SENT_MAX;
    }

    /// This side acknowledged everything before `ack`; a `sample` is taken only of packets that
    /// waited for nothing else.
    pub(crate) fn acknowledged(&mut self, ack: u32, at: Wall, tsecr: Option<u32>, sample: bool) {
        let mut newest: Option<Sent> = None;
        let mut same_stamp = 0;
        for slot in &mut self.sent {
            let Some(sent) = *slot else { continue };
            same_stamp += u32::from(sent.tsval.is_some() && sent.tsval == tsecr);
            if sent.end > ack {
                continue;
            }
            *slot = None;
            let proven = !sent.doubtful || (sent.tsval.is_some() && sent.tsval == tsecr);
            if proven && newest.is_none_or(|n| (n.end, n.at) < (sent.end, sent.at)) {
                newest = Some(sent);
            }
        }
        // Two copies with one stamp prove nothing.
        let Some(newest) = newest.filter(|n| !(n.doubtful && same_stamp > 1)) else { return };
        let Ok(rtt_ns) = u64::try_from(at.as_nanos().saturating_sub(newest.at.as_nanos())) else {
            return;
        };
        if sample {
            self.least_ns = Some(self.least_ns.map_or(rtt_ns, |least| least.min(rtt_ns)));
        }
    }

    /// The least round trip, in nanoseconds.
    pub(crate) const fn least_ns(&self) -> Option<u64> {
        self.least_ns
    }
}

const SENT_MAX: usize = 8;
