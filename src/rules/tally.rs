//! Judging exchanges one at a time as they finish: the rules that are a pure function of one response.

use super::judge::{Judgement, judgement_of};
use super::notes::Notes;
use super::rule::{Judge, Load, Rule};
use super::seen::Seen;
use crate::model::{App, Exchange};
use crate::profile::Profile;
use std::collections::HashMap;

/// Findings kept per rule and app; more are only counted.
const MOST_KEPT: usize = 20;

/// Judges one exchange.
type OneExchange = fn(&Seen, &mut Notes);

/// Running judgements of the rules marked [`Load::Every`].
pub struct Tally {
    profile: &'static Profile,
    base_path: String,
    started_unix_us: u64,
    rules: Vec<(&'static Rule, OneExchange)>,
    notes: HashMap<(usize, String), Notes>,
}

impl Tally {
    /// Starts with nothing judged.
    pub fn new(profile: &'static Profile, base_url: &str, started_unix_us: u64) -> Tally {
        let every = super::catalogue().filter_map(|rule| match (rule.load, rule.judge) {
            (Load::Every, Judge::Exchange(judge)) => Some((rule, judge)),
            _ => None,
        });
        let base_path = super::run::base_path(base_url).to_owned();
        Tally { profile, base_path, started_unix_us, rules: every.collect(), notes: HashMap::new() }
    }

    /// Judges one exchange; true if a violation was found that is kept, so that the exchange is worth keeping.
    pub fn judge(&mut self, exchange: &Exchange, app: &App) -> bool {
        let seen = Seen::of(exchange, app, &self.base_path, self.started_unix_us);
        let mut kept = false;
        for (index, (rule, judge)) in self.rules.iter().enumerate() {
            if app.mode.is_some_and(|m| !rule.modes.contains(&m)) {
                continue;
            }
            let notes = match self.notes.get_mut(&(index, app.label.clone())) {
                Some(notes) => notes,
                None => self.notes.entry((index, app.label.clone())).or_default(),
            };
            let before = notes.found.len();
            judge(&seen, notes);
            if notes.found.len() > MOST_KEPT {
                notes.dropped += (notes.found.len() - MOST_KEPT) as u64;
                notes.found.truncate(MOST_KEPT);
            }
            kept |= notes.found.len() > before;
        }
        kept
    }

    /// The verdicts so far, of rules that judged something.
    pub fn judgements(&self, apps: &[App]) -> Vec<Judgement> {
        let of = |(index, (rule, _)): (usize, &(&'static Rule, OneExchange))| {
            let per_app = apps.iter().map(|app| {
                let notes = self.notes.get(&(index, app.label.clone()));
                let nothing = || (crate::model::Outcome::NotApplicable, Some("no such response".to_owned()));
                (app, notes, nothing())
            });
            judgement_of(rule, self.profile, per_app)
        };
        self.rules.iter().enumerate().map(of).filter(|j| j.judged > 0).collect()
    }
}
