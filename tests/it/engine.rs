//! The engine end to end: goose users, a real server, stops, and silence on stdout.

use super::flow::{Server, options, serve, session};
use difyprobe::engine::{Arrival, EngineResult, Job, Load, Model, Plan, Shape, StartAt, Started, interrupt, run};
use difyprobe::flow::{Session, SessionOptions};
use difyprobe::model::{Exchange, Outcome};
use difyprobe::scenario::parse;
use difyprobe::workload::Shard;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Set for the test process that stops by [`interrupt`].
const INTERRUPT: &str = "DIFYPROBE_TEST_INTERRUPT";

fn job(id: &str, steps: &str) -> Job {
    let text = format!("difyprobe: 1\nid: {id}\ntitle: T\ntarget: {{app: [chat], mode: streaming}}\nsteps: {steps}\n");
    let scenario = parse("engine.yaml", &text).unwrap_or_else(|d| panic!("{d:?}"));
    Job { scenario: Arc::new(scenario), app: 0, weight: 1 }
}

fn plan(jobs: Vec<Job>, shape: Shape) -> Plan {
    Plan { jobs, shape, grace: Duration::from_millis(200) }
}

const CHAT: &str = "[ { id: hi, chat: { query: hi }, expect: [ { status: 200 }, { answer: { equals: Hello } } ] } ]";

async fn two_jobs() -> (EngineResult, Arc<Session>) {
    let server = Arc::new(Server { mode: Some("chat"), ..Server::default() });
    let session = session(&serve(&server).await, options()).await;
    let jobs = vec![job("test.one", CHAT), job("test.two", "[ { id: i, info: , expect: [ { status: 404 } ] } ]")];
    (run(plan(jobs, Shape::Once { at_once: 0 }), Arc::clone(&session)).await.unwrap(), session)
}

#[tokio::test]
async fn two_jobs_run_to_their_end() {
    let (result, session) = two_jobs().await;
    let outcomes: Vec<(&str, Outcome)> = result.runs.iter().map(|r| (r.id.as_str(), r.outcome)).collect();
    assert_eq!(outcomes, [("test.one", Outcome::Pass), ("test.two", Outcome::Fail)]);
    assert_eq!((result.begun, result.harness_errors, result.interrupted), (2, 0, false));
    let progress = &session.progress;
    assert_eq!((progress.runs_done.load(Relaxed), progress.runs_failed.load(Relaxed)), (2, 1));
    assert_eq!((progress.in_flight.load(Relaxed), progress.open_streams.load(Relaxed)), (0, 0));
    assert_eq!(progress.requests.load(Relaxed), 3);
    let ids: Vec<u64> = session.take_exchanges().iter().map(|e| e.id).collect();
    assert_eq!(ids, [1, 2, 3]);
}

/// goose must not write into what people and scripts read. The test above runs again in a process of its own.
#[test]
fn a_run_prints_nothing() {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "engine::two_jobs_run_to_their_end", "--nocapture", "--test-threads=1"])
        .output()
        .unwrap();
    assert!(child.status.success());
    let stdout = String::from_utf8_lossy(&child.stdout);
    let harness = ["running 1 test", "test engine::two_jobs_run_to_their_end ... ok", "test result: ok. 1 passed"];
    let lines: Vec<&str> = stdout.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(lines.len(), harness.len(), "{stdout}");
    for (line, harness) in lines.iter().zip(harness) {
        assert!(line.starts_with(harness), "{stdout}");
    }
    assert_eq!(String::from_utf8_lossy(&child.stderr), "");
}

#[tokio::test]
async fn a_stop_ends_an_open_stream_at_once() {
    let server = Arc::new(Server { mode: Some("chat"), hangs: true, ..Server::default() });
    let options = options();
    let stop = options.stop.clone();
    let session = session(&serve(&server).await, options).await;
    let jobs = vec![job("test.one", CHAT), job("test.two", CHAT)];
    let running = tokio::spawn(run(plan(jobs, Shape::Once { at_once: 0 }), Arc::clone(&session)));
    while session.progress.open_streams.load(Relaxed) < 2 || server.conversations.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    let asked = Instant::now();
    match std::env::var_os(INTERRUPT) {
        Some(_) => interrupt(&stop),
        None => stop.cancel(),
    }
    let result = running.await.unwrap().unwrap();
    assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
    assert!(result.interrupted);
    for run in &result.runs {
        assert_eq!((run.outcome, run.stopped), (Outcome::CouldNotRun, true));
    }
}

/// goose's own switch is one per process and would end the runs of other tests: the test above runs again, alone.
#[test]
fn an_interrupt_ends_a_run_as_well() {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "engine::a_stop_ends_an_open_stream_at_once"])
        .env(INTERRUPT, "1")
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && stdout.contains("1 passed"), "{stdout}");
}

