//! `serve`.

use super::value::{duration, served_profile};
use clap::Args as ClapArgs;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

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
    #[arg(long, default_value = "documented", value_name = "PROFILE", value_parser = served_profile)]
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
    /// Write DIFY_BASE_URL, DIFY_API_KEY (of the first app) and DIFY_MODE_KEY of every app to a file once it listens: for
    /// shells and CI servers
    #[arg(long, value_name = "FILE", conflicts_with = "model")]
    pub env: Option<PathBuf>,
    /// Print one line of JSON instead of text
    #[arg(long)]
    pub json: bool,
}
