//! Area `rate-limit`, limits on generations side by side: how the one too many is refused, and that places become free.

use super::notes::Notes;
use super::rule::{ANY, Judge, Load, Rule};
use super::run::Run;
use super::seen::Seen;
use crate::model::{App, Level};
use serde_json::Value;
use std::collections::HashMap;

/// How long a server may take to notice that a client has hung up: one ping interval.
const HUNG_UP_US: u64 = 10_000_000;
/// How long a server may take to free the place of a generation that has ended.
const ENDED_US: u64 = 5_000_000;

/// Source: error guide, 429 `too_many_requests`; OpenAPI 429. `rate_limit_error` is the quota of the cloud service.
fn too_many(s: &Seen, n: &mut Notes) {
    if !s.throttled() {
        return;
    }
    n.expect(s.is(429), s, "status", "status 429 for a generation that is one too many", || s.outcome_text());
    let code = matches!(s.error_code(), Some("too_many_requests" | "rate_limit_error"));
    n.expect(code, s, "code", "error code `too_many_requests`", || s.outcome_text());
    let status = s.member("status").and_then(Value::as_u64) == Some(u64::from(s.exchange.status()));
    let told = s.error_message().is_some_and(|m| !m.is_empty()) && status;
    n.expect(told, s, "body", "an error body with code, message and status", || s.form_text());
}

/// Generations that a server took on, as far as their answers tell.
fn taken_on<'r, 't>(run: &'r Run<'t>, app: &'r App) -> Vec<&'r Seen<'t>> {
    run.on(app).filter(|s| s.endpoint().generates() && s.has_key() && s.is(200)).collect()
}

/// Most of these that were under way at one moment.
fn most_at_once<'s>(taken: impl Iterator<Item = &'s Seen<'s>>) -> usize {
    let mut changes: Vec<(u64, i64)> = Vec::new();
    for s in taken {
        changes.extend([(s.exchange.timing.sent_us, 1), (s.exchange.ended_us(), -1)]);
    }
    changes.sort_unstable();
    let mut now = 0;
    let counts = changes.into_iter().map(|(_, change)| {
        now += change;
        now
    });
    usize::try_from(counts.max().unwrap_or(0)).unwrap_or(0)
}

/// Whether a generation may have held a place when the server decided about another one.
fn holds(s: &Seen, other: &Seen) -> bool {
    let patience = if s.cancelled() { HUNG_UP_US } else { ENDED_US };
    let decided = other.exchange.timing.sent_us..=other.exchange.ended_us();
    s.exchange.timing.sent_us <= *decided.end() && *decided.start() < s.exchange.ended_us() + patience
}

/// Source: Dify source, `RateLimitGenerator.close`; real bug: langgenius/dify PR 11540. As many as were once taken on side by
/// side must find a place again. Limits per app and per end user are both legal, so a place must be free by either count.
fn released(run: &Run, app: &App, n: &mut Notes) {
    if !run.on(app).any(Seen::throttled) {
        return;
    }
    let taken = taken_on(run, app);
    let mut by_user: HashMap<&str, Vec<&Seen>> = HashMap::new();
    for s in &taken {
        by_user.entry(s.sent.user.as_deref().unwrap_or("")).or_default().push(s);
    }
    let of_app = most_at_once(taken.iter().copied());
    let of_user = by_user.values().map(|own| most_at_once(own.iter().copied())).max().unwrap_or(0);
    let asked = |s: &&Seen| s.endpoint().generates() && s.has_key() && (s.sent.valid() || s.throttled());
    for s in run.on(app).filter(asked) {
        let others = taken.iter().filter(|o| o.exchange.id != s.exchange.id && holds(o, s));
        let beside: Vec<&&Seen> = others.collect();
        let own = beside.iter().filter(|o| o.sent.user == s.sent.user).count();
        if beside.len() >= of_app || own >= of_user || s.exchange.reply.is_none() {
            continue;
        }
        n.expect(!s.throttled(), s, "free", format!("a place: {of_app} were once taken on side by side"), || {
            format!("{} with {} under way or just over, {own} of this user", s.outcome_text(), beside.len())
        });
    }
}

fn no_limit(run: &Run, app: &App) -> Option<String> {
    let taken = taken_on(run, app);
    (!run.on(app).any(Seen::throttled)).then(|| {
        format!(
            "none of up to {} generations side by side was refused: the app has no limit, or one above that; needs an app with \
             a limit on concurrent requests, and --max-in-flight above it",
            most_at_once(taken.iter().copied())
        )
    })
}

/// The rows of this area.
pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "rate.429.too-many",
        area: "rate-limit",
        level: Level::Must,
        title: "Concurrency ceiling answers 429",
        statement: "Where an app has a limit on generations side by side, those above it are refused with 429 `too_many_requests` and the error body.",
        source: "guide errors.mdx; spec 429; src rate_limit.py",
        modes: ANY,
        tested: "8 streams of one user at once. Every refusal that says so by status, code or words (`Too many requests`): 429, code, body. How many get through is not judged: real servers count before they add.",
        versions: Some("1.12.1 answers 400 `invalid_param`; 500 before PR 12271"),
        load: Load::Every,
        judge: Judge::Exchange(too_many),
        absent: no_limit,
    },
    Rule {
        id: "rate.slot-released",
        area: "rate-limit",
        level: Level::Must,
        title: "Slots are released on every ending",
        statement: "After normal end, error, refusal, stop or client abort the slot is free again within 5 s (10 s after an abort).",
        source: "src RateLimitGenerator.close; PR #11540",
        modes: ANY,
        tested: "Turns that are refused after they were counted, turns that are left, then a pause and a turn that must be taken on. Judged only where the app refused a generation for being one too many, and no other client uses it.",
        versions: None,
        load: Load::No,
        judge: Judge::Run(released),
        absent: no_limit,
    },
];
