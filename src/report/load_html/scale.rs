//! Axes: where a value lies, and which values are worth a mark.

use crate::report::load_view;

/// A mark: its value and what it says.
pub type Tick = (f64, String);

/// One axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scale {
    /// In proportion.
    Linear(f64, f64),
    /// By orders of magnitude; both ends above 0.
    Log(f64, f64),
}

/// From this ratio of the largest to a typical value on, a linear axis would press the typical one to the ground.
const LOG_FROM: f64 = 40.0;

impl Scale {
    /// From 0 to a round value that holds `high`.
    pub fn from_zero(high: f64, marks: usize) -> Scale {
        let high = if high.is_finite() && high > 0.0 { high } else { 1.0 };
        let step = step(high, marks);
        Scale::Linear(0.0, (high / step - 1e-9).ceil().max(1.0) * step)
    }

    /// For latencies: by orders of magnitude where the largest dwarfs the typical one.
    pub fn for_times(low: f64, typical: f64, high: f64, marks: usize) -> Scale {
        if typical > 0.0 && low > 0.0 && high / typical > LOG_FROM {
            Scale::Log(low * 0.9, high * 1.1)
        } else {
            Scale::from_zero(high, marks)
        }
    }

    /// Where a value lies, 0 to 1.
    pub fn place(self, value: f64) -> f64 {
        let share = match self {
            Scale::Linear(low, high) => (value - low) / (high - low),
            Scale::Log(low, high) => (value.max(low) / low).ln() / (high / low).ln(),
        };
        if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 }
    }

    /// Round values to mark.
    pub fn ticks(self, marks: usize) -> Vec<f64> {
        match self {
            Scale::Linear(low, high) => {
                let step = step(high - low, marks);
                let first = (low / step - 1e-9).ceil();
                (0..200).map(|i| (first + f64::from(i)) * step).take_while(|v| *v <= high + step * 1e-6).collect()
            }
            Scale::Log(low, high) => log_ticks(low, high, marks),
        }
    }

    /// What an axis title has to add.
    pub fn note(self) -> &'static str {
        match self {
            Scale::Linear(..) => "",
            Scale::Log(..) => ", log scale",
        }
    }
}

/// A step of 1, 2 or 5 times a power of ten that makes about `marks` marks.
fn step(range: f64, marks: usize) -> f64 {
    let raw = (range / marks.max(1) as f64).max(1e-9);
    let power = 10_f64.powf(raw.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|s| s * power);
    steps.into_iter().find(|s| *s >= raw * 0.999).unwrap_or(10.0 * power)
}

/// Powers of ten, with 2 and 5 between them where there is room.
fn log_ticks(low: f64, high: f64, marks: usize) -> Vec<f64> {
    let between = |steps: &[f64]| -> Vec<f64> {
        let powers = low.log10().floor() as i32..=high.log10().ceil() as i32;
        let all = powers.flat_map(|p| steps.iter().map(move |s| s * 10_f64.powi(p)));
        all.filter(|v| *v >= low * 0.999 && *v <= high * 1.001).collect()
    };
    let fine = [between(&[1.0, 2.0, 5.0]), between(&[1.0, 3.0]), between(&[1.0])];
    let fits = fine.iter().find(|ticks| ticks.len() <= marks.max(2)).cloned();
    let ticks = fits.unwrap_or_else(|| {
        let powers = between(&[1.0]);
        let every = powers.len().div_ceil(marks.max(2)).max(1);
        powers.into_iter().step_by(every).collect()
    });
    if ticks.is_empty() { vec![low, high] } else { ticks }
}

/// A number without more digits than its neighbours need.
pub fn plain(value: f64) -> String {
    if !value.is_finite() {
        return "-".to_owned();
    }
    let digits = match value.abs() {
        v if v >= 10.0 || v == 0.0 => 0,
        v if v >= 1.0 => usize::from((v * 10.0).round() % 10.0 != 0.0),
        v if v >= 0.1 => 1 + usize::from((v * 100.0).round() % 10.0 != 0.0),
        v if v >= 0.01 => 2,
        _ => 3,
    };
    grouped(&format!("{value:.digits$}"))
}

