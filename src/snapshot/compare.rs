//! One canonical text against its reviewed snapshot.

use crate::model::Exchange;
use insta::internals::{Content, TextSnapshotContents};
use insta::{Comparator, Settings, Snapshot, TextSnapshotKind};
use similar::TextDiff;
use std::path::{Component, Path};

/// Lines shown around a change.
const CONTEXT: usize = 3;

/// One step of a run on one app, ready to be compared.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Scenario id.
    pub scenario: String,
    /// Step id.
    pub step: String,
    /// Label of the app, where a scenario may run on several; empty leaves it out of the name.
    pub app: String,
    /// The canonical text.
    pub canonical: String,
    /// Path of the scenario file; kept in the snapshot for reviewers where the file exists.
    pub scenario_file: String,
    /// First request line in canonical form; for reviewers, not compared.
    pub request: String,
    /// `file:line:column` of the step; said beside a difference, never kept: it moves with every edit of the file.
    pub place: String,
}

impl Entry {
    /// The entry of a step: its first exchange (all others differ in what they sent, not where they come from) and the
    /// canonical texts of all of them. Several stand one after another, each under a line `=== N`.
    pub fn of_step(first: &Exchange, texts: &[String]) -> Entry {
        let origin = &first.origin;
        let canonical = match texts {
            [only] => only.clone(),
            several => {
                let numbered = several.iter().zip(1..).map(|(text, n)| format!("=== {n}\n{}\n", text.trim_end()));
                numbered.collect::<Vec<_>>().join("\n")
            }
        };
        Entry {
            scenario: origin.scenario.clone(),
            step: origin.step.clone(),
            app: first.app.clone(),
            request: texts.first().and_then(|text| text.lines().next()).unwrap_or_default().to_owned(),
            canonical,
            scenario_file: origin.file.clone(),
            place: format!("{}:{}:{}", origin.file, origin.line, origin.column),
        }
    }
}

/// What may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// What is new or changed waits for review as `.snap.new`.
    Review,
    /// Nothing in the folder is touched. Where `INSTA_PENDING_DIR` is set, what is new or changed goes there.
    Check,
    /// What is new or changed is accepted: `.snap` is written. Nothing is deleted.
    Update,
}

/// How a step stands to its snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Equal.
    Same,
    /// No snapshot was accepted yet.
    New,
    /// Not equal.
    Changed,
    /// There is a snapshot, its scenario was run, and no such request was sent.
    Missing,
    /// There is a snapshot of a scenario that does not exist (any more).
    Orphan,
}

impl State {
    /// Whether the run differs from what was reviewed. An orphan does not: nothing of this run belongs to it.
    pub fn differs(self) -> bool {
        match self {
            State::New | State::Changed | State::Missing => true,
            State::Same | State::Orphan => false,
        }
    }
}

/// What came out for one snapshot.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// File name without its ending: `SCENARIO.STEP`, with `@APP` where entries name an app.
    pub name: String,
    /// `file:line:column` of the step; `None` where there is only the snapshot.
    pub place: Option<String>,
    /// How it stands.
    pub state: State,
    /// Unified diff from the snapshot to this run: for `New` all lines are added, for `Missing` all are taken away.
    pub diff: Option<String>,
    /// Name of the snapshot that this one looks like under another name: for `Missing` and `Orphan` the new one, for
    /// `New` the former one.
    pub alike: Option<Alike>,
}

/// Two snapshots that look like one under two names: its scenario or its step was renamed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alike {
    /// Name of the other one.
    pub name: String,
    /// They are equal, not only close.
    pub equal: bool,
}

/// Equality as insta has it: line ends and blank lines at the end do not count.
pub(super) fn equal(old: &Snapshot, text: &str) -> bool {
    let new = TextSnapshotContents::new(text.to_owned(), TextSnapshotKind::File);
    old.as_text().is_some_and(|old| old.matches_latest(&new))
}

/// Unified diff with a few lines of context.
pub(super) fn diff(old: &str, new: &str) -> String {
    let ended = |text: &str| format!("{}\n", text.trim_end());
    let (old, new) = match (old, new) {
        ("", new) => (String::new(), ended(new)),
        (old, "") => (ended(old), String::new()),
        (old, new) => (ended(old), ended(new)),
    };
    let diff = TextDiff::from_lines(&old, &new);
    diff.unified_diff().context_radius(CONTEXT).header("reviewed", "this run").to_string()
}

/// insta asks this one, so that there is one verdict and not two.
#[derive(Clone)]
struct Decided(bool);

impl Comparator for Decided {
    fn matches(&self, _reference: &Snapshot, _test: &Snapshot) -> bool {
        self.0
    }

    fn dyn_clone(&self) -> Box<dyn Comparator> {
        Box::new(self.clone())
    }
}

/// A path that means something on another machine: below the current directory, with `/`. `None` for others.
pub(super) fn kept_path(file: &str) -> Option<String> {
    let path = Path::new(file);
    let below = match std::env::current_dir() {
        Ok(here) => path.strip_prefix(here).unwrap_or(path).to_owned(),
        Err(_) => path.to_owned(),
    };
    let inside = below.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    let below: std::path::PathBuf = below.components().filter(|part| *part != Component::CurDir).collect();
    let text = below.to_string_lossy().replace('\\', "/");
    (inside && !text.is_empty()).then_some(text)
}

/// Lets insta write the waiting file (or clear it away where `same`). The error is what insta panicked with.
pub(super) fn hand_to_insta(folder: &Path, name: &str, entry: &Entry, same: bool) -> Result<(), String> {
    let pair = |name: &str, value: &str| (Content::from(name), Content::from(value));
    let mut settings = Settings::new();
    settings.set_snapshot_path(folder);
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.set_comparator(Box::new(Decided(same)));
    settings.set_raw_info(&Content::Map(vec![pair("request", &entry.request)]));
    if let Some(file) = kept_path(&entry.scenario_file) {
        settings.set_input_file(file);
    }
    // insta's macro unwraps; what can go wrong was looked at before, but a disk may fill up in between.
    // Nothing that the closure touches is used after a panic but the settings of the thread, which insta puts back.
    let assertion = std::panic::AssertUnwindSafe(|| settings.bind(|| insta::assert_snapshot!(name, entry.canonical)));
    let outcome = std::panic::catch_unwind(assertion);
    outcome.map_err(|cause| match cause.downcast::<String>() {
        Ok(text) => *text,
        Err(_) => "insta panicked".to_owned(),
    })
}
