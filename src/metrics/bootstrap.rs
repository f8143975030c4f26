//! How far a difference between two runs can be chance: a block bootstrap over time.
//!
//! Requests of the same second share queues, caches and noise, so they are no independent samples: drawing single requests (or
//! from a histogram) would give intervals that are far too narrow. What is drawn here, with replacement and within each stage, is
//! blocks of consecutive seconds with everything that ended in them. Deviations of the drawn statistic are stretched for the small number
//! of blocks (Student's t and n / (n - 1)) and laid around the difference that was measured.

use super::interval::Interval;
use super::summary::LoadSummary;
use super::{Cell, Counts, Metric};
use std::collections::BTreeMap;

/// Blocks below which there is no interval.
pub const MIN_BLOCKS: usize = 8;
/// A stage with fewer blocks is drawn together with its neighbour.
const MIN_STRATUM: usize = 5;
/// Blocks that a run is cut into, as far as seconds and the longest block allow.
const BLOCKS: usize = 40;
/// Longest block in seconds.
const LONGEST: usize = 10;

/// A run cut into blocks of consecutive measured seconds.
#[derive(Clone, Debug, Default)]
pub struct Blocks {
    /// Second -> block; what ends after the last measured second is of the last block.
    of_second: BTreeMap<u32, usize>,
    blocks: Vec<Block>,
}

/// What ended within one block.
#[derive(Clone, Debug, Default)]
pub struct Block {
    stratum: u32,
    /// Seconds in it.
    pub seconds: u32,
    /// Requests that ended correctly.
    pub ok: u64,
    /// Requests that failed.
    pub failed: u64,
    /// Completion tokens.
    pub tokens: u64,
    /// Times: of all scenarios (no name), and by scenario.
    times: BTreeMap<String, super::cells::Times>,
}

impl Blocks {
    /// The blocks of a run, still without times.
    pub fn of(summary: &LoadSummary) -> Blocks {
        let measured = |t: u32| {
            let (from, to) = (f64::from(t), f64::from(t) + 1.0);
            summary.stages.iter().position(|s| s.measure && s.from_s <= from && to <= s.to_s)
        };
        let seconds: Vec<_> = summary.series.iter().filter_map(|s| Some((s, measured(s.t)?))).collect();
        let length = seconds.len().div_ceil(BLOCKS).clamp(1, LONGEST);
        let mut this = Blocks::default();
        for run in seconds.chunk_by(|(_, a), (_, b)| a == b) {
            for part in run.chunks(length) {
                // A rest that is shorter than half a block would weigh as much as a whole one.
                if part.len() * 2 < length && this.blocks.last().is_some_and(|b| Some(b.stratum) == stage_of(part)) {
                    this.extend(part.iter().map(|(second, _)| *second));
                    continue;
                }
                this.blocks.push(Block { stratum: stage_of(part).unwrap_or(0), ..Block::default() });
                this.extend(part.iter().map(|(second, _)| *second));
            }
        }
        this.join_small_strata();
        this
    }

