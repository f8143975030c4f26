//! Every mutant against the same traffic: the rule it is made for must be seen to break.
//!
//! The observations here are naive and the test's own; they prove that a fault is visible and how narrow it is.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use difyprobe::emulator::{Config, Mutant, Pace, Profile, mutants, start};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::emulator_client::{Answer, Api, Verdicts, chat_body};

/// More than a second, so that two turns never share one.
const SPACE: Duration = Duration::from_millis(1100);
const TORTURE: &str = "héllo ÅNGSTRÖM e\u{301} 世界 😀👩‍👩‍👧 שלום \"q\" \\ back \u{2028} end\nline";

/// Runs all traffic against a server and returns the verdicts.
async fn observe(
    profile: Profile,
    tts_autoplay: bool,
    mutant: Option<&'static Mutant>,
) -> BTreeMap<&'static str, bool> {
    let config = Config {
        profile,
        tts_autoplay,
        mutant,
        pace: Pace { first_chunk: Duration::from_millis(1), gap: Duration::from_millis(1), chunk_chars: 16 },
        ping_every: Duration::from_millis(250),
        ..Config::default()
    };
    let server = start(config).await.unwrap();
    let verdicts = Verdicts::default();
    let chat = Api::new(&server, "chat", &verdicts);
    let completion = Api::new(&server, "completion", &verdicts);
    keys(&chat, &completion).await;
    documents(&chat, &completion).await;
    broken_requests(&chat, &completion).await;
    completions(&completion).await;
    first_turns(&chat).await;
    isolation(&chat).await;
    deletes(&chat).await;
    rejected_turns(&chat).await;
    failures(&chat).await;
    spaced_turns(&chat).await;
    conversation_lists(&chat).await;
    parallel_turns(&chat).await;
    slow_streams(&chat).await;
    ratings(&chat).await;
    files(&chat).await;
    speech(&chat, &completion).await;
    annotations(&chat).await;
    crate::emulator_probes::probe(&chat, &completion).await;
    drop((chat, completion));
    server.stop().await;
    verdicts.take()
}

async fn keys(chat: &Api<'_>, completion: &Api<'_>) {
    let v = chat.verdicts;
    for path in ["/info", "/parameters", "/meta", "/site", "/conversations?user=u", "/messages?user=u"] {
        let none = chat.send(chat.request("GET", path)).await;
        let bad = chat.send(chat.request("GET", path).bearer_auth("app-unknown0000000000000000")).await;
        v.note("auth.every-endpoint", none.status == 401 && bad.status == 401);
        v.note("auth.invalid-key.401", path != "/info" || bad.is(401, "unauthorized"));
    }
    let with =
        async |value: String| chat.send(chat.request("GET", "/info").header("Authorization", value)).await.status;
    for value in [chat.key.clone(), format!("Basic {}", chat.key), "Bearer".to_owned()] {
        v.note("auth.scheme.bearer-only", with(value).await == 401);
    }
    v.note("auth.scheme.case-insensitive", with(format!("bearer {}", chat.key)).await == 200);
    let broken = chat.request("POST", "/chat-messages").header("Content-Type", "application/json").body("{");
    v.note("auth.precedes-validation", chat.send(broken).await.status == 401);
    let body = chat_body("ghost", "", "hello", "blocking");
    chat.send(chat.request("POST", "/chat-messages").json(&body)).await;
    v.note("auth.no-side-effect", chat.conversations("ghost", "").await.rows().is_empty());
    for _ in 0..3 {
        v.note("auth.key-selects-app", chat.get("/info").await.json["name"] == "chat");
        v.note("auth.key-selects-app", completion.get("/info").await.json["name"] == "completion");
    }
    let query = chat.send(chat.request("GET", &format!("/info?api_key={}", chat.key))).await;
    let cookie = chat.request("GET", "/info").header("Cookie", format!("token={}", chat.key));
    v.note("auth.key-not-accepted-elsewhere", query.status == 401 && chat.send(cookie).await.status == 401);
}

async fn documents(chat: &Api<'_>, completion: &Api<'_>) {
    for api in [chat, completion] {
        let info = api.get("/info").await.json;
        let shaped = info["name"].is_string() && info["tags"].is_array() && info["mode"].is_string();
        api.verdicts.note("info.shape", shaped);
        let parameters = api.get("/parameters").await.json;
        api.verdicts.note("parameters.shape", parameters["user_input_form"].is_array());
    }
}

