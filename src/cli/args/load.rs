//! `load`, `merge`, `compare`.

use super::common::{Color, OutputArgs, TargetArgs};
use super::value::{duration, percent, positive};
use clap::{Args as ClapArgs, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

/// `load`
#[derive(ClapArgs, Clone)]
pub struct LoadArgs {
    /// A load file, or scenario files and folders
    #[arg(required = true)]
    pub scenarios: Vec<PathBuf>,
    #[command(flatten)]
    pub target: TargetArgs,
    #[command(flatten)]
    pub output: OutputArgs,
    /// Known deviations of the server's version fail too
    #[arg(long)]
    pub strict: bool,
    // Last, because their headings hold for what follows them, too.
    #[command(flatten)]
    pub arrivals: ArrivalArgs,
    #[command(flatten)]
    pub ends: EndArgs,
    #[command(flatten)]
    pub together: TogetherArgs,
    #[command(flatten)]
    pub find: FindArgs,
    /// Show plain lines instead of the full screen
    #[arg(long)]
    pub no_live: bool,
}

/// When scenarios begin. Not with a load file, which says it itself.
#[derive(ClapArgs, Clone, Default)]
#[command(next_help_heading = "Load")]
pub struct ArrivalArgs {
    /// Open model: scenarios that begin per second (20, 20/s, 300/m, 1000/h), whatever became of those before
    #[arg(long, value_name = "N[/UNIT]", conflicts_with = "users")]
    pub rate: Option<String>,
    /// Closed model: virtual users, each starting the next scenario when one is done (default: 1)
    #[arg(long, value_name = "N")]
    pub users: Option<u32>,
    /// Begin scenarios at recorded times: a file with one time in seconds per line, or in the first column
    #[arg(long, value_name = "FILE", conflicts_with_all = ["rate", "users"])]
    pub schedule: Option<PathBuf>,
    /// With --rate: users who know nothing of each other, so that gaps are random (default: even gaps)
    #[arg(long)]
    pub poisson: bool,
    /// Length of the measured load, e.g. 30s, 5m
    #[arg(long, value_name = "DURATION", value_parser = positive)]
    pub duration: Option<Duration>,
    /// Rise from 0 to the level in this time first; not measured
    #[arg(long, value_name = "DURATION", value_parser = positive)]
    pub ramp: Option<Duration>,
    /// Stay at the level for this time first; not measured
    #[arg(long, value_name = "DURATION", value_parser = positive)]
    pub warm_up: Option<Duration>,
    /// In this time, from the level before (at first that of --rate or --users) to this one, repeatable: 30s:20, 3m:20;
    /// 0s:60 jumps; peak=20s:60 has a name
    #[arg(long, value_name = "[LABEL=]DURATION:LEVEL", conflicts_with_all = ["duration", "ramp", "schedule"])]
    pub stage: Vec<String>,
    /// Scenarios that each user runs
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), conflicts_with_all = ["rate", "schedule"])]
    pub iterations: Option<u32>,
    /// Leave out the think times of the scenarios
    #[arg(long)]
    pub no_think: bool,
}

/// When a load ends, and what it must hold.
#[derive(ClapArgs, Clone, Default)]
#[command(next_help_heading = "Ends and objectives")]
pub struct EndArgs {
    /// Begin no scenario after this many generation requests
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub requests: Option<u64>,
    /// How long scenarios may go on when the time is over (default: 30s)
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub drain: Option<Duration>,
    /// What the server must hold, repeatable: "ttft p(95) < 800ms", "error-rate < 1% {abort}"; exit 5 if it does not
    #[arg(long, value_name = "OBJECTIVE")]
    pub slo: Vec<String>,
    /// End the run early, repeatable: "error-rate > 20% for 10s"
    #[arg(long, value_name = "CONDITION")]
    pub stop_when: Vec<String>,
    /// End the run when the server has made this many tokens
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub max_tokens: Option<u64>,
    /// End the run when it has cost this much, repeatable: USD=1.50
    #[arg(long, value_name = "CURRENCY=PRICE")]
    pub max_cost: Vec<String>,
}

