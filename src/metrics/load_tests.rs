//! Recorder, objectives and summary together, as a load uses them.

use super::*;
use crate::metrics::evaluate::breached;
use crate::metrics::load_recorder::{Iteration, LoadRecorder, When};
use crate::metrics::{FailureClass, Interval, Measure, Op, Sample, Scope, Stat};
use crate::model::Endpoint;
use std::sync::Arc;
use std::time::Duration;

const S: u64 = 1_000_000;

pub(in crate::metrics) fn stage(label: &str, from_s: u64, to_s: u64, measure: bool) -> StageWindow {
    let (from_us, to_us) = (from_s * S, to_s * S);
    StageWindow { label: label.into(), from_us, to_us, level_from: 1.0, level_to: 2.0, measure }
}

/// Warm-up until 2 s, `hold` until 6 s, `peak` until 8 s.
pub(in crate::metrics) fn stages() -> Arc<[StageWindow]> {
    [stage("warm-up", 0, 2, false), stage("hold", 2, 6, true), stage("peak", 6, 8, true)].into()
}

pub(in crate::metrics) fn sample(e2e_us: u64, turn: Turn) -> Sample {
    Sample {
        ttfb_us: Some(e2e_us / 10),
        ttfe_us: None,
        ttft_us: Some(e2e_us / 2),
        last_content_us: Some(e2e_us),
        e2e_us,
        e2e_sched_us: Some(e2e_us + 100),
        sched_lag_us: Some(100),
        gaps_us: vec![e2e_us / 4, e2e_us / 4],
        events: 3,
        pings: 1,
        completion_tokens: Some(11),
        server_latency_us: None,
        server_ttft_us: None,
        cost: Some(("USD".into(), 2_000_000)),
        turn,
        endpoint: Endpoint::ChatMessages,
        streaming: true,
        outcome: Ok(()),
    }
}

fn failed(class: FailureClass) -> Sample {
    Sample { outcome: Err(class), ..sample(5_000, Turn::First) }
}

fn at(planned_us: u64, e2e_us: u64) -> When {
    When { planned_us: Some(planned_us), sent_us: planned_us + 100, ended_us: planned_us + 100 + e2e_us }
}

pub(in crate::metrics) fn slo(measure: Measure, op: Op, limit: f64) -> Slo {
    let (scope, text) = (Scope::default(), format!("{measure:?} {op:?} {limit}"));
    Slo { measure, op, limit, scope, abort: false, advisory: false, grace: Duration::ZERO, text }
}

pub(in crate::metrics) const P95_E2E: Measure = Measure::Latency(Metric::E2e, Stat::Quantile(0.95));

fn within(slo: Slo, scope: Scope) -> Slo {
    Slo { scope, ..slo }
}

fn in_stage(label: &str) -> Scope {
    Scope { stages: vec![label.into()], ..Scope::default() }
}

pub(in crate::metrics) fn identity() -> RunIdentity {
    RunIdentity { id: "load".into(), model: "open".into(), config_hash: "00ff".into(), ..RunIdentity::default() }
}

fn summary(recorder: &mut LoadRecorder, objectives: &[Slo]) -> LoadSummary {
    let mut timeline = Timeline::new(true);
    timeline.add(&recorder.drain_interval(u32::MAX));
    summarise(LoadParts {
        identity: identity(),
        started_unix_us: 1_700_000_000_000_000,
        elapsed_us: 9_500_000,
        ended_us: 8 * S,
        ended_early: None,
        stopped: false,
        stages: &stages(),
        arrivals: recorder.arrivals(),
        cells: recorder.cells(),
        timeline: &timeline,
        objectives,
        aborted: None,
        conditions: &[],
        client: ClientHealth::default(),
        judged: JudgedCounts::default(),
    })
}

fn recorder(objectives: &[Slo]) -> (LoadRecorder, crate::metrics::Place) {
    let mut recorder = LoadRecorder::new(stages(), objectives);
    let place = recorder.place("chat", "ask");
    (recorder, place)
}

