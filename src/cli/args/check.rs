//! `check`, `judge`, `selftest`, `rules`, `lint`.

use super::common::{OutputArgs, TargetArgs};
use super::value::profile;
use clap::{Args as ClapArgs, Subcommand};
use std::path::PathBuf;

/// `check`
#[derive(ClapArgs)]
pub struct CheckArgs {
    /// Scenario files or folders; default: the built-in suite
    pub scenarios: Vec<PathBuf>,
    #[command(flatten)]
    pub target: TargetArgs,
    #[command(flatten)]
    pub output: OutputArgs,
    /// Known deviations of the server's version fail too
    #[arg(long)]
    pub strict: bool,
    /// Also run the scenarios that are slow by design (on by default with --base-url)
    #[arg(long, conflicts_with = "quick")]
    pub slow: bool,
    /// Leave the slow scenarios out
    #[arg(long)]
    pub quick: bool,
    /// Save the recording of the run in this folder
    #[arg(long, value_name = "DIR")]
    pub save_transcripts: Option<PathBuf>,
    /// Only these rules, and the scenarios that exercise them: ids, globs or areas; repeatable
    #[arg(long, value_name = "GLOB", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Without these rules
    #[arg(long, value_name = "GLOB", value_delimiter = ',')]
    pub skip: Vec<String>,
    /// Failures that are accepted, with reasons; exit 7 when an entry is out of date
    #[arg(long, value_name = "FILE")]
    pub baseline: Option<PathBuf>,
    /// List what would be sent; of the server only its apps are asked
    #[arg(long)]
    pub dry_run: bool,
}

/// `judge`
#[derive(ClapArgs)]
pub struct JudgeArgs {
    /// Saved transcripts, or folders of them
    #[arg(required = true)]
    pub transcripts: Vec<PathBuf>,
    /// Expectations; auto takes the recorded profile, else the server's version
    #[arg(long, default_value = "auto", value_name = "PROFILE", value_parser = profile)]
    pub profile: String,
    /// Known deviations of the server's version fail too
    #[arg(long)]
    pub strict: bool,
    /// Failures that are accepted, with reasons; exit 7 when an entry is out of date
    #[arg(long, value_name = "FILE")]
    pub baseline: Option<PathBuf>,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `selftest`
#[derive(ClapArgs)]
pub struct SelftestArgs {
    /// Only mutants whose id or victims contain this text
    pub filter: Option<String>,
    /// Name the mutants without running them
    #[arg(long)]
    pub list: bool,
    /// Servers examined at the same time
    #[arg(long, value_name = "N", default_value_t = SERVERS_AT_ONCE, value_parser = clap::value_parser!(u16).range(1..))]
    pub at_once: u16,
    /// Also write the matrix: json=PATH or markdown=PATH; repeatable
    #[arg(long, value_name = "FORMAT=PATH")]
    pub report: Vec<String>,
    /// As --report json=PATH, its older spelling
    #[arg(long, value_name = "PATH", hide = true)]
    pub json: Option<String>,
    /// As --report markdown=PATH, its older spelling
    #[arg(long, value_name = "PATH", hide = true)]
    pub markdown: Option<String>,
}

/// How many faulty servers are examined side by side: as many as two cores carry without a rule about time noticing it.
const SERVERS_AT_ONCE: u16 = if cfg!(debug_assertions) { 24 } else { 48 };

/// `rules`
#[derive(ClapArgs)]
pub struct RulesArgs {
    /// What about the rules; default: list
    #[command(subcommand)]
    pub what: Option<RulesCommand>,
}

/// `rules list`, `rules explain`
#[derive(Subcommand)]
pub enum RulesCommand {
    /// One line per rule
    List,
    /// Everything about a rule
    Explain {
        /// Rule id, e.g. chat.conversation-id.stable
        id: String,
    },
}

/// `lint`
#[derive(ClapArgs)]
pub struct LintArgs {
    /// Scenario files, load files, folders of them, or a difyprobe.toml
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
}
