//! A comparison as GitHub-flavoured Markdown, for step summaries and pull requests.

use super::{DiffReport, Found, NO_LOAD_TEST, Quantiles};
use crate::report::escape::{clip, markdown as esc, markdown_block};
use crate::report::matrix;
use crate::report::units;

/// Above this many bytes only titles are written (GitHub cuts a step summary at 1 MiB).
const EXAMPLE_BYTES: usize = 512 * 1024;

/// Renders the comparison.
pub fn render(of: &DiffReport) -> String {
    let mut out = format!("## difyprobe diff: {}\n\n{}\n\n", of.verdict.word(), line(&of.summary));
    out.push_str(&format!(
        "- A: {}\n- B: {}\n- compared: {}\n",
        line(&of.a.line()),
        line(&of.b.line()),
        of.compared_line()
    ));
    for (kind, groups) in of.kinds() {
        out.push_str(&format!("\n### {} ({})\n\n", kind.title(), kind.as_str()));
        groups.into_iter().for_each(|found| group(&mut out, found));
    }
    list(&mut out, "Ignored", &of.ignored_lines());
    list(&mut out, "Not compared", &of.uncompared);
    if !of.rules.rules.is_empty() {
        out.push_str(&format!("\n### Rules with another verdict ({})\n\n", of.rules.shown(false).len()));
        matrix::markdown::table(&mut out, &of.rules, false);
        out.push_str(&format!("\n{}\n", of.rules.shared_line()));
    }
    latency(&mut out, of);
    list(&mut out, "Notes", &of.notes);
    out
}

fn group(out: &mut String, found: &Found) {
    out.push_str(&format!("- **{}** ({})\n", line(&found.title()), units::count(found.group.count, "time")));
    if out.len() > EXAMPLE_BYTES {
        return;
    }
    let example = &found.group.example;
    out.push_str(&format!("  - {}\n", line(&found.place())));
    if !found.says_all() {
        out.push_str(&format!("  - A: {}\n  - B: {}\n", line(&example.a.text), line(&example.b.text)));
    }
    let curls = [("A", &found.wire_a), ("B", &found.wire_b)];
    let curls =
        curls.into_iter().filter_map(|(side, wire)| wire.as_ref().map(|wire| format!("# {side}\n{}\n", wire.curl)));
    let block = markdown_block(&clip(&curls.collect::<String>(), 8_000));
    let block: String = block.lines().map(|line| format!("    {line}\n")).collect();
    out.push_str(&format!("  - <details><summary>curl</summary>\n\n{block}\n    </details>\n"));
}

fn list(out: &mut String, title: &str, lines: &[String]) {
    if !lines.is_empty() {
        out.push_str(&format!("\n### {title}\n\n"));
        lines.iter().for_each(|text| out.push_str(&format!("- {}\n", line(text))));
    }
}

fn latency(out: &mut String, of: &DiffReport) {
    if of.latency.is_empty() {
        return;
    }
    out.push_str(&format!("\n### Latency in ms\n\n{}\n\n", esc(NO_LOAD_TEST)));
    out.push_str("| metric | app | A n | A p50 | A p95 | B n | B p50 | B p95 |\n|---|---|--:|--:|--:|--:|--:|--:|\n");
    for pair in &of.latency {
        let cells: Vec<String> = Quantiles::cells(pair.a).into_iter().chain(Quantiles::cells(pair.b)).collect();
        out.push_str(&format!("| {} | {} | {} |\n", line(&pair.metric), line(&pair.app), cells.join(" | ")));
    }
}

fn line(text: &str) -> String {
    esc(&clip(text, 1_000))
}
