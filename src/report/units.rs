//! Numbers for people.

/// Microseconds as milliseconds with three significant digits, without the unit: `0.42`, `5.31`, `51.2`, `1234`.
pub fn ms(us: u64) -> String {
    let value = us as f64 / 1000.0;
    match us {
        0..=9_994 => format!("{value:.2}"),
        9_995..=99_949 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// A duration with its unit: `0.42 ms`, `123 ms`, `1.2 s`, `12 min 5 s`.
pub fn duration(us: u64) -> String {
    match us {
        0..=999_499 => format!("{} ms", ms(us)),
        999_500..=99_949_999 => format!("{:.1} s", us as f64 / 1e6),
        _ => {
            let seconds = (us + 500_000) / 1_000_000;
            format!("{} min {} s", seconds / 60, seconds % 60)
        }
    }
}

/// `1 rule`, `2 rules`.
pub fn count(n: u64, noun: &str) -> String {
    let plural = if n == 1 { "" } else { "s" };
    format!("{n} {noun}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_have_three_digits() {
        let shown: Vec<_> = [0, 420, 5_310, 9_994, 9_995, 51_200, 99_949, 99_950, 1_234_000].map(ms).into();
        assert_eq!(shown, ["0.00", "0.42", "5.31", "9.99", "10.0", "51.2", "99.9", "100", "1234"]);
    }

    #[test]
    fn durations_carry_their_unit() {
        assert_eq!(duration(1_000), "1.00 ms");
        assert_eq!(duration(1_234_000), "1.2 s");
        assert_eq!(duration(725_000_000), "12 min 5 s");
    }
}
