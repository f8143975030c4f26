use super::super::Flow;
use super::super::count::{Begun, EngineResult};
use super::super::life::run as run_plan;
use super::super::life::tests::{flow, job, session};
use super::super::plan::{Job, Plan, Shape};
use super::super::start::Started;
use super::*;
use crate::flow::{Session, Visit};
use crate::store::Barrier;
use crate::workload::Shard;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

const MS: Duration = Duration::from_millis(1);

fn arrival(index: u64, at_us: u64) -> Arrival {
    Arrival { index, at_us, stage: 0, job: 0, ticket: index }
}

/// Arrivals at a constant rate.
fn every(gap: Duration, count: u64) -> Vec<Arrival> {
    (0..count).map(|n| arrival(n, n * gap.as_micros() as u64)).collect()
}

fn open_model(arrivals: Vec<Arrival>, max_in_flight: usize) -> Model {
    Model::Open { arrivals: Box::new(arrivals.into_iter()), max_in_flight }
}

fn load(model: Model, length: Duration) -> Load {
    Load {
        model,
        length: Some(length),
        stages: vec![length],
        start: StartAt::Now,
        started: Started::default(),
        no_more: CancellationToken::new(),
    }
}

async fn run_load(load: Load, session: Arc<Session>, grace: Duration, flow: Flow) -> EngineResult {
    run_jobs(vec![job("a", 1)], load, session, grace, flow).await.unwrap()
}

async fn run_jobs(
    jobs: Vec<Job>,
    load: Load,
    session: Arc<Session>,
    grace: Duration,
    flow: Flow,
) -> Result<EngineResult, EngineError> {
    run_plan(Plan { jobs, shape: Shape::Load(load), grace }, session, flow).await
}

fn counts(result: &EngineResult) -> (u64, u64, u64, u64) {
    assert_eq!(result.planned, result.begun + result.dropped + result.not_begun);
    (result.planned, result.begun, result.dropped, result.unfinished)
}

/// Kept in a list, for the flows of a test.
fn keep<T: Send + 'static>() -> (Arc<Mutex<Vec<T>>>, impl Fn(T) + Send + Sync + 'static) {
    let kept: Arc<Mutex<Vec<T>>> = Arc::default();
    let keeping = Arc::clone(&kept);
    (kept, move |item| keeping.lock().unwrap_or_else(PoisonError::into_inner).push(item))
}

#[tokio::test]
async fn every_arrival_begins_at_its_time_or_later_with_its_own_number_ticket_and_job() {
    let (seen, note) = keep();
    let work = flow(move |id, visit: Visit| {
        let planned = visit.planned.unwrap();
        assert!(Instant::now() >= planned);
        note((visit.vu, visit.iteration, visit.ticket, id, planned));
        async {}
    });
    let arrivals = vec![
        Arrival { index: 3, at_us: 0, stage: 0, job: 1, ticket: 30 },
        Arrival { index: 5, at_us: 0, stage: 0, job: 0, ticket: 50 },
        Arrival { index: 7, at_us: 40_000, stage: 1, job: 1, ticket: 70 },
        // Not before the end of the schedule.
        Arrival { index: 9, at_us: 60_000, stage: 1, job: 1, ticket: 90 },
    ];
    let load = load(open_model(arrivals, 10), 60 * MS);
    let started = load.started.clone();
    let jobs = vec![job("a", 1), job("b", 1)];
    let result = run_jobs(jobs, load, session(Duration::ZERO), Duration::ZERO, work).await.unwrap();
    assert_eq!(counts(&result), (3, 3, 0, 0));
    let start = started.get().unwrap();
    assert_eq!(result.start, Some(start));
    let mut seen = std::mem::take(&mut *seen.lock().unwrap());
    seen.sort_by_key(|(vu, ..)| *vu);
    let expected = [
        (3, 0, 30, "test.b".to_owned(), start.at),
        (5, 0, 50, "test.a".to_owned(), start.at),
        (7, 0, 70, "test.b".to_owned(), start.at + 40 * MS),
    ];
    assert_eq!(seen, expected);
    let both = [Begun { planned: 2, begun: 2, dropped: 0 }, Begun { planned: 1, begun: 1, dropped: 0 }];
    assert_eq!(result.stages, both);
    assert!(result.elapsed >= 60 * MS, "it lasts as long as its schedule: {:?}", result.elapsed);
}

