//! Recording and runs -> the report.

use super::baseline::{Baseline, Over};
use super::filter::RuleFilter;
use super::select::NOT_ASKED;
use crate::flow::DISCOVERY;
use crate::metrics::{LatencyRow, LoadSummary, Recorder, sample};
use crate::model::{App, Exchange, Finding, Outcome, Transcript};
use crate::profile::Profile;
use crate::report::evidence::{evidence_at, judge_command, place};
use crate::report::run::{Evidence, ExpectationFailure, REPORT_SCHEMA, RuleResult, RunReport, ScenarioResult, Target};
use crate::report::verdict;
use crate::rules::judge::{Judgement, Planned, judge};
use crate::rules::{Judge, Load, Rule};
use std::collections::{BTreeMap, BTreeSet};

/// Exchanges shown with their wire in one report.
const MOST_EVIDENCE: usize = 60;

/// Everything a report is made of besides the recording.
pub struct Facts<'f> {
    /// Command that made it, e.g. `check`.
    pub command: &'f str,
    /// Profile in force, and why.
    pub profile: (&'static Profile, String),
    /// What the run meant to do about a rule on an app.
    pub planned: &'f dyn Fn(&Rule, &App) -> Planned,
    /// Every rule of the catalogue is meant, also those that nothing exercised.
    pub whole_suite: bool,
    /// What became of the scenarios.
    pub scenarios: Vec<ScenarioResult>,
    /// What a reader should know.
    pub notes: Vec<String>,
    /// Faults of our own.
    pub harness_errors: Vec<String>,
    /// The run was stopped.
    pub interrupted: bool,
    /// Known deviations count as failures.
    pub strict: bool,
    /// Duration in milliseconds.
    pub elapsed_ms: u64,
    /// The rules that the run is about.
    pub rules: &'f RuleFilter,
    /// Failures that the user accepts, and whether a rule was examined wherever it could have been seen.
    pub baseline: Option<Accepted<'f>>,
    /// Saved transcript that shows the findings again, where there is one.
    pub saved_as: Option<String>,
}

/// A baseline for this run.
#[derive(Clone, Copy)]
pub struct Accepted<'f> {
    /// The entries.
    pub baseline: &'f Baseline,
    /// As `planned` of the facts; only what is `Yes` and passes makes an entry unused.
    pub examined: &'f dyn Fn(&Rule, &App) -> Planned,
    /// Today.
    pub today: jiff::civil::Date,
}

/// Judges a recording and builds the report of it.
pub fn build(transcript: &Transcript, facts: Facts) -> RunReport {
    let judgements = judge(transcript, facts.profile.0, facts.planned);
    let requests = transcript.exchanges.len() as u64;
    assemble(transcript, facts, judgements, latency(transcript), requests)
}

/// The report of a run that could not begin: every rule that was meant could not be run, for the one `reason`. The
/// exchanges of discovery are evidence and are not judged: it is not known that they are those of a Dify API.
pub fn build_unexamined(transcript: &Transcript, mut facts: Facts, meant: &[&'static Rule], reason: &str) -> RunReport {
    let stuck = |rule: &&'static Rule| Judgement {
        rule,
        outcome: Outcome::CouldNotRun,
        reason: Some(reason.to_owned()),
        judged: 0,
        apps: BTreeMap::new(),
        findings: Vec::new(),
    };
    facts.scenarios.push(discovery(transcript, reason, facts.elapsed_ms));
    let requests = transcript.exchanges.len() as u64;
    assemble(transcript, facts, meant.iter().map(stuck).collect(), Vec::new(), requests)
}

fn discovery(transcript: &Transcript, reason: &str, elapsed_ms: u64) -> ScenarioResult {
    // With apps discovery itself went well.
    let last = transcript.exchanges.last().filter(|_| transcript.apps.is_empty());
    let unusable = |e: &Exchange| ExpectationFailure {
        place: place(&e.origin),
        step: e.origin.step.clone(),
        message: "no usable answer".to_owned(),
        exchange: Some(e.id),
    };
    ScenarioResult {
        id: DISCOVERY.to_owned(),
        title: "Which apps the keys open, and what they declare".to_owned(),
        file: String::new(),
        app: last.map_or_else(|| "the target".to_owned(), |e| e.app.clone()),
        outcome: Outcome::CouldNotRun,
        reason: Some(reason.to_owned()),
        failures: last.map(unusable).into_iter().collect(),
        cleanup_failures: Vec::new(),
        requests: transcript.exchanges.len() as u64,
        elapsed_ms,
    }
}

/// The report of a load: rules judged on every response as they came (`every`), the others on the sampled exchanges.
pub fn build_load(
    transcript: &Transcript,
    facts: Facts,
    mut every: Vec<Judgement>,
    load: LoadSummary,
    requests: u64,
) -> RunReport {
    let mut sampled = transcript.clone();
    sampled.complete = false;
    let rest = judge(&sampled, facts.profile.0, facts.planned);
    every.extend(rest.into_iter().filter(|j| j.rule.load == Load::Sampled || matches!(j.rule.judge, Judge::Run(_))));
    let latency = load.groups.first().map(|whole| whole.latency.clone()).unwrap_or_default();
    let report = assemble(transcript, facts, every, latency, requests);
    let (verdict, exit_code) = verdict::with_load(report.verdict, &load);
    let (rules, scenarios) = (&report.rules, &report.scenarios);
    let summary = verdict::summary_of_load(verdict, rules, scenarios, requests, report.elapsed_ms, &load);
    RunReport { verdict, exit_code, summary, load: Some(Box::new(load)), ..report }
}

