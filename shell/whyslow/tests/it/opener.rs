//! The child that opens raw sockets, as a process of its own.

use std::path::Path;

use whyslow::prober::sockets::{Opener, Sockets};
use whyslow_sys::icmp::Access;
use whyslow_sys::privilege::{self, Capability};

#[test]
fn the_child_passes_raw_sockets_where_it_may_open_them() {
    let sockets = Sockets::open(Opener::Child(Path::new(env!("CARGO_BIN_EXE_whyslow"))), 16);
    let privileges = privilege::probe().unwrap();
    let raw = sockets.v4.as_ref().is_some_and(|s| s.access() == Access::Raw);
    assert_eq!(raw, privileges.capabilities.has(Capability::NetRaw), "{sockets:?}");
    assert_eq!(sockets.v4.is_some(), privileges.can_ping(), "{sockets:?}");
    assert_eq!(sockets.packet.len(), if raw { 16 } else { 0 }, "{sockets:?}");
    assert_eq!(sockets.packet_problem.is_none(), raw, "{sockets:?}");
    let hinted = sockets.packet_problem.is_none_or(|p| p.contains("setcap"));
    assert!(hinted, "the reason says what mends it");
}
