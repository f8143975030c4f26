//! One load from its plan to its report and its folder of results.

use super::args::LoadArgs;
use super::exit::Failure;
use super::load_plan::Planned;
use super::load_watch::LoadWatch;
use super::output::{chain, save_in};
use super::target::{self, Chosen};
use super::unexamined::Unexamined;
use crate::engine::{EngineError, StartAt};
use crate::metrics::summary::{ClientHealth, JudgedCounts, LoadSummary, RunIdentity, ScenarioShare, ShardName};
use crate::metrics::{LoadParts, StageCounts, summarise};
use crate::report::run::RunReport;
use crate::rules::judge::Planned as Meant;
use crate::store::{self, Barrier};
use crate::suite::load::{Drive, DriveError, Driven, drive};
use crate::suite::report::build_load;
use crate::suite::select::NOT_ASKED;
use crate::suite::{Choice, ExamineError, Facts, Request, RuleFilter};
use crate::workload::{Arrivals, Shard, Workload};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Bytes kept of a response body.
const KEEP_BODY: usize = 1 << 20;
/// How long a shard waits for the others.
const MEETING: Duration = Duration::from_secs(120);

/// Runs the load; gives its report, and why some of its results could not be saved.
pub async fn attack(
    args: &LoadArgs,
    planned: Planned,
    folder: &Path,
    command: String,
    stop: &CancellationToken,
) -> Result<(RunReport, Option<Failure>), Failure> {
    let mut chosen = target::choose(&args.target, planned.seed).await?;
    // Most responses of a load are judged and dropped, but many wait for that at the same time.
    chosen.client.keep_total = u64::MAX;
    chosen.client.keep_body = KEEP_BODY;
    // Scenarios are limited, not requests.
    chosen.client.max_in_flight = usize::MAX >> 4;
    let scenarios = planned.scenarios.iter().map(|(scenario, _)| Arc::clone(scenario)).collect();
    let choice = Choice { scenarios, slow: true, ..Choice::default() };
    let watch = Arc::new(LoadWatch::new(folder, (args.output.quiet, args.no_live), &planned.workload, stop));
    // Together shards are one run: what they send does not depend on which of them sends it.
    let run_id = (planned.shard != Shard::WHOLE).then(|| planned.config_hash.chars().take(8).collect());
    let request = Request { run_id, ..chosen.request(choice.clone(), args.target.keep, stop) };
    let driven = drive(Drive {
        request,
        workload: planned.workload.clone(),
        shares: planned.scenarios.iter().map(|(scenario, share)| (scenario.id.clone(), *share)).collect(),
        seed: planned.seed,
        shard: planned.shard,
        start: start(&planned),
        watch: watch.clone(),
    })
    .await;
    watch.close();
    let driven = match driven {
        Ok(driven) => driven,
        Err(DriveError::Examine(ExamineError::Unexamined { reason, transcript })) => {
            let (reason, transcript, interrupted) = (&reason, &*transcript, stop.is_cancelled());
            let (chosen, choice, strict) = (&chosen, &choice, args.strict);
            let nothing = Unexamined { command: "load", chosen, choice, reason, transcript, interrupted, strict };
            return Ok((nothing.report(), None));
        }
        Err(error) => return Err(could_not_run(&error)),
    };
    conclude(args, &planned, &chosen, folder, command, &watch, driven)
}

fn could_not_run(error: &DriveError) -> Failure {
    match error {
        DriveError::Examine(ExamineError::Engine(engine)) => match engine {
            EngineError::Alone { .. } => Failure::incomplete(chain(engine)),
            EngineError::Barrier(_) | EngineError::Late { .. } => Failure::usage(chain(engine)),
            EngineError::Nothing(_) | EngineError::Goose(_) | EngineError::Schedule => Failure::internal(chain(engine)),
        },
        DriveError::Schedule(_) => Failure::usage(format!("the schedule cannot be made: {}", chain(error))),
        _ => Failure::internal(chain(error)),
    }
}

fn start(planned: &Planned) -> StartAt {
    match (&planned.barrier, planned.start_at_unix_us) {
        (Some(folder), _) => {
            let barrier = Barrier::new(folder, planned.shard.index, planned.shard.count);
            StartAt::Barrier { barrier, timeout: MEETING }
        }
        (None, Some(at)) => StartAt::Unix(at),
        (None, None) => StartAt::Now,
    }
}

