//! Puts every finished request of a load into its recorder, whoever finds the time to do it.

use crate::engine::Started;
use crate::flow::ScenarioRun;
use crate::metrics::load_recorder::Running;
use crate::metrics::{Cells, Interval, Iteration, LoadRecorder, Place, Sample, Slo, StageWindow, When};
use crate::model::{Exchange, Outcome};
use crate::scenario::ast::{Action, Scenario, Step};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio_util::sync::CancellationToken;

/// Measures; shared by the judging thread and, when that is behind, the senders themselves.
pub struct Meter {
    recorder: Mutex<LoadRecorder>,
    /// Place of the scenario as a whole, and of its steps.
    places: HashMap<String, (Place, HashMap<String, Place>)>,
    started: Started,
    epoch: Instant,
    /// Generation requests after which no scenario begins.
    limit: Option<u64>,
    no_more: CancellationToken,
    broken: AtomicU64,
}

/// What a meter needs to know beforehand.
pub(super) struct Setting<'s> {
    pub stages: Arc<[StageWindow]>,
    pub objectives: &'s [Slo],
    pub scenarios: &'s [Arc<Scenario>],
    pub started: Started,
    pub epoch: Instant,
    pub limit: Option<u64>,
    pub no_more: CancellationToken,
}

impl Meter {
    pub(super) fn new(setting: Setting<'_>) -> Meter {
        let mut recorder = LoadRecorder::new(setting.stages, setting.objectives);
        let mut places = HashMap::new();
        for scenario in setting.scenarios {
            let whole = recorder.place(&scenario.id, "");
            let mut steps = HashMap::new();
            name_steps(&scenario.steps, &mut |step| {
                steps.insert(step.to_owned(), recorder.place(&scenario.id, step));
            });
            places.insert(scenario.id.clone(), (whole, steps));
        }
        let (started, epoch, limit, no_more) = (setting.started, setting.epoch, setting.limit, setting.no_more);
        Meter { recorder: Mutex::new(recorder), places, started, epoch, limit, no_more, broken: AtomicU64::new(0) }
    }

    fn lock(&self) -> MutexGuard<'_, LoadRecorder> {
        self.recorder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From microseconds since the client's epoch to microseconds since the start of the schedule.
    fn on_schedule(&self, at_us: u64) -> u64 {
        let start = self.started.get().map_or(0, |s| s.at.saturating_duration_since(self.epoch).as_micros());
        at_us.saturating_sub(u64::try_from(start).unwrap_or(u64::MAX))
    }

    fn instant(&self, at: Instant) -> u64 {
        let start = self.started.get().map_or(self.epoch, |s| s.at);
        u64::try_from(at.saturating_duration_since(start).as_micros()).unwrap_or(u64::MAX)
    }

    /// Records a generation request that is over.
    pub(super) fn request(&self, exchange: &Exchange, sample: &Sample) {
        let known = self.places.get(&exchange.origin.scenario).and_then(|(_, steps)| steps.get(&exchange.origin.step));
        let timing = &exchange.timing;
        let when = When {
            planned_us: timing.planned_us.map(|at| self.on_schedule(at)),
            sent_us: self.on_schedule(timing.sent_us),
            ended_us: self.on_schedule(exchange.ended_us()),
        };
        let mut recorder = self.lock();
        let place = match known {
            Some(place) => *place,
            None => recorder.place(&exchange.origin.scenario, &exchange.origin.step),
        };
        recorder.record(sample, place, when);
        if self.limit.is_some_and(|limit| recorder.running().requests >= limit) && !self.no_more.is_cancelled() {
            self.no_more.cancel();
            recorder.end_at(when.ended_us);
        }
    }

    /// Counts a response that broke a rule.
    pub(super) fn note_broken(&self) {
        self.broken.fetch_add(1, Relaxed);
    }

    /// Responses that broke a rule so far.
    pub(super) fn broken(&self) -> u64 {
        self.broken.load(Relaxed)
    }

    /// Records a whole scenario.
    pub(super) fn run(&self, run: &ScenarioRun) {
        let Some((place, _)) = self.places.get(&run.id) else { return };
        let begun_us = self.instant(run.began);
        let ended_us = begun_us.saturating_add(u64::try_from(run.elapsed.as_micros()).unwrap_or(u64::MAX));
        let iteration = Iteration {
            planned_us: run.planned.map(|at| self.instant(at)),
            begun_us,
            ended_us,
            complete: run.outcome == Outcome::Pass && !run.stopped,
        };
        self.lock().iteration(*place, iteration);
    }

    /// Says that nothing was begun after this time.
    pub(super) fn end_at(&self, at_us: u64) {
        self.lock().end_at(at_us);
    }

    /// The seconds before `up_to` that were not handed over yet.
    pub(super) fn drain(&self, up_to: u32) -> Interval {
        self.lock().drain_interval(up_to)
    }

    /// Sums over everything so far.
    pub(super) fn running(&self) -> Running {
        self.lock().running().clone()
    }

    /// Looks at what was recorded so far.
    pub(super) fn cells<R>(&self, look: impl FnOnce(&Cells) -> R) -> R {
        look(self.lock().cells())
    }

    /// What was recorded, at the end.
    pub(super) fn take(&self) -> LoadRecorder {
        let empty = LoadRecorder::new(Arc::default(), &[]);
        std::mem::replace(&mut self.lock(), empty)
    }
}

/// Every step that sends, also within others, in the order of the file.
fn name_steps(steps: &[Step], name: &mut dyn FnMut(&str)) {
    for step in steps {
        name(&step.id);
        match &step.action {
            Action::Chat(turn) | Action::Completion(turn) | Action::Workflow(turn) => {
                if let Some(during) = &turn.during {
                    name_steps(&during.steps, name);
                }
            }
            Action::Parallel(parallel) => parallel.branches.iter().for_each(|branch| name_steps(branch, name)),
            _ => {}
        }
    }
}
