//! Judging a load while it runs: every response by the rules that need no other, a sample of whole exchanges by all.

use super::meter::Meter;
use crate::flow::{Finished, ScenarioRun};
use crate::metrics::{FailureClass, Sample, sample_parsed};
use crate::model::{App, Exchange, Outcome, Transcript};
use crate::report::run::{ExpectationFailure, ScenarioResult};
use crate::rules::tally::Tally;
use crate::sse::Parsed;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::mpsc::Receiver;

/// Exchanges kept from the start of the load for the rules that compare exchanges.
const SAMPLED: usize = 2000;
/// Bytes of response bodies after which the start of the load is kept no longer.
const SAMPLED_BYTES: u64 = 128 << 20;
/// Exchanges kept because a finding names them.
const EVIDENCE: usize = 200;
/// Failed expectations kept per scenario and app.
const FAILURES: usize = 20;
/// How long finished exchanges may gather before they are judged.
const BATCH: Duration = Duration::from_millis(2);

/// What a load gave to its judge.
pub struct Gathered {
    /// Sampled exchanges and those that findings name.
    pub transcript: Transcript,
    /// Verdicts over all judged responses.
    pub tally: Tally,
    /// Scenarios, runs folded.
    pub scenarios: Vec<ScenarioResult>,
    /// Exchanges that were judged.
    pub judged: u64,
    /// Conversations that were created and could not be deleted.
    pub left: u64,
}

/// Drains the channel until it is told that nothing follows. Blocks: run it on a thread of its own.
pub(super) fn gather(
    mut finished: Receiver<Finished>,
    mut transcript: Transcript,
    mut tally: Tally,
    meter: &Meter,
) -> Gathered {
    let mut runs: BTreeMap<(String, String), ScenarioResult> = BTreeMap::new();
    let (mut judged, mut kept_for_findings, mut kept_bytes, mut left) = (0, 0, 0, 0);
    let apps: Vec<App> = transcript.apps.clone();
    while let Some(item) = next(&mut finished) {
        match item {
            Finished::Over => break,
            Finished::Run(run) => {
                meter.run(&run);
                left += run.left;
                fold(&mut runs, *run);
            }
            Finished::Exchange(observed) => {
                judged += 1;
                let Some(app) = apps.iter().find(|a| a.label == observed.app) else { continue };
                let found = tally.judge_parsed(&observed, observed.parsed(), app);
                if found.broken {
                    meter.note_broken();
                }
                if let Some(sample) = measured(&observed, observed.parsed(), app, found.broken) {
                    meter.request(&observed, &sample);
                }
                let evidence = found.kept && kept_for_findings < EVIDENCE;
                let early = transcript.exchanges.len() < SAMPLED && kept_bytes < SAMPLED_BYTES;
                if early || evidence {
                    kept_for_findings += usize::from(evidence);
                    kept_bytes += observed.reply.as_ref().map_or(0, |r| r.body_bytes);
                    transcript.exchanges.push(Exchange::clone(&observed));
                }
            }
        }
    }
    Gathered { transcript, tally, scenarios: runs.into_values().collect(), judged, left }
}

/// What finds the judge's queue full is measured at once, and not judged.
pub(super) fn only_measure(finished: &Finished, apps: &[App], meter: &Meter) {
    match finished {
        Finished::Over => {}
        Finished::Run(run) => meter.run(run),
        Finished::Exchange(observed) => {
            let Some(app) = apps.iter().find(|a| a.label == observed.app) else { return };
            if let Some(sample) = measured(observed, observed.parsed(), app, false) {
                meter.request(observed, &sample);
            }
        }
    }
}

/// The next item, taken in batches: a thread that is woken for every single one costs more than judging it.
fn next(finished: &mut Receiver<Finished>) -> Option<Finished> {
    match finished.try_recv() {
        Ok(item) => Some(item),
        Err(_) => {
            std::thread::sleep(BATCH);
            finished.blocking_recv()
        }
    }
}

/// A response that breaks a rule is a failure of its own class and no latency sample.
fn measured(exchange: &Exchange, parsed: &Parsed, app: &App, broke_a_rule: bool) -> Option<Sample> {
    let mut sample = sample_parsed(exchange, app.mode, parsed)?;
    if broke_a_rule && sample.outcome.is_ok() {
        sample.outcome = Err(FailureClass::Rule);
    }
    Some(sample)
}

fn fold(runs: &mut BTreeMap<(String, String), ScenarioResult>, run: ScenarioRun) {
    // What the end of the load cut short says nothing about the server.
    let cut = run.stopped && run.outcome == Outcome::CouldNotRun;
    let result = ScenarioResult::from(run);
    let total = runs.entry((result.id.clone(), result.app.clone())).or_insert_with(|| ScenarioResult {
        outcome: Outcome::NotApplicable,
        reason: None,
        failures: Vec::new(),
        cleanup_failures: Vec::new(),
        requests: 0,
        elapsed_ms: 0,
        ..result.clone()
    });
    total.requests += result.requests;
    total.elapsed_ms += result.elapsed_ms;
    if !cut && result.outcome > total.outcome {
        total.outcome = result.outcome;
        total.reason = result.reason;
    }
    keep(&mut total.failures, result.failures);
    if total.cleanup_failures.len() < FAILURES {
        total.cleanup_failures.extend(result.cleanup_failures);
    }
}

fn keep(kept: &mut Vec<ExpectationFailure>, more: Vec<ExpectationFailure>) {
    for failure in more {
        let same = |k: &ExpectationFailure| k.place == failure.place;
        if kept.len() < FAILURES && !kept.iter().any(same) {
            kept.push(failure);
        }
    }
}
