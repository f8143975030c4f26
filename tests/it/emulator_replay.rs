//! Captured traffic of real servers, sent again to the emulator of the same version: the answers must have the same
//! shape (status, media type, member names and types, order of events, error code).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use difyprobe::emulator::{AppKind, Config, Pace, Profile, Running, start};
use serde_json::{Value, json};

/// Times in queries are divided by this, and so is the time between pings.
const HASTE: f64 = 20.0;

/// Paths the emulator does not serve.
const NOT_OFFERED_PATHS: &[(&str, &str)] =
    &[("/v1/workspaces/", "needs another kind of key"), ("/health", "not part of the service API")];

/// Apps the emulator does not serve.
const NOT_OFFERED_APPS: &[(&str, &str)] = &[
    ("agent", "another mode"),
    ("chatflow", "another mode"),
    ("workflow", "another mode"),
    ("chat-disabled", "every key opens its app"),
    ("chat-limited", "no limit of concurrent requests"),
];

/// Captures whose answers differ, and why.
const LEFT_OUT: &[(&str, &str)] = &[
    ("chat/92-client-disconnect-STREAM", "the captured client hung up after the first event"),
    ("chat/157-client-disconnect2-STREAM", "the captured client hung up after the first event"),
    ("chat/146-ping-gap-25s-STREAM", "the captured model slept again between its pieces (50 s for sleep:25)"),
];

/// Conversations and messages whose making is not among the captures: before this capture, the turn is
/// made and its ids stand for the recorded ones.
struct Setup {
    before: &'static str,
    user: &'static str,
    inputs: &'static str,
    conversation: &'static str,
    message: &'static str,
}

const SETUPS: &[Setup] = &[
    Setup {
        before: "chat/95-X2-turn2-Bob-blocking",
        user: "exp",
        inputs: r#"{"name": "Alice", "lang": "en", "age": 1}"#,
        conversation: "843969ef-9a43-4f42-aacc-f4fa25c631ca",
        message: "9a9e7755-b001-498b-ab77-a6566459eb1c",
    },
    Setup {
        before: "chat/136-C-concurrent-0",
        user: "conc",
        inputs: r#"{"name": "Alice"}"#,
        conversation: "9b9bb990-897d-4b90-b271-a3b6cb65fe79",
        message: "1416e9bf-8ee9-464c-aa4e-9dfe7521b7d6",
    },
    Setup {
        before: "common/48-L1-setup",
        user: "lister",
        inputs: r#"{"name": "N0"}"#,
        conversation: "f7acb294-bc4b-4b8f-869b-a8cb881d29a2",
        message: "",
    },
    Setup {
        before: "common/51-conversations",
        user: "lister",
        inputs: r#"{"name": "N3"}"#,
        conversation: "d8956e3c-5349-4044-8709-3c5cad29ef88",
        message: "1179643d-2aad-456d-8c77-ec893261602d",
    },
];

pub struct Capture {
    pub name: String,
    at: String,
    pub document: Value,
}

impl Capture {
    fn request(&self, member: &str) -> &Value {
        &self.document["request"][member]
    }

    fn path(&self) -> &str {
        self.request("path").as_str().unwrap()
    }

    /// The app whose key was sent, if it was a valid one.
    pub fn app(&self) -> Option<&str> {
        self.request("auth").as_str()?.strip_prefix("Bearer <key of app '")?.strip_suffix("'>")
    }

    fn offered(&self) -> bool {
        !NOT_OFFERED_PATHS.iter().any(|(path, _)| self.path().starts_with(path))
            && !self.app().is_some_and(|app| NOT_OFFERED_APPS.iter().any(|(name, _)| app == *name))
    }
}

/// The captures of these folders in the order they were made.
pub fn captures(folders: &[&str]) -> Vec<Capture> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures");
    let mut captures = Vec::new();
    for folder in folders {
        let entries = std::fs::read_dir(root.join(folder)).unwrap_or_else(|e| panic!("captures of {folder}: {e}"));
        for entry in entries {
            let path = entry.unwrap().path();
            let document: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            if path.extension().is_none_or(|e| e != "json") || document.get("request").is_none() {
                continue;
            }
            let name = format!("{folder}/{}", path.file_stem().unwrap().to_str().unwrap());
            let at = document["captured_at"].as_str().unwrap().to_owned();
            captures.push(Capture { name, at, document });
        }
    }
    captures.sort_by(|a, b| a.at.cmp(&b.at));
    captures
}

