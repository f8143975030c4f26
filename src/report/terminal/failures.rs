//! Failed rules and failed expectations of scenarios, with their evidence.

use super::page::{Page, Paint};
use crate::model::{Finding, Outcome};
use crate::report::escape;
use crate::report::run::{Evidence, RuleResult, RunReport};
use crate::report::{problems, units, view};
use std::collections::HashSet;

/// Columns of the labels beside expected, actual, source.
const LABELS: usize = 10;
/// Findings with evidence per rule, by verbosity 0 and above.
const FINDINGS: [usize; 2] = [2, 20];
/// Wire lines per finding at verbosity 0.
const WIRE_LINES: usize = 24;
/// Longest command that is shown here.
const COMMAND_CHARS: usize = 4_000;

/// Rules that failed, by area.
pub fn write(page: &mut Page, report: &RunReport) {
    let failed = problems::failed(report);
    if failed.is_empty() {
        return;
    }
    page.heading(&format!("Failures ({})", failed.len()));
    let mut shown = HashSet::new();
    for (area, rules) in view::areas(report) {
        let failed: Vec<_> = rules.into_iter().filter(|rule| problems::fails(report, rule)).collect();
        if failed.is_empty() {
            continue;
        }
        page.blank();
        page.text(0, 2, Paint::Dim, &escape::terminal(area));
        for rule in failed {
            write_rule(page, report, rule, &mut shown);
        }
    }
}

fn write_rule(page: &mut Page, report: &RunReport, rule: &RuleResult, shown: &mut HashSet<u64>) {
    let word = if rule.outcome == Outcome::Error { "ERROR" } else { "FAIL" };
    let id = escape::terminal(&rule.id);
    let level = rule.level.as_str().to_uppercase();
    let violations = units::count(rule.findings.len() as u64, "violation");
    let counts = format!("{violations}, judged {}", units::count(rule.judged, "time"));
    let line = [
        (Paint::Bad, word),
        (Paint::Plain, "  "),
        (Paint::Strong, id.as_str()),
        (Paint::Dim, "  "),
        (Paint::Dim, &level),
    ];
    page.pieces(&line);
    page.text(6, 6, Paint::Plain, &escape::terminal(&rule.statement));
    page.labelled(6, LABELS, "source", Paint::Dim, &escape::terminal(&rule.source));
    page.labelled(6, LABELS, "seen", Paint::Dim, &counts);
    let limit = if page.verbosity == 0 { FINDINGS[0] } else { FINDINGS[1] };
    for (i, finding) in rule.findings.iter().take(limit).enumerate() {
        if i > 0 {
            page.blank();
        }
        write_finding(page, report, finding, shown);
    }
    if let Some(more) = rule.findings.len().checked_sub(limit).filter(|n| *n > 0) {
        page.text(6, 6, Paint::Dim, &format!("{} in the reports", units::count(more as u64, "more violation")));
    }
    page.blank();
}

fn write_finding(page: &mut Page, report: &RunReport, finding: &Finding, shown: &mut HashSet<u64>) {
    let field = |page: &mut Page, label: &str, paint, text: &str| {
        if !text.is_empty() {
            page.labelled(6, LABELS, label, paint, &escape::terminal(&escape::clip(text, 1_000)));
        }
    };
    field(page, "app", Paint::Plain, &finding.app);
    field(page, "what", Paint::Strong, &finding.message);
    field(page, "expected", Paint::Good, &finding.expected);
    field(page, "actual", Paint::Bad, &finding.actual);
    if let Some(evidence) = view::evidence_of(report, finding) {
        write_evidence(page, evidence, shown);
    }
}

fn write_evidence(page: &mut Page, evidence: &Evidence, shown: &mut HashSet<u64>) {
    page.labelled(6, LABELS, "where", Paint::Plain, &escape::terminal(&evidence.place));
    if !shown.insert(evidence.exchange) {
        page.labelled(6, LABELS, "wire", Paint::Dim, &format!("exchange {}, shown above", evidence.exchange));
        return;
    }
    page.labelled(6, LABELS, "wire", Paint::Dim, &format!("exchange {}", evidence.exchange));
    write_wire(page, &evidence.wire);
    if !evidence.repeat.is_empty() {
        page.labelled(6, LABELS, "repeat", Paint::Plain, &escape::terminal(&evidence.repeat));
    }
    let chars = evidence.curl.chars().count();
    if chars > COMMAND_CHARS {
        let text = format!("{chars} characters: see the JSON or HTML report");
        page.labelled(6, LABELS, "curl", Paint::Dim, &text);
        return;
    }
    page.labelled(6, LABELS, "curl", Paint::Dim, "with the key in the environment");
    evidence.curl.lines().for_each(|line| page.verbatim(8, &escape::terminal(line)));
}

fn write_wire(page: &mut Page, wire: &[String]) {
    let limit = if page.verbosity == 0 { WIRE_LINES } else { usize::MAX };
    let mut skipped = 0;
    for (i, line) in wire.iter().enumerate() {
        let told = line.starts_with('*') || line.starts_with('!');
        // The middle gives way, but never the frame that shows the violation or the fault.
        let fits = wire.len() <= limit || i < limit / 2 || i + limit / 2 >= wire.len();
        if !fits && !told {
            skipped += 1;
            continue;
        }
        if skipped > 0 {
            page.text(8, 8, Paint::Dim, &format!("... {} ...", units::count(skipped, "more line")));
            skipped = 0;
        }
        let rows = if page.verbosity > 0 || told { 8 } else { 2 };
        let paint = if told { Paint::Warn } else { Paint::Dim };
        page.clipped(8, rows, paint, &escape::terminal(line));
    }
}

/// Scenarios whose own expectations failed, and clean-up that failed.
pub fn write_scenarios(page: &mut Page, report: &RunReport) {
    let told = |o: Outcome| matches!(o, Outcome::Fail | Outcome::Error | Outcome::CouldNotRun);
    let failed: Vec<_> =
        report.scenarios.iter().filter(|s| told(s.outcome) || !s.cleanup_failures.is_empty()).collect();
    if failed.is_empty() {
        return;
    }
    page.heading(&format!("Scenarios not in order ({})", failed.len()));
    let mut shown = HashSet::new();
    for scenario in failed {
        let (word, paint) = match scenario.outcome {
            Outcome::Fail => ("FAIL", Paint::Bad),
            Outcome::Error => ("ERROR", Paint::Bad),
            Outcome::CouldNotRun => ("NOT RUN", Paint::Warn),
            _ => ("UNCLEAN", Paint::Warn),
        };
        let name = escape::terminal(&format!("{} on {}", scenario.id, scenario.app));
        page.pieces(&[(paint, word), (Paint::Plain, "  "), (Paint::Strong, &name)]);
        if let Some(reason) = &scenario.reason {
            page.text(6, 6, Paint::Plain, &escape::terminal(&escape::clip(reason, 1_000)));
        }
        for failure in &scenario.failures {
            let text = format!("step {}: {}", failure.step, escape::clip(&failure.message, 1_000));
            page.text(6, 8, Paint::Strong, &escape::terminal(&text));
            page.text(8, 8, Paint::Plain, &escape::terminal(&format!("at {}", failure.place)));
            if let Some(evidence) = failure.exchange.and_then(|id| view::evidence(report, id)) {
                write_evidence(page, evidence, &mut shown);
            }
        }
        for failure in &scenario.cleanup_failures {
            let text = format!("clean-up: {}", escape::clip(failure, 1_000));
            page.text(6, 8, Paint::Warn, &escape::terminal(&text));
        }
    }
}