#[test]
fn classes_are_counted_in_the_slot_of_their_table() {
    FailureClass::ALL.into_iter().enumerate().for_each(|(slot, class)| assert_eq!(class as usize, slot));
}

#[test]
fn warm_up_and_drain_are_in_the_series_but_in_no_result() {
    let (mut recorder, place) = recorder(&[]);
    for (planned, e2e) in [(S, 700_000), (3 * S, 1_000), (3 * S, 2_000), (6 * S, 5_000), (8 * S, 900_000)] {
        recorder.record(&sample(e2e, Turn::First), place, at(planned, e2e));
    }
    let summary = summary(&mut recorder, &[]);
    assert_eq!(summary.measured_s, 6.0);
    let whole = &summary.groups[0];
    assert_eq!((whole.requests, whole.ok, whole.req_per_s), (3, 3, 0.5));
    assert_eq!(whole.line("e2e").map(|row| (row.n, row.max_us)), Some((3, 5_000)));
    assert_eq!(summary.series.len(), 10);
    let ended: Vec<_> = summary.series.iter().map(|s| s.ok).collect();
    assert_eq!(ended, [0, 1, 0, 2, 0, 0, 1, 0, 1, 0]);
    assert_eq!(summary.series[1].p50_us, Some(700_100), "the planned send counts, and warm-up is drawn");
    assert_eq!(summary.series[8].stage, 2, "the drain is shown at the last stage");
    let curve = summary.curves.get("e2e").map(|points| points.iter().map(|p| p.us).max());
    assert_eq!(curve, Some(Some(2_000)), "up to the last percentile below the largest of three");
}

#[test]
fn groups_come_as_whole_stages_scenarios_steps_turns() {
    let (mut recorder, ask) = recorder(&[]);
    let (whole, other) = (recorder.place("chat", ""), recorder.place("completion", "go"));
    recorder.place("never-sent", "x");
    recorder.record(&sample(1_000, Turn::First), ask, at(3 * S, 1_000));
    recorder.record(&sample(3_000, Turn::Later), ask, at(4 * S, 3_000));
    recorder.record(&sample(9_000, Turn::NotATurn), other, at(7 * S, 9_000));
    recorder
        .iteration(whole, Iteration { planned_us: Some(3 * S), begun_us: 3 * S + 5, ended_us: 5 * S, complete: true });
    recorder.iteration(whole, Iteration { planned_us: Some(3 * S), begun_us: 3 * S, ended_us: 7 * S, complete: false });
    let summary = summary(&mut recorder, &[]);
    let names: Vec<_> = summary
        .groups
        .iter()
        .map(|g| [&g.stage, &g.scenario, &g.step, &g.turn].map(|n| n.as_deref().unwrap_or("-")).join(" "))
        .collect();
    let wanted = [
        "- - - -",
        "hold - - -",
        "peak - - -",
        "- chat - -",
        "- completion - -",
        "- chat ask -",
        "- completion go -",
        "- - - first",
        "- - - later",
    ];
    assert_eq!(names, wanted);
    let counts: Vec<_> = summary.groups.iter().map(|g| g.requests).collect();
    assert_eq!(counts, [3, 2, 1, 2, 1, 2, 1, 1, 1]);
    assert_eq!(summary.groups[2].req_per_s, 0.5, "one request in the two seconds of the stage");
    let time = |group: usize| summary.groups[group].line("conversation_time").map(|row| (row.n, row.max_us));
    assert_eq!((time(0), time(3), time(4)), (Some((1, 2 * S)), Some((1, 2 * S)), None));
}

