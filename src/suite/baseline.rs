//! Failures that the user accepts for now, each with a reason: a file of entries, laid over the verdicts of a run.
//!
//! An entry covers what its rule finds on the apps and versions it is about: that is then known and does not fail the run.
//! What is out of date in the file makes the run red, so that the list can only shrink.

mod file;
mod version;

use crate::model::{App, Finding, Outcome};
use crate::report::run::{BaselineResult, EntryResult, EntryState, ProposedEntry};
use crate::rules::judge::{Judgement, Planned};
use crate::rules::{self, Rule};
use crate::scenario::closest;
use jiff::civil::Date;

pub use file::EMPTY;
pub use version::VersionCondition;

/// Characters of a finding's message that a proposed entry gives as reason.
const REASON_CHARS: usize = 160;

/// A baseline.
#[derive(Clone, Debug, PartialEq)]
pub struct Baseline {
    /// File as shown to people.
    pub file: String,
    /// Entries, in file order.
    pub entries: Vec<Entry>,
}

/// One accepted failure.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Line in the file, from 1.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
    /// Rule id.
    pub rule: String,
    /// Label or mode of the app it is about; `None` for all.
    pub app: Option<String>,
    /// Versions that it is about; `None` for all.
    pub version: Option<VersionCondition>,
    /// Why the failure is accepted.
    pub reason: String,
    /// Last day.
    pub expires: Option<Date>,
}

/// What a baseline is laid over, besides the judgements.
pub struct Over<'o> {
    /// The apps that were examined.
    pub apps: &'o [App],
    /// What the run meant to do about a rule on an app.
    pub planned: &'o dyn Fn(&Rule, &App) -> Planned,
    /// The day that `expires` is compared with.
    pub today: Date,
    /// Known deviations fail: entries cover them too.
    pub strict: bool,
    /// The run was cut short: that nothing was found proves nothing.
    pub partial: bool,
}

impl Entry {
    fn about(&self, app: &App) -> bool {
        let named = |name: &String| *name == app.label || app.mode.is_some_and(|m| m.as_str() == name);
        let version = self.version.as_ref().is_none_or(|v| v.fits(app.server_version.as_deref()));
        self.app.as_ref().is_none_or(named) && version
    }

    fn expired(&self, today: Date) -> bool {
        self.expires.is_some_and(|last| last < today)
    }
}

impl Baseline {
    /// Marks what entries cover as known, and tells the state of every entry and the entries that are missing.
    ///
    /// An entry past its last day covers on, so that what the run says is that the entry needs a decision.
    pub fn apply(&self, judgements: &mut [Judgement], over: &Over<'_>) -> BaselineResult {
        let entries = self.entries.iter().map(|e| self.state(e, judgements, over)).collect();
        for judgement in judgements.iter_mut() {
            self.cover(judgement, over);
        }
        let proposed = judgements.iter().flat_map(|j| propose(j, over.apps)).collect();
        BaselineResult { file: self.file.clone(), entries, proposed }
    }

    fn state(&self, entry: &Entry, judgements: &[Judgement], over: &Over<'_>) -> EntryResult {
        let (state, message) = match judgements.iter().find(|j| j.rule.id == entry.rule) {
            None if rules::find(&entry.rule).is_none() => unknown(&entry.rule),
            None => (EntryState::Idle, "no scenario of this run exercises the rule".to_owned()),
            Some(judgement) => examined(entry, judgement, over),
        };
        let (state, message) = match entry.expires.filter(|_| entry.expired(over.today)) {
            Some(last) if matches!(state, EntryState::Used | EntryState::Idle) => {
                let mend = "mend the cause and delete the entry, or decide anew and move the date";
                (EntryState::Expired, format!("its last day was {last}; {mend}"))
            }
            _ => (state, message),
        };
        EntryResult {
            rule: entry.rule.clone(),
            app: entry.app.clone(),
            version: entry.version.as_ref().map(|v| v.as_str().to_owned()),
            reason: entry.reason.clone(),
            expires: entry.expires.map(|d| d.to_string()),
            line: entry.line,
            state,
            message,
        }
    }

    fn cover(&self, judgement: &mut Judgement, over: &Over<'_>) {
        let id = judgement.rule.id;
        let mut changed = false;
        for app in over.apps {
            let entry = self.entries.iter().find(|e| e.rule == id && e.about(app));
            let (Some(entry), Some(outcome)) = (entry, judgement.apps.get_mut(&app.label)) else { continue };
            if !coverable(*outcome, over.strict) {
                continue;
            }
            *outcome = Outcome::Known;
            changed = true;
            for finding in judgement.findings.iter_mut().filter(|f| f.app == app.label) {
                accept(finding, entry, &self.file, over.strict);
            }
        }
        if changed {
            judgement.outcome = judgement.apps.values().copied().max().unwrap_or(judgement.outcome);
            judgement.findings.sort_by_key(|f| std::cmp::Reverse(f.outcome));
        }
    }
}

