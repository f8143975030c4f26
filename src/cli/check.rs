//! `check`: conformance of one server.

use super::args::CheckArgs;
use super::exit::{Exit, Failure};
use super::output::{Outputs, chain, save_transcript};
use super::unexamined::Unexamined;
use super::{baseline, dry_run, interrupt, progress, scenarios, target};
use crate::flow::Sink;
use crate::model::{App, Transcript};
use crate::report::run::RunReport;
use crate::rules::Rule;
use crate::store;
use crate::suite::{Accepted, Baseline, Choice, Examination, ExamineError, Facts, RuleFilter, build_report, prepare};
use tokio_util::sync::CancellationToken;

/// Runs the suite and reports.
pub fn run(args: CheckArgs) -> Result<Exit, Failure> {
    let rules = RuleFilter::new(&args.only, &args.skip).map_err(Failure::usage)?;
    let accepted = baseline::read(args.baseline.as_ref())?;
    if args.dry_run {
        let runtime = tokio::runtime::Runtime::new().map_err(Failure::internal)?;
        return runtime.block_on(async {
            let chosen = target::choose_limited(&args.target, fastrand::u64(..)).await?;
            let choice = choose(&args, rules, chosen.embedded)?;
            dry_run::run(&args, &chosen, choice).await
        });
    }
    let outputs = Outputs::open(&args.output, "check")?;
    if let Some(dir) = &args.save_transcripts {
        let probe = store::OutputFile::open_early(&dir.join("transcript.json"));
        probe.map_err(|e| Failure::usage(format!("--save-transcripts {}: {}", dir.display(), chain(&e))))?;
    }
    let runtime = tokio::runtime::Runtime::new().map_err(Failure::internal)?;
    let (report, unsaved) = runtime.block_on(examine(&args, rules, accepted.as_ref()))?;
    outputs.finish(&report)?;
    // The report comes first: a full disk must not take the verdict with it.
    unsaved.map_or(Ok(Exit::of(&report)), Err)
}

/// The report, and why the recording could not be saved.
async fn examine(
    args: &CheckArgs,
    rules: RuleFilter,
    accepted: Option<&Baseline>,
) -> Result<(RunReport, Option<Failure>), Failure> {
    let stop = CancellationToken::new();
    interrupt::on_signal(&stop);
    let chosen = target::choose_limited(&args.target, fastrand::u64(..)).await?;
    let choice = choose(args, rules, chosen.embedded)?;
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
    Ok((report(args, examination, accepted, saved), unsaved))
}

fn choose(args: &CheckArgs, rules: RuleFilter, embedded: bool) -> Result<Choice, Failure> {
    scenarios::choose_for(&args.scenarios, args.slow || (!args.quick && !embedded), rules)
}

fn report(args: &CheckArgs, examination: Examination, accepted: Option<&Baseline>, saved: Option<String>) -> RunReport {
    let runs = examination.runs.clone();
    let selection = &examination.selection;
    let planned = |rule: &Rule, app: &App| selection.planned(rule, app, &runs);
    let examined = |rule: &Rule, app: &App| selection.wholly_planned(rule, app, &runs);
    let facts = Facts {
        command: "check",
        profile: examination.profile,
        planned: &planned,
        whole_suite: selection.choice.whole_suite,
        scenarios: examination.runs.into_iter().map(Into::into).collect(),
        notes: examination.notes,
        harness_errors: examination.harness_errors,
        interrupted: examination.interrupted,
        strict: args.strict,
        elapsed_ms: u64::try_from(examination.elapsed.as_millis()).unwrap_or(u64::MAX),
        rules: &selection.choice.rules,
        baseline: accepted.map(|baseline| Accepted { baseline, examined: &examined, today: baseline::today() }),
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
    save_transcript(&args.output, "check", transcript)
}
