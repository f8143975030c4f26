use super::*;
use crate::model::AppMode;
use std::collections::BTreeMap;

const RULE: &str = "messages.has-more";

fn app(label: &str, mode: AppMode) -> App {
    let server_version = Some("1.12.1".to_owned());
    App { label: label.into(), mode: Some(mode), inputs: Vec::new(), form_known: true, server_version }
}

fn apps() -> Vec<App> {
    vec![app("chat", AppMode::Chat), app("shop", AppMode::AdvancedChat)]
}

fn finding(app: &str, outcome: Outcome) -> Finding {
    Finding {
        rule: RULE.into(),
        check: "page".into(),
        outcome,
        app: app.into(),
        message: "GET /v1/messages: has_more \"true\"".into(),
        expected: String::new(),
        actual: String::new(),
        exchanges: vec![1],
        frame: None,
        known: None,
    }
}

fn judgement(chat: Outcome, shop: Outcome) -> Judgement {
    let found = [("chat", chat), ("shop", shop)];
    let bad = |o: Outcome| matches!(o, Outcome::Fail | Outcome::Warn | Outcome::KnownDeviation);
    Judgement {
        rule: rules::find(RULE).expect("a rule"),
        outcome: chat.max(shop),
        reason: None,
        judged: 2,
        apps: BTreeMap::from(found.map(|(label, o)| (label.to_owned(), o))),
        findings: found.iter().filter(|(_, o)| bad(*o)).map(|(label, o)| finding(label, *o)).collect(),
    }
}

fn day(text: &str) -> Date {
    text.parse().expect("a date")
}

struct Laid {
    judgement: Judgement,
    result: BaselineResult,
}

/// Lays entries (YAML, each the inside of a map) over one judgement; everything was planned, today is 2026-11-23.
fn lay(entries: &[&str], judgement: Judgement, change: impl FnOnce(&mut Over)) -> Laid {
    let list: String = entries.iter().map(|e| format!("  - {{ {e} }}\n")).collect();
    let text = format!("difyprobe-baseline: 1\nknown:\n{list}");
    let baseline = Baseline::parse("b.yaml", &text).unwrap_or_else(|d| panic!("{d:?}"));
    let apps = apps();
    let mut over =
        Over { apps: &apps, planned: &|_, _| Planned::Yes, today: day("2026-11-23"), strict: false, partial: false };
    change(&mut over);
    let mut judgements = vec![judgement];
    let result = baseline.apply(&mut judgements, &over);
    Laid { judgement: judgements.remove(0), result }
}

fn states(laid: &Laid) -> Vec<EntryState> {
    laid.result.entries.iter().map(|e| e.state).collect()
}

use EntryState::{Expired, Idle, UnknownRule, Unused, Used};
use Outcome::{CouldNotRun, Fail, Known, KnownDeviation, NotApplicable, Pass, Warn};

#[test]
fn a_covered_failure_is_known_with_the_reason_and_proposes_nothing() {
    let laid = lay(&["rule: messages.has-more, reason: OPS-1, expires: 2026-11-23"], judgement(Fail, Warn), |_| {});
    assert_eq!((laid.judgement.outcome, states(&laid)), (Known, vec![Used]));
    assert!(laid.judgement.findings.iter().all(|f| f.outcome == Known));
    assert_eq!(laid.judgement.findings[0].known.as_deref(), Some("OPS-1 (b.yaml:3, until 2026-11-23)"));
    assert_eq!(laid.result.proposed, []);
}

#[test]
fn an_entry_covers_its_app_only_and_the_rest_is_proposed_ready_to_paste() {
    for app in ["shop", "advanced-chat"] {
        let entry = format!("rule: messages.has-more, app: {app}, reason: r");
        let laid = lay(&[&entry], judgement(Fail, Fail), |_| {});
        assert_eq!((laid.judgement.outcome, states(&laid)), (Fail, vec![Used]));
        assert_eq!(laid.judgement.apps.values().copied().collect::<Vec<_>>(), [Fail, Known]);
        assert_eq!(laid.judgement.findings.iter().map(|f| f.app.as_str()).collect::<Vec<_>>(), ["chat", "shop"]);
        let pasted = format!("difyprobe-baseline: 1\nknown:\n{}", laid.result.proposed[0].text);
        let read = Baseline::parse("b.yaml", &pasted).expect("what is proposed can be pasted").entries.remove(0);
        assert_eq!((read.rule.as_str(), read.app.as_deref()), (RULE, Some("chat")));
        assert_eq!(read.reason, "GET /v1/messages: has_more \"true\"");
        assert_eq!(laid.result.proposed.len(), 1);
    }
}

