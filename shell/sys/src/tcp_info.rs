//! What the kernel knows of a TCP connection.
//!
//! The layout is that of `struct tcp_info` in `include/uapi/linux/tcp.h`. It only ever grows at
//! its end, and the kernel says how much of it it has filled; what it did not fill is `None`.
//! The struct in `libc` ends before the smallest round-trip time, hence our own.

use std::mem::offset_of;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use crate::Error;

/// What the kernel knows of one connection, at the moment of asking.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpInfo {
    /// The state by its number in `include/net/tcp_states.h`: 1 is established, 2 is SYN sent.
    pub state: u8,
    /// The smoothed round-trip time; `None` before the first was measured.
    pub rtt: Option<Duration>,
    /// The mean deviation of the round-trip time.
    pub rtt_variance: Option<Duration>,
    /// The smallest round-trip time seen; `None` before the first, and before Linux 4.6.
    pub min_rtt: Option<Duration>,
    /// Segments sent again in this connection's life, its SYN included: asked for right after
    /// the handshake, this is how often the SYN was repeated.
    pub total_retransmits: u32,
    /// How often the oldest unanswered segment has been repeated so far: while the connection
    /// is still being made, the repeats of the SYN.
    pub retransmits: u8,
    /// Segments sent and not yet acknowledged.
    pub unacknowledged: u32,
    /// Segments the kernel takes for lost right now.
    pub lost: u32,
    /// The largest segment we may send, in bytes.
    pub send_mss: u32,
    /// The path's MTU as far as known, in bytes.
    pub path_mtu: u32,
    /// The congestion window, in segments.
    pub congestion_window: u32,
    /// Payload bytes the peer has acknowledged; `None` before Linux 4.1.
    pub bytes_acknowledged: Option<u64>,
    /// Payload bytes received; `None` before Linux 4.1.
    pub bytes_received: Option<u64>,
    /// Payload bytes sent again; `None` before Linux 4.19.
    pub bytes_retransmitted: Option<u64>,
    /// The newest measured rate of delivery, in bytes a second; `None` before Linux 4.9.
    pub delivery_rate: Option<u64>,
    /// Time with data under way; `None` before Linux 4.10.
    pub busy: Option<Duration>,
    /// Time for which the peer's window held us back; `None` before Linux 4.10.
    pub window_limited: Option<Duration>,
    /// Time for which our own send buffer held us back; `None` before Linux 4.10.
    pub buffer_limited: Option<Duration>,
}

/// Asks the kernel about the connected, or connecting, TCP socket `socket`.
///
/// # Errors
/// Where `socket` is no TCP socket.
pub fn of(socket: impl AsFd) -> Result<TcpInfo, Error> {
    let mut raw = Raw::default();
    let size = u32::try_from(size_of::<Raw>()).unwrap_or(u32::MAX);
    let mut len: libc::socklen_t = size;
    // SAFETY: `raw` is plain numbers, any bytes of which are valid; `len` bytes at its address
    // belong to it; the kernel writes at most `len` bytes and keeps no pointer.
    let rc = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut raw).cast(),
            &raw mut len,
        )
    };
    if rc != 0 {
        return Err(Error::last("ask for TCP_INFO"));
    }
    Ok(raw.read(len as usize))
}

/// `struct tcp_info`, up to Linux 6.7's last field.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct Raw {
    state: u8,
    ca_state: u8,
    retransmits: u8,
    probes: u8,
    backoff: u8,
    options: u8,
    window_scales: u8,
    flags: u8,
    rto: u32,
    ato: u32,
    snd_mss: u32,
    rcv_mss: u32,
    unacked: u32,
    sacked: u32,
    lost: u32,
    retrans: u32,
    fackets: u32,
    last_data_sent: u32,
    last_ack_sent: u32,
    last_data_recv: u32,
    last_ack_recv: u32,
    pmtu: u32,
    rcv_ssthresh: u32,
    rtt: u32,
    rttvar: u32,
    snd_ssthresh: u32,
    snd_cwnd: u32,
    advmss: u32,
    reordering: u32,
    rcv_rtt: u32,
    rcv_space: u32,
    total_retrans: u32,
    pacing_rate: u64,
    max_pacing_rate: u64,
    bytes_acked: u64,
    bytes_received: u64,
    segs_out: u32,
    segs_in: u32,
    notsent_bytes: u32,
    min_rtt: u32,
    data_segs_in: u32,
    data_segs_out: u32,
    delivery_rate: u64,
    busy_time: u64,
    rwnd_limited: u64,
    sndbuf_limited: u64,
    delivered: u32,
    delivered_ce: u32,
    bytes_sent: u64,
    bytes_retrans: u64,
    dsack_dups: u32,
    reord_seen: u32,
    rcv_ooopack: u32,
    snd_wnd: u32,
    rcv_wnd: u32,
    rehash: u32,
    total_rto: u16,
    total_rto_recoveries: u16,
    total_rto_time: u32,
}

