//! Takes the requests of a load as they end, and sorts them by stage, step, turn and second.
//!
//! Goes in: one [`Sample`] per request with its place on the time line; arrivals. Comes out: [`Cells`] for results and
//! objectives, and an [`Interval`] of finished seconds whenever somebody asks for one, so that memory does not grow with the
//! length of the run. Recorders of several threads, or processes, add up exactly.

use super::cells::{Cells, Place, TURNS};
use super::goodput::{Goals, Limits};
use super::interval::{Interval, Moment};
use super::{Metric, Sample, Slo, StageWindow, Turn, stage_at};
use std::collections::BTreeMap;
use std::sync::Arc;

const SECOND_US: u64 = 1_000_000;

/// When a request was planned, sent and over, in microseconds since the start of the schedule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct When {
    /// Planned send; `None` where there is no plan.
    pub planned_us: Option<u64>,
    /// Send.
    pub sent_us: u64,
    /// End of the exchange.
    pub ended_us: u64,
}

/// A scenario that was run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Iteration {
    /// Planned begin; `None` in a closed load.
    pub planned_us: Option<u64>,
    /// Begin.
    pub begun_us: u64,
    /// End.
    pub ended_us: u64,
    /// Whether it came to its end: no failed request, no failed expectation, not cut.
    pub complete: bool,
}

/// Arrivals of one stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StageCounts {
    /// Scenarios planned.
    pub planned: u64,
    /// Scenarios begun.
    pub begun: u64,
    /// Arrivals dropped.
    pub dropped: u64,
}

/// Running sums over everything, warm-up and drain included; for budgets and the live view.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Running {
    /// Requests that ended.
    pub requests: u64,
    /// Failed ones.
    pub failed: u64,
    /// Completion tokens of correct answers.
    pub completion_tokens: u64,
    /// Price of correct answers by currency, in units of 1e-9.
    pub cost: BTreeMap<String, u64>,
}

/// Collects what a load measures.
#[derive(Clone, Debug)]
pub struct LoadRecorder {
    stages: Arc<[StageWindow]>,
    /// Sends after this belong to the drain, whatever the stages say.
    end_us: u64,
    goals: Goals,
    /// By place, then stage, then turn, as the cells; made when first needed.
    limits: Vec<Vec<Option<Box<Limits>>>>,
    cells: Cells,
    arrivals: Vec<StageCounts>,
    /// Seconds that were not handed over.
    open: Interval,
    /// By place: the scenario's number in `open`.
    scenarios: Vec<usize>,
    /// Seconds below this were handed over.
    open_from: u32,
    running: Running,
}

impl LoadRecorder {
    /// An empty recorder of a load with these stages; the objectives say which requests are good.
    pub fn new(stages: Arc<[StageWindow]>, objectives: &[Slo]) -> LoadRecorder {
        LoadRecorder {
            end_us: u64::MAX,
            goals: Goals::of(objectives, &stages),
            limits: Vec::new(),
            cells: Cells::new(stages.len()),
            arrivals: vec![StageCounts::default(); stages.len()],
            open: Interval::default(),
            scenarios: Vec::new(),
            open_from: 0,
            running: Running::default(),
            stages,
        }
    }

    /// The number of a step; the empty step stands for the scenario as a whole. Name all steps in the order of the files before
    /// the load begins: results keep that order, and all shards have the same.
    pub fn place(&mut self, scenario: &str, step: &str) -> Place {
        let place = self.cells.place(scenario, step);
        if self.scenarios.len() <= usize::from(place.0) {
            self.scenarios.push(self.open.scenario(scenario));
        }
        place
    }

    /// The scenario under which times are kept second by second; `None` for what is not measured.
    fn measured(&self, place: Place, stage: Option<usize>) -> Option<usize> {
        self.stages.get(stage?).filter(|window| window.measure)?;
        self.scenarios.get(usize::from(place.0)).copied()
    }

    /// Says that nothing was begun after this time: the run was ended early. What was sent later belongs to the drain.
    pub fn end_at(&mut self, at_us: u64) {
        self.end_us = self.end_us.min(at_us);
    }

    /// The stage of something that was planned, and then done, at these times; `None` for the drain.
    fn stage(&self, planned_us: Option<u64>, done_us: u64) -> Option<usize> {
        stage_at(&self.stages, planned_us.unwrap_or(done_us)).filter(|_| planned_us.unwrap_or(done_us) < self.end_us)
    }

    /// Records a request that is over.
    pub fn record(&mut self, sample: &Sample, place: Place, when: When) {
        let stage = self.stage(when.planned_us, when.sent_us);
        let scenario = self.measured(place, stage);
        let good = self.limits(place, stage, sample.turn).is_none_or(|limits| limits.met(sample));
        if let Some(cell) = self.cells.entry(place, stage, sample.turn) {
            cell.record(sample, good);
        }
        let (sent, ended) = (second(when.sent_us), second(when.ended_us).max(self.open_from));
        self.open.seconds.entry(sent).or_default().sent(sample.sched_lag_us);
        self.open.seconds.entry(ended).or_default().ended(sample, scenario);
        self.running.count(sample);
    }

