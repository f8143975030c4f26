use super::*;
use crate::model::App;
use crate::scenario::ast::{At, Snapshot};
use crate::scenario::template::Renderer;
use std::time::Duration;

fn app(mode: AppMode) -> AppTarget {
    let app = App { label: mode.to_string(), mode: Some(mode), inputs: vec![], form_known: true, server_version: None };
    AppTarget { app, key: "app-secret".into() }
}

fn step(action: Action) -> Step {
    Step {
        id: "s".into(),
        at: At { line: 1, column: 1 },
        action,
        for_each: None,
        user: None,
        auth: Auth::Key,
        headers: vec![],
        capture: vec![],
        or_skip: None,
        snapshot: Snapshot::default(),
        expect: vec![],
        timeout: Timeouts::default(),
        think: None,
        wait: None,
    }
}

fn built(step: &Step, mode: AppMode) -> Built {
    let second = Duration::from_secs(1);
    let filled = Ok(Map::new());
    let (renderer, values) = (Renderer::new(1), json!({"user": "u 1"}));
    let app = app(mode);
    let caller = Caller {
        base_url: "http://h/v1",
        app: &app,
        other_key: Some("app-other"),
        mode: ResponseMode::Streaming,
        filled: &filled,
        limits: Limits {
            connect: second,
            tls: second,
            first_byte: second,
            first_event: second,
            idle: second,
            total: second,
        },
        names: Names { renderer: &renderer, values: &values, base: &Value::Null },
        seed: 7,
    };
    build(step, &caller).unwrap()
}

fn line_of(action: Action, mode: AppMode) -> String {
    let call = built(&step(action), mode).call;
    let body = call.body.map(|b| String::from_utf8(b.to_vec()).unwrap());
    format!("{} {} {}", call.method, call.url, body.unwrap_or_default())
}

fn header<'c>(call: &'c Call, name: &str) -> Option<&'c str> {
    call.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
}

#[test]
fn every_action_is_its_documented_request() {
    let chat = AppMode::Chat;
    let query = Query { params: vec![("limit".into(), "2".into())], no_user: false };
    assert_eq!(line_of(Action::History(query), chat), "GET http://h/v1/messages?user=u%201&limit=2 ");
    let query = Query { params: vec![], no_user: true };
    assert_eq!(line_of(Action::Conversations(query), chat), "GET http://h/v1/conversations ");
    let rename = Action::Rename { conversation: "c/1".into(), name: Some(json!("N")), auto: Some(false) };
    assert_eq!(
        line_of(rename, chat),
        r#"POST http://h/v1/conversations/c%2F1/name {"name":"N","auto_generate":false,"user":"u 1"}"#
    );
    let delete = Action::Delete { conversation: "c".into() };
    assert_eq!(line_of(delete, chat), r#"DELETE http://h/v1/conversations/c {"user":"u 1"}"#);
    let feedback = Action::Feedback { message: "m".into(), rating: json!(null), content: Some("x".into()) };
    assert_eq!(
        line_of(feedback, chat),
        r#"POST http://h/v1/messages/m/feedbacks {"rating":null,"content":"x","user":"u 1"}"#
    );
    assert_eq!(line_of(Action::Info, chat), "GET http://h/v1/info ");
    assert_eq!(line_of(Action::Parameters, chat), "GET http://h/v1/parameters ");
}

#[test]
fn a_stop_goes_to_the_path_of_the_apps_mode() {
    let paths = [
        (AppMode::Completion, "/completion-messages/t/stop"),
        (AppMode::AdvancedChat, "/chat-messages/t/stop"),
        (AppMode::Workflow, "/workflows/tasks/t/stop"),
    ];
    for (mode, path) in paths {
        let line = line_of(Action::Stop { task: "t".into() }, mode);
        assert_eq!(line, format!(r#"POST http://h/v1{path} {{"user":"u 1"}}"#));
    }
}

#[test]
fn a_raw_request_is_sent_as_spelled_out() {
    let raw = Raw { method: "post".into(), path: "/x?y=%20".into(), body: Some(RawBody::Text("{broken".into())) };
    assert_eq!(line_of(Action::Request(raw), AppMode::Chat), "POST http://h/v1/x?y=%20 {broken");
}

#[test]
fn credentials_are_as_the_step_says() {
    let with = |auth: Auth| built(&Step { auth, ..step(Action::Info) }, AppMode::Chat).call;
    assert_eq!(header(&with(Auth::Key), "authorization"), Some("Bearer app-secret"));
    assert_eq!(header(&with(Auth::None), "authorization"), None);
    assert_eq!(header(&with(Auth::Header("Basic {key}".into())), "authorization"), Some("Basic app-secret"));
    assert_eq!(header(&with(Auth::Header("${{ user }} x".into())), "authorization"), Some("u 1 x"));
    let unknown = with(Auth::Unknown);
    let value = header(&unknown, "authorization").unwrap();
    assert!(value.starts_with("Bearer app-") && value.len() == "Bearer app-".len() + 24, "{value}");
}

#[test]
fn a_body_says_that_it_is_json_and_steps_replace_or_remove_headers() {
    let turn = || step(Action::Chat(Turn { query: Some(json!("q")), ..Turn::default() }));
    assert_eq!(header(&built(&turn(), AppMode::Chat).call, "content-type"), Some("application/json"));
    assert_eq!(header(&built(&step(Action::Info), AppMode::Chat).call, "content-type"), None);
    let headers = vec![("content-type".into(), Some("text/plain".into())), ("authorization".into(), None)];
    let call = built(&Step { headers, ..turn() }, AppMode::Chat).call;
    assert_eq!((header(&call, "content-type"), header(&call, "authorization")), (Some("text/plain"), None));
}

#[test]
fn a_turn_tells_its_user_whether_it_streams_and_when_it_hangs_up() {
    let turn = Turn { query: Some(json!("q")), hang_up_after: Some(2), ..Turn::default() };
    let built = built(&step(Action::Chat(turn)), AppMode::Chat);
    assert_eq!((built.user.as_deref(), built.streams, built.call.hang_up_after), (Some("u 1"), true, Some(2)));
}

#[test]
fn limits_of_the_step_come_before_those_of_the_run() {
    let timeout = Timeouts { idle: Some(Duration::from_secs(9)), ..Timeouts::default() };
    let limits = built(&Step { timeout, ..step(Action::Info) }, AppMode::Chat).call.limits;
    assert_eq!((limits.idle, limits.total), (Duration::from_secs(9), Duration::from_secs(1)));
}
