//! Agents, chatflows and workflows of the emulator over HTTP, and the captured traffic of these apps sent again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use difyprobe::emulator::{AppKind, Config, Pace, Profile, Running, ServeError, start};
use difyprobe::schema::check_event;
use futures_util::StreamExt;
use serde_json::{Value, json};

use crate::emulator_client::{Answer, Api, Verdicts};
use crate::emulator_replay::{Capture, Replay, captures, only_left_out_differ};

/// The apps under the names they were captured with.
const KINDS: &[(&str, AppKind)] = &[
    ("agent", AppKind::AgentChat),
    ("chat", AppKind::Chat),
    ("chatflow", AppKind::AdvancedChat),
    ("workflow", AppKind::Workflow),
    ("workflow-llm", AppKind::WorkflowLlm),
];

/// Captures whose answers differ, and why.
const LEFT_OUT: &[(&str, &str)] = &[
    ("workflow/61-run-detail-stopped-wrong-user", "the run is not among the captures"),
    ("workflow/68-client-disconnect-STREAM", "the captured client hung up after the first text_chunk"),
];

/// Captured streams that a request ended which was sent while they ran: after how many pieces of text, with whose key
/// and where.
const STOPPED: &[(&str, usize, &str, &str)] = &[
    ("agent/14-stop-target-STREAM", 2, "agent", "chat-messages"),
    ("workflow/57-stop-target-STREAM", 2, "workflow-llm", "workflows/tasks"),
    ("workflow/63-stop-other-app-target-STREAM", 2, "workflow", "workflows/tasks"),
];

fn offered(capture: &Capture) -> bool {
    capture.app().is_some_and(|app| KINDS.iter().any(|(name, _)| *name == app))
}

/// Sends a capture again and stops it after some pieces of text.
async fn play_stopped(
    replay: &mut Replay,
    capture: &Capture,
    pieces: usize,
    key: &str,
    path: &str,
) -> Result<(), String> {
    let answer = replay.request(capture).send().await.unwrap();
    let (status, media_type) = (answer.status(), answer.headers()["content-type"].to_str().unwrap().to_owned());
    let mut bytes = answer.bytes_stream();
    let mut text = String::new();
    let mut asked = false;
    while let Some(chunk) = bytes.next().await {
        text.push_str(std::str::from_utf8(&chunk.unwrap()).unwrap());
        let said =
            text.matches("\"event\":\"text_chunk\"").count() + text.matches("\"event\":\"agent_message\"").count();
        if said >= pieces && !std::mem::replace(&mut asked, true) {
            let event: Value =
                serde_json::from_str(text.lines().next().unwrap().strip_prefix("data: ").unwrap()).unwrap();
            let url = replay.url(&format!("/v1/{path}/{}/stop", event["task_id"].as_str().unwrap()));
            let request = replay.client.post(url).bearer_auth(&replay.keys[key]).json(&json!({"user": "stopper"}));
            assert_eq!(request.send().await.unwrap().status(), 200);
        }
    }
    replay.compare(capture, u64::from(status.as_u16()), &media_type, &text)
}

/// Replays folders; the captures that differ must be exactly those left out.
async fn replay(profile: Profile, folders: &[&str], wanted: fn(&Capture) -> bool) {
    let mut replay = Replay::new(profile, KINDS).await;
    let mut played = 0;
    let mut differing = BTreeMap::new();
    for capture in captures(folders).iter().filter(|capture| offered(capture) && wanted(capture)) {
        played += 1;
        let stop = STOPPED.iter().find(|(name, ..)| *name == capture.name);
        let compared = match stop {
            Some((_, pieces, key, path)) => play_stopped(&mut replay, capture, *pieces, key, path).await,
            None => replay.play(capture).await,
        };
        if let Err(difference) = compared {
            differing.insert(capture.name.clone(), difference);
        }
    }
    only_left_out_differ(LEFT_OUT, folders, &differing, played);
    replay.server.stop().await;
}

#[tokio::test]
async fn answers_of_other_modes_have_the_shape_of_captured_1_12_answers() {
    replay(Profile::Dify112, &["agent", "chatflow", "workflow"], |_| true).await;
    replay(Profile::Dify112, &["common"], |capture| capture.app() != Some("chat")).await;
}

