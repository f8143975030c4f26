//! The lives of virtual users.

use super::Flow;
use super::attack::{Crew, EngineError, Life, launch};
use super::plan::{Job, Plan, Shape, schedule};
use crate::flow::{ScenarioRun, Session, Visit};
use crate::model::Outcome;
use futures_util::FutureExt;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

/// Messages about faults of our own that are kept; more are counted only.
const KEPT_MESSAGES: usize = 20;

/// Pause of a virtual user after a scenario that could not be run, so that a dead server is not asked in a tight loop.
const BACK_OFF: Duration = Duration::from_millis(250);

/// Time on top of the clean-up's grace after which a flow that was stopped is dropped.
const OVERDUE: Duration = Duration::from_secs(2);

/// What became of a plan.
#[derive(Debug, Default)]
pub struct EngineResult {
    /// [`Shape::Once`]: one run per job, in the order of the jobs. Empty for a load, whose runs go to the sink.
    pub runs: Vec<ScenarioRun>,
    /// Scenario runs begun.
    pub begun: u64,
    /// Faults of our own: flows that panicked or did not end after a stop.
    pub harness_errors: u64,
    /// What the first of them said.
    pub harness_messages: Vec<String>,
    /// The session's token fired before the plan was done.
    pub interrupted: bool,
    /// Duration of the whole.
    pub elapsed: Duration,
}

/// What the virtual users of a run share.
struct Pool {
    session: Arc<Session>,
    jobs: Vec<Job>,
    flow: Flow,
    /// Cuts flows; a child of the session's token.
    cut: CancellationToken,
    /// No scenario begins after this.
    end: Option<Instant>,
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
    let duration = match &plan.shape {
        Shape::Once { .. } => None,
        Shape::Closed { duration, .. } => *duration,
    };
    let weights: Vec<u32> = plan.jobs.iter().map(|j| j.weight).collect();
    let pool = Arc::new(Pool {
        cut: session.stop.child_token(),
        end: duration.map(|d| began + d),
        round: schedule(&weights),
        next: AtomicU64::new(0),
        tickets: plan.jobs.iter().map(|_| AtomicU64::new(0)).collect(),
        notes: Mutex::default(),
        session,
        jobs: plan.jobs,
        flow,
    });
    let crews = match plan.shape {
        Shape::Once { at_once } => once(&pool, at_once),
        Shape::Closed { users, iterations, gate, .. } => closed(&pool, users, iterations, gate),
    };
    let cutting = async {
        match pool.end {
            Some(end) => tokio::time::sleep_until((end + plan.grace).into()).await,
            None => std::future::pending().await,
        }
        pool.cut.cancel();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        ended = launch(crews) => ended?,
        () = cutting => {}
    }
    Ok(pool.result(began))
}

