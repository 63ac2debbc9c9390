//! Files written, rotated and packed by chance, and whyslow killed in between: each line is in its
//! window once, or it is said that it may not be.

use super::play::Play;

/// A number by lot, always the same ones of a seed (SplitMix64).
struct Lots(u64);

impl Lots {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % n as u64).unwrap()
    }
}

const STEPS: usize = 60;

/// Does one thing or another, and says which.
fn step(play: &mut Play, lots: &mut Lots) -> String {
    match lots.below(16) {
        0..=4 => {
            let lines = lots.below(300);
            play.write("lb.log", lines);
            format!("write {lines}")
        }
        5..=6 => {
            let turns = [0, 1, 2, usize::MAX][lots.below(4)];
            play.turns(turns);
            format!("turns {turns}")
        }
        7..=8 => {
            let waiting = lots.below(3);
            play.harvest(waiting);
            format!("harvest but {waiting}")
        }
        9 => {
            play.worker.end_slow();
            "end slow".to_owned()
        }
        10 => {
            play.rotate(false);
            "rename".to_owned()
        }
        11 => {
            // The writer reopens later.
            play.rename();
            play.write("lb.log.1", lots.below(20));
            play.write("lb.log", 1);
            "rename before reopening".to_owned()
        }
        12 => {
            play.copy();
            match lots.below(4) {
                0 => play.turns(1),
                1 => play.kill(),
                _ => {}
            }
            play.truncate();
            "copy and truncate".to_owned()
        }
        13 => {
            let n = 1 + lots.below(3);
            play.pack(n);
            format!("pack {n}")
        }
        _ => {
            play.kill();
            "kill".to_owned()
        }
    }
}

#[test]
fn every_line_is_in_its_window_once_whatever_happens_when() {
    // More of them by hand: WHYSLOW_SEEDS=0..100.
    let seeds = std::env::var("WHYSLOW_SEEDS").unwrap_or_else(|_| "0..6".to_owned());
    let (first, end) = seeds.split_once("..").unwrap();
    for seed in first.parse().unwrap()..end.parse().unwrap() {
        let mut lots = Lots(seed);
        let mut play = Play::of(["lb.log", "lb.log", "lb.log*"][lots.below(3)]);
        play.write("lb.log", lots.below(300));
        play.begin();
        let steps: Vec<String> = (0..STEPS).map(|_| step(&mut play, &mut lots)).collect();
        play.all_stored(&format!("seed {seed}: {steps:?}"));
        play.kill();
        play.all_stored(&format!("seed {seed}, after another restart"));
    }
}

#[test]
fn a_file_that_goes_while_nobody_looks_is_told() {
    for seed in 0..4 {
        let mut lots = Lots(seed);
        let mut play = Play::of("lb.log");
        play.write("lb.log", 200 + lots.below(300));
        play.begin();
        play.turns(1);
        play.harvest(0);
        play.write("lb.log", 500);
        play.rename();
        std::fs::remove_file(play.path("lb.log.1")).unwrap();
        play.write("lb.log", lots.below(300));
        play.kill();
        play.turns(lots.below(2));
        play.harvest(0);
        // Windows that lost lines are never made anew from what is left of them.
        play.kill();
        let unsure = play.finish().unsure;
        let wrong = play.wrong();
        assert!(unsure > 0 && wrong.iter().all(|(_, written, stored)| stored < written));
        play.kill();
        play.finish();
        assert_eq!(play.wrong(), wrong, "seed {seed}");
    }
}
