//! `review`: a person decides on what waits, in `cargo insta review` or here.

use super::pending::{chosen, nothing, refuse_broken, word};
use super::place::Places;
use super::session::{self, Decision, Item, Screen};
use crate::cli::args::ReviewArgs;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::chain;
use crate::snapshot::{self, Waiting, cargo_insta};
use ratatui::crossterm::terminal::{disable_raw_mode, enable_raw_mode};
use std::io::IsTerminal;
use std::path::Path;

/// Reviews; exit 0 when nothing waits any more, 6 when something does.
pub fn run(args: &ReviewArgs) -> Result<Exit, Failure> {
    let waiting = chosen(&args.pending)?;
    if waiting.is_empty() {
        println!("{}", nothing(&args.pending));
        return Ok(Exit::Pass);
    }
    if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        return Err(Failure::usage(format!(
            "review needs a terminal ({} wait for it); without one: `difyprobe snapshot list`, then \
             `difyprobe snapshot accept NAME..` and `difyprobe snapshot reject NAME..`",
            waiting.len()
        )));
    }
    refuse_broken(&waiting)?;
    match cargo_insta::find().filter(|_| !args.builtin) {
        Some(program) => with_cargo_insta(&program, args, &waiting)?,
        None => here(&waiting)?,
    }
    let left = still_waiting(args, &waiting)?;
    if left == 0 {
        println!("nothing waits any more; look at the snapshots with `git diff`");
        return Ok(Exit::Pass);
    }
    println!("{left} still to review in {}", args.pending.snapshots.display());
    Ok(Exit::SnapshotDiffers)
}

/// How many of those that were to be reviewed still wait.
fn still_waiting(args: &ReviewArgs, before: &[Waiting]) -> Result<usize, Failure> {
    let now = snapshot::waiting(&args.pending.snapshots).map_err(|e| Failure::usage(chain(&e)))?;
    Ok(now.iter().filter(|item| before.iter().any(|b| b.file() == item.file())).count())
}

fn with_cargo_insta(program: &Path, args: &ReviewArgs, waiting: &[Waiting]) -> Result<(), Failure> {
    let only: Vec<String> =
        if args.pending.names.is_empty() { Vec::new() } else { waiting.iter().map(Waiting::path).collect() };
    let command = cargo_insta::review(program, &args.pending.snapshots, &only);
    let status = command.and_then(|mut command| command.status());
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Failure::usage(format!(
            "{}: {status}; `difyprobe review --builtin` does without it",
            program.display()
        ))),
        Err(error) => Err(Failure::usage(format!(
            "start {}: {error}; `difyprobe review --builtin` does without it",
            program.display()
        ))),
    }
}

fn here(waiting: &[Waiting]) -> Result<(), Failure> {
    let mut places = Places::default();
    let items: Vec<Item> = waiting.iter().filter_map(|item| shown(item, &mut places)).collect();
    let color = std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    let mut waits = |on: bool| {
        // Where this fails, keys come with Enter.
        let _ = if on { enable_raw_mode() } else { disable_raw_mode() };
    };
    let (mut input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    let mut screen = Screen { input: &mut input, output: &mut output, waiting: &mut waits, color };
    let tally = session::review(&items, &mut screen, &mut |at, decision| match (waiting.get(at), decision) {
        (Some(item), Decision::Accept) => item.accept(),
        (Some(item), Decision::Reject) => item.reject(),
        _ => Ok(()),
    });
    drop(output);
    let tally = tally.map_err(|e| Failure::usage(chain(&e)))?;
    println!("{} accepted, {} rejected, {} skipped", tally.accepted, tally.rejected, tally.skipped);
    Ok(())
}

/// None is left out: broken ones were refused before.
fn shown(item: &Waiting, places: &mut Places) -> Option<Item> {
    let content = item.content.as_ref().ok()?;
    Some(Item {
        word: word(content.state),
        name: item.path(),
        place: places.of(item).map(|place| (place.at, place.line)),
        request: content.request.clone(),
        diff: content.diff(),
        text: content.new.clone(),
    })
}

/// Answers `cargo metadata` where `cargo-insta` asks us instead of cargo.
pub fn metadata() -> Result<Exit, Failure> {
    let answer = cargo_insta::metadata(env!("CARGO_PKG_VERSION"));
    let answer = answer.ok_or_else(|| {
        Failure::usage("`metadata` is how `difyprobe review` speaks to cargo-insta; call `difyprobe review`")
    })?;
    println!("{answer}");
    Ok(Exit::Pass)
}
