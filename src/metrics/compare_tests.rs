use super::*;
use crate::metrics::load_recorder::{LoadRecorder, When};
use crate::metrics::summarise::tests::{identity, sample, stage};
use crate::metrics::summarise::{LoadParts, summarise};
use crate::metrics::summary::{ClientHealth, JudgedCounts, RunIdentity};
use crate::metrics::{FailureClass, Sample, StageWindow, Timeline, Turn};
use std::sync::Arc;

/// A run whose requests share the noise of their second.
struct Run {
    summary: LoadSummary,
    cells: Cells,
    blocks: Blocks,
}

struct Server {
    seconds: u64,
    per_second: u64,
    /// Median in microseconds.
    median_us: f64,
    /// Spread of the noise that all requests of a second share, on a log scale.
    shared: f64,
    /// Every so manieth fails; 0 for none.
    fails: u64,
    scenarios: &'static [&'static str],
}

const CALM: Server =
    Server { seconds: 60, per_second: 20, median_us: 100_000.0, shared: 0.1, fails: 0, scenarios: &["chat"] };

fn normal(random: &mut fastrand::Rng) -> f64 {
    (0..12).map(|_| random.f64()).sum::<f64>() - 6.0
}

fn run(server: &Server, seed: u64) -> Run {
    let mut random = fastrand::Rng::with_seed(seed);
    let stages: Arc<[StageWindow]> = [stage("warm-up", 0, 5, false), stage("hold", 5, 5 + server.seconds, true)].into();
    let mut recorder = LoadRecorder::new(stages.clone(), &[]);
    let places: Vec<_> = server.scenarios.iter().map(|scenario| recorder.place(scenario, "ask")).collect();
    let mut number = 0;
    for second in 0..5 + server.seconds {
        let weather = normal(&mut random) * server.shared;
        // Warm-up is ten times slower: it must not be seen.
        let base = server.median_us * if second < 5 { 10.0 } else { 1.0 };
        for request in 0..server.per_second {
            number += 1;
            let planned_us = second * 1_000_000 + request * 1_000_000 / server.per_second;
            let e2e_us = (base * (weather + 0.2 * normal(&mut random)).exp()) as u64;
            let fine = sample(e2e_us, Turn::First);
            let failed = server.fails > 0 && number % server.fails == 0;
            let seen = if failed { Sample { outcome: Err(FailureClass::Http5xx), ..fine } } else { fine };
            let when = When { planned_us: Some(planned_us), sent_us: planned_us, ended_us: planned_us + e2e_us };
            recorder.record(&seen, places[number as usize % places.len()], when);
        }
    }
    let interval = recorder.drain_interval(u32::MAX);
    let mut timeline = Timeline::new(true);
    timeline.add(&interval);
    let summary = summarise(LoadParts {
        identity: RunIdentity { seed, ..identity() },
        started_unix_us: 0,
        elapsed_us: (server.seconds + 7) * 1_000_000,
        ended_us: (server.seconds + 5) * 1_000_000,
        ended_early: None,
        stopped: false,
        stages: &stages,
        arrivals: recorder.arrivals(),
        cells: recorder.cells(),
        timeline: &timeline,
        objectives: &[],
        aborted: None,
        conditions: &[],
        client: ClientHealth::default(),
        judged: JudgedCounts::default(),
    });
    let mut blocks = Blocks::of(&summary);
    blocks.add(&interval);
    Run { cells: recorder.cells().clone(), summary, blocks }
}

fn of<'r>(name: &'r str, run: &'r Run) -> Measured<'r> {
    Measured { name, summary: &run.summary, cells: &run.cells, blocks: &run.blocks }
}

fn against(a: &Server, b: &Server, seed: u64) -> Comparison {
    let options = CompareOptions { draws: 200, ..CompareOptions::default() };
    compare(of("a", &run(a, seed)), of("b", &run(b, seed + 1_000_000)), &options)
}

