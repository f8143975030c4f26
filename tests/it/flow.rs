//! Scenarios walked against a small server of this test's own: what is sent, captured, expected and cleaned up.

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use difyprobe::client::Options;
use difyprobe::flow::{
    Discovery, DiscoveryError, Given, Pace, ScenarioRun, Session, SessionOptions, Sink, Target, Visit, discover,
    run_scenario,
};
use difyprobe::model::{AppMode, Exchange, Outcome};
use difyprobe::scenario::parse;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A server that knows conversations, stops streams when told to, and otherwise does what a test wants.
#[derive(Default)]
pub struct Server {
    pub conversations: Mutex<BTreeSet<String>>,
    pub stopped: CancellationToken,
    /// `mode` of `GET /info`; none as before 1.0.
    pub mode: Option<&'static str>,
    /// Code that `GET /conversations` refuses with.
    pub refuses_lists: Option<&'static str>,
    /// Streams stay open until they are stopped.
    pub hangs: bool,
    /// Conversations cannot be deleted.
    pub keeps: bool,
}

struct Json(Value);

impl IntoResponse for Json {
    fn into_response(self) -> Response {
        ([("content-type", "application/json")], self.0.to_string()).into_response()
    }
}

fn refusal(status: u16, code: &str) -> Response {
    let status = StatusCode::from_u16(status).unwrap();
    (status, Json(json!({"code": code, "message": "no", "status": status.as_u16()}))).into_response()
}

fn event(event: Value) -> Result<String, std::convert::Infallible> {
    Ok(format!("data: {event}\n\n"))
}

fn stream(server: &Arc<Server>, id: &str) -> Response {
    let about = |name: &str, answer: &str| json!({"event": name, "conversation_id": id, "message_id": "m1", "task_id": "t1", "answer": answer});
    let first = [event(about("message", "Hel")), Ok("event: ping\n\n".to_owned()), event(about("message", "lo"))];
    let last = event(json!({"event": "message_end", "conversation_id": id, "metadata": {"usage": {}}}));
    let (hangs, stopped) = (server.hangs, server.stopped.clone());
    use futures_util::StreamExt;
    let end = futures_util::stream::once(async move {
        if hangs {
            stopped.cancelled().await;
        }
        last
    });
    let body = Body::from_stream(futures_util::stream::iter(first).chain(end));
    ([("content-type", "text/event-stream")], body).into_response()
}

async fn answer(State(server): State<Arc<Server>>, request: Request) -> Response {
    if request.headers().get("authorization").is_none_or(|v| v != "Bearer app-secret") {
        return refusal(401, "unauthorized");
    }
    let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
    let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    match (method.as_str(), path.trim_start_matches("/v1")) {
        ("GET", "/info") => match server.mode {
            Some(mode) => ([("x-version", "1.12.1")], Json(json!({"name": "n", "mode": mode}))).into_response(),
            None => Json(json!({"name": "n"})).into_response(),
        },
        ("GET", "/parameters") => {
            let form = json!([{"text-input": {"variable": "name", "required": true, "max_length": 4}}]);
            Json(json!({"user_input_form": form})).into_response()
        }
        ("GET", "/conversations") => match server.refuses_lists {
            Some(code) => refusal(400, code),
            None => Json(json!({"data": []})).into_response(),
        },
        ("POST", "/completion-messages") => refusal(400, "app_unavailable"),
        ("POST", "/chat-messages") if body["query"] == "fail" => refusal(400, "completion_request_error"),
        ("POST", "/chat-messages") => {
            let new = || format!("c{}", server.conversations.lock().unwrap().len() + 1);
            let id = body["conversation_id"].as_str().map_or_else(new, str::to_owned);
            server.conversations.lock().unwrap().insert(id.clone());
            match body["response_mode"].as_str() {
                Some("streaming") => stream(&server, &id),
                _ => {
                    let said = body["inputs"].to_string();
                    Json(json!({"conversation_id": id, "message_id": "m1", "answer": said})).into_response()
                }
            }
        }
        ("POST", "/chat-messages/t1/stop") => {
            server.stopped.cancel();
            Json(json!({"result": "success"})).into_response()
        }
        ("DELETE", _) if server.keeps => refusal(500, "internal_server_error"),
        ("DELETE", path) => match server.conversations.lock().unwrap().remove(path.rsplit('/').next().unwrap()) {
            true => StatusCode::NO_CONTENT.into_response(),
            false => refusal(404, "not_found"),
        },
        _ => (StatusCode::NOT_FOUND, "<html>").into_response(),
    }
}

