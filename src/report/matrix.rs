//! Rules beside targets: the outcomes of several runs in one table, and what changed from one to the next.

pub mod html;
pub mod markdown;

use super::run::RunReport;
use crate::model::{Level, Outcome};
use serde::{Deserialize, Serialize};

/// Identifies the layout of JSON matrices.
pub const MATRIX_SCHEMA: &str = "difyprobe.matrix/1";

/// Outcomes of several runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Matrix {
    /// Always [`MATRIX_SCHEMA`].
    pub schema: String,
    /// One column per run, in the order given.
    pub targets: Vec<Column>,
    /// One row per rule that any of the runs has, in the order of the first that has it.
    pub rules: Vec<Row>,
    /// What changed from each column to the next.
    pub changes: Vec<Changes>,
}

/// One run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// Its name in the table.
    pub name: String,
    /// Base URL.
    pub base_url: String,
    /// Profile in force.
    pub profile: String,
    /// `X-Version`, where the server sent one.
    pub server_version: Option<String>,
    /// Apps that were examined.
    pub apps: Vec<String>,
    /// The line that closes its report.
    pub summary: String,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Rule id.
    pub id: String,
    /// Level.
    pub level: Level,
    /// Short title.
    pub title: String,
    /// Outcome per column; `None` where the run does not have the rule.
    pub outcomes: Vec<Option<Outcome>>,
}

/// What changed from one column to the next; rules by id.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Changes {
    /// Name of the column before.
    pub from: String,
    /// Name of the column after.
    pub to: String,
    /// They fail now and did not.
    pub newly_failing: Vec<String>,
    /// They failed and do not any more.
    pub fixed: Vec<String>,
    /// They held and are known to deviate now, or warn.
    pub newly_deviating: Vec<String>,
    /// They were known to deviate, or warned, and hold now.
    pub deviating_no_more: Vec<String>,
    /// Another outcome otherwise, e.g. from passed to not applicable.
    pub other: Vec<String>,
    /// Only the later run has them.
    pub appeared: Vec<String>,
    /// Only the earlier run has them.
    pub gone: Vec<String>,
}

impl Row {
    /// Whether the outcome is the same everywhere.
    pub fn same(&self) -> bool {
        self.outcomes.windows(2).all(|pair| pair.first() == pair.get(1))
    }

    /// What became of the rule since the column before; `None` where nothing did, and in the first column.
    fn change(&self, column: usize) -> Option<Change> {
        let at = |column: usize| self.outcomes.get(column).copied().flatten();
        Change::between(at(column.checked_sub(1)?), at(column))
    }

    /// The mark of a cell: what became of the rule since the column before.
    pub fn mark(&self, column: usize) -> &'static str {
        self.change(column).map_or("", |change| change.told().0)
    }
}

/// What became of a rule from one column to the next.
#[derive(Clone, Copy, PartialEq)]
enum Change {
    Failing,
    Fixed,
    Deviating,
    Conforming,
    Other,
    Appeared,
    Gone,
}

/// What the marks of [`Row::mark`] mean.
pub const MARKS: &str = "! newly failing, + fixed, > newly deviating, < deviating no more, * otherwise changed";

impl Change {
    fn between(before: Option<Outcome>, now: Option<Outcome>) -> Option<Change> {
        // Whether that is accepted or not.
        let fails = |o: Outcome| matches!(o, Outcome::Fail | Outcome::Error | Outcome::Known);
        let deviates = |o: Outcome| matches!(o, Outcome::KnownDeviation | Outcome::Warn);
        match (before, now) {
            (before, now) if before == now => None,
            (None, _) => Some(Change::Appeared),
            (_, None) => Some(Change::Gone),
            (Some(before), Some(now)) => Some(match (fails(before), fails(now)) {
                (false, true) => Change::Failing,
                (true, false) => Change::Fixed,
                _ if before == Outcome::Pass && deviates(now) => Change::Deviating,
                _ if deviates(before) && now == Outcome::Pass => Change::Conforming,
                _ => Change::Other,
            }),
        }
    }

    /// Its mark and its words.
    fn told(self) -> (&'static str, &'static str) {
        match self {
            Change::Failing => ("!", "newly failing"),
            Change::Fixed => ("+", "fixed"),
            Change::Deviating => (">", "newly deviating"),
            Change::Conforming => ("<", "deviating no more"),
            Change::Other => ("*", "otherwise changed"),
            Change::Appeared => ("*", "only in the later"),
            Change::Gone => ("*", "only in the earlier"),
        }
    }
}

