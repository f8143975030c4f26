//! What became of a plan, and the counting of it.

use super::start::Start;
use crate::flow::ScenarioRun;
use std::time::Duration;

/// Messages about faults of our own that are kept; more are counted only.
const KEPT_MESSAGES: usize = 20;
/// Seconds that are counted one by one: a week. A longer load adds to the last.
const SECONDS: usize = 7 * 24 * 3600;

/// What became of a plan.
#[derive(Debug, Default)]
pub struct EngineResult {
    /// [`Shape::Once`](super::Shape::Once): one run per job, in the order of the jobs. Empty for a load, whose runs go to
    /// the sink.
    pub runs: Vec<ScenarioRun>,
    /// Scenario runs begun.
    pub begun: u64,
    /// Arrivals whose time came: `begun + dropped + not_begun`.
    pub planned: u64,
    /// Arrivals that found the greatest number of scenarios under way.
    pub dropped: u64,
    /// Arrivals whose time came, but a stop came before their begin.
    pub not_begun: u64,
    /// Scenario runs that were cut: by the end of the drain or by a stop.
    pub unfinished: u64,
    /// The same per stage of a load, as far as it came.
    pub stages: Vec<Begun>,
    /// The same per second of a load, as far as it came: `planned` and `dropped` by planned time, `begun` by actual time.
    pub seconds: Vec<Begun>,
    /// Time 0 of a load.
    pub start: Option<Start>,
    /// From time 0 to the moment after which nothing began any more.
    pub begun_for: Duration,
    /// Flows that panicked.
    pub panics: u64,
    /// Faults of our own: flows that panicked or did not end after a stop.
    pub harness_errors: u64,
    /// What the first of them said.
    pub harness_messages: Vec<String>,
    /// The session's token fired before the plan was done.
    pub interrupted: bool,
    /// Duration of the whole.
    pub elapsed: Duration,
}

/// Scenarios of a part of a load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Begun {
    /// Arrivals whose time came (open model).
    pub planned: u64,
    /// Scenarios begun.
    pub begun: u64,
    /// Arrivals that were dropped.
    pub dropped: u64,
}

/// Where in a load something happened.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot {
    pub stage: usize,
    pub at_us: u64,
}

impl EngineResult {
    pub(super) fn count_begun(&mut self, spot: Option<Spot>) {
        self.begun += 1;
        self.at(spot, |count| count.begun += 1);
    }

    pub(super) fn count_planned(&mut self, spot: Spot) {
        self.planned += 1;
        self.at(Some(spot), |count| count.planned += 1);
    }

    pub(super) fn count_dropped(&mut self, spot: Spot) {
        self.dropped += 1;
        self.at(Some(spot), |count| count.dropped += 1);
    }

    pub(super) fn count_fault(&mut self, message: impl FnOnce() -> String) {
        self.harness_errors += 1;
        if self.harness_messages.len() < KEPT_MESSAGES {
            self.harness_messages.push(message());
        }
    }

    fn at(&mut self, spot: Option<Spot>, change: impl Fn(&mut Begun)) {
        if let Some(Spot { stage, at_us }) = spot {
            let second = usize::try_from(at_us / 1_000_000).unwrap_or(SECONDS).min(SECONDS);
            for (list, index) in [(&mut self.stages, stage), (&mut self.seconds, second)] {
                if list.len() <= index {
                    list.resize(index + 1, Begun::default());
                }
                list.get_mut(index).map(&change);
            }
        }
    }
}
