//! The lives of virtual users.

use super::attack::{Crew, EngineError, Life};
use super::count::{EngineResult, Spot};
use super::gate::{Gate, Passed};
use super::plan::{Job, Load, Model, Plan, Shape, schedule};
use super::staff::Staff;
use super::start::Started;
use super::{Flow, load};
use crate::flow::{ScenarioRun, Session, Visit};
use crate::model::Outcome;
use crate::workload::Shard;
use futures_util::FutureExt;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Pause of a virtual user after a scenario that could not be run, so that a dead server is not asked in a tight loop.
const BACK_OFF: Duration = Duration::from_millis(250);

/// Time on top of the clean-up's grace after which a flow that was stopped is dropped.
const OVERDUE: Duration = Duration::from_secs(2);

/// Clean-up time of a load after the session's stop, and the time on top of it: together with the rest of the way out they
/// stay below a second.
const HURRY: Duration = Duration::from_millis(400);
const OVERDUE_IN_A_HURRY: Duration = Duration::from_millis(300);

/// What the virtual users of a run share.
pub(super) struct Pool {
    pub session: Arc<Session>,
    pub jobs: Vec<Job>,
    flow: Flow,
    /// Cuts flows; a child of the session's token.
    pub cut: CancellationToken,
    /// Time 0 of a load.
    pub started: Started,
    stages: Vec<Duration>,
    /// A load by a schedule: sends are planned, and a stop is in a hurry.
    scheduled: bool,
    /// Numbers what users of a closed load do.
    shard: Shard,
    round: Vec<usize>,
    next: AtomicU64,
    tickets: Vec<AtomicU64>,
    notes: Mutex<EngineResult>,
}

/// Runs a plan with a given way of walking through a job.
pub(super) async fn run(plan: Plan, session: Arc<Session>, flow: Flow) -> Result<EngineResult, EngineError> {
    if plan.jobs.is_empty() {
        return Err(EngineError::Nothing("jobs"));
    }
    let began = Instant::now();
    let weights: Vec<u32> = plan.jobs.iter().map(|j| j.weight).collect();
    let (started, stages, scheduled) = match &plan.shape {
        Shape::Load(load) => (load.started.clone(), load.stages.clone(), true),
        Shape::Once { .. } => (Started::default(), Vec::new(), false),
    };
    let shard = match &plan.shape {
        Shape::Load(Load { model: Model::Closed { shard, .. }, .. }) => *shard,
        Shape::Load(_) | Shape::Once { .. } => Shard::WHOLE,
    };
    let pool = Arc::new(Pool {
        cut: session.stop.child_token(),
        round: schedule(&weights),
        next: AtomicU64::new(0),
        tickets: plan.jobs.iter().map(|_| AtomicU64::new(0)).collect(),
        notes: Mutex::default(),
        session,
        jobs: plan.jobs,
        flow,
        started,
        stages,
        scheduled,
        shard,
    });
    let ended = match plan.shape {
        Shape::Once { at_once } => once(&pool, at_once).await,
        Shape::Load(load) => load::run(&pool, load, plan.grace).await,
    };
    if ended.is_err() {
        pool.cut.cancel();
    }
    ended.map(|()| pool.result(began))
}

/// Every job by a user of its own.
async fn once(pool: &Arc<Pool>, at_once: usize) -> Result<(), EngineError> {
    let numbers = repetitions(&pool.jobs);
    pool.session.progress.runs_planned.store(pool.jobs.len() as u64, Relaxed);
    pool.note(|notes| {
        notes.runs = pool.jobs.iter().zip(&numbers).map(|(job, vu)| pool.not_begun(job, *vu)).collect();
    });
    let places = Arc::new(Semaphore::new(if at_once == 0 { pool.jobs.len() } else { at_once }));
    let jobs = pool.jobs.iter().cloned().zip(numbers).enumerate();
    let crews = jobs.map(|(index, (job, vu))| {
        let (pool, places) = (Arc::clone(pool), Arc::clone(&places));
        let life: Life = Arc::new(move || {
            let (pool, places, job) = (Arc::clone(&pool), Arc::clone(&places), job.clone());
            Box::pin(async move { pool.once(index, &job, vu, places).await })
        });
        Crew { name: format!("job {index}"), users: 1, life }
    });
    let mut staff = Staff::new();
    staff.hire(crews.collect());
    staff.ended().await
}

/// Which time each job's scenario and app come up, from 0: the virtual user's number, which keeps end users apart.
fn repetitions(jobs: &[Job]) -> Vec<u32> {
    let mut seen: BTreeMap<(&str, usize), u32> = BTreeMap::new();
    let mut numbers = Vec::with_capacity(jobs.len());
    for job in jobs {
        let count = seen.entry((job.scenario.id.as_str(), job.app)).or_default();
        numbers.push(*count);
        *count += 1;
    }
    numbers
}