async fn broken_requests(chat: &Api<'_>, completion: &Api<'_>) {
    let v = chat.verdicts;
    let base = chat_body("broken", "", "hello", "blocking");
    let with = |member: &str, value: Value| {
        let mut body = base.clone();
        body[member] = value;
        body
    };
    let without = |member: &str| {
        let mut body = base.clone();
        body.as_object_mut().unwrap().remove(member);
        body
    };
    let invalid = |answer: &Answer| answer.is(400, "invalid_param");
    for body in [without("user"), with("user", Value::Null), with("user", json!(""))] {
        v.note("req.user.required", invalid(&chat.post("/chat-messages", &body).await));
    }
    for body in [without("query"), with("query", Value::Null), with("query", json!("")), with("query", json!(5))] {
        v.note("req.query.required", invalid(&chat.post("/chat-messages", &body).await));
        let mut streaming = body.clone();
        streaming["response_mode"] = json!("streaming");
        let answer = chat.post("/chat-messages", &streaming).await;
        v.note("req.rejected-before-stream", invalid(&answer));
        v.note("req.query.required", invalid(&answer));
    }
    for inputs in [Value::Null, json!([]), json!("x")] {
        let body = json!({"inputs": inputs, "query": "q", "user": "broken"});
        v.note("req.inputs.required", invalid(&completion.post("/completion-messages", &body).await));
    }
    v.note(
        "req.response-mode.enum",
        chat.post("/chat-messages", &with("response_mode", json!("async"))).await.status == 400,
    );
    let default = chat.post("/chat-messages", &without("response_mode")).await;
    v.note("req.response-mode.default", default.json["event"] == "message");
    let malformed = chat.request("POST", "/chat-messages").header("Content-Type", "application/json").body("{\"a\":");
    v.note("req.json.malformed", chat.send(malformed.bearer_auth(&chat.key)).await.is(400, "bad_request"));
    let missing = chat.post("/chat-messages", &with("inputs", json!({}))).await;
    v.note("req.input.required-missing", invalid(&missing));
    for id in ["not-a-uuid", "123"] {
        for mode in ["blocking", "streaming"] {
            let answer = chat.turn("broken", id, "q", mode).await;
            v.note("chat.conversation-id.malformed-400", invalid(&answer));
        }
    }
    for mode in ["blocking", "streaming"] {
        let answer = chat.turn("broken", "11111111-1111-4111-8111-111111111111", "q", mode).await;
        v.note("chat.conversation-id.unknown-404", answer.is(404, "not_found"));
    }
    let missing = chat.get("/messages?user=broken").await;
    let unknown = chat.messages("broken", "11111111-1111-4111-8111-111111111112", "").await;
    v.note("messages.conversation-id.required", missing.status == 400 && unknown.status == 404);
    let sort = chat.conversations("broken", "&sort_by=name").await;
    v.note("conversations.sort", sort.status == 400);
    let last_id = chat.conversations("broken", "&last_id=x").await;
    v.note("conversations.pagination", last_id.status == 400);
}

async fn completions(api: &Api<'_>) {
    let v = api.verdicts;
    let body = |query: &str, mode: &str| json!({"inputs": {"query": query}, "response_mode": mode, "user": "c"});
    let blocking = api.post("/completion-messages", &body("plain text", "blocking")).await;
    let has = |name: &str| blocking.json[name].is_string();
    v.note(
        "completion.blocking.shape",
        ["event", "task_id", "id", "message_id", "mode", "answer"].into_iter().all(has),
    );
    v.note("completion.no-conversation", blocking.json.get("conversation_id").is_none());
    v.note("completion.no-conversation", api.conversations("c", "").await.is(400, "not_chat_app"));
    let streamed = api.post("/completion-messages", &body("plain text", "streaming")).await;
    let keys = |answer: &Answer| answer.metadata().as_object().map(|m| m.keys().cloned().collect::<Vec<_>>());
    v.note("completion.parity", blocking.text() == streamed.text() && keys(&blocking) == keys(&streamed));
    let mut second = body("nonce-two", "blocking");
    second["conversation_id"] = json!("11111111-1111-4111-8111-111111111111");
    api.post("/completion-messages", &second).await;
    second["inputs"]["query"] = json!("nonce-three");
    let text = api.post("/completion-messages", &second).await.text();
    v.note("completion.stateless", text.contains("nonce-three") && !text.contains("nonce-two"));
    let empty =
        api.post("/completion-messages", &json!({"inputs": {}, "user": "c", "response_mode": "blocking"})).await;
    v.note("completion.query-optional", empty.status == 200);
    api.post("/completion-messages", &body("fail", "streaming")).await;
    api.post("/completion-messages", &body("fail", "blocking")).await;
}

