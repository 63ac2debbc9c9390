//! Files driven by hand: looked at and read a turn at a time, as rotation goes on around them, and
//! kept in a real store.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::sync::mpsc::{Receiver, channel};

use flate2::Compression;
use flate2::write::GzEncoder;
use whyslow_edge::completeness::Numbers;
use whyslow_edge::grouping::Grouping;
use whyslow_edge::routes::Routes;
use whyslow_edge::slow::{self, SlowKeeper};
use whyslow_edge::windows::{Options, Windows};
use whyslow_model::seeded::Seed;
use whyslow_sys::clock;

use super::*;
use crate::config::EdgeSource;
use crate::edge::counters::{Counted, Tally};
use crate::edge::keeper::{Harvest, Keeper};
use crate::edge::reading::Reading;
use crate::edge::stop::Stop;
use crate::edge::worker::{Parts, Worker};
use crate::edge::zone::Zoned;
use crate::edge::{Notices, World, stored_place};
use crate::edge_out::Outputs;
use crate::storage::{Db, EdgeQuery, StoreOptions};

/// A directory, a source that follows files in it, what it counted, and where that is kept.
pub(super) struct Play {
    dir: tempfile::TempDir,
    _data: tempfile::TempDir,
    _runtime: tokio::runtime::Runtime,
    config: Arc<EdgeSource>,
    world: World,
    pub(super) files: Files,
    pub(super) worker: Worker,
    keeper: Keeper,
    counted: Arc<Counted>,
    inbox: Receiver<Harvest>,
    /// Harvests on their way to the store.
    queue: VecDeque<Harvest>,
    pub(super) written: u64,
    /// Lines written of each window.
    of_window: BTreeMap<i64, u64>,
    /// The first line's second.
    begin_s: u64,
}

/// One line in so many is of a slow request.
const SLOW_EACH: u64 = 25;
/// Rotated files that are kept.
const ROTATED: usize = 60;

fn worker(config: &EdgeSource, counted: &Arc<Counted>, db: &Db) -> (Worker, Receiver<Harvest>) {
    let (outbox, inbox) = std::sync::mpsc::sync_channel(1000);
    let options =
        Options { span_s: 10, routes: Routes::default(), asn: None, seed: Seed(1), lateness_s: 60 };
    let slow = slow::Options {
        limit_us: Some(1_000_000),
        own_p99_factor: None,
        ..slow::Options::new(Arc::from("lb"), Seed(1))
    };
    let worker = Worker::new(Parts {
        number: 0,
        name: Arc::from("lb"),
        part: 1,
        counted: Arc::clone(counted),
        reading: Reading::of(&config.format).unwrap(),
        zone: Zoned::of(&config.time_zone),
        windows: Windows::new(options),
        slow: SlowKeeper::new(slow),
        numbers: Numbers::new(Seed(1)),
        outbox,
        rereads: true,
        frontier: Arc::new(AtomicI64::new(i64::MIN)),
        resume: stored_place(db, &config.name),
        db: db.clone(),
    });
    (worker, inbox)
}

fn keeper(config: &Arc<EdgeSource>, world: &World, counted: &Arc<Counted>) -> Keeper {
    let (config, counted) = (Arc::clone(config), Arc::clone(counted));
    Keeper::new(config, world.clone(), counted, Stop::default(), channel().1)
}

impl Play {
    pub(super) fn of(pattern: &str) -> Self {
        Self::from(pattern, ReadFrom::Beginning)
    }

    pub(super) fn from(pattern: &str, read_from: ReadFrom) -> Self {
        Self::in_format(pattern, read_from, "auto")
    }

