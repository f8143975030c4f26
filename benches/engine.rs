//! Measures the engine under load against a small server in a process of its own:
//!
//! ```sh
//! cargo bench --bench engine -- lag 1000 5       # arrivals/s, seconds: lateness of sends, CPU, delivered rate
//! cargo bench --bench engine -- streams 10000    # open streams: memory of each, time to open and to stop them
//! cargo bench --bench engine -- idle 10000       # goose users that do nothing: memory of each
//! ```

#![allow(clippy::print_stdout)]

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use difyprobe::client::{Options, ProxySettings};
use difyprobe::engine::{self, Arrival, EngineResult, Job, Load, Model, Plan, Shape, StartAt, Started};
use difyprobe::flow::{AppTarget, Finished, Pace, Session, SessionOptions, Sink, Target};
use difyprobe::machine::{cpu_time, raise_descriptor_limit, resident_memory};
use difyprobe::model::{App, AppMode};
use difyprobe::scenario::parse;
use difyprobe::workload::Shard;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

const USAGE: &str = "lag RATE SECONDS | streams COUNT | idle COUNT";

fn main() {
    raise_descriptor_limit();
    let args: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let number = |at: usize, default: u64| args.get(at).and_then(|a| a.parse().ok()).unwrap_or(default);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    match args.first().map(String::as_str) {
        Some("server") => runtime.block_on(serve()),
        Some("lag") => runtime.block_on(lag(number(1, 1000), number(2, 5))),
        Some("streams") => runtime.block_on(streams(number(1, 1000))),
        Some("idle") => runtime.block_on(idle(number(1, 10_000))),
        _ => println!("{USAGE}"),
    }
}

const ANSWER: &str = r#"{"event":"message","task_id":"2d5fb1b5-6f0e-4a0c-8a63-8d5a0d0b3a53","id":"6f1a1e34-67a1-4f6f-9d52-5d9d1c9d3a10","message_id":"6f1a1e34-67a1-4f6f-9d52-5d9d1c9d3a10","conversation_id":"b8a6c3de-1c39-4b4e-93b4-0a7e1b9a55c1","mode":"chat","answer":"Hello, this is the answer of a small server.","metadata":{"usage":{"prompt_tokens":10,"completion_tokens":9,"total_tokens":19,"total_price":"0.0001","currency":"USD","latency":0.1}},"created_at":1764000000}"#;
const EVENT: &str = "data: {\"event\":\"message\",\"task_id\":\"t\",\"id\":\"m\",\"message_id\":\"m\",\"conversation_id\":\"c\",\"answer\":\"Hello\",\"created_at\":1764000000}\n\n";

/// Prints its port; answers at once, or holds a stream open after its first event.
async fn serve() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    println!("{}", listener.local_addr().expect("an address").port());
    axum::serve(listener, Router::new().fallback(answer)).await.expect("a server");
}

async fn answer(request: Request) -> Response {
    let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap_or_default();
    if !body.windows(9).any(|w| w == b"streaming") {
        return ([("content-type", "application/json")], ANSWER).into_response();
    }
    use futures_util::StreamExt;
    let first = futures_util::stream::iter([Ok::<_, std::convert::Infallible>(EVENT)]);
    let body = Body::from_stream(first.chain(futures_util::stream::pending()));
    ([("content-type", "text/event-stream")], body).into_response()
}

struct Server {
    child: Child,
    base_url: String,
}

