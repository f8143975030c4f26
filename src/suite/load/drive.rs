//! Runs one load on a target that answered.

use super::gather::{Gathered, gather, only_measure};
use super::meter::{Meter, Setting};
use super::ticker::{self, Ticked};
use super::weights::weigh;
use crate::engine::{self, EngineError, EngineResult, Load, Model, Plan, Shape, StartAt, Started};
use crate::flow::{Finished, Session, Sink};
use crate::machine::{Gauges, Sampler, Watched};
use crate::metrics::{LoadRecorder, StageWindow};
use crate::model::App;
use crate::rules::tally::Tally;
use crate::suite::examine::{ExamineError, Prepared, Request, prepare};
use crate::workload::{Arrivals, Schedule, ScheduleError, Shard, Workload};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Finished exchanges that may wait for the judging thread.
const QUEUE: usize = 8192;

/// What is to be run.
pub struct Drive {
    /// The examination; think times as the workload says.
    pub request: Request,
    /// The plan.
    pub workload: Workload,
    /// Share of each scenario by its id.
    pub shares: Vec<(String, u32)>,
    /// Seed of the schedule.
    pub seed: u64,
    /// Which part of the schedule is this process's.
    pub shard: Shard,
    /// When it begins.
    pub start: StartAt,
    /// Told once per second.
    pub watch: Arc<dyn Watch>,
}

