//! What the kernel alone takes for a connection, made as rarely as a load makes them.
//!
//! Between two runs of 133 a second the processor sleeps and forgets, so that the first system
//! call after it costs several times what it costs in a tight loop. No program can be below this.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::Result;
use whyslow_sys::process;

/// How often 2,000 checks every 15 s start.
const EVERY: Duration = Duration::from_micros(7_500);
const CONNECTIONS: u32 = 1000;

/// Processor time of one connection that is opened and closed, in milliseconds.
pub(crate) fn cpu_ms(target: SocketAddr) -> Result<f64> {
    drop(TcpStream::connect(target)?);
    let before = process::usage()?;
    for _ in 0..CONNECTIONS {
        std::thread::sleep(EVERY);
        drop(TcpStream::connect(target)?);
    }
    let used = process::usage()?.cpu - before.cpu;
    Ok(used.as_secs_f64() * 1000.0 / f64::from(CONNECTIONS))
}
