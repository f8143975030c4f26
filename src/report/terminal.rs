//! The report for a person at a terminal: failures first with their evidence, the verdict last.

use super::escape;
use super::run::{RunReport, Verdict};
use super::{verdict, view};
use crate::model::Outcome;

mod baseline;
mod comparison;
mod difference;
mod failures;
mod latency;
mod load;
mod matrix;
mod page;
mod rules;
mod table;

pub use comparison::comparison;
pub use difference::difference;
pub use matrix::matrix;
use page::{Page, Paint};

/// How to write for this terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TerminalStyle {
    /// Whether ANSI colours are understood and wanted.
    pub color: bool,
    /// Columns; less than 40 counts as 40.
    pub width: usize,
    /// 0: verdict per area and all that is not in order; 1: each rule, full wire lines, all latency rows.
    pub verbosity: u8,
}

impl Default for TerminalStyle {
    fn default() -> Self {
        TerminalStyle { color: false, width: 80, verbosity: 0 }
    }
}

/// Renders the report. Lines have no trailing spaces; text of the server holds no control characters any more.
pub fn render(report: &RunReport, style: &TerminalStyle) -> String {
    let mut page = Page::new(style);
    head(&mut page, report);
    failures::write(&mut page, report);
    failures::write_scenarios(&mut page, report);
    baseline::write(&mut page, report);
    match &report.load {
        Some(load) => load::write(&mut page, report, load),
        None => {
            rules::write_known(&mut page, report);
            rules::write_reasons(&mut page, report, Outcome::CouldNotRun);
            rules::write_areas(&mut page, report);
            rules::write_reasons(&mut page, report, Outcome::NotApplicable);
            rules::write_reasons(&mut page, report, Outcome::Skipped);
            latency::write(&mut page, report);
        }
    }
    notes(&mut page, report);
    report.load.iter().for_each(|load| load::write_verdict(&mut page, report, load));
    page.blank();
    let paint = match report.verdict {
        Verdict::Pass => Paint::Good,
        Verdict::Fail | Verdict::Error | Verdict::SloMissed => Paint::Bad,
        Verdict::Incomplete | Verdict::Invalid | Verdict::Interrupted | Verdict::StaleBaseline => Paint::Warn,
    };
    let line = match report.summary.line.as_str() {
        "" => verdict::word(report.verdict).to_owned(),
        line => escape::terminal(line),
    };
    page.text(0, 2, paint, &line);
    page.finish()
}

fn head(page: &mut Page, report: &RunReport) {
    let title = format!("difyprobe {} {}", report.tool_version, report.command);
    page.text(0, 2, Paint::Strong, &escape::terminal(&title));
    for (label, text) in view::facts(report) {
        page.labelled(2, 9, label, Paint::Plain, &escape::terminal(&text));
    }
}

fn notes(page: &mut Page, report: &RunReport) {
    if report.notes.is_empty() {
        return;
    }
    page.heading("Notes");
    for note in &report.notes {
        page.text(2, 4, Paint::Plain, &format!("- {}", escape::terminal(note)));
    }
}
