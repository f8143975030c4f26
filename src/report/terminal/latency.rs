//! The latency table: as many columns as fit.

use super::page::{self, Page, Paint};
use crate::metrics::LatencyRow;
use crate::report::run::RunReport;
use crate::report::{escape, units, view};

/// A column: title, whether it is text (left-aligned), and the cell of a row.
struct Column {
    title: &'static str,
    text: bool,
    cell: fn(&LatencyRow) -> String,
}

const COLUMNS: [Column; 10] = [
    Column { title: "metric", text: true, cell: |r| escape::terminal(&r.metric) },
    Column { title: "app", text: true, cell: |r| escape::terminal(&r.group) },
    Column { title: "turn", text: true, cell: |r| escape::terminal(&r.turn) },
    Column { title: "n", text: false, cell: |r| r.n.to_string() },
    Column { title: "p50", text: false, cell: |r| units::ms(r.p50_us) },
    Column { title: "p90", text: false, cell: |r| units::ms(r.p90_us) },
    Column { title: "p95", text: false, cell: |r| units::ms(r.p95_us) },
    Column { title: "p99", text: false, cell: |r| units::ms(r.p99_us) },
    Column { title: "p99.9", text: false, cell: |r| r.p999_us.map(units::ms).unwrap_or_default() },
    Column { title: "max", text: false, cell: |r| units::ms(r.max_us) },
];

/// Columns that give way on narrow terminals, in this order.
const DISPENSABLE: [&str; 4] = ["p99.9", "p90", "p99", "p95"];
/// Widest text column.
const TEXT_COLUMNS: usize = 20;

/// The table; the main metrics unless verbose.
pub fn write(page: &mut Page, report: &RunReport) {
    let rows: Vec<&LatencyRow> =
        if page.verbosity > 0 { report.latency.iter().collect() } else { view::main_rows(report) };
    if rows.is_empty() {
        return;
    }
    page.heading("Latency in ms (requests that succeeded)");
    let tail = rows.iter().any(|r| r.p999_us.is_some());
    let mut columns: Vec<_> = COLUMNS.iter().filter(|c| tail || c.title != "p99.9").collect();
    let widths = |columns: &[&Column]| -> Vec<usize> {
        let cells = |c: &Column| rows.iter().map(|r| page::width(&(c.cell)(r))).max().unwrap_or(0);
        let limit = |c: &Column| if c.text { TEXT_COLUMNS } else { usize::MAX };
        columns.iter().map(|c| cells(c).max(c.title.len()).min(limit(c))).collect()
    };
    for title in DISPENSABLE {
        if widths(&columns).iter().sum::<usize>() + 2 * columns.len() > page.width {
            columns.retain(|c| c.title != title);
        }
    }
    let mut sizes = widths(&columns);
    let over = (sizes.iter().sum::<usize>() + 2 * columns.len()).saturating_sub(page.width);
    if let Some(app) = sizes.get_mut(1) {
        *app = app.saturating_sub(over).max(4);
    }
    let head: Vec<_> = columns.iter().map(|c| c.title.to_owned()).collect();
    line(page, Paint::Dim, &columns, &sizes, &head);
    for row in &rows {
        let cells: Vec<_> = columns.iter().map(|c| (c.cell)(row)).collect();
        line(page, Paint::Plain, &columns, &sizes, &cells);
    }
    let hidden = report.latency.len().saturating_sub(rows.len());
    if hidden > 0 {
        let text = format!("{} with -v and in the reports", units::count(hidden as u64, "more row"));
        page.text(2, 2, Paint::Dim, &text);
    }
}

fn line(page: &mut Page, paint: Paint, columns: &[&Column], sizes: &[usize], cells: &[String]) {
    let mut text = String::new();
    for ((column, size), cell) in columns.iter().zip(sizes).zip(cells) {
        let cell = page::cut_to(cell, *size);
        let gap = " ".repeat(size.saturating_sub(page::width(&cell)));
        let cell = if column.text { format!("{cell}{gap}") } else { format!("{gap}{cell}") };
        text.push_str("  ");
        text.push_str(&cell);
    }
    page.pieces(&[(paint, &text)]);
}
