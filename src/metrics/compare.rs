//! Two runs beside each other: what differs, by how much, and whether that can be chance.

use super::bootstrap::{Blocks, Draws, draw_counts, draw_times, supported};
use super::summary::{GroupResult, LoadSummary};
use super::{Cell, Cells, Metric};
use serde::{Deserialize, Serialize};

/// One of two runs.
#[derive(Clone, Copy, Debug)]
pub struct Measured<'a> {
    /// Its name, for people.
    pub name: &'a str,
    /// Its summary.
    pub summary: &'a LoadSummary,
    /// Its cells.
    pub cells: &'a Cells,
    /// Its time, cut into blocks.
    pub blocks: &'a Blocks,
}

/// What counts as a difference.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CompareOptions {
    /// A difference below this share of A's value does not matter.
    pub relative: f64,
    /// A difference of times below this does not matter, in microseconds.
    pub absolute_us: f64,
    /// Draws of the bootstrap.
    pub draws: usize,
    /// Seed of the draws.
    pub seed: u64,
}

impl Default for CompareOptions {
    fn default() -> CompareOptions {
        CompareOptions { relative: 0.05, absolute_us: 1_000.0, draws: 1_000, seed: 1 }
    }
}

/// A failed share that differs by less does not matter.
const SHARE: f64 = 0.005;
/// Metrics that are compared, those of the server as the client sees it.
const COMPARED: [Metric; 8] = [
    Metric::Ttfb,
    Metric::Ttfe,
    Metric::Ttft,
    Metric::Icl,
    Metric::Tpot,
    Metric::E2e,
    Metric::E2eSched,
    Metric::Iteration,
];
const QUANTILES: [(&str, f64); 4] = [("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99)];

/// What became of a comparison.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// The interval lies within what does not matter.
    Same,
    /// B is better: by more than matters, and not by chance.
    Faster,
    /// B is worse: by more than matters, and not by chance.
    Slower,
    /// Nothing can be said: too few data, or too noisy.
    #[default]
    Inconclusive,
}

/// One number in both runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Difference {
    /// `p50`, `mean`, `failed` ...
    pub statistic: String,
    /// In A.
    pub a: f64,
    /// In B.
    pub b: f64,
    /// `b - a`.
    pub difference: f64,
    /// `difference / a`; `None` where A is zero.
    pub relative: Option<f64>,
    /// 95 % interval of `difference`; `None` where there are too few data.
    pub interval: Option<[f64; 2]>,
    /// A smaller difference does not matter.
    pub matters_from: f64,
    /// What became of it.
    pub change: Change,
}

/// A metric in both runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct MetricComparison {
    /// Metric name; `rates` and `failures` besides the latencies.
    pub metric: String,
    /// Scenario id; `None` for all.
    pub scenario: Option<String>,
    /// `us`, `/s` or `share`.
    pub unit: String,
    /// Samples in A and B.
    pub n: [u64; 2],
    /// Its statistics.
    pub differences: Vec<Difference>,
    /// Slower where any statistic is, else faster where any is, else inconclusive where any is, else same.
    pub change: Change,
    /// The same in words.
    pub words: String,
}

/// Two runs beside each other.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Comparison {
    /// Name of A, the reference.
    pub a: String,
    /// Name of B.
    pub b: String,
    /// What makes the two hard to compare.
    pub notes: Vec<String>,
    /// All metrics: of the whole, then by scenario.
    pub metrics: Vec<MetricComparison>,
    /// That of the metrics of the whole, taken together as of a metric's statistics.
    pub change: Change,
    /// The same in words.
    pub words: String,
}

/// Compares run B with run A.
pub fn compare(a: Measured, b: Measured, options: &CompareOptions) -> Comparison {
    let mut metrics = latencies(a, b, None, options);
    metrics.extend(counts(a, b, options));
    let change = overall(metrics.iter().map(|m| m.change));
    let named: Vec<String> = scenarios(a.cells).into_iter().filter(|s| scenarios(b.cells).contains(s)).collect();
    if named.len() > 1 {
        for scenario in &named {
            metrics.extend(latencies(a, b, Some(scenario), options));
        }
    }
    let words = summary_words(change, &metrics, b.name, a.name);
    Comparison { a: a.name.to_owned(), b: b.name.to_owned(), notes: notes(a, b), metrics, change, words }
}

fn scenarios(cells: &Cells) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for (key, _) in cells.iter() {
        if !names.iter().any(|known| known == key.scenario) {
            names.push(key.scenario.to_owned());
        }
    }
    names
}

