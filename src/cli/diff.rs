//! `diff`: the same scenarios on two servers, or two saved transcripts: what differs.

use super::args::{DiffArgs, Texts};
use super::exit::{Exit, Failure};
use super::output::{chain, save_in, style_of};
use super::papers::{self, Paper, Papers};
use super::target::Chosen;
use super::{interrupt, judge, progress, scenarios, target};
use crate::canonical::Text;
use crate::difference::Ignore;
use crate::flow::Sink;
use crate::model::{App, Transcript};
use crate::profile::Profile;
use crate::report::difference::{DiffReport, DiffVerdict, html, markdown};
use crate::report::run::RunReport;
use crate::report::{escape, terminal};
use crate::rules::Rule;
use crate::rules::judge::Planned;
use crate::scenario::ast::Scenario;
use crate::store;
use crate::suite::difference::{Examined, Wanted, build};
use crate::suite::examine::Prepared;
use crate::suite::select::NOT_ASKED;
use crate::suite::{Choice, Examination, ExamineError, Facts, RuleFilter, build_report, builtin, prepare};
use std::path::PathBuf;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Seed where none is given, so that made-up texts are the same every time.
const SEED: u64 = 1;

/// Both sides, ready to be compared.
struct Both {
    a: (Transcript, RunReport),
    b: (Transcript, RunReport),
    scenarios: Vec<Arc<Scenario>>,
    notes: Vec<String>,
}

/// Compares and reports; exit 6 where they differ in what is not ignored.
pub fn run(args: DiffArgs) -> Result<Exit, Failure> {
    let ignore = Ignore::parse(&args.ignore).map_err(|e| Failure::usage(format!("--ignore {e}")))?;
    let saved = saved(&args)?;
    let papers = Papers::open(&args.papers.report, Some((&args.reports, "diff")))?;
    let both = match saved {
        Some([a, b]) => offline(&args, a, b)?,
        None => tokio::runtime::Runtime::new().map_err(Failure::internal)?.block_on(online(&args))?,
    };
    let side = |of| -> Examined<'_> {
        let (transcript, report): &(Transcript, RunReport) = of;
        Examined { transcript, report }
    };
    let text = match args.texts {
        Texts::Exact => Text::Exact,
        Texts::Shape => Text::Shape,
        Texts::Ignored => Text::Ignored,
    };
    let wanted =
        Wanted { scenarios: &both.scenarios, text, ignore: &ignore, kinds: &args.ignore_kind, notes: both.notes };
    let report = build(side(&both.a), side(&both.b), wanted);
    finish(&args, papers, &report)?;
    Ok(match report.verdict {
        DiffVerdict::Equal => Exit::Pass,
        DiffVerdict::Different => Exit::SnapshotDiffers,
        DiffVerdict::Incomplete => Exit::Incomplete,
        DiffVerdict::Interrupted => Exit::Interrupted,
    })
}

fn finish(args: &DiffArgs, papers: Papers, report: &DiffReport) -> Result<(), Failure> {
    let text = match args.quiet {
        true => escape::terminal(&report.summary),
        false => terminal::difference(report, &style_of(args.papers.color, args.verbose)),
    };
    println!("{}", text.trim_end());
    let written = papers.write(|paper| match paper {
        Paper::Json => papers::json(report),
        Paper::Markdown => Ok(markdown::render(report)),
        Paper::Html => Ok(html::render(report)),
    })?;
    if !args.quiet {
        eprintln!("reports: {}", written.join(", "));
    }
    Ok(())
}

/// The two transcripts to compare, where that is what was named.
fn saved(args: &DiffArgs) -> Result<Option<[&PathBuf; 2]>, Failure> {
    if args.candidate.candidate.as_ref().is_some_and(|url| !url.is_empty()) {
        return Ok(None);
    }
    let saved = args.scenarios.iter().all(|path| path.extension().is_some_and(|e| e.eq_ignore_ascii_case("json")));
    match args.scenarios.as_slice() {
        [a, b] if saved => Ok(Some([a, b])),
        _ => {
            Err(Failure::usage("diff needs --candidate URL, the server to compare, or two saved transcripts, A and B"))
        }
    }
}