/// Every job by a user of its own.
fn once(pool: &Arc<Pool>, at_once: usize) -> Vec<Crew> {
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
    crews.collect()
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

/// A fixed number of users, each with scenario after scenario.
fn closed(pool: &Arc<Pool>, users: u32, iterations: Option<u32>, gate: Option<watch::Receiver<usize>>) -> Vec<Crew> {
    let planned = iterations.map_or(0, |i| u64::from(i) * u64::from(users));
    pool.session.progress.runs_planned.store(planned, Relaxed);
    let next_user = Arc::new(AtomicU32::new(0));
    let pool = Arc::clone(pool);
    let life: Life = Arc::new(move || {
        let (pool, gate) = (Arc::clone(&pool), gate.clone());
        let vu = next_user.fetch_add(1, Relaxed);
        Box::pin(async move { pool.live(vu, iterations, gate).await })
    });
    vec![Crew { name: "virtual users".to_owned(), users: users as usize, life }]
}

impl Pool {
    fn note<R>(&self, change: impl FnOnce(&mut EngineResult) -> R) -> R {
        change(&mut self.notes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// One job, when there is a place for it.
    async fn once(&self, index: usize, job: &Job, vu: u32, places: Arc<Semaphore>) {
        let place = tokio::select! {
            biased;
            () = self.cut.cancelled() => return,
            place = places.acquire_owned() => place,
        };
        let run = self.visit(index, job, vu, 0).await;
        drop(place);
        self.note(|notes| {
            if let Some(slot) = notes.runs.get_mut(index) {
                *slot = run;
            }
        });
    }

    /// Scenario after scenario, as long as the shape says.
    async fn live(&self, vu: u32, iterations: Option<u32>, mut gate: Option<watch::Receiver<usize>>) {
        let mut iteration = 0;
        while iterations.is_none_or(|limit| iteration < limit) {
            if !self.may_begin(vu, &mut gate).await {
                return;
            }
            let Some((index, job)) = self.deal() else {
                return;
            };
            let run = self.visit(index, job, vu, iteration).await;
            iteration += 1;
            if !matches!(run.outcome, Outcome::Pass | Outcome::Fail) {
                tokio::select! {
                    () = tokio::time::sleep(BACK_OFF) => {}
                    () = self.cut.cancelled() => return,
                }
            }
        }
    }

    /// The next job of the load, over all virtual users.
    fn deal(&self) -> Option<(usize, &Job)> {
        let number = self.next.fetch_add(1, Relaxed);
        let place = number.checked_rem(self.round.len() as u64)?;
        let index = *self.round.get(usize::try_from(place).ok()?)?;
        Some((index, self.jobs.get(index)?))
    }

    /// Waits at the gate; false when no further scenario may begin.
    async fn may_begin(&self, vu: u32, gate: &mut Option<watch::Receiver<usize>>) -> bool {
        let vu = usize::try_from(vu).unwrap_or(usize::MAX);
        let over = async {
            match self.end {
                Some(end) => tokio::time::sleep_until(end.into()).await,
                None => std::future::pending().await,
            }
        };
        let open = async {
            match gate {
                // An error says that nobody moves the gate any more.
                Some(gate) => gate.wait_for(|running| vu < *running).await.is_ok(),
                None => true,
            }
        };
        tokio::select! {
            biased;
            () = self.cut.cancelled() => false,
            () = over => false,
            open = open => open,
        }
    }

    /// One way through a job; a panic is caught, noted and told as an error of our own.
    async fn visit(&self, index: usize, job: &Job, vu: u32, iteration: u32) -> ScenarioRun {
        self.note(|notes| notes.begun += 1);
        let ticket = self.tickets.get(index).map_or(0, |count| count.fetch_add(1, Relaxed));
        let visit = Visit::new(vu, iteration, ticket, self.cut.clone());
        let began = Instant::now();
        let flow = AssertUnwindSafe(async { (self.flow)(job.clone(), visit.clone()).await }).catch_unwind();
        let problem = tokio::select! {
            ended = flow => match ended {
                Ok(run) => return run,
                Err(payload) => message_of(payload.as_ref()),
            },
            () = self.overdue() => "it did not end after a stop".to_owned(),
        };
        self.note(|notes| {
            notes.harness_errors += 1;
            if notes.harness_messages.len() < KEPT_MESSAGES {
                notes.harness_messages.push(format!("scenario {}: {problem}", job.scenario.id));
            }
        });
        let reason = Some(format!("difyprobe itself failed: {problem}"));
        let run = ScenarioRun::empty(&job.scenario, &self.label(job), &visit, Outcome::Error, reason);
        let run = ScenarioRun { elapsed: began.elapsed(), ..run };
        // The flow would have told these; it ended before it could.
        self.session.conclude(&run);
        run
    }

    /// Ends when a flow had its clean-up time after a stop and more: goose would wait for it without limit.
    async fn overdue(&self) {
        self.cut.cancelled().await;
        tokio::time::sleep(self.session.grace + OVERDUE).await;
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
        EngineResult { interrupted: self.session.stop.is_cancelled(), elapsed: began.elapsed(), ..notes }
    }
}

fn message_of(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without a message".to_owned())
}

#[cfg(test)]
#[path = "life_tests.rs"]
mod tests;
