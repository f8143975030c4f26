//! The report model: data only.

use crate::metrics::{LatencyRow, LoadSummary};
use crate::model::{App, Finding, Level, Outcome};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Identifies the layout of JSON reports.
pub const REPORT_SCHEMA: &str = "difyprobe.report/1";

/// Everything a run says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RunReport {
    /// Always [`REPORT_SCHEMA`].
    pub schema: String,
    /// difyprobe's version.
    pub tool_version: String,
    /// `check`, `judge`, `load` ...
    pub command: String,
    /// What was examined.
    pub target: Target,
    /// Wall clock of the start, milliseconds since the Unix epoch.
    pub started_unix_ms: u64,
    /// Duration of the run in milliseconds.
    pub elapsed_ms: u64,
    /// The verdict.
    pub verdict: Verdict,
    /// Process exit code that goes with it.
    pub exit_code: u8,
    /// Whether known deviations count as failures (`--strict`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub strict: bool,
    /// Counts and the one-line summary.
    pub summary: Summary,
    /// One entry per rule, in catalogue order.
    pub rules: Vec<RuleResult>,
    /// One entry per scenario and app.
    pub scenarios: Vec<ScenarioResult>,
    /// Latency table.
    pub latency: Vec<LatencyRow>,
    /// Things a reader should know: profile choice, skipped slow scenarios ...
    pub notes: Vec<String>,
    /// Wire evidence of the exchanges that findings name.
    pub evidence: Vec<Evidence>,
    /// What became of the baseline, where one was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<BaselineResult>,
    /// What a load measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<Box<LoadSummary>>,
}

/// What a baseline did to a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct BaselineResult {
    /// The file.
    pub file: String,
    /// Its entries, in file order.
    pub entries: Vec<EntryResult>,
    /// Failures that no entry covers, as entries ready to paste below `known:`.
    pub proposed: Vec<ProposedEntry>,
}

/// What became of one entry of a baseline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct EntryResult {
    /// Rule id as written.
    pub rule: String,
    /// App condition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// Version condition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Why the failure is accepted.
    pub reason: String,
    /// Last day, as `2027-03-31`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// Line in the file, from 1.
    pub line: u32,
    /// Its state.
    pub state: EntryState,
    /// What that means here, and what to do about it.
    pub message: String,
}

/// State of an entry of a baseline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EntryState {
    /// It covers a failure of this run.
    Used,
    /// This run cannot tell whether it is needed: the rule was not examined, or the condition does not fit.
    Idle,
    /// Red: there is no such rule.
    UnknownRule,
    /// Red: the rule was examined and holds.
    Unused,
    /// Red: its last day is over.
    Expired,
}

impl EntryState {
    /// Whether it makes the run red.
    pub fn stale(self) -> bool {
        matches!(self, EntryState::UnknownRule | EntryState::Unused | EntryState::Expired)
    }

    /// The word of reports.
    pub fn as_str(self) -> &'static str {
        match self {
            EntryState::Used => "used",
            EntryState::Idle => "idle",
            EntryState::UnknownRule => "unknown rule",
            EntryState::Unused => "unused",
            EntryState::Expired => "expired",
        }
    }
}

/// An unexpected failure as an entry of a baseline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ProposedEntry {
    /// Rule id.
    pub rule: String,
    /// App label.
    pub app: String,
    /// YAML, indented for its place below `known:`, with a line end.
    pub text: String,
}

/// What was examined.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Target {
    /// Base URL.
    pub base_url: String,
    /// Apps found.
    pub apps: Vec<App>,
    /// Profile id in force.
    pub profile: String,
    /// Why this profile.
    pub profile_reason: String,
    /// `X-Version`, where sent.
    pub server_version: Option<String>,
}

/// Verdict of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Every rule that applies holds (known deviations and warnings aside).
    Pass,
    /// A MUST does not hold, or a scenario's own expectation failed.
    Fail,
    /// Something could not be run.
    Incomplete,
    /// A load whose numbers do not count: the generator was the bottleneck.
    Invalid,
    /// No rule failed, but an objective of the load was missed.
    SloMissed,
    /// Nothing failed, but entries of the baseline are out of date.
    StaleBaseline,
    /// A fault of our own.
    Error,
    /// Interrupted; partial results.
    Interrupted,
}

/// Counts of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Summary {
    /// One line for people.
    pub line: String,
    /// Rules per outcome name.
    pub outcomes: BTreeMap<String, u64>,
    /// Requests sent.
    pub requests: u64,
    /// Judgements made over all rules.
    pub judged: u64,
}

/// Result of one rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RuleResult {
    /// Rule id.
    pub id: String,
    /// Area of the catalogue.
    pub area: String,
    /// Level.
    pub level: Level,
    /// Short title.
    pub title: String,
    /// The rule's sentence.
    pub statement: String,
    /// Where the sentence comes from.
    pub source: String,
    /// Most severe outcome.
    pub outcome: Outcome,
    /// Why it is not applicable or could not be run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How often it was judged.
    pub judged: u64,
    /// Outcome per app label, where there are several apps.
    pub apps: BTreeMap<String, Outcome>,
    /// Violations, most severe first.
    pub findings: Vec<Finding>,
}

/// Result of one scenario on one app.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ScenarioResult {
    /// Scenario id.
    pub id: String,
    /// Title.
    pub title: String,
    /// File.
    pub file: String,
    /// App label.
    pub app: String,
    /// `Pass`, `Fail` (an expectation), `CouldNotRun`, `NotApplicable` or `Error`.
    pub outcome: Outcome,
    /// Why, where it is not a pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Expectations that did not hold.
    pub failures: Vec<ExpectationFailure>,
    /// Clean-up steps that failed; reported apart.
    pub cleanup_failures: Vec<String>,
    /// Requests sent.
    pub requests: u64,
    /// Duration in milliseconds.
    pub elapsed_ms: u64,
}

/// One expectation of a scenario file that did not hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ExpectationFailure {
    /// `file:line:column` of the expectation.
    pub place: String,
    /// Step id.
    pub step: String,
    /// One sentence.
    pub message: String,
    /// Exchange that shows it.
    pub exchange: Option<u64>,
}

/// Wire evidence of one exchange, ready to show; secrets already redacted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Evidence {
    /// Exchange id.
    pub exchange: u64,
    /// `scenario.step (file:line:column)`
    pub place: String,
    /// The step in its scenario file, where one sent the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Place>,
    /// When the response head came, in microseconds since the request was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head_us: Option<u64>,
    /// When the last byte came or the connection broke, in microseconds since the request was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_us: Option<u64>,
    /// Request line, headers that matter and body; response head; body or events with arrival times.
    pub wire: Vec<String>,
    /// Shell command that repeats the request with `$DIFY_API_KEY` unexpanded.
    pub curl: String,
    /// Command that runs the scenario again; empty where no scenario sent the request.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub repeat: String,
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Place {
    /// The file, as the user named it.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
}

impl Place {
    /// Reads `file:line:column`; the file may hold colons.
    pub fn parse(text: &str) -> Option<Place> {
        let mut parts = text.rsplitn(3, ':');
        let (column, line, file) = (parts.next()?, parts.next()?, parts.next()?);
        let (line, column) = (line.parse().ok()?, column.parse().ok()?);
        (!file.is_empty() && line > 0).then(|| Place { file: file.to_owned(), line, column })
    }
}
