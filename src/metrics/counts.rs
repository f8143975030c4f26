//! A histogram of times that costs only what it holds: HdrHistogram's bins (3 significant digits), kept in pages.
//!
//! A load keeps one histogram for every metric of every step, turn and stage, and one more per second. A dense HdrHistogram
//! of times around a second takes 90 KB, most of it zeros; here the bins that are in use are kept, a few KB. Bins are
//! exactly those of an HdrHistogram from 1 us up with 3 digits, so the two convert into each other without loss.

use super::recorder::{HIGHEST_US, LOWEST_US, P999_MIN_N};
use super::{LatencyRow, Metric, ci95_ranks};

/// Bins per power of two; below twice this every microsecond has its own.
const HALF: u64 = 1024;
/// Bins of a page.
const PAGE: usize = 256;
/// Pages that reach [`HIGHEST_US`].
const PAGES: usize = bin(HIGHEST_US) / PAGE + 1;

type Page = [u64; PAGE];

/// Counts of times in microseconds, 1 us to 1 h; what lies outside is counted at the bound. Adding two is exact.
#[derive(Clone, Debug, PartialEq)]
pub struct Counts {
    pages: [Option<Box<Page>>; PAGES],
    n: u64,
    max_us: u64,
}

/// A bin that holds something: its lowest and highest time, and how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bin {
    /// Lowest time of the bin.
    pub low_us: u64,
    /// Highest time of the bin, inclusive.
    pub high_us: u64,
    /// Samples in it.
    pub n: u64,
}

/// The bin of a time.
const fn bin(value: u64) -> usize {
    let shift = 63 - (value | (2 * HALF - 1)).leading_zeros() as u64 - 10;
    (shift * HALF + (value >> shift)) as usize
}

/// Lowest and highest time of a bin.
fn bounds(bin: usize) -> (u64, u64) {
    let bin = bin as u64;
    if bin < 2 * HALF {
        return (bin, bin);
    }
    let shift = bin / HALF - 1;
    let low = (bin % HALF + HALF) << shift;
    (low, low + (1 << shift) - 1)
}

impl Default for Counts {
    fn default() -> Counts {
        Counts { pages: [const { None }; PAGES], n: 0, max_us: 0 }
    }
}

impl Counts {
    /// Counts one time.
    pub fn record(&mut self, value_us: u64) {
        self.record_n(value_us, 1);
    }

    /// Counts a time several times.
    pub fn record_n(&mut self, value_us: u64, n: u64) {
        if n == 0 {
            return;
        }
        let value = value_us.clamp(LOWEST_US, HIGHEST_US);
        let bin = bin(value);
        let page = self.pages[bin / PAGE].get_or_insert_with(|| Box::new([0; PAGE]));
        // Saturating: a damaged file may claim any count.
        page[bin % PAGE] = page[bin % PAGE].saturating_add(n);
        self.n = self.n.saturating_add(n);
        self.max_us = self.max_us.max(value);
    }

    /// Adds another histogram.
    pub fn add(&mut self, other: &Counts) {
        for (ours, theirs) in self.pages.iter_mut().zip(&other.pages) {
            match (ours, theirs) {
                (_, None) => {}
                (Some(ours), Some(theirs)) => {
                    ours.iter_mut().zip(theirs.iter()).for_each(|(a, b)| *a = a.saturating_add(*b))
                }
                (empty, Some(theirs)) => *empty = Some(theirs.clone()),
            }
        }
        self.n = self.n.saturating_add(other.n);
        self.max_us = self.max_us.max(other.max_us);
    }

    /// Says what the largest sample was, where only its bin is known (after reading a file).
    pub fn set_max(&mut self, max_us: u64) {
        if bin(max_us.clamp(LOWEST_US, HIGHEST_US)) == bin(self.max_us.max(LOWEST_US)) {
            self.max_us = max_us;
        }
    }

    /// Samples.
    pub fn n(&self) -> u64 {
        self.n
    }

    /// Largest sample, exactly; 0 when empty.
    pub fn max(&self) -> u64 {
        self.max_us
    }

    /// Smallest sample, to the resolution of its bin; 0 when empty.
    pub fn min(&self) -> u64 {
        self.bins().next().map_or(0, |bin| bin.low_us)
    }

    /// Bins that hold something, ascending.
    pub fn bins(&self) -> impl Iterator<Item = Bin> {
        let pages = self.pages.iter().enumerate().filter_map(|(at, page)| Some((at, page.as_deref()?)));
        let bins = pages.flat_map(|(at, page)| page.iter().enumerate().map(move |(i, n)| (at * PAGE + i, *n)));
        bins.filter(|(_, n)| *n > 0).map(|(bin, n)| {
            let (low_us, high_us) = bounds(bin);
            Bin { low_us, high_us, n }
        })
    }

    /// The value that the given share of samples does not exceed: the upper bound of its bin, and never above the largest
    /// sample; 0 when empty.
    pub fn quantile(&self, quantile: f64) -> u64 {
        self.at_rank((quantile.clamp(0.0, 1.0) * self.n as f64).ceil() as u64)
    }

    /// The value of the sample with this rank, from 1, as [`Counts::quantile`] gives it.
    pub fn at_rank(&self, rank: u64) -> u64 {
        self.bin_of_rank(rank).map_or(0, |bin| bin.high_us.min(self.max_us))
    }

