//! Tables: by stage, turn, scenario and step, of all metrics, and second by second.

use super::time::Time;
use crate::metrics::LatencyRow;
use crate::metrics::summary::{GroupResult, LoadSummary, Second};
use crate::report::escape::{clip, html as esc};
use crate::report::load_view::{self, clock, percent, rate};
use crate::report::units;
use std::fmt::Write as _;

/// Rows of a table of groups.
const GROUPS: usize = 200;

/// Label and value, one below the other. Texts are raw.
pub fn facts(out: &mut String, rows: &[(&str, String)]) {
    out.push_str("<dl>\n");
    for (label, text) in rows.iter().filter(|(_, text)| !text.is_empty()) {
        let _ = writeln!(out, "<dt>{}</dt><dd>{}</dd>", esc(label), esc(&clip(text, 2_000)));
    }
    out.push_str("</dl>\n");
}

/// Opens a table; the class says how many columns hold text and not numbers: `none`, `one` or `two`.
fn open(out: &mut String, class: &str, heads: &[&str]) {
    let _ = write!(out, "<div class=\"scroll\" tabindex=\"0\"><table class=\"{class}\">\n<thead><tr>");
    heads.iter().for_each(|head| out.push_str(&format!("<th>{}</th>", esc(head))));
    out.push_str("</tr></thead>\n<tbody>\n");
}

fn close(out: &mut String) {
    out.push_str("</tbody></table></div>\n");
}

fn row(out: &mut String, cells: &[String]) {
    out.push_str("<tr>");
    cells.iter().for_each(|cell| out.push_str(&format!("<td>{cell}</td>")));
    out.push_str("</tr>\n");
}

/// The stages with what was planned and what came of it.
pub fn stages(out: &mut String, load: &LoadSummary) {
    if load.stages.len() < 2 {
        return;
    }
    let metric = load_view::primary(load);
    let unit = if load.run.model == "closed" { "users" } else { "arrivals /s" };
    let _ = writeln!(
        out,
        "<h2 id=\"stages\">Stages</h2>\n<p class=\"quiet\">Percentiles of {metric} and ttft in milliseconds.</p>"
    );
    open(
        out,
        "one",
        &["stage", "time", unit, "planned", "begun", "dropped", "requests", "failed", "p50", "p95", "ttft p95"],
    );
    for stage in load.stages.iter().take(GROUPS) {
        let group = load.groups.iter().find(|g| {
            g.stage.as_deref() == Some(stage.label.as_str())
                && g.scenario.is_none()
                && g.step.is_none()
                && g.turn.is_none()
        });
        let level = match (stage.level_from, stage.level_to) {
            (from, to) if (from - to).abs() < 1e-9 => number(from),
            (from, to) => format!("{} to {}", number(from), number(to)),
        };
        let mut label = esc(&clip(&stage.label, 100));
        if !stage.measure {
            label.push_str(" <span class=\"mark\">not measured</span>");
        }
        let line = |metric: &str, of: fn(&LatencyRow) -> u64| {
            group.and_then(|g| g.line(metric)).map(|r| units::ms(of(r))).unwrap_or_default()
        };
        row(
            out,
            &[
                label,
                format!("{} to {}", seconds(stage.from_s), seconds(stage.to_s)),
                level,
                stage.planned.to_string(),
                stage.begun.to_string(),
                warned(stage.dropped),
                group.map(|g| g.requests.to_string()).unwrap_or_default(),
                group.map(failed).unwrap_or_default(),
                line(metric, |r| r.p50_us),
                line(metric, |r| r.p95_us),
                line("ttft", |r| r.p95_us),
            ],
        );
    }
    close(out);
}

fn seconds(s: f64) -> String {
    clock(s.clamp(0.0, f64::from(u32::MAX)).round() as u32)
}

fn number(value: f64) -> String {
    super::scale::plain(value)
}

/// A count that should be 0.
fn warned(n: u64) -> String {
    if n > 0 { format!("<b class=\"bad\">{n}</b>") } else { "0".to_owned() }
}

fn failed(group: &GroupResult) -> String {
    match group.failed() {
        0 => "0".to_owned(),
        n => format!("<b class=\"bad\">{n}</b> <small>{}</small>", percent(n as f64 / group.requests.max(1) as f64)),
    }
}

