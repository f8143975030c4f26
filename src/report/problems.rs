//! All that is not in order in a report as one list, worst first: what formats for code review show. Text is raw.

use super::escape::clip;
use super::run::{Evidence, Place, RuleResult, RunReport, ScenarioResult};
use super::{baseline, load_view, verdict, view};
use crate::metrics::summary::SloResult;
use crate::model::{Finding, Outcome};
use std::collections::HashMap;

/// How bad, worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Weight {
    /// A fault of our own.
    Broken,
    /// A binding rule or an expectation does not hold, or an objective was missed.
    Failed,
    /// It could not be examined; the run is incomplete.
    NotRun,
    /// An entry of the baseline is out of date.
    Stale,
    /// A recommendation does not hold, or an advisory objective was missed.
    Warned,
    /// It does not hold, and that is known and accepted.
    Accepted,
}

impl Weight {
    /// Whether it makes the run red.
    pub fn red(self) -> bool {
        self < Weight::Warned
    }
}

/// One thing that is not in order.
#[derive(Clone, Debug)]
pub struct Problem<'r> {
    /// How bad.
    pub weight: Weight,
    /// Rule id; `scenario/ID`, `slo`, `validity`, `baseline` or `verdict` for what is no rule.
    pub id: String,
    /// Its rule.
    pub rule: Option<&'r RuleResult>,
    /// One sentence.
    pub message: String,
    /// What was demanded; may be empty.
    pub expected: &'r str,
    /// What was seen; may be empty.
    pub actual: &'r str,
    /// App label; may be empty.
    pub app: &'r str,
    /// Where in a file of the user.
    pub place: Option<Place>,
    /// The exchange that shows it.
    pub evidence: Option<&'r Evidence>,
    /// Why it is accepted.
    pub known: Option<&'r str>,
    /// 32 hex digits, the same for the same problem in every run: no message, line or number of an exchange is part of it.
    pub fingerprint: String,
    /// What tells it from other problems of its id over many runs.
    key: String,
}

impl<'r> Problem<'r> {
    fn new(weight: Weight, id: impl Into<String>, message: impl Into<String>) -> Problem<'r> {
        let (id, message) = (id.into(), message.into());
        let (key, fingerprint) = (String::new(), String::new());
        let (rule, place, evidence, known) = (None, None, None, None);
        Problem {
            weight,
            id,
            rule,
            message,
            expected: "",
            actual: "",
            app: "",
            place,
            evidence,
            known,
            key,
            fingerprint,
        }
    }

    fn showing(self, evidence: Option<&'r Evidence>) -> Problem<'r> {
        let place = self.place.or_else(|| evidence.and_then(|e| e.at.clone()));
        Problem { evidence, place, ..self }
    }

    /// The step that showed it, as `scenario.step`; empty where no scenario did.
    pub fn step(&self) -> &'r str {
        self.evidence.map_or("", |e| e.place.split(" (").next().unwrap_or_default())
    }
}

/// Everything that is not in order, worst first, else in the order of the report. There is a red problem in it exactly if
/// the verdict is red.
pub fn problems(report: &RunReport) -> Vec<Problem<'_>> {
    let mut all: Vec<Problem> = report.rules.iter().flat_map(|rule| of_rule(report, rule)).collect();
    all.extend(report.scenarios.iter().flat_map(|scenario| of_scenario(report, scenario)));
    if let Some(load) = &report.load {
        all.extend(load.slos.iter().filter_map(|slo| of_objective("slo", slo)));
        all.extend(load.validity.iter().filter_map(|slo| of_objective("validity", slo)));
    }
    if let Some(result) = &report.baseline {
        for entry in baseline::stale(result) {
            let message = format!("{}: {}", baseline::name(result, entry), entry.message);
            let place = Place { file: result.file.clone(), line: entry.line, column: 1 };
            let key = format!("{}/{:?}/{:?}", entry.rule, entry.app, entry.version);
            all.push(Problem { place: Some(place), key, ..Problem::new(Weight::Stale, "baseline", message) });
        }
    }
    if report.exit_code != 0 && (unfinished(report) || !all.iter().any(|p| p.weight.red())) {
        let weight = if report.exit_code == 70 { Weight::Broken } else { Weight::NotRun };
        all.push(Problem::new(weight, "verdict", line(report)));
    }
    all.sort_by_key(|problem| problem.weight);
    fingerprint(&mut all);
    all
}

/// The list with at most `limit` problems of one id.
pub fn at_most<'p, 'r>(problems: &'p [Problem<'r>], limit: usize) -> Vec<&'p Problem<'r>> {
    let mut seen: HashMap<&str, usize> = HashMap::new();
    let mut kept = Vec::new();
    for problem in problems {
        let n = seen.entry(problem.id.as_str()).or_default();
        *n += 1;
        if *n <= limit {
            kept.push(problem);
        }
    }
    kept
}

/// Whether the run ended before everything was examined, which no single rule tells.
pub fn unfinished(report: &RunReport) -> bool {
    report.exit_code == 130
}

/// The line that closes a report.
pub fn line(report: &RunReport) -> String {
    let line = &report.summary.line;
    if line.is_empty() { verdict::word(report.verdict).to_owned() } else { clip(line, 1_000) }
}

