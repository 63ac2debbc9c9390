//! What rotation does to files, one thing at a time.

use std::fs::{self, OpenOptions};
use std::io::Write;

use super::play::Play;
use super::*;

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
    let mut play = Play::from("lb.log", ReadFrom::End);
    play.write("lb.log", 10);
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

#[test]
fn lines_of_another_format_are_a_problem_of_the_source_until_they_parse() {
    let mut play = Play::in_format("lb.log", ReadFrom::Beginning, "nginx");
    play.write("lb.log", 1000);
    play.read();
    assert_eq!(
        play.problem().unwrap(),
        "0 of the first 1000 lines parsed; line 1 looks like HAProxy httplog without syslog \
         header; use format: haproxy-http"
    );
    let tally = play.read();
    let samples: Vec<_> = tally.samples.values().map(|s| s.line.starts_with("10.0.0.1")).collect();
    assert_eq!(samples, [true]);
    let mut play = Play::of("lb.log");
    fs::write(play.path("lb.log"), "what is this\n").unwrap();
    play.read();
    assert!(play.problem().unwrap().starts_with("0 of the first 1 lines parsed; line 1 is of no"));
    play.write("lb.log", 20);
    play.read();
    assert_eq!(play.problem(), None);
}