/// Digits in groups of three, set apart by a narrow space.
pub fn grouped(number: &str) -> String {
    let (sign, rest) = number.strip_prefix('-').map_or(("", number), |rest| ("-", rest));
    let (whole, part) = rest.split_once('.').map_or((rest, None), |(whole, part)| (whole, Some(part)));
    let mut out = String::from(sign);
    for (i, c) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i) % 3 == 0 && whole.len() > 4 {
            out.push('\u{202f}');
        }
        out.push(c);
    }
    part.into_iter().for_each(|part| out.push_str(&format!(".{part}")));
    out
}

/// Seconds since the start: `0:05`, `12:30`, `1:02:00`.
pub fn clock(seconds: f64) -> String {
    load_view::clock(seconds.clamp(0.0, f64::from(u32::MAX)).round() as u32)
}

/// Marks of a time axis in seconds.
pub fn time_ticks(seconds: f64, marks: usize) -> Vec<Tick> {
    const STEPS: [f64; 17] = [
        1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 14_400.0, 43_200.0,
        86_400.0,
    ];
    let marks = marks.max(1) as f64;
    let step = STEPS.into_iter().find(|s| seconds / s <= marks).unwrap_or((seconds / marks).ceil());
    let values = (0..200).map(|i| f64::from(i) * step).take_while(|v| *v <= seconds + 1e-6);
    values.map(|v| (v, clock(v))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linear_axes_hold_their_data_and_have_round_marks() {
        for high in [0.0, 0.003, 0.7, 1.0, 1.01, 42.0, 99.9, 8_123.0, 4e9, f64::NAN, f64::INFINITY] {
            for marks in [3, 5, 8] {
                let scale = Scale::from_zero(high, marks);
                let ticks = scale.ticks(marks);
                assert!((2..=2 * marks + 1).contains(&ticks.len()), "{high} {marks}: {ticks:?}");
                if high.is_finite() {
                    assert!(*ticks.last().unwrap_or(&0.0) >= high * 0.999, "{high}: {ticks:?}");
                }
                assert!(ticks.iter().all(|t| (0.0..=1.0).contains(&scale.place(*t))));
            }
        }
        assert_eq!(Scale::from_zero(87.0, 5).ticks(5), [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]);
    }

    #[test]
    fn log_axes_mark_few_round_values_over_any_range() {
        for (low, high) in [(1.0, 10.0), (0.2, 90_000.0), (310.0, 420.0), (1e-3, 3.6e9)] {
            let ticks = Scale::Log(low, high).ticks(6);
            assert!((2..=7).contains(&ticks.len()), "{low} to {high}: {ticks:?}");
            assert!(ticks.is_sorted());
        }
        assert_eq!(Scale::Log(9.0, 1100.0).ticks(8), [10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0]);
        assert!((Scale::Log(1.0, 100.0).place(10.0) - 0.5).abs() < 1e-9);
    }

    #[test]
    fn latencies_get_a_log_axis_only_where_the_largest_dwarfs_the_typical() {
        assert_eq!(Scale::for_times(90.0, 100.0, 900.0, 5), Scale::Linear(0.0, 1000.0));
        assert!(matches!(Scale::for_times(90.0, 100.0, 9_000.0, 5), Scale::Log(..)));
        assert!(matches!(Scale::for_times(0.0, 0.0, 9_000.0, 5), Scale::Linear(..)));
    }

    #[test]
    fn times_are_marked_at_round_minutes_and_seconds() {
        let labels = |seconds, marks| time_ticks(seconds, marks).into_iter().map(|t| t.1).collect::<Vec<_>>();
        assert_eq!(labels(3.0, 8), ["0:00", "0:01", "0:02", "0:03"]);
        assert_eq!(labels(240.0, 8), ["0:00", "0:30", "1:00", "1:30", "2:00", "2:30", "3:00", "3:30", "4:00"]);
        assert_eq!(labels(7_300.0, 4), ["0:00", "1:00:00", "2:00:00"]);
        assert_eq!(clock(3_723.0), "1:02:03");
    }

    #[test]
    fn numbers_have_no_needless_digits() {
        let shown: Vec<_> = [0.0, 0.05, 0.5, 0.25, 1.0, 2.5, 42.0, 1234.0, 12_345.0, -12_345.6].map(plain).into();
        assert_eq!(shown, ["0", "0.05", "0.5", "0.25", "1", "2.5", "42", "1234", "12\u{202f}345", "-12\u{202f}346"]);
    }
}
