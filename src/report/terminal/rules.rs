//! Everything about rules but the failures: known deviations, warnings, areas, reasons.

use super::page::{self, Page, Paint};
use crate::model::Outcome;
use crate::report::escape;
use crate::report::run::{RuleResult, RunReport};
use crate::report::{problems, units, view};

/// Rules that could not be run are named up to this many; a server that cannot be reached leaves all of them.
const NAMED: usize = 30;

fn paint(outcome: Outcome) -> Paint {
    match outcome {
        Outcome::Pass => Paint::Good,
        Outcome::Fail | Outcome::Error => Paint::Bad,
        Outcome::Warn | Outcome::CouldNotRun => Paint::Warn,
        Outcome::KnownDeviation | Outcome::Known => Paint::Known,
        Outcome::NotApplicable | Outcome::Skipped => Paint::Dim,
    }
}

/// Known deviations and warnings, with what they are about.
pub fn write_known(page: &mut Page, report: &RunReport) {
    let told = [
        (Outcome::Known, "Known by the baseline"),
        (Outcome::KnownDeviation, "Known deviations"),
        (Outcome::Warn, "Warnings"),
    ];
    for (outcome, title) in told {
        let rules = problems::told(report, outcome);
        if rules.is_empty() {
            continue;
        }
        page.heading(&format!("{title} ({})", rules.len()));
        for rule in rules {
            page.text(2, 4, paint(outcome), &escape::terminal(&rule.id));
            for message in view::messages(rule).iter().take(3) {
                page.text(6, 6, Paint::Plain, &escape::terminal(&escape::clip(message, 500)));
            }
        }
    }
}

/// Rules of one outcome, grouped by the reason. Many of them, and those that do not apply, are only counted unless verbose.
pub fn write_reasons(page: &mut Page, report: &RunReport, outcome: Outcome) {
    let rules = view::with(report, &[outcome]);
    if rules.is_empty() {
        return;
    }
    let title = match outcome {
        Outcome::CouldNotRun => "Could not be run",
        Outcome::Skipped => "Not selected",
        _ => "Not applicable",
    };
    page.heading(&format!("{title} ({})", rules.len()));
    let names = (outcome == Outcome::CouldNotRun && rules.len() <= NAMED) || page.verbosity > 0;
    for (reason, rules) in view::by_reason(&rules) {
        let count = units::count(rules.len() as u64, "rule");
        let text = format!("{count}: {}", escape::clip(reason, 500));
        page.text(2, 4, paint(outcome), &escape::terminal(&text));
        if names {
            let ids: Vec<_> = rules.iter().map(|r| escape::terminal(&r.id)).collect();
            page.text(6, 6, Paint::Plain, &ids.join(" "));
        }
    }
}

/// One line of counts per area, and below it the verdict on each rule; verbose, one line per rule.
pub fn write_areas(page: &mut Page, report: &RunReport) {
    let areas = view::areas(report);
    // Where nothing could be run, the reason above says it all.
    let nothing = report.rules.iter().all(|r| r.outcome == Outcome::CouldNotRun) && page.verbosity == 0;
    if areas.is_empty() || nothing {
        return;
    }
    page.heading("Rules by area");
    let column = areas.iter().map(|(area, _)| page::width(&escape::terminal(area))).max().unwrap_or(0).min(24);
    for (area, rules) in areas {
        let area = page::cut_to(&escape::terminal(area), column);
        let gap = " ".repeat(column.saturating_sub(page::width(&area)));
        let start = format!("  {area}{gap}");
        let mut used = page::width(&start);
        let mut line = vec![(Paint::Plain, start)];
        for (outcome, n, word) in view::counts(&rules) {
            let piece = format!("  {n} {word}");
            if used + piece.len() > page.width {
                write_line(page, &line);
                line = vec![(Paint::Plain, " ".repeat(column + 2))];
                used = column + 2;
            }
            used += piece.len();
            line.push((paint(outcome), piece));
        }
        write_line(page, &line);
        if page.verbosity > 0 {
            for rule in rules {
                let text = format!("{:<16}{} ({})", view::word(rule.outcome), rule.id, rule.judged);
                page.text(4, 20, paint(rule.outcome), &escape::terminal(&text));
            }
        } else {
            write_ids(page, &rules);
        }
    }
}

/// The verdict on each rule, ids of the same outcome side by side; of those left out the count above is enough.
fn write_ids(page: &mut Page, rules: &[&RuleResult]) {
    for (outcome, _, _) in view::counts(rules).into_iter().filter(|(o, _, _)| *o != Outcome::Skipped) {
        let ids = rules.iter().filter(|r| r.outcome == outcome).map(|r| escape::terminal(&r.id));
        page.labelled(4, 16, view::word(outcome), paint(outcome), &ids.collect::<Vec<_>>().join(" "));
    }
}

fn write_line(page: &mut Page, line: &[(Paint, String)]) {
    let pieces: Vec<_> = line.iter().map(|(paint, text)| (*paint, text.as_str())).collect();
    page.pieces(&pieces);
}
