//! Random numbers that are the same on every platform: a pure function of seed and number, with nothing from a math
//! library, whose last digit differs between systems.

/// The `n`th random number of a seed (SplitMix64: Steele, Lea, Flood 2014).
pub(super) fn random(seed: u64, n: u64) -> u64 {
    let mut z = mixed(seed).wrapping_add(n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Keeps the streams of neighbouring seeds apart: SplitMix64 streams of seeds that differ by its step are shifted copies.
fn mixed(seed: u64) -> u64 {
    let z = (seed ^ (seed >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let z = (z ^ (z >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    z ^ (z >> 33)
}

/// An exponential number of mean 1 from 64 random bits.
pub(super) fn exponential(bits: u64) -> f64 {
    // 53 bits, moved by half a step: never 0, never 1.
    let uniform = ((bits >> 11) as f64 + 0.5) * (1.0 / (1_u64 << 53) as f64);
    -ln(uniform)
}

/// Natural logarithm of a positive normal number from the four basic operations alone, which IEEE 754 defines to the
/// last bit. Error below 1e-15 relative.
fn ln(x: f64) -> f64 {
    const MANTISSA: u64 = (1 << 52) - 1;
    let bits = x.to_bits();
    let mut exponent = (bits >> 52) as i64 - 1023;
    let mut mantissa = f64::from_bits((bits & MANTISSA) | (1023 << 52));
    if mantissa > std::f64::consts::SQRT_2 {
        mantissa *= 0.5;
        exponent += 1;
    }
    // ln m = 2 artanh s, |s| <= 0.172: ten terms reach the last digit.
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let square = s * s;
    let series = (0..10).rev().fold(0.0, |sum, n| sum * square + 1.0 / f64::from(2 * n + 1));
    2.0 * s * series + exponent as f64 * std::f64::consts::LN_2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logarithm_agrees_with_the_library_to_the_last_digits() {
        for n in 0..100_000 {
            let x = ((random(7, n) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
            let (ours, theirs) = (ln(x), x.ln());
            assert!((ours - theirs).abs() <= 4.0 * f64::EPSILON * theirs.abs().max(1e-3), "{x}: {ours} {theirs}");
        }
        assert_eq!(ln(1.0), 0.0);
        assert!((ln(0.5 / (1_u64 << 53) as f64) + 37.43).abs() < 0.01);
    }

    #[test]
    fn exponential_numbers_have_mean_and_deviation_1() {
        let n = 200_000;
        let all: Vec<f64> = (0..n).map(|i| exponential(random(1, i))).collect();
        let mean = all.iter().sum::<f64>() / n as f64;
        let variance = all.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n as f64;
        assert!((mean - 1.0).abs() < 0.01 && (variance - 1.0).abs() < 0.03, "{mean} {variance}");
        assert!(all.iter().all(|x| *x > 0.0));
    }

    #[test]
    fn numbers_are_those_of_this_seed_for_ever() {
        // from an independent implementation in Python
        let first = [0, 1, 2].map(|n| random(20_261_123, n));
        assert_eq!(first, [0xfced_4432_2e3e_9b56, 0x39ad_3f93_bdb1_7ea5, 0xa8bb_fa29_9016_52cd]);
        assert_ne!(random(1, 0), random(2, 0));
        assert_ne!(random(1, 1), random(1u64.wrapping_add(0x9e37_79b9_7f4a_7c15), 0));
    }
}