#[test]
fn arrivals_are_counted_by_stage_and_second() {
    let (mut recorder, _) = recorder(&[]);
    for planned in [S, 2 * S, 3 * S] {
        recorder.planned(planned);
    }
    recorder.begun(S, S + 10);
    recorder.begun(2 * S, 4 * S);
    recorder.dropped(3 * S, 3 * S);
    let summary = summary(&mut recorder, &[]);
    let stages: Vec<_> = summary.stages.iter().map(|s| (s.planned, s.begun, s.dropped)).collect();
    assert_eq!(stages, [(1, 1, 0), (2, 1, 1), (0, 0, 0)]);
    let seconds: Vec<_> = summary.series[1..5].iter().map(|s| (s.planned, s.begun, s.dropped)).collect();
    assert_eq!(seconds, [(1, 1, 0), (1, 0, 0), (1, 0, 1), (0, 1, 0)]);
    assert_eq!(summary.client.dropped, 1);
}

#[test]
fn what_was_planned_after_an_early_end_is_of_the_drain() {
    let (mut recorder, place) = recorder(&[]);
    recorder.end_at(4 * S);
    recorder.record(&sample(1_000, Turn::First), place, at(3 * S, 1_000));
    recorder.record(&sample(1_000, Turn::Later), place, at(5 * S, 1_000));
    assert_eq!(summary(&mut recorder, &[]).groups[0].requests, 1);
}

#[test]
fn failed_requests_have_no_latency_but_the_lateness_of_their_send() {
    let (mut recorder, place) = recorder(&[]);
    recorder.record(&failed(FailureClass::Http429), place, at(3 * S, 5_000));
    let whole = summary(&mut recorder, &[]).groups.swap_remove(0);
    assert_eq!(whole.failures.get("http_429"), Some(&1));
    let rows: Vec<_> = whole.latency.iter().map(|row| row.metric.as_str()).collect();
    assert_eq!(rows, ["sched_lag"]);
    assert_eq!((whole.good_fraction, whole.adj_p99_us), (0.0, None));
}

#[test]
fn a_request_is_good_when_it_meets_each_limit_itself() {
    let p50_ttft = Measure::Latency(Metric::Ttft, Stat::Quantile(0.5));
    let gaps = Measure::Latency(Metric::Icl, Stat::Quantile(0.99));
    let objectives = [
        slo(P95_E2E, Op::Less, 10_000.0),
        slo(gaps, Op::AtMost, 2_000.0),
        within(slo(p50_ttft, Op::Less, 2_500.0), in_stage("peak")),
        Slo { advisory: true, ..slo(P95_E2E, Op::Less, 1.0) },
        slo(P95_E2E, Op::More, 1e9),
    ];
    let (mut recorder, place) = recorder(&objectives);
    let cases = [(3 * S, 8_000), (3 * S, 10_000), (3 * S, 8_004), (7 * S, 4_000), (7 * S, 6_000)];
    for (planned, e2e) in cases {
        recorder.record(&sample(e2e, Turn::First), place, at(planned, e2e));
    }
    recorder.record(&failed(FailureClass::Timeout), place, at(3 * S, 5_000));
    // blocking: no chunks, so nothing to miss but the end
    let blocking = Sample { ttft_us: None, gaps_us: vec![], ..sample(9_000, Turn::NotATurn) };
    recorder.record(&blocking, place, at(7 * S, 9_000));
    let whole = summary(&mut recorder, &objectives).groups.swap_remove(0);
    // 8.000: good; 10.000: e2e; 8.004: gap of 2.001; 4.000: good; 6.000: ttft of 3.000 in peak
    assert_eq!((whole.requests, whole.ok, whole.good), (7, 6, 3));
    assert_eq!((whole.good_fraction, whole.good_per_s), (3.0 / 7.0, 0.5));
    let per_1k = whole.cost_per_1k_good.get("USD").copied().unwrap_or_default();
    assert!((per_1k - 0.012 / 3.0 * 1_000.0).abs() < 1e-9, "{per_1k}");
}

