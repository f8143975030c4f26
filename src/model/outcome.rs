//! What the judges say: levels, outcomes, findings.

use serde::{Deserialize, Serialize};

/// How binding a rule is, after the wording of its source (RFC 2119).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Optional behaviour.
    May,
    /// Recommended: a violation warns.
    Should,
    /// Binding: a violation fails the run.
    Must,
}

impl Level {
    /// `must`, `should` or `may`.
    pub fn as_str(self) -> &'static str {
        match self {
            Level::May => "may",
            Level::Should => "should",
            Level::Must => "must",
        }
    }
}

/// Outcome of a rule. Ordered by severity: collapsing takes the maximum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The user left the rule out of the run, by `--only` or `--skip`; the reason names the option.
    Skipped,
    /// The feature is not offered by this app or version; the reason is given.
    NotApplicable,
    /// Judged at least once, and every time it held.
    Pass,
    /// This server version is known to differ from the documentation here.
    KnownDeviation,
    /// A SHOULD or MAY that does not hold.
    Warn,
    /// It does not hold, and the user's baseline accepts that, with a reason.
    Known,
    /// The suite or the server kept us from testing: the run is incomplete.
    CouldNotRun,
    /// A MUST that does not hold.
    Fail,
    /// A fault of our own, never blamed on the server.
    Error,
}

impl Outcome {
    /// The name used in JSON reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Skipped => "skipped",
            Outcome::NotApplicable => "not-applicable",
            Outcome::Pass => "pass",
            Outcome::KnownDeviation => "known-deviation",
            Outcome::Warn => "warn",
            Outcome::Known => "known",
            Outcome::CouldNotRun => "could-not-run",
            Outcome::Fail => "fail",
            Outcome::Error => "error",
        }
    }
}

/// One violation of one rule, with where to look.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Finding {
    /// Rule id, e.g. `chat.conversation-id.stable`.
    pub rule: String,
    /// Which part of the rule, a stable slug, e.g. `second-delete`; known deviations name it.
    pub check: String,
    /// How bad, after profile and level were applied.
    pub outcome: Outcome,
    /// Label of the app it was seen on.
    pub app: String,
    /// One sentence: what is wrong.
    pub message: String,
    /// What the rule demands here.
    pub expected: String,
    /// What was seen.
    pub actual: String,
    /// Ids of the exchanges that show it, the decisive one first.
    pub exchanges: Vec<u64>,
    /// Number of the SSE frame in the decisive exchange, from 1, where one frame shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frame: Option<usize>,
    /// Why this is a known deviation, with its source; or why the baseline accepts it, with its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known: Option<String>,
}
