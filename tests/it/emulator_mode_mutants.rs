//! Every mutant of agents, chatflows and workflows against the same traffic: the rule it is made for must be seen to
//! break.
//!
//! The observations here are naive and the test's own; they prove that a fault is visible.

use std::collections::BTreeMap;
use std::time::Duration;

use difyprobe::emulator::{AppKind, Config, Mutant, Pace, Profile, mode_mutants, start};
use futures_util::StreamExt;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::emulator_client::{Api, Verdicts};

/// A stream: its data events, and whether it closed soon after its last one.
struct Stream {
    events: Vec<Value>,
    closed: bool,
}

impl Stream {
    fn names(&self) -> Vec<&str> {
        self.events.iter().map(|event| event["event"].as_str().unwrap_or_default()).collect()
    }

    fn of(&self, name: &str) -> Vec<&Value> {
        self.events.iter().filter(|event| event["event"] == name).collect()
    }

    fn count(&self, name: &str) -> usize {
        self.of(name).len()
    }

    fn place(&self, name: &str) -> Option<usize> {
        self.names().iter().position(|found| *found == name)
    }

    fn first(&self, member: &str) -> String {
        self.events.iter().find_map(|event| event[member].as_str()).unwrap_or_default().to_owned()
    }

    fn text(&self, name: &str) -> String {
        self.of(name).iter().filter_map(|event| event["answer"].as_str().or(event["data"]["text"].as_str())).collect()
    }

    fn data(&self, name: &str) -> Value {
        self.of(name).first().map(|event| event["data"].clone()).unwrap_or_default()
    }
}

/// Reads a stream; `until` may end it early.
async fn read(answer: reqwest::Response, until: &mut dyn FnMut(&str) -> bool) -> Stream {
    let mut bytes = answer.bytes_stream();
    let mut text = String::new();
    let closed = loop {
        // a workflow stream has to close soon after its last event
        let over = text.contains("\"event\":\"workflow_finished\",\"workflow_run_id\"");
        let patience = Duration::from_millis(if over { 700 } else { 20_000 });
        match tokio::time::timeout(patience, bytes.next()).await {
            Ok(Some(chunk)) => text.push_str(std::str::from_utf8(&chunk.unwrap()).unwrap()),
            Ok(None) => break true,
            Err(_) => break false,
        }
        if until(&text) {
            break false;
        }
    };
    let events = text.lines().filter_map(|line| line.strip_prefix("data: "));
    Stream { events: events.map(|data| serde_json::from_str(data).unwrap()).collect(), closed }
}

async fn open(api: &Api<'_>, path: &str, body: &Value) -> reqwest::Response {
    api.request("POST", path).bearer_auth(&api.key).json(body).send().await.unwrap()
}

async fn stream(api: &Api<'_>, path: &str, body: &Value) -> Stream {
    read(open(api, path, body).await, &mut |_| false).await
}

fn turn(user: &str, conversation: &str, query: &str, mode: &str) -> Value {
    json!({"inputs": {"name": "Ada"}, "query": query, "user": user, "conversation_id": conversation,
           "response_mode": mode})
}

fn run(user: &str, name: &str, mode: &str) -> Value {
    json!({"inputs": {"name": name, "count": 2}, "user": user, "response_mode": mode})
}

async fn chat(api: &Api<'_>, user: &str, conversation: &str, query: &str) -> Stream {
    stream(api, "/chat-messages", &turn(user, conversation, query, "streaming")).await
}

async fn flow(api: &Api<'_>, user: &str, name: &str) -> Stream {
    stream(api, "/workflows/run", &run(user, name, "streaming")).await
}