#[tokio::test]
async fn arrivals_that_find_the_greatest_number_under_way_are_dropped_and_never_sent_late() {
    // None ends before all have come: 8 begin, 32 are dropped, whatever the machine does.
    let come = Arc::new(AtomicU64::new(0));
    let session = session(Duration::ZERO);
    let (watched, counted) = (Arc::clone(&session), Arc::clone(&come));
    let work = flow(move |_, visit: Visit| {
        counted.fetch_max(visit.ticket + 1, Relaxed);
        let session = Arc::clone(&watched);
        async move {
            while session.progress.arrivals.load(Relaxed) < 40 {
                tokio::time::sleep(MS).await;
            }
        }
    });
    let result = run_load(load(open_model(every(MS, 40), 8), 50 * MS), session, 5_000 * MS, work).await;
    assert_eq!(counts(&result), (40, 8, 32, 0));
    assert_eq!(come.load(Relaxed), 8, "the first eight");
    assert_eq!(result.stages, [Begun { planned: 40, begun: 8, dropped: 32 }]);
}

#[tokio::test]
async fn drops_of_a_slow_server_are_those_of_the_analysis() {
    // 20 places, each taken for 100 ms: 200/s can begin, 400/s come: half of them are dropped.
    let work = flow(|_, _| tokio::time::sleep(100 * MS));
    let model = open_model(every(Duration::from_micros(2_500), 400), 20);
    let result = run_load(load(model, 1_000 * MS), session(Duration::ZERO), 5_000 * MS, work).await;
    let (planned, begun, dropped, unfinished) = counts(&result);
    assert_eq!((planned, unfinished), (400, 0));
    // Places come back a little late on a busy machine, never early.
    assert!(begun <= 200, "{begun}");
    assert!(dropped >= 200 && begun >= 100, "{begun} begun, {dropped} dropped");
}

#[tokio::test]
async fn more_virtual_users_are_launched_when_they_are_needed() {
    static UNDER_WAY: AtomicUsize = AtomicUsize::new(0);
    static MOST: AtomicUsize = AtomicUsize::new(0);
    let session = session(Duration::ZERO);
    let watched = Arc::clone(&session);
    let work = flow(move |_, _| {
        MOST.fetch_max(UNDER_WAY.fetch_add(1, Relaxed) + 1, Relaxed);
        let session = Arc::clone(&watched);
        async move {
            while session.progress.arrivals.load(Relaxed) < 1_500 || MOST.load(Relaxed) < 1_500 {
                tokio::time::sleep(20 * MS).await;
            }
        }
    });
    let model = open_model(every(Duration::from_micros(100), 1_500), 10_000);
    let result = run_load(load(model, 200 * MS), session, 60_000 * MS, work).await;
    assert_eq!(counts(&result), (1_500, 1_500, 0, 0));
    assert_eq!(MOST.load(Relaxed), 1_500, "all at the same time");
}

#[tokio::test]
async fn what_is_under_way_when_the_drain_is_over_is_cut_and_counted() {
    let work = flow(|_, visit: Visit| async move {
        match visit.ticket {
            0 => visit.stop.cancelled().await,
            _ => tokio::time::sleep(30 * MS).await,
        }
    });
    let result = run_load(load(open_model(every(MS, 5), 9), 20 * MS), session(Duration::ZERO), 300 * MS, work).await;
    assert_eq!(counts(&result), (5, 5, 0, 1));
    assert!(!result.interrupted);
    assert!(result.elapsed >= 320 * MS, "{:?}", result.elapsed);
}

#[tokio::test]
async fn a_soft_end_lets_what_is_under_way_finish() {
    let load = load(open_model(every(MS, 100_000), 1_000), Duration::from_secs(100));
    let no_more = load.no_more.clone();
    let work = flow(move |_, visit: Visit| {
        let no_more = no_more.clone();
        async move {
            if visit.ticket == 20 {
                no_more.cancel();
            }
            tokio::time::sleep(30 * MS).await;
        }
    });
    let result = run_load(load, session(Duration::ZERO), 60_000 * MS, work).await;
    let (planned, begun, _, unfinished) = counts(&result);
    assert!(begun >= 21 && planned < 50_000, "{planned} planned, {begun} begun");
    assert_eq!(unfinished, 0);
    assert!(!result.interrupted && result.begun_for < Duration::from_secs(50));
}

#[tokio::test]
async fn a_stop_cuts_what_is_under_way_and_what_ignores_it() {
    let session = session(Duration::from_secs(100));
    let stop = session.stop.clone();
    let began = Arc::new(Mutex::new(None));
    let stopped = Arc::clone(&began);
    let work = flow(move |_, visit: Visit| {
        if visit.ticket == 9 {
            *stopped.lock().unwrap() = Some(Instant::now());
            stop.cancel();
        }
        async move {
            match visit.ticket {
                3 => std::future::pending().await,
                _ => visit.stop.cancelled().await,
            }
        }
    });
    let load = load(open_model(every(MS, 100_000), 1_000), Duration::from_secs(100));
    let result = run_load(load, session, Duration::from_secs(100), work).await;
    let (_, begun, dropped, unfinished) = counts(&result);
    assert_eq!((dropped, unfinished), (0, begun));
    assert!(result.interrupted);
    assert_eq!(result.harness_errors, 1, "the one that ignored it");
    let took = began.lock().unwrap().unwrap().elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}, and not the grace of the session");
}

