//! The kill matrix: the one place where mutants of the emulator and rules of the catalogue meet.

use super::examine::{Examination, ExamineError, Request, prepare};
use super::select::Choice;
use crate::client::Options;
use crate::emulator::{self, AppKind, Config, Mutant, ServeError};
use crate::flow::{Given, Sink};
use crate::model::{AppMode, Outcome};
use crate::profile::Profile;
use crate::rules::{self, judge::judge};
use crate::scenario::ast::Scenario;
use serde::Serialize;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// What became of one mutant.
#[derive(Clone, Debug, Serialize)]
pub struct Kill {
    /// Mutant id.
    pub mutant: String,
    /// What it breaks, in one sentence.
    pub what: String,
    /// Victims that noticed.
    pub killed_by: Vec<String>,
    /// Victims that did not notice.
    pub survived: Vec<String>,
    /// Rules that noticed without being named as victims.
    pub others: Vec<String>,
    /// Why it could not be examined.
    pub error: Option<String>,
    /// How often it was examined: more than once when the first look, in a crowd of servers, was not clean.
    pub looks: u32,
}

impl Kill {
    /// Every victim noticed, and nobody else.
    pub fn clean(&self) -> bool {
        self.error.is_none() && self.survived.is_empty() && self.others.is_empty() && !self.killed_by.is_empty()
    }
}

/// A healthy emulator, examined.
#[derive(Clone, Debug, Serialize)]
pub struct Health {
    /// Profile id.
    pub profile: String,
    /// `rule/check: message` of every finding that is no known deviation of the profile, and rules that could not be run.
    pub findings: Vec<String>,
    /// How often it was examined, as of a [`Kill`].
    pub looks: u32,
}

/// The whole matrix.
#[derive(Clone, Debug, Serialize)]
pub struct Matrix {
    /// One row per mutant.
    pub kills: Vec<Kill>,
    /// One row per profile.
    pub healthy: Vec<Health>,
    /// Rules of the catalogue that no mutant names.
    pub unproven: Vec<String>,
}

impl Matrix {
    /// All killed, nothing noticed on healthy servers, every rule proven.
    pub fn passes(&self) -> bool {
        self.kills.iter().all(Kill::clean)
            && self.healthy.iter().all(|h| h.findings.is_empty())
            && self.unproven.is_empty()
    }
}

/// Which part of the matrix is run.
pub struct Part<'p> {
    /// The mutants.
    pub wanted: &'p dyn Fn(&Mutant) -> bool,
    /// Also the healthy servers, and whether every rule has a mutant.
    pub whole: bool,
}

/// Runs the whole matrix for the mutants that `wanted` accepts, `at_once` servers at a time. `done` is told after each.
pub async fn run(
    suite: Vec<Arc<Scenario>>,
    at_once: usize,
    stop: &CancellationToken,
    wanted: &dyn Fn(&Mutant) -> bool,
    done: Arc<dyn Fn(&str) + Send + Sync>,
) -> Matrix {
    run_part(suite, at_once, stop, Part { wanted, whole: true }, done).await
}

/// Most examinations of one server. A rule about time can be misled when dozens of servers share two cores: what was not
/// clean in the crowd is looked at again alone, and the number of looks is told. What is really broken stays so.
const LOOKS: u32 = 3;

/// As [`run`], a part of it.
pub async fn run_part(
    suite: Vec<Arc<Scenario>>,
    at_once: usize,
    stop: &CancellationToken,
    part: Part<'_>,
    done: Arc<dyn Fn(&str) + Send + Sync>,
) -> Matrix {
    let slots = Arc::new(Semaphore::new(at_once.max(1)));
    // the healthy servers wait for the slowest silences: they come first
    let mut healthy_tasks = JoinSet::new();
    for profile in emulator::Profile::ALL.into_iter().filter(|_| part.whole) {
        healthy_tasks.spawn(health(profile, suite.clone(), stop.clone()));
    }
    let mut tasks = JoinSet::new();
    let mutants: Vec<&'static Mutant> = emulator::all_mutants().filter(|m| (part.wanted)(m)).collect();
    for (index, mutant) in mutants.iter().copied().enumerate() {
        let (slots, suite, stop, done) = (Arc::clone(&slots), suite.clone(), stop.clone(), Arc::clone(&done));
        tasks.spawn(async move {
            let _slot = slots.acquire_owned().await;
            let kill = kill(mutant, suite, stop).await;
            done(mutant.id);
            (index, kill)
        });
    }
    let mut kills: Vec<(usize, Kill)> = Vec::new();
    while let Some(finished) = tasks.join_next().await {
        kills.extend(finished);
    }
    kills.sort_by_key(|(index, _)| *index);
    let mut kills: Vec<Kill> = kills.into_iter().map(|(_, kill)| kill).collect();
    let mut healthy = Vec::new();
    while let Some(finished) = healthy_tasks.join_next().await {
        healthy.extend(finished);
    }
    for (kill, mutant) in kills.iter_mut().zip(mutants.iter().copied()) {
        while !kill.clean() && kill.looks < LOOKS && !stop.is_cancelled() {
            *kill = Kill { looks: kill.looks + 1, ..self::kill(mutant, suite.clone(), stop.clone()).await };
        }
    }
    for (profile, row) in &mut healthy {
        while !row.findings.is_empty() && row.looks < LOOKS && !stop.is_cancelled() {
            let (_, again) = health(*profile, suite.clone(), stop.clone()).await;
            *row = Health { looks: row.looks + 1, ..again };
        }
    }
    let mut healthy: Vec<Health> = healthy.into_iter().map(|(_, row)| row).collect();
    healthy.sort_by(|a, b| a.profile.cmp(&b.profile));
    let named: BTreeSet<&str> = mutants.iter().flat_map(|m| m.victims.iter().copied()).collect();
    let unproven = rules::catalogue().map(|r| r.id).filter(|id| part.whole && !named.contains(id));
    let unproven = unproven.map(str::to_owned).collect();
    Matrix { kills, healthy, unproven }
}

