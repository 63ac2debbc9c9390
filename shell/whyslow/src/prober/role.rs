//! The prober's loop: starts what is due, gathers what ends, stores and tells it.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use whyslow_model::limits::RUNS_IN_FLIGHT_MAX;
use whyslow_model::{Mono, Wall};
use whyslow_probe::run::Run;
use whyslow_probe::schedule::{Notice, Schedule, Start, Ticket};
use whyslow_probe::spec::CheckSpec;
use whyslow_probe::starved;
use whyslow_sys::clock;

use super::counters::Counted;
use super::keeper::{Keeper, World};
use super::plan::{Checked, Plan};
use super::pulse::Pulse;
use super::{record, timer};
use crate::storage::{Batch, Columns};

/// How long runs under way may take to end once the role shall stop.
const GRACE: Duration = Duration::from_secs(1);

/// The role. `carry` makes one run of a check from the named vantage.
pub(super) struct Role<C> {
    carry: C,
    counted: Counted,
    keeper: Keeper,
    pulse: Pulse,
    plan: Arc<Plan>,
    checks: BTreeMap<Arc<str>, Arc<Checked>>,
    schedule: Schedule,
    runs: JoinSet<()>,
    /// What each task under way stands for.
    tickets: HashMap<Id, (Ticket, Arc<str>)>,
    beating: Option<AbortHandle>,
    /// How long the machine had slept in all when we last looked.
    slept: Duration,
}

enum Event {
    Stop,
    Planned,
    Ended(Result<(Id, ()), JoinError>),
    Due,
}