fn metric<'c>(comparison: &'c Comparison, name: &str) -> &'c MetricComparison {
    let found = comparison.metrics.iter().find(|m| m.metric == name && m.scenario.is_none());
    found.unwrap_or_else(|| panic!("{name} is not compared"))
}

fn statistic<'c>(comparison: &'c Comparison, metric_name: &str, name: &str) -> &'c Difference {
    let found = metric(comparison, metric_name).differences.iter().find(|d| d.statistic == name);
    found.unwrap_or_else(|| panic!("{name} is not compared"))
}

#[test]
fn a_server_that_is_a_fifth_slower_is_found_and_named() {
    let slower = Server { median_us: 125_000.0, ..CALM };
    let found = against(&CALM, &slower, 1);
    assert_eq!(found.change, Change::Slower, "{found:?}");
    assert!(found.words.contains("b is worse than a in") && found.words.contains("e2e"), "{}", found.words);
    let median = statistic(&found, "e2e", "p50");
    assert!((median.difference - 25_000.0).abs() < 8_000.0, "{median:?}");
    assert!(median.interval.is_some_and(|[low, high]| low > 10_000.0 && high < 40_000.0), "{median:?}");
    assert!(metric(&found, "e2e").words.starts_with("slower: p50 +2"), "{}", metric(&found, "e2e").words);
    assert_eq!(against(&slower, &CALM, 1).change, Change::Faster);
}

#[test]
fn a_long_calm_run_against_its_like_is_the_same() {
    let long = Server { seconds: 300, shared: 0.02, ..CALM };
    let found = against(&long, &long, 3);
    assert_eq!(metric(&found, "e2e").change, Change::Same, "{:?}", metric(&found, "e2e"));
    assert_eq!(found.change, Change::Same, "{found:?}");
    assert_eq!(found.notes, Vec::<String>::new());
}

#[test]
fn a_difference_that_does_not_matter_is_no_change_however_sure_it_is() {
    let still = Server { seconds: 200, shared: 0.0, median_us: 4_000.0, ..CALM };
    let slightly = Server { median_us: 4_400.0, ..still };
    let found = against(&still, &slightly, 5);
    let median = statistic(&found, "e2e", "p50");
    assert!(median.interval.is_some_and(|[low, _]| low > 0.0), "not chance: {median:?}");
    assert_eq!(median.change, Change::Same, "10 % but only 0.4 ms: {median:?}");
}

#[test]
fn short_or_noisy_runs_are_inconclusive() {
    let short = Server { seconds: 6, ..CALM };
    let found = against(&short, &short, 7);
    assert_eq!(found.change, Change::Inconclusive);
    assert!(found.notes.iter().any(|note| note.contains("too short")), "{:?}", found.notes);
    assert!(metric(&found, "e2e").words.contains("too few data"));
    let noisy = Server { shared: 0.8, seconds: 30, ..CALM };
    assert_eq!(metric(&against(&noisy, &noisy, 9), "e2e").change, Change::Inconclusive);
}

#[test]
fn failures_are_compared_and_lower_rates_with_them() {
    let failing = Server { fails: 5, ..CALM };
    let found = against(&CALM, &failing, 11);
    let failures = metric(&found, "failures");
    assert_eq!(failures.change, Change::Slower);
    assert!(failures.words.starts_with("more failures"), "{}", failures.words);
    assert!((failures.differences[0].difference - 0.2).abs() < 0.01);
    assert_eq!(statistic(&found, "rates", "req_per_s").change, Change::Slower);
}

#[test]
fn scenarios_are_compared_each_for_itself() {
    let mixed = Server { scenarios: &["chat", "flow"], ..CALM };
    let found = against(&mixed, &Server { median_us: 150_000.0, ..mixed }, 13);
    for scenario in ["chat", "flow"] {
        let of = |m: &&MetricComparison| m.scenario.as_deref() == Some(scenario) && m.metric == "e2e";
        let e2e = found.metrics.iter().find(of).cloned().unwrap_or_default();
        assert_eq!((e2e.change, e2e.n), (Change::Slower, [600, 600]));
    }
}

