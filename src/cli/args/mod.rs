//! The command line.

mod check;
mod common;
mod load;
mod record;
mod serve;
mod snapshot;
mod value;

pub use check::{CheckArgs, JudgeArgs, LintArgs, RulesArgs, RulesCommand, SelftestArgs};
pub use common::{Color, OutputArgs, TargetArgs};
pub use load::{ArrivalArgs, CompareArgs, EndArgs, FindArgs, LoadArgs, MergeArgs, What};
pub use record::RecordArgs;
pub use serve::ServeArgs;
pub use snapshot::{SnapshotArgs, Texts};

use clap::{Parser, Subcommand};

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
    /// Record what a program and its server say to each other, as transcript and as scenarios
    #[command(
        after_help = "A proxy in front of the server: give your program the printed base URL, use it, end with Ctrl-C.\n\nExamples:\n  \
        difyprobe record --base-url https://dify.example/v1\n  \
        difyprobe record --from reports/recorded/shop.transcript.json --name shop-again"
    )]
    Record(RecordArgs),
    /// Prove every rule against its mutant: the kill matrix
    Selftest(SelftestArgs),
    /// List and explain the rules
    Rules(RulesArgs),
    /// Find the problems of scenario and load files, all at once
    Lint(LintArgs),
}
