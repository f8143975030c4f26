//! Questions that all renderings ask of the result of a load: what matters first, in words and numbers.

use super::run::{RunReport, Verdict};
use super::{units, view};
use crate::metrics::summary::{GroupResult, LoadSummary, Second, SloResult, SloState};
use crate::metrics::{FailureClass, LatencyRow};
use crate::model::Outcome;

/// Metrics in the order of tables, the ones that a short table shows.
pub const MAIN_METRICS: [&str; 5] = ["e2e_sched", "e2e", "ttft", "icl", "tpot"];

/// The whole load.
pub fn whole(load: &LoadSummary) -> Option<&GroupResult> {
    load.groups.iter().find(|g| is_whole(g))
}

/// Whether a group is the whole load.
pub fn is_whole(group: &GroupResult) -> bool {
    group.stage.is_none() && group.scenario.is_none() && group.step.is_none() && group.turn.is_none()
}

/// The metric of response times: from the planned send where there is a plan.
pub fn primary(load: &LoadSummary) -> &'static str {
    let planned = load.groups.iter().any(|g| g.line("e2e_sched").is_some());
    if planned || (load.run.model != "closed" && !load.run.model.is_empty()) { "e2e_sched" } else { "e2e" }
}

/// What a metric is, in a few words; empty for unknown ones.
pub fn explain(metric: &str) -> &'static str {
    match metric {
        "sched_lag" => "lateness of our sends",
        "ttfb" => "to the response head",
        "ttfe" => "to the first event",
        "ttft" => "to the first content",
        "icl" => "gap between content chunks",
        "tpot" => "per output token",
        "last_content" => "to the last content",
        "e2e" => "whole response, from the send",
        "e2e_sched" => "whole response, from the planned send",
        "server_latency" => "what the server says it took",
        "server_ttft" => "the server's own time to first token",
        "overhead" => "ours minus what the server says",
        _ => "",
    }
}

/// Name of a group: its stage, scenario, step and turn, as far as it has them; raw.
pub fn name(group: &GroupResult) -> String {
    let turn = group.turn.as_ref().map(|turn| match turn.as_str() {
        "first" => "first turn".to_owned(),
        "later" => "later turns".to_owned(),
        other => other.to_owned(),
    });
    let parts = [group.stage.clone(), group.scenario.clone(), group.step.clone(), turn];
    let parts: Vec<_> = parts.into_iter().flatten().map(|p| if p.is_empty() { "-".to_owned() } else { p }).collect();
    if parts.is_empty() { "all".to_owned() } else { parts.join(" / ") }
}

/// Objectives, those that call for attention first.
pub fn by_weight(slos: &[SloResult]) -> Vec<&SloResult> {
    let mut sorted: Vec<_> = slos.iter().collect();
    sorted.sort_by(|a, b| {
        let rank = |s: &SloResult| (weight(s), s.margin.unwrap_or(f64::NEG_INFINITY));
        rank(a).0.cmp(&rank(b).0).then(rank(a).1.total_cmp(&rank(b).1))
    });
    sorted
}

fn weight(slo: &SloResult) -> u8 {
    match (slo.state, slo.advisory) {
        (SloState::Missed, false) => 0,
        (SloState::Unknown, false) => 1,
        (SloState::Missed, true) => 2,
        (SloState::Unknown, true) => 3,
        (SloState::Met, false) => 4,
        (SloState::Met, true) => 5,
    }
}

/// Whether an objective makes the run red.
pub fn red(slo: &SloResult) -> bool {
    !slo.advisory && slo.state != SloState::Met
}

/// The word for the state of an objective.
pub fn state(slo: &SloResult) -> &'static str {
    match slo.state {
        SloState::Met => "met",
        SloState::Missed => "missed",
        SloState::Unknown => "no data",
    }
}

/// A value with its unit, three significant digits: `1420 ms`, `2.31 %`, `12.4 /s`, `37`.
pub fn value(value: f64, unit: &str) -> String {
    let whole = unit.is_empty() && value.fract() == 0.0;
    let number = match value.abs() {
        v if !v.is_finite() => "-".to_owned(),
        v if v >= 99.95 || whole || v == 0.0 => format!("{value:.0}"),
        v if v >= 9.995 => format!("{value:.1}"),
        v if v >= 0.01 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    };
    if unit.is_empty() { number } else { format!("{number} {unit}") }
}

