use super::super::start::StartAt;
use super::*;
use crate::client::Options;
use crate::flow::{Pace, SessionOptions, Sink, Target};
use crate::scenario::parse;
use std::sync::atomic::AtomicUsize;

pub(in crate::engine) fn session(grace: Duration) -> Arc<Session> {
    let client = Options { epoch: Instant::now(), ..Options::default() };
    let options = SessionOptions {
        client,
        run_id: "r".into(),
        seed: 1,
        stop: CancellationToken::new(),
        pace: Pace::default(),
        keep: false,
        grace,
        first_id: 1,
    };
    Arc::new(Session::new(Target { base_url: "http://localhost/v1".into(), apps: vec![] }, options, Sink::collect()))
}

pub(in crate::engine) fn job(id: &str, weight: u32) -> Job {
    let text = format!(
        "difyprobe: 1\nid: test.{id}\ntitle: T\ntarget: {{app: [chat], mode: streaming}}\nsteps: [{{id: s, info: }}]\n"
    );
    let scenario = parse("a.yaml", &text).unwrap();
    Job { scenario: Arc::new(scenario), app: 0, weight }
}

/// A flow that does `what` with the scenario's id and then passes, or was stopped.
pub(in crate::engine) fn flow<F, W>(what: W) -> Flow
where
    F: Future<Output = ()> + Send + 'static,
    W: Fn(String, Visit) -> F + Send + Sync + 'static,
{
    Arc::new(move |job: Job, visit: Visit| {
        let work = what(job.scenario.id.clone(), visit.clone());
        Box::pin(async move {
            work.await;
            let run = ScenarioRun::empty(&job.scenario, "", &visit, Outcome::Pass, None);
            ScenarioRun { stopped: visit.stop.is_cancelled(), ..run }
        })
    })
}

fn plan(jobs: Vec<Job>, shape: Shape) -> Plan {
    Plan { jobs, shape, grace: Duration::from_millis(100) }
}

fn closed(users: u32, duration: Option<Duration>, iterations: Option<u32>) -> Shape {
    let most = users as usize;
    let model = Model::Closed { users_at: Arc::new(move |_| most), most, iterations, shard: Shard::WHOLE };
    Shape::Load(Load {
        model,
        length: duration,
        stages: Vec::new(),
        start: StartAt::Now,
        started: Started::default(),
        no_more: CancellationToken::new(),
    })
}

const ONCE: Shape = Shape::Once { at_once: 0 };

#[tokio::test]
async fn a_panicking_job_is_counted_and_the_others_end() {
    let work = flow(|id, _| async move {
        assert_ne!(id, "test.b", "b is bad");
    });
    let session = session(Duration::ZERO);
    let jobs = vec![job("a", 1), job("b", 1), job("c", 1)];
    let result = run(plan(jobs, ONCE), Arc::clone(&session), work).await.unwrap();
    let outcomes: Vec<Outcome> = result.runs.iter().map(|r| r.outcome).collect();
    assert_eq!(outcomes, [Outcome::Pass, Outcome::Error, Outcome::Pass]);
    assert_eq!(result.harness_errors, 1);
    assert!(
        result.harness_messages[0].contains("scenario test.b: ") && result.harness_messages[0].contains("b is bad")
    );
    assert_eq!(session.progress.runs_failed.load(Relaxed), 1);
}

#[tokio::test]
async fn a_user_that_panicked_goes_on_with_its_next_iteration() {
    let result = run(
        plan(vec![job("a", 1)], closed(2, None, Some(3))),
        session(Duration::ZERO),
        flow(|_, visit| async move { assert_ne!(visit.iteration, 0) }),
    );
    let result = result.await.unwrap();
    assert_eq!((result.begun, result.harness_errors), (6, 2));
}

#[tokio::test]
async fn jobs_share_the_places_there_are() {
    static UNDER_WAY: AtomicUsize = AtomicUsize::new(0);
    static MOST: AtomicUsize = AtomicUsize::new(0);
    let work = flow(|_, _| async {
        MOST.fetch_max(UNDER_WAY.fetch_add(1, Relaxed) + 1, Relaxed);
        tokio::time::sleep(Duration::from_millis(5)).await;
        UNDER_WAY.fetch_sub(1, Relaxed);
    });
    let jobs = (0..6).map(|n| job(&format!("j{n}"), 1)).collect();
    let result = run(plan(jobs, Shape::Once { at_once: 2 }), session(Duration::ZERO), work).await.unwrap();
    assert_eq!((result.begun, MOST.load(Relaxed)), (6, 2));
}

