//! Rules beside targets, for a person at a terminal.

use super::TerminalStyle;
use super::page::{self, Page, Paint};
use crate::model::Outcome;
use crate::report::escape::terminal as esc;
use crate::report::matrix::{MARKS, Matrix, word};

/// Widest name of a column.
const WIDEST: usize = 24;

/// Renders a matrix: what changed, then the table.
pub fn matrix(of: &Matrix, all: bool, style: &TerminalStyle) -> String {
    let mut page = Page::new(style);
    page.text(0, 2, Paint::Strong, &format!("Rules on {} targets", of.targets.len()));
    let label = of.targets.iter().map(|target| page::width(&esc(&target.name))).max().unwrap_or(0).min(WIDEST) + 2;
    for target in &of.targets {
        let version = target.server_version.as_ref().map(|v| format!(", X-Version {v}")).unwrap_or_default();
        let text = format!("{} (profile {}{version})", target.base_url, target.profile);
        page.labelled(2, label, &page::cut_to(&esc(&target.name), WIDEST), Paint::Plain, &esc(&text));
    }
    table(&mut page, of, all);
    page.blank();
    page.text(2, 4, Paint::Plain, &of.shared_line());
    for change in &of.changes {
        let paint = match (change.newly_failing.is_empty(), change.fixed.is_empty()) {
            (false, _) => Paint::Bad,
            (true, false) => Paint::Good,
            (true, true) => Paint::Plain,
        };
        page.text(2, 4, paint, &esc(&change.line()));
    }
    page.finish()
}

/// The rows; names of rules are never cut, for they are what one searches for.
pub fn table(page: &mut Page, of: &Matrix, all: bool) {
    let rows = of.shown(all);
    if rows.is_empty() {
        return;
    }
    page.blank();
    let names: Vec<String> = of.targets.iter().map(|target| page::cut_to(&esc(&target.name), WIDEST)).collect();
    let cell = |row: &crate::report::matrix::Row, at: usize| {
        let outcome = row.outcomes.get(at).copied().flatten();
        format!("{} {}", word(outcome), row.mark(at)).trim_end().to_owned()
    };
    let first = rows.iter().map(|row| page::width(&esc(&row.id))).max().unwrap_or(0);
    let widest = |(at, name): (usize, &String)| {
        rows.iter().map(|row| page::width(&cell(row, at))).max().unwrap_or(0).max(page::width(name))
    };
    let sizes: Vec<usize> = names.iter().enumerate().map(widest).collect();
    let padded = |text: &str, size: usize| format!("  {text}{}", " ".repeat(size.saturating_sub(page::width(text))));
    let heads: Vec<String> = names.iter().zip(&sizes).map(|(name, size)| padded(name, *size)).collect();
    page.pieces(&[(Paint::Dim, &format!("{}{}", padded("rule", first), heads.concat()))]);
    for row in rows {
        let cells: Vec<(Paint, String)> = sizes
            .iter()
            .enumerate()
            .map(|(at, size)| (paint(row.outcomes.get(at).copied().flatten()), padded(&cell(row, at), *size)))
            .collect();
        let id = padded(&esc(&row.id), first);
        let mut pieces = vec![(Paint::Plain, id.as_str())];
        pieces.extend(cells.iter().map(|(paint, text)| (*paint, text.as_str())));
        page.pieces(&pieces);
    }
    page.text(2, 2, Paint::Dim, MARKS);
}

fn paint(outcome: Option<Outcome>) -> Paint {
    match outcome {
        Some(Outcome::Pass) => Paint::Good,
        Some(Outcome::Fail | Outcome::Error) => Paint::Bad,
        Some(Outcome::Warn | Outcome::CouldNotRun) => Paint::Warn,
        Some(Outcome::KnownDeviation | Outcome::Known) => Paint::Known,
        Some(Outcome::NotApplicable | Outcome::Skipped) | None => Paint::Dim,
    }
}