impl Pool {
    pub(super) fn note<R>(&self, change: impl FnOnce(&mut EngineResult) -> R) -> R {
        change(&mut self.notes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// One job, when there is a place for it.
    async fn once(&self, index: usize, job: &Job, vu: u32, places: Arc<Semaphore>) {
        let place = tokio::select! {
            biased;
            () = self.cut.cancelled() => return,
            place = places.acquire_owned() => place,
        };
        let visit = Visit::new(vu, 0, self.ticket(index), self.cut.clone());
        let run = self.visit(job, visit, None).await;
        drop(place);
        self.note(|notes| {
            if let Some(slot) = notes.runs.get_mut(index) {
                *slot = run;
            }
        });
    }

    /// Scenario after scenario, as long as the gate is open to this process's `number`th user and there are iterations left.
    pub(super) async fn live(&self, number: u32, iterations: Option<u32>, gate: &Gate) {
        let vu = u32::try_from(self.shard.nth(u64::from(number))).unwrap_or(u32::MAX);
        let number = usize::try_from(number).unwrap_or(usize::MAX);
        let mut iteration = 0;
        // The next scenario is to begin as soon as its user is free, so whatever passes until then is lateness of ours.
        let mut free = Instant::now();
        while iterations.is_none_or(|limit| iteration < limit) {
            match gate.pass(number).await {
                Passed::Closed => return,
                Passed::Waited => free = Instant::now(),
                Passed::AtOnce => {}
            }
            let Some((index, job)) = self.deal() else {
                return;
            };
            let mut visit = Visit::new(vu, iteration, self.ticket(index), self.cut.clone());
            visit.planned = self.scheduled.then_some(free);
            let run = self.visit(job, visit, self.spot()).await;
            free = Instant::now();
            iteration += 1;
            if !matches!(run.outcome, Outcome::Pass | Outcome::Fail) {
                tokio::select! {
                    () = tokio::time::sleep(BACK_OFF) => free = Instant::now(),
                    () = self.cut.cancelled() => return,
                }
            }
        }
    }

    /// The next job of the load, over all virtual users.
    fn deal(&self) -> Option<(usize, &Job)> {
        let number = self.shard.nth(self.next.fetch_add(1, Relaxed));
        let place = number.checked_rem(self.round.len() as u64)?;
        let index = *self.round.get(usize::try_from(place).ok()?)?;
        Some((index, self.jobs.get(index)?))
    }

    fn ticket(&self, job: usize) -> u64 {
        self.shard.nth(self.tickets.get(job).map_or(0, |count| count.fetch_add(1, Relaxed)))
    }

    /// Where in a load this moment is.
    fn spot(&self) -> Option<Spot> {
        let since = self.started.get()?.at.elapsed();
        let stage = self.stages.partition_point(|end| *end <= since).min(self.stages.len().saturating_sub(1));
        Some(Spot { stage, at_us: u64::try_from(since.as_micros()).unwrap_or(u64::MAX) })
    }

    /// One way through a job; a panic is caught, noted and told as an error of our own.
    pub(super) async fn visit(&self, job: &Job, mut visit: Visit, spot: Option<Spot>) -> ScenarioRun {
        self.note(|notes| notes.count_begun(spot));
        visit.hurry = self.scheduled.then_some(HURRY);
        let began = Instant::now();
        let flow = AssertUnwindSafe(async { (self.flow)(job.clone(), visit.clone()).await }).catch_unwind();
        let (problem, panicked) = tokio::select! {
            ended = flow => match ended {
                Ok(run) => {
                    if run.stopped {
                        self.note(|notes| notes.unfinished += 1);
                    }
                    return run;
                }
                Err(payload) => (message_of(payload.as_ref()), true),
            },
            () = self.overdue() => ("it did not end after a stop".to_owned(), false),
        };
        self.note(|notes| {
            notes.panics += u64::from(panicked);
            notes.unfinished += u64::from(!panicked);
            notes.count_fault(|| format!("scenario {}: {problem}", job.scenario.id));
        });
        let reason = Some(format!("difyprobe itself failed: {problem}"));
        let run = ScenarioRun::empty(&job.scenario, &self.label(job), &visit, Outcome::Error, reason);
        let run = ScenarioRun { began, elapsed: began.elapsed(), ..run };
        // The flow would have told these; it ended before it could.
        self.session.conclude(&run);
        run
    }

    /// Ends when a flow had its clean-up time after a stop and more: goose would wait for it without limit.
    async fn overdue(&self) {
        self.cut.cancelled().await;
        let patient = tokio::time::sleep(self.session.grace + OVERDUE);
        let hurried = async {
            self.session.stop.cancelled().await;
            tokio::time::sleep(HURRY + OVERDUE_IN_A_HURRY).await;
        };
        tokio::select! {
            () = patient => {}
            () = hurried, if self.scheduled => {}
        }
    }

    fn label(&self, job: &Job) -> String {
        self.session.target.apps.get(job.app).map(|app| app.app.label.clone()).unwrap_or_default()
    }

    /// What is told of a job until it has run.
    fn not_begun(&self, job: &Job, vu: u32) -> ScenarioRun {
        let visit = Visit::new(vu, 0, 0, self.cut.clone());
        let reason = Some("stopped before it began".to_owned());
        let run = ScenarioRun::empty(&job.scenario, &self.label(job), &visit, Outcome::CouldNotRun, reason);
        ScenarioRun { stopped: true, ..run }
    }

    fn result(&self, began: Instant) -> EngineResult {
        let notes = self.note(std::mem::take);
        EngineResult {
            // Of a closed load nothing is planned.
            not_begun: notes.planned.saturating_sub(notes.begun + notes.dropped),
            interrupted: self.session.stop.is_cancelled(),
            start: self.started.get(),
            elapsed: began.elapsed(),
            ..notes
        }
    }
}

fn message_of(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without a message".to_owned())
}

#[cfg(test)]
#[path = "life_tests.rs"]
pub(super) mod tests;
