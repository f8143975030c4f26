//! A plain client of the service API for the emulator's tests, and what it notes about every answer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use base64::Engine;
use difyprobe::emulator::Running;
use futures_util::StreamExt;
use serde_json::{Value, json};

/// Which rules were looked at, and whether they held every time.
#[derive(Debug, Default)]
pub struct Verdicts(Mutex<BTreeMap<&'static str, bool>>);

impl Verdicts {
    /// Notes one observation about a rule.
    pub fn note(&self, rule: &'static str, holds: bool) {
        *self.0.lock().unwrap().entry(rule).or_insert(true) &= holds;
    }

    /// The verdict of every rule looked at.
    pub fn take(self) -> BTreeMap<&'static str, bool> {
        self.0.into_inner().unwrap()
    }
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub media_type: String,
    pub body: String,
    pub json: Value,
}

impl Answer {
    pub fn code(&self) -> &str {
        self.json["code"].as_str().unwrap_or_default()
    }

    pub fn is(&self, status: u16, code: &str) -> bool {
        self.status == status && self.code() == code
    }

    pub fn streamed(&self) -> bool {
        self.body.starts_with("data: ") || self.body.starts_with("event: ")
    }

    /// The text of a blocking answer or the effective text of a stream.
    pub fn text(&self) -> String {
        if !self.streamed() {
            return self.json["answer"].as_str().unwrap_or_default().to_owned();
        }
        let mut text = String::new();
        for event in self.events() {
            let answer = event["answer"].as_str().unwrap_or_default();
            match event["event"].as_str() {
                Some("message") => text.push_str(answer),
                Some("message_replace") => text = answer.to_owned(),
                _ => {}
            }
        }
        text
    }

    /// The data events of a stream.
    pub fn events(&self) -> Vec<Value> {
        let lines = self.body.split('\n').filter_map(|line| line.strip_prefix("data: "));
        lines.filter_map(|data| serde_json::from_str(data).ok()).collect()
    }

    /// A member of the blocking answer or of the first event of a stream.
    pub fn member(&self, name: &str) -> String {
        let document = if self.streamed() { self.events().into_iter().next() } else { Some(self.json.clone()) };
        document.and_then(|d| d[name].as_str().map(str::to_owned)).unwrap_or_default()
    }

    pub fn conversation(&self) -> String {
        self.member("conversation_id")
    }

    pub fn metadata(&self) -> Value {
        let ends = |event: &Value| event["event"] == "message_end";
        if self.streamed() {
            self.events().into_iter().find(ends).map(|event| event["metadata"].clone()).unwrap_or_default()
        } else {
            self.json["metadata"].clone()
        }
    }

    pub fn rows(&self) -> Vec<Value> {
        self.json["data"].as_array().cloned().unwrap_or_default()
    }

    /// One member of each row of a list, as text.
    pub fn column(&self, name: &str) -> Vec<String> {
        self.rows().iter().map(|row| row[name].as_str().unwrap_or_default().to_owned()).collect()
    }
}

/// A client with one key.
pub struct Api<'a> {
    pub base: String,
    pub key: String,
    pub verdicts: &'a Verdicts,
    http: reqwest::Client,
}

impl<'a> Api<'a> {
    pub fn new(server: &Running, app: &str, verdicts: &'a Verdicts) -> Self {
        let key = server.keys().iter().find(|(name, _)| name == app).unwrap().1.clone();
        Self { base: server.base_url(), key, verdicts, http: reqwest::Client::new() }
    }

