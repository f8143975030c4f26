//! What is to be run, and who runs what.

use super::start::{StartAt, Started};
use crate::scenario::ast::Scenario;
use crate::workload::Shard;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// One scenario on one app.
#[derive(Clone)]
pub struct Job {
    /// The scenario.
    pub scenario: Arc<Scenario>,
    /// Index of the app in the session's target.
    pub app: usize,
    /// Share of the load; 1 where all are alike, 0 is taken as 1. Without meaning for [`Shape::Once`] and for arrivals,
    /// which name their job.
    pub weight: u32,
}

/// How much, how long.
pub enum Shape {
    /// Every job once, by a virtual user of its own.
    Once {
        /// Jobs under way at the same time; 0 means all.
        at_once: usize,
    },
    /// A load by a schedule.
    Load(Load),
}

/// A load by a schedule. Time 0 is its start.
pub struct Load {
    /// What begins scenarios.
    pub model: Model,
    /// After this no scenario begins; `None` leaves the end to the model, the tokens or the session's stop.
    pub length: Option<Duration>,
    /// Ends of the stages, ascending, for counting what a closed load began in each. Arrivals name their stage.
    pub stages: Vec<Duration>,
    /// When time 0 is.
    pub start: StartAt,
    /// Told when time 0 is known, before anything is sent.
    pub started: Started,
    /// Ends the load in good order: no scenario begins any more, those under way have the plan's grace.
    pub no_more: CancellationToken,
}

/// What begins scenarios.
pub enum Model {
    /// Arrivals that wait for nobody.
    Open {
        /// In order of time.
        arrivals: Box<dyn Iterator<Item = Arrival> + Send>,
        /// Scenarios under way at the same time; an arrival that finds this many is dropped and counted, never sent late.
        max_in_flight: usize,
    },
    /// Users, each beginning the next scenario when one is done.
    Closed {
        /// Users that may run at a time in microseconds since the start. One too many finishes its scenario first.
        users_at: Arc<dyn Fn(u64) -> usize + Send + Sync>,
        /// The most that `users_at` ever gives.
        most: usize,
        /// Scenarios that each user runs.
        iterations: Option<u32>,
        /// Whose users they are: their numbers and tickets are those that are this shard's, so that no two shards use the same.
        shard: Shard,
    },
}

/// A scenario that is to begin at a given time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Its number over all shards, from 0: its data, seeds and end user follow from it, whoever sends it.
    pub index: u64,
    /// Planned time in microseconds since the start of the schedule.
    pub at_us: u64,
    /// Its stage.
    pub stage: usize,
    /// Index of its job in the plan.
    pub job: usize,
    /// Picks data rows.
    pub ticket: u64,
}

/// What is to be run.
pub struct Plan {
    /// The jobs; at least one.
    pub jobs: Vec<Job>,
    /// How much, how long.
    pub shape: Shape,
    /// How long scenarios that are under way may go on when the duration is over.
    pub grace: Duration,
}

/// One round of job indexes in which every job stands as often as its weight says, spread evenly (smooth weighted round
/// robin). The `n`th scenario of a load is `schedule[n % len]`, so weights hold from the first few scenarios on, also with
/// fewer virtual users than jobs.
pub fn schedule(weights: &[u32]) -> Vec<usize> {
    let weights: Vec<i64> = weights.iter().map(|w| i64::from((*w).max(1))).collect();
    let divisor = weights.iter().copied().fold(0, gcd).max(1);
    let weights: Vec<i64> = weights.iter().map(|w| w / divisor).collect();
    let total: i64 = weights.iter().sum();
    let mut credit = vec![0_i64; weights.len()];
    let mut round = Vec::new();
    for _ in 0..total {
        credit.iter_mut().zip(&weights).for_each(|(credit, weight)| *credit += weight);
        // The first of the highest, so that the order is the same everywhere.
        let next = credit.iter().enumerate().rev().max_by_key(|(_, credit)| **credit).map(|(job, _)| job);
        if let Some(job) = next
            && let Some(credit) = credit.get_mut(job)
        {
            *credit -= total;
            round.push(job);
        }
    }
    round
}

fn gcd(a: i64, b: i64) -> i64 {
    match b {
        0 => a,
        _ => gcd(b, a % b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_holds_the_weights_spread_evenly() {
        assert_eq!(schedule(&[1, 1, 1]), [0, 1, 2]);
        assert_eq!(schedule(&[70, 30]).iter().filter(|job| **job == 0).count(), 7);
        assert_eq!(schedule(&[3, 1]), [0, 0, 1, 0]);
        assert_eq!(schedule(&[0, 2]), [1, 0, 1]);
        assert_eq!(schedule(&[]), [] as [usize; 0]);
    }
}
