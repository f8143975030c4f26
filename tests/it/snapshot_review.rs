//! What waits for review, decided on without a terminal and in one: `snapshot list`, `accept`, `reject`, `review --builtin`.

use crate::snapshot_cli::{PARITY, PROFILES, ROOT, Said, Served, assert_same, difyprobe, snap, snapshot, tree};
use std::fs;
use std::path::Path;
use tempfile::TempDir;

const MUTANT: &str = "chat.blocking.shape/no-mode";
const CHANGED: &str = "chat.parity.blocking@chat";
const NEW: &str = "chat.parity.streaming@chat";

/// A folder of its own with one of the committed scenarios and its snapshots.
fn project() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let copy = |folder: &Path, name: &str| {
        fs::create_dir_all(dir.path().join(folder)).unwrap();
        fs::copy(Path::new(ROOT).join(folder).join(name), dir.path().join(folder).join(name)).unwrap();
    };
    copy(Path::new("scenarios/conformance"), "chat-parity.yaml");
    for folder in PROFILES.map(|profile| Path::new("snapshots").join(profile)) {
        for entry in fs::read_dir(Path::new(ROOT).join(&folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name.starts_with("chat.parity.") && name.ends_with(".snap") {
                copy(&folder, &name);
            }
        }
    }
    dir
}

fn say(dir: &Path, args: &[&str]) -> Said {
    difyprobe(dir, args).output().unwrap().into()
}

/// One changed and one new snapshot that wait in `documented`.
fn waiting() -> TempDir {
    let dir = project();
    fs::remove_file(snap(dir.path(), &format!("{NEW}.snap"))).unwrap();
    let server = Served::new(&["--mutant", MUTANT]);
    snapshot(dir.path(), &server.target()).exits(6).says("2 to review: `difyprobe review`");
    dir
}

fn pending(dir: &Path, name: &str) -> std::path::PathBuf {
    snap(dir, &format!("{name}.snap.new"))
}

#[test]
fn list_names_what_waits_with_its_scenario_line_and_exits_6_until_nothing_does() {
    let dir = waiting();
    say(dir.path(), &["snapshot", "list"])
        .exits(6)
        .says(&format!("changed  documented/{CHANGED}  (scenarios/conformance/chat-parity.yaml:"))
        .says(&format!("new      documented/{NEW}  ("))
        .says("2 to review: ")
        .says("snapshot accept");
    say(dir.path(), &["snapshot", "list", "*.streaming"]).exits(6).says("1 to review: ");
    say(dir.path(), &["snapshot", "reject"]).exits(0).says(&format!("rejected documented/{CHANGED}\n"));
    let said = say(dir.path(), &["snapshot", "list"]);
    assert_eq!(said.exits(0).out, "nothing waits for review in snapshots\n");
}

#[test]
fn what_waits_says_which_line_of_which_scenario_it_comes_from_and_the_snapshot_does_not() {
    let dir = waiting();
    let line = |text: &str, key: &str| text.lines().find_map(|l| l.strip_prefix(key).map(str::to_owned));
    let text = fs::read_to_string(pending(dir.path(), CHANGED)).unwrap();
    assert_eq!(line(&text, "source: ").as_deref(), Some(PARITY));
    let number: usize = line(&text, "assertion_line: ").unwrap().parse().unwrap();
    let scenario = fs::read_to_string(dir.path().join(PARITY)).unwrap();
    assert!(scenario.lines().nth(number - 1).unwrap().contains("id: blocking"), "line {number}");
    say(dir.path(), &["snapshot", "accept"]).exits(0);
    let text = fs::read_to_string(snap(dir.path(), &format!("{CHANGED}.snap"))).unwrap();
    assert_eq!((line(&text, "assertion_line: "), line(&text, "source: ").as_deref()), (None, Some(PARITY)));
}