#[tokio::test]
async fn answers_of_other_modes_have_the_shape_of_captured_0_15_answers() {
    replay(Profile::Dify015, &["v0153-chatflow", "v0153-workflow"], |_| true).await;
}

// --------------------------------------------------------------------------------------------------- behaviour

async fn serve(profile: Profile) -> Running {
    let apps = vec![AppKind::AgentChat, AppKind::Agent, AppKind::AdvancedChat, AppKind::Workflow, AppKind::WorkflowLlm];
    let pace = Pace { first_chunk: Duration::from_millis(1), gap: Duration::from_millis(1), chunk_chars: 16 };
    start(Config { profile, apps, pace, ..Config::default() }).await.unwrap()
}

fn turn(user: &str, conversation: &str, query: &str, mode: &str) -> Value {
    json!({"inputs": {"name": "Ada"}, "query": query, "user": user, "conversation_id": conversation,
           "response_mode": mode})
}

fn run(name: &str, mode: &str) -> Value {
    json!({"inputs": {"name": name, "count": 2}, "user": "u", "response_mode": mode})
}

fn names(answer: &Answer) -> Vec<String> {
    answer.events().iter().map(|event| event["event"].as_str().unwrap().to_owned()).collect()
}

fn event(answer: &Answer, name: &str) -> Value {
    answer.events().into_iter().find(|event| event["event"] == name).unwrap_or_default()
}

fn events_of(text: &str) -> Vec<Value> {
    text.lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| serde_json::from_str(data).unwrap())
        .collect()
}

/// Reads a stream whole; with the first text of this name the given request is made.
async fn stopping(api: &Api<'_>, path: &str, body: &Value, at: &str, stop: impl AsyncFn(&str)) -> Vec<Value> {
    let mut asked = false;
    let text = api
        .stream(path, body, async |text| {
            if text.contains(&format!("\"{at}\"")) && !std::mem::replace(&mut asked, true) {
                stop(events_of(text)[0]["task_id"].as_str().unwrap()).await;
            }
            false
        })
        .await;
    events_of(&text)
}

