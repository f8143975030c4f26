//! A summary for CI step summaries and pull requests: GitHub-flavoured Markdown, well below the 1 MiB limit.

use super::escape::{clip, markdown as esc, markdown_block, markdown_code};
use super::run::{Evidence, RuleResult, RunReport};
use super::{baseline, problems, units, verdict, view};
use crate::model::Outcome;

mod load;

/// Above this many bytes no more evidence is added (GitHub cuts a step summary at 1 MiB).
const EVIDENCE_BYTES: usize = 320 * 1024;
/// Above this many bytes lists of rules stop.
const LIST_BYTES: usize = 600 * 1024;
/// Characters of entries to paste.
const PROPOSED_CHARS: usize = 50_000;
/// Findings per rule.
const FINDINGS: usize = 3;

/// Renders the report.
pub fn render(report: &RunReport) -> String {
    let mut out = format!("## difyprobe {}: {}\n\n", esc(&report.command), verdict::word(report.verdict));
    out.push_str(&format!("{}\n\n", line(&report.summary.line)));
    for (label, text) in view::facts(report) {
        out.push_str(&format!("- {label}: {}\n", code(&text)));
    }
    report.load.iter().for_each(|load| load::write(&mut out, report, load));
    failures(&mut out, report);
    scenarios(&mut out, report);
    baseline_section(&mut out, report);
    list(&mut out, report, Outcome::Known, "Known by the baseline");
    list(&mut out, report, Outcome::KnownDeviation, "Known deviations");
    list(&mut out, report, Outcome::Warn, "Warnings");
    list(&mut out, report, Outcome::CouldNotRun, "Could not be run");
    areas(&mut out, report);
    latency(&mut out, report);
    unjudged(&mut out, report, Outcome::NotApplicable, "Not applicable");
    unjudged(&mut out, report, Outcome::Skipped, "Not selected");
    if !report.notes.is_empty() {
        out.push_str("\n### Notes\n\n");
        report.notes.iter().for_each(|note| out.push_str(&format!("- {}\n", esc(&clip(note, 1_000)))));
    }
    out
}

fn failures(out: &mut String, report: &RunReport) {
    let failed = problems::failed(report);
    if failed.is_empty() {
        return;
    }
    out.push_str(&format!("\n### Failures ({})\n", failed.len()));
    for rule in failed {
        if out.len() > LIST_BYTES {
            out.push_str("\nMore failures are in the JSON and HTML reports.\n");
            return;
        }
        failure(out, report, rule);
    }
}

fn failure(out: &mut String, report: &RunReport, rule: &RuleResult) {
    let (id, level) = (code(&rule.id), rule.level.as_str().to_uppercase());
    out.push_str(&format!(
        "\n#### {id} ({level})\n\n> {}\n>\n> source: {}\n",
        line(&rule.statement),
        line(&rule.source)
    ));
    for finding in rule.findings.iter().take(FINDINGS) {
        out.push_str(&format!("\n**{}** on {}\n\n", line(&finding.message), code(&finding.app)));
        let fields = [("expected", &finding.expected), ("actual", &finding.actual)];
        for (label, text) in fields.into_iter().filter(|(_, text)| !text.is_empty()) {
            out.push_str(&format!("- {label}: {}\n", code(text)));
        }
        if let Some(evidence) = view::evidence_of(report, finding) {
            show(out, evidence);
        }
    }
    if rule.findings.len() > FINDINGS {
        out.push_str(&format!("\n{} more in the JSON and HTML reports.\n", rule.findings.len() - FINDINGS));
    }
}

/// A line of text of any origin.
fn line(text: &str) -> String {
    esc(&clip(text, 1_000))
}

/// As [`line`], letter by letter.
fn code(text: &str) -> String {
    markdown_code(&clip(text, 1_000))
}

fn show(out: &mut String, evidence: &Evidence) {
    out.push_str(&format!("- at: {}\n", code(&evidence.place)));
    if out.len() > EVIDENCE_BYTES {
        out.push_str("- wire: in the JSON and HTML reports\n");
        return;
    }
    out.push_str(&format!("\n<details><summary>wire, exchange {}</summary>\n\n", evidence.exchange));
    let wire: Vec<_> = evidence.wire.iter().take(60).map(|l| clip(l, 400)).collect();
    out.push_str(&markdown_block(&wire.join("\n")));
    out.push('\n');
    out.push_str(&markdown_block(&clip(&evidence.curl, 8_000)));
    if !evidence.repeat.is_empty() {
        out.push('\n');
        out.push_str(&markdown_block(&clip(&evidence.repeat, 2_000)));
    }
    out.push_str("\n</details>\n");
}