    pub(super) fn in_format(pattern: &str, read_from: ReadFrom, format: &str) -> Self {
        let (dir, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let db = Db::open(data.path(), StoreOptions::default()).unwrap();
        let world = World {
            agent: "lon1".to_owned(),
            runtime: runtime.handle().clone(),
            asn: None,
            notices: Arc::new(Notices::of(&db, whyslow_edge::detect::Options::default())),
            outputs: Arc::new(Outputs::default()),
            db,
        };
        let input = format!("file:{}/{pattern}", dir.path().display());
        let config = serde_json::json!(
            {"name": "lb", "input": input, "format": format, "time_zone": "UTC"}
        );
        let config: Arc<EdgeSource> = Arc::new(serde_json::from_value(config).unwrap());
        let counted = Arc::new(Counted::new(Seed(1), false));
        let (worker, inbox) = worker(&config, &counted, &world.db);
        Self {
            files: Files::new(&dir.path().join(pattern), read_from),
            dir,
            _data: data,
            _runtime: runtime,
            keeper: keeper(&config, &world, &counted),
            config,
            world,
            worker,
            counted,
            inbox,
            queue: VecDeque::new(),
            written: 0,
            of_window: BTreeMap::new(),
            begin_s: u64::try_from(clock::wall().as_millis() / 10_000 * 10 - 7200).unwrap(),
        }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Begins to read, as the source's thread does.
    pub(super) fn begin(&mut self) {
        self.files.begin(&mut self.worker).unwrap();
        self.commit(0);
    }

    /// Appends lines of their own: some a second, each tenth some seconds late.
    pub(super) fn write(&mut self, name: &str, lines: usize) {
        let mut file = OpenOptions::new().create(true).append(true).open(self.path(name)).unwrap();
        for _ in 0..lines {
            self.written += 1;
            let late = if self.written.is_multiple_of(10) { self.written % 20 } else { 0 };
            let second = (self.begin_s + self.written / 40).saturating_sub(late);
            let at = jiff::Timestamp::from_second(i64::try_from(second).unwrap()).unwrap();
            let date = at.strftime("%d/%b/%Y:%H:%M:%S");
            let (n, ms) = (self.written, self.written % 1000);
            let total = if n.is_multiple_of(SLOW_EACH) { 2000 } else { 8 };
            writeln!(
                file,
                "10.0.0.1:1 [{date}.{ms:03}] web app/web1 0/0/1/7/{total} 200 {n} - - ---- \
                 1/1/1/1/0 0/0 \"GET /{n:040} HTTP/1.1\"",
            )
            .unwrap();
            *self.of_window.entry(i64::try_from(second / 10 * 10).unwrap()).or_default() += 1;
        }
    }

    /// Makes room under the first rotated name.
    fn shift(&self) {
        for n in (1..ROTATED).rev() {
            for end in ["", ".gz"] {
                let to = self.path(&format!("lb.log.{}{end}", n + 1));
                // Most of them are not there.
                let _ = fs::rename(self.path(&format!("lb.log.{n}{end}")), to);
            }
        }
    }

    pub(super) fn rename(&mut self) {
        self.shift();
        fs::rename(self.path("lb.log"), self.path("lb.log.1")).unwrap();
    }

    pub(super) fn copy(&mut self) {
        self.shift();
        fs::copy(self.path("lb.log"), self.path("lb.log.1")).unwrap();
    }

    pub(super) fn truncate(&mut self) {
        let file = OpenOptions::new().write(true).open(self.path("lb.log")).unwrap();
        file.set_len(0).unwrap();
    }

    pub(super) fn rotate(&mut self, copy: bool) {
        if copy {
            self.copy();
            self.truncate();
        } else {
            self.rename();
            fs::write(self.path("lb.log"), "").unwrap();
        }
    }

    /// Packs a rotated file, where it is there.
    pub(super) fn pack(&mut self, n: usize) {
        let from = self.path(&format!("lb.log.{n}"));
        let Ok(bytes) = fs::read(&from) else { return };
        let to = fs::File::create(self.path(&format!("lb.log.{n}.gz"))).unwrap();
        let mut to = GzEncoder::new(to, Compression::fast());
        to.write_all(&bytes).unwrap();
        to.finish().unwrap();
        fs::remove_file(from).unwrap();
    }

    /// Takes some turns.
    pub(super) fn turns(&mut self, most: usize) {
        self.files.look(&mut self.worker).unwrap();
        for _ in 0..most {
            if !self.files.turn(&mut self.worker) {
                break;
            }
        }
    }

    /// Gives windows out, and stores all harvests but the last so many, which wait.
    pub(super) fn harvest(&mut self, waiting: usize) {
        let Self { worker, files, .. } = self;
        worker.tick_at_once(|oldest| Some(files.resume(oldest)));
        self.commit(waiting);
    }

    fn commit(&mut self, waiting: usize) {
        self.queue.extend(self.inbox.try_iter());
        while self.queue.len() > waiting {
            let next = self.queue.pop_front().into_iter().collect();
            assert!(self.keeper.keep(next));
        }
    }

    /// Ends as by kill -9, and starts again.
    pub(super) fn kill(&mut self) {
        (self.worker, self.inbox) = worker(&self.config, &self.counted, &self.world.db);
        self.queue.clear();
        self.keeper = keeper(&self.config, &self.world, &self.counted);
        self.files = Files::new(&self.files.pattern, ReadFrom::Beginning);
        self.begin();
    }

    pub(super) fn read(&mut self) -> Tally {
        self.turns(usize::MAX);
        self.harvest(0);
        self.counted.read().0
    }

    /// What is said to be wrong with the source.
    pub(super) fn problem(&self) -> Option<String> {
        self.counted.read().1.problem
    }

    /// Reads, and finds each line that was written counted once.
    pub(super) fn all(&mut self) {
        let written = self.written;
        let tally = self.read();
        assert_eq!((tally.parsed, tally.rejected(), tally.unsure), (written, 0, 0));
    }

    /// Requests that are stored, of each window.
    fn stored(&self) -> BTreeMap<i64, u64> {
        let query = EdgeQuery {
            from_s: i64::try_from(self.begin_s).unwrap() - 3600,
            to_s: i64::try_from(self.begin_s).unwrap() + 7200,
            span_s: Some(10),
            grouping: Grouping::VIP,
            sources: vec!["lb".to_owned()],
            ..EdgeQuery::default()
        };
        let rows = self.world.db.edge_rows(&query).unwrap();
        rows.into_iter().map(|row| (row.start_s, row.totals.hits)).collect()
    }

    /// Reads to the end, and ends.
    pub(super) fn finish(&mut self) -> Tally {
        // What is new under a rotated name is read once it grows no more.
        (0..2).for_each(|_| self.turns(usize::MAX));
        let Self { worker, files, .. } = self;
        worker.finish(|oldest| Some(files.resume(oldest)));
        self.commit(0);
        self.counted.read().0
    }

    /// Windows with other than the lines that were written of them: how many were, and are stored.
    pub(super) fn wrong(&self) -> Vec<(i64, u64, u64)> {
        let stored = self.stored();
        let of = |start: &i64| stored.get(start).copied().unwrap_or(0);
        assert!(stored.keys().all(|start| self.of_window.contains_key(start)), "{stored:?}");
        let all = self.of_window.iter().map(|(start, n)| (*start, *n, of(start)));
        all.filter(|(_, written, stored)| written != stored).collect()
    }

    /// Reads to the end, and finds each line in its window, once, and each slow request.
    pub(super) fn all_stored(&mut self, what: &str) {
        let tally = self.finish();
        let (wrong, beyond) = (self.wrong(), self.counted.read().1.windows.beyond);
        assert_eq!((tally.unsure, beyond), (0, 0), "{what}: {wrong:?}");
        assert_eq!(wrong, [], "{what}: windows, lines written of them, requests stored");
        let counts = self.world.db.slow_counts(0, i64::MAX).unwrap();
        let (seen, kept) = counts.iter().fold((0, 0), |(a, b), c| (a + c.seen, b + c.kept));
        let slow = self.written / SLOW_EACH;
        assert_eq!((seen, kept), (slow, slow), "{what}: slow requests");
    }
}
