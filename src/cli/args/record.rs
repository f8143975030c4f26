//! `record`.

use super::value::positive;
use clap::Args as ClapArgs;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// `record`
#[derive(ClapArgs)]
pub struct RecordArgs {
    /// Base URL of the server that your program talks to, e.g. https://dify.example/v1
    #[arg(long, env = "DIFY_BASE_URL", value_name = "URL", hide_env_values = true, required_unless_present = "from")]
    pub base_url: Option<String>,
    /// Make scenarios of a saved transcript instead; nothing is sent
    #[arg(long, value_name = "TRANSCRIPT", conflicts_with_all = ["host", "port", "max_exchanges", "duration", "json"])]
    pub from: Option<PathBuf>,
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1")]
    pub host: IpAddr,
    /// Port to listen on; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    pub port: u16,
    /// Folder of recordings
    #[arg(long, value_name = "DIR", default_value = "reports/recorded")]
    pub out: PathBuf,
    /// Name of this recording: DIR/NAME.transcript.json and the folder DIR/NAME of scenarios (default: the time)
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// End after this many exchanges
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub max_exchanges: Option<u64>,
    /// End after this time, e.g. 10m
    #[arg(long, value_name = "DURATION", value_parser = positive)]
    pub duration: Option<Duration>,
    /// Print one line of JSON instead of text
    #[arg(long)]
    pub json: bool,
}
