//! What this process may do, and giving up what it no longer needs.
//!
//! Linux keeps capabilities per thread. Give them up before the first further thread is
//! started; threads started later inherit what is left.

use std::fs;

use crate::Error;

/// A Linux capability, by its number in `include/uapi/linux/capability.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// Read and write files whatever their permission bits say.
    DacOverride,
    /// Listen on ports below 1024.
    NetBindService,
    /// Open raw sockets.
    NetRaw,
}

impl Capability {
    /// The number the kernel knows it by.
    pub const fn number(self) -> u8 {
        match self {
            Self::DacOverride => 1,
            Self::NetBindService => 10,
            Self::NetRaw => 13,
        }
    }

    /// The name that `setcap` and systemd use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DacOverride => "CAP_DAC_OVERRIDE",
            Self::NetBindService => "CAP_NET_BIND_SERVICE",
            Self::NetRaw => "CAP_NET_RAW",
        }
    }

    const fn bit(self) -> u64 {
        1 << self.number()
    }
}

/// The capabilities of the calling thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Those in force, a bit each.
    pub effective: u64,
    /// Those it may put in force, a bit each.
    pub permitted: u64,
    /// Those it may hand on through `exec`, a bit each.
    pub inheritable: u64,
}

impl Capabilities {
    /// Whether `capability` is in force.
    pub const fn has(&self, capability: Capability) -> bool {
        self.effective & capability.bit() != 0
    }
}

/// Who we run as and what we may do, for `doctor` and for `/metrics`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Privileges {
    /// The effective user.
    pub uid: u32,
    /// The effective group.
    pub gid: u32,
    /// The calling thread's capabilities.
    pub capabilities: Capabilities,
    /// Whether `exec` can no longer add privileges.
    pub no_new_privs: bool,
    /// Whether the kernel lets this group open ICMP datagram sockets, which can ping without any
    /// capability.
    pub datagram_ping: bool,
}

impl Privileges {
    /// Whether pings are possible, by a raw or a datagram socket.
    pub const fn can_ping(&self) -> bool {
        self.datagram_ping || self.capabilities.has(Capability::NetRaw)
    }
}

/// What to tell somebody who lacks [`Capability::NetRaw`].
pub const NET_RAW_HINT: &str = "grant it with `setcap cap_net_raw+ep $(command -v whyslow)`, or \
     with AmbientCapabilities=CAP_NET_RAW in the systemd unit; or let everybody ping with \
     `sysctl -w net.ipv4.ping_group_range='0 2147483647'`";

/// What to tell somebody who lacks [`Capability::NetRaw`] for capturing.
pub const CAPTURE_HINT: &str = "grant it with `setcap cap_net_raw+ep $(command -v whyslow)`, with \
     AmbientCapabilities=CAP_NET_RAW in the systemd unit, or with `--cap-add NET_RAW` for a \
     container";

/// What the calling thread may do.
///
/// # Errors
/// Where the kernel does not say.
pub fn probe() -> Result<Privileges, Error> {
    // SAFETY: these take no argument and cannot fail.
    let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
    Ok(Privileges {
        uid,
        gid,
        capabilities: capabilities()?,
        no_new_privs: no_new_privs(),
        datagram_ping: datagram_ping(gid),
    })
}

/// The calling thread's capabilities.
///
/// # Errors
/// Where the kernel refuses to say, as some sandboxes make it.
pub fn capabilities() -> Result<Capabilities, Error> {
    let mut header = Header { version: VERSION_3, pid: 0 };
    let mut data = [Data::default(); 2];
    // SAFETY: version 3 takes one header and two data elements, and that is what it gets.
    let rc = unsafe { libc::syscall(libc::SYS_capget, &raw mut header, data.as_mut_ptr()) };
    if rc != 0 {
        return Err(Error::last("read our capabilities"));
    }
    let both = |of: fn(&Data) -> u32| u64::from(of(&data[0])) | u64::from(of(&data[1])) << 32;
    Ok(Capabilities {
        effective: both(|d| d.effective),
        permitted: both(|d| d.permitted),
        inheritable: both(|d| d.inheritable),
    })
}

