//! One line of a latency table.

use serde::{Deserialize, Serialize};

/// One line of a latency table; times in microseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LatencyRow {
    /// Metric name as in docs/metrics.md: `ttfb ttfe ttft e2e` ...
    pub metric: String,
    /// App label, or a scenario, step or stage name in load reports.
    pub group: String,
    /// `all`, `first` or `later`.
    pub turn: String,
    /// Samples.
    pub n: u64,
    /// Median.
    pub p50_us: u64,
    /// 90th percentile.
    pub p90_us: u64,
    /// 95th percentile.
    pub p95_us: u64,
    /// 99th percentile.
    pub p99_us: u64,
    /// 99.9th percentile, only when n >= 10,000.
    pub p999_us: Option<u64>,
    /// Largest sample.
    pub max_us: u64,
    /// 95 % interval of the median, lower and upper bound; absent where there are too few samples to bound it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p50_ci_us: Option<[u64; 2]>,
    /// 95 % interval of the 90th percentile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p90_ci_us: Option<[u64; 2]>,
    /// 95 % interval of the 95th percentile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p95_ci_us: Option<[u64; 2]>,
    /// 95 % interval of the 99th percentile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p99_ci_us: Option<[u64; 2]>,
}
