//! Which scenarios run on which apps, and what that means for every rule.

use super::filter::RuleFilter;
use crate::engine::Job;
use crate::flow::{ScenarioRun, Target, not_applicable};
use crate::model::{App, Outcome};
use crate::rules::Rule;
use crate::rules::judge::Planned;
use crate::scenario::ast::{Need, Scenario};
use std::sync::Arc;

/// What the user chose to run.
#[derive(Clone, Default)]
pub struct Choice {
    /// The scenarios.
    pub scenarios: Vec<Arc<Scenario>>,
    /// Also those that take long by design.
    pub slow: bool,
    /// They are the whole built-in suite, so that every rule of the catalogue is meant.
    pub whole_suite: bool,
    /// The rules that the run is about.
    pub rules: RuleFilter,
}

/// What a scenario does on an app.
enum Fate {
    Runs,
    Slow,
    NotApplicable(String),
}

/// Scenarios laid over the apps of a target.
pub struct Selection {
    /// What the engine runs.
    pub jobs: Vec<Job>,
    /// The choice it was made from.
    pub choice: Choice,
    apps: Vec<App>,
}

fn fate(scenario: &Scenario, app: &App, apps: usize, slow: bool) -> Fate {
    match not_applicable(scenario, app) {
        None if apps < 2 && scenario.needs.contains(&Need::OtherApp) => {
            Fate::NotApplicable("it needs the keys of two apps".to_owned())
        }
        Some(reason) => Fate::NotApplicable(reason),
        None if scenario.slow && !slow => Fate::Slow,
        None => Fate::Runs,
    }
}

impl Selection {
    /// Lays the chosen scenarios over the apps of a target.
    pub fn new(choice: Choice, target: &Target) -> Selection {
        let apps: Vec<App> = target.apps.iter().map(|a| a.app.clone()).collect();
        let pairs =
            choice.scenarios.iter().flat_map(|s| apps.iter().enumerate().map(move |(index, app)| (s, index, app)));
        let jobs = pairs
            .filter(|(scenario, _, app)| matches!(fate(scenario, app, apps.len(), choice.slow), Fate::Runs))
            .map(|(scenario, app, _)| Job { scenario: Arc::clone(scenario), app, weight: 1 })
            .collect();
        Selection { jobs, choice, apps }
    }

    /// Chosen scenarios that run on none of the apps, each with the reason for the first app that it is for, else for the first.
    pub fn idle(&self) -> Vec<(Arc<Scenario>, String)> {
        let runs = |s: &Arc<Scenario>| self.jobs.iter().any(|j| Arc::ptr_eq(&j.scenario, s));
        let idle = self.choice.scenarios.iter().filter(|s| !runs(s));
        idle.map(|s| {
            let meant = |app: &&App| app.mode.is_some_and(|m| s.apps.contains(&m));
            // what an app of the right mode lacks says more than that another one has the wrong mode
            let app = self.apps.iter().find(meant).or(self.apps.first());
            let reason = app.and_then(|app| match fate(s, app, self.apps.len(), self.choice.slow) {
                Fate::NotApplicable(reason) => Some(reason),
                Fate::Slow => Some("it is slow by design; `--slow` runs it".to_owned()),
                Fate::Runs => None,
            });
            (Arc::clone(s), reason.unwrap_or_else(|| "there is no app".to_owned()))
        })
        .collect()
    }

    /// Why there is nothing to run, in words: the scenarios that share a reason together.
    pub fn why_nothing_fits(&self) -> String {
        let mut reasons: Vec<(String, Vec<String>)> = Vec::new();
        for (scenario, why) in self.idle() {
            match reasons.iter_mut().find(|(reason, _)| *reason == why) {
                Some((_, ids)) => ids.push(scenario.id.clone()),
                None => reasons.push((why, vec![scenario.id.clone()])),
            }
        }
        let texts: Vec<String> = reasons.into_iter().map(|(why, ids)| format!("{}: {why}", ids.join(", "))).collect();
        format!(
            "no scenario fits the apps of this server ({}); name others, or pass the key of another app",
            texts.join("; ")
        )
    }

    /// What the run meant to do about a rule on an app.
    pub fn planned(&self, rule: &Rule, app: &App, runs: &[ScenarioRun]) -> Planned {
        let scenarios: Vec<&Arc<Scenario>> =
            self.choice.scenarios.iter().filter(|s| s.rules.iter().any(|r| r == rule.id)).collect();
        let on_app = |s: &&&Arc<Scenario>| app.mode.is_some_and(|m| s.apps.contains(&m));
        if scenarios.is_empty() {
            return Planned::No(NOT_ASKED.to_owned());
        }
        if !scenarios.iter().any(|s| on_app(&s)) {
            return Planned::No(format!(
                "no scenario exercises it on {} apps",
                app.mode.map_or("such", |m| m.as_str())
            ));
        }
        let fates: Vec<Fate> =
            scenarios.iter().filter(on_app).map(|s| fate(s, app, self.apps.len(), self.choice.slow)).collect();
        let running =
            scenarios.iter().filter(on_app).zip(&fates).filter(|(_, f)| matches!(f, Fate::Runs)).map(|(s, _)| s);
        let broken: Vec<&ScenarioRun> = running
            .flat_map(|s| runs.iter().filter(move |r| r.id == s.id && r.app == app.label))
            .filter(|r| matches!(r.outcome, Outcome::CouldNotRun | Outcome::Error))
            .collect();
        if let Some(run) = broken.first() {
            let reason = run.reason.as_deref().unwrap_or("it broke off");
            return Planned::Broken(format!("scenario {}: {reason}", run.id));
        }
        if fates.iter().any(|f| matches!(f, Fate::Runs)) {
            return Planned::Yes;
        }
        match fates.into_iter().next() {
            Some(Fate::NotApplicable(reason)) => Planned::No(reason),
            _ => Planned::No("needs a slow scenario; `--slow` runs them (about 20 s)".to_owned()),
        }
    }
}

impl Selection {
    /// As [`Selection::planned`], and nothing that exercises the rule on the app was left out for being slow.
    pub fn wholly_planned(&self, rule: &Rule, app: &App, runs: &[ScenarioRun]) -> Planned {
        let exercises = |s: &&Arc<Scenario>| s.rules.iter().any(|r| r == rule.id);
        let slow = |s: &Arc<Scenario>| matches!(fate(s, app, self.apps.len(), self.choice.slow), Fate::Slow);
        if self.choice.scenarios.iter().filter(exercises).any(slow) {
            return Planned::No("a slow scenario that exercises it was left out".to_owned());
        }
        self.planned(rule, app, runs)
    }
}

/// Reason of rules that nobody asked for.
pub const NOT_ASKED: &str = "no scenario of this run exercises it";
