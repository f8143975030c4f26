//! The folder of reviewed snapshots of one target.

use super::compare::{Entry, Mode, State, Verdict, diff, equal, hand_to_insta, kept_path};
use super::files::{self, Names};
use super::renames;
use crate::canonical::redact_keys;
use insta::Snapshot;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// Why snapshots could not be compared. Nothing was accepted and no reviewed snapshot was touched where it happens,
/// except by [`Mode::Update`], which may have accepted earlier entries.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// Files that are no snapshots of ours; all of them, found before anything is written.
    #[error("read the snapshot {}: {}; mend it, or delete it to record it anew", first(.0), reason(.0))]
    Broken(Vec<(PathBuf, String)>),
    /// The folder cannot be listed.
    #[error("list the snapshots in {}: {source}", folder.display())]
    List {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file cannot be written.
    #[error("write {}: {source}; is the folder writable?", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// `INSTA_PENDING_DIR` mirrors `INSTA_WORKSPACE_ROOT`, and the snapshots lie elsewhere.
    #[error("find a place below INSTA_PENDING_DIR for {}: it is outside INSTA_WORKSPACE_ROOT; set that to a folder above it", path.display())]
    Outside {
        /// The snapshot.
        path: PathBuf,
    },
    /// The user's own `INSTA_UPDATE` kept insta from writing what was to be accepted.
    #[error("accept {}: insta wrote nothing; unset INSTA_UPDATE and INSTA_FORCE_UPDATE", path.display())]
    NotWritten {
        /// The snapshot.
        path: PathBuf,
    },
    /// A file that waits for review cannot be accepted.
    #[error("accept {}: {why}; run `difyprobe snapshot` again to have it written anew, or reject it", path.display())]
    BrokenPending {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A file that waits for review cannot be removed.
    #[error("reject {}: {source}", path.display())]
    Remove {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// insta failed in a way that was not foreseen.
    #[error("write the snapshot {} with insta: {cause}", path.display())]
    Insta {
        /// The snapshot.
        path: PathBuf,
        /// insta's words.
        cause: String,
    },
}

fn first(problems: &[(PathBuf, String)]) -> String {
    problems.first().map(|(path, _)| path.display().to_string()).unwrap_or_default()
}

fn reason(problems: &[(PathBuf, String)]) -> String {
    let more = match problems.len() {
        0 | 1 => String::new(),
        n => format!(" (and {} more files)", n - 1),
    };
    problems.first().map(|(_, why)| format!("{why}{more}")).unwrap_or_default()
}

/// Which scenarios a run covered: what it did not run, it cannot miss.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Coverage {
    /// Scenario id and app label of what was run to its end, also without an exchange; the label is empty where entries
    /// name no app.
    pub ran: Vec<(String, String)>,
    /// Ids of all scenarios there are, run or not; `None` where that is not known, and then no orphan is reported.
    pub known: Option<Vec<String>>,
    /// The scenario files that were read; `None` where `known` has all that the folder is about,
    /// and what it does not have is an orphan whatever its file.
    pub files: Option<Vec<String>>,
}

/// Whether a text can name a target: letters, digits, `.` and `-`, as file systems and `cargo insta` take them.
pub fn is_target_name(name: &str) -> bool {
    files::is_folder_name(name)
}

/// `SNAPSHOTS/TARGET`, one `.snap` per step.
#[derive(Clone, Debug, PartialEq)]
pub struct SnapshotFolder {
    folder: PathBuf,
}

impl SnapshotFolder {
    /// The folder of a target (a profile, or a server by name) below the folder of all snapshots. Need not exist yet; a relative path counts from the
    /// current directory.
    pub fn new(snapshots: &Path, target: &str) -> SnapshotFolder {
        let folder = snapshots.join(files::sanitised(target));
        SnapshotFolder { folder: std::path::absolute(&folder).unwrap_or(folder) }
    }

    /// Where the snapshots are, absolute.
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// Compares a run with the reviewed snapshots and writes what the mode allows. Verdicts come in the order of the
    /// entries, then missing ones and orphans by name. Blocks; insta keeps its settings per thread, so call it from
    /// one blocking section. [`super::prepare_environment`] must have run.
    ///
    /// # Errors
    /// All kinds of [`SnapshotError`]; a difference is a verdict, not an error.
    pub fn compare(&self, entries: Vec<Entry>, coverage: &Coverage, mode: Mode) -> Result<Vec<Verdict>, SnapshotError> {
        let compared = self.pair(entries)?;
        let present = files::list(&self.folder, ".snap")
            .map_err(|source| SnapshotError::List { folder: self.folder.clone(), source })?;
        self.write(&compared, mode)?;
        let seen: HashSet<String> = compared.iter().map(|pair| pair.name.to_ascii_lowercase()).collect();
        let unseen = present.into_iter().filter(|name| !seen.contains(&name.to_ascii_lowercase()));
        let unseen: Vec<Unseen> = unseen.filter_map(|name| self.unseen(name, coverage)).collect();
        let new: Vec<(&str, &str)> =
            compared.iter().filter(|pair| pair.state == State::New).map(Compared::named).collect();
        let gone: Vec<(&str, &str)> = unseen.iter().map(|u| (u.name.as_str(), u.text.as_str())).collect();
        let renamed = renames::find(&gone, &new);
        let mut verdicts: Vec<Verdict> = compared.iter().map(Compared::verdict).collect();
        verdicts.extend(unseen.iter().map(Unseen::verdict));
        for verdict in &mut verdicts {
            verdict.alike = renamed.iter().find_map(|pair| pair.seen_from(&verdict.name));
        }
        Ok(verdicts)
    }

    /// Other targets below the folder of all snapshots that have snapshots, sorted.
    pub fn neighbours(&self) -> Vec<String> {
        let Some(all) = self.folder.parent() else { return Vec::new() };
        let own = self.folder.file_name().map(|name| name.to_string_lossy().into_owned());
        let mut names = files::folders(all).unwrap_or_default();
        names.retain(|name| own.as_ref() != Some(name));
        names.retain(|name| files::list(&all.join(name), ".snap").is_ok_and(|snaps| !snaps.is_empty()));
        names
    }

    /// Each entry with its name and its snapshot. Reads all before anything is written.
    fn pair(&self, entries: Vec<Entry>) -> Result<Vec<Compared>, SnapshotError> {
        let mut names = Names::default();
        let mut broken = Vec::new();
        let mut compared = Vec::new();
        for mut entry in entries {
            entry.canonical = redact_keys(&entry.canonical);
            entry.request = redact_keys(&entry.request);
            let stem = format!("{}.{}", files::sanitised(&entry.scenario), files::sanitised(&entry.step));
            let suffix = match entry.app.as_str() {
                "" => String::new(),
                app => format!("@{}", files::sanitised(app)),
            };
            let name = names.unique(&stem, &suffix);
            let path = self.file(&name);
            match files::read(&path) {
                Ok(old) => compared.push(Compared::new(name, path, entry, old)),
                Err(why) => broken.push((path, why)),
            }
        }
        if broken.is_empty() { Ok(compared) } else { Err(SnapshotError::Broken(broken)) }
    }

    fn write(&self, compared: &[Compared], mode: Mode) -> Result<(), SnapshotError> {
        if mode == Mode::Check && files::pending_folder().is_none() {
            return Ok(());
        }
        let mut waiting = Vec::new();
        for pair in compared {
            let outside = || SnapshotError::Outside { path: pair.path.clone() };
            waiting.push((pair, files::pending(&pair.path).ok_or_else(outside)?));
        }
        // A folder that cannot be written is found before the first file is.
        for (pair, pending) in &waiting {
            if pair.state != State::Same {
                files::probe_writable(pending)
                    .map_err(|source| SnapshotError::Write { path: pending.clone(), source })?;
            }
        }
        for (pair, pending) in &waiting {
            hand_to_insta(&self.folder, &pair.name, &pair.entry, pair.state == State::Same)
                .map_err(|cause| SnapshotError::Insta { path: pair.path.clone(), cause })?;
            if pair.state != State::Same {
                pair.say_place(pending)?;
            }
            if mode == Mode::Update && pair.state != State::Same {
                pair.accept(pending)?;
            }
        }
        Ok(())
    }

    /// How a snapshot stands that no entry belongs to; `None` where the run does not say anything about it.
    fn unseen(&self, name: String, coverage: &Coverage) -> Option<Unseen> {
        let (stem, app) = name.rsplit_once('@').unwrap_or((&name, ""));
        let label = |label: &str| if label.is_empty() { String::new() } else { files::sanitised(label) };
        let on_app = coverage.ran.iter().filter(|(_, of)| label(of) == app);
        let ran = owner(stem, on_app.map(|(id, _)| id));
        let ran_at_all = owner(stem, coverage.ran.iter().map(|(id, _)| id));
        let known = coverage.known.as_ref().map(|ids| owner(stem, ids.iter()));
        let old = files::read(&self.file(&name)).ok().flatten();
        let text = old.as_ref().and_then(Snapshot::as_text).map(ToString::to_string).unwrap_or_default();
        if ran.is_some() && known.flatten() <= ran {
            return Some(Unseen { name, state: State::Missing, text });
        }
        let file = old.as_ref().and_then(|old| old.metadata().input_file());
        let nobodys = match (file, &coverage.files) {
            (_, None) => true,
            // Of files that this run did not read, only that they are gone is known.
            (Some(file), Some(read)) => {
                read.iter().any(|r| kept_path(r).as_deref() == Some(file)) || !files::is_file(file)
            }
            (None, Some(_)) => false,
        };
        let orphan = ran_at_all.is_none() && known.is_some_and(|owner| owner.is_none()) && nobodys;
        orphan.then_some(Unseen { name, state: State::Orphan, text })
    }

    fn file(&self, name: &str) -> PathBuf {
        // Not `with_extension`: names have dots.
        self.folder.join(format!("{name}.snap"))
    }
}

/// Length of the scenario id that a name begins with. Ids have dots: of `chat` and `chat.stop`, the longer one owns
/// `chat.stop.turn`.
fn owner<'i>(stem: &str, ids: impl Iterator<Item = &'i String>) -> Option<usize> {
    let owners = ids.map(|id| files::sanitised(id));
    let owners = owners.filter(|id| stem.strip_prefix(id.as_str()).is_some_and(|rest| rest.starts_with('.')));
    owners.map(|id| id.len()).max()
}

