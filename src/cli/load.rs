//! `load`: the scenarios as load, closed model.

use super::args::LoadArgs;
use super::exit::{Exit, Failure};
use super::output::{Outputs, chain, save_transcript};
use super::unexamined::Unexamined;
use super::{interrupt, load_plan, progress, scenarios, target};
use crate::engine::{self, EngineResult, Plan, Shape};
use crate::flow::{Session, Sink};
use crate::report::run::RunReport;
use crate::rules::judge::{Judgement, Planned};
use crate::rules::tally::Tally;
use crate::suite::live::{Gathered, gather};
use crate::suite::select::NOT_ASKED;
use crate::suite::{ExamineError, Facts, Request, RuleFilter, prepare};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Finished exchanges that may wait for the judging thread.
const QUEUE: usize = 8192;
/// Bytes kept of a response body.
const KEEP_BODY: usize = 1 << 20;
/// How long scenarios under way may go on when the duration is over.
const GRACE: Duration = Duration::from_secs(2);

/// Runs the load and reports.
pub fn run(args: LoadArgs) -> Result<Exit, Failure> {
    let planned = load_plan::plan(&args, &|name| std::env::var(name).ok())?;
    if planned.workload.arrivals.model() != "closed" || !planned.workload.file.is_empty() {
        return Err(Failure::usage("the engine of this build runs --users only"));
    }
    let outputs = Outputs::open(&args.output, "load")?;
    let runtime = tokio::runtime::Runtime::new().map_err(Failure::internal)?;
    let (report, unsaved) = runtime.block_on(attack(&args))?;
    outputs.finish(&report)?;
    unsaved.map_or(Ok(Exit::of(&report)), Err)
}

/// The report, and why the exchanges that it judged could not be saved.
async fn attack(args: &LoadArgs) -> Result<(RunReport, Option<Failure>), Failure> {
    let stop = CancellationToken::new();
    interrupt::on_signal(&stop);
    let mut chosen = target::choose(&args.target, fastrand::u64(..)).await?;
    // Most responses of a load are judged and dropped, but many wait for that at the same time.
    chosen.client.keep_total = u64::MAX;
    chosen.client.keep_body = KEEP_BODY;
    chosen.client.max_in_flight = args.target.max_in_flight.map_or(usize::MAX >> 4, |n| n as usize);
    let choice = scenarios::choose(&args.scenarios, true)?;
    let request = Request { think: true, ..chosen.request(choice.clone(), args.target.keep, &stop) };
    let (sender, receiver) = mpsc::channel(QUEUE);
    let prepared = match prepare(request, Sink::Channel(sender)).await {
        Ok(prepared) => prepared,
        Err(ExamineError::Engine(error)) => return Err(Failure::internal(chain(&error))),
        Err(ExamineError::Unexamined { reason, transcript }) => {
            let (reason, transcript, interrupted) = (&reason, &*transcript, stop.is_cancelled());
            let (chosen, choice, strict) = (&chosen, &choice, args.strict);
            let nothing = Unexamined { command: "load", chosen, choice, reason, transcript, interrupted, strict };
            return Ok((nothing.report(), None));
        }
    };
    let transcript = prepared.transcript();
    let tally = Tally::new(prepared.profile.0, &transcript.base_url, transcript.started_unix_us);
    let judging = std::thread::spawn(move || gather(receiver, transcript, tally));
    let shape = Shape::Closed {
        users: args.arrivals.users.unwrap_or(1),
        duration: args.arrivals.duration,
        iterations: args.arrivals.iterations,
        gate: None,
    };
    let plan = Plan { jobs: prepared.selection.jobs.clone(), shape, grace: GRACE };
    let shown = progress::show(prepared.session.clone(), progress::load);
    let result = engine::run(plan, Arc::clone(&prepared.session)).await.map_err(|e| Failure::internal(chain(&e)))?;
    drop(shown);
    let mut notes = chosen.notes.clone();
    notes.extend(prepared.notes.clone());
    notes.push(format!("seed {}", chosen.seed));
    let profile = prepared.profile.clone();
    let counts = Counts::of(&prepared.session);
    drop(prepared); // the last sender: ends the judging thread
    let mut gathered =
        judging.join().map_err(|_| Failure::internal("the judging thread panicked; please report this"))?;
    gathered.transcript.complete = false;
    let (saved, unsaved) = match save_transcript(&args.output, "load", &gathered.transcript) {
        Ok(path) => (Some(path), None),
        Err(failure) => (None, Some(failure)),
    };
    Ok((report(args, profile, notes, counts, gathered, result, saved), unsaved))
}

struct Counts {
    requests: u64,
    not_judged: u64,
}

impl Counts {
    fn of(session: &Session) -> Counts {
        let p = &session.progress;
        Counts { requests: p.requests.load(Relaxed), not_judged: p.not_judged.load(Relaxed) }
    }
}

fn report(
    args: &LoadArgs,
    profile: (&'static crate::profile::Profile, String),
    mut notes: Vec<String>,
    counts: Counts,
    gathered: Gathered,
    result: EngineResult,
    saved: Option<String>,
) -> RunReport {
    let seconds = result.elapsed.as_secs_f64();
    let totals = gathered.recorder.totals();
    notes.push(format!(
        "{} users, {:.1} s: {} requests ({:.1}/s), {} generations, {} failed{}",
        args.arrivals.users.unwrap_or(1),
        seconds,
        counts.requests,
        counts.requests as f64 / seconds.max(1e-9),
        totals.requests,
        totals.failed(),
        classes(&totals)
    ));
    notes.push(format!("judged {} of {} responses", gathered.judged, gathered.judged + counts.not_judged));
    let facts = Facts {
        command: "load",
        profile,
        planned: &|_, _| Planned::No(NOT_ASKED.to_owned()),
        whole_suite: false,
        scenarios: gathered.scenarios,
        notes,
        harness_errors: result.harness_messages,
        interrupted: result.interrupted,
        strict: args.strict,
        elapsed_ms: u64::try_from(result.elapsed.as_millis()).unwrap_or(u64::MAX),
        rules: &RuleFilter::default(),
        baseline: None,
        saved_as: saved,
    };
    let every: Vec<Judgement> = gathered.tally.judgements(&gathered.transcript.apps);
    crate::suite::report::build_load(&gathered.transcript, facts, every, &gathered.recorder, counts.requests)
}

fn classes(totals: &crate::metrics::Totals) -> String {
    let classes: Vec<String> = totals.failures.iter().map(|(class, n)| format!("{} {n}", class.as_str())).collect();
    if classes.is_empty() { String::new() } else { format!(" ({})", classes.join(", ")) }
}