#[tokio::test]
async fn repeated_jobs_are_different_virtual_users() {
    let jobs = vec![job("a", 1), job("b", 1), job("a", 1)];
    let result = run(plan(jobs, ONCE), session(Duration::ZERO), flow(|_, _| async {})).await.unwrap();
    let users: Vec<(&str, u32)> = result.runs.iter().map(|r| (r.id.as_str(), r.vu)).collect();
    assert_eq!(users, [("test.a", 0), ("test.b", 0), ("test.a", 1)]);
}

#[tokio::test]
async fn a_stop_ends_a_run_and_tells_what_never_began() {
    let session = session(Duration::ZERO);
    let stop = session.stop.clone();
    let work = flow(move |_, visit| {
        let stop = stop.clone();
        async move {
            stop.cancel();
            visit.stop.cancelled().await;
        }
    });
    let jobs = vec![job("a", 1), job("b", 1)];
    let result = run(plan(jobs, Shape::Once { at_once: 1 }), session, work).await.unwrap();
    assert!(result.interrupted);
    assert_eq!(result.begun, 1);
    let stopped = result.runs.iter().filter(|r| r.stopped && r.outcome == Outcome::CouldNotRun);
    assert_eq!(stopped.count(), 1);
}

#[tokio::test]
async fn a_stop_before_the_start_is_not_lost() {
    let session = session(Duration::ZERO);
    session.stop.cancel();
    let result = run(plan(vec![job("a", 1)], ONCE), session, flow(|_, _| async {})).await.unwrap();
    assert_eq!((result.begun, result.interrupted), (0, true));
}

#[tokio::test]
async fn a_flow_that_ignores_the_stop_is_dropped_as_our_fault() {
    let session = session(Duration::ZERO);
    let stop = session.stop.clone();
    let work = flow(move |_, _| {
        stop.cancel();
        std::future::pending()
    });
    let result = run(plan(vec![job("a", 1)], ONCE), session, work).await.unwrap();
    assert_eq!(result.harness_errors, 1);
    assert_eq!(result.runs[0].outcome, Outcome::Error);
}

#[tokio::test]
async fn a_closed_load_ends_with_its_duration_and_cuts_what_is_under_way_after_the_grace() {
    let work = flow(|id, visit| async move {
        match id.as_str() {
            "test.long" => visit.stop.cancelled().await,
            _ => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    });
    let jobs = vec![job("long", 1), job("short", 9)];
    let result = run(plan(jobs, closed(4, Some(Duration::from_secs(1)), None)), session(Duration::ZERO), work);
    let result = result.await.unwrap();
    assert!(result.begun > 4, "{}", result.begun);
    let (least, most) = (Duration::from_millis(1000), Duration::from_millis(2500));
    assert!((least..most).contains(&result.elapsed), "{:?}", result.elapsed);
    assert!(!result.interrupted);
}

#[tokio::test]
async fn weights_hold_over_all_users_also_with_fewer_users_than_jobs() {
    for users in [1_u32, 2, 5] {
        let counts: Arc<Mutex<BTreeMap<String, u32>>> = Arc::default();
        let seen = Arc::clone(&counts);
        let work = flow(move |id, _| {
            *seen.lock().unwrap().entry(id).or_default() += 1;
            async {}
        });
        let jobs = vec![job("a", 70), job("b", 20), job("c", 10)];
        run(plan(jobs, closed(users, None, Some(100 / users))), session(Duration::ZERO), work).await.unwrap();
        let counts: Vec<u32> = counts.lock().unwrap().values().copied().collect();
        assert_eq!(counts, [70, 20, 10], "{users} users");
    }
}

#[tokio::test]
async fn a_plan_without_jobs_or_users_is_refused() {
    let nothing = |jobs, shape| run(plan(jobs, shape), session(Duration::ZERO), flow(|_, _| async {}));
    assert_eq!(nothing(vec![], ONCE).await.unwrap_err().to_string(), "the plan has no jobs");
    let no_users = nothing(vec![job("a", 1)], closed(0, None, None)).await.unwrap_err();
    assert_eq!(no_users.to_string(), "the plan has no virtual users");
}
