//! `diff`: the same scenarios on two servers, and on two saved transcripts.

use crate::cli_support::*;
use serde_json::Value;
use std::time::{Duration, Instant};

/// Breaks one member of every blocking chat answer.
const MUTANT: &str = "chat.blocking.shape/no-mode";

/// The flags that name both servers, each with its own key.
fn both(a: &Served, b: &Served) -> Vec<String> {
    let candidate = ["--candidate".to_owned(), b.base_url.clone(), format!("--candidate-app=chat={}", b.chat)];
    a.chat_flags().into_iter().chain(candidate).collect()
}

/// Scenario files by name.
fn diff<'a>(files: &'a [String], flags: &'a [String], more: &[&'a str]) -> Vec<&'a str> {
    let files = files.iter().chain(flags).map(String::as_str);
    std::iter::once("diff").chain(files).chain(more.iter().copied()).collect()
}

fn files(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| scenario(name)).collect()
}

/// `kind place path detail` of every group of the last comparison, one per line.
fn groups(place: &Place) -> Vec<String> {
    let report = place.report("diff.json");
    let text = |group: &Value, name: &str| group[name].as_str().unwrap_or_else(|| panic!("{name}")).to_owned();
    let line =
        |g: &Value| ["kind", "place", "path", "detail"].map(|name| text(g, name)).join(" ").trim_end().to_owned();
    report["groups"].as_array().expect("groups").iter().map(line).collect()
}

const OLD_AND_NEW: &str = "\
status DELETE /conversations/{id}  200 -> 204
status DELETE /conversations/{id}  404 -> 204
status POST /chat-messages  200 -> 400
inputs GET /messages $.data[*].inputs.name on record
inputs POST /chat-messages $.answer new inputs ignored on A, applied on B
inputs POST /chat-messages answer new inputs ignored on A, applied on B
body DELETE /conversations/{id}  JSON -> empty
header GET /conversations/{id}/variables content-type text/html; charset=utf-8 -> application/json
header POST /chat-messages content-type application/json -> application/json; charset=utf-8
member-added POST /chat-messages $.metadata.annotation_reply
member-added POST /chat-messages $.metadata.retriever_resources
member-added POST /chat-messages $.metadata.usage.time_to_first_token
member-added POST /chat-messages $.metadata.usage.time_to_generate
member-added error body $.status
member-added event message_end $.metadata.annotation_reply
member-added event message_end $.metadata.retriever_resources
member-added event message_end $.metadata.usage.time_to_first_token
member-added event message_end $.metadata.usage.time_to_generate
member-removed error body $.params
text GET /conversations $.data[*].name
text GET /messages $.data[*].answer
text error body $.message
";

#[test]
fn old_against_new_shows_inputs_policy_delete_status_and_error_envelope() {
    let (old, new) = (Served::start(&["--profile", "dify-0.15"]), Served::start(&["--profile", "dify-1.12"]));
    let place = Place::new();
    let (names, flags) = (files(&["chat-inputs", "chat-conversation-ids"]), both(&old, &new));
    let ran = place.run(&diff(&names, &flags, &["-v"])).exits(6).says(&[
        "profile dify-0.15, X-Version 0.15.3",
        "DELETE /conversations/{id}: 200 -> 204",
        "new inputs ignored on A, applied on B",
        "chat.inputs.changed-blocking",
        "chat-inputs.yaml:24:5) on chat",
        "curl A",
        "$DIFY_API_KEY",
        "it is no load test",
        "chat.inputs.ignored-on-continuation passed known deviation >",
        "chat.inputs.applied-on-continuation known deviation passed <",
    ]);
    assert!(ran.stdout.trim_end().lines().last().unwrap().starts_with("DIFFERENT: "), "{}", ran.stdout);
    let expected: Vec<&str> = OLD_AND_NEW.lines().collect();
    assert_eq!(groups(&place), expected, "{:#?}", groups(&place));
    let report = place.report("diff.json");
    let status = &report["groups"][0];
    assert_eq!((&status["kind"], &status["count"]), (&"status".into(), &1.into()));
    for (side, base_url) in [("wire_a", &old.base_url), ("wire_b", &new.base_url)] {
        let curl = status[side]["curl"].as_str().unwrap();
        assert!(curl.contains(base_url.as_str()) && curl.contains("$DIFY_API_KEY"), "{curl}");
    }
    let latency = report["latency"].as_array().unwrap();
    assert!(latency.iter().any(|l| l["metric"] == "e2e" && l["app"] == "chat" && l["b"]["n"].as_u64() > Some(3)));
    for (_, content) in place.files() {
        let text = String::from_utf8_lossy(&content);
        assert!(!text.contains(&old.chat) && !text.contains(&new.chat), "a key was written");
    }
    saved_recordings_tell_the_same(&place);
}

