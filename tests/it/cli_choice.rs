//! Which part of a check is run: `--only`, `--skip`, `--dry-run`.

use crate::cli_support::*;
use difyprobe::rules::{Rule, catalogue, find};
use serde_json::Value;

fn outcomes<'r>(report: &'r Value, wanted: &str) -> Vec<&'r str> {
    let rules = report["rules"].as_array().expect("rules");
    rules.iter().filter(|r| r["outcome"] == wanted).map(|r| r["id"].as_str().expect("an id")).collect()
}

fn skipped_reason<'r>(report: &'r Value, id: &str) -> &'r str {
    rule(report, id)["reason"].as_str().expect("a reason")
}

#[test]
fn only_runs_the_scenarios_of_the_chosen_rules_and_shows_the_others_as_not_selected() {
    let place = Place::new();
    let ran = place.run(&["check", "--only", "usage.*,app-info", "--skip", "info.*"]).exits(0);
    let report = place.report("check.json");
    let rules = catalogue().count();
    let passed = outcomes(&report, "pass");
    assert!(!passed.is_empty() && passed.iter().all(|id| !id.starts_with("info.")), "{passed:?}");
    let skipped = outcomes(&report, "skipped");
    assert_eq!(report["rules"].as_array().map(Vec::len), Some(rules), "every rule is shown");
    let chosen = |r: &Rule| (r.id.starts_with("usage.") || r.area == "app-info") && !r.id.starts_with("info.");
    assert_eq!(skipped.len(), rules - catalogue().filter(|r| chosen(r)).count());
    assert_eq!(skipped_reason(&report, "auth.missing-key.401"), "not selected: --only usage.*,app-info");
    assert!(rule(&report, "auth.missing-key.401")["findings"].as_array().is_some_and(Vec::is_empty));
    let ids: Vec<&str> =
        report["scenarios"].as_array().expect("scenarios").iter().filter_map(|s| s["id"].as_str()).collect();
    let suite = difyprobe::suite::builtin::conformance().expect("clean");
    let exercises = |id: &&str| {
        let scenario = suite.iter().find(|s| s.id == **id).expect("a built-in scenario");
        scenario.rules.iter().filter_map(|r| find(r)).any(chosen)
    };
    assert!(!ids.is_empty() && ids.iter().all(exercises), "{ids:?}");
    assert!(suite.iter().any(|s| !ids.contains(&s.id.as_str())), "not every scenario ran");
    assert!(ran.stdout.contains(&format!("{} not selected", skipped.len())), "{}", ran.stdout);
    let xml = std::fs::read_to_string(place.path().join("reports/check.xml")).expect("a report");
    assert_eq!(xml.matches("<skipped message=\"not selected: ").count(), skipped.len());
}

#[test]
fn a_rule_that_is_skipped_does_not_fail_a_run() {
    let place = Place::new();
    let served = Served::start(&["--mutant", "messages.has-more/full-page"]);
    let (one, flags) = (scenario("chat-three-turns"), served.chat_flags());
    place.run(&with(&["check", &one], &flags)).exits(1);
    place.run(&with(&["check", &one, "--skip", "messages.has-more"], &flags)).exits(0).says(&["1 not selected"]);
    assert_eq!(outcomes(&place.report("check.json"), "skipped"), ["messages.has-more"]);
    place.run(&with(&["check", &one, "--only", "*.has-more"], &flags)).exits(1);
}

#[test]
fn choices_that_mean_nothing_are_usage_errors() {
    let place = Place::new();
    place.run(&["check", "--only", "mesages.*"]).exits(2).says(&["--only mesages.*", "did you mean `messages.*`?"]);
    place.run(&["check", "--skip", "auth.*,xyzzy"]).exits(2).says(&["--skip xyzzy", "difyprobe rules list"]);
    place.run(&["check", "--only", "auth.*", "--skip", "authentication"]).exits(2).says(&["leave no rule"]);
    assert!(!place.path().join("reports").exists(), "nothing was begun");
    let one = scenario("auth-chat");
    place.run(&["check", &one, "--only", "messages.*"]).exits(2).says(&["none of the scenarios exercises"]);
}

#[test]
fn a_dry_run_lists_the_requests_and_sends_none_but_those_of_discovery() {
    let place = Place::new();
    let served = Served::start(&[]);
    let flags = served.chat_flags();
    let one = scenario("chat-three-turns");
    let ran = place.run(&with(&["check", &one, "--dry-run"], &flags)).exits(0).says(&[
        "sent to find out about the apps: 2 requests; nothing else is sent",
        "chat.three-turns on chat at least",
        "POST /chat-messages streaming",
        "GET /messages?user=${{ user }}",
        "DRY RUN: 1 scenario run, at least",
    ]);
    assert!(!place.path().join("reports").exists(), "no report is written");
    let listed: u64 = word_after(&ran.stdout, "DRY RUN: 1 scenario run, at least ").parse().expect("a number");
    place.run(&with(&["check", &one], &flags)).exits(0);
    let sent = place.report("check.json")["summary"]["requests"].as_u64().expect("requests");
    assert!(listed > 5 && listed + 2 <= sent, "{listed} of {sent}");
}

#[test]
fn a_dry_run_of_everything_names_every_scenario_that_would_run_and_the_filter_counts() {
    let place = Place::new();
    let all = place.run(&["check", "--dry-run", "--quiet"]).exits(0);
    let some = place.run(&["check", "--dry-run", "--quiet", "--only", "usage.*"]).exits(0);
    let runs = |ran: &Ran| word_after(&ran.stdout, "DRY RUN: ").parse::<u64>().expect("a number");
    assert!(runs(&all) > runs(&some) && runs(&some) > 0, "{} {}", all.stdout, some.stdout);
    place.run(&["check", "--dry-run", "--base-url", "http://127.0.0.1:9/v1", "--api-key", "app-x"]).exits(3);
}

fn word_after<'t>(text: &'t str, start: &str) -> &'t str {
    let rest = text.split(start).nth(1).unwrap_or_else(|| panic!("`{start}` is not in {text}"));
    rest.split(' ').next().unwrap_or_default()
}
