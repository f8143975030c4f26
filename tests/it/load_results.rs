//! Files of a load: written while it runs, read back, merged from folders.

use difyprobe::metrics::summarise::{LoadParts, summarise};
use difyprobe::metrics::summary::{ClientHealth, JudgedCounts, LoadSummary, RunIdentity, ShardName};
use difyprobe::metrics::{LoadRecorder, Sample, StageWindow, Timeline, Turn, When, csv};
use difyprobe::model::Endpoint;
use difyprobe::store;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn sample(e2e_us: u64) -> Sample {
    Sample {
        ttfb_us: Some(e2e_us / 10 + 1),
        ttfe_us: None,
        ttft_us: Some(e2e_us / 2 + 1),
        last_content_us: None,
        e2e_us,
        e2e_sched_us: Some(e2e_us),
        sched_lag_us: Some(0),
        gaps_us: vec![e2e_us / 4 + 1; 3],
        events: 5,
        pings: 0,
        completion_tokens: Some(7),
        server_latency_us: None,
        server_ttft_us: None,
        cost: None,
        turn: Turn::First,
        endpoint: Endpoint::ChatMessages,
        streaming: true,
        outcome: Ok(()),
    }
}

/// Writes the folder of the load, or of a shard of it, that sends a request every 5 ms for 6 s.
fn run(folder: &Path, shard: Option<ShardName>) -> LoadSummary {
    let window = |label: &str, from_us, to_us, measure| StageWindow {
        label: label.into(),
        from_us,
        to_us,
        level_from: 200.0,
        level_to: 200.0,
        measure,
    };
    let stages: Arc<[StageWindow]> =
        [window("warm-up", 0, 2_000_000, false), window("hold, steady", 2_000_000, 6_000_000, true)].into();
    let mut recorder = LoadRecorder::new(stages.clone(), &[]);
    let places = [recorder.place("chat", "ask"), recorder.place("completion", "go")];
    let started_unix_us = 1_700_000_000_000_000;
    let mut log = store::LatencyLog::create(folder, started_unix_us).expect("the log");
    let mut timeline = Timeline::new(true);
    let (index, count) = shard.map_or((0, 1), |s| (u64::from(s.index), u64::from(s.count)));
    let mut second = 0;
    for arrival in (0..1_200_u64).filter(|arrival| arrival % count == index) {
        let planned_us = arrival * 5_000;
        let e2e_us = 20_000 + arrival * arrival % 9_973 * 31;
        let when = When { planned_us: Some(planned_us), sent_us: planned_us, ended_us: planned_us + e2e_us };
        recorder.planned(planned_us);
        recorder.begun(planned_us, planned_us);
        recorder.record(&sample(e2e_us), places[usize::from(arrival % 3 == 0)], when);
        let now = (planned_us / 1_000_000) as u32;
        if now > second {
            second = now;
            let interval = recorder.drain_interval(now.saturating_sub(1));
            timeline.add(&interval);
            log.append(&interval).expect("append");
        }
    }
    let rest = recorder.drain_interval(u32::MAX);
    timeline.add(&rest);
    log.append(&rest).expect("append");
    let summary = summarise(LoadParts {
        identity: RunIdentity { model: "open".into(), config_hash: "1".into(), shard, ..RunIdentity::default() },
        started_unix_us,
        elapsed_us: 6_400_000,
        ended_us: 6_000_000,
        ended_early: None,
        stopped: false,
        stages: &stages,
        arrivals: recorder.arrivals(),
        cells: recorder.cells(),
        timeline: &timeline,
        objectives: &[],
        aborted: None,
        conditions: &[],
        client: ClientHealth::default(),
        judged: JudgedCounts::default(),
    });
    store::write_results(folder, &summary, recorder.cells()).expect("results");
    summary
}

fn text(folder: &Path, file: &str) -> String {
    std::fs::read_to_string(folder.join(file)).expect(file)
}

#[test]
fn folders_of_shards_merge_into_the_files_of_the_whole() {
    let temporary = tempfile::tempdir().expect("a folder");
    let at = |name: &str| temporary.path().join(name);
    let whole = run(&at("whole"), None);
    let parts: Vec<PathBuf> = (0..3).map(|index| at(&format!("part-{index}"))).collect();
    for (index, folder) in (0..3).zip(&parts) {
        run(folder, Some(ShardName { index, count: 3 }));
    }
    let (merged, _) = store::merge_folders(&parts, &at("merged")).expect("merge");
    assert_eq!(merged.groups, whole.groups);
    assert_eq!(merged.series, whole.series);
    for file in ["cells.hlog", "latency.hlog", "timeseries.csv"] {
        assert!(text(&at("merged"), file) == text(&at("whole"), file), "{file} differs");
    }
    let read = store::read_results(&at("merged")).expect("read");
    assert!(read.summary == merged);
    assert_eq!(csv::read(&text(&at("merged"), "timeseries.csv")), Ok(merged.series));
    // the log of seconds and the summary agree: nothing is lost between seconds
    let measured: u64 = store::Seconds::open(&at("merged"))
        .expect("log")
        .flat_map(|interval| interval.expect("second").seconds)
        .map(|(_, moment)| moment.all_measured().get(difyprobe::metrics::Metric::E2e).map_or(0, |c| c.n()))
        .sum();
    assert_eq!(measured, whole.groups[0].ok);
    assert_eq!(measured, 800);
    let blocks = store::read_blocks(&at("merged"), &whole).expect("blocks");
    assert_eq!((blocks.len(), blocks.iter().map(|block| block.seconds).sum::<u32>()), (4, 4));
}

#[test]
fn broken_results_are_refused_by_the_name_of_their_file() {
    let temporary = tempfile::tempdir().expect("a folder");
    let folder = temporary.path().join("part");
    run(&folder, Some(ShardName { index: 0, count: 1 }));
    let refused = |out: &str| {
        let out = temporary.path().join(out);
        let error = store::merge_folders(std::slice::from_ref(&folder), &out).map(|_| ()).expect_err("a refusal");
        (error.to_string(), out.exists())
    };
    let spoil = |file: &str, change: &dyn Fn(String) -> String| {
        let whole = text(&folder, file);
        std::fs::write(folder.join(file), change(whole.clone())).expect("write");
        let said = refused("out").0;
        std::fs::write(folder.join(file), whole).expect("write");
        said
    };
    assert!(spoil("latency.hlog", &|t| t.replace("Tag=e2e,", "Tag=itl,")).contains("tag 'itl' names no metric"));
    assert!(spoil("latency.hlog", &|t| t[..t.len() - 30].to_owned()).contains("latency.hlog"));
    assert!(spoil("cells.hlog", &|_| String::new()).contains("cells.hlog"));
    assert!(spoil("summary.json", &|t| t.replace("difyprobe.load/1", "difyprobe.load/9")).contains("load/9"));
    assert!(spoil("summary.json", &|t| t[..100].to_owned()).contains("summary.json"));
    let whole = temporary.path().join("whole");
    run(&whole, None);
    let out = temporary.path().join("never");
    assert!(store::merge_folders(&[whole], &out).is_err());
    assert!(!out.exists(), "nothing is written before the folders are known to belong together");
}