fn assemble(
    transcript: &Transcript,
    facts: Facts,
    judgements: Vec<Judgement>,
    latency: Vec<LatencyRow>,
    requests: u64,
) -> RunReport {
    // Of a part of the suite, rules about apps that are not there were not asked for either.
    let meant = |j: &Judgement| j.outcome == Outcome::CouldNotRun || !j.apps.is_empty();
    let asked =
        |j: &Judgement| facts.whole_suite || j.judged > 0 || (meant(j) && j.reason.as_deref() != Some(NOT_ASKED));
    let mut judgements: Vec<Judgement> = judgements.into_iter().filter(asked).collect();
    judgements.iter_mut().for_each(|j| leave_out(j, facts.rules));
    let baseline = facts.baseline.map(|accepted| {
        let partial = facts.interrupted || !facts.harness_errors.is_empty();
        let (planned, today, strict) = (accepted.examined, accepted.today, facts.strict);
        accepted.baseline.apply(&mut judgements, &Over { apps: &transcript.apps, planned, today, strict, partial })
    });
    let rules: Vec<RuleResult> = judgements.into_iter().map(rule_result).collect();
    let mut scenarios = facts.scenarios;
    for error in &facts.harness_errors {
        scenarios.push(harness_fault(error));
    }
    let again = facts.saved_as.as_deref().map(|path| judge_command(path, facts.strict));
    let evidence = collect_evidence(transcript, &rules, &scenarios, again.as_deref());
    let (verdict, _) = verdict::verdict(&rules, &scenarios, facts.strict, facts.interrupted);
    let (verdict, exit_code) = verdict::with_baseline(verdict, baseline.as_ref());
    RunReport {
        schema: REPORT_SCHEMA.to_owned(),
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        command: facts.command.to_owned(),
        target: target(transcript, &facts.profile),
        started_unix_ms: transcript.started_unix_us / 1000,
        elapsed_ms: facts.elapsed_ms,
        verdict,
        exit_code,
        strict: facts.strict,
        summary: verdict::summary(verdict, &rules, &scenarios, requests, facts.elapsed_ms),
        rules,
        scenarios,
        latency,
        notes: facts.notes,
        evidence,
        baseline,
        load: None,
    }
}

/// What the recording shows by the way about rules that the user left out is not told.
fn leave_out(judgement: &mut Judgement, rules: &RuleFilter) {
    if let Some(reason) = rules.left_out(judgement.rule) {
        judgement.outcome = Outcome::Skipped;
        judgement.reason = Some(reason);
        judgement.judged = 0;
        judgement.apps = BTreeMap::new();
        judgement.findings = Vec::new();
    }
}

fn target(transcript: &Transcript, profile: &(&'static Profile, String)) -> Target {
    Target {
        base_url: transcript.base_url.clone(),
        apps: transcript.apps.clone(),
        profile: profile.0.id.to_owned(),
        profile_reason: profile.1.clone(),
        server_version: transcript.apps.iter().find_map(|a| a.server_version.clone()),
    }
}

fn rule_result(judgement: Judgement) -> RuleResult {
    let rule = judgement.rule;
    RuleResult {
        id: rule.id.to_owned(),
        area: rule.area.to_owned(),
        level: rule.level,
        title: rule.title.to_owned(),
        statement: rule.statement.to_owned(),
        source: rule.source.to_owned(),
        outcome: judgement.outcome,
        reason: judgement.reason,
        judged: judgement.judged,
        apps: judgement.apps,
        findings: judgement.findings,
    }
}

fn harness_fault(error: &str) -> ScenarioResult {
    ScenarioResult {
        id: "difyprobe".to_owned(),
        title: "a fault of difyprobe itself; please report it".to_owned(),
        file: String::new(),
        app: String::new(),
        outcome: Outcome::Error,
        reason: Some(error.to_owned()),
        failures: Vec::new(),
        cleanup_failures: Vec::new(),
        requests: 0,
        elapsed_ms: 0,
    }
}

/// Wire of every exchange that a finding or a failed expectation names, the most severe first; of every rule that has
/// findings at least the first one's, however many rules that are.
fn collect_evidence(
    transcript: &Transcript,
    rules: &[RuleResult],
    scenarios: &[ScenarioResult],
    again: Option<&str>,
) -> Vec<Evidence> {
    let mut findings: Vec<&Finding> = rules.iter().flat_map(|r| &r.findings).collect();
    findings.sort_by_key(|f| std::cmp::Reverse(f.outcome));
    let failed = scenarios.iter().flat_map(|s| &s.failures).filter_map(|f| f.exchange);
    let named = failed.chain(findings.iter().flat_map(|f| f.exchanges.iter().copied()));
    let mut ids = BTreeSet::new();
    let decisive = rules.iter().filter_map(|r| r.findings.first()?.exchanges.first().copied());
    let mut kept: Vec<u64> = decisive.filter(|id| ids.insert(*id)).collect();
    let room = MOST_EVIDENCE.saturating_sub(kept.len());
    kept.extend(named.filter(|id| ids.insert(*id)).take(room));
    let exchanges = kept.into_iter().filter_map(|id| transcript.exchange(id));
    exchanges
        .map(|exchange| {
            let marked: Vec<usize> =
                findings.iter().filter(|f| f.exchanges.first() == Some(&exchange.id)).filter_map(|f| f.frame).collect();
            let mut shown = evidence_at(exchange, &transcript.base_url, &marked);
            if let Some(command) = again {
                command.clone_into(&mut shown.repeat);
            }
            shown
        })
        .collect()
}

fn latency(transcript: &Transcript) -> Vec<LatencyRow> {
    let mut recorder = Recorder::new();
    for exchange in &transcript.exchanges {
        let mode = transcript.app(&exchange.app).and_then(|a| a.mode);
        if let Some(sample) = sample(exchange, mode) {
            recorder.record(&exchange.app, &sample);
        }
    }
    recorder.rows()
}
