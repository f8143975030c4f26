//! Objectives and validity: what had to hold, what was measured, and how far apart the two are.

use crate::metrics::LoadSummary;
use crate::metrics::summary::{SloResult, SloState};
use crate::report::escape::{clip, html as esc};
use crate::report::load_view::{by_weight, limit, margin, red, state, value};
use std::fmt::Write as _;

/// Half of the width of a margin bar.
const HALF: f64 = 60.0;

/// The table of objectives, missed ones first.
pub fn objectives(out: &mut String, load: &LoadSummary) {
    if load.slos.is_empty() {
        out.push_str("<p class=\"quiet\">No objectives were set; <code>--slo &quot;ttft p(95) &lt; 800ms&quot;</code> sets one.</p>\n");
        return;
    }
    out.push_str("<h2 id=\"slo\">Objectives</h2>\n");
    table(out, &load.slos, "objective");
}

/// What the generator had to hold; says loudly what it did not.
pub fn validity(out: &mut String, load: &LoadSummary) {
    if load.validity.is_empty() {
        return;
    }
    let missed: Vec<_> = by_weight(&load.validity).into_iter().filter(|s| red(s)).collect();
    if missed.is_empty() {
        let _ = writeln!(
            out,
            "<details class=\"fold\" id=\"validity\"><summary><span class=\"badge met\">valid</span>The generator kept up: all \
             {} conditions hold</summary><div class=\"body\">",
            load.validity.len()
        );
        table(out, &load.validity, "condition");
        out.push_str("</div></details>\n");
        return;
    }
    out.push_str(
        "<section class=\"invalid\" id=\"validity\"><h2>Not valid: the generator was the bottleneck</h2>\n<p>The numbers of \
         this run do not tell how the server does. What to do:</p>\n<ul>\n",
    );
    for slo in missed {
        let seen = slo.value.map_or("not measured".to_owned(), |v| value(v, &slo.unit));
        let remedy = slo.remedy.as_deref().unwrap_or("see the client's own health below");
        let _ = writeln!(
            out,
            "<li><b>{}</b> was <b>{}</b>: {}</li>",
            esc(&clip(&slo.text, 300)),
            esc(&seen),
            esc(&clip(remedy, 500))
        );
    }
    out.push_str("</ul>\n");
    table(out, &load.validity, "condition");
    out.push_str("</section>\n");
}

fn table(out: &mut String, slos: &[SloResult], noun: &str) {
    let _ = write!(
        out,
        "<div class=\"scroll\" tabindex=\"0\"><table class=\"slo\">\n<thead><tr><th>state</th><th>{noun}</th><th>value</th>\
         <th>limit</th><th>margin</th></tr></thead>\n<tbody>\n"
    );
    for slo in by_weight(slos) {
        let mut marks = String::new();
        if slo.advisory {
            marks.push_str(" <span class=\"mark\">advisory</span>");
        }
        if slo.aborted {
            marks.push_str(" <span class=\"mark\">ended the run</span>");
        }
        let seen = slo.value.map_or("-".to_owned(), |v| value(v, &slo.unit));
        let class = if red(slo) { " class=\"red\"" } else { "" };
        let _ = writeln!(
            out,
            "<tr{class}><td><span class=\"badge {}\">{}</span></td><td class=\"text\">{}{marks}</td><td class=\"value\">{}</td>\
             <td>{}</td><td class=\"margin\">{}</td></tr>",
            class_of(slo),
            state(slo),
            esc(&clip(&slo.text, 300)),
            esc(&seen),
            esc(&limit(slo)),
            bar(slo),
        );
    }
    out.push_str("</tbody></table></div>\n");
}

fn class_of(slo: &SloResult) -> &'static str {
    match (slo.state, slo.advisory) {
        (SloState::Met, _) => "met",
        (_, true) => "advised",
        (SloState::Missed, _) => "missed",
        (SloState::Unknown, _) => "unknown",
    }
}

/// The margin as a bar: right of the middle is room, left of it a miss; the middle is the limit, either end the whole of it.
fn bar(slo: &SloResult) -> String {
    let Some(share) = slo.margin.filter(|m| m.is_finite()) else { return String::new() };
    let length = (share.abs().min(1.0) * HALF).max(1.5);
    let left = if share < 0.0 || slo.state == SloState::Missed { HALF - length } else { HALF };
    format!(
        "<svg class=\"bar {}\" viewBox=\"0 0 {} 14\" aria-hidden=\"true\"><path class=\"rail\" d=\"M0 7H{}\"/>\
         <rect x=\"{left:.1}\" y=\"2\" width=\"{length:.1}\" height=\"10\"/><path class=\"mid\" d=\"M{HALF} 0V14\"/></svg><span>{}</span>",
        class_of(slo),
        HALF * 2.0,
        HALF * 2.0,
        margin(slo),
    )
}
