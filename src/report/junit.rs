//! JUnit XML: a suite per area, a test case per rule, one more suite for the scenarios' own expectations; of a load the
//! suites `slo` and `validity` besides, a test case per objective.

use super::escape::{clip, visible_line};
use super::problems::{self, Weight};
use super::run::{BaselineResult, EntryState, ExpectationFailure, RuleResult, RunReport, ScenarioResult};
use super::{baseline, load_view, view};
use crate::metrics::summary::{SloResult, SloState};
use crate::model::{Finding, Outcome};
use std::collections::HashSet;

mod document;

use document::{Case, Problem, State, Suite};

/// Findings with evidence per rule.
const FINDINGS: usize = 5;

/// Renders the report. Failures and our own errors become `failure` and `error`, what could not be run becomes `error`
/// (never green), what does not apply becomes `skipped`; known deviations (unless strict) and warnings pass and speak in
/// `system-out`. A run that is not green without a red case gets one: the verdict itself.
pub fn render(report: &RunReport) -> String {
    let mut suites = Vec::new();
    let mut names = HashSet::new();
    for (area, rules) in view::areas(report) {
        let cases = rules.into_iter().map(|rule| rule_case(report, rule, unique(&mut names, &rule.id))).collect();
        suites.push(Suite { name: area.to_owned(), cases });
    }
    if !report.scenarios.is_empty() {
        let case = |scenario: &ScenarioResult| {
            let name = format!("scenario {} [{}]", scenario.id, scenario.app);
            scenario_case(report, scenario, unique(&mut names, &name))
        };
        suites.push(Suite { name: "scenarios".to_owned(), cases: report.scenarios.iter().map(case).collect() });
    }
    if let Some(load) = &report.load {
        let failure: fn(Problem) -> State = State::Failure;
        for (name, slos, state) in [("slo", &load.slos, failure), ("validity", &load.validity, State::Error)] {
            if !slos.is_empty() {
                suites.push(slo_suite(name, slos, state, &mut names));
            }
        }
    }
    if let Some(result) = &report.baseline {
        suites.push(baseline_suite(result, &mut names));
    }
    if let Some(verdict) = problems::problems(report).iter().find(|p| p.id == "verdict") {
        let state = State::Error(Problem::new("verdict", &verdict.message, String::new()));
        let case = Case::new(unique(&mut names, "verdict"), "verdict", state);
        suites.push(Suite { name: "verdict".to_owned(), cases: vec![case] });
    }
    document::write(report, &suites)
}

/// One case per objective. A missed one is a failure; a condition on the generator that is missed is an error, for it
/// says nothing about the server.
fn slo_suite(suite: &str, slos: &[SloResult], red: fn(Problem) -> State, names: &mut HashSet<String>) -> Suite {
    let case = |slo: &SloResult| {
        let seen = slo.value.map_or("not measured".to_owned(), |v| load_view::value(v, &slo.unit));
        let margin = load_view::margin(slo);
        let comma = if margin.is_empty() { "" } else { ", " };
        let text = format!("{seen}, limit {}{comma}{margin}", load_view::limit(slo));
        let state = if load_view::red(slo) {
            let remedy = slo.remedy.as_deref().unwrap_or_default();
            let what = if slo.state == SloState::Missed { "missed" } else { "not-measured" };
            let whole = format!("{}: {text}\n{remedy}", slo.text);
            red(Problem::new(what, &format!("{}: {seen}", slo.text), whole.trim_end().to_owned()))
        } else {
            State::Passed
        };
        let advisory = if slo.advisory { "advisory, " } else { "" };
        let out = format!("{advisory}{}: {text}", load_view::state(slo));
        Case { out, ..Case::new(unique(names, &format!("{suite} {}", clip(&slo.text, 300))), suite, state) }
    };
    Suite { name: suite.to_owned(), cases: slos.iter().map(case).collect() }
}

/// One case per entry: out-of-date ones fail, those that this run says nothing about are skipped.
fn baseline_suite(result: &BaselineResult, names: &mut HashSet<String>) -> Suite {
    let case = |entry: &super::run::EntryResult| {
        let name = unique(names, &format!("baseline {}", baseline::name(result, entry)));
        let state = if entry.state.stale() {
            let text = format!("{}\nreason of the entry: {}\n", entry.message, entry.reason);
            State::Failure(Problem::new("stale-baseline", &entry.message, text))
        } else if entry.state == EntryState::Idle {
            State::Skipped(clip(&entry.message, 500))
        } else {
            State::Passed
        };
        Case::new(name, "baseline", state)
    };
    Suite { name: "baseline".to_owned(), cases: result.entries.iter().map(case).collect() }
}

/// CI servers merge cases of one name, so a repeated name gets a number.
fn unique(names: &mut HashSet<String>, name: &str) -> String {
    let name = visible_line(name);
    let numbered = (2..).map(|n| format!("{name} #{n}"));
    let free = std::iter::once(name.clone()).chain(numbered).find(|n| !names.contains(n)).unwrap_or(name);
    names.insert(free.clone());
    free
}

fn rule_case(report: &RunReport, rule: &RuleResult, name: String) -> Case {
    let reason = rule.reason.as_deref().unwrap_or("no reason given");
    let headline = rule.findings.first().map_or(reason, |f| f.message.as_str());
    let problem = |what: &str| Problem::new(what, headline, details(report, rule));
    let weight = problems::weight(report, rule.outcome);
    let state = match weight {
        Some(Weight::Failed | Weight::Stale) => State::Failure(problem("fail")),
        Some(Weight::Broken) => State::Error(problem("error")),
        Some(Weight::NotRun) => State::Error(Problem::new("could-not-run", reason, statement(rule))),
        None if rule.outcome != Outcome::Pass => State::Skipped(reason.to_owned()),
        None | Some(Weight::Warned | Weight::Accepted) => State::Passed,
    };
    let mut out = String::new();
    if weight.is_some_and(|weight| !weight.red()) {
        let lines: Vec<_> = view::messages(rule).iter().map(|m| format!("{}: {m}", rule.outcome.as_str())).collect();
        out = lines.join("\n");
    }
    Case { out, ..Case::new(name, &rule.area, state) }
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

fn scenario_case(report: &RunReport, scenario: &ScenarioResult, name: String) -> Case {
    let reason = scenario.reason.as_deref().unwrap_or("no reason given");
    let first = scenario.failures.first().map_or(reason, |f| f.message.as_str());
    let all: Vec<_> = scenario.failures.iter().map(|f| failure_text(report, f)).collect();
    let all = all.join("\n");
    let state = match problems::weight(report, scenario.outcome) {
        Some(Weight::Failed | Weight::Stale) => State::Failure(Problem::new("expectation", first, all)),
        Some(Weight::Broken) => State::Error(Problem::new("error", reason, all)),
        Some(Weight::NotRun) => State::Error(Problem::new("could-not-run", reason, all)),
        None if scenario.outcome != Outcome::Pass => State::Skipped(reason.to_owned()),
        None | Some(Weight::Warned | Weight::Accepted) => State::Passed,
    };
    let mut case = Case { elapsed_ms: Some(scenario.elapsed_ms), ..Case::new(name, "scenarios", state) };
    if !scenario.cleanup_failures.is_empty() {
        case.err = format!("clean-up failed:\n{}", scenario.cleanup_failures.join("\n"));
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
