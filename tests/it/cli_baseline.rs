//! `check --baseline`: what is accepted does not fail a run, what is out of date makes it red, in every report.

use crate::cli_support::*;
use serde_json::Value;
use std::path::Path;

const RULE: &str = "messages.has-more";

/// A chat app with one broken promise.
fn faulty() -> Served {
    Served::start(&["--mutant", "messages.has-more/full-page"])
}

fn healthy() -> Served {
    Served::start(&[])
}

/// Runs the scenario that shows the fault, under a baseline with these entries (YAML maps).
fn check(place: &Place, served: &Served, entries: &[&str]) -> Ran {
    let list: String = entries.iter().map(|e| format!("  - {{ {e} }}\n")).collect();
    place.write("base.yaml", &format!("difyprobe-baseline: 1\nknown:\n{list}"));
    run(place, served)
}

fn run(place: &Place, served: &Served) -> Ran {
    let one = scenario("chat-three-turns");
    place.run(&with(&["check", &one, "--baseline", "base.yaml"], &served.chat_flags()))
}

fn written(place: &Place, name: &str) -> String {
    std::fs::read_to_string(place.path().join("reports").join(name)).expect("a report")
}

fn states(report: &Value) -> Vec<&str> {
    let entries = report["baseline"]["entries"].as_array().expect("entries");
    entries.iter().map(|e| e["state"].as_str().expect("a state")).collect()
}

#[test]
fn a_failure_that_an_entry_covers_is_known_in_every_report_and_does_not_fail_the_run() {
    let (place, served) = (Place::new(), faulty());
    let entry = "rule: messages.has-more, app: chat, reason: OPS-4711 mended in May, expires: 2999-12-31";
    let ran = check(&place, &served, &[entry]).exits(0);
    let ran = ran.says(&[
        "Known by the baseline (1)",
        "OPS-4711 mended in May",
        "1 known by the baseline",
        "1 entry: 1 used",
    ]);
    assert!(ran.stdout.trim_end().lines().last().is_some_and(|l| l.starts_with("PASS: ")), "{}", ran.stdout);
    assert!(!ran.stdout.contains("FAIL"), "{}", ran.stdout);
    let report = place.report("check.json");
    assert_eq!((&report["verdict"], &report["exit_code"]), (&"pass".into(), &0.into()));
    assert_eq!((&rule(&report, RULE)["outcome"], states(&report)), (&"known".into(), vec!["used"]));
    assert_eq!(report["summary"]["outcomes"]["known"], 1);
    assert_eq!(report["baseline"]["proposed"], Value::Array(Vec::new()));
    for name in ["check.html", "check.md"] {
        let text = written(&place, name);
        assert!(text.contains("Known by the baseline (1)") && text.contains("OPS-4711 mended in May"), "{name}");
    }
    let xml = written(&place, "check.xml");
    assert!(xml.contains("known: OPS-4711 mended in May (base.yaml:3, until 2999-12-31)"), "{xml}");
    assert!(!xml.contains("<failure"), "{xml}");
}

#[test]
fn an_unexpected_failure_fails_and_gives_an_entry_that_can_be_pasted() {
    let (place, served) = (Place::new(), faulty());
    let ran = check(&place, &served, &[]).exits(1).says(&["1 unexpected failure", "- rule: messages.has-more"]);
    let report = place.report("check.json");
    let text = report["baseline"]["proposed"][0]["text"].as_str().expect("an entry");
    assert!(ran.stdout.contains(text.trim_end()), "{}\n{text}", ran.stdout);
    for name in ["check.html", "check.md", "check.xml"] {
        assert!(written(&place, name).contains("- rule: messages.has-more"), "{name}");
    }
    place.write("base.yaml", &format!("difyprobe-baseline: 1\nknown:\n{text}"));
    run(&place, &served).exits(0).says(&["1 entry: 1 used"]);
}

#[test]
fn entries_that_are_out_of_date_are_red_with_exit_7_in_every_report() {
    let (place, served) = (Place::new(), healthy());
    let entries = ["rule: messages.has-more, reason: r", "rule: messages.has-mor, reason: r"];
    check(&place, &served, &entries).exits(7).says(&[
        "STALE BASELINE: ",
        "unused: messages.has-more (base.yaml:3)",
        "the rule holds on chat; delete the entry",
        "unknown rule: messages.has-mor (base.yaml:4)",
        "did you mean `messages.has-more`?",
    ]);
    let report = place.report("check.json");
    assert_eq!((&report["verdict"], &report["exit_code"]), (&"stale-baseline".into(), &7.into()));
    assert_eq!(states(&report), ["unused", "unknown-rule"]);
    assert!(written(&place, "check.html").contains("<mark>unused</mark>"));
    assert!(written(&place, "check.md").contains("- **unused**: messages.has-more"));
    assert_eq!(written(&place, "check.xml").matches("stale-baseline").count(), 2);
}

#[test]
fn an_entry_past_its_last_day_is_red_though_it_still_covers_and_a_failure_weighs_more() {
    let (place, served) = (Place::new(), faulty());
    let expired = "rule: messages.has-more, reason: r, expires: 2020-02-29";
    check(&place, &served, &[expired]).exits(7).says(&["expired: messages.has-more", "its last day was 2020-02-29"]);
    assert_eq!(states(&place.report("check.json")), ["expired"]);
    check(&place, &served, &["rule: messages.order, reason: r"]).exits(1).says(&["FAIL: ", "unused: messages.order"]);
}

#[test]
fn entries_for_other_apps_versions_and_rules_that_were_not_examined_say_nothing() {
    let (place, served) = (Place::new(), healthy());
    let entries = [
        "rule: messages.has-more, app: completion, reason: r",
        "rule: messages.has-more, version: '<0.15', reason: r",
        "rule: feedback.write-once, reason: r",
    ];
    let known = difyprobe::rules::catalogue().find(|r| r.area == "feedback").expect("a rule").id;
    let third = entries[2].replace("feedback.write-once", known);
    check(&place, &served, &[entries[0], entries[1], &third]).exits(0);
    assert_eq!(states(&place.report("check.json")), ["idle", "idle", "idle"]);
}

#[test]
fn a_file_that_is_no_baseline_is_a_usage_error_with_place_and_remedy() {
    let place = Place::new();
    place.write("bad.yaml", "difyprobe-baseline: 1\nknown:\n  - rule: a.b\n    reson: x\n");
    place.run(&["check", "--baseline", "bad.yaml"]).exits(2).says(&[
        "bad.yaml:4:5",
        "unknown key `reson`",
        "did you mean `reason`?",
        "the key `reason` is missing",
        "2 problems",
    ]);
    place.run(&["check", "--baseline", "none.yaml"]).exits(2).says(&[
        "none.yaml",
        "difyprobe-baseline: 1",
        "known: []",
    ]);
    assert!(!Path::new(&place.path().join("reports")).exists(), "nothing was run");
}

#[test]
fn a_saved_run_is_judged_under_a_baseline_too() {
    let (place, served) = (Place::new(), faulty());
    check(&place, &served, &[]).exits(1);
    place.write("base.yaml", "difyprobe-baseline: 1\nknown:\n  - { rule: messages.has-more, reason: OPS-9 }\n");
    let saved = ["judge", "reports/check.transcript.json"];
    place.run(&saved).exits(1);
    place.run(&[saved[0], saved[1], "--baseline", "base.yaml"]).exits(0).says(&["Known by the baseline (1)", "OPS-9"]);
}
