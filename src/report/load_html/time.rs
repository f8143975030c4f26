//! Charts over time: stages as bands, seconds as lines or stacked bars.

use super::scale::{self, Scale, Tick};
use super::svg::{Plot, Size};
use crate::metrics::LoadSummary;
use crate::metrics::summary::Second;
use crate::report::escape::html as esc;
use std::fmt::Write as _;

/// Title of every time axis.
pub const X_TITLE: &str = "time since the start, min:s";

/// Rows of the table of seconds, at the most.
const ROWS: usize = 300;

/// The time axis of a load.
#[derive(Clone, Copy)]
pub struct Time<'l> {
    load: &'l LoadSummary,
    /// Length in seconds.
    pub seconds: f64,
}

impl<'l> Time<'l> {
    /// The axis that holds every second and every stage.
    pub fn new(load: &'l LoadSummary) -> Time<'l> {
        let last = load.series.iter().map(|s| f64::from(s.t) + 1.0).fold(0.0, f64::max);
        let end = load.stages.iter().map(|s| s.to_s).filter(|s| s.is_finite()).fold(0.0, f64::max);
        Time { load, seconds: last.max(end).max(1.0) }
    }

    /// Begins a drawing: bands, then axes over them.
    pub fn open(self, out: &mut String, size: Size, y: Scale, y_ticks: &[Tick], y_title: &str) -> Plot {
        let plot = Plot::new(size, Scale::Linear(0.0, self.seconds), y);
        let _ = writeln!(
            out,
            "<g class=\"plot\" data-left=\"{}\" data-right=\"{}\" data-seconds=\"{}\">",
            plot.left(),
            plot.right(),
            self.seconds
        );
        self.bands(out, &plot);
        plot.axes(out, (&scale::time_ticks(self.seconds, size.marks), X_TITLE), (y_ticks, y_title));
        plot
    }

    /// Ends a drawing: the line that follows the pointer.
    pub fn close(self, out: &mut String, plot: &Plot) {
        let _ = writeln!(
            out,
            "<path class=\"cross\" visibility=\"hidden\" d=\"M0 {}V{}\"/></g>",
            plot.top(),
            plot.bottom()
        );
    }

    fn bands(self, out: &mut String, plot: &Plot) {
        let mut bands: Vec<(f64, f64, &str, &str)> = Vec::new();
        for (i, stage) in self.load.stages.iter().enumerate() {
            let class = match (stage.measure, i % 2) {
                (false, _) => "off",
                (true, 0) => "even",
                (true, _) => "odd",
            };
            bands.push((stage.from_s, stage.to_s, &stage.label, class));
        }
        let end = bands.last().map_or(0.0, |b| b.1);
        if !bands.is_empty() && self.seconds > end + 0.5 {
            bands.push((end, self.seconds, "drain", "off"));
        }
        let single = bands.len() == 1;
        for (from, to, label, class) in bands {
            let (left, right) = (plot.px(from), plot.px(to));
            let _ = writeln!(
                out,
                "<rect class=\"band {class}\" x=\"{left:.1}\" y=\"{}\" width=\"{:.1}\" height=\"{}\"><title>{}</title></rect>",
                plot.top(),
                (right - left).max(0.0),
                plot.bottom() - plot.top(),
                esc(&format!("{label} ({} to {})", scale::clock(from), scale::clock(to)))
            );
            let shown = fitted(label, right - left - 7.0);
            if !single && !shown.is_empty() {
                let _ = writeln!(
                    out,
                    "<text class=\"stage\" x=\"{:.1}\" y=\"{}\">{}</text>",
                    left + 3.0,
                    plot.top() - 4.0,
                    esc(&shown)
                );
            }
        }
    }

    /// A line of one value per second, thinned to the lowest and the highest of each group of seconds.
    pub fn points(self, size: Size, value: impl Fn(&Second) -> Option<f64>) -> Vec<Option<(f64, f64)>> {
        let every = self.load.series.len().div_ceil((size.points / 2).max(1)).max(1);
        let place = |s: &Second| value(s).map(|v| (f64::from(s.t) + 0.5, v));
        if self.load.series.len() <= size.points {
            return with_gaps(self.load.series.iter().map(|s| (s.t, place(s))));
        }
        let mut points = Vec::new();
        for group in self.load.series.chunks(every) {
            let values = || group.iter().filter_map(place);
            let low = values().min_by(|a, b| a.1.total_cmp(&b.1));
            let high = values().max_by(|a, b| a.1.total_cmp(&b.1));
            match (low, high) {
                (Some(low), Some(high)) if low.0 < high.0 => points.extend([Some(low), Some(high)]),
                (Some(low), Some(high)) if low.0 > high.0 => points.extend([Some(high), Some(low)]),
                (one, _) => points.push(one),
            }
        }
        points
    }

    /// Seconds in groups for bars and for the table: as few seconds in each as `most` groups allow.
    pub fn groups(self, most: usize) -> (u32, Vec<&'l [Second]>) {
        let every = self.load.series.len().div_ceil(most.max(1)).max(1);
        (u32::try_from(every).unwrap_or(u32::MAX), self.load.series.chunks(every).collect())
    }

    /// Groups of the table of seconds.
    pub fn rows(self) -> (u32, Vec<&'l [Second]>) {
        self.groups(ROWS)
    }
}

/// Points with an interruption where a second is missing.
fn with_gaps(points: impl Iterator<Item = (u32, Option<(f64, f64)>)>) -> Vec<Option<(f64, f64)>> {
    let mut out = Vec::new();
    let mut next = None;
    for (t, point) in points {
        if next.is_some_and(|n| n != t) {
            out.push(None);
        }
        out.push(point);
        next = t.checked_add(1);
    }
    out
}

/// Width of a usual and of a wide character of a label.
const CHARS: [f64; 2] = [6.6, 8.2];

/// A label in a width; nothing where not even a hint of it fits.
fn fitted(label: &str, width: f64) -> String {
    let room = |width: f64, char: f64| (width / char).max(0.0) as usize;
    if label.chars().count() <= room(width, CHARS[0]) {
        return label.to_owned();
    }
    match room(width, CHARS[1]) {
        0..=3 => String::new(),
        room => label.chars().take(room - 1).chain(['\u{2026}']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::svg::{NARROW, WIDE};
    use super::*;

    fn load(seconds: u32) -> LoadSummary {
        let second = |t| Second { t, ok: u64::from(t == 1_777) * 900 + 10, ..Second::default() };
        LoadSummary { series: (0..seconds).map(second).collect(), ..LoadSummary::default() }
    }

    #[test]
    fn an_hour_is_thinned_and_keeps_its_one_spike() {
        let load = load(3_600);
        for size in [WIDE, NARROW] {
            let points = Time::new(&load).points(size, |s| Some(s.ok as f64));
            assert!(points.len() <= size.points + 1, "{}", points.len());
            let spike = points.iter().flatten().find(|p| p.1 > 900.0);
            assert_eq!(spike.map(|p| p.0), Some(1_777.5));
            assert!(points.iter().flatten().map(|p| p.0).is_sorted());
        }
        let (every, rows) = Time::new(&load).rows();
        assert_eq!((every, rows.len()), (12, 300));
    }

    #[test]
    fn seconds_without_a_value_and_missing_seconds_interrupt_a_line() {
        let mut load = load(6);
        load.series.remove(3);
        let points = Time::new(&load).points(WIDE, |s| (s.t != 1).then_some(1.0));
        let places: Vec<_> = points.iter().map(|p| p.map(|p| p.0)).collect();
        assert_eq!(places, [Some(0.5), None, Some(2.5), None, Some(4.5), Some(5.5)]);
    }

    #[test]
    fn labels_of_short_stages_are_cut_or_left_to_the_tooltip() {
        assert_eq!(fitted("recovery", 60.0), "recovery");
        assert_eq!(fitted("recovery", 42.0), "reco\u{2026}");
        assert_eq!(fitted("recovery", 30.0), "");
        assert_eq!(fitted("recovery", -3.0), "");
    }
}
