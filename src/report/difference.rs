//! What differs between two servers, as data; each format is a pure rendering of it.

pub mod html;
pub mod markdown;

use super::matrix::Matrix;
use super::run::{Evidence, Target};
use super::units;
use crate::difference::{Group, Kind};
use crate::metrics::LatencyRow;
use serde::{Deserialize, Serialize};

/// Identifies the layout of JSON reports of comparisons.
pub const DIFF_SCHEMA: &str = "difyprobe.diff/1";

/// Everything a comparison says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DiffReport {
    /// Always [`DIFF_SCHEMA`].
    pub schema: String,
    /// difyprobe's version.
    pub tool_version: String,
    /// The server compared with.
    pub a: Side,
    /// The candidate.
    pub b: Side,
    /// The verdict.
    pub verdict: DiffVerdict,
    /// Process exit code that goes with it.
    pub exit_code: u8,
    /// One line for people.
    pub summary: String,
    /// How much was compared.
    pub compared: Compared,
    /// Differences by meaning, with the wire of their examples.
    pub groups: Vec<Found>,
    /// What was left out on request.
    pub ignored: Ignored,
    /// What could not be compared, and why.
    pub uncompared: Vec<String>,
    /// Verdicts of the rules on both.
    pub rules: Matrix,
    /// Latency on both.
    pub latency: Vec<LatencyPair>,
    /// Things a reader should know.
    pub notes: Vec<String>,
}

/// One of the two servers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Side {
    /// What was examined.
    pub target: Target,
    /// Requests sent.
    pub requests: u64,
    /// Its own verdict in a line, as `check` would give it.
    pub summary: String,
}

/// Verdict of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DiffVerdict {
    /// No difference but what is ignored.
    Equal,
    /// They differ.
    Different,
    /// No difference was seen, and not everything could be compared.
    Incomplete,
    /// Stopped before the end.
    Interrupted,
}

impl DiffVerdict {
    /// Process exit code.
    pub fn exit_code(self) -> u8 {
        match self {
            DiffVerdict::Equal => 0,
            DiffVerdict::Different => 6,
            DiffVerdict::Incomplete => 3,
            DiffVerdict::Interrupted => 130,
        }
    }

    /// The word of reports.
    pub fn word(self) -> &'static str {
        match self {
            DiffVerdict::Equal => "EQUAL",
            DiffVerdict::Different => "DIFFERENT",
            DiffVerdict::Incomplete => "INCOMPLETE",
            DiffVerdict::Interrupted => "INTERRUPTED",
        }
    }
}

/// How much was compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compared {
    /// Scenarios on apps that both ran.
    pub scenarios: u64,
    /// Pairs of exchanges.
    pub exchanges: u64,
    /// Pairs without any difference.
    pub equal: u64,
}

/// A group with the wire of its example.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// What differs.
    #[serde(flatten)]
    pub group: Group,
    /// The exchange with A.
    pub wire_a: Option<Evidence>,
    /// The exchange with B.
    pub wire_b: Option<Evidence>,
}

/// What was left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ignored {
    /// JSON paths, with how often each selected something.
    pub paths: Vec<IgnoredPath>,
    /// Differences of ignored kinds.
    pub groups: Vec<Group>,
}

/// One ignored path.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IgnoredPath {
    /// As given.
    pub path: String,
    /// Values that it selected on A.
    pub on_a: u64,
    /// Values that it selected on B.
    pub on_b: u64,
}

/// One latency on both sides, in microseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LatencyPair {
    /// `ttft` or `e2e`, as in docs/metrics.md.
    pub metric: String,
    /// App label.
    pub app: String,
    /// On A, where it was measured.
    pub a: Option<Quantiles>,
    /// On B, where it was measured.
    pub b: Option<Quantiles>,
}

/// What is shown of a distribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quantiles {
    /// Samples.
    pub n: u64,
    /// Median.
    pub p50_us: u64,
    /// 95th percentile.
    pub p95_us: u64,
}

/// What is said above every table of latencies.
pub const NO_LOAD_TEST: &str = "of the requests of this comparison; it is no load test (`difyprobe load` is one)";

