use super::*;
use crate::metrics::{FailureClass, Measure, Metric, Op, Stat};
use crate::workload::Process;

const GOOD: &str = "difyprobe-load: 1
id: evening-peak
title: People who come home
seed: 7
scenarios:
  - { use: chat.three-turns, weight: 70 }
  - completion.stream
arrival:
  open:
    process: poisson
    unit: conversations-per-second
    stages:
      - { ramp: { from: 1, to: 20 }, for: 30s, label: warm-up, measure: false }
      - { hold: 20, for: 3m }
      - { step: 60, for: 20s, label: burst }
      - { ramp: 60..20, for: 10s }
      - { ramp: { to: 300/m }, for: 10s }
      - { hold: 20, for: 1m }
    max-in-flight: 800
slo:
  - { metric: ttft, stat: p95, max: 800ms, in: [hold, burst] }
  - { metric: error-rate, class: http_429, max: 0.5%, grace: 10s }
  - { metric: good-per-s, min: 5/s, advisory: true }
  - \"e2e_sched p(99) < 2s {turn: later, abort}\"
validity: [\"client-cpu < 80%\"]
stop-when: { error-rate: { over: 20%, for: 10s } }
budget: { tokens: 1000, cost: { USD: 1.50 } }
requests: 500
drain: 5s
think: none
";

fn good(text: &str) -> Workload {
    match parse_load("a.yaml", text.as_bytes()) {
        Ok(file) => file.workload,
        Err(all) => panic!("{}", crate::scenario::render_all(&all, text, false)),
    }
}

fn problem(from: &str, to: &str) -> (u32, u32, String, String) {
    let text = GOOD.replacen(from, to, 1);
    assert_ne!(text, GOOD, "{from}");
    let all = parse_load("a.yaml", text.as_bytes()).err().unwrap_or_default();
    assert_eq!(all.len(), 1, "{all:?}");
    (all[0].at.line, all[0].at.column, all[0].message.clone(), all[0].help.clone().unwrap_or_default())
}

#[test]
fn a_good_file_is_read_whole() {
    let w = good(GOOD);
    let Arrivals::Open { process, stages, max_in_flight } = &w.arrivals else { panic!("{:?}", w.arrivals) };
    assert_eq!((*process, *max_in_flight, w.seed), (Process::Poisson, 800, Some(7)));
    let rows: Vec<_> = stages.iter().map(|s| (s.label.as_str(), s.from, s.to, s.length.as_secs(), s.measure)).collect();
    assert_eq!(
        rows,
        [
            ("warm-up", 1.0, 20.0, 30, false),
            ("hold", 20.0, 20.0, 180, true),
            ("burst", 60.0, 60.0, 20, true),
            ("ramp", 60.0, 20.0, 10, true),
            ("ramp-2", 20.0, 5.0, 10, true),
            ("hold-2", 20.0, 20.0, 60, true),
        ]
    );
    assert_eq!((w.scenarios[0].weight, w.scenarios[1].scenario.as_str()), (70, "completion.stream"));
    assert_eq!(w.scenarios[0].at, Some((6, 12)));
    assert_eq!(w.stop_when, [StopWhen { over: 0.2, window: Duration::from_secs(10) }]);
    assert_eq!(w.budget, Budget { tokens: Some(1000), cost: vec![("USD".into(), 1_500_000_000)] });
    assert_eq!((w.requests, w.drain, w.think), (Some(500), Duration::from_secs(5), false));
}

#[test]
fn objectives_are_the_same_as_maps_and_as_lines() {
    let w = good(GOOD);
    let first = &w.slos[0];
    assert_eq!((first.measure, first.op), (Measure::Latency(Metric::Ttft, Stat::Quantile(0.95)), Op::AtMost));
    assert_eq!((first.limit, first.scope.stages.len()), (800_000.0, 2));
    assert_eq!(first.text, "ttft p95 <= 800ms {in: [hold, burst]}");
    let line = Slo::parse(&first.text).unwrap();
    assert_eq!(&line, first);
    assert_eq!(w.slos[1].measure, Measure::ErrorRate(Some(FailureClass::Http429)));
    assert_eq!((w.slos[1].limit, w.slos[1].grace), (0.005, Duration::from_secs(10)));
    assert_eq!((w.slos[2].op, w.slos[2].advisory), (Op::AtLeast, true));
    assert!(w.slos[3].abort && w.slos[3].scope.turn.as_deref() == Some("later"));
    assert_eq!(w.validity.len(), 1);
}

#[test]
fn what_is_left_out_has_defaults() {
    let text =
        "difyprobe-load: 1\nid: a\nscenarios: [x.yaml]\narrival: { open: { stages: [{ hold: 50, for: 1s }] } }\n";
    let w = good(text);
    assert!(matches!(w.arrivals, Arrivals::Open { process: Process::Constant, max_in_flight: 3000, .. }));
    assert_eq!((w.validity.len(), w.slos.len(), w.drain, w.think), (4, 0, defaults::DRAIN, true));
    assert_eq!(good(&format!("{text}validity: []\n")).validity, []);
}

#[test]
fn closed_loads_have_users_and_an_end() {
    let closed = |arrival: &str, rest: &str| {
        let text = format!("difyprobe-load: 1\nid: a\nscenarios: [x]\narrival: {{ closed: {arrival} }}\n{rest}");
        parse_load("a", text.as_bytes()).map(|file| file.workload.arrivals)
    };
    let Ok(Arrivals::Closed { stages, iterations }) = closed("{ users: 5, iterations: 10 }", "") else { panic!() };
    assert_eq!((stages[0].to, stages[0].length, iterations), (5.0, Duration::MAX, Some(10)));
    assert!(closed("{ users: 5 }", "requests: 10\n").is_ok());
    let Ok(Arrivals::Closed { stages, .. }) = closed("{ stages: [{ ramp: 0..50, for: 2s }] }", "") else { panic!() };
    assert_eq!((stages[0].from, stages[0].to), (0.0, 50.0));
    let why = |arrival: &str| closed(arrival, "").unwrap_err()[0].message.clone();
    assert_eq!(why("{ users: 5 }"), "this load has no end");
    assert_eq!(why("{ stages: [{ hold: 2.5, for: 2s }] }"), "`2.5` is no number of users from 0 to 1000000");
    let lag = closed("{ users: 5, for: 1s }", "slo: [\"sched_lag p99 < 1s\"]\n").unwrap_err();
    assert!(lag[0].message.contains("closed load"), "{lag:?}");
}

#[test]
fn a_replay_names_its_file() {
    let text = "difyprobe-load: 1\nid: a\nscenarios: [x]\narrival: { replay: { file: times.csv } }\nslo: [\"e2e p50 < 1s {in: replay}\"]\n";
    let file = parse_load("a", text.as_bytes()).unwrap_or_else(|d| panic!("{d:?}"));
    assert_eq!((file.replay.as_deref(), file.limits_in_flight), (Some("times.csv"), false));
    assert_eq!(file.problem_of_replay("gone".into()).at, At { line: 4, column: 28 });
}

#[test]
fn problems_have_their_place_and_a_remedy() {
    let cases = [
        ("title:", "titel:", (3, 1, "unknown key `titel` in a load", "did you mean `title`?")),
        ("poisson", "poison", (10, 14, "`poison` is not known here", "did you mean `poisson`?")),
        ("metric: ttft", "metric: tttf", (21, 15, "there is no metric `tttf`", "did you mean `ttft`?")),
        ("stat: p95, ", "", (21, 15, "`ttft` needs a statistic, e.g. `p(95)`", "there are p50")),
        ("stat: p95", "stat: p0", (21, 27, "`p0` is no percentile between 0 and 100", "there are p50")),
        ("max: 800ms", "max: 800", (21, 37, "the limit `800` has no unit", "a time has a unit")),
        ("[hold, burst]", "[hold, bust]", (21, 55, "there is no stage `bust`", "did you mean `burst`?")),
        (
            "class: http_429",
            "class: http_42",
            (22, 34, "there is no failure class `http_42`", "did you mean `http_429`?"),
        ),
        ("p(99) < 2s", "p(99) < 2", (24, 24, "the limit `2` has no unit", "a time has a unit")),
        ("turn: later", "turn: last", (24, 27, "`last` is no turn: there are `first` and `later`", "")),
        ("over: 20%", "over: 200%", (26, 34, "`200%` is no percentage from 0% to 100%; write e.g. `0.5%`", "")),
        ("USD: 1.50", "USD: 0", (27, 38, "`0` is nothing: no request could be sent", "")),
        ("USD: 1.50", "dollars: 1", (27, 33, "`dollars` is not a currency", "for example `USD`")),
        ("label: warm-up", "label: burst", (15, 38, "two stages have the label `burst`", "labels are unique")),
        ("hold: 20, for: 3m", "hold: 2000000, for: 3m", (14, 17, "`2000000` is more than 1000000 per second", "")),
        (
            "{ hold: 20, for: 3m }",
            "{ hold: 20, ramp: 1..2, for: 3m }",
            (14, 21, "`ramp` does not go together with `hold`", ""),
        ),
        (
            "completion.stream",
            "chat.three-turns",
            (7, 5, "the scenario `chat.three-turns` is there twice", "add the weights"),
        ),
    ];
    for (from, to, (line, column, message, help)) in cases {
        let found = problem(from, to);
        assert_eq!((found.0, found.1, found.2.as_str()), (line, column, message), "{to}");
        assert!(found.3.starts_with(help) && (help.is_empty() || !found.3.is_empty()), "{to}: {}", found.3);
    }
}

#[test]
fn a_load_file_is_known_by_its_marker() {
    assert!(
        is_load(GOOD.as_bytes()) && is_load(b"# x\r\ndifyprobe-load: [") && is_load(b"\xef\xbb\xbfdifyprobe-load: 1")
    );
    assert!(!is_load(b"difyprobe: 1\ntitle: difyprobe-load\n"));
}
