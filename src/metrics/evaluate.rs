//! Objectives against what was measured.

use super::cells::Key;
use super::confidence::{Share, of_latency};
use super::goodput::turn_name;
use super::load_recorder::StageCounts;
use super::summary::{ClientHealth, SloResult, SloState};
use super::{Cell, Cells, Counts, Measure, Metric, Scope, Slo, StageWindow, Stat};

/// What objectives are compared with. All of it may be a state in the middle of a run.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// What was recorded.
    pub cells: &'a Cells,
    /// The stages as far as they were run; see [`clip`].
    pub stages: &'a [StageWindow],
    /// Arrivals by stage.
    pub arrivals: &'a [StageCounts],
    /// The generator.
    pub client: &'a ClientHealth,
}

/// The stages as far as they lie before a time.
pub fn clip(stages: &[StageWindow], end_us: u64) -> Vec<StageWindow> {
    let cut = |stage: &StageWindow| StageWindow { to_us: stage.to_us.min(end_us.max(stage.from_us)), ..stage.clone() };
    stages.iter().map(cut).collect()
}

/// Evaluates every objective. `aborted` is the place of the one that ended the run.
pub fn evaluate(objectives: &[Slo], facts: &Facts, aborted: Option<usize>) -> Vec<SloResult> {
    let result = |(at, slo): (usize, &Slo)| SloResult { aborted: aborted == Some(at), ..judge(slo, facts) };
    objectives.iter().enumerate().map(result).collect()
}

/// The place of the first objective with `abort` that does not hold at this time of a run, its grace being over. An objective
/// without any measurement is not missed yet.
pub fn breached(objectives: &[Slo], facts: &Facts, now_us: u64) -> Option<usize> {
    objectives.iter().position(|slo| {
        let begin = Part::of(&slo.scope, facts).stages().map(|stage| stage.from_us).min();
        let grace = u64::try_from(slo.grace.as_micros()).unwrap_or(u64::MAX);
        let due = begin.is_some_and(|begin| now_us >= begin.saturating_add(grace));
        slo.abort && due && judge(slo, facts).state == SloState::Missed
    })
}

/// What to do when the generator itself did not hold a condition.
pub fn remedy(measure: Measure) -> Option<&'static str> {
    Some(match measure {
        Measure::Latency(..) => {
            "sends were late: give the generator a machine of its own or more cores, or share the load with --shard"
        }
        Measure::Dropped | Measure::DeliveredRate => {
            "the server was asked less than planned: raise max-in-flight, or plan a load that it can take"
        }
        Measure::ClientCpu => "the generator was short of CPU: use more cores, or share the load with --shard",
        Measure::ClientFds => {
            "few file descriptors were left: raise the limit (ulimit -n), or share the load with --shard"
        }
        _ => return None,
    })
}

/// The part of a load that a scope names.
struct Part<'a> {
    scope: &'a Scope,
    facts: &'a Facts<'a>,
}

impl<'a> Part<'a> {
    fn of(scope: &'a Scope, facts: &'a Facts<'a>) -> Part<'a> {
        Part { scope, facts }
    }

    fn has_stage(&self, stage: &StageWindow) -> bool {
        stage.measure && (self.scope.stages.is_empty() || self.scope.stages.contains(&stage.label))
    }

    fn stages(&self) -> impl Iterator<Item = &'a StageWindow> {
        self.facts.stages.iter().filter(|stage| self.has_stage(stage))
    }

    fn seconds(&self) -> f64 {
        self.stages().map(|stage| stage.to_us.saturating_sub(stage.from_us)).sum::<u64>() as f64 / 1e6
    }

    fn cells(&self) -> impl Iterator<Item = &'a Cell> {
        self.facts.cells.iter().filter(|(key, _)| self.has(key)).map(|(_, cell)| cell)
    }

    fn times(&self, metric: Metric) -> Counts {
        let mut sum = Counts::default();
        self.cells().filter_map(|cell| cell.times.get(metric)).for_each(|counts| sum.add(counts));
        sum
    }

    /// A counter, added up.
    fn count(&self, of: impl Fn(&Cell) -> u64) -> u64 {
        self.cells().map(of).fold(0, u64::saturating_add)
    }

    fn has(&self, key: &Key) -> bool {
        let same = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|wanted| wanted == is);
        let stage = key.stage.and_then(|stage| self.facts.stages.get(stage));
        stage.is_some_and(|stage| self.has_stage(stage))
            && same(&self.scope.scenario, key.scenario)
            && same(&self.scope.step, key.step)
            && same(&self.scope.turn, turn_name(key.turn))
    }

    fn arrivals(&self) -> StageCounts {
        let mut sum = StageCounts::default();
        for (stage, counts) in self.facts.stages.iter().zip(self.facts.arrivals) {
            if self.has_stage(stage) {
                sum.planned += counts.planned;
                sum.begun += counts.begun;
                sum.dropped += counts.dropped;
            }
        }
        sum
    }
}

