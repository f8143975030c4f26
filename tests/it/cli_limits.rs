//! What ends a load or makes it red: objectives, validity, budgets, stop conditions; search and comparison.

use crate::cli_support::*;
use serde_json::Value;
use std::time::Duration;

const ASK: &str = "difyprobe: 1
id: limits.ask
title: One turn
target: { app: chat, mode: streaming }
steps: [{ id: only, chat: { query: \"ask ${{ nonce(8) }}\" } }]
";

fn ask(place: &Place) -> String {
    place.write("ask.yaml", ASK).display().to_string()
}

/// A load file whose conditions of validity hold on a busy machine, too: these tests are about the server.
fn plan(place: &Place, arrival: &str, more: &str) -> String {
    ask(place);
    let text = format!(
        "difyprobe-load: 1\nid: limits.ask\nscenarios: [{{ use: ./ask.yaml }}]\narrival: {{ {arrival} }}\n\
         validity: [\"sched_lag p(99) < 60s\", \"client-cpu < 100%\"]\n{more}"
    );
    place.write("load.yaml", &text).display().to_string()
}

/// Arrivals at a rate.
fn rate(per_s: u32, length: &str) -> String {
    format!("open: {{ stages: [{{ hold: {per_s}, for: {length} }}], max-in-flight: 1000 }}")
}

fn load(place: &Place, name: &str) -> Value {
    place.report(&format!("{name}/report.json"))["load"].clone()
}

#[test]
fn a_missed_objective_is_exit_5_and_one_that_aborts_ends_the_run() {
    let place = Place::new();
    let served = Served::start(&["--first-chunk", "60ms"]);
    let flags = served.chat_flags();
    let one = plan(&place, &rate(10, "2s"), "");
    let args = ["load", &one, "--slo", "ttft p(95) < 20ms", "--slo", "error-rate < 1%"];
    let ran = place.run(&with(&args, &flags)).exits(5).says(&["SLO MISSED", "1 of 2 objectives met"]);
    assert!(ran.took < Duration::from_secs(30), "{:?}", ran.took);
    let missed = &load(&place, "limits.ask")["slos"][0];
    assert!(missed["state"] == "missed" && missed["value"].as_f64().unwrap() >= 60.0, "{missed}");
    assert!(missed["margin"].as_f64().unwrap() < -1.0 && missed["confidence"].as_f64().unwrap() > 0.99, "{missed}");

    let one = plan(&place, &rate(10, "10m"), "");
    let args = ["load", &one, "--slo", "ttft p(95) < 20ms {abort}"];
    let ran = place.run(&with(&args, &flags)).exits(5).says(&["was missed"]);
    assert!(ran.took < Duration::from_secs(60), "{:?}", ran.took);
    let aborted = load(&place, "limits.ask");
    assert!(
        aborted["slos"][0]["aborted"] == true && aborted["ended_early"].as_str().unwrap().contains("ttft"),
        "{aborted:#}"
    );

    // an advisory one is shown and never red
    let one = plan(&place, &rate(10, "1s"), "");
    let args = ["load", &one, "--slo", "ttft p(95) < 20ms {advisory}"];
    place.run(&with(&args, &flags)).exits(0);
}

#[test]
fn arrivals_that_find_no_room_are_dropped_and_make_the_run_invalid() {
    let place = Place::new();
    let served = Served::start(&["--first-chunk", "1500ms"]);
    let one = ask(&place);
    let args = ["load", &one, "--rate", "20", "--duration", "3s", "--max-in-flight", "2"];
    place.run(&with(&args, &served.chat_flags())).exits(4).says(&["INVALID", "dropped == 0", "max-in-flight"]);
    let load = load(&place, "limits.ask");
    let stage = &load["stages"][0];
    let [planned, begun, dropped] = ["planned", "begun", "dropped"].map(|key| stage[key].as_u64().unwrap());
    assert!(planned == 60 && begun + dropped == planned && dropped >= 40, "{stage}");
    assert_eq!(load["client"]["dropped"], dropped);
}

#[test]
fn budgets_requests_and_stop_conditions_end_a_run_in_good_order() {
    let place = Place::new();
    let served = Served::start(&[]);
    let flags = served.chat_flags();
    let one = plan(&place, &rate(20, "10m"), "");
    let run = |more: &[&str]| {
        let args = [&["load", &one][..], more].concat();
        let ran = place.run(&with(&args, &flags)).exits(0);
        assert!(ran.took < Duration::from_secs(60), "{more:?}: {:?}", ran.took);
        load(&place, "limits.ask")
    };
    let spent = run(&["--max-tokens", "100"]);
    assert!(spent["ended_early"].as_str().unwrap().contains("of 100 tokens"), "{}", spent["ended_early"]);
    assert!(spent["groups"][0]["completion_tokens"].as_u64().unwrap() >= 50);
    let spent = run(&["--max-cost", "USD=0.0002"]);
    assert!(spent["ended_early"].as_str().unwrap().starts_with("USD 0.000"), "{}", spent["ended_early"]);
    let asked = run(&["--requests", "25"]);
    let requests = asked["groups"][0]["requests"].as_u64().unwrap();
    assert!((25..40).contains(&requests) && asked["ended_early"] == "25 requests were asked for", "{requests}");

    // one end user with more than one request at a time, on a server that allows one
    let broken = Served::start(&["--profile", "dify-1.12", "--turns-at-once", "1", "--first-chunk", "300ms"]);
    let one = plan(&place, &rate(20, "10m"), "stop-when: { error-rate: { over: 20%, for: 2s } }\n");
    place.write("ask.yaml", &ASK.replace("steps:", "vars: { user: crowd }\nsteps:"));
    let args = ["load", &one];
    let ran = place.run(&with(&args, &broken.chat_flags())).exits(5);
    assert!(ran.took < Duration::from_secs(60), "{:?}", ran.took);
    let load = load(&place, "limits.ask");
    assert!(load["ended_early"].as_str().unwrap().contains("of the last 2 s failed"), "{}", load["ended_early"]);
}

#[test]
fn a_search_ends_at_what_holds_and_can_be_taken_up_again() {
    let place = Place::new();
    let served = Served::start(&["--first-chunk", "60ms"]);
    let (one, flags) = (ask(&place), served.chat_flags());
    let find = |slo: &str, more: &[&str]| {
        let args = ["load", &one, "--find", "max-users", "--find-to", "2", "--probe", "1s", "--quiet", "--slo", slo];
        place.run(&with(&[&args[..], more].concat(), &flags))
    };
    find("ttft p(50) < 10ms", &[]).exits(5).says(&["1 users misses", "max-users: below 1 users"]);
    find("ttft p(50) < 5s", &[]).exits(0).says(&["2 users holds", "max-users: at least 2 users"]);
    let again = find("ttft p(50) < 5s", &["--resume"]).exits(0).says(&["(from ", "at least 2 users"]);
    assert!(again.took < Duration::from_secs(5), "{:?}", again.took);
    find("ttft p(50) < 4s", &["--resume"]).exits(2).says(&["is of another search"]);
    let args = ["load", &one, "--find", "max-rate"];
    place.run(&with(&args, &flags)).exits(2).says(&["--find needs at least one objective"]);
}

#[test]
fn a_slower_server_is_told_from_the_same_one() {
    let place = Place::new();
    let one = plan(&place, &rate(20, "12s"), "");
    for (name, first) in [("fast", "20ms"), ("slow", "120ms")] {
        let served = Served::start(&["--first-chunk", first]);
        let args = ["load", &one, "--seed", "5", "--name", name, "--quiet"];
        place.run(&with(&args, &served.chat_flags())).exits(0);
    }
    // a short run may be too short to be told from itself, but never proven to differ
    let same = place.run(&["compare", "reports/fast", "reports/fast"]);
    assert!(matches!(same.code, 0 | 3), "{}", same.stdout);
    let ran = place.run(&["compare", "reports/fast", "reports/slow", "--report", "json=diff.json"]).exits(5);
    ran.says(&["SLOWER", "ttft"]);
    place.run(&["compare", "reports/slow", "reports/fast"]).exits(0).says(&["FASTER"]);
    let diff: Value = serde_json::from_slice(&std::fs::read(place.path().join("diff.json")).unwrap()).unwrap();
    let ttft = diff["metrics"].as_array().unwrap().iter().find(|m| m["metric"] == "ttft").expect("ttft");
    let median = &ttft["differences"][0];
    let by = median["difference"].as_f64().unwrap();
    assert!((60_000.0..200_000.0).contains(&by) && median["interval"][0].as_f64().unwrap() > 50_000.0, "{median}");
    place.run(&["compare", "reports/fast", "reports/none"]).exits(2).says(&["reports/none"]);
}
