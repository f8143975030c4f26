//! What was typed -> what it means -> one function per command; exit codes in one place.

#[macro_use]
mod print; // first: the others print with its macros

mod args;
mod baseline;
mod check;
mod compare;
mod dry_run;
mod exit;
mod find;
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
mod merge;
mod output;
mod progress;
mod record;
mod rules;
mod scenarios;
mod selftest;
mod serve;
mod serve_app;
mod shard;
mod snapshot;
mod target;
mod unexamined;

pub use exit::Exit;

use args::{Args, Command};
use clap::Parser;
use clap::error::ErrorKind;

/// Parses the command line, runs the command, and gives the exit code.
pub fn main() -> Exit {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // Cannot be reported anywhere if it fails.
            let _ = error.print();
            return match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Pass,
                _ => Exit::Usage,
            };
        }
    };
    let outcome = match args.command {
        Command::Check(args) => check::run(args),
        Command::Load(args) => load::run(*args),
        Command::Merge(args) => merge::run(args),
        Command::Compare(args) => compare::run(args),
        Command::Judge(args) => judge::run(args),
        Command::Snapshot(args) => snapshot::run(args),
        Command::Serve(args) => serve::run(args),
        Command::Record(args) => record::run(args),
        Command::Selftest(args) => selftest::run(args),
        Command::Rules(args) => rules::run(args),
        Command::Lint(args) => lint::run(args),
    };
    outcome.unwrap_or_else(|failure| {
        eprintln!("difyprobe: {failure}");
        failure.exit()
    })
}
