//! Histograms and counters of a run, keyed by metric, group and turn.

use super::{FailureClass, LatencyRow, Metric, Sample, Turn, ci95};
use hdrhistogram::Histogram;
use std::collections::BTreeMap;

/// Shortest time that is told apart, in microseconds.
pub const LOWEST_US: u64 = 1;
/// Longest time that is told apart (1 h); longer ones are recorded as this.
pub const HIGHEST_US: u64 = 3_600_000_000;
/// Samples from which the 99.9th percentile is shown: ten lie above it.
pub const P999_MIN_N: u64 = 10_000;

/// Which turns a line of a table covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TurnFilter {
    /// Everything, completions and workflow runs too.
    All,
    /// First turns of conversations.
    First,
    /// Later turns.
    Later,
}

impl TurnFilter {
    /// `all`, `first` or `later`.
    pub fn as_str(self) -> &'static str {
        match self {
            TurnFilter::All => "all",
            TurnFilter::First => "first",
            TurnFilter::Later => "later",
        }
    }
}

/// Counters of one group; every request is either `ok` or in `failures`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Totals {
    /// Generation requests.
    pub requests: u64,
    /// Those that finished correctly.
    pub ok: u64,
    /// Failed ones by class.
    pub failures: BTreeMap<FailureClass, u64>,
    /// SSE events but pings, also of failed requests.
    pub events: u64,
    /// Pings.
    pub pings: u64,
    /// `completion_tokens` of correct answers.
    pub completion_tokens: u64,
    /// `total_price` of correct answers by currency, in units of 1e-9.
    pub cost: BTreeMap<String, u64>,
}

impl Totals {
    /// Failed requests of all classes.
    pub fn failed(&self) -> u64 {
        self.failures.values().sum()
    }

    fn add(&mut self, other: &Totals) {
        self.requests += other.requests;
        self.ok += other.ok;
        self.events += other.events;
        self.pings += other.pings;
        self.completion_tokens = self.completion_tokens.saturating_add(other.completion_tokens);
        for (class, n) in &other.failures {
            *self.failures.entry(*class).or_default() += n;
        }
        for (currency, price) in &other.cost {
            let sum = self.cost.entry(currency.clone()).or_default();
            *sum = sum.saturating_add(*price);
        }
    }
}

const TURNS: [Turn; 3] = [Turn::First, Turn::Later, Turn::NotATurn];

/// A histogram and the exact largest sample (the histogram only knows it to 3 digits).
#[derive(Clone)]
struct Series {
    histogram: Histogram<u64>,
    max_us: u64,
}

#[derive(Clone, Default)]
struct Group {
    totals: Totals,
    failed_by_turn: [u64; 3],
    series: Vec<Option<Box<Series>>>,
}

/// Collects samples. Merging recorders is exact and may happen in any order.
#[derive(Clone, Default)]
pub struct Recorder {
    groups: BTreeMap<String, Group>,
}

/// An empty histogram of times: 3 significant digits, growing on demand to [`HIGHEST_US`].
fn histogram() -> Histogram<u64> {
    let mut histogram = match Histogram::new_with_bounds(LOWEST_US, 2 * LOWEST_US, 3) {
        Ok(histogram) => histogram,
        // These bounds are legal by the crate's documentation (high >= 2 low, 3 digits); a recorder that cannot
        // record would be a fault of the build, not of any input.
        Err(error) => unreachable!("constant histogram bounds: {error}"),
    };
    histogram.auto(true);
    histogram
}

impl Series {
    fn record(&mut self, value_us: u64) {
        let value = value_us.clamp(LOWEST_US, HIGHEST_US);
        // Cannot fail: the histogram grows (saturating_record would clamp to its present size instead).
        let recorded = self.histogram.record(value);
        debug_assert!(recorded.is_ok());
        self.max_us = self.max_us.max(value);
    }

    fn add(&mut self, other: &Series) {
        // Cannot fail: both histograms may grow, and all values are within the bounds.
        let added = self.histogram.add(&other.histogram);
        debug_assert!(added.is_ok());
        self.max_us = self.max_us.max(other.max_us);
    }
}

impl Group {
    fn series(&mut self, metric: Metric, turn: Turn) -> &mut Series {
        let slot = slot(metric, turn);
        if self.series.len() <= slot {
            self.series.resize(Metric::COUNT * TURNS.len(), None);
        }
        let empty = || Box::new(Series { histogram: histogram(), max_us: 0 });
        self.series[slot].get_or_insert_with(empty)
    }

    fn get(&self, metric: Metric, turn: Turn) -> Option<&Series> {
        self.series.get(slot(metric, turn)).and_then(|s| s.as_deref())
    }

    fn count(&mut self, sample: &Sample) {
        let totals = &mut self.totals;
        totals.requests += 1;
        totals.events += sample.events;
        totals.pings += sample.pings;
        if let Err(class) = sample.outcome {
            *totals.failures.entry(class).or_default() += 1;
            self.failed_by_turn[sample.turn as usize] += 1;
            return;
        }
        totals.ok += 1;
        // Saturating: these two are whatever the server claims.
        totals.completion_tokens = totals.completion_tokens.saturating_add(sample.completion_tokens.unwrap_or(0));
        if let Some((currency, price)) = &sample.cost {
            match totals.cost.get_mut(currency) {
                Some(sum) => *sum = sum.saturating_add(*price),
                None => drop(totals.cost.insert(currency.clone(), *price)),
            }
        }
    }
}

