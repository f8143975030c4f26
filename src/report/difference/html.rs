//! A comparison as one self-contained page: both sides of every example beside each other.

use super::{DiffReport, DiffVerdict, Found, NO_LOAD_TEST, Quantiles};
use crate::report::escape::{clip, html as esc};
use crate::report::run::Evidence;
use crate::report::{html, matrix, units};

/// Renders the comparison.
pub fn render(of: &DiffReport) -> String {
    let mut out = String::with_capacity(64 * 1024);
    html::plain_document(&mut out, &format!("{}: difyprobe diff", of.verdict.word()));
    let class = match of.verdict {
        DiffVerdict::Equal => "pass",
        DiffVerdict::Different => "fail",
        DiffVerdict::Incomplete => "incomplete",
        DiffVerdict::Interrupted => "interrupted",
    };
    out.push_str(&format!(
        "<header class=\"{class}\">\n<h1>difyprobe {} diff</h1>\n<p class=\"verdict\">{}</p>\n<p>{}</p>\n<dl>\n",
        esc(&of.tool_version),
        of.verdict.word(),
        esc(&of.summary),
    ));
    html::pair(&mut out, "A", "", &clip(&of.a.line(), 2_000));
    html::pair(&mut out, "B", "", &clip(&of.b.line(), 2_000));
    html::pair(&mut out, "compared", "", &of.compared_line());
    out.push_str("</dl>\n</header>\n<main>\n");
    html::search_box(&mut out, "Search differences and rules");
    for (kind, groups) in of.kinds() {
        out.push_str(&format!("<section data-group>\n<h2>{} ({})</h2>\n", kind.title(), groups.len()));
        groups.into_iter().for_each(|found| group(&mut out, found));
        out.push_str("</section>\n");
    }
    list(&mut out, "Ignored", &of.ignored_lines());
    list(&mut out, "Not compared", &of.uncompared);
    rules(&mut out, of);
    latency(&mut out, of);
    list(&mut out, "Notes", &of.notes);
    html::plain_end(&mut out);
    out
}

fn group(out: &mut String, found: &Found) {
    let group = &found.group;
    out.push_str(&format!(
        "<details data-item><summary><span class=\"id\">{}</span><span class=\"counts\">{}</span></summary>\n\
         <div class=\"body\">\n<dl>\n",
        esc(&clip(&found.title(), 1_000)),
        units::count(group.count, "time"),
    ));
    html::pair(out, "where", "", &found.place());
    html::pair(out, "A", "expected", &clip(&group.example.a.text, 4_000));
    html::pair(out, "B", "actual", &clip(&group.example.b.text, 4_000));
    html::pair(out, "seen in", "", &group.steps.join(", "));
    out.push_str("</dl>\n");
    for (side, wire) in [("A", &found.wire_a), ("B", &found.wire_b)] {
        match wire {
            Some(wire) => evidence(out, side, wire),
            None => out.push_str(&format!("<p class=\"quiet\">{side}: nothing was sent</p>\n")),
        }
    }
    out.push_str("</div></details>\n");
}

fn evidence(out: &mut String, side: &str, wire: &Evidence) {
    out.push_str(&format!(
        "<p class=\"quiet\">{side}: exchange {}</p>\n<pre tabindex=\"0\" aria-label=\"wire of {side}\">{}</pre>\n\
         <pre tabindex=\"0\" aria-label=\"command for {side}\">{}</pre>\n",
        wire.exchange,
        esc(&wire.wire.join("\n")),
        esc(&wire.curl),
    ));
}

fn list(out: &mut String, title: &str, lines: &[String]) {
    if !lines.is_empty() {
        out.push_str(&format!("<h2>{title}</h2>\n<ul>\n"));
        lines.iter().for_each(|line| out.push_str(&format!("<li>{}</li>\n", esc(&clip(line, 2_000)))));
        out.push_str("</ul>\n");
    }
}

fn rules(out: &mut String, of: &DiffReport) {
    if of.rules.rules.is_empty() {
        return;
    }
    let rows = of.rules.shown(false);
    out.push_str(&format!("<section data-group>\n<h2>Rules with another verdict ({})</h2>\n", rows.len()));
    if !rows.is_empty() {
        matrix::html::table(out, &of.rules, &rows);
    }
    out.push_str(&format!("<p class=\"quiet\">{}</p>\n</section>\n", esc(&of.rules.shared_line())));
}

fn latency(out: &mut String, of: &DiffReport) {
    if of.latency.is_empty() {
        return;
    }
    out.push_str(&format!(
        "<h2>Latency in ms</h2>\n<p class=\"quiet\">{}</p>\n<div class=\"scroll\" tabindex=\"0\"><table>\n<thead><tr>\
         <th>metric</th><th>app</th><th>A n</th><th>A p50</th><th>A p95</th><th>B n</th><th>B p50</th><th>B p95</th>\
         </tr></thead>\n<tbody>\n",
        esc(NO_LOAD_TEST)
    ));
    for pair in &of.latency {
        let cells = Quantiles::cells(pair.a).into_iter().chain(Quantiles::cells(pair.b));
        let cells: String = cells.map(|cell| format!("<td>{cell}</td>")).collect();
        out.push_str(&format!("<tr><td>{}</td><td>{}</td>{cells}</tr>\n", esc(&pair.metric), esc(&pair.app)));
    }
    out.push_str("</tbody></table></div>\n");
}
