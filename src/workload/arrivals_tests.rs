use super::*;
use proptest::prelude::*;

fn stage(from: f64, to: f64, ms: u64) -> Stage {
    Stage { label: format!("{from} to {to}"), from, to, length: Duration::from_millis(ms), measure: true }
}

fn open(process: Process, stages: &[Stage]) -> Arrivals {
    Arrivals::Open { process, stages: stages.to_vec(), max_in_flight: 10 }
}

fn schedule(process: Process, stages: &[Stage]) -> Schedule {
    Schedule::new(&open(process, stages), &[1], 7).unwrap()
}

fn times(schedule: &Schedule) -> Vec<u64> {
    schedule.iter(Shard::WHOLE).map(|a| a.at_us).collect()
}

#[test]
fn a_constant_rate_begins_at_once_and_ends_before_the_end() {
    let even = schedule(Process::Constant, &[stage(4.0, 4.0, 1000)]);
    assert_eq!(times(&even), [0, 250_000, 500_000, 750_000]);
    assert_eq!((even.planned(), even.length_us()), (4, 1_000_000));
}

#[test]
fn a_step_changes_the_distance_and_loses_no_arrival() {
    let steps = schedule(Process::Constant, &[stage(2.0, 2.0, 750), stage(10.0, 10.0, 300)]);
    // area 1.5 at the step: the arrival of area 2 lies half a gap of the new rate after it
    assert_eq!(times(&steps), [0, 500_000, 800_000, 900_000, 1_000_000]);
    let stages: Vec<u16> = steps.iter(Shard::WHOLE).map(|a| a.stage).collect();
    assert_eq!(stages, [0, 0, 1, 1, 1]);
}

#[test]
fn nothing_begins_in_a_stage_of_rate_0() {
    let idle = [stage(0.0, 0.0, 1000), stage(2.0, 2.0, 1000), stage(0.0, 0.0, 500), stage(2.0, 2.0, 500)];
    let idle = schedule(Process::Constant, &idle);
    assert_eq!(times(&idle), [1_000_000, 1_500_000, 2_500_000]);
}

#[test]
fn ramps_hold_the_area_under_them() {
    let ramp = schedule(Process::Constant, &[stage(0.0, 20.0, 10_000), stage(20.0, 0.0, 10_000)]);
    assert_eq!(ramp.planned(), 200);
    let times = times(&ramp);
    assert_eq!(times.len(), 200);
    assert_eq!(times.iter().filter(|t| **t < 5_000_000).count(), 25);
    // the second half mirrors the first
    assert_eq!(times[100 + 75], 15_000_000);
}

#[test]
fn the_numbers_of_a_constant_rate_are_exact_between_any_two_times() {
    let all = schedule(Process::Constant, &[stage(1.0, 20.0, 3000), stage(20.0, 20.0, 777), stage(7.0, 0.5, 2223)]);
    let times = times(&all);
    for (from, to) in [(0, 1_000_000), (1_000_000, 3_000_001), (2_999_999, 5_000_000), (0, 9_000_000), (5, 5)] {
        let counted = times.iter().filter(|t| (from..to).contains(*t)).count() as u64;
        assert_eq!(all.planned_between(from, to), counted, "{from}..{to}");
    }
}

#[test]
fn a_poisson_process_has_the_expected_number_and_exponential_gaps() {
    let poisson = schedule(Process::Poisson, &[stage(1000.0, 1000.0, 60_000)]);
    assert_eq!(poisson.planned(), 60_000);
    let times = times(&poisson);
    let deviation = (times.len() as f64 - 60_000.0) / 60_000_f64.sqrt();
    assert!(deviation.abs() < 4.0, "{} arrivals", times.len());
    let gaps: Vec<f64> = times.windows(2).map(|w| (w[1] - w[0]) as f64).collect();
    let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
    let spread = (gaps.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / gaps.len() as f64).sqrt() / mean;
    assert!((spread - 1.0).abs() < 0.02, "coefficient of variation {spread}");
}

#[test]
fn a_poisson_process_is_the_same_on_every_machine() {
    let poisson = schedule(Process::Poisson, &[stage(1.0, 20.0, 5_000)]);
    let first: Vec<u64> = times(&poisson).into_iter().take(6).collect();
    // from an independent implementation in Python
    assert_eq!(first, [456_292, 601_760, 988_570, 1_287_467, 1_669_827, 1_894_789]);
}

#[test]
fn a_recording_is_replayed_as_it_is() {
    let replay = Arrivals::Replay { at_us: vec![5, 5, 9], max_in_flight: 1 };
    let replay = Schedule::new(&replay, &[1], 0).unwrap();
    assert_eq!(times(&replay), [5, 5, 9]);
    assert_eq!((replay.planned(), replay.planned_between(0, 9), replay.length_us()), (3, 2, 10));
    assert_eq!(replay.stages()[0].label, "replay");
}

#[test]
fn users_of_a_closed_load_follow_the_ramp_and_leave_at_the_end() {
    let closed = Arrivals::Closed { stages: vec![stage(0.0, 10.0, 1000), stage(10.0, 10.0, 500)], iterations: None };
    let closed = Schedule::new(&closed, &[1], 0).unwrap();
    let users: Vec<usize> =
        [0, 49_999, 50_000, 500_000, 999_999, 1_499_999, 1_500_000].map(|t| closed.users_at(t)).into();
    assert_eq!(users, [0, 0, 1, 5, 10, 10, 0]);
    assert_eq!((closed.peak_users(), closed.planned(), closed.iter(Shard::WHOLE).count()), (10, 0, 0));
}