/// The recordings of that run, compared again with nothing to ask.
fn saved_recordings_tell_the_same(place: &Place) {
    let before = groups(place);
    let saved = ["reports/diff-a.transcript.json", "reports/diff-b.transcript.json"];
    place
        .run(&["diff", saved[0], saved[1]])
        .exits(6)
        .says(&["nothing was sent", "new inputs ignored on A, applied on B"]);
    assert_eq!(groups(place), before);
    place.run(&["diff", saved[1], saved[1]]).exits(0).says(&["EQUAL: no difference"]);
    let hostile = std::fs::read_to_string(place.path().join(saved[1])).unwrap();
    let hostile = hostile.replace("turn", "<script>alert(1)</script>\\u001b[31m").replace("first", "</pre>|`<b>");
    place.write("hostile.json", &hostile);
    let ran = place.run(&["diff", saved[0], "hostile.json"]).exits(6);
    assert!(!ran.stdout.contains('\x1b'), "{}", ran.stdout);
    let read = |name: &str| std::fs::read_to_string(place.path().join("reports").join(name)).unwrap();
    let (html, markdown) = (read("diff.html"), read("diff.md"));
    assert!(html.contains("Content-Security-Policy") && html.contains("&lt;/pre&gt;|`&lt;b&gt;"), "{html}");
    for page in [html, markdown] {
        assert!(!page.contains('\x1b') && page.matches("<script").count() <= 1, "{page}");
    }
    place.write("half.json", &hostile[..hostile.len() / 2]);
    place.run(&["diff", saved[0], "half.json"]).exits(2).says(&["half.json", "record it again"]);
    place
        .run(&["diff", saved[0], "reports/diff.json"])
        .exits(2)
        .says(&["difyprobe.diff/1", "expected a saved transcript"]);
}

#[test]
fn equal_servers_are_equal_also_where_requests_race() {
    let (a, b) = (Served::start(&[]), Served::start(&[]));
    let place = Place::new();
    let names = files(&[
        "chat-parallel",
        "chat-parity",
        "chat-stop",
        "chat-conversation-list",
        "requests-chat",
        "chat-failed-turn",
    ]);
    let flags = both(&a, &b);
    let ran = place.run(&diff(&names, &flags, &["--report", "json=again.json"])).exits(0);
    let ran = ran.says(&["EQUAL: no difference in", "0 different"]);
    assert!(!ran.flat().contains("not compared"), "{}", ran.stdout);
    assert_eq!(groups(&place), [""; 0]);
    let compared = place.report("diff.json")["compared"].clone();
    assert!(compared["exchanges"].as_u64() > Some(30) && compared["exchanges"] == compared["equal"], "{compared}");
    let again = std::fs::read(place.path().join("again.json")).unwrap();
    assert_eq!(again, std::fs::read(place.path().join("reports/diff.json")).unwrap());
}

#[test]
fn what_is_ignored_does_not_count_and_is_named() {
    let (healthy, faulty) = (Served::start(&[]), Served::start(&["--mutant", MUTANT]));
    let place = Place::new();
    let (names, flags) = (files(&["chat-parity"]), both(&healthy, &faulty));
    let run = |more: &[&str]| place.run(&diff(&names, &flags, more));
    run(&[]).exits(6).says(&["member-removed", "POST /chat-messages $.mode", "chat.blocking.shape passed failed !"]);
    assert_eq!(groups(&place), ["member-removed POST /chat-messages $.mode"]);
    let path = run(&["--ignore", "$.mode", "--ignore", "$.nothing[0]"]).exits(0);
    path.says(&[
        "EQUAL",
        "$.mode: 3 values on A, 1 value on B",
        "$.nothing[0]: nothing on either side is at this path",
    ]);
    run(&["--ignore", "$.nothing"]).exits(6);
    run(&["--ignore-kind", "text,member-removed"]).exits(0).says(&["member-removed: 1 group, seen 2 times"]);
    run(&["--ignore-kind", "member-added", "-q"]).exits(6).says(&["DIFFERENT: 2 differences in 1 group, "]);
}

#[test]
fn a_rule_that_only_b_breaks_counts_though_no_exchange_shows_it_unless_something_is_left_out() {
    // Token counts are no difference, that they do not add up is.
    let (healthy, faulty) = (Served::start(&[]), Served::start(&["--mutant", "usage.sum/total-is-completion"]));
    let place = Place::new();
    let (names, flags) = (files(&["chat-parity"]), both(&healthy, &faulty));
    let run = |more: &[&str]| place.run(&diff(&names, &flags, more));
    let ran = run(&[]).exits(6);
    ran.says(&["usage.sum passed failed !", "DIFFERENT: no difference in 3 exchanges, but 1 rule failing on B only"]);
    assert_eq!(groups(&place), [""; 0]);
    place.run(&["judge", "reports/diff-b.transcript.json"]).exits(1).says(&["FAIL usage.sum"]);
    run(&["--ignore", "$.nothing"]).exits(6);
    run(&["--ignore", "$.metadata.usage"]).exits(0).says(&["EQUAL", "1 rule failing on B only"]);
}

