//! The words of objectives: names of metrics and units of limits.

use super::{Measure, Metric, Stat};

/// What kind of number a measure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nature {
    /// Microseconds.
    Time,
    /// 0 to 1.
    Share,
    /// Per second.
    Rate,
    /// A whole number.
    Count,
}

impl Nature {
    /// What a number in this unit is multiplied with and divided by.
    pub(super) fn scale(self, unit: &str) -> Option<(f64, f64)> {
        let (times, by) = match (self, unit) {
            (Nature::Time, "us" | "µs") => (1.0, 1.0),
            (Nature::Time, "ms") => (1e3, 1.0),
            (Nature::Time, "s") => (1e6, 1.0),
            (Nature::Time, "m") => (6e7, 1.0),
            (Nature::Share, "%") => (1.0, 100.0),
            (Nature::Rate, "" | "/s") => (1.0, 1.0),
            (Nature::Rate, "/m") => (1.0, 60.0),
            (Nature::Rate, "/h") => (1.0, 3600.0),
            (Nature::Count, "") => (1.0, 1.0),
            _ => return None,
        };
        Some((times, by))
    }

    /// How a limit of this kind is written.
    pub(super) fn help(self) -> &'static str {
        match self {
            Nature::Time => "a time has a unit: `250us`, `800ms`, `1.5s` or `2m`",
            Nature::Share => "a share is a percentage from 0% to 100%, e.g. `0.5%`",
            Nature::Rate => "a rate is a number per second, e.g. `50/s`; also `/m` and `/h`",
            Nature::Count => "a count is a whole number",
        }
    }
}

/// Names besides those of [`Metric`], each with what it measures. The first of several for the same is the usual one.
const NAMES: &[(&str, Measure, Nature)] = &[
    ("error-rate", Measure::ErrorRate(None), Nature::Share),
    ("good-fraction", Measure::GoodFraction, Nature::Share),
    ("req-per-s", Measure::ReqPerS, Nature::Rate),
    ("good-per-s", Measure::GoodPerS, Nature::Rate),
    ("goodput", Measure::GoodPerS, Nature::Rate),
    ("output-tps", Measure::OutputTps, Nature::Rate),
    ("events-per-s", Measure::EventsPerS, Nature::Rate),
    ("dropped", Measure::Dropped, Nature::Count),
    ("delivered-rate", Measure::DeliveredRate, Nature::Share),
    ("client-cpu", Measure::ClientCpu, Nature::Share),
    ("client-fds", Measure::ClientFds, Nature::Share),
    ("inter-event-gap", latency(Metric::Icl), Nature::Time),
    ("schedule-lag", latency(Metric::SchedLag), Nature::Time),
    ("time-to-first-token", latency(Metric::Ttft), Nature::Time),
    ("iteration", latency(Metric::Iteration), Nature::Time),
];

const fn latency(metric: Metric) -> Measure {
    Measure::Latency(metric, Stat::Mean)
}

/// The measure with this name; `-` and `_` are the same. The statistic of a latency is still to be put in.
pub(super) fn measure(name: &str) -> Option<(Measure, Nature)> {
    let dashed = name.replace('_', "-").to_ascii_lowercase();
    let own = Metric::parse(&dashed.replace('-', "_")).map(|metric| (latency(metric), Nature::Time));
    own.or_else(|| NAMES.iter().find(|(n, ..)| *n == dashed).map(|(_, measure, nature)| (*measure, *nature)))
}

/// All names.
pub(super) fn names() -> Vec<&'static str> {
    Metric::ALL.iter().map(|m| m.as_str()).chain(NAMES.iter().map(|(name, ..)| *name)).collect()
}
