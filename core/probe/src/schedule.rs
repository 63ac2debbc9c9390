//! When each check is due.
//!
//! Every check has a phase of its own within its interval, told by its name and the vantage's, so
//! that neither many checks nor many vantages ever start together. The grid of due times hangs on
//! the monotonic clock alone: a step of the wall clock moves no run, it is only noticed. Where the
//! machine slept, or the loop that drives us stalled, what was missed is not made up for in a
//! burst: it is admitted as a [`Notice::Blind`], and the checks go on at their next due times.
//!
//! A run that cannot start is counted under the limit that stopped it. Nothing is lost silently:
//! due times are either started, counted as skipped or missed, or still waiting.
//!
//! Driving it: `handle_timeout` when `poll_timeout` says so or anything happened, then drain
//! `poll_start` and `poll_notice`; `handle_finished` when a run ends.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use whyslow_model::limits::{
    CHECKS_MAX, EVERY_MIN, OVERLAPPING_RUNS_MAX, RUNS_BROUGHT_FORWARD_MAX,
    RUNS_PER_TARGET_PER_S_MAX,
};
use whyslow_model::{Mono, Wall};

/// One check as the schedule knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// Names the check, and gives it its phase.
    pub id: Arc<str>,
    /// Whom it burdens: all checks with the same text share one rate cap.
    pub target: Arc<str>,
    /// How often it runs; below [`EVERY_MIN`] is taken as that.
    pub every: Duration,
}

/// A run to start now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// The check.
    pub id: Arc<str>,
    /// When it should have started.
    pub due: Mono,
    /// How much later than that it is now.
    pub late: Duration,
    /// To be given back when the run ends.
    pub ticket: Ticket,
}

/// Stands for one run under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket(u64);

/// Something about time itself that has to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Nobody drove the schedule in this stretch: the machine slept, or was too busy.
    Blind {
        /// The first due time that passed unseen.
        from: Mono,
        /// When sight came back.
        to: Mono,
        /// Due times that passed without a run.
        missed: u64,
    },
    /// The wall clock was stepped, forward where positive.
    ClockStep {
        /// By how many nanoseconds.
        by_ns: i64,
    },
}

/// What has happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Runs started.
    pub started: u64,
    /// Runs ended.
    pub finished: u64,
    /// Due times skipped because the check had [`OVERLAPPING_RUNS_MAX`] runs under way.
    pub skipped_overlap: u64,
    /// Due times skipped because the target had its [`RUNS_PER_TARGET_PER_S_MAX`].
    pub skipped_rate: u64,
    /// Due times skipped because the one before was still waiting for the process's other runs.
    pub skipped_busy: u64,
    /// Due times that passed while nobody drove the schedule.
    pub missed: u64,
    /// Runs of checks rarer than [`CATCH_UP`] that were brought forward after a blind stretch.
    pub caught_up: u64,
    /// Steps of the wall clock.
    pub clock_steps: u64,
    /// Checks refused because [`CHECKS_MAX`] were there already.
    pub refused: u64,
}

/// Decides when which check runs.
#[derive(Debug)]
pub struct Schedule {
    salt: String,
    in_flight_max: usize,
    origin: Clocks,
    last: Clocks,
    checks: BTreeMap<u64, Check>,
    by_id: BTreeMap<Arc<str>, u64>,
    next_key: u64,
    /// Exactly one entry per check: its next due time.
    queue: BTreeSet<(Mono, u64)>,
    /// Due and not started yet, in order; at most one entry per check.
    ready: VecDeque<(Mono, u64)>,
    rates: BTreeMap<Arc<str>, Rate>,
    /// When all runs brought forward so far would have begun had they come evenly.
    forward_until: Mono,
    in_flight: usize,
    notices: VecDeque<Notice>,
    counters: Counters,
}

#[derive(Clone, Copy, Debug)]
struct Clocks {
    mono: Mono,
    wall: Wall,
}

#[derive(Debug)]
struct Check {
    planned: Planned,
    every_ns: u64,
    /// Due times are those whose nanoseconds leave this remainder by `every_ns`.
    phase_ns: u64,
    due: Mono,
    waiting: bool,
    in_flight: usize,
}