impl Server {
    fn start() -> Server {
        let own = std::env::current_exe().expect("an executable");
        let mut child = Command::new(own).arg("server").stdout(Stdio::piped()).spawn().expect("a server");
        let mut port = String::new();
        let out = child.stdout.take().expect("its output");
        BufReader::new(out).read_line(&mut port).expect("its port");
        Server { child, base_url: format!("http://127.0.0.1:{}/v1", port.trim()) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

fn session(base_url: &str) -> (Arc<Session>, mpsc::Receiver<Finished>) {
    let (to, from) = mpsc::channel(1 << 16);
    let app =
        App { label: "chat".into(), mode: Some(AppMode::Chat), inputs: vec![], form_known: true, server_version: None };
    let target = Target { base_url: base_url.to_owned(), apps: vec![AppTarget { app, key: "app-secret".into() }] };
    let client = Options { max_in_flight: 1 << 20, proxy: ProxySettings::none(), ..Options::default() };
    let options = SessionOptions {
        client,
        run_id: "bench".into(),
        seed: 1,
        stop: CancellationToken::new(),
        pace: Pace::default(),
        keep: true,
        grace: Duration::from_secs(5),
        first_id: 1,
    };
    (Arc::new(Session::new(target, options, Sink::Channel { to, wait: false, full: Arc::new(drop) })), from)
}

fn plan(mode: &str, model: Model, length: Duration) -> Plan {
    let text = format!(
        "difyprobe: 1\nid: bench.chat\ntitle: T\ntarget: {{app: [chat], mode: {mode}}}\nsteps:\n  - {{ id: ask, chat: {{ query: 'hello ${{{{ nonce(8) }}}}' }}, expect: [ {{ status: 200 }} ] }}\n"
    );
    let scenario = parse("bench.yaml", &text).expect("a scenario");
    let load = Load {
        model,
        length: Some(length),
        stages: vec![length],
        start: StartAt::Now,
        started: Started::default(),
        no_more: CancellationToken::new(),
    };
    let jobs = vec![Job { scenario: Arc::new(scenario), app: 0, weight: 1 }];
    Plan { jobs, shape: Shape::Load(load), grace: Duration::from_secs(5) }
}

fn arrivals(rate: u64, count: u64, max_in_flight: usize) -> Model {
    let at = move |n: u64| n * 1_000_000 / rate;
    let arrivals = (0..count).map(move |n| Arrival { index: n, at_us: at(n), stage: 0, job: 0, ticket: n });
    Model::Open { arrivals: Box::new(arrivals), max_in_flight }
}

/// Lateness of sends and duration of exchanges, as they come.
fn note(mut from: mpsc::Receiver<Finished>) -> std::thread::JoinHandle<(Vec<u64>, Vec<u64>)> {
    std::thread::spawn(move || {
        let (mut lags, mut times) = (Vec::new(), Vec::new());
        while let Some(finished) = from.blocking_recv() {
            if let Finished::Exchange(exchange) = finished
                && let Some(planned) = exchange.timing.planned_us
            {
                lags.push(exchange.timing.sent_us.saturating_sub(planned));
                times.push(exchange.timing.end_us);
            }
        }
        (lags, times)
    })
}

fn percentiles(mut values: Vec<u64>) -> String {
    values.sort_unstable();
    let at = |q: f64| values.get(((values.len() as f64 * q) as usize).min(values.len().saturating_sub(1)));
    let shown = |q| at(q).copied().unwrap_or(0);
    format!("p50 {} p99 {} p99.9 {} max {} us", shown(0.5), shown(0.99), shown(0.999), shown(1.0))
}

async fn lag(rate: u64, seconds: u64) {
    let server = Server::start();
    let (session, from) = session(&server.base_url);
    let noting = note(from);
    let plan = plan("blocking", arrivals(rate, rate * seconds, 5_000), Duration::from_secs(seconds));
    let before = cpu_time().unwrap_or_default();
    let result = engine::run(plan, Arc::clone(&session)).await.expect("a run");
    let cpu = cpu_time().unwrap_or_default().saturating_sub(before);
    let lost = session.progress.not_judged.load(Relaxed);
    drop(session);
    let (lags, times) = noting.join().expect("notes");
    let delivered = result.begun as f64 / result.begun_for.as_secs_f64();
    println!(
        "{rate}/s for {seconds} s: begun {} dropped {} lost {lost}: {delivered:.1}/s",
        result.begun, result.dropped
    );
    println!("  lag {}", percentiles(lags));
    println!("  exchange {}", percentiles(times));
    let per = cpu.as_secs_f64() * 1e6 / result.begun.max(1) as f64;
    println!(
        "  CPU {:.2} s = {:.0} % of a core, {per:.1} us per request",
        cpu.as_secs_f64(),
        100.0 * cpu.as_secs_f64() / seconds as f64
    );
}

async fn streams(count: u64) {
    let server = Server::start();
    let (session, from) = session(&server.base_url);
    let noting = note(from);
    let most = usize::try_from(count).expect("a count");
    let plan = plan("streaming", arrivals(4_000, count, most), Duration::from_secs(3600));
    let before = resident_memory().unwrap_or(0);
    let began = Instant::now();
    let running: tokio::task::JoinHandle<Result<EngineResult, _>> =
        tokio::spawn(engine::run(plan, Arc::clone(&session)));
    while session.progress.open_streams.load(Relaxed) < count {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let opened = began.elapsed();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let after = resident_memory().unwrap_or(0);
    let cpu = cpu_time().unwrap_or_default();
    println!(
        "{count} streams open after {:.2} s; {:.1} KiB each ({:.0} MiB in all, {:.0} before); CPU {:.2} s",
        opened.as_secs_f64(),
        (after - before) as f64 / 1024.0 / count as f64,
        after as f64 / 1048576.0,
        before as f64 / 1048576.0,
        cpu.as_secs_f64()
    );
    let asked = Instant::now();
    engine::interrupt(&session.stop);
    let result = running.await.expect("a run").expect("a run");
    println!(
        "stopped after {:.0} ms; {} unfinished, {} faults of ours",
        asked.elapsed().as_secs_f64() * 1e3,
        result.unfinished,
        result.harness_errors
    );
    drop(session);
    let (lags, _) = noting.join().expect("notes");
    println!("  lag {}", percentiles(lags));
}

async fn idle(count: u64) {
    let (session, _from) = session("http://127.0.0.1:1/v1");
    let most = usize::try_from(count).expect("a count");
    // They are launched ahead of the second in which they are needed, and wait for it.
    let users_at = move |at_us: u64| if at_us < 1_000_000 { 0 } else { most };
    let model = Model::Closed { users_at: Arc::new(users_at), most, iterations: None, shard: Shard::WHOLE };
    let plan = plan("blocking", model, Duration::from_secs(10));
    let Shape::Load(Load { started, .. }) = &plan.shape else { return };
    let started = started.clone();
    let before = resident_memory().unwrap_or(0);
    let began = Instant::now();
    let running = tokio::spawn(engine::run(plan, Arc::clone(&session)));
    while started.get().is_none() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let each = (resident_memory().unwrap_or(0) - before) as f64 / 1024.0 / count as f64;
    println!("{count} idle users after {:.2} s: {each:.1} KiB each", began.elapsed().as_secs_f64());
    session.stop.cancel();
    let _ = running.await;
}