#[test]
fn a_candidate_without_a_key_is_asked_with_those_of_a() {
    let server = Served::start(&[]);
    let place = Place::new();
    let flags: Vec<String> =
        server.chat_flags().into_iter().chain(["--candidate".into(), server.base_url.clone()]).collect();
    let names = files(&["chat-parity"]);
    place
        .run(&diff(&names, &flags, &[]))
        .exits(0)
        .says(&["no key was given for the candidate: it was asked with the keys of A"]);
}

#[test]
fn without_a_first_server_the_candidate_is_compared_with_the_emulator_on_the_apps_that_it_has() {
    let server = Served::start(&[]);
    let place = Place::new();
    let flags =
        ["--candidate".to_owned(), server.base_url.clone(), "--candidate-api-key".to_owned(), server.chat.clone()];
    let ran = place.run(&diff(&files(&["chat-parity"]), &flags, &[])).exits(0);
    ran.says(&["A: no --base-url: this is the embedded emulator", "EQUAL: no difference in 3 exchanges"]);
}

#[test]
fn apps_that_only_one_side_has_are_named_and_leave_the_comparison_incomplete() {
    let server = Served::start(&[]);
    let place = Place::new();
    let mut flags = both(&server, &server);
    flags.push(format!("--app=completion={}", server.completion));
    let names = files(&["chat-parity", "completion"]);
    let ran = place.run(&diff(&names, &flags, &[])).exits(3);
    ran.says(&["INCOMPLETE: no difference", "app completion is there on A only: 1 scenario not compared"]);
}

#[test]
fn an_interrupt_while_b_runs_ends_with_what_was_recorded_and_blames_nobody() {
    // B takes its time, so that the interrupt comes while it runs.
    let (a, b) = (Served::start(&[]), Served::start(&["--first-chunk", "2s"]));
    let place = Place::new();
    let (names, flags) = (files(&["chat-inputs"]), both(&a, &b));
    let running = place.start(&diff(&names, &flags, &[]));
    let (began, of_a) = (Instant::now(), place.path().join("reports/diff-a.transcript.json"));
    while !of_a.exists() {
        assert!(began.elapsed() < Duration::from_secs(50), "A never ended");
        std::thread::yield_now();
    }
    running.signal("INT");
    let ran = running.wait().exits(130).says(&["INTERRUPTED: no difference"]);
    assert!(!ran.stdout.contains("not sent"), "{}", ran.stdout);
    assert_eq!(place.report("diff.json")["verdict"], "interrupted");
}

#[test]
fn servers_that_cannot_be_asked_are_named_and_the_other_is_left_alone() {
    let server = Served::start(&[]);
    let place = Place::new();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gone = format!("http://{nobody}/v1");
    let names = files(&["chat-parity"]);
    let flags: Vec<String> = server.chat_flags().into_iter().chain(["--candidate".into(), gone.clone()]).collect();
    let ran = place.run(&diff(&names, &flags, &[])).exits(3).says(&["nothing was compared: B: ", &nobody.to_string()]);
    assert!(ran.stdout.is_empty() && !place.path().join("reports/diff.json").exists(), "{}", ran.stdout);
    let (to, key) = (&server.base_url, &server.chat);
    let flags = ["--base-url", &gone, "--api-key", "app-x", "--candidate", to, "--candidate-api-key", key];
    let flags = flags.map(str::to_owned);
    place.run(&diff(&names, &flags, &[])).exits(3).says(&["nothing was compared: A: ", &nobody.to_string()]);
}

#[test]
fn what_is_typed_wrong_is_refused_before_anything_is_sent() {
    let place = Place::new();
    let refused = |args: &[&str], texts: &[&str]| {
        let ran = place.run(&[&["diff"], args].concat()).exits(2).says(texts);
        assert!(!ran.stderr.contains("456789abcdef"), "{}", ran.stderr);
    };
    let key = "app-DiffKey0123456789abcdef";
    let target = ["--base-url", "http://127.0.0.1:1/v1", "--api-key", key];
    let with = |more: &[&'static str]| [&target[..], more].concat();
    refused(&target, &["diff needs --candidate URL", "two saved transcripts"]);
    refused(&["a.yaml", "b.yaml"], &["diff needs --candidate URL"]);
    refused(&["a.json", "b.json"], &["cannot read 'a.json'"]);
    refused(&with(&["--candidate", "dify.example/v1"]), &["--candidate: ", "no scheme"]);
    refused(&with(&["--candidate", "http://h/v1", "--candidate-app", "chat"]), &["--candidate-app number 1", "no `=`"]);
    refused(
        &with(&["--candidate", "http://h/v1", "--candidate-profile", "x"]),
        &["'--candidate-profile <PROFILE>'", "unknown profile"],
    );
    refused(&with(&["--candidate", "http://h/v1", "--ignore", "metadata"]), &["--ignore `metadata`", "'$.metadata'"]);
    refused(
        &with(&["--candidate", "http://h/v1", "--ignore-kind", "words"]),
        &["words", "known are transport, status"],
    );
    refused(
        &with(&["--candidate", "http://h/v1", "--report", "junit=x"]),
        &["this command writes json, markdown, html"],
    );
    refused(&["--candidate", "http://h/v1"], &["no API key: set DIFY_CANDIDATE_API_KEY"]);
}
