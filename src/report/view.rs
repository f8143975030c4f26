//! Questions that several renderings ask of a report.

use super::run::{Evidence, RuleResult, RunReport};
use crate::metrics::LatencyRow;
use crate::model::{Finding, Outcome};

/// Outcomes in the order of counts, worst first, with the words of reports.
pub const OUTCOMES: [(Outcome, &str); 9] = [
    (Outcome::Fail, "failed"),
    (Outcome::Error, "in error"),
    (Outcome::Known, "known"),
    (Outcome::KnownDeviation, "known deviation"),
    (Outcome::Warn, "warned"),
    (Outcome::CouldNotRun, "could not run"),
    (Outcome::Pass, "passed"),
    (Outcome::NotApplicable, "not applicable"),
    (Outcome::Skipped, "not selected"),
];

/// Metrics that a short latency table shows.
const MAIN_METRICS: [&str; 3] = ["ttft", "e2e", "e2e_sched"];

/// The word of an outcome, as in [`OUTCOMES`].
pub fn word(outcome: Outcome) -> &'static str {
    OUTCOMES.iter().find(|(o, _)| *o == outcome).map_or("", |(_, word)| *word)
}

/// Areas in the order in which the rules name them first.
pub fn areas(report: &RunReport) -> Vec<(&str, Vec<&RuleResult>)> {
    let mut areas: Vec<(&str, Vec<&RuleResult>)> = Vec::new();
    for rule in &report.rules {
        match areas.iter_mut().find(|(area, _)| *area == rule.area) {
            Some((_, rules)) => rules.push(rule),
            None => areas.push((&rule.area, vec![rule])),
        }
    }
    areas
}

/// Rules with one of these outcomes, in catalogue order.
pub fn with<'r>(report: &'r RunReport, outcomes: &[Outcome]) -> Vec<&'r RuleResult> {
    report.rules.iter().filter(|r| outcomes.contains(&r.outcome)).collect()
}

/// How many rules have each outcome, worst first, none left out that occurs.
pub fn counts(rules: &[&RuleResult]) -> Vec<(Outcome, u64, &'static str)> {
    let count = |outcome| rules.iter().filter(|r| r.outcome == outcome).count() as u64;
    let all = OUTCOMES.iter().map(|(outcome, word)| (*outcome, count(*outcome), *word));
    all.filter(|(_, n, _)| *n > 0).collect()
}

/// Rules that share a reason, in order of first appearance.
pub fn by_reason<'r>(rules: &[&'r RuleResult]) -> Vec<(&'r str, Vec<&'r RuleResult>)> {
    let mut reasons: Vec<(&str, Vec<&RuleResult>)> = Vec::new();
    for rule in rules {
        let reason = rule.reason.as_deref().unwrap_or("no reason given");
        match reasons.iter_mut().find(|(r, _)| *r == reason) {
            Some((_, rules)) => rules.push(rule),
            None => reasons.push((reason, vec![rule])),
        }
    }
    reasons
}

/// Evidence of the decisive exchange of a finding.
pub fn evidence_of<'r>(report: &'r RunReport, finding: &Finding) -> Option<&'r Evidence> {
    finding.exchanges.iter().find_map(|id| evidence(report, *id))
}

/// Evidence of an exchange.
pub fn evidence(report: &RunReport, id: u64) -> Option<&Evidence> {
    report.evidence.iter().find(|e| e.exchange == id)
}

/// Why a rule is known, a known deviation or warns: what its findings say, each once.
pub fn messages(rule: &RuleResult) -> Vec<&str> {
    let mut seen: Vec<&str> = Vec::new();
    for finding in &rule.findings {
        let text =
            finding.known.as_deref().filter(|_| matches!(rule.outcome, Outcome::KnownDeviation | Outcome::Known));
        let text = text.unwrap_or(&finding.message);
        if !seen.contains(&text) {
            seen.push(text);
        }
    }
    if seen.is_empty() {
        seen.extend(rule.reason.as_deref());
    }
    seen
}

/// The rows that a short latency table shows: the main metrics, first and later turns apart where a group has both.
pub fn main_rows(report: &RunReport) -> Vec<&LatencyRow> {
    let rows = &report.latency;
    let both = |row: &LatencyRow| {
        let has = |turn| rows.iter().any(|r| r.metric == row.metric && r.group == row.group && r.turn == turn);
        has("first") && has("later")
    };
    let main = |row: &&LatencyRow| MAIN_METRICS.contains(&row.metric.as_str()) && (row.turn == "all") != both(row);
    rows.iter().filter(main).collect()
}

/// What was examined, as label and text; server text is raw.
pub fn facts(report: &RunReport) -> Vec<(&'static str, String)> {
    let target = &report.target;
    let app = |app: &crate::model::App| match app.mode {
        Some(mode) if mode.as_str() != app.label => format!("{} ({mode})", app.label),
        _ => app.label.clone(),
    };
    let apps: Vec<_> = target.apps.iter().map(app).collect();
    let profile = match target.profile_reason.as_str() {
        "" => target.profile.clone(),
        reason => format!("{} ({reason})", target.profile),
    };
    let mut facts = vec![("target", target.base_url.clone()), ("apps", apps.join(", ")), ("profile", profile)];
    facts.extend(target.server_version.iter().map(|version| ("server", format!("X-Version {version}"))));
    facts.retain(|(_, text)| !text.is_empty());
    facts
}

/// Start of the run as `2026-11-23T08:52:12Z`; empty where it is not a time.
pub fn started(report: &RunReport) -> String {
    let millis = i64::try_from(report.started_unix_ms).ok();
    let time = millis.and_then(|ms| jiff::Timestamp::from_second(ms / 1000).ok());
    time.map(|t| t.to_string()).unwrap_or_default()
}
