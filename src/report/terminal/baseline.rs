//! The baseline: entries that are out of date, and entries to paste for what failed unexpectedly.

use super::page::{Page, Paint};
use crate::report::run::RunReport;
use crate::report::{baseline, escape};

/// Entries shown one by one.
const SHOWN: usize = 30;

/// Nothing where no baseline was given.
pub fn write(page: &mut Page, report: &RunReport) {
    let Some(result) = &report.baseline else { return };
    page.heading(&escape::terminal(&escape::clip(&format!("Baseline {}", result.file), 300)));
    page.text(2, 4, Paint::Plain, &baseline::counts(result));
    for entry in baseline::stale(result).into_iter().take(SHOWN) {
        let name = escape::terminal(&escape::clip(&baseline::name(result, entry), 500));
        page.text(2, 6, Paint::Bad, &format!("{}: {name}", entry.state.as_str()));
        page.text(6, 6, Paint::Plain, &escape::terminal(&escape::clip(&entry.message, 500)));
    }
    let idle = baseline::idle(result);
    if page.verbosity > 0 {
        for entry in idle {
            let text = format!("idle: {}: {}", baseline::name(result, entry), entry.message);
            page.text(2, 6, Paint::Dim, &escape::terminal(&escape::clip(&text, 1_000)));
        }
    }
    if !result.proposed.is_empty() {
        page.blank();
        page.text(2, 4, Paint::Plain, &escape::terminal(&escape::clip(&baseline::invitation(result), 500)));
        page.blank();
        for entry in result.proposed.iter().take(SHOWN) {
            entry.text.lines().for_each(|line| page.verbatim(0, &escape::terminal(&escape::clip(line, 2_000))));
        }
        if result.proposed.len() > SHOWN {
            page.text(2, 2, Paint::Dim, &format!("{} more in the reports", result.proposed.len() - SHOWN));
        }
    }
}