#[tokio::test]
async fn a_panic_frees_its_place_and_the_load_goes_on() {
    let work = flow(|_, visit: Visit| async move { assert_ne!(visit.ticket % 3, 1, "a bad arrival") });
    let result = run_load(load(open_model(every(10 * MS, 30), 1), 400 * MS), session(Duration::ZERO), 100 * MS, work);
    let result = result.await;
    let (planned, begun, dropped, unfinished) = counts(&result);
    // A backtrace of a panic takes its time on a busy machine, so some arrivals may find the one place taken.
    assert_eq!((planned, begun + dropped, unfinished, result.not_begun), (30, 30, 0, 0));
    assert!(begun > result.panics && result.panics >= 2, "{begun} begun, {dropped} dropped");
    assert!(result.harness_errors == result.panics, "{}", result.panics);
    assert!(result.harness_messages[0].contains("a bad arrival"));
}

#[tokio::test]
async fn users_follow_their_ramp_up_and_down_and_finish_what_they_began() {
    let (seen, note) = keep();
    let (began, ended) = (Arc::new(note), Arc::new(AtomicU64::new(0)));
    let finished = Arc::clone(&ended);
    let work = flow(move |_, visit: Visit| {
        began((visit.vu, visit.planned.unwrap()));
        let ended = Arc::clone(&finished);
        async move {
            tokio::time::sleep(5 * MS).await;
            ended.fetch_add(1, Relaxed);
        }
    });
    // 2 users, then 6, then 1.
    let users_at = |at_us: u64| match at_us {
        0..300_000 => 2,
        300_000..600_000 => 6,
        _ => 1,
    };
    let model = Model::Closed { users_at: Arc::new(users_at), most: 6, iterations: None, shard: Shard::WHOLE };
    let mut load = load(model, 1_000 * MS);
    load.stages = vec![300 * MS, 600 * MS, 1_000 * MS];
    let result = run_load(load, session(Duration::ZERO), 10_000 * MS, work).await;
    let start = result.start.unwrap().at;
    let mut by_part: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
    for (vu, planned) in seen.lock().unwrap().iter() {
        // Some time for the gate to move and for scenarios to end.
        let at = planned.saturating_duration_since(start).as_millis();
        let part = match at {
            0..290 => 0,
            400..590 => 1,
            800.. => 2,
            _ => continue,
        };
        by_part.entry(part).or_default().push(*vu);
    }
    let users = |part: u64| {
        let mut users = by_part.get(&part).cloned().unwrap_or_default();
        users.sort_unstable();
        users.dedup();
        users
    };
    assert!(users(0).iter().all(|vu| *vu < 2) && !users(0).is_empty(), "{:?}", users(0));
    assert_eq!(users(1), [0, 1, 2, 3, 4, 5]);
    assert_eq!(users(2), [0]);
    assert_eq!(ended.load(Relaxed), result.begun);
    assert_eq!(result.stages.iter().map(|s| s.begun).sum::<u64>(), result.begun);
    assert_eq!((result.stages.len(), result.planned, result.unfinished), (3, 0, 0));
}

#[tokio::test]
async fn a_scenario_of_a_closed_load_is_planned_for_the_end_of_the_one_before() {
    let (seen, note) = keep();
    let work = flow(move |_, visit: Visit| {
        note((visit.planned.unwrap(), Instant::now()));
        tokio::time::sleep(10 * MS)
    });
    let model = Model::Closed { users_at: Arc::new(|_| 1), most: 1, iterations: Some(3), shard: Shard::WHOLE };
    let load = Load { length: None, ..load(model, Duration::ZERO) };
    let result = run_load(load, session(Duration::ZERO), Duration::ZERO, work).await;
    assert_eq!(result.begun, 3);
    let seen = seen.lock().unwrap();
    for pair in seen.windows(2) {
        let ((_, began), (planned, next)) = (pair[0], pair[1]);
        assert!(planned >= began + 10 * MS && planned <= next);
    }
}