    pub fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method.parse().unwrap(), format!("{}{path}", self.base))
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request("GET", path).bearer_auth(&self.key)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request("POST", path).bearer_auth(&self.key).json(body)).await
    }

    /// Sends a form with a user and one file (name, media type, text), or none.
    pub async fn upload(&self, path: &str, user: &str, file: Option<(&str, &str, &str)>) -> Answer {
        let part = |head: &str, text: &str| format!("--b\r\nContent-Disposition: form-data; {head}\r\n\r\n{text}\r\n");
        let mut body = part("name=\"user\"", user);
        if let Some((name, media_type, text)) = file {
            let head = format!("name=\"file\"; filename=\"{name}\"\r\nContent-Type: {media_type}");
            body.push_str(&part(&head, text));
        }
        body.push_str("--b--\r\n");
        let request = self.request("POST", path).header("Content-Type", "multipart/form-data; boundary=b");
        self.send(request.bearer_auth(&self.key).body(body)).await
    }

    pub async fn delete(&self, conversation: &str, user: &str) -> Answer {
        let request = self.request("DELETE", &format!("/conversations/{conversation}"));
        self.send(request.bearer_auth(&self.key).json(&json!({"user": user}))).await
    }

    pub async fn messages(&self, user: &str, conversation: &str, rest: &str) -> Answer {
        self.get(&format!("/messages?user={user}&conversation_id={conversation}{rest}")).await
    }

    pub async fn conversations(&self, user: &str, rest: &str) -> Answer {
        self.get(&format!("/conversations?user={user}{rest}")).await
    }

    /// A chat turn; an empty conversation opens one.
    pub async fn turn(&self, user: &str, conversation: &str, query: &str, mode: &str) -> Answer {
        self.post("/chat-messages", &chat_body(user, conversation, query, mode)).await
    }

    /// Sends and notes what must hold for any answer.
    pub async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let request = request.build().unwrap();
        let keyless = !request.headers().contains_key("authorization");
        let began = Instant::now();
        let answer = self.http.execute(request).await.unwrap();
        let status = answer.status().as_u16();
        let headers = format!("{:?}", answer.headers());
        let media_type = answer.headers().get("content-type").map_or("", |v| v.to_str().unwrap()).to_owned();
        let bytes = answer.bytes().await.unwrap();
        let wall = began.elapsed();
        let body = String::from_utf8(bytes.to_vec()).unwrap();
        let json = serde_json::from_str(&body).unwrap_or_default();
        let answer = Answer { status, media_type, body, json };
        let note = |rule, holds| self.verdicts.note(rule, holds);
        note("auth.key-never-echoed", !headers.contains(&self.key) && !answer.body.contains(&self.key));
        if keyless {
            note("auth.missing-key.401", answer.is(401, "unauthorized"));
        }
        if answer.streamed() {
            note("sse.content-type", status == 200 && answer.media_type.starts_with("text/event-stream"));
            judge_stream(&answer, wall, self.verdicts);
        } else {
            let json_type = answer.media_type.starts_with("application/json");
            let file = ["audio/", "image/"].iter().any(|kind| answer.media_type.starts_with(kind));
            let no_json = answer.body.is_empty() || file;
            note("http.content-type.json", json_type || no_json);
            judge_errors(&answer, self.verdicts);
            if answer.json.get("event").is_some() {
                judge_usage(&answer.json["metadata"], wall, self.verdicts);
                note("time.unix-seconds", answer.json["created_at"].as_i64().is_some_and(recent));
            }
        }
        answer
    }

    /// Opens a stream and hands over its blocks as they come, until the callback says so.
    pub async fn stream(&self, path: &str, body: &Value, mut until: impl AsyncFnMut(&str) -> bool) -> String {
        let request = self.request("POST", path).bearer_auth(&self.key).json(body);
        let mut bytes = request.send().await.unwrap().bytes_stream();
        let mut text = String::new();
        while let Some(chunk) = bytes.next().await {
            text.push_str(std::str::from_utf8(&chunk.unwrap()).unwrap());
            if until(&text).await {
                break;
            }
        }
        text
    }
}

pub fn chat_body(user: &str, conversation: &str, query: &str, mode: &str) -> Value {
    json!({"inputs": {"name": "Alice"}, "query": query, "response_mode": mode, "user": user,
           "conversation_id": conversation})
}

fn recent(unix_seconds: i64) -> bool {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    unix_seconds.unsigned_abs().abs_diff(now) <= 300
}

fn judge_errors(answer: &Answer, verdicts: &Verdicts) {
    const CODES: &[&str] = &[
        "unauthorized",
        "forbidden",
        "invalid_param",
        "bad_request",
        "not_chat_app",
        "not_workflow_app",
        "conversation_completed",
        "app_unavailable",
        "not_found",
        "completion_request_error",
        "method_not_allowed",
        "unsupported_media_type",
        "file_not_found",
        "no_file_uploaded",
        "speech_to_text_disabled",
        "internal_server_error",
    ];
    if answer.status < 400 {
        let refused = answer.json["code"].is_string() && answer.json["status"].as_u64() >= Some(400);
        verdicts.note("error.no-200", !refused);
        return;
    }
    let shaped = answer.json["code"].is_string()
        && answer.json["message"].is_string()
        && answer.json["status"] == json!(answer.status);
    verdicts.note("error.body.shape", shaped);
    verdicts.note("error.code.known", CODES.contains(&answer.code()));
    verdicts.note("error.status.class", answer.status < 500);
    verdicts.note("error.message.no-leak", !answer.body.contains("Traceback"));
}

