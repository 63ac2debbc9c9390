//! Every TLS record of a capture, as read here and as tshark reads it.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use whyslow_wire::segment::Flags;
use whyslow_wire::tls::Chunk;
use whyslow_wire::tls::record::{Part, Records};

use super::conversations::fields;
use crate::packets;

/// A record that was whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) at_ns: i64,
    pub(super) from_client: bool,
    pub(super) kind: u8,
    pub(super) len: u32,
}

/// Records by the client's port.
pub(super) type ByPort = BTreeMap<u16, Vec<Seen>>;

/// As read here; the capture must hold every byte in order.
pub(super) fn ours(bytes: &[u8], servers: &[u16]) -> Result<ByPort> {
    let mut sides: BTreeMap<(SocketAddr, SocketAddr), (u32, Records)> = BTreeMap::new();
    let (mut all, mut missing) = (ByPort::new(), 0);
    packets::segments(bytes, |segment| {
        let syn = u32::from(segment.flags.has(Flags::SYN));
        let side = sides.entry((segment.from, segment.to));
        let (next, records) = side.or_insert((segment.seq.wrapping_add(syn), Records::default()));
        if segment.len == 0 || segment.seq.wrapping_sub(*next) > 1 << 31 {
            return;
        }
        missing += segment.seq.wrapping_sub(*next);
        let from_client = servers.contains(&segment.to.port());
        let port = if from_client { segment.from.port() } else { segment.to.port() };
        let seen = all.entry(port).or_default();
        records.feed(segment.at, *next, Chunk::Known(segment.payload), &mut |part| {
            if let Part::End(r) = part {
                let at_ns = segment.at.as_nanos();
                seen.push(Seen { at_ns, from_client, kind: r.kind, len: r.len });
            }
        });
        *next = next.wrapping_add(segment.len);
    })?;
    ensure!(missing == 0, "{missing} bytes are missing in the capture");
    Ok(all)
}

/// As tshark reads it. In a packet it gives the records in the clear, then the sealed ones; that is
/// their order in every handshake.
pub(super) fn tsharks(file: &str, servers: &[u16]) -> Result<ByPort> {
    let mut all = ByPort::new();
    let names = [
        "frame.time_epoch",
        "tcp.srcport",
        "tcp.dstport",
        "tls.record.content_type",
        "tls.record.opaque_type",
        "tls.record.length",
    ];
    for row in fields(file, "tls.record", &names)? {
        let [at, from, to, clear, sealed, lens] = &row[..] else { continue };
        let from_client = servers.contains(&to.parse()?);
        let port = if from_client { from.parse()? } else { to.parse()? };
        let at_ns = nanos(at)?;
        let numbers = |text: &str| -> Result<Vec<u32>> {
            let words = text.split(',').filter(|word| !word.is_empty());
            words.map(|word| Ok(word.parse()?)).collect()
        };
        let kinds = [numbers(clear)?, numbers(sealed)?].concat();
        let lens = numbers(lens)?;
        ensure!(kinds.len() == lens.len(), "tshark gives {row:?}");
        for (kind, len) in kinds.into_iter().zip(lens) {
            let seen = Seen { at_ns, from_client, kind: u8::try_from(kind)?, len };
            all.entry(port).or_default().push(seen);
        }
    }
    Ok(all)
}

/// `seconds.nanoseconds` since the epoch, exactly.
pub(super) fn nanos(text: &str) -> Result<i64> {
    let (seconds, rest) = text.split_once('.').with_context(|| format!("a time: {text}"))?;
    Ok(seconds.parse::<i64>()? * 1_000_000_000 + format!("{rest:0<9}")[..9].parse::<i64>()?)
}