#[tokio::test]
async fn shards_of_a_closed_load_share_its_users_and_its_tickets() {
    let (seen, note) = keep();
    let note = Arc::new(note);
    for index in 0..2 {
        let note = Arc::clone(&note);
        let work = flow(move |_, visit: Visit| {
            note((visit.vu, visit.ticket));
            async {}
        });
        // Of 5 users shard 0 has three and shard 1 two.
        let most = 3 - index as usize;
        let shard = Shard { index, count: 2 };
        let model = Model::Closed { users_at: Arc::new(move |_| most), most, iterations: Some(2), shard };
        let load = Load { length: None, ..load(model, Duration::ZERO) };
        run_load(load, session(Duration::ZERO), Duration::ZERO, work).await;
    }
    let mut seen = seen.lock().unwrap().clone();
    seen.sort_unstable();
    let (mut users, mut tickets): (Vec<u32>, Vec<u64>) = seen.iter().copied().unzip();
    users.dedup();
    tickets.sort_unstable();
    assert_eq!(users, [0, 1, 2, 3, 4]);
    assert_eq!(tickets, [0, 1, 2, 3, 4, 5, 6, 7, 8, 10], "each once: six of shard 0, four of shard 1");
}

#[tokio::test]
async fn shards_that_meet_at_a_barrier_start_at_the_same_time() {
    let folder = tempfile::tempdir().unwrap();
    let shard = |index: u64| {
        let barrier = Barrier::new(folder.path(), index as u32, 3).with_margin(200 * MS);
        let own: Vec<Arrival> = every(MS, 30).into_iter().filter(|a| a.index % 3 == index).collect();
        let start = StartAt::Barrier { barrier, timeout: Duration::from_secs(60) };
        async move {
            tokio::time::sleep(MS * 60 * index as u32).await;
            let load = Load { start, ..load(open_model(own, 100), 40 * MS) };
            run_load(load, session(Duration::ZERO), 1_000 * MS, flow(|_, _| async {})).await
        }
    };
    let (a, b, c) = tokio::join!(shard(0), shard(1), shard(2));
    let start = a.start.unwrap().unix_us;
    assert_eq!([b.start.unwrap().unix_us, c.start.unwrap().unix_us], [start, start]);
    assert_eq!(a.begun + b.begun + c.begun, 30);
}

#[tokio::test]
async fn who_waits_in_vain_at_a_barrier_names_those_who_are_missing() {
    let folder = tempfile::tempdir().unwrap();
    let barrier = Barrier::new(folder.path(), 1, 4);
    Barrier::new(folder.path(), 2, 4).ready(1).unwrap();
    let start = StartAt::Barrier { barrier: barrier.clone(), timeout: 30 * MS };
    let load = Load { start, ..load(open_model(every(MS, 3), 1), 10 * MS) };
    let jobs = vec![job("a", 1)];
    let failed = run_jobs(jobs, load, session(Duration::ZERO), Duration::ZERO, flow(|_, _| async {})).await;
    let message = failed.unwrap_err().to_string();
    assert!(message.starts_with("shard 0, 3 did not come to '"), "{message}");
    assert!(!folder.path().join("ready-1").exists(), "its word is taken back");
}

#[tokio::test]
async fn a_start_in_the_past_is_refused_and_one_ahead_is_waited_for() {
    let now_us = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_micros() as u64;
    let jobs = || vec![job("a", 1)];
    let past = Load { start: StartAt::Unix(now_us() - 1_000_000), ..load(open_model(every(MS, 3), 1), 10 * MS) };
    let refused = run_jobs(jobs(), past, session(Duration::ZERO), Duration::ZERO, flow(|_, _| async {})).await;
    assert!(refused.unwrap_err().to_string().contains("the agreed start was 1."));
    let at = now_us() + 400_000;
    let (seen, note) = keep();
    let work = flow(move |_, _| {
        note(now_us());
        async {}
    });
    let ahead = Load { start: StartAt::Unix(at), ..load(open_model(every(MS, 3), 9), 10 * MS) };
    let result = run_jobs(jobs(), ahead, session(Duration::ZERO), 1_000 * MS, work).await.unwrap();
    assert_eq!((result.begun, result.start.unwrap().unix_us), (3, at));
    // The two clocks are read one after the other.
    assert!(seen.lock().unwrap().iter().all(|began| began + 1_000 >= at));
}

#[tokio::test]
async fn a_stop_before_the_start_begins_nothing() {
    let session = session(Duration::ZERO);
    session.stop.cancel();
    let result = run_load(load(open_model(every(MS, 30), 10), 50 * MS), session, Duration::ZERO, flow(|_, _| async {}));
    let result = result.await;
    assert_eq!((counts(&result), result.interrupted, result.start), ((0, 0, 0, 0), true, None));
}
