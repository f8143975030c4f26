use super::*;
use crate::metrics::cells_text;
use crate::metrics::hlog::{self, HlogWriter, Line};
use crate::metrics::load_recorder::{Iteration, LoadRecorder, When};
use crate::metrics::summarise::tests::{P95_E2E, identity, sample, slo, stages};
use crate::metrics::{FailureClass, Measure, Op, Sample, Slo, Turn};
use proptest::prelude::*;

const SCENARIOS: [(&str, &str); 3] = [("chat", "ask"), ("chat", "again"), ("completion", "go")];

/// One recorded request.
#[derive(Clone, Debug)]
struct Recorded {
    planned_us: u64,
    late_us: u64,
    e2e_us: u64,
    step: usize,
    turn: usize,
    failed: bool,
    dropped: bool,
}

fn recorded() -> impl Strategy<Value = Recorded> {
    let late = prop_oneof![Just(0_u64), 0..50_000_u64];
    (0..9_000_000_u64, late, 1..4_000_000_u64, 0..3_usize, 0..3_usize, 0..10_u8, 0..20_u8).prop_map(
        |(planned_us, late_us, e2e_us, step, turn, failed, dropped)| Recorded {
            planned_us,
            late_us,
            e2e_us,
            step,
            turn,
            failed: failed == 0,
            dropped: dropped == 0,
        },
    )
}

fn objectives() -> Vec<Slo> {
    vec![slo(P95_E2E, Op::Less, 1_500_000.0), slo(Measure::GoodFraction, Op::AtLeast, 0.5)]
}

fn record(recorder: &mut LoadRecorder, seen: &Recorded) {
    let places = SCENARIOS.map(|(scenario, step)| recorder.place(scenario, step));
    recorder.planned(seen.planned_us);
    let sent_us = seen.planned_us + seen.late_us;
    if seen.dropped {
        return recorder.dropped(seen.planned_us, sent_us);
    }
    recorder.begun(seen.planned_us, sent_us);
    let turn = [Turn::First, Turn::Later, Turn::NotATurn][seen.turn];
    let fine = Sample {
        sched_lag_us: Some(seen.late_us),
        e2e_sched_us: Some(seen.e2e_us + seen.late_us),
        ..sample(seen.e2e_us, turn)
    };
    let taken = if seen.failed { Sample { outcome: Err(FailureClass::Http5xx), ..fine } } else { fine };
    let ended_us = sent_us + seen.e2e_us;
    recorder.record(&taken, places[seen.step], When { planned_us: Some(seen.planned_us), sent_us, ended_us });
    let whole = recorder.place(SCENARIOS[seen.step].0, "");
    let run = Iteration { planned_us: Some(seen.planned_us), begun_us: sent_us, ended_us, complete: !seen.failed };
    recorder.iteration(whole, run);
}

fn recorder() -> LoadRecorder {
    let mut recorder = LoadRecorder::new(stages(), &objectives());
    for (scenario, step) in SCENARIOS {
        recorder.place(scenario, step);
        recorder.place(scenario, "");
    }
    recorder
}

/// Runs a part of the list, handing seconds over in the middle, and through the texts of the files.
fn result(seen: &[Recorded], shard: Option<ShardName>) -> (ShardResult, Interval) {
    let mut recorder = recorder();
    let mut timeline = Timeline::new(true);
    let mut log = String::new();
    let mut writer = HlogWriter::default();
    seen.iter().for_each(|seen| record(&mut recorder, seen));
    for up_to in [3, 6, u32::MAX] {
        let interval = recorder.drain_interval(up_to);
        timeline.add(&interval);
        log += &writer.interval(&interval);
    }
    let summary = summarise(LoadParts {
        identity: RunIdentity { shard, ..identity() },
        started_unix_us: 1_700_000_000_000_000,
        elapsed_us: 14_000_000,
        ended_us: 8_000_000,
        ended_early: None,
        stopped: false,
        stages: &stages(),
        arrivals: recorder.arrivals(),
        cells: recorder.cells(),
        timeline: &timeline,
        objectives: &objectives(),
        aborted: None,
        conditions: &[slo(Measure::Dropped, Op::AtMost, 0.0)],
        client: ClientHealth::default(),
        judged: JudgedCounts { judged: seen.len() as u64, ..JudgedCounts::default() },
    });
    let text = cells_text::write(recorder.cells(), 1_700_000_000_000_000, &stages(), 14_000_000);
    let cells = cells_text::read(&text).unwrap_or_else(|e| panic!("{e}"));
    let folder = format!("run-{}", shard.unwrap_or_default().index);
    let json = serde_json::to_string(&summary).unwrap_or_default();
    let summary = serde_json::from_str(&json).unwrap_or_else(|e| panic!("{e}"));
    (ShardResult { folder, summary, cells }, read_log(&log))
}

