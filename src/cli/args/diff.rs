//! `diff` and `matrix`.

use super::common::{Color, TargetArgs};
use super::snapshot::Texts;
use super::value::profile;
use crate::difference::Kind;
use clap::Args as ClapArgs;
use std::path::PathBuf;

/// `diff`
#[derive(ClapArgs)]
pub struct DiffArgs {
    /// Scenario files or folders (default: the built-in suite); or two saved transcripts, A and B, without --candidate
    pub scenarios: Vec<PathBuf>,
    #[command(flatten)]
    pub target: TargetArgs,
    #[command(flatten)]
    pub candidate: CandidateArgs,
    /// How texts of a model are compared: word for word, that there is one, or not at all
    #[arg(long, value_enum, default_value_t = Texts::Exact)]
    pub texts: Texts,
    /// Leave out what this JSON path (RFC 9535) selects in bodies of replies and data of events; repeatable
    #[arg(long, value_name = "JSONPATH")]
    pub ignore: Vec<String>,
    /// Leave out all differences of these kinds, e.g. text,member-added; repeatable
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    pub ignore_kind: Vec<Kind>,
    /// Also run the scenarios that are slow by design
    #[arg(long)]
    pub slow: bool,
    /// Folder of the reports and transcripts that every run writes
    #[arg(long, value_name = "DIR", default_value = "reports")]
    pub reports: PathBuf,
    #[command(flatten)]
    pub papers: PaperArgs,
    /// Only the summary line
    #[arg(long, short)]
    pub quiet: bool,
    /// More detail: curl commands
    #[arg(long, short, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// The server that is compared.
#[derive(ClapArgs, Clone)]
pub struct CandidateArgs {
    /// Base URL of the candidate, B
    #[arg(long, env = "DIFY_CANDIDATE_BASE_URL", value_name = "URL", hide_env_values = true)]
    pub candidate: Option<String>,
    /// API key of the candidate's app; without a key of its own it is asked with the keys of A
    #[arg(long, env = "DIFY_CANDIDATE_API_KEY", value_name = "KEY", hide_env_values = true)]
    pub candidate_api_key: Option<String>,
    /// App mode and its key on the candidate, repeatable: chat=app-...
    #[arg(long, value_name = "MODE=KEY")]
    pub candidate_app: Vec<String>,
    /// Expectations of the rules on the candidate
    #[arg(long, default_value = "auto", value_name = "PROFILE", value_parser = profile)]
    pub candidate_profile: String,
}

/// Where tables go.
#[derive(ClapArgs, Clone)]
pub struct PaperArgs {
    /// Also write a report: json=PATH, markdown=PATH or html=PATH; repeatable
    #[arg(long, value_name = "FORMAT=PATH")]
    pub report: Vec<String>,
    /// Colour of the terminal output
    #[arg(long, value_enum, default_value_t = Color::Auto)]
    pub color: Color,
}

/// `matrix`
#[derive(ClapArgs)]
pub struct MatrixArgs {
    /// JSON reports of `check`, the earliest version first; NAME=PATH names a column
    #[arg(required = true, value_name = "REPORT.json")]
    pub targets: Vec<String>,
    /// Also the rules whose outcome is the same everywhere
    #[arg(long)]
    pub all: bool,
    #[command(flatten)]
    pub papers: PaperArgs,
}
