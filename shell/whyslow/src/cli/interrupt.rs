//! Being asked to end, for commands that go on until then.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{SignalKind, signal};

use super::Exit;

/// Set once the process is asked to end; a second signal ends it at once.
pub(super) fn asked() -> io::Result<Arc<AtomicBool>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let entered = runtime.enter();
    let mut signals = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    drop(entered);
    let flag = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&flag);
    std::thread::spawn(move || {
        runtime.block_on(async {
            for last in [false, true] {
                tokio::select! { _ = signals.0.recv() => {}, _ = signals.1.recv() => {} }
                if last {
                    std::process::exit(Exit::Degraded as i32);
                }
                told.store(true, Ordering::Relaxed);
            }
        });
    });
    Ok(flag)
}
