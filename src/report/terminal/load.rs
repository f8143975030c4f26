//! What a load measured: tables first, then what must hold, so that the verdict stands next to the prompt.

use super::page::{Page, Paint};
use super::table::{Table, number, text};
use crate::metrics::LatencyRow;
use crate::metrics::summary::{GroupResult, LoadSummary, SloResult, SloState};
use crate::report::escape::{clip, terminal as esc};
use crate::report::load_view::{self, by_weight, clock, limit, margin, money, percent, rate, red, state, value};
use crate::report::run::RunReport;
use crate::report::{units, view};

/// Rows of a table.
const ROWS: usize = 60;

/// Everything between the broken rules and the notes.
pub fn write(page: &mut Page, report: &RunReport, load: &LoadSummary) {
    rules(page, report, load);
    latency(page, load);
    stages(page, load);
    requests(page, load);
    client(page, load);
}

/// What had to hold, and the reasons of the verdict.
pub fn write_verdict(page: &mut Page, report: &RunReport, load: &LoadSummary) {
    validity(page, load);
    objectives(page, load);
    page.blank();
    for line in load_view::headline(report, load) {
        page.text(2, 4, Paint::Plain, &format!("- {}", esc(&clip(&line, 600))));
    }
}

/// One line of counts: those that broke stand above with their evidence.
fn rules(page: &mut Page, report: &RunReport, load: &LoadSummary) {
    page.heading("Rules under load");
    let all: Vec<_> = report.rules.iter().collect();
    let counts: Vec<_> = view::counts(&all).iter().map(|(_, n, word)| format!("{n} {word}")).collect();
    if !counts.is_empty() {
        page.text(2, 4, Paint::Plain, &counts.join(", "));
    }
    let judged = &load.judged;
    let text = format!(
        "judged {} of {}; {} kept for rules that compare exchanges",
        judged.judged,
        units::count(judged.responses, "response"),
        judged.sampled
    );
    page.text(2, 4, Paint::Dim, &text);
}

/// Rows of the latency table: the metrics that matter, the whole and its parts.
fn latency_rows<'l>(page: &Page, load: &'l LoadSummary) -> Vec<(&'l GroupResult, &'l LatencyRow)> {
    let mut rows = Vec::new();
    let primary = load_view::primary(load);
    let plain_turn = |g: &GroupResult| g.stage.is_none() && g.scenario.is_none() && g.step.is_none();
    let plain_scenario = |g: &GroupResult| g.stage.is_none() && g.step.is_none() && g.turn.is_none();
    let scenarios = load.groups.iter().filter(|g| g.scenario.is_some() && plain_scenario(g)).count();
    for group in load.groups.iter().filter(|g| page.verbosity > 0 || load_view::is_whole(g)) {
        let lines = if page.verbosity > 0 { group.latency.iter().collect() } else { load_view::main_rows(group) };
        for line in lines {
            rows.push((group, line));
            if page.verbosity > 0 || ![primary, "ttft"].contains(&line.metric.as_str()) {
                continue;
            }
            let parts = load.groups.iter().filter(|g| {
                !load_view::is_whole(g)
                    && (plain_turn(g) || (plain_scenario(g) && g.scenario.is_some() && scenarios > 1))
            });
            rows.extend(parts.filter_map(|g| g.line(&line.metric).map(|line| (g, line))));
        }
    }
    rows
}

fn latency(page: &mut Page, load: &LoadSummary) {
    let rows = latency_rows(page, load);
    if rows.is_empty() {
        return;
    }
    page.heading("Latency in ms");
    page.text(2, 2, Paint::Dim, "of requests that ended correctly; ± is half of the 95 % interval of p95");
    let mut table = Table::new(&[
        text("metric"),
        text("part"),
        number("n", 0),
        number("p50", 0),
        number("p90", 3),
        number("p95", 0),
        number("±", 4),
        number("p99", 1),
        number("p99.9", 5),
        number("max", 2),
    ]);
    let hidden = rows.len().saturating_sub(ROWS * 5);
    let mut last = "";
    for (group, line) in rows.into_iter().take(ROWS * 5) {
        let shown = if line.metric == last { String::new() } else { esc(&clip(&line.metric, 60)) };
        last = &line.metric;
        let paint = if load_view::is_whole(group) { Paint::Strong } else { Paint::Plain };
        let cells = [
            shown,
            esc(&clip(&load_view::name(group), 200)),
            line.n.to_string(),
            units::ms(line.p50_us),
            units::ms(line.p90_us),
            units::ms(line.p95_us),
            load_view::spread(line.p95_ci_us).map(units::ms).unwrap_or_default(),
            units::ms(line.p99_us),
            line.p999_us.map(units::ms).unwrap_or_default(),
            units::ms(line.max_us),
        ];
        table.row(paint, cells);
    }
    table.write(page);
    if hidden > 0 {
        page.text(2, 2, Paint::Dim, &format!("{} in the reports", units::count(hidden as u64, "more row")));
    }
}

