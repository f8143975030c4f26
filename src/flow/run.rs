//! One way through a scenario, from its variables to its clean-up.

use super::session::Session;
use super::steps::{Halt, Lane, run_in_order};
use super::target::AppTarget;
use super::{cleanup, form, scope, seed};
use crate::model::{App, ControlKind, Outcome};
use crate::report::run::{ExpectationFailure, ScenarioResult};
use crate::scenario::ast::{Need, Scenario};
use crate::scenario::template::Renderer;
use serde_json::{Map, Value};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Which time through a scenario this is.
#[derive(Clone, Debug)]
pub struct Visit {
    /// Virtual user, from 0.
    pub vu: u32,
    /// Iteration of that virtual user, from 0.
    pub iteration: u32,
    /// Number of this visit among all of its scenario, over all virtual users, from 0; picks data rows.
    pub ticket: u64,
    /// Planned send of the first request; `None` where nothing is planned, as in a check.
    pub planned: Option<Instant>,
    /// Stops this visit; a child of the session's token.
    pub stop: CancellationToken,
    /// Clean-up time after the session's stop, where that is less than the session's grace.
    pub hurry: Option<Duration>,
    pub(super) name: String,
}

impl Visit {
    /// The first visit of virtual user 0.
    pub fn first(stop: CancellationToken) -> Visit {
        Visit::new(0, 0, 0, stop)
    }

    /// A visit.
    pub fn new(vu: u32, iteration: u32, ticket: u64, stop: CancellationToken) -> Visit {
        Visit { vu, iteration, ticket, planned: None, stop, hurry: None, name: format!("{vu}/{iteration}") }
    }

    /// The visit of an arrival of an open load. Each arrival is a virtual user of its own, with the arrival's number: what
    /// it sends does not depend on which process sends it, nor on what else is under way.
    pub fn arrival(index: u64, ticket: u64, planned: Instant, stop: CancellationToken) -> Visit {
        let vu = u32::try_from(index % (u64::from(u32::MAX) + 1)).unwrap_or(u32::MAX);
        Visit { planned: Some(planned), ..Visit::new(vu, 0, ticket, stop) }
    }
}

/// What became of one way through a scenario.
#[derive(Clone, Debug)]
pub struct ScenarioRun {
    /// Scenario id.
    pub id: String,
    /// Title.
    pub title: String,
    /// File.
    pub file: String,
    /// Label of the app.
    pub app: String,
    /// Virtual user.
    pub vu: u32,
    /// Iteration of that virtual user.
    pub iteration: u32,
    /// `Pass`, `Fail` (an expectation), `CouldNotRun`, `NotApplicable` or `Error`.
    pub outcome: Outcome,
    /// Why, where it is not a pass.
    pub reason: Option<String>,
    /// Cut short by a stop or by the end of the load.
    pub stopped: bool,
    /// Expectations that did not hold.
    pub failures: Vec<ExpectationFailure>,
    /// Clean-up that failed.
    pub cleanup_failures: Vec<String>,
    /// Requests sent.
    pub requests: u64,
    /// Duration, clean-up left out.
    pub elapsed: Duration,
    /// Planned begin; `None` where nothing is planned.
    pub planned: Option<Instant>,
    /// Actual begin.
    pub began: Instant,
    /// Conversations that it created and did not delete, be it for want of time or because deleting failed. None where
    /// they are kept on purpose.
    pub left: u64,
}

impl ScenarioRun {
    /// A run that sent nothing.
    pub fn empty(scenario: &Scenario, app: &str, visit: &Visit, outcome: Outcome, reason: Option<String>) -> Self {
        ScenarioRun {
            id: scenario.id.clone(),
            title: scenario.title.clone(),
            file: scenario.file.clone(),
            app: app.to_owned(),
            vu: visit.vu,
            iteration: visit.iteration,
            outcome,
            reason,
            stopped: false,
            failures: Vec::new(),
            cleanup_failures: Vec::new(),
            requests: 0,
            elapsed: Duration::ZERO,
            planned: visit.planned,
            began: Instant::now(),
            left: 0,
        }
    }
}