#[tokio::test]
async fn a_closed_load_of_four_users_ends_in_time() {
    let server = Arc::new(Server { mode: Some("chat"), ..Server::default() });
    let session = session(&serve(&server).await, SessionOptions { keep: true, ..options() }).await;
    let length = Duration::from_secs(1);
    let model = Model::Closed { users_at: Arc::new(|_| 4), most: 4, iterations: None, shard: Shard::WHOLE };
    let shape = load(model, length);
    let result = run(plan(vec![job("test.one", CHAT)], shape), Arc::clone(&session)).await.unwrap();
    assert!((Duration::from_secs(1)..Duration::from_millis(2500)).contains(&result.elapsed), "{:?}", result.elapsed);
    assert!(result.begun >= 4 && result.harness_errors == 0);
    let exchanges = session.take_exchanges();
    let mut users: Vec<u32> = exchanges.iter().map(|e| e.origin.user).collect();
    users.sort_unstable();
    users.dedup();
    assert_eq!(users, [0, 1, 2, 3]);
    assert_eq!(exchanges.len() as u64, result.begun, "one request per visit, nothing is deleted");
}

fn open_load(gap: Duration, count: u64, length: Duration) -> Shape {
    let at = move |n: u64| n * gap.as_micros() as u64;
    let arrivals = (0..count).map(move |n| Arrival { index: n, at_us: at(n), stage: 0, job: 0, ticket: n });
    load(Model::Open { arrivals: Box::new(arrivals), max_in_flight: 2_000 }, length)
}

fn load(model: Model, length: Duration) -> Shape {
    Shape::Load(Load {
        model,
        length: Some(length),
        stages: vec![length],
        start: StartAt::Now,
        started: Started::default(),
        no_more: CancellationToken::new(),
    })
}

#[tokio::test]
async fn every_request_of_an_open_load_has_a_planned_send_that_follows_from_the_schedule_and_the_waits() {
    let server = Arc::new(Server { mode: Some("chat"), ..Server::default() });
    let mut options = options();
    options.pace.honour_think = true;
    let session = session(&serve(&server).await, options).await;
    let steps = "
  - { id: one, chat: { query: hi }, capture: { conv: $.conversation_id }, think: 40ms }
  - { id: two, wait: 30ms, chat: { query: hi, conversation: '${{ conv }}' } }
  - { id: three, chat: { query: hi, conversation: '${{ conv }}' } }
  - { id: side, parallel: { branches: [ [ { id: a, info: } ], [ { id: pause, pause: 20ms }, { id: b, info: } ] ] } }
  - { id: last, info: }";
    let shape = open_load(Duration::from_millis(15), 4, Duration::from_millis(60));
    let grace = Duration::from_secs(30);
    let plan = Plan { jobs: vec![job("test.one", steps)], shape, grace };
    let result = run(plan, Arc::clone(&session)).await.unwrap();
    assert_eq!((result.planned, result.begun, result.dropped, result.unfinished), (4, 4, 0, 0));
    let start = result.start.unwrap().at.saturating_duration_since(session.epoch).as_micros() as u64;
    let exchanges = session.take_exchanges();
    for user in 0..4 {
        let of = |step: &str| -> &Exchange {
            exchanges
                .iter()
                .find(|e| e.origin.user == user && e.origin.step == step)
                .unwrap_or_else(|| panic!("{step}"))
        };
        let planned = |step: &str| of(step).timing.planned_us.unwrap_or_else(|| panic!("{step} is not planned"));
        let end = |step: &str| of(step).timing.sent_us + of(step).timing.end_us;
        let near = |step: &str, expected: u64| {
            let planned = planned(step);
            assert!(planned.abs_diff(expected) <= 2, "{step} of {user}: {planned}, not {expected}");
            assert!(of(step).timing.sent_us + 1 >= planned, "{step} of {user} went out early");
        };
        near("one", start + u64::from(user) * 15_000);
        near("two", end("one") + 70_000);
        near("three", end("two"));
        near("a", end("three"));
        near("b", end("three") + 20_000);
        near("last", end("a").max(end("b")));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_ends_many_open_streams_soon() {
    const STREAMS: u64 = 300;
    let server = Arc::new(Server { mode: Some("chat"), hangs: true, ..Server::default() });
    let options = SessionOptions { grace: Duration::from_secs(60), ..options() };
    let stop = options.stop.clone();
    let session = session(&serve(&server).await, options).await;
    let shape = open_load(Duration::from_millis(1), 100_000, Duration::from_secs(100));
    let plan = Plan { jobs: vec![job("test.one", CHAT)], shape, grace: Duration::from_secs(100) };
    let running = tokio::spawn(run(plan, Arc::clone(&session)));
    while session.progress.open_streams.load(Relaxed) < STREAMS {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let asked = Instant::now();
    stop.cancel();
    let result = running.await.unwrap().unwrap();
    // A second is promised; a test machine may be busy with other things.
    assert!(asked.elapsed() < Duration::from_secs(4), "{:?}, and not the grace of the session", asked.elapsed());
    assert!(result.interrupted && result.unfinished >= STREAMS, "{} unfinished", result.unfinished);
    assert_eq!(result.unfinished, result.begun);
    assert_eq!((result.harness_errors, session.progress.open_streams.load(Relaxed)), (0, 0));
}
