//! More naive observations for the mutants' test: odd requests, stops, names, turns side by side, the server itself.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::emulator_client::{Answer, Api, chat_body};

const SOME_ID: &str = "6c1c7f70-5f0e-4c37-8d55-0f6a0e6e1d5b";
/// Longer than any stop takes to arrive.
const SLOW: &str = "gap:0.1 chunks:25 slowly";

/// Everything in this file, all parts at once.
pub async fn probe(chat: &Api<'_>, completion: &Api<'_>) {
    tokio::join!(
        users(chat),
        bodies(chat),
        inputs(chat),
        other_modes(chat, completion),
        stopped_by_owner(chat),
        stopped_by_stranger(chat),
        names(chat),
        failed_turn(chat),
        one_conversation(chat),
        repeats(completion),
        new_user(chat),
        crowd(chat),
        server(chat),
    );
}

async fn users(chat: &Api<'_>) {
    let mine = chat.turn("named", "", "hello", "blocking").await.conversation();
    let all = chat.get("/conversations?limit=100").await.column("id");
    chat.verdicts.note("req.user.optional-default", !all.contains(&mine));
    for (user, other) in [("Case", "case"), ("case", "Case")] {
        let own = chat.turn(user, "", "hello", "blocking").await.conversation();
        let theirs = chat.conversations(other, "").await.column("id");
        chat.verdicts.note("req.user.opaque", !theirs.contains(&own));
    }
    for limit in ["0", "101", "x"] {
        let answer = chat.conversations("named", &format!("&limit={limit}")).await;
        chat.verdicts.note("req.list-limit-range", answer.is(400, "invalid_param"));
    }
}

async fn bodies(chat: &Api<'_>) {
    let body = chat_body("bodies", "", "hello", "blocking");
    let plain = chat.request("POST", "/chat-messages").bearer_auth(&chat.key).header("Content-Type", "text/plain");
    chat.verdicts.note("req.json.content-type", chat.send(plain.body(body.to_string())).await.status == 415);
    // an answer with 500 is legal in the older profiles, so it goes past the notes that hold for any answer
    let list = chat.request("POST", "/chat-messages").bearer_auth(&chat.key).json(&json!([])).send().await.unwrap();
    chat.verdicts.note("req.json.non-object", list.status().is_client_error());
    let mut unknown = body;
    unknown["foo"] = json!(1);
    chat.verdicts.note("req.unknown-fields-ignored", chat.post("/chat-messages", &unknown).await.status == 200);
}

async fn inputs(chat: &Api<'_>) {
    let turn = async |inputs: Value| {
        let mut body = chat_body("inputs", "", "hello", "blocking");
        body["inputs"] = inputs;
        chat.post("/chat-messages", &body).await
    };
    let refused = |answer: Answer| answer.is(400, "invalid_param");
    chat.verdicts.note("req.input.max-length", refused(turn(json!({"name": "x".repeat(49)})).await));
    chat.verdicts.note("req.input.select-options", refused(turn(json!({"name": "A", "lang": "xx"})).await));
    chat.verdicts.note("req.input.types", refused(turn(json!({"name": 5})).await));
    turn(json!({"name": "A", "undeclared": 1})).await;
    let rows = chat.conversations("inputs", "").await.rows();
    let stored = rows.first().map(|row| row["inputs"].clone()).unwrap_or_default();
    chat.verdicts.note("req.input.undeclared-dropped", stored.get("undeclared").is_none());
    chat.verdicts.note("req.input.default-applied", stored["lang"] == "en");
}

async fn other_modes(chat: &Api<'_>, completion: &Api<'_>) {
    let user = json!({"user": "modes"});
    let history = completion.messages("modes", SOME_ID, "").await;
    chat.verdicts.note("req.wrong-mode.chat", history.is(400, "not_chat_app"));
    let stop = chat.post("/completion-messages/some-task/stop", &user).await;
    chat.verdicts.note("req.wrong-mode.completion", stop.is(400, "app_unavailable"));
    let run = json!({"inputs": {}, "user": "modes"});
    let answers = [
        chat.post("/workflows/run", &run).await,
        chat.post("/workflows/tasks/some-task/stop", &user).await,
        completion.get(&format!("/workflows/run/{SOME_ID}")).await,
    ];
    chat.verdicts.note("req.wrong-mode.workflow", answers.iter().all(|answer| answer.is(400, "not_workflow_app")));
}

fn pieces(stream: &str) -> usize {
    stream.matches("\"event\":\"message\"").count()
}

fn first_event(stream: &str) -> Option<Value> {
    stream.split_once("\n\n").and_then(|(block, _)| serde_json::from_str(block.strip_prefix("data: ")?).ok())
}

/// A slow stream that `stopper` stops after its first event: the whole stream, and the answer to the stop.
async fn stop_early(api: &Api<'_>, user: &str, stopper: &str) -> (String, Option<Answer>) {
    let mut stop = None;
    let body = chat_body(user, "", SLOW, "streaming");
    let stream = api
        .stream("/chat-messages", &body, async |text| {
            if let (Some(event), None) = (first_event(text), &stop) {
                let path = format!("/chat-messages/{}/stop", event["task_id"].as_str().unwrap());
                stop = Some(api.post(&path, &json!({"user": stopper})).await);
            }
            false
        })
        .await;
    (stream, stop)
}