/// Runs all traffic against a server and returns the verdicts.
async fn observe(mutant: Option<&'static Mutant>) -> BTreeMap<&'static str, bool> {
    let apps = [AppKind::AgentChat, AppKind::Agent, AppKind::AdvancedChat, AppKind::Workflow, AppKind::WorkflowLlm];
    let config = Config {
        profile: Profile::Documented,
        apps: apps.to_vec(),
        mutant,
        pace: Pace { first_chunk: Duration::from_millis(1), gap: Duration::from_millis(1), chunk_chars: 16 },
        ..Config::default()
    };
    let server = start(config).await.unwrap();
    let verdicts = Verdicts::default();
    let api = |app: &'static str| Api::new(&server, app, &verdicts);
    let (chatflow, workflow, llm) = (api("advanced-chat"), api("workflow"), api("workflow-llm"));
    agents(&api("agent-chat"), &api("agent")).await;
    chatflow_turns(&chatflow).await;
    chatflow_failures(&chatflow).await;
    variables(&chatflow).await;
    workflow_streams(&workflow, &llm).await;
    workflow_answers(&workflow, &llm).await;
    workflow_records(&workflow, &chatflow).await;
    paused_runs(&workflow, &chatflow).await;
    drop((chatflow, workflow, llm));
    server.stop().await;
    verdicts.take()
}

async fn agents(agent: &Api<'_>, newest: &Api<'_>) {
    let v = agent.verdicts;
    for (api, code) in [(agent, "invalid_param"), (newest, "bad_request")] {
        let refused = api.post("/chat-messages", &turn("u", "", "hello", "blocking")).await;
        v.note("agent.blocking-rejected", refused.is(400, code));
    }
    for query in ["hello there", "tool:current_time now"] {
        let told = chat(agent, "u", "", query).await;
        let ends_once = told.names().last() == Some(&"message_end") && told.count("message_end") == 1;
        v.note("agent.stream.grammar", ends_once && told.count("message") == 0);
        let thoughts = told.of("agent_thought");
        let mut ids: Vec<&Value> = thoughts.iter().map(|thought| &thought["id"]).collect();
        ids.dedup();
        let positions = thoughts.iter().all(|thought| {
            let place = ids.iter().position(|id| **id == thought["id"]).unwrap() as u64;
            thought["position"] == json!(place + 1)
        });
        v.note("agent.thought.fields", positions && ids.len() == 1 + usize::from(query.contains("tool")));
        v.note("agent.message-file", told.count("message_file") == 0);
        let rows = agent.messages("u", &told.first("conversation_id"), "").await.rows();
        let stored = rows[0]["agent_thoughts"].as_array().unwrap().clone();
        v.note("agent.thought.persisted", stored.iter().map(|row| &row["id"]).collect::<Vec<_>>() == ids);
        let said = told.text("agent_message") + &told.text("message_file");
        let single = !query.contains("tool");
        v.note("agent.answer.concat", !single || rows[0]["answer"] == json!(said.trim()));
    }
    let told = chat(newest, "u", "", "hello there").await;
    let whole = told.count("message") == 1 && told.text("message") == told.text("agent_message");
    let bare = told.of("message_end")[0]["metadata"].get("retriever_resources").is_none();
    v.note("agent.stream.grammar.new-agent", whole && bare && told.names().last() == Some(&"message_end"));
}

async fn chatflow_turns(api: &Api<'_>) {
    let v = api.verdicts;
    let mut conversation = String::new();
    for (at, query) in ["one", "two", "chunks:4 three"].into_iter().enumerate() {
        let told = chat(api, "u", &conversation, query).await;
        conversation = told.first("conversation_id");
        let names = told.names();
        v.note("chatflow.stream.grammar", names.first() == Some(&"workflow_started"));
        v.note("chatflow.terminal.both", told.count("message_end") == 1 && told.count("workflow_finished") == 1);
        v.note("chatflow.terminal.order", names.last() == Some(&"workflow_finished"));
        let inputs = told.data("workflow_started")["inputs"].clone();
        v.note("chat.dialogue-count", inputs["sys.dialogue_count"] == json!(at + 1));
        v.note("chatflow.inputs-echo", inputs["sys.query"] == query && inputs["sys.user_id"] == "u");
        let run = told.data("workflow_finished")["id"].clone();
        let runs = told.events.iter().filter_map(|event| event.get("workflow_run_id"));
        v.note("chatflow.workflow-run-linked", runs.into_iter().all(|id| *id == run));
        let rows = api.messages("u", &conversation, "").await.rows();
        v.note("chatflow.answer.concat", rows[at]["answer"] == json!(told.text("message")));
        let memo = told.text("message").split_once("memo=").map(|(_, rest)| rest.to_owned()).unwrap_or_default();
        let before = ["none", "one", "two"][at];
        v.note("variables.persist-across-turns", memo.starts_with(before) || memo.is_empty());
    }
    for (id, status, code) in [("x", 400, "bad_request"), ("00000000-0000-4000-8000-000000000000", 404, "not_found")] {
        let mut body = turn("u", "", "hello", "blocking");
        body["workflow_id"] = json!(id);
        v.note("chat.workflow-id.format", api.post("/chat-messages", &body).await.is(status, code));
    }
}

async fn chatflow_failures(api: &Api<'_>) {
    let v = api.verdicts;
    let told = chat(api, "u", "", "fail").await;
    let failed = told.data("workflow_finished")["status"] == "failed";
    v.note("chatflow.failure.sequence", failed && told.names().last() == Some(&"error"));
    let refused = api.post("/chat-messages", &turn("u", "", "fail", "blocking")).await;
    v.note("chatflow.failure.blocking", refused.is(400, "invalid_param"));
    let large = api.post("/chat-messages", &turn("u", "", &"ab ".repeat(40_000), "blocking")).await;
    v.note("req.large-body", large.status == 200);
}

async fn variables(api: &Api<'_>) {
    let v = api.verdicts;
    let first = chat(api, "v", "", "one").await.first("conversation_id");
    let path = format!("/conversations/{first}/variables");
    let listed = api.get(&format!("{path}?user=v")).await;
    v.note("variables.list.shape", listed.rows().iter().all(|row| row["value_type"].is_string()));
    let value = |rows: Vec<Value>, name: &str| {
        rows.iter().find(|row| row["name"] == name).map(|row| row["value"].clone()).unwrap_or_default()
    };
    v.note("variables.persist-across-turns", value(listed.rows(), "memo") == "one");
    let counter = listed.rows().iter().find(|row| row["name"] == "counter").unwrap()["id"].clone();
    let put = async |value: Value| {
        let body = json!({"user": "v", "value": value});
        let request = api.request("PUT", &format!("{path}/{}", counter.as_str().unwrap()));
        api.send(request.bearer_auth(&api.key).json(&body)).await
    };
    v.note("variables.update.type-mismatch", put(json!("abc")).await.is(400, "bad_request"));
    let changed = put(json!(99)).await;
    let after = api.get(&format!("{path}?user=v")).await.rows();
    v.note("variables.update", changed.json["value"] == "99" && value(after, "counter") == "99");
    let second = chat(api, "v", "", "two").await.first("conversation_id");
    let fresh = api.get(&format!("/conversations/{second}/variables?user=v")).await.rows();
    v.note("variables.session-scoped", value(fresh, "counter") == "7");
    v.note("variables.errors", api.get(&format!("{path}?user=v&variable_name=memo")).await.rows().len() == 1);
    let unknown = "/conversations/00000000-0000-4000-8000-000000000000/variables?user=v";
    v.note("variables.errors", api.get(unknown).await.status == 404);
}

async fn workflow_streams(workflow: &Api<'_>, llm: &Api<'_>) {
    let v = workflow.verdicts;
    for name in ["Ada", "Bob iterate:2 loop:2"] {
        let told = flow(workflow, "w", name).await;
        v.note("workflow.stream.grammar", told.names().first() == Some(&"workflow_started"));
        v.note("workflow.terminal.last", told.closed && told.names().last() == Some(&"workflow_finished"));
        let finished = told.data("workflow_finished");
        v.note("workflow.ids", finished["id"] == json!(told.first("workflow_run_id")));
        v.note("workflow.status.enum", finished["status"] == "succeeded");
        v.note("usage.workflow-totals", finished["total_tokens"].is_u64());
        let mut open = Vec::new();
        let mut last = 0;
        for event in &told.events {
            let data = &event["data"];
            match event["event"].as_str().unwrap() {
                "node_started" => {
                    let index = data["index"].as_u64().unwrap();
                    v.note("workflow.node.index", index > last);
                    last = index;
                    open.push(data["id"].clone());
                }
                "node_finished" => v.note("workflow.node.pairing", open.contains(&data["id"])),
                _ => {}
            }
        }
        for kind in ["iteration", "loop"] {
            let begun = told.place(&format!("{kind}_started"));
            let done = told.place(&format!("{kind}_completed"));
            let rounds = told.count(&format!("{kind}_next"));
            v.note("workflow.iteration.grammar", done.is_none() || (begun.is_some() && begun < done && rounds == 2));
        }
    }
    let body = json!({"inputs": {"q": "some longer text"}, "user": "w", "response_mode": "streaming"});
    let told = stream(llm, "/workflows/run", &body).await;
    let said = told.text("text_chunk");
    v.note("workflow.text-chunk.concat", said == "ECHO:system: sys | user: some longer text");
}

async fn workflow_answers(workflow: &Api<'_>, llm: &Api<'_>) {
    let v = workflow.verdicts;
    for name in ["Cleo", "Dora"] {
        let blocking = workflow.post("/workflows/run", &run("w", name, "blocking")).await;
        let data = &blocking.json["data"];
        v.note("workflow.blocking.shape", data["id"] == blocking.json["workflow_run_id"]);
        v.note("workflow.status.enum", data["status"] == "succeeded");
        let echoed = data["outputs"]["greeting"] == json!(format!("Hello {name} x2!"));
        v.note("workflow.outputs.echo", echoed);
        let told = flow(workflow, "w", name).await.data("workflow_finished");
        v.note("workflow.parity", told["outputs"] == data["outputs"] && told["total_steps"] == data["total_steps"]);
        let id = data["workflow_id"].as_str().unwrap();
        let pinned = workflow.post(&format!("/workflows/{id}/run"), &run("w", name, "blocking")).await;
        v.note("workflow.by-id", pinned.status == 200 && pinned.json["data"]["workflow_id"] == json!(id));
    }
    let pinned = workflow.post("/workflows/x/run", &run("w", "Ada", "blocking")).await;
    v.note("workflow.by-id", pinned.is(400, "bad_request"));
    let failed = workflow.post("/workflows/run", &run("w", "fail", "blocking")).await;
    v.note("workflow.failure.blocking", failed.status == 200 && failed.json["data"]["status"] == "failed");
    let body = json!({"inputs": {"q": "x"}, "user": "w", "response_mode": "blocking"});
    let tokens = llm.post("/workflows/run", &body).await.json["data"]["total_tokens"].clone();
    v.note("usage.workflow-totals", tokens.as_u64() > Some(0));
}

async fn workflow_records(workflow: &Api<'_>, other: &Api<'_>) {
    let v = workflow.verdicts;
    let detail = async |id: &str| workflow.get(&format!("/workflows/run/{id}")).await;
    let told = flow(workflow, "log", "Ada").await;
    let id = told.first("workflow_run_id");
    let shown = detail(&id).await.json;
    v.note("workflow.run-detail", shown["status"] == "succeeded" && shown["id"] == json!(id));
    v.note("workflow.run-detail.unknown-404", detail("00000000-0000-4000-8000-000000000000").await.status == 404);
    v.note("workflow.run-isolation", other.get(&format!("/workflows/run/{id}")).await.status == 404);
    let again = workflow.request("GET", &format!("/workflow/{id}/events?user=log")).bearer_auth(&workflow.key);
    let again = read(again.send().await.unwrap(), &mut |_| false).await;
    v.note("workflow.events.resume", again.names() == ["workflow_finished"]);
    v.note("workflow.events.resume", workflow.get(&format!("/workflow/{id}/events?user=x")).await.status == 404);
    workflow.post("/workflows/run", &run("log", "fail", "blocking")).await;
    let logged = async |filter: &str| workflow.get(&format!("/workflows/logs?{filter}")).await.json["total"].clone();
    v.note("workflow.logs.consistent", logged("created_by_end_user_session_id=log").await == 2);
    v.note("workflow.logs.consistent", logged("created_by_end_user_session_id=log&status=failed").await == 1);

    let left = open(workflow, "/workflows/run", &run("w", "sleep:0.2 x", "streaming")).await;
    let left = read(left, &mut |text| text.contains("\n\n")).await.first("workflow_run_id");
    let mut status = Value::Null;
    for _ in 0..60 {
        status = detail(&left).await.json["status"].clone();
        if status != "running" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    v.note("workflow.disconnect-continues", status == "succeeded");

    let stopped = open(workflow, "/workflows/run", &run("w", "sleep:5 x", "streaming")).await;
    let mut task = None;
    let (sender, receiver) = tokio::sync::oneshot::channel::<String>();
    let mut sender = Some(sender);
    let mut watch = |text: &str| {
        let event: Option<Value> = text.lines().next().and_then(|line| serde_json::from_str(&line[6..]).ok());
        task = task.take().or(event.and_then(|event| event["task_id"].as_str().map(str::to_owned)));
        if let (Some(task), Some(sender)) = (&task, sender.take_if(|_| task.is_some())) {
            sender.send(task.clone()).unwrap();
        }
        false
    };
    let stop = async {
        let task = receiver.await.unwrap();
        workflow.post(&format!("/workflows/tasks/{task}/stop"), &json!({"user": "w"})).await
    };
    let (told, answer) = tokio::join!(read(stopped, &mut watch), stop);
    assert_eq!(answer.json, json!({"result": "success"}));
    let shown = detail(&told.first("workflow_run_id")).await.json;
    v.note("stop.status.stopped", shown["status"] == "stopped" && shown["finished_at"].is_i64());
}

async fn paused_runs(workflow: &Api<'_>, other: &Api<'_>) {
    let v = workflow.verdicts;
    let told = flow(workflow, "p", "pause Ada").await;
    let place = (told.place("human_input_required"), told.names().last().copied());
    v.note("chatflow.paused", place.0.is_some() && place.1 == Some("workflow_paused"));
    let asked = told.data("human_input_required");
    let members = ["form_id", "node_id", "form_content", "inputs", "actions", "expiration_time"];
    v.note("hitl.required-event", members.iter().all(|member| asked.get(member).is_some()));
    let Some(token) = asked["form_token"].as_str() else {
        return;
    };
    let path = format!("/form/human_input/{token}");
    let form = workflow.get(&path).await;
    v.note("hitl.form", form.status == 200 && form.json["user_actions"] == asked["actions"]);
    v.note("hitl.form", other.get(&path).await.status == 404);
    let submit = async |action: &str| {
        workflow.post(&path, &json!({"inputs": {"comment": "fine"}, "action": action, "user": "p"})).await
    };
    v.note("hitl.submit-once", submit("nonsense").await.status == 400);
    v.note("hitl.submit-once", submit("approve").await.status == 200);
    let run = told.first("workflow_run_id");
    let events = workflow.request("GET", &format!("/workflow/{run}/events?user=p")).bearer_auth(&workflow.key);
    let resumed = read(events.send().await.unwrap(), &mut |_| false).await;
    let filled = resumed.data("human_input_form_filled")["action_id"] == "approve";
    v.note("hitl.resume", filled && resumed.data("workflow_finished")["status"] == "succeeded");
    v.note("hitl.submit-once", submit("approve").await.is(412, "human_input_form_submitted"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_mode_mutant_breaks_the_rule_it_is_made_for() {
    let observed = join_all(mode_mutants().iter().map(|mutant| observe(Some(mutant))));
    let (healthy, observed) = tokio::join!(observe(None), observed);
    let own = |rule: &str| mode_mutants().iter().any(|mutant| mutant.id.split('/').next() == Some(rule));
    let broken_when_healthy: Vec<_> = healthy.iter().filter(|(rule, holds)| !**holds && own(rule)).collect();
    assert_eq!(broken_when_healthy, []);

    let mut failures = Vec::new();
    for (mutant, verdicts) in mode_mutants().iter().zip(observed) {
        let own = mutant.id.split('/').next().unwrap_or_default();
        if !healthy.contains_key(own) {
            failures.push(format!("{}: not looked at", mutant.id));
        } else if verdicts.get(own) != Some(&false) {
            failures.push(format!("{}: not seen", mutant.id));
        }
    }
    assert!(failures.is_empty(), "{} mutants: {failures:#?}", failures.len());
}