/// The first whole data event of a stream under way.
fn first_event(text: &str) -> Option<Value> {
    let (block, _) = text.split_once("\n\n")?;
    serde_json::from_str(block.lines().find_map(|line| line.strip_prefix("data: "))?).ok()
}

fn is_uuid(text: &str) -> bool {
    uuid::Uuid::parse_str(text).is_ok()
}

async fn first_turns(api: &Api<'_>) {
    let v = api.verdicts;
    let mut ids = BTreeSet::new();
    for id in [json!(""), Value::Null] {
        let mut body = chat_body("first", "", "hello", "blocking");
        body["conversation_id"] = id;
        let answer = api.post("/chat-messages", &body).await;
        v.note("chat.conversation-id.blank-forms", answer.status == 200 && ids.insert(answer.conversation()));
    }
    let blocking = api.turn("first", "", "moderate:bad is bad", "blocking").await;
    let has = |name: &str| blocking.json[name].is_string();
    let members = ["event", "task_id", "id", "message_id", "conversation_id", "mode", "answer"];
    v.note("chat.blocking.shape", members.into_iter().all(has));
    let streamed = api.turn("first", "", "moderate:bad is bad", "streaming").await;
    v.note("req.response-mode.honoured", streamed.streamed() && !blocking.streamed());
    v.note("chat.conversation-id.generated", is_uuid(&blocking.conversation()) && is_uuid(&streamed.conversation()));
    v.note("chat.parity", blocking.text() == streamed.text());
    for answer in [&blocking, &streamed] {
        let stored = api.messages("first", &answer.conversation(), "").await.column("answer");
        v.note("messages.answer.matches", stored == [answer.text().trim()]);
        v.note("sse.message-replace", stored == [answer.text().trim()]);
    }
    let torture = api.turn("first", "", TORTURE, "streaming").await;
    let stored = api.messages("first", &torture.conversation(), "").await;
    v.note("req.unicode-roundtrip", stored.column("query") == [TORTURE]);
    v.note("chat.query.processed", stored.column("query") == [TORTURE]);
    v.note("messages.answer.matches", stored.column("answer") == [torture.text().trim()]);

    let body = chat_body("first", "", "gap:0.05 chunks:4 early", "streaming");
    api.stream("/chat-messages", &body, async |text| {
        let Some(event) = first_event(text) else {
            return false;
        };
        let id = event["conversation_id"].as_str().unwrap();
        let listed = api.conversations("first", "").await.column("id").contains(&id.to_owned());
        v.note("chat.conversation-id.persisted", listed && api.messages("first", id, "").await.status == 200);
        true
    })
    .await;
}

async fn isolation(api: &Api<'_>) {
    let v = api.verdicts;
    let id = api.turn("anna", "", "mine", "blocking").await.conversation();
    v.note("chat.isolation.user-continue", api.turn("bert", &id, "yours?", "blocking").await.is(404, "not_found"));
    v.note("chat.isolation.user-read", api.messages("bert", &id, "").await.status == 404);
    let rename = api.post(&format!("/conversations/{id}/name"), &json!({"name": "stolen", "user": "bert"})).await;
    v.note("chat.isolation.user-read", rename.status == 404);
    v.note("chat.isolation.user-delete", api.delete(&id, "bert").await.status == 404);
    v.note("chat.isolation.user-delete", api.messages("anna", &id, "").await.status == 200);
}

