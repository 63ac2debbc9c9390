//! The values of windows kept here under Graphite's names.
//!
//! The store takes one value for one time, and a window changes for some minutes, as long requests
//! end and late lines come. So its values are stored once it cannot change any more.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;
use whyslow_model::Sample;

use super::named::Named;
use super::{Sending, stopped};
use crate::edge::settled_before_s;
use crate::storage::{Batch, Changed, Db, StorageError, Unsent};

/// How often it is looked for windows that are settled.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Seconds after its last change at which a window is settled whatever its source says: nothing
/// comes any more, or the source is gone.
const SETTLED_S: i64 = 300;
/// Windows looked at together.
const AT_ONCE: u32 = 64;

/// Stores values until told to stop.
pub(super) async fn keep(named: Arc<Named>, sending: Sending, mut stopping: watch::Receiver<bool>) {
    let ends = sending.db.ends();
    let (mut unsent, mut place) = (sending.db.unsent(), sending.opened.place);
    while !*stopping.borrow() {
        let end = ends.borrow().windows;
        let (db, named) = (sending.db.clone(), Arc::clone(&named));
        let reading = tokio::task::spawn_blocking(move || {
            let now_s = whyslow_sys::clock::wall().as_millis() / 1000;
            let settled = settled(&mut unsent, &db, &named, (place, end), now_s);
            (settled, unsent)
        });
        let Ok((settled, back)) = reading.await else { return };
        unsent = back;
        let stored = match settled {
            Ok(None) => Ok(()),
            Ok(Some((samples, to))) => {
                let sent = vec![(Arc::clone(&sending.opened.name), to)];
                let batch = Batch { samples, sent, ..Batch::default() };
                let stored = sending.db.append(batch).await.map(|_| ());
                if stored.is_ok() {
                    place = to;
                    // There may be more.
                    continue;
                }
                stored
            }
            Err(error) => Err(error),
        };
        if let Err(error) = stored {
            tracing::error!(%error, "values are not kept under Graphite's names");
        }
        tokio::select! {
            () = stopped(&mut stopping) => {}
            () = sleep(LOOK_EVERY) => {}
        }
    }
}

/// The values of the next windows that cannot change any more, and their last place.
fn settled(
    unsent: &mut Unsent,
    db: &Db,
    named: &Named,
    (after, end): (i64, i64),
    now_s: i64,
) -> Result<Option<(Vec<Sample>, i64)>, StorageError> {
    let is_settled = |window: &Changed| {
        window.noted_s + SETTLED_S < now_s
            || settled_before_s(db, &window.source).is_some_and(|before| window.start_s < before)
    };
    let changed = unsent.windows(after, end, AT_ONCE)?;
    let settled: Vec<_> = changed.into_iter().take_while(is_settled).collect();
    let Some(last) = settled.last() else { return Ok(None) };
    let mut samples = Vec::new();
    for window in &settled {
        let rows = db.edge_window(&window.source, window.start_s)?;
        named.lines(&window.source, &rows, |line| {
            if let Ok(Some(point)) = whyslow_graphite::line::parse(line.as_bytes())
                && let Some(at_ms) = point.at_ms
            {
                samples.push(Sample { labels: point.labels, at_ms, value: point.value });
            }
        });
    }
    Ok(Some((samples, last.place)))
}
