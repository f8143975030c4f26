//! Drafts of made-up recordings, read again by the scenario reader.

use super::*;
use crate::model::{AppMode, Body, Fault, FaultClass, Origin, Read, Reply, Request, Timing};
use crate::scenario::ast::{Action, Check, Data, Scenario};
use crate::scenario::parse;
use crate::scenario::template::{render_json, render_text};
use proptest::prelude::*;
use serde_json::{Value, json};

const ADA: &str = "ada@example.com";

fn uuid(n: u32) -> String {
    format!("0a1b2c3d-4a6f-4b3e-9a55-{n:012}")
}

struct Tape {
    transcript: Transcript,
    clock_us: u64,
}

impl Tape {
    fn new(mode: AppMode) -> Tape {
        let mut transcript = Transcript::new("http://dify.example/v1", 0);
        let label = mode.to_string();
        transcript.apps.push(App { label, mode: Some(mode), inputs: vec![], form_known: false, server_version: None });
        Tape { transcript, clock_us: 0 }
    }

    /// An exchange that took a second, two seconds after the one before.
    fn add(
        &mut self,
        method: &str,
        path: &str,
        body: Option<Value>,
        status: u16,
        media: &str,
        reply: &str,
    ) -> &mut Exchange {
        self.clock_us += 3_000_000;
        let app = self.transcript.apps[0].label.clone();
        let headers = vec![
            ("authorization".to_owned(), format!("Bearer [key:{app}]")),
            ("content-type".to_owned(), "application/json".to_owned()),
        ];
        let length = reply.len() as u64;
        self.transcript.exchanges.push(Exchange {
            id: self.transcript.exchanges.len() as u64 + 1,
            app,
            origin: Origin { scenario: "recorded".into(), ..Origin::default() },
            request: Request {
                method: method.into(),
                target: format!("/v1{path}"),
                headers,
                body: body.map(|b| Body::Text(b.to_string())),
            },
            reply: Some(Reply {
                http_version: "HTTP/1.1".into(),
                status,
                headers: vec![("content-type".into(), media.into())],
                body: Body::Text(reply.into()),
                body_bytes: length,
                reads: vec![Read { at_us: 500_000, upto: length }],
            }),
            fault: None,
            timing: Timing { sent_us: self.clock_us, end_us: 1_000_000, ..Timing::default() },
        });
        self.transcript.exchanges.last_mut().unwrap()
    }

    fn json(&mut self, method: &str, path: &str, body: Option<Value>, status: u16, reply: Value) {
        self.add(method, path, body, status, "application/json", &reply.to_string());
    }

    /// A turn that streams; gives its exchange.
    fn turn(&mut self, query: &str, conversation: &str, ids: (u32, u32, u32)) -> &mut Exchange {
        let (conv, message, task) = (uuid(ids.0), uuid(ids.1), uuid(ids.2));
        let event = |event: &str, answer: &str| {
            let event = json!({"event": event, "conversation_id": conv, "message_id": message, "task_id": task, "answer": answer});
            format!("data: {event}\n\n")
        };
        let stream = format!("{}{}{}", event("message", "Hel"), event("message", "lo"), event("message_end", ""));
        let body = json!({"inputs": {"name": "Ada"}, "query": query, "response_mode": "streaming",
            "conversation_id": conversation, "user": ADA, "auto_generate_name": false});
        self.add("POST", "/chat-messages", Some(body), 200, "text/event-stream", &stream)
    }

    fn drafts(&self) -> Drafts {
        drafts(&self.transcript, "Shop")
    }
}

/// The scenario of a file; its problems fail the test.
fn read(file: &DraftFile) -> Scenario {
    let all = |d: Vec<crate::scenario::Diagnostic>| crate::scenario::render_all(&d, &file.text, false);
    parse(&file.path, &file.text).unwrap_or_else(|d| panic!("{}\n{}", all(d), file.text))
}

fn only(drafts: &Drafts) -> (Scenario, &DraftFile) {
    assert_eq!(drafts.files.len(), 1, "{:?}", drafts.files);
    assert_eq!(drafts.notes, Vec::<String>::new());
    (read(&drafts.files[0]), &drafts.files[0])
}

fn rows(scenario: &Scenario) -> &[Value] {
    match scenario.data.first() {
        Some((_, Data::Rows { rows, .. })) => rows,
        _ => &[],
    }
}

