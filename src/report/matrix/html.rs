//! A matrix as one self-contained page.

use super::{MARKS, Matrix, Row, word};
use crate::report::escape::{clip, html as esc};
use crate::report::html;

/// The page. It holds every row; those that are the same everywhere stand in a table of their own.
pub fn render(matrix: &Matrix, all: bool) -> String {
    let mut out = String::with_capacity(64 * 1024);
    html::plain_document(&mut out, &format!("difyprobe matrix of {} targets", matrix.targets.len()));
    out.push_str("<header>\n<h1>difyprobe matrix</h1>\n<dl>\n");
    for target in &matrix.targets {
        let version = target.server_version.as_ref().map(|v| format!(", X-Version {v}")).unwrap_or_default();
        let apps = target.apps.join(", ");
        let text = format!("{}, profile {}{version}, apps {apps}: {}", target.base_url, target.profile, target.summary);
        out.push_str(&format!("<dt>{}</dt><dd>{}</dd>\n", name(&target.name), esc(&clip(&text, 2_000))));
    }
    out.push_str("</dl>\n</header>\n<main>\n");
    html::search_box(&mut out, "Search rules");
    out.push_str("<h2>What changed</h2>\n<ul>\n");
    matrix.changes.iter().for_each(|change| out.push_str(&format!("<li>{}</li>\n", esc(&clip(&change.line(), 600)))));
    out.push_str(&format!("<li>{}</li>\n</ul>\n", esc(&matrix.shared_line())));
    section(&mut out, matrix, "Not the same everywhere", &matrix.shown(false));
    let same: Vec<&Row> = matrix.rules.iter().filter(|row| all && row.same()).collect();
    section(&mut out, matrix, "The same everywhere", &same);
    html::plain_end(&mut out);
    out
}

fn section(out: &mut String, matrix: &Matrix, title: &str, rows: &[&Row]) {
    if !rows.is_empty() {
        out.push_str(&format!("<section data-group>\n<h2>{title} ({})</h2>\n", rows.len()));
        table(out, matrix, rows);
        out.push_str("</section>\n");
    }
}

/// The table alone.
pub(in crate::report) fn table(out: &mut String, matrix: &Matrix, rows: &[&Row]) {
    let heads: String = matrix.targets.iter().map(|target| format!("<th>{}</th>", name(&target.name))).collect();
    out.push_str(&format!(
        "<div class=\"scroll\" tabindex=\"0\"><table>\n<thead><tr><th>rule</th><th>level</th>{heads}</tr></thead>\n<tbody>\n"
    ));
    for row in rows {
        out.push_str(&format!(
            "<tr data-item><td class=\"id\" title=\"{}\">{}</td><td>{}</td>",
            esc(&row.title),
            esc(&row.id),
            row.level.as_str()
        ));
        for (at, outcome) in row.outcomes.iter().enumerate() {
            let class = outcome.map_or("not-applicable", |o| o.as_str());
            let (word, mark) = (word(*outcome), esc(row.mark(at)));
            let marked = if mark.is_empty() { word.to_owned() } else { format!("<strong>{word} {mark}</strong>") };
            out.push_str(&format!("<td class=\"o-{class}\">{marked}</td>"));
        }
        out.push_str("</tr>\n");
    }
    out.push_str(&format!("</tbody></table></div>\n<p class=\"quiet\">{}</p>\n", esc(MARKS)));
}

fn name(text: &str) -> String {
    esc(&clip(text, 200))
}
