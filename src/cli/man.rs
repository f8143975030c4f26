//! `man`: manual pages, from the definition of the flags.

use super::args::{Args, ManArgs};
use super::exit::{Exit, Failure};
use super::output::chain;
use crate::report::units::count;
use crate::store;
use clap::{Command, CommandFactory};
use clap_mangen::Man;
use std::path::Path;

/// Prints the main page, or writes all of them.
pub fn run(args: ManArgs) -> Result<Exit, Failure> {
    let mut root = Args::command();
    root.build();
    match args.folder {
        None => print!("{}", page(root, "difyprobe")?),
        Some(folder) => {
            let written = write(&root, "difyprobe", &folder)?;
            println!("{} in {}", count(written, "manual page"), folder.display());
        }
    }
    Ok(Exit::Pass)
}

/// Writes the page of a command and those of its own commands, and counts them.
fn write(command: &Command, name: &str, folder: &Path) -> Result<u64, Failure> {
    let path = folder.join(format!("{name}.1"));
    let text = page(command.clone(), name)?;
    store::write_atomic(&path, text.as_bytes()).map_err(|e| Failure::usage(chain(&e)))?;
    let below = command.get_subcommands().filter(|sub| sub.get_name() != "help");
    below
        .map(|sub| write(sub, &format!("{name}-{}", sub.get_name()), folder))
        .sum::<Result<u64, Failure>>()
        .map(|n| n + 1)
}

fn page(command: Command, name: &str) -> Result<String, Failure> {
    let mut page = Vec::new();
    // `name` and `version` of clap live as long as the program
    let command = command.name(name.to_owned());
    Man::new(command).render(&mut page).map_err(Failure::internal)?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}
