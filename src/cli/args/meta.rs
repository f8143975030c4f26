//! `init`, `completions`, `man`.

use super::common::TargetArgs;
use clap::Args as ClapArgs;
use clap_complete::Shell;
use std::path::PathBuf;

/// `init`
#[derive(ClapArgs)]
pub struct InitArgs {
    /// Folder to write into
    #[arg(value_name = "DIR", default_value = ".")]
    pub folder: PathBuf,
    /// Write over files that are there
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub target: TargetArgs,
}

/// `completions`
#[derive(ClapArgs)]
pub struct CompletionsArgs {
    /// Which shell
    pub shell: Shell,
}

/// `man`
#[derive(ClapArgs)]
pub struct ManArgs {
    /// Folder for the pages of all commands; without it the main page is printed
    #[arg(value_name = "DIR")]
    pub folder: Option<PathBuf>,
}
