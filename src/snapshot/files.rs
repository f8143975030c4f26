//! Names and files of snapshots: what insta would do on its own, with errors where it only warns or panics.

use insta::Snapshot;
use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Longest part of a file name, in characters; three parts and an ending stay below the 255 bytes of file systems.
const LONGEST_PART: usize = 70;

/// A part of a file name in the characters that insta and every file system take: `[A-Za-z0-9.@-]`.
pub(super) fn sanitised(part: &str) -> String {
    let keep = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-') { c } else { '-' };
    let clean: String = part.chars().map(keep).take(LONGEST_PART).collect();
    // A leading dot would hide the file from `cargo insta`.
    let clean = clean.trim_matches('.');
    if clean.is_empty() { "unnamed".to_owned() } else { clean.to_owned() }
}

/// Whether a text can be the name of a target's folder as it is.
pub(super) fn is_folder_name(name: &str) -> bool {
    // `cargo insta` never looks into a folder `target`.
    sanitised(name) == name && name != "target"
}

/// Gives each name once: the second `a.b` is `a.b.2`, before the part that starts with `@`.
#[derive(Default)]
pub(super) struct Names {
    /// In lower case: some file systems do not tell cases apart.
    used: HashSet<String>,
}

impl Names {
    pub(super) fn unique(&mut self, stem: &str, suffix: &str) -> String {
        let mut name = format!("{stem}{suffix}");
        let mut count = 1;
        while !self.used.insert(name.to_ascii_lowercase()) {
            count += 1;
            name = format!("{stem}.{count}{suffix}");
        }
        name
    }
}

/// Names of all files with an ending in the folder, without it, sorted; empty where there is no folder yet.
pub(super) fn list(folder: &Path, ending: &str) -> std::io::Result<Vec<String>> {
    let names = entries(folder)?.into_iter().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter_map(|name| Some(name.strip_suffix(ending)?.to_owned())).collect();
    names.sort();
    Ok(names)
}

/// Names of the folders in a folder, sorted; empty where there is none yet.
pub(super) fn folders(folder: &Path) -> std::io::Result<Vec<String>> {
    let below = entries(folder)?.into_iter().filter(|entry| entry.path().is_dir());
    let mut names: Vec<String> = below.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    Ok(names)
}

/// Names of the targets of a folder of snapshots, there or where their pending files go.
pub(super) fn review_folders(snapshots: &Path) -> Vec<String> {
    let place = pending_place(snapshots).unwrap_or_else(|| snapshots.to_owned());
    folders(&place).unwrap_or_default()
}

fn entries(folder: &Path) -> std::io::Result<Vec<fs::DirEntry>> {
    match fs::read_dir(folder) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        entries => entries?.collect(),
    }
}

/// Reads a reviewed snapshot; `None` where there is none yet. The error says in a sentence what is wrong with the file.
pub(super) fn read(path: &Path) -> Result<Option<Snapshot>, String> {
    let bytes = match fs::read(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e.to_string()),
        Ok(bytes) => bytes,
    };
    let text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned())?;
    // insta takes anything: a file without this line as its old format, one without the second as metadata alone.
    let mut lines = text.lines().map(str::trim_end);
    if lines.next() != Some("---") || !lines.any(|line| line == "---") {
        return Err("it has no header between two lines `---`, so insta did not write it".to_owned());
    }
    let snapshot = Snapshot::from_file(path).map_err(|e| format!("its header cannot be read: {e}"))?;
    if snapshot.as_text().is_none() {
        return Err("it is a binary snapshot".to_owned());
    }
    Ok(Some(snapshot))
}

/// Where insta puts what waits for review: beside the snapshot, or at the same place below `INSTA_PENDING_DIR`. `None`
/// where that folder is set and the snapshots lie outside `INSTA_WORKSPACE_ROOT` (insta would panic).
pub(super) fn pending(snapshot: &Path) -> Option<PathBuf> {
    pending_place(&snapshot.with_extension("snap.new"))
}

