//! The command line.

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Conformance, load and regression testing for Dify-compatible APIs.
#[derive(Parser)]
#[command(name = "difyprobe", version, max_term_width = 100)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Subcommand)]
pub enum Command {
    /// Check that a server conforms: one verdict per rule
    #[command(after_help = "Without a target the embedded emulator is examined.\n\nExamples:\n  \
        difyprobe check\n  \
        DIFY_API_KEY=app-... difyprobe check --base-url https://dify.example/v1\n  \
        difyprobe check --base-url http://localhost/v1 --app chat=app-... --app completion=app-...")]
    Check(CheckArgs),
    /// Run scenarios as load: latency histograms, failures by class, rules judged on every response
    #[command(after_help = "Examples:\n  \
        difyprobe load scenarios/load/evening-peak.yaml\n  \
        difyprobe load scenarios/load/chat-three-turns.yaml --rate 20 --ramp 10s --duration 1m --slo 'ttft p(95) < 800ms'\n  \
        difyprobe load scenarios/load/chat-three-turns.yaml --users 20 --duration 30s\n  \
        difyprobe load scenarios/load/chat-three-turns.yaml --rate 1 --stage 30s:20 --stage 3m:20 --stage 0s:60 --stage peak=20s:60")]
    Load(Box<LoadArgs>),
    /// Join the results of the shards of a load, exactly
    #[command(
        after_help = "Example:\n  difyprobe merge reports/evening-peak    (the folder that holds shard-0-of-4 and its neighbours)"
    )]
    Merge(MergeArgs),
    /// Compare two results of loads: what became slower, and is it chance
    #[command(
        after_help = "Exit 0: same or faster; 5: slower; 3: it cannot be told; 4: one of the runs is invalid.\n\n\
        Example:\n  difyprobe compare reports/before reports/after"
    )]
    Compare(CompareArgs),
    /// Judge saved transcripts again, offline
    Judge(JudgeArgs),
    /// Compare the scenarios' exchanges with reviewed snapshots
    #[command(after_help = "Without a target the embedded emulator is examined.\n\nExamples:\n  \
        difyprobe snapshot            (what changed waits for `cargo insta review`)\n  \
        difyprobe snapshot --check    (in CI)\n  \
        difyprobe snapshot --base-url http://localhost/v1 --app chat=app-... --snapshots snapshots-of-ours --texts shape")]
    Snapshot(SnapshotArgs),
    /// Serve the emulator, for client authors and for trying things out
    Serve(ServeArgs),
    /// Prove every rule against its mutant: the kill matrix
    Selftest(SelftestArgs),
    /// List and explain the rules
    Rules(RulesArgs),
    /// Find the problems of scenario and load files, all at once
    Lint(LintArgs),
}

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
    #[arg(long, default_value = "auto", value_name = "PROFILE")]
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
    /// Also write a report: json=PATH, junit=PATH, html=PATH or markdown=PATH; repeatable
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
    /// Also write the comparison as JSON
    #[arg(long, value_name = "PATH")]
    pub json: Option<PathBuf>,
    /// Colour of the terminal output
    #[arg(long, value_enum, default_value_t = Color::Auto)]
    pub color: Color,
    /// Also by scenario
    #[arg(long, short, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// `judge`
#[derive(ClapArgs)]
pub struct JudgeArgs {
    /// Saved transcripts, or folders of them
    #[arg(required = true)]
    pub transcripts: Vec<PathBuf>,
    /// Expectations; auto takes the recorded profile, else the server's version
    #[arg(long, default_value = "auto", value_name = "PROFILE")]
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

/// `serve`
#[derive(ClapArgs)]
pub struct ServeArgs {
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1")]
    pub host: IpAddr,
    /// Port to listen on; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    pub port: u16,
    /// Apps to serve, repeatable: a mode (chat, completion, agent-chat, agent, advanced-chat, workflow, workflow-llm,
    /// chat-plain, completion-query, completion-noquery), or the file of an app of your own, see docs/emulator.md
    /// (default: one app of every mode)
    #[arg(long, value_name = "MODE|FILE")]
    pub app: Vec<String>,
    /// Serve an OpenAI-compatible echo model instead, to build apps of a real Dify on; see docs/probe-apps.md
    #[arg(long, conflicts_with_all = ["app", "profile", "mutant", "ping_every", "turns_at_once", "record"])]
    pub model: bool,
    /// The API key that requests to the model must carry; none accepts any
    #[arg(long, value_name = "KEY", requires = "model")]
    pub model_key: Option<String>,
    /// Server to imitate: documented, dify-0.15, dify-1.12, dify-1.13
    #[arg(long, default_value = "documented", value_name = "PROFILE")]
    pub profile: String,
    /// Break one promise; `difyprobe selftest --list` names the mutants
    #[arg(long, value_name = "ID")]
    pub mutant: Option<String>,
    /// Time before the first chunk of an answer, e.g. 300ms
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "3ms")]
    pub first_chunk: Duration,
    /// Time between two chunks
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "2ms")]
    pub gap: Duration,
    /// Characters per chunk
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..))]
    pub chunk_chars: u32,
    /// Time between two pings of a stream
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "10s")]
    pub ping_every: Duration,
    /// Generations that each app carries out at the same time; one more is refused with 429 (default: any number)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub turns_at_once: Option<u32>,
    /// Write when what was sent to a file, one line of JSON for each generation; see docs/emulator.md
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// Print one line of JSON instead of text
    #[arg(long)]
    pub json: bool,
}

/// How many faulty servers are examined side by side: as many as two cores carry without a rule about time noticing it.
const SERVERS_AT_ONCE: u16 = if cfg!(debug_assertions) { 24 } else { 48 };

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
    /// Write the matrix as JSON
    #[arg(long, value_name = "PATH")]
    pub json: Option<PathBuf>,
    /// Write the matrix as Markdown
    #[arg(long, value_name = "PATH")]
    pub markdown: Option<PathBuf>,
}

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
    /// Scenario files, load files or folders
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
}

fn positive(text: &str) -> Result<Duration, String> {
    duration(text).and_then(|d| if d.is_zero() { Err("must be longer than 0".to_owned()) } else { Ok(d) })
}

fn duration(text: &str) -> Result<Duration, String> {
    crate::scenario::duration::parse(text).map_err(|e| e.to_string())
}

/// `5%` or `5` as 0.05.
fn percent(text: &str) -> Result<f64, String> {
    let number = text.trim().trim_end_matches('%').trim();
    let value = number.parse::<f64>().ok().filter(|value| (0.0..=1000.0).contains(value));
    value.map(|value| value / 100.0).ok_or_else(|| "must be a share such as 5%".to_owned())
}
