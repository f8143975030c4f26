//! Recorded times of arrival: text -> offsets.

use thiserror::Error;

/// From here on a number of seconds is a time since 1970, not an offset: 2001.
const UNIX_FROM: u64 = 1_000_000_000;
/// Most arrivals of a recording.
const MOST: usize = 10_000_000;
/// Longest recording in seconds: a week.
const LONGEST_S: u64 = 7 * 86_400;

/// Why a recording cannot be replayed. The text is a fragment after the name of the file.
#[derive(Debug, Error, PartialEq)]
pub enum RecordingError {
    /// A line without a time.
    #[error("line {line}: `{text}` is no number of seconds; write offsets from the start, or seconds since 1970")]
    Number {
        /// From 1.
        line: usize,
        /// What stands there.
        text: String,
    },
    /// No lines.
    #[error("there is no time in it")]
    Empty,
    /// Too many lines.
    #[error("it has more than {MOST} times")]
    Many,
    /// The last one is far from the first.
    #[error("its last time is more than a week after the start: {0} s")]
    Long(u64),
}

/// Reads one time per line: seconds with up to six decimals, alone or in the first column of a CSV. The first line may be
/// a heading; empty lines and lines that begin with `#` are skipped. Times are put in order. Seconds since 1970 count from
/// the first of them; others are offsets from the start of the load.
///
/// # Errors
/// The first line that holds no time, or nothing to replay.
pub fn read(text: &str) -> Result<Vec<u64>, RecordingError> {
    let lines = text.lines().enumerate().map(|(n, line)| (n + 1, line.trim()));
    let mut lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')).peekable();
    // A heading is a first line that does not begin as a number does.
    lines.next_if(|(_, line)| !line.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | '"')));
    let mut times = Vec::new();
    for (line, whole) in lines {
        let first = whole.split([',', ';', '\t']).next().unwrap_or_default().trim().trim_matches('"');
        let time = micros(first).ok_or_else(|| RecordingError::Number { line, text: shortened(first) })?;
        if times.len() == MOST {
            return Err(RecordingError::Many);
        }
        times.push(time);
    }
    times.sort_unstable();
    let first = *times.first().ok_or(RecordingError::Empty)?;
    if first >= UNIX_FROM * 1_000_000 {
        times.iter_mut().for_each(|time| *time -= first);
    }
    match times.last().map(|last| last / 1_000_000) {
        Some(seconds) if seconds > LONGEST_S => Err(RecordingError::Long(seconds)),
        _ => Ok(times),
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

/// Seconds as microseconds, digit by digit: seconds since 1970 with six decimals are too long for a float.
fn micros(text: &str) -> Option<u64> {
    let (whole, rest) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(rest) {
        return None;
    }
    let part: String = rest.chars().chain("000000".chars()).take(6).collect();
    whole.parse::<u64>().ok()?.checked_mul(1_000_000)?.checked_add(part.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_kept_and_put_in_order() {
        assert_eq!(read("0.5\n0.25\n\n# a remark\n3\n"), Ok(vec![250_000, 500_000, 3_000_000]));
        assert_eq!(read("seconds,path\n1.0000019,/a\n\"2\";/b\r\n"), Ok(vec![1_000_001, 2_000_000]));
    }

    #[test]
    fn times_since_1970_count_from_the_first() {
        assert_eq!(read("1764000000.000001\n1764000001.5\n"), Ok(vec![0, 1_499_999]));
    }

    #[test]
    fn what_is_no_time_is_named_with_its_line() {
        let number = |line, text: &str| Err(RecordingError::Number { line, text: text.to_owned() });
        assert_eq!(read("t\n1\n-2\n"), number(3, "-2"));
        assert_eq!(read("1\n2026-11-24T00:00:00Z\n"), number(2, "2026-11-24T00:00:00Z"));
        assert_eq!(read("1\n1e3\n"), number(2, "1e3"));
        assert_eq!(read("time\n"), Err(RecordingError::Empty));
        assert_eq!(read("1\n604802\n"), Err(RecordingError::Long(604_802)));
        assert_eq!(read("99999999999999999999\n"), number(1, "99999999999999999999"));
    }
}
