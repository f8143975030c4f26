//! `load --find`: the highest rate, or number of users, at which all objectives hold.

use super::args::{FindArgs, LoadArgs, What};
use super::exit::{Exit, Failure};
use super::load_plan::{self, Planned};
use super::load_run;
use super::output::chain;
use crate::metrics::summary::{LoadSummary, SloResult, SloState};
use crate::metrics::{Measure, Slo};
use crate::report::run::{RunReport, Verdict};
use crate::report::{escape, load_view};
use crate::store;
use crate::workload::search::{Answer, Found, Probe, Range, Search};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Layout of `find.json`.
const SCHEMA: &str = "difyprobe.find/1";
/// A probe that is less sure than this is made once more, three times as long.
const SURE: f64 = 0.9;
/// Between two probes, so that a server that was overloaded can recover.
const REST: Duration = Duration::from_secs(2);

/// What is kept of a search, so that it can be taken up again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Kept {
    schema: String,
    /// What was searched: another search cannot go on from here.
    what: String,
    range: Range,
    probes: Vec<Probe>,
}

/// Searches, and prints each probe and what it came to.
pub fn run(args: &LoadArgs, what: What, stop: &CancellationToken) -> Result<Exit, Failure> {
    let find = &args.find;
    if args.ends.slo.is_empty() {
        return Err(Failure::usage("--find needs at least one objective: --slo 'ttft p(95) < 800ms'"));
    }
    if let Some(flag) = super::load_flags::typed(&args.arrivals) {
        return Err(Failure::usage(format!(
            "{flag} does not go with --find, which varies the load itself: see --probe"
        )));
    }
    if !args.output.report.is_empty() {
        return Err(Failure::usage("--report does not go with --find, which is many loads: load what it found"));
    }
    let range = range(find, what)?;
    let first = planned(args, what, range.from, find.probe)?;
    let file = args.output.reports.join(&first.workload.id).join("find.json");
    let about = about(args, what, &first);
    let mut search = Search::resume(range, kept(find, &file, &about, range)?);
    let runtime = tokio::runtime::Runtime::new().map_err(Failure::internal)?;
    search.probes().iter().for_each(|probe| println!("{}  (from {})", line(what, probe), file.display()));
    while let Some(level) = search.next() {
        let probe = runtime.block_on(probe(args, what, level, file.parent().unwrap_or(Path::new(".")), stop))?;
        if stop.is_cancelled() {
            eprintln!("difyprobe: interrupted; --resume goes on from {}", file.display());
            return Ok(Exit::Interrupted);
        }
        println!("{}", line(what, &probe));
        search.note(probe);
        let kept = Kept { schema: SCHEMA.to_owned(), what: about.clone(), range, probes: search.probes().to_vec() };
        let text = serde_json::to_vec_pretty(&kept).map_err(Failure::internal)?;
        store::write_atomic(&file, &text).map_err(|e| Failure::usage(chain(&e)))?;
        if search.next().is_some() {
            std::thread::sleep(REST);
        }
    }
    let (text, exit) = conclusion(what, &search);
    println!("{text}");
    Ok(exit)
}

fn range(find: &FindArgs, what: What) -> Result<Range, Failure> {
    let whole = what == What::MaxUsers;
    let range = Range { from: find.find_from, to: find.find_to, within: find.find_within, whole };
    let fits = range.from > 0.0 && range.to >= range.from && range.within > 0.0;
    fits.then_some(range).ok_or_else(|| Failure::usage("--find-from must be above 0 and at most --find-to"))
}

/// What a kept search must have in common with this one.
fn about(args: &LoadArgs, what: What, planned: &Planned) -> String {
    let scenarios: Vec<&str> = planned.scenarios.iter().map(|(scenario, _)| scenario.id.as_str()).collect();
    let target = args.target.base_url.as_deref().unwrap_or("the embedded emulator");
    let (slos, probe) = (args.ends.slo.join("; "), args.find.probe);
    format!("{} of {} on {target} with {slos}, probes of {probe:?}", what.name(), scenarios.join(", "))
}

fn kept(find: &FindArgs, file: &Path, about: &str, range: Range) -> Result<Vec<Probe>, Failure> {
    if !find.resume || !file.is_file() {
        return Ok(Vec::new());
    }
    let text = store::read_text(file).map_err(|e| Failure::usage(chain(&e)))?;
    let name = file.display();
    let kept: Kept = serde_json::from_str(&text)
        .map_err(|e| Failure::usage(format!("{name}: no kept search: {e}; leave --resume out to begin anew")))?;
    if (kept.schema.as_str(), kept.what.as_str(), kept.range) != (SCHEMA, about, range) {
        let (was, is) = (kept.what, about);
        return Err(Failure::usage(format!(
            "{name} is of another search\n  there: {was}\n  here:  {is}\nleave --resume out to begin anew"
        )));
    }
    Ok(kept.probes)
}

/// The plan of a probe: a warm-up of a fifth of its length, then the level.
fn planned(args: &LoadArgs, what: What, level: f64, length: Duration) -> Result<Planned, Failure> {
    let mut args = args.clone();
    match what {
        What::MaxRate => args.arrivals.rate = Some(format!("{level}")),
        What::MaxUsers => args.arrivals.users = Some(level as u32),
    }
    args.arrivals.duration = Some(length);
    args.arrivals.warm_up = Some((length / 5).max(Duration::from_secs(1)));
    let mut planned = load_plan::plan(&args, &|_| None)?;
    for slo in &mut planned.workload.slos {
        // A level that is far too high need not be borne to its end.
        slo.abort = !slo.advisory;
        slo.grace = slo.grace.max(length / 4);
    }
    planned.workload.drain = args.ends.drain.unwrap_or(Duration::from_secs(10));
    super::load::fit_descriptors(&args, &mut planned)?;
    Ok(planned)
}

