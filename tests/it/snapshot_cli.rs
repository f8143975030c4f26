//! `difyprobe snapshot` as CI and people call it: exit codes, what is written, what is said.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_difyprobe");
pub const ROOT: &str = env!("CARGO_MANIFEST_DIR");
pub const PROFILES: [&str; 4] = ["documented", "dify-0.15", "dify-1.12", "dify-1.13"];
/// Breaks one member of every blocking chat answer.
const MUTANT: &str = "chat.blocking.shape/no-mode";

/// A folder of its own with the committed snapshots and scenarios.
fn project() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let folders = PROFILES.map(|profile| Path::new("snapshots").join(profile));
    for folder in folders.into_iter().chain([PathBuf::from("scenarios/conformance")]) {
        let to = dir.path().join(&folder);
        fs::create_dir_all(&to).unwrap();
        for file in fs::read_dir(Path::new(ROOT).join(folder)).unwrap() {
            let file = file.unwrap();
            // What waits for review in the working copy is not committed.
            if file.path().extension().is_some_and(|e| e == "snap" || e == "yaml") {
                fs::copy(file.path(), to.join(file.file_name())).unwrap();
            }
        }
    }
    dir
}

/// The binary, away from the settings of whoever runs the tests.
pub fn difyprobe(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.current_dir(dir).args(args);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("INSTA_") || text.starts_with("DIFY_") || text == "CI" {
            command.env_remove(&name);
        }
    }
    command
}

pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Said {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

impl Said {
    #[track_caller]
    pub fn exits(&self, code: i32) -> &Said {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }

    #[track_caller]
    pub fn says(&self, text: &str) -> &Said {
        assert!(self.out.contains(text), "no {text:?} in stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }
}

/// A scenario of two blocking turns and a stream: fast, and enough where the whole suite adds nothing.
pub const PARITY: &str = "scenarios/conformance/chat-parity.yaml";

pub fn snapshot(dir: &Path, args: &[&str]) -> Said {
    let mut all = vec!["snapshot", PARITY];
    all.extend(args);
    difyprobe(dir, &all).output().unwrap().into()
}

pub fn snap(dir: &Path, name: &str) -> PathBuf {
    dir.join("snapshots/documented").join(name)
}

/// Every file below the folder with its content.
pub fn tree(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.insert(path.clone(), fs::read(path).unwrap());
            }
        }
    }
    files
}

/// Names what differs; the trees themselves are too large to print.
#[track_caller]
pub fn assert_same(now: &BTreeMap<PathBuf, Vec<u8>>, before: &BTreeMap<PathBuf, Vec<u8>>) {
    let text = |bytes: Option<&Vec<u8>>| bytes.map(|b| String::from_utf8_lossy(b).into_owned());
    let all = now.keys().chain(before.keys());
    let different = all.filter(|path| now.get(*path) != before.get(*path));
    let said: Vec<_> = different.map(|path| (path, text(before.get(path)), text(now.get(path)))).collect();
    assert!(said.is_empty(), "(path, before, now): {said:#?}");
}

/// An emulator of its own process, gone with the value.
pub struct Served {
    child: Child,
    base_url: String,
    chat: String,
}

impl Served {
    pub fn new(args: &[&str]) -> Served {
        let mut all = vec!["serve", "--json"];
        all.extend(args);
        let mut child = difyprobe(Path::new(ROOT), &all).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let told: serde_json::Value = serde_json::from_str(&line).unwrap();
        let text = |pointer: &str| told.pointer(pointer).unwrap().as_str().unwrap().to_owned();
        Served { base_url: text("/base_url"), chat: format!("chat={}", text("/apps/chat")), child }
    }

