//! A load in a CI step summary: reasons, objectives, latencies.

use super::line;
use crate::metrics::summary::{LoadSummary, SloResult};
use crate::report::escape::{clip, markdown as esc};
use crate::report::load_view::{self, by_weight, limit, margin, red, state, value};
use crate::report::run::RunReport;
use crate::report::units;

/// Rows of a table.
const ROWS: usize = 100;

/// What decided, right below the verdict.
pub fn write(out: &mut String, report: &RunReport, load: &LoadSummary) {
    out.push('\n');
    for text in load_view::headline(report, load) {
        out.push_str(&format!("- {}\n", line(&text)));
    }
    slos(out, &load.slos, "Objectives", "objective");
    if load.validity.iter().any(red) {
        slos(out, &load.validity, "Not valid: the generator was the bottleneck", "condition");
        let remedies = load.validity.iter().filter(|s| red(s)).filter_map(|s| Some((s, s.remedy.as_ref()?)));
        let remedies: Vec<_> = remedies.map(|(s, remedy)| line(&format!("{}: {remedy}", s.text))).collect();
        if !remedies.is_empty() {
            out.push('\n');
            remedies.iter().for_each(|text| out.push_str(&format!("- {text}\n")));
        }
    }
    latency(out, load);
}

fn slos(out: &mut String, slos: &[SloResult], title: &str, noun: &str) {
    if slos.is_empty() {
        return;
    }
    out.push_str(&format!("\n### {title}\n\n| state | {noun} | value | limit | margin |\n|---|---|---:|---:|---|\n"));
    for slo in by_weight(slos).into_iter().take(ROWS) {
        let state = if red(slo) { format!("**{}**", state(slo)) } else { state(slo).to_owned() };
        let advisory = if slo.advisory { " (advisory)" } else { "" };
        let seen = slo.value.map_or("-".to_owned(), |v| value(v, &slo.unit));
        out.push_str(&format!(
            "| {state} | {}{advisory} | {} | {} | {} |\n",
            line(&slo.text),
            esc(&clip(&seen, 60)),
            esc(&clip(&limit(slo), 60)),
            margin(slo)
        ));
    }
}

fn latency(out: &mut String, load: &LoadSummary) {
    let rows: Vec<_> = load
        .groups
        .iter()
        .filter(|g| load_view::is_whole(g) || g.turn.is_some() || (g.scenario.is_some() && g.step.is_none()))
        .flat_map(|g| load_view::main_rows(g).into_iter().map(move |row| (g, row)))
        .filter(|(g, row)| load_view::is_whole(g) || [load_view::primary(load), "ttft"].contains(&row.metric.as_str()))
        .collect();
    if rows.is_empty() {
        return;
    }
    out.push_str(
        "\n### Latency in ms (requests that ended correctly)\n\n\
         | metric | part | n | p50 | p90 | p95 | ± | p99 | max |\n|---|---|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    for (group, row) in rows.into_iter().take(ROWS) {
        let spread = load_view::spread(row.p95_ci_us).map(units::ms).unwrap_or_default();
        let [p50, p90, p95, p99, max] = [row.p50_us, row.p90_us, row.p95_us, row.p99_us, row.max_us].map(units::ms);
        out.push_str(&format!(
            "| {} | {} | {} | {p50} | {p90} | {p95} | {spread} | {p99} | {max} |\n",
            esc(&clip(&row.metric, 60)),
            esc(&clip(&load_view::name(group), 200)),
            row.n
        ));
    }
}
