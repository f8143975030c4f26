//! `lint`: all problems of scenario files, load files and settings at once.

use super::args::LintArgs;
use super::exit::{Exit, Failure};
use super::{scenarios, settings};
use crate::report::units::count;
use std::io::IsTerminal;
use std::path::PathBuf;

/// Prints every problem; exit 2 if there is one.
pub fn run(args: LintArgs) -> Result<Exit, Failure> {
    let color = std::io::stdout().is_terminal();
    let is_settings = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "toml");
    let (tomls, yamls): (Vec<PathBuf>, Vec<PathBuf>) = args.files.into_iter().partition(is_settings);
    let read = scenarios::read_all(&yamls, color)?;
    let (mut problems, mut files) = (read.problems, read.files);
    for path in &tomls {
        problems.extend(settings::lint(path, color)?);
        files += 1;
    }
    for problem in &problems {
        println!("{problem}");
    }
    if problems.is_empty() {
        println!("{} checked, no problems", count(files as u64, "file"));
        return Ok(Exit::Pass);
    }
    Ok(Exit::Usage)
}