/// What is compared of an answer.
#[derive(Debug, PartialEq, Eq)]
struct Shape {
    status: u64,
    media_type: String,
    code: Option<String>,
    /// Folded event names of a stream.
    events: Vec<String>,
    /// Member paths and types of the body, or of each kind of event.
    members: BTreeSet<String>,
}

fn shape(status: u64, media_type: &str, body: &str) -> Shape {
    let mut shape =
        Shape { status, media_type: media_type.to_owned(), code: None, events: Vec::new(), members: BTreeSet::new() };
    if media_type.starts_with("text/event-stream") {
        for (event, data) in events(body) {
            collect(&event, &data, &mut shape.members);
            if shape.events.last() != Some(&event) {
                shape.events.push(event);
            }
        }
    } else if media_type.starts_with("application/json") && !body.is_empty() {
        let document: Value = serde_json::from_str(body).unwrap();
        shape.code = document["code"].as_str().map(str::to_owned);
        collect("", &document, &mut shape.members);
    }
    shape
}

fn events(body: &str) -> Vec<(String, Value)> {
    let blocks = body.split("\n\n").filter(|block| !block.is_empty());
    let parse = |block: &str| match block.strip_prefix("data: ") {
        Some(data) => {
            let event: Value = serde_json::from_str(data).unwrap();
            (event["event"].as_str().unwrap().to_owned(), event)
        }
        None => (block.to_owned(), Value::Null),
    };
    blocks.map(parse).collect()
}

fn collect(path: &str, value: &Value, members: &mut BTreeSet<String>) {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(items) => {
            items.iter().for_each(|item| collect(&format!("{path}[]"), item, members));
            "array"
        }
        Value::Object(object) => {
            object.iter().for_each(|(name, member)| collect(&format!("{path}.{name}"), member, members));
            "object"
        }
    };
    members.insert(format!("{path}: {kind}"));
}

/// One emulator, the keys under the names of the captured apps, and the ids it gave for recorded ones.
pub struct Replay {
    pub server: Running,
    pub client: reqwest::Client,
    pub keys: BTreeMap<&'static str, String>,
    pub ids: BTreeMap<String, String>,
}

/// The apps under the names they were captured with.
const KINDS: &[(&str, AppKind)] = &[
    ("chat", AppKind::Chat),
    ("chat-plain", AppKind::ChatPlain),
    ("completion", AppKind::CompletionQuery),
    ("completion-noquery", AppKind::CompletionNoQuery),
];

