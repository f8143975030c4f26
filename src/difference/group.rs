//! Differences that mean the same, together.

use super::exchange::Seen;
use super::kind::Kind;
use super::{Step, Told};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Names of steps kept per group.
const MOST_STEPS: usize = 20;
/// Longest text of an example, in characters.
const LONGEST: usize = 2_000;

/// Differences of one meaning at one place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Group {
    /// What they mean.
    pub kind: Kind,
    /// Operation (`DELETE /conversations/{id}`), event (`event message_end`) or `error body`; of what was sent to one
    /// side only, the scenario.
    pub place: String,
    /// Where in it: a JSON path, or the name of a header or event; may be empty.
    pub path: String,
    /// What changed, where that is part of the meaning, e.g. `200 -> 204`; may be empty.
    pub detail: String,
    /// How often it was seen.
    pub count: u64,
    /// Steps that saw it, the first twenty, as `scenario.step@app`.
    pub steps: Vec<String>,
    /// The first one.
    pub example: Example,
}

/// One difference with where it was seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Example {
    /// `scenario.step`.
    pub step: String,
    /// Label of the app.
    pub app: String,
    /// `file:line:column` of the step.
    pub place: String,
    /// On A.
    pub a: Shown,
    /// On B.
    pub b: Shown,
}

/// One side of an example.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Shown {
    /// Id of the exchange in its recording; none where none was sent.
    pub exchange: Option<u64>,
    /// What was seen, in canonical form.
    pub text: String,
}

/// Groups under construction.
#[derive(Default)]
pub(super) struct Groups {
    groups: BTreeMap<(Kind, String, String, String), Group>,
    seen: BTreeSet<(Kind, String, String, String, String)>,
}

impl Groups {
    /// Adds one difference of a step.
    pub(super) fn add(&mut self, step: &Step, exchanges: (u64, u64), seen: Seen) {
        let a = Shown { exchange: Some(exchanges.0), text: clip(&seen.a) };
        let b = Shown { exchange: Some(exchanges.1), text: clip(&seen.b) };
        self.join(step, seen, a, b);
    }

    /// Adds an exchange that has no partner.
    pub(super) fn unsent(&mut self, step: &Step, told: &Told, by_a: bool) {
        let sent = Shown { exchange: Some(told.exchange), text: clip(told.text.lines().next().unwrap_or_default()) };
        let none = Shown { exchange: None, text: "not sent".to_owned() };
        let (a, b, detail) = if by_a { (sent, none, "A only") } else { (none, sent, "B only") };
        let seen = Seen {
            kind: Kind::Unsent,
            place: format!("scenario {}", step.scenario),
            path: String::new(),
            detail: detail.to_owned(),
            a: String::new(),
            b: String::new(),
        };
        self.join(step, seen, a, b);
    }

    fn join(&mut self, step: &Step, seen: Seen, a: Shown, b: Shown) {
        let key = (seen.kind, seen.place, seen.path, seen.detail);
        let name = format!("{}.{}", step.scenario, step.step);
        let group = self.groups.entry(key.clone()).or_insert_with(|| Group {
            kind: key.0,
            place: key.1.clone(),
            path: key.2.clone(),
            detail: key.3.clone(),
            count: 0,
            steps: Vec::new(),
            example: Example { step: name.clone(), app: step.app.clone(), place: step.place.clone(), a, b },
        });
        group.count += 1;
        let at = format!("{name}@{}", step.app);
        if group.steps.len() < MOST_STEPS && self.seen.insert((key.0, key.1, key.2, key.3, at.clone())) {
            group.steps.push(at);
        }
    }

    /// The groups in their order.
    pub(super) fn finish(self) -> Vec<Group> {
        self.groups.into_values().collect()
    }
}

fn clip(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{} ...", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