/// Sums up, saves, and makes the report.
fn conclude(
    args: &LoadArgs,
    planned: &Planned,
    chosen: &Chosen,
    folder: &Path,
    command: String,
    watch: &LoadWatch,
    mut driven: Driven,
) -> Result<(RunReport, Option<Failure>), Failure> {
    let summary = summary(planned, command, &driven);
    watch.append(&driven.ticked.rest, summary.started_unix_us);
    let mut unsaved = watch.problem().map(Failure::usage);
    let written = store::write_results(folder, &summary, driven.recorder.cells());
    unsaved = written.err().map(|e| Failure::usage(chain(&e))).or(unsaved);
    driven.gathered.transcript.complete = false;
    let saved = match save_in(folder, "transcript.json", &driven.gathered.transcript) {
        Ok(path) => Some(path),
        Err(failure) => {
            unsaved = unsaved.or(Some(failure));
            None
        }
    };
    let mut notes = chosen.notes.clone();
    notes.extend(planned.notes.clone());
    notes.extend(driven.prepared.notes.clone());
    notes.extend(leftovers(&driven));
    let facts = Facts {
        command: "load",
        profile: driven.prepared.profile.clone(),
        planned: &|_, _| Meant::No(NOT_ASKED.to_owned()),
        whole_suite: false,
        scenarios: std::mem::take(&mut driven.gathered.scenarios),
        notes,
        harness_errors: driven.result.harness_messages.clone(),
        interrupted: driven.result.interrupted,
        strict: args.strict,
        elapsed_ms: u64::try_from(driven.result.elapsed.as_millis()).unwrap_or(u64::MAX),
        rules: &RuleFilter::default(),
        baseline: None,
        saved_as: saved,
    };
    let transcript = &driven.gathered.transcript;
    let every = driven.gathered.tally.judgements(&transcript.apps);
    Ok((build_load(transcript, facts, every, summary, driven.requests), unsaved))
}

/// What a reader should know about the end of the run.
fn leftovers(driven: &Driven) -> Vec<String> {
    let mut notes = Vec::new();
    if driven.result.unfinished > 0 {
        notes.push(format!(
            "{} scenarios were under way when the drain was over and were cut",
            driven.result.unfinished
        ));
    }
    let left = driven.gathered.left;
    if left > 0 {
        notes.push(format!("{left} conversations are left on the server: they could not be deleted in time"));
    }
    notes
}

fn summary(planned: &Planned, command: String, driven: &Driven) -> LoadSummary {
    let workload = &planned.workload;
    let counts = |b: &crate::engine::Begun| StageCounts { planned: b.planned, begun: b.begun, dropped: b.dropped };
    let arrivals: Vec<StageCounts> = driven.result.stages.iter().map(counts).collect();
    let result = &driven.result;
    let micros = |d: Duration| u64::try_from(d.as_micros()).unwrap_or(u64::MAX);
    let start = result.start;
    let since_start = start.map_or(Duration::ZERO, |start| start.at.elapsed());
    summarise(LoadParts {
        identity: identity(planned, command, driven),
        started_unix_us: start.map_or(driven.gathered.transcript.started_unix_us, |start| start.unix_us),
        elapsed_us: micros(since_start.min(result.elapsed)),
        ended_us: micros(result.begun_for),
        ended_early: ended_early(workload, driven),
        stopped: driven.ticked.stopped,
        stages: &driven.stages,
        arrivals: &arrivals,
        cells: driven.recorder.cells(),
        timeline: &driven.ticked.timeline,
        objectives: &workload.slos,
        aborted: driven.ticked.aborted,
        conditions: &workload.validity,
        client: ClientHealth { unfinished: result.unfinished, panics: result.panics, ..driven.ticked.health.summary() },
        judged: JudgedCounts {
            judged: driven.gathered.judged,
            responses: driven.gathered.judged + driven.not_judged,
            sampled: driven.gathered.transcript.exchanges.len() as u64,
        },
    })
}

fn ended_early(workload: &Workload, driven: &Driven) -> Option<String> {
    let interrupted = driven.result.interrupted.then(|| "interrupted".to_owned());
    let limit = workload.requests.filter(|limit| driven.recorder.running().requests >= *limit);
    let limit = limit.map(|limit| format!("{limit} requests were asked for"));
    driven.ticked.ended_early.clone().or(interrupted).or(limit)
}

fn identity(planned: &Planned, command: String, driven: &Driven) -> RunIdentity {
    let target = &driven.prepared.session.target;
    let apps: Vec<&str> = target.apps.iter().map(|a| a.app.label.as_str()).collect();
    let share = |job: &crate::engine::Job| ScenarioShare {
        id: job.scenario.id.clone(),
        app: apps.get(job.app).copied().unwrap_or_default().to_owned(),
        weight: job.weight,
    };
    RunIdentity {
        id: planned.workload.id.clone(),
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        model: match planned.workload.arrivals {
            Arrivals::Open { .. } => "open",
            Arrivals::Replay { .. } => "replay",
            Arrivals::Closed { .. } => "closed",
        }
        .to_owned(),
        seed: planned.seed,
        config_hash: planned.config_hash.clone(),
        base_url: target.base_url.clone(),
        profile: driven.prepared.profile.0.id.to_owned(),
        server_version: target.apps.iter().find_map(|a| a.app.server_version.clone()),
        scenarios: driven.prepared.selection.jobs.iter().map(share).collect(),
        shard: (planned.shard != Shard::WHOLE)
            .then_some(ShardName { index: planned.shard.index, count: planned.shard.count }),
        merged: Vec::new(),
        command,
    }
}
