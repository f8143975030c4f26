//! Values of flags.

use crate::profile::PROFILES;
use crate::scenario::suggestion;
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

/// An id for `--profile` of a server that is served: that of a profile.
pub fn served_profile(text: &str) -> Result<String, String> {
    known_profile(text, PROFILES.iter().map(|p| p.id).collect())
}

/// An id for `--profile`: `auto` or that of a profile.
pub fn profile(text: &str) -> Result<String, String> {
    known_profile(text, std::iter::once("auto").chain(PROFILES.iter().map(|p| p.id)).collect())
}

fn known_profile(text: &str, known: Vec<&str>) -> Result<String, String> {
    if known.contains(&text) {
        Ok(text.to_owned())
    } else {
        Err(format!("unknown profile; {}", suggestion(text, &known)))
    }
}
