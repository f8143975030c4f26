//! The result of a load: data only, everything that reports, `compare` and `merge` look at.

use super::{LatencyRow, Slo};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Identifies the layout of `summary.json`.
pub const LOAD_SCHEMA: &str = "difyprobe.load/1";

/// Everything that a load measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LoadSummary {
    /// Always [`LOAD_SCHEMA`].
    pub schema: String,
    /// What repeats the run.
    pub run: RunIdentity,
    /// Wall clock of the start of the schedule, microseconds since the Unix epoch.
    pub started_unix_us: u64,
    /// From the start of the schedule to the end of the drain, in seconds.
    pub elapsed_s: f64,
    /// Measured time in seconds: stages with `measure`, as far as they were run. Every rate is per second of it.
    pub measured_s: f64,
    /// Why the run ended before its schedule did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_early: Option<String>,
    /// A condition of the plan about failures ended the run: never green.
    #[serde(default)]
    pub stopped: bool,
    /// The stages, in order.
    pub stages: Vec<StageResult>,
    /// Results: first the whole, then per stage, per scenario, per step, per turn.
    pub groups: Vec<GroupResult>,
    /// Objectives.
    pub slos: Vec<SloResult>,
    /// What the generator had to hold for the numbers to count. One that is missed makes the run invalid.
    pub validity: Vec<SloResult>,
    /// The generator's own state.
    pub client: ClientHealth,
    /// One point per second of the whole run.
    pub series: Vec<Second>,
    /// Percentile curves of the whole, by metric name.
    pub curves: BTreeMap<String, Vec<CurvePoint>>,
    /// Distributions of the whole, by metric name; bars of equal width on a log scale.
    pub distributions: BTreeMap<String, Vec<Bar>>,
    /// How much of it was judged by the rules.
    pub judged: JudgedCounts,
    /// The objectives behind `slos`, in the same order, so that `merge` can evaluate them again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objectives: Vec<Slo>,
    /// Those behind the first entries of `validity`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Slo>,
}

/// What repeats a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RunIdentity {
    /// Id of the load.
    pub id: String,
    /// difyprobe's version.
    pub tool_version: String,
    /// `open`, `replay` or `closed`.
    pub model: String,
    /// Seed of the schedule and of all data.
    pub seed: u64,
    /// Hash of everything that decides what is sent and when (scenarios, shares, arrivals, seed), as 16 hex digits.
    /// Equal hashes may be merged; the target, limits and objectives are no part of it.
    pub config_hash: String,
    /// Base URL of the target.
    pub base_url: String,
    /// Profile id in force.
    pub profile: String,
    /// `X-Version` of the target, where sent.
    pub server_version: Option<String>,
    /// Scenarios with their shares.
    pub scenarios: Vec<ScenarioShare>,
    /// Which part of the schedule this is; `None` for all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<ShardName>,
    /// Shards that were merged; empty for a single run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub merged: Vec<ShardName>,
    /// Command line that repeats it, without keys.
    pub command: String,
}

/// A scenario of the load.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ScenarioShare {
    /// Scenario id.
    pub id: String,
    /// App label.
    pub app: String,
    /// Its share, relative to the others.
    pub weight: u32,
}

/// A shard of a schedule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ShardName {
    /// From 0.
    pub index: u32,
    /// How many there are.
    pub count: u32,
}

/// One stage.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct StageResult {
    /// Label.
    pub label: String,
    /// Begin, in seconds since the start of the schedule.
    pub from_s: f64,
    /// End; that of the run where it ended within the stage.
    pub to_s: f64,
    /// Level at the begin: arrivals per second, or users.
    pub level_from: f64,
    /// Level at the end.
    pub level_to: f64,
    /// Whether it enters the results.
    pub measure: bool,
    /// Scenarios planned (open model).
    pub planned: u64,
    /// Scenarios begun.
    pub begun: u64,
    /// Arrivals that found `max-in-flight` scenarios under way and were not sent.
    pub dropped: u64,
}

/// Results of a part of the load. Members that are `None` mean all.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct GroupResult {
    /// Label of a stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// Scenario id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scenario: Option<String>,
    /// Step id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// `first` or `later`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn: Option<String>,
    /// Generation requests.
    pub requests: u64,
    /// Those that finished correctly.
    pub ok: u64,
    /// Those that met every latency objective besides.
    pub good: u64,
    /// Failed ones by class.
    pub failures: BTreeMap<String, u64>,
    /// SSE events but pings.
    pub events: u64,
    /// Pings.
    pub pings: u64,
    /// Completion tokens of correct answers.
    pub completion_tokens: u64,
    /// Price of correct answers by currency, in units of 1e-9 of it.
    pub cost: BTreeMap<String, u64>,
    /// Requests that finished correctly, per second.
    pub req_per_s: f64,
    /// Requests that met every latency objective, per second.
    pub good_per_s: f64,
    /// Good / attempted, 0 to 1; failed ones count as bad.
    pub good_fraction: f64,
    /// Completion tokens per second.
    pub output_tps: f64,
    /// SSE events per second.
    pub events_per_s: f64,
    /// Price per thousand good requests, by currency, in that currency.
    pub cost_per_1k_good: BTreeMap<String, f64>,
    /// Latency lines; of correct answers only.
    pub latency: Vec<LatencyRow>,
    /// 99th percentile of `e2e` (open model: `e2e_sched`) with failures as infinitely slow; `None` where it is infinite.
    pub adj_p99_us: Option<u64>,
}

