//! What a load measured -> its summary.

use super::cells::by_name;
use super::curve::{curve, distribution};
use super::evaluate::{Facts, clip, evaluate, remedy};
use super::goodput::turn_name;
use super::interval::{Timeline, primary};
use super::load_recorder::StageCounts;
use super::summary::{
    ClientHealth, GroupResult, JudgedCounts, LOAD_SCHEMA, LoadSummary, RunIdentity, Second, SloResult, SloState,
    StageResult,
};
use super::{Cell, Cells, Metric, Slo, StageWindow, Turn, stage_at};
use std::collections::BTreeMap;

/// Seconds in a row over which the generator's own CPU is looked at.
const CPU_WINDOW: usize = 10;
/// Metrics that are drawn.
const DRAWN: [Metric; 4] = [Metric::Ttft, Metric::Icl, Metric::E2e, Metric::E2eSched];

/// Everything that a summary is made of.
#[derive(Clone, Debug)]
pub struct LoadParts<'a> {
    /// What repeats the run. `model` decides which latency is the main one.
    pub identity: RunIdentity,
    /// Wall clock of the start of the schedule, microseconds since the Unix epoch.
    pub started_unix_us: u64,
    /// When the last scenario was over, or cut, since the start of the schedule.
    pub elapsed_us: u64,
    /// When the last scenario could have begun: the end of the schedule, or of the run where it ended before.
    pub ended_us: u64,
    /// Why the run ended before its schedule did.
    pub ended_early: Option<String>,
    /// It was a condition about failures.
    pub stopped: bool,
    /// The stages as planned.
    pub stages: &'a [StageWindow],
    /// Arrivals by stage.
    pub arrivals: &'a [StageCounts],
    /// What was recorded.
    pub cells: &'a Cells,
    /// Its seconds, with the state of the generator.
    pub timeline: &'a Timeline,
    /// Objectives.
    pub objectives: &'a [Slo],
    /// Place of the objective that ended the run.
    pub aborted: Option<usize>,
    /// What the generator had to hold.
    pub conditions: &'a [Slo],
    /// What is known of the generator: cores, CPU seconds, limits, ports, unfinished scenarios, panics. What follows from the
    /// recorded data is filled in here.
    pub client: ClientHealth,
    /// How much was judged.
    pub judged: JudgedCounts,
}

/// Makes the summary.
pub fn summarise(parts: LoadParts) -> LoadSummary {
    let stages = clip(parts.stages, parts.ended_us);
    let open = parts.identity.model != "closed";
    let series = series(&parts, &stages);
    let whole = whole(parts.cells, &stages);
    let client = health(&parts, &series, &stages, &whole);
    let facts = Facts { cells: parts.cells, stages: &stages, arrivals: parts.arrivals, client: &client };
    LoadSummary {
        schema: LOAD_SCHEMA.to_owned(),
        started_unix_us: parts.started_unix_us,
        elapsed_s: parts.elapsed_us as f64 / 1e6,
        measured_s: length_s(&stages, |stage| stage.measure),
        ended_early: parts.ended_early.clone(),
        stopped: parts.stopped,
        stages: stage_results(&stages, parts.arrivals),
        groups: groups(parts.cells, &stages, &whole, primary(open)),
        slos: evaluate(parts.objectives, &facts, parts.aborted),
        validity: validity(parts.conditions, &facts),
        curves: of_metrics(&whole, curve),
        distributions: of_metrics(&whole, distribution),
        judged: parts.judged,
        objectives: parts.objectives.to_vec(),
        conditions: parts.conditions.to_vec(),
        client,
        series,
        run: parts.identity,
    }
}

fn of_metrics<T>(whole: &Cell, draw: fn(&super::Counts) -> Vec<T>) -> BTreeMap<String, Vec<T>> {
    let with = DRAWN.iter().filter_map(|metric| Some((*metric, whole.times.get(*metric)?)));
    with.map(|(metric, counts)| (metric.as_str().to_owned(), draw(counts))).collect()
}

fn is_measured(stages: &[StageWindow], stage: Option<usize>) -> bool {
    stage.and_then(|stage| stages.get(stage)).is_some_and(|stage| stage.measure)
}

