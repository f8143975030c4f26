//! TAP 14: a test point per rule, scenario, objective and entry of the baseline.

use super::escape::{clip, tap as esc, visible_lines};
use super::problems::{self, Problem, Weight};
use super::run::{EntryState, RunReport};
use super::{baseline, load_view, units, view};
use crate::model::Outcome;
use serde_json::{Value, json};

/// Findings in a diagnostic.
const FINDINGS: usize = 5;
/// Characters of a description.
const DESCRIPTION: usize = 400;

/// Renders the report. What makes the run red is `not ok`; what is known, accepted or only recommended is `not ok` with
/// `TODO`, which harnesses count as passed; what does not apply is skipped.
pub fn render(report: &RunReport) -> String {
    let problems = problems::problems(report);
    let mut points = Points::default();
    for rule in &report.rules {
        let own: Vec<_> = problems.iter().filter(|p| p.rule.is_some_and(|r| std::ptr::eq(r, rule))).collect();
        let reason = rule.reason.as_deref();
        points.add(report, rule.outcome, &rule.id, reason, &own);
    }
    for scenario in &report.scenarios {
        let name = format!("scenario {} [{}]", scenario.id, scenario.app);
        let id = format!("scenario/{}", scenario.id);
        let own: Vec<_> = problems.iter().filter(|p| p.id == id && p.app == scenario.app).collect();
        points.add(report, scenario.outcome, &name, scenario.reason.as_deref(), &own);
    }
    for (suite, slos) in report.load.iter().flat_map(|load| [("slo", &load.slos), ("validity", &load.validity)]) {
        for slo in slos {
            let own: Vec<_> = problems.iter().filter(|p| p.id == suite && p.expected == slo.text).collect();
            let todo = (!own.is_empty() && !load_view::red(slo)).then_some("advisory");
            points.point(!load_view::red(slo) && own.is_empty(), &format!("{suite} {}", slo.text), todo, &own);
        }
    }
    for (result, entry) in report.baseline.iter().flat_map(|b| b.entries.iter().map(move |e| (b, e))) {
        let name = format!("baseline {}", baseline::name(result, entry));
        match entry.state {
            EntryState::Idle => points.skip(&name, &entry.message),
            state => points.point(!state.stale(), &format!("{name}: {}", entry.message), None, &[]),
        }
    }
    if let Some(verdict) = problems.iter().find(|p| p.id == "verdict") {
        points.point(false, &format!("verdict {}", verdict.message), None, &[]);
    }
    let mut out = format!("TAP version 14\n1..{}\n{}", points.count, points.text);
    out.push_str(&format!("# {}\n", esc(&problems::line(report))));
    if problems::unfinished(report) {
        out.push_str("Bail out! interrupted; above is what there was\n");
    }
    out
}

#[derive(Default)]
struct Points {
    text: String,
    count: usize,
}

impl Points {
    fn add(&mut self, report: &RunReport, outcome: Outcome, name: &str, reason: Option<&str>, own: &[&Problem]) {
        let worst = problems::weight(report, outcome);
        match outcome {
            Outcome::NotApplicable | Outcome::Skipped => self.skip(name, reason.unwrap_or("no reason given")),
            outcome => {
                let todo = worst.filter(|weight| !weight.red()).map(|_| view::word(outcome));
                self.point(worst.is_none(), name, todo, own);
            }
        }
    }

    fn skip(&mut self, name: &str, reason: &str) {
        self.count += 1;
        let reason = esc(&clip(reason, DESCRIPTION));
        self.text.push_str(&format!("ok {} - {} # SKIP {reason}\n", self.count, esc(&clip(name, DESCRIPTION))));
    }

    fn point(&mut self, ok: bool, name: &str, todo: Option<&str>, own: &[&Problem]) {
        self.count += 1;
        let word = if ok { "ok" } else { "not ok" };
        let todo = todo.map(|why| format!(" # TODO {}", esc(why))).unwrap_or_default();
        self.text.push_str(&format!("{word} {} - {}{todo}\n", self.count, esc(&clip(name, DESCRIPTION))));
        if !own.is_empty() {
            self.diagnostic(own);
        }
    }

    /// A YAML block; strings are JSON's, which YAML 1.2 reads.
    fn diagnostic(&mut self, own: &[&Problem]) {
        self.text.push_str("  ---\n");
        if let Some(rule) = own.first().and_then(|p| p.rule) {
            self.field("  ", "statement", &rule.statement);
            self.field("  ", "source", &rule.source);
            self.field("  ", "level", rule.level.as_str());
        }
        self.text.push_str("  problems:\n");
        for problem in own.iter().take(FINDINGS) {
            self.field("    - ", "severity", severity(problem.weight));
            self.field("      ", "message", &problem.message);
            self.field("      ", "expected", problem.expected);
            self.field("      ", "actual", problem.actual);
            self.field("      ", "app", problem.app);
            self.field("      ", "known", problem.known.unwrap_or_default());
            if let Some(place) = &problem.place {
                self.field("      ", "at", &format!("{}:{}:{}", place.file, place.line, place.column));
            }
            if let Some(evidence) = problem.evidence {
                self.field("      ", "curl", &evidence.curl);
            }
        }
        if own.len() > FINDINGS {
            let more = units::count((own.len() - FINDINGS) as u64, "more problem");
            self.field("  ", "more", &format!("{more} in the JSON report"));
        }
        self.text.push_str("  ...\n");
    }

    fn field(&mut self, lead: &str, key: &str, text: &str) {
        if !text.is_empty() {
            let value: Value = json!(visible_lines(&clip(text, 2_000)));
            self.text.push_str(&format!("{lead}{key}: {value}\n"));
        }
    }
}

fn severity(weight: Weight) -> &'static str {
    match weight {
        Weight::Broken => "error",
        Weight::Failed => "fail",
        Weight::NotRun => "could-not-run",
        Weight::Stale => "stale",
        Weight::Warned => "warn",
        Weight::Accepted => "known",
    }
}
