//! What several commands take: the server, and how results are shown.

use super::value::{positive, profile};
use clap::{Args as ClapArgs, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

/// Which server.
#[derive(ClapArgs, Clone)]
pub struct TargetArgs {
    /// Base URL of the API, e.g. https://dify.example/v1; without it the embedded emulator is used
    #[arg(long, env = "DIFY_BASE_URL", value_name = "URL", hide_env_values = true)]
    pub base_url: Option<String>,
    /// API key of the app; better given by the environment
    #[arg(long, env = "DIFY_API_KEY", value_name = "KEY", hide_env_values = true)]
    pub api_key: Option<String>,
    /// App mode and its key, repeatable: chat=app-...
    #[arg(long, value_name = "MODE=KEY")]
    pub app: Vec<String>,
    /// Expectations: auto, documented, dify-0.15, dify-1.12, dify-1.13
    #[arg(long, default_value = "auto", value_name = "PROFILE", value_parser = profile)]
    pub profile: String,
    /// Seed of everything made up; the same seed sends the same requests
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Most requests at the same time (default: 4, on the embedded emulator 64); under load: most scenarios under way,
    /// further ones are dropped and counted
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_in_flight: Option<u32>,
    /// Limit of a whole exchange, e.g. 30s; other limits are never longer
    #[arg(long, value_name = "DURATION", value_parser = positive)]
    pub timeout: Option<Duration>,
    /// Leave what was created on the server
    #[arg(long)]
    pub keep: bool,
}

/// How results are shown and written.
#[derive(ClapArgs, Clone)]
pub struct OutputArgs {
    /// Also write a report as json, junit, html, markdown, sarif, tap, github or gitlab, of a load also as hlog or csv;
    /// PATH - is stdout; repeatable
    #[arg(long, value_name = "FORMAT=PATH")]
    pub report: Vec<String>,
    /// Folder of the reports that every run writes
    #[arg(long, value_name = "DIR", default_value = "reports")]
    pub reports: PathBuf,
    /// Colour of the terminal output
    #[arg(long, value_enum, default_value_t = Color::Auto)]
    pub color: Color,
    /// Only the summary line
    #[arg(long, short)]
    pub quiet: bool,
    /// More detail
    #[arg(long, short, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// When to colour.
#[derive(Clone, Copy, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}
