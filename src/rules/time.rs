//! Area `time`: timestamps are Unix seconds and do not run backwards.

use super::notes::Notes;
use super::rule::{ANY, Judge, Load, Rule, always};
use super::run::Run;
use super::seen::Seen;
use crate::model::{App, AppMode, Endpoint, Level};
use serde_json::Value;

const MEMBERS: &[&str] = &["created_at", "updated_at", "finished_at"];
/// Clocks of client and server may differ by this much.
const SKEW_S: f64 = 300.0;

/// Every timestamp member in a value, with its name. `inputs` and `outputs` are the user's own data and left out.
fn stamps<'v>(value: &'v Value, found: &mut Vec<(&'static str, &'v Value)>) {
    match value {
        Value::Object(map) => {
            for (name, inner) in map {
                match MEMBERS.iter().find(|m| *m == name) {
                    Some(member) if !inner.is_null() => found.push((member, inner)),
                    _ if matches!(name.as_str(), "inputs" | "outputs" | "process_data") => {}
                    _ => stamps(inner, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|v| stamps(v, found)),
        _ => {}
    }
}

fn documents<'s>(s: &'s Seen) -> Vec<&'s Value> {
    match &s.stream {
        Some(stream) => stream.events.iter().map(|e| &e.value).collect(),
        None => s.json.into_iter().collect(),
    }
}

/// Source: OpenAPI: timestamps are Unix seconds; feedback and end-user stamps are ISO 8601 by specification.
fn unix_seconds(s: &Seen, n: &mut Notes) {
    if matches!(s.endpoint(), Endpoint::AppFeedbacks | Endpoint::EndUser | Endpoint::Other) || !s.succeeded() {
        return;
    }
    let mut found = Vec::new();
    for document in documents(s) {
        stamps(document, &mut found);
    }
    let Some(first) = found.first().copied() else { return };
    let seconds = |v: &Value| v.as_i64().is_some_and(|v| (1_000_000_000..4_000_000_000).contains(&v));
    let bad = found.iter().find(|(_, v)| !seconds(v));
    let sound = n.expect(bad.is_none(), s, "seconds", "integer Unix seconds", || {
        bad.map(|(m, v)| format!("{m} {v}")).unwrap_or_default()
    });
    if sound
        && s.endpoint().generates()
        && let Some(at) = first.1.as_i64()
    {
        let now = s.unix_at(s.exchange.ended_us());
        let near = (at as f64 - now).abs() <= SKEW_S;
        n.expect(
            near,
            s,
            "clock",
            format_args!("{} within {SKEW_S} s of the client's clock ({now:.0})", first.0),
            || at.to_string(),
        );
    }
}

/// Source: OpenAPI: created before updated and finished. Seconds are rounded here and truncated there: 1 s is allowed.
fn monotonic(run: &Run, app: &App, n: &mut Notes) {
    for s in run.on(app).filter(|s| s.succeeded() && s.endpoint() != Endpoint::Other) {
        let mut objects = Vec::new();
        for document in documents(s) {
            paired(document, &mut objects);
        }
        for (member, created, later) in objects {
            n.expect(later + 1 >= created, s, "backwards", format!("{member} not before created_at {created}"), || {
                later.to_string()
            });
        }
    }
    for conversation in run.conversations_of(app) {
        let stamped: Vec<_> =
            conversation.turns.iter().filter_map(|t| Some((t, run.at(t).member("created_at")?.as_i64()?))).collect();
        for pair in stamped.windows(2).filter(|p| p[0].0.ended_us <= p[1].0.sent_us) {
            let ((_, was), (turn, is)) = (pair[0], pair[1]);
            n.expect(
                is + 1 >= was,
                run.at(turn),
                "turn-order",
                format!("created_at not before the turn before ({was})"),
                || is.to_string(),
            );
        }
    }
}

fn one_stamp(_: &Run, app: &App) -> Option<String> {
    (app.mode == Some(AppMode::Completion)).then(|| "a completion shows a single timestamp".to_owned())
}

/// (member, created_at, its value) of every object that has created_at and a later stamp.
fn paired(value: &Value, found: &mut Vec<(&'static str, i64, i64)>) {
    match value {
        Value::Object(map) => {
            if let Some(created) = map.get("created_at").and_then(Value::as_i64) {
                let later = |m: &'static str| map.get(m).and_then(Value::as_i64).map(|v| (m, created, v));
                found.extend(later("updated_at"));
                found.extend(later("finished_at"));
            }
            map.values().for_each(|v| paired(v, found));
        }
        Value::Array(items) => items.iter().for_each(|v| paired(v, found)),
        _ => {}
    }
}

/// The rows of this area.
pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "time.unix-seconds",
        area: "time",
        level: Level::Must,
        title: "Timestamps are integer Unix seconds",
        statement: "created_at, updated_at, finished_at in API objects are ints in seconds within +-300 s of the client clock for new objects.",
        source: "spec (int64 epoch seconds)",
        modes: ANY,
        tested: "Range check 1e9..4e9.",
        versions: None,
        load: Load::Every,
        judge: Judge::Exchange(unix_seconds),
        absent: always,
    },
    Rule {
        id: "time.monotonic",
        area: "time",
        level: Level::Should,
        title: "Time never runs backwards",
        statement: "finished_at>=created_at; updated_at>=created_at; node created_at non-decreasing per run; elapsed_time>=0 and ~ finished_at-created_at (+-1 s); message created_at non-decreasing with turn order.",
        source: "spec; src",
        modes: ANY,
        tested: "Compare on every stream and history page.",
        versions: None,
        load: Load::Every,
        judge: Judge::Run(monotonic),
        absent: one_stamp,
    },
];