fn whole(cells: &Cells, stages: &[StageWindow]) -> Cell {
    cells.sum(|key| is_measured(stages, key.stage))
}

fn length_s(stages: &[StageWindow], chosen: impl Fn(&StageWindow) -> bool) -> f64 {
    stages.iter().filter(|s| chosen(s)).map(|s| s.to_us.saturating_sub(s.from_us)).sum::<u64>() as f64 / 1e6
}

fn stage_results(stages: &[StageWindow], arrivals: &[StageCounts]) -> Vec<StageResult> {
    let none = StageCounts::default();
    let counts = arrivals.iter().chain(std::iter::repeat(&none));
    let result = |(stage, counts): (&StageWindow, &StageCounts)| StageResult {
        label: stage.label.clone(),
        from_s: stage.from_us as f64 / 1e6,
        to_s: stage.to_us as f64 / 1e6,
        level_from: stage.level_from,
        level_to: stage.level_to,
        measure: stage.measure,
        planned: counts.planned,
        begun: counts.begun,
        dropped: counts.dropped,
    };
    stages.iter().zip(counts).map(result).collect()
}

/// One point per second of the run, without holes.
fn series(parts: &LoadParts, stages: &[StageWindow]) -> Vec<Second> {
    let length = u32::try_from(parts.elapsed_us.div_ceil(1_000_000)).unwrap_or(u32::MAX);
    let empty = |t| Second { t, ..Second::default() };
    let within = (0..length).map(|t| parts.timeline.second(t).cloned().unwrap_or_else(|| empty(t)));
    let beyond = parts.timeline.seconds().filter(|second| second.t >= length).cloned();
    let last = stages.len().saturating_sub(1);
    let mut series: Vec<Second> = within.chain(beyond).collect();
    for second in &mut series {
        let stage = stage_at(stages, u64::from(second.t) * 1_000_000).unwrap_or(last);
        second.stage = u32::try_from(stage).unwrap_or(u32::MAX);
    }
    series
}

/// The generator: what was told, and what follows from the recorded data.
fn health(parts: &LoadParts, series: &[Second], stages: &[StageWindow], whole: &Cell) -> ClientHealth {
    let measured = |second: &&Second| {
        let at = stage_at(stages, u64::from(second.t) * 1_000_000);
        is_measured(stages, at)
    };
    let cpu: Vec<f64> = series.iter().filter(measured).map(|second| second.client_cpu).collect();
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len().max(1) as f64;
    let told = &parts.client;
    let lag = whole.times.get(Metric::SchedLag);
    ClientHealth {
        cpu_max: series.iter().map(|s| s.client_cpu).fold(told.cpu_max, f64::max),
        cpu_mean: mean(&cpu),
        cpu_sustained: cpu.windows(CPU_WINDOW.min(cpu.len().max(1))).map(mean).fold(0.0, f64::max),
        rss_max: series.iter().map(|s| s.rss).fold(told.rss_max, u64::max),
        fds_max: parts.timeline.fds_max().max(told.fds_max),
        streams_max: series.iter().map(|s| s.open_streams).fold(told.streams_max, u64::max),
        lag_p99_us: lag.map(|counts| counts.quantile(0.99)),
        dropped: parts.arrivals.iter().map(|counts| counts.dropped).sum(),
        ..told.clone()
    }
}

/// Conditions of validity, with what helps where one is missed.
fn validity(conditions: &[Slo], facts: &Facts) -> Vec<SloResult> {
    let mut results = evaluate(conditions, facts, None);
    for (result, slo) in results.iter_mut().zip(conditions) {
        if result.state != SloState::Met {
            result.remedy = remedy(slo.measure).map(str::to_owned);
        }
    }
    results.extend(facts.client.ports_left.map(ports));
    results
}

/// Ports are checked wherever they are known: without one left the next connection fails.
fn ports(left: u64) -> SloResult {
    let state = if left > 0 { SloState::Met } else { SloState::Missed };
    let remedy = "all ports of this address were in use: let connections be kept, or use more addresses or machines";
    SloResult {
        text: "client_ports > 0".to_owned(),
        value: Some(left as f64),
        margin: Some(if left > 0 { 0.0 } else { -1.0 }),
        state,
        remedy: (left == 0).then(|| remedy.to_owned()),
        ..SloResult::default()
    }
}

