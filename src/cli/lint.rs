//! `lint`: all problems of scenario and load files at once.

use super::args::LintArgs;
use super::exit::{Exit, Failure};
use super::scenarios;
use std::io::IsTerminal;

/// Prints every problem; exit 2 if there is one.
pub fn run(args: LintArgs) -> Result<Exit, Failure> {
    let read = scenarios::read_all(&args.files, std::io::stdout().is_terminal())?;
    for problem in &read.problems {
        println!("{problem}");
    }
    if read.problems.is_empty() {
        println!("{} checked, no problems", crate::report::units::count(read.files as u64, "file"));
        return Ok(Exit::Pass);
    }
    Ok(Exit::Usage)
}