#[test]
fn accept_takes_what_is_named_and_the_next_run_is_the_same() {
    let dir = waiting();
    let reviewed = fs::read(snap(dir.path(), &format!("{CHANGED}.snap"))).unwrap();
    say(dir.path(), &["snapshot", "accept", "documented/*.streaming@chat"])
        .exits(0)
        .says(&format!("accepted documented/{NEW}\n"));
    assert!(snap(dir.path(), &format!("{NEW}.snap")).exists() && !pending(dir.path(), NEW).exists());
    assert!(pending(dir.path(), CHANGED).exists(), "more than what was named was accepted");
    assert_eq!(fs::read(snap(dir.path(), &format!("{CHANGED}.snap"))).unwrap(), reviewed);
    // All that is left; in the environment of a target, as CI has it.
    let mut accept = difyprobe(dir.path(), &["snapshot", "accept"]);
    let said: Said =
        accept.env("DIFY_BASE_URL", "http://127.0.0.1:1/v1").env("DIFY_API_KEY", "app-x").output().unwrap().into();
    said.exits(0).says(&format!("accepted documented/{CHANGED}\n"));
    let server = Served::new(&["--mutant", MUTANT]);
    let check: Vec<&str> = server.target().into_iter().chain(["--check"]).collect();
    snapshot(dir.path(), &check).exits(0);
    say(dir.path(), &["snapshot", "accept"]).exits(0).says("nothing waits for review");
}

#[test]
fn reject_leaves_the_reviewed_snapshot_as_it_is() {
    let dir = waiting();
    let reviewed = fs::read(snap(dir.path(), &format!("{CHANGED}.snap"))).unwrap();
    say(dir.path(), &["snapshot", "reject", CHANGED]).exits(0);
    assert!(!pending(dir.path(), CHANGED).exists() && pending(dir.path(), NEW).exists());
    assert_eq!(fs::read(snap(dir.path(), &format!("{CHANGED}.snap"))).unwrap(), reviewed);
}

#[test]
fn a_name_that_nothing_has_is_an_error_that_says_where_to_look() {
    let dir = waiting();
    let before = tree(dir.path());
    for what in ["list", "accept", "reject"] {
        let said = say(dir.path(), &["snapshot", what, "chat.parity.blokking"]);
        assert!(said.exits(2).err.contains("difyprobe snapshot list"), "{}", said.err);
    }
    assert_same(&tree(dir.path()), &before);
}

#[test]
fn a_broken_or_foreign_file_that_waits_stops_accepting_and_can_be_thrown_away() {
    let foreign = "---\nsource: src/lib.rs\nexpression: x\n---\n[1, 2]\n";
    let conflict = "---\n<<<<<<< HEAD\nsource: a\n=======\nsource: b\n>>>>>>> x\n---\nPOST /x\n";
    for text in ["hello\n", "", conflict, foreign] {
        let dir = waiting();
        fs::write(pending(dir.path(), NEW), text).unwrap();
        let before = tree(dir.path());
        say(dir.path(), &["snapshot", "list"]).exits(6).says(&format!("broken   documented/{NEW}  ("));
        let said = say(dir.path(), &["snapshot", "accept"]);
        assert!(said.exits(2).err.contains(NEW) && said.err.contains("reject NAME"), "{}", said.err);
        assert_same(&tree(dir.path()), &before);
        say(dir.path(), &["snapshot", "reject", NEW]).exits(0);
        assert!(!pending(dir.path(), NEW).exists() && pending(dir.path(), CHANGED).exists());
    }
}

#[test]
fn a_reviewed_snapshot_that_is_broken_is_not_replaced_without_a_word() {
    let dir = waiting();
    fs::write(snap(dir.path(), &format!("{CHANGED}.snap")), "<<<<<<< HEAD\n").unwrap();
    let before = tree(dir.path());
    let said = say(dir.path(), &["snapshot", "accept"]);
    assert!(said.exits(2).err.contains("the snapshot it would replace is broken"), "{}", said.err);
    assert_same(&tree(dir.path()), &before);
}

