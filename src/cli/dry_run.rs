//! `check --dry-run`: what the run would send, and nothing of it sent.

use super::args::CheckArgs;
use super::exit::{Exit, Failure};
use super::output::chain;
use super::target::Chosen;
use crate::flow::Sink;
use crate::report::escape;
use crate::report::units::count;
use crate::suite::dry_run::{PlannedRun, PlannedStep, plan};
use crate::suite::{Choice, ExamineError, prepare};
use tokio_util::sync::CancellationToken;

/// Asks the server which apps there are and lists what would be sent to them.
pub async fn run(args: &CheckArgs, chosen: &Chosen, choice: Choice) -> Result<Exit, Failure> {
    let request = chosen.request(choice, args.target.keep, &CancellationToken::new());
    let prepared = prepare(request, Sink::collect()).await.map_err(|error| match error {
        ExamineError::Engine(error) => Failure::internal(chain(&error)),
        ExamineError::Unexamined { reason, .. } => Failure::incomplete(reason),
    })?;
    let transcript = prepared.transcript();
    let asked = transcript.exchanges.len() as u64;
    println!("target {}, {}", escape::terminal(&transcript.base_url), count(transcript.apps.len() as u64, "app"));
    println!("sent to find out about the apps: {}; nothing else is sent\n", count(asked, "request"));
    let runs = plan(&prepared.selection, &transcript.apps);
    for (run, apps) in alike(&runs).into_iter().filter(|_| !args.output.quiet) {
        println!("{} on {}  {}", run.scenario, escape::terminal(&apps.join(", ")), at_least(run, apps.len()));
        run.steps.iter().for_each(|step| println!("{}", line(step)));
    }
    let idle = prepared.selection.idle();
    for (scenario, reason) in idle.iter().filter(|_| !args.output.quiet) {
        println!("{}  not run: {}", scenario.id, escape::terminal(reason));
    }
    println!("{}", total(&runs));
    Ok(Exit::Pass)
}

/// Runs of one scenario that do the same on several apps, together.
fn alike(runs: &[PlannedRun]) -> Vec<(&PlannedRun, Vec<&str>)> {
    let mut groups: Vec<(&PlannedRun, Vec<&str>)> = Vec::new();
    for run in runs {
        match groups.iter_mut().find(|(first, _)| first.scenario == run.scenario && first.steps == run.steps) {
            Some((_, apps)) => apps.push(&run.app),
            None => groups.push((run, vec![&run.app])),
        }
    }
    groups
}

fn at_least(run: &PlannedRun, apps: usize) -> String {
    let each = if apps > 1 { " each" } else { "" };
    format!("at least {}{each} ({})", count(run.at_least, "request"), run.file)
}

fn line(step: &PlannedStep) -> String {
    let request = step.request.as_deref().unwrap_or("(no request of its own)");
    let times = if step.times > 1 { format!(" x{}", step.times) } else { String::new() };
    let note = if step.note.is_empty() { String::new() } else { format!("  ({})", step.note) };
    let indent = "  ".repeat(step.depth + 1);
    escape::terminal(&format!("{indent}{}{times}  {request}{note}", step.id))
}

fn total(runs: &[PlannedRun]) -> String {
    let sum = |of: fn(&PlannedRun) -> u64| runs.iter().map(of).sum::<u64>();
    format!(
        "DRY RUN: {}, at least {}, {} of them to endpoints that generate an answer; clean-up comes on top",
        count(runs.len() as u64, "scenario run"),
        count(sum(|r| r.at_least), "request"),
        sum(|r| r.generating)
    )
}
