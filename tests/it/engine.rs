//! The engine end to end: goose users, a real server, stops, and silence on stdout.

use super::flow::{Server, options, serve, session};
use difyprobe::engine::{EngineResult, Job, Plan, Shape, interrupt, run};
use difyprobe::flow::{Session, SessionOptions};
use difyprobe::model::Outcome;
use difyprobe::scenario::parse;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

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
    let shape = Shape::Closed { users: 4, duration: Some(Duration::from_secs(1)), iterations: None, gate: None };
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