#[test]
fn what_cannot_be_written_loses_nothing() {
    let dir = waiting();
    // A folder where the snapshot should be: not writable for root either.
    fs::create_dir(snap(dir.path(), &format!("{NEW}.snap"))).unwrap();
    fs::write(snap(dir.path(), &format!("{NEW}.snap")).join("x"), "").unwrap();
    let before = tree(dir.path());
    let said = say(dir.path(), &["snapshot", "accept", NEW]);
    assert!(said.exits(2).err.contains(NEW), "{}", said.err);
    assert_same(&tree(dir.path()), &before);
}

#[test]
fn a_folder_of_snapshots_that_is_a_file_is_an_error_and_stays() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("snapshots"), "mine").unwrap();
    for args in [&["snapshot", "list"][..], &["snapshot", "accept"], &["review"]] {
        let said = say(dir.path(), args);
        assert!(said.exits(2).err.contains("snapshots"), "{}", said.err);
    }
    assert_eq!(fs::read_to_string(dir.path().join("snapshots")).unwrap(), "mine");
}

#[test]
fn review_without_a_terminal_says_what_to_do_instead() {
    let dir = waiting();
    let before = tree(dir.path());
    let said = say(dir.path(), &["review"]);
    let err = &said.exits(2).err;
    for words in ["needs a terminal", "2 wait", "snapshot list", "snapshot accept", "snapshot reject"] {
        assert!(err.contains(words), "no {words:?} in {err}");
    }
    assert_same(&tree(dir.path()), &before);
    say(dir.path(), &["snapshot", "reject"]).exits(0);
    say(dir.path(), &["review"]).exits(0).says("nothing waits for review in snapshots");
}

#[test]
fn snapshots_of_a_target_by_name_are_compared_whatever_its_version() {
    let dir = project();
    let named = |more: &[&str]| {
        let all: Vec<&str> = ["--name", "staging"].iter().chain(more).copied().collect();
        snapshot(dir.path(), &all)
    };
    named(&["--profile", "dify-0.15", "--update"]).exits(0);
    assert!(dir.path().join("snapshots/staging").join(format!("{CHANGED}.snap")).exists());
    named(&["--profile", "dify-0.15", "--check"]).exits(0);
    named(&["--profile", "dify-1.12", "--check"]).exits(6).says(" 0 new, ").says(" in snapshots/staging\n");
    // Who forgets the name hears of it.
    fs::remove_dir_all(dir.path().join("snapshots/dify-1.12")).unwrap();
    snapshot(dir.path(), &["--profile", "dify-1.12", "--check"]).exits(6).says("--name dify-0.15");
    for bad in ["../x", "a/b", "", ".hidden", "target", "a b"] {
        let said = snapshot(dir.path(), &["--check", "--name", bad]);
        assert!(said.exits(2).err.contains("--name"), "{}", said.err);
    }
}

#[test]
fn a_scenario_of_ones_own_that_was_renamed_is_orphaned_and_new_and_said_to_be_one() {
    let dir = project();
    let file = dir.path().join("mine.yaml");
    let scenario = |id: &str, step: &str| {
        let text = format!(
            "difyprobe: 1\nid: {id}\ntitle: T\ntarget: {{ app: chat }}\nsteps:\n  - id: {step}\n    info: {{}}\n"
        );
        fs::write(&file, text).unwrap();
    };
    let run = |mode: &str| say(dir.path(), &["snapshot", "mine.yaml", "--name", "staging", mode]);
    scenario("mine.former", "look");
    run("--update").exits(0);
    scenario("mine.today", "look");
    run("--check")
        .exits(6)
        .says("new      mine.today.look@chat")
        .says("    the same text as mine.former.look@chat, which has no step now: was it renamed?\n")
        .says("orphan   mine.former.look@chat\n    the same text as mine.today.look@chat, which is new: was it renamed?\n")
        .says("`git mv OLD.snap NEW.snap`");
    // A step that was renamed is missing and new.
    scenario("mine.former", "see");
    run("--check")
        .exits(6)
        .says("missing  mine.former.look@chat\n    the same text as mine.former.see@chat, which is new");
    // Another scenario of ours says nothing about this one.
    fs::write(dir.path().join("other.yaml"), fs::read_to_string(&file).unwrap().replace("mine.former", "other"))
        .unwrap();
    say(dir.path(), &["snapshot", "other.yaml", "--name", "staging", "--check"]).exits(6).says("0 missing, 0 orphaned");
    // Nothing was moved or deleted.
    assert!(dir.path().join("snapshots/staging/mine.former.look@chat.snap").exists());
}