fn stages(page: &mut Page, load: &LoadSummary) {
    if load.stages.len() < 2 {
        return;
    }
    let metric = load_view::primary(load);
    let level = if load.run.model == "closed" { "users" } else { "per s" };
    page.heading(&format!("Stages ({metric} in ms)"));
    let mut table = Table::new(&[
        text("stage"),
        number("from", 4),
        number("to", 3),
        number(level, 1),
        number("begun", 5),
        number("dropped", 0),
        number("requests", 2),
        number("failed", 0),
        number("share", 7),
        number("p50", 0),
        number("p95", 0),
        number("p99", 6),
    ]);
    for stage in load.stages.iter().take(ROWS) {
        let group = load.groups.iter().find(|g| {
            g.stage.as_deref() == Some(stage.label.as_str())
                && g.scenario.is_none()
                && g.step.is_none()
                && g.turn.is_none()
        });
        let line = |of: fn(&LatencyRow) -> u64| {
            group.and_then(|g| g.line(metric)).map(|r| units::ms(of(r))).unwrap_or_default()
        };
        let at = |s: f64| clock(s.clamp(0.0, f64::from(u32::MAX)).round() as u32);
        let level = match (value(stage.level_from, ""), value(stage.level_to, "")) {
            (from, to) if from == to => from,
            (from, to) => format!("{from}-{to}"),
        };
        let share = group.filter(|g| g.failed() > 0).map(|g| percent(g.failed() as f64 / g.requests.max(1) as f64));
        let note = if stage.measure { "" } else { " (not measured)" };
        let cells = [
            format!("{}{note}", esc(&clip(&stage.label, 60))),
            at(stage.from_s),
            at(stage.to_s),
            level,
            stage.begun.to_string(),
            if stage.dropped > 0 { stage.dropped.to_string() } else { String::new() },
            group.map(|g| g.requests.to_string()).unwrap_or_default(),
            group.map(|g| g.failed().to_string()).unwrap_or_default(),
            share.unwrap_or_default(),
            line(|r| r.p50_us),
            line(|r| r.p95_us),
            line(|r| r.p99_us),
        ];
        let paint = match (stage.measure, stage.dropped > 0) {
            (false, _) => Paint::Dim,
            (true, true) => Paint::Warn,
            (true, false) => Paint::Plain,
        };
        table.row(paint, cells);
    }
    table.write(page);
}

fn requests(page: &mut Page, load: &LoadSummary) {
    let Some(whole) = load_view::whole(load).filter(|g| g.requests > 0) else { return };
    let label = |page: &mut Page, name, paint, text: String| page.labelled(2, 10, name, paint, &text);
    page.heading("Requests");
    let text = format!(
        "{} of {}, {}; good {} ({} of all)",
        whole.ok,
        whole.requests,
        rate(whole.req_per_s),
        rate(whole.good_per_s),
        percent(whole.good_fraction)
    );
    label(page, "correct", Paint::Plain, text);
    if whole.failed() > 0 {
        let share = percent(whole.failed() as f64 / whole.requests as f64);
        let text = format!("{} ({share}): {}", whole.failed(), load_view::classes_text(whole));
        label(page, "failed", Paint::Bad, esc(&clip(&text, 600)));
    }
    if let Some(us) = whole.adj_p99_us {
        label(page, "adj p99", Paint::Plain, format!("{} ms with failures as infinitely slow", units::ms(us)));
    } else if whole.failed() > 0 {
        label(page, "adj p99", Paint::Warn, "infinite: more than one in a hundred failed".to_owned());
    }
    label(
        page,
        "events",
        Paint::Plain,
        format!("{} ({}), {} pings", whole.events, rate(whole.events_per_s), whole.pings),
    );
    if whole.completion_tokens > 0 {
        label(page, "tokens", Paint::Plain, format!("{} ({})", whole.completion_tokens, rate(whole.output_tps)));
    }
    for (currency, nano) in whole.cost.iter().take(5) {
        let per = whole.cost_per_1k_good.get(currency);
        let per = per.map(|p| format!(", {p:.4} per 1000 good requests")).unwrap_or_default();
        label(page, "cost", Paint::Plain, esc(&clip(&format!("{}{per}", money(*nano, currency)), 200)));
    }
}

