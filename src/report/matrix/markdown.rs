//! A matrix as GitHub-flavoured Markdown.

use super::{MARKS, Matrix, word};
use crate::report::escape::{clip, markdown as esc};

/// The table and what changed.
pub fn render(matrix: &Matrix, all: bool) -> String {
    let mut out = format!("## Rules on {} targets\n\n", matrix.targets.len());
    matrix.changes.iter().for_each(|change| out.push_str(&format!("- {}\n", cell(&change.line()))));
    out.push_str(&format!("- {}\n\n", matrix.shared_line()));
    table(&mut out, matrix, all);
    out
}

/// The table alone.
pub(in crate::report) fn table(out: &mut String, matrix: &Matrix, all: bool) {
    let rows = matrix.shown(all);
    if rows.is_empty() {
        return;
    }
    let heads: Vec<String> = matrix.targets.iter().map(|target| cell(&target.name)).collect();
    out.push_str(&format!("| rule | level | {} |\n|---|---|{}\n", heads.join(" | "), "---|".repeat(heads.len())));
    for row in rows {
        let cells: Vec<String> = row
            .outcomes
            .iter()
            .enumerate()
            .map(|(at, outcome)| {
                let text = format!("{} {}", word(*outcome), esc(row.mark(at)));
                text.trim_end().to_owned()
            })
            .collect();
        out.push_str(&format!("| {} | {} | {} |\n", cell(&row.id), row.level.as_str(), cells.join(" | ")));
    }
    out.push_str(&format!("\n{}\n", esc(MARKS)));
}

fn cell(text: &str) -> String {
    esc(&clip(text, 300))
}
