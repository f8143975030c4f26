//! What is drawn over time.

use super::scale::{self, Scale, Tick, plain};
use super::svg::{Figure, HALF, Key, NARROW, Size, Tone, WIDE, figure};
use super::time::Time;
use crate::metrics::LoadSummary;
use crate::metrics::summary::Second;
use crate::report::{load_view, units};

/// Both screens.
const SCREENS: [Size; 2] = [WIDE, NARROW];
/// Marks of a y axis.
const MARKS: usize = 5;

/// A line over time.
struct Line {
    tone: Tone,
    name: String,
    value: fn(&Second) -> Option<f64>,
}

impl Line {
    fn new(tone: Tone, name: impl Into<String>, value: fn(&Second) -> Option<f64>) -> Line {
        Line { tone, name: name.into(), value }
    }
}

fn ms(us: Option<u64>) -> Option<f64> {
    us.map(|us| us as f64 / 1000.0)
}

/// Highest value and when.
fn peak(load: &LoadSummary, value: impl Fn(&Second) -> Option<f64>) -> Option<(u32, f64)> {
    let values = load.series.iter().filter_map(|s| value(s).map(|v| (s.t, v)));
    values.max_by(|a, b| a.1.total_cmp(&b.1))
}

/// Middle of the values of all seconds.
fn middle(load: &LoadSummary, value: impl Fn(&Second) -> Option<f64>) -> f64 {
    let mut values: Vec<f64> = load.series.iter().filter_map(value).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// All charts over time but those of the client.
pub fn write(out: &mut String, load: &LoadSummary) {
    let time = Time::new(load);
    latency(out, load, time);
    first_token(out, load, time);
    failures(out, load, time);
    rate(out, load, time);
    streams(out, load, time);
}

fn latency(out: &mut String, load: &LoadSummary, time: Time) {
    let lines = [
        Line::new(0, "p50", |s| ms(s.p50_us)),
        Line::new(1, "p95", |s| ms(s.p95_us)),
        Line::new(2, "p99", |s| ms(s.p99_us)),
    ];
    let metric = load_view::primary(load);
    let title = format!("Latency over time: {metric}, {}", load_view::explain(metric));
    times(out, load, time, ("latency", &title, metric), &lines, &[2, 3, 4]);
}

fn first_token(out: &mut String, load: &LoadSummary, time: Time) {
    let lines = [Line::new(0, "p50", |s| ms(s.ttft_p50_us)), Line::new(1, "p95", |s| ms(s.ttft_p95_us))];
    if peak(load, |s| ms(s.ttft_p95_us)).is_some() {
        times(out, load, time, ("ttft", "Time to first token over time: ttft", "ttft"), &lines, &[5, 6]);
    }
}

/// Limits in milliseconds that objectives set on a metric, each once.
fn limits(load: &LoadSummary, metric: &str) -> Vec<(f64, String)> {
    let mut limits: Vec<(f64, String)> = Vec::new();
    for slo in load.slos.iter().filter(|s| s.unit == "ms" && s.text.split([' ', '<', '>', ':']).next() == Some(metric))
    {
        if limits.len() < 3 && !limits.iter().any(|(l, _)| *l == slo.limit) {
            limits.push((slo.limit, format!("limit {}", load_view::limit(slo))));
        }
    }
    limits
}

/// A chart of times in milliseconds; nothing where nothing was measured.
fn times(
    out: &mut String,
    load: &LoadSummary,
    time: Time,
    (id, title, metric): (&str, &str, &str),
    lines: &[Line],
    columns: &[usize],
) {
    let highest = lines.iter().rev().find_map(|line| Some((line, peak(load, line.value)?)));
    let Some((top, (when, high))) = highest else { return };
    let low = lines.first().and_then(|l| load.series.iter().filter_map(l.value).min_by(f64::total_cmp)).unwrap_or(0.0);
    let typical = lines.first().map_or(0.0, |l| middle(load, l.value));
    let limits = limits(load, metric);
    // A limit far above everything would leave nothing to see of the rest.
    let reached = limits.iter().map(|l| l.0).filter(|l| *l < high * 2.5).fold(high, f64::max);
    let y = Scale::for_times(low, typical, reached * 1.02, MARKS);
    let in_seconds = reached >= 10_000.0;
    let label = |v: f64| plain(if in_seconds { v / 1000.0 } else { v });
    let y_ticks: Vec<Tick> = y.ticks(MARKS).into_iter().map(|v| (v, label(v))).collect();
    let y_title = format!("{}{}", if in_seconds { "s" } else { "ms" }, y.note());
    let stage = match load.series.iter().find(|s| s.t == when).map_or("", |s| load_view::stage_at(load, s)) {
        "" => String::new(),
        stage => format!(" ({stage})"),
    };
    let desc = format!(
        "Typical p50 {} ms; highest {} {} ms at {}{stage}. Of answers that ended in each second, failed ones left out.",
        plain(typical),
        top.name,
        plain(high),
        load_view::clock(when),
    );
    let legend = lines.iter().map(|l| Key::line(l.tone, l.name.as_str())).collect();
    figure(out, &Figure { id, title, desc, legend, columns, sizes: &SCREENS }, |out, size| {
        let plot = time.open(out, size, y, &y_ticks, &y_title);
        lines.iter().rev().for_each(|line| plot.line(out, line.tone, &time.points(size, line.value)));
        limits.iter().for_each(|(at, name)| plot.limit(out, *at, name));
        time.close(out, &plot);
    });
}

fn rate(out: &mut String, load: &LoadSummary, time: Time) {
    let any = |value: fn(&Second) -> u64| load.series.iter().any(|s| value(s) > 0);
    let mut lines = Vec::new();
    if any(|s| s.planned) {
        lines.push(Line::new(6, "scenarios planned", |s| Some(s.planned as f64)));
    }
    lines.push(Line::new(0, "scenarios begun", |s| Some(s.begun as f64)));
    lines.push(Line::new(4, "requests sent", |s| Some(s.requests as f64)));
    lines.push(Line::new(3, "requests ended correctly", |s| Some(s.ok as f64)));
    let dropped: u64 = load.series.iter().map(|s| s.dropped).sum();
    let planned: u64 = load.series.iter().map(|s| s.planned).sum();
    let desc = match (planned, dropped) {
        (0, _) => {
            "Virtual users begin the next scenario when one is done; there is no plan to compare with.".to_owned()
        }
        (planned, 0) => format!("All {planned} planned scenarios were begun."),
        (planned, dropped) => format!(
            "{dropped} of {planned} planned scenarios ({}) were dropped: as many as max-in-flight were under way.",
            load_view::percent(dropped as f64 / planned as f64)
        ),
    };
    let mut legend: Vec<Key> = lines.iter().map(|l| Key::line(l.tone, l.name.as_str())).collect();
    if dropped > 0 {
        legend.push(Key::area(5, "scenarios dropped"));
    }
    let high = lines.iter().filter_map(|l| peak(load, l.value)).map(|p| p.1).fold(1.0, f64::max);
    let y = Scale::from_zero(high, MARKS);
    let ticks = marks(y);
    let columns = [7, 8, 9, 10, 11];
    let about = Figure { id: "rate", title: "Rate", desc, legend, columns: &columns, sizes: &SCREENS };
    figure(out, &about, |out, size| {
        let plot = time.open(out, size, y, &ticks, "per second");
        let (every, groups) = time.groups(size.points / 2);
        let bars: Vec<_> =
            groups.iter().filter_map(|g| bar(g, every, 0.0, g.iter().map(|s| s.dropped).sum())).collect();
        plot.boxes(out, 5, &bars);
        lines.iter().for_each(|line| plot.line(out, line.tone, &time.points(size, line.value)));
        time.close(out, &plot);
    });
}

/// A box over a group of seconds: `n` per second, standing on `ground`.
fn bar(group: &[Second], every: u32, ground: f64, n: u64) -> Option<(f64, f64, f64, f64)> {
    let from = f64::from(group.first()?.t);
    Some((from, from + f64::from(every), ground, ground + n as f64 / f64::from(every)))
}

fn marks(y: Scale) -> Vec<Tick> {
    y.ticks(MARKS).into_iter().map(|v| (v, plain(v))).collect()
}

fn streams(out: &mut String, load: &LoadSummary, time: Time) {
    let lines = [
        Line::new(0, "open streams", |s| Some(s.open_streams as f64)),
        Line::new(1, "requests under way", |s| Some(s.in_flight as f64)),
    ];
    let high = lines.iter().filter_map(|l| peak(load, l.value)).max_by(|a, b| a.1.total_cmp(&b.1));
    let (when, high) = high.unwrap_or_default();
    let y = Scale::from_zero(high, MARKS);
    let desc = format!("At most {} at the end of a second, at {}.", plain(high), load_view::clock(when));
    let legend = lines.iter().map(|l| Key::line(l.tone, l.name.as_str())).collect();
    let about = Figure { id: "streams", title: "Open streams", desc, legend, columns: &[13, 14], sizes: &SCREENS };
    figure(out, &about, |out, size| {
        let plot = time.open(out, size, y, &marks(y), "at the end of the second");
        lines.iter().rev().for_each(|line| plot.line(out, line.tone, &time.points(size, line.value)));
        time.close(out, &plot);
    });
}

/// Tones of failure classes, the most unlike ones first.
const FAILURE_TONES: [Tone; 8] = [5, 0, 1, 2, 3, 7, 4, 6];

fn failures(out: &mut String, load: &LoadSummary, time: Time) {
    let classes = load_view::classes(load.series.iter().flat_map(|s| s.failures.iter()));
    if classes.is_empty() {
        out.push_str("<p class=\"calm\" id=\"failures\">No request failed.</p>\n");
        return;
    }
    // More classes than colours: the rarest share the last one.
    let tone = |i: usize| FAILURE_TONES.get(i.min(7)).copied().unwrap_or(6);
    let named = |i: usize, class: &str, n: u64| Key::area(tone(i), format!("{class} ({n})"));
    let legend = classes.iter().enumerate().map(|(i, (class, n))| named(i, class, *n)).collect();
    let total: u64 = classes.iter().map(|c| c.1).sum();
    let (when, worst) = peak(load, |s| Some(s.failures.values().sum::<u64>() as f64)).unwrap_or_default();
    let desc = format!(
        "{} failed; most in one second: {worst} at {}.",
        units::count(total, "request"),
        load_view::clock(when)
    );
    let columns = [12, 11, 18];
    let title = "Failures by class over time";
    figure(out, &Figure { id: "failures", title, desc, legend, columns: &columns, sizes: &SCREENS }, |out, size| {
        let (every, groups) = time.groups(size.points / 2);
        let mut ground = vec![0.0; groups.len()];
        let mut layers = Vec::new();
        for (class, _) in &classes {
            let n = |g: &[Second]| g.iter().filter_map(|s| s.failures.get(class)).sum::<u64>();
            let bars: Vec<_> = groups.iter().zip(&ground).filter_map(|(g, base)| bar(g, every, *base, n(g))).collect();
            ground.iter_mut().zip(&groups).for_each(|(base, g)| *base += n(g) as f64 / f64::from(every));
            layers.push(bars);
        }
        let y = Scale::from_zero(ground.iter().copied().fold(0.0, f64::max), MARKS);
        let plot = time.open(out, size, y, &marks(y), "failures per second");
        layers.iter().enumerate().for_each(|(i, bars)| plot.boxes(out, tone(i), bars));
        time.close(out, &plot);
    });
}

/// A small chart of one thing over time.
pub struct Small<'s> {
    /// Unique in the page.
    pub id: &'s str,
    /// Title.
    pub title: &'s str,
    /// Sentence with the numbers.
    pub desc: String,
    /// Unit of the y axis.
    pub unit: &'s str,
    /// Column of the table of seconds.
    pub column: usize,
    /// The value of a second.
    pub value: fn(&Second) -> Option<f64>,
    /// What it must stay below.
    pub limit: Option<(f64, String)>,
}

/// Draws a small chart.
pub fn small(out: &mut String, load: &LoadSummary, small: &Small) {
    let time = Time::new(load);
    let high = peak(load, small.value).map_or(0.0, |p| p.1);
    let limit = small.limit.as_ref().filter(|(at, _)| *at < high * 2.5);
    let y = Scale::from_zero(limit.map_or(high, |l| l.0.max(high)), 4);
    let ticks: Vec<Tick> = y.ticks(4).into_iter().map(|v| (v, scale::plain(v))).collect();
    let about = Figure {
        id: small.id,
        title: small.title,
        desc: small.desc.clone(),
        legend: Vec::new(),
        columns: &[small.column],
        sizes: &[HALF],
    };
    figure(out, &about, |out, size| {
        let plot = time.open(out, size, y, &ticks, small.unit);
        limit.iter().for_each(|(at, name)| plot.limit(out, *at, name));
        plot.line(out, 0, &time.points(size, small.value));
        time.close(out, &plot);
    });
}
