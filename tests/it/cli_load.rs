//! `load`: its end, its numbers, its interruption.

use crate::cli_support::*;
use std::time::Duration;

/// The report of a load of the only scenario that these tests use.
const RESULT: &str = "chat.three-turns/report.json";

#[test]
fn a_load_tells_what_it_did_and_passes() {
    let place = Place::new();
    let served = Served::start(&[]);
    let one = scenario("chat-three-turns");
    let args = ["load", &one, "--users", "4", "--duration", "2s", "--report", "hlog=out/l.hlog", "--report=csv=s.csv"];
    let ran = place.run(&with(&args, &served.chat_flags())).exits(0);
    assert!(ran.took < Duration::from_secs(6), "{:?}", ran.took);
    let report = place.report(RESULT);
    assert_eq!((&report["command"], &report["verdict"]), (&"load".into(), &"pass".into()));
    let requests = report["summary"]["requests"].as_u64().unwrap();
    let load = &report["load"];
    assert!(
        requests >= 12 && load["judged"]["judged"] == requests && load["judged"]["responses"] == requests,
        "{load:#}"
    );
    let whole = &load["groups"][0];
    assert!(whole["ok"].as_u64().unwrap() >= 4 && whole["failures"].as_object().unwrap().is_empty(), "{whole}");
    assert_eq!((&load["run"]["model"], &load["stages"][0]["level_from"]), (&"closed".into(), &4.0.into()));
    let rows = report["latency"].as_array().unwrap();
    let row = rows.iter().find(|r| r["metric"] == "ttft" && r["turn"] == "all").expect("a row of ttft");
    assert!(row["n"].as_u64().unwrap() >= 4, "{row}");
    let line = report["summary"]["line"].as_str().unwrap();
    assert_eq!(ran.stdout.trim_end().lines().last(), Some(line));
    for file in ["summary.json", "latency.hlog", "cells.hlog", "timeseries.csv", "report.html", "transcript.json"] {
        assert!(place.path().join("reports/chat.three-turns").join(file).is_file(), "{file}");
    }
    for (copy, file) in [("out/l.hlog", "latency.hlog"), ("s.csv", "timeseries.csv")] {
        let read = |path: &str| std::fs::read_to_string(place.path().join(path)).unwrap();
        let (copy, kept) = (read(copy), read(&format!("reports/chat.three-turns/{file}")));
        assert!(copy == kept && copy.lines().count() >= 2, "{file}: {copy}");
    }
}

#[test]
fn a_load_against_a_mutant_fails_with_capped_findings() {
    let place = Place::new();
    let served = Served::start(&["--mutant", "sse.common-fields/end-without-conversation"]);
    let flags = served.chat_flags();
    let args = ["load", &scenario("chat-three-turns"), "--users", "16", "--iterations", "1"];
    place.run(&with(&args, &flags)).exits(1).says(&["FAIL sse.common-fields MUST"]);
    let report = place.report(RESULT);
    let rule = rule(&report, "sse.common-fields");
    let findings = rule["findings"].as_array().unwrap();
    assert!(rule["judged"].as_u64().unwrap() >= 32, "{}", rule["judged"]);
    assert!(!findings.is_empty() && findings.len() <= 20, "{}", findings.len());
    let exchange = &findings[0]["exchanges"][0];
    let evidence = report["evidence"].as_array().unwrap();
    let shown = evidence.iter().find(|e| e["exchange"] == *exchange).unwrap_or_else(|| panic!("{exchange}"));
    assert_eq!(shown["repeat"], "difyprobe judge reports/chat.three-turns/transcript.json");
    place.run(&["judge", "reports/chat.three-turns/transcript.json"]).exits(1).says(&["FAIL sse.common-fields MUST"]);
}

#[test]
fn an_interrupted_load_writes_its_report_and_a_second_signal_ends_it_at_once() {
    let place = Place::new();
    let served = Served::start(&["--gap", "300ms"]);
    let one = scenario("chat-three-turns");
    let flags = served.chat_flags();
    let args = with(&["load", &one, "--users", "4", "--duration", "10m"], &flags);
    let running = place.start(&args);
    std::thread::sleep(Duration::from_millis(1000));
    running.signal("INT");
    let ran = running.wait().exits(130).says(&["INTERRUPTED", "again to quit at once"]);
    assert!(ran.took < Duration::from_secs(3), "{:?}", ran.took);
    let report = place.report(RESULT);
    assert_eq!((&report["verdict"], &report["exit_code"]), (&"interrupted".into(), &130.into()));
    assert!(report["summary"]["requests"].as_u64().unwrap() > 0);

    // a server that does not even answer the clean-up keeps the first signal busy
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", mute.local_addr().unwrap());
    let running = place.start(&["load", &one, "--duration", "10m", "--base-url", &url, "--api-key", "app-x"]);
    std::thread::sleep(Duration::from_millis(300));
    running.signal("INT");
    running.signal("INT");
    let ran = running.wait();
    assert!(ran.code == 130 && ran.took < Duration::from_secs(1), "{} {:?} {}", ran.code, ran.took, ran.stderr);
}

/// Within 1 s where the build is optimised and the machine is free, which is measured by `scripts/bench/run.sh stop`.
#[cfg(target_os = "linux")]
#[test]
fn a_thousand_open_streams_end_at_once_with_a_complete_report() {
    let place = Place::new();
    let served = Served::start(&["--first-chunk", "1ms", "--gap", "60s"]);
    let long = "difyprobe: 1
id: one-long-answer
title: An answer with a minute between its pieces
target: { app: chat, mode: streaming }
steps: [{ id: ask, chat: { query: \"a question of some length ${{ nonce(8) }}\" } }]
";
    let long = place.write("long.yaml", long).display().to_string();
    let flags = served.chat_flags();
    let args = with(&["load", &long, "--users", "1000", "--duration", "10m"], &flags);
    let mut running = place.start(&args);
    running.until_open(1000);
    running.until_idle();
    let interrupted = std::time::Instant::now();
    running.signal("INT");
    let ran = running.wait().exits(130).says(&["INTERRUPTED"]);
    let took = interrupted.elapsed();
    assert!(took < Duration::from_secs(if cfg!(debug_assertions) { 5 } else { 1 }), "{took:?}\n{}", ran.stderr);
    let report = place.report("one-long-answer/report.json");
    assert_eq!((&report["verdict"], &report["exit_code"]), (&"interrupted".into(), &130.into()));
    let cancelled = &report["load"]["groups"][0]["failures"]["cancelled"];
    assert!(cancelled.as_u64().unwrap() >= 990, "{}", report["load"]["groups"][0]);
    for file in ["summary.json", "latency.hlog", "cells.hlog", "timeseries.csv", "report.html", "transcript.json"] {
        assert!(place.path().join("reports/one-long-answer").join(file).is_file(), "{file}");
    }
}