/// The cap of one target: `full_until` is as [`admit`] has it.
#[derive(Debug, Default)]
struct Rate {
    full_until: Mono,
    checks: usize,
}

/// A loop that comes back later than this was blind: the machine slept or was starved.
pub const BLIND_AFTER: Duration = Duration::from_secs(2);
/// After a blind stretch a check rarer than this runs within this time instead of at its next due
/// time, so that sight comes back soon.
pub const CATCH_UP: Duration = Duration::from_mins(1);
/// A check that somebody looks at begins its next run within this.
pub const SOON: Duration = Duration::from_secs(5);
/// A wall clock that moved this much against the monotonic one between two looks was stepped.
pub const CLOCK_STEP_MIN: Duration = Duration::from_millis(500);
/// Notices kept for the driver; the oldest go first.
const NOTICES_MAX: usize = 64;

impl Schedule {
    /// An empty schedule. `salt` tells this vantage's phases from others'; at most
    /// `in_flight_max` runs are under way at once.
    pub fn new(salt: &str, in_flight_max: usize, mono: Mono, wall: Wall) -> Self {
        let now = Clocks { mono, wall };
        Self {
            salt: salt.to_owned(),
            in_flight_max,
            origin: now,
            last: now,
            checks: BTreeMap::new(),
            by_id: BTreeMap::new(),
            next_key: 0,
            queue: BTreeSet::new(),
            ready: VecDeque::new(),
            rates: BTreeMap::new(),
            forward_until: Mono::default(),
            in_flight: 0,
            notices: VecDeque::new(),
            counters: Counters::default(),
        }
    }

    /// Replaces the list of checks. One that stays with its interval keeps its next due time and
    /// its runs; one that is gone starts no more, and what it has under way may end.
    pub fn handle_list(&mut self, list: Vec<Planned>, now: Mono) {
        let mut wanted: BTreeMap<Arc<str>, Planned> = BTreeMap::new();
        for planned in list {
            if wanted.len() < CHECKS_MAX || wanted.contains_key(&planned.id) {
                wanted.insert(planned.id.clone(), planned);
            } else {
                self.counters.refused += 1;
            }
        }
        let gone: Vec<u64> = self
            .by_id
            .iter()
            .filter(|(id, key)| {
                let has = |w: &Planned| self.checks.get(key).is_some_and(|c| c.planned == *w);
                !wanted.get(*id).is_some_and(has)
            })
            .map(|(_, key)| *key)
            .collect();
        for key in gone {
            self.remove(key);
        }
        for (id, planned) in wanted {
            if !self.by_id.contains_key(&id) {
                self.add(planned, now);
            }
        }
    }

    /// Somebody looks at this check now, as whoever has just added it does: its next run does not
    /// wait for its slot, but begins within [`SOON`]. Later ones stay where they were. Of very many
    /// at once the first [`RUNS_BROUGHT_FORWARD_MAX`] do so, and the others wait: all of them
    /// together would be a burst that the machine and the targets feel.
    pub fn handle_looked_at(&mut self, id: &str, now: Mono) {
        let Some(key) = self.by_id.get(id) else { return };
        let Some(check) = self.checks.get_mut(key) else { return };
        let soon = now.after(Duration::from_nanos(1 + spread(&self.salt, id) % nanos(SOON)));
        if soon < check.due && admit(&mut self.forward_until, SOON, RUNS_BROUGHT_FORWARD_MAX, now) {
            self.queue.remove(&(check.due, *key));
            check.due = soon;
            self.queue.insert((soon, *key));
        }
    }

    /// Looks at both clocks: finds what is due, what was missed and whether the wall clock moved.
    pub fn handle_timeout(&mut self, mono: Mono, wall: Wall) {
        let now = Clocks { mono: mono.max(self.last.mono), wall };
        self.notice_clock_step(now);
        self.last = now;
        let first = self.queue.first().map(|(due, _)| *due).filter(|due| *due <= now.mono);
        let Some(first) = first else { return };
        let blind = now.mono.since(first) > BLIND_AFTER;
        let mut missed = 0;
        while let Some(&(due, key)) = self.queue.first().filter(|(due, _)| *due <= now.mono) {
            self.queue.pop_first();
            missed += self.pass(due, key, now.mono, blind);
        }
        self.counters.missed += missed;
        if missed > 0 {
            self.notify(Notice::Blind { from: first, to: now.mono, missed });
        }
    }