    fn extend<'s>(&mut self, seconds: impl Iterator<Item = &'s super::summary::Second>) {
        let at = self.blocks.len().saturating_sub(1);
        let Some(block) = self.blocks.last_mut() else { return };
        for second in seconds {
            self.of_second.insert(second.t, at);
            block.seconds += 1;
            block.ok += second.ok;
            block.failed += second.failures.values().sum::<u64>();
            block.tokens = block.tokens.saturating_add(second.completion_tokens);
        }
    }

    /// Gives stages with few blocks to the one before them, the first ones to the one after.
    fn join_small_strata(&mut self) {
        let mut sizes: BTreeMap<u32, usize> = BTreeMap::new();
        self.blocks.iter().for_each(|block| *sizes.entry(block.stratum).or_default() += 1);
        let large = |stratum: &&u32| sizes.get(stratum).is_some_and(|n| *n >= MIN_STRATUM);
        let first = sizes.keys().find(large).copied();
        for block in &mut self.blocks {
            let before = sizes.range(..=block.stratum).map(|(stratum, _)| stratum).rev().find(large);
            // Without any large stage they are all drawn together.
            block.stratum = before.copied().or(first).unwrap_or(0);
        }
    }

    /// Adds the measured times of some seconds.
    pub fn add(&mut self, interval: &Interval) {
        for (second, moment) in &interval.seconds {
            // What ends after the measured time belongs to requests of its last block, what ends in a pause to the one before.
            let block = self.of_second.range(..=*second).next_back().or_else(|| self.of_second.iter().next());
            let Some(block) = block.and_then(|(_, at)| self.blocks.get_mut(*at)) else { return };
            for (scenario, times) in interval.scenarios.iter().zip(&moment.measured) {
                block.times.entry(String::new()).or_default().add(times);
                if !scenario.is_empty() {
                    block.times.entry(scenario.clone()).or_default().add(times);
                }
            }
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.blocks.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// The blocks.
    pub fn iter(&self) -> impl Iterator<Item = &Block> {
        self.blocks.iter()
    }

    /// Blocks that may be drawn for each other.
    fn strata(&self) -> Vec<Vec<usize>> {
        let mut strata: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for (at, block) in self.blocks.iter().enumerate() {
            strata.entry(block.stratum).or_default().push(at);
        }
        strata.into_values().collect()
    }

    /// Draws as many blocks as there are: how often each is taken.
    fn draw(&self, strata: &[Vec<usize>], random: &mut fastrand::Rng, times: &mut Vec<u32>) {
        times.clear();
        times.resize(self.blocks.len(), 0);
        for stratum in strata {
            for _ in stratum {
                let Some(at) = stratum.get(random.usize(0..stratum.len())) else { continue };
                if let Some(n) = times.get_mut(*at) {
                    *n += 1;
                }
            }
        }
    }

    /// The histograms of a metric, block by block, on common bins.
    fn columns(&self, scenario: &str, metric: Metric) -> Columns {
        let of = |block: &Block| -> Option<Counts> { block.times.get(scenario)?.get(metric).cloned() };
        let parts: Vec<Option<Counts>> = self.blocks.iter().map(of).collect();
        let mut whole = Counts::default();
        parts.iter().flatten().for_each(|part| whole.add(part));
        let bins: Vec<(u64, u64)> = whole.bins().map(|bin| (bin.low_us, bin.high_us)).collect();
        let place = |low: u64| bins.partition_point(|(known, _)| *known < low);
        let column = |part: &Option<Counts>| {
            part.iter().flat_map(|c| c.bins().map(|b| (place(b.low_us), b.n)).collect::<Vec<_>>()).collect()
        };
        Columns { columns: parts.iter().map(column).collect(), bins }
    }
}

fn stage_of(part: &[(&super::summary::Second, usize)]) -> Option<u32> {
    part.first().map(|(_, stage)| *stage as u32)
}

/// Histograms of blocks on common bins.
struct Columns {
    /// Lowest and highest value of each bin.
    bins: Vec<(u64, u64)>,
    /// By block: place of a bin, and samples.
    columns: Vec<Vec<(usize, u64)>>,
}

impl Columns {
    /// The statistics of the blocks that were drawn; `None` when they hold nothing.
    fn statistics(&self, drawn: &[u32], quantiles: &[f64], sum: &mut Vec<u64>) -> Option<Vec<f64>> {
        sum.clear();
        sum.resize(self.bins.len(), 0);
        for (column, times) in self.columns.iter().zip(drawn).filter(|(_, times)| **times > 0) {
            for (at, n) in column {
                if let Some(slot) = sum.get_mut(*at) {
                    *slot += n * u64::from(*times);
                }
            }
        }
        let n: u64 = sum.iter().sum();
        if n == 0 {
            return None;
        }
        let mut found = Vec::with_capacity(quantiles.len() + 1);
        let (mut seen, mut bins) = (0, sum.iter().zip(&self.bins));
        let mut value = 0.0;
        for quantile in quantiles {
            let rank = ((quantile * n as f64).ceil() as u64).max(1);
            while seen < rank {
                let Some((count, (low, high))) = bins.next() else { break };
                seen += count;
                value = (low + high) as f64 / 2.0;
            }
            found.push(value);
        }
        let middle = |(count, (low, high)): (&u64, &(u64, u64))| *count as f64 * (low + high) as f64 / 2.0;
        found.push(sum.iter().zip(&self.bins).map(middle).sum::<f64>() / n as f64);
        Some(found)
    }
}

/// Differences `b - a` of drawn runs, statistic by statistic; their spread is that of chance.
pub struct Draws {
    by_statistic: Vec<Vec<f64>>,
    stretch: f64,
}

/// Draws differences of the quantiles of a metric, and of its mean (last). `None` with fewer than [`MIN_BLOCKS`] blocks in a run.
pub fn draw_times(
    (a, b): (&Blocks, &Blocks),
    scenario: &str,
    metric: Metric,
    quantiles: &[f64],
    (draws, seed): (usize, u64),
) -> Option<Draws> {
    let (left, right) = (a.columns(scenario, metric), b.columns(scenario, metric));
    let mut sum = Vec::new();
    draw((a, b), quantiles.len() + 1, (draws, seed), |drawn_a, drawn_b| {
        let from = left.statistics(drawn_a, quantiles, &mut sum)?;
        let to = right.statistics(drawn_b, quantiles, &mut sum)?;
        Some(to.iter().zip(&from).map(|(to, from)| to - from).collect())
    })
}

/// Draws differences of a number that follows from whole blocks.
pub fn draw_counts(
    (a, b): (&Blocks, &Blocks),
    (draws, seed): (usize, u64),
    of: impl Fn(&Block) -> (f64, f64),
) -> Option<Draws> {
    let ratio = |blocks: &Blocks, drawn: &[u32]| {
        let parts = blocks.iter().zip(drawn).map(|(block, times)| (of(block), f64::from(*times)));
        let (top, bottom) = parts.fold((0.0, 0.0), |sum, ((n, d), times)| (sum.0 + n * times, sum.1 + d * times));
        (bottom > 0.0).then(|| top / bottom)
    };
    draw((a, b), 1, (draws, seed), |drawn_a, drawn_b| Some(vec![ratio(b, drawn_b)? - ratio(a, drawn_a)?]))
}

fn draw(
    (a, b): (&Blocks, &Blocks),
    statistics: usize,
    (draws, seed): (usize, u64),
    mut difference: impl FnMut(&[u32], &[u32]) -> Option<Vec<f64>>,
) -> Option<Draws> {
    if a.len().min(b.len()) < MIN_BLOCKS {
        return None;
    }
    let (strata_a, strata_b) = (a.strata(), b.strata());
    let blocks = (a.len() + b.len()) as f64;
    let freedom = blocks - (strata_a.len() + strata_b.len()) as f64;
    if freedom < MIN_BLOCKS as f64 {
        return None;
    }
    let mut random = fastrand::Rng::with_seed(seed);
    let mut by_statistic = vec![Vec::with_capacity(draws); statistics];
    let (mut drawn_a, mut drawn_b) = (Vec::new(), Vec::new());
    for _ in 0..draws {
        a.draw(&strata_a, &mut random, &mut drawn_a);
        b.draw(&strata_b, &mut random, &mut drawn_b);
        let Some(found) = difference(&drawn_a, &drawn_b) else { continue };
        by_statistic.iter_mut().zip(found).for_each(|(all, one)| all.push(one));
    }
    by_statistic.iter_mut().for_each(|all| all.sort_by(f64::total_cmp));
    let enough = by_statistic.iter().all(|all| all.len() * 10 >= draws * 9);
    enough.then(|| Draws { by_statistic, stretch: (blocks / freedom).sqrt() * student(freedom) / 1.959_964 })
}

impl Draws {
    /// The 95 % interval of a statistic around the difference that was measured.
    pub fn interval(&self, statistic: usize, measured: f64) -> Option<[f64; 2]> {
        let all = self.by_statistic.get(statistic)?;
        let at = |share: f64| all.get(((all.len() as f64 - 1.0) * share).round() as usize).copied();
        let (low, middle, high) = (at(0.025)?, at(0.5)?, at(0.975)?);
        Some([measured + (low - middle) * self.stretch, measured + (high - middle) * self.stretch])
    }
}

/// 97.5th percentile of Student's t, by the expansion around the normal distribution (good to 0.3 % from 8 degrees on).
fn student(freedom: f64) -> f64 {
    let z: f64 = 1.959_964;
    let first = (z.powi(3) + z) / 4.0;
    let second = (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / 96.0;
    z + first / freedom + second / freedom.powi(2)
}

/// The times of a cell that are compared, those with enough samples above a quantile.
pub fn supported(cell: &Cell, metric: Metric, quantile: f64) -> bool {
    let n = cell.times.get(metric).map_or(0, Counts::n) as f64;
    n * (1.0 - quantile) >= 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn student_is_that_of_the_tables() {
        for (freedom, table) in [(8.0, 2.306), (10.0, 2.228), (20.0, 2.086), (60.0, 2.000)] {
            assert!((student(freedom) / table - 1.0).abs() < 0.003, "{freedom}: {}", student(freedom));
        }
    }

    fn run(stages: &[(u32, u32)]) -> LoadSummary {
        let mut summary = LoadSummary::default();
        for (from, to) in stages {
            let (from_s, to_s) = (f64::from(*from), f64::from(*to));
            let stage = crate::metrics::summary::StageResult { from_s, to_s, measure: true, ..Default::default() };
            summary.stages.push(stage);
        }
        let second = |t| crate::metrics::summary::Second { t, ok: 1, ..Default::default() };
        summary.series = (0..stages.last().map_or(0, |(_, to)| to + 5)).map(second).collect();
        summary
    }

    fn sizes(blocks: &Blocks) -> Vec<(u32, u32)> {
        blocks.iter().map(|block| (block.stratum, block.seconds)).collect()
    }

    #[test]
    fn seconds_outside_of_measured_stages_are_in_no_block() {
        let blocks = Blocks::of(&run(&[(5, 25)]));
        assert_eq!(blocks.len(), 20);
        assert_eq!(blocks.iter().map(|block| block.ok).sum::<u64>(), 20);
    }

    #[test]
    fn a_short_rest_joins_the_block_before_it() {
        // 82 seconds in blocks of 3: 27 and one second, which is less than half a block
        let sizes = sizes(&Blocks::of(&run(&[(0, 82)])));
        assert_eq!((sizes.len(), sizes.first(), sizes.last()), (27, Some(&(0, 3)), Some(&(0, 4))));
    }

    #[test]
    fn blocks_are_drawn_within_their_stage_unless_it_is_too_short() {
        let strata = |stages: &[(u32, u32)]| Blocks::of(&run(stages)).strata().iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(strata(&[(0, 20), (20, 40)]), [20, 20]);
        assert_eq!(strata(&[(0, 20), (20, 23), (23, 40)]), [23, 17]);
        assert_eq!(strata(&[(0, 3), (3, 20), (20, 40)]), [20, 20]);
        assert_eq!(strata(&[(0, 3), (3, 6), (6, 9)]), [9]);
    }

    #[test]
    fn what_ends_late_is_of_the_last_block() {
        let mut blocks = Blocks::of(&run(&[(5, 15)]));
        let mut interval = Interval::default();
        let chat = interval.scenario("chat");
        for second in [2, 14, 17, 900] {
            interval.seconds.entry(second).or_default().times(Some(chat)).entry(Metric::E2e).record(7);
        }
        blocks.add(&interval);
        let n = |block: &Block| block.times.get("chat").and_then(|t| t.get(Metric::E2e)).map_or(0, Counts::n);
        assert_eq!(blocks.iter().map(n).collect::<Vec<_>>(), [1, 0, 0, 0, 0, 0, 0, 0, 0, 3]);
    }
}