/// Where what waits for review stands in for a path: there, or at the same place below `INSTA_PENDING_DIR`.
pub(super) fn pending_place(path: &Path) -> Option<PathBuf> {
    let Some(folder) = pending_folder() else {
        return Some(path.to_owned());
    };
    path.strip_prefix(workspace_root()).ok().map(|below| folder.join(below))
}

/// What insta takes for the root of all paths.
pub(super) fn workspace_root() -> PathBuf {
    std::env::var_os("INSTA_WORKSPACE_ROOT").map_or_else(|| PathBuf::from("."), PathBuf::from)
}

/// `INSTA_PENDING_DIR`, where set and not empty.
pub(super) fn pending_folder() -> Option<PathBuf> {
    std::env::var_os("INSTA_PENDING_DIR").filter(|v| !v.is_empty()).map(PathBuf::from)
}

/// Makes sure that the file can be created or replaced, without changing it: insta panics where it cannot write.
pub(super) fn probe_writable(path: &Path) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let existed = path.try_exists()?;
    fs::OpenOptions::new().append(true).create(true).open(path)?;
    if !existed {
        fs::remove_file(path)?;
    }
    Ok(())
}

/// Accepts what waits for review, as `cargo insta accept` does: the line number that only waiting files have goes, and
/// the snapshot is replaced in one step.
pub(super) fn accept(pending: &Path, snapshot: &Path) -> std::io::Result<()> {
    let text = fs::read_to_string(pending)?;
    let kept =
        header_mapped(&text, |line| if line.starts_with("assertion_line:") { None } else { Some(line.to_owned()) });
    if let Some(folder) = snapshot.parent() {
        fs::create_dir_all(folder)?;
    }
    replace(snapshot, &kept)?;
    fs::remove_file(pending)
}

/// Writes the file and line that a waiting file says it comes from; nothing where insta wrote no such file.
pub(super) fn set_source(pending: &Path, file: &str, line_number: &str) -> std::io::Result<()> {
    let text = match fs::read_to_string(pending) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        text => text?,
    };
    let named = header_mapped(&text, |line| {
        Some(match line.split_once(':') {
            Some(("source", _)) => format!("source: {file}\n"),
            Some(("assertion_line", _)) => format!("assertion_line: {line_number}\n"),
            _ => line.to_owned(),
        })
    });
    replace(pending, &named)
}

/// The text with the lines of its header, between two lines `---`, as the function has them.
fn header_mapped(text: &str, map: impl Fn(&str) -> Option<String>) -> String {
    let mut dashes = 0;
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        dashes += usize::from(line.trim_end() == "---");
        match dashes {
            1 => out.push_str(&map(line).unwrap_or_default()),
            _ => out.push_str(line),
        }
    }
    out
}

/// Replaces a file in one step; where that fails, it is as before.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let half = path.with_extension("half");
    let written = fs::write(&half, text).and_then(|()| fs::rename(&half, path));
    if written.is_err() {
        // What is left of it is of no use; that it cannot be removed changes nothing.
        let _ = fs::remove_file(&half);
    }
    written
}

/// Whether a scenario file that a snapshot names is there.
pub(super) fn is_file(path: &str) -> bool {
    workspace_root().join(path).is_file()
}

/// Removes a file; a folder in its place is an error.
pub(super) fn remove(path: &Path) -> std::io::Result<()> {
    fs::remove_file(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_hold_only_what_file_systems_and_insta_take() {
        assert_eq!(sanitised("chat.turns"), "chat.turns");
        assert_eq!(sanitised("../a b/ü_c@d"), "-a-b---c-d");
        assert_eq!(sanitised(".."), "unnamed");
        assert_eq!(sanitised(&"x".repeat(300)).len(), LONGEST_PART);
    }

    #[test]
    fn a_name_used_before_gets_a_number() {
        let mut names = Names::default();
        let all: Vec<String> =
            ["a.b", "a.b", "A.b", "a.b.2", "a.c"].iter().map(|stem| names.unique(stem, "@chat")).collect();
        assert_eq!(all, ["a.b@chat", "a.b.2@chat", "A.b.3@chat", "a.b.2.2@chat", "a.c@chat"]);
    }
}