/// A limit: as [`value`], without zeros behind the point.
pub fn limit(slo: &SloResult) -> String {
    let text = value(slo.limit, "");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    if slo.unit.is_empty() { text.to_owned() } else { format!("{text} {}", slo.unit) }
}

/// The margin of an objective in words: `23 % inside`, `78 % beyond`; empty where there is none.
pub fn margin(slo: &SloResult) -> String {
    let Some(margin) = slo.margin.filter(|m| m.is_finite()) else { return String::new() };
    let beyond = slo.state == SloState::Missed || margin < 0.0;
    match margin.abs() * 100.0 {
        share if beyond && share >= 900.0 => format!("{:.0} times the limit", 1.0 + margin.abs()),
        share if beyond && share >= 100.0 => format!("{:.1} times the limit", 1.0 + margin.abs()),
        share => {
            let digits = usize::from(share < 9.95);
            format!("{share:.digits$} % {}", if beyond { "beyond" } else { "inside" })
        }
    }
}

/// A share as per cent: `0 %`, `0.042 %`, `2.3 %`, `97 %`. What is not quite all or nothing never reads so.
pub fn percent(share: f64) -> String {
    match share * 100.0 {
        p if !p.is_finite() => "-".to_owned(),
        0.0 => "0 %".to_owned(),
        p if p < 0.1 => format!("{p:.3} %"),
        p if p < 9.95 => format!("{p:.1} %"),
        p if (99.5..100.0).contains(&p) => format!("{:.2} %", (p * 100.0).floor() / 100.0),
        p => format!("{p:.0} %"),
    }
}

/// A rate: `4993 /s`, `24.1 /s`.
pub fn rate(per_s: f64) -> String {
    value(per_s, "/s")
}

/// Bytes in binary units.
pub fn bytes(n: u64) -> String {
    let n = n as f64;
    if n >= 1024.0 * 1024.0 * 1024.0 {
        format!("{:.2} GiB", n / (1024.0 * 1024.0 * 1024.0))
    } else {
        format!("{:.1} MiB", n / (1024.0 * 1024.0))
    }
}

/// A price in units of 1e-9 of a currency.
pub fn money(nano: u64, currency: &str) -> String {
    let amount = nano as f64 / 1e9;
    let digits = if amount >= 1.0 { 2 } else { 4 };
    format!("{amount:.digits$} {currency}")
}

/// Half of the 95 % interval of a percentile, in microseconds: what stands behind a plus-minus.
pub fn spread(interval: Option<[u64; 2]>) -> Option<u64> {
    interval.map(|[low, high]| high.saturating_sub(low).div_ceil(2))
}

/// Failure classes with their counts, the order of tables first, unknown names behind.
pub fn classes<'g>(failures: impl Iterator<Item = (&'g String, &'g u64)>) -> Vec<(String, u64)> {
    let mut all: Vec<(usize, String, u64)> = Vec::new();
    for (class, n) in failures.filter(|(_, n)| **n > 0) {
        match all.iter_mut().find(|(_, name, _)| name == class) {
            Some((_, _, sum)) => *sum += n,
            None => {
                let place = FailureClass::ALL.iter().position(|c| c.as_str() == class);
                all.push((place.unwrap_or(usize::MAX), class.clone(), *n));
            }
        }
    }
    all.sort();
    all.into_iter().map(|(_, name, n)| (name, n)).collect()
}

/// `http_429 330, timeout 60`, the most frequent first; raw.
pub fn classes_text(group: &GroupResult) -> String {
    let mut classes = classes(group.failures.iter());
    classes.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    classes.iter().map(|(class, n)| format!("{class} {n}")).collect::<Vec<_>>().join(", ")
}

/// Rows of one group that a short table shows.
pub fn main_rows(group: &GroupResult) -> Vec<&LatencyRow> {
    MAIN_METRICS.iter().filter_map(|metric| group.line(metric)).collect()
}

/// Label of the stage that a second belongs to; `drain` behind the last one.
pub fn stage_at<'l>(load: &'l LoadSummary, second: &Second) -> &'l str {
    let at = f64::from(second.t);
    match load.stages.iter().find(|s| (s.from_s..s.to_s).contains(&at)) {
        Some(stage) => &stage.label,
        None if load.stages.is_empty() => "",
        None => "drain",
    }
}