fn client(page: &mut Page, load: &LoadSummary) {
    let client = &load.client;
    page.heading("The client");
    let mut parts = vec![
        format!("CPU {} on average, {} at most", percent(client.cpu_mean), percent(client.cpu_max)),
        load_view::bytes(client.rss_max),
        format!("{} streams", client.streams_max),
        match client.fds_limit {
            0 => format!("{} descriptors", client.fds_max),
            limit => format!("{} of {limit} descriptors", client.fds_max),
        },
    ];
    parts.extend(client.lag_p99_us.map(|us| format!("sends late by {} ms (p99)", units::ms(us))));
    page.text(2, 4, Paint::Plain, &parts.join(", "));
    let odd = [
        (client.dropped, "arrivals dropped"),
        (client.unfinished, "scenarios cut at the end"),
        (client.panics, "users panicked"),
    ];
    let odd: Vec<_> = odd.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    if !odd.is_empty() {
        page.text(2, 4, Paint::Warn, &odd.join(", "));
    }
}

fn validity(page: &mut Page, load: &LoadSummary) {
    let missed: Vec<_> = load.validity.iter().filter(|s| red(s)).collect();
    if load.validity.is_empty() {
        return;
    }
    if missed.is_empty() && page.verbosity == 0 {
        page.heading("Validity");
        let text = format!("the generator kept up: {} hold", units::count(load.validity.len() as u64, "condition"));
        page.text(2, 4, Paint::Good, &text);
        return;
    }
    page.heading("Validity: what the generator had to hold");
    slos(page, &load.validity, "condition");
    for slo in missed {
        let remedy = slo.remedy.as_deref().unwrap_or("see the client above");
        page.text(2, 4, Paint::Warn, &esc(&clip(&format!("{}: {remedy}", slo.text), 500)));
    }
}

fn objectives(page: &mut Page, load: &LoadSummary) {
    if load.slos.is_empty() {
        return;
    }
    page.heading("Objectives");
    slos(page, &load.slos, "objective");
}

fn slos(page: &mut Page, slos: &[SloResult], noun: &'static str) {
    let mut table = Table::new(&[text("state"), text(noun), number("value", 0), number("limit", 2), text("margin")]);
    let shown: Vec<_> = by_weight(slos).into_iter().take(ROWS).collect();
    for slo in &shown {
        let paint = slo_paint(slo);
        let seen = slo.value.map_or("-".to_owned(), |v| value(v, &slo.unit));
        table.painted([
            (paint, slo_word(slo)),
            (Paint::Plain, slo_name(slo)),
            (Paint::Strong, esc(&seen)),
            (Paint::Dim, esc(&limit(slo))),
            (paint, margin(slo)),
        ]);
    }
    if table.fits(page.width) {
        return table.write(page);
    }
    // An objective that is cut says nothing: below each other instead.
    for slo in shown {
        let seen = slo.value.map_or("not measured".to_owned(), |v| value(v, &slo.unit));
        let margin = margin(slo);
        let rest = if margin.is_empty() { String::new() } else { format!(" ({margin})") };
        page.text(2, 11, slo_paint(slo), &format!("{:<9}{}", slo_word(slo), slo_name(slo)));
        page.text(11, 11, slo_paint(slo), &esc(&format!("{seen}, limit {}{rest}", limit(slo))));
    }
}

fn slo_paint(slo: &SloResult) -> Paint {
    match (slo.state, slo.advisory) {
        (SloState::Met, _) => Paint::Good,
        (_, true) => Paint::Warn,
        (_, false) => Paint::Bad,
    }
}

fn slo_word(slo: &SloResult) -> String {
    if red(slo) { state(slo).to_uppercase() } else { state(slo).to_owned() }
}

/// As written, with what is special about it; escaped.
fn slo_name(slo: &SloResult) -> String {
    let mut name = esc(&clip(&slo.text, 200));
    if slo.advisory {
        name.push_str(" (advisory)");
    }
    if slo.aborted {
        name.push_str(" (ended the run)");
    }
    name
}
