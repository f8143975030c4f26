//! `completions`: what a shell offers behind `difyprobe`, from the definition of the flags.

use super::args::{Args, CompletionsArgs};
use super::exit::{Exit, Failure};
use clap::CommandFactory;

/// Prints the script.
pub fn run(args: CompletionsArgs) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "difyprobe", &mut script);
    print!("{}", String::from_utf8_lossy(&script));
    Ok(Exit::Pass)
}