    /// A run has ended, however it did.
    pub fn handle_finished(&mut self, ticket: Ticket) {
        assert!(self.in_flight > 0, "a run ended that never started");
        self.in_flight -= 1;
        self.counters.finished += 1;
        if let Some(check) = self.checks.get_mut(&ticket.0) {
            check.in_flight -= 1;
        }
    }

    /// The next run to start, longest due first; `None` until something happens.
    pub fn poll_start(&mut self, now: Mono) -> Option<Start> {
        while self.in_flight < self.in_flight_max {
            let (due, key) = self.ready.pop_front()?;
            // A check removed while it waited is simply gone.
            let Some(check) = self.checks.get_mut(&key) else { continue };
            check.waiting = false;
            if check.in_flight >= OVERLAPPING_RUNS_MAX {
                self.counters.skipped_overlap += 1;
                continue;
            }
            let rate = self.rates.entry(check.planned.target.clone()).or_default();
            if !rate.admit(now) {
                self.counters.skipped_rate += 1;
                continue;
            }
            check.in_flight += 1;
            self.in_flight += 1;
            self.counters.started += 1;
            let (id, late) = (check.planned.id.clone(), now.since(due));
            return Some(Start { id, due, late, ticket: Ticket(key) });
        }
        None
    }

    /// What has to be told, oldest first.
    pub fn poll_notice(&mut self) -> Option<Notice> {
        self.notices.pop_front()
    }

    /// When `handle_timeout` is wanted next; `None` while there is no check.
    pub fn poll_timeout(&self) -> Option<Mono> {
        self.queue.first().map(|(due, _)| *due)
    }

    /// What has happened so far.
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// Runs under way.
    pub const fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Checks that are due and wait for others to end.
    pub fn waiting(&self) -> usize {
        self.ready.len()
    }

    /// Checks on the list.
    pub fn len(&self) -> usize {
        self.checks.len()
    }

    /// Whether there is no check.
    pub fn is_empty(&self) -> bool {
        self.checks.is_empty()
    }

    /// Lets `due` of check `key` pass: it becomes ready, or is counted. Returns how many due times
    /// up to `now` went by without a run.
    fn pass(&mut self, due: Mono, key: u64, now: Mono, blind: bool) -> u64 {
        let Some(check) = self.checks.get_mut(&key) else { return 0 };
        let slots = 1 + nanos(now.since(due)) / check.every_ns;
        let newest = Mono::from_nanos(due.as_nanos() + (slots - 1) * check.every_ns);
        let mut next = check.slot_after(now);
        if blind {
            let soon = now.after(Duration::from_nanos(1 + check.phase_ns % nanos(CATCH_UP)));
            if soon < next && check.every_ns > nanos(CATCH_UP) {
                self.counters.caught_up += 1;
                next = soon;
            }
        }
        check.due = next;
        self.queue.insert((next, key));
        if blind {
            return slots;
        }
        if check.waiting {
            self.counters.skipped_busy += 1;
        } else {
            check.waiting = true;
            self.ready.push_back((newest, key));
        }
        slots - 1
    }

    fn add(&mut self, planned: Planned, now: Mono) {
        let key = self.next_key;
        self.next_key += 1;
        let every_ns = nanos(planned.every.max(EVERY_MIN));
        let offset = spread(&self.salt, &planned.id) % every_ns;
        // The grid stands on the wall clock as it was at the start, so that a restart keeps it.
        let shift =
            i128::from(self.origin.mono.as_nanos()) - i128::from(self.origin.wall.as_nanos());
        let phase = (i128::from(offset) + shift).rem_euclid(i128::from(every_ns));
        let phase_ns = u64::try_from(phase).unwrap_or(0);
        let (waiting, in_flight) = (false, 0);
        let mut check = Check { planned, every_ns, phase_ns, due: now, waiting, in_flight };
        check.due = check.slot_after(now);
        self.queue.insert((check.due, key));
        self.by_id.insert(check.planned.id.clone(), key);
        self.rates.entry(check.planned.target.clone()).or_default().checks += 1;
        self.checks.insert(key, check);
    }