fn judge(slo: &Slo, facts: &Facts) -> SloResult {
    let (unit, scale) = unit(slo.measure);
    let value = value(slo, facts);
    let state = match value {
        None => SloState::Unknown,
        Some(value) if slo.op.holds(value, slo.limit) => SloState::Met,
        Some(_) => SloState::Missed,
    };
    SloResult {
        text: slo.text.clone(),
        value: value.map(|value| value * scale),
        limit: slo.limit * scale,
        unit: unit.to_owned(),
        margin: value.map(|value| margin(slo, value)),
        confidence: confidence(slo, facts),
        state,
        advisory: slo.advisory,
        aborted: false,
        remedy: None,
    }
}

/// How sure the state is, for objectives on a share of the samples.
fn confidence(slo: &Slo, facts: &Facts) -> Option<f64> {
    use super::Op::{AtMost, Less};
    let part = Part::of(&slo.scope, facts);
    let upper = matches!(slo.op, Less | AtMost);
    let n = || part.count(|cell| cell.requests);
    let share = match slo.measure {
        Measure::Latency(metric, _) => of_latency(slo, &part.times(metric))?,
        Measure::ErrorRate(None) if upper => Share { n: n(), bad: part.count(Cell::failed), allowed: slo.limit },
        Measure::ErrorRate(Some(class)) if upper => {
            Share { n: n(), bad: part.count(|cell| cell.failures[class as usize]), allowed: slo.limit }
        }
        Measure::GoodFraction if !upper => {
            let bad = part.count(|cell| cell.requests - cell.good);
            Share { n: n(), bad, allowed: 1.0 - slo.limit }
        }
        _ => return None,
    };
    share.confidence()
}

/// Unit for people, and what the unit of the measure is multiplied with to get there.
fn unit(measure: Measure) -> (&'static str, f64) {
    match measure {
        Measure::Latency(..) => ("ms", 1e-3),
        Measure::ErrorRate(_) | Measure::GoodFraction | Measure::DeliveredRate => ("%", 100.0),
        Measure::ClientCpu | Measure::ClientFds => ("%", 100.0),
        Measure::ReqPerS | Measure::GoodPerS | Measure::OutputTps | Measure::EventsPerS => ("/s", 1.0),
        Measure::Dropped => ("", 1.0),
    }
}

/// Distance to the limit on the good side, as a share of the limit. A limit of zero has no share: 0 when it holds, else -1.
fn margin(slo: &Slo, value: f64) -> f64 {
    use super::Op::{AtMost, Less};
    if slo.limit == 0.0 {
        return if slo.op.holds(value, 0.0) { 0.0 } else { -1.0 };
    }
    let inside = if matches!(slo.op, Less | AtMost) { slo.limit - value } else { value - slo.limit };
    inside / slo.limit
}

/// The value in the unit of the measure; `None` where nothing was measured.
fn value(slo: &Slo, facts: &Facts) -> Option<f64> {
    let part = Part::of(&slo.scope, facts);
    let per_second = |n: u64| Some(part.seconds()).filter(|s| *s > 0.0).map(|s| n as f64 / s);
    let share = |n: u64, of: u64| (of > 0).then(|| n as f64 / of as f64);
    match slo.measure {
        Measure::Latency(metric, stat) => statistic(&part.times(metric), stat),
        Measure::ErrorRate(None) => share(part.count(Cell::failed), part.count(|cell| cell.requests)),
        Measure::ErrorRate(Some(class)) => {
            share(part.count(|cell| cell.failures[class as usize]), part.count(|cell| cell.requests))
        }
        Measure::ReqPerS => per_second(part.count(|cell| cell.ok)),
        Measure::GoodPerS => per_second(part.count(|cell| cell.good)),
        Measure::GoodFraction => share(part.count(|cell| cell.good), part.count(|cell| cell.requests)),
        Measure::OutputTps => per_second(part.count(|cell| cell.completion_tokens)),
        Measure::EventsPerS => per_second(part.count(|cell| cell.events)),
        Measure::Dropped => part.stages().next().map(|_| part.arrivals().dropped as f64),
        Measure::DeliveredRate => {
            let arrivals = part.arrivals();
            share(arrivals.begun, arrivals.planned)
        }
        Measure::ClientCpu => (facts.client.cores > 0).then_some(facts.client.cpu_sustained),
        Measure::ClientFds => share(facts.client.fds_max, facts.client.fds_limit),
    }
}

/// A statistic of a histogram in microseconds.
pub fn statistic(counts: &Counts, stat: Stat) -> Option<f64> {
    if counts.n() == 0 {
        return None;
    }
    match stat {
        Stat::Quantile(quantile) => Some(counts.quantile(quantile) as f64),
        Stat::Mean => counts.mean(),
        Stat::Min => Some(counts.min() as f64),
        Stat::Max => Some(counts.max() as f64),
    }
}
