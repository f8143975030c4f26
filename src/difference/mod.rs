//! Two recordings of the same scenarios in canonical form -> what differs, grouped by what it means.
//!
//! Goes in: the canonical texts of both sides, step by step. Comes out: groups (another status, a member more, events in
//! another order ...), each with how often it was seen and one example. Knows no rules, files or servers.

mod exchange;
mod group;
pub mod ignore;
mod kind;
mod names;
mod read;
mod stream;
mod tree;

pub use group::{Example, Group, Shown};
pub use ignore::Ignore;
pub use kind::Kind;

use exchange::Comparer;
use group::Groups;
use std::collections::BTreeMap;

/// What a step of a scenario exchanged on one server.
#[derive(Clone, Debug)]
pub struct Step {
    /// Scenario id.
    pub scenario: String,
    /// Step id.
    pub step: String,
    /// Label of the app.
    pub app: String,
    /// `file:line:column` of the step.
    pub place: String,
    /// Its exchanges, in an order that is the same on every run.
    pub told: Vec<Told>,
}

/// One exchange in canonical form.
#[derive(Clone, Debug)]
pub struct Told {
    /// Id in its recording.
    pub exchange: u64,
    /// Method and path pattern, e.g. `DELETE /conversations/{id}`.
    pub operation: String,
    /// As [`crate::canonical::Canon::canonical`] gives it.
    pub text: String,
}

/// What a comparison found.
#[derive(Clone, Debug, Default)]
pub struct Differences {
    /// By meaning, in the order of [`Kind`], then by place.
    pub groups: Vec<Group>,
    /// Scenarios on apps that both sides ran.
    pub scenarios: u64,
    /// Pairs of exchanges that were compared.
    pub exchanges: u64,
    /// Of these, pairs without any difference.
    pub equal: u64,
    /// Scenarios on apps that only A ran.
    pub only_a: Vec<(String, String)>,
    /// Scenarios on apps that only B ran.
    pub only_b: Vec<(String, String)>,
}

/// Scenario id and app label -> its steps in order.
type Stories<'s> = BTreeMap<(&'s str, &'s str), Vec<&'s Step>>;

/// Compares what A and B did in every scenario that both ran.
pub fn compare(a: &[Step], b: &[Step]) -> Differences {
    let (a, b) = (stories(a), stories(b));
    let only = |here: &Stories<'_>, there: &Stories<'_>| {
        let missing = here.keys().filter(|key| !there.contains_key(*key));
        missing.map(|(scenario, app)| ((*scenario).to_owned(), (*app).to_owned())).collect()
    };
    let mut found = Differences { only_a: only(&a, &b), only_b: only(&b, &a), ..Differences::default() };
    let mut groups = Groups::default();
    for (key, steps_a) in &a {
        if let Some(steps_b) = b.get(key) {
            found.scenarios += 1;
            story(steps_a, steps_b, &mut groups, &mut found);
        }
    }
    found.groups = groups.finish();
    found
}

fn stories(steps: &[Step]) -> Stories<'_> {
    let mut stories: Stories<'_> = BTreeMap::new();
    for step in steps {
        stories.entry((&step.scenario, &step.app)).or_default().push(step);
    }
    stories
}

fn story(a: &[&Step], b: &[&Step], groups: &mut Groups, found: &mut Differences) {
    let mut comparer = Comparer::default();
    for step in a {
        let other = b.iter().find(|other| other.step == step.step);
        let told_b = other.map(|other| other.told.as_slice()).unwrap_or_default();
        for (at, told) in step.told.iter().enumerate() {
            let Some(other) = told_b.get(at) else {
                groups.unsent(step, told, true);
                continue;
            };
            let seen = comparer.exchange(told, other);
            found.exchanges += 1;
            found.equal += u64::from(seen.is_empty());
            seen.into_iter().for_each(|seen| groups.add(step, (told.exchange, other.exchange), seen));
        }
    }
    for step in b {
        let sent = a.iter().find(|other| other.step == step.step).map_or(0, |other| other.told.len());
        step.told.iter().skip(sent).for_each(|told| groups.unsent(step, told, false));
    }
}

#[cfg(test)]
mod tests;