/// What an entry can accept. A fault of our own and what could not be run are no property of the server.
fn coverable(outcome: Outcome, strict: bool) -> bool {
    matches!(outcome, Outcome::Fail | Outcome::Warn) || (strict && outcome == Outcome::KnownDeviation)
}

fn accept(finding: &mut Finding, entry: &Entry, file: &str, strict: bool) {
    if coverable(finding.outcome, strict) {
        let until = entry.expires.map(|last| format!(", until {last}")).unwrap_or_default();
        finding.outcome = Outcome::Known;
        finding.known = Some(format!("{} ({file}:{}{until})", entry.reason, entry.line));
    }
}

fn unknown(id: &str) -> (EntryState, String) {
    let hint = match closest(id, rules::catalogue().map(|r| r.id)) {
        _ if rules::excluded::find(id).is_some() => "it is one of the rules that are not judged".to_owned(),
        Some(near) => format!("did you mean `{near}`?"),
        None => "`difyprobe rules list` names them".to_owned(),
    };
    (EntryState::UnknownRule, format!("there is no rule `{id}`; {hint}"))
}

fn examined(entry: &Entry, judgement: &Judgement, over: &Over<'_>) -> (EntryState, String) {
    let apps: Vec<&App> = over.apps.iter().filter(|app| entry.about(app)).collect();
    let outcomes: Vec<(&App, Outcome)> =
        apps.iter().filter_map(|app| Some((*app, *judgement.apps.get(&app.label)?))).collect();
    let covered: Vec<&str> =
        outcomes.iter().filter(|(_, o)| coverable(*o, over.strict)).map(|(app, _)| app.label.as_str()).collect();
    if !covered.is_empty() {
        return (EntryState::Used, format!("covers a failure on {}", covered.join(", ")));
    }
    let idle = |why: &str| (EntryState::Idle, why.to_owned());
    if apps.is_empty() {
        return idle("its app or version is not the one of this run");
    }
    if judgement.outcome == Outcome::Skipped {
        return idle(judgement.reason.as_deref().unwrap_or("the rule was left out of this run"));
    }
    if over.partial {
        return idle("the run was cut short");
    }
    if outcomes.iter().any(|(_, o)| *o == Outcome::KnownDeviation) {
        return idle("a known deviation of this server's version already");
    }
    let passed = |(app, outcome): &(&App, Outcome)| {
        *outcome == Outcome::Pass && (over.planned)(judgement.rule, app) == Planned::Yes
    };
    let open = outcomes.iter().any(|(_, o)| matches!(o, Outcome::CouldNotRun | Outcome::Error));
    let passing: Vec<&str> = outcomes.iter().filter(|o| passed(o)).map(|(app, _)| app.label.as_str()).collect();
    if passing.is_empty() || open {
        let why = judgement.reason.as_deref().unwrap_or("the rule was not examined on purpose in this run");
        return idle(why);
    }
    (EntryState::Unused, format!("the rule holds on {}; delete the entry", passing.join(", ")))
}

/// One entry per app on which the rule fails.
fn propose(judgement: &Judgement, apps: &[App]) -> Vec<ProposedEntry> {
    let failing = apps.iter().filter(|app| judgement.apps.get(&app.label) == Some(&Outcome::Fail));
    let entry = |app: &App| {
        let found = judgement.findings.iter().find(|f| f.app == app.label && f.outcome == Outcome::Fail);
        let reason = found.map_or(judgement.rule.title, |f| f.message.as_str());
        let text = format!(
            "  - rule: {}\n    app: {}\n    reason: {}\n",
            judgement.rule.id,
            scalar(&app.label, usize::MAX),
            scalar(reason, REASON_CHARS)
        );
        ProposedEntry { rule: judgement.rule.id.to_owned(), app: app.label.clone(), text }
    };
    failing.map(entry).collect()
}

/// A text as one YAML scalar on one line: double-quoted, with everything escaped that would not survive.
fn scalar(text: &str, limit: usize) -> String {
    let mut cut: String = text.chars().take(limit).collect();
    if cut.len() < text.len() {
        cut.push_str(" ...");
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if cut.chars().all(plain) && cut.chars().next().is_some_and(|c| c.is_ascii_alphabetic()) {
        return cut;
    }
    let mut out = String::from("\"");
    for c in cut.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            ' '..='~' => out.push(c),
            c if c.is_alphanumeric() => out.push(c),
            c => out.push_str(&format!("\\U{:08X}", u32::from(c))),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
#[path = "baseline/tests.rs"]
mod tests;
