//! `check`: conformance of one server.

use super::args::CheckArgs;
use super::exit::{Exit, Failure};
use super::output::{Outputs, chain};
use super::unexamined::Unexamined;
use super::{interrupt, progress, scenarios, target};
use crate::flow::Sink;
use crate::model::{App, Transcript};
use crate::report::run::RunReport;
use crate::rules::Rule;
use crate::store;
use crate::suite::{Examination, ExamineError, Facts, build_report, prepare};
use std::path::Path;
use tokio_util::sync::CancellationToken;

/// Runs the suite and reports.
pub fn run(args: CheckArgs) -> Result<Exit, Failure> {
    let outputs = Outputs::open(&args.output, "check")?;
    if let Some(dir) = &args.save_transcripts {
        let probe = store::OutputFile::open_early(&dir.join("transcript.json"));
        probe.map_err(|e| Failure::usage(format!("--save-transcripts {}: {}", dir.display(), chain(&e))))?;
    }
    let runtime = tokio::runtime::Runtime::new().map_err(Failure::internal)?;
    let (report, unsaved) = runtime.block_on(examine(&args))?;
    outputs.finish(&report)?;
    // The report comes first: a full disk must not take the verdict with it.
    unsaved.map_or(Ok(Exit::of(&report)), Err)
}

/// The report, and why the recording could not be saved.
async fn examine(args: &CheckArgs) -> Result<(RunReport, Option<Failure>), Failure> {
    let stop = CancellationToken::new();
    interrupt::on_signal(&stop);
    let chosen = target::choose(&args.target, fastrand::u64(..)).await?;
    let slow = args.slow || (!args.quick && !chosen.embedded);
    let choice = scenarios::choose(&args.scenarios, slow)?;
    let request = chosen.request(choice.clone(), args.target.keep, &stop);
    let prepared = match prepare(request, Sink::collect()).await {
        Ok(prepared) => prepared,
        Err(ExamineError::Engine(error)) => return Err(Failure::internal(chain(&error))),
        Err(ExamineError::Unexamined { reason, transcript }) => {
            let (reason, transcript, interrupted) = (&reason, &*transcript, stop.is_cancelled());
            let (chosen, choice, strict) = (&chosen, &choice, args.strict);
            let nothing = Unexamined { command: "check", chosen, choice, reason, transcript, interrupted, strict };
            return Ok((nothing.report(), None));
        }
    };
    let shown = progress::show(prepared.session.clone(), progress::scenarios);
    let mut examination = prepared.run().await.map_err(|e| Failure::internal(chain(&e)))?;
    drop(shown);
    examination.notes.splice(0..0, chosen.notes.clone());
    examination.notes.push(format!("seed {} (--seed {0} sends the same texts again)", chosen.seed));
    let (saved, unsaved) = match save(args, &examination.transcript) {
        Ok(path) => (Some(path), None),
        Err(failure) => (None, Some(failure)),
    };
    Ok((report(args, examination, saved), unsaved))
}

fn report(args: &CheckArgs, examination: Examination, saved: Option<String>) -> RunReport {
    let runs = examination.runs.clone();
    let planned = |rule: &Rule, app: &App| examination.selection.planned(rule, app, &runs);
    let facts = Facts {
        command: "check",
        profile: examination.profile,
        planned: &planned,
        whole_suite: examination.selection.choice.whole_suite,
        scenarios: examination.runs.into_iter().map(Into::into).collect(),
        notes: examination.notes,
        harness_errors: examination.harness_errors,
        interrupted: examination.interrupted,
        strict: args.strict,
        elapsed_ms: u64::try_from(examination.elapsed.as_millis()).unwrap_or(u64::MAX),
        saved_as: saved,
    };
    build_report(&examination.transcript, facts)
}

/// Saves the recording where asked, and always as `reports/check.transcript.json`, so that every finding can be shown again.
fn save(args: &CheckArgs, transcript: &Transcript) -> Result<String, Failure> {
    if let Some(dir) = &args.save_transcripts {
        let path = store::save_transcript(dir, transcript).map_err(|e| Failure::usage(chain(&e)))?;
        return Ok(path.display().to_string());
    }
    let path = args.output.reports.join("check.transcript.json");
    write(&path, transcript)?;
    Ok(path.display().to_string())
}

fn write(path: &Path, transcript: &Transcript) -> Result<(), Failure> {
    let bytes = serde_json::to_vec(transcript).map_err(Failure::internal)?;
    store::write_atomic(path, &bytes).map_err(|e| Failure::usage(chain(&e)))
}
