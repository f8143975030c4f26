//! The echo model of `serve --model` over HTTP, and apps of files in the emulator.

use crate::cli_support::*;
use difyprobe::emulator::{Config, ModelConfig, start, start_model};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

async fn post(url: &str, key: &str, body: &Value) -> reqwest::Response {
    reqwest::Client::new().post(url).bearer_auth(key).json(body).send().await.expect("an answer")
}

async fn json_of(response: reqwest::Response) -> Value {
    response.json().await.expect("JSON")
}

#[tokio::test]
async fn the_model_says_what_the_model_of_the_emulated_apps_says() {
    let (model, emulator) =
        (start_model(ModelConfig::default()).await.unwrap(), start(Config::default()).await.unwrap());
    let (_, key) = emulator.keys().iter().find(|(label, _)| label == "chat").unwrap();
    let turn = json!({"inputs": {"name": "Ada", "lang": "en", "age": 3}, "query": "hello", "user": "u"});
    let of_app = json_of(post(&format!("{}/chat-messages", emulator.base_url()), key, &turn).await).await;
    // a server renders the prompt of the app and sends it so
    let prompt = json!({"model": "echo-1", "messages": [
        {"role": "system", "content": "You talk to Ada lang=en age=3.\n"}, {"role": "user", "content": "hello"}]});
    let of_model = json_of(post(&format!("{}/chat/completions", model.base_url()), "any", &prompt).await).await;
    assert_eq!(of_app["answer"], of_model["choices"][0]["message"]["content"]);
    assert_eq!(of_app["metadata"]["usage"]["total_tokens"], of_model["usage"]["total_tokens"]);
}

#[tokio::test]
async fn pieces_come_at_the_pace_that_is_asked_for() {
    let model = start_model(ModelConfig::default()).await.unwrap();
    let prompt = json!({"stream": true, "messages": [{"role": "user", "content": "gap:0.1 chunks:6 x"}]});
    let began = Instant::now();
    let mut response = post(&format!("{}/chat/completions", model.base_url()), "any", &prompt).await;
    let (mut first, mut text) = (None, String::new());
    while let Some(chunk) = response.chunk().await.expect("a whole stream") {
        first.get_or_insert(began.elapsed());
        text += std::str::from_utf8(&chunk).unwrap();
    }
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
    let spread = began.elapsed() - first.expect("a first piece");
    assert!(spread >= Duration::from_millis(450), "{spread:?}");
}

#[tokio::test]
async fn a_connection_breaks_on_demand_and_a_wrong_key_is_refused() {
    let config = ModelConfig { key: Some("k".to_owned()), ..ModelConfig::default() };
    let model = start_model(config).await.unwrap();
    let url = format!("{}/chat/completions", model.base_url());
    let said = |text: &str| json!({"messages": [{"role": "user", "content": text}]});
    assert_eq!(post(&url, "other", &said("x")).await.status(), 401);
    let broken = reqwest::Client::new().post(&url).bearer_auth("k").json(&said("fail:conn")).send().await;
    let whole = match broken {
        Ok(response) => response.bytes().await.is_ok(),
        Err(_) => false,
    };
    assert!(!whole, "the connection breaks");
    assert_eq!(post(&url, "k", &said("x")).await.status(), 200);
}

#[test]
fn serve_model_prints_one_line_of_json_and_leaves_on_sigterm() {
    let place = Place::new();
    let (running, line) = place.serve(&["--model"]);
    assert_eq!(line["model"], "echo-1");
    assert!(line["base_url"].as_str().unwrap().ends_with("/v1"));
    running.signal("TERM");
    running.wait().exits(0);
    for args in [["--model", "--app", "chat"], ["--model", "--mutant", "x"], ["--model-key", "k", "--json"]] {
        place.run(&with(&["serve"], &args.map(str::to_owned))).exits(2);
    }
}

const APP: &str = "difyprobe-app: 1
name: support-bot
mode: chat
inputs:
  - { variable: name, type: text-input, required: true }
  - { variable: lang, type: select, options: [en, fr], default: fr }
