//! Looks at a load once per second: hands its seconds over, watches its limits.

use super::drive::Watch;
use super::guard::Guard;
use super::meter::Meter;
use crate::engine::{EngineResult, Started};
use crate::machine::{Health, MachineSample, Sampler};
use crate::metrics::interval::Moment;
use crate::metrics::load_recorder::Running;
use crate::metrics::summary::{ClientHealth, SloResult};
use crate::metrics::{Facts, Interval, MachineSecond, StageWindow, Timeline, breached, clip, evaluate, stage_at};
use crate::workload::{Arrivals, Workload};
use std::sync::Arc;
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
    pub started: Started,
    pub no_more: CancellationToken,
    pub watch: Arc<dyn Watch>,
    pub sampler: Sampler,
}

/// One look.
pub struct Tick<'t> {
    /// Wall clock of the start of the schedule, microseconds since the Unix epoch.
    pub started_unix_us: u64,
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
    /// Objectives, as far as they can be told; those about drops and the generator cannot.
    pub slos: &'t [SloResult],
    /// Responses that broke a rule.
    pub broken: u64,
    /// The generator.
    pub machine: Option<MachineSample>,
    /// Why the load is ending before its schedule.
    pub ended_early: Option<&'t str>,
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
    /// A stop condition ended it.
    pub stopped: bool,
    /// Place of the objective that ended it.
    pub aborted: Option<usize>,
    /// The generator over the load.
    pub health: Health,
}

impl Ticker {
    /// Looks until the load is over.
    pub(super) async fn run(self, over: CancellationToken) -> Ticked {
        let mut ticked = self.look_until(&over).await;
        ticked.health = self.sampler.finish().await;
        ticked
    }

    async fn look_until(&self, over: &CancellationToken) -> Ticked {
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
        let (stages, client, arrivals) = (clip(&self.stages, now_us), ClientHealth::default(), []);
        let slos = self.meter.cells(|cells| {
            let facts = Facts { cells, stages: &stages, arrivals: &arrivals, client: &client };
            if ticked.ended_early.is_none() {
                ticked.aborted = breached(&self.workload.slos, &facts, now_us);
            }
            evaluate(&self.workload.slos, &facts, None)
        });
        self.end_where_due(ticked, guard, &sums);
        let tick = Tick {
            started_unix_us: self.started.get().map_or(0, |start| start.unix_us),
            second,
            stage,
            interval: &interval,
            timeline: &ticked.timeline,
            sums: &sums,
            slos: &slos,
            broken: self.meter.broken(),
            machine: self.sampler.latest(),
            ended_early: ticked.ended_early.as_deref(),
        };
        self.watch.second(&tick);
    }

    /// Ends the load where a limit is reached.
    fn end_where_due(&self, ticked: &mut Ticked, guard: &mut Guard, sums: &Running) {
        if ticked.ended_early.is_some() {
            return;
        }
        let objective = ticked.aborted.and_then(|at| self.workload.slos.get(at));
        let missed = objective.map(|slo| format!("the objective `{}` was missed", slo.text));
        ticked.ended_early = missed.or_else(|| guard.look(sums));
        ticked.stopped = guard.stopped;
        if ticked.ended_early.is_some() {
            self.no_more.cancel();
            self.meter.end_at(self.on_schedule());
        }
    }

    /// Now, in microseconds since the start of the schedule.
    fn on_schedule(&self) -> u64 {
        let since = self.started.get().map_or(Duration::ZERO, |start| start.at.elapsed());
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    }
}

impl Ticked {
    /// Takes what is left when the load is over: the last seconds, the arrivals as the engine counted them, the state of the
    /// generator.
    pub(super) fn finish(&mut self, meter: &Meter, result: &EngineResult) {
        self.rest = meter.drain(u32::MAX);
        self.timeline.add(&self.rest);
        let mut arrivals = Interval::default();
        for (second, count) in (0..).zip(&result.seconds) {
            let counts =
                Moment { planned: count.planned, begun: count.begun, dropped: count.dropped, ..Moment::default() };
            arrivals.seconds.insert(second, counts);
        }
        self.timeline.add(&arrivals);
        for sample in &self.health.samples {
            self.timeline.machine(&machine_second(sample));
        }
    }
}

fn machine_second(sample: &MachineSample) -> MachineSecond {
    MachineSecond {
        t: sample.second,
        cpu: sample.cpu_share,
        rss: sample.rss.unwrap_or(0),
        fds: sample.fds.unwrap_or(0),
        in_flight: sample.under_way.in_flight,
        open_streams: sample.under_way.open_streams,
    }
}