    fn bin_of_rank(&self, rank: u64) -> Option<Bin> {
        let rank = rank.clamp(1, self.n.max(1));
        let mut seen = 0_u64;
        for (at, page) in self.pages.iter().enumerate() {
            let Some(page) = page else { continue };
            let on_page = page.iter().fold(0_u64, |sum, n| sum.saturating_add(*n));
            if seen.saturating_add(on_page) < rank {
                seen += on_page;
                continue;
            }
            for (i, n) in page.iter().enumerate() {
                seen = n.saturating_add(seen);
                if seen >= rank {
                    let (low_us, high_us) = bounds(at * PAGE + i);
                    return Some(Bin { low_us, high_us, n: *n });
                }
            }
        }
        None
    }

    /// Arithmetic mean, each sample taken at the middle of its bin; `None` when empty.
    pub fn mean(&self) -> Option<f64> {
        let sum: u128 = self.bins().map(|b| u128::from(b.low_us + b.high_us) * u128::from(b.n)).sum();
        (self.n > 0).then(|| sum as f64 / 2.0 / self.n as f64)
    }

    /// 95 % interval of a percentile from order statistics; see [`super::ci95`].
    pub fn interval95(&self, quantile: f64) -> Option<[u64; 2]> {
        let (low, high) = ci95_ranks(self.n, quantile)?;
        Some([self.bin_of_rank(low)?.low_us, self.at_rank(high)])
    }

    /// The line of a table; `None` when empty.
    pub fn row(&self, metric: Metric, group: &str, turn: &str) -> Option<LatencyRow> {
        (self.n > 0).then(|| LatencyRow {
            metric: metric.as_str().to_owned(),
            group: group.to_owned(),
            turn: turn.to_owned(),
            n: self.n,
            p50_us: self.quantile(0.5),
            p90_us: self.quantile(0.9),
            p95_us: self.quantile(0.95),
            p99_us: self.quantile(0.99),
            p999_us: (self.n >= P999_MIN_N).then(|| self.quantile(0.999)),
            max_us: self.max_us,
            p50_ci_us: self.interval95(0.5),
            p90_ci_us: self.interval95(0.9),
            p95_ci_us: self.interval95(0.95),
            p99_ci_us: self.interval95(0.99),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::ci95;
    use hdrhistogram::Histogram;

    fn both(values: impl IntoIterator<Item = u64>) -> (Counts, Histogram<u64>) {
        let mut counts = Counts::default();
        let mut dense = Histogram::new_with_bounds(LOWEST_US, HIGHEST_US, 3).unwrap_or_else(|e| panic!("{e}"));
        for value in values {
            counts.record(value);
            dense.saturating_record(value.max(LOWEST_US));
        }
        (counts, dense)
    }

    fn skewed(n: usize, seed: u64) -> Vec<u64> {
        let mut random = fastrand::Rng::with_seed(seed);
        (0..n).map(|_| (2.0_f64.powf(random.f64() * 31.0)) as u64).collect()
    }

    #[test]
    fn bins_are_those_of_an_hdr_histogram() {
        let (counts, dense) = both(skewed(20_000, 3).into_iter().chain([0, 1, 2047, 2048, 2049, 4096, HIGHEST_US]));
        let theirs: Vec<_> = dense
            .iter_recorded()
            .map(|b| {
                let high = b.value_iterated_to();
                Bin { low_us: dense.lowest_equivalent(high), high_us: high, n: b.count_since_last_iteration() }
            })
            .collect();
        assert_eq!(counts.bins().zip(&theirs).find(|(ours, theirs)| ours != *theirs), None);
        assert_eq!((counts.n(), counts.bins().count()), (dense.len(), theirs.len()));
    }

    #[test]
    fn statistics_are_those_of_an_hdr_histogram() {
        for n in [1, 2, 50, 4_999] {
            let values = skewed(n, n as u64);
            let (counts, dense) = both(values.iter().copied());
            for q in [0.0_f64, 0.001, 0.25, 0.5, 0.9, 0.99, 0.999, 1.0] {
                let theirs = dense.value_at_quantile(q.max(1e-9)).min(counts.max());
                assert_eq!(counts.quantile(q), theirs, "n = {n}, q = {q}");
            }
            for q in [0.5, 0.9, 0.95, 0.99] {
                let theirs = ci95(&dense, q).map(|(low, high)| [low, high.min(counts.max())]);
                assert_eq!(counts.interval95(q), theirs, "n = {n}, q = {q}");
            }
            let mean = values.iter().sum::<u64>() as f64 / n as f64;
            assert!(counts.mean().is_some_and(|m| (m - mean).abs() <= mean * 0.001), "{:?} {mean}", counts.mean());
            assert_eq!(Some(&counts.max()), values.iter().max());
            assert!(counts.min() <= *values.iter().min().unwrap_or(&0));
        }
    }

    #[test]
    fn adding_equals_recording_in_one_place() {
        let values = skewed(3_000, 8);
        let (whole, _) = both(values.iter().copied());
        let (mut left, _) = both(values.iter().copied().take(1_100));
        let (right, _) = both(values.iter().copied().skip(1_100));
        left.add(&right);
        assert!(left == whole);
        left.add(&Counts::default());
        assert!(left == whole);
    }

    #[test]
    fn an_empty_histogram_has_no_statistics() {
        let empty = Counts::default();
        assert_eq!((empty.n(), empty.quantile(0.5), empty.min(), empty.max()), (0, 0, 0, 0));
        assert_eq!((empty.mean(), empty.interval95(0.5), empty.row(Metric::E2e, "", "")), (None, None, None));
    }

    #[test]
    fn the_largest_sample_is_corrected_within_its_bin_only() {
        let mut counts = Counts::default();
        counts.record(1_000_450); // of 1,000,448 to 1,000,959
        counts.set_max(1_000_900);
        assert_eq!(counts.max(), 1_000_900);
        counts.set_max(2_000_000);
        assert_eq!(counts.max(), 1_000_900);
    }
}