#[test]
fn a_step_says_how_its_texts_are_compared_and_which_headers_count() {
    let dir = project();
    let scenario = "difyprobe: 1\nid: mine\ntitle: T\ntarget: { app: chat, mode: blocking }\nsnapshot: { headers: [X-Version] }\nsteps:\n  \
        - id: loose\n    chat: { query: \"${{ nonce(8) }}\" }\n    snapshot: { texts: shape }\n  \
        - id: strict\n    chat: { query: \"${{ nonce(8) }}\" }\n";
    fs::write(dir.path().join("mine.yaml"), scenario).unwrap();
    let run = |more: &[&str]| {
        let all: Vec<&str> = ["snapshot", "mine.yaml", "--name", "staging", "--profile", "dify-1.12"]
            .iter()
            .chain(more)
            .copied()
            .collect();
        say(dir.path(), &all)
    };
    run(&["--update"]).exits(0);
    let text =
        |step: &str| fs::read_to_string(dir.path().join(format!("snapshots/staging/mine.{step}@chat.snap"))).unwrap();
    assert!(text("loose").contains("\"answer\": [text]") && !text("strict").contains("\"answer\": [text]"));
    assert!(text("loose").contains("\nx-version: ") && text("strict").contains("\nx-version: "), "{}", text("strict"));
    // Other words come back: only the strict step notices in its answer.
    let said = run(&["--check", "--texts", "ignored"]);
    let loose = said.exits(6).out.split("changed  mine.strict").next().unwrap();
    assert!(!loose.contains("changed  mine.loose"), "the file says shape, whatever the run says: {}", said.out);
    run(&["--check", "--header", "content-length"]).exits(6).says("+content-length: ");
}

#[cfg(unix)]
#[test]
fn the_built_in_review_takes_keys_in_a_terminal_and_does_at_once_what_they_say() {
    use std::io::{Read, Write};
    use std::process::Stdio;

    let dir = waiting();
    let pty = rustix::pty::openpt(rustix::pty::OpenptFlags::RDWR | rustix::pty::OpenptFlags::NOCTTY).unwrap();
    rustix::pty::grantpt(&pty).unwrap();
    rustix::pty::unlockpt(&pty).unwrap();
    let name = rustix::pty::ptsname(&pty, Vec::new()).unwrap().into_string().unwrap();
    let slave = fs::OpenOptions::new().read(true).write(true).open(name).unwrap();
    let mut command = difyprobe(dir.path(), &["review", "--builtin"]);
    command.stdin(slave.try_clone().unwrap()).stdout(slave.try_clone().unwrap()).stderr(Stdio::null());
    let mut child = command.env_remove("NO_COLOR").spawn().unwrap();
    drop((command, slave));
    let mut terminal = fs::File::from(pty);
    let (mut said, mut answered) = (String::new(), 0);
    let mut bytes = [0; 4096];
    // One key after each question; the end of the other side is an error on Linux.
    while let Ok(count @ 1..) = terminal.read(&mut bytes) {
        said.push_str(&String::from_utf8_lossy(&bytes[..count]));
        if said.matches("\n> ").count() > answered {
            terminal.write_all([b"a", b"s"][answered]).unwrap();
            answered += 1;
        }
    }
    assert_eq!(child.wait().unwrap().code(), Some(6), "{said}");
    assert!(said.contains("\x1b[31m-  \"mode\": \"chat\",") && said.contains("chat-parity.yaml:"), "{said}");
    assert!(said.contains("1 accepted, 0 rejected, 1 skipped") && said.contains("1 still to review"), "{said}");
    assert!(!pending(dir.path(), CHANGED).exists() && pending(dir.path(), NEW).exists());
    assert!(!fs::read_to_string(snap(dir.path(), &format!("{CHANGED}.snap"))).unwrap().contains("\"mode\": \"chat\""));
}
