//! The metrics: names and definitions. All are times in microseconds.

use serde::{Deserialize, Serialize};

/// One latency metric. Which tool of the field calls the same thing what is said beside each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// `sched_lag`: actual send minus planned send, open model only (guidellm: dispatch delay).
    SchedLag,
    /// `ttfb`: from the send to the complete response head (k6: waiting).
    Ttfb,
    /// `ttfe`: from the send to the first event of any kind but `ping` (TTFE of Dify's own stress suite).
    Ttfe,
    /// `ttft`: from the send to the first content chunk that is not empty (TTFT); absent in blocking mode.
    Ttft,
    /// `icl`: gap between consecutive content chunks (aiperf: ICL). Not inter-token latency: Dify streams chunks.
    Icl,
    /// `tpot`: (`last_content` - `ttft`) / (completion tokens - 1), the server's own token count (vLLM: TPOT);
    /// absent below 2 tokens.
    Tpot,
    /// `last_content`: from the send to the last content chunk that is not empty (aiperf: request latency).
    LastContent,
    /// `e2e`: from the send to the terminal event of the app type, or to the whole body when blocking.
    E2e,
    /// `e2e_sched`: from the *planned* send to the same end, so that a late generator cannot hide a slow server
    /// (wrk2's correction of coordinated omission); open model only.
    E2eSched,
    /// `server_latency`: `usage.latency`, what the server says it took.
    ServerLatency,
    /// `server_ttft`: `usage.time_to_first_token`, what the server says.
    ServerTtft,
    /// `overhead`: `e2e` minus `server_latency`, 0 where the server claims more than we waited.
    Overhead,
    /// `conversation_time`: a whole scenario, from its begin (open model: its planned begin) to its end, think times
    /// included. One sample per finished scenario, not per request.
    #[serde(rename = "conversation_time")]
    Iteration,
}

impl Metric {
    /// How many there are.
    pub const COUNT: usize = 13;

    /// All of them, in the order of tables.
    pub const ALL: [Metric; Metric::COUNT] = [
        Metric::SchedLag,
        Metric::Ttfb,
        Metric::Ttfe,
        Metric::Ttft,
        Metric::Icl,
        Metric::Tpot,
        Metric::LastContent,
        Metric::E2e,
        Metric::E2eSched,
        Metric::ServerLatency,
        Metric::ServerTtft,
        Metric::Overhead,
        Metric::Iteration,
    ];

    /// The name in reports and thresholds.
    pub fn as_str(self) -> &'static str {
        match self {
            Metric::SchedLag => "sched_lag",
            Metric::Ttfb => "ttfb",
            Metric::Ttfe => "ttfe",
            Metric::Ttft => "ttft",
            Metric::Icl => "icl",
            Metric::Tpot => "tpot",
            Metric::LastContent => "last_content",
            Metric::E2e => "e2e",
            Metric::E2eSched => "e2e_sched",
            Metric::ServerLatency => "server_latency",
            Metric::ServerTtft => "server_ttft",
            Metric::Overhead => "overhead",
            Metric::Iteration => "conversation_time",
        }
    }

    /// The metric with this name.
    pub fn parse(text: &str) -> Option<Metric> {
        Metric::ALL.into_iter().find(|m| m.as_str() == text)
    }
}

impl std::fmt::Display for Metric {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_has_its_own_slot_and_a_name_that_parses_back() {
        for (slot, metric) in Metric::ALL.into_iter().enumerate() {
            assert_eq!(metric as usize, slot);
            assert_eq!(Metric::parse(metric.as_str()), Some(metric));
            assert_eq!(serde_json::to_value(metric).ok(), Some(metric.as_str().into()));
        }
        assert_eq!(Metric::parse("itl"), None);
    }
}
