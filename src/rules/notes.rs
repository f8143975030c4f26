//! What a judge function writes down: how often it looked, and what it found.

use super::seen::Seen;
use super::stream::Stream;
use crate::schema::{self, Document};
use serde_json::Value;
use std::fmt::Display;

/// A violation before profile and level are applied.
#[derive(Clone, Debug)]
pub struct Raw {
    /// Which part of the rule, a stable slug.
    pub check: &'static str,
    /// One sentence.
    pub message: String,
    /// What the rule demands.
    pub expected: String,
    /// What was seen.
    pub actual: String,
    /// Exchanges that show it, the decisive one first.
    pub exchanges: Vec<u64>,
    /// SSE frame in the decisive exchange, from 1.
    pub frame: Option<usize>,
    /// This part of the rule is only recommended, whatever the rule's level.
    pub advisory: bool,
}

/// Collects the judgements of one rule on one app.
#[derive(Debug, Default)]
pub struct Notes {
    /// Judgements made.
    pub judged: u64,
    /// Violations.
    pub found: Vec<Raw>,
    /// Violations beyond those kept.
    pub dropped: u64,
}

impl Notes {
    /// One judgement on one exchange.
    pub fn expect(
        &mut self,
        holds: bool,
        at: &Seen,
        check: &'static str,
        expected: impl Display,
        actual: impl FnOnce() -> String,
    ) -> bool {
        self.judged += 1;
        if !holds {
            self.add(at, check, expected.to_string(), actual(), false);
        }
        holds
    }

    /// One judgement of a part that is only recommended.
    pub fn advise(
        &mut self,
        holds: bool,
        at: &Seen,
        check: &'static str,
        expected: impl Display,
        actual: impl FnOnce() -> String,
    ) -> bool {
        self.judged += 1;
        if !holds {
            self.add(at, check, expected.to_string(), actual(), true);
        }
        holds
    }

    /// Adds an exchange to the evidence of the last violation.
    pub fn with(&mut self, other: &Seen) {
        if let Some(last) = self.found.last_mut() {
            last.exchanges.push(other.exchange.id);
        }
    }

    /// Names the SSE frame (from 1) of the last violation.
    pub fn at_frame(&mut self, frame: usize) {
        if let Some(last) = self.found.last_mut() {
            last.frame = Some(frame);
        }
    }

    /// The request must have been refused with this status and code, as JSON. The code is judged only where a status
    /// other than 404 makes it meaningful or 404 came as JSON (unknown routes are answered in HTML by real servers).
    pub fn refused(&mut self, at: &Seen, status: u16, code: &str) -> bool {
        let got = at.exchange.status();
        if !self.expect(got == status, at, "status", format_args!("status {status}"), || at.outcome_text()) {
            return false;
        }
        let seen = at.error_code();
        self.expect(seen == Some(code), at, "code", format_args!("error code `{code}`"), || match seen {
            Some(other) => format!("error code `{other}`"),
            None => "no JSON error body with a code".to_owned(),
        })
    }

    /// A JSON document must fit its schema. Usage, timestamps and statuses have rules of their own and are
    /// left out.
    pub fn fits(&mut self, at: &Seen, document: Document, value: &Value) {
        let violations = schema::check(document, value);
        if violations.is_empty() {
            self.judged += 1;
            return;
        }
        let stamp = |path: &str| ["created_at", "updated_at", "finished_at"].iter().any(|m| path.ends_with(m));
        let of_a_run = |path: &str| matches!(path, "/status" | "/data/status");
        let elsewhere = |v: &schema::Violation| {
            let known = (stamp(&v.path) || of_a_run(&v.path)) && v.keyword != "required";
            v.path.starts_with("/metadata/usage") || known
        };
        let bad = violations.iter().find(|v| !elsewhere(v));
        self.expect(
            bad.is_none(),
            at,
            "schema",
            format_args!("a document that fits schemas/{}", document.file()),
            || {
                bad.map(|v| format!("{}: {}", if v.path.is_empty() { "/" } else { &v.path }, v.message))
                    .unwrap_or_default()
            },
        );
    }

    /// All events of a stream that have a member must agree on its value, and some event must have it where the answer is a
    /// generation's.
    pub fn one_value(&mut self, at: &Seen, stream: &Stream, member: &'static str) {
        let values = stream.distinct(member);
        if values.is_empty() {
            return;
        }
        let one = values.len() == 1;
        self.expect(one, at, member, format_args!("one {member} over the stream"), || {
            format!("{} values: {} and {}", values.len(), values[0].0, values[1].0)
        });
        if !one {
            self.at_frame(values[1].1);
        }
    }

    fn add(&mut self, at: &Seen, check: &'static str, expected: String, actual: String, advisory: bool) {
        let message =
            format!("{} {}: {actual}, expected {expected}", at.exchange.request.method, at.exchange.request.path());
        let exchanges = vec![at.exchange.id];
        self.found.push(Raw { check, message, expected, actual, exchanges, frame: None, advisory });
    }
}