#[test]
fn a_conversation_becomes_turns_with_captures_and_data() {
    let mut tape = Tape::new(AppMode::Chat);
    tape.turn("Hello", "", (1, 2, 3));
    tape.json(
        "GET",
        &format!("/messages?user=ada%40example.com&conversation_id={}&limit=5", uuid(1)),
        None,
        200,
        json!({"data": []}),
    );
    tape.turn("And again", &uuid(1), (1, 4, 5));
    tape.json(
        "POST",
        &format!("/messages/{}/feedbacks", uuid(4)),
        Some(json!({"rating": "like", "user": ADA})),
        200,
        json!({}),
    );
    tape.json(
        "GET",
        &format!("/messages/{}/suggested?user=ada%40example.com", uuid(4)),
        None,
        200,
        json!({"data": []}),
    );
    tape.json("DELETE", &format!("/conversations/{}", uuid(1)), Some(json!({"user": ADA})), 204, json!({}));
    let drafts = tape.drafts();
    let (scenario, file) = only(&drafts);
    assert_eq!((scenario.id.as_str(), file.path.as_str()), ("shop.chat.conversation-1", "chat/conversation-1.yaml"));
    assert_eq!(rows(&scenario), [json!({"query": "Hello", "name": "Ada", "query_2": "And again", "name_2": "Ada"})]);
    let ids: Vec<&str> = scenario.steps.iter().map(|s| s.id.as_str()).collect();
    assert_eq!(ids, ["turn", "history", "turn-2", "feedback", "suggested", "delete"]);
    assert_eq!(scenario.steps[0].capture, [("conversation".to_owned(), "$.conversation_id".to_owned())]);
    assert_eq!(scenario.steps[2].capture, [("message".to_owned(), "$.message_id".to_owned())]);
    let Action::Chat(turn) = &scenario.steps[2].action else { panic!("{file:?}") };
    assert_eq!(turn.conversation, Some(json!("${{ conversation }}")));
    assert!(matches!(&scenario.steps[4].action, Action::Request(raw)
        if raw.path == "/messages/${{ message }}/suggested?user=${{ user }}"));
    assert!(
        matches!(&scenario.steps[5].action, Action::Delete { conversation } if conversation == "${{ conversation }}")
    );
    assert!(
        scenario.steps[2]
            .expect
            .iter()
            .any(|e| matches!(&e.check, Check::Json { at, .. } if at == "$.conversation_id"))
    );
    assert!(scenario.steps[0].think.is_some(), "two seconds passed");
    assert!(
        !file.text.contains("ada@") && !file.text.contains("0a1b2c3d") && !file.text.contains("[key:"),
        "{}",
        file.text
    );
}

#[test]
fn flows_that_differ_in_what_was_said_are_rows_of_one_scenario() {
    let mut tape = Tape::new(AppMode::Chat);
    for (n, query) in ["One", "Two", "One"].into_iter().enumerate() {
        let n = n as u32 * 10;
        tape.turn(query, "", (n + 1, n + 2, n + 3));
    }
    let drafts = tape.drafts();
    let (scenario, file) = only(&drafts);
    assert_eq!(rows(&scenario), [json!({"query": "One", "name": "Ada"}), json!({"query": "Two", "name": "Ada"})]);
    assert!(file.title.ends_with("recorded 3 times"), "{}", file.title);
}

#[test]
fn a_stop_stands_inside_its_turn_and_a_hang_up_is_one() {
    let mut tape = Tape::new(AppMode::Chat);
    tape.turn("Stop me", "", (1, 2, 3)).timing.end_us = 5_000_000;
    let sent = tape.clock_us + 1_000_000;
    tape.json(
        "POST",
        &format!("/chat-messages/{}/stop", uuid(3)),
        Some(json!({"user": ADA})),
        200,
        json!({"result": "success"}),
    );
    tape.transcript.exchanges[1].timing.sent_us = sent;
    tape.clock_us += 9_000_000;
    let left = tape.turn("Leave me", "", (11, 12, 13));
    let reply = left.reply.as_mut().unwrap();
    let kept = reply.body.text().unwrap().split("\n\n").next().unwrap().to_owned() + "\n\n";
    reply.body = Body::Text(kept);
    left.fault = Some(Fault { class: FaultClass::Cancelled, detail: "the program hung up".into() });
    let drafts = tape.drafts();
    assert_eq!(drafts.files.len(), 2, "{drafts:?}");
    let (stopped, left) = (read(&drafts.files[0]), read(&drafts.files[1]));
    let Action::Chat(turn) = &stopped.steps[0].action else { panic!() };
    let during = turn.during.as_ref().expect("the stop");
    assert!(matches!(&during.steps[0].action, Action::Stop { task } if task == "${{ task }}"));
    assert_eq!(stopped.steps[0].capture, [("task".to_owned(), "$.task_id".to_owned())]);
    let Action::Chat(turn) = &left.steps[0].action else { panic!() };
    assert_eq!(turn.hang_up_after, Some(1));
}