async fn deletes(api: &Api<'_>) {
    let v = api.verdicts;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(api.turn("deleter", "", "x", "blocking").await.conversation());
    }
    let deleted = ids.pop().unwrap();
    let answer = api.delete(&deleted, "deleter").await;
    v.note("conversations.delete", answer.status == 204 && answer.body.is_empty());
    v.note("conversations.delete", api.delete(&deleted, "deleter").await.status == 404);
    v.note("conversations.delete", api.messages("deleter", &deleted, "").await.status == 404);
    let turn = api.turn("deleter", &deleted, "again", "blocking").await;
    v.note("chat.conversation-id.deleted-404", turn.is(404, "not_found"));
    let mut listed = api.conversations("deleter", "&limit=100").await.column("id");
    v.note("chat.conversation-id.deleted-404", !listed.contains(&deleted));
    listed.sort();
    ids.sort();
    v.note("conversations.list.complete", listed == ids);
}

async fn rejected_turns(api: &Api<'_>) {
    let v = api.verdicts;
    let id = api.turn("careful", "", "x", "blocking").await.conversation();
    let before = (api.conversations("careful", "").await.rows(), api.messages("careful", &id, "").await.rows());
    api.turn("careful", &id, "", "blocking").await;
    let mut body = chat_body("careful", &id, "x", "blocking");
    body["inputs"] = json!("bad");
    api.post("/chat-messages", &body).await;
    let after = (api.conversations("careful", "").await.rows(), api.messages("careful", &id, "").await.rows());
    v.note("chat.rejected-turn-adds-nothing", before == after);

    let path = format!("/conversations/{id}/name");
    let renamed = api.post(&path, &json!({"name": "new name", "user": "careful"})).await;
    v.note("conversations.rename", renamed.json["name"] == "new name");
    let blank = api.post(&path, &json!({"name": " ", "user": "careful"})).await;
    v.note("conversations.rename", blank.status == 400);
    v.note("conversations.rename", api.conversations("careful", "").await.column("name") == ["new name"]);
    let auto = api.post(&path, &json!({"auto_generate": true, "name": "ZZ", "user": "careful"})).await;
    v.note(
        "conversations.rename.auto",
        auto.status == 200 && auto.json["name"].as_str().is_some_and(|n| !n.is_empty()),
    );
}

async fn failures(api: &Api<'_>) {
    for query in ["fail", "failmid with a text that is long enough"] {
        for mode in ["blocking", "streaming"] {
            api.turn("failing", "", query, mode).await;
        }
    }
    let body = chat_body("failing", "", "gap:0.2 chunks:20 stop me", "streaming");
    api.stream("/chat-messages", &body, async |text| {
        let Some(event) = first_event(text) else {
            return false;
        };
        let path = format!("/chat-messages/{}/stop", event["task_id"].as_str().unwrap());
        api.post(&path, &json!({"user": "failing"})).await;
        true
    })
    .await;
}

