use super::*;

fn slo(text: &str) -> Slo {
    Slo::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn parts(text: &str) -> (Measure, Op, f64) {
    let slo = slo(text);
    (slo.measure, slo.op, slo.limit)
}

fn why(text: &str) -> (String, (usize, usize)) {
    let error = Slo::parse(text).unwrap_err();
    (error.message, error.at)
}

#[test]
fn latencies_take_any_percentile_in_any_spelling_and_unit() {
    let wanted = (Measure::Latency(Metric::Ttft, Stat::Quantile(0.95)), Op::Less, 800_000.0);
    for text in
        ["ttft p(95) < 800ms", "ttft p95<0.8s", "TTFT  P( 95 ) <  800 ms", "time-to-first-token p95.0 < 800000us"]
    {
        assert_eq!(parts(text), wanted, "{text}");
    }
    assert_eq!(parts("e2e_sched p99.9 <= 2m").0, Measure::Latency(Metric::E2eSched, Stat::Quantile(0.999)));
    assert_eq!(parts("inter-event-gap max < 1s").0, Measure::Latency(Metric::Icl, Stat::Max));
    assert_eq!(parts("icl avg < 1s").0, Measure::Latency(Metric::Icl, Stat::Mean));
    assert_eq!(parts("conversation-time med < 20s").0, Measure::Latency(Metric::Iteration, Stat::Quantile(0.5)));
    assert_eq!(parts("schedule-lag p99 < 20ms"), parts("sched_lag p(99) < 20ms"));
}

#[test]
fn shares_rates_and_counts_have_their_units() {
    assert_eq!(parts("error-rate < 0.5%"), (Measure::ErrorRate(None), Op::Less, 0.005));
    assert_eq!(parts("error_rate rate<1%").2, 0.01);
    assert_eq!(parts("error-rate(http_429) <= 5%").0, Measure::ErrorRate(Some(FailureClass::Http429)));
    assert_eq!(
        parts("error-rate (missing-terminal) == 0"),
        (Measure::ErrorRate(Some(FailureClass::MissingTerminal)), Op::AtMost, 0.0)
    );
    assert_eq!(parts("good-per-s >= 50/s"), (Measure::GoodPerS, Op::AtLeast, 50.0));
    assert_eq!(parts("goodput > 300/m").2, 5.0);
    assert_eq!(parts("dropped count==0"), (Measure::Dropped, Op::AtMost, 0.0));
    assert_eq!(parts("delivered-rate == 100%"), (Measure::DeliveredRate, Op::AtLeast, 1.0));
    assert_eq!(parts("client-cpu < 80%"), (Measure::ClientCpu, Op::Less, 0.8));
}

#[test]
fn braces_narrow_the_scope_and_say_what_a_miss_does() {
    let slo = slo("ttft p95 < 800ms {scenario: chat.ask, turn=first, in: [hold, recovery], abort, grace: 10s}");
    assert_eq!(slo.scope.scenario.as_deref(), Some("chat.ask"));
    assert_eq!((slo.scope.turn.as_deref(), slo.scope.stages.join(" ")), (Some("first"), "hold recovery".to_owned()));
    assert_eq!((slo.abort, slo.advisory, slo.grace), (true, false, Duration::from_secs(10)));
    assert!(slo.text.starts_with("ttft p95 < 800ms {scenario"));
    assert!(self::slo("ttfb p50 < 1s {step: a, advisory: true, in: hold|peak}").advisory);
    assert_eq!(self::slo("ttfb p50 < 1s {}").scope, Scope::default());
}

#[test]
fn mistakes_are_named_with_their_place() {
    let cases = [
        ("tttf p95 < 1s", "there is no metric `tttf`", (0, 4)),
        ("ttft < 1s", "`ttft` needs a statistic, e.g. `p(95)`", (0, 9)),
        ("ttft p101 < 1s", "`p101` is no percentile between 0 and 100", (5, 4)),
        ("ttft q95 < 1s", "`q95` is no statistic", (5, 3)),
        ("ttft p95 < 800", "the limit `800` has no unit", (11, 3)),
        ("ttft p95 < -1s", "the limit `-1s` is negative", (11, 3)),
        ("ttft p95 < 8 parsecs", "the limit `8 parsecs` has the unit `parsecs`", (11, 9)),
        ("ttft p95 < fast", "`fast` is no limit", (11, 4)),
        ("ttft p95 == 1s", "an objective is a limit, not one value", (9, 2)),
        ("ttft p95 <> 1s", "`<>` compares nothing", (9, 2)),
        ("ttft p95 1s", "`ttft p95 1s` is no objective", (0, 11)),
        ("e2e p9 < 9", "the limit `9` has no unit", (9, 1)),
        ("error-rate < 1", "the limit `1` has no unit", (13, 1)),
        ("error-rate < 101%", "`101%` is more than everything", (13, 4)),
        ("error-rate p95 < 1%", "`error-rate` is one number: it has no `p95`", (11, 3)),
        ("error-rate(http_500) < 1%", "there is no failure class `http_500`", (10, 9)),
        ("ttft(http_429) p95 < 1s", "`ttft` has no failure classes", (4, 9)),
        ("dropped < 0.5", "`0.5` is no whole number", (10, 3)),
        ("ttft p95 < 1s {in: hold", "the braces are not closed at the end", (14, 9)),
        ("ttft p95 < 1s {on: hold}", "unknown key `on` in the braces", (14, 10)),
        ("ttft p95 < 1s {turn: 2}", "`2` is no turn: there are `first` and `later`", (14, 9)),
        ("ttft p95 < 1s {in}", "`in` needs a value, e.g. `in: hold`", (14, 4)),
        ("ttft p95 < 1s {grace: soon}", "`soon` is no time; write e.g. `10s`", (14, 13)),
        ("client-cpu < 80% {in: hold}", "this metric is of the whole run: `in` does not narrow it", (0, 10)),
        (
            "conversation-time p50 < 2s {step: a}",
            "this metric is of whole scenarios: `step` does not narrow it",
            (0, 17),
        ),
        ("", "`` is no objective", (0, 0)),
    ];
    for (text, message, at) in cases {
        assert_eq!(why(text), (message.to_owned(), at), "{text}");
    }
    let unknown = Slo::parse("tttf p95 < 1s").unwrap_err().unknown.unwrap();
    assert!(unknown.0 == "tttf" && unknown.1.contains(&"ttft"));
}

#[test]
fn every_name_is_a_measure() {
    for name in names() {
        assert!(measure(name).is_some(), "{name}");
    }
}