#[test]
fn an_upload_stands_before_the_turn_that_uses_it() {
    let mut tape = Tape::new(AppMode::Chat);
    let form = "--B\r\nContent-Disposition: form-data; name=\"user\"\r\n\r\nada@example.com\r\n--B\r\nContent-Disposition: \
                form-data; name=\"file\"; filename=\"a.txt\"\r\nContent-Type: text/plain\r\n\r\nsome ${{ text }}\r\n--B--\r\n";
    let reply = json!({"id": uuid(9), "name": "a.txt"}).to_string();
    let upload = tape.add("POST", "/files/upload", None, 201, "application/json", &reply);
    upload.request.headers[1].1 = "multipart/form-data; boundary=B".to_owned();
    upload.request.body = Some(Body::Text(form.to_owned()));
    let turn = tape.turn("What is this?", "", (1, 2, 3));
    let mut body: Value = serde_json::from_str(turn.request.body.as_ref().unwrap().text().unwrap()).unwrap();
    body["files"] = json!([{"type": "document", "transfer_method": "local_file", "upload_file_id": uuid(9)},
        {"type": "document", "transfer_method": "local_file", "upload_file_id": uuid(99)}]);
    turn.request.body = Some(Body::Text(body.to_string()));
    let drafts = tape.drafts();
    let (scenario, file) = only(&drafts);
    assert_eq!(scenario.steps[0].capture, [("file".to_owned(), "$.id".to_owned())]);
    let row = render_json(&rows(&scenario)[0], &json!({})).unwrap();
    assert_eq!(row["file_text"], "some ${{ text }}");
    let Action::Chat(turn) = &scenario.steps[1].action else { panic!() };
    assert_eq!(
        turn.with[0].1,
        json!([{"type": "document", "transfer_method": "local_file", "upload_file_id": "${{ file }}"}])
    );
    assert!(file.text.contains("# A file is left out"), "{}", file.text);
}

#[test]
fn what_cannot_be_said_is_a_comment_and_old_conversations_begin_anew() {
    let mut tape = Tape::new(AppMode::Chat);
    tape.json(
        "GET",
        &format!("/messages?user=ada%40example.com&conversation_id={}", uuid(7)),
        None,
        200,
        json!({"data": []}),
    );
    tape.turn("Go on", &uuid(7), (7, 8, 9));
    tape.add("GET", "/elsewhere", None, 200, "text/html", "<p>").request.target = "/logo.png".into();
    tape.json("GET", "/info", None, 200, json!({"name": "x"}));
    tape.json("GET", "/info", None, 200, json!({"name": "x"}));
    let drafts = tape.drafts();
    assert_eq!(drafts.files.len(), 2, "{drafts:?}");
    let (turns, rest) = (&drafts.files[0], &drafts.files[1]);
    assert!(turns.text.contains("# Left out: GET /v1/messages"), "{}", turns.text);
    assert!(turns.text.contains("# The conversation began before the recording"), "{}", turns.text);
    assert!(rest.text.contains("# Left out: GET /logo.png"), "{}", rest.text);
    assert_eq!((read(turns).steps.len(), read(rest).steps.len()), (1, 1), "two reads alike are one");
}

