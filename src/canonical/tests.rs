//! Whole exchanges: what must not change a canonical text, and what must.

use super::*;
use crate::model::{Body, Fault, FaultClass, Origin, Reply, Request, Timing};

/// What differs between two recordings of the same thing.
struct Run {
    conversation: &'static str,
    message: &'static str,
    task: &'static str,
    user: &'static str,
    at: u64,
    port: u16,
}

const FIRST: Run = Run {
    conversation: "fd853225-a19d-4ecc-aa8e-d85ed0a21a45",
    message: "bb78de22-d2e1-4753-8f8f-ea4969244f5a",
    task: "2c855157-77d2-4eac-8fed-0ebd7c1811f6",
    user: "probe-k3f9-1",
    at: 1_795_423_930,
    port: 40001,
};

const SECOND: Run = Run {
    conversation: "16af03de-8ff5-4346-91ea-6f790962c846",
    message: "525e8f06-1729-44d0-b2bc-a27c66baa81e",
    task: "6af1419c-fef8-42ca-bc02-20c28c702e42",
    user: "probe-0abc-1",
    at: 1_800_000_001,
    port: 51234,
};

impl Run {
    /// Replaces the places of a template by this run's values.
    fn fill(&self, template: &str) -> String {
        template
            .replace("CONV", self.conversation)
            .replace("MSG", self.message)
            .replace("TASK", self.task)
            .replace("USER", self.user)
            .replace("TIME", &self.at.to_string())
            .replace("PORT", &self.port.to_string())
    }
}

const BLOCKING: &str = r#"{"event": "message", "task_id": "TASK", "id": "MSG", "message_id": "MSG", "conversation_id": "CONV",
 "mode": "chat", "answer": "echo of USER in CONV", "metadata": {"usage": {"prompt_tokens": 10, "total_price": "0.00003",
 "currency": "USD", "latency": 1.04}}, "created_at": TIME}"#;

const HISTORY: &str = r#"{"limit": 20, "has_more": false, "data": [{"id": "MSG", "conversation_id": "CONV", "query": "hello",
 "inputs": {"name": "Alice"}, "answer": "x", "created_at": TIME, "message_files": [{"id": "TASK",
 "url": "http://127.0.0.1:PORT/files/TASK/p?timestamp=TIME&nonce=1a&sign=zz"}]}]}"#;

fn exchange(method: &str, target: &str, body: Option<&str>, reply: &str) -> Exchange {
    let headers = vec![
        ("Authorization".to_owned(), "Bearer [key:chat]".to_owned()),
        ("Content-Type".to_owned(), "application/json".to_owned()),
    ];
    let body = body.map(|b| Body::Text(b.to_owned()));
    Exchange {
        id: 1,
        app: "chat".to_owned(),
        origin: Origin::default(),
        request: Request { method: method.to_owned(), target: target.to_owned(), headers, body },
        reply: Some(reply_of("application/json", reply)),
        fault: None,
        timing: Timing::default(),
    }
}

fn reply_of(content_type: &str, body: &str) -> Reply {
    Reply {
        http_version: "HTTP/1.1".to_owned(),
        status: 200,
        headers: vec![
            ("Date".to_owned(), "Mon, 23 Nov 2026 08:52:11 GMT".to_owned()),
            ("Content-Type".to_owned(), content_type.to_owned()),
        ],
        body: Body::Text(body.to_owned()),
        body_bytes: body.len() as u64,
        reads: Vec::new(),
    }
}

fn render(canon: &mut Canon, exchange: &Exchange) -> String {
    let route = Route::of(&exchange.request.method, &exchange.request.target, "/v1");
    canon.canonical(exchange, &route)
}

