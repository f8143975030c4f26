//! How sure the state of an objective is, given how many samples it stands on.
//!
//! An objective on a percentile or a share is a statement about a share of samples: `p(95) < 800ms` says that less than 5 % are
//! slower. With k of n samples on the bad side, the sum of n draws with the allowed share is nearly normal, and the confidence is
//! the probability that such a sum lies on the other side of k (with a continuity correction; for few samples, or an allowed
//! share of 0, it is the exact tail of the binomial distribution at k = 0). Requests are taken as independent, which is
//! optimistic when a server stalls: longer runs, not more digits, make a state sure.

use super::{Counts, Measure, Op, Slo, Stat};

/// Samples that matter for an objective, and those on its bad side.
pub(super) struct Share {
    pub n: u64,
    pub bad: u64,
    /// Share of bad ones that the objective allows, 0 to 1.
    pub allowed: f64,
}

/// The share behind a percentile; `None` for other statistics.
pub(super) fn of_latency(slo: &Slo, counts: &Counts) -> Option<Share> {
    let Measure::Latency(_, Stat::Quantile(quantile)) = slo.measure else { return None };
    let above: u64 = counts.bins().filter(|bin| bin.low_us as f64 > slo.limit).map(|bin| bin.n).sum();
    match slo.op {
        Op::Less | Op::AtMost => Some(Share { n: counts.n(), bad: above, allowed: 1.0 - quantile }),
        Op::More | Op::AtLeast => Some(Share { n: counts.n(), bad: counts.n() - above, allowed: quantile }),
    }
}

impl Share {
    /// Probability, 0.5 to 1, that the state which these samples show is the true one; `None` without samples.
    pub fn confidence(&self) -> Option<f64> {
        if self.n == 0 {
            return None;
        }
        let (n, k) = (self.n as f64, self.bad as f64);
        if self.bad == 0 {
            // At the allowed share a run without any bad sample would be this rare.
            return Some((1.0 - (1.0 - self.allowed).powf(n)).clamp(0.5, 1.0));
        }
        let spread = (n * self.allowed * (1.0 - self.allowed)).sqrt();
        if spread == 0.0 {
            return Some(1.0);
        }
        let distance = ((n * self.allowed - k).abs() - 0.5).max(0.0);
        Some(normal(distance / spread))
    }
}

/// The standard normal distribution function for z >= 0, to 1e-7 (Abramowitz and Stegun, 26.2.17).
fn normal(z: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * z);
    let terms = [0.319_381_530, -0.356_563_782, 1.781_477_937, -1.821_255_978, 1.330_274_429];
    let sum: f64 = terms.iter().zip(1..).map(|(b, power)| b * t.powi(power)).sum();
    1.0 - (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt() * sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn confidence(n: u64, bad: u64, allowed: f64) -> f64 {
        Share { n, bad, allowed }.confidence().unwrap()
    }

    #[test]
    fn the_normal_distribution_has_its_known_values() {
        for (z, wanted) in [(0.0, 0.5), (1.0, 0.841_344_7), (1.959_964, 0.975), (3.0, 0.998_650_1)] {
            assert!((normal(z) - wanted).abs() < 1e-6, "{z}: {}", normal(z));
        }
    }

    #[test]
    fn more_samples_with_the_same_share_are_surer() {
        let sure = [100, 1_000, 10_000].map(|n| confidence(n, n * 4 / 100, 0.05));
        assert!(sure[0] < sure[1] && sure[1] < sure[2] && sure[2] > 0.999, "{sure:?}");
        assert!(sure[0] < 0.7, "{sure:?}");
    }

    #[test]
    fn at_the_limit_nothing_is_sure_and_far_from_it_everything() {
        assert!((confidence(1_000, 50, 0.05) - 0.5).abs() < 1e-6);
        assert!(confidence(1_000, 500, 0.05) > 0.999_999);
    }

    #[test]
    fn a_run_without_a_bad_sample_is_as_sure_as_it_is_long() {
        assert!((confidence(59, 0, 0.05) - 0.9515).abs() < 1e-3);
        assert_eq!(confidence(5, 0, 0.01), 0.5);
        assert_eq!(confidence(10, 1, 0.0), 1.0);
    }

    #[test]
    fn the_confidence_is_the_share_of_runs_that_are_right() {
        // 2,000 runs of 400 requests on a server of which 4 % are slow, against an objective that allows 5 %.
        let mut random = fastrand::Rng::with_seed(3);
        let mut sure = 0.0;
        let mut right = 0;
        for _ in 0..2_000 {
            let bad = (0..400).filter(|_| random.f64() < 0.04).count() as u64;
            if bad < 20 {
                right += 1;
            }
            sure += confidence(400, bad, 0.05) / 2_000.0;
        }
        assert!((0.7..0.9).contains(&(f64::from(right) / 2_000.0)), "{right}");
        assert!((0.7..0.9).contains(&sure), "{sure}");
    }
}