impl<C, F> Role<C>
where
    C: Fn(Arc<CheckSpec>, Arc<Plan>) -> F + Clone + Send + 'static,
    F: Future<Output = Run> + Send + 'static,
{
    /// A role on the calling thread, whose runtime must be current.
    pub(super) fn new(carry: C, world: World, plan: Arc<Plan>) -> Self {
        let (mono, wall) = (clock::mono(), clock::wall());
        let schedule = Schedule::new(&plan.vantage.name, RUNS_IN_FLIGHT_MAX, mono, wall);
        let mut role = Self {
            carry,
            counted: world.counted.clone(),
            keeper: Keeper::start(world),
            pulse: Pulse::of_this_thread(),
            plan: Arc::default(),
            checks: BTreeMap::new(),
            schedule,
            runs: JoinSet::new(),
            tickets: HashMap::new(),
            beating: None,
            slept: clock::suspended(),
        };
        role.adopt(plan);
        role
    }

    /// Runs until told to stop.
    pub(super) async fn run(
        mut self,
        mut plan: watch::Receiver<Arc<Plan>>,
        mut stop: watch::Receiver<bool>,
    ) {
        loop {
            let event = tokio::select! {
                biased;
                // Where nobody can say stop any more, stopping is what is left.
                _ = stop.wait_for(|stop| *stop) => Event::Stop,
                Ok(()) = plan.changed() => Event::Planned,
                Some(ended) = self.runs.join_next_with_id() => Event::Ended(ended),
                () = timer::until(self.schedule.poll_timeout()) => Event::Due,
            };
            match event {
                Event::Stop => break,
                Event::Planned => {
                    let plan = plan.borrow_and_update().clone();
                    self.adopt(plan);
                }
                Event::Ended(ended) => self.ended(ended),
                Event::Due => {}
            }
            self.advance();
        }
        self.counted.update(|c| c.in_flight = 0);
        let _ = tokio::time::timeout(GRACE, async {
            while self.runs.join_next().await.is_some() {}
            self.keeper.finish().await;
        })
        .await;
    }

    /// Looks at the clocks, starts what is due, tells what the schedule noticed.
    fn advance(&mut self) {
        self.schedule.handle_timeout(clock::mono(), clock::wall());
        while let Some(start) = self.schedule.poll_start(clock::mono()) {
            self.start(start);
        }
        while let Some(notice) = self.schedule.poll_notice() {
            self.notice(notice);
        }
        self.beat();
        let (schedule, in_flight) = (self.schedule.counters(), self.schedule.in_flight() as u64);
        let (checks, waiting) = (self.schedule.len() as u64, self.schedule.waiting() as u64);
        self.counted.update(|c| {
            c.schedule = schedule;
            c.in_flight = in_flight;
            c.checks = checks;
            c.waiting = waiting;
        });
    }

    /// Takes a new plan over. A check that is the same as before goes on as it is.
    fn adopt(&mut self, plan: Arc<Plan>) {
        let mut before = std::mem::take(&mut self.checks);
        let mut added = Vec::new();
        for planned in &plan.checks {
            let id: Arc<str> = Arc::from(planned.id.to_string());
            let same = before
                .remove(&id)
                .filter(|c| c.planned == *planned && c.vantage == plan.vantage)
                .unwrap_or_else(|| {
                    added.push(Arc::clone(&id));
                    Arc::new(Checked::new(planned.clone(), plan.vantage.clone()))
                });
            self.checks.insert(id, same);
        }
        let now_ms = clock::wall().as_millis();
        let mut columns = Columns::default();
        before.values().for_each(|check| check.end(now_ms, &mut columns));
        if !columns.is_empty() {
            let batch = Batch { columns, ..Batch::default() };
            let keeper = self.keeper.clone();
            tokio::spawn(async move { keeper.keep(batch, None).await });
        }
        let list = self.checks.values().map(|check| check.planned()).collect();
        let now = clock::mono();
        self.schedule.handle_list(list, now);
        for id in added {
            self.schedule.handle_looked_at(&id, now);
        }
        self.plan = plan;
    }

    fn start(&mut self, start: Start) {
        let Start { id, due, ticket, .. } = start;
        let Some(check) = self.checks.get(&id).cloned() else {
            self.schedule.handle_finished(ticket);
            return;
        };
        let run = one(
            self.carry.clone(),
            Arc::clone(&self.plan),
            check,
            due,
            self.pulse.clone(),
            (self.counted.clone(), self.keeper.clone()),
        );
        let task = self.runs.spawn(run);
        self.tickets.insert(task.id(), (ticket, id));
    }

    fn ended(&mut self, ended: Result<(Id, ()), JoinError>) {
        let task = match &ended {
            Ok((task, ())) => *task,
            Err(e) => e.id(),
        };
        let Some((ticket, id)) = self.tickets.remove(&task) else { return };
        self.schedule.handle_finished(ticket);
        if let Err(e) = ended {
            self.counted.update(|c| c.panicked += 1);
            tracing::error!("a run of {id} ended in a mistake of whyslow's own: {e}");
        }
    }

    /// The pulse beats while there are runs, and lets an idle machine be.
    fn beat(&mut self) {
        let running = self.schedule.in_flight() > 0;
        if running && self.beating.is_none() {
            let pulse = self.pulse.clone();
            self.beating = Some(tokio::spawn(async move { pulse.beat().await }).abort_handle());
        } else if !running && let Some(beating) = self.beating.take() {
            beating.abort();
        }
    }

    fn notice(&mut self, notice: Notice) {
        match notice {
            Notice::ClockStep { by_ns } => {
                tracing::warn!("the wall clock was set by {} ms; no run moves", by_ns / 1_000_000);
            }
            Notice::Blind { from, to, missed } => self.blind(from, to, missed),
        }
    }

    fn blind(&mut self, from: Mono, to: Mono, missed: u64) {
        let slept = clock::suspended();
        let asleep = slept.saturating_sub(self.slept) * 2 > to.since(from);
        self.slept = slept;
        let reason =
            if asleep { "the machine slept" } else { "the machine was too busy, or stood still" };
        tracing::warn!("{missed} runs missed in {:.1} s: {reason}", to.since(from).as_secs_f64());
        let wall = |at: Mono| -> Wall { clock::wall().before(clock::mono().since(at)) };
        let stretch = (wall(from), wall(to));
        let (batch, told) = record::of_blindness(&self.plan.vantage, stretch, missed, reason);
        let keeper = self.keeper.clone();
        tokio::spawn(async move { keeper.keep(batch, Some(told)).await });
    }
}

/// One run from its start to the moment its result is on its way to be kept.
async fn one<C, F>(
    carry: C,
    plan: Arc<Plan>,
    check: Arc<Checked>,
    due: Mono,
    pulse: Pulse,
    (counted, keeper): (Counted, Keeper),
) where
    C: Fn(Arc<CheckSpec>, Arc<Plan>) -> F,
    F: Future<Output = Run>,
{
    let since = pulse.begin();
    let late = clock::mono().since(due);
    counted.late(late);
    let mut run = carry(Arc::clone(&check.spec), plan).await;
    let warn = check.spec.warn.map(|warn| warn.std());
    if starved::mark(&mut run, pulse.held_up(since), warn) {
        counted.update(|c| c.starved += 1);
    }
    let (batch, told) = record::of(run, &check, late);
    keeper.keep(batch, Some(told)).await;
}
