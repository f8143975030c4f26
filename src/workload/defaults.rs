//! What holds where a load says nothing.

use super::plan::Arrivals;
use crate::metrics::{Measure, Metric, Slo};
use std::time::Duration;

/// How long scenarios may go on after the end of the schedule.
pub const DRAIN: Duration = Duration::from_secs(30);

/// What the generator must hold for its numbers to count, for every load.
const OF_ALL: &[&str] = &["client-cpu < 90%", "client-fds < 90%"];
/// And where arrivals are planned beforehand.
const OF_SCHEDULES: &[&str] = &["sched_lag p(99) < 20ms", "dropped == 0"];

/// The conditions of validity of a load that names none.
pub fn validity(arrivals: &Arrivals) -> Vec<Slo> {
    let planned = if matches!(arrivals, Arrivals::Closed { .. }) { &[] } else { OF_SCHEDULES };
    planned.iter().chain(OF_ALL).filter_map(|text| Slo::parse(text).ok()).collect()
}

/// Why an objective can never be measured in a load: lateness and drops need a schedule.
pub fn unfit(slo: &Slo, arrivals: &Arrivals) -> Option<&'static str> {
    let scheduled = matches!(
        slo.measure,
        Measure::Latency(Metric::SchedLag | Metric::E2eSched, _) | Measure::Dropped | Measure::DeliveredRate
    );
    let closed = matches!(arrivals, Arrivals::Closed { .. });
    (scheduled && closed).then_some("a closed load has no schedule that it could miss")
}

/// Scenarios under way at the same time where a load names no limit: as many as arrive in a minute at the highest rate,
/// 100 to 10,000.
pub fn max_in_flight(highest_rate: f64) -> usize {
    (highest_rate * 60.0).ceil().clamp(100.0, 10_000.0) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lateness_and_drops_are_conditions_only_where_there_is_a_schedule() {
        let closed = validity(&Arrivals::Closed { stages: vec![], iterations: None });
        let open = validity(&Arrivals::Replay { at_us: vec![], max_in_flight: 1 });
        assert_eq!((closed.len(), open.len()), (OF_ALL.len(), OF_ALL.len() + OF_SCHEDULES.len()));
        assert_eq!(open[0].limit, 20_000.0);
    }

    #[test]
    fn the_limit_follows_the_rate_within_reason() {
        assert_eq!([0.1, 20.0, 5000.0].map(max_in_flight), [100, 1200, 10_000]);
    }
}
