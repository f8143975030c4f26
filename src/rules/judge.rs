//! Recording -> verdicts: runs every rule over every app, applies levels and the profile, collapses.

use super::notes::{Notes, Raw};
use super::rule::{Judge, Rule};
use super::run::Run;
use crate::model::{App, Finding, Level, Outcome, Transcript};
use crate::profile::Profile;
use crate::sse::Parsed;
use std::collections::BTreeMap;

/// Most findings kept per rule and app; further ones are counted.
const MOST_FINDINGS: usize = 20;

/// What the judges say of one rule.
#[derive(Clone)]
pub struct Judgement {
    /// The rule.
    pub rule: &'static Rule,
    /// Most severe outcome over the apps.
    pub outcome: Outcome,
    /// Why it is not applicable or could not be run.
    pub reason: Option<String>,
    /// Judgements made.
    pub judged: u64,
    /// Outcome per app label.
    pub apps: BTreeMap<String, Outcome>,
    /// Violations, most severe first.
    pub findings: Vec<Finding>,
}

/// Judges a transcript by every rule. `planned` tells whether the scenarios that ran were meant to exercise a rule on an
/// app: such a rule without a single judgement could not be run, unless the app cannot show it.
pub fn judge(transcript: &Transcript, profile: &Profile, planned: &dyn Fn(&Rule, &App) -> Planned) -> Vec<Judgement> {
    let parsed: Vec<Parsed> = transcript.exchanges.iter().map(Parsed::of).collect();
    let run = Run::of(transcript, &parsed, profile);
    super::catalogue().map(|rule| judge_rule(rule, &run, planned)).collect()
}

/// What the run meant to do about a rule on an app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Planned {
    /// Scenarios that exercise it ran.
    Yes,
    /// None was asked for, or the app does not fit; in words.
    No(String),
    /// Scenarios that exercise it failed before they got there; in words.
    Broken(String),
}

fn judge_rule(rule: &'static Rule, run: &Run, planned: &dyn Fn(&Rule, &App) -> Planned) -> Judgement {
    let apps: Vec<&App> =
        run.transcript.apps.iter().filter(|a| a.mode.is_none_or(|m| rule.modes.contains(&m))).collect();
    let notes: Vec<Notes> = apps.iter().map(|app| collect(rule, run, app)).collect();
    let per_app = apps.iter().zip(&notes).map(|(app, notes)| {
        let otherwise = if notes.judged == 0 { unjudged(rule, run, app, planned) } else { (Outcome::Pass, None) };
        (*app, Some(notes), otherwise)
    });
    judgement_of(rule, run.profile, per_app)
}

/// Collapses what was noted on each app; the last part says what stands where nothing was judged.
pub(super) fn judgement_of<'a>(
    rule: &'static Rule,
    profile: &Profile,
    apps: impl Iterator<Item = (&'a App, Option<&'a Notes>, (Outcome, Option<String>))>,
) -> Judgement {
    let mut judgement = Judgement {
        rule,
        outcome: Outcome::NotApplicable,
        reason: None,
        judged: 0,
        apps: BTreeMap::new(),
        findings: Vec::new(),
    };
    let mut reasons: Vec<(Outcome, String)> = Vec::new();
    for (app, notes, otherwise) in apps {
        let (outcome, reason) = match notes.filter(|n| n.judged > 0) {
            Some(notes) => {
                let findings: Vec<Finding> = notes.found.iter().map(|raw| finding(rule, profile, app, raw)).collect();
                let worst = findings.iter().map(|f| f.outcome).max().unwrap_or(Outcome::Pass);
                judgement.judged += notes.judged;
                judgement.findings.extend(findings.into_iter().take(MOST_FINDINGS));
                (worst, None)
            }
            None => otherwise,
        };
        reasons.extend(reason.map(|r| (outcome, r)));
        judgement.apps.insert(app.label.clone(), outcome);
    }
    if judgement.apps.is_empty() {
        let modes: Vec<&str> = rule.modes.iter().map(|m| m.as_str()).collect();
        judgement.reason = Some(format!("no {} app among those examined", modes.join(" or ")));
        return judgement;
    }
    judgement.outcome = judgement.apps.values().copied().max().unwrap_or(Outcome::NotApplicable);
    judgement.reason = reasons.into_iter().find(|(outcome, _)| *outcome == judgement.outcome).map(|(_, reason)| reason);
    judgement.findings.sort_by_key(|f| std::cmp::Reverse(f.outcome));
    judgement
}

fn collect(rule: &Rule, run: &Run, app: &App) -> Notes {
    let mut notes = Notes::default();
    match rule.judge {
        Judge::Exchange(judge) => run.on(app).for_each(|seen| judge(seen, &mut notes)),
        Judge::Run(judge) => judge(run, app, &mut notes),
    }
    notes
}

fn unjudged(rule: &Rule, run: &Run, app: &App, planned: &dyn Fn(&Rule, &App) -> Planned) -> (Outcome, Option<String>) {
    let planned = planned(rule, app);
    if let Planned::No(reason) = planned {
        return (Outcome::NotApplicable, Some(reason));
    }
    if let Some(reason) = (rule.absent)(run, app) {
        return (Outcome::NotApplicable, Some(reason));
    }
    let reason = match planned {
        Planned::Broken(reason) => reason,
        _ => "the requests that would show it got no usable answer".to_owned(),
    };
    (Outcome::CouldNotRun, Some(reason))
}

pub(super) fn finding(rule: &Rule, profile: &Profile, app: &App, raw: &Raw) -> Finding {
    let known = profile.known(rule.id, raw.check, app.server_version.as_deref());
    let outcome = match known {
        Some(_) => Outcome::KnownDeviation,
        None if rule.level == Level::Must && !raw.advisory => Outcome::Fail,
        None => Outcome::Warn,
    };
    Finding {
        rule: rule.id.to_owned(),
        check: raw.check.to_owned(),
        outcome,
        app: app.label.clone(),
        message: raw.message.clone(),
        expected: raw.expected.clone(),
        actual: raw.actual.clone(),
        exchanges: raw.exchanges.clone(),
        frame: raw.frame,
        known: known.map(|k| format!("{} ({})", k.reason, k.source)),
    }
}
