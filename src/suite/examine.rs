//! One examination of one target: discovery, the scenarios through the engine, the recording.

use super::select::{Choice, Selection};
use crate::client::Options;
use crate::engine::{self, EngineError, Plan, Shape};
use crate::flow::{Given, Pace, ScenarioRun, Session, SessionOptions, Sink, explore};
use crate::model::{App, Exchange, Transcript};
use crate::profile::Profile;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio_util::sync::CancellationToken;

/// What to examine, and how.
pub struct Request {
    /// Base URL of the target.
    pub base_url: String,
    /// Keys of the apps.
    pub keys: Vec<Given>,
    /// Profile, or `None` to pick by the server's version.
    pub profile: Option<&'static Profile>,
    /// Scenarios.
    pub choice: Choice,
    /// Seed of everything made up.
    pub seed: u64,
    /// Id of the run, part of the default end users; `None` makes up a new one. Shards of a load share theirs.
    pub run_id: Option<String>,
    /// Leave what was created on the server.
    pub keep: bool,
    /// Sleep the think times of the scenarios: right for a load, a waste of time for a check.
    pub think: bool,
    /// Settings of the client: limits, requests at once, caps.
    pub client: Options,
    /// Scenarios under way at the same time.
    pub at_once: usize,
    /// Stops everything.
    pub stop: CancellationToken,
}

/// Why a target could not be examined.
#[derive(Debug, thiserror::Error)]
pub enum ExamineError {
    /// The target cannot be asked anything, or no scenario fits its apps.
    #[error("{reason}")]
    Unexamined {
        /// What was asked, what came, what to do.
        reason: String,
        /// Discovery's exchanges.
        transcript: Box<Transcript>,
    },
    /// The engine refused.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// A target that answered, ready to be run.
pub struct Prepared {
    /// The session; its progress can be watched.
    pub session: Arc<Session>,
    /// What will run.
    pub selection: Selection,
    /// Profile in force, and why.
    pub profile: (&'static Profile, String),
    /// What a reader of the report should know.
    pub notes: Vec<String>,
    started: (SystemTime, Instant),
    first: Vec<Exchange>,
    at_once: usize,
}

/// What an examination gave.
pub struct Examination {
    /// The recording.
    pub transcript: Transcript,
    /// One entry per scenario and app.
    pub runs: Vec<ScenarioRun>,
    /// What ran.
    pub selection: Selection,
    /// Profile in force, and why.
    pub profile: (&'static Profile, String),
    /// What a reader of the report should know.
    pub notes: Vec<String>,
    /// Faults of our own.
    pub harness_errors: Vec<String>,
    /// It was stopped.
    pub interrupted: bool,
    /// Duration.
    pub elapsed: Duration,
}

/// Discovers the target and lays the scenarios over its apps.
///
/// # Errors
/// The target cannot be asked anything, or no scenario fits.
pub async fn prepare(request: Request, sink: Sink) -> Result<Prepared, ExamineError> {
    let started = (SystemTime::now(), request.client.epoch);
    let new_id = || format!("{:08x}", fastrand::Rng::with_seed(request.seed ^ unix_us(started.0)).u32(..));
    let run_id = request.run_id.clone().unwrap_or_else(new_id);
    let options = |first_id| SessionOptions {
        client: request.client.clone(),
        run_id: run_id.clone(),
        seed: request.seed,
        stop: request.stop.clone(),
        pace: Pace { honour_think: request.think },
        keep: request.keep,
        grace: Duration::from_secs(5),
        first_id,
    };
    let recorded = |apps, exchanges| {
        let transcript = Transcript::new(request.base_url.clone(), unix_us(started.0));
        Box::new(Transcript { apps, exchanges, ..transcript })
    };
    let discovery = explore(&request.base_url, &request.keys, options(1)).await.map_err(|failed| {
        let reason = failed.error.to_string();
        ExamineError::Unexamined { reason, transcript: recorded(Vec::new(), failed.exchanges) }
    })?;
    let first_id = discovery.exchanges.iter().map(|e| e.id).max().unwrap_or(0) + 1;
    let version = discovery.target.apps.iter().find_map(|a| a.app.server_version.as_deref());
    let profile = match request.profile {
        Some(profile) => (profile, "asked for by --profile".to_owned()),
        None => Profile::for_version(version),
    };
    let mut notes = discovery.notes;
    let selection = Selection::new(request.choice.clone(), &discovery.target);
    if selection.jobs.is_empty() {
        let apps: Vec<App> = discovery.target.apps.into_iter().map(|a| a.app).collect();
        let transcript = recorded(apps, discovery.exchanges);
        return Err(ExamineError::Unexamined { reason: selection.why_nothing_fits(), transcript });
    }
    if profile.0.window.is_none() && version.is_some() {
        notes.push(format!("{}: judged by the documentation", profile.1));
    }
    let session = Arc::new(Session::new(discovery.target, options(first_id), sink));
    let first = discovery.exchanges;
    Ok(Prepared { session, selection, profile, notes, started, first, at_once: request.at_once })
}

impl Prepared {
    /// Runs every job once and gives the whole recording.
    ///
    /// # Errors
    /// The engine refused.
    pub async fn run(self) -> Result<Examination, ExamineError> {
        let shape = Shape::Once { at_once: self.at_once };
        let plan = Plan { jobs: self.selection.jobs.clone(), shape, grace: Duration::from_secs(5) };
        let result = engine::run(plan, Arc::clone(&self.session)).await?;
        let mut transcript = self.transcript();
        transcript.exchanges.extend(self.session.take_exchanges());
        Ok(Examination {
            transcript,
            runs: result.runs,
            harness_errors: result.harness_messages,
            interrupted: result.interrupted,
            selection: self.selection,
            profile: self.profile,
            notes: self.notes,
            elapsed: self.started.1.elapsed(),
        })
    }

    /// The recording so far: the target and discovery's exchanges.
    pub fn transcript(&self) -> Transcript {
        let mut transcript = Transcript::new(self.session.target.base_url.clone(), unix_us(self.started.0));
        transcript.profile = Some(self.profile.0.id.to_owned());
        transcript.complete = true;
        transcript.apps = self.session.target.apps.iter().map(|a| a.app.clone()).collect();
        transcript.exchanges = self.first.clone();
        transcript
    }
}

fn unix_us(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |d| u64::try_from(d.as_micros()).unwrap_or(u64::MAX))
}