/// Why an emulator could not be examined.
#[derive(Debug, thiserror::Error)]
enum TrialError {
    #[error(transparent)]
    Serve(#[from] ServeError),
    #[error(transparent)]
    Examine(#[from] ExamineError),
}

async fn examine(
    config: Config,
    suite: Vec<Arc<Scenario>>,
    slow: bool,
    stop: CancellationToken,
) -> Result<Examination, TrialError> {
    let profile = Profile::by_id(config.profile.id());
    let server = emulator::start(config).await?;
    let request = Request {
        base_url: server.base_url(),
        keys: keys_of(&server),
        profile,
        choice: Choice { scenarios: suite, slow, whole_suite: true, ..Choice::default() },
        seed: 1,
        run_id: None,
        keep: false,
        think: false,
        client: Options { epoch: Instant::now(), max_in_flight: 48, ..Options::default() },
        at_once: 0,
        stop,
    };
    let examination = prepare(request, Sink::collect()).await?.run().await?;
    server.stop().await;
    Ok(examination)
}

/// The keys of an emulator, as a user would give them.
pub fn keys_of(server: &emulator::Running) -> Vec<Given> {
    let given = |(label, key): &(String, String)| Given {
        label: Some(label.clone()),
        key: key.clone(),
        mode: label.parse::<AppKind>().ok().and_then(|kind| AppMode::parse(kind.mode().wire())),
    };
    server.keys().iter().map(given).collect()
}

/// A rule id and a line about it.
type Row = (&'static str, String);

/// Rules with a finding that the profile does not excuse, and those that could not be run.
fn noticed(examination: &Examination) -> (Vec<Row>, Vec<Row>) {
    let planned =
        |rule: &rules::Rule, app: &crate::model::App| examination.selection.planned(rule, app, &examination.runs);
    let judgements = judge(&examination.transcript, examination.profile.0, &planned);
    let red = |o: Outcome| matches!(o, Outcome::Fail | Outcome::Warn);
    let mut found = Vec::new();
    let mut stuck = Vec::new();
    for judgement in judgements {
        if let Some(finding) = judgement.findings.iter().find(|f| red(f.outcome)) {
            found.push((judgement.rule.id, format!("{}/{}: {}", finding.rule, finding.check, finding.message)));
        } else if judgement.outcome == Outcome::CouldNotRun {
            stuck.push((judgement.rule.id, format!("{}: {}", judgement.rule.id, judgement.reason.unwrap_or_default())));
        }
    }
    (found, stuck)
}

/// The apps that a mutant is served with: those that show it, and one more for rules about two apps.
fn apps_of(mutant: &Mutant) -> Vec<AppKind> {
    match mutant.app {
        AppKind::Chat | AppKind::Completion => vec![AppKind::Chat, AppKind::Completion],
        AppKind::Workflow => vec![AppKind::Workflow, AppKind::WorkflowLlm],
        // two apps with conversations
        AppKind::ChatPlain => vec![AppKind::ChatPlain, AppKind::Chat],
        other => vec![other],
    }
}

async fn kill(mutant: &'static Mutant, suite: Vec<Arc<Scenario>>, stop: CancellationToken) -> Kill {
    let mut row = Kill {
        mutant: mutant.id.to_owned(),
        what: mutant.what.to_owned(),
        killed_by: Vec::new(),
        survived: Vec::new(),
        others: Vec::new(),
        error: None,
        looks: 1,
    };
    let slow = mutant.slow || mutant.victims.iter().any(|v| v.starts_with("sse.ping"));
    let config = Config {
        profile: mutant.profile,
        apps: apps_of(mutant),
        seed: 1,
        tts_autoplay: mutant.tts_autoplay,
        turns_at_once: Some(emulator::TURNS_AT_ONCE),
        mutant: Some(mutant),
        ..Config::default()
    };
    match examine(config, suite, slow, stop).await {
        Err(error) => row.error = Some(error.to_string()),
        Ok(examination) => {
            let (found, _) = noticed(&examination);
            let noticed = |id: &str| found.iter().any(|(rule, _)| *rule == id);
            let victims = mutant.victims.iter().map(|v| (*v).to_owned());
            (row.killed_by, row.survived) = victims.partition(|v| noticed(v));
            if !mutant.cascades {
                row.others =
                    found.into_iter().filter(|(id, _)| !mutant.victims.contains(id)).map(|(_, text)| text).collect();
            }
        }
    }
    row
}

async fn health(
    profile: emulator::Profile,
    suite: Vec<Arc<Scenario>>,
    stop: CancellationToken,
) -> (emulator::Profile, Health) {
    let config = Config { profile, seed: 1, turns_at_once: Some(emulator::TURNS_AT_ONCE), ..Config::default() };
    let findings = match examine(config, suite, true, stop).await {
        Err(error) => vec![error.to_string()],
        Ok(examination) => {
            let (found, stuck) = noticed(&examination);
            let failed = examination.runs.iter().filter(|r| matches!(r.outcome, Outcome::Fail | Outcome::Error));
            let failed = failed.map(|r| format!("scenario {} on {}: {:?} {:?}", r.id, r.app, r.reason, r.failures));
            found.into_iter().chain(stuck).map(|(_, text)| text).chain(failed).collect()
        }
    };
    (profile, Health { profile: profile.id().to_owned(), findings, looks: 1 })
}