/// First and later turns apart.
pub fn turns(out: &mut String, load: &LoadSummary) {
    let turns: Vec<&GroupResult> = load
        .groups
        .iter()
        .filter(|g| g.turn.is_some() && g.scenario.is_none() && g.stage.is_none() && g.step.is_none() && g.requests > 0)
        .collect();
    if turns.is_empty() {
        return;
    }
    out.push_str(
        "<h2 id=\"turns\">By turn</h2>\n<p class=\"quiet\">The first turn of a conversation also names it, which takes longer. \
         Milliseconds; behind &plusmn; half of the 95 % interval.</p>\n",
    );
    open(out, "two", &["metric", "turn", "n", "p50", "p90", "p95", "p99", "p99.9", "max"]);
    for metric in load_view::MAIN_METRICS {
        for group in &turns {
            let Some(line) = group.line(metric) else { continue };
            let mut cells = vec![metric_name(metric), esc(&load_view::name(group))];
            cells.extend(times(line));
            row(out, &cells);
        }
    }
    close(out);
}

fn metric_name(metric: &str) -> String {
    match load_view::explain(metric) {
        "" => format!("<b>{}</b>", esc(&clip(metric, 60))),
        text => format!("<b title=\"{text}\">{}</b>", esc(metric)),
    }
}

/// n, percentiles and the largest of a line, in ms.
fn times(line: &LatencyRow) -> Vec<String> {
    let time = |us: u64, interval: Option<[u64; 2]>| match (load_view::spread(interval), interval) {
        (Some(half), Some([low, high])) => format!(
            "<span title=\"95 %: {} to {}\">{} <small>&plusmn;{}</small></span>",
            units::ms(low),
            units::ms(high),
            units::ms(us),
            units::ms(half)
        ),
        _ => units::ms(us),
    };
    vec![
        line.n.to_string(),
        time(line.p50_us, line.p50_ci_us),
        time(line.p90_us, line.p90_ci_us),
        time(line.p95_us, line.p95_ci_us),
        time(line.p99_us, line.p99_ci_us),
        line.p999_us.map(units::ms).unwrap_or_default(),
        units::ms(line.max_us),
    ]
}

/// Every metric of the whole.
pub fn metrics(out: &mut String, load: &LoadSummary) {
    let Some(whole) = load_view::whole(load).filter(|g| !g.latency.is_empty()) else { return };
    out.push_str(
        "<h2 id=\"metrics\">All latencies</h2>\n<p class=\"quiet\">Milliseconds, of requests that ended correctly; behind \
         &plusmn; half of the 95 % interval.</p>\n",
    );
    open(out, "two", &["metric", "what", "n", "p50", "p90", "p95", "p99", "p99.9", "max"]);
    for line in &whole.latency {
        let mut cells = vec![metric_name(&line.metric), format!("<small>{}</small>", load_view::explain(&line.metric))];
        cells.extend(times(line));
        row(out, &cells);
    }
    close(out);
}

/// Scenarios and their steps, and what else was told apart.
pub fn scenarios(out: &mut String, load: &LoadSummary) {
    let plain_stage =
        |g: &GroupResult| g.stage.is_some() && g.scenario.is_none() && g.step.is_none() && g.turn.is_none();
    let plain_turn =
        |g: &GroupResult| g.turn.is_some() && g.stage.is_none() && g.scenario.is_none() && g.step.is_none();
    let groups: Vec<_> =
        load.groups.iter().filter(|g| !load_view::is_whole(g) && !plain_stage(g) && !plain_turn(g)).collect();
    if groups.is_empty() {
        return;
    }
    let metric = load_view::primary(load);
    let _ = writeln!(
        out,
        "<h2 id=\"scenarios\">By scenario and step</h2>\n<p class=\"quiet\">Percentiles of {metric} and ttft in milliseconds; good: \
         correct, and within every latency objective.</p>"
    );
    open(
        out,
        "one",
        &["part", "requests", "failed", "correct", "good", "p50", "p95", "p99", "ttft p50", "ttft p95", "tokens /s"],
    );
    for group in groups.iter().take(GROUPS) {
        let line =
            |metric: &str, of: fn(&LatencyRow) -> u64| group.line(metric).map(|r| units::ms(of(r))).unwrap_or_default();
        row(
            out,
            &[
                esc(&clip(&load_view::name(group), 200)),
                group.requests.to_string(),
                failed(group),
                rate(group.req_per_s),
                percent(group.good_fraction),
                line(metric, |r| r.p50_us),
                line(metric, |r| r.p95_us),
                line(metric, |r| r.p99_us),
                line("ttft", |r| r.p50_us),
                line("ttft", |r| r.p95_us),
                number(group.output_tps),
            ],
        );
    }
    close(out);
    if groups.len() > GROUPS {
        let _ = writeln!(out, "<p class=\"quiet\">{} more in the JSON report</p>", groups.len() - GROUPS);
    }
}