/// What a person should know in five seconds: why the verdict, by how much, when; raw text.
pub fn headline(report: &RunReport, load: &LoadSummary) -> Vec<String> {
    let mut lines = Vec::new();
    let failed = view::with(report, &[Outcome::Fail, Outcome::Error]);
    if !failed.is_empty() {
        let ids: Vec<_> = failed.iter().take(3).map(|r| r.id.as_str()).collect();
        let more = if failed.len() > 3 { ", ..." } else { "" };
        lines.push(format!("{} broke: {}{more}", units::count(failed.len() as u64, "rule"), ids.join(", ")));
    }
    lines.extend(invalid(load));
    lines.push(objectives(load));
    lines.extend(failures(load));
    if report.verdict != Verdict::Pass {
        lines.extend(slowest(load));
    }
    lines.extend(load.ended_early.as_ref().map(|why| format!("Ended early: {why}")));
    lines
}

fn invalid(load: &LoadSummary) -> Option<String> {
    let missed: Vec<_> = load.validity.iter().filter(|s| red(s)).collect();
    let first = missed.first()?;
    let value = first.value.map_or("not measured".to_owned(), |v| value(v, &first.unit));
    let mut text = format!("The numbers do not count: {} (was {value})", first.text);
    if missed.len() > 1 {
        text.push_str(&format!(" and {} more", missed.len() - 1));
    }
    first.remedy.iter().for_each(|remedy| text.push_str(&format!("; {remedy}")));
    Some(text)
}

fn objectives(load: &LoadSummary) -> String {
    let judged: Vec<_> = load.slos.iter().filter(|s| !s.advisory).collect();
    let missed = judged.iter().filter(|s| red(s)).count();
    let first = by_weight(&load.slos).into_iter().find(|s| !s.advisory);
    let Some(first) = first else { return "No objectives were set".to_owned() };
    let margin = match margin(first) {
        text if text.is_empty() => String::new(),
        text => format!(", {text}"),
    };
    let value = first.value.map_or("not measured".to_owned(), |v| value(v, &first.unit));
    let closest = format!("{}: {value}{margin}", first.text);
    match (missed, judged.len()) {
        (0, 1) => format!("The objective is met: {closest}"),
        (0, all) => format!("All {all} objectives are met; the closest: {closest}"),
        (missed, all) => format!("{missed} of {} missed; the worst: {closest}", units::count(all as u64, "objective")),
    }
}

/// How many requests failed, of what, and when.
fn failures(load: &LoadSummary) -> Option<String> {
    let whole = whole(load).filter(|g| g.requests > 0)?;
    if whole.failed() == 0 {
        return Some(format!("None of {} failed", units::count(whole.requests, "request")));
    }
    let share = percent(whole.failed() as f64 / whole.requests as f64);
    let mut text =
        format!("{} of {} requests failed ({share}): {}", whole.failed(), whole.requests, classes_text(whole));
    let mut with = load.series.iter().filter(|s| s.failures.values().any(|n| *n > 0));
    if let Some(first) = with.next() {
        let last = with.next_back().unwrap_or(first);
        let stages = match (stage_at(load, first), stage_at(load, last)) {
            ("", _) => String::new(),
            (one, other) if one == other => format!(" ({one})"),
            (one, other) => format!(" ({one} to {other})"),
        };
        text.push_str(&format!("; from {} to {}{stages}", clock(first.t), clock(last.t.saturating_add(1))));
    }
    Some(text)
}

/// The second with the slowest answers.
fn slowest(load: &LoadSummary) -> Option<String> {
    let worst = load.series.iter().filter(|s| s.p95_us.is_some()).max_by_key(|s| s.p95_us)?;
    let usual = whole(load)?.line(primary(load))?;
    let stage = match stage_at(load, worst) {
        "" => String::new(),
        stage => format!(" ({stage})"),
    };
    Some(format!(
        "Slowest second: {}{stage}, {} p95 {}; the whole run's p50 is {}",
        clock(worst.t),
        primary(load),
        units::duration(worst.p95_us?),
        units::duration(usual.p50_us)
    ))
}

/// Seconds since the start as `m:ss` or `h:mm:ss`.
pub fn clock(seconds: u32) -> String {
    match seconds / 3600 {
        0 => format!("{}:{:02}", seconds / 60, seconds % 60),
        hours => format!("{hours}:{:02}:{:02}", seconds / 60 % 60, seconds % 60),
    }
}

#[cfg(test)]
#[path = "load_view_tests.rs"]
mod tests;