    pub fn target(&self) -> [&str; 4] {
        ["--base-url", &self.base_url, "--app", &self.chat]
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn committed_are_the_same(profile: &str) {
    let dir = project();
    let before = tree(dir.path());
    let said: Said = difyprobe(dir.path(), &["snapshot", "--check", "--profile", profile])
        .env("CI", "true")
        .output()
        .unwrap()
        .into();
    said.exits(0).says(&format!(
        "{} same, 0 new, 0 changed, 0 missing, 0 orphaned in snapshots/{profile}\n",
        before.keys().filter(|path| path.starts_with(dir.path().join("snapshots").join(profile))).count()
    ));
    assert_same(&tree(dir.path()), &before);
}

#[test]
fn the_embedded_emulator_is_as_committed_by_the_documentation() {
    committed_are_the_same("documented");
}

#[test]
fn the_embedded_emulator_is_as_committed_as_dify_0_15() {
    committed_are_the_same("dify-0.15");
}

#[test]
fn the_embedded_emulator_is_as_committed_as_dify_1_12() {
    committed_are_the_same("dify-1.12");
}

#[test]
fn the_embedded_emulator_is_as_committed_as_dify_1_13() {
    committed_are_the_same("dify-1.13");
}

#[test]
fn committed_snapshots_hold_no_ids_keys_addresses_or_traces_of_a_machine() {
    let pattern = r"(?i)[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|app-[a-z0-9]{16}|127\.0\.0\.1|localhost|difyprobe-[0-9a-f]{8}|\b1[0-9]{9}\b|unseen-id|assertion_line|/home/|/work/|/tmp/";
    let never = regex::Regex::new(pattern).unwrap();
    let mut read = 0;
    for profile in PROFILES {
        for (path, bytes) in tree(&Path::new(ROOT).join("snapshots").join(profile)) {
            let text = String::from_utf8(bytes).unwrap();
            let found = never.find(&text).map(|m| m.as_str());
            assert_eq!(found, None, "{}", path.display());
            read += 1;
        }
    }
    assert!(read > 100, "{read} files read");
}

#[test]
fn a_broken_server_is_shown_as_a_diff_and_check_writes_nothing() {
    let dir = project();
    let before = tree(dir.path());
    let server = Served::new(&["--mutant", MUTANT]);
    let mut args = vec!["snapshot", "--check"];
    args.extend(server.target());
    let said: Said = difyprobe(dir.path(), &args).output().unwrap().into();
    said.exits(6)
        .says("changed  chat.parity.blocking@chat  (scenarios/conformance/chat-parity.yaml:")
        .says("    -  \"mode\": \"chat\",\n")
        .says("    the same change as in ")
        .says(" 0 new, ")
        .says(" 0 missing, 0 orphaned in snapshots/documented\n")
        .says("nothing was written");
    assert!(!said.out.contains('\x1b'), "colours without a terminal:\n{}", said.out);
    assert_same(&tree(dir.path()), &before);
}

#[test]
fn what_changed_waits_for_review_until_it_is_accepted_or_gone() {
    let dir = project();
    let name = "chat.parity.blocking@chat.snap";
    let waiting = snap(dir.path(), "chat.parity.blocking@chat.snap.new");
    let reviewed = fs::read_to_string(snap(dir.path(), name)).unwrap();
    let server = Served::new(&["--mutant", MUTANT]);
    let target = server.target();
    snapshot(dir.path(), &target).exits(6).says("1 to review: `difyprobe review`");
    assert_eq!(fs::read_to_string(snap(dir.path(), name)).unwrap(), reviewed);
    assert!(!fs::read_to_string(&waiting).unwrap().contains("\"mode\": \"chat\""));

    // The server is mended: nothing waits any more.
    snapshot(dir.path(), &[]).exits(0);
    assert!(!waiting.exists());

    // It is meant to be so: accepted, and the same from then on.
    let update: Vec<&str> = target.iter().copied().chain(["--update"]).collect();
    snapshot(dir.path(), &update).exits(0).says("1 accepted");
    assert!(!waiting.exists());
    let check: Vec<&str> = target.iter().copied().chain(["--check"]).collect();
    snapshot(dir.path(), &check).exits(0).says("2 same, 0 new, 0 changed");
    snapshot(dir.path(), &["--check"]).exits(6).says("    +  \"mode\": \"chat\",\n");
}

#[test]
fn what_was_accepted_by_update_is_what_is_committed() {
    let dir = project();
    let before = tree(dir.path());
    for name in ["chat.parity.blocking@chat.snap", "chat.parity.streaming@chat.snap"] {
        fs::remove_file(snap(dir.path(), name)).unwrap();
    }
    snapshot(dir.path(), &["--update"])
        .exits(0)
        .says("new      chat.parity.blocking@chat")
        .says(" 2 new, 0 changed")
        .says("2 accepted");
    assert_same(&tree(dir.path()), &before);
}

#[test]
fn a_deleted_snapshot_is_new_and_a_step_that_is_gone_is_missing() {
    let dir = project();
    fs::remove_file(snap(dir.path(), "chat.parity.blocking@chat.snap")).unwrap();
    let gone = snap(dir.path(), "chat.parity.gone@chat.snap");
    fs::copy(snap(dir.path(), "chat.parity.streaming@chat.snap"), &gone).unwrap();
    snapshot(dir.path(), &["--check"])
        .exits(6)
        .says("new      chat.parity.blocking@chat  (")
        .says("missing  chat.parity.gone@chat\n")
        .says("3 same, 1 new, 0 changed, 1 missing, 0 orphaned in")
        .says("`git rm`");
    // Missing ones are never deleted, and go on to differ.
    snapshot(dir.path(), &["--update"]).exits(0);
    assert!(gone.exists());
    snapshot(dir.path(), &["--check"]).exits(6).says("4 same, 0 new, 0 changed, 1 missing");
}

#[test]
fn a_renamed_scenario_leaves_its_snapshots_orphaned_and_comes_as_new() {
    let dir = project();
    let path = |id: &str, step: &str| snap(dir.path(), &format!("{id}.{step}@chat.snap"));
    // The other way round: the snapshots have the former name of a scenario of today.
    for step in ["blocking", "streaming"] {
        fs::rename(path("chat.parity", step), path("chat.former", step)).unwrap();
    }
    let said: Said = difyprobe(dir.path(), &["snapshot", "--check"]).output().unwrap().into();
    said.exits(6)
        .says("new      chat.parity.blocking@chat")
        .says("orphan   chat.former.blocking@chat\n")
        .says(" 2 new, 0 changed, 0 missing, 2 orphaned in");
}

#[test]
fn a_broken_snapshot_stops_with_2_and_stays_as_it_is() {
    for mode in ["--check", "--update", "--profile=documented"] {
        let dir = project();
        let path = snap(dir.path(), "chat.parity.blocking@chat.snap");
        fs::write(&path, "<<<<<<< HEAD\n---\n").unwrap();
        let before = tree(dir.path());
        let said = snapshot(dir.path(), &[mode]);
        said.exits(2);
        assert!(said.err.contains("chat.parity.blocking@chat.snap") && said.err.contains("mend it"), "{}", said.err);
        assert_same(&tree(dir.path()), &before);
    }
}

#[test]
fn a_folder_that_cannot_be_written_stops_with_2() {
    let dir = project();
    fs::remove_dir_all(dir.path().join("snapshots")).unwrap();
    // A file where the folder should be: not writable for root either.
    fs::write(dir.path().join("snapshots"), "").unwrap();
    let said = snapshot(dir.path(), &["--update"]);
    said.exits(2);
    assert!(said.err.contains("/snapshots"), "{}", said.err);
    assert_eq!(fs::read(dir.path().join("snapshots")).unwrap(), b"");
}

#[test]
fn on_ci_changes_are_carried_to_the_folder_given_for_them() {
    let dir = project();
    let pending = tempfile::tempdir().unwrap();
    let before = tree(dir.path());
    let server = Served::new(&["--mutant", MUTANT]);
    let mut args = vec!["snapshot", PARITY, "--check"];
    args.extend(server.target());
    let mut command = difyprobe(dir.path(), &args);
    let said: Said = command.env("CI", "true").env("INSTA_PENDING_DIR", pending.path()).output().unwrap().into();
    said.exits(6);
    assert_same(&tree(dir.path()), &before);
    let carried: Vec<PathBuf> = tree(pending.path()).into_keys().collect();
    assert_eq!(carried, [pending.path().join("snapshots/documented/chat.parity.blocking@chat.snap.new")]);
}

#[test]
fn on_ci_without_check_changes_wait_all_the_same() {
    let dir = project();
    fs::remove_file(snap(dir.path(), "chat.parity.blocking@chat.snap")).unwrap();
    let said: Said = difyprobe(dir.path(), &["snapshot", PARITY]).env("CI", "true").output().unwrap().into();
    said.exits(6);
    assert!(snap(dir.path(), "chat.parity.blocking@chat.snap.new").exists());
}

#[test]
fn a_server_that_cannot_be_reached_is_incomplete_and_nothing_is_accepted() {
    let dir = project();
    let before = tree(dir.path());
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}/v1");
    let said = snapshot(dir.path(), &["--base-url", &url, "--app", "chat=app-0123456789abcdef", "--update"]);
    said.exits(3);
    assert!(!said.err.contains("app-0123456789abcdef"), "{}", said.err);
    assert_same(&tree(dir.path()), &before);
}

#[test]
fn texts_of_a_model_count_only_as_far_as_asked_for() {
    let dir = project();
    // Another seed sends other words, and an echo answers them.
    snapshot(dir.path(), &["--update", "--texts", "shape", "--seed", "1"]).exits(0);
    let text = fs::read_to_string(snap(dir.path(), "chat.parity.streaming@chat.snap")).unwrap();
    assert!(text.contains("event message x[n]\n") && text.contains("\nanswer: [text]\n"), "{text}");
    snapshot(dir.path(), &["--check", "--texts", "shape"]).exits(0);
    snapshot(dir.path(), &["--check"]).exits(6).says("-answer: [text]\n");
}