/// A snapshot that no entry belongs to.
struct Unseen {
    name: String,
    state: State,
    text: String,
}

impl Unseen {
    fn verdict(&self) -> Verdict {
        let diff = (self.state == State::Missing).then(|| diff(&self.text, ""));
        Verdict { name: self.name.clone(), place: None, state: self.state, diff, alike: None }
    }
}

/// An entry and what the folder has for it.
struct Compared {
    name: String,
    path: PathBuf,
    entry: Entry,
    state: State,
    diff: Option<String>,
}

impl Compared {
    fn new(name: String, path: PathBuf, entry: Entry, old: Option<Snapshot>) -> Compared {
        let (state, diff) = match &old {
            None => (State::New, Some(diff("", &entry.canonical))),
            Some(old) if equal(old, &entry.canonical) => (State::Same, None),
            Some(old) => {
                let text = old.as_text().map(ToString::to_string).unwrap_or_default();
                (State::Changed, Some(diff(&text, &entry.canonical)))
            }
        };
        Compared { name, path, entry, state, diff }
    }

    fn verdict(&self) -> Verdict {
        let place = Some(self.entry.place.clone());
        Verdict { name: self.name.clone(), place, state: self.state, diff: self.diff.clone(), alike: None }
    }

    fn named(&self) -> (&str, &str) {
        (&self.name, &self.entry.canonical)
    }

    /// Has the file that waits say which line of which scenario it comes from: insta says so of a line of our own code.
    fn say_place(&self, pending: &Path) -> Result<(), SnapshotError> {
        // Other characters mean something in YAML.
        let plain = |file: &String| file.chars().all(|c| c.is_alphanumeric() || "./_-".contains(c));
        let file = kept_path(&self.entry.scenario_file).filter(|file| files::is_file(file) && plain(file));
        let Some(file) = file else {
            return Ok(());
        };
        let line = self.entry.place.rsplit(':').nth(1).unwrap_or_default();
        files::set_source(pending, &file, line)
            .map_err(|source| SnapshotError::Write { path: pending.to_owned(), source })
    }

    fn accept(&self, pending: &Path) -> Result<(), SnapshotError> {
        if pending.exists() {
            return files::accept(pending, &self.path)
                .map_err(|source| SnapshotError::Write { path: self.path.clone(), source });
        }
        // With a user's own INSTA_UPDATE=always, insta has written in place.
        match files::read(&self.path) {
            Ok(Some(now)) if equal(&now, &self.entry.canonical) => Ok(()),
            _ => Err(SnapshotError::NotWritten { path: self.path.clone() }),
        }
    }
}