#[test]
fn objectives_look_at_their_part_and_say_how_far_they_are() {
    let error_rate = slo(Measure::ErrorRate(None), Op::AtMost, 0.05);
    let nowhere = Scope { scenario: Some("other".into()), ..Scope::default() };
    let later = Scope { turn: Some("later".into()), ..Scope::default() };
    let objectives = [
        slo(P95_E2E, Op::Less, 800.0),
        within(slo(P95_E2E, Op::Less, 800.0), in_stage("peak")),
        within(slo(P95_E2E, Op::Less, 800.0), in_stage("warm-up")),
        within(slo(P95_E2E, Op::Less, 800.0), later),
        error_rate.clone(),
        within(error_rate.clone(), nowhere),
        slo(Measure::ErrorRate(Some(FailureClass::Http429)), Op::AtMost, 0.25),
        slo(Measure::ReqPerS, Op::AtLeast, 0.25),
        slo(Measure::Dropped, Op::AtMost, 0.0),
        slo(Measure::DeliveredRate, Op::AtLeast, 0.99),
    ];
    let (mut recorder, place) = recorder(&objectives);
    recorder.record(&sample(1_000, Turn::First), place, at(3 * S, 1_000));
    recorder.record(&sample(600, Turn::First), place, at(7 * S, 600));
    recorder.record(&failed(FailureClass::Timeout), place, at(7 * S, 5_000));
    recorder.dropped(S, S);
    let slos = summary(&mut recorder, &objectives).slos;
    let seen: Vec<_> = slos.iter().map(|s| (s.value, s.limit, s.unit.as_str(), s.margin, s.state)).collect();
    use SloState::{Met, Missed, Unknown};
    let wanted = [
        (Some(1.0), 0.8, "ms", Some(-0.25), Missed),
        (Some(0.6), 0.8, "ms", Some(0.25), Met),
        (None, 0.8, "ms", None, Unknown),
        (None, 0.8, "ms", None, Unknown),
        (Some(100.0 / 3.0), 5.0, "%", Some((0.05 - 1.0 / 3.0) / 0.05), Missed),
        (None, 5.0, "%", None, Unknown),
        (Some(0.0), 25.0, "%", Some(1.0), Met),
        (Some(2.0 / 6.0), 0.25, "/s", Some((2.0 / 6.0 - 0.25) / 0.25), Met),
        (Some(0.0), 0.0, "", Some(0.0), Met),
        (None, 99.0, "%", None, Unknown),
    ];
    let near = |a: Option<f64>, b: Option<f64>| {
        a.is_some() == b.is_some() && (a.unwrap_or(0.0) - b.unwrap_or(0.0)).abs() < 1e-9
    };
    for (seen, wanted) in seen.iter().zip(&wanted) {
        assert!(near(seen.0, wanted.0) && near(seen.3, wanted.3), "{seen:?} {wanted:?}");
        assert!(near(Some(seen.1), Some(wanted.1)) && seen.2 == wanted.2 && seen.4 == wanted.4, "{seen:?} {wanted:?}");
    }
    assert_eq!(seen.len(), wanted.len());
}

#[test]
fn only_objectives_with_abort_end_a_run_and_only_after_their_grace() {
    let quiet = slo(P95_E2E, Op::Less, 500.0);
    let abort = Slo { abort: true, grace: Duration::from_secs(1), ..quiet.clone() };
    let empty = within(Slo { abort: true, ..quiet.clone() }, in_stage("peak"));
    let objectives = [quiet, empty, abort];
    let (mut recorder, place) = recorder(&objectives);
    recorder.record(&sample(1_000, Turn::First), place, at(2 * S, 1_000));
    let client = ClientHealth::default();
    let at = |now_us| {
        let stages = clip(&stages(), now_us);
        let facts = Facts { cells: recorder.cells(), stages: &stages, arrivals: recorder.arrivals(), client: &client };
        breached(&objectives, &facts, now_us)
    };
    assert_eq!(at(2_900_000), None);
    assert_eq!(at(3_000_000), Some(2));
}

#[test]
fn late_news_of_closed_seconds_goes_to_the_first_open_one() {
    let (mut recorder, place) = recorder(&[]);
    recorder.record(&sample(1_000, Turn::First), place, at(3 * S, 1_000));
    let mut all = recorder.drain_interval(5);
    recorder.record(&sample(2_000, Turn::First), place, at(3 * S, 2_000));
    all.add(&recorder.drain_interval(u32::MAX));
    let seen: Vec<_> = all.seconds.iter().map(|(t, m)| (*t, m.sent, m.ok)).collect();
    assert_eq!(seen, [(3, 2, 1), (5, 0, 1)]);
    assert!(recorder.drain_interval(u32::MAX).seconds.is_empty());
}

