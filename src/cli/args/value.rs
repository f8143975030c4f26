//! Values of flags.

use std::time::Duration;

pub fn positive(text: &str) -> Result<Duration, String> {
    duration(text).and_then(|d| if d.is_zero() { Err("must be longer than 0".to_owned()) } else { Ok(d) })
}

pub fn duration(text: &str) -> Result<Duration, String> {
    crate::scenario::duration::parse(text).map_err(|e| e.to_string())
}

/// `5%` or `5` as 0.05.
pub fn percent(text: &str) -> Result<f64, String> {
    let number = text.trim().trim_end_matches('%').trim();
    let value = number.parse::<f64>().ok().filter(|value| (0.0..=1000.0).contains(value));
    value.map(|value| value / 100.0).ok_or_else(|| "must be a share such as 5%".to_owned())
}