    /// The limits for good requests of a cell; `None` for an unknown place.
    fn limits(&mut self, place: Place, stage: Option<usize>, turn: Turn) -> Option<&Limits> {
        let at = usize::from(place.0);
        let slot = stage.unwrap_or(self.stages.len()) * TURNS.len() + turn as usize;
        if self.limits.len() <= at {
            self.limits.resize(at + 1, Vec::new());
        }
        let row = self.limits.get_mut(at)?;
        if row.is_empty() {
            row.resize((self.stages.len() + 1) * TURNS.len(), None);
        }
        let limits = row.get_mut(slot)?;
        if limits.is_none() {
            let (scenario, step) = self.cells.places().nth(at)?;
            *limits = Some(Box::new(self.goals.limits(scenario, step, stage, turn)));
        }
        limits.as_deref()
    }

    /// Records a whole scenario, at the place with the empty step. Only complete ones have a time.
    pub fn iteration(&mut self, place: Place, run: Iteration) {
        if !run.complete {
            return;
        }
        let took = run.ended_us.saturating_sub(run.planned_us.unwrap_or(run.begun_us));
        let stage = self.stage(run.planned_us, run.begun_us);
        let scenario = self.measured(place, stage);
        if let Some(cell) = self.cells.entry(place, stage, Turn::NotATurn) {
            cell.times.entry(Metric::Iteration).record(took);
        }
        let moment = self.open.seconds.entry(second(run.ended_us).max(self.open_from)).or_default();
        moment.times(scenario).entry(Metric::Iteration).record(took);
    }

    /// Counts an arrival whose time has come, whatever becomes of it.
    pub fn planned(&mut self, planned_us: u64) {
        self.arrival(planned_us, planned_us, |s| s.planned += 1, |m| m.planned += 1);
    }

    /// Counts a scenario that begins. In a closed load `planned_us` is the time of the begin, too.
    pub fn begun(&mut self, planned_us: u64, at_us: u64) {
        self.arrival(planned_us, at_us, |s| s.begun += 1, |m| m.begun += 1);
    }

    /// Counts an arrival that found no room and was not sent.
    pub fn dropped(&mut self, planned_us: u64, at_us: u64) {
        self.arrival(planned_us, at_us, |s| s.dropped += 1, |m| m.dropped += 1);
    }

    fn arrival(&mut self, plan_us: u64, at_us: u64, stage: fn(&mut StageCounts), moment: fn(&mut Moment)) {
        // Arrivals come in order of their plan, so one beyond the last stage can only be of its last instant.
        let last = self.stages.len().saturating_sub(1);
        let index = stage_at(&self.stages, plan_us).unwrap_or(last);
        self.arrivals.get_mut(index).into_iter().for_each(stage);
        moment(self.open.seconds.entry(second(at_us)).or_default());
    }

    /// Hands over everything that is known of the seconds before `up_to`. What is recorded for them later on: sends still
    /// count for their own second, ends for the first one that was not handed over. Take intervals of all recorders of a load at
    /// the same second and add them up.
    pub fn drain_interval(&mut self, up_to: u32) -> Interval {
        let rest = self.open.seconds.split_off(&up_to);
        self.open_from = self.open_from.max(up_to);
        Interval { scenarios: self.open.scenarios.clone(), seconds: std::mem::replace(&mut self.open.seconds, rest) }
    }

    /// What was recorded, by part.
    pub fn cells(&self) -> &Cells {
        &self.cells
    }

    /// Arrivals by stage.
    pub fn arrivals(&self) -> &[StageCounts] {
        &self.arrivals
    }

    /// Sums over everything so far.
    pub fn running(&self) -> &Running {
        &self.running
    }

    /// Adds what another recorder of the same load holds, seconds that it did not hand over included.
    pub fn merge(&mut self, other: &LoadRecorder) {
        for (scenario, step) in other.cells.places() {
            self.place(scenario, step);
        }
        self.cells.add(&other.cells);
        self.limits.clear();
        for (ours, theirs) in self.arrivals.iter_mut().zip(&other.arrivals) {
            ours.planned += theirs.planned;
            ours.begun += theirs.begun;
            ours.dropped += theirs.dropped;
        }
        self.open.add(&other.open);
        self.running.add(&other.running);
        self.end_us = self.end_us.min(other.end_us);
    }
}

fn second(at_us: u64) -> u32 {
    u32::try_from(at_us / SECOND_US).unwrap_or(u32::MAX)
}

impl Running {
    fn count(&mut self, sample: &Sample) {
        self.requests += 1;
        if sample.outcome.is_err() {
            self.failed += 1;
            return;
        }
        self.completion_tokens = self.completion_tokens.saturating_add(sample.completion_tokens.unwrap_or(0));
        if let Some((currency, price)) = &sample.cost {
            match self.cost.get_mut(currency) {
                Some(sum) => *sum = sum.saturating_add(*price),
                None => drop(self.cost.insert(currency.clone(), *price)),
            }
        }
    }

    /// Adds other sums.
    pub fn add(&mut self, other: &Running) {
        self.requests += other.requests;
        self.failed += other.failed;
        self.completion_tokens = self.completion_tokens.saturating_add(other.completion_tokens);
        for (currency, price) in &other.cost {
            let sum = self.cost.entry(currency.clone()).or_default();
            *sum = sum.saturating_add(*price);
        }
    }
}
