use super::*;
use crate::model::Endpoint;

fn ok(e2e_us: u64, turn: Turn) -> Sample {
    Sample {
        ttfb_us: None,
        ttfe_us: None,
        ttft_us: None,
        last_content_us: None,
        e2e_us,
        e2e_sched_us: None,
        sched_lag_us: None,
        gaps_us: Vec::new(),
        events: 2,
        pings: 1,
        completion_tokens: Some(4),
        server_latency_us: None,
        server_ttft_us: None,
        cost: Some(("USD".into(), 5)),
        turn,
        endpoint: Endpoint::ChatMessages,
        streaming: true,
        outcome: Ok(()),
    }
}

fn failed(class: FailureClass) -> Sample {
    Sample { outcome: Err(class), ..ok(1, Turn::First) }
}

fn within(seen: u64, wanted: f64) -> bool {
    (seen as f64 - wanted).abs() <= wanted * 0.001 + 1.0
}

fn find<'r>(rows: &'r [LatencyRow], metric: &str, turn: &str) -> Option<&'r LatencyRow> {
    rows.iter().find(|r| r.metric == metric && r.turn == turn)
}

#[test]
fn uniform_distribution_has_its_analytic_percentiles() {
    let mut recorder = Recorder::new();
    (1..=100_000_u64).for_each(|i| recorder.record("g", &ok(i * 10, Turn::NotATurn)));
    let rows = recorder.rows();
    let row = find(&rows, "e2e", "all").cloned().unwrap_or_default();
    assert_eq!(row.n, 100_000);
    assert!(within(row.p50_us, 500_000.0), "{row:?}");
    assert!(within(row.p90_us, 900_000.0), "{row:?}");
    assert!(within(row.p95_us, 950_000.0), "{row:?}");
    assert!(within(row.p99_us, 990_000.0), "{row:?}");
    assert!(row.p999_us.is_some_and(|v| within(v, 999_000.0)), "{row:?}");
    assert_eq!(row.max_us, 1_000_000, "the largest sample is exact");
    assert_eq!(find(&rows, "e2e", "first"), None);
}

#[test]
fn exponential_distribution_has_its_analytic_percentiles() {
    let mut recorder = Recorder::new();
    let (n, mean) = (50_000, 80_000.0_f64);
    for i in 0..n {
        let u = (f64::from(i) + 0.5) / f64::from(n); // stratified: the quantile function itself
        recorder.record("g", &ok((-mean * (1.0 - u).ln()) as u64, Turn::Later));
    }
    let row = find(&recorder.rows(), "e2e", "later").cloned().unwrap_or_default();
    for (seen, q) in [(row.p50_us, 0.5), (row.p90_us, 0.9), (row.p95_us, 0.95), (row.p99_us, 0.99_f64)] {
        assert!(within(seen, -mean * (1.0 - q).ln()), "{q}: {seen}");
    }
    let median = row.p50_ci_us.unwrap_or_default();
    assert!(median[0] < row.p50_us && row.p50_us < median[1], "{median:?}");
    assert!(median[1] - median[0] < row.p50_us / 20, "{median:?}");
}

#[test]
fn all_is_the_sum_of_the_turns() {
    let mut recorder = Recorder::new();
    (0..10).for_each(|_| recorder.record("g", &ok(1_000, Turn::First)));
    (0..30).for_each(|_| recorder.record("g", &ok(100, Turn::Later)));
    let rows = recorder.rows();
    let of = |turn| find(&rows, "e2e", turn).map(|r| (r.n, r.p50_us, r.max_us));
    assert_eq!(of("first"), Some((10, 1_000, 1_000)));
    assert_eq!(of("later"), Some((30, 100, 100)));
    assert_eq!(of("all"), Some((40, 100, 1_000)));
}