async fn stopped_by_owner(chat: &Api<'_>) {
    let v = chat.verdicts;
    chat.turn("owner", "", "hello", "blocking").await;
    let beside = async {
        let body = chat_body("owner", "", SLOW, "streaming");
        chat.stream("/chat-messages", &body, async |_| false).await
    };
    let later = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        stop_early(chat, "owner", "owner").await
    };
    let (beside, (stream, stop)) = tokio::join!(beside, later);
    v.note("stop.scope", pieces(&beside) >= 25);
    v.note("stop.success", stop.is_some_and(|stop| stop.status == 200 && stop.json["result"] == "success"));
    v.note("stop.ends-stream", pieces(&stream) < 25);
    let conversation = first_event(&stream).map(|e| e["conversation_id"].as_str().unwrap_or_default().to_owned());
    let conversation = conversation.unwrap_or_default();
    let stored = chat.messages("owner", &conversation, "").await.column("answer");
    v.note("stop.partial-saved", stored.iter().all(|answer| answer.starts_with("EC")));
    v.note("stop.then-continue", chat.turn("owner", &conversation, "and on", "blocking").await.status == 200);
    let unknown = chat.post(&format!("/chat-messages/{SOME_ID}/stop"), &json!({"user": "owner"})).await;
    v.note("stop.unknown-task", unknown.status == 200);
}

async fn stopped_by_stranger(chat: &Api<'_>) {
    chat.turn("host", "", "hello", "blocking").await;
    let (stream, _) = stop_early(chat, "host", "stranger").await;
    chat.verdicts.note("stop.wrong-user-noop", pieces(&stream) >= 25);
}

async fn names(chat: &Api<'_>) {
    let name = async || chat.conversations("names", "").await.column("name").concat();
    let conversation = chat.turn("names", "", "call it something", "blocking").await.conversation();
    chat.verdicts.note("chat.name.generated", !name().await.is_empty());
    let rename = json!({"user": "names", "name": "by hand"});
    chat.post(&format!("/conversations/{conversation}/name"), &rename).await;
    chat.turn("names", &conversation, "something else", "blocking").await;
    chat.verdicts.note("chat.auto-name-first-turn-only", name().await == "by hand");
}

async fn failed_turn(chat: &Api<'_>) {
    let conversation = chat.turn("unlucky", "", "fail", "streaming").await.conversation();
    let stored = chat.messages("unlucky", &conversation, "").await.column("status");
    chat.verdicts.note("chat.failed-turn-is-recorded", stored == ["error"]);
}

async fn one_conversation(chat: &Api<'_>) {
    let conversation = chat.turn("twin", "", "begin", "blocking").await.conversation();
    let turn = async |nonce: &'static str| {
        let answer = chat.turn("twin", &conversation, &format!("gap:0.1 chunks:8 {nonce}"), "streaming").await;
        answer.text().contains(nonce)
    };
    let (one, two) = tokio::join!(turn("nonce-one"), turn("nonce-two"));
    chat.verdicts.note("concurrency.same-conversation", one && two);
    let stored = chat.messages("twin", &conversation, "").await.column("answer");
    chat.verdicts.note("concurrency.read-your-write", stored.iter().all(|answer| !answer.is_empty()));
}

async fn repeats(completion: &Api<'_>) {
    let body = json!({"inputs": {"query": "again"}, "user": "repeats", "response_mode": "blocking"});
    let first = completion.post("/completion-messages", &body).await.member("message_id");
    let second = completion.post("/completion-messages", &body).await.member("message_id");
    completion.verdicts.note("concurrency.no-idempotency", first != second);
}

async fn new_user(chat: &Api<'_>) {
    let turn = async |number: usize| {
        chat.turn("newcomer", "", &format!("gap:0.1 chunks:8 {number}"), "streaming").await.conversation()
    };
    let opened: BTreeSet<String> = join_all((0..3).map(turn)).await.into_iter().collect();
    let listed: BTreeSet<String> = chat.conversations("newcomer", "").await.column("id").into_iter().collect();
    chat.verdicts.note("concurrency.end-user-race", opened == listed);
}

async fn crowd(chat: &Api<'_>) {
    chat.turn("many", "", "hello", "blocking").await;
    let turn = async |number: usize| {
        let answer = chat.turn("many", "", &format!("gap:0.1 chunks:8 {number}"), "streaming").await;
        answer.status == 200 || !answer.code().is_empty()
    };
    let answered = join_all((0..8).map(turn)).await;
    chat.verdicts.note("rate.overload-json", answered.into_iter().all(|answered| answered));
}

async fn server(chat: &Api<'_>) {
    let index = chat.request("GET", "/").send().await.unwrap();
    let header = index.headers().get("x-version").map(|v| v.to_str().unwrap().to_owned());
    let told: Value = index.json().await.unwrap_or_default();
    let version = told["server_version"].as_str().map(str::to_owned);
    chat.verdicts.note("http.version-header", version.is_none() || version == header);
    let preflight = chat.request("OPTIONS", "/chat-messages").header("Origin", "https://app.example");
    let preflight = preflight.header("Access-Control-Request-Method", "POST").send().await.unwrap();
    chat.verdicts.note("http.cors", preflight.status() == 200);
}
