//! JUnit XML: a suite per area, a test case per rule, one more suite for the scenarios' own expectations; of a load the
//! suites `slo` and `validity` besides, a test case per objective.

use super::escape::{clip, xml};
use super::run::{BaselineResult, EntryState, ExpectationFailure, RuleResult, RunReport, ScenarioResult};
use super::{baseline, load_view, view};
use crate::metrics::summary::{SloResult, SloState};
use crate::model::{Finding, Outcome};
use quick_junit::{NonSuccessKind, Report, SerializeError, TestCase, TestCaseStatus, TestSuite};
use std::collections::HashSet;
use std::time::Duration;

/// Findings with evidence per rule.
const FINDINGS: usize = 5;

/// Renders the report. Failures and our own errors become `failure` and `error`, what could not be run becomes `error`
/// (never green), what does not apply becomes `skipped`; known deviations and warnings pass and speak in `system-out`.
pub fn render(report: &RunReport) -> Result<String, SerializeError> {
    let mut out = Report::new(format!("difyprobe {}", xml(&report.command)));
    out.set_time(Duration::from_millis(report.elapsed_ms));
    let mut names = HashSet::new();
    for (area, rules) in view::areas(report) {
        let mut suite = TestSuite::new(xml(area));
        for rule in rules {
            suite.add_test_case(rule_case(report, rule, unique(&mut names, &rule.id)));
        }
        out.add_test_suite(suite);
    }
    if !report.scenarios.is_empty() {
        let mut suite = TestSuite::new("scenarios");
        for scenario in &report.scenarios {
            let name = format!("scenario {} [{}]", scenario.id, scenario.app);
            suite.add_test_case(scenario_case(report, scenario, unique(&mut names, &name)));
        }
        out.add_test_suite(suite);
    }
    if let Some(load) = &report.load {
        let suites =
            [("slo", &load.slos, NonSuccessKind::Failure), ("validity", &load.validity, NonSuccessKind::Error)];
        for (name, slos, kind) in suites.into_iter().filter(|(_, slos, _)| !slos.is_empty()) {
            out.add_test_suite(slo_suite(name, slos, kind, &mut names));
        }
    }
    if let Some(result) = &report.baseline {
        out.add_test_suite(baseline_suite(result, &mut names));
    }
    out.to_string()
}

/// One case per objective. A missed one is a failure; a condition on the generator that is missed is an error, for it
/// says nothing about the server.
fn slo_suite(suite: &str, slos: &[SloResult], kind: NonSuccessKind, names: &mut HashSet<String>) -> TestSuite {
    let mut out = TestSuite::new(suite);
    for slo in slos {
        let seen = slo.value.map_or("not measured".to_owned(), |v| load_view::value(v, &slo.unit));
        let margin = load_view::margin(slo);
        let text =
            format!("{seen}, limit {}{}{margin}", load_view::limit(slo), if margin.is_empty() { "" } else { ", " });
        let status = if load_view::red(slo) {
            let remedy = slo.remedy.as_deref().unwrap_or_default();
            let text = format!("{}: {text}\n{remedy}", slo.text);
            let what = if slo.state == SloState::Missed { "missed" } else { "not-measured" };
            non_success(kind, what, xml(&clip(&format!("{}: {seen}", slo.text), 500)), text.trim_end())
        } else {
            TestCaseStatus::success()
        };
        let mut case = TestCase::new(unique(names, &format!("{suite} {}", clip(&slo.text, 300))), status);
        let advisory = if slo.advisory { "advisory, " } else { "" };
        case.set_classname(suite).set_system_out(xml(&format!("{advisory}{}: {text}", load_view::state(slo))));
        out.add_test_case(case);
    }
    out
}

/// One case per entry: out-of-date ones fail, those that this run says nothing about are skipped.
fn baseline_suite(result: &BaselineResult, names: &mut HashSet<String>) -> TestSuite {
    let mut suite = TestSuite::new("baseline");
    for entry in &result.entries {
        let name = unique(names, &format!("baseline {}", baseline::name(result, entry)));
        let message = xml(&clip(&entry.message, 500));
        let status = if entry.state.stale() {
            let text = format!("{}\nreason of the entry: {}\n", entry.message, entry.reason);
            non_success(NonSuccessKind::Failure, "stale-baseline", message, &text)
        } else if entry.state == EntryState::Idle {
            let mut status = TestCaseStatus::skipped();
            status.set_message(message);
            status
        } else {
            TestCaseStatus::success()
        };
        let mut case = TestCase::new(name, status);
        case.set_classname("baseline");
        suite.add_test_case(case);
    }
    suite
}

/// CI servers merge cases of one name, so a repeated name gets a number.
fn unique(names: &mut HashSet<String>, name: &str) -> String {
    let name = xml(name);
    let numbered = (2..).map(|n| format!("{name} #{n}"));
    let free = std::iter::once(name.clone()).chain(numbered).find(|n| !names.contains(n)).unwrap_or(name);
    names.insert(free.clone());
    free
}

