//! `serve`, and `check` against it as against any server.

use crate::cli_support::*;
use std::net::TcpListener;
use std::time::{Duration, Instant};

#[test]
fn a_served_emulator_passes_with_one_flag_per_app_and_leaves_on_sigterm() {
    let place = Place::new();
    let served = Served::start(&[]);
    let apps = [format!("--app=chat={}", served.chat), format!("--app=completion={}", served.completion)];
    place.run(&with(&["check", "--quick", "-q", "--base-url", &served.base_url], &apps)).exits(0);
    let report = place.report("check.json");
    let count = |outcome: &str| report["summary"]["outcomes"][outcome].as_u64().unwrap_or(0);
    assert_eq!(count("pass") + count("not-applicable"), report["rules"].as_array().unwrap().len() as u64);
    let labels: Vec<_> = report["target"]["apps"].as_array().unwrap().iter().map(|a| &a["label"]).collect();
    assert_eq!(labels, ["chat", "completion"]);
    served.running.signal("TERM");
    let began = Instant::now();
    let ran = served.running.wait().exits(0);
    assert!(began.elapsed() < Duration::from_secs(2) && ran.stdout.is_empty(), "one line only");
}

#[test]
fn a_key_alone_is_enough_and_may_come_from_the_environment() {
    let place = Place::new();
    let served = Served::start(&[]);
    let one = scenario("completion-stream");
    place
        .run(&["check", &one, "--base-url", &served.base_url, "--api-key", &served.completion])
        .exits(0)
        .says(&["apps completion"]);
    let mut command = place.command(&["check", &scenario("chat-conversation-ids"), "--quick"]);
    command.env("DIFY_BASE_URL", &served.base_url).env("DIFY_API_KEY", &served.chat);
    Running::of(command).wait().exits(0).says(&["apps chat"]);
    served.running.signal("INT");
    served.running.wait().exits(0);
}

#[test]
fn a_mutant_fails_its_rule_with_the_evidence_to_repeat_it() {
    let place = Place::new();
    let served = Served::start(&["--mutant", "conversations.rename/old-name"]);
    let flags = served.chat_flags();
    let one = scenario("chat-rename");
    let ran = place.run(&with(&["check", &one], &flags)).exits(1).says(&["FAIL conversations.rename MUST"]);
    let report = place.report("check.json");
    assert_eq!(report["verdict"], "fail");
    let rule = rule(&report, "conversations.rename");
    assert_eq!(rule["outcome"], "fail");
    let exchange = &rule["findings"][0]["exchanges"][0];
    let evidence = report["evidence"].as_array().unwrap().iter().find(|e| e["exchange"] == *exchange);
    let evidence = evidence.expect("evidence of the finding");
    let curl = evidence["curl"].as_str().unwrap();
    assert!(
        curl.starts_with("curl ")
            && curl.contains("-X POST")
            && curl.contains("\"Authorization: Bearer $DIFY_API_KEY\"")
    );
    assert!(curl.contains(&served.base_url), "{curl}");
    let text = evidence["place"].as_str().unwrap();
    assert!(text.contains(&format!("{one}:")) && text.starts_with("chat.rename."), "{text}");
    assert!(evidence["wire"].as_array().unwrap().iter().any(|l| l.as_str().unwrap().starts_with("< 200")));
    let flat = ran.flat();
    assert!(flat.contains("curl -sS -i -X POST") && flat.contains(text) && flat.contains("> POST /v1/conversations/"));
}

#[test]
fn serve_says_what_is_wrong_with_its_arguments() {
    let place = Place::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    place.run(&["serve", "--port", &port]).exits(2).says(&[&format!("127.0.0.1:{port}"), "in use", "--port 0"]);
    place.run(&["serve", "--mutant", "sse.ping/non"]).exits(2).says(&["--mutant", "did you mean `sse.ping/none`?"]);
    place.run(&["serve", "--app", "chatter"]).exits(2).says(&["--app", "chatter", "completion"]);
    place.run(&["serve", "--profile", "dify-9"]).exits(2).says(&["--profile", "dify-9", "documented"]);
}

#[test]
fn serve_tells_a_person_what_to_paste() {
    let place = Place::new();
    let running = place.start(&["serve", "--app", "chat"]);
    std::thread::sleep(Duration::from_millis(300));
    running.signal("INT");
    running.wait().exits(0).says(&[
        "serving documented at http://127.0.0.1:",
        "difyprobe check --base-url",
        "curl -N",
        "Ctrl-C",
    ]);
}
