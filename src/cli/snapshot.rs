//! `snapshot`: the scenarios' exchanges against reviewed snapshots.

use super::args::SnapshotArgs;
use super::exit::{Exit, Failure};
use super::output::chain;
use super::{interrupt, progress, scenarios, target};
use crate::canonical::{Canon, Options};
use crate::flow::Sink;
use crate::model::{Exchange, Outcome, Route};
use crate::snapshot::{Coverage, Entry, Mode, SnapshotFolder, State, Verdict};
use crate::suite::{Examination, Request, builtin, prepare};
use std::collections::BTreeMap;
use tokio_util::sync::CancellationToken;

/// Seed of snapshot runs, so that made-up texts are the same every time.
const SEED: u64 = 1;

/// Runs the scenarios and compares; exit 6 if anything differs.
pub fn run(args: SnapshotArgs) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Runtime::new().map_err(Failure::internal)?;
    let examination = runtime.block_on(examine(&args))?;
    let incomplete: Vec<String> = broken(&examination);
    for reason in &incomplete {
        eprintln!("{reason}");
    }
    if examination.interrupted {
        return Ok(Exit::Interrupted);
    }
    if args.update && !incomplete.is_empty() {
        return Err(Failure::incomplete("nothing was accepted: the run is incomplete"));
    }
    let folder = SnapshotFolder::new(&args.snapshots, examination.profile.0.id);
    let mode = match (args.check, args.update) {
        (true, _) => Mode::Check,
        (_, true) => Mode::Update,
        _ => Mode::Review,
    };
    let verdicts = folder
        .compare(entries(&examination), &coverage(&args, &examination), mode)
        .map_err(|e| Failure::usage(chain(&e)))?;
    show(&verdicts, &args, &folder);
    if verdicts.iter().any(|v| v.state.differs()) && !args.update {
        return Ok(Exit::SnapshotDiffers);
    }
    Ok(if incomplete.is_empty() { Exit::Pass } else { Exit::Incomplete })
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
        keep: args.target.keep,
        think: false,
        client: chosen.client.clone(),
        at_once: chosen.at_once,
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
    let ran = examination.runs.iter().filter(|r| r.outcome != Outcome::CouldNotRun).map(|r| r.id.clone());
    let builtin = || builtin::conformance().unwrap_or_default().iter().map(|s| s.id.clone()).collect();
    let known = args.scenarios.is_empty().then(builtin);
    Coverage { ran: ran.collect(), known }
}

/// One entry per exchange, in an order that does not depend on which of several parallel lanes was faster.
fn entries(examination: &Examination) -> Vec<Entry> {
    let base_path = path_of(&examination.transcript.base_url);
    let mut groups: BTreeMap<(&str, &str), Vec<&Exchange>> = BTreeMap::new();
    for exchange in examination.transcript.exchanges.iter().filter(|e| e.origin.line > 0) {
        groups.entry((&exchange.origin.scenario, &exchange.app)).or_default().push(exchange);
    }
    let mut entries = Vec::new();
    for exchanges in groups.into_values() {
        let mut canon = Canon::new(Options::default());
        for exchange in steady(&exchanges) {
            let route = Route::of(&exchange.request.method, &exchange.request.target, base_path);
            entries.push(Entry::of(exchange, canon.canonical(exchange, &route)));
        }
    }
    entries
}

/// Exchanges of one step that overlap in time are ordered by what they sent.
fn steady<'e>(exchanges: &[&'e Exchange]) -> Vec<&'e Exchange> {
    let first =
        |e: &Exchange| exchanges.iter().filter(|o| o.origin.step == e.origin.step).map(|o| o.id).min().unwrap_or(e.id);
    let overlaps = |e: &Exchange| {
        let same = exchanges.iter().filter(|o| o.origin.step == e.origin.step && o.id != e.id);
        same.into_iter().any(|o| o.timing.sent_us < e.ended_us() && e.timing.sent_us < o.ended_us())
    };
    let body = |e: &Exchange| e.request.body.as_ref().and_then(|b| b.text().map(str::to_owned)).unwrap_or_default();
    let mut ordered: Vec<((u64, String, u64), &Exchange)> = exchanges
        .iter()
        .map(|e| (if overlaps(e) { (first(e), body(e), e.id) } else { (e.id, String::new(), e.id) }, *e))
        .collect();
    ordered.sort_by(|a, b| a.0.cmp(&b.0));
    ordered.into_iter().map(|(_, e)| e).collect()
}

fn path_of(base_url: &str) -> &str {
    let rest = base_url.split_once("://").map_or(base_url, |(_, rest)| rest);
    rest.find('/').map_or("", |at| &rest[at..])
}

fn show(verdicts: &[Verdict], args: &SnapshotArgs, folder: &SnapshotFolder) {
    let count = |state: State| verdicts.iter().filter(|v| v.state == state).count();
    for verdict in verdicts.iter().filter(|v| v.state != State::Same) {
        println!("{:8} {}", format!("{:?}", verdict.state).to_lowercase(), verdict.name);
        if let Some(diff) = verdict.diff.as_deref().filter(|_| verdict.state == State::Changed) {
            for line in diff.lines() {
                println!("    {}", crate::report::escape::terminal(line));
            }
        }
    }
    println!(
        "{} same, {} new, {} changed, {} missing, {} orphaned in {}",
        count(State::Same),
        count(State::New),
        count(State::Changed),
        count(State::Missing),
        count(State::Orphan),
        folder.path().display()
    );
    let waiting = count(State::New) + count(State::Changed);
    if waiting > 0 && !args.check && !args.update {
        println!("{waiting} wait for review: `cargo insta review`, or `difyprobe snapshot --update` accepts all");
    }
}