/// Slower anywhere is slower; without any difference, all must be known to say "same".
fn overall(changes: impl Iterator<Item = Change>) -> Change {
    let changes: Vec<Change> = changes.collect();
    let any = |wanted| changes.contains(&wanted);
    match () {
        () if any(Change::Slower) => Change::Slower,
        () if any(Change::Faster) => Change::Faster,
        () if any(Change::Inconclusive) || changes.is_empty() => Change::Inconclusive,
        () => Change::Same,
    }
}

fn measured(run: Measured, scenario: Option<&str>) -> Cell {
    let stages = &run.summary.stages;
    let counts = |stage: Option<usize>| stage.and_then(|at| stages.get(at)).is_some_and(|stage| stage.measure);
    run.cells.sum(|key| counts(key.stage) && scenario.is_none_or(|wanted| wanted == key.scenario))
}

fn latencies(a: Measured, b: Measured, scenario: Option<&str>, options: &CompareOptions) -> Vec<MetricComparison> {
    let (cell_a, cell_b) = (measured(a, scenario), measured(b, scenario));
    let planned = a.summary.run.model != "closed" && b.summary.run.model != "closed";
    let mut found = Vec::new();
    for metric in COMPARED {
        // In a closed load nothing is planned that could be missed.
        if metric == Metric::E2eSched && !planned {
            continue;
        }
        let (Some(times_a), Some(times_b)) = (cell_a.times.get(metric), cell_b.times.get(metric)) else { continue };
        let kept = |(_, q): &&(&str, f64)| supported(&cell_a, metric, *q) && supported(&cell_b, metric, *q);
        let statistics: Vec<(&str, f64)> = QUANTILES.iter().filter(kept).copied().collect();
        let quantiles: Vec<f64> = statistics.iter().map(|(_, q)| *q).collect();
        let budget = (options.draws, options.seed ^ metric as u64);
        let draws = draw_times((a.blocks, b.blocks), scenario.unwrap_or(""), metric, &quantiles, budget);
        let values =
            statistics.iter().map(|(name, q)| (*name, times_a.quantile(*q) as f64, times_b.quantile(*q) as f64));
        let means = (times_a.mean().unwrap_or(0.0), times_b.mean().unwrap_or(0.0));
        let limit = |a: f64| (a * options.relative).max(options.absolute_us);
        let differences: Vec<Difference> = values
            .chain([("mean", means.0, means.1)])
            .enumerate()
            .map(|(at, (name, a, b))| difference(name, (a, b), limit(a), &draws, at, true))
            .collect();
        found.push(finished(metric.as_str(), scenario, "us", [times_a.n(), times_b.n()], differences));
    }
    found
}

/// Rates and the failed share of the whole.
fn counts(a: Measured, b: Measured, options: &CompareOptions) -> Vec<MetricComparison> {
    let (Some(whole_a), Some(whole_b)) = (a.summary.groups.first(), b.summary.groups.first()) else {
        return Vec::new();
    };
    let n = [whole_a.requests, whole_b.requests];
    let (blocks, budget) = ((a.blocks, b.blocks), (options.draws, options.seed));
    let per_s = |of: fn(&super::bootstrap::Block) -> u64| {
        draw_counts(blocks, budget, move |block| (of(block) as f64, f64::from(block.seconds)))
    };
    let relative = |a: f64| (a * options.relative).max(f64::MIN_POSITIVE);
    let mut rates = Vec::new();
    let mut rate = |name: &str, of: fn(&GroupResult) -> f64, draws: Option<Draws>| {
        let (a, b) = (of(whole_a), of(whole_b));
        if a > 0.0 || b > 0.0 {
            rates.push(difference(name, (a, b), relative(a), &draws, 0, false));
        }
    };
    rate("req_per_s", |g| g.req_per_s, per_s(|block| block.ok));
    rate("output_tps", |g| g.output_tps, per_s(|block| block.tokens));
    let failed = |g: &GroupResult| if g.requests > 0 { g.failed() as f64 / g.requests as f64 } else { 0.0 };
    let draws = draw_counts(blocks, budget, |block| (block.failed as f64, (block.ok + block.failed) as f64));
    let shares = (failed(whole_a), failed(whole_b));
    let limit = (shares.0 * options.relative).max(SHARE);
    let failures = difference("failed", shares, limit, &draws, 0, true);
    vec![finished("rates", None, "/s", n, rates), finished("failures", None, "share", n, vec![failures])]
}

