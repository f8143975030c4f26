//! Which scenario an arrival is: by the shares, as a pure function of seed and number.

use super::random::random;
use std::sync::Arc;

/// Longest round of shares.
const LONGEST_ROUND: i64 = 100_000;

/// Deals scenarios by their shares.
///
/// Arrivals are dealt in rounds in which every scenario stands as often as its share says, so any number of whole rounds
/// holds the shares exactly. Within a round they are spread evenly, and each round begins at another place, drawn by the
/// seed: else two shards would split two equal scenarios into one each.
#[derive(Clone, Debug)]
pub(super) struct Mix {
    round: Arc<[u32]>,
    /// Places of each scenario in the round, ascending.
    places: Arc<[Vec<u64>]>,
    seed: u64,
}

impl Mix {
    /// `None` without scenarios, or where the shares have no round of bearable length.
    pub(super) fn new(weights: &[u32], seed: u64) -> Option<Mix> {
        let round = round(weights)?;
        let mut places = vec![Vec::new(); weights.len()];
        for (place, job) in (0..).zip(&round) {
            places.get_mut(*job as usize)?.push(place);
        }
        Some(Mix { round: round.into(), places: places.into(), seed: seed ^ 0x6d69_7800 })
    }

    /// Index of the scenario of an arrival.
    pub(super) fn of(&self, arrival: u64) -> usize {
        let (_, place, from) = self.spot(arrival);
        let length = self.round.len() as u64;
        self.round.get(((place + from) % length) as usize).map_or(0, |job| *job as usize)
    }

    /// How many arrivals of the same scenario come before this one.
    pub(super) fn nth(&self, arrival: u64) -> u64 {
        let (number, place, from) = self.spot(arrival);
        let length = self.round.len() as u64;
        let Some(places) = self.places.get(self.of(arrival)) else { return 0 };
        let before = |place: u64| places.partition_point(|p| *p < place) as u64;
        let (in_round, end) = (places.len() as u64, place + from);
        let so_far = if end < length { before(end) } else { in_round + before(end - length) };
        number * in_round + so_far - before(from)
    }

    /// Number of the round, place in it as dealt, and where this round begins.
    fn spot(&self, arrival: u64) -> (u64, u64, u64) {
        let length = self.round.len() as u64;
        let (number, place) = (arrival / length, arrival % length);
        (number, place, if length == 1 { 0 } else { random(self.seed, number) % length })
    }
}

/// One round: smooth weighted round robin (nginx) over the shares in lowest terms. A share of 0 counts as 1.
fn round(weights: &[u32]) -> Option<Vec<u32>> {
    let weights: Vec<i64> = weights.iter().map(|w| i64::from((*w).max(1))).collect();
    let divisor = weights.iter().copied().fold(0, gcd).max(1);
    let weights: Vec<i64> = weights.iter().map(|w| w / divisor).collect();
    let total: i64 = weights.iter().sum();
    if total == 0 || total > LONGEST_ROUND {
        return None;
    }
    let mut credit = vec![0_i64; weights.len()];
    let mut round = Vec::new();
    for _ in 0..total {
        credit.iter_mut().zip(&weights).for_each(|(credit, weight)| *credit += weight);
        // The first of the highest, so that the order is the same everywhere.
        let (job, credit) = credit.iter_mut().enumerate().rev().max_by_key(|(_, credit)| **credit)?;
        *credit -= total;
        round.push(job as u32);
    }
    Some(round)
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
    fn a_round_holds_the_shares_in_lowest_terms_spread_evenly() {
        assert_eq!(round(&[1, 1, 1]).unwrap(), [0, 1, 2]);
        assert_eq!(round(&[30, 10]).unwrap(), [0, 0, 1, 0]);
        assert_eq!(round(&[0, 2]).unwrap(), [1, 0, 1]);
        assert_eq!(round(&[70, 30]).unwrap().iter().filter(|job| **job == 0).count(), 7);
        assert_eq!((round(&[]), round(&[u32::MAX, 1])), (None, None));
    }

    #[test]
    fn whole_rounds_hold_the_shares_exactly_and_begin_at_different_places() {
        let mix = Mix::new(&[70, 30], 1).unwrap();
        let rounds: Vec<Vec<usize>> = (0..50).map(|r| (r * 10..r * 10 + 10).map(|i| mix.of(i)).collect()).collect();
        assert!(rounds.iter().all(|round| round.iter().filter(|job| **job == 0).count() == 7));
        assert!(rounds.iter().any(|round| round != &rounds[0]));
    }

    #[test]
    fn arrivals_of_a_scenario_are_numbered_without_gaps() {
        for weights in [&[1][..], &[70, 30], &[3, 1, 2]] {
            let mix = Mix::new(weights, 9).unwrap();
            let mut seen = vec![0; weights.len()];
            for arrival in 0..500 {
                let job = mix.of(arrival);
                assert_eq!(mix.nth(arrival), seen[job], "{weights:?}, arrival {arrival}");
                seen[job] += 1;
            }
        }
    }

    #[test]
    fn every_shard_gets_every_scenario() {
        let mix = Mix::new(&[1, 1], 1).unwrap();
        for shard in 0..2 {
            let second = (0..1000).filter(|i| i % 2 == shard).filter(|i| mix.of(*i) == 1).count();
            assert!((150..350).contains(&second), "shard {shard}: {second} of 500");
        }
    }
}