#[test]
fn completions_and_runs_are_scenarios_of_their_own() {
    let mut tape = Tape::new(AppMode::Completion);
    for text in ["a", "b"] {
        let body = json!({"inputs": {"text": text, "n": 3}, "response_mode": "blocking", "user": ADA});
        tape.json("POST", "/completion-messages", Some(body), 200, json!({"message_id": uuid(1), "answer": text}));
    }
    let refused = json!({"inputs": {}, "response_mode": "blocking", "user": ADA});
    tape.json("POST", "/completion-messages", Some(refused), 400, json!({"code": "invalid_param", "status": 400}));
    let drafts = tape.drafts();
    let scenarios: Vec<Scenario> = drafts.files.iter().map(read).collect();
    assert_eq!(scenarios.len(), 2, "{drafts:?}");
    assert_eq!(rows(&scenarios[0]), [json!({"text": "a", "n": 3}), json!({"text": "b", "n": 3})]);
    assert!(drafts.files[1].text.contains("invalid_param"));
}

#[test]
fn requests_without_a_known_key_are_told_and_not_written() {
    let mut tape = Tape::new(AppMode::Chat);
    tape.json("GET", "/info", None, 401, json!({"code": "unauthorized"}));
    tape.transcript.exchanges[0].request.headers.remove(0);
    let drafts = tape.drafts();
    assert!(drafts.files.is_empty() && drafts.notes[0].starts_with("1 requests without a key"), "{drafts:?}");
}

#[test]
fn very_long_texts_are_shortened_so_that_the_file_can_be_read() {
    let mut tape = Tape::new(AppMode::Chat);
    tape.turn(&"x${{ y }} ".repeat(200_000), "", (1, 2, 3));
    let drafts = tape.drafts();
    let (_, file) = only(&drafts);
    assert!(file.text.len() < 20_000 && file.text.contains("is shortened"), "{}", file.text.len());
}

/// Texts that are hard to write down.
fn text() -> impl Strategy<Value = String> {
    let odd = prop::sample::select(vec![
        "${{",
        "$${{ x }}",
        "}}",
        "\n",
        "\n\n",
        " ",
        "\t",
        "\r\n",
        "\"",
        "'",
        "\\",
        "\\n",
        "#",
        ": ",
        "- ",
        "|",
        ">",
        "%",
        "\u{0}",
        "\u{7f}",
        "\u{85}",
        "\u{feff}",
        "\u{2028}",
        "\u{202e}",
        "😀",
        "漢字",
        "---",
        "...",
        "null",
        "0x1f",
        "$",
        "~",
    ]);
    prop::collection::vec(
        prop_oneof![odd.prop_map(str::to_owned), ".{0,8}", any::<char>().prop_map(String::from)],
        0..12,
    )
    .prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn any_recorded_text_survives_writing_and_reading(query in text(), name in text(), value in text()) {
        let mut tape = Tape::new(AppMode::Chat);
        let turn = tape.turn("x", "", (1, 2, 3));
        let mut body: Value = serde_json::from_str(turn.request.body.as_ref().unwrap().text().unwrap()).unwrap();
        body["query"] = json!(query);
        body["inputs"] = json!({ name.clone(): value, "deep": [{ name.clone(): [value, 1.5, null] }] });
        turn.request.body = Some(Body::Text(body.to_string()));
        let drafts = tape.drafts();
        prop_assert_eq!(drafts.files.len(), 1);
        let scenario = read(&drafts.files[0]);
        let said = rows(&scenario).first().map(|row| render_json(row, &json!({"user": "U"})).unwrap());
        let scope = json!({"said": said, "user": "U"});
        match &scenario.steps[0].action {
            Action::Chat(turn) => {
                prop_assert_eq!(render_json(turn.query.as_ref().unwrap(), &scope).unwrap(), json!(query));
                let inputs: serde_json::Map<String, Value> = turn.inputs.iter()
                    .map(|(name, value)| (render_text(name, &scope).unwrap(), render_json(value, &scope).unwrap()))
                    .collect();
                prop_assert_eq!(Value::Object(inputs), body["inputs"].clone());
            }
            // bodies that the documentation does not allow, or that are hard to write, are spelled out
            Action::Request(raw) => {
                let sent = match raw.body.as_ref().unwrap() {
                    crate::scenario::ast::RawBody::Json(json) => render_json(json, &scope).unwrap(),
                    crate::scenario::ast::RawBody::Text(text) => serde_json::from_str(&render_text(text, &scope).unwrap()).unwrap(),
                };
                prop_assert_eq!(&sent["query"], &body["query"]);
                prop_assert_eq!(&sent["inputs"], &body["inputs"]);
            }
            other => prop_assert!(false, "{other:?}"),
        }
    }
}
