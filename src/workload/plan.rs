//! The plan of a load: what a load file, or flags, ask for.

use crate::metrics::Slo;
use std::time::Duration;

/// A load, as a load file or flags describe it.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    /// Dotted lower-case id, e.g. `evening-peak`; names the folder of results.
    pub id: String,
    /// The load file; empty where only flags were given.
    pub file: String,
    /// Seed of the schedule and of all data; `None` takes a new one.
    pub seed: Option<u64>,
    /// What is run, and in which proportion; at least one.
    pub scenarios: Vec<Share>,
    /// When scenarios begin.
    pub arrivals: Arrivals,
    /// What the server must hold; a miss is exit 5.
    pub slos: Vec<Slo>,
    /// What the generator itself must hold for the numbers to count; a miss is exit 4.
    pub validity: Vec<Slo>,
    /// Ends the run early.
    pub stop_when: Vec<StopWhen>,
    /// Ends the run when this much is used up.
    pub budget: Budget,
    /// No scenario begins after this many generation requests.
    pub requests: Option<u64>,
    /// How long scenarios that are under way at the end of the schedule may go on.
    pub drain: Duration,
    /// Whether users think between their steps, as the scenarios say.
    pub think: bool,
}

/// One scenario of a load.
#[derive(Clone, Debug, PartialEq)]
pub struct Share {
    /// Scenario id, or the path of a file, as written.
    pub scenario: String,
    /// Its share, relative to the others; at least 1.
    pub weight: u32,
    /// Line and column in the load file, from 1; `None` for flags.
    pub at: Option<(usize, usize)>,
}

/// When scenarios begin.
#[derive(Clone, Debug, PartialEq)]
pub enum Arrivals {
    /// By a schedule that does not wait for answers. An arrival is one whole scenario: a conversation, not a request.
    Open {
        /// How arrivals lie within a stage.
        process: Process,
        /// Arrivals per second, stage by stage.
        stages: Vec<Stage>,
        /// Scenarios under way at the same time; an arrival that finds none free is dropped and counted.
        max_in_flight: usize,
    },
    /// At recorded times.
    Replay {
        /// Offsets from the start in microseconds, ascending.
        at_us: Vec<u64>,
        /// As of `Open`.
        max_in_flight: usize,
    },
    /// By virtual users, each beginning the next scenario when one is done.
    Closed {
        /// Users, stage by stage. Fractions are rounded.
        stages: Vec<Stage>,
        /// Scenarios per user; `None` leaves the end to the stages.
        iterations: Option<u32>,
    },
}

impl Workload {
    /// The limits of one shard: its part of those of the whole load.
    pub fn limited_to(mut self, shard: Shard) -> Workload {
        self.requests = self.requests.map(|most| shard.part(most));
        self.budget.tokens = self.budget.tokens.map(|most| shard.part(most));
        self.budget.cost.iter_mut().for_each(|(_, most)| *most = shard.part(*most));
        self
    }
}

impl Arrivals {
    /// Labels of the stages; of a replay `replay`.
    pub fn labels(&self) -> Vec<&str> {
        match self {
            Arrivals::Open { stages, .. } | Arrivals::Closed { stages, .. } => {
                stages.iter().map(|stage| stage.label.as_str()).collect()
            }
            Arrivals::Replay { .. } => vec!["replay"],
        }
    }

    /// `open`, `replay` or `closed`.
    pub fn model(&self) -> &'static str {
        match self {
            Arrivals::Open { .. } => "open",
            Arrivals::Replay { .. } => "replay",
            Arrivals::Closed { .. } => "closed",
        }
    }
}

/// How arrivals lie within a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Process {
    /// Evenly, by the area under the rate.
    Constant,
    /// With exponential gaps: users who know nothing of each other.
    Poisson,
}

/// A part of a load with one label. Its level moves in a straight line from `from` to `to`.
#[derive(Clone, Debug, PartialEq)]
pub struct Stage {
    /// Name in reports.
    pub label: String,
    /// Level at its begin: arrivals per second, or users.
    pub from: f64,
    /// Level at its end.
    pub to: f64,
    /// Length; `Duration::MAX` for a closed load that ends by its iterations.
    pub length: Duration,
    /// Whether its requests enter the results; a warm-up does not.
    pub measure: bool,
}

/// Ends a run early: the failed share of generation requests is above `over` for a whole window.
#[derive(Clone, Debug, PartialEq)]
pub struct StopWhen {
    /// Share of failed requests, 0 to 1.
    pub over: f64,
    /// Length of the sliding window.
    pub window: Duration,
}

/// What a run may use up; reaching any limit ends it in good order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Budget {
    /// Completion tokens.
    pub tokens: Option<u64>,
    /// Price per currency, in units of 1e-9 of it.
    pub cost: Vec<(String, u64)>,
}

/// One of `count` processes that share a schedule: it takes the arrivals whose number leaves `index` when divided by `count`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct Shard {
    /// From 0.
    pub index: u32,
    /// At least 1.
    pub count: u32,
}

impl Shard {
    /// The whole schedule.
    pub const WHOLE: Shard = Shard { index: 0, count: 1 };

    /// The number over all shards of this shard's `n`th thing.
    pub fn nth(self, n: u64) -> u64 {
        n.saturating_mul(u64::from(self.count.max(1))).saturating_add(u64::from(self.index))
    }

    /// This shard's part of a number of things: all parts together are the whole.
    pub fn part(self, whole: u64) -> u64 {
        let (index, count) = (u64::from(self.index), u64::from(self.count.max(1)));
        whole / count + u64::from(index < whole % count)
    }

    /// Whether an arrival is this shard's.
    pub fn takes(self, arrival: u64) -> bool {
        arrival % u64::from(self.count.max(1)) == u64::from(self.index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_and_the_numbers_of_all_shards_are_those_of_the_whole() {
        for count in [1, 2, 3, 7] {
            let shards: Vec<Shard> = (0..count).map(|index| Shard { index, count }).collect();
            for whole in [0, 1, 5, 12, 100] {
                let numbers = shards.iter().flat_map(|shard| (0..shard.part(whole)).map(|n| shard.nth(n)));
                let mut numbers: Vec<u64> = numbers.collect();
                numbers.sort_unstable();
                assert_eq!(numbers, (0..whole).collect::<Vec<_>>(), "{whole} in {count} shards");
                assert!(shards.iter().all(|s| (0..s.part(whole)).all(|n| s.takes(s.nth(n)))));
            }
        }
    }
}
