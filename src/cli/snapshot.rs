//! `snapshot`: the scenarios' exchanges against reviewed snapshots.

mod pending;
mod place;
pub mod review;
mod session;
mod show;

use super::args::{SnapshotArgs, SnapshotCommand, Texts};
use super::exit::{Exit, Failure};
use super::output::chain;
use super::{interrupt, progress, scenarios, target};
use crate::canonical::{Options, Text};
use crate::flow::Sink;
use crate::model::Outcome;
use crate::report::escape;
use crate::snapshot::{self, Coverage, Mode, SnapshotFolder};
use crate::suite::{Examination, Request, builtin, prepare};
use tokio_util::sync::CancellationToken;

/// Seed of snapshot runs, so that made-up texts are the same every time.
const SEED: u64 = 1;

/// Runs the scenarios and compares, exit 6 if anything differs; or lists, accepts, rejects what waits.
pub fn run(args: SnapshotArgs) -> Result<Exit, Failure> {
    match args.what {
        Some(SnapshotCommand::List(args)) => pending::list(&args),
        Some(SnapshotCommand::Accept(args)) => pending::accept(&args),
        Some(SnapshotCommand::Reject(args)) => pending::reject(&args),
        None => compare(args),
    }
}

fn compare(args: SnapshotArgs) -> Result<Exit, Failure> {
    if let Some(name) = args.name.as_deref().filter(|name| !snapshot::is_target_name(name)) {
        return Err(Failure::usage(format!(
            "--name {name}: it becomes a folder below {}; write letters, digits, `.` and `-`, e.g. --name staging",
            args.snapshots.display()
        )));
    }
    let runtime = tokio::runtime::Runtime::new().map_err(Failure::internal)?;
    let examination = runtime.block_on(examine(&args))?;
    let incomplete: Vec<String> = broken(&examination);
    for reason in &incomplete {
        eprintln!("{}", escape::terminal(reason));
    }
    if examination.interrupted {
        return Ok(Exit::Interrupted);
    }
    if args.update && !incomplete.is_empty() {
        return Err(Failure::incomplete("nothing was accepted: the run is incomplete"));
    }
    let folder = SnapshotFolder::new(&args.snapshots, args.name.as_deref().unwrap_or(examination.profile.0.id));
    let mode = match (args.check, args.update) {
        (true, _) => Mode::Check,
        (_, true) => Mode::Update,
        _ => Mode::Review,
    };
    let options = Options { text: text(args.texts), headers: args.headers.clone() };
    let entries = snapshot::entries(&examination.transcript, &examination.selection.choice.scenarios, options);
    let verdicts =
        folder.compare(entries, &coverage(&args, &examination), mode).map_err(|e| Failure::usage(chain(&e)))?;
    show::print(&verdicts, mode, &folder);
    if verdicts.iter().any(|v| v.state.differs()) && !args.update {
        return Ok(Exit::SnapshotDiffers);
    }
    Ok(if incomplete.is_empty() { Exit::Pass } else { Exit::Incomplete })
}

fn text(chosen: Texts) -> Text {
    match chosen {
        Texts::Exact => Text::Exact,
        Texts::Shape => Text::Shape,
        Texts::Ignored => Text::Ignored,
    }
}

async fn examine(args: &SnapshotArgs) -> Result<Examination, Failure> {
    let stop = CancellationToken::new();
    interrupt::on_signal(&stop);
    let chosen = target::choose(&args.target, SEED).await?;
    let request = Request {
        base_url: chosen.base_url.clone(),
        keys: chosen.keys.clone(),
        profile: chosen.profile,
        choice: scenarios::choose(&args.scenarios, false)?,
        seed: chosen.seed,
        run_id: None,
        keep: args.target.keep,
        think: false,
        client: chosen.client.clone(),
        at_once: 0,
        stop,
    };
    let prepared = prepare(request, Sink::collect()).await.map_err(|e| Failure::incomplete(chain(&e)))?;
    let shown = progress::show(prepared.session.clone(), progress::scenarios);
    let examination = prepared.run().await.map_err(|e| Failure::internal(chain(&e)));
    drop(shown);
    examination
}

fn broken(examination: &Examination) -> Vec<String> {
    let stuck = examination.runs.iter().filter(|r| matches!(r.outcome, Outcome::CouldNotRun | Outcome::Error));
    let text = |r: &crate::flow::ScenarioRun| {
        format!("scenario {} on {}: {}", r.id, r.app, r.reason.as_deref().unwrap_or("broke off"))
    };
    stuck.map(text).chain(examination.harness_errors.iter().cloned()).collect()
}

fn coverage(args: &SnapshotArgs, examination: &Examination) -> Coverage {
    let ended = examination.runs.iter().filter(|r| !matches!(r.outcome, Outcome::CouldNotRun | Outcome::Error));
    let ran = ended.map(|r| (r.id.clone(), r.app.clone()));
    let read = &examination.selection.choice.scenarios;
    let mut known: Vec<String> = builtin::conformance().unwrap_or_default().iter().map(|s| s.id.clone()).collect();
    known.extend(read.iter().map(|s| s.id.clone()));
    let files = (!args.scenarios.is_empty()).then(|| read.iter().map(|s| s.file.clone()).collect());
    Coverage { ran: ran.collect(), known: Some(known), files }
}
