//! The folder of reviewed snapshots: what is written, what is left alone, and what is said about it.

use difyprobe::canonical::{Canon, Options};
use difyprobe::model::{Exchange, Route};
use difyprobe::snapshot::{Coverage, Entry, Mode, SnapshotError, SnapshotFolder, State, Verdict, prepare_environment};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Once;
use tempfile::TempDir;

/// The environment belongs to the process: one preparation for all tests of this binary.
fn folder(dir: &TempDir) -> SnapshotFolder {
    static PREPARED: Once = Once::new();
    PREPARED.call_once(prepare_environment);
    SnapshotFolder::new(dir.path(), "dify-1.12")
}

fn temp() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn entry(step: &str, canonical: &str) -> Entry {
    Entry {
        scenario: "chat.turns".to_owned(),
        step: step.to_owned(),
        app: String::new(),
        canonical: canonical.to_owned(),
        scenario_file: "scenarios/conformance/chat-stop.yaml".to_owned(),
        request: "POST /chat-messages".to_owned(),
        place: "scenarios/chat.yaml:12:5".to_owned(),
    }
}

fn ran(scenarios: &[&str]) -> Coverage {
    Coverage { ran: scenarios.iter().map(|s| ((*s).to_owned(), String::new())).collect(), known: None, files: None }
}

fn compare(folder: &SnapshotFolder, entries: Vec<Entry>, mode: Mode) -> Vec<Verdict> {
    folder.compare(entries, &ran(&["chat.turns"]), mode).unwrap()
}

fn states(verdicts: &[Verdict]) -> Vec<(&str, State)> {
    verdicts.iter().map(|v| (v.name.as_str(), v.state)).collect()
}

/// Names of all files below the folder, sorted.
fn files(folder: &SnapshotFolder) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder.path()) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn read(folder: &SnapshotFolder, file: &str) -> String {
    fs::read_to_string(folder.path().join(file)).unwrap()
}

#[test]
fn what_is_new_waits_for_review_and_is_the_same_once_accepted() {
    let dir = temp();
    let folder = folder(&dir);
    let run = || vec![entry("turn_1", "POST /x\n\n-> 200\n")];
    let verdicts = compare(&folder, run(), Mode::Review);
    assert_eq!(states(&verdicts), [("chat.turns.turn-1", State::New)]);
    assert!(verdicts[0].diff.as_deref().unwrap().contains("\n+POST /x\n"), "{:?}", verdicts[0].diff);
    assert_eq!(files(&folder), ["chat.turns.turn-1.snap.new"]);
    let waiting = read(&folder, "chat.turns.turn-1.snap.new");
    assert!(waiting.starts_with("---\nsource: "), "{waiting}");
    assert!(waiting.ends_with("---\nPOST /x\n\n-> 200\n"), "{waiting}");
    assert!(waiting.contains("request: POST /chat-messages"), "{waiting}");
    assert!(waiting.contains("input_file: scenarios/conformance/chat-stop.yaml\n"), "{waiting}");
    assert!(!waiting.contains(":12:5"), "a line number goes out of date: {waiting}");
    assert_eq!(verdicts[0].place.as_deref(), Some("scenarios/chat.yaml:12:5"));

    let path = folder.path().join("chat.turns.turn-1.snap");
    fs::rename(path.with_extension("snap.new"), &path).unwrap();
    for mode in [Mode::Review, Mode::Check, Mode::Update] {
        let verdicts = compare(&folder, run(), mode);
        assert_eq!(states(&verdicts), [("chat.turns.turn-1", State::Same)]);
        assert_eq!(verdicts[0].diff, None);
    }
    assert_eq!(files(&folder), ["chat.turns.turn-1.snap"]);
}

#[test]
fn what_changed_has_a_diff_and_waits_beside_the_untouched_snapshot() {
    let dir = temp();
    let folder = folder(&dir);
    let old: String = (1..30).map(|n| format!("line {n}\n")).collect();
    compare(&folder, vec![entry("turn", &old)], Mode::Update);
    let reviewed = read(&folder, "chat.turns.turn.snap");
    let verdicts = compare(&folder, vec![entry("turn", &old.replace("line 15\n", "line X\n"))], Mode::Review);
    assert_eq!(states(&verdicts), [("chat.turns.turn", State::Changed)]);
    let diff = verdicts[0].diff.clone().unwrap();
    assert!(diff.contains("\n line 14\n-line 15\n+line X\n line 16\n"), "{diff}");
    assert!(!diff.contains("line 9\n"), "more context than a reader needs: {diff}");
    assert_eq!(read(&folder, "chat.turns.turn.snap"), reviewed);
    assert!(read(&folder, "chat.turns.turn.snap.new").contains("line X"));
    // What waited is cleared away when the server is as it was.
    compare(&folder, vec![entry("turn", &old)], Mode::Review);
    assert_eq!(files(&folder), ["chat.turns.turn.snap"]);
}