/// Three spaced turns with changing inputs and modes, then what the lists say of them.
async fn spaced_turns(api: &Api<'_>) {
    let v = api.verdicts;
    let mut answers: Vec<Answer> = Vec::new();
    let mut tasks = BTreeSet::new();
    let mut updates = Vec::new();
    let mut conversation = String::new();
    for (turn, mode) in ["streaming", "blocking", "streaming"].into_iter().enumerate() {
        if turn > 0 {
            tokio::time::sleep(SPACE).await;
        }
        let mut body = chat_body("spaced", &conversation, &format!("nonce-{turn}"), mode);
        body["inputs"] = json!({"name": format!("Name{turn}")});
        let answer = api.post("/chat-messages", &body).await;
        v.note("req.response-mode.honoured", answer.streamed() == (mode == "streaming"));
        v.note("chat.conversation-id.stable", conversation.is_empty() || answer.conversation() == conversation);
        if turn == 0 {
            conversation = answer.conversation();
        }
        v.note(
            "chat.message-id.distinct",
            tasks.insert(answer.member("task_id")) && tasks.insert(answer.member("message_id")),
        );
        let row = api.conversations("spaced", "").await.rows().first().cloned().unwrap_or_default();
        v.note("chat.inputs.first-turn-stored", turn > 0 || row["inputs"]["name"] == "Name0");
        v.note("chat.inputs.conversation-frozen", turn == 0 || row["inputs"]["name"] == "Name0");
        let times = (row["created_at"].as_i64().unwrap(), row["updated_at"].as_i64().unwrap());
        v.note("conversations.updated-at", times.1 >= times.0 && updates.last().is_none_or(|last| times.1 > *last));
        v.note("time.monotonic", times.1 >= times.0);
        updates.push(times.1);
        let members = ["id", "name", "inputs", "status", "introduction", "created_at", "updated_at"];
        v.note("conversations.list.shape", members.iter().all(|member| row.get(*member).is_some()));
        answers.push(answer);
    }
    let page = api.messages("spaced", &conversation, "&limit=100").await;
    let ids: Vec<String> = answers.iter().map(|answer| answer.member("message_id")).collect();
    let asked = page.column("query") == ["nonce-0", "nonce-1", "nonce-2"];
    v.note("chat.continuity.history-grows", asked && page.column("id") == ids);
    v.note("chat.continuity.context", answers[1].text().contains("nonce-0"));
    for (row, answer) in page.rows().iter().zip(&answers) {
        if row["id"] == json!(answer.member("message_id")) {
            v.note("messages.answer.matches", row["answer"] == json!(answer.text().trim()));
        }
    }
    for (turn, id) in ids.iter().enumerate() {
        let row = page.rows().into_iter().find(|row| row["id"] == json!(id));
        v.note("chat.query.processed", row.is_some_and(|row| row["query"] == json!(format!("nonce-{turn}"))));
    }
    let names: Vec<Value> = page.rows().iter().map(|row| row["inputs"]["name"].clone()).collect();
    v.note("chat.inputs.ignored-on-continuation", names.iter().all(|name| name == "Name0"));
    v.note("chat.inputs.applied-on-continuation", names == ["Name0", "Name1", "Name2"]);
    v.note("chat.inputs.consistent-policy", names.len() < 3 || (names[1] == "Name0") == (names[2] == "Name0"));
    let members = ["inputs", "query", "answer", "status", "agent_thoughts", "message_files", "retriever_resources"];
    v.note("messages.shape", page.rows().iter().all(|row| members.iter().all(|member| row.get(*member).is_some())));
    message_pages(api, &conversation, &ids).await;
}

async fn message_pages(api: &Api<'_>, conversation: &str, ids: &[String]) {
    let v = api.verdicts;
    v.note("messages.order", api.messages("spaced", conversation, "&limit=2").await.column("id") == ids[1..]);
    let mut seen: Vec<String> = Vec::new();
    for _ in 0..5 {
        let before = seen.first().map(|id| format!("&first_id={id}")).unwrap_or_default();
        let page = api.messages("spaced", conversation, &format!("&limit=2{before}")).await;
        let mut rows = page.rows();
        rows.sort_by_key(|row| row["created_at"].as_i64());
        seen.splice(0..0, rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()));
        if page.json["has_more"] == false {
            break;
        }
    }
    v.note("messages.pagination.partition", seen == ids);
    for (limit, more) in [(2, true), (3, false), (4, false)] {
        let page = api.messages("spaced", conversation, &format!("&limit={limit}")).await;
        v.note("messages.has-more", page.json["has_more"] == more);
    }
}

async fn conversation_lists(api: &Api<'_>) {
    let v = api.verdicts;
    let mut ids = Vec::new();
    for turn in 0..3 {
        if turn > 0 {
            tokio::time::sleep(SPACE).await;
        }
        ids.push(api.turn("lister", "", "x", "blocking").await.conversation());
    }
    tokio::time::sleep(SPACE).await;
    api.turn("lister", &ids[0], "again", "blocking").await;
    let order = |at: [usize; 3]| at.map(|i| ids[i].clone());
    for (sort, expected) in [("", [0, 2, 1]), ("&sort_by=created_at", [0, 1, 2]), ("&sort_by=-created_at", [2, 1, 0])] {
        v.note("conversations.sort", api.conversations("lister", sort).await.column("id") == order(expected));
        let mut seen: Vec<String> = Vec::new();
        for _ in 0..4 {
            let after = seen.last().map(|id| format!("&last_id={id}")).unwrap_or_default();
            let page = api.conversations("lister", &format!("&limit=2{sort}{after}")).await;
            seen.extend(page.column("id"));
            if page.json["has_more"] == false {
                break;
            }
        }
        let distinct: BTreeSet<&String> = seen.iter().collect();
        v.note("conversations.pagination", seen.len() == 3 && distinct.len() == 3);
    }
}

