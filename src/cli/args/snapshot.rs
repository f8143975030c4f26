//! `snapshot`, `review`.

use super::common::TargetArgs;
use clap::{Args as ClapArgs, Subcommand, ValueEnum};
use std::path::PathBuf;

/// `snapshot`
#[derive(ClapArgs)]
#[command(args_conflicts_with_subcommands = true)]
pub struct SnapshotArgs {
    /// What else to do; without it scenarios are run and compared
    #[command(subcommand)]
    pub what: Option<SnapshotCommand>,
    /// Scenario files or folders; default: the built-in suite
    pub scenarios: Vec<PathBuf>,
    #[command(flatten)]
    pub target: TargetArgs,
    /// Folder of the snapshots
    #[arg(long, value_name = "DIR", default_value = "snapshots")]
    pub snapshots: PathBuf,
    /// Name of the target: its folder below the folder of the snapshots; default: its profile
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Write nothing; exit 6 if anything differs
    #[arg(long, conflicts_with = "update")]
    pub check: bool,
    /// Accept everything that is new or changed
    #[arg(long)]
    pub update: bool,
    /// How texts of a model are compared: word for word, that there is one, or not at all
    #[arg(long, value_enum, default_value_t = Texts::Exact)]
    pub texts: Texts,
    /// Reply header to show and compare besides those that always are; repeatable
    #[arg(long = "header", value_name = "NAME")]
    pub headers: Vec<String>,
}

/// `snapshot list`, `snapshot accept`, `snapshot reject`
#[derive(Subcommand)]
pub enum SnapshotCommand {
    /// List what waits for review; exit 6 if anything does
    List(PendingArgs),
    /// Accept what waits for review
    Accept(PendingArgs),
    /// Throw away what waits for review
    Reject(PendingArgs),
}

/// What of the files that wait for review is meant.
#[derive(ClapArgs)]
pub struct PendingArgs {
    /// Only these: TARGET/NAME, NAME or a part with `*`, e.g. 'dify-1.12/chat.*'; default: all
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Folder of the snapshots
    #[arg(long, value_name = "DIR", default_value = "snapshots")]
    pub snapshots: PathBuf,
}

/// `review`
#[derive(ClapArgs)]
pub struct ReviewArgs {
    #[command(flatten)]
    pub pending: PendingArgs,
    /// Review here, also where cargo-insta is installed
    #[arg(long)]
    pub builtin: bool,
}

/// How texts of a model are compared.
#[derive(Clone, Copy, ValueEnum)]
pub enum Texts {
    /// Word for word: for apps that echo.
    Exact,
    /// Whether there is a text; the number of its pieces does not count.
    Shape,
    /// Not at all.
    Ignored,
}
