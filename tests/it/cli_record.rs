//! `record` as a user runs it: in front of a served emulator, with reqwest as the program.

use crate::cli_support::*;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// A recording of a served emulator.
struct Session {
    place: Place,
    served: Value,
    serving: Running,
    recording: Running,
    base_url: String,
    client: reqwest::Client,
    runtime: tokio::runtime::Runtime,
}

impl Session {
    fn start(serve: &[&str], record: &[&str]) -> Session {
        let place = Place::new();
        let (serving, served) = place.serve(serve);
        let server = served["base_url"].as_str().expect("a URL").to_owned();
        let args = ["--base-url", server.as_str(), "--out", "out", "--name", "shop"];
        let args: Vec<&str> = args.iter().chain(record).copied().collect();
        let (recording, said) = place.announced("record", &args);
        let base_url = said["base_url"].as_str().expect("a URL").to_owned();
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        Session { place, served, serving, recording, base_url, client: reqwest::Client::new(), runtime }
    }

    fn key(&self, app: &str) -> &str {
        self.served["apps"][app].as_str().unwrap_or_else(|| panic!("{app} in {}", self.served))
    }

    /// Sends a request through the proxy; gives status and body.
    fn send(&self, app: &str, method: &str, path: &str, body: Option<Value>) -> (u16, String) {
        let url = format!("{}{path}", self.base_url);
        let mut request = self.client.request(method.parse().expect("a method"), url).bearer_auth(self.key(app));
        if let Some(body) = body {
            request = request.json(&body);
        }
        self.runtime.block_on(async {
            let answer = request.send().await.expect("an answer");
            (answer.status().as_u16(), answer.text().await.expect("text"))
        })
    }

    fn upload(&self, app: &str) -> String {
        let form = "--B\r\nContent-Disposition: form-data; name=\"user\"\r\n\r\nada@example.com\r\n--B\r\nContent-Disposition: \
                    form-data; name=\"file\"; filename=\"note.txt\"\r\nContent-Type: text/plain\r\n\r\nhello file\r\n--B--\r\n";
        let request = self.client.post(format!("{}/files/upload", self.base_url)).bearer_auth(self.key(app));
        let request = request.header("Content-Type", "multipart/form-data; boundary=B").body(form);
        let text = self.runtime.block_on(async { request.send().await.expect("an answer").text().await });
        member(&text.expect("text"), "id")
    }

    /// Ends the recording with Ctrl-C.
    fn end(self) -> Recorded {
        self.recording.signal("INT");
        let Session { place, served, serving, recording, .. } = self;
        let ran = recording.wait().exits(0);
        Recorded { place, served, _serving: serving, ran }
    }
}

struct Recorded {
    place: Place,
    served: Value,
    _serving: Running,
    ran: Ran,
}

impl Recorded {
    fn app_flags(&self, apps: &[&str]) -> Vec<String> {
        let url = self.served["base_url"].as_str().expect("a URL").to_owned();
        let flag = |app: &&str| format!("--app={app}={}", self.served["apps"][app].as_str().expect("a key"));
        ["--base-url".to_owned(), url].into_iter().chain(apps.iter().map(flag)).collect()
    }

    /// Every key is absent from every byte of every file.
    fn has_no_secret(&self) {
        let files = self.place.files();
        assert!(files.iter().any(|(path, _)| path.ends_with("shop.transcript.json")), "{files:?}");
        for (path, bytes) in &files {
            for key in self.served["apps"].as_object().expect("apps").values().filter_map(Value::as_str) {
                assert!(!bytes.windows(key.len()).any(|w| w == key.as_bytes()), "a key is in {}", path.display());
            }
            let scenario = path.extension().is_some_and(|e| e == "yaml");
            assert!(!scenario || !String::from_utf8_lossy(bytes).contains("ada@example.com"), "{}", path.display());
        }
    }
}

/// A member of a JSON body, or of the first event of a stream that has it.
fn member(body: &str, name: &str) -> String {
    let lines = body.lines().map(|line| line.strip_prefix("data: ").unwrap_or(line));
    let mut values = lines.filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let found = values.find_map(|value| value[name].as_str().map(str::to_owned));
    found.unwrap_or_else(|| panic!("{name} in {body}"))
}

fn turn(query: &str, conversation: &str, mode: &str) -> Option<Value> {
    Some(json!({"inputs": {"name": "Ada"}, "query": query, "response_mode": mode, "conversation_id": conversation,
        "user": "ada@example.com"}))
}

const CHATS: [&str; 4] = ["chat", "agent-chat", "agent", "advanced-chat"];

/// What programs do with apps of every mode.
fn use_every_app(session: &Session) {
    for app in CHATS {
        let can_block = !app.starts_with("agent");
        let (status, first) =
            session.send(app, "POST", "/chat-messages", turn("Say \"hi\": ${{ no }}\nagain", "", "streaming"));
        assert_eq!(status, 200, "{app}: {first}");
        let conversation = member(&first, "conversation_id");
        let mode = if can_block { "blocking" } else { "streaming" };
        let (status, second) = session.send(app, "POST", "/chat-messages", turn("And now?", &conversation, mode));
        assert_eq!(status, 200, "{app}: {second}");
        let message = member(&second, "message_id");
        let rating = Some(json!({"rating": "like", "user": "ada@example.com"}));
        session.send(app, "POST", &format!("/messages/{message}/feedbacks"), rating);
        let path = format!("/messages?user=ada%40example.com&conversation_id={conversation}&limit=20");
        assert_eq!(session.send(app, "GET", &path, None).0, 200);
        session.send(app, "GET", "/conversations?user=ada%40example.com&limit=5", None);
        session.send(app, "GET", "/parameters", None);
    }
    let file = session.upload("chat");
    let mut with_file = turn("What is in it?", "", "streaming").expect("a body");
    with_file["files"] = json!([{"type": "document", "transfer_method": "local_file", "upload_file_id": file}]);
    session.send("chat", "POST", "/chat-messages", Some(with_file));
    for text in ["one", "two"] {
        let completion =
            json!({"inputs": {"text": text, "query": text}, "response_mode": "streaming", "user": "ada@example.com"});
        session.send("completion", "POST", "/completion-messages", Some(completion));
        let run =
            json!({"inputs": {"text": text, "query": text}, "response_mode": "streaming", "user": "ada@example.com"});
        session.send("workflow", "POST", "/workflows/run", Some(run));
    }
}

