//! A capture written as evidence is, read by tshark and capinfos.

use anyhow::{Result, bail, ensure};
use whyslow_wire::capture::write::{self, Description, Origin};
use whyslow_wire::capture::{Reader, Statistics, Step};
use whyslow_wire::packet::LinkType;

use super::conversations::fields;
use crate::line::Line;
use crate::packets;
use crate::world::{World, must, words};

const COMMENT: &str = "server_flight: the gap that matters";
const DROPPED: u64 = 7;

/// Writes all packets of `bytes` anew, with comments, names and counts, and has both read it.
pub(super) fn is_read(world: &World, bytes: &[u8]) -> Result<()> {
    let mut out = Vec::new();
    write::section(&mut out, &Origin { application: Some("whyslow"), ..Origin::default() });
    let link = LinkType::Ethernet;
    write::interface(&mut out, &Description { name: "w0", link, snap_len: 0, filter: None });
    let (mut reader, mut at, mut count, mut last) = (Reader::new(), 0, 0, None);
    while at < bytes.len() {
        at += match reader.next(&bytes[at..])? {
            Step::Packet { packet, consumed, .. } => {
                write::packet(&mut out, &packet, if count == 0 { &[COMMENT] } else { &[] });
                count += 1;
                last = Some(packet.at);
                consumed
            }
            Step::Statistics { consumed, .. } | Step::Other { consumed } => consumed,
            Step::Need(_) => bail!("the capture is cut"),
        };
    }
    write::names(&mut out, [(Line::SERVER.parse()?, "server.lab")]);
    let at = last.unwrap_or_default();
    let dropped_by_system = Some(DROPPED);
    let received = Some(count);
    let counts = Statistics { at, received, dropped_by_system, ..Statistics::default() };
    write::statistics(&mut out, &counts);
    let file = world.path("evidence.pcapng");
    std::fs::write(&file, &out)?;

    let said = must(&mut words(&format!("capinfos -M -c -I {file}")))?;
    let number = said.lines().find_map(|l| l.strip_prefix("Number of packets:"));
    ensure!(number.map(str::trim) == Some(&count.to_string()), "{count} packets: {said}");
    ensure!(said.contains("Number of stat entries = 1"), "{said}");
    let read = words(&format!("tshark -n -r {file}")).output()?;
    let complaints = String::from_utf8_lossy(&read.stderr).into_owned();
    let real = complaints.lines().filter(|line| !line.contains("Running as user"));
    ensure!(read.status.success() && real.count() == 0, "{complaints}");
    let rows = fields(&file, "frame.comment", &["frame.number", "frame.comment"])?;
    ensure!(rows == [["1", COMMENT]], "{rows:?}");
    let (again, before) = (packets::openings(&out)?, packets::openings(bytes)?);
    ensure!(format!("{again:?}") == format!("{before:?}"), "read anew it tells something else");
    Ok(())
}
