//! The area under a rate that moves in straight lines, and its inverse, in whole numbers and therefore exact.

/// Highest rate, per second.
pub const HIGHEST_RATE: f64 = 1e6;
/// Longest stage in microseconds: a day.
pub(super) const LONGEST_US: u64 = 86_400_000_000;

/// Area of one arrival, in units of half a nano-arrival per second times a microsecond: the largest unit in which the
/// area of a ramp is a whole number.
pub(super) const ARRIVAL: u128 = 2_000_000_000_000_000;

/// A rate over a stretch of time. Rates in nano-arrivals per second.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    from: i128,
    to: i128,
    length_us: i128,
}

impl Line {
    /// Rates per second, 0 to [`HIGHEST_RATE`]; length at most [`LONGEST_US`]. Larger ones are cut.
    pub(super) fn new(from: f64, to: f64, length_us: u64) -> Line {
        let nano = |rate: f64| (rate.clamp(0.0, HIGHEST_RATE) * 1e9).round() as i128;
        Line { from: nano(from), to: nano(to), length_us: i128::from(length_us.min(LONGEST_US)) }
    }

    /// The whole area.
    pub(super) fn area(&self) -> u128 {
        ((self.from + self.to) * self.length_us) as u128
    }

    /// The area of the first `t` microseconds, times the length: without that it is no whole number.
    fn scaled_area(&self, t: i128) -> i128 {
        2 * self.from * self.length_us * t + (self.to - self.from) * t * t
    }

    /// The area of the first `t` microseconds, rounded down, and whether there was something to round.
    pub(super) fn area_until(&self, t: u64) -> (u128, bool) {
        if self.length_us == 0 {
            return (0, false);
        }
        let scaled = self.scaled_area(i128::from(t).min(self.length_us));
        ((scaled / self.length_us) as u128, scaled % self.length_us != 0)
    }

    /// The microsecond in which the area reaches `area`, which is less than the whole.
    pub(super) fn reaches(&self, area: u128) -> u64 {
        let area = area as i128;
        if self.from == self.to {
            return if self.from == 0 { 0 } else { (area / (2 * self.from)) as u64 };
        }
        let wanted = area * self.length_us;
        let late = |t: i128| self.scaled_area(t) > wanted;
        // The last microsecond that is not late lies in low <= t < high.
        let guess = self.guess(area as f64).clamp(0, self.length_us - 1);
        let (mut low, mut high, mut step) = (guess, guess + 1, 1);
        while low > 0 && late(low) {
            high = low;
            low = (low - step).max(0);
            step *= 2;
        }
        step = 1;
        while high < self.length_us && !late(high) {
            low = high;
            high = (high + step).min(self.length_us);
            step *= 2;
        }
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if late(middle) { high = middle } else { low = middle }
        }
        low as u64
    }

    /// The positive root of the quadratic, in the form that loses no digits where the slope is small.
    fn guess(&self, area: f64) -> i128 {
        let (from, slope) = (self.from as f64, (self.to - self.from) as f64 / self.length_us as f64);
        let root = (from * from + slope * area).max(0.0).sqrt();
        let t = area / (from + root);
        if t.is_finite() { t as i128 } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_constant_rate_reaches_whole_arrivals_at_even_distances() {
        let line = Line::new(20.0, 20.0, 1_000_000);
        assert_eq!(line.area(), 20 * ARRIVAL);
        let times: Vec<u64> = (0..4).map(|k| line.reaches(k * ARRIVAL)).collect();
        assert_eq!(times, [0, 50_000, 100_000, 150_000]);
    }

    #[test]
    fn a_ramp_from_nothing_follows_the_square_root() {
        let line = Line::new(0.0, 8.0, 4_000_000);
        assert_eq!(line.area(), 16 * ARRIVAL);
        // area(t) = t^2
        let times: Vec<u64> = [0, 1, 4, 9].iter().map(|k| line.reaches(k * ARRIVAL)).collect();
        assert_eq!(times, [0, 1_000_000, 2_000_000, 3_000_000]);
    }

    #[test]
    fn a_ramp_to_nothing_is_its_mirror() {
        let line = Line::new(8.0, 0.0, 4_000_000);
        // area(t) = 16 - (4 - t)^2
        let times: Vec<u64> = [0, 7, 12, 15].iter().map(|k| line.reaches(k * ARRIVAL)).collect();
        assert_eq!(times, [0, 1_000_000, 2_000_000, 3_000_000]);
        assert!(line.reaches(line.area() - 1) < 4_000_000);
    }

    proptest! {
        #[test]
        fn the_inverse_is_exact_everywhere(from in 0.0..1e6_f64, to in 0.0..1e6_f64, us in 1..LONGEST_US, part in 0.0..1.0_f64) {
            let line = Line::new(from, to, us);
            prop_assume!(line.area() > 0);
            let area = ((line.area() as f64 * part) as u128).min(line.area() - 1);
            let t = line.reaches(area);
            prop_assert!(t < us);
            let wanted = area as i128 * i128::from(us);
            prop_assert!(line.scaled_area(i128::from(t)) <= wanted);
            prop_assert!(line.scaled_area(i128::from(t) + 1) > wanted);
        }
    }
}