#[test]
fn the_generator_is_judged_by_ten_busy_seconds_in_a_row() {
    let long: Arc<[StageWindow]> = [stage("warm-up", 0, 5, false), stage("hold", 5, 60, true)].into();
    let conditions = [slo(Measure::ClientCpu, Op::AtMost, 0.8), slo(Measure::ClientFds, Op::Less, 0.5)];
    let health = |busy: std::ops::Range<u32>| {
        let mut timeline = Timeline::new(true);
        for t in 0..60 {
            let cpu = if busy.contains(&t) { 1.0 } else { 0.5 };
            timeline.machine(&crate::metrics::MachineSecond { t, cpu, fds: 70, ..Default::default() });
        }
        summarise(LoadParts {
            identity: identity(),
            started_unix_us: 0,
            elapsed_us: 60 * S,
            ended_us: 60 * S,
            ended_early: None,
            stopped: false,
            stages: &long,
            arrivals: &[],
            cells: &Cells::new(2),
            timeline: &timeline,
            objectives: &[],
            aborted: None,
            conditions: &conditions,
            client: ClientHealth { cores: 2, fds_limit: 100, ports_left: Some(0), ..ClientHealth::default() },
            judged: JudgedCounts::default(),
        })
    };
    let states = |summary: &LoadSummary| summary.validity.iter().map(|v| v.state).collect::<Vec<_>>();
    use SloState::{Met, Missed};
    let (start, spike, burst) = (health(0..5), health(20..22), health(20..28));
    assert_eq!(states(&start), [Met, Missed, Missed]);
    assert_eq!(start.client.cpu_max, 1.0);
    assert_eq!(states(&spike), [Met, Missed, Missed]);
    assert_eq!(states(&burst), [Missed, Missed, Missed]);
    assert!(burst.validity.iter().all(|v| v.remedy.is_some()));
}

#[test]
fn recorders_of_threads_add_up_to_one() {
    let objectives = [slo(P95_E2E, Op::Less, 900_000.0)];
    let (mut whole, _) = recorder(&objectives);
    let mut parts = [recorder(&objectives).0, recorder(&objectives).0];
    let mut random = fastrand::Rng::with_seed(5);
    for recorder in [&mut whole].into_iter().chain(&mut parts) {
        recorder.place("chat", "again");
    }
    let mut handed_over = Interval::default();
    for i in 0..4_000_u64 {
        let turn = [Turn::First, Turn::Later, Turn::NotATurn][random.usize(0..3)];
        let e2e = random.u64(1..3_000_000);
        let seen = if random.u8(0..9) == 0 { failed(FailureClass::Connect) } else { sample(e2e, turn) };
        let (when, step) = (at(i * 2_000, e2e), ["ask", "again"][random.usize(0..2)]);
        for recorder in [&mut whole, &mut parts[i as usize % 2]] {
            let place = recorder.place("chat", step);
            recorder.record(&seen, place, when);
            recorder.begun(i * 2_000, i * 2_000);
        }
    }
    for part in &mut parts {
        handed_over.add(&part.drain_interval(4));
    }
    let [mut left, right] = parts;
    left.merge(&right);
    handed_over.add(&left.drain_interval(u32::MAX));
    assert_eq!(left.running(), whole.running());
    let timeline = |interval: &Interval| {
        let mut timeline = Timeline::new(true);
        timeline.add(interval);
        timeline
    };
    let rest = whole.drain_interval(u32::MAX);
    assert!(rest.seconds.len() > 5 && handed_over == rest);
    assert_eq!(timeline(&handed_over), timeline(&rest));
    assert!(summary(&mut left, &objectives) == summary(&mut whole, &objectives));
}