impl GroupResult {
    /// Failed requests of all classes.
    pub fn failed(&self) -> u64 {
        self.failures.values().sum()
    }

    /// The latency line of a metric.
    pub fn line(&self, metric: &str) -> Option<&LatencyRow> {
        self.latency.iter().find(|row| row.metric == metric)
    }
}

/// What became of an objective.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SloResult {
    /// As written.
    pub text: String,
    /// The measured value in the unit of `unit`; `None` where nothing was measured.
    pub value: Option<f64>,
    /// The limit in the same unit.
    pub limit: f64,
    /// `ms`, `%`, `/s` or empty for a count.
    pub unit: String,
    /// How far the value is inside the limit, as a share of the limit: positive is good, negative a miss.
    pub margin: Option<f64>,
    /// How sure `state` is, 0.5 to 1, given the number of samples; `None` where the objective is not about a share of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    /// `met`, `missed` or `unknown` (nothing was measured: red like a miss).
    pub state: SloState,
    /// Never red.
    pub advisory: bool,
    /// It ended the run.
    pub aborted: bool,
    /// What to do about it; for validity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// State of an objective.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SloState {
    /// It holds.
    Met,
    /// It does not hold.
    Missed,
    /// Nothing was measured.
    #[default]
    Unknown,
}

/// The generator's own state over the run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ClientHealth {
    /// Cores of the machine.
    pub cores: u32,
    /// CPU seconds used by this process.
    pub cpu_s: f64,
    /// Highest share of all cores within one second, 0 to 1.
    pub cpu_max: f64,
    /// Mean share over the measured time, 0 to 1.
    pub cpu_mean: f64,
    /// Highest mean share over ten seconds in a row of the measured time, 0 to 1: what `client_cpu` is compared with.
    #[serde(default)]
    pub cpu_sustained: f64,
    /// Largest resident memory in bytes.
    pub rss_max: u64,
    /// Most file descriptors open at once.
    pub fds_max: u64,
    /// Limit on file descriptors.
    pub fds_limit: u64,
    /// Most streams open at once.
    pub streams_max: u64,
    /// Ports of one address that are left for connections to one server, at the least; `None` where it is not known.
    pub ports_left: Option<u64>,
    /// 99th percentile of the lateness of sends (open model), in microseconds.
    pub lag_p99_us: Option<u64>,
    /// Arrivals that were dropped.
    pub dropped: u64,
    /// Scenarios that were under way when the drain was over and were cut.
    pub unfinished: u64,
    /// Virtual users that panicked; contained and counted.
    pub panics: u64,
}

/// One second of the run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Second {
    /// Seconds since the start of the schedule.
    pub t: u32,
    /// Index of the stage; that of the last one during the drain.
    pub stage: u32,
    /// Scenarios planned for this second (open model).
    pub planned: u64,
    /// Scenarios begun.
    pub begun: u64,
    /// Arrivals dropped.
    pub dropped: u64,
    /// Generation requests sent in this second, whatever became of them later.
    pub requests: u64,
    /// Requests that ended correctly in this second.
    pub ok: u64,
    /// Requests that ended in a failure in this second, by class.
    pub failures: BTreeMap<String, u64>,
    /// SSE events of the requests that ended in this second.
    pub events: u64,
    /// Completion tokens of the same.
    pub completion_tokens: u64,
    /// Requests under way at the end of the second.
    pub in_flight: u64,
    /// Streams open at the end of the second.
    pub open_streams: u64,
    /// Median of `e2e` (open model: `e2e_sched`) of requests that ended in this second.
    pub p50_us: Option<u64>,
    /// 95th percentile of the same.
    pub p95_us: Option<u64>,
    /// 99th percentile of the same.
    pub p99_us: Option<u64>,
    /// Median of `ttft`.
    pub ttft_p50_us: Option<u64>,
    /// 95th percentile of `ttft`.
    pub ttft_p95_us: Option<u64>,
    /// Largest lateness of a send, in microseconds.
    pub lag_max_us: Option<u64>,
    /// CPU of this process as a share of all cores, 0 to 1.
    pub client_cpu: f64,
    /// Resident memory in bytes.
    pub rss: u64,
}

/// A point of a percentile curve.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct CurvePoint {
    /// Percentile, 0 to 1.
    pub q: f64,
    /// Value in microseconds.
    pub us: u64,
}

/// A bar of a distribution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Bar {
    /// Lower bound in microseconds, inclusive.
    pub from_us: u64,
    /// Upper bound, exclusive.
    pub to_us: u64,
    /// Samples.
    pub n: u64,
}

/// How much of a load was judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct JudgedCounts {
    /// Responses judged by the rules that need no other response.
    pub judged: u64,
    /// All responses.
    pub responses: u64,
    /// Exchanges kept for the rules that compare exchanges.
    pub sampled: u64,
}