async fn parallel_turns(api: &Api<'_>) {
    let v = api.verdicts;
    let turn = async |user: String, nonce: String| {
        let answer = api.turn(&user, "", &format!("gap:0.1 chunks:4 {nonce}"), "streaming").await;
        (answer, nonce)
    };
    let answers = join_all((0..3).map(|i| turn(format!("par{i}"), format!("alone-{i}")))).await;
    let mut ids = BTreeSet::new();
    for (answer, nonce) in &answers {
        let text = answer.text();
        v.note("concurrency.no-cross-talk", text.contains(nonce) && text.matches("alone-").count() == 1);
        v.note("chat.conversation-id.distinct", ids.insert(answer.conversation()));
    }
    let answers = join_all((0..4).map(|i| turn("crowd".to_owned(), format!("crowd-{i}")))).await;
    let opened: BTreeSet<String> = answers.iter().map(|(answer, _)| answer.conversation()).collect();
    let listed: BTreeSet<String> = api.conversations("crowd", "").await.column("id").into_iter().collect();
    v.note("concurrency.parallel-new", opened.len() == 4 && opened == listed);
}

async fn slow_streams(api: &Api<'_>) {
    let v = api.verdicts;
    let mut texts = 0;
    let mut arrivals = Vec::new();
    let body = chat_body("slow", "", "gap:0.06 chunks:10 slow", "streaming");
    api.stream("/chat-messages", &body, async |text| {
        let now = text.matches("\"event\":\"message\"").count();
        if now > texts {
            arrivals.push(Instant::now());
        }
        texts = now;
        false
    })
    .await;
    // nine gaps of 60 ms, of which a busy machine may swallow some
    let spread = arrivals.last().zip(arrivals.first()).map(|(last, first)| *last - *first);
    v.note("sse.incremental", spread.is_some_and(|spread| spread > Duration::from_millis(270)));
    let answer = api.turn("slow", "", "sleep:0.9 slow", "streaming").await;
    v.note("sse.ping", answer.body.contains("event: ping"));
}

async fn ratings(api: &Api<'_>) {
    let v = api.verdicts;
    let answer = api.turn("rater", "", "rate me", "blocking").await;
    let message = answer.member("message_id");
    let path = format!("/messages/{message}/feedbacks");
    let rate = async |rating: Value| api.post(&path, &json!({"rating": rating, "user": "rater"})).await;
    v.note("feedback.errors", rate(Value::Null).await.status == 400);
    rate(json!("like")).await;
    rate(json!("dislike")).await;
    let history = api.messages("rater", &answer.conversation(), "").await;
    v.note("feedback.roundtrip", history.rows()[0]["feedback"]["rating"] == "dislike");
    let listed = api.get("/app/feedbacks?limit=100").await.column("message_id");
    v.note("feedback.list", listed.iter().filter(|id| **id == message).count() <= 1);
    let suggested = async |id: &str| api.get(&format!("/messages/{id}/suggested?user=rater")).await;
    v.note("suggested.enabled", suggested(&message).await.json["data"].is_array());
    let unknown = suggested("11111111-1111-4111-8111-111111111111").await;
    v.note("suggested.errors", unknown.is(404, "not_found"));
    let site = api.get("/site").await;
    v.note("meta-site.shape", site.status == 404 || site.json["default_language"].is_string());
}

async fn files(api: &Api<'_>) {
    let v = api.verdicts;
    let uploaded = api.upload("/files/upload", "filer", Some(("a.png", "image/png", "PNG"))).await;
    v.note("files.upload.shape", uploaded.status == 201 && uploaded.json["size"] == 3);
    v.note("files.upload.errors", api.upload("/files/upload", "filer", None).await.status == 400);
    let id = uploaded.member("id");
    let preview = async || api.get(&format!("/files/{id}/preview")).await.status;
    v.note("files.preview", preview().await == 404);
    let body = |user: &str, mode: &str| {
        let mut body = chat_body(user, "", "see", mode);
        body["files"] = json!([{"type": "image", "transfer_method": "local_file", "upload_file_id": id}]);
        body
    };
    let foreign = api.post("/chat-messages", &body("stranger", "blocking")).await;
    v.note("files.owner-only", foreign.is(400, "invalid_param"));
    let streamed = api.post("/chat-messages", &body("filer", "streaming")).await;
    v.note("agent.message-file", !streamed.body.contains("message_file"));
    v.note("files.preview", preview().await == 200);
    let history = api.messages("filer", &streamed.conversation(), "").await;
    v.note("files.message-files", history.rows()[0]["message_files"][0]["belongs_to"] == "user");
    let uploader = api.get(&format!("/end-users/{}", uploaded.member("created_by"))).await;
    let (named, asked_for) = (&uploader.json["external_user_id"], &uploader.json["id"]);
    v.note(
        "end-user.lookup",
        uploader.status == 404 || (named == "filer" && *asked_for == uploaded.json["created_by"]),
    );
}