impl Replay {
    pub async fn new(profile: Profile, kinds: &[(&'static str, AppKind)]) -> Self {
        let server = start(Config {
            profile,
            apps: kinds.iter().map(|(_, kind)| *kind).collect(),
            pace: Pace { first_chunk: Duration::ZERO, gap: Duration::ZERO, chunk_chars: 16 },
            ping_every: Duration::from_secs(10).div_f64(HASTE),
            ..Config::default()
        })
        .await
        .unwrap();
        let keys = kinds.iter().zip(server.keys()).map(|((name, _), (_, key))| (*name, key.clone())).collect();
        Self { server, client: reqwest::Client::new(), keys, ids: BTreeMap::new() }
    }

    pub fn url(&self, path: &str) -> String {
        let base = self.server.base_url();
        format!("{}{path}", base.strip_suffix("/v1").unwrap())
    }

    fn with_my_ids(&self, text: &str) -> String {
        let lower = |id: &String| (id.clone(), id.to_uppercase());
        self.ids.iter().fold(text.to_owned(), |text, (recorded, mine)| {
            let (recorded, shouted) = lower(recorded);
            text.replace(&recorded, mine).replace(&shouted, &mine.to_uppercase())
        })
    }

    async fn set_up(&mut self, setup: &Setup) {
        let inputs: Value = serde_json::from_str(setup.inputs).unwrap();
        let body = json!({"inputs": inputs, "query": "setup", "user": setup.user, "response_mode": "blocking"});
        let request = self.client.post(self.url("/v1/chat-messages")).bearer_auth(&self.keys["chat"]);
        let answer: Value = request.json(&body).send().await.unwrap().json().await.unwrap();
        for (recorded, member) in [(setup.conversation, "conversation_id"), (setup.message, "message_id")] {
            if !recorded.is_empty() {
                self.ids.insert(recorded.to_owned(), answer[member].as_str().unwrap().to_owned());
            }
        }
    }

    /// The request of a capture, with my ids, my keys and shorter times.
    pub fn request(&self, capture: &Capture) -> reqwest::RequestBuilder {
        let method = capture.request("method").as_str().unwrap().parse().unwrap();
        let mut request = self.client.request(method, self.url(&self.with_my_ids(capture.path())));
        for header in capture.request("headers").as_array().unwrap() {
            request = request.header(header[0].as_str().unwrap(), header[1].as_str().unwrap());
        }
        if let Some(auth) = self.authorization(capture) {
            request = request.header("Authorization", auth);
        }
        if let Some(form) = form(capture) {
            request = request.body(form);
        } else if let Some(body) = body(capture) {
            request = request.body(hasten(&self.with_my_ids(&body)));
        }
        request
    }

    /// Sends a capture again; `Err` says how the answer differs.
    pub async fn play(&mut self, capture: &Capture) -> Result<(), String> {
        let answer = self.request(capture).send().await.map_err(|e| e.to_string())?;
        let status = u64::from(answer.status().as_u16());
        let media_type = answer.headers().get("content-type").map(|v| v.to_str().unwrap().to_owned());
        let body = answer.bytes().await.map_err(|e| e.to_string())?;
        let body = String::from_utf8_lossy(&body).into_owned();
        self.compare(capture, status, &media_type.unwrap_or_default(), &body)
    }

    /// Learns the ids of an answer and compares its shape with the recorded one.
    pub fn compare(&mut self, capture: &Capture, status: u64, media_type: &str, body: &str) -> Result<(), String> {
        let response = &capture.document["response"];
        let headers = response["headers"].as_array().unwrap();
        let recorded_type = headers.iter().find(|h| h[0].as_str().unwrap().eq_ignore_ascii_case("content-type"));
        let recorded_body = response["body"].as_str().unwrap_or_default();
        self.learn(recorded_body, body);
        let recorded = shape(
            response["status"].as_u64().unwrap(),
            recorded_type.map_or("", |h| h[1].as_str().unwrap()),
            recorded_body,
        );
        let mine = shape(status, media_type, body);
        if recorded == mine { Ok(()) } else { Err(difference(&recorded, &mine)) }
    }

    fn authorization(&self, capture: &Capture) -> Option<String> {
        let auth = capture.request("auth").as_str()?;
        if let Some(app) = capture.app() {
            return Some(format!("Bearer {}", self.keys[app]));
        }
        let raw = auth.strip_prefix("raw: ").unwrap_or(auth);
        let own = capture.document["app"].as_str().and_then(|app| self.keys.get(app));
        Some(raw.replace("app-***", own.map_or("app-***", String::as_str)))
    }

    /// Pairs the ids of a recorded generation with those of the emulator's.
    fn learn(&mut self, recorded: &str, mine: &str) {
        let first = |body: &str| -> Option<Value> {
            match body.split("\n\n").find_map(|block| block.strip_prefix("data: ")) {
                Some(data) => serde_json::from_str(data).ok(),
                None => serde_json::from_str(body).ok(),
            }
        };
        let (Some(recorded), Some(mine)) = (first(recorded), first(mine)) else {
            return;
        };
        for member in ["conversation_id", "message_id", "task_id", "workflow_run_id", "id"] {
            if let (Some(recorded), Some(mine)) = (recorded[member].as_str(), mine[member].as_str()) {
                self.ids.entry(recorded.to_owned()).or_insert_with(|| mine.to_owned());
            }
        }
        if let (Some(recorded), Some(mine)) =
            (recorded["data"]["workflow_id"].as_str(), mine["data"]["workflow_id"].as_str())
        {
            self.ids.entry(recorded.to_owned()).or_insert_with(|| mine.to_owned());
        }
    }
}

/// The body as sent; very long ones are recorded as a remark beside their JSON.
fn body(capture: &Capture) -> Option<String> {
    let raw = capture.request("body_raw").as_str()?;
    Some(if raw.starts_with('<') { capture.request("body").to_string() } else { raw.to_owned() })
}

/// The form whose body is recorded in words: its fields and files, or the type and size of its one audio file.
fn form(capture: &Capture) -> Option<Vec<u8>> {
    let words = capture.request("body_raw").as_str()?.strip_prefix("multipart ")?;
    let headers = capture.request("headers").as_array().unwrap();
    let boundary = headers[0][1].as_str().unwrap().split_once("boundary=").unwrap().1;
    let mut body = Vec::new();
    let mut add = |head: &str, content: &[u8]| {
        body.extend(format!("--{boundary}\r\nContent-Disposition: form-data; {head}\r\n\r\n").into_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    };
    let files: Vec<[String; 4]> = match words.split_once("files=[") {
        Some((_, files)) => files.split("), (").filter(|f| *f != "]").map(described_file).collect(),
        None => {
            let media_type = words.strip_prefix("audio/").map_or("audio/mpeg", |_| words);
            let media_type = if matches!(words, "31 MiB" | "mp3") { "audio/mp3" } else { media_type };
            let size = if words.ends_with("31 MiB") { 31 << 20 } else { 503 };
            vec![["file", "a.mp3", media_type, &size.to_string()].map(str::to_owned)]
        }
    };
    for [part, name, media_type, size] in &files {
        let head = format!("name=\"{part}\"; filename=\"{name}\"\r\nContent-Type: {media_type}");
        add(&head, &vec![7; size.parse().unwrap()]);
    }
    if words.contains("('user', 'lister')") {
        add("name=\"user\"", b"lister");
    }
    body.extend(format!("--{boundary}--\r\n").into_bytes());
    Some(body)
}

/// `('file', 'a.png', 'image/png', 73)`: part, name, media type, size.
fn described_file(text: &str) -> [String; 4] {
    let inner = text.trim_matches(|c| "()[]".contains(c));
    let parts: Vec<String> = inner.split(", ").map(|part| part.trim_matches('\'').to_owned()).collect();
    parts.try_into().unwrap_or_else(|parts| panic!("a described file: {parts:?}"))
}

/// Divides the times in a query.
fn hasten(body: &str) -> String {
    let mut hastened = body.to_owned();
    for word in ["gap:", "sleep:"] {
        if let Some(at) = hastened.find(word) {
            let start = at + word.len();
            let length = hastened[start..].find(|c: char| c != '.' && !c.is_ascii_digit()).unwrap_or(0);
            if let Ok(seconds) = hastened[start..start + length].parse::<f64>() {
                hastened.replace_range(start..start + length, &format!("{}", seconds / HASTE));
            }
        }
    }
    hastened
}

fn difference(recorded: &Shape, mine: &Shape) -> String {
    let head = |shape: &Shape| format!("{} {} {:?} {:?}", shape.status, shape.media_type, shape.code, shape.events);
    let lacks: Vec<_> = recorded.members.difference(&mine.members).collect();
    let adds: Vec<_> = mine.members.difference(&recorded.members).collect();
    format!("recorded {} | emulated {} | lacks {lacks:?} | adds {adds:?}", head(recorded), head(mine))
}

/// Asserts that of the captures in these folders exactly those that are left out differ.
pub fn only_left_out_differ(
    left_out: &[(&str, &str)],
    folders: &[&str],
    differing: &BTreeMap<String, String>,
    played: usize,
) {
    let in_folders = |name: &str| folders.iter().any(|folder| name.split('/').next() == Some(folder));
    let expected: BTreeSet<&str> = left_out.iter().map(|(name, _)| *name).filter(|name| in_folders(name)).collect();
    let unexpected: Vec<_> = differing.iter().filter(|(name, _)| !expected.contains(name.as_str())).collect();
    let stale: Vec<_> = expected.iter().filter(|name| !differing.contains_key(**name)).collect();
    assert!(unexpected.is_empty(), "{} of {played} differ: {unexpected:#?}", unexpected.len());
    assert!(stale.is_empty(), "left out without need: {stale:?}");
    assert!(played > expected.len());
}

/// Replays folders; the captures that differ must be exactly those left out.
async fn replay(profile: Profile, folders: &[&str]) {
    let mut replay = Replay::new(profile, KINDS).await;
    let mut played = 0;
    let mut differing = BTreeMap::new();
    for capture in captures(folders).iter().filter(|capture| capture.offered()) {
        for setup in SETUPS.iter().filter(|setup| setup.before == capture.name) {
            replay.set_up(setup).await;
        }
        played += 1;
        if let Err(difference) = replay.play(capture).await {
            differing.insert(capture.name.clone(), difference);
        }
    }
    only_left_out_differ(LEFT_OUT, folders, &differing, played);
    replay.server.stop().await;
}

#[tokio::test]
async fn answers_have_the_shape_of_captured_1_12_answers() {
    replay(Profile::Dify112, &["completion", "chat", "common", "load"]).await;
}

#[tokio::test]
async fn answers_have_the_shape_of_captured_0_15_answers() {
    replay(Profile::Dify015, &["v0153-completion", "v0153-chat"]).await;
}
