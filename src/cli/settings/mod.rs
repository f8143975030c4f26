//! `difyprobe.toml`: values for flags that were not typed.
//!
//! Precedence: flags, then the environment, then the file, then the defaults. The file is laid *under* the command line as
//! defaults of clap, so that every flag of every command that talks to a server can stand in it, by its own name and with its own
//! checks. docs/settings.md describes it.

mod file;
mod find;
mod lay;
#[cfg(test)]
mod tests;

pub use file::NAME;

use super::args::Args;
use super::exit::Failure;
use clap::error::ErrorKind;
use clap::{ArgMatches, CommandFactory, FromArgMatches};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Looks up a variable of the environment.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A command line with the settings laid under it.
pub struct Understood {
    /// What is meant.
    pub args: Args,
    /// What the user should know about the file, one line each.
    pub notes: Vec<String>,
}

/// Why a command line is not understood.
pub enum Misunderstood {
    /// clap's own error, or a page of help.
    Typed(clap::Error),
    /// The file, with a rendered reason.
    Settings(Failure),
}

impl From<clap::Error> for Misunderstood {
    fn from(error: clap::Error) -> Misunderstood {
        Misunderstood::Typed(error)
    }
}

impl From<Failure> for Misunderstood {
    fn from(failure: Failure) -> Misunderstood {
        Misunderstood::Settings(failure)
    }
}

/// Parses the words of a command line; `folder` is where the search for the file begins.
///
/// # Errors
/// Help and version too come as an error of clap.
pub fn understand(words: &[OsString], folder: &Path, env: Lookup<'_>) -> Result<Understood, Misunderstood> {
    let typed = lay::lenient(Args::command()).try_get_matches_from(words)?;
    let (name, matches) = typed.subcommand().ok_or_else(|| Args::command().error(ErrorKind::MissingSubcommand, ""))?;
    let Some(path) = chosen_file(name, matches, folder)? else {
        return Ok(Understood { args: Args::from_arg_matches(&strict(Args::command(), words)?)?, notes: Vec::new() });
    };
    let settings = file::read(&folder.join(&path), &path)?;
    let laid = lay::under(&settings, name, matches, env)?;
    let args = Args::from_arg_matches(&strict(laid.command, words)?)?;
    let quiet = matches.try_get_one::<bool>("quiet").ok().flatten().copied().unwrap_or(false);
    let mut notes = laid.notes;
    if !laid.used.is_empty() && !quiet {
        notes.insert(0, format!("settings of {}: {}", path.display(), laid.used.join(", ")));
    }
    Ok(Understood { args, notes })
}

fn strict(command: clap::Command, words: &[OsString]) -> Result<ArgMatches, clap::Error> {
    command.try_get_matches_from(words)
}

/// The file that holds for a command: the named one, or the one that is found.
fn chosen_file(name: &str, matches: &ArgMatches, folder: &Path) -> Result<Option<PathBuf>, Failure> {
    let takes = Args::command().find_subcommand(name).is_some_and(file::takes_settings);
    let named = matches.get_one::<PathBuf>("config");
    if let (Some(path), false) = (named, takes) {
        let path = path.display();
        return Err(Failure::usage(format!(
            "--config {path}: `difyprobe {name}` takes no settings; leave the flag out"
        )));
    }
    if !takes || matches.get_flag("no_config") {
        return Ok(None);
    }
    Ok(named.cloned().or_else(|| find::above(folder)))
}

/// All problems of a settings file, rendered; none where it is clean.
///
/// # Errors
/// A file that cannot be read.
pub fn lint(path: &Path, color: bool) -> Result<Option<String>, Failure> {
    file::problems(path, color)
}
