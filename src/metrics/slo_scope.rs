//! The braces of an objective: `{scenario: chat.ask, turn: first, in: [hold, burst], abort, advisory, grace: 10s}`.

use super::{Slo, SloError};
use std::time::Duration;

const KEYS: &[&str] = &["scenario", "step", "turn", "in", "abort", "advisory", "grace"];

/// Reads the braces into an objective.
pub(super) fn read(text: &str, slo: &mut Slo) -> Result<(), SloError> {
    let inner = text.trim().strip_prefix('{').and_then(|t| t.strip_suffix('}'));
    let Some(inner) = inner else { return Err(wrong("the braces are not closed at the end".to_owned())) };
    for entry in entries(inner) {
        let (key, value) = match entry.split_once([':', '=']) {
            Some((key, value)) => (key.trim(), value.trim()),
            None => (entry.trim(), ""),
        };
        let text = || Some(value.to_owned()).filter(|v| !v.is_empty());
        let needed = || text().ok_or_else(|| wrong(format!("`{key}` needs a value, e.g. `{key}: {}`", example(key))));
        match key {
            "scenario" => slo.scope.scenario = Some(needed()?),
            "step" => slo.scope.step = Some(needed()?),
            "turn" if matches!(value, "first" | "later") => slo.scope.turn = text(),
            "turn" => return Err(wrong(format!("`{value}` is no turn: there are `first` and `later`"))),
            "in" => {
                let list = needed()?;
                let list = list.strip_prefix('[').and_then(|l| l.strip_suffix(']')).unwrap_or(&list);
                slo.scope.stages = list.split([',', '|']).map(|s| s.trim().to_owned()).collect();
            }
            "abort" | "advisory" if !matches!(value, "" | "true" | "false") => {
                return Err(wrong(format!("`{key}` is `true` or `false`, not `{value}`")));
            }
            "abort" => slo.abort = value != "false",
            "advisory" => slo.advisory = value != "false",
            "grace" => slo.grace = time(&needed()?)?,
            _ => {
                let unknown = Some((key.to_owned(), KEYS.to_vec()));
                return Err(SloError { unknown, ..wrong(format!("unknown key `{key}` in the braces")) });
            }
        }
    }
    Ok(())
}

fn example(key: &str) -> &'static str {
    match key {
        "scenario" => "chat.ask",
        "step" => "hello",
        "grace" => "10s",
        _ => "hold",
    }
}

/// Parts between commas that are not inside `[ ]`.
fn entries(inner: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_usize;
    let parts = inner.split(move |c| {
        match c {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    });
    parts.map(str::trim).filter(|part| !part.is_empty())
}

/// A time of seconds, minutes or milliseconds.
fn time(text: &str) -> Result<Duration, SloError> {
    let scales = [("ms", 1e-3), ("s", 1.0), ("m", 60.0)];
    let found = scales.iter().find_map(|(unit, scale)| {
        let number = text.strip_suffix(unit)?;
        let plain = number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        Duration::try_from_secs_f64(number.parse::<f64>().ok().filter(|_| plain)? * scale).ok()
    });
    found.ok_or_else(|| wrong(format!("`{text}` is no time; write e.g. `10s`")))
}

fn wrong(message: String) -> SloError {
    SloError { message, at: (0, 0), unknown: None, help: "", part: "scope" }
}