impl From<ScenarioRun> for ScenarioResult {
    fn from(run: ScenarioRun) -> Self {
        ScenarioResult {
            id: run.id,
            title: run.title,
            file: run.file,
            app: run.app,
            outcome: run.outcome,
            reason: run.reason,
            failures: run.failures,
            cleanup_failures: run.cleanup_failures,
            requests: run.requests,
            elapsed_ms: u64::try_from(run.elapsed.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// Why a scenario does not apply to an app; `None` when it does. Whether there is a second app is for the caller.
pub fn not_applicable(scenario: &Scenario, app: &App) -> Option<String> {
    let Some(mode) = app.mode else {
        return Some("the mode of the app is not known".to_owned());
    };
    if !scenario.apps.contains(&mode) {
        let modes: Vec<&str> = scenario.apps.iter().map(|m| m.as_str()).collect();
        return Some(format!("it is for {} apps, this is a {mode} app", modes.join(", ")));
    }
    scenario.needs.iter().find_map(|need| match need {
        Need::TextInput if app.text_input().is_none() => Some("the app declares no text input".to_owned()),
        Need::RequiredInput if app.required_input().is_none() => Some("the app declares no required input".to_owned()),
        Need::NoRequiredInput => {
            app.required_input().map(|f| format!("the app declares a required input, `{}`", f.variable))
        }
        Need::Blocking if !mode.can_block() => Some(format!("{mode} apps have no blocking mode")),
        Need::LimitedInput if app.limited_input().is_none() => {
            Some("the app declares no text input with a greatest length".to_owned())
        }
        Need::SelectInput if app.input_of(ControlKind::Select).is_none() => {
            Some("the app declares no select".to_owned())
        }
        Need::NumberInput if app.input_of(ControlKind::Number).is_none() => {
            Some("the app declares no number input".to_owned())
        }
        Need::DefaultInput if app.defaulted_input().is_none() => {
            Some("the app declares no optional input with a default".to_owned())
        }
        Need::TextInput | Need::RequiredInput | Need::Blocking | Need::OtherApp => None,
        Need::LimitedInput | Need::SelectInput | Need::NumberInput | Need::DefaultInput => None,
    })
}

/// What one way through a scenario has noted so far.
#[derive(Default)]
pub(super) struct Log {
    pub failures: Vec<ExpectationFailure>,
    pub cleanup_failures: Vec<String>,
    pub requests: u64,
    /// Conversations that turns created: id and end user.
    pub conversations: Vec<(String, String)>,
    /// Captures that did not come: name and why.
    pub missing: Vec<(String, String)>,
    /// Conversations that could not be deleted.
    pub left: u64,
}

/// One way through a scenario, while it lasts.
pub(super) struct Walk<'s> {
    pub session: &'s Session,
    pub scenario: &'s Scenario,
    pub app: &'s AppTarget,
    pub visit: &'s Visit,
    pub filled: Result<Map<String, Value>, String>,
    log: Mutex<Log>,
}

impl Walk<'_> {
    /// The notes; never held over an await.
    pub fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A seed that is different for every iteration of every virtual user.
    pub fn seed(&self, what: &str) -> u64 {
        seed::derive(self.session.seed, &scope::place(self.scenario, self.app, self.visit, what))
    }
}

/// Runs a scenario once on one app of the target, clean-up included, and tells the sink.
pub async fn run_scenario(session: &Session, scenario: &Scenario, app: usize, visit: Visit) -> ScenarioRun {
    session.let_the_judge_keep_up(&visit.stop).await;
    session.progress.runs_started.fetch_add(1, Relaxed);
    let run = match session.target.apps.get(app) {
        None => {
            let reason = format!("there is no app number {app}");
            ScenarioRun::empty(scenario, "", &visit, Outcome::Error, Some(reason))
        }
        Some(app) => match not_applicable(scenario, &app.app) {
            Some(reason) => ScenarioRun::empty(scenario, &app.app.label, &visit, Outcome::NotApplicable, Some(reason)),
            None => walk(session, scenario, app, &visit).await,
        },
    };
    session.conclude(&run);
    run
}

async fn walk(session: &Session, scenario: &Scenario, app: &AppTarget, visit: &Visit) -> ScenarioRun {
    let began = Instant::now();
    // Different apps get different values, so that what one stores is not taken for another's.
    let place = format!("{}@{}", scenario.id, app.app.label);
    let renderer = Renderer::for_iteration(session.seed, &place, visit.vu.into(), visit.iteration.into());
    let walk =
        Walk { session, scenario, app, visit, filled: form::fill(&app.app.inputs, &renderer), log: Mutex::default() };
    let base = session.names_on(app);
    let mut lane = match scope::start(&session.run_id, scenario, app, visit, &renderer, &base) {
        Ok(names) => Lane::new(names, base, renderer, visit.stop.clone()).due(visit.planned),
        Err(error) => {
            return ScenarioRun::empty(scenario, &app.app.label, visit, Outcome::CouldNotRun, Some(error.to_string()));
        }
    };
    let ended = run_in_order(&walk, &mut lane, &scenario.steps).await.err();
    let elapsed = began.elapsed();
    if cleanup::is_due(&walk) {
        // On the heap: few streams need it, and all of them would carry its size.
        Box::pin(cleanup::run(&walk, lane)).await;
    }
    ScenarioRun { began, elapsed, ..conclude(&walk, ended) }
}

fn conclude(walk: &Walk<'_>, ended: Option<Halt>) -> ScenarioRun {
    let log = std::mem::take(&mut *walk.log());
    let stopped = matches!(ended, Some(Halt::Stopped));
    let unfit = matches!(ended, Some(Halt::NotApplicable(_)));
    let broken = matches!(ended, Some(Halt::Broken(_)));
    let halted = ended.map(|halt| match halt {
        Halt::Stopped => "stopped before its end".to_owned(),
        Halt::CouldNotRun(reason) | Halt::Unreachable(reason) => reason,
        Halt::NotApplicable(reason) | Halt::Broken(reason) => reason,
    });
    let failed = log.failures.len();
    let (outcome, reason) = match (failed, halted) {
        (0, None) => (Outcome::Pass, None),
        (_, Some(reason)) if broken => (Outcome::Error, Some(reason)),
        (0, Some(reason)) if unfit => (Outcome::NotApplicable, Some(reason)),
        (0, Some(reason)) => (Outcome::CouldNotRun, Some(reason)),
        (_, None) => (Outcome::Fail, Some(count(failed))),
        (_, Some(reason)) => (Outcome::Fail, Some(format!("{}; then: {reason}", count(failed)))),
    };
    ScenarioRun {
        stopped,
        failures: log.failures,
        cleanup_failures: log.cleanup_failures,
        requests: log.requests,
        left: log.left,
        ..ScenarioRun::empty(walk.scenario, &walk.app.app.label, walk.visit, outcome, reason)
    }
}

fn count(failed: usize) -> String {
    match failed {
        1 => "1 expectation does not hold".to_owned(),
        n => format!("{n} expectations do not hold"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AppMode, InputField};

    fn scenario(needs: Vec<Need>) -> Scenario {
        let text = "difyprobe: 1\nid: a.b\ntitle: T\ntarget: {app: [chat, agent-chat], mode: streaming}\nsteps: [{id: s, info: }]\n";
        Scenario { needs, ..crate::scenario::parse("a.yaml", text).unwrap() }
    }

    fn app(mode: AppMode, required: bool) -> App {
        let field = InputField {
            variable: "name".into(),
            kind: ControlKind::Text,
            required,
            max_length: None,
            options: vec![],
            default: None,
        };
        let inputs = if required { vec![field] } else { vec![] };
        App { label: "x".into(), mode: Some(mode), inputs, form_known: true, server_version: None }
    }

    /// Ten thousand open streams hold ten thousand of these.
    #[test]
    fn what_an_open_stream_holds_is_small() {
        let app = AppTarget { app: app(AppMode::Chat, false), key: "k".into() };
        let target = super::super::Target { base_url: "http://127.0.0.1:1/v1".into(), apps: vec![app.clone()] };
        let options = super::super::SessionOptions {
            client: crate::client::Options::default(),
            run_id: "r".into(),
            seed: 1,
            stop: CancellationToken::new(),
            pace: Default::default(),
            keep: false,
            grace: Duration::ZERO,
            first_id: 1,
        };
        let session = Session::new(target, options, super::super::Sink::collect());
        let scenario = scenario(vec![]);
        let visit = Visit::first(CancellationToken::new());
        let whole = size_of_val(&run_scenario(&session, &scenario, 0, visit.clone()));
        assert!(whole < 8 << 10, "{whole} bytes");
    }

    #[test]
    fn a_scenario_applies_by_mode_and_by_what_the_app_declares() {
        let why = |needs: Vec<Need>, app: &App| not_applicable(&scenario(needs), app);
        assert_eq!(why(vec![], &app(AppMode::Chat, false)), None);
        let other = why(vec![], &app(AppMode::Workflow, false)).unwrap();
        assert_eq!(other, "it is for chat, agent-chat apps, this is a workflow app");
        assert_eq!(why(vec![Need::TextInput, Need::RequiredInput], &app(AppMode::Chat, true)), None);
        assert!(why(vec![Need::TextInput], &app(AppMode::Chat, false)).is_some());
        assert!(why(vec![Need::RequiredInput], &app(AppMode::Chat, false)).is_some());
        assert!(why(vec![Need::NoRequiredInput], &app(AppMode::Chat, true)).unwrap().contains("`name`"));
        assert_eq!(why(vec![Need::Blocking], &app(AppMode::Chat, false)), None);
        assert!(why(vec![Need::Blocking], &app(AppMode::AgentChat, false)).is_some());
    }
}
