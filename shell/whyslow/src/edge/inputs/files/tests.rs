//! Files driven by hand: looked at and read a turn at a time, as rotation goes on around them.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::sync::Arc;

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::AtomicI64;
use std::sync::mpsc::Receiver;

use whyslow_edge::completeness::Numbers;
use whyslow_edge::grouping::Grouping;
use whyslow_edge::routes::Routes;
use whyslow_edge::slow::{self, SlowKeeper};
use whyslow_edge::windows::{Options, Windows};
use whyslow_model::Wall;
use whyslow_model::seeded::Seed;

use super::*;
use crate::config::EdgeSource;
use crate::edge::counters::{Counted, Tally};
use crate::edge::keeper::Harvest;
use crate::edge::reading::Reading;
use crate::edge::resume::Resume;
use crate::edge::worker::Parts;
use crate::edge::zone::Zoned;

/// A directory, a source that follows files in it, what it counted, and what was stored of it.
struct Play {
    dir: tempfile::TempDir,
    config: EdgeSource,
    files: Files,
    worker: Worker,
    counted: Arc<Counted>,
    inbox: Receiver<Harvest>,
    /// Harvests on their way to the store.
    queue: VecDeque<Harvest>,
    stored: Stored,
    written: u64,
    /// Lines written of each window.
    of_window: BTreeMap<i64, u64>,
}

/// What a store would hold: requests of each window, and where to go on.
#[derive(Default)]
struct Stored {
    hits: BTreeMap<i64, u64>,
    resume: Option<Resume>,
}

impl Stored {
    fn commit(&mut self, harvest: Harvest) {
        for window in harvest.windows {
            let vip = window.rows.iter().filter(|r| Grouping::of(&r.key) == Grouping::VIP);
            self.hits.insert(window.start_s, vip.map(|r| r.totals.hits).sum());
        }
        if let Some(resume) = harvest.resume {
            // As it is stored and read.
            let text = serde_json::to_vec(&Resume { before_s: harvest.before_s, ..resume });
            self.resume = serde_json::from_slice(&text.unwrap()).unwrap();
        }
    }
}

/// The first line's second.
const BEGIN_S: u64 = 1_790_000_000;

fn worker(
    config: &EdgeSource,
    counted: &Arc<Counted>,
    resume: Option<Resume>,
) -> (Worker, Receiver<Harvest>) {
    let (outbox, inbox) = std::sync::mpsc::sync_channel(1000);
    let options =
        Options { span_s: 10, routes: Routes::default(), asn: None, seed: Seed(1), lateness_s: 60 };
    let worker = Worker::new(Parts {
        number: 0,
        part: 1,
        counted: Arc::clone(counted),
        reading: Reading::of(&config.format).unwrap(),
        zone: Zoned::of(&config.time_zone),
        windows: Windows::new(options),
        slow: SlowKeeper::new(slow::Options::new(Arc::from("lb"), Seed(1))),
        numbers: Numbers::new(Seed(1)),
        outbox,
        rereads: true,
        frontier: Arc::new(AtomicI64::new(i64::MIN)),
        resume,
    });
    (worker, inbox)
}

