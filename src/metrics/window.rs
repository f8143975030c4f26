//! Stages on the time line of a run.

/// A stage with its place in time, half open: `from_us <= t < to_us`.
#[derive(Clone, Debug, PartialEq)]
pub struct StageWindow {
    /// Name in reports, unique in a run.
    pub label: String,
    /// Begin in microseconds since the start of the schedule.
    pub from_us: u64,
    /// End; `u64::MAX` where the end is not known beforehand.
    pub to_us: u64,
    /// Level at the begin: arrivals per second, or users.
    pub level_from: f64,
    /// Level at the end.
    pub level_to: f64,
    /// Whether its requests enter the results.
    pub measure: bool,
}

/// The stage in which a time lies; `None` after the last one, which is the drain. The stages follow each other without
/// gaps, from 0.
pub fn stage_at(stages: &[StageWindow], at_us: u64) -> Option<usize> {
    let index = stages.partition_point(|stage| stage.to_us <= at_us);
    (index < stages.len()).then_some(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(from_us: u64, to_us: u64) -> StageWindow {
        StageWindow { label: String::new(), from_us, to_us, level_from: 1.0, level_to: 1.0, measure: true }
    }

    #[test]
    fn an_instant_belongs_to_the_stage_that_begins_with_it() {
        let stages = [window(0, 10), window(10, 25)];
        let found: Vec<_> = [0, 9, 10, 24, 25, u64::MAX].map(|t| stage_at(&stages, t)).to_vec();
        assert_eq!(found, [Some(0), Some(0), Some(1), Some(1), None, None]);
        assert_eq!(stage_at(&[], 0), None);
    }

    #[test]
    fn a_stage_without_an_end_takes_all_that_follows() {
        assert_eq!(stage_at(&[window(0, 5), window(5, u64::MAX)], 1 << 60), Some(1));
    }
}