/// Waits until the detail of a run no longer says running, at most a second.
async fn settled(api: &Api<'_>, run: &str) -> String {
    let mut status = String::new();
    for _ in 0..100 {
        status = api.get(&format!("/workflows/run/{run}")).await.member("status");
        if status != "running" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    status
}

#[tokio::test]
async fn every_event_of_every_mode_fits_its_schema() {
    for profile in Profile::ALL {
        let server = serve(profile).await;
        let verdicts = Verdicts::default();
        let mut seen = BTreeSet::new();
        let mut told = Vec::new();
        let words =
            ["hello", "tool:current_time x", "iterate:2 loop:2 retry pause", "fail", "failmid x", "moderate:a a"];
        for app in ["agent-chat", "agent", "advanced-chat", "workflow", "workflow-llm"] {
            if !server.keys().iter().any(|(name, _)| name == app) {
                continue;
            }
            let api = Api::new(&server, app, &verdicts);
            for word in words {
                let mut body = turn("u", "", word, "streaming");
                body["inputs"] = json!({"name": if app == "workflow" { word } else { "Ada" }, "q": word});
                let path = if app.starts_with("workflow") { "/workflows/run" } else { "/chat-messages" };
                told.extend(api.post(path, &body).await.events());
            }
        }
        for event in told {
            let name = event["event"].as_str().unwrap().to_owned();
            assert_eq!(check_event(&name, &event).unwrap(), vec![], "{profile:?} {event}");
            seen.insert(name);
        }
        let paused = seen.contains("workflow_paused") && seen.contains("human_input_required");
        assert_eq!(paused, profile == Profile::Documented);
        for name in ["agent_thought", "node_retry", "iteration_next", "loop_completed", "text_chunk", "error"] {
            assert!(seen.contains(name), "{profile:?} {name}");
        }
    }
}

#[tokio::test]
async fn what_differs_between_servers_follows_the_profile() {
    for (profile, message_end_last, first_turn, indexes) in [
        (Profile::Documented, false, 1, vec![1, 2, 3]),
        (Profile::Dify015, true, 0, vec![1, 2, 3]),
        (Profile::Dify112, true, 1, vec![1, 1, 1]),
    ] {
        let server = serve(profile).await;
        let verdicts = Verdicts::default();
        let api = Api::new(&server, "advanced-chat", &verdicts);
        let told = api.post("/chat-messages", &turn("u", "", "hello", "streaming")).await;
        assert_eq!(names(&told).last().unwrap() == "message_end", message_end_last, "{profile:?}");
        let inputs = event(&told, "workflow_started")["data"]["inputs"].clone();
        assert_eq!(inputs["sys.dialogue_count"], first_turn);
        let started = told.events().into_iter().filter(|event| event["event"] == "node_started");
        assert_eq!(started.map(|event| event["data"]["index"].as_u64().unwrap()).collect::<Vec<_>>(), indexes);
        assert_eq!(told.text(), format!("name=Ada extra= query=hello memo=none turn={first_turn}"));
        let newest = server.keys().iter().any(|(name, _)| name == "agent");
        assert_eq!(newest, profile == Profile::Documented);
    }
    let agent_only = Config { profile: Profile::Dify112, apps: vec![AppKind::Agent], ..Config::default() };
    assert!(matches!(start(agent_only).await, Err(ServeError::NoApps)));
}

#[tokio::test]
async fn an_agent_stores_its_thoughts_and_a_tool_call_adds_a_line_break() {
    let server = serve(Profile::Documented).await;
    let verdicts = Verdicts::default();
    let api = Api::new(&server, "agent-chat", &verdicts);
    let told = api.post("/chat-messages", &turn("u", "", "tool:current_time now", "streaming")).await;
    let row = api.messages("u", &told.conversation(), "").await.rows()[0].clone();
    let answer = row["answer"].as_str().unwrap();
    assert!(answer.starts_with("calling tool\nECHO:system: You talk to Ada.\n"), "{answer}");
    assert!(answer.ends_with("assistant: calling tool | tool: 2026"), "{answer}");
    let thoughts = row["agent_thoughts"].as_array().unwrap();
    assert_eq!((thoughts.len(), thoughts[0]["tool"].clone()), (2, json!("current_time")));
    assert_eq!(thoughts[0]["observation"], "{\"current_time\": \"2026\"}");
    let other = Api::new(&server, "agent", &verdicts);
    assert_eq!(other.messages("u", &told.conversation(), "").await.status, 404);
}

#[tokio::test]
async fn a_stopped_chatflow_keeps_its_part_and_a_strangers_stop_is_what_the_profile_says() {
    for profile in Profile::ALL {
        let server = serve(profile).await;
        let verdicts = Verdicts::default();
        let api = Api::new(&server, "advanced-chat", &verdicts);
        for (user, own) in [("u", true), ("stranger", false)] {
            let body = turn("u", "", "gap:0.05 chunks:6 a text to be stopped", "streaming");
            let told = stopping(&api, "/chat-messages", &body, "message", async |task| {
                let answer = api.post(&format!("/chat-messages/{task}/stop"), &json!({"user": user})).await;
                assert_eq!(answer.status, 200);
            })
            .await;
            let finished = told.iter().find(|event| event["event"] == "workflow_finished").unwrap();
            let said: String = told.iter().filter_map(|event| event["answer"].as_str()).collect();
            let id = told[0]["conversation_id"].as_str().unwrap();
            let row = api.messages("u", id, "").await.rows()[0].clone();
            let aborted = matches!(profile, Profile::Dify112 | Profile::Dify113) && !own;
            let status = if own {
                "stopped"
            } else if aborted {
                "failed"
            } else {
                "succeeded"
            };
            assert_eq!(finished["data"]["status"], status, "{profile:?} {user}");
            assert_eq!(row["answer"], if aborted { "" } else { said.trim() }, "{profile:?} {user}");
            assert_eq!(said.contains("stopped memo="), !own);
        }
    }
}

#[tokio::test]
async fn a_stopped_workflow_is_recorded_and_protected_as_the_profile_says() {
    for (profile, by_stranger, recorded) in [
        (Profile::Documented, "succeeded", "stopped"),
        (Profile::Dify015, "succeeded", "stopped"),
        (Profile::Dify112, "stopped", "running"),
    ] {
        let server = serve(profile).await;
        let verdicts = Verdicts::default();
        let (api, other) = (Api::new(&server, "workflow", &verdicts), Api::new(&server, "workflow-llm", &verdicts));
        for (stopper, user, expected) in [(&api, "u", "stopped"), (&other, "stranger", by_stranger)] {
            let body = run("sleep:0.3 x", "streaming");
            let told = stopping(&api, "/workflows/run", &body, "text_chunk", async |task| {
                stopper.post(&format!("/workflows/tasks/{task}/stop"), &json!({"user": user})).await;
            })
            .await;
            let data = &told.last().unwrap()["data"];
            assert_eq!(data["status"], expected, "{profile:?}");
            let detail = api.get(&format!("/workflows/run/{}", data["id"].as_str().unwrap())).await.json;
            let kept = if expected == "stopped" { recorded } else { expected };
            assert_eq!(detail["status"], kept, "{profile:?}");
            assert_eq!(detail["finished_at"].is_null(), kept == "running");
        }
    }
}

#[tokio::test]
async fn a_run_outlives_its_client_but_in_0_15() {
    for (profile, expected) in
        [(Profile::Documented, "succeeded"), (Profile::Dify112, "succeeded"), (Profile::Dify015, "running")]
    {
        let server = serve(profile).await;
        let verdicts = Verdicts::default();
        let workflow = Api::new(&server, "workflow", &verdicts);
        let text = workflow.stream("/workflows/run", &run("sleep:0.1 x", "streaming"), async |_| true).await;
        let id = events_of(&text)[0]["workflow_run_id"].as_str().unwrap().to_owned();
        assert_eq!(settled(&workflow, &id).await, expected, "{profile:?}");

        let chatflow = Api::new(&server, "advanced-chat", &verdicts);
        let body = turn("gone", "", "gap:0.02 chunks:4 x", "streaming");
        let text = chatflow.stream("/chat-messages", &body, async |text| text.contains("\"answer\"")).await;
        let first = events_of(&text)[0].clone();
        if profile != Profile::Dify015 {
            assert_eq!(settled(&chatflow, first["workflow_run_id"].as_str().unwrap()).await, expected);
        }
        let rows = chatflow.messages("gone", first["conversation_id"].as_str().unwrap(), "").await.rows();
        assert_eq!((rows[0]["answer"].clone(), rows[0]["status"].clone()), (json!(""), json!("normal")));
    }
}

#[tokio::test]
async fn runs_and_their_events_belong_to_one_app_and_one_user() {
    let server = serve(Profile::Documented).await;
    let verdicts = Verdicts::default();
    let (chatflow, workflow) =
        (Api::new(&server, "advanced-chat", &verdicts), Api::new(&server, "workflow", &verdicts));
    let told = chatflow.post("/chat-messages", &turn("u", "", "hello", "streaming")).await;
    let id = told.member("workflow_run_id");
    assert_eq!(chatflow.get(&format!("/workflows/run/{id}")).await.member("status"), "succeeded");
    assert_eq!(workflow.get(&format!("/workflows/run/{id}")).await.status, 404);
    assert_eq!(workflow.get(&format!("/workflow/{id}/events?user=u")).await.status, 404);
    assert_eq!(chatflow.get(&format!("/workflow/{id}/events?user=v")).await.status, 404);
    let again = chatflow.get(&format!("/workflow/{id}/events?user=u")).await;
    assert_eq!((names(&again), again.member("task_id")), (vec!["workflow_finished".to_owned()], id));
    let variables = format!("/conversations/{}/variables", told.conversation());
    assert_eq!(chatflow.get(&format!("{variables}?user=u")).await.column("value"), ["hello", "7"]);
    assert_eq!(chatflow.get(&format!("{variables}?user=v")).await.status, 404);
    assert_eq!(workflow.get(&format!("{variables}?user=u")).await.code(), "not_chat_app");
}

#[tokio::test]
async fn a_run_of_another_app_leaks_in_0_15_only_and_unknown_runs_are_nulls_before_the_documentation() {
    for (profile, leaks, unknown) in
        [(Profile::Documented, false, 404), (Profile::Dify015, true, 200), (Profile::Dify112, false, 200)]
    {
        let server = serve(profile).await;
        let verdicts = Verdicts::default();
        let (chatflow, workflow) =
            (Api::new(&server, "advanced-chat", &verdicts), Api::new(&server, "workflow", &verdicts));
        let told = chatflow.post("/chat-messages", &turn("u", "", "hello", "streaming")).await;
        let detail = workflow.get(&format!("/workflows/run/{}", told.member("workflow_run_id"))).await;
        assert_eq!(detail.json["inputs"].is_string(), leaks, "{profile:?}");
        let nobody = workflow.get("/workflows/run/00000000-0000-4000-8000-000000000000").await;
        assert_eq!((nobody.status, nobody.json["id"].clone()), (unknown, Value::Null));
    }
}

#[tokio::test]
async fn who_listens_to_a_paused_run_before_the_form_is_submitted_hears_the_rest() {
    let server = serve(Profile::Documented).await;
    let verdicts = Verdicts::default();
    let api = Api::new(&server, "advanced-chat", &verdicts);
    let told = api.post("/chat-messages", &turn("u", "", "pause please", "streaming")).await;
    assert_eq!(names(&told).last().unwrap(), "workflow_paused");
    let (id, form) = (told.member("workflow_run_id"), event(&told, "human_input_required")["data"].clone());
    assert_eq!(api.get(&format!("/workflows/run/{id}")).await.member("status"), "paused");
    let path = format!("/form/human_input/{}", form["form_token"].as_str().unwrap());
    let listening = api.request("GET", &format!("/workflow/{id}/events?user=u&include_state_snapshot=true"));
    let listening = listening.bearer_auth(&api.key).send().await.unwrap();
    let missing = api.post(&path, &json!({"inputs": {}, "action": "approve", "user": "u"})).await;
    assert!(missing.is(400, "invalid_form_data"));
    let given = json!({"inputs": {"comment": "fine"}, "action": "reject", "user": "u"});
    let (first, second) = tokio::join!(api.post(&path, &given), api.post(&path, &given));
    let mut statuses = [first.status, second.status];
    statuses.sort();
    assert_eq!(statuses, [200, 412]);
    assert_eq!(api.get(&path).await.code(), "human_input_form_submitted");
    let rest = events_of(&listening.text().await.unwrap());
    let heard: Vec<&str> = rest.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(heard[..4], ["workflow_started", "node_started", "node_finished", "node_started"]);
    assert_eq!((heard[4], rest[4]["data"]["action_id"].clone()), ("human_input_form_filled", json!("reject")));
    assert_eq!(heard.last(), Some(&"workflow_finished"));
    let answers = api.messages("u", &told.conversation(), "").await.column("answer");
    assert_eq!(answers, ["name=Ada extra= query=pause please memo=none turn=1"]);
}

#[tokio::test]
async fn later_inputs_of_a_chatflow_are_ignored_or_applied_as_the_profile_says() {
    for (profile, applied) in [(Profile::Documented, false), (Profile::Dify015, false), (Profile::Dify112, true)] {
        let server = serve(profile).await;
        let verdicts = Verdicts::default();
        let api = Api::new(&server, "advanced-chat", &verdicts);
        let id = api.post("/chat-messages", &turn("u", "", "one", "blocking")).await.conversation();
        let mut body = turn("u", &id, "two", "blocking");
        body["inputs"] = json!({"name": "Bob"});
        let answer = api.post("/chat-messages", &body).await.text();
        assert!(answer.starts_with(if applied { "name=Bob" } else { "name=Ada" }), "{profile:?} {answer}");
        assert!(answer.contains("memo=one"), "{answer}");
    }
}

#[tokio::test]
async fn pages_of_the_log_partition_the_runs() {
    let server = serve(Profile::Documented).await;
    let verdicts = Verdicts::default();
    let api = Api::new(&server, "workflow", &verdicts);
    for name in ["a", "b", "fail"] {
        api.post("/workflows/run", &run(name, "blocking")).await;
    }
    let page = async |rest: &str| api.get(&format!("/workflows/logs?{rest}")).await;
    let (first, second) = (page("limit=2").await, page("limit=2&page=2").await);
    assert_eq!((first.json["has_more"].clone(), second.json["has_more"].clone()), (json!(true), json!(false)));
    let ids: BTreeSet<String> = first.column("id").into_iter().chain(second.column("id")).collect();
    assert_eq!((ids.len(), first.json["total"].clone()), (3, json!(3)));
    assert_eq!(page("status=failed").await.rows()[0]["workflow_run"]["status"], "failed");
    assert!(page("status=running").await.is(400, "invalid_param"));
    assert_eq!(page("created_at__before=2020-01-01T00:00:00Z").await.json["total"], 0);
}