async fn online(args: &DiffArgs) -> Result<Both, Failure> {
    let stop = CancellationToken::new();
    interrupt::on_signal(&stop);
    let choice = scenarios::choose(&args.scenarios, args.slow)?;
    let chosen_a = target::choose(&args.target, SEED).await?;
    let chosen_b = target::choose_candidate(&args.target, &args.candidate, SEED).await?;
    // Both are asked first: a candidate that is not there is no reason to load A for minutes.
    let prepared_a = ready("A", args, &chosen_a, &choice, &stop).await?;
    let prepared_b = ready("B", args, &chosen_b, &choice, &stop).await?;
    // One after the other, so that they do not slow each other down where they share a machine.
    let (a, saved_a) = examined("A", args, prepared_a).await?;
    let (b, saved_b) = examined("B", args, prepared_b).await?;
    let mut notes = Vec::new();
    for (name, chosen, examination) in [("A", &chosen_a, &a), ("B", &chosen_b, &b)] {
        let all = chosen.notes.iter().chain(&examination.notes).chain(&examination.harness_errors);
        notes.extend(all.map(|note| format!("{name}: {note}")));
    }
    notes.push(format!("seed {} on both (--seed {0} sends the same texts again)", chosen_a.seed));
    notes.push(format!("what the rules found: difyprobe judge {saved_a}, difyprobe judge {saved_b}"));
    Ok(Both { a: reported(a), b: reported(b), scenarios: choice.scenarios, notes })
}

async fn ready(
    name: &str,
    args: &DiffArgs,
    chosen: &Chosen,
    choice: &Choice,
    stop: &CancellationToken,
) -> Result<Prepared, Failure> {
    let prepared = prepare(chosen.request(choice.clone(), args.target.keep, stop), Sink::collect()).await;
    prepared.map_err(|error| match error {
        ExamineError::Unexamined { reason, .. } => {
            Failure::incomplete(format!("nothing was compared: {name}: {reason}"))
        }
        ExamineError::Engine(error) => Failure::internal(chain(&error)),
    })
}

/// Runs the scenarios on one side and saves the recording; gives its path.
async fn examined(name: &str, args: &DiffArgs, prepared: Prepared) -> Result<(Examination, String), Failure> {
    let shown = progress::show(prepared.session.clone(), progress::scenarios);
    let examination = prepared.run().await.map_err(|e| Failure::internal(chain(&e)))?;
    drop(shown);
    let file = format!("diff-{}.transcript.json", name.to_lowercase());
    let saved = save_in(&args.reports, &file, &examination.transcript)?;
    Ok((examination, saved))
}

fn reported(of: Examination) -> (Transcript, RunReport) {
    let runs = of.runs.clone();
    let selection = &of.selection;
    let facts = Facts {
        command: "diff",
        profile: of.profile,
        planned: &|rule: &Rule, app: &App| selection.planned(rule, app, &runs),
        whole_suite: selection.choice.whole_suite,
        scenarios: of.runs.into_iter().map(Into::into).collect(),
        notes: Vec::new(),
        harness_errors: of.harness_errors,
        interrupted: of.interrupted,
        strict: false,
        elapsed_ms: u64::try_from(of.elapsed.as_millis()).unwrap_or(u64::MAX),
        rules: &selection.choice.rules,
        baseline: None,
        saved_as: None,
    };
    let report = build_report(&of.transcript, facts);
    (of.transcript, report)
}

fn offline(args: &DiffArgs, a: &PathBuf, b: &PathBuf) -> Result<Both, Failure> {
    let suite = builtin::conformance().map_err(|d| Failure::internal(format!("built-in scenario: {d:?}")))?;
    let side = |path: &PathBuf, profile: &str| -> Result<(Transcript, RunReport), Failure> {
        let loaded = store::load_transcripts(std::slice::from_ref(path)).map_err(|e| Failure::usage(chain(&e)))?;
        let transcript = loaded.into_iter().next();
        let transcript = transcript.ok_or_else(|| Failure::usage(format!("{}: no transcript", path.display())))?;
        let profile = judge::profile(target::profile(profile)?, &transcript);
        let report = judged(&transcript, profile);
        Ok((transcript, report))
    };
    let (a_side, b_side) = (side(a, &args.target.profile)?, side(b, &args.candidate.candidate_profile)?);
    let notes = vec![
        format!("A is {}, B is {}; nothing was sent", a.display(), b.display()),
        "steps of scenarios that are not built in are compared as if they ran one after another".to_owned(),
    ];
    Ok(Both { a: a_side, b: b_side, scenarios: suite, notes })
}

fn judged(transcript: &Transcript, profile: (&'static Profile, String)) -> RunReport {
    let facts = Facts {
        command: "diff",
        profile,
        planned: &|_: &Rule, _: &App| Planned::No(NOT_ASKED.to_owned()),
        whole_suite: false,
        scenarios: Vec::new(),
        notes: Vec::new(),
        harness_errors: Vec::new(),
        interrupted: false,
        strict: false,
        elapsed_ms: 0,
        rules: &RuleFilter::default(),
        baseline: None,
        saved_as: None,
    };
    build_report(transcript, facts)
}