/// Starts a server on a free port; its base URL.
pub async fn serve(server: &Arc<Server>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().fallback(answer).with_state(Arc::clone(server));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    format!("http://{address}/v1")
}

pub fn options() -> SessionOptions {
    SessionOptions {
        client: Options::default(),
        run_id: "r1".into(),
        seed: 7,
        stop: CancellationToken::new(),
        pace: Pace::default(),
        keep: false,
        grace: Duration::from_millis(300),
        first_id: 1,
    }
}

pub fn given(key: &str, mode: Option<AppMode>) -> [Given; 1] {
    [Given { label: None, key: key.into(), mode }]
}

pub async fn session(base_url: &str, options: SessionOptions) -> Arc<Session> {
    let found = discover(base_url, &given("app-secret", None), self::options()).await.unwrap_or_else(|e| panic!("{e}"));
    Arc::new(Session::new(found.target, options, Sink::collect()))
}

/// Walks a scenario whose steps are given; what became of it and what was exchanged.
async fn walk(server: Server, steps: &str) -> (ScenarioRun, Vec<Exchange>, Arc<Server>) {
    let server = Arc::new(Server { mode: server.mode.or(Some("chat")), ..server });
    let session = session(&serve(&server).await, options()).await;
    let text = format!("difyprobe: 1\nid: test.flow\ntitle: T\ntarget: {{app: [chat], mode: streaming}}\n{steps}");
    let scenario = parse("flow.yaml", &text).unwrap_or_else(|d| panic!("{d:?}"));
    let run = run_scenario(&session, &scenario, 0, Visit::first(session.stop.clone())).await;
    (run, session.take_exchanges(), server)
}

fn body(exchange: &Exchange) -> Value {
    serde_json::from_str(exchange.request.body.as_ref().unwrap().text().unwrap()).unwrap()
}

fn sent(exchanges: &[Exchange]) -> Vec<String> {
    let line = |e: &Exchange| format!("{} {} {}", e.origin.step, e.request.method, e.request.target);
    exchanges.iter().map(line).collect()
}

