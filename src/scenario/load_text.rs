//! Short texts of loads, in files and on the command line: rates, prices, stop conditions.

use super::duration;
use crate::workload::{HIGHEST_RATE, StopWhen};

/// A rate per second: `20`, `20/s`, `300/m`, `1000/h`. `Err` is a message for people, without the text itself.
pub fn rate(text: &str) -> Result<f64, String> {
    let (number, unit) = text.split_once('/').unwrap_or((text, "s"));
    let seconds = match unit.trim() {
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err("has an unknown unit; there are `/s`, `/m` and `/h`".to_owned()),
    };
    let number = number.trim();
    if number.starts_with('-') {
        return Err("is negative".to_owned());
    }
    let rate = decimal(number).ok_or("is no rate; write e.g. `20`, `0.5`, `300/m` or `1000/h`")? / seconds;
    if rate > HIGHEST_RATE { Err(format!("is more than {HIGHEST_RATE} per second")) } else { Ok(rate) }
}

/// A share of all: `0.5%`, 0 to 1.
pub fn share(text: &str) -> Result<f64, String> {
    const FORM: &str = "is no percentage from 0% to 100%; write e.g. `0.5%`";
    let number = text.strip_suffix('%').and_then(|n| decimal(n.trim())).ok_or(FORM)?;
    if number > 100.0 { Err(FORM.to_owned()) } else { Ok(number / 100.0) }
}

/// A price in units of 1e-9, read digit by digit.
pub fn price(text: &str) -> Result<u64, String> {
    const FORM: &str = "is no price; write a number such as `1.50`, with at most 9 decimals";
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(rest) || rest.len() > 9 || text.ends_with('.') {
        return Err(FORM.to_owned());
    }
    let nano = format!("{whole}{rest:0<9}").parse().map_err(|_| FORM)?;
    if nano == 0 { Err("is nothing: no request could be sent".to_owned()) } else { Ok(nano) }
}

/// `error-rate > 20% for 10s`.
pub fn stop_when(text: &str) -> Result<StopWhen, String> {
    const FORM: &str = "is no stop condition; write e.g. `error-rate > 20% for 10s`";
    let rest = text.trim().strip_prefix("error-rate").or_else(|| text.trim().strip_prefix("error_rate")).ok_or(FORM)?;
    let (over, window) = rest.trim_start().strip_prefix('>').and_then(|r| r.split_once(" for ")).ok_or(FORM)?;
    let (over, window) = (over.trim(), window.trim());
    let over = share(over).map_err(|why| format!("says `{over}`, which {why}"))?;
    let length = duration::parse(window).map_err(|why| format!("says `{window}`, which {why}"))?;
    if length.is_zero() {
        return Err("has no window; write e.g. `for 10s`".to_owned());
    }
    Ok(StopWhen { over, window: length })
}

fn decimal(text: &str) -> Option<f64> {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let fits = match text.split_once('.') {
        Some((whole, rest)) => digits(whole) && digits(rest),
        None => digits(text),
    };
    if fits { text.parse().ok().filter(|n: &f64| n.is_finite()) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn rates_are_per_second() {
        assert_eq!((rate("20"), rate("0.5/s"), rate("300/m"), rate("7200/h")), (Ok(20.0), Ok(0.5), Ok(5.0), Ok(2.0)));
        for text in ["", "-1", "1/d", "fast", "1e3", "1000001", "/s", "."] {
            assert!(rate(text).is_err(), "{text}");
        }
    }

    #[test]
    fn prices_are_exact() {
        assert_eq!((price("1.50"), price("12"), price("0.000000001")), (Ok(1_500_000_000), Ok(12_000_000_000), Ok(1)));
        for text in ["", "0", "0.00", "1.", ".5", "-1", "1e3", "0.0000000001", "99999999999999"] {
            assert!(price(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_stop_condition_is_a_share_over_a_window() {
        let wanted = StopWhen { over: 0.2, window: Duration::from_secs(10) };
        assert_eq!(stop_when("error-rate > 20% for 10s"), Ok(wanted.clone()));
        assert_eq!(stop_when("error_rate>20%  for 10s"), Ok(wanted));
        for text in ["error-rate > 20%", "ttft > 20% for 10s", "error-rate < 20% for 10s", "error-rate > 20% for 0s"] {
            assert!(stop_when(text).is_err(), "{text}");
        }
        assert!(stop_when("error-rate > 20 for 10s").unwrap_err().contains("`20`"));
        assert!(stop_when("error-rate > 20% for ever").unwrap_err().contains("`ever`"));
    }
}