#[test]
fn conditions_that_do_not_fit_leave_the_failure_and_the_entry_alone() {
    for condition in ["app: completion", "version: '>=1.13'", "version: '1.11'"] {
        let entry = format!("rule: messages.has-more, {condition}, reason: r");
        for outcome in [Fail, Pass] {
            let laid = lay(&[&entry], judgement(outcome, outcome), |_| {});
            assert_eq!((laid.judgement.outcome, states(&laid)), (outcome, vec![Idle]), "{condition}");
        }
    }
    let laid = lay(&["rule: messages.has-more, version: '>=1.10, <1.13', reason: r"], judgement(Fail, Pass), |_| {});
    assert_eq!(states(&laid), [Used]);
}

#[test]
fn an_entry_for_a_rule_that_was_planned_and_holds_is_unused() {
    let entry = ["rule: messages.has-more, reason: r"];
    for (chat, shop, wanted) in [
        (Pass, Pass, Unused),
        (Pass, NotApplicable, Unused),
        (NotApplicable, NotApplicable, Idle),
        (Pass, CouldNotRun, Idle),
    ] {
        assert_eq!(states(&lay(&entry, judgement(chat, shop), |_| {})), [wanted], "{chat:?} {shop:?}");
    }
    assert_eq!(states(&lay(&entry, judgement(Pass, Pass), |o| o.partial = true)), [Idle]);
    let by_the_way = |o: &mut Over| o.planned = &|_, _| Planned::No("not asked".to_owned());
    assert_eq!(states(&lay(&entry, judgement(Pass, Pass), by_the_way)), [Idle]);
}

#[test]
fn past_its_last_day_an_entry_is_red_and_covers_on() {
    let entry = ["rule: messages.has-more, reason: r, expires: 2026-11-22"];
    let laid = lay(&entry, judgement(Fail, Pass), |_| {});
    assert_eq!((laid.judgement.outcome, states(&laid)), (Known, vec![Expired]));
    assert!(laid.result.entries[0].message.contains("2026-11-22"), "{:?}", laid.result.entries);
    assert_eq!(states(&lay(&entry, judgement(CouldNotRun, Pass), |_| {})), [Expired]);
    assert_eq!(states(&lay(&entry, judgement(Pass, Pass), |_| {})), [Unused]);
}

#[test]
fn unknown_rules_are_red_with_what_was_perhaps_meant() {
    let laid = lay(
        &["rule: messages.has-mor, reason: r", "rule: chat.isolation.webapp, reason: r"],
        judgement(Pass, Pass),
        |_| {},
    );
    assert_eq!(states(&laid), [UnknownRule, UnknownRule]);
    assert!(laid.result.entries[0].message.contains("did you mean `messages.has-more`?"));
    assert!(laid.result.entries[1].message.contains("not judged"));
    let laid = lay(&["rule: auth.missing-key.401, reason: r"], judgement(Pass, Pass), |_| {});
    assert_eq!(states(&laid), [Idle], "a rule that the run left out");
}

#[test]
fn known_deviations_are_covered_where_they_would_fail() {
    let entry = ["rule: messages.has-more, reason: r"];
    let plain = lay(&entry, judgement(KnownDeviation, Pass), |_| {});
    assert_eq!((plain.judgement.outcome, states(&plain)), (KnownDeviation, vec![Idle]));
    let strict = lay(&entry, judgement(KnownDeviation, Pass), |o| o.strict = true);
    assert_eq!((strict.judgement.outcome, states(&strict)), (Known, vec![Used]));
}

#[test]
fn what_could_not_be_run_and_our_own_faults_are_never_covered() {
    for outcome in [CouldNotRun, Outcome::Error] {
        let laid = lay(&["rule: messages.has-more, reason: r"], judgement(outcome, Fail), |_| {});
        assert_eq!(laid.judgement.outcome, outcome);
    }
}

#[test]
fn proposed_texts_survive_yaml_whatever_a_server_said() {
    for text in ["plain", "- x: [", "a \"b\" \\ c", "tab\tline\nend\u{2028}\u{1b}[0m", "true", "12", "日本 #x", ""] {
        let yaml =
            format!("difyprobe-baseline: 1\nknown:\n  - rule: a\n    app: {}\n    reason: r\n", scalar(text, 999));
        let read = Baseline::parse("b", &yaml).unwrap_or_else(|d| panic!("{yaml}{d:?}"));
        assert_eq!(read.entries[0].app.as_deref(), Some(text), "{yaml}");
    }
    assert_eq!(scalar(&"x ".repeat(200), 4), "\"x x  ...\"");
}
