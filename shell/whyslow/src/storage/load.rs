//! Reading the directory back into a head.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, RwLock};

use whyslow_model::seeded::Seed;
use whyslow_store::head::{Bounds, Span, WINDOW_MS, window_start};
use whyslow_store::{Head, Tally};

use super::StoreOptions;
use super::counters::Counters;
use super::days::{Files, Kind};
use super::error::StorageError;
use super::lock::DirectoryLock;
use super::outputs::Outputs;
use super::registry::Registry;
use super::rows;
use super::writer::{Writer, now};

/// Which handle and which span each series has, by its number.
type Known = BTreeMap<i64, (u32, Option<Span>)>;

impl Writer {
    /// Reads the directory: the series, their windows that may still change, then the samples
    /// that are in no chunk yet.
    pub(super) fn open(
        dir: &Path,
        options: StoreOptions,
        lock: DirectoryLock,
        seed: Seed,
    ) -> Result<Self, StorageError> {
        let outputs = Outputs::open(dir)?;
        let registry = Registry::open(dir, outputs.newest_of_samples())?;
        let files = Files::list(dir, &kinds(&options))?;
        let mut head = Head::new(seed, options.limits, registry.next_id()?);
        let mut known = Known::new();
        registry.restore_series(&mut head, |id, slot| {
            known.insert(id, (slot, None));
        })?;
        restore_windows(&registry, &files, &mut head, &mut known)?;
        replay(&registry, &mut head, &known)?;
        let mut newest_ms = i64::MIN;
        for (slot, span) in known.values() {
            // Only now: a sample at or before the reach counts as late.
            if let Some(span) = span {
                head.restore_reach(*slot, *span);
            }
            newest_ms = newest_ms.max(head.span(*slot).map_or(i64::MIN, |s| s.newest_ms));
        }
        let journal_bytes = registry.batch_bytes()?;
        outputs.stored(registry.newest(), 0);
        let is_windows = |k: &Kind| matches!(k, Kind::Windows { .. } | Kind::WireWindows { .. });
        let windows = files.kinds().into_iter().filter(is_windows);
        let unrolled =
            windows.flat_map(|k| files.days(k).into_iter().map(move |day| (k, day))).collect();
        Ok(Self {
            options,
            counters: Arc::new(Counters::default()),
            head: Arc::new(RwLock::new(head)),
            registry,
            outputs,
            files: Arc::new(files),
            open: BTreeMap::new(),
            unrolled,
            newest_ms,
            sealed_ms: i64::MIN,
            journal_bytes,
            untold_samples: 0,
            lock,
        })
    }
}

/// All kinds of files under these options.
fn kinds(options: &StoreOptions) -> Vec<Kind> {
    let levels = options.retention.levels().iter().map(|l| Kind::of_level(*l));
    let windows = options.retention.levels().iter().map(|l| Kind::edge_level(*l));
    let plain = [Kind::Facts, Kind::Transcripts, Kind::Runs, Kind::Slow, Kind::Readings];
    let wire = options.retention.levels().iter().map(|l| Kind::wire_level(*l));
    let later = [Kind::Findings, Kind::WIRE_FINEST, Kind::WireEvents];
    let mut all: Vec<Kind> = levels.chain(windows).chain(plain).chain(wire).chain(later).collect();
    // One that is looked for twice is found twice.
    all.sort_unstable();
    all.dedup();
    all
}

/// Gives the head the windows at and after each series' floor.
fn restore_windows(
    registry: &Registry,
    files: &Files,
    head: &mut Head,
    known: &mut Known,
) -> Result<(), StorageError> {
    let now_s = now().as_millis() / 1000;
    let mut oldest = i64::MAX;
    for one in registry.spans()? {
        if let Some((slot, span)) = known.get_mut(&one.id) {
            head.restore_floor(*slot, one.span.floor_ms, now_s);
            *span = Some(one.span);
            if one.span.newest_ms >= one.span.floor_ms {
                oldest = oldest.min(one.span.floor_ms.max(window_start(one.span.first_ms)));
            }
        }
    }
    for day in files.days(Kind::Samples) {
        let (start, end) = Kind::Samples.span_ms(day);
        if end <= oldest {
            continue;
        }
        let first = rows::key((oldest - start).div_euclid(WINDOW_MS).max(0), 0);
        let mut bad = None;
        files.read(Kind::Samples, day, |db| {
            rows::each(db, first, i64::MAX, |key, bytes| {
                let (stretch, id) = rows::parts(key);
                let at = start + stretch * WINDOW_MS;
                let Some((slot, Some(span))) = known.get(&id) else { return };
                if at >= span.floor_ms && !head.restore_window(*slot, at, bytes) {
                    bad = Some(key);
                }
            })
        })?;
        if let Some(key) = bad {
            let reason = format!("row {key} is no chunk");
            return Err(StorageError::Damaged { file: files.path(Kind::Samples, day), reason });
        }
    }
    Ok(())
}

/// Gives the head the samples that are in no chunk yet, as they came.
fn replay(registry: &Registry, head: &mut Head, known: &Known) -> Result<(), StorageError> {
    let now_s = now().as_millis() / 1000;
    // What is replayed was counted when it came.
    let mut uncounted = Tally::default();
    registry.replay(|id, at, value| {
        if let Some((slot, _)) = known.get(&id) {
            head.append(*slot, &[at], &[value], Bounds::ALL, now_s, &mut uncounted);
        }
    })
}