#[test]
fn p999_is_shown_from_ten_thousand_samples_on() {
    let mut recorder = Recorder::new();
    (0..P999_MIN_N - 1).for_each(|_| recorder.record("g", &ok(7, Turn::First)));
    assert_eq!(find(&recorder.rows(), "e2e", "all").and_then(|r| r.p999_us), None);
    recorder.record("g", &ok(7, Turn::First));
    assert_eq!(find(&recorder.rows(), "e2e", "all").and_then(|r| r.p999_us), Some(7));
}

#[test]
fn failed_requests_are_counted_and_never_timed() {
    let mut recorder = Recorder::new();
    recorder.record("g", &ok(500, Turn::First));
    recorder.record("g", &failed(FailureClass::ErrorEvent));
    recorder.record("g", &failed(FailureClass::ErrorEvent));
    recorder.record("g", &failed(FailureClass::Http429));
    let totals = recorder.totals();
    assert_eq!((totals.requests, totals.ok, totals.failed()), (4, 1, 3));
    assert_eq!(totals.failures.get(&FailureClass::ErrorEvent), Some(&2));
    assert_eq!((totals.completion_tokens, totals.cost.get("USD")), (4, Some(&5)));
    assert_eq!((totals.events, totals.pings), (8, 4));
    assert_eq!(find(&recorder.rows(), "e2e", "all").map(|r| (r.n, r.p50_us)), Some((1, 500)));
}

#[test]
fn adjusted_percentile_puts_failures_at_infinity() {
    let mut recorder = Recorder::new();
    (1..=90).for_each(|i| recorder.record("g", &ok(i, Turn::First)));
    (0..10).for_each(|_| recorder.record("g", &failed(FailureClass::Timeout)));
    let at = |q| recorder.adjusted_percentile(Metric::E2e, "g", TurnFilter::All, q);
    assert_eq!(at(0.5), Some(50));
    assert_eq!(at(0.9), Some(90));
    assert_eq!(at(0.91), None);
}

#[test]
fn times_beyond_the_range_saturate() {
    let mut recorder = Recorder::new();
    recorder.record("g", &ok(0, Turn::First));
    recorder.record("g", &ok(u64::MAX, Turn::First));
    let row = find(&recorder.rows(), "e2e", "all").cloned().unwrap_or_default();
    assert_eq!((row.p50_us, row.max_us), (LOWEST_US, HIGHEST_US));
}

#[test]
fn merging_equals_recording_in_one_place() {
    let (mut whole, mut left, mut right) = (Recorder::new(), Recorder::new(), Recorder::new());
    let mut random = fastrand::Rng::with_seed(1);
    for i in 0..2_000 {
        let turn = TURNS[random.usize(0..3)];
        let base = ok(random.u64(1..5_000_000), turn);
        let sample = if i % 7 == 0 { Sample { outcome: Err(FailureClass::Rule), ..base } } else { base };
        let sample = Sample { gaps_us: vec![random.u64(0..90); random.usize(0..4)], ..sample };
        let group = ["a", "b"][random.usize(0..2)];
        whole.record(group, &sample);
        if random.bool() { left.record(group, &sample) } else { right.record(group, &sample) }
    }
    left.merge(&right);
    assert_eq!(left.rows(), whole.rows());
    assert_eq!(left.totals(), whole.totals());
    let adjusted = |r: &Recorder| r.adjusted_percentile(Metric::E2e, "a", TurnFilter::First, 0.5);
    assert!(adjusted(&whole).is_some());
    assert_eq!(adjusted(&left), adjusted(&whole));
}

#[test]
fn rows_come_by_metric_then_group_then_turn() {
    let mut recorder = Recorder::new();
    for group in ["b", "a"] {
        recorder.record(group, &Sample { ttfb_us: Some(3), ..ok(9, Turn::First) });
    }
    let order: Vec<_> = recorder.rows().iter().map(|r| format!("{} {} {}", r.metric, r.group, r.turn)).collect();
    let wanted = ["ttfb a all", "ttfb a first", "ttfb b all", "ttfb b first"];
    assert_eq!(order[..4], wanted);
    assert_eq!(order[4..], ["e2e a all", "e2e a first", "e2e b all", "e2e b first"]);
}