#[tokio::test]
async fn turns_share_a_conversation_that_is_deleted_in_the_end() {
    let (run, exchanges, server) = walk(
        Server::default(),
        r#"
steps:
  - id: hello
    chat: { query: hi }
    capture: { conv: $.conversation_id, first: "$.events[0].task_id" }
    expect:
      - status: 200
      - header: { name: content-type, media-type: text/event-stream }
      - events: "message+ message_end"
      - answer: { equals: Hello }
      - timing: { of: ttft, max: 30s }
  - id: again
    chat: { query: "task ${{ first }}", conversation: "${{ conv }}", mode: blocking }
    expect: [ { json: { at: $.conversation_id, equals: "${{ conv }}" } } ]
"#,
    )
    .await;
    assert_eq!((run.outcome, run.reason.as_deref(), run.requests), (Outcome::Pass, None, 3), "{:?}", run.failures);
    let lines = ["hello POST /v1/chat-messages", "again POST /v1/chat-messages", "cleanup DELETE /v1/conversations/c1"];
    assert_eq!(sent(&exchanges), lines);
    assert_eq!((exchanges[0].origin.file.as_str(), exchanges[0].origin.line), ("flow.yaml", 7));
    let user = "difyprobe-r1-test.flow-chat-0-0";
    assert_eq!(body(&exchanges[1])["conversation_id"], "c1");
    assert_eq!(body(&exchanges[1])["query"], "task t1");
    assert_eq!(body(&exchanges[0])["inputs"], body(&exchanges[1])["inputs"]);
    assert!((1..=4).contains(&body(&exchanges[0])["inputs"]["name"].as_str().unwrap().len()));
    assert_eq!(body(&exchanges[2]), json!({"user": user}));
    assert_eq!(exchanges[0].request.header("authorization"), Some("Bearer [key:chat]"));
    assert!(server.conversations.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_failed_expectation_is_told_with_its_place_and_the_steps_go_on() {
    let (run, exchanges, _) = walk(
        Server::default(),
        r#"
steps:
  - id: hello
    chat: { query: hi }
    expect:
      - answer: { equals: Goodbye }
  - { id: info, info: }
"#,
    )
    .await;
    assert_eq!((run.outcome, run.failures.len()), (Outcome::Fail, 1));
    let failure = &run.failures[0];
    assert_eq!((failure.place.as_str(), failure.step.as_str(), failure.exchange), ("flow.yaml:10:9", "hello", Some(1)));
    assert_eq!(failure.message, r#"the answer: expected "Goodbye", got "Hello""#);
    assert!(sent(&exchanges).contains(&"info GET /v1/info".to_owned()));
}

#[tokio::test]
async fn a_capture_that_did_not_come_stops_the_steps_but_not_the_clean_up() {
    let (run, exchanges, _) = walk(
        Server::default(),
        r#"
steps:
  - id: good
    chat: { query: hi }
    capture: { kept: $.conversation_id }
  - id: bad
    chat: { query: fail }
    capture: { conv: $.conversation_id }
  - id: after
    history: { conversation: "${{ conv }}" }
finally:
  - { id: drop, delete: { conversation: "${{ conv }}" } }
  - { id: drop-kept, delete: { conversation: "${{ kept }}" }, expect: [ { status: 599 } ] }
"#,
    )
    .await;
    assert_eq!((run.outcome, run.failures.len(), run.stopped), (Outcome::CouldNotRun, 0, false));
    assert_eq!(
        run.reason.as_deref(),
        Some(
            "step `after` needs `conv`, which was not captured: step `bad` (status 400) has nothing at `$.conversation_id`"
        )
    );
    let steps: Vec<&str> = exchanges.iter().map(|e| e.origin.step.as_str()).collect();
    assert_eq!(steps, ["good", "bad", "drop-kept"], "deleted once, not again");
    assert_eq!(run.cleanup_failures, ["flow.yaml:17:73: step `drop-kept`: expected status 599, got 204"]);
}

#[tokio::test]
async fn what_a_stopped_stream_left_on_the_server_is_deleted_or_told() {
    for keeps in [false, true] {
        let server = Arc::new(Server { mode: Some("chat"), hangs: true, keeps, ..Server::default() });
        let options = SessionOptions { grace: Duration::from_secs(30), ..options() };
        let stop = options.stop.clone();
        let session = session(&serve(&server).await, options).await;
        let text = "difyprobe: 1\nid: test.flow\ntitle: T\ntarget: {app: [chat], mode: streaming}\nsteps:\n  - { id: a, chat: { query: hi } }\n";
        let scenario = parse("flow.yaml", text).unwrap();
        let stopping = async {
            // The first event comes after the head; a stop before it would leave nobody knowing of the conversation.
            while server.conversations.lock().unwrap().is_empty() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
            stop.cancel();
        };
        let visit = Visit::first(session.stop.clone());
        let (run, ()) = tokio::join!(run_scenario(&session, &scenario, 0, visit), stopping);
        assert!(run.stopped);
        assert_eq!((run.left, run.cleanup_failures.len()), (u64::from(keeps), usize::from(keeps)));
        assert_eq!(server.conversations.lock().unwrap().is_empty(), !keeps);
    }
}

#[tokio::test]
async fn steps_during_a_stream_see_its_captures_and_end_it() {
    let (run, exchanges, _) = walk(
        Server { hangs: true, ..Server::default() },
        r#"
steps:
  - id: long
    chat:
      query: hi
      during: { after-events: 2, steps: [ { id: halt, stop: { task: "${{ task }}" }, expect: [ { status: 200 } ] } ] }
    capture: { task: $.task_id }
    expect: [ { events: "message message message_end" } ]
"#,
    )
    .await;
    assert_eq!((run.outcome, &run.reason), (Outcome::Pass, &None), "{:?}", run.failures);
    let lines = ["long POST /v1/chat-messages", "halt POST /v1/chat-messages/t1/stop"];
    assert_eq!(sent(&exchanges)[..2], lines);
}

#[tokio::test]
async fn a_stream_too_short_for_its_during_steps_could_not_be_run() {
    let (run, ..) = walk(
        Server::default(),
        r#"
steps:
  - id: short
    chat: { query: hi, during: { after-events: 9, steps: [ { id: i, info: } ] } }
"#,
    )
    .await;
    assert_eq!(run.outcome, Outcome::CouldNotRun);
    assert_eq!(run.reason.as_deref(), Some("step `short`: the stream had 3 events, `during` waits for 9"));
}

#[tokio::test]
async fn lanes_run_side_by_side_and_each_knows_its_number() {
    let (run, exchanges, _) = walk(
        Server::default(),
        r#"
steps:
  - id: par
    parallel:
      times: 3
      steps: [ { id: one, chat: { query: "lane ${{ lane }} ${{ nonce(8) }}" }, capture: { conv: $.conversation_id } } ]
  - { id: after, history: { conversation: "${{ conv }}" } }
"#,
    )
    .await;
    assert_eq!(run.outcome, Outcome::Pass, "{:?} {:?}", run.reason, run.failures);
    let turns = exchanges.iter().filter(|e| e.origin.step == "one");
    let queries: BTreeSet<String> = turns.map(|e| body(e)["query"].as_str().unwrap().to_owned()).collect();
    let lanes: Vec<&str> = queries.iter().map(|q| &q[..6]).collect();
    assert_eq!(lanes, ["lane 0", "lane 1", "lane 2"]);
    let nonces: BTreeSet<&str> = queries.iter().map(|q| &q[7..]).collect();
    assert_eq!(nonces.len(), 3);
}

#[tokio::test]
async fn a_step_is_repeated_for_each_case_and_a_failure_names_the_case() {
    let (run, exchanges, _) = walk(
        Server::default(),
        r#"
steps:
  - id: each
    for-each: { case: [ {want: 401}, {want: 200} ] }
    info:
    auth: none
    expect: [ { json: { at: $.status, equals: "${{ case.want }}" } } ]
"#,
    )
    .await;
    assert_eq!((exchanges.len(), run.failures.len()), (2, 1));
    assert_eq!(run.failures[0].message, r#"`$.status`: expected 200, got 401 (case: {"want":200})"#);
}

#[tokio::test]
async fn hanging_up_on_purpose_is_no_failure() {
    let (run, exchanges, _) = walk(
        Server { hangs: true, ..Server::default() },
        "steps: [ { id: cut, chat: { query: hi, hang-up-after: 1 } } ]\n",
    )
    .await;
    assert_eq!(run.outcome, Outcome::Pass, "{:?} {:?}", run.reason, run.failures);
    assert!(exchanges[0].fault.is_some());
    assert_eq!(exchanges[1].origin.step, "cleanup");
}

#[tokio::test]
async fn a_server_that_is_gone_makes_a_run_incomplete() {
    let target = {
        let server = Arc::new(Server { mode: Some("chat"), ..Server::default() });
        let found = discover(&serve(&server).await, &given("app-secret", None), options()).await;
        found.unwrap_or_else(|e| panic!("{e}")).target
    };
    // A port that was just free; nothing listens there.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let target = Target { base_url: format!("http://{free}/v1"), ..target };
    let session = Session::new(target, options(), Sink::collect());
    let text =
        "difyprobe: 1\nid: test.gone\ntitle: T\ntarget: {app: [chat], mode: streaming}\nsteps: [{id: s, info: }]\n";
    let scenario = parse("gone.yaml", text).unwrap();
    let run = run_scenario(&session, &scenario, 0, Visit::first(session.stop.clone())).await;
    assert_eq!(run.outcome, Outcome::CouldNotRun);
    assert!(run.reason.unwrap().starts_with("the server could not be reached: "));
}

async fn discovered(server: Server, given: &[Given]) -> Result<Discovery, DiscoveryError> {
    discover(&serve(&Arc::new(server)).await, given, options()).await
}

#[tokio::test]
async fn discovery_reads_mode_version_and_form() {
    let server = Server { mode: Some("advanced-chat"), ..Server::default() };
    let found = discovered(server, &given("app-secret", None)).await.unwrap_or_else(|e| panic!("{e}"));
    let app = &found.target.apps[0].app;
    assert_eq!((app.label.as_str(), app.mode), ("advanced-chat", Some(AppMode::AdvancedChat)));
    assert_eq!((app.server_version.as_deref(), app.inputs.len()), (Some("1.12.1"), 1));
    assert_eq!(sent(&found.exchanges), ["info GET /v1/info", "parameters GET /v1/parameters"]);
    let first = &found.exchanges[0];
    assert_eq!((first.app.as_str(), first.origin.scenario.as_str()), ("advanced-chat", "discovery"));
    assert_eq!(first.request.header("authorization"), Some("Bearer [key:advanced-chat]"));
    assert!(found.notes.is_empty());
}

#[tokio::test]
async fn a_mode_that_is_not_told_is_probed() {
    let found = discovered(Server::default(), &given("app-secret", None)).await.unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(found.target.apps[0].app.mode, Some(AppMode::Chat));
    assert!(found.notes[0].contains("app `chat`") && found.notes[0].contains("--app"), "{:?}", found.notes);
    let server = Server { refuses_lists: Some("not_chat_app"), ..Server::default() };
    let found = discovered(server, &given("app-secret", None)).await.unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(found.target.apps[0].app.mode, Some(AppMode::Workflow));
    let server = Server { refuses_lists: Some("weird"), ..Server::default() };
    let error = discovered(server, &given("app-secret", None)).await.err().unwrap();
    assert!(matches!(error, DiscoveryError::ModeNotTold { .. }), "{error}");
    let told = discovered(Server::default(), &given("app-secret", Some(AppMode::Agent))).await;
    assert_eq!(told.unwrap_or_else(|e| panic!("{e}")).exchanges.len(), 2, "a mode that was given is not probed");
}

#[tokio::test]
async fn discovery_fails_with_what_was_asked_and_what_came() {
    let chat = || Server { mode: Some("chat"), ..Server::default() };
    let wrong = discovered(chat(), &given("app-wrong", None)).await.err().unwrap();
    assert!(matches!(wrong, DiscoveryError::WrongKey { .. }), "{wrong}");
    let other = discovered(chat(), &given("app-secret", Some(AppMode::Workflow))).await.err().unwrap();
    assert!(matches!(other, DiscoveryError::ModeContradiction { .. }), "{other}");
    let base = serve(&Arc::new(chat())).await.replace("/v1", "/else");
    let page = discover(&base, &given("app-secret", None), options()).await.err().unwrap();
    assert!(matches!(page, DiscoveryError::NotDify { .. }), "{page}");
    assert_eq!(discovered(chat(), &[]).await.err(), Some(DiscoveryError::NoKey));
}