impl Matrix {
    /// Lays named reports beside each other.
    pub fn of(runs: &[(String, &RunReport)]) -> Matrix {
        let mut rules: Vec<Row> = Vec::new();
        for rule in runs.iter().flat_map(|(_, report)| &report.rules) {
            if !rules.iter().any(|row| row.id == rule.id) {
                let find = |report: &RunReport| report.rules.iter().find(|r| r.id == rule.id).map(|r| r.outcome);
                let outcomes = runs.iter().map(|(_, report)| find(report)).collect();
                rules.push(Row { id: rule.id.clone(), level: rule.level, title: rule.title.clone(), outcomes });
            }
        }
        let targets: Vec<Column> = runs.iter().map(|(name, report)| column(name, report)).collect();
        let pairs = targets.iter().zip(targets.iter().skip(1)).enumerate();
        let changes = pairs.map(|(at, (from, to))| changes(&rules, at, &from.name, &to.name)).collect();
        Matrix { schema: MATRIX_SCHEMA.to_owned(), targets, rules, changes }
    }

    /// The rows to show: all, or those whose outcome is not the same everywhere.
    pub fn shown(&self, all: bool) -> Vec<&Row> {
        self.rules.iter().filter(|row| all || !row.same()).collect()
    }

    /// Outcomes that all columns share, with how many rules have them, worst first.
    pub fn shared(&self) -> Vec<(u64, &'static str)> {
        let count = |outcome| {
            let shared = self.rules.iter().filter(|row| row.same() && row.outcomes.first() == Some(&Some(outcome)));
            shared.count() as u64
        };
        let all = super::view::OUTCOMES.iter().map(|(outcome, word)| (count(*outcome), *word));
        all.filter(|(count, _)| *count > 0).collect()
    }

    /// The same everywhere, in words.
    pub fn shared_line(&self) -> String {
        let same = self.rules.iter().filter(|row| row.same()).count();
        let counts: Vec<String> = self.shared().iter().map(|(count, word)| format!("{count} {word}")).collect();
        let counts = if counts.is_empty() { String::new() } else { format!(" ({})", counts.join(", ")) };
        format!("{same} of {} rules are the same everywhere{counts}", self.rules.len())
    }
}

impl Changes {
    /// `A -> B: 3 newly failing, 2 fixed`
    pub fn line(&self) -> String {
        let counts = [
            (&self.newly_failing, Change::Failing),
            (&self.fixed, Change::Fixed),
            (&self.newly_deviating, Change::Deviating),
            (&self.deviating_no_more, Change::Conforming),
            (&self.other, Change::Other),
            (&self.appeared, Change::Appeared),
            (&self.gone, Change::Gone),
        ];
        let some = counts.iter().filter(|(rules, _)| !rules.is_empty());
        let told: Vec<String> = some.map(|(rules, change)| format!("{} {}", rules.len(), change.told().1)).collect();
        let told = if told.is_empty() { "nothing changed".to_owned() } else { told.join(", ") };
        format!("{} -> {}: {told}", self.from, self.to)
    }
}

/// The word of a cell.
pub(super) fn word(outcome: Option<Outcome>) -> &'static str {
    outcome.map_or("absent", super::view::word)
}

fn column(name: &str, report: &RunReport) -> Column {
    Column {
        name: name.to_owned(),
        base_url: report.target.base_url.clone(),
        profile: report.target.profile.clone(),
        server_version: report.target.server_version.clone(),
        apps: report.target.apps.iter().map(|app| app.label.clone()).collect(),
        summary: report.summary.line.clone(),
    }
}

fn changes(rules: &[Row], at: usize, from: &str, to: &str) -> Changes {
    let mut changes = Changes { from: from.to_owned(), to: to.to_owned(), ..Changes::default() };
    for row in rules {
        let list = match row.change(at + 1) {
            None => continue,
            Some(Change::Failing) => &mut changes.newly_failing,
            Some(Change::Fixed) => &mut changes.fixed,
            Some(Change::Deviating) => &mut changes.newly_deviating,
            Some(Change::Conforming) => &mut changes.deviating_no_more,
            Some(Change::Other) => &mut changes.other,
            Some(Change::Appeared) => &mut changes.appeared,
            Some(Change::Gone) => &mut changes.gone,
        };
        list.push(row.id.clone());
    }
    changes
}