/// Searching the highest load.
#[derive(ClapArgs, Clone)]
#[command(next_help_heading = "Search")]
pub struct FindArgs {
    /// Search the highest load at which every --slo holds: by doubling, then by bisection
    #[arg(long, value_enum, value_name = "WHAT")]
    pub find: Option<What>,
    /// First rate, or number of users, that is tried
    #[arg(long, value_name = "LEVEL", default_value_t = 1.0, requires = "find")]
    pub find_from: f64,
    /// Highest one that is tried
    #[arg(long, value_name = "LEVEL", default_value_t = 10_000.0, requires = "find")]
    pub find_to: f64,
    /// How narrow the result must be
    #[arg(long, value_name = "PERCENT", default_value = "5%", value_parser = percent, requires = "find")]
    pub find_within: f64,
    /// Length of a probe; a fifth more is its warm-up
    #[arg(long, value_name = "DURATION", default_value = "20s", value_parser = positive, requires = "find")]
    pub probe: Duration,
    /// Go on with the search that was interrupted
    #[arg(long, requires = "find")]
    pub resume: bool,
}

/// What `--find` searches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum What {
    /// Arrivals per second (open model).
    MaxRate,
    /// Virtual users (closed model).
    MaxUsers,
}

impl What {
    /// As on the command line.
    pub fn name(self) -> &'static str {
        match self {
            What::MaxRate => "max-rate",
            What::MaxUsers => "max-users",
        }
    }

    /// A level with its unit.
    pub fn shown(self, level: f64) -> String {
        match self {
            What::MaxRate => format!("{level} /s"),
            What::MaxUsers => format!("{level} users"),
        }
    }
}

/// How several processes share a load.
#[derive(ClapArgs, Clone, Default)]
#[command(next_help_heading = "Shards")]
pub struct TogetherArgs {
    /// Name of the run and of its folder of results (default: the id of the load file or scenario)
    #[arg(long, value_name = "ID")]
    pub name: Option<String>,
    /// Take every Nth scenario of the schedule, counted from 0: 0/4 to 3/4 (default: from the environment of Kubernetes
    /// indexed jobs, Slurm and Open MPI; 0/1 is the whole)
    #[arg(long, value_name = "I/N")]
    pub shard: Option<String>,
    /// Begin the schedule at this time: milliseconds since 1970, or 2026-11-24T18:00:00Z
    #[arg(long, value_name = "TIME")]
    pub start_at: Option<String>,
    /// Begin when all shards have put a file into this folder, which they share
    #[arg(long, value_name = "DIR", conflicts_with = "start_at")]
    pub barrier: Option<PathBuf>,
}

/// `merge`
#[derive(ClapArgs)]
pub struct MergeArgs {
    /// Folders of the shards, or the folder that holds them
    #[arg(required = true, value_name = "DIR")]
    pub folders: Vec<PathBuf>,
    /// Folder of the whole (default: the one that holds the shards)
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `compare`
#[derive(ClapArgs)]
pub struct CompareArgs {
    /// Folder of the reference
    #[arg(value_name = "RUN_A")]
    pub a: PathBuf,
    /// Folder of the run that is compared with it
    #[arg(value_name = "RUN_B")]
    pub b: PathBuf,
    /// Differences below this share do not matter, e.g. 5%
    #[arg(long, value_name = "PERCENT", default_value = "5%", value_parser = percent)]
    pub threshold: f64,
    /// Differences of times below this do not matter
    #[arg(long, value_name = "DURATION", default_value = "1ms", value_parser = duration)]
    pub floor: Duration,
    /// Seed of the bootstrap
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Also write the comparison: json=PATH
    #[arg(long, value_name = "FORMAT=PATH")]
    pub report: Vec<String>,
    /// As --report json=PATH, its older spelling
    #[arg(long, value_name = "PATH", hide = true)]
    pub json: Option<String>,
    /// Colour of the terminal output
    #[arg(long, value_enum, default_value_t = Color::Auto)]
    pub color: Color,
    /// Also by scenario
    #[arg(long, short, action = clap::ArgAction::Count)]
    pub verbose: u8,
}