#[test]
fn update_accepts_without_traces_of_where_the_code_stands() {
    let dir = temp();
    let folder = folder(&dir);
    let verdicts = compare(&folder, vec![entry("turn", "a\nassertion_line: 7\n")], Mode::Update);
    assert_eq!(states(&verdicts), [("chat.turns.turn", State::New)]);
    let verdicts = compare(&folder, vec![entry("turn", "b\nassertion_line: 7\n")], Mode::Update);
    assert_eq!(states(&verdicts), [("chat.turns.turn", State::Changed)]);
    assert_eq!(files(&folder), ["chat.turns.turn.snap"]);
    let text = read(&folder, "chat.turns.turn.snap");
    let (header, body) = text.split_once("\n---\n").unwrap();
    assert!(!header.contains("assertion_line"), "{text}");
    assert_eq!(body, "b\nassertion_line: 7\n");
}

#[test]
fn check_writes_nothing_and_leaves_what_waits_for_review() {
    let dir = temp();
    let folder = folder(&dir);
    assert_eq!(states(&compare(&folder, vec![entry("turn", "a")], Mode::Check)), [("chat.turns.turn", State::New)]);
    assert!(!folder.path().exists(), "check made a folder");
    compare(&folder, vec![entry("turn", "a")], Mode::Update);
    compare(&folder, vec![entry("turn", "b")], Mode::Review);
    let before = (read(&folder, "chat.turns.turn.snap"), read(&folder, "chat.turns.turn.snap.new"));
    for (text, state) in [("a", State::Same), ("c", State::Changed)] {
        let verdicts = compare(&folder, vec![entry("turn", text)], Mode::Check);
        assert_eq!(states(&verdicts), [("chat.turns.turn", state)]);
        assert_eq!(before, (read(&folder, "chat.turns.turn.snap"), read(&folder, "chat.turns.turn.snap.new")));
    }
}

#[test]
fn a_scenario_elsewhere_on_this_machine_leaves_no_path_behind() {
    let dir = temp();
    let folder = folder(&dir);
    let elsewhere = dir.path().join("chat.yaml").display().to_string();
    fs::write(&elsewhere, "").unwrap();
    compare(&folder, vec![Entry { scenario_file: elsewhere, ..entry("turn", "a") }], Mode::Update);
    let text = read(&folder, "chat.turns.turn.snap");
    assert!(!text.contains("input_file") && !text.contains("chat.yaml"), "{text}");
}

#[test]
fn entries_of_one_name_are_numbered_and_apps_kept_apart() {
    let dir = temp();
    let folder = folder(&dir);
    let of = |app: &str| Entry { app: app.to_owned(), ..entry("case", app) };
    let entries = vec![of("chat"), of("chat"), of("agent"), of("chat")];
    let verdicts = compare(&folder, entries, Mode::Update);
    let names: Vec<&str> = verdicts.iter().map(|v| v.name.as_str()).collect();
    assert_eq!(
        names,
        ["chat.turns.case@chat", "chat.turns.case.2@chat", "chat.turns.case@agent", "chat.turns.case.3@chat"]
    );
    assert_eq!(files(&folder).len(), 4);
}

#[test]
fn a_snapshot_without_its_exchange_is_missing_only_where_its_scenario_ran() {
    let dir = temp();
    let folder = folder(&dir);
    let of = |scenario: &str| Entry { scenario: scenario.to_owned(), ..entry("turn", "a\n") };
    let all = ["chat", "chat.stop", "gone"];
    folder.compare(all.iter().map(|s| of(s)).collect(), &ran(&all), Mode::Update).unwrap();

    let only_chat = folder.compare(vec![of("chat")], &ran(&["chat"]), Mode::Check).unwrap();
    let known =
        |ran_ids: &[&str]| Coverage { known: Some(vec!["chat".to_owned(), "chat.stop".to_owned()]), ..ran(ran_ids) };
    let with_known = folder.compare(vec![of("chat")], &known(&["chat"]), Mode::Check).unwrap();
    let stopped = folder.compare(vec![of("chat")], &known(&["chat", "chat.stop"]), Mode::Check).unwrap();

    // Without the list of all scenarios, `chat.stop.turn` could be a step `stop.turn` of `chat`.
    assert_eq!(states(&only_chat), [("chat.turn", State::Same), ("chat.stop.turn", State::Missing)]);
    assert_eq!(states(&with_known), [("chat.turn", State::Same), ("gone.turn", State::Orphan)]);
    assert_eq!(
        states(&stopped),
        [("chat.turn", State::Same), ("chat.stop.turn", State::Missing), ("gone.turn", State::Orphan)]
    );
    assert!(stopped[1].diff.as_deref().unwrap().contains("\n-a\n"));
    assert!(stopped[1].state.differs() && !stopped[2].state.differs());
    assert_eq!(files(&folder).len(), 3, "nothing is deleted");
}

