//! Sends frames of 1400 bytes. One call hands the kernel several datagrams at once, which it cuts
//! apart before they leave: each frame travels alone, with a number of its own in it.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use whyslow_sys::datagrams::cut_into;

/// With the headers of Ethernet, IPv4 and UDP a frame of 1400 bytes.
const PAYLOAD_BYTES: u16 = 1358;
/// Datagrams of one call.
const AT_ONCE: u64 = 16;

/// Sends to `to` for so long, at `rate` frames a second or as fast as can be.
///
/// # Errors
/// Where the kernel gives no such socket.
pub(crate) fn run(to: &str, seconds: u64, rate: Option<u64>) -> Result<()> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.connect(to)?;
    cut_into(&socket, PAYLOAD_BYTES).context("the kernel cuts no datagrams apart")?;
    let mut payloads = vec![0x55; usize::from(PAYLOAD_BYTES) * AT_ONCE as usize];
    let (began, lasts) = (Instant::now(), Duration::from_secs(seconds));
    let (mut sent, mut refused) = (0_u64, 0_u64);
    while began.elapsed() < lasts {
        if rate.is_some_and(|rate| sent as f64 > began.elapsed().as_secs_f64() * rate as f64) {
            std::hint::spin_loop();
            continue;
        }
        for (n, payload) in (sent..).zip(payloads.chunks_exact_mut(usize::from(PAYLOAD_BYTES))) {
            payload[..8].copy_from_slice(&n.to_be_bytes());
        }
        match socket.send(&payloads) {
            Ok(_) => sent += AT_ONCE,
            // A port that nobody listens on is told as an error of the next call.
            Err(_) => refused += 1,
        }
    }
    let (s, kpps) = (began.elapsed().as_secs_f64(), sent as f64 / began.elapsed().as_secs_f64());
    println!("{sent} frames in {s:.3} s, {kpps:.0} a second, {refused} calls refused");
    Ok(())
}