#[test]
fn a_closed_load_may_have_no_end() {
    let endless = Stage { length: Duration::MAX, ..stage(3.0, 3.0, 0) };
    let closed = Arrivals::Closed { stages: vec![endless], iterations: Some(5) };
    let closed = Schedule::new(&closed, &[1], 0).unwrap();
    assert_eq!((closed.users_at(1 << 50), closed.length_us()), (3, u64::MAX));
}

#[test]
fn impossible_plans_say_why() {
    let why = |arrivals: &Arrivals| Schedule::new(arrivals, &[1], 0).unwrap_err();
    assert_eq!(why(&open(Process::Constant, &[])), ScheduleError::NoStages);
    assert_eq!(why(&open(Process::Constant, &[stage(0.0, 0.0, 5)])), ScheduleError::Nothing);
    assert!(why(&open(Process::Poisson, &[stage(-1.0, 5.0, 5)])).to_string().contains("-1"));
    assert!(matches!(why(&open(Process::Poisson, &[stage(1.0, f64::NAN, 5)])), ScheduleError::Level { .. }));
    assert!(matches!(why(&open(Process::Constant, &[stage(1.0, 1.0, 86_400_001)])), ScheduleError::Long(_)));
    assert_eq!(why(&Arrivals::Replay { at_us: vec![2, 1], max_in_flight: 1 }), ScheduleError::Order);
    assert_eq!(why(&Arrivals::Replay { at_us: vec![], max_in_flight: 1 }), ScheduleError::Nothing);
    let one = open(Process::Constant, &[stage(1.0, 1.0, 5)]);
    assert_eq!(Schedule::new(&one, &[], 0).unwrap_err(), ScheduleError::Shares);
}

#[test]
fn a_shard_that_does_not_exist_has_nothing_to_do() {
    let even = schedule(Process::Constant, &[stage(4.0, 4.0, 1000)]);
    assert_eq!(even.iter(Shard { index: 3, count: 3 }).count(), 0);
}

fn any_stages() -> impl Strategy<Value = Vec<Stage>> {
    let level = prop_oneof![Just(0.0), 0.0..50.0_f64, Just(20.0)];
    let one = (level.clone(), level, 1..5_000_u64).prop_map(|(from, to, ms)| stage(from, to, ms));
    prop::collection::vec(one, 1..6)
}

fn any_open() -> impl Strategy<Value = Arrivals> {
    (any_stages(), any::<bool>())
        .prop_map(|(stages, even)| open(if even { Process::Constant } else { Process::Poisson }, &stages))
        .prop_filter("something to do", |arrivals| Schedule::new(arrivals, &[1], 0).is_ok())
}

proptest! {
    #[test]
    fn arrivals_are_in_order_inside_their_stage_and_numbered(arrivals in any_open(), seed: u64) {
        let schedule = Schedule::new(&arrivals, &[3, 1, 2], seed).unwrap();
        let stages = schedule.stages();
        let all: Vec<Arrival> = schedule.iter(Shard::WHOLE).collect();
        prop_assert!(all.is_sorted_by_key(|a| a.at_us));
        for (index, arrival) in all.iter().enumerate() {
            prop_assert_eq!(arrival.index, index as u64);
            prop_assert!(arrival.job < 3);
            prop_assert_eq!(crate::metrics::stage_at(&stages, arrival.at_us), Some(arrival.stage as usize));
        }
    }

    #[test]
    fn a_constant_process_has_as_many_arrivals_as_the_area(stages in any_stages()) {
        let arrivals = open(Process::Constant, &stages);
        let Ok(schedule) = Schedule::new(&arrivals, &[1], 0) else { return Ok(()) };
        let area: f64 = stages.iter().map(|s| (s.from + s.to) / 2.0 * s.length.as_secs_f64()).sum();
        let count = schedule.iter(Shard::WHOLE).count() as u64;
        prop_assert_eq!(schedule.planned(), count);
        prop_assert!((count as f64 - area).abs() <= 1.000_001, "{} for {}", count, area);
        for stage in schedule.stages() {
            let planned = schedule.planned_between(stage.from_us, stage.to_us);
            let counted = schedule.iter(Shard::WHOLE).filter(|a| (stage.from_us..stage.to_us).contains(&a.at_us));
            prop_assert_eq!(planned, counted.count() as u64);
        }
    }

    #[test]
    fn the_shards_together_are_the_whole(arrivals in any_open(), seed: u64, count in 1..7_u32) {
        let schedule = Schedule::new(&arrivals, &[2, 5], seed).unwrap();
        let mut together: Vec<Arrival> =
            (0..count).flat_map(|index| schedule.iter(Shard { index, count })).collect();
        together.sort_by_key(|a| a.index);
        let whole: Vec<Arrival> = schedule.iter(Shard::WHOLE).collect();
        prop_assert_eq!(together, whole);
    }

    #[test]
    fn the_seed_alone_decides(arrivals in any_open(), seed: u64) {
        let make = || Schedule::new(&arrivals, &[1, 1], seed).unwrap().iter(Shard::WHOLE).collect::<Vec<_>>();
        prop_assert_eq!(make(), make());
    }
}