async fn probe(
    args: &LoadArgs,
    what: What,
    level: f64,
    folder: &Path,
    stop: &CancellationToken,
) -> Result<Probe, Failure> {
    let mut length = args.find.probe;
    for last in [false, true] {
        let plan = planned(args, what, level, length)?;
        let objectives = plan.workload.slos.clone();
        let conditions = plan.workload.validity.clone();
        let folder: PathBuf = folder.join(format!("{}-{level}", what.name()));
        let (report, unsaved) = load_run::attack(args, plan, &folder, String::new(), stop).await?;
        if let Some(failure) = unsaved {
            return Err(failure);
        }
        let probe = answer(level, &report, &objectives, &conditions)?;
        if last || probe.confidence >= SURE || probe.answer == Answer::Limited || stop.is_cancelled() {
            return Ok(probe);
        }
        length *= 3;
    }
    Err(Failure::internal("a search made no probe"))
}

/// What a run says about its level.
fn answer(level: f64, report: &RunReport, objectives: &[Slo], conditions: &[Slo]) -> Result<Probe, Failure> {
    let Some(load) = &report.load else {
        return Err(Failure::incomplete("nothing could be sent, so nothing can be found"));
    };
    let probe = |answer, confidence, why: String| Probe { level, answer, confidence, why };
    if let Some(limit) = limited(load, conditions) {
        return Ok(probe(Answer::Limited, 1.0, told(limit)));
    }
    let dropped = load.stages.iter().map(|stage| stage.dropped).sum::<u64>();
    let red = |(slo, result): (&Slo, &SloResult)| !slo.advisory && result.state != SloState::Met;
    let missed = objectives.iter().zip(&load.slos).filter(|pair| red(*pair)).map(|(_, result)| result);
    let worst = missed.min_by(|a, b| a.margin.unwrap_or(-1.0).total_cmp(&b.margin.unwrap_or(-1.0)));
    let sure = |slos: &mut dyn Iterator<Item = &SloResult>| slos.filter_map(|s| s.confidence).fold(1.0, f64::min);
    Ok(match (worst, report.verdict) {
        (Some(worst), _) => probe(Answer::Misses, worst.confidence.unwrap_or(1.0), told(worst)),
        (None, Verdict::Fail) => {
            probe(Answer::Misses, 1.0, "a rule or an expectation of the scenario failed".to_owned())
        }
        (None, Verdict::Incomplete | Verdict::Error) => {
            return Err(Failure::incomplete(format!(
                "the probe at {level} was not run to its end: {}",
                report.summary.line
            )));
        }
        (None, _) if dropped > 0 => {
            let why = format!("{dropped} arrivals found max-in-flight scenarios under way");
            probe(Answer::Misses, 1.0, why)
        }
        (None, _) => {
            let nearest = load.slos.iter().min_by(|a, b| a.margin.unwrap_or(1.0).total_cmp(&b.margin.unwrap_or(1.0)));
            probe(Answer::Holds, sure(&mut load.slos.iter()), nearest.map(told).unwrap_or_default())
        }
    })
}

/// The condition that says that the generator was at its end; drops say that the server is.
fn limited<'l>(load: &'l LoadSummary, conditions: &[Slo]) -> Option<&'l SloResult> {
    let own = |at: usize| conditions.get(at).is_none_or(|slo| !matches!(slo.measure, Measure::Dropped));
    load.validity
        .iter()
        .enumerate()
        .find(|(at, c)| c.state == SloState::Missed && !c.advisory && own(*at))
        .map(|(_, c)| c)
}

fn told(slo: &SloResult) -> String {
    let value = slo.value.map_or_else(|| "nothing measured".to_owned(), |value| load_view::value(value, &slo.unit));
    format!("{}: {value}", slo.text)
}

fn line(what: What, probe: &Probe) -> String {
    let word = match probe.answer {
        Answer::Holds => "holds",
        Answer::Misses => "misses",
        Answer::Limited => "generator at its end",
    };
    let (level, sure) = (what.shown(probe.level), probe.confidence * 100.0);
    format!("{level:>12}  {word:<8} ({sure:.0} % sure)  {}", escape::terminal(&probe.why))
}

fn conclusion(what: What, search: &Search) -> (String, Exit) {
    let name = what.name();
    match search.found() {
        Some(Found::Between(held, missed)) => {
            (format!("{name}: {} holds, {} does not", what.shown(held), what.shown(missed)), Exit::Pass)
        }
        Some(Found::AtLeast(held)) => {
            (format!("{name}: at least {}; --find-to raises the end of the search", what.shown(held)), Exit::Pass)
        }
        Some(Found::LimitedAbove(held)) => {
            let help = "use more cores, or several machines with --shard";
            (
                format!("{name}: at least {}; above it the generator is at its end: {help}", what.shown(held)),
                Exit::InvalidLoad,
            )
        }
        Some(Found::Below(missed)) => {
            (format!("{name}: below {}: the objectives do not hold even there", what.shown(missed)), Exit::SloMissed)
        }
        None => (format!("{name}: nothing was tried"), Exit::Incomplete),
    }
}