/// What must hold for any stream.
fn judge_stream(answer: &Answer, wall: Duration, verdicts: &Verdicts) {
    let note = |rule, holds| verdicts.note(rule, holds);
    for block in answer.body.split_terminator("\n\n") {
        let ping = block == "event: ping";
        let data = block.strip_prefix("data: ").is_some_and(|data| !data.contains('\n'));
        note("sse.event.framing", ping || data);
        note("sse.ping.no-data", !block.contains("event: ping") || ping);
        note("sse.ping", !block.contains("event: ping") || ping);
    }
    let events = answer.events();
    let events: Vec<&Value> = events.iter().filter(|event| event.as_object().is_some_and(|e| !e.is_empty())).collect();
    let names: Vec<&str> = events.iter().map(|event| event["event"].as_str().unwrap_or_default()).collect();
    let named = |name: &str| events.iter().filter(|event| event["event"] == name).copied().collect::<Vec<_>>();
    note("sse.data.json", names.iter().all(|name| !name.is_empty()));
    note("sse.utf8", !answer.body.contains('\u{fffd}'));
    let terminals = names.iter().filter(|name| ["message_end", "error"].contains(name)).count();
    note("sse.terminal.exactly-one", terminals == 1);
    let values = |member: &str| events.iter().filter_map(|e| e.get(member)).collect::<Distinct>();
    let ids_constant = ["message_id", "conversation_id", "task_id"].iter().all(|id| values(id).len() <= 1);
    note("sse.ids.constant", ids_constant);
    note("sse.created-at.constant", values("created_at").len() == 1);
    let completion = values("conversation_id").len() == 0;
    if completion {
        note("completion.stream.ids", ids_constant && values("created_at").len() == 1);
        note("completion.no-conversation", true);
        let spoken = names.iter().rev().find(|name| !name.starts_with("tts")).copied().unwrap_or_default();
        note("completion.stream.grammar", ["message_end", "error"].contains(&spoken) && terminals == 1);
    }
    for event in &events {
        let conversation = completion || event["conversation_id"].is_string();
        let task = event["event"] == "error" || event["task_id"].is_string();
        note("sse.common-fields", conversation && task && event["message_id"].is_string());
    }
    note("sse.message.delta", named("message").iter().all(|event| event["answer"].is_string()));
    for event in named("error") {
        let status = event["status"].as_u64();
        note("error.in-stream.shape", status >= Some(400) && event["code"].is_string() && event["message"].is_string());
        note("error.in-stream.code-class", event["code"] != "completion_request_error" || status == Some(400));
    }
    for event in named("message_end") {
        judge_usage(&event["metadata"], wall, verdicts);
    }
    let audio = |event: &&Value| event["audio"].as_str().map(str::to_owned).unwrap_or_default();
    let decoded = |text: String| base64::engine::general_purpose::STANDARD.decode(text).is_ok_and(|b| !b.is_empty());
    if names.iter().any(|name| name.starts_with("tts")) {
        let speech = named("tts_message").iter().map(audio).all(decoded);
        note("sse.tts", speech && names.last() == Some(&"tts_message_end"));
    }
}

/// Distinct JSON values.
#[derive(Default)]
struct Distinct(BTreeSet<String>);

impl Distinct {
    fn len(&self) -> usize {
        self.0.len()
    }
}

impl<'v> FromIterator<&'v Value> for Distinct {
    fn from_iter<I: IntoIterator<Item = &'v Value>>(values: I) -> Self {
        Self(values.into_iter().map(Value::to_string).collect())
    }
}

fn judge_usage(metadata: &Value, wall: Duration, verdicts: &Verdicts) {
    let usage = &metadata["usage"];
    verdicts.note("usage.present", usage.as_object().is_some_and(|members| members.len() >= 12));
    if !usage.is_object() {
        return;
    }
    let tokens = |name: &str| usage[name].as_u64().unwrap_or_default();
    let price = |name: &str| usage[name].as_str().and_then(|text| text.parse::<f64>().ok()).unwrap_or(f64::NAN);
    let sums = tokens("prompt_tokens") + tokens("completion_tokens") == tokens("total_tokens")
        && (price("prompt_price") + price("completion_price") - price("total_price")).abs() < 1e-9;
    verdicts.note("usage.sum", sums);
    let texts = ["prompt_unit_price", "completion_unit_price", "prompt_price_unit", "total_price", "currency"];
    verdicts.note("usage.price.types", texts.iter().all(|name| usage[*name].is_string()));
    let latency = usage["latency"].as_f64().unwrap_or(-1.0);
    verdicts.note("usage.latency", latency > 0.0 && latency <= wall.as_secs_f64() + 1.0);
}
