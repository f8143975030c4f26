//! The recording of a run: what `--save-transcripts` writes and `judge` reads.

use super::{App, Exchange};
use serde::{Deserialize, Serialize};

/// Identifies the layout of saved transcripts.
pub const TRANSCRIPT_SCHEMA: &str = "difyprobe.transcript/1";

/// Everything observed on one target, in the order of sending. Secrets were redacted by the client.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Transcript {
    /// Always [`TRANSCRIPT_SCHEMA`].
    pub schema: String,
    /// Base URL of the target, ending in the API version, e.g. `http://127.0.0.1:5001/v1`.
    pub base_url: String,
    /// Wall clock of offset 0, in microseconds since the Unix epoch.
    pub started_unix_us: u64,
    /// Profile id that was in force, e.g. `dify-1.12`; `None` lets the judge pick by version.
    pub profile: Option<String>,
    /// Nothing that touched these end users is missing: rules may conclude from absence. False for imported files.
    #[serde(default)]
    pub complete: bool,
    /// The apps that exchanges name by label.
    pub apps: Vec<App>,
    /// All exchanges; ids are unique.
    pub exchanges: Vec<Exchange>,
}

impl Transcript {
    /// An empty transcript of a target.
    pub fn new(base_url: impl Into<String>, started_unix_us: u64) -> Self {
        Transcript {
            schema: TRANSCRIPT_SCHEMA.to_owned(),
            base_url: base_url.into(),
            started_unix_us,
            profile: None,
            complete: false,
            apps: Vec::new(),
            exchanges: Vec::new(),
        }
    }

    /// The exchange with this id.
    pub fn exchange(&self, id: u64) -> Option<&Exchange> {
        self.exchanges.iter().find(|e| e.id == id)
    }

    /// The app with this label.
    pub fn app(&self, label: &str) -> Option<&App> {
        self.apps.iter().find(|a| a.label == label)
    }
}