/// How bad an outcome is in this run; `None` where it is in order.
pub fn weight(report: &RunReport, outcome: Outcome) -> Option<Weight> {
    match outcome {
        Outcome::Error => Some(Weight::Broken),
        Outcome::Fail => Some(Weight::Failed),
        Outcome::KnownDeviation if report.strict => Some(Weight::Failed),
        Outcome::CouldNotRun => Some(Weight::NotRun),
        Outcome::Warn => Some(Weight::Warned),
        Outcome::KnownDeviation | Outcome::Known => Some(Weight::Accepted),
        Outcome::Pass | Outcome::NotApplicable | Outcome::Skipped => None,
    }
}

/// Rules that make the run red as failures or faults of our own, in catalogue order.
pub fn failed(report: &RunReport) -> Vec<&RuleResult> {
    report.rules.iter().filter(|rule| fails(report, rule)).collect()
}

/// Whether a rule is one of [`failed`].
pub fn fails(report: &RunReport, rule: &RuleResult) -> bool {
    matches!(weight(report, rule.outcome), Some(Weight::Broken | Weight::Failed))
}

/// Rules with an outcome that are not told as failures, in catalogue order.
pub fn told(report: &RunReport, outcome: Outcome) -> Vec<&RuleResult> {
    report.rules.iter().filter(|rule| rule.outcome == outcome && !fails(report, rule)).collect()
}

fn of_rule<'r>(report: &'r RunReport, rule: &'r RuleResult) -> Vec<Problem<'r>> {
    let Some(whole) = weight(report, rule.outcome) else { return Vec::new() };
    let reason = rule.reason.as_deref().unwrap_or(&rule.statement);
    let alone = || Problem { rule: Some(rule), ..Problem::new(whole, &rule.id, reason) };
    let told: Vec<_> = rule.findings.iter().filter_map(|f| of_finding(report, rule, f, whole)).collect();
    if told.iter().any(|p| p.weight == whole) { told } else { std::iter::once(alone()).chain(told).collect() }
}

/// No finding weighs more than its rule, which collapses them.
fn of_finding<'r>(
    report: &'r RunReport,
    rule: &'r RuleResult,
    finding: &'r Finding,
    whole: Weight,
) -> Option<Problem<'r>> {
    let weight = weight(report, finding.outcome)?.max(whole);
    let problem = Problem {
        rule: Some(rule),
        expected: &finding.expected,
        actual: &finding.actual,
        app: &finding.app,
        known: finding.known.as_deref(),
        key: finding.check.clone(),
        ..Problem::new(weight, &rule.id, &finding.message)
    };
    Some(problem.showing(view::evidence_of(report, finding)))
}

fn of_scenario<'r>(report: &'r RunReport, scenario: &'r ScenarioResult) -> Vec<Problem<'r>> {
    let Some(weight) = weight(report, scenario.outcome) else { return Vec::new() };
    let id = format!("scenario/{}", scenario.id);
    let mut told: Vec<_> = scenario
        .failures
        .iter()
        .map(|failure| {
            let problem = Problem {
                app: &scenario.app,
                place: Place::parse(&failure.place),
                key: failure.step.clone(),
                ..Problem::new(weight, &id, format!("step {}: {}", failure.step, failure.message))
            };
            problem.showing(failure.exchange.and_then(|id| view::evidence(report, id)))
        })
        .collect();
    if told.is_empty() {
        let reason = scenario.reason.as_deref().unwrap_or_else(|| view::word(scenario.outcome));
        let place = Place { file: scenario.file.clone(), line: 1, column: 1 };
        let place = Some(place).filter(|place| !place.file.is_empty());
        told.push(Problem { app: &scenario.app, place, ..Problem::new(weight, &id, reason) });
    }
    told
}

fn of_objective<'r>(suite: &str, slo: &'r SloResult) -> Option<Problem<'r>> {
    if slo.state == crate::metrics::summary::SloState::Met {
        return None;
    }
    let weight = if load_view::red(slo) { Weight::Failed } else { Weight::Warned };
    let seen = slo.value.map_or("not measured".to_owned(), |value| load_view::value(value, &slo.unit));
    let remedy = slo.remedy.as_ref().map(|remedy| format!("; {remedy}")).unwrap_or_default();
    let message = format!("{} {}: {seen}{remedy}", slo.text, load_view::state(slo));
    Some(Problem { expected: &slo.text, key: slo.text.clone(), ..Problem::new(weight, suite, message) })
}

/// Problems that nothing stable tells apart are numbered.
fn fingerprint(problems: &mut [Problem]) {
    let mut seen: HashMap<u128, u32> = HashMap::new();
    for problem in problems {
        let base = hash(&[&problem.id, &problem.key, problem.app, problem.step()]);
        let number = seen.entry(base).or_default();
        let digits = if *number == 0 { base } else { hash(&[&format!("{base:032x}"), &number.to_string()]) };
        *number += 1;
        problem.fingerprint = format!("{digits:032x}");
    }
}

/// FNV-1a, 128 bits, each text with its length: the same for ever. It tells accidents apart, not forgeries.
fn hash(texts: &[&str]) -> u128 {
    let mut hash = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d_u128;
    for text in texts {
        for byte in (text.len() as u64).to_le_bytes().iter().chain(text.as_bytes()) {
            hash = (hash ^ u128::from(*byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
        }
    }
    hash
}
