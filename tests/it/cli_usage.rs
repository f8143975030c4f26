//! What is typed wrong: exit 2 before anything is sent, the flag named, the remedy told, no key shown.

use crate::cli_support::*;

const KEY: &str = "app-UsageKey0123456789abcdef";

/// Exit 2, these texts, no key, and no report file.
#[track_caller]
fn refused(place: &Place, args: &[&str], texts: &[&str]) {
    let ran = place.run(args).exits(2).says(texts);
    assert!(ran.stdout.is_empty(), "{}", ran.stdout);
    assert!(!ran.stderr.contains("UsageKey") && !ran.stderr.contains("456789abcdef"), "{}", ran.stderr);
    assert!(!place.path().join("reports/check.json").exists(), "nothing was run");
}

#[test]
fn targets_typed_wrong_are_refused_with_a_remedy() {
    let place = Place::new();
    let url = "http://127.0.0.1:1/v1";
    refused(&place, &["check", "--base-url", url], &["no API key", "set DIFY_API_KEY", "--app MODE=KEY"]);
    let app = |text: &str, texts: &[&str]| refused(&place, &["check", "--base-url", url, "--app", text], texts);
    app(&format!("chat:{KEY}"), &["--app number 1", "no `=`", "chat=app-..."]);
    app(KEY, &["--app number 1", "no `=`"]);
    app(&format!("chatter={KEY}"), &["--app number 1", "there is no such mode; possible here: completion, chat"]);
    app("chat=", &["--app number 1", "the key is empty"]);
    app(&format!("chat={KEY} "), &["blank", "pasted"]);
    refused(&place, &["check", "--app", &format!("chat={KEY}")], &["--app needs --base-url", "DIFY_BASE_URL"]);
    refused(&place, &["check", "--api-key", KEY], &["--api-key needs --base-url"]);
    for (bad, why) in [("dify.example/v1", "no scheme"), ("ftp://host/v1", "ftp"), ("http://", "host"), ("", "")] {
        if !bad.is_empty() {
            refused(&place, &["check", "--base-url", bad, "--api-key", KEY], &["--base-url", why]);
        }
    }
    let inside = format!("http://user:{KEY}@host/v1");
    refused(&place, &["check", "--base-url", &inside, "--api-key", "app-other"], &["--base-url"]);
    refused(&place, &["check", "--profile", "dify-9"], &["--profile", "dify-9", "auto, documented"]);
    refused(&place, &["check", "--timeout", "5x"], &["--timeout", "unknown unit"]);
    refused(&place, &["check", "--timeout", "0s"], &["--timeout"]);
    refused(&place, &["check", "--max-in-flight", "0"], &["--max-in-flight"]);
}

#[test]
fn outputs_that_cannot_be_written_are_refused_before_anything_is_sent() {
    let place = Place::new();
    place.write("file", "");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let target = ["--base-url", &url, "--api-key", KEY];
    let report =
        |text: &str, texts: &[&str]| refused(&place, &[&["check", "--report", text], &target[..]].concat(), texts);
    report("json", &["--report json", "no `=`", "json=out.json"]);
    report("json=", &["--report json=", "no path"]);
    report("xls=out.xls", &["--report xls=out.xls", "unknown report format `xls`", "junit"]);
    report("hlog=out.hlog", &["--report hlog=out.hlog", "`hlog` is a result of `load` and `merge` alone"]);
    report("csv=out.csv", &["`csv` is a result of `load`"]);
    report("json=file/x.json", &["--report json=file/x.json", "file"]);
    report("json=.", &["--report json=.", "Is a directory"]);
    refused(&place, &[&["check", "--reports", "file"], &target[..]].concat(), &["--reports", "file"]);
    refused(&place, &[&["check", "--save-transcripts", "file"], &target[..]].concat(), &["--save-transcripts", "file"]);
    refused(
        &place,
        &[&["load", &scenario("chat-stream"), "--iterations", "1", "--reports", "file"], &target[..]].concat(),
        &["--reports"],
    );
    assert!(listener.accept().is_err(), "something was sent");
}

#[test]
fn scenario_files_that_are_wrong_are_refused_with_their_place() {
    let place = Place::new();
    place.write(
        "bad.yaml",
        "difyprobe: 1\nid: a.b\ntitle: T\ntarget: { app: [chat], mode: streaming }\nsteps:\n  - id: s\n    chatt: {}\n",
    );
    refused(&place, &["check", "nowhere.yaml"], &["nowhere.yaml", "No such file", "check the path"]);
    refused(&place, &["check", "bad.yaml"], &["the scenario files have problems", "bad.yaml:7:5", "`chat`"]);
    std::fs::create_dir(place.path().join("empty")).unwrap();
    refused(&place, &["check", "empty"], &["empty: no .yaml file in this folder"]);
    refused(&place, &["load", "bad.yaml"], &["a load needs an end: --duration 30s or --iterations 100"]);
    refused(&place, &["load", "bad.yaml", "--iterations", "0"], &["--iterations"]);
    refused(&place, &["load", "bad.yaml", "--iterations", "1", "--users", "0"], &["--users"]);
    refused(&place, &["load"], &["<SCENARIOS>"]);
    let lint = place.run(&["lint", "bad.yaml"]).exits(2);
    assert!(lint.stdout.contains("bad.yaml:7:5") && lint.stdout.contains("chatt"), "{}", lint.stdout);
    let folder = format!("{}/scenarios", env!("CARGO_MANIFEST_DIR"));
    place.run(&["lint", &folder]).exits(0).says(&["files checked, no problems"]);
    let twice = std::fs::read_to_string(scenario("completion")).unwrap();
    place.write("one.yaml", &twice);
    place.write("two.yaml", &twice);
    refused(&place, &["check", "one.yaml", "two.yaml"], &["`completion.basic`", "one.yaml", "two.yaml"]);
}

#[test]
fn commands_and_ids_typed_wrong_get_a_suggestion() {
    let place = Place::new();
    refused(&place, &["chekc"], &["chekc", "check"]);
    refused(&place, &["check", "--quick", "--slow"], &["--quick", "--slow"]);
    refused(
        &place,
        &["rules", "explain", "chat.conversation-id.stabel"],
        &["did you mean `chat.conversation-id.stable`?"],
    );
    refused(&place, &["rules", "explain", "xyzzy"], &["`difyprobe rules` lists them"]);
    let near = |args: &[&str], word: &str| refused(&place, args, &[&format!("did you mean `{word}`?")]);
    near(&["check", "--report", "jsn=a"], "json");
    near(&["check", "--profile", "dify1.12"], "dify-1.12");
    near(&["check", "--base-url", "http://127.0.0.1:1", "--app", "agnt-chat=x"], "agent-chat");
    near(&["check", "--only", "mesages"], "messages");
    near(&["serve", "--app", "chta"], "chat");
    near(&["serve", "--profile", "dify-1.21"], "dify-1.12");
    near(&["serve", "--mutant", "messages.has-more/full-pgae"], "messages.has-more/full-page");
    refused(&place, &["selftest", "auth", "--report", "json=."], &["--report json=.", "Is a directory"]);
    refused(&place, &["selftest", "--at-once", "0"], &["--at-once"]);
    refused(&place, &["selftest", "no-such-mutant"], &["no mutant", "selftest --list"]);
    place.run(&[]).exits(2).says(&["Usage: difyprobe [OPTIONS] <COMMAND>"]);
    place.run(&["--version"]).exits(0).says(&[env!("CARGO_PKG_VERSION")]);
}
