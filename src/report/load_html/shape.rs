//! How latencies are distributed: percentile curve and histograms.

use super::scale::{Scale, Tick, plain};
use super::svg::{Figure, HALF, Key, Plot, Tone, figure};
use super::tables;
use crate::metrics::LoadSummary;
use crate::metrics::summary::{Bar, CurvePoint};
use crate::report::load_view;

/// Lines of the percentile curve.
const CURVES: [(&str, Tone); 3] = [("e2e_sched", 0), ("e2e", 1), ("ttft", 3)];
/// Percentiles that are marked.
const NINES: [(f64, &str); 7] =
    [(0.0, "0"), (0.5, "50"), (0.9, "90"), (0.99, "99"), (0.999, "99.9"), (0.9999, "99.99"), (0.99999, "99.999")];

/// The section.
pub fn write(out: &mut String, load: &LoadSummary) {
    if load.curves.values().all(Vec::is_empty) && load.distributions.values().all(Vec::is_empty) {
        return;
    }
    out.push_str("<h2 id=\"shape\">Distribution</h2>\n<div class=\"halves\">\n");
    curve(out, load);
    for (metric, title) in [
        (load_view::primary(load), "Response times"),
        ("ttft", "Time to first token"),
        ("icl", "Gaps between content chunks"),
    ] {
        histogram(out, load, metric, title);
    }
    out.push_str("</div>\n");
    tables::curves(out, load);
}

/// Where a percentile lies on an axis that gives every nine the same room.
fn nines(q: f64) -> f64 {
    -(1.0 - q.clamp(0.0, 0.999_999_9)).log10()
}

fn curve(out: &mut String, load: &LoadSummary) {
    let mut curves: Vec<(&str, Tone, &[CurvePoint])> = CURVES
        .into_iter()
        .filter_map(|(name, tone)| Some((name, tone, load.curves.get(name)?.as_slice())))
        .filter(|(_, _, points)| !points.is_empty())
        .collect();
    let planned = curves.iter().any(|(name, _, _)| *name == "e2e_sched");
    curves.iter_mut().filter(|(name, _, _)| *name == "e2e" && !planned).for_each(|curve| curve.1 = 0);
    let all = || curves.iter().flat_map(|(_, _, points)| points.iter().filter(|p| p.q.is_finite()));
    let end = all().map(|p| p.q).filter(|q| *q < 1.0).fold(0.5, f64::max);
    let high = all().map(|p| p.us).max().unwrap_or(0) as f64 / 1000.0;
    let low = all().map(|p| p.us).min().unwrap_or(0) as f64 / 1000.0;
    if high <= 0.0 {
        return;
    }
    let y = Scale::for_times(low, middle(&curves), high, 5);
    let x = Scale::Linear(0.0, nines(end).max(nines(0.9)));
    let x_ticks: Vec<Tick> = NINES
        .iter()
        .filter(|(q, _)| nines(*q) <= nines(end).max(nines(0.9)) + 0.02)
        .map(|(q, label)| (nines(*q), (*label).to_owned()))
        .collect();
    let y_ticks: Vec<Tick> = y.ticks(5).into_iter().map(|v| (v, plain(v))).collect();
    let y_title = format!("ms{}", y.note());
    let legend = curves.iter().map(|(name, tone, _)| Key::line(*tone, *name)).collect();
    let desc = "How long the quickest so many per cent took at the most; every nine has the same room.".to_owned();
    let about = Figure { id: "curve", title: "Percentiles", desc, legend, columns: &[], sizes: &[HALF] };
    figure(out, &about, |out, size| {
        let plot = Plot::new(size, x, y);
        plot.axes(out, (&x_ticks, "percentile"), (&y_ticks, &y_title));
        // The first is drawn last: where the client is in time, it lies on the second.
        for (_, tone, points) in curves.iter().rev() {
            let line: Vec<_> = points
                .iter()
                .filter(|p| p.q.is_finite() && p.q < 1.0)
                .map(|p| Some((nines(p.q), p.us as f64 / 1000.0)))
                .collect();
            plot.line(out, *tone, &line);
        }
    });
}

/// A median of the lowest line, for the choice of the axis.
fn middle(curves: &[(&str, Tone, &[CurvePoint])]) -> f64 {
    let medians = curves.iter().filter_map(|(_, _, points)| points.iter().find(|p| p.q >= 0.5)).map(|p| p.us);
    medians.min().unwrap_or(0) as f64 / 1000.0
}

fn histogram(out: &mut String, load: &LoadSummary, metric: &str, title: &str) {
    let bars = load.distributions.get(metric).map(Vec::as_slice).unwrap_or_default();
    let total: u64 = bars.iter().map(|b| b.n).sum();
    let held: Vec<&Bar> = bars.iter().filter(|b| b.n > 0 && b.to_us > b.from_us).collect();
    let (Some(first), Some(last), true) = (held.first(), held.last(), total > 0) else { return };
    let ms = |us: u64| (us.max(1)) as f64 / 1000.0;
    let x = Scale::Log(ms(first.from_us), ms(last.to_us));
    let share = |b: &Bar| b.n as f64 * 100.0 / total as f64;
    let y = Scale::from_zero(held.iter().map(|b| share(b)).fold(0.0, f64::max), 4);
    let x_ticks: Vec<Tick> = x.ticks(7).into_iter().map(|v| (v, plain(v))).collect();
    let y_ticks: Vec<Tick> = y.ticks(4).into_iter().map(|v| (v, plain(v))).collect();
    let row = load_view::whole(load).and_then(|g| g.line(metric));
    let stats = row.map(|r| {
        let [p50, p95, p99] = [r.p50_us, r.p95_us, r.p99_us].map(|us| plain(us as f64 / 1000.0));
        format!(" p50 {p50}, p95 {p95}, p99 {p99} ms.")
    });
    let desc = format!("{total} samples.{}", stats.unwrap_or_default());
    let title = format!("{title}: {metric}");
    let id = format!("histogram-{metric}");
    let about = Figure { id: &id, title: &title, desc, legend: Vec::new(), columns: &[], sizes: &[HALF] };
    figure(out, &about, |out, size| {
        let plot = Plot::new(size, x, y);
        plot.axes(out, (&x_ticks, "ms, log scale"), (&y_ticks, "% of samples"));
        let boxes: Vec<_> = held.iter().map(|b| (ms(b.from_us), ms(b.to_us), 0.0, share(b))).collect();
        plot.boxes(out, 0, &boxes);
        if let Some(row) = row {
            let marks = [(row.p50_us, "p50"), (row.p95_us, "p95"), (row.p99_us, "p99")];
            let mut last = f64::NEG_INFINITY;
            for (at, name) in marks.map(|(us, name)| (ms(us), name)) {
                // Names that would lie on each other: the first stays.
                let room = plot.px(at) - last > 24.0;
                plot.upright(out, at, if room { name } else { "" });
                last = if room { plot.px(at) } else { last };
            }
        }
    });
}