#[test]
fn percentiles_need_ten_samples_above_them() {
    let few = Server { per_second: 5, ..CALM };
    let names = |c: &Comparison| metric(c, "e2e").differences.iter().map(|d| d.statistic.clone()).collect::<Vec<_>>();
    assert_eq!(names(&against(&few, &few, 1)), ["p50", "p90", "p95", "mean"]);
    assert_eq!(names(&against(&CALM, &CALM, 1)), ["p50", "p90", "p95", "p99", "mean"]);
}

#[test]
fn what_makes_runs_hard_to_compare_is_said() {
    let (a, mut b) = (run(&CALM, 1), run(&CALM, 2));
    b.summary.run.config_hash = "other".into();
    b.summary.run.model = "closed".into();
    b.summary.ended_early = Some("SIGINT".into());
    let found = compare(of("a", &a), of("b", &b), &CompareOptions { draws: 50, ..CompareOptions::default() });
    let notes = found.notes.join("\n");
    for part in ["are not the same", "open and closed", "b ended early (SIGINT)"] {
        assert!(notes.contains(part), "{notes}");
    }
    assert!(found.metrics.iter().all(|m| m.metric != "e2e_sched"), "nothing was planned in the closed one");
}

/// The interval of a difference of `e2e` alone, and what a method would say that takes requests for independent.
fn trial(a: &Server, b: &Server, seed: u64, quantile: f64) -> (f64, [f64; 2], bool) {
    let (a, b) = (run(a, seed), run(b, seed + 1_000_000));
    let times =
        |run: &Run| run.cells.sum(|key| key.stage == Some(1)).times.get(Metric::E2e).cloned().unwrap_or_default();
    let (times_a, times_b) = (times(&a), times(&b));
    let difference = times_b.quantile(quantile) as f64 - times_a.quantile(quantile) as f64;
    let draws = draw_times((&a.blocks, &b.blocks), "", Metric::E2e, &[quantile], (300, seed));
    let interval = draws.and_then(|draws| draws.interval(0, difference)).unwrap_or_else(|| panic!("no interval"));
    let error = |times: &crate::metrics::Counts| {
        let [low, high] = times.interval95(quantile).unwrap_or_default();
        (high - low) as f64 / 3.92
    };
    let naive = difference.abs() > 1.96 * error(&times_a).hypot(error(&times_b));
    (difference, interval, naive)
}

#[test]
fn runs_of_the_same_server_differ_by_chance_about_once_in_twenty_times() {
    let (mut trials, mut outside, mut naive) = (0.0, 0.0, 0.0);
    for seed in 0..120 {
        let (_, [low, high], by_requests) = trial(&CALM, &CALM, seed * 7, [0.5, 0.95][seed as usize % 2]);
        trials += 1.0;
        outside += f64::from(low > 0.0 || high < 0.0);
        naive += f64::from(by_requests);
    }
    assert!((0.015..=0.10).contains(&(outside / trials)), "{outside} of {trials}");
    assert!(naive / trials > 0.15, "{naive} of {trials}: requests of a second share their noise, so this must fail");
}

#[test]
fn the_interval_holds_the_true_difference_about_19_times_in_20() {
    let slower = Server { median_us: 110_000.0, ..CALM };
    let (mut trials, mut covered) = (0.0, 0.0);
    for seed in 0..120 {
        // Both noises are normal on the log scale, so the true median is the base itself.
        let (_, [low, high], _) = trial(&CALM, &slower, 50_000 + seed * 11, 0.5);
        trials += 1.0;
        covered += f64::from(low <= 10_000.0 && 10_000.0 <= high);
    }
    assert!((0.89..=0.99).contains(&(covered / trials)), "{covered} of {trials}");
}