fn read_log(log: &str) -> Interval {
    let lines = log.lines().map(|line| match hlog::read_line(line) {
        Ok(Line::Entry(entry)) => *entry,
        other => panic!("{other:?}"),
    });
    let entries: Vec<_> = lines.collect();
    let mut all = Interval::default();
    for second in entries.chunk_by(|a, b| a.from_us == b.from_us) {
        all.add(&hlog::second(second).unwrap_or_else(|e| panic!("{e}")));
    }
    all
}

fn shards(seen: &[Recorded], count: u32) -> (Vec<ShardResult>, Vec<Interval>) {
    let of = |index: u32| {
        let every = seen.iter().skip(index as usize).step_by(count as usize);
        result(&every.cloned().collect::<Vec<_>>(), Some(ShardName { index, count }))
    };
    (0..count).map(of).unzip()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn merged_shards_equal_the_whole_bit_for_bit(
        seen in proptest::collection::vec(recorded(), 1..120),
        count in 1..6_u32,
    ) {
        let (whole, _) = result(&seen, None);
        let (mut parts, seconds) = shards(&seen, count);
        parts.reverse();
        let (merged, cells) = merge(parts, &seconds).unwrap_or_else(|e| panic!("{e}"));
        let text = |summary: &LoadSummary| {
            let plain = LoadSummary { run: RunIdentity::default(), client: ClientHealth::default(), ..summary.clone() };
            serde_json::to_string(&plain).unwrap_or_default()
        };
        prop_assert_eq!(text(&merged), text(&whole.summary));
        prop_assert!(cells == whole.cells);
        prop_assert_eq!(merged.client.dropped, whole.summary.client.dropped);
        prop_assert_eq!(merged.client.lag_p99_us, whole.summary.client.lag_p99_us);
        prop_assert_eq!(merged.run.merged.len(), count as usize);
    }
}

fn two() -> Vec<ShardResult> {
    let seen =
        Recorded { planned_us: 3_000_000, late_us: 1, e2e_us: 5_000, step: 0, turn: 0, failed: false, dropped: false };
    shards(&[seen.clone(), seen], 2).0
}

fn refused(shards: Vec<ShardResult>) -> String {
    merge(shards, &[]).map(|_| ()).map_err(|e| e.to_string()).err().unwrap_or_default()
}

#[test]
fn results_that_do_not_belong_together_are_refused_by_the_names_of_their_folders() {
    let changed = |change: fn(&mut LoadSummary)| {
        let mut shards = two();
        change(&mut shards[1].summary);
        refused(shards)
    };
    assert_eq!(refused(two()), "");
    assert!(refused(vec![]).contains("nothing to merge"));
    let other_load = changed(|s| s.run.config_hash = "beef".into());
    assert!(other_load.contains("'run-1' is of another load than 'run-0' (config beef and 00ff)"), "{other_load}");
    assert!(changed(|s| s.run.shard = None).contains("'run-1' is no shard"));
    assert!(changed(|s| s.schema = "x".into()).contains("'run-1' has layout 'x'"));
    let counts = changed(|s| s.run.shard = Some(ShardName { index: 1, count: 3 }));
    assert!(counts.contains("'run-1' is one of 3 shards, but 'run-0' one of 2"), "{counts}");
    let twice = changed(|s| s.run.shard = Some(ShardName { index: 0, count: 2 }));
    assert!(twice.contains("are both shard 0/2"), "{twice}");
    let missing = refused(two().split_off(1));
    assert!(missing.contains("of 2 shards these are missing: 0; found 'run-1'"), "{missing}");
    let apart = changed(|s| s.started_unix_us += 3_500_000);
    assert!(apart.contains("'run-1' began 3.5 s after 'run-0', more than 2.0 s"), "{apart}");
    assert!(changed(|s| s.stages[0].label = "x".into()).contains("other stages"));
    assert!(changed(|s| s.objectives.clear()).contains("other objectives"));
}

#[test]
fn a_short_load_must_overlap_at_all() {
    let mut shards = two();
    shards.iter_mut().for_each(|s| s.summary.elapsed_s = 0.5);
    shards[1].summary.started_unix_us += 1_000_000;
    assert!(refused(shards).contains("more than 0.5 s"));
}

#[test]
fn generators_are_added_up_where_that_means_something() {
    let mut shards = two();
    for (at, shard) in shards.iter_mut().enumerate() {
        let client = &mut shard.summary.client;
        (client.cores, client.cpu_max, client.rss_max, client.panics) = (2, 0.25 * (at as f64 + 1.0), 100, 1);
        client.ports_left = Some(7 - at as u64);
        shard.summary.series[1].open_streams = 5;
        shard.summary.ended_early = (at == 1).then(|| "SIGINT".to_owned());
    }
    let (merged, _) = merge(shards, &[]).unwrap_or_else(|e| panic!("{e}"));
    let client = merged.client;
    assert_eq!((client.cores, client.cpu_max, client.rss_max, client.panics), (4, 0.5, 100, 2));
    assert_eq!((client.ports_left, client.streams_max), (Some(6), 10));
    assert_eq!(merged.ended_early.as_deref(), Some("shard 1: SIGINT"));
}