/// Time to first token and whole duration of both sides, by app.
pub fn latency(a: &[LatencyRow], b: &[LatencyRow]) -> Vec<LatencyPair> {
    let main = |row: &&LatencyRow| matches!(row.metric.as_str(), "ttft" | "e2e") && row.turn == "all";
    let of = |rows: &[LatencyRow], metric: &str, app: &str| {
        let row = rows.iter().filter(main).find(|row| row.metric == metric && row.group == app);
        row.map(|row| Quantiles { n: row.n, p50_us: row.p50_us, p95_us: row.p95_us })
    };
    let mut names: Vec<(&str, &str)> =
        a.iter().chain(b).filter(main).map(|row| (row.metric.as_str(), row.group.as_str())).collect();
    names.sort_by_key(|(metric, app)| (*metric != "ttft", *app));
    names.dedup();
    let pair = |(metric, app): (&str, &str)| LatencyPair {
        metric: metric.to_owned(),
        app: app.to_owned(),
        a: of(a, metric, app),
        b: of(b, metric, app),
    };
    names.into_iter().map(pair).collect()
}

impl Quantiles {
    /// Number, median and 95th percentile in ms, as cells; empty where nothing was measured.
    pub(super) fn cells(of: Option<Quantiles>) -> [String; 3] {
        of.map_or_else(<[String; 3]>::default, |q| [q.n.to_string(), units::ms(q.p50_us), units::ms(q.p95_us)])
    }
}

impl Side {
    /// What it is, in a line.
    pub(super) fn line(&self) -> String {
        let version = self.target.server_version.as_ref().map(|v| format!(", X-Version {v}")).unwrap_or_default();
        let apps: Vec<&str> = self.target.apps.iter().map(|app| app.label.as_str()).collect();
        format!("{} (profile {}{version}; apps {})", self.target.base_url, self.target.profile, apps.join(", "))
    }
}

impl DiffReport {
    /// `71 scenarios, 1200 exchanges: 800 equal`
    pub(super) fn compared_line(&self) -> String {
        let of = self.compared;
        let (scenarios, exchanges) = (units::count(of.scenarios, "scenario"), units::count(of.exchanges, "exchange"));
        format!("{scenarios}, {exchanges}: {} equal, {} different", of.equal, of.exchanges.saturating_sub(of.equal))
    }

    /// Kinds that occur with their groups, in the order of reports.
    pub(super) fn kinds(&self) -> Vec<(Kind, Vec<&Found>)> {
        let of = |kind| (kind, self.groups.iter().filter(|found| found.group.kind == kind).collect::<Vec<_>>());
        Kind::ALL.into_iter().map(of).filter(|(_, groups)| !groups.is_empty()).collect()
    }

    /// What was left out, in lines.
    pub(super) fn ignored_lines(&self) -> Vec<String> {
        let path = |p: &IgnoredPath| match p.on_a + p.on_b {
            0 => format!("{}: nothing on either side is at this path", p.path),
            _ => format!("{}: {} on A, {} on B", p.path, units::count(p.on_a, "value"), units::count(p.on_b, "value")),
        };
        let mut lines: Vec<String> = self.ignored.paths.iter().map(path).collect();
        for kind in Kind::ALL {
            let groups: Vec<&Group> = self.ignored.groups.iter().filter(|group| group.kind == kind).collect();
            if !groups.is_empty() {
                let times = groups.iter().map(|group| group.count).sum();
                let (groups, times) = (units::count(groups.len() as u64, "group"), units::count(times, "time"));
                lines.push(format!("{}: {groups}, seen {times}", kind.as_str()));
            }
        }
        lines
    }
}

impl Found {
    /// Place, path and what changed, e.g. `error body $.code: a -> b`.
    pub(super) fn title(&self) -> String {
        let group = &self.group;
        let name = [group.place.as_str(), group.path.as_str()];
        let name = name.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("  ");
        if group.detail.is_empty() { name } else { format!("{name}: {}", group.detail) }
    }

    /// Whether the title says all that the two sides do.
    pub(super) fn says_all(&self) -> bool {
        let example = &self.group.example;
        self.group.detail == format!("{} -> {}", example.a.text, example.b.text)
    }

    /// `scenario.step (file:line:column) on app`
    pub(super) fn place(&self) -> String {
        let example = &self.group.example;
        format!("{} ({}) on {}", example.step, example.place, example.app)
    }
}
