//! Judging exchanges one at a time as they finish: the rules that are a pure function of one response.

use super::judge::{Judgement, finding, judgement_of};
use super::notes::{Notes, Raw};
use super::rule::{Judge, Load, Rule};
use super::seen::Seen;
use crate::model::{App, AppMode, Exchange, Outcome};
use crate::profile::Profile;
use crate::sse::Parsed;

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
    /// What was noted on each app so far.
    apps: Vec<OfApp>,
}

/// What judging one exchange gave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// A rule fails on it: no warning, and no known deviation of the profile.
    pub broken: bool,
    /// A violation was found that is kept, so that the exchange is worth keeping.
    pub kept: bool,
}

/// Notes on one app.
struct OfApp {
    label: String,
    mode: Option<AppMode>,
    /// The rules that are about apps of its mode: index into [`Tally::rules`] and notes.
    notes: Vec<(usize, Notes)>,
}

/// The notes on an app, which is new here at its first exchange.
fn notes_on<'n>(
    apps: &'n mut Vec<OfApp>,
    rules: &[(&'static Rule, OneExchange)],
    app: &App,
) -> &'n mut [(usize, Notes)] {
    let same = |known: &OfApp| known.label == app.label && known.mode == app.mode;
    let at = apps.iter().position(same).unwrap_or_else(|| {
        let about = |(_, (rule, _)): &(usize, &(&Rule, OneExchange))| app.mode.is_none_or(|m| rule.modes.contains(&m));
        let notes = rules.iter().enumerate().filter(about).map(|(index, _)| (index, Notes::default())).collect();
        apps.push(OfApp { label: app.label.clone(), mode: app.mode, notes });
        apps.len() - 1
    });
    apps.get_mut(at).map(|known| known.notes.as_mut_slice()).unwrap_or_default()
}

impl Tally {
    /// Starts with nothing judged.
    pub fn new(profile: &'static Profile, base_url: &str, started_unix_us: u64) -> Tally {
        let every = super::catalogue().filter_map(|rule| match (rule.load, rule.judge) {
            (Load::Every, Judge::Exchange(judge)) => Some((rule, judge)),
            _ => None,
        });
        let base_path = super::run::base_path(base_url).to_owned();
        Tally { profile, base_path, started_unix_us, rules: every.collect(), apps: Vec::new() }
    }

    /// Judges one exchange.
    pub fn judge(&mut self, exchange: &Exchange, app: &App) -> Judged {
        self.judge_parsed(exchange, &Parsed::of(exchange), app)
    }

    /// As [`Tally::judge`], with its bodies parsed already.
    pub fn judge_parsed(&mut self, exchange: &Exchange, parsed: &Parsed, app: &App) -> Judged {
        let seen = Seen::of(exchange, parsed, app, &self.base_path, self.started_unix_us);
        let mut judged = Judged::default();
        let (rules, profile) = (&self.rules, self.profile);
        for (index, notes) in notes_on(&mut self.apps, rules, app) {
            let Some((rule, judge)) = rules.get(*index) else { continue };
            let before = notes.found.len();
            judge(&seen, notes);
            let fails = |raw: &Raw| finding(rule, profile, app, raw).outcome == Outcome::Fail;
            judged.broken |= notes.found.get(before..).unwrap_or_default().iter().any(fails);
            if notes.found.len() > MOST_KEPT {
                notes.dropped += (notes.found.len() - MOST_KEPT) as u64;
                notes.found.truncate(MOST_KEPT);
            }
            judged.kept |= notes.found.len() > before;
        }
        judged
    }

    /// The verdicts so far, of rules that judged something.
    pub fn judgements(&self, apps: &[App]) -> Vec<Judgement> {
        let of = |(index, (rule, _)): (usize, &(&'static Rule, OneExchange))| {
            let per_app = apps.iter().map(|app| {
                let known = self.apps.iter().find(|known| known.label == app.label);
                let notes = known.and_then(|known| known.notes.iter().find(|(of, _)| *of == index));
                let nothing = (Outcome::NotApplicable, Some("no such response".to_owned()));
                (app, notes.map(|(_, notes)| notes), nothing)
            });
            judgement_of(rule, self.profile, per_app)
        };
        self.rules.iter().enumerate().map(of).filter(|j| j.judged > 0).collect()
    }
}
