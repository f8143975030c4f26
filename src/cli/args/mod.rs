//! The command line.

mod check;
mod common;
mod diff;
mod load;
mod meta;
mod serve;
mod snapshot;
mod value;

pub use check::{CheckArgs, JudgeArgs, LintArgs, RulesArgs, RulesCommand, SelftestArgs};
pub use common::{Color, OutputArgs, TargetArgs};
pub use diff::{CandidateArgs, DiffArgs, MatrixArgs};
pub use load::{ArrivalArgs, CompareArgs, EndArgs, FindArgs, LoadArgs, MergeArgs, What};
pub use meta::{CompletionsArgs, InitArgs, ManArgs};
pub use serve::ServeArgs;
pub use snapshot::{PendingArgs, ReviewArgs, SnapshotArgs, SnapshotCommand, Texts};

use clap::{Parser, Subcommand};
use std::path::PathBuf;

/// Conformance, load and regression testing for Dify-compatible APIs.
#[derive(Parser)]
#[command(
    name = "difyprobe",
    version,
    max_term_width = 100,
    after_help = "Examples:\n  \
        difyprobe check                   (no server named: examines the embedded emulator)\n  \
        difyprobe init --base-url https://dify.example/v1    (writes settings and a first scenario)\n  \
        difyprobe help load               (a command with its flags and examples)"
)]
pub struct Args {
    /// Settings to use (default: difyprobe.toml of this folder, or of one above it in the repository)
    #[arg(long, global = true, value_name = "FILE", help_heading = "Settings")]
    pub config: Option<PathBuf>,
    /// Use no difyprobe.toml
    #[arg(long, global = true, conflicts_with = "config", help_heading = "Settings")]
    pub no_config: bool,
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
    #[command(after_help = "Examples:\n  \
        difyprobe judge reports/check.transcript.json\n  \
        difyprobe judge reports/check.transcript.json --profile documented --strict")]
    Judge(JudgeArgs),
    /// Compare the scenarios' exchanges with reviewed snapshots
    #[command(after_help = "Without a target the embedded emulator is examined.\n\nExamples:\n  \
        difyprobe snapshot            (what changed waits for `difyprobe review`)\n  \
        difyprobe snapshot --check    (in CI)\n  \
        difyprobe snapshot --base-url http://localhost/v1 --app chat=app-... --name staging --texts shape\n  \
        difyprobe snapshot list       (what waits; accept and reject without a terminal)")]
    Snapshot(SnapshotArgs),
    /// Run the same scenarios on two servers and say what differs
    #[command(
        after_help = "Without --base-url, A is the embedded emulator. Exit 0: equal; 6: they differ in what is not ignored; \
        3: unreachable, or not everything could be compared.\n\n\
        Examples:\n  \
        difyprobe diff --base-url http://old/v1 --candidate http://new/v1 --api-key app-...\n  \
        difyprobe diff --base-url http://old/v1 --app chat=app-... --candidate http://new/v1 --candidate-app chat=app-... --texts shape\n  \
        difyprobe diff --candidate http://new/v1 --candidate-api-key app-... --ignore '$.metadata.usage' --ignore-kind text\n  \
        difyprobe diff before/diff-b.transcript.json after/diff-b.transcript.json    (nothing is sent)"
    )]
    Diff(Box<DiffArgs>),
    /// Lay the rules of several check reports beside each other: what changed from version to version
    #[command(
        after_help = "A table is no verdict: exit 0 whatever it shows; 2 where a file is no such report.\n\nExamples:\n  \
        difyprobe matrix 1.12=reports-112/check.json 1.13=reports-113/check.json\n  \
        difyprobe matrix reports/*.json --all --report html=matrix.html --report markdown=matrix.md"
    )]
    Matrix(MatrixArgs),
    /// Decide on what waits for review: by `cargo insta review` where it is installed, else here
    #[command(
        after_help = "Exit 0: nothing waits any more; 6: something does; 2: no terminal, or a broken file.\n\nExamples:\n  \
        difyprobe review\n  \
        difyprobe review 'dify-1.12/chat.*' --builtin"
    )]
    Review(ReviewArgs),
    /// Answers cargo-insta in the place of cargo
    #[command(hide = true)]
    Metadata {
        /// What cargo would be told
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        _rest: Vec<std::ffi::OsString>,
    },
    /// Serve the emulator, for client authors and for trying things out
    #[command(after_help = "Examples:\n  \
        difyprobe serve --port 5001\n  \
        difyprobe serve --app chat --profile dify-1.12 --gap 50ms\n  \
        difyprobe serve --mutant messages.has-more/full-page    (a server with a fault)\n  \
        difyprobe serve --json    (one line for scripts: base URL and keys)")]
    Serve(ServeArgs),
    /// Prove every rule against its mutant: the kill matrix
    #[command(after_help = "Examples:\n  \
        difyprobe selftest\n  \
        difyprobe selftest messages.    (a part)\n  \
        difyprobe selftest --list")]
    Selftest(SelftestArgs),
    /// List and explain the rules
    #[command(after_help = "Examples:\n  \
        difyprobe rules\n  \
        difyprobe rules explain messages.has-more")]
    Rules(RulesArgs),
    /// Find the problems of scenario files, load files and settings, all at once
    #[command(after_help = "Examples:\n  \
        difyprobe lint scenarios\n  \
        difyprobe lint chat.yaml evening-peak.yaml difyprobe.toml")]
    Lint(LintArgs),
    /// Write settings and a first scenario for your server
    #[command(
        after_help = "Asks the server for its apps and what they want; keys are never written, only the names of the variables \
        that hold them. Without a server the files are written for the embedded emulator.\n\nExamples:\n  \
        DIFY_API_KEY=app-... difyprobe init --base-url https://dify.example/v1\n  \
        difyprobe init my-tests"
    )]
    Init(InitArgs),
    /// Print the completions of a shell
    #[command(after_help = "Examples:\n  \
        difyprobe completions bash > ~/.local/share/bash-completion/completions/difyprobe\n  \
        difyprobe completions zsh > ~/.zfunc/_difyprobe\n  \
        difyprobe completions fish > ~/.config/fish/completions/difyprobe.fish")]
    Completions(CompletionsArgs),
    /// Print the manual page, or write those of all commands into a folder
    #[command(after_help = "Examples:\n  \
        difyprobe man | man -l -\n  \
        difyprobe man ~/.local/share/man/man1")]
    Man(ManArgs),
}
