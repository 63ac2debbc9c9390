//! Files driven by hand: looked at and read a turn at a time, as rotation goes on around them.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::sync::Arc;

use super::*;
use crate::config::EdgeSource;
use crate::edge::counters::{Counted, Tally};

/// A directory, a source that follows files in it, and what it counted.
struct Play {
    dir: tempfile::TempDir,
    files: Files,
    worker: Worker,
    counted: Arc<Counted>,
    written: u64,
}

impl Play {
    fn of(pattern: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let input = format!("file:{}/{pattern}", dir.path().display());
        let config = serde_json::json!({"name": "lb", "input": input});
        let config: EdgeSource = serde_json::from_value(config).unwrap();
        let counted = Arc::new(Counted::default());
        let worker = Worker::new(0, &config, Arc::clone(&counted));
        let files = Files::new(&dir.path().join(pattern), ReadFrom::Beginning);
        Self { dir, files, worker, counted, written: 0 }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Appends lines of their own, 200 bytes each.
    fn write(&mut self, name: &str, lines: usize) {
        let mut file = OpenOptions::new().create(true).append(true).open(self.path(name)).unwrap();
        for _ in 0..lines {
            self.written += 1;
            writeln!(file, "{:0199}", self.written).unwrap();
        }
    }

    fn read(&mut self) -> Tally {
        self.files.look(&mut self.worker).unwrap();
        while self.files.turn(&mut self.worker) {}
        self.worker.settle();
        self.counted.read().0
    }

    /// Reads, and finds each line that was written counted once.
    fn all(&mut self) {
        let written = self.written;
        let tally = self.read();
        assert_eq!((tally.parsed + tally.rejected(), tally.unsure), (written, 0));
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
    play.written += 1;
    play.all();
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
    assert_eq!((tally.rejected(), tally.unsure), (13, 1));
}

#[test]
fn from_the_end_counts_only_what_comes() {
    let mut play = Play::of("lb.log");
    play.write("lb.log", 10);
    play.files.read_from = ReadFrom::End;
    assert_eq!(play.read().rejected(), 0);
    play.write("lb.log", 2);
    assert_eq!(play.read().rejected(), 2);
    // A file that comes later is read whole.
    fs::rename(play.path("lb.log"), play.path("lb.log.1")).unwrap();
    play.write("lb.log", 3);
    assert_eq!(play.read().rejected(), 5);
}

#[test]
fn a_long_line_is_one_line() {
    let mut play = Play::of("lb.log");
    fs::write(play.path("lb.log"), [vec![b'x'; 1 << 20], b"\nshort\n".to_vec()].concat()).unwrap();
    let tally = play.read();
    assert_eq!((tally.too_long, tally.rejected()), (1, 2));
}