async fn speech(chat: &Api<'_>, completion: &Api<'_>) {
    let v = chat.verdicts;
    for (api, status) in [(chat, 200), (completion, 400)] {
        let heard = api.upload("/audio-to-text", "speaker", Some(("a.mp3", "audio/mp3", "ID3"))).await;
        v.note("audio.stt", heard.status == status);
    }
    let spoken = chat.post("/text-to-audio", &json!({"text": "Hello.", "user": "speaker"})).await;
    v.note("audio.tts", spoken.status == 200 && spoken.media_type.starts_with("audio/"));
}

async fn annotations(api: &Api<'_>) {
    let v = api.verdicts;
    let created = api.post("/apps/annotations", &json!({"question": "mark one", "answer": "A"})).await;
    let path = format!("/apps/annotations/{}", created.member("id"));
    let change = json!({"question": "mark two", "answer": "B"});
    let changed = api.send(api.request("PUT", &path).bearer_auth(&api.key).json(&change)).await;
    v.note("annotation.crud", changed.json["answer"] == "B");
    let found = api.get("/apps/annotations?keyword=mark").await;
    v.note("annotation.crud", created.status == 201 && found.column("question") == ["mark two"]);
    v.note("annotation.list.cap", api.get("/apps/annotations?limit=1000").await.rows().len() <= 100);
    let asked = api.turn("asker", "", "mark two", "blocking").await;
    v.note("annotation.reply", asked.text() == "B");
    let gone = api.send(api.request("DELETE", &path).bearer_auth(&api.key)).await;
    v.note("annotation.crud", gone.status == 204);
}

/// The rules that hold on the healthy server and not on the mutant.
fn broken(healthy: &BTreeMap<&'static str, bool>, mutant: &BTreeMap<&'static str, bool>) -> BTreeSet<&'static str> {
    let holding = healthy.iter().filter(|(_, holds)| **holds).map(|(rule, _)| *rule);
    holding.filter(|rule| mutant.get(rule) == Some(&false)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_mutant_breaks_the_rule_it_is_made_for() {
    let observed = join_all(mutants().iter().map(|mutant| observe(Profile::Documented, false, Some(mutant))));
    let (documented, speaking, dify_0_15, dify_1_12, observed) = tokio::join!(
        observe(Profile::Documented, false, None),
        observe(Profile::Documented, true, None),
        observe(Profile::Dify015, false, None),
        observe(Profile::Dify112, false, None),
        observed
    );
    let broken_when_healthy: Vec<_> = documented.iter().filter(|(_, holds)| !**holds).collect();
    assert_eq!(broken_when_healthy, [(&"chat.inputs.applied-on-continuation", &false)]);

    let mut failures = Vec::new();
    for (mutant, verdicts) in mutants().iter().zip(observed) {
        let healthy = match (mutant.profile, mutant.tts_autoplay) {
            (Profile::Dify015, _) => &dify_0_15,
            (Profile::Dify112, _) => &dify_1_12,
            (_, true) => &speaking,
            (_, false) => &documented,
        };
        let broken = broken(healthy, &verdicts);
        // Which rules of the catalogue notice beside it is the matter of the kill matrix.
        let own = mutant.id.split('/').next().unwrap_or_default();
        if !broken.contains(own) || !mutant.victims.contains(&own) {
            failures.push(format!("{}: broken {broken:?}", mutant.id));
        }
    }
    failures.sort();
    assert!(failures.is_empty(), "{} mutants: {failures:#?}", failures.len());
}