fn slot(metric: Metric, turn: Turn) -> usize {
    metric as usize * TURNS.len() + turn as usize
}

impl Recorder {
    /// An empty recorder.
    pub fn new() -> Recorder {
        Recorder::default()
    }

    /// Counts a sample under a group; its times only when it succeeded.
    pub fn record(&mut self, group: &str, sample: &Sample) {
        // Looked up before inserted: the key is copied once per group, not once per sample.
        if !self.groups.contains_key(group) {
            self.groups.insert(group.to_owned(), Group::default());
        }
        let Some(group) = self.groups.get_mut(group) else { return };
        group.count(sample);
        if sample.outcome.is_err() {
            return;
        }
        for (metric, value) in sample.times() {
            if let Some(value) = value {
                group.series(metric, sample.turn).record(value);
            }
        }
        if !sample.gaps_us.is_empty() {
            let gaps = group.series(Metric::Icl, sample.turn);
            sample.gaps_us.iter().for_each(|gap| gaps.record(*gap));
        }
    }

    /// Adds everything another recorder holds.
    pub fn merge(&mut self, other: &Recorder) {
        for (name, theirs) in &other.groups {
            let ours = self.groups.entry(name.clone()).or_default();
            ours.totals.add(&theirs.totals);
            for turn in TURNS {
                ours.failed_by_turn[turn as usize] += theirs.failed_by_turn[turn as usize];
                for metric in Metric::ALL {
                    if let Some(series) = theirs.get(metric, turn) {
                        ours.series(metric, turn).add(series);
                    }
                }
            }
        }
    }

    /// Groups in alphabetical order, with their counters.
    pub fn groups(&self) -> impl Iterator<Item = (&str, &Totals)> {
        self.groups.iter().map(|(name, group)| (name.as_str(), &group.totals))
    }

    /// Counters over all groups.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        self.groups.values().for_each(|g| totals.add(&g.totals));
        totals
    }

    /// The histogram of one line; `None` where nothing was recorded.
    pub fn histogram(&self, metric: Metric, group: &str, turns: TurnFilter) -> Option<Histogram<u64>> {
        Some(self.line(metric, self.groups.get(group)?, turns)?.histogram)
    }

    /// The percentile when failed requests count as infinitely slow: a server that refuses quickly does not look fast.
    /// `None` where nothing was recorded or the percentile falls among the failures.
    pub fn adjusted_percentile(&self, metric: Metric, group: &str, turns: TurnFilter, quantile: f64) -> Option<u64> {
        let group = self.groups.get(group)?;
        let failed: u64 = covered(turns).iter().map(|turn| group.failed_by_turn[*turn as usize]).sum();
        let series = self.line(metric, group, turns)?;
        let n = series.histogram.len();
        let rank = (quantile.clamp(0.0, 1.0) * (n + failed) as f64).ceil().max(1.0);
        (rank <= n as f64).then(|| series.at(rank / n as f64))
    }

    /// Latency rows by metric, then group, then turn; lines without samples are left out.
    pub fn rows(&self) -> Vec<LatencyRow> {
        let mut rows = Vec::new();
        for metric in Metric::ALL {
            for (name, group) in &self.groups {
                for turns in [TurnFilter::All, TurnFilter::First, TurnFilter::Later] {
                    if let Some(series) = self.line(metric, group, turns) {
                        rows.push(series.row(metric, name, turns));
                    }
                }
            }
        }
        rows
    }

    fn line(&self, metric: Metric, group: &Group, turns: TurnFilter) -> Option<Series> {
        let mut parts = covered(turns).iter().filter_map(|turn| group.get(metric, *turn));
        let mut sum = parts.next()?.clone();
        parts.for_each(|part| sum.add(part));
        Some(sum)
    }
}

fn covered(turns: TurnFilter) -> &'static [Turn] {
    match turns {
        TurnFilter::All => &TURNS,
        TurnFilter::First => &[Turn::First],
        TurnFilter::Later => &[Turn::Later],
    }
}

impl Series {
    /// Value at a quantile; never above the largest sample, as the histogram's resolution alone would allow.
    fn at(&self, quantile: f64) -> u64 {
        self.histogram.value_at_quantile(quantile).min(self.max_us)
    }

    fn row(&self, metric: Metric, group: &str, turns: TurnFilter) -> LatencyRow {
        let n = self.histogram.len();
        let interval = |q| ci95(&self.histogram, q).map(|(low, high)| [low, high.min(self.max_us)]);
        LatencyRow {
            metric: metric.as_str().to_owned(),
            group: group.to_owned(),
            turn: turns.as_str().to_owned(),
            n,
            p50_us: self.at(0.5),
            p90_us: self.at(0.9),
            p95_us: self.at(0.95),
            p99_us: self.at(0.99),
            p999_us: (n >= P999_MIN_N).then(|| self.at(0.999)),
            max_us: self.max_us,
            p50_ci_us: interval(0.5),
            p90_ci_us: interval(0.9),
            p95_ci_us: interval(0.95),
            p99_ci_us: interval(0.99),
        }
    }
}

#[cfg(test)]
#[path = "recorder_tests.rs"]
mod tests;
