//! Text of a hostile server, and a report that is full of it.

use super::fixture;
use difyprobe::report::run::RunReport;

/// Texts that a hostile or broken server could put anywhere: `tests/data/hostile.json`.
pub fn corpus() -> Vec<String> {
    let text = include_str!("../../data/hostile.json");
    let all: Vec<serde_json::Value> = serde_json::from_str(text).expect("a list");
    let texts: Vec<_> = all.iter().map(|entry| entry["text"].as_str().expect("a text").to_owned()).collect();
    assert!(texts.len() > 25, "the corpus is gone");
    texts
}

/// The report with `text` in every place that a server, or a user's file, can fill.
pub fn poisoned(text: &str) -> RunReport {
    let mut report = fixture::report();
    let put = |place: &mut String| place.push_str(text);
    put(&mut report.target.base_url);
    put(&mut report.target.profile_reason);
    report.target.server_version.iter_mut().for_each(put);
    report.target.apps.iter_mut().for_each(|app| put(&mut app.label));
    report.notes.iter_mut().for_each(put);
    for rule in &mut report.rules {
        [&mut rule.id, &mut rule.area, &mut rule.title, &mut rule.statement, &mut rule.source]
            .into_iter()
            .for_each(put);
        rule.reason.iter_mut().for_each(put);
        for finding in &mut rule.findings {
            [&mut finding.message, &mut finding.expected, &mut finding.actual, &mut finding.app]
                .into_iter()
                .for_each(put);
            finding.known.iter_mut().for_each(put);
        }
    }
    for scenario in &mut report.scenarios {
        [&mut scenario.id, &mut scenario.title, &mut scenario.file, &mut scenario.app].into_iter().for_each(put);
        scenario
            .failures
            .iter_mut()
            .for_each(|f| [&mut f.place, &mut f.step, &mut f.message].into_iter().for_each(put));
        scenario.cleanup_failures.iter_mut().for_each(put);
    }
    report.latency.iter_mut().for_each(|row| put(&mut row.group));
    for evidence in &mut report.evidence {
        [&mut evidence.place, &mut evidence.curl, &mut evidence.repeat].into_iter().for_each(put);
        evidence.wire.iter_mut().for_each(put);
    }
    report.summary.line.push_str(text);
    if let Some(baseline) = &mut report.baseline {
        put(&mut baseline.file);
        for entry in &mut baseline.entries {
            [&mut entry.rule, &mut entry.reason, &mut entry.message].into_iter().for_each(put);
            entry.app.iter_mut().chain(&mut entry.version).chain(&mut entry.expires).for_each(put);
        }
        baseline.proposed.iter_mut().for_each(|p| put(&mut p.text));
    }
    report
}

/// Characters that would act on a terminal or reorder text.
pub fn acts(c: char) -> bool {
    (c.is_control() && c != '\n')
        || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{61c}' | '\u{200b}' | '\u{ad}'
            | '\u{feff}' | '\u{fffe}' | '\u{ffff}' | '\u{e0000}'..='\u{e007f}')
}