impl Play {
    fn of(pattern: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let input = format!("file:{}/{pattern}", dir.path().display());
        let config = serde_json::json!({"name": "lb", "input": input, "time_zone": "UTC"});
        let config: EdgeSource = serde_json::from_value(config).unwrap();
        let counted = Arc::new(Counted::new(Seed(1), false));
        let (worker, inbox) = worker(&config, &counted, None);
        let files = Files::new(&dir.path().join(pattern), ReadFrom::Beginning);
        let (stored, of_window) = (Stored::default(), BTreeMap::new());
        let queue = VecDeque::new();
        Self { dir, config, files, worker, counted, inbox, queue, stored, written: 0, of_window }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Appends lines of their own: some a second, each tenth some seconds late.
    fn write(&mut self, name: &str, lines: usize) {
        let mut file = OpenOptions::new().create(true).append(true).open(self.path(name)).unwrap();
        for _ in 0..lines {
            self.written += 1;
            let late = if self.written.is_multiple_of(10) { self.written % 20 } else { 0 };
            let second = (BEGIN_S + self.written / 40).saturating_sub(late);
            let at = Wall::from_nanos(i64::try_from(second).unwrap() * 1_000_000_000);
            let text = at.to_string();
            let (day, time) = text.split_once('T').unwrap();
            let mut day = day.split('-');
            let (year, month, day) = (day.next(), day.next(), day.next());
            assert_eq!((year, month), (Some("2026"), Some("09")));
            let date =
                format!("{}/Sep/2026:{}.{:03}", day.unwrap(), &time[..8], self.written % 1000);
            writeln!(
                file,
                "10.0.0.1:1 [{date}] web app/web1 0/0/1/7/8 200 {} - - ---- 1/1/1/1/0 0/0 \
                 \"GET /{:040} HTTP/1.1\"",
                self.written, self.written
            )
            .unwrap();
            *self.of_window.entry(i64::try_from(second / 10 * 10).unwrap()).or_default() += 1;
        }
    }

    fn rotate(&mut self, copy: bool) {
        for n in (1..9).rev() {
            // Most of them are not there.
            let to = self.path(&format!("lb.log.{}", n + 1));
            let _ = fs::rename(self.path(&format!("lb.log.{n}")), to);
        }
        if copy {
            fs::copy(self.path("lb.log"), self.path("lb.log.1")).unwrap();
            let file = OpenOptions::new().write(true).open(self.path("lb.log")).unwrap();
            file.set_len(0).unwrap();
        } else {
            fs::rename(self.path("lb.log"), self.path("lb.log.1")).unwrap();
            fs::write(self.path("lb.log"), "").unwrap();
        }
    }

    /// Takes some turns.
    fn turns(&mut self, most: usize) {
        self.files.look(&mut self.worker).unwrap();
        for _ in 0..most {
            if !self.files.turn(&mut self.worker) {
                break;
            }
        }
    }

    /// Gives windows out, and stores all harvests but the last so many, which wait.
    fn harvest(&mut self, waiting: usize) {
        let Self { worker, files, .. } = self;
        worker.tick_at_once(|oldest| Some(files.resume(oldest)));
        self.commit(waiting);
    }

    fn commit(&mut self, waiting: usize) {
        self.queue.extend(self.inbox.try_iter());
        while self.queue.len() > waiting {
            self.queue.pop_front().into_iter().for_each(|harvest| self.stored.commit(harvest));
        }
    }

    /// Ends as by kill -9, and starts again.
    fn kill(&mut self) {
        let (worker, inbox) = worker(&self.config, &self.counted, self.stored.resume.clone());
        (self.worker, self.inbox) = (worker, inbox);
        self.queue.clear();
        self.files = Files::new(&self.files.pattern, ReadFrom::Beginning);
        self.files.go_on(&mut self.worker);
    }

    fn read(&mut self) -> Tally {
        self.turns(usize::MAX);
        self.harvest(0);
        self.counted.read().0
    }

    /// Reads, and finds each line that was written counted once.
    fn all(&mut self) {
        let written = self.written;
        let tally = self.read();
        assert_eq!((tally.parsed, tally.rejected(), tally.unsure), (written, 0, 0));
    }

    /// Reads, lets time pass, and finds each line in its window, once.
    fn all_stored(&mut self, what: &str) {
        self.turns(usize::MAX);
        let Self { worker, files, .. } = self;
        worker.finish(|oldest| Some(files.resume(oldest)));
        self.commit(0);
        let wrong: Vec<_> = (self.of_window.iter())
            .map(|(start, n)| (start, *n, self.stored.hits.get(start).copied().unwrap_or(0)))
            .filter(|(_, written, stored)| written != stored)
            .collect();
        let (tally, gauges) = self.counted.read();
        assert_eq!((tally.unsure, gauges.windows.beyond), (0, 0), "{what}: {wrong:?}");
        assert_eq!(wrong, [], "{what}: windows, lines written of them, requests stored");
    }
}

#[test]
fn a_file_is_followed_as_it_grows() {
    let mut play = Play::of("lb.log");
    assert_eq!(play.read().bytes, 0);
    play.write("lb.log", 3000);
    play.all();
    play.write("lb.log", 1);
    play.all();
    let mut file = OpenOptions::new().append(true).open(play.path("lb.log")).unwrap();
    file.write_all(b"half a li").unwrap();
    play.all();
    file.write_all(b"ne\n").unwrap();
    assert_eq!(play.read().rejected(), 1);
}

#[test]
fn a_renamed_file_is_read_to_its_end_beside_its_successor() {
    let mut play = Play::of("lb.log");
    play.write("lb.log", 10);
    play.all();
    play.write("lb.log", 5);
    fs::rename(play.path("lb.log"), play.path("lb.log.1")).unwrap();
    play.write("lb.log", 7);
    play.all();
    // The writer has not reopened yet.
    play.write("lb.log.1", 4);
    play.write("lb.log", 2);
    play.all();
    assert_eq!(play.files.follows.len(), 2);
}

#[test]
fn a_rename_within_the_pattern_counts_nothing_twice() {
    let mut play = Play::of("lb.log*");
    play.write("lb.log", 10);
    play.all();
    fs::rename(play.path("lb.log"), play.path("lb.log.1")).unwrap();
    play.write("lb.log", 7);
    play.all();
    play.all();
    assert!(play.files.follows.iter().all(|f| f.orphan_since.is_none()));
}

#[test]
fn copy_and_truncation_loses_nothing_of_what_was_copied() {
    for pattern in ["lb.log", "lb.log*"] {
        let mut play = Play::of(pattern);
        play.write("lb.log", 10);
        play.all();
        play.write("lb.log", 5);
        fs::copy(play.path("lb.log"), play.path("lb.log.1")).unwrap();
        OpenOptions::new().write(true).open(play.path("lb.log")).unwrap().set_len(0).unwrap();
        play.write("lb.log", 3);
        play.all();
        // It has grown beyond what was read of it before anybody looked.
        play.write("lb.log", 2);
        fs::rename(play.path("lb.log.1"), play.path("lb.log.2")).unwrap();
        fs::copy(play.path("lb.log"), play.path("lb.log.1")).unwrap();
        OpenOptions::new().write(true).open(play.path("lb.log")).unwrap().set_len(0).unwrap();
        play.write("lb.log", 50);
        play.all();
    }
}

#[test]
fn a_truncation_without_a_copy_is_told() {
    let mut play = Play::of("lb.log");
    play.write("lb.log", 10);
    play.all();
    fs::write(play.path("lb.log"), "").unwrap();
    play.write("lb.log", 3);
    let tally = play.read();
    assert_eq!((tally.parsed, tally.unsure), (13, 1));
}

#[test]
fn from_the_end_counts_only_what_comes() {
    let mut play = Play::of("lb.log");
    play.write("lb.log", 10);
    play.files.read_from = ReadFrom::End;
    assert_eq!(play.read().parsed, 0);
    play.write("lb.log", 2);
    assert_eq!(play.read().parsed, 2);
    // A file that comes later is read whole.
    fs::rename(play.path("lb.log"), play.path("lb.log.1")).unwrap();
    play.write("lb.log", 3);
    assert_eq!(play.read().parsed, 5);
}

#[test]
fn a_long_line_is_one_line() {
    let mut play = Play::of("lb.log");
    fs::write(play.path("lb.log"), [vec![b'x'; 1 << 20], b"\nshort\n".to_vec()].concat()).unwrap();
    let tally = play.read();
    assert_eq!((tally.too_long, tally.rejected()), (1, 2));
}

#[test]
fn every_line_is_in_its_window_once_over_a_kill() {
    let mut play = Play::of("lb.log");
    play.write("lb.log", 900);
    play.turns(1);
    play.harvest(0);
    play.write("lb.log", 100);
    play.turns(2);
    // What is read now is not stored when the process is killed.
    play.harvest(1);
    play.kill();
    play.all_stored("after a kill");
    play.kill();
    play.all_stored("after another");
}

#[test]
fn every_line_is_in_its_window_once_over_kills_and_rotations() {
    for copy in [false, true] {
        let mut play = Play::of("lb.log");
        for round in 0..5 {
            play.write("lb.log", 900);
            play.turns(1);
            play.harvest(0);
            play.write("lb.log", 100);
            play.turns(2);
            // What is read now is not stored when the process is killed.
            play.harvest(1);
            play.kill();
            play.write("lb.log", 100);
            play.turns(usize::MAX);
            play.harvest(round % 2);
            play.rotate(copy);
            play.write("lb.log", 50);
            play.turns(usize::MAX);
            play.kill();
        }
        play.all_stored("in the end");
        play.kill();
        play.all_stored("after another restart");
    }
}
