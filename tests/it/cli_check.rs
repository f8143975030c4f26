//! `check` and what every command shares: reports, outputs, pipes.

use crate::cli_support::*;
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::Duration;

#[test]
fn check_without_a_target_examines_the_emulator_and_reports_every_rule() {
    let place = Place::new();
    let extra = place.path().join("deep/er/own.json");
    let ran = place.run(&["check", "--report", &format!("json={}", extra.display())]).exits(0);
    // 10 s on a quiet machine with two cores; others may be using them
    assert!(ran.took < Duration::from_secs(40), "{:?}", ran.took);
    let report = place.report("check.json");
    assert_eq!(report["schema"], "difyprobe.report/1");
    assert_eq!(report["verdict"], "pass");
    assert_eq!(report["exit_code"], 0);
    let rules = report["rules"].as_array().expect("rules");
    assert_eq!(rules.len(), difyprobe::rules::catalogue().count());
    for rule in rules {
        assert!(["must", "should", "may"].contains(&rule["level"].as_str().unwrap()), "{rule}");
        assert!(["pass", "not-applicable"].contains(&rule["outcome"].as_str().unwrap()), "{rule}");
        assert!(rule["id"].is_string() && rule["findings"].as_array().unwrap().is_empty(), "{rule}");
        assert!(rule["outcome"] == "pass" || rule["reason"].is_string(), "{rule}");
    }
    let line = report["summary"]["line"].as_str().unwrap();
    assert!(line.starts_with(&format!("PASS: {} rules, ", rules.len())), "{line}");
    assert_eq!(ran.stdout.trim_end().lines().last(), Some(line));
    assert!(ran.stdout.lines().all(|l| l.chars().count() <= 100 && l.trim_end() == l), "{}", ran.stdout);
    assert!(!ran.stdout.contains('\x1b'));
    assert!(ran.stderr.contains("reports: ") && !ran.stdout.contains("reports: "), "progress goes to stderr");
    let own: Value = serde_json::from_slice(&std::fs::read(extra).unwrap()).unwrap();
    assert_eq!(own, report);
    for (name, start) in [("check.html", "<!DOCTYPE html>"), ("check.xml", "<?xml"), ("check.md", "#")] {
        let text = std::fs::read_to_string(place.path().join("reports").join(name)).unwrap();
        assert!(text.to_lowercase().starts_with(&start.to_lowercase()), "{name}: {}", &text[..40]);
    }
}

#[test]
fn the_amount_and_the_colour_of_the_output_can_be_chosen() {
    let place = Place::new();
    let one = scenario("auth-completion");
    let quiet = place.run(&["check", &one, "--quiet"]).exits(0);
    assert_eq!((quiet.stdout.lines().count(), quiet.stderr.as_str()), (1, ""));
    assert!(quiet.stdout.starts_with("PASS: "), "{}", quiet.stdout);
    let plain = place.run(&["check", &one]).exits(0);
    let verbose = place.run(&["check", &one, "-v"]).exits(0);
    assert!(verbose.stdout.lines().count() > plain.stdout.lines().count());
    assert!(plain.stdout.contains("auth.invalid-key.401"), "the verdict on each rule: {}", plain.stdout);
    let line_of_its_own =
        |text: &str| text.lines().any(|l| l.trim_start().starts_with("passed          auth.invalid-key.401 ("));
    assert!(line_of_its_own(&verbose.stdout) && !line_of_its_own(&plain.stdout), "{}", verbose.stdout);
    let colour = place.run(&["check", &one, "--color", "always"]).exits(0);
    assert!(colour.stdout.contains("\x1b["));
    assert!(!place.run(&["check", &one, "--color", "never"]).exits(0).stdout.contains('\x1b'));
}

#[test]
fn a_closed_pipe_ends_no_run_with_a_panic() {
    let place = Place::new();
    for args in [vec!["rules"], vec!["selftest", "--list"], vec!["check", &scenario("auth-completion"), "-v"]] {
        let mut child = place.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut first = String::new();
        let mut stdout = BufReader::with_capacity(16, child.stdout.take().unwrap());
        stdout.read_line(&mut first).unwrap();
        drop(stdout);
        let ended = child.wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&ended.stderr);
        assert!(!first.is_empty() && !stderr.contains("panicked"), "{args:?}: {stderr}");
        assert!(matches!(ended.status.code(), Some(0 | 141)), "{args:?}: {:?} {stderr}", ended.status);
    }
    assert_eq!(place.report("check.json")["verdict"], "pass");
}

#[test]
fn scenarios_that_fit_no_app_are_never_green() {
    let place = Place::new();
    let served = Served::start(&[]);
    let flags = served.chat_flags();
    let one = scenario("completion");
    place
        .run(&with(&["check", &one], &flags))
        .exits(3)
        .says(&["no scenario fits", "completion.basic: it is for completion apps, this is a chat app"]);
    let report = place.report("check.json");
    assert_eq!((&report["verdict"], &report["exit_code"]), (&"incomplete".into(), &3.into()));
    assert!(report["rules"].as_array().unwrap().iter().all(|r| r["outcome"] == "could-not-run"));
    place.run(&with(&["load", &one, "--iterations", "1"], &flags)).exits(3).says(&["no scenario fits"]);
    assert_eq!(place.report("completion.basic/report.json")["verdict"], "incomplete");
    place.run(&with(&["snapshot", &one], &flags)).exits(3).says(&["no scenario fits"]);
}

#[test]
fn an_interrupted_check_writes_what_it_has_and_exits_130() {
    let place = Place::new();
    let served = Served::start(&["--first-chunk", "3s"]);
    let flags = served.chat_flags();
    let running = place.start(&with(&["check", "--quick"], &flags));
    std::thread::sleep(Duration::from_millis(700));
    running.signal("INT");
    let ran = running.wait().exits(130).says(&["INTERRUPTED", "finishing"]);
    assert!(ran.took < Duration::from_secs(4), "{:?}", ran.took);
    let report = place.report("check.json");
    assert_eq!(report["verdict"], "interrupted");
    assert!(report["summary"]["judged"].as_u64().unwrap() > 0, "partial results");
}
