//! Service level objectives: what a metric must hold, over which part of a load.

use super::{FailureClass, Metric};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// One objective, e.g. `ttft p(95) < 800ms in stage peak`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Slo {
    /// What is looked at.
    pub measure: Measure,
    /// How it is compared with `limit`.
    pub op: Op,
    /// The limit, in the unit of the measure: microseconds for times, 0 to 1 for shares, else a count or a rate.
    pub limit: f64,
    /// Over which part of the load; empty members mean all.
    pub scope: Scope,
    /// Ends the run as soon as it is missed.
    pub abort: bool,
    /// Shown, but never red.
    pub advisory: bool,
    /// Not looked at for this long after the begin of the measured time; for `abort`.
    pub grace: Duration,
    /// As written, for tables and messages.
    pub text: String,
}

/// What an objective looks at.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// A statistic of a latency metric, in microseconds.
    Latency(Metric, Stat),
    /// Failed requests / all, 0 to 1; of one class, where one is named.
    ErrorRate(Option<FailureClass>),
    /// Requests that finished correctly, per second.
    ReqPerS,
    /// Requests that meet every latency objective, per second.
    GoodPerS,
    /// Requests that meet every latency objective / attempted, 0 to 1.
    GoodFraction,
    /// Completion tokens per second.
    OutputTps,
    /// SSE events per second.
    EventsPerS,
    /// Arrivals that were dropped.
    Dropped,
    /// Scenarios begun / arrivals planned so far, 0 to 1.
    DeliveredRate,
    /// CPU used by this process / all cores, 0 to 1.
    ClientCpu,
    /// Open file descriptors / limit, 0 to 1.
    ClientFds,
}

/// A statistic of a histogram.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stat {
    /// Percentile, 0 to 1.
    Quantile(f64),
    /// Arithmetic mean.
    Mean,
    /// Smallest.
    Min,
    /// Largest.
    Max,
}

/// How a value is compared with its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    More,
    /// `>=`
    AtLeast,
}

/// A part of a load; `None` and empty mean all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Scope {
    /// Scenario id.
    pub scenario: Option<String>,
    /// Step id.
    pub step: Option<String>,
    /// `first` or `later`.
    pub turn: Option<String>,
    /// Labels of stages, added up.
    pub stages: Vec<String>,
}