/// Gives up, for good, every capability of the calling thread but those of `keep` that it has.
/// Returns what is left. It cannot come back: ambient capabilities go too, and unless `exec`
/// meets a file with capabilities of its own nothing adds any (see [`forbid_new_privileges`]).
///
/// # Errors
/// Where the kernel refuses, which it has no reason to.
pub fn keep_only(keep: &[Capability]) -> Result<Capabilities, Error> {
    let mask = keep.iter().fold(0, |bits, c| bits | c.bit());
    let now = capabilities()?;
    let left = Capabilities {
        effective: now.effective & mask,
        permitted: now.permitted & mask,
        inheritable: 0,
    };
    // SAFETY: no pointers are involved.
    let rc = unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) };
    if rc != 0 {
        return Err(Error::last("clear ambient capabilities"));
    }
    set(&left)?;
    Ok(left)
}

/// From now on `exec` adds no privileges, whatever file is executed; this thread and every
/// later one. It cannot be undone.
///
/// # Errors
/// On kernels before 3.5.
pub fn forbid_new_privileges() -> Result<(), Error> {
    // SAFETY: no pointers are involved.
    let rc = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    if rc == 0 { Ok(()) } else { Err(Error::last("forbid new privileges")) }
}

fn no_new_privs() -> bool {
    // SAFETY: no pointers are involved.
    unsafe { libc::prctl(libc::PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 }
}

/// Whether `gid` lies within the groups that may open ICMP datagram sockets.
fn datagram_ping(gid: u32) -> bool {
    let text = fs::read_to_string("/proc/sys/net/ipv4/ping_group_range").unwrap_or_default();
    within(&text, gid)
}

/// Whether `gid` lies within `range`, a line `first last`; `1 0` is nobody.
fn within(range: &str, gid: u32) -> bool {
    let mut ends = range.split_ascii_whitespace().map(str::parse::<u32>);
    match (ends.next(), ends.next()) {
        (Some(Ok(first)), Some(Ok(last))) => (first..=last).contains(&gid),
        _ => false,
    }
}

fn set(to: &Capabilities) -> Result<(), Error> {
    let mut header = Header { version: VERSION_3, pid: 0 };
    #[expect(clippy::cast_possible_truncation, reason = "each half of the bits in turn")]
    let half = |shift: u32| Data {
        effective: (to.effective >> shift) as u32,
        permitted: (to.permitted >> shift) as u32,
        inheritable: (to.inheritable >> shift) as u32,
    };
    let data = [half(0), half(32)];
    // SAFETY: version 3 takes one header and two data elements, and that is what it gets.
    let rc = unsafe { libc::syscall(libc::SYS_capset, &raw mut header, data.as_ptr()) };
    if rc == 0 { Ok(()) } else { Err(Error::last("give up capabilities")) }
}

/// `_LINUX_CAPABILITY_VERSION_3` of `include/uapi/linux/capability.h`.
const VERSION_3: u32 = 0x2008_0522;

#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Data {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_up_stays_given_up_on_that_thread_alone() {
        let before = capabilities().expect("capabilities");
        std::thread::spawn(|| {
            let left = keep_only(&[]).expect("give up");
            assert_eq!((left.effective, left.permitted), (0, 0));
            assert_eq!(capabilities().expect("capabilities"), left);
            assert!(!capabilities().expect("capabilities").has(Capability::NetRaw));
        })
        .join()
        .expect("thread");
        assert_eq!(capabilities().expect("capabilities"), before);
    }

    #[test]
    fn new_privileges_stay_forbidden() {
        std::thread::spawn(|| {
            forbid_new_privileges().expect("forbid");
            assert!(probe().expect("privileges").no_new_privs);
        })
        .join()
        .expect("thread");
    }

    #[test]
    fn the_group_range_one_to_zero_lets_nobody_in() {
        assert!(!within("1\t0\n", 0));
        assert!(!within("", 0));
        assert!(within("0\t2147483647\n", 1000));
        assert!(!within("100 200", 201));
    }
}