    fn remove(&mut self, key: u64) {
        let Some(check) = self.checks.remove(&key) else { return };
        self.queue.remove(&(check.due, key));
        self.by_id.remove(&check.planned.id);
        self.ready.retain(|(_, k)| *k != key);
        if let Some(rate) = self.rates.get_mut(&check.planned.target) {
            rate.checks -= 1;
            if rate.checks == 0 {
                self.rates.remove(&check.planned.target);
            }
        }
    }

    fn notice_clock_step(&mut self, now: Clocks) {
        let passed = i128::from(now.mono.as_nanos()) - i128::from(self.last.mono.as_nanos());
        let shown = i128::from(now.wall.as_nanos()) - i128::from(self.last.wall.as_nanos());
        let by = shown - passed;
        if by.unsigned_abs() < CLOCK_STEP_MIN.as_nanos() {
            return;
        }
        self.counters.clock_steps += 1;
        let by_ns = i64::try_from(by).unwrap_or(if by > 0 { i64::MAX } else { i64::MIN });
        self.notify(Notice::ClockStep { by_ns });
    }

    fn notify(&mut self, notice: Notice) {
        if self.notices.len() == NOTICES_MAX {
            self.notices.pop_front();
        }
        self.notices.push_back(notice);
    }
}

impl Check {
    /// The first due time after `t`.
    fn slot_after(&self, t: Mono) -> Mono {
        let into = (t.as_nanos() % self.every_ns + self.every_ns - self.phase_ns) % self.every_ns;
        Mono::from_nanos(t.as_nanos().saturating_add(self.every_ns - into))
    }
}

impl Rate {
    fn admit(&mut self, now: Mono) -> bool {
        admit(&mut self.full_until, Duration::from_secs(1), RUNS_PER_TARGET_PER_S_MAX, now)
    }
}

/// Admits `most` in every `span`, and no more than that at once, by the generic cell rate
/// algorithm (ITU-T I.371): `full_until` is when all so far would have come had they come evenly.
fn admit(full_until: &mut Mono, span: Duration, most: u32, now: Mono) -> bool {
    let until = (*full_until).max(now).after(span / most);
    if until > now.after(span) {
        return false;
    }
    *full_until = until;
    true
}

