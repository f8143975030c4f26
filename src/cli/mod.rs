//! What was typed -> what it means -> one function per command; exit codes in one place.

#[macro_use]
mod print; // first: the others print with its macros

mod args;
mod baseline;
mod check;
mod compare;
mod diff;
mod completions;
mod dry_run;
mod exit;
mod find;
mod init;
mod interrupt;
mod judge;
mod lint;
pub mod live_data;
mod live_screen;
pub mod live_view;
mod load;
mod load_command;
mod load_files;
mod load_flags;
mod load_plan;
mod load_run;
mod load_watch;
mod man;
mod matrix;
mod merge;
mod output;
mod papers;
mod progress;
mod rules;
mod scenarios;
mod selftest;
mod serve;
mod serve_app;
mod settings;
mod shard;
mod snapshot;
mod target;
mod unexamined;

pub use exit::Exit;
use exit::Failure;

use args::Command;
use clap::Parser;
use clap::error::ErrorKind;
use settings::Misunderstood;
use std::ffi::OsString;
use std::path::PathBuf;

/// Understands the command line, runs the command, and gives the exit code.
pub fn main() -> Exit {
    let words: Vec<OsString> = std::env::args_os().collect();
    let folder = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
    let understood = match settings::understand(&words, &folder, &|name| std::env::var(name).ok()) {
        Ok(understood) => understood,
        Err(Misunderstood::Settings(failure)) => return fail(&failure),
        Err(Misunderstood::Typed(error)) => {
            // Cannot be reported anywhere if it fails.
            let _ = error.print();
            return match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Pass,
                _ => Exit::Usage,
            };
        }
    };
    for note in &understood.notes {
        eprintln!("{note}");
    }
    let args = understood.args;
    let outcome = match args.command {
        Command::Check(args) => check::run(args),
        Command::Load(args) => load::run(*args),
        Command::Merge(args) => merge::run(args),
        Command::Compare(args) => compare::run(args),
        Command::Judge(args) => judge::run(args),
        Command::Snapshot(args) => snapshot::run(args),
        Command::Diff(args) => diff::run(*args),
        Command::Matrix(args) => matrix::run(args),
        Command::Review(args) => snapshot::review::run(&args),
        Command::Metadata { .. } => snapshot::review::metadata(),
        Command::Serve(args) => serve::run(args),
        Command::Selftest(args) => selftest::run(args),
        Command::Rules(args) => rules::run(args),
        Command::Lint(args) => lint::run(args),
        Command::Init(args) => init::run(args),
        Command::Completions(args) => completions::run(args),
        Command::Man(args) => man::run(args),
    };
    outcome.unwrap_or_else(|failure| fail(&failure))
}

/// Whether a command line would be understood, settings aside; for tests of what the pages say.
///
/// # Errors
/// What clap says against it.
pub fn understands(words: &[&str]) -> Result<(), String> {
    let error = args::Args::try_parse_from(words).err();
    let asked = |e: &clap::Error| matches!(e.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    error.filter(|e| !asked(e)).map_or(Ok(()), |e| Err(e.to_string()))
}

fn fail(failure: &Failure) -> Exit {
    eprintln!("difyprobe: {failure}");
    failure.exit()
}