/// A turn, then its history, as one scenario run.
fn scenario(run: &Run, blocking: &str, history: &str) -> String {
    let mut canon = Canon::new(Options::default());
    let turn = run.fill(r#"{"user": "USER", "query": "hello", "inputs": {}, "conversation_id": ""}"#);
    let turn = exchange("POST", "/v1/chat-messages", Some(&turn), &run.fill(blocking));
    let read = run.fill("/v1/messages?user=USER&conversation_id=CONV&limit=20");
    let read = exchange("GET", &read, None, &run.fill(history));
    format!("{}\n=====\n{}", render(&mut canon, &turn), render(&mut canon, &read))
}

#[test]
fn two_runs_of_a_scenario_have_the_same_text() {
    assert_eq!(scenario(&FIRST, BLOCKING, HISTORY), scenario(&SECOND, BLOCKING, HISTORY));
}

#[test]
fn the_text_reads_from_the_request_line_to_the_body_of_the_reply() {
    let text = scenario(&FIRST, BLOCKING, HISTORY);
    let (turn, history) = text.split_once("=====\n").unwrap();
    assert_eq!(
        turn,
        r#"POST /chat-messages
authorization: Bearer [key:chat]
content-type: application/json

{
  "conversation_id": "",
  "inputs": {},
  "query": "hello",
  "user": "user-1"
}

-> 200
content-type: application/json

{
  "answer": "echo of user-1 in conv-1",
  "conversation_id": "conv-1",
  "created_at": [unix-seconds],
  "event": "message",
  "id": "msg-1",
  "message_id": "msg-1",
  "metadata": {
    "usage": {
      "currency": "USD",
      "latency": [seconds],
      "prompt_tokens": [int],
      "total_price": [decimal-string]
    }
  },
  "mode": "chat",
  "task_id": "task-1"
}

"#
    );
    assert!(history.starts_with("GET /messages?user=user-1&conversation_id=conv-1&limit=20\n"), "{history}");
    assert!(history.contains("[server]/files/task-1/p?timestamp=[..]&nonce=[..]&sign=[..]"), "{history}");
}

#[test]
fn a_change_that_a_client_could_see_changes_the_text() {
    let text = scenario(&FIRST, BLOCKING, HISTORY);
    let changes = [
        ("a type", BLOCKING.replace("\"created_at\": TIME", "\"created_at\": \"TIME\"")),
        ("milliseconds", BLOCKING.replace("TIME}", "TIME000}")),
        ("a price as number", BLOCKING.replace("\"0.00003\"", "0.00003")),
        ("an extra member", BLOCKING.replace("\"mode\"", "\"extra\": null, \"mode\"")),
        ("a missing member", BLOCKING.replace("\"mode\": \"chat\",", "")),
        ("another id in one place", BLOCKING.replace("\"id\": \"MSG\"", "\"id\": \"TASK\"")),
        (
            "an id in upper case",
            BLOCKING.replace("\"id\": \"MSG\"", "\"id\": \"BB78DE22-D2E1-4753-8F8F-EA4969244F5A\""),
        ),
        ("an id that is none", BLOCKING.replace("\"task_id\": \"TASK\"", "\"task_id\": \"t-17\"")),
        ("a text", BLOCKING.replace("echo of", "echo by")),
    ];
    for (what, changed) in changes {
        assert_ne!(changed, BLOCKING, "{what} is not in the template");
        assert_ne!(scenario(&FIRST, &changed, HISTORY), text, "{what} went unseen");
    }
    let other = HISTORY.replace("\"conversation_id\": \"CONV\"", "\"conversation_id\": \"TASK\"");
    assert_ne!(scenario(&FIRST, BLOCKING, &other), text, "another conversation went unseen");
}

#[test]
fn the_order_of_members_changes_nothing() {
    let moved = BLOCKING.replace("\"mode\": \"chat\",", "").replace("{\"event\"", "{\"mode\": \"chat\", \"event\"");
    assert_ne!(moved, BLOCKING);
    assert_eq!(scenario(&FIRST, &moved, HISTORY), scenario(&FIRST, BLOCKING, HISTORY));
}

#[test]
fn an_id_that_is_no_uuid_is_the_same_in_two_runs_and_says_so() {
    let own = |id: &str| BLOCKING.replace("\"task_id\": \"TASK\"", &format!("\"task_id\": \"{id}\""));
    let text = scenario(&FIRST, &own("t-17"), HISTORY);
    assert!(text.contains("\"task_id\": task-1[NOT A UUID, 4 characters]"), "{text}");
    assert_eq!(text, scenario(&SECOND, &own("t-42"), HISTORY));
}

#[test]
fn headers_that_clients_act_on_count_and_others_do_not() {
    let mut turn = exchange("GET", "/v1/info", None, "{}");
    let text = |e: &Exchange| render(&mut Canon::new(Options::default()), e);
    let before = text(&turn);
    let reply = turn.reply.as_mut().unwrap();
    reply.headers.push(("X-Version".to_owned(), "1.12.1".to_owned()));
    assert_eq!(text(&turn), before);
    let reply = turn.reply.as_mut().unwrap();
    reply.headers.push(("WWW-Authenticate".to_owned(), "Bearer realm=\"api\"".to_owned()));
    assert!(text(&turn).contains("www-authenticate: Bearer realm=\"api\"\n"));
}

#[test]
fn faults_and_missing_replies_are_shown_without_the_words_of_the_system() {
    let mut cut = exchange("GET", "/v1/info", None, "{\"a\": ");
    cut.fault = Some(Fault { class: FaultClass::Truncated, detail: "os error 104".to_owned() });
    let text = render(&mut Canon::new(Options::default()), &cut);
    assert!(text.ends_with("\n(not JSON, under 1 kB)\n{\"a\": \n\nfault: truncated\n"), "{text}");
    cut.reply = None;
    let text = render(&mut Canon::new(Options::default()), &cut);
    assert!(text.ends_with("\nno response\n\nfault: truncated\n"), "{text}");
}

#[test]
fn other_bodies_show_their_class_and_first_line() {
    let mut page = exchange("GET", "/v1/nowhere", None, "");
    page.reply = Some(reply_of("text/html", "<!doctype html>\n<html>lots of markup</html>"));
    let text = render(&mut Canon::new(Options::default()), &page);
    assert!(text.ends_with("\n(text/html, under 1 kB)\n<!doctype html>\n"), "{text}");
    page.reply = Some(Reply { status: 204, ..reply_of("application/json", "") });
    let text = render(&mut Canon::new(Options::default()), &page);
    assert!(text.ends_with("-> 204\ncontent-type: application/json\n\n(empty body)\n"), "{text}");
}

#[test]
fn requests_keep_what_the_scenario_broke_on_purpose() {
    let mut canon = Canon::new(Options::default());
    let broken = exchange("POST", "/v1/chat-messages", Some("{\"query\": "), "{}");
    assert!(render(&mut canon, &broken).contains("\n{\"query\":\n\n-> 200"));
    let wrong = exchange("GET", "/v1/messages?conversation_id=not-a-uuid&limit=a%26b&user=%20", None, "{}");
    let text = render(&mut canon, &wrong);
    assert!(text.starts_with("GET /messages?conversation_id=not-a-uuid&limit=a%26b&user=%20\n"), "{text}");
}

#[test]
fn the_base_path_of_a_known_operation_does_not_count() {
    let at = |base: &str| {
        let target = format!("{base}/conversations/{}/name", FIRST.conversation);
        let rename = exchange("POST", &target, Some("{}"), "{}");
        let route = Route::of("POST", &target, base);
        Canon::new(Options::default()).canonical(&rename, &route)
    };
    assert!(at("/v1").starts_with("POST /conversations/conv-1/name\n"));
    assert_eq!(at("/v1"), at("/gateway/dify/v1"));
}

#[test]
fn keys_in_bodies_do_not_get_through() {
    let leak = exchange("GET", "/v1/info", None, r#"{"key": "app-0123456789abcdefghijklmn"}"#);
    let text = render(&mut Canon::new(Options::default()), &leak);
    assert!(text.contains("\"key\": \"[redacted key]\"") && !text.contains("0123456789abcdef"), "{text}");
}

#[test]
fn texts_of_a_model_are_shown_as_the_options_say() {
    let shown = |answer: &str, text: Text| {
        let turn = exchange("POST", "/v1/chat-messages", Some("{}"), &format!("{{\"answer\": {answer}}}"));
        render(&mut Canon::new(Options { text, ..Options::default() }), &turn)
    };
    assert_ne!(shown("\"a\"", Text::Exact), shown("\"b\"", Text::Exact));
    assert_eq!(shown("\"a\"", Text::Shape), shown("\"b\"", Text::Shape));
    assert_ne!(shown("\"a\"", Text::Shape), shown("\"\"", Text::Shape));
    assert_ne!(shown("\"a\"", Text::Shape), shown("null", Text::Shape));
    assert_eq!(shown("\"a\"", Text::Ignored), shown("null", Text::Ignored));
}

const STREAM: &str = "event: ping\n\ndata: {\"event\":\"message\",\"conversation_id\":\"CONV\",\"message_id\":\"MSG\",\
\"task_id\":\"TASK\",\"id\":\"MSG\",\"created_at\":TIME,\"answer\":\"hel\"}\n\n\
data: {\"event\":\"message\",\"conversation_id\":\"CONV\",\"message_id\":\"MSG\",\
\"task_id\":\"TASK\",\"id\":\"MSG\",\"created_at\":TIME,\"answer\":\"lo USER\"}\n\n\
data: {\"event\":\"message_end\",\"conversation_id\":\"CONV\",\"message_id\":\"MSG\",\"task_id\":\"TASK\",\"id\":\"MSG\",\
\"created_at\":TIME,\"metadata\":{\"usage\":{\"latency\":0.5}}}\n\n";

fn streamed(run: &Run, template: &str) -> String {
    let body = run.fill(r#"{"user": "USER", "query": "hello", "response_mode": "streaming"}"#);
    let mut turn = exchange("POST", "/v1/chat-messages", Some(&body), "");
    turn.reply = Some(reply_of("text/event-stream; charset=utf-8", &run.fill(template)));
    render(&mut Canon::new(Options::default()), &turn)
}

#[test]
fn two_recordings_of_a_stream_have_the_same_text_whenever_pings_come() {
    let text = streamed(&FIRST, STREAM);
    let late_ping = STREAM.replace("event: ping\n\n", "") + "event: ping\n\n";
    assert_eq!(text, streamed(&SECOND, &late_ping));
    let (_, reply) = text.split_once("-> 200\n").unwrap();
    assert_eq!(
        reply,
        r#"content-type: text/event-stream; charset=utf-8

event message x2
{
  "answer": [delta],
  "conversation_id": "conv-1",
  "created_at": [unix-seconds],
  "event": "message",
  "id": "msg-1",
  "message_id": "msg-1",
  "task_id": "task-1"
}
event message_end
{
  "conversation_id": "conv-1",
  "created_at": [unix-seconds],
  "event": "message_end",
  "id": "msg-1",
  "message_id": "msg-1",
  "metadata": {
    "usage": {
      "latency": [seconds]
    }
  },
  "task_id": "task-1"
}

answer:
  |hello user-1|
"#
    );
}

#[test]
fn changes_inside_a_stream_change_the_text() {
    let text = streamed(&FIRST, STREAM);
    let last = STREAM.rfind("data: ").unwrap();
    let middle = STREAM.find("data: ").unwrap();
    let swapped = format!("{}{}", &STREAM[last..], &STREAM[middle..last]);
    let changes = [
        ("the order", swapped),
        ("a missing end", STREAM[..last].to_owned()),
        ("an event more", STREAM.to_owned() + "data: {\"event\":\"tts_message_end\",\"audio\":\"\"}\n\n"),
        ("a type in one piece", STREAM.replacen("\"created_at\":TIME", "\"created_at\":\"TIME\"", 1)),
        ("another id in one piece", STREAM.replacen("\"task_id\":\"TASK\"", "\"task_id\":\"CONV\"", 1)),
        ("the answer", STREAM.replace("hel\"", "hal\"")),
        ("a cut block", STREAM.trim_end().to_owned()),
    ];
    for (what, changed) in changes {
        assert_ne!(streamed(&FIRST, &changed), text, "{what} went unseen");
    }
}

#[test]
fn a_short_user_name_is_replaced_only_where_a_user_stands() {
    let reply = r#"{"tool": "u", "session_id": "u", "created_by": {"user": "u"}}"#;
    let turn =
        exchange("POST", "/v1/chat-messages?user=u&q=u", Some(r#"{"user": "u", "inputs": {"user": "u"}}"#), reply);
    let text = render(&mut Canon::new(Options::default()), &turn);
    assert!(text.starts_with("POST /chat-messages?user=user-1&q=u\n"), "{text}");
    assert_eq!(text.matches("\"user-1\"").count(), 3, "{text}");
    assert_eq!(text.matches("\"u\"").count(), 2, "{text}");
}

#[test]
fn the_time_of_a_run_is_replaced_also_among_its_outputs_and_in_documents_kept_as_text() {
    let reply = r#"{"outputs": {"sys.timestamp": 1795424372}, "inputs": "{\"n\": 1, \"sys.timestamp\": 1795424372}"}"#;
    let text = render(&mut Canon::new(Options::default()), &exchange("GET", "/v1/workflows/run/x", None, reply));
    assert_eq!(text.matches("[unix-seconds]").count(), 2, "{text}");
}

#[test]
fn chosen_headers_are_shown_by_name_with_ids_replaced_and_cookies_by_their_length() {
    let mut turn = exchange("GET", "/v1/info", None, "{}");
    let more = [("X-Trace", FIRST.task), ("Set-Cookie", "session=verysecret"), ("X-Other", "no")];
    let reply = turn.reply.as_mut().unwrap();
    reply.headers.extend(more.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let headers = ["x-trace", "SET-COOKIE", "x-absent", "Content-Type"].map(str::to_owned).to_vec();
    let text = render(&mut Canon::new(Options { headers, ..Options::default() }), &turn);
    let shown = "-> 200\ncontent-type: application/json\nset-cookie: [secret, 18 characters]\nx-trace: id-1\n";
    assert!(text.contains(shown), "{text}");
    assert!(!text.contains("verysecret") && !text.contains("x-other"), "{text}");
}