/// A number that looks random and is the same everywhere and for ever: FNV-1a, with splitmix64's
/// finish so that names which differ in one letter land far apart.
fn spread(salt: &str, id: &str) -> u64 {
    let bytes = salt.bytes().chain([0xff]).chain(id.bytes());
    let mut h = bytes
        .fold(0xcbf2_9ce4_8422_2325, |h: u64, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    h = (h ^ (h >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    h = (h ^ (h >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    h ^ (h >> 31)
}

fn nanos(d: Duration) -> u64 {
    u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    fn at(ns: u64) -> Mono {
        Mono::from_nanos(ns)
    }

    /// A world with both clocks, in which every run takes `run_ns`.
    struct World {
        schedule: Schedule,
        now: u64,
        wall_ns: i64,
        run_ns: u64,
        under_way: BTreeSet<(u64, usize)>,
        tickets: Vec<Ticket>,
        started: Vec<(u64, Arc<str>)>,
        latest: Duration,
        notices: Vec<Notice>,
    }

    impl World {
        fn new(in_flight_max: usize, run_ns: u64, checks: Vec<Planned>) -> Self {
            let (now, wall_ns) = (5 * S, 1_700_000_000 * 1_000_000_000);
            let mut schedule =
                Schedule::new("lon1", in_flight_max, at(now), Wall::from_nanos(wall_ns));
            schedule.handle_list(checks, at(now));
            Self {
                schedule,
                now,
                wall_ns,
                run_ns,
                under_way: BTreeSet::new(),
                tickets: Vec::new(),
                started: Vec::new(),
                latest: Duration::ZERO,
                notices: Vec::new(),
            }
        }

        /// Steps from event to event until `end`.
        fn run_until(&mut self, end: u64) {
            loop {
                let due = self.schedule.poll_timeout().map(Mono::as_nanos);
                let ends = self.under_way.first().map(|(at, _)| *at);
                let next = due.into_iter().chain(ends).min().unwrap_or(end).max(self.now);
                self.jump_to(next.min(end));
                if next >= end {
                    return;
                }
            }
        }

        /// Lets time pass with nobody looking, then looks once.
        fn jump_to(&mut self, to: u64) {
            self.wall_ns += i64::try_from(to - self.now).expect("small");
            self.now = to;
            while let Some(&(end, n)) = self.under_way.first().filter(|(end, _)| *end <= to) {
                self.under_way.remove(&(end, n));
                self.schedule.handle_finished(self.tickets[n]);
            }
            self.schedule.handle_timeout(at(to), Wall::from_nanos(self.wall_ns));
            while let Some(start) = self.schedule.poll_start(at(to)) {
                self.latest = self.latest.max(start.late);
                self.under_way.insert((to + self.run_ns, self.tickets.len()));
                self.tickets.push(start.ticket);
                self.started.push((to, start.id));
            }
            self.notices.extend(std::iter::from_fn(|| self.schedule.poll_notice()));
        }
    }

    fn check(n: u64, every_s: u64) -> Planned {
        let id = Arc::from(format!("shop:check-{n}:direct"));
        let target = Arc::from(format!("10.0.{}.{}", n / 250, n % 250));
        Planned { id, target, every: Duration::from_secs(every_s) }
    }

    fn list(n: u64, every_s: u64) -> Vec<Planned> {
        (0..n).map(|n| check(n, every_s)).collect()
    }

    #[test]
    fn a_month_of_runs_starts_each_at_its_very_due_time() {
        let mut world = World::new(100, S / 10, list(4, 15));
        let start = world.now;
        world.run_until(start + 30 * 86_400 * S);
        assert_eq!(world.started.len(), 4 * 30 * 86_400 / 15);
        assert_eq!(world.latest, Duration::ZERO);
        assert_eq!(world.notices, []);
        let first = &world.started[0].1;
        let times: Vec<u64> =
            world.started.iter().filter(|(_, id)| id == first).map(|(at, _)| *at).collect();
        assert!(times.windows(2).all(|w| w[1] - w[0] == 15 * S));
    }

    #[test]
    fn two_thousand_checks_spread_evenly_over_their_interval() {
        let mut world = World::new(2000, S / 1000, list(2000, 15));
        let start = world.now;
        world.run_until(start + 15 * S);
        assert_eq!(world.started.len(), 2000);
        let mut per_s = [0; 15];
        let mut per_100_ms = [0; 150];
        for (t, _) in &world.started {
            per_s[usize::try_from((t - start - 1) / S).expect("small")] += 1;
            per_100_ms[usize::try_from((t - start - 1) / (S / 10)).expect("small")] += 1;
        }
        // 133.3 and 13.3 where perfectly even; five deviations of a random spread.
        assert!(per_s.iter().all(|n| (76..=191).contains(n)), "{per_s:?}");
        assert!(per_100_ms.iter().all(|n| *n <= 32), "{per_100_ms:?}");
    }

    #[test]
    fn two_vantages_ask_the_same_target_at_different_times() {
        let phase = |salt| {
            let mut s = Schedule::new(salt, 1, at(0), Wall::default());
            s.handle_list(vec![check(1, 60)], at(0));
            s.poll_timeout().expect("a due time")
        };
        assert_ne!(phase("lon1"), phase("fra1"));
        assert_eq!(phase("lon1"), phase("lon1"));
    }

    #[test]
    fn a_restart_keeps_the_grid_since_it_stands_on_the_wall_clock() {
        let due_wall = |mono: u64, wall_s: i64| {
            let wall = wall_s * 1_000_000_000;
            let mut s = Schedule::new("lon1", 1, at(mono), Wall::from_nanos(wall));
            s.handle_list(vec![check(1, 60)], at(mono));
            let due = s.poll_timeout().expect("a due time").as_nanos() - mono;
            (wall + i64::try_from(due).expect("small")).rem_euclid(60_000_000_000)
        };
        assert_eq!(due_wall(7, 1_700_000_000), due_wall(99 * S, 1_700_003_217));
    }

    #[test]
    fn a_step_of_the_wall_clock_is_told_and_moves_no_run() {
        for step_s in [-3600, 3600, -1] {
            let mut world = World::new(10, S / 10, list(10, 15));
            let start = world.now;
            world.run_until(start + 60 * S);
            world.wall_ns += step_s * 1_000_000_000;
            world.run_until(start + 120 * S);
            assert_eq!(world.started.len(), 80);
            assert_eq!(world.latest, Duration::ZERO);
            assert_eq!(world.notices, [Notice::ClockStep { by_ns: step_s * 1_000_000_000 }]);
        }
    }

    #[test]
    fn after_a_sleep_there_is_no_burst_and_the_stretch_is_admitted() {
        let mut world = World::new(2000, S / 100, list(2000, 15));
        let start = world.now;
        world.run_until(start + 30 * S);
        let before = world.started.len();
        world.jump_to(start + 3630 * S);
        assert_eq!(world.started.len(), before, "nothing starts on waking up");
        let [Notice::Blind { from, to, missed }] = world.notices[..] else {
            panic!("one notice, got {:?}", world.notices);
        };
        assert!(
            to == at(start + 3630 * S) && from.since(at(start + 30 * S)) < Duration::from_secs(1)
        );
        assert_eq!(missed, 2000 * 240);
        world.run_until(start + 3631 * S);
        assert!(world.started.len() - before < 200, "the first second is like any other");
        world.run_until(start + 3645 * S);
        assert_eq!(world.started.len() - before, 2000);
        assert_eq!(world.latest, Duration::ZERO);
    }

    #[test]
    fn a_rare_check_runs_within_a_minute_of_waking_up() {
        let mut world = World::new(10, S, vec![check(1, 3600), check(2, 3600), check(3, 3600)]);
        let start = world.now;
        world.run_until(start + 3600 * S);
        assert_eq!(world.started.len(), 3);
        world.jump_to(start + 8000 * S);
        world.run_until(start + 8060 * S);
        let counters = world.schedule.counters();
        assert_eq!(world.started.len(), 3 + usize::try_from(counters.caught_up).expect("small"));
        world.run_until(start + 10 * 3600 * S);
        let all = world.schedule.counters();
        assert_eq!(all.started + all.missed - all.caught_up, 30, "back on the grid");
    }

    #[test]
    fn runs_longer_than_the_interval_overlap_up_to_the_limit() {
        let mut world = World::new(100, 60 * S, vec![check(1, 15)]);
        let start = world.now;
        world.run_until(start + 600 * S);
        assert_eq!(world.started.len(), 40, "four at a time are within the limit");
        let mut world = World::new(100, 300 * S, vec![check(1, 15)]);
        let start = world.now;
        world.run_until(start + 300 * S);
        assert_eq!(world.started.len(), OVERLAPPING_RUNS_MAX);
        assert_eq!(world.schedule.counters().skipped_overlap, 12);
    }

    #[test]
    fn a_target_starts_no_more_runs_in_a_second_than_its_cap() {
        let crowd: Vec<Planned> =
            list(300, 1).into_iter().map(|c| Planned { target: "one".into(), ..c }).collect();
        let mut world = World::new(1000, S / 1000, crowd);
        let start = world.now;
        world.run_until(start + 20 * S);
        let cap = usize::try_from(RUNS_PER_TARGET_PER_S_MAX).expect("small");
        let n = world.started.len();
        assert!((20 * cap..=21 * cap).contains(&n), "{n}");
        assert_eq!(world.schedule.counters().skipped_rate, 6000 - n as u64);
    }

    #[test]
    fn a_run_without_room_waits_and_its_lateness_shows() {
        let mut world = World::new(1, 10 * S, list(2, 60));
        let start = world.now;
        world.run_until(start + 600 * S);
        assert_eq!(world.started.len(), 20);
        let mut crowded = World::new(1, 10 * S, list(20, 60));
        crowded.run_until(start + 600 * S);
        assert_eq!(crowded.started.len(), 60);
        assert!(crowded.latest > Duration::from_secs(60));
        assert!(crowded.schedule.counters().skipped_busy > 0);
    }

    #[test]
    fn a_check_that_stays_on_the_list_keeps_its_phase_and_its_runs() {
        let mut world = World::new(10, S, vec![check(1, 15), check(2, 15)]);
        let start = world.now;
        world.run_until(start + 40 * S);
        let before = world.schedule.checks[&0].due;
        world.schedule.handle_list(vec![check(1, 15), check(3, 15)], at(world.now));
        assert_eq!(world.schedule.checks[&0].due, before);
        assert_eq!(world.schedule.len(), 2);
        world.run_until(start + 120 * S);
        let n = |n| world.started.iter().filter(|(_, id)| *id == check(n, 15).id).count();
        assert_eq!(n(1), 8);
        assert!(n(2) <= 3 && n(3) >= 5);
        world.schedule.handle_list(Vec::new(), at(world.now));
        assert!(world.schedule.is_empty() && world.schedule.poll_timeout().is_none());
        assert!(world.schedule.rates.is_empty());
    }

    #[test]
    fn a_check_somebody_looks_at_runs_soon_and_then_in_its_slots() {
        let mut world = World::new(10, S, vec![check(1, 3600)]);
        let (start, slot) = (world.now, world.schedule.checks[&0].due);
        world.schedule.handle_looked_at(&check(1, 3600).id, at(world.now));
        world.run_until(start + 6 * S);
        assert_eq!(world.started.len(), 1);
        assert_eq!(world.schedule.checks[&0].due, slot);
    }

    #[test]
    fn two_thousand_new_checks_of_one_target_begin_without_meeting_its_cap() {
        let crowd: Vec<Planned> =
            list(2000, 15).into_iter().map(|c| Planned { target: "one".into(), ..c }).collect();
        let ids: Vec<Arc<str>> = crowd.iter().map(|c| c.id.clone()).collect();
        let mut world = World::new(2000, S / 1000, crowd);
        let start = world.now;
        ids.iter().for_each(|id| world.schedule.handle_looked_at(id, at(start)));
        world.run_until(start + 15 * S);
        let brought_forward = usize::try_from(RUNS_BROUGHT_FORWARD_MAX).expect("small");
        assert_eq!(world.schedule.counters().skipped_rate, 0);
        assert_eq!(world.started.len(), 2000 + brought_forward);
    }

    #[test]
    fn a_run_of_a_removed_check_may_still_end() {
        let mut world = World::new(10, 20 * S, vec![check(1, 15)]);
        let start = world.now;
        world.run_until(start + 16 * S);
        assert_eq!(world.schedule.in_flight(), 1);
        world.schedule.handle_list(vec![check(1, 30)], at(world.now));
        world.run_until(start + 90 * S);
        assert!(world.schedule.in_flight() <= 1);
    }

    proptest::proptest! {
        #[test]
        fn every_due_time_is_accounted_for(
            checks in 1_u64..40,
            every_s in 1_u64..50,
            run_ms in 1_u64..60_000,
            room in 1_usize..20,
            stalls in proptest::collection::vec(0_u64..40_000, 0..20),
        ) {
            let mut world = World::new(room, run_ms * 1_000_000, list(checks, every_s));
            let start = world.now;
            for stall in stalls {
                let then = world.now;
                world.run_until(then + 20 * S);
                let then = world.now;
                world.jump_to(then + stall * 1_000_000);
                proptest::prop_assert!(world.schedule.in_flight() <= room);
            }
            let c = world.schedule.counters();
            let passed: u64 = world.schedule.checks.values().map(|c| {
                let first = c.slot_after(at(start)).as_nanos();
                (c.due.as_nanos() - first) / c.every_ns
            }).sum();
            let told = c.started + c.skipped_overlap + c.skipped_rate + c.skipped_busy + c.missed
                + world.schedule.waiting() as u64;
            proptest::prop_assert_eq!(passed, told);
        }
    }
}
