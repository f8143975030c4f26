//! Order statistics of a histogram: the uncertainty of a percentile.

use hdrhistogram::Histogram;

/// 95 % confidence interval of a percentile, from order statistics alone (no assumption on the distribution).
///
/// Each of `n` samples lies at or below the true quantile with probability `quantile`, so how many do is binomial; the
/// interval runs between the order statistics that this count misses with at most 2.5 % on either side (Hahn and
/// Meeker, Statistical Intervals, section 5.2). Bounds are widened to the histogram's resolution.
/// `None` where `n` is too small for either bound to exist, e.g. the 99th percentile of 100 samples.
pub fn ci95(histogram: &Histogram<u64>, quantile: f64) -> Option<(u64, u64)> {
    let (low, high) = ci95_ranks(histogram.len(), quantile)?;
    let mut seen = 0_u64;
    let mut lower = None;
    for step in histogram.iter_recorded() {
        seen = seen.saturating_add(step.count_since_last_iteration());
        let value = step.value_iterated_to();
        if lower.is_none() && seen >= low {
            lower = Some(histogram.lowest_equivalent(value));
        }
        if let Some(lower) = lower
            && seen >= high
        {
            return Some((lower, histogram.highest_equivalent(value)));
        }
    }
    None
}

/// Ranks, from 1, of the order statistics that bound a quantile with 95 % confidence; `None` where they do not exist.
pub fn ci95_ranks(n: u64, quantile: f64) -> Option<(u64, u64)> {
    const TAIL: f64 = 0.025;
    if n == 0 || !(quantile > 0.0 && quantile < 1.0) {
        return None;
    }
    let (first, weights) = binomial(n, quantile);
    let total: f64 = weights.iter().sum();
    // Lower: the largest rank r with P(count < r) <= 2.5 %.
    let mut below = 0.0;
    let mut low = first;
    for weight in &weights {
        below += weight / total;
        if below > TAIL {
            break;
        }
        low += 1;
    }
    // Upper: the smallest rank s with P(count >= s) <= 2.5 %.
    let mut above = 0.0;
    let mut high = first + weights.len() as u64;
    for weight in weights.iter().rev() {
        above += weight / total;
        if above > TAIL {
            break;
        }
        high -= 1;
    }
    (low >= 1 && high <= n).then_some((low, high))
}

/// Unnormalised binomial weights around the mode, and the count that the first of them stands for. Weights below
/// 1e-20 of the mode's are left out; walking from the mode needs no factorials and cannot overflow.
fn binomial(n: u64, p: f64) -> (u64, Vec<f64>) {
    const NEGLIGIBLE: f64 = 1e-20;
    let odds = p / (1.0 - p);
    let size = n as f64;
    let mode = (((size + 1.0) * p).floor() as u64).min(n);
    let mut down = Vec::new();
    let (mut k, mut weight) = (mode, 1.0);
    while k > 0 {
        weight *= k as f64 / ((size - k as f64 + 1.0) * odds);
        if weight < NEGLIGIBLE {
            break;
        }
        k -= 1;
        down.push(weight);
    }
    let first = k;
    down.reverse();
    let mut weights = down;
    weights.push(1.0);
    let (mut k, mut weight) = (mode, 1.0);
    while k < n {
        weight *= (size - k as f64) * odds / (k as f64 + 1.0);
        if weight < NEGLIGIBLE {
            break;
        }
        k += 1;
        weights.push(weight);
    }
    (first, weights)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// P(X = k) for every k, by n convolutions with one Bernoulli trial: another road than the code under test.
    fn pmf(n: usize, p: f64) -> Vec<f64> {
        let mut pmf = vec![1.0];
        for _ in 0..n {
            let mut next = vec![0.0; pmf.len() + 1];
            for (k, weight) in pmf.iter().enumerate() {
                next[k] += weight * (1.0 - p);
                next[k + 1] += weight * p;
            }
            pmf = next;
        }
        pmf
    }

    fn brute_force(n: usize, p: f64) -> Option<(u64, u64)> {
        let pmf = pmf(n, p);
        let low = (1..=n).rev().find(|r| pmf[..*r].iter().sum::<f64>() <= 0.025)?;
        let high = (1..=n).find(|s| pmf[*s..].iter().sum::<f64>() <= 0.025)?;
        Some((low as u64, high as u64))
    }

    #[test]
    fn ranks_equal_a_brute_force_binomial() {
        let mut bounded = 0;
        for n in [1, 2, 5, 6, 7, 10, 33, 58, 59, 72, 73, 100, 299, 300, 368, 369, 500, 1200] {
            for p in [0.01, 0.25, 0.5, 0.9, 0.95, 0.99] {
                assert_eq!(ci95_ranks(n as u64, p), brute_force(n, p), "n = {n}, p = {p}");
                bounded += usize::from(brute_force(n, p).is_some());
            }
        }
        assert!(bounded > 50, "most cases must have an interval, or this compares nothing");
    }

    #[test]
    fn textbook_interval_of_a_median_of_ten_is_second_to_ninth() {
        assert_eq!(ci95_ranks(10, 0.5), Some((2, 9)));
    }

    #[test]
    fn few_samples_have_no_interval() {
        assert_eq!(ci95_ranks(0, 0.5), None);
        assert_eq!(ci95_ranks(5, 0.5), None);
        assert_eq!(ci95_ranks(100, 0.99), None);
        assert_eq!(ci95_ranks(100, 1.0), None);
    }

    #[test]
    fn large_counts_agree_with_the_normal_approximation() {
        let n = 10_000_000_u64;
        let (low, high) = ci95_ranks(n, 0.5).unwrap_or_default();
        let half = 1.959_964 * (n as f64 * 0.25).sqrt();
        assert!((low as f64 - (n as f64 / 2.0 - half)).abs() < 3.0, "{low}");
        assert!((high as f64 - (n as f64 / 2.0 + half)).abs() < 3.0, "{high}");
    }

    #[test]
    fn interval_of_a_histogram_is_the_order_statistics() {
        let mut histogram = Histogram::<u64>::new(3).unwrap_or_else(|e| panic!("{e}"));
        for value in 1..=1000_u64 {
            histogram.saturating_record(value); // below 2048 every value has its own slot
        }
        assert_eq!(ci95(&histogram, 0.5), ci95_ranks(1000, 0.5));
        assert_eq!(ci95(&histogram, 0.95), ci95_ranks(1000, 0.95));
        assert!(ci95(&histogram, 0.5).is_some());
    }

    #[test]
    fn interval_covers_the_true_quantile_about_95_times_in_100() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut covered = 0;
        for _ in 0..1000 {
            let mut histogram = Histogram::<u64>::new(3).unwrap_or_else(|e| panic!("{e}"));
            (0..200).for_each(|_| histogram.saturating_record(random.u64(1..=1000)));
            let (low, high) = ci95(&histogram, 0.9).unwrap_or_default();
            covered += u32::from(low <= 900 && 900 <= high);
        }
        assert!((940..=990).contains(&covered), "{covered} of 1000");
    }
}
