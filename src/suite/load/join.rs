//! Reports of shards -> the report of the whole load.

use crate::metrics::LoadSummary;
use crate::model::Outcome;
use crate::report::run::{Evidence, ExpectationFailure, RuleResult, RunReport, ScenarioResult, Verdict};
use crate::report::verdict;
use std::collections::BTreeMap;

/// Findings shown per rule.
const FINDINGS: usize = 20;
/// Exchanges shown with their wire.
const EVIDENCE: usize = 60;
/// Failed expectations shown per scenario.
const FAILURES: usize = 20;
/// Exchanges are numbered by shard: those of the second begin here.
const NUMBERS: u64 = 1_000_000_000;

/// Joins what the shards judged with what was measured over all of them; `None` without a shard.
pub fn join(reports: Vec<RunReport>, load: LoadSummary) -> Option<RunReport> {
    let mut reports = reports.into_iter().zip(0..).map(|(report, shard)| renumbered(report, shard * NUMBERS));
    let mut whole = reports.next()?;
    let mut interrupted = whole.verdict == Verdict::Interrupted;
    for report in reports {
        interrupted |= report.verdict == Verdict::Interrupted;
        whole.started_unix_ms = whole.started_unix_ms.min(report.started_unix_ms);
        whole.elapsed_ms = whole.elapsed_ms.max(report.elapsed_ms);
        whole.summary.requests += report.summary.requests;
        report.rules.into_iter().for_each(|rule| add_rule(&mut whole.rules, rule));
        report.scenarios.into_iter().for_each(|scenario| add_scenario(&mut whole.scenarios, scenario));
        let new = report.notes.into_iter().filter(|note| !whole.notes.contains(note)).collect::<Vec<_>>();
        whole.notes.extend(new);
        whole.evidence.extend(report.evidence);
    }
    whole.evidence.truncate(EVIDENCE);
    whole.command = "merge".to_owned();
    let (judged, _) = verdict::verdict(&whole.rules, &whole.scenarios, whole.strict, interrupted);
    let (verdict, exit_code) = verdict::with_load(judged, &load);
    let (requests, elapsed_ms) = (whole.summary.requests, whole.elapsed_ms);
    whole.summary = verdict::summary_of_load(verdict, &whole.rules, &whole.scenarios, requests, elapsed_ms, &load);
    whole.latency = load.groups.first().map(|all| all.latency.clone()).unwrap_or_default();
    Some(RunReport { verdict, exit_code, load: Some(Box::new(load)), ..whole })
}

fn renumbered(mut report: RunReport, by: u64) -> RunReport {
    let move_all = |ids: &mut Vec<u64>| ids.iter_mut().for_each(|id| *id += by);
    for rule in &mut report.rules {
        rule.findings.iter_mut().for_each(|finding| move_all(&mut finding.exchanges));
    }
    for failure in report.scenarios.iter_mut().flat_map(|s| &mut s.failures) {
        failure.exchange = failure.exchange.map(|id| id + by);
    }
    report.evidence.iter_mut().for_each(|Evidence { exchange, .. }| *exchange += by);
    report
}

fn add_rule(rules: &mut Vec<RuleResult>, rule: RuleResult) {
    let Some(known) = rules.iter_mut().find(|known| known.id == rule.id) else {
        rules.push(rule);
        return;
    };
    known.judged += rule.judged;
    if rule.outcome > known.outcome {
        known.outcome = rule.outcome;
        known.reason = rule.reason;
    }
    add_apps(&mut known.apps, rule.apps);
    known.findings.extend(rule.findings);
    known.findings.sort_by_key(|finding| std::cmp::Reverse(finding.outcome));
    known.findings.truncate(FINDINGS);
}

fn add_apps(known: &mut BTreeMap<String, Outcome>, apps: BTreeMap<String, Outcome>) {
    for (app, outcome) in apps {
        let worst = known.entry(app).or_insert(outcome);
        *worst = (*worst).max(outcome);
    }
}

fn add_scenario(scenarios: &mut Vec<ScenarioResult>, scenario: ScenarioResult) {
    let same = |known: &&mut ScenarioResult| (&known.id, &known.app) == (&scenario.id, &scenario.app);
    let Some(known) = scenarios.iter_mut().find(same) else {
        scenarios.push(scenario);
        return;
    };
    known.requests += scenario.requests;
    known.elapsed_ms += scenario.elapsed_ms;
    if scenario.outcome > known.outcome {
        known.outcome = scenario.outcome;
        known.reason = scenario.reason;
    }
    let failures: Vec<ExpectationFailure> = scenario.failures;
    known.failures.extend(failures);
    known.failures.truncate(FAILURES);
    known.cleanup_failures.extend(scenario.cleanup_failures);
    known.cleanup_failures.truncate(FAILURES);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Level;

    fn rule(id: &str, outcome: Outcome, judged: u64) -> RuleResult {
        RuleResult {
            id: id.into(),
            area: "a".into(),
            level: Level::Must,
            title: String::new(),
            statement: String::new(),
            source: String::new(),
            outcome,
            reason: None,
            judged,
            apps: [("chat".to_owned(), outcome)].into(),
            findings: Vec::new(),
        }
    }

    #[test]
    fn the_worst_of_all_shards_counts_and_judgements_add_up() {
        let mut rules = vec![rule("a.x", Outcome::Pass, 10)];
        add_rule(&mut rules, rule("a.x", Outcome::Fail, 5));
        add_rule(&mut rules, rule("a.x", Outcome::Pass, 1));
        add_rule(&mut rules, rule("a.y", Outcome::Pass, 2));
        let seen: Vec<_> = rules.iter().map(|r| (r.id.as_str(), r.outcome, r.judged, r.apps["chat"])).collect();
        let wanted = [("a.x", Outcome::Fail, 16, Outcome::Fail), ("a.y", Outcome::Pass, 2, Outcome::Pass)];
        assert_eq!(seen, wanted);
    }
}