/// The points of the percentile curves and the bars of the histograms.
pub fn curves(out: &mut String, load: &LoadSummary) {
    out.push_str("<details class=\"fold\"><summary>Distributions as tables</summary><div class=\"body\">\n");
    for (metric, points) in &load.curves {
        let _ = writeln!(out, "<h3>{}: percentiles</h3>", esc(&clip(metric, 60)));
        open(out, "none", &["percentile", "ms"]);
        for point in points.iter().filter(|p| p.q.is_finite()).take(GROUPS) {
            row(out, &[format!("{:.4}", point.q * 100.0), units::ms(point.us)]);
        }
        close(out);
    }
    for (metric, bars) in &load.distributions {
        let _ = writeln!(out, "<h3>{}: samples by range</h3>", esc(&clip(metric, 60)));
        open(out, "none", &["from, ms", "to below, ms", "samples"]);
        for bar in bars.iter().filter(|b| b.n > 0).take(GROUPS) {
            row(out, &[units::ms(bar.from_us), units::ms(bar.to_us), bar.n.to_string()]);
        }
        close(out);
    }
    out.push_str("</div></details>\n");
}

/// Heads of the table of seconds; charts name their columns by place.
const SECONDS: [&str; 19] = [
    "time",
    "stage",
    "p50, ms",
    "p95, ms",
    "p99, ms",
    "ttft p50, ms",
    "ttft p95, ms",
    "planned /s",
    "begun /s",
    "dropped /s",
    "sent /s",
    "correct /s",
    "failed /s",
    "open streams",
    "under way",
    "client CPU, %",
    "client memory, MiB",
    "lateness, ms",
    "failures by class",
];

/// Second by second, or group by group of seconds: what all charts over time show, and what the readout reads.
pub fn seconds_table(out: &mut String, load: &LoadSummary) {
    if load.series.is_empty() {
        return;
    }
    let (every, groups) = Time::new(load).rows();
    let title = match every {
        1 => "Second by second".to_owned(),
        n => format!("Every {n} seconds: highest latency and gauge, mean rate"),
    };
    let _ = writeln!(
        out,
        "<details class=\"fold\" id=\"seconds\" data-every=\"{every}\"><summary>The charts over time as a table: {title}</summary>\
         <div class=\"body\">"
    );
    open(out, "two", &SECONDS);
    groups.iter().for_each(|group| row(out, &second(load, group)));
    close(out);
    out.push_str("</div></details>\n");
}

fn second(load: &LoadSummary, group: &[Second]) -> Vec<String> {
    let first = group.first().cloned().unwrap_or_default();
    let time =
        |value: fn(&Second) -> Option<u64>| group.iter().filter_map(value).max().map(units::ms).unwrap_or_default();
    let rate =
        |value: fn(&Second) -> u64| number(group.iter().map(value).sum::<u64>() as f64 / group.len().max(1) as f64);
    let most = |value: fn(&Second) -> u64| group.iter().map(value).max().unwrap_or(0);
    let cpu = group.iter().map(|s| s.client_cpu).fold(0.0, f64::max);
    let classes = load_view::classes(group.iter().flat_map(|s| s.failures.iter()));
    let classes: Vec<_> = classes.iter().map(|(class, n)| format!("{class} {n}")).collect();
    vec![
        clock(first.t),
        esc(&clip(load_view::stage_at(load, &first), 60)),
        time(|s| s.p50_us),
        time(|s| s.p95_us),
        time(|s| s.p99_us),
        time(|s| s.ttft_p50_us),
        time(|s| s.ttft_p95_us),
        rate(|s| s.planned),
        rate(|s| s.begun),
        rate(|s| s.dropped),
        rate(|s| s.requests),
        rate(|s| s.ok),
        rate(|s| s.failures.values().sum()),
        most(|s| s.open_streams).to_string(),
        most(|s| s.in_flight).to_string(),
        format!("{:.0}", cpu * 100.0),
        format!("{:.0}", most(|s| s.rss) as f64 / (1024.0 * 1024.0)),
        time(|s| s.lag_max_us),
        esc(&classes.join(", ")),
    ]
}