fn difference(
    name: &str,
    (a, b): (f64, f64),
    matters_from: f64,
    draws: &Option<Draws>,
    at: usize,
    less_is_better: bool,
) -> Difference {
    let difference = b - a;
    let interval = draws.as_ref().and_then(|draws| draws.interval(at, difference));
    let change = match interval {
        None => Change::Inconclusive,
        Some([low, high]) if -matters_from < low && high < matters_from => Change::Same,
        Some([low, high]) if difference.abs() >= matters_from && (low > 0.0 || high < 0.0) => {
            if (difference < 0.0) == less_is_better { Change::Faster } else { Change::Slower }
        }
        Some(_) => Change::Inconclusive,
    };
    let relative = (a != 0.0).then(|| difference / a);
    Difference { statistic: name.to_owned(), a, b, difference, relative, interval, matters_from, change }
}

fn finished(
    metric: &str,
    scenario: Option<&str>,
    unit: &str,
    n: [u64; 2],
    differences: Vec<Difference>,
) -> MetricComparison {
    let change = overall(differences.iter().map(|d| d.change));
    let words = words(metric, change, &differences);
    let scenario = scenario.map(str::to_owned);
    MetricComparison { metric: metric.to_owned(), scenario, unit: unit.to_owned(), n, differences, change, words }
}

fn words(metric: &str, change: Change, differences: &[Difference]) -> String {
    let of = |wanted: Change| {
        let named = differences.iter().filter(|d| d.change == wanted);
        let text = |d: &Difference| match d.relative {
            Some(relative) => format!("{} {:+.1} %", d.statistic, relative * 100.0),
            None => format!("{} from 0", d.statistic),
        };
        named.map(text).collect::<Vec<_>>().join(", ")
    };
    let (better, worse) = match metric {
        "failures" => ("fewer failures", "more failures"),
        "rates" => ("higher", "lower"),
        _ => ("faster", "slower"),
    };
    let (fast, slow) = (of(Change::Faster), of(Change::Slower));
    match change {
        Change::Slower if !fast.is_empty() => format!("{worse}: {slow}; but {better}: {fast}"),
        Change::Slower => format!("{worse}: {slow}"),
        Change::Faster => format!("{better}: {fast}"),
        Change::Same => "same".to_owned(),
        Change::Inconclusive if differences.iter().all(|d| d.interval.is_none()) => {
            "inconclusive: too few data for an interval".to_owned()
        }
        Change::Inconclusive => format!("inconclusive: {} too noisy", of_names(differences)),
    }
}

fn of_names(differences: &[Difference]) -> String {
    let named = differences.iter().filter(|d| d.change == Change::Inconclusive);
    named.map(|d| d.statistic.as_str()).collect::<Vec<_>>().join(", ")
}

fn summary_words(change: Change, metrics: &[MetricComparison], b: &str, a: &str) -> String {
    let whole = metrics.iter().filter(|m| m.scenario.is_none());
    let named: Vec<&str> = whole.filter(|m| m.change == change).map(|m| m.metric.as_str()).collect();
    let named = named.join(", ");
    match change {
        Change::Same => format!("{b} and {a} do not differ by more than matters"),
        Change::Faster => format!("{b} is better than {a} in {named}"),
        Change::Slower => format!("{b} is worse than {a} in {named}"),
        Change::Inconclusive => {
            format!("no difference between {b} and {a} is proven, but {named} may differ: run longer")
        }
    }
}

fn notes(a: Measured, b: Measured) -> Vec<String> {
    let mut notes = Vec::new();
    if a.summary.run.config_hash != b.summary.run.config_hash {
        notes.push("the two loads are not the same (scenarios, shares, arrivals or seed differ)".to_owned());
    }
    if a.summary.run.model != b.summary.run.model {
        let (a, b) = (&a.summary.run.model, &b.summary.run.model);
        notes.push(format!(
            "the load models differ ({a} and {b}): latencies of a closed load leave out what was never sent"
        ));
    }
    for run in [a, b] {
        let missed = |v: &&super::summary::SloResult| v.state != super::summary::SloState::Met && !v.advisory;
        if let Some(first) = run.summary.validity.iter().find(missed) {
            notes.push(format!("{} was limited by its own generator ({})", run.name, first.text));
        }
        if let Some(why) = &run.summary.ended_early {
            notes.push(format!("{} ended early ({why})", run.name));
        }
        let (blocks, least) = (run.blocks.len(), super::bootstrap::MIN_BLOCKS);
        if blocks < least {
            notes.push(format!("{} is too short for intervals: {blocks} blocks of time, {least} are needed", run.name));
        }
    }
    notes
}

#[cfg(test)]
#[path = "compare_tests.rs"]
mod tests;