#[test]
fn traffic_of_every_mode_is_clean_to_the_judge_and_runs_again_as_scenarios() {
    let session = Session::start(&[], &[]);
    use_every_app(&session);
    let recorded = session.end();
    recorded.has_no_secret();
    let place = &recorded.place;
    place.run(&["judge", "out/shop.transcript.json"]).exits(0);
    place.run(&["lint", "out/shop"]).exits(0);
    let apps = ["chat", "agent-chat", "agent", "advanced-chat", "completion", "workflow"];
    let ran = place.run(&with(&["check", "out/shop"], &recorded.app_flags(&apps)));
    let ran = ran.exits(0);
    assert!(!ran.stdout.is_empty());
    let chat = std::fs::read_to_string(place.path().join("out/shop/chat/conversation-1.yaml")).expect("a scenario");
    for part in ["capture:", "conversation: \"$.conversation_id\"", "$${{ no }}", "${{ conversation }}"] {
        assert!(chat.contains(part), "{part} in\n{chat}");
    }
    let completion = std::fs::read_to_string(place.path().join("out/shop/completion/completion-1.yaml")).expect("one");
    assert!(completion.contains("\"one\"") && completion.contains("\"two\""), "folded into rows:\n{completion}");
    assert!(recorded.ran.flat().contains("exchanges recorded in"), "{}", recorded.ran.stderr);
    // the same scenarios of the saved transcript
    place.run(&["record", "--from", "out/shop.transcript.json", "--out", "again", "--name", "shop"]).exits(0);
    let again = std::fs::read_to_string(place.path().join("again/shop/chat/conversation-1.yaml")).expect("a scenario");
    assert_eq!(again, chat);
    // and as load: that all was sent and held, or that this machine was too busy to tell
    let flags = recorded.app_flags(&["chat"]);
    let load = with(&["load", "out/shop/chat/conversation-1.yaml", "--users", "1", "--duration", "1s"], &flags);
    let ran = place.run(&load);
    assert!(matches!(ran.code, 0 | 4), "{}\n{}", ran.stdout, ran.stderr);
}

#[test]
fn a_fault_of_the_server_is_found_in_what_was_recorded() {
    let session = Session::start(&["--mutant", "conversations.rename/old-name"], &[]);
    let (_, first) = session.send("chat", "POST", "/chat-messages", turn("One", "", "streaming"));
    let conversation = member(&first, "conversation_id");
    let named = Some(json!({"name": "Mine", "user": "ada@example.com"}));
    session.send("chat", "POST", &format!("/conversations/{conversation}/name"), named);
    let recorded = session.end();
    recorded.place.run(&["judge", "out/shop.transcript.json"]).exits(1).says(&["FAIL conversations.rename"]);
    recorded.place.run(&["lint", "out/shop"]).exits(0);
}

#[test]
fn two_keys_are_two_apps_and_a_bound_ends_the_recording() {
    let session = Session::start(&[], &["--max-exchanges", "2"]);
    session.send("chat", "GET", "/info", None);
    session.send("completion", "GET", "/info", None);
    let Session { place, recording, served, serving, .. } = session;
    let ran = recording.wait().exits(0);
    let recorded = Recorded { place, served, _serving: serving, ran };
    recorded.has_no_secret();
    let bytes = std::fs::read(recorded.place.path().join("out/shop.transcript.json")).expect("the transcript");
    let transcript: Value = serde_json::from_slice(&bytes).expect("JSON");
    let apps = transcript["apps"].as_array().expect("apps");
    let labels: BTreeSet<&str> = apps.iter().filter_map(|app| app["label"].as_str()).collect();
    assert_eq!(labels, BTreeSet::from(["chat", "completion"]));
    for app in ["chat", "completion"] {
        assert!(recorded.place.path().join(format!("out/shop/{app}/requests-1.yaml")).exists());
    }
    // nothing is written over
    let url = recorded.served["base_url"].as_str().expect("a URL");
    let again = ["record", "--base-url", url, "--out", "out", "--name", "shop"];
    recorded.place.run(&again).exits(2).says(&["is there already", "--name"]);
}

#[test]
fn a_recording_of_nothing_is_not_green_and_leaves_nothing() {
    let place = Place::new();
    let args = ["--base-url", "http://127.0.0.1:9/v1", "--out", "out", "--duration", "50ms"];
    let (recording, _) = place.announced("record", &args);
    recording.wait().exits(3).says(&["nothing was recorded"]);
    assert!(place.files().is_empty(), "{:?}", place.files());
    place.run(&["record"]).exits(2).says(&["--base-url"]);
    place.run(&["record", "--base-url", "dify/v1"]).exits(2).says(&["write http://"]);
    place.run(&["record", "--base-url", "http://h/v1", "--name", "a/b"]).exits(2).says(&["--name"]);
    place.run(&["record", "--from", "nowhere.json"]).exits(2).says(&["nowhere.json"]);
}
