//! One load in several processes: together they send what one would, and their results add up.

use crate::cli_support::*;
use serde_json::Value;
use std::path::Path;

const SHARDS: usize = 3;

/// Two short scenarios with data, nonces and several turns, and recorded times for them.
fn files(place: &Place) -> String {
    let talk = "difyprobe: 1
id: shard.talk
title: Two turns
target: { app: chat, mode: streaming }
data:
  word: { each: [one, two, three, four, five], pick: per-iteration }
steps:
  - id: first
    chat: { query: \"talk ${{ word }} ${{ nonce(8) }}\" }
    capture: { conversation: $.conversation_id }
  - id: second
    chat: { query: \"again ${{ word }} ${{ nonce(8) }}\", conversation: \"${{ conversation }}\" }
";
    let ask = "difyprobe: 1
id: shard.ask
title: One turn
target: { app: chat, mode: streaming }
steps: [{ id: only, chat: { query: \"ask ${{ nonce(8) }}\" } }]
";
    let mut times = String::new();
    (0..60).for_each(|i| times.push_str(&format!("{}\n", f64::from(i) * 0.03)));
    // conditions that hold on a busy machine, too
    let load = "difyprobe-load: 1
id: shard.load
seed: 11
scenarios: [{ use: ./talk.yaml, weight: 1 }, { use: ./ask.yaml, weight: 1 }]
arrival: { replay: { file: times.csv, max-in-flight: 300 } }
validity: [\"sched_lag p(99) < 60s\"]
";
    for (name, text) in [("talk.yaml", talk), ("ask.yaml", ask), ("times.csv", &times)] {
        place.write(name, text);
    }
    place.write("load.yaml", load).display().to_string()
}

fn folder(name: &str) -> String {
    format!("reports/{name}")
}

fn summary(place: &Place, folder: &str) -> Value {
    let text = std::fs::read_to_string(place.path().join(folder).join("summary.json")).expect("a summary");
    serde_json::from_str(&text).expect("JSON")
}

/// What was asked, in any order.
fn queries(place: &Place, folder: &str) -> Vec<String> {
    let path = place.path().join(folder).join("transcript.json");
    let transcript: Value = serde_json::from_slice(&std::fs::read(path).expect("a transcript")).expect("JSON");
    let bodies =
        transcript["exchanges"].as_array().unwrap().iter().filter_map(|e| e["request"]["body"]["text"].as_str());
    let query = |body: &str| serde_json::from_str::<Value>(body).ok()?["query"].as_str().map(str::to_owned);
    let mut queries: Vec<String> = bodies.filter_map(query).collect();
    queries.sort();
    queries
}

/// Counts that do not depend on how fast the server was.
fn counts(summary: &Value) -> Vec<(String, Value, Value)> {
    let groups = summary["groups"].as_array().unwrap().iter();
    let name = |g: &Value| format!("{} {} {} {}", g["stage"], g["scenario"], g["step"], g["turn"]);
    groups.map(|g| (name(g), g["requests"].clone(), g["completion_tokens"].clone())).collect()
}

#[test]
fn shards_together_send_what_one_process_sends_and_their_results_add_up() {
    let place = Place::new();
    let served = Served::start(&[]);
    let flags = served.chat_flags();
    let file = files(&place);
    let load = ["load", &file, "--quiet"];
    let whole = [&load[..], &["--name", "whole"]].concat();
    place.run(&with(&whole, &flags)).exits(0);

    let names: Vec<String> = (0..SHARDS).map(|i| format!("{i}/{SHARDS}")).collect();
    let barrier = place.path().join("barrier").display().to_string();
    let shard = |name: &String| {
        let args = [&load[..], &["--name", "parts", "--barrier", &barrier, "--shard", name]].concat();
        place.start(&with(&args, &flags))
    };
    let running: Vec<Running> = names.iter().map(shard).collect();
    running.into_iter().for_each(|shard| drop(shard.wait().exits(0)));
    let parts: Vec<String> = (0..SHARDS).map(|i| folder(&format!("parts/shard-{i}-of-{SHARDS}"))).collect();

    let mut together: Vec<String> = parts.iter().flat_map(|part| queries(&place, part)).collect();
    together.sort();
    assert!(together.len() == 90 && together == queries(&place, &folder("whole")), "{} queries", together.len());

    // of all shards but one: refused, with what is missing
    let two = [&["merge"][..], &[&parts[0], &parts[1], "--out", "reports/none"]].concat();
    place.run(&two).exits(2).says(&["missing", "2"]);
    place.run(&["merge", "reports/parts", "--quiet"]).exits(0).says(&["PASS: 90 requests"]);
    let (merged, whole) = (summary(&place, &folder("parts")), summary(&place, &folder("whole")));
    assert_eq!(counts(&merged), counts(&whole));
    assert_eq!(merged["stages"], whole["stages"]);
    assert_eq!(merged["run"]["config_hash"], whole["run"]["config_hash"]);
    assert_eq!(merged["run"]["merged"].as_array().unwrap().len(), SHARDS);
    for file in ["cells.hlog", "latency.hlog", "timeseries.csv", "report.html"] {
        assert!(place.path().join("reports/parts").join(file).is_file(), "{file}");
    }
    // a load that was run as a whole is no shard
    place.run(&["merge", "reports/whole", "--out", "reports/none"]).exits(2).says(&["is no shard"]);
    assert!(!Path::new("reports/none/summary.json").exists());
}

#[test]
fn a_shard_that_waits_alone_says_who_is_missing_and_a_start_in_the_past_is_refused() {
    let place = Place::new();
    let served = Served::start(&[]);
    let flags = served.chat_flags();
    let file = files(&place);
    let load = ["load", &file];
    let late = [&load[..], &["--start-at", "2026-01-01T00:00:00Z"]].concat();
    place.run(&with(&late, &flags)).exits(2).says(&["ago", "later"]);
    let alone = [&load[..], &["--barrier", "meet", "--shard", "0/2"]].concat();
    let running = place.start(&with(&alone, &flags));
    // one that is interrupted while it waits ends at once
    std::thread::sleep(std::time::Duration::from_millis(700));
    running.signal("INT");
    let ran = running.wait();
    assert!(
        ran.code == 130 && ran.took < std::time::Duration::from_secs(20),
        "{} {:?} {}",
        ran.code,
        ran.took,
        ran.stderr
    );
}

#[test]
fn a_shard_that_misses_an_objective_ends_with_0_and_merge_gives_the_verdict() {
    let place = Place::new();
    let served = Served::start(&[]);
    let flags = served.chat_flags();
    let file = files(&place);
    let shard = |name: &str, barrier: &str| {
        let args =
            ["load", &file, "--name", "missed", "--slo", "e2e p(50) < 1us", "--barrier", barrier, "--shard", name];
        place.start(&with(&args, &flags))
    };
    let barrier = place.path().join("meet").display().to_string();
    let running = ["0/2", "1/2"].map(|name| shard(name, &barrier));
    for shard in running {
        shard.wait().exits(0).says(&["SLO MISSED"]);
    }
    place.run(&["merge", "reports/missed", "--quiet"]).exits(5).says(&["SLO MISSED"]);
    // what is no whole result is told as ever
    let alone = ["load", &file, "--shard", "0/2", "--report", "nonsense=x"];
    place.run(&with(&alone, &flags)).exits(2);
}
