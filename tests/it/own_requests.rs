//! Requests that a scenario makes illegal without saying so are the scenario's fault: they are not sent, and no rule hears
//! of them.

use difyprobe::client::Options;
use difyprobe::emulator::{self, AppKind, Config};
use difyprobe::flow::Sink;
use difyprobe::model::Outcome;
use difyprobe::rules::judge::judge;
use difyprobe::scenario::parse;
use difyprobe::suite::matrix::keys_of;
use difyprobe::suite::{Choice, Examination, Request, prepare};
use std::sync::Arc;
use std::time::Instant;
use tokio_util::sync::CancellationToken;

async fn examined(steps: &str) -> Examination {
    let head = "difyprobe: 1\nid: own.requests\ntitle: T\ntarget: { app: chat, mode: blocking }\n";
    let scenario = parse("own.yaml", &format!("{head}steps:\n{steps}")).expect("a scenario");
    let config = Config { apps: vec![AppKind::Chat], seed: 3, ..Config::default() };
    let server = emulator::start(config).await.expect("an emulator");
    let request = Request {
        base_url: server.base_url(),
        keys: keys_of(&server),
        profile: None,
        choice: Choice { scenarios: vec![Arc::new(scenario)], slow: false, whole_suite: false, ..Choice::default() },
        seed: 3,
        run_id: None,
        keep: false,
        think: false,
        client: Options { epoch: Instant::now(), ..Options::default() },
        at_once: 0,
        stop: CancellationToken::new(),
    };
    prepare(request, Sink::collect()).await.expect("discovery").run().await.expect("a run")
}

fn turns(examination: &Examination) -> Vec<u16> {
    let exchanges = examination.transcript.exchanges.iter().filter(|e| e.origin.scenario == "own.requests");
    exchanges.filter(|e| e.request.path() == "/v1/chat-messages").map(|e| e.status()).collect()
}

#[tokio::test]
async fn a_captured_number_sent_as_conversation_id_is_an_error_of_the_scenario_with_its_place() {
    let steps = "  - id: first\n    chat: { query: hello }\n    capture: { at: $.created_at }\n  - id: second\n    chat: { query: again, conversation: \"${{ at }}\" }\n";
    let examination = examined(steps).await;
    let run = &examination.runs[0];
    assert_eq!(run.outcome, Outcome::Error, "{:?}", run.reason);
    let reason = run.reason.as_deref().expect("a reason");
    assert!(reason.starts_with("own.yaml:9:5: step `second`"), "{reason}");
    assert!(reason.contains("schemas/requests/chat-messages.json allows: /conversation_id: "), "{reason}");
    assert_eq!(turns(&examination), [200], "the second turn is not sent");
    let planned = |rule: &difyprobe::rules::Rule, app: &difyprobe::model::App| {
        examination.selection.planned(rule, app, &examination.runs)
    };
    let judgements = judge(&examination.transcript, examination.profile.0, &planned);
    let found: Vec<&str> = judgements.iter().flat_map(|j| &j.findings).map(|f| f.message.as_str()).collect();
    assert_eq!(found, [] as [&str; 0]);
}

#[tokio::test]
async fn what_is_broken_on_purpose_is_sent() {
    let steps = "  - id: odd\n    chat: { query: hello, with: { conversation_id: 5 } }\n  - id: bare\n    chat: { query: hello, omit: [query] }\n  - id: raw\n    request: { method: POST, path: /chat-messages, json: [] }\n";
    let examination = examined(steps).await;
    assert_eq!(examination.runs[0].outcome, Outcome::Pass, "{:?}", examination.runs[0].reason);
    assert_eq!(turns(&examination), [400, 400, 400]);
}
