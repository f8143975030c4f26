//! `snapshot`.

use super::common::TargetArgs;
use clap::{Args as ClapArgs, ValueEnum};
use std::path::PathBuf;

/// `snapshot`
#[derive(ClapArgs)]
pub struct SnapshotArgs {
    /// Scenario files or folders; default: the built-in suite
    pub scenarios: Vec<PathBuf>,
    #[command(flatten)]
    pub target: TargetArgs,
    /// Folder of the snapshots
    #[arg(long, value_name = "DIR", default_value = "snapshots")]
    pub snapshots: PathBuf,
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
