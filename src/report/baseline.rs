//! What several renderings say about the baseline of a run.

use super::run::{BaselineResult, EntryResult, EntryState};
use super::units;

/// `3 entries: 2 used, 1 unused`.
pub fn counts(baseline: &BaselineResult) -> String {
    let states = [EntryState::Used, EntryState::Idle, EntryState::Unused, EntryState::Expired, EntryState::UnknownRule];
    let counted = states.iter().filter_map(|state| {
        let n = baseline.entries.iter().filter(|e| e.state == *state).count();
        (n > 0).then(|| format!("{n} {}", state.as_str()))
    });
    let all = match baseline.entries.len() {
        1 => "1 entry".to_owned(),
        n => format!("{n} entries"),
    };
    let counted = counted.collect::<Vec<_>>().join(", ");
    if counted.is_empty() { all } else { format!("{all}: {counted}") }
}

/// Entries that make the run red.
pub fn stale(baseline: &BaselineResult) -> Vec<&EntryResult> {
    baseline.entries.iter().filter(|e| e.state.stale()).collect()
}

/// Entries that this run says nothing about.
pub fn idle(baseline: &BaselineResult) -> Vec<&EntryResult> {
    baseline.entries.iter().filter(|e| e.state == EntryState::Idle).collect()
}

/// `messages.has-more on chat, version <1.13 (baseline.yaml:4)`.
pub fn name(baseline: &BaselineResult, entry: &EntryResult) -> String {
    let app = entry.app.as_ref().map(|app| format!(" on {app}")).unwrap_or_default();
    let version = entry.version.as_ref().map(|v| format!(", version {v}")).unwrap_or_default();
    format!("{}{app}{version} ({}:{})", entry.rule, baseline.file, entry.line)
}

/// All proposed entries as one text, each line ended.
pub fn proposed(baseline: &BaselineResult) -> String {
    baseline.proposed.iter().map(|p| p.text.as_str()).collect()
}

/// What to do with the proposed entries.
pub fn invitation(baseline: &BaselineResult) -> String {
    let n = units::count(baseline.proposed.len() as u64, "unexpected failure");
    format!("{n}; to accept, give a reason and put below `known:` in {}", baseline.file)
}