/// Sees a load while it runs.
pub trait Watch: Send + Sync {
    /// The target answered and the load is about to begin.
    fn begins(&self, session: &Arc<Session>, stages: &Arc<[StageWindow]>);
    /// A second is over. `interval` holds all seconds that are over and were not told before.
    fn second(&self, tick: &ticker::Tick<'_>);
}

/// What became of it.
pub struct Driven {
    /// Judgements, evidence, scenarios.
    pub gathered: Gathered,
    /// What was measured.
    pub recorder: LoadRecorder,
    /// Its seconds, and what ended it.
    pub ticked: Ticked,
    /// What the engine did.
    pub result: EngineResult,
    /// The stages as planned.
    pub stages: Arc<[StageWindow]>,
    /// Target and profile.
    pub prepared: Prepared,
    /// Requests sent of any kind.
    pub requests: u64,
    /// Responses that were measured and not judged.
    pub not_judged: u64,
}

/// Why a load did not run.
#[derive(Debug, thiserror::Error)]
pub enum DriveError {
    /// The target cannot be asked anything.
    #[error(transparent)]
    Examine(#[from] ExamineError),
    /// The plan means nothing.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// The judging thread panicked.
    #[error("the judging thread panicked; please report this")]
    Judge,
}

/// Discovers the target, runs the load and gathers what it gave.
///
/// # Errors
/// As [`prepare`]; a plan without arrivals.
pub async fn drive(drive: Drive) -> Result<Driven, DriveError> {
    let drive = Drive { workload: drive.workload.limited_to(drive.shard), ..drive };
    let (to, finished) = mpsc::channel(QUEUE);
    // The meter needs the target's apps, and the target is discovered through the session that holds the sink.
    let late: Arc<OnceLock<(Arc<Meter>, Vec<App>)>> = Arc::default();
    let full = {
        let late = Arc::clone(&late);
        move |item: Finished| {
            if let Some((meter, apps)) = late.get() {
                only_measure(&item, apps, meter);
            }
        }
    };
    let (think, epoch) = (drive.workload.think, drive.request.client.epoch);
    let request = Request { think, ..drive.request };
    let wait = matches!(drive.workload.arrivals, Arrivals::Closed { .. });
    let sink = Sink::Channel { wait, to: to.clone(), full: Arc::new(full) };
    let mut prepared = prepare(request, sink).await?;
    let share = |id: &str| drive.shares.iter().find(|(known, _)| known == id).map_or(1, |(_, weight)| *weight);
    weigh(&mut prepared.selection.jobs, &share);
    let weights: Vec<u32> = prepared.selection.jobs.iter().map(|job| job.weight).collect();
    let schedule = Schedule::new(&drive.workload.arrivals, &weights, drive.seed)?;
    let stages: Arc<[StageWindow]> = schedule.stages().into();
    let (started, no_more) = (Started::default(), CancellationToken::new());
    let meter = Arc::new(Meter::new(Setting {
        stages: Arc::clone(&stages),
        objectives: &drive.workload.slos,
        scenarios: &prepared.selection.choice.scenarios,
        started: started.clone(),
        epoch,
        limit: drive.workload.requests,
        no_more: no_more.clone(),
    }));
    let transcript = prepared.transcript();
    let _ = late.set((Arc::clone(&meter), transcript.apps.clone()));
    let tally = Tally::new(prepared.profile.0, &transcript.base_url, transcript.started_unix_us);
    let judging = std::thread::spawn({
        let meter = Arc::clone(&meter);
        move || gather(finished, transcript, tally, &meter)
    });
    drive.watch.begins(&prepared.session, &stages);
    let load = Load {
        model: model(&drive.workload.arrivals, &schedule, drive.shard),
        length: length(&schedule),
        stages: stages.iter().map(|s| Duration::from_micros(s.to_us)).collect(),
        start: drive.start,
        started: started.clone(),
        no_more: no_more.clone(),
    };
    let plan = Plan { jobs: prepared.selection.jobs.clone(), shape: Shape::Load(load), grace: drive.workload.drain };
    let ticker = ticker::Ticker {
        workload: drive.workload,
        stages: Arc::clone(&stages),
        meter: Arc::clone(&meter),
        started: started.clone(),
        no_more,
        watch: drive.watch,
        sampler: Sampler::start(watched(&prepared.session, started).await),
    };
    let ran = run(plan, &prepared.session, ticker).await;
    // The queue may be full: this one is waited for.
    let _ = to.send(Finished::Over).await;
    let gathered = judging.join().map_err(|_| DriveError::Judge)?;
    let (result, mut ticked) = ran.map_err(ExamineError::from)?;
    ticked.finish(&meter, &result);
    let progress = &prepared.session.progress;
    let (requests, not_judged) = (progress.requests.load(Relaxed), progress.not_judged.load(Relaxed));
    Ok(Driven { gathered, recorder: meter.take(), ticked, result, stages, prepared, requests, not_judged })
}

/// The engine, with somebody who looks at it once per second.
async fn run(
    plan: Plan,
    session: &Arc<Session>,
    ticker: ticker::Ticker,
) -> Result<(EngineResult, Ticked), EngineError> {
    let over = CancellationToken::new();
    let ticking = tokio::spawn(ticker.run(over.clone()));
    let result = engine::run(plan, Arc::clone(session)).await;
    over.cancel();
    let ticked = ticking.await.unwrap_or_default();
    Ok((result?, ticked))
}

/// What the sampler looks at.
async fn watched(session: &Arc<Session>, started: Started) -> Watched {
    let base_url = &session.target.base_url;
    let host = base_url.split_once("://").map_or(base_url.as_str(), |(_, rest)| rest);
    let host = host.split(['/', '?']).next().unwrap_or_default();
    let port = if base_url.starts_with("https") { 443 } else { 80 };
    let named = if host.rsplit(']').next().unwrap_or_default().contains(':') {
        host.to_owned()
    } else {
        format!("{host}:{port}")
    };
    // Without addresses ports are not counted, which is told as unknown.
    let server = tokio::net::lookup_host(named).await.map(Iterator::collect).unwrap_or_default();
    let session = Arc::clone(session);
    Watched {
        start: Box::new(move || started.get().map(|start| start.at)),
        gauges: Box::new(move || Gauges {
            in_flight: session.progress.in_flight.load(Relaxed),
            open_streams: session.progress.open_streams.load(Relaxed),
        }),
        server,
    }
}

/// What begins scenarios.
fn model(arrivals: &Arrivals, schedule: &Schedule, shard: Shard) -> Model {
    match arrivals {
        Arrivals::Open { max_in_flight, .. } | Arrivals::Replay { max_in_flight, .. } => {
            let numbers = schedule.clone();
            let arrival = move |a: crate::workload::Arrival| engine::Arrival {
                index: a.index,
                at_us: a.at_us,
                stage: usize::from(a.stage),
                job: a.job,
                ticket: numbers.nth(a.index),
            };
            // Shards share the limit as they share the arrivals.
            let max_in_flight = max_in_flight.div_ceil(shard.count.max(1) as usize);
            Model::Open { arrivals: Box::new(schedule.iter(shard).map(arrival)), max_in_flight }
        }
        Arrivals::Closed { iterations, .. } => {
            let users = schedule.clone();
            let part = move |users: usize| usize::try_from(shard.part(users as u64)).unwrap_or(usize::MAX);
            Model::Closed {
                users_at: Arc::new(move |t_us| part(users.users_at(t_us))),
                most: part(schedule.peak_users()),
                iterations: *iterations,
                shard,
            }
        }
    }
}

fn length(schedule: &Schedule) -> Option<Duration> {
    match schedule.length_us() {
        u64::MAX => None,
        us => Some(Duration::from_micros(us)),
    }
}
