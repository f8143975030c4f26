//! Durations of scenario files: `250ms`, `1.5s`, `2m`, `1h`.

use std::time::Duration;

/// Longest duration that makes sense here.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Reads a duration. `Err` is a message for people, without the text itself.
pub fn parse(text: &str) -> Result<Duration, &'static str> {
    const FORM: &str = "is no duration; write e.g. `250ms`, `1.5s`, `2m` or `1h`";
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    if number.starts_with('-') {
        return Err("is negative");
    }
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let well_formed = match number.split_once('.') {
        Some((whole, rest)) => !whole.is_empty() && !rest.is_empty() && digits(whole) && digits(rest),
        None => !number.is_empty() && digits(number),
    };
    if !well_formed {
        return Err(FORM);
    }
    let scale = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "" => return Err("has no unit; write e.g. `250ms`, `1.5s`, `2m` or `1h`"),
        _ => return Err("has an unknown unit; there are `ms`, `s`, `m` and `h`"),
    };
    let seconds = number.parse::<f64>().map_err(|_| FORM)? * scale;
    // rounded to nanoseconds, as 1.1 s is no exact binary number
    let duration = Duration::try_from_secs_f64(seconds).map_err(|_| "is longer than 24 hours")?;
    if duration > LONGEST { Err("is longer than 24 hours") } else { Ok(duration) }
}

/// Reads `1s..3s`, or a single duration as both ends.
pub fn parse_range(text: &str) -> Result<(Duration, Duration), &'static str> {
    match text.split_once("..") {
        None => parse(text).map(|d| (d, d)),
        Some((from, to)) => {
            let (from, to) = (parse(from.trim())?, parse(to.trim())?);
            if from > to { Err("ends before it starts") } else { Ok((from, to)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_all_units() {
        let ms = |text| parse(text).map(|d| d.as_millis());
        assert_eq!(
            (ms("250ms"), ms("1.5s"), ms("2m"), ms("1h"), ms("24h")),
            (Ok(250), Ok(1500), Ok(120_000), Ok(3_600_000), Ok(86_400_000))
        );
        assert_eq!(parse("1.1s"), Ok(Duration::from_millis(1100)));
        assert_eq!(parse("0s"), Ok(Duration::ZERO));
    }

    #[test]
    fn impossible_durations_say_why() {
        let why = |text| parse(text).unwrap_err();
        assert!(why("5").contains("no unit"));
        assert_eq!(why("-1s"), "is negative");
        assert!(why("24.1h").contains("24 hours"));
        assert!(why("9999999999999999999999999999h").contains("24 hours"));
        assert!(why("3d").contains("unknown unit"));
        for text in ["", "s", "nan", ".nan", "inf", "1,5s", "1e3s", ".5s", "5.s", "1 s", "+1s", "1.2.3s", "NaNs"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_range_must_not_end_before_it_starts() {
        assert_eq!(parse_range("1s..3s"), Ok((Duration::from_secs(1), Duration::from_secs(3))));
        assert_eq!(parse_range("500ms"), Ok((Duration::from_millis(500), Duration::from_millis(500))));
        assert_eq!(parse_range("3s..1s"), Err("ends before it starts"));
        assert!(parse_range("1s..").is_err() && parse_range("..1s").is_err() && parse_range("1s...3s").is_err());
    }
}