const _: () = {
    assert!(offset_of!(Raw, pacing_rate) == 104);
    assert!(offset_of!(Raw, min_rtt) == 148);
    assert!(offset_of!(Raw, bytes_retrans) == 208);
    assert!(size_of::<Raw>() == 248);
};

/// What the kernel writes for a smallest round-trip time it does not have.
const NO_MIN_RTT_US: u32 = u32::MAX;

impl Raw {
    /// Reads the first `len` bytes, which are those the kernel filled.
    fn read(&self, len: usize) -> TcpInfo {
        let filled64 = |offset: usize, v: u64| (len >= offset + 8).then_some(v);
        let micros64 = |offset, v| filled64(offset, v).map(Duration::from_micros);
        let micros = |us: u32| (us != 0).then(|| Duration::from_micros(us.into()));
        let has_min = len >= offset_of!(Self, min_rtt) + 4 && self.min_rtt != NO_MIN_RTT_US;
        TcpInfo {
            state: self.state,
            rtt: micros(self.rtt),
            rtt_variance: micros(self.rtt).and(micros(self.rttvar)),
            min_rtt: if has_min { micros(self.min_rtt) } else { None },
            total_retransmits: self.total_retrans,
            retransmits: self.retransmits,
            unacknowledged: self.unacked,
            lost: self.lost,
            send_mss: self.snd_mss,
            path_mtu: self.pmtu,
            congestion_window: self.snd_cwnd,
            bytes_acknowledged: filled64(offset_of!(Self, bytes_acked), self.bytes_acked),
            bytes_received: filled64(offset_of!(Self, bytes_received), self.bytes_received),
            bytes_retransmitted: filled64(offset_of!(Self, bytes_retrans), self.bytes_retrans),
            delivery_rate: filled64(offset_of!(Self, delivery_rate), self.delivery_rate),
            busy: micros64(offset_of!(Self, busy_time), self.busy_time),
            window_limited: micros64(offset_of!(Self, rwnd_limited), self.rwnd_limited),
            buffer_limited: micros64(offset_of!(Self, sndbuf_limited), self.sndbuf_limited),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream, UdpSocket};

    use super::*;

    #[test]
    fn a_connection_over_loopback_knows_its_round_trip_time() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let mut near = TcpStream::connect(listener.local_addr().expect("addr")).expect("connect");
        let (mut far, _) = listener.accept().expect("accept");
        near.write_all(b"hello").expect("write");
        far.read_exact(&mut [0; 5]).expect("read");
        far.write_all(b"you too").expect("write");
        near.read_exact(&mut [0; 7]).expect("read");

        let info = of(&near).expect("TCP_INFO");
        assert_eq!(info.state, 1);
        assert!(info.rtt.expect("measured") < Duration::from_secs(5));
        assert!(info.min_rtt.expect("measured") <= Duration::from_secs(5));
        assert_eq!(info.total_retransmits, 0);
        assert_eq!(info.bytes_received, Some(7));
    }

    #[test]
    fn what_an_older_kernel_does_not_fill_is_none() {
        let raw = Raw { rtt: 1500, min_rtt: 900, bytes_retrans: 1, ..Raw::default() };
        let old = raw.read(104);
        assert_eq!(old.rtt, Some(Duration::from_micros(1500)));
        assert_eq!((old.min_rtt, old.bytes_acknowledged, old.busy), (None, None, None));
        let new = raw.read(size_of::<Raw>());
        assert_eq!(new.min_rtt, Some(Duration::from_micros(900)));
        assert_eq!(new.bytes_retransmitted, Some(1));
    }

    #[test]
    fn another_kind_of_socket_is_refused() {
        let udp = UdpSocket::bind("127.0.0.1:0").expect("bind");
        assert_eq!(of(&udp).expect_err("no TCP").operation, "ask for TCP_INFO");
    }
}
