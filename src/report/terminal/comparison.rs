//! Two runs of a load beside each other, for a person at a terminal.

use super::TerminalStyle;
use super::page::{Page, Paint};
use super::table::{Table, number, text};
use crate::metrics::compare::{Change, Comparison, Difference, MetricComparison};
use crate::report::escape::terminal as esc;
use crate::report::units;

/// Renders a comparison: what differs first in words, then every number.
pub fn comparison(of: &Comparison, style: &TerminalStyle) -> String {
    let mut page = Page::new(style);
    page.labelled(2, 9, "A", Paint::Plain, &esc(&of.a));
    page.labelled(2, 9, "B", Paint::Plain, &esc(&of.b));
    page.heading("Differences of B from A");
    let heads = [
        text("metric"),
        text("scenario"),
        text("of"),
        number("A", 0),
        number("B", 0),
        number("B - A", 0),
        number("95 % interval", 2),
        number("matters from", 3),
        text("verdict"),
    ];
    let mut table = Table::new(&heads);
    let shown = of.metrics.iter().filter(|m| style.verbosity > 0 || m.scenario.is_none());
    for metric in shown {
        for (at, difference) in metric.differences.iter().enumerate() {
            table.row(paint(difference.change), row(metric, difference, at == 0));
        }
    }
    table.write(&mut page);
    let hidden = of.metrics.iter().filter(|m| m.scenario.is_some()).count();
    if hidden > 0 && style.verbosity == 0 {
        page.text(2, 4, Paint::Dim, &format!("{} by scenario with -v", units::count(hidden as u64, "metric")));
    }
    if !of.notes.is_empty() {
        page.heading("Notes");
        for note in &of.notes {
            page.text(2, 4, Paint::Plain, &format!("- {}", esc(note)));
        }
    }
    page.blank();
    page.text(0, 2, paint(of.change), &format!("{}: {}", word(of.change).to_uppercase(), esc(&of.words)));
    page.finish()
}

fn row(metric: &MetricComparison, difference: &Difference, first: bool) -> [String; 9] {
    let number = |value: f64| shown(value, &metric.unit);
    let relative = difference.relative.map(|r| format!(" ({:+.1} %)", r * 100.0)).unwrap_or_default();
    [
        if first { esc(&metric.metric) } else { String::new() },
        if first { metric.scenario.as_deref().map(esc).unwrap_or_default() } else { String::new() },
        esc(&difference.statistic),
        number(difference.a),
        number(difference.b),
        format!("{}{relative}", signed(difference.difference, &metric.unit)),
        difference.interval.map(|[low, high]| span(low, high, &metric.unit)).unwrap_or_default(),
        number(difference.matters_from),
        word(difference.change).to_owned(),
    ]
}

/// Times as milliseconds, shares as percent.
fn shown(value: f64, unit: &str) -> String {
    match unit {
        "us" => format!("{} ms", units::ms(value.abs().round() as u64)),
        "share" => format!("{:.2} %", value * 100.0),
        _ => format!("{value:.2} {unit}"),
    }
}

fn signed(value: f64, unit: &str) -> String {
    let sign = if value < 0.0 { "-" } else { "+" };
    format!("{sign}{}", shown(value.abs(), unit))
}

fn span(low: f64, high: f64, unit: &str) -> String {
    format!("{} to {}", signed(low, unit), signed(high, unit))
}

fn word(change: Change) -> &'static str {
    match change {
        Change::Same => "same",
        Change::Faster => "faster",
        Change::Slower => "slower",
        Change::Inconclusive => "inconclusive",
    }
}

fn paint(change: Change) -> Paint {
    match change {
        Change::Same => Paint::Plain,
        Change::Faster => Paint::Good,
        Change::Slower => Paint::Bad,
        Change::Inconclusive => Paint::Dim,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_stands_with_its_unit_sign_interval_and_verdict() {
        let difference = Difference {
            statistic: "p95".into(),
            a: 100_000.0,
            b: 150_000.0,
            difference: 50_000.0,
            relative: Some(0.5),
            interval: Some([-1_000.0, 90_000.0]),
            matters_from: 5_000.0,
            change: Change::Slower,
        };
        let metric = MetricComparison {
            metric: "ttft".into(),
            unit: "us".into(),
            differences: vec![difference],
            ..MetricComparison::default()
        };
        let of = Comparison {
            a: "old".into(),
            b: "new\x1b[31m".into(),
            metrics: vec![metric],
            change: Change::Slower,
            words: "ttft is slower".into(),
            notes: vec!["other seed".into()],
        };
        let text = comparison(&of, &TerminalStyle { width: 120, ..TerminalStyle::default() });
        for wanted in
            ["p95", "100 ms", "150 ms", "+50.0 ms (+50.0 %)", "-1.00 ms to +90.0 ms", "slower", "- other seed"]
        {
            assert!(text.contains(wanted), "{wanted}: {text}");
        }
        assert!(text.trim_end().ends_with("SLOWER: ttft is slower") && !text.contains('\x1b'), "{text}");
    }
}