opening_statement: \"Hi {{name}}\"
suggested_questions_after_answer: [\"And when?\"]
answers:
  - { contains: order, say: \"on its way, {{name}} ({{lang}})\", chunks: 4 }
  - { contains: refund, say: \"one moment\", fail: overloaded }
  - { turn: 2, say: \"turn {{turn}}\" }
  - say: \"you said {{query}}\"
";

/// The app of a file, served: base URL and key.
fn served(place: &Place, text: &str, name: &str) -> (Running, String, String) {
    let file = place.write("app.yaml", text);
    let (running, line) = place.serve(&["--app", &file.display().to_string()]);
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    (running, text(&line["base_url"]), text(&line["apps"][name]))
}

#[tokio::test]
async fn an_app_of_a_file_answers_as_written() {
    let place = Place::new();
    let (running, base_url, key) = served(&place, APP, "support-bot");
    let url = format!("{base_url}/chat-messages");
    let turn = |query: &str, conversation: &str| json!({"inputs": {"name": "Ada"}, "query": query, "conversation_id": conversation, "user": "u"});
    let first = json_of(post(&url, &key, &turn("my Order", "")).await).await;
    assert_eq!(first["answer"], "on its way, Ada (fr)");
    let conversation = first["conversation_id"].as_str().unwrap().to_owned();
    let second = json_of(post(&url, &key, &turn("hm", &conversation)).await).await;
    assert_eq!(second["answer"], "turn 2");
    assert_eq!(json_of(post(&url, &key, &turn("hm", &conversation)).await).await["answer"], "you said hm");
    let failed = post(&url, &key, &turn("a refund", "")).await;
    assert_eq!(failed.status(), 400);
    let refused = json!({"inputs": {"name": "Ada", "lang": "de"}, "query": "x", "user": "u"});
    assert_eq!(post(&url, &key, &refused).await.status(), 400);
    let get = |path: String| reqwest::Client::new().get(format!("{base_url}{path}")).bearer_auth(&key).send();
    let info = json_of(get("/info".to_owned()).await.unwrap()).await;
    assert_eq!((&info["name"], &info["mode"]), (&json!("support-bot"), &json!("chat")));
    let message = first["message_id"].as_str().unwrap();
    let suggested = json_of(get(format!("/messages/{message}/suggested?user=u")).await.unwrap()).await;
    assert_eq!(suggested["data"], json!(["And when?"]));
    let listed = json_of(get("/conversations?user=u".to_owned()).await.unwrap()).await;
    assert!(listed["data"].as_array().unwrap().iter().any(|c| c["introduction"] == "Hi Ada"));
    running.signal("TERM");
    running.wait().exits(0);
}

#[test]
fn every_mode_of_app_files_conforms_though_it_answers_at_once_and_echoes_little() {
    let place = Place::new();
    for mode in ["chat", "completion", "agent-chat", "advanced-chat", "workflow"] {
        let text = format!(
            "difyprobe-app: 1\nname: my-app\nmode: {mode}\ninputs:\n  - {{ variable: topic, type: paragraph, required: true }}\n\
             answers:\n  - say: \"about {{{{topic}}}}\"\n"
        );
        let (running, base_url, key) = served(&place, &text, "my-app");
        let app = format!("--app={mode}={key}");
        let ran = place.run(&["check", "--quick", "-q", "--base-url", &base_url, &app]);
        let report = place.report("check.json");
        let bad: Vec<&Value> = report["rules"].as_array().unwrap().iter().filter(|r| r["outcome"] == "fail").collect();
        assert!(bad.is_empty(), "{mode}: {bad:#?}");
        ran.exits(0);
        running.signal("TERM");
        running.wait().exits(0);
    }
}

#[test]
fn a_bad_app_file_is_shown_with_place_and_remedy() {
    let place = Place::new();
    place.write("bad.yaml", &APP.replace("({{lang}})", "({{lan}})"));
    let ran = place.run(&["serve", "--app", "bad.yaml"]).exits(2);
    for part in ["`{{lan}}` names nothing", "bad.yaml:10:", "did you mean `lang`?"] {
        assert!(ran.stderr.contains(part), "{}", ran.stderr);
    }
    let missing = place.run(&["serve", "--app", "missing.yaml"]).exits(2);
    assert!(missing.stderr.contains("missing.yaml"), "{}", missing.stderr);
    let mode = place.run(&["serve", "--app", "chatt"]).exits(2);
    assert!(mode.stderr.contains("did you mean `chat`?"), "{}", mode.stderr);
}

#[test]
fn the_app_of_the_manual_is_the_one_in_the_folder() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |name: &str| std::fs::read_to_string(root.join(name)).expect("UTF-8");
    let (page, file) = (read("docs/emulator.md"), read("apps/own/support-bot.yaml"));
    let shown = page.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a block");
    let parsed = |text: &str| difyprobe::scenario::app_file::parse_app("app", text.as_bytes()).expect("no problems");
    assert_eq!(parsed(shown), parsed(&file));
}

#[test]
fn an_app_that_always_says_the_same_is_no_reason_for_an_incomplete_run() {
    let place = Place::new();
    let text = "difyprobe-app: 1\nname: plain\nmode: chat\nanswers:\n  - say: fine\n";
    let (running, base_url, key) = served(&place, text, "plain");
    place.run(&["check", "--quick", "-q", "--base-url", &base_url, "--api-key", &key]).exits(0);
    let report = place.report("check.json");
    let stop = rule(&report, "stop.ends-stream");
    assert_eq!(stop["outcome"], "not-applicable");
    assert!(stop["reason"].as_str().unwrap().contains("docs/probe-apps.md"), "{stop}");
    running.signal("TERM");
    running.wait().exits(0);
}
