//! Histograms as points to draw.

use super::Counts;
use super::summary::{Bar, CurvePoint};

/// Points per halving of the rest above a percentile.
const PER_HALVING: i32 = 8;
/// Bars per power of ten.
const PER_DECADE: i32 = 20;

/// Percentiles at even steps of -log(1 - q), the axis on which the tail of a latency is readable, from the median's side on to
/// `1 - 1/n`: beyond that there is no sample.
pub fn curve(counts: &Counts) -> Vec<CurvePoint> {
    let n = counts.n();
    if n == 0 {
        return Vec::new();
    }
    let rest_at_end = 1.0 / n as f64;
    let rests = (0..).map(|step| 0.5_f64.powf(f64::from(step) / f64::from(PER_HALVING)));
    let mut points: Vec<CurvePoint> =
        rests.take_while(|rest| *rest > rest_at_end).map(|rest| point(counts, 1.0 - rest)).collect();
    points.push(point(counts, 1.0 - rest_at_end));
    points
}

fn point(counts: &Counts, q: f64) -> CurvePoint {
    CurvePoint { q, us: counts.quantile(q) }
}

/// Bars whose bounds are the same in every run: 20 to a power of ten, from the first to the last that holds a sample.
pub fn distribution(counts: &Counts) -> Vec<Bar> {
    let edge = |step: i32| 10.0_f64.powf(f64::from(step) / f64::from(PER_DECADE)).round() as u64;
    let mut bars: Vec<Bar> = Vec::new();
    let mut bins = counts.bins().peekable();
    let mut step = 0;
    while bins.peek().is_some() {
        let mut bar = Bar { from_us: edge(step), to_us: edge(step + 1), n: 0 };
        step += 1;
        // Near 1 us the bounds fall together.
        if bar.from_us == bar.to_us {
            continue;
        }
        while let Some(bin) = bins.next_if(|bin| bin.low_us < bar.to_us) {
            bar.n += bin.n;
        }
        if bar.n > 0 || !bars.is_empty() {
            bars.push(bar);
        }
    }
    bars
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uniform(n: u64, step: u64) -> Counts {
        let mut counts = Counts::default();
        (1..=n).for_each(|i| counts.record(i * step));
        counts
    }

    #[test]
    fn a_curve_rises_to_the_last_percentile_that_has_a_sample_above_it() {
        let points = curve(&uniform(1_000, 10));
        assert!(points.is_sorted_by(|a, b| a.q < b.q && a.us <= b.us), "{points:?}");
        assert_eq!(points.first().map(|p| p.q), Some(0.0));
        let bin = 8; // width of a bin just below 10 ms
        assert!(points.last().is_some_and(|p| p.q == 0.999 && p.us.abs_diff(9_990) < bin), "{points:?}");
        assert!(points.iter().any(|p| (p.q - 0.5).abs() < 1e-9 && p.us.abs_diff(5_000) < 5));
        assert_eq!(curve(&uniform(1, 7)), [CurvePoint { q: 0.0, us: 7 }]);
        assert_eq!(curve(&Counts::default()), []);
    }

    #[test]
    fn bars_hold_every_sample_once_and_follow_each_other() {
        let counts = uniform(50_000, 3);
        let bars = distribution(&counts);
        assert_eq!(bars.iter().map(|b| b.n).sum::<u64>(), counts.n());
        assert!(bars.windows(2).all(|pair| pair[0].to_us == pair[1].from_us));
        assert!(bars.iter().all(|b| b.from_us < b.to_us));
        assert!(bars.first().is_some_and(|b| b.from_us <= 3) && bars.last().is_some_and(|b| b.to_us > 150_000));
        let wide = bars.iter().rev().nth(1).map(|b| b.to_us as f64 / b.from_us as f64);
        assert!(wide.is_some_and(|ratio| (ratio - 1.122).abs() < 0.001), "{wide:?}");
    }

    #[test]
    fn two_peaks_have_empty_bars_between_them() {
        let mut counts = uniform(10, 1_000);
        counts.record(5_000_000);
        let bars = distribution(&counts);
        assert!(bars.iter().any(|b| b.n == 0) && bars.last().is_some_and(|b| b.n == 1));
    }
}
