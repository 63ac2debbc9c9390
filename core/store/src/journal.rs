//! One commit's samples as bytes: what the head replays at start. `docs/formats/chunks.md`
//! draws it.

use crate::bits::{put_varint, unzigzag, varint, zigzag};

/// The version these bytes begin with.
const VERSION: u8 = 1;

/// Writes the samples of one commit.
#[derive(Clone, Debug)]
pub struct Writer {
    bytes: Vec<u8>,
    last_id: i64,
    last_ms: i64,
    samples: u64,
    newest_ms: i64,
}

impl Default for Writer {
    fn default() -> Self {
        Self { bytes: vec![VERSION], last_id: 0, last_ms: 0, samples: 0, newest_ms: i64::MIN }
    }
}

impl Writer {
    /// Adds points of one series.
    pub fn series(&mut self, id: i64, times_ms: &[i64], values: &[f64]) {
        put_varint(&mut self.bytes, zigzag(id.wrapping_sub(self.last_id)));
        put_varint(&mut self.bytes, times_ms.len() as u64);
        self.last_id = id;
        for (at, value) in times_ms.iter().zip(values) {
            put_varint(&mut self.bytes, zigzag(at.wrapping_sub(self.last_ms)));
            // Turned round, since whole and short numbers end in zero bytes.
            put_varint(&mut self.bytes, value.to_bits().swap_bytes());
            self.last_ms = *at;
            self.newest_ms = self.newest_ms.max(*at);
            self.samples += 1;
        }
    }

    /// How many samples were added.
    pub const fn samples(&self) -> u64 {
        self.samples
    }

    /// The newest sample's time; the smallest there is before the first.
    pub const fn newest_ms(&self) -> i64 {
        self.newest_ms
    }

    /// What was written, as [`replay`] reads it.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Calls `take` with each sample's series, time and value, in the order of writing.
/// `None` for bytes no [`Writer`] writes; `take` has seen what came before the fault.
pub fn replay(bytes: &[u8], mut take: impl FnMut(i64, i64, f64)) -> Option<()> {
    let (&version, mut rest) = bytes.split_first()?;
    if version != VERSION {
        return None;
    }
    let (mut id, mut at) = (0i64, 0i64);
    while !rest.is_empty() {
        id = id.wrapping_add(unzigzag(varint(&mut rest)?));
        for _ in 0..varint(&mut rest)? {
            at = at.wrapping_add(unzigzag(varint(&mut rest)?));
            take(id, at, f64::from_bits(varint(&mut rest)?.swap_bytes()));
        }
    }
    Some(())
}

/// Reads anything at all, for the fuzzer: what is read is written and read again bit for bit.
pub fn fuzz_journal(bytes: &[u8]) {
    let (mut samples, mut writer) = (Vec::new(), Writer::default());
    // What came before a fault was taken all the same.
    let _ = replay(bytes, |id, at, value| samples.push((id, at, value.to_bits())));
    samples.iter().for_each(|(id, at, bits)| writer.series(*id, &[*at], &[f64::from_bits(*bits)]));
    assert_eq!(writer.samples(), samples.len() as u64);
    let mut again = Vec::new();
    let whole = replay(writer.bytes(), |id, at, value| again.push((id, at, value.to_bits())));
    assert_eq!((whole, again), (Some(()), samples), "samples survive their bytes");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn samples_come_back_bit_for_bit(series in prop::collection::vec(
            (any::<i64>(), prop::collection::vec((any::<i64>(), any::<u64>()), 0..5)), 0..20)) {
            let mut w = Writer::default();
            let mut want = Vec::new();
            for (id, points) in &series {
                let times: Vec<i64> = points.iter().map(|p| p.0).collect();
                let values: Vec<f64> = points.iter().map(|p| f64::from_bits(p.1)).collect();
                w.series(*id, &times, &values);
                want.extend(points.iter().map(|p| (*id, p.0, p.1)));
            }
            let mut got = Vec::new();
            prop_assert_eq!(replay(w.bytes(), |id, at, v| got.push((id, at, v.to_bits()))), Some(()));
            prop_assert_eq!(got, want);
        }

        #[test]
        fn anything_at_all_is_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..99)) {
            fuzz_journal(&bytes);
        }
    }
}
