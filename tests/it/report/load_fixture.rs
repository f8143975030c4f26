//! Results of loads that were never run: made up request by request from a seed, then summed up as a recorder would.

use super::fixture;
use difyprobe::metrics::summary::{
    Bar, ClientHealth, CurvePoint, GroupResult, JudgedCounts, RunIdentity, ScenarioShare, Second, SloResult, SloState,
    StageResult,
};
use difyprobe::metrics::{LOAD_SCHEMA, LatencyRow, LoadSummary, ci95_ranks};
use difyprobe::model::{Level, Outcome};
use difyprobe::report::run::{RunReport, Verdict};
use difyprobe::report::verdict;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Label, length in seconds, level at its begin and end, whether it is measured.
type Stage = (&'static str, u32, f64, f64, bool);

/// What became of one request; times in microseconds.
#[derive(Clone)]
struct Request {
    stage: usize,
    scenario: &'static str,
    step: &'static str,
    later: bool,
    sent_us: u64,
    lag_us: u64,
    ttft_us: u64,
    e2e_us: u64,
    gaps: Vec<u64>,
    failure: Option<&'static str>,
}

struct Random(u64);

impl Random {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn lognormal(&mut self, median: f64, sigma: f64) -> f64 {
        let normal: f64 = (0..12).map(|_| self.unit()).sum::<f64>() - 6.0;
        median * (sigma * normal).exp()
    }
}

const STEPS: [(&str, &str); 4] = [
    ("chat.three-turns", "first"),
    ("chat.three-turns", "second"),
    ("chat.three-turns", "third"),
    ("completion.stream", "ask"),
];

/// Four minutes with a burst that the server does not stand.
pub fn troubled() -> LoadSummary {
    static MADE: LazyLock<LoadSummary> = LazyLock::new(make_troubled); // twelve thousand requests take a second
    MADE.clone()
}

fn make_troubled() -> LoadSummary {
    let stages: [Stage; 4] = [
        ("warm-up", 30, 1.0, 20.0, false),
        ("hold", 120, 20.0, 20.0, true),
        ("burst", 20, 60.0, 60.0, true),
        ("recovery", 70, 20.0, 20.0, true),
    ];
    let slow = |t: f64| match t {
        t if t < 152.0 => 1.0,
        t if t < 172.0 => 1.0 + (t - 152.0) * 0.32,
        t => 1.0 + 6.4 * (-(t - 172.0) / 12.0).exp(),
    };
    let mut load = sum_up(&stages, slow, 20_261_123);
    load.slos = vec![
        slo("ttft p(95) < 800ms in stage hold,recovery", load.groups.get(4), "ttft", 800.0),
        slo("e2e_sched p(95) < 3s", load.groups.first(), "e2e_sched", 3_000.0),
        slo_value("error_rate < 0.5%", Some(share(&load) * 100.0), 0.5, "%"),
        SloResult {
            advisory: true,
            ..slo_value("req_per_s >= 40", load.groups.first().map(|g| -g.req_per_s), -40.0, "/s")
        },
        SloResult { advisory: true, ..slo_value("tpot p(50) < 40ms", None, 40.0, "ms") },
        slo_value("icl p(99) < 500ms", Some(212.4), 500.0, "ms"),
    ];
    load.slos.iter_mut().filter(|s| s.limit < 0.0).for_each(|s| {
        s.limit = -s.limit;
        s.value = s.value.map(|v| -v);
    });
    load.validity = vec![
        slo_value("sched_lag p(99) < 20ms", Some(3.12), 20.0, "ms"),
        SloResult {
            remedy: Some("raise max-in-flight above 800, or ask for less".into()),
            ..slo_value("dropped <= 0", Some(load.client.dropped as f64), 0.0, "")
        },
        slo_value("client_cpu < 80%", Some(31.4), 80.0, "%"),
    ];
    load
}

/// Two minutes in which nothing happens.
pub fn calm() -> LoadSummary {
    let stages: [Stage; 2] = [("warm-up", 20, 1.0, 25.0, false), ("hold", 100, 25.0, 25.0, true)];
    let mut load = sum_up(&stages, |_| 1.0, 7);
    load.slos = vec![
        slo("ttft p(95) < 800ms", load.groups.first(), "ttft", 800.0),
        slo("e2e_sched p(99) < 4s", load.groups.first(), "e2e_sched", 4_000.0),
        slo_value("error_rate < 0.5%", Some(share(&load) * 100.0), 0.5, "%"),
    ];
    load.validity = vec![
        slo_value("sched_lag p(99) < 20ms", Some(1.4), 20.0, "ms"),
        slo_value("dropped <= 0", Some(0.0), 0.0, ""),
        slo_value("client_cpu < 80%", Some(12.0), 80.0, "%"),
    ];
    load
}

/// Three seconds of a closed load without objectives.
pub fn tiny() -> LoadSummary {
    let mut load = sum_up(&[("", 3, 2.0, 2.0, true)], |_| 0.2, 3);
    load.run.model = "closed".into();
    load.groups.iter_mut().for_each(|g| g.latency.retain(|r| r.metric != "e2e_sched" && r.metric != "sched_lag"));
    load.curves.remove("e2e_sched");
    load.distributions.remove("e2e_sched");
    load
}

/// A run that ended before anything was measured.
pub fn empty() -> LoadSummary {
    LoadSummary {
        schema: LOAD_SCHEMA.into(),
        run: identity(1),
        ended_early: Some("interrupted".into()),
        groups: vec![GroupResult::default()],
        slos: vec![slo_value("ttft p(95) < 800ms", None, 800.0, "ms")],
        ..LoadSummary::default()
    }
}

/// The report around a load, with rules that broke under it.
pub fn report(load: LoadSummary) -> RunReport {
    let mut report = fixture::report();
    report.command = "load".into();
    report.baseline = None;
    report.scenarios.clear();
    report.latency.clear();
    report.notes = vec!["the target answers over plain HTTP".into()];
    let failed: u64 = load.groups.first().map_or(0, GroupResult::failed);
    if failed == 0 {
        report.rules.retain(|r| r.outcome != Outcome::Fail && r.outcome != Outcome::CouldNotRun);
    }
    report.rules.push(fixture::rule("load.seen-only", "load", Level::Must, Outcome::Pass, "Answers do not mix."));
    let judged = if failed == 0 { Verdict::Pass } else { Verdict::Fail };
    let (verdict, code) = verdict::with_load(judged, &load);
    (report.verdict, report.exit_code) = (verdict, code);
    report.elapsed_ms = (load.elapsed_s * 1000.0) as u64;
    let requests = load.groups.first().map_or(0, |g| g.requests);
    report.summary = difyprobe::report::summary(verdict, &report.rules, &[], requests, report.elapsed_ms);
    report.load = Some(Box::new(load));
    report
}

/// As [`report`], but the rules all hold, so that the verdict is the load's own.
pub fn report_of_load_alone(load: LoadSummary) -> RunReport {
    let mut report = report(load);
    report.rules.retain(|r| r.outcome == Outcome::Pass);
    let (verdict, code) = report.load.as_ref().map_or((Verdict::Pass, 0), |l| verdict::with_load(Verdict::Pass, l));
    (report.verdict, report.exit_code) = (verdict, code);
    let requests = report.summary.requests;
    report.summary = difyprobe::report::summary(verdict, &report.rules, &[], requests, report.elapsed_ms);
    report
}

fn share(load: &LoadSummary) -> f64 {
    load.groups.first().map_or(0.0, |g| g.failed() as f64 / g.requests.max(1) as f64)
}

fn slo(text: &str, group: Option<&GroupResult>, metric: &str, limit: f64) -> SloResult {
    let value = group.and_then(|g| g.line(metric)).map(|row| row.p95_us as f64 / 1000.0);
    slo_value(text, value, limit, "ms")
}

fn slo_value(text: &str, value: Option<f64>, limit: f64, unit: &str) -> SloResult {
    let margin = value.filter(|_| limit != 0.0).map(|v| (limit - v) / limit.abs());
    let state = match value {
        None => SloState::Unknown,
        Some(v) if v <= limit => SloState::Met,
        Some(_) => SloState::Missed,
    };
    SloResult { text: text.into(), value, limit, unit: unit.into(), margin, state, ..SloResult::default() }
}

fn identity(seed: u64) -> RunIdentity {
    RunIdentity {
        id: "evening-peak".into(),
        tool_version: "0.1.0".into(),
        model: "open".into(),
        seed,
        config_hash: "5a2c9e0b77d1f3a4".into(),
        base_url: "http://127.0.0.1:5001/v1".into(),
        profile: "dify-1.12".into(),
        server_version: Some("1.12.1".into()),
        scenarios: vec![
            ScenarioShare { id: "chat.three-turns".into(), app: "chat".into(), weight: 70 },
            ScenarioShare { id: "completion.stream".into(), app: "completion".into(), weight: 30 },
        ],
        command: format!(
            "difyprobe load scenarios/load/evening-peak.yaml --base-url http://127.0.0.1:5001/v1 --seed {seed}"
        ),
        ..RunIdentity::default()
    }
}

/// The requests of a load whose answers take `slow(t)` times as long as usual.
fn requests(stages: &[Stage], slow: impl Fn(f64) -> f64, random: &mut Random) -> (Vec<Request>, Vec<[u64; 3]>) {
    let mut all = Vec::new();
    let mut arrivals = Vec::new(); // planned, begun, dropped per second
    let mut begin = 0_u32;
    for (stage, (_, seconds, from, to, _)) in stages.iter().enumerate() {
        for second in 0..*seconds {
            let level = from + (to - from) * f64::from(second) / f64::from(*seconds);
            let planned = (level + random.unit() - 0.5).round().max(0.0) as u64;
            let strain = slow(f64::from(begin + second));
            let dropped = if strain > 5.5 { planned / 3 } else { 0 };
            arrivals.push([planned, planned - dropped, dropped]);
            for _ in 0..planned - dropped {
                let at = (f64::from(begin + second) + random.unit()) * 1e6;
                conversation(&mut all, stage, at, strain, random);
            }
        }
        begin += seconds;
    }
    (all, arrivals)
}

fn conversation(all: &mut Vec<Request>, stage: usize, mut at: f64, strain: f64, random: &mut Random) {
    let steps = if random.unit() < 0.7 { STEPS.get(..3) } else { STEPS.get(3..) };
    for (turn, (scenario, step)) in steps.unwrap_or_default().iter().enumerate() {
        let extra = if turn == 0 { 1.35 } else { 1.0 };
        let ttft = random.lognormal(240_000.0 * extra, 0.28) * strain;
        let gaps: Vec<u64> = (0..24).map(|_| random.lognormal(38_000.0, 0.45) as u64).collect();
        let e2e = ttft + gaps.iter().sum::<u64>() as f64;
        let failure = match (strain > 2.4, random.unit()) {
            (true, r) if r < 0.16 => Some("http_429"),
            (true, r) if r < 0.19 => Some("timeout"),
            (true, r) if r < 0.205 => Some("truncated"),
            _ => None,
        };
        let lag_us = random.lognormal(600.0, 0.6) as u64;
        all.push(Request {
            stage,
            scenario,
            step,
            later: turn > 0,
            sent_us: at as u64,
            lag_us,
            ttft_us: ttft as u64,
            e2e_us: e2e as u64,
            gaps,
            failure,
        });
        if failure.is_some() {
            return;
        }
        at += e2e + random.lognormal(2_000_000.0, 0.4);
    }
}

fn sum_up(stages: &[Stage], slow: impl Fn(f64) -> f64, seed: u64) -> LoadSummary {
    let (all, arrivals) = requests(stages, slow, &mut Random(seed));
    let mut begin = 0_u32;
    let mut results = Vec::new();
    for (label, seconds, from, to, measure) in stages {
        let sum = |i: usize| -> u64 {
            arrivals.iter().skip(begin as usize).take(*seconds as usize).filter_map(|a| a.get(i)).sum()
        };
        results.push(StageResult {
            label: (*label).into(),
            from_s: f64::from(begin),
            to_s: f64::from(begin + seconds),
            level_from: *from,
            level_to: *to,
            measure: *measure,
            planned: sum(0),
            begun: sum(1),
            dropped: sum(2),
        });
        begin += seconds;
    }
    let measured: f64 = stages.iter().filter(|s| s.4).map(|s| f64::from(s.1)).sum();
    let counted: Vec<&Request> = all.iter().filter(|r| stages.get(r.stage).is_some_and(|s| s.4)).collect();
    let good: Vec<&&Request> = counted.iter().filter(|r| r.failure.is_none()).collect();
    let mut curves = BTreeMap::new();
    let mut distributions = BTreeMap::new();
    for metric in ["e2e_sched", "e2e", "ttft", "icl"] {
        let values = sorted(good.iter().flat_map(|r| r.values(metric)));
        curves.insert(metric.to_owned(), curve(&values));
        distributions.insert(metric.to_owned(), bars(&values));
    }
    let series = series(&all, &arrivals, stages, begin);
    let dropped = arrivals.iter().filter_map(|a| a.get(2)).sum();
    LoadSummary {
        schema: LOAD_SCHEMA.into(),
        run: identity(seed),
        started_unix_us: 1_795_423_932_563_000,
        elapsed_s: series.len() as f64,
        measured_s: measured,
        ended_early: None,
        stages: results,
        groups: groups(&counted, stages, measured),
        client: health(&series, dropped),
        curves,
        distributions,
        judged: JudgedCounts { judged: all.len() as u64, responses: all.len() as u64 + 4, sampled: 400 },
        series,
        ..LoadSummary::default()
    }
}

fn groups(counted: &[&Request], stages: &[Stage], measured: f64) -> Vec<GroupResult> {
    let mut groups = vec![group(counted, measured, GroupResult::default(), |_| true)];
    for (i, stage) in stages.iter().enumerate().filter(|(_, s)| s.4) {
        let name = GroupResult { stage: Some(stage.0.into()), ..GroupResult::default() };
        groups.push(group(counted, f64::from(stage.1), name, |r| r.stage == i));
    }
    for scenario in ["chat.three-turns", "completion.stream"] {
        let name = GroupResult { scenario: Some(scenario.into()), ..GroupResult::default() };
        groups.push(group(counted, measured, name, |r| r.scenario == scenario));
    }
    for (scenario, step) in STEPS {
        let name = GroupResult { scenario: Some(scenario.into()), step: Some(step.into()), ..GroupResult::default() };
        groups.push(group(counted, measured, name, |r| r.scenario == scenario && r.step == step));
    }
    for turn in ["first", "later"] {
        let name = GroupResult { turn: Some(turn.into()), ..GroupResult::default() };
        groups.push(group(counted, measured, name, |r| r.later == (turn == "later")));
    }
    groups
}

fn group(all: &[&Request], seconds: f64, name: GroupResult, wanted: impl Fn(&Request) -> bool) -> GroupResult {
    let mine: Vec<&&Request> = all.iter().filter(|r| wanted(r)).collect();
    let ok: Vec<&&&Request> = mine.iter().filter(|r| r.failure.is_none()).collect();
    let good = ok.iter().filter(|r| r.ttft_us < 800_000).count() as u64;
    let mut failures = BTreeMap::new();
    mine.iter().filter_map(|r| r.failure).for_each(|f| *failures.entry(f.to_owned()).or_default() += 1);
    let (requests, correct) = (mine.len() as u64, ok.len() as u64);
    let metrics =
        ["sched_lag", "ttfb", "ttfe", "ttft", "icl", "tpot", "e2e", "e2e_sched", "server_latency", "overhead"];
    let row = |metric: &str| {
        let values = sorted(ok.iter().flat_map(|r| r.values(metric)));
        (!values.is_empty()).then(|| row(metric, name.turn.as_deref().unwrap_or("all"), &values))
    };
    let latency: Vec<LatencyRow> = metrics.into_iter().filter_map(row).collect();
    GroupResult {
        requests,
        ok: correct,
        good,
        failures,
        events: correct * 27,
        pings: correct / 9,
        completion_tokens: correct * 61,
        cost: BTreeMap::from([("USD".to_owned(), correct * 184_000)]),
        req_per_s: correct as f64 / seconds,
        good_per_s: good as f64 / seconds,
        good_fraction: good as f64 / requests.max(1) as f64,
        output_tps: correct as f64 * 61.0 / seconds,
        events_per_s: correct as f64 * 27.0 / seconds,
        cost_per_1k_good: BTreeMap::from([("USD".to_owned(), 0.184 * correct as f64 / good.max(1) as f64)]),
        adj_p99_us: latency.iter().find(|r| r.metric == "e2e_sched").filter(|_| requests == correct).map(|r| r.p99_us),
        latency,
        ..name
    }
}

impl Request {
    fn values(&self, metric: &str) -> Vec<u64> {
        match metric {
            "sched_lag" => vec![self.lag_us],
            "ttfb" => vec![self.ttft_us * 2 / 3],
            "ttfe" => vec![self.ttft_us * 9 / 10],
            "ttft" => vec![self.ttft_us],
            "icl" => self.gaps.clone(),
            "tpot" => vec![(self.e2e_us - self.ttft_us) / 60],
            "e2e_sched" => vec![self.e2e_us + self.lag_us],
            "server_latency" => vec![self.e2e_us - 9_000],
            "overhead" => vec![9_000 + self.lag_us / 9],
            _ => vec![self.e2e_us],
        }
    }
}

fn series(all: &[Request], arrivals: &[[u64; 3]], stages: &[Stage], length: u32) -> Vec<Second> {
    let end = all.iter().map(|r| (r.sent_us + r.e2e_us) / 1_000_000 + 1).max().unwrap_or(0);
    let seconds = u32::try_from(end).unwrap_or(0).max(length);
    let at = |us: u64| (us / 1_000_000) as usize;
    let mut ends: Vec<Vec<&Request>> = vec![Vec::new(); seconds as usize];
    let mut begins = ends.clone();
    for r in all {
        begins.get_mut(at(r.sent_us)).into_iter().for_each(|second| second.push(r));
        ends.get_mut(at(r.sent_us + r.e2e_us)).into_iter().for_each(|second| second.push(r));
    }
    let mut open = 0;
    let second = |t: u32| {
        let (sent, ended) = (&begins[t as usize], &ends[t as usize]);
        let ok: Vec<&&Request> = ended.iter().filter(|r| r.failure.is_none()).collect();
        open = open + sent.len() as u64 - ended.len() as u64;
        let mut failures = BTreeMap::new();
        ended.iter().filter_map(|r| r.failure).for_each(|f| *failures.entry(f.to_owned()).or_default() += 1);
        let e2e = sorted(ok.iter().map(|r| r.e2e_us + r.lag_us));
        let ttft = sorted(ok.iter().map(|r| r.ttft_us));
        let [planned, begun, dropped] = arrivals.get(t as usize).copied().unwrap_or_default();
        let mut until = 0;
        let stage = stages.iter().position(|s| {
            until += s.1;
            t < until
        });
        Second {
            t,
            stage: stage.unwrap_or(stages.len().saturating_sub(1)) as u32,
            planned,
            begun,
            dropped,
            requests: sent.len() as u64,
            ok: ok.len() as u64,
            failures,
            events: ok.len() as u64 * 27,
            completion_tokens: ok.len() as u64 * 61,
            in_flight: open + sent.len() as u64 / 9,
            open_streams: open,
            p50_us: quantile(&e2e, 0.5),
            p95_us: quantile(&e2e, 0.95),
            p99_us: quantile(&e2e, 0.99),
            ttft_p50_us: quantile(&ttft, 0.5),
            ttft_p95_us: quantile(&ttft, 0.95),
            lag_max_us: sent.iter().map(|r| r.lag_us).max(),
            client_cpu: 0.02 + open as f64 * 0.0006,
            rss: 48_000_000 + u64::from(t) * 9_000 + open * 36_000,
        }
    };
    (0..seconds).map(second).collect()
}

fn health(series: &[Second], dropped: u64) -> ClientHealth {
    let cpu: f64 = series.iter().map(|s| s.client_cpu).sum();
    ClientHealth {
        cores: 2,
        cpu_s: cpu * 2.0,
        cpu_max: series.iter().map(|s| s.client_cpu).fold(0.0, f64::max),
        cpu_mean: cpu / series.len().max(1) as f64,
        cpu_sustained: series.iter().map(|s| s.client_cpu).fold(0.0, f64::max),
        rss_max: series.iter().map(|s| s.rss).max().unwrap_or(0),
        fds_max: 37 + series.iter().map(|s| s.open_streams).max().unwrap_or(0),
        fds_limit: 20_000,
        streams_max: series.iter().map(|s| s.open_streams).max().unwrap_or(0),
        ports_left: Some(27_850),
        lag_p99_us: Some(3_120),
        dropped,
        unfinished: 0,
        panics: 0,
    }
}

fn sorted(values: impl Iterator<Item = u64>) -> Vec<u64> {
    let mut values: Vec<u64> = values.collect();
    values.sort_unstable();
    values
}

fn quantile(values: &[u64], q: f64) -> Option<u64> {
    let rank = (values.len() as f64 * q).ceil().max(1.0) as usize;
    values.get(rank - 1).copied()
}

fn row(metric: &str, turn: &str, values: &[u64]) -> LatencyRow {
    let at = |q| quantile(values, q).unwrap_or(0);
    let n = values.len() as u64;
    let ci = |q| {
        let (low, high) = ci95_ranks(n, q)?;
        Some([*values.get(low as usize - 1)?, *values.get(high as usize - 1)?])
    };
    LatencyRow {
        metric: metric.into(),
        group: String::new(),
        turn: turn.into(),
        n,
        p50_us: at(0.5),
        p90_us: at(0.9),
        p95_us: at(0.95),
        p99_us: at(0.99),
        p999_us: (n >= 10_000).then(|| at(0.999)),
        max_us: at(1.0),
        p50_ci_us: ci(0.5),
        p90_ci_us: ci(0.9),
        p95_ci_us: ci(0.95),
        p99_ci_us: ci(0.99),
    }
}

fn curve(values: &[u64]) -> Vec<CurvePoint> {
    let steps = (0..=40).map(|i| 1.0 - 10_f64.powf(-f64::from(i) / 10.0));
    let point = |q: f64| Some(CurvePoint { q, us: quantile(values, q)? });
    steps.filter(|q| (1.0 - q) * values.len() as f64 >= 1.0).filter_map(point).collect()
}

fn bars(values: &[u64]) -> Vec<Bar> {
    let (Some(low), Some(high)) = (values.first(), values.last()) else { return Vec::new() };
    let edge = |i: i32| 10_f64.powf(f64::from(i) / 10.0) as u64;
    let first = ((*low as f64).log10() * 10.0).floor() as i32;
    let last = ((*high as f64).log10() * 10.0).floor() as i32;
    let bar = |i: i32| {
        let (from_us, to_us) = (edge(i), edge(i + 1));
        Bar { from_us, to_us, n: values.iter().filter(|v| (from_us..to_us).contains(*v)).count() as u64 }
    };
    (first..=last).map(bar).collect()
}
