//! What waits for review: the `.snap.new` files of all targets, read, accepted, rejected.

use super::compare::{State, diff, equal};
use super::files;
use super::folder::SnapshotError;
use std::path::{Path, PathBuf};

/// One file that waits for review.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// Name of the target's folder, e.g. `dify-1.12`.
    pub target: String,
    /// File name without its ending: `SCENARIO.STEP`, with `@APP` where entries name an app.
    pub name: String,
    /// What it says; the error says in a sentence what is wrong with a file.
    pub content: Result<Content, String>,
    pending: PathBuf,
    snapshot: PathBuf,
}

/// What waits, and what it would replace.
#[derive(Clone, Debug, PartialEq)]
pub struct Content {
    /// The reviewed text; `None` where there is none yet.
    pub old: Option<String>,
    /// The text that waits.
    pub new: String,
    /// Scenario file, where it lay below the current directory.
    pub scenario_file: Option<String>,
    /// First request line in canonical form.
    pub request: String,
    /// New or changed; same where the snapshot was accepted in another way meanwhile.
    pub state: State,
}

impl Content {
    /// Unified diff from the reviewed text to the one that waits.
    pub fn diff(&self) -> String {
        diff(self.old.as_deref().unwrap_or_default(), &self.new)
    }
}

/// All that waits in the folder of all snapshots, sorted by target and name. Nothing where there is no such folder.
///
/// # Errors
/// The folder cannot be listed, or `INSTA_PENDING_DIR` is set and the folder lies outside `INSTA_WORKSPACE_ROOT`.
pub fn waiting(snapshots: &Path) -> Result<Vec<Waiting>, SnapshotError> {
    let snapshots = std::path::absolute(snapshots).unwrap_or_else(|_| snapshots.to_owned());
    let place = files::pending_place(&snapshots).ok_or_else(|| SnapshotError::Outside { path: snapshots.clone() })?;
    let listed = |folder: &Path, source| SnapshotError::List { folder: folder.to_owned(), source };
    let mut all = Vec::new();
    for target in files::folders(&place).map_err(|e| listed(&place, e))? {
        let folder = place.join(&target);
        for name in files::list(&folder, ".snap.new").map_err(|e| listed(&folder, e))? {
            let pending = folder.join(format!("{name}.snap.new"));
            let snapshot = snapshots.join(&target).join(format!("{name}.snap"));
            all.push(Waiting {
                content: content(&pending, &snapshot),
                target: target.clone(),
                name,
                pending,
                snapshot,
            });
        }
    }
    Ok(all)
}

fn content(pending: &Path, snapshot: &Path) -> Result<Content, String> {
    let new = files::read(pending)?.ok_or("it is gone")?;
    let old = files::read(snapshot).map_err(|why| format!("the snapshot it would replace is broken: {why}"))?;
    let text = |of: &insta::Snapshot| of.as_text().map(ToString::to_string).unwrap_or_default();
    let new_text = text(&new);
    let state = match &old {
        None => State::New,
        Some(old) if equal(old, &new_text) => State::Same,
        Some(_) => State::Changed,
    };
    let request = request(&new_text).ok_or("difyprobe did not write it: it does not begin with a request")?.to_owned();
    Ok(Content {
        old: old.as_ref().map(text),
        new: new_text,
        scenario_file: new.metadata().input_file().map(str::to_owned),
        request,
        state,
    })
}

/// The first request line of a canonical text.
fn request(text: &str) -> Option<&str> {
    let line = text.lines().find(|line| !line.starts_with("=== "))?;
    let (method, path) = line.split_once(' ')?;
    (method.chars().all(|c| c.is_ascii_uppercase()) && !path.is_empty()).then_some(line)
}

impl Waiting {
    /// `TARGET/NAME`, by which people choose it.
    pub fn path(&self) -> String {
        format!("{}/{}", self.target, self.name)
    }

    /// The file that waits.
    pub fn file(&self) -> &Path {
        &self.pending
    }

    /// Makes it the reviewed snapshot, in one step.
    ///
    /// # Errors
    /// It is broken, or the snapshot cannot be written; then everything is as before.
    pub fn accept(&self) -> Result<(), SnapshotError> {
        if let Err(why) = &self.content {
            return Err(SnapshotError::BrokenPending { path: self.pending.clone(), why: why.clone() });
        }
        files::accept(&self.pending, &self.snapshot)
            .map_err(|source| SnapshotError::Write { path: self.snapshot.clone(), source })
    }

    /// Throws it away; the reviewed snapshot stays as it is.
    ///
    /// # Errors
    /// The file cannot be removed.
    pub fn reject(&self) -> Result<(), SnapshotError> {
        files::remove(&self.pending).map_err(|source| SnapshotError::Remove { path: self.pending.clone(), source })
    }
}
