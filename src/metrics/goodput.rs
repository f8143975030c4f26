//! Which requests are good: correct, and within every latency objective that applies to them.

use super::{Measure, Metric, Op, Sample, Slo, StageWindow, Turn};

/// The limits that a single request has to meet. The statistic of an objective (`p(95) < 800ms`) says how many requests may
/// miss its limit; a single request is good when it meets the limit itself, as in the goodput of DistServe and vLLM.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Goals(Vec<Goal>);

#[derive(Clone, Debug, PartialEq)]
struct Goal {
    metric: Metric,
    op: Op,
    limit_us: f64,
    scenario: Option<String>,
    step: Option<String>,
    turn: Option<String>,
    /// Indexes of stages; empty for all.
    stages: Vec<usize>,
}

/// The limits of one cell.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Limits(Vec<(Metric, Op, f64)>);

impl Goals {
    /// Takes the upper limits on latencies out of the objectives. Advisory ones and those of whole scenarios are left out.
    pub fn of(objectives: &[Slo], stages: &[StageWindow]) -> Goals {
        let goals = objectives.iter().filter_map(|slo| {
            let Measure::Latency(metric, _) = slo.measure else { return None };
            let upper = matches!(slo.op, Op::Less | Op::AtMost);
            let named = |window: &StageWindow| slo.scope.stages.contains(&window.label);
            (upper && !slo.advisory && metric != Metric::Iteration).then(|| Goal {
                metric,
                op: slo.op,
                limit_us: slo.limit,
                scenario: slo.scope.scenario.clone(),
                step: slo.scope.step.clone(),
                turn: slo.scope.turn.clone(),
                // An objective on stages that do not exist applies to nothing, not to everything.
                stages: match slo.scope.stages.is_empty() {
                    true => Vec::new(),
                    false => {
                        let found: Vec<_> =
                            stages.iter().enumerate().filter(|(_, w)| named(w)).map(|(i, _)| i).collect();
                        if found.is_empty() { vec![usize::MAX] } else { found }
                    }
                },
            })
        });
        Goals(goals.collect())
    }

    /// The limits that hold for requests of one step, stage and turn.
    pub fn limits(&self, scenario: &str, step: &str, stage: Option<usize>, turn: Turn) -> Limits {
        let same = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|wanted| wanted == is);
        let holds = |goal: &&Goal| {
            same(&goal.scenario, scenario)
                && same(&goal.step, step)
                && same(&goal.turn, turn_name(turn))
                && (goal.stages.is_empty() || stage.is_some_and(|stage| goal.stages.contains(&stage)))
        };
        Limits(self.0.iter().filter(holds).map(|goal| (goal.metric, goal.op, goal.limit_us)).collect())
    }
}

/// The name of a turn in scopes; `none` for what is no turn of a conversation.
pub fn turn_name(turn: Turn) -> &'static str {
    match turn {
        Turn::First => "first",
        Turn::Later => "later",
        Turn::NotATurn => "none",
    }
}

impl Limits {
    /// Whether a request is good. A time that it does not have (`ttft` of a blocking request) cannot miss; of the gaps
    /// between chunks the longest counts.
    pub fn met(&self, sample: &Sample) -> bool {
        if sample.outcome.is_err() {
            return false;
        }
        self.0.iter().all(|(metric, op, limit)| {
            let value = match metric {
                Metric::Icl => sample.gaps_us.iter().copied().max(),
                metric => sample.times().iter().find(|(m, _)| m == metric).and_then(|(_, value)| *value),
            };
            value.is_none_or(|value| op.holds(value as f64, *limit))
        })
    }
}

impl Op {
    /// Whether a value stands as wanted to the limit.
    pub fn holds(self, value: f64, limit: f64) -> bool {
        match self {
            Op::Less => value < limit,
            Op::AtMost => value <= limit,
            Op::More => value > limit,
            Op::AtLeast => value >= limit,
        }
    }
}