#[test]
fn a_scenario_that_ran_on_one_app_misses_nothing_of_another() {
    let dir = temp();
    let folder = folder(&dir);
    let of = |app: &str| Entry { app: app.to_owned(), ..entry("turn", "a\n") };
    let on = |apps: &[&str]| Coverage {
        ran: apps.iter().map(|app| ("chat.turns".to_owned(), (*app).to_owned())).collect(),
        known: Some(vec!["chat.turns".to_owned()]),
        files: None,
    };
    folder.compare(vec![of("chat"), of("agent")], &on(&["chat", "agent"]), Mode::Update).unwrap();
    let one = folder.compare(vec![of("chat")], &on(&["chat"]), Mode::Check).unwrap();
    let both = folder.compare(vec![of("chat")], &on(&["chat", "agent"]), Mode::Check).unwrap();
    assert_eq!(states(&one), [("chat.turns.turn@chat", State::Same)]);
    assert_eq!(states(&both), [("chat.turns.turn@chat", State::Same), ("chat.turns.turn@agent", State::Missing)]);
}

#[test]
fn broken_and_foreign_files_stop_the_comparison_before_anything_is_written() {
    let dir = temp();
    let folder = folder(&dir);
    fs::create_dir_all(folder.path()).unwrap();
    let merge = "---\n<<<<<<< HEAD\nsource: a\n=======\nsource: b\n>>>>>>> x\n---\nPOST /x\n";
    for foreign in ["hello\n", "---\nsource: a\n", merge, "", "---\nextension: bin\nsnapshot_kind: binary\n---\n"] {
        for mode in [Mode::Review, Mode::Check, Mode::Update] {
            fs::write(folder.path().join("chat.turns.b.snap"), foreign).unwrap();
            let entries = vec![entry("a", "new\n"), entry("b", "POST /x\n")];
            let error = folder.compare(entries, &ran(&["chat.turns"]), mode).unwrap_err();
            assert!(matches!(error, SnapshotError::Broken(_)), "{foreign:?}: {error}");
            assert!(error.to_string().contains("chat.turns.b.snap: "), "{error}");
            assert_eq!(files(&folder), ["chat.turns.b.snap"]);
            assert_eq!(read(&folder, "chat.turns.b.snap"), foreign);
        }
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_an_error_that_names_the_file() {
    let dir = temp();
    let folder = folder(&dir);
    fs::create_dir_all(folder.path().join("chat.turns.b.snap.new")).unwrap();
    let entries = vec![entry("a", "new\n"), entry("b", "new\n")];
    let error = folder.compare(entries, &ran(&["chat.turns"]), Mode::Review).unwrap_err();
    assert!(
        matches!(error, SnapshotError::Write { .. }) && error.to_string().contains("chat.turns.b.snap.new"),
        "{error}"
    );
    assert_eq!(files(&folder), ["chat.turns.b.snap.new"], "the first entry must not be written either");

    fs::write(dir.path().join("file"), "").unwrap();
    let under_a_file = SnapshotFolder::new(&dir.path().join("file"), "p");
    let error = under_a_file.compare(vec![entry("a", "x")], &ran(&[]), Mode::Update).unwrap_err();
    assert!(error.to_string().contains("file"), "{error}");
}

#[test]
fn keys_do_not_reach_the_files() {
    let dir = temp();
    let folder = folder(&dir);
    let leak = Entry { request: "GET /x?k=app-0123456789abcdefXY".to_owned(), ..entry("a", "app-0123456789abcdefXY") };
    compare(&folder, vec![leak], Mode::Update);
    let text = read(&folder, "chat.turns.a.snap");
    assert!(!text.contains("0123456789abcdef") && text.contains("[redacted key]"), "{text}");
}

/// One recorded turn as it arrives at the folder: the ids and times of `run` are different in every run.
fn recorded(run: u32, status: &str) -> Exchange {
    let id = format!("{run:08}-77d2-4eac-8fed-0ebd7c1811f6");
    let body = format!(r#"{{"message_id": "{id}", "created_at": {}, "status": "{status}"}}"#, 1_795_000_000 + run);
    serde_json::from_value(serde_json::json!({
        "id": run, "app": "chat",
        "origin": {"scenario": "chat.turns", "step": "first", "file": "chat.yaml", "line": 3, "column": 5, "user": 0, "iteration": 0},
        "request": {"method": "GET", "target": format!("/v1/messages?first_id={id}"), "headers": [], "body": null},
        "reply": {"http_version": "HTTP/1.1", "status": 200, "headers": [["Content-Type", "application/json"]],
                  "body": {"text": body}, "body_bytes": body.len(), "reads": []},
        "fault": null, "timing": {"sent_us": 0, "end_us": 1}
    }))
    .unwrap()
}

#[test]
fn a_second_run_of_the_same_server_is_the_same_and_of_another_is_not() {
    let dir = temp();
    let folder = folder(&dir);
    let run = |exchange: Exchange| {
        let route = Route::of(&exchange.request.method, &exchange.request.target, "/v1");
        let text = Canon::new(Options::default()).canonical(&exchange, &route);
        vec![Entry::of_step(&exchange, &[text])]
    };
    compare(&folder, run(recorded(1, "normal")), Mode::Update);
    assert!(read(&folder, "chat.turns.first@chat.snap").contains("request: GET /messages?first_id=msg-1\n"));
    let same = compare(&folder, run(recorded(2, "normal")), Mode::Check);
    assert_eq!(states(&same), [("chat.turns.first@chat", State::Same)]);
    let other = compare(&folder, run(recorded(3, "error")), Mode::Check);
    assert_eq!(states(&other), [("chat.turns.first@chat", State::Changed)]);
    let diff = other[0].diff.as_deref().unwrap();
    assert!(diff.contains("\n-  \"status\": \"normal\"\n+  \"status\": \"error\"\n"), "{diff}");
}

const ROLE: &str = "DIFYPROBE_TEST_ROLE";

/// The same test once more in a process of its own, for what depends on environment and current directory.
fn again(test: &str, role: &str, dir: &Path, variables: &[(&str, &Path)]) {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", test, "--nocapture"]).current_dir(dir).env(ROLE, role).env("CI", "true");
    // What this process was prepared with must not prepare the child.
    for name in ["INSTA_FORCE_PASS", "INSTA_OUTPUT", "INSTA_UPDATE", "INSTA_WORKSPACE_ROOT"] {
        child.env_remove(name);
    }
    child.envs(variables.iter().copied());
    let out = child.output().unwrap();
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success() && text.contains("1 passed"), "{text}\n{}", String::from_utf8_lossy(&out.stderr));
}

#[test]
fn on_ci_outside_any_project_changes_wait_for_review_all_the_same() {
    if std::env::var(ROLE).is_ok_and(|role| role == "ci") {
        let dir = temp();
        let folder = folder(&dir);
        compare(&folder, vec![entry("a", "x")], Mode::Review);
        assert_eq!(files(&folder), ["chat.turns.a.snap.new"]);
        return;
    }
    // `/` belongs to no project, and nothing may be written there.
    let test = "snapshot::on_ci_outside_any_project_changes_wait_for_review_all_the_same";
    again(test, "ci", Path::new("/"), &[]);
}

#[test]
fn check_carries_changes_away_where_a_folder_for_them_is_given() {
    let test = "snapshot::check_carries_changes_away_where_a_folder_for_them_is_given";
    if std::env::var(ROLE).is_ok_and(|role| role == "pending") {
        prepare_environment();
        let folder = SnapshotFolder::new(Path::new("snapshots"), "p");
        compare(&folder, vec![entry("a", "x\n"), entry("b", "y\n")], Mode::Check);
        assert!(files(&folder).is_empty());
        let elsewhere = temp();
        let outside = SnapshotFolder::new(elsewhere.path(), "p");
        let error = outside.compare(vec![entry("a", "x")], &ran(&[]), Mode::Check).unwrap_err();
        assert!(matches!(error, SnapshotError::Outside { .. }), "{error}");
        compare(&folder, vec![entry("b", "y\n")], Mode::Update);
        assert_eq!(files(&folder), ["chat.turns.b.snap"]);
        return;
    }
    let (project, pending) = (temp(), temp());
    again(test, "pending", project.path(), &[("INSTA_PENDING_DIR", pending.path())]);
    let carried = pending.path().join("snapshots/p");
    assert!(carried.join("chat.turns.a.snap.new").exists());
    assert!(!carried.join("chat.turns.b.snap.new").exists(), "what was accepted still waits");
}
