//! What a key's last requests add to its cell.
//!
//! A cell with its histograms, codes and seconds lies in half a dozen places, and the cells of a
//! few thousand keys take more memory than a core's own caches hold. So requests are counted here
//! first, where all that is touched lies together, and the cell itself once for [`MOST`] of them.

use whyslow_model::histogram::bucket;

use super::Cell;
use super::cell::Request;
use crate::row::Timing;

/// Requests that wait for one cell at most.
const MOST: usize = 15;

/// Requests that are not in their cell yet: two lines of the processor's caches.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(64))]
pub(super) struct Pending {
    latency: Durations,
    server: Durations,
    bytes_out: u64,
    /// Requests of this second since the epoch.
    second: (u32, u32),
    /// Requests of this code.
    code: (u16, u16),
    requests: u8,
}

const _: () = assert!(size_of::<Pending>() == 128, "two lines");

/// At most one duration of each request that waits.
#[derive(Clone, Copy, Debug, Default)]
struct Durations {
    sum_us: u64,
    max_us: u64,
    /// The first `told` of them.
    buckets: [i16; MOST],
    told: u8,
    /// Durations of zero, which have no bucket.
    zeros: u8,
}

impl Pending {
    /// Counts one request without its phases; `cell` is its key's. What was counted of an earlier
    /// second is given back: it is to be added to the cell.
    #[inline]
    pub(super) fn observe(&mut self, request: &Request, cell: &mut Cell) -> Option<(u32, u32)> {
        if usize::from(self.requests) == MOST {
            self.settle(cell);
        }
        self.requests += 1;
        if let Some(micros) = request.total_us {
            self.latency.put(micros);
        }
        if let Some(micros) = request.server_us {
            self.server.put(micros);
        }
        self.bytes_out = self.bytes_out.saturating_add(request.bytes_out);
        self.count_code(request.code, cell);
        if request.is_unusual() {
            cell.observe_unusual(request);
        }
        request.second.and_then(|second| self.count_second(second, cell))
    }

    /// Whether there may be no room for some more requests.
    #[inline]
    pub(super) fn is_nearly_full(&self) -> bool {
        usize::from(self.requests) + 3 > MOST
    }

    /// Moves everything into the cell.
    pub(super) fn settle(&mut self, cell: &mut Cell) {
        if self.requests == 0 {
            return;
        }
        cell.hits += u64::from(self.requests);
        cell.timed += self.latency.settle(&mut cell.latency);
        self.server.settle(&mut cell.server);
        cell.bytes_out = cell.bytes_out.saturating_add(self.bytes_out);
        self.settle_code(cell);
        if self.second.1 > 0 {
            cell.seconds.add(self.second.0, self.second.1);
            self.second.1 = 0;
        }
        (self.requests, self.bytes_out) = (0, 0);
    }

    /// Nearly all requests of a key have one code; the others' are counted at once.
    #[inline]
    fn count_code(&mut self, code: u16, cell: &mut Cell) {
        if self.code.1 == 0 {
            self.code.0 = code;
        }
        if self.code.0 == code {
            self.code.1 += 1;
        } else {
            cell.count_code(code, 1);
        }
    }

    fn settle_code(&mut self, cell: &mut Cell) {
        if self.code.1 > 0 {
            cell.count_code(self.code.0, self.code.1.into());
            self.code.1 = 0;
        }
    }

    #[inline]
    fn count_second(&mut self, second: i64, cell: &mut Cell) -> Option<(u32, u32)> {
        if i64::from(self.second.0) == second {
            self.second.1 += 1;
            return None;
        }
        let before = std::mem::take(&mut self.second);
        match u32::try_from(second) {
            Ok(second) => self.second = (second, 1),
            Err(_) => cell.seconds.count(second),
        }
        (before.1 > 0).then_some(before)
    }
}

impl Durations {
    #[inline]
    fn put(&mut self, micros: u64) {
        self.sum_us = self.sum_us.saturating_add(micros);
        self.max_us = self.max_us.max(micros);
        // No duration has a bucket of more bits.
        match bucket(micros).and_then(|bucket| i16::try_from(bucket).ok()) {
            Some(bucket) => {
                self.buckets[usize::from(self.told) % MOST] = bucket;
                self.told += 1;
            }
            None => self.zeros += 1,
        }
    }

    /// Moves them, and says how many there were.
    fn settle(&mut self, timing: &mut Timing) -> u64 {
        timing.sum_us = timing.sum_us.saturating_add(self.sum_us);
        timing.max_us = timing.max_us.max(self.max_us);
        timing.histogram.observe_buckets(self.buckets.get(..self.told.into()).unwrap_or_default());
        timing.histogram.observe_zeros(self.zeros.into());
        let told = u64::from(self.told) + u64::from(self.zeros);
        (self.sum_us, self.max_us, self.told, self.zeros) = (0, 0, 0, 0);
        told
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn request() -> impl Strategy<Value = Request> {
        let micros = || prop::option::of(prop_oneof![Just(0), 1..90_000_u64, any::<u64>()]);
        let rare = (prop::bool::weighted(0.1), prop::bool::weighted(0.1), 0..2_u16);
        let usual = (micros(), micros(), prop::option::of(-1..4_i64), 0..9_u64, 200..202_u16);
        (usual, rare).prop_map(|((total_us, server_us, second, bytes_out, code), rare)| Request {
            total_us,
            server_us,
            second,
            bytes_out,
            code,
            retries: rare.2,
            client_aborted: rare.0,
            local: rare.1,
        })
    }

    proptest! {
        #[test]
        fn what_waited_is_counted_as_if_it_had_not(
            requests in prop::collection::vec((request(), prop::bool::weighted(0.1)), 0..100),
        ) {
            let (mut waited, mut wanted, mut pending) =
                (Cell::default(), Cell::default(), Pending::default());
            for (request, settles) in &requests {
                wanted.observe(request);
                if let Some((second, n)) = pending.observe(request, &mut waited) {
                    waited.seconds.add(second, n);
                }
                if *settles {
                    pending.settle(&mut waited);
                }
            }
            pending.settle(&mut waited);
            waited.codes.sort_unstable();
            wanted.codes.sort_unstable();
            prop_assert_eq!(waited, wanted);
        }
    }
}