fn rule_case(report: &RunReport, rule: &RuleResult, name: String) -> TestCase {
    let reason = || xml(rule.reason.as_deref().unwrap_or("no reason given"));
    let headline = || rule.findings.first().map_or_else(reason, |f| xml(&clip(&f.message, 500)));
    let status = match rule.outcome {
        Outcome::Fail => non_success(NonSuccessKind::Failure, "fail", headline(), &details(report, rule)),
        Outcome::Error => non_success(NonSuccessKind::Error, "error", headline(), &details(report, rule)),
        Outcome::CouldNotRun => non_success(NonSuccessKind::Error, "could-not-run", reason(), &statement(rule)),
        Outcome::NotApplicable | Outcome::Skipped => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(reason());
            status
        }
        Outcome::Pass | Outcome::KnownDeviation | Outcome::Known | Outcome::Warn => TestCaseStatus::success(),
    };
    let mut case = TestCase::new(name, status);
    case.set_classname(xml(&rule.area)).set_assertions(usize::try_from(rule.judged).unwrap_or(usize::MAX));
    if matches!(rule.outcome, Outcome::KnownDeviation | Outcome::Known | Outcome::Warn) {
        let lines: Vec<_> = view::messages(rule).iter().map(|m| format!("{}: {m}", rule.outcome.as_str())).collect();
        case.set_system_out(xml(&lines.join("\n")));
    }
    case
}

fn non_success(kind: NonSuccessKind, what: &str, message: String, text: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    status.set_type(what).set_message(message).set_description(xml(text));
    status
}

fn statement(rule: &RuleResult) -> String {
    format!("{}\nsource: {}\n", rule.statement, rule.source)
}

fn details(report: &RunReport, rule: &RuleResult) -> String {
    let mut text = statement(rule);
    for finding in rule.findings.iter().take(FINDINGS) {
        text.push('\n');
        text.push_str(&finding_text(report, finding));
    }
    let more = rule.findings.len().saturating_sub(FINDINGS);
    if more > 0 {
        text.push_str(&format!("\n{more} more in the JSON report\n"));
    }
    let proposed = report.baseline.iter().flat_map(|b| &b.proposed).filter(|p| p.rule == rule.id);
    for entry in proposed {
        text.push_str(&format!("\nentry for the baseline:\n{}", entry.text));
    }
    text
}

fn finding_text(report: &RunReport, finding: &Finding) -> String {
    let clipped = |text: &str| clip(text, 2_000);
    let mut text = format!(
        "app: {}\n{}\nexpected: {}\nactual: {}\n",
        finding.app,
        clipped(&finding.message),
        clipped(&finding.expected),
        clipped(&finding.actual)
    );
    if let Some(evidence) = view::evidence_of(report, finding) {
        text.push_str(&format!("at: {}\n{}\n{}\n", evidence.place, evidence.wire.join("\n"), evidence.curl));
        if !evidence.repeat.is_empty() {
            text.push_str(&format!("again: {}\n", evidence.repeat));
        }
    }
    text
}

fn scenario_case(report: &RunReport, scenario: &ScenarioResult, name: String) -> TestCase {
    let reason = scenario.reason.as_deref().unwrap_or("no reason given");
    let first = scenario.failures.first().map_or(reason, |f| f.message.as_str());
    let all: Vec<_> = scenario.failures.iter().map(|f| failure_text(report, f)).collect();
    let status = match scenario.outcome {
        Outcome::Fail => non_success(NonSuccessKind::Failure, "expectation", xml(&clip(first, 500)), &all.join("\n")),
        Outcome::Error => non_success(NonSuccessKind::Error, "error", xml(reason), &all.join("\n")),
        Outcome::CouldNotRun => non_success(NonSuccessKind::Error, "could-not-run", xml(reason), &all.join("\n")),
        Outcome::NotApplicable | Outcome::Skipped => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(xml(reason));
            status
        }
        Outcome::Pass | Outcome::KnownDeviation | Outcome::Known | Outcome::Warn => TestCaseStatus::success(),
    };
    let mut case = TestCase::new(name, status);
    case.set_classname("scenarios").set_time(Duration::from_millis(scenario.elapsed_ms));
    if !scenario.cleanup_failures.is_empty() {
        case.set_system_err(xml(&format!("clean-up failed:\n{}", scenario.cleanup_failures.join("\n"))));
    }
    case
}

fn failure_text(report: &RunReport, failure: &ExpectationFailure) -> String {
    let mut text = format!("{} ({}): {}\n", failure.step, failure.place, clip(&failure.message, 2_000));
    if let Some(evidence) = failure.exchange.and_then(|id| view::evidence(report, id)) {
        text.push_str(&format!("{}\n{}\n", evidence.wire.join("\n"), evidence.curl));
    }
    text
}
