//! Times that the client reports, against those of a server that knows its own clock.

use crate::cli_support::*;
use crate::client_support::{call, client, send};
use difyprobe::client::{Call, Client};
use difyprobe::emulator::{self, AppKind, Config, Pace, Played};
use difyprobe::metrics::{Sample, sample};
use difyprobe::model::{AppMode, Exchange};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Median of the differences in microseconds: what two clocks on one machine may be apart. The worst of them depends on who
/// else uses the machine; `scripts/bench/clocks.sh` measures it on a quiet one.
const MEDIAN_US: u64 = 1_000;

fn turn(server: &emulator::Running, streaming: bool) -> Call {
    let mode = if streaming { "streaming" } else { "blocking" };
    let (_, key) = &server.keys()[0];
    let inputs = json!({"name": "Ada", "query": "one two three four five six seven eight"});
    let body = json!({"inputs": inputs, "response_mode": mode, "user": "u"}).to_string();
    let headers = [("Authorization", format!("Bearer {key}")), ("Content-Type", "application/json".to_owned())];
    Call {
        headers: headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        body: Some(body.into()),
        ..call("POST", format!("{}/completion-messages", server.base_url()))
    }
}

async fn measured(client: &Client, call: Call) -> (String, Sample) {
    let recorded = send(client, call).await;
    let exchange = Exchange {
        id: 1,
        app: "completion".into(),
        origin: Default::default(),
        request: recorded.request,
        reply: recorded.reply,
        fault: recorded.fault,
        timing: recorded.timing,
    };
    let body = exchange.reply.as_ref().and_then(|r| r.body.text()).unwrap_or_default();
    let (_, rest) = body.split_once("\"message_id\":\"").expect("an answer with a message id");
    let id = rest.split('"').next().unwrap_or_default().to_owned();
    (id, sample(&exchange, Some(AppMode::Completion)).expect("a generation"))
}

fn median(mut of: Vec<u64>) -> u64 {
    of.sort_unstable();
    of[of.len() / 2]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ttft_gaps_and_e2e_are_what_the_server_did() {
    let played: Arc<Mutex<HashMap<String, Played>>> = Arc::default();
    let kept = Arc::clone(&played);
    let sink: emulator::Sink = Arc::new(move |played: Played| {
        let id = played.message_id.clone().expect("an id");
        kept.lock().unwrap().insert(id, played);
    });
    let pace = Pace { first_chunk: Duration::from_millis(40), gap: Duration::from_millis(10), chunk_chars: 4 };
    let config = Config { apps: vec![AppKind::Completion], pace, ..Config::default() };
    let server = emulator::start_recorded(config, sink).await.expect("an emulator");
    let client = client();
    let mut samples = Vec::new();
    for number in 0..24 {
        samples.push(measured(&client, turn(&server, number % 4 != 0)).await);
    }
    server.stop().await;
    let played = played.lock().unwrap();
    let (mut first, mut gaps, mut whole) = (Vec::new(), Vec::new(), Vec::new());
    for (id, sample) in &samples {
        let played = &played[id];
        assert_eq!(sample.outcome, Ok(()));
        whole.push(sample.e2e_us.abs_diff(played.events_us.last().unwrap_or(&played.ended_us) - played.received_us));
        if sample.streaming {
            let events = &played.events_us;
            first.push(sample.ttft_us.expect("content").abs_diff(events[0] - played.received_us));
            let theirs = events.windows(2).map(|pair| pair[1] - pair[0]);
            gaps.extend(sample.gaps_us.iter().zip(theirs).map(|(ours, theirs)| ours.abs_diff(theirs)));
            assert_eq!(sample.events, events.len() as u64);
        }
    }
    assert!(gaps.len() > 100, "{} gaps", gaps.len());
    for (name, differences) in [("ttft", first), ("gaps", gaps), ("e2e", whole)] {
        let median = median(differences);
        assert!(median < MEDIAN_US, "{name}: {median} us between client and server");
    }
}

#[test]
fn serve_writes_its_side_to_a_file_and_refuses_one_turn_too_many() {
    let place = Place::new();
    let file = place.path().join("clock.jsonl");
    let served = Served::start(&["--record", file.to_str().unwrap(), "--turns-at-once", "1", "--gap", "1ms"]);
    place.run(&with(&["check", &scenario("completion-crowd"), "-q"], &completion_flags(&served))).exits(0);
    let text = std::fs::read_to_string(&file).expect("the record");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(lines.iter().any(|l| l["message_id"].is_string() && !l["events_us"].as_array().unwrap().is_empty()));
    for line in &lines {
        let at = |name: &str| line[name].as_u64().unwrap();
        assert_eq!(line["path"], "/v1/completion-messages");
        assert!(at("received_us") <= at("head_us") && at("head_us") <= at("ended_us"), "{line}");
    }
    assert!(lines.iter().any(|l| l["message_id"].is_null()), "nothing was refused: {} generations", lines.len());
    served.running.signal("TERM");
    served.running.wait().exits(0);
}

fn completion_flags(served: &Served) -> [String; 3] {
    ["--base-url".to_owned(), served.base_url.clone(), format!("--app=completion={}", served.completion)]
}
