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
    #[command(after_help = "Example:\n  difyprobe load scenarios/load/chat-three-turns.yaml --users 20 --duration 30s")]
    Load(LoadArgs),
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
    /// Find the problems of scenario files, all at once
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
    /// Most requests at the same time (default: 4, on the embedded emulator 64, under load no limit)
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
#[derive(ClapArgs)]
pub struct LoadArgs {
    /// Scenario files or folders
    #[arg(required = true)]
    pub scenarios: Vec<PathBuf>,
    /// Virtual users, each starting the next scenario when one is done
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub users: u32,
    /// No scenario is begun after this, e.g. 30s, 5m
    #[arg(long, value_name = "DURATION", value_parser = positive)]
    pub duration: Option<Duration>,
    /// Scenarios that each user runs
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub iterations: Option<u32>,
    #[command(flatten)]
    pub target: TargetArgs,
    #[command(flatten)]
    pub output: OutputArgs,
    /// Known deviations of the server's version fail too
    #[arg(long)]
    pub strict: bool,
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
    /// Scenario files or folders
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
}

fn positive(text: &str) -> Result<Duration, String> {
    duration(text).and_then(|d| if d.is_zero() { Err("must be longer than 0".to_owned()) } else { Ok(d) })
}

fn duration(text: &str) -> Result<Duration, String> {
    crate::scenario::duration::parse(text).map_err(|e| e.to_string())
}
