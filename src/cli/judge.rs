//! `judge`: saved transcripts, judged again offline.

use super::args::JudgeArgs;
use super::exit::{Exit, Failure};
use super::output::{Outputs, chain};
use super::{baseline, target};
use crate::model::{App, Transcript};
use crate::profile::Profile;
use crate::rules::Rule;
use crate::rules::judge::Planned;
use crate::store;
use crate::suite::{Accepted, Facts, RuleFilter, build_report, select::NOT_ASKED};

/// Judges every transcript and reports; the most severe exit code counts.
pub fn run(args: JudgeArgs) -> Result<Exit, Failure> {
    let accepted = baseline::read(args.baseline.as_ref())?;
    let planned = |_: &Rule, _: &App| Planned::No(NOT_ASKED.to_owned());
    let asked = target::profile(&args.profile)?;
    let loaded = store::load(&args.transcripts).map_err(|e| Failure::usage(chain(&e)))?;
    for skipped in &loaded.skipped {
        eprintln!("skipped {}: {}", skipped.path.display(), skipped.found);
    }
    let mut worst = Exit::Pass;
    let order = [Exit::Pass, Exit::StaleBaseline, Exit::Incomplete, Exit::Failed, Exit::Interrupted, Exit::Internal];
    let severity = |e: Exit| order.iter().position(|x| *x == e);
    for (index, transcript) in loaded.transcripts.iter().enumerate() {
        let name = if index == 0 { "judge".to_owned() } else { format!("judge-{}", index + 1) };
        let outputs = Outputs::open(&args.output, &name)?;
        let profile = profile(asked, transcript);
        let facts = Facts {
            command: "judge",
            profile,
            planned: &planned,
            whole_suite: false,
            scenarios: Vec::new(),
            notes: vec![format!("{} recorded exchanges", transcript.exchanges.len())],
            harness_errors: Vec::new(),
            interrupted: false,
            strict: args.strict,
            elapsed_ms: recorded_ms(transcript),
            rules: &RuleFilter::default(),
            baseline: accepted.as_ref().map(|baseline| Accepted {
                baseline,
                examined: &planned,
                today: baseline::today(),
            }),
            saved_as: args.transcripts.first().map(|p| p.display().to_string()),
        };
        let report = build_report(transcript, facts);
        outputs.finish(&report)?;
        let exit = Exit::of(&report);
        if severity(exit) > severity(worst) {
            worst = exit;
        }
    }
    if loaded.transcripts.is_empty() {
        return Err(Failure::incomplete("no transcript to judge"));
    }
    Ok(worst)
}

/// From the start of the recording to the end of its last exchange.
fn recorded_ms(transcript: &Transcript) -> u64 {
    transcript.exchanges.iter().map(|e| e.ended_us()).max().unwrap_or(0) / 1000
}

/// The profile to judge a recording by, and why.
pub fn profile(asked: Option<&'static Profile>, transcript: &Transcript) -> (&'static Profile, String) {
    let recorded = transcript.profile.as_deref().and_then(Profile::by_id);
    match (asked, recorded) {
        (Some(profile), _) => (profile, "asked for by --profile".to_owned()),
        (None, Some(profile)) => (profile, "recorded in the transcript".to_owned()),
        (None, None) => Profile::for_version(transcript.apps.iter().find_map(|a| a.server_version.as_deref())),
    }
}