/// The whole, then stages, scenarios, steps and turns; parts without a request are left out, but stages never.
fn groups(cells: &Cells, stages: &[StageWindow], whole: &Cell, main: Metric) -> Vec<GroupResult> {
    let measured_s = length_s(stages, |stage| stage.measure);
    let none = GroupResult::default();
    let mut groups = vec![group(none.clone(), whole, measured_s, main)];
    for (at, stage) in stages.iter().enumerate().filter(|(_, stage)| stage.measure) {
        let cell = cells.sum(|key| key.stage == Some(at));
        let name = GroupResult { stage: Some(stage.label.clone()), ..none.clone() };
        groups.push(group(name, &cell, length_s(stages, |s| std::ptr::eq(s, stage)), main));
    }
    let mut add = |name: GroupResult, cell: &Cell| {
        if cell.requests > 0 || !cell.times.is_empty() {
            groups.push(group(name, cell, measured_s, main));
        }
    };
    let mut scenarios: Vec<&str> = Vec::new();
    for (scenario, _) in cells.places() {
        if !scenarios.contains(&scenario) {
            scenarios.push(scenario);
        }
    }
    for scenario in scenarios {
        let cell = cells.sum(|key| is_measured(stages, key.stage) && key.scenario == scenario);
        add(GroupResult { scenario: Some(scenario.to_owned()), ..none.clone() }, &cell);
    }
    for (scenario, step) in cells.places().filter(|(_, step)| !step.is_empty()) {
        let cell = cells.sum(|key| is_measured(stages, key.stage) && key.scenario == scenario && key.step == step);
        let name = GroupResult { scenario: Some(scenario.to_owned()), step: Some(step.to_owned()), ..none.clone() };
        add(name, &cell);
    }
    for turn in [Turn::First, Turn::Later] {
        let cell = cells.sum(|key| is_measured(stages, key.stage) && key.turn == turn);
        add(GroupResult { turn: Some(turn_name(turn).to_owned()), ..none.clone() }, &cell);
    }
    groups
}

/// Fills in the numbers of a group that has its name.
fn group(name: GroupResult, cell: &Cell, seconds: f64, main: Metric) -> GroupResult {
    let per_s = |n: u64| if seconds > 0.0 { n as f64 / seconds } else { 0.0 };
    let label = name.step.as_ref().or(name.scenario.as_ref()).or(name.stage.as_ref()).map_or("all", String::as_str);
    let turn = name.turn.as_deref().unwrap_or("all");
    let rows = Metric::ALL.into_iter().filter_map(|m| cell.times.get(m)?.row(m, label, turn));
    let thousands = cell.good as f64 / 1000.0;
    let unit_price = |price: u64| price as f64 / 1e9 / thousands;
    GroupResult {
        requests: cell.requests,
        ok: cell.ok,
        good: cell.good,
        failures: by_name(&cell.failures),
        events: cell.events,
        pings: cell.pings,
        completion_tokens: cell.completion_tokens,
        cost: cell.cost.clone(),
        req_per_s: per_s(cell.ok),
        good_per_s: per_s(cell.good),
        good_fraction: if cell.requests > 0 { cell.good as f64 / cell.requests as f64 } else { 0.0 },
        output_tps: per_s(cell.completion_tokens),
        events_per_s: per_s(cell.events),
        cost_per_1k_good: match cell.good {
            0 => BTreeMap::new(),
            _ => cell.cost.iter().map(|(currency, price)| (currency.clone(), unit_price(*price))).collect(),
        },
        latency: rows.collect(),
        adj_p99_us: adjusted_p99(cell, main),
        ..name
    }
}

/// The 99th percentile with failures as infinitely slow; `None` where it is one of them.
fn adjusted_p99(cell: &Cell, main: Metric) -> Option<u64> {
    let counts = cell.times.get(main)?;
    let rank = (0.99 * (counts.n() + cell.failed()) as f64).ceil() as u64;
    (rank <= counts.n()).then(|| counts.at_rank(rank))
}

#[cfg(test)]
#[path = "load_tests.rs"]
pub(in crate::metrics) mod tests;
