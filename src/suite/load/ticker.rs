//! Looks at a load once per second: hands its seconds over, watches its limits.

use super::drive::Watch;
use super::guard::Guard;
use super::meter::Meter;
use crate::engine::{EngineResult, Started};
use crate::flow::Session;
use crate::metrics::interval::Moment;
use crate::metrics::load_recorder::Running;
use crate::metrics::summary::ClientHealth;
use crate::metrics::{Facts, Interval, MachineSecond, StageCounts, StageWindow, Timeline, breached, clip, stage_at};
use crate::workload::{Arrivals, Workload};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// After the end of a second, so that what ended in it has gone through the judge's queue.
const PATIENCE: Duration = Duration::from_millis(150);
/// How often one looks whether the load has begun.
const LOOK: Duration = Duration::from_millis(5);

/// Everything that is looked at.
pub(super) struct Ticker {
    pub workload: Workload,
    pub stages: Arc<[StageWindow]>,
    pub meter: Arc<Meter>,
    pub session: Arc<Session>,
    pub started: Started,
    pub no_more: CancellationToken,
    pub watch: Arc<dyn Watch>,
}

/// One look.
pub struct Tick<'t> {
    /// Seconds since the start of the schedule that are over.
    pub second: u32,
    /// Index of the stage; the last one during the drain.
    pub stage: usize,
    /// Seconds that are over and were not told before, with late arrivals for earlier ones.
    pub interval: &'t Interval,
    /// All seconds so far.
    pub timeline: &'t Timeline,
    /// Sums over everything so far.
    pub sums: &'t Running,
}

/// What the looks gave.
#[derive(Default)]
pub struct Ticked {
    /// All seconds.
    pub timeline: Timeline,
    /// Seconds that were handed over after the last tick.
    pub rest: Interval,
    /// Why the load was ended before its schedule.
    pub ended_early: Option<String>,
    /// Place of the objective that ended it.
    pub aborted: Option<usize>,
}

impl Ticker {
    /// Looks until the load is over.
    pub(super) async fn run(self, over: CancellationToken) -> Ticked {
        let open = !matches!(self.workload.arrivals, Arrivals::Closed { .. });
        let mut ticked = Ticked { timeline: Timeline::new(open), ..Ticked::default() };
        let mut guard = Guard::new(self.workload.stop_when.clone(), self.workload.budget.clone());
        let start = loop {
            if let Some(start) = self.started.get() {
                break start;
            }
            if over.is_cancelled() {
                return ticked;
            }
            tokio::time::sleep(LOOK).await;
        };
        for second in 1_u32.. {
            let due = start.at + Duration::from_secs(u64::from(second));
            tokio::select! {
                () = over.cancelled() => break,
                () = tokio::time::sleep_until(due.into()) => {}
            }
            ticked.timeline.machine(&self.machine(second - 1));
            tokio::select! {
                () = over.cancelled() => break,
                () = tokio::time::sleep(PATIENCE) => {}
            }
            self.look(second, &mut ticked, &mut guard);
        }
        ticked
    }

    fn look(&self, second: u32, ticked: &mut Ticked, guard: &mut Guard) {
        let interval = self.meter.drain(second);
        ticked.timeline.add(&interval);
        let sums = self.meter.running();
        let now_us = u64::from(second) * 1_000_000;
        let last = self.stages.len().saturating_sub(1);
        let stage = stage_at(&self.stages, now_us.saturating_sub(1)).unwrap_or(last);
        let tick = Tick { second, stage, interval: &interval, timeline: &ticked.timeline, sums: &sums };
        self.watch.second(&tick);
        if ticked.ended_early.is_some() {
            return;
        }
        ticked.aborted = self.breached(now_us);
        let objective = ticked.aborted.and_then(|at| self.workload.slos.get(at));
        let missed = objective.map(|slo| format!("the objective `{}` was missed", slo.text));
        ticked.ended_early = missed.or_else(|| guard.look(&sums));
        if ticked.ended_early.is_some() {
            self.no_more.cancel();
        }
    }

    fn breached(&self, now_us: u64) -> Option<usize> {
        if !self.workload.slos.iter().any(|slo| slo.abort) {
            return None;
        }
        let (stages, client) = (clip(&self.stages, now_us), ClientHealth::default());
        let arrivals = [StageCounts::default()];
        self.meter.cells(|cells| {
            let facts = Facts { cells, stages: &stages, arrivals: &arrivals, client: &client };
            breached(&self.workload.slos, &facts, now_us)
        })
    }

    fn machine(&self, t: u32) -> MachineSecond {
        let p = &self.session.progress;
        MachineSecond {
            t,
            in_flight: p.in_flight.load(Relaxed),
            open_streams: p.open_streams.load(Relaxed),
            ..MachineSecond::default()
        }
    }
}

impl Ticked {
    /// Takes what is left when the load is over: the last seconds, and the arrivals as the engine counted them.
    pub(super) fn finish(&mut self, meter: &Meter, result: &EngineResult) {
        self.rest = meter.drain(u32::MAX);
        self.timeline.add(&self.rest);
        let mut arrivals = Interval::default();
        for (second, count) in (0..).zip(&result.seconds) {
            let counts = Moment {
                planned: count.planned,
                begun: count.begun,
                dropped: count.dropped,
                ..Moment::default()
            };
            arrivals.seconds.insert(second, counts);
        }
        self.timeline.add(&arrivals);
    }
}
