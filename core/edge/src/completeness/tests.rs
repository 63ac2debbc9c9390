//! Lines lost, late, twice and numbered anew, and what the account says of each.

use super::*;

fn ledger() -> Ledger {
    Ledger::new(Seed(7), false)
}

fn tick(ledger: &mut Ledger) -> (u64, u64) {
    let stretch = ledger.handle_window(Wall::from_millis(0), Wall::from_millis(10_000));
    let told: u64 = stretch.gaps.iter().filter_map(|g| g.lost).sum();
    let c = stretch.completeness.unwrap();
    assert_eq!(c.missing(), told, "every gap is told");
    (c.expected, c.seen)
}

fn feed(ledger: &mut Ledger, numbers: impl IntoIterator<Item = u64>) {
    numbers.into_iter().for_each(|n| ledger.handle_line(b"web", Some(n)));
}

#[test]
fn missing_numbers_are_counted_once_a_window_has_passed() {
    let mut l = ledger();
    feed(&mut l, (1000..2000).filter(|n| n % 100 != 7));
    assert_eq!(tick(&mut l), (0, 0), "they may still come");
    feed(&mut l, 2000..3000);
    assert_eq!(tick(&mut l), (1000, 990));
    assert_eq!(tick(&mut l), (1000, 1000));
    assert_eq!(l.total().map(|c| (c.expected, c.seen)), Some((2000, 1990)));
}

#[test]
fn order_and_repetition_do_not_matter() {
    let mut l = ledger();
    // By two workers, one of which is a window behind, and each line twice.
    feed(&mut l, (0..5000).filter(|n| n % 2 == 0).rev());
    feed(&mut l, (0..3000).filter(|n| n % 2 == 1));
    assert_eq!(tick(&mut l), (0, 0));
    feed(&mut l, (3000..5000).filter(|n| n % 2 == 1));
    feed(&mut l, 4000..5000);
    assert_eq!(tick(&mut l), (4999, 4999), "all but the last of the first window");
    assert_eq!(l.counters().twice, 1000);
}

#[test]
fn workers_that_see_a_part_each_see_all_together() {
    let mut l = ledger();
    let mut workers = [Numbers::new(Seed(1)), Numbers::new(Seed(2))];
    for n in 0..4000_u64 {
        // Line 77 is lost; the workers hand over at different times.
        if n != 77 {
            workers[usize::from(n % 3 == 0)].handle_line(b"web", Some(n));
        }
        if n % 1000 == 0 {
            l.handle_numbers(&mut workers[0]);
        }
    }
    workers.iter_mut().for_each(|w| l.handle_numbers(w));
    tick(&mut l);
    assert_eq!(tick(&mut l), (4000, 3999));
}

#[test]
fn a_restart_begins_anew_and_a_reload_numbers_twice_at_once() {
    let mut l = ledger();
    feed(&mut l, 5_000_000..5_001_000);
    tick(&mut l);
    // The old process finishes its requests while the new one counts from 1.
    for n in 1..500 {
        feed(&mut l, [n, 5_001_000 + n / 10]);
    }
    tick(&mut l);
    feed(&mut l, 500..700);
    let mut sum = (0, 0);
    for _ in 0..40 {
        let (e, s) = tick(&mut l);
        sum = (sum.0 + e, sum.1 + s);
    }
    let total = l.total().unwrap();
    assert_eq!(total.missing(), 0, "{total:?}");
    assert_eq!(total.expected, 1000 + 50 + 699);
}

#[test]
fn a_long_outage_is_counted_when_the_numbers_go_on() {
    let mut l = ledger();
    feed(&mut l, 0..1000);
    tick(&mut l);
    tick(&mut l);
    feed(&mut l, 9_000_000..9_000_100);
    for _ in 0..3 {
        tick(&mut l);
    }
    assert_eq!(l.total().map(Completeness::missing), Some(8_999_000));
}

#[test]
fn one_odd_number_proves_nothing() {
    let mut l = ledger();
    feed(&mut l, 0..1000);
    feed(&mut l, [1 << 60, u64::MAX, 77_777_777]);
    tick(&mut l);
    feed(&mut l, 1000..2000);
    for _ in 0..40 {
        tick(&mut l);
    }
    assert_eq!(l.total().map(|c| (c.expected, c.seen)), Some((2000, 2000)));
}

#[test]
fn without_numbers_only_told_losses_tell() {
    let mut l = ledger();
    l.handle_line(b"web", None);
    let none = l.handle_window(Wall::from_millis(0), Wall::from_millis(10));
    assert_eq!(none, Stretch::default(), "nothing can tell");
    l.handle_line(b"web", None);
    l.handle_lost(3, Loss::Kernel);
    assert_eq!(tick(&mut l), (4, 1));
    let mut told = Ledger::new(Seed(7), true);
    told.handle_line(b"web", None);
    assert_eq!(tick(&mut told), (1, 1));
}

#[test]
fn a_flood_of_frontends_is_bounded() {
    let mut l = ledger();
    for n in 0..2 * EDGE_SEQUENCE_FRONTENDS_MAX {
        l.handle_line(n.to_string().as_bytes(), Some(1));
    }
    assert_eq!(l.frontends.len(), EDGE_SEQUENCE_FRONTENDS_MAX);
    assert_eq!(l.counters().unwatched, EDGE_SEQUENCE_FRONTENDS_MAX as u64);
}