fn scenarios(out: &mut String, report: &RunReport) {
    let told = |o: Outcome| matches!(o, Outcome::Fail | Outcome::Error | Outcome::CouldNotRun);
    let failed: Vec<_> =
        report.scenarios.iter().filter(|s| told(s.outcome) || !s.cleanup_failures.is_empty()).collect();
    if failed.is_empty() {
        return;
    }
    out.push_str(&format!("\n### Scenarios not in order ({})\n\n", failed.len()));
    for scenario in failed {
        if out.len() > LIST_BYTES {
            out.push_str("- more in the JSON and HTML reports\n");
            return;
        }
        let reason = scenario.reason.as_deref().unwrap_or("");
        let name = format!("{} on {}: {} {reason}", scenario.id, scenario.app, view::word(scenario.outcome));
        out.push_str(&format!("- {}\n", line(name.trim_end())));
        for failure in scenario.failures.iter().take(20) {
            let text = format!("{} ({}): {}", failure.step, failure.place, failure.message);
            out.push_str(&format!("  - {}\n", line(&text)));
        }
        for failure in scenario.cleanup_failures.iter().take(20) {
            out.push_str(&format!("  - clean-up: {}\n", line(failure)));
        }
    }
}

fn baseline_section(out: &mut String, report: &RunReport) {
    let Some(result) = &report.baseline else { return };
    out.push_str(&format!("\n### Baseline {}\n\n{}\n", line(&result.file), baseline::counts(result)));
    let stale = baseline::stale(result);
    if !stale.is_empty() {
        out.push('\n');
    }
    for entry in stale.into_iter().take(100) {
        let name = baseline::name(result, entry);
        out.push_str(&format!("- **{}**: {}: {}\n", entry.state.as_str(), line(&name), line(&entry.message)));
    }
    if !result.proposed.is_empty() && out.len() < LIST_BYTES {
        out.push_str(&format!("\n{}\n\n", line(&baseline::invitation(result))));
        out.push_str(&markdown_block(&clip(baseline::proposed(result).trim_end(), PROPOSED_CHARS)));
    }
}

fn list(out: &mut String, report: &RunReport, outcome: Outcome, title: &str) {
    let rules = problems::told(report, outcome);
    if rules.is_empty() {
        return;
    }
    out.push_str(&format!("\n### {title} ({})\n\n", rules.len()));
    for rule in rules {
        if out.len() > LIST_BYTES {
            out.push_str("- more in the JSON and HTML reports\n");
            return;
        }
        let messages: Vec<_> = view::messages(rule).iter().take(3).map(|m| line(m)).collect();
        out.push_str(&format!("- {}: {}\n", code(&rule.id), messages.join("; ")));
    }
}

fn areas(out: &mut String, report: &RunReport) {
    let areas = view::areas(report);
    if areas.is_empty() {
        return;
    }
    let seen = view::counts(&report.rules.iter().collect::<Vec<_>>());
    out.push_str("\n### Rules by area\n\n| area |");
    seen.iter().for_each(|(_, _, word)| out.push_str(&format!(" {word} |")));
    out.push_str(&format!("\n|---|{}\n", "---:|".repeat(seen.len())));
    for (area, rules) in areas {
        out.push_str(&format!("| {} |", esc(&clip(area, 100))));
        for (outcome, _, _) in &seen {
            let n = rules.iter().filter(|r| r.outcome == *outcome).count();
            let cell = if n == 0 { String::new() } else { format!(" {n}") };
            out.push_str(&format!("{cell} |"));
        }
        out.push('\n');
    }
}

fn latency(out: &mut String, report: &RunReport) {
    let rows = view::main_rows(report);
    if rows.is_empty() {
        return;
    }
    out.push_str("\n### Latency in ms (requests that succeeded)\n\n");
    out.push_str(
        "| metric | app | turn | n | p50 | p90 | p95 | p99 | max |\n|---|---|---|---:|---:|---:|---:|---:|---:|\n",
    );
    for row in rows.iter().take(200) {
        let text = [&row.metric, &row.group, &row.turn].map(|t| esc(&clip(t, 100))).join(" | ");
        let times = [row.p50_us, row.p90_us, row.p95_us, row.p99_us, row.max_us].map(units::ms).join(" | ");
        out.push_str(&format!("| {text} | {} | {times} |\n", row.n));
    }
}

fn unjudged(out: &mut String, report: &RunReport, outcome: Outcome, title: &str) {
    let rules = view::with(report, &[outcome]);
    if rules.is_empty() {
        return;
    }
    out.push_str(&format!("\n<details><summary>{title} ({})</summary>\n\n", rules.len()));
    for (reason, rules) in view::by_reason(&rules).into_iter().take(50) {
        if out.len() > LIST_BYTES {
            out.push_str("- more in the JSON and HTML reports\n");
            break;
        }
        let ids: Vec<_> = rules.iter().take(100).map(|r| code(&r.id)).collect();
        out.push_str(&format!("- {}: {}\n", line(reason), ids.join(", ")));
    }
    out.push_str("\n</details>\n");
}
