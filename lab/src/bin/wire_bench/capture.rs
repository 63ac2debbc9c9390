//! A capture of many short TLS connections, and longer ones made of it.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use whyslow_lab::certificates::{Authority, Valid};
use whyslow_lab::namespace::Pair;
use whyslow_lab::peer::Peer;
use whyslow_lab::server::nginx_inside;
use whyslow_lab::world::{World, must};

/// How long a pcap file's header and a record's are.
const FILE_HEADER: usize = 24;
const RECORD_HEADER: usize = 16;
const PORT: u16 = 443;
const PATIENCE: Duration = Duration::from_secs(30);

/// What is in a capture.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Size {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
}

/// Has nginx serve wrk, a connection per request, until tcpdump has at least `packets` of it.
pub(crate) fn take(world: &World, file: &str, packets: u64) -> Result<Size> {
    let pair = Pair::new()?;
    let authority = Authority::new(world, "ca")?;
    let leaf = authority.sign("web", "DNS:wire.lab", Valid::Days(30))?;
    let _nginx = nginx_inside(world, &leaf, (Pair::SERVER, PORT), "", &|line| pair.server(line))?;
    // One packet a segment, as on a real wire.
    let line = "ethtool -K w0 tso off gso off gro off";
    must(&mut pair.client(line))?;
    must(&mut pair.server(line))?;
    let mut command = pair.server(&format!("tcpdump -Z root -n -B 65536 -i w0 -w {file} tcp"));
    let mut tap = Peer::start("tcpdump", world.dir(), &mut command)?;
    let log = world.path("tcpdump.log");
    tap.until(|| Ok(std::fs::read_to_string(&log)?.contains("listening on")))?;
    while size(file)?.packets < packets {
        let mut wrk = pair.client("wrk -t1 -c20 -d4s");
        wrk.args(["-H", "Connection: close", &format!("https://{}:{PORT}/", Pair::SERVER)]);
        must(&mut wrk)?;
    }
    tap.signal("INT")?;
    tap.ended(PATIENCE)?;
    ensure!(tap.output().contains("\n0 packets dropped by kernel"), "{}", tap.output());
    size(file)
}

/// How much is in a capture that may still be growing.
fn size(file: &str) -> Result<Size> {
    let mut size = Size::default();
    if Path::new(file).metadata()?.len() > 0 {
        records(file, |_, _| {
            size.packets += 1;
            Ok(())
        })?;
    }
    size.bytes = Path::new(file).metadata()?.len();
    Ok(size)
}

/// Writes the same packets `times` over, each time a minute later.
pub(crate) fn repeated(file: &str, times: u32, to: &str) -> Result<()> {
    let mut out = BufWriter::new(File::create(to)?);
    let mut head = [0; FILE_HEADER];
    File::open(file)?.read_exact(&mut head)?;
    out.write_all(&head)?;
    for n in 0..times {
        records(file, |header, body| {
            let mut header = *header;
            let second = u32::from_le_bytes([header[0], header[1], header[2], header[3]]);
            header[..4].copy_from_slice(&(second + n * 60).to_le_bytes());
            out.write_all(&header)?;
            Ok(out.write_all(body)?)
        })?;
    }
    Ok(out.flush()?)
}

/// Each whole record of a pcap file of this machine's byte order.
fn records(
    file: &str,
    mut each: impl FnMut(&[u8; RECORD_HEADER], &[u8]) -> Result<()>,
) -> Result<()> {
    let mut input = BufReader::new(File::open(file)?);
    let mut head = [0; FILE_HEADER];
    input.read_exact(&mut head).context("a pcap file's header")?;
    ensure!(head[..4] == 0xa1b2_c3d4_u32.to_le_bytes(), "{file} is not what tcpdump writes");
    let (mut header, mut body) = ([0; RECORD_HEADER], Vec::new());
    // The last one may be half written yet.
    while input.read_exact(&mut header).is_ok() {
        let len = u32::from_le_bytes([header[8], header[9], header[10], header[11]]);
        body.resize(usize::try_from(len)?, 0);
        if input.read_exact(&mut body).is_err() {
            break;
        }
        each(&header, &body)?;
    }
    Ok(())
}
