//! `--report`: formats on stdout, files that are written whole or not at all, pages on narrow terminals.

use crate::cli_support::*;
use serde_json::Value;
use std::time::{Duration, Instant};

const MUTANT: [&str; 2] = ["--mutant", "messages.has-more/full-page"];

/// A run that fails one rule.
fn failing(place: &Place, served: &Served, more: &[&str]) -> Ran {
    let one = scenario("chat-three-turns");
    let flags = served.chat_flags();
    place.run(&with(&[&["check", one.as_str()], more].concat(), &flags))
}

#[test]
fn a_report_on_stdout_has_it_for_itself_and_annotations_follow_the_page() {
    let place = Place::new();
    let served = Served::start(&MUTANT);
    for (format, start) in
        [("json", "{"), ("sarif", "{"), ("gitlab", "["), ("tap", "TAP version 14\n"), ("junit", "<?xml")]
    {
        let ran = failing(&place, &served, &["--report", &format!("{format}=-")]).exits(1);
        assert!(ran.stdout.starts_with(start), "{format}: {}", ran.stdout);
        assert!(ran.stdout.contains("messages.has-more") && ran.stderr.contains("FAIL  messages.has-more"), "{format}");
        if start.len() == 1 {
            serde_json::from_str::<Value>(&ran.stdout).unwrap_or_else(|e| panic!("{format}: {e}"));
        }
    }
    let ran = failing(&place, &served, &["--report", "github=-"]).exits(1);
    let (page, commands) = ran.stdout.split_once("\n::error ").expect("an annotation");
    assert!(page.contains("FAIL  messages.has-more") && page.contains("\nFAIL: "), "{page}");
    assert!(commands.contains("title=messages.has-more (MUST)::") && commands.contains("chat-three-turns.yaml,line="));
    let both = failing(&place, &served, &["--report", "json=-", "--report", "tap=-"]).exits(2);
    both.says(&["--report json=- and tap=-", "give the other a path"]);
}

#[test]
fn every_format_of_one_run_is_written_and_names_the_failed_rule() {
    let place = Place::new();
    let served = Served::start(&MUTANT);
    let formats = ["json", "junit", "html", "markdown", "sarif", "tap", "github", "gitlab"];
    let flags: Vec<String> = formats.iter().flat_map(|f| ["--report".to_owned(), format!("{f}=out/{f}")]).collect();
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    failing(&place, &served, &flags).exits(1).says(&["out/gitlab"]);
    for format in formats {
        let text = std::fs::read_to_string(place.path().join("out").join(format)).expect("a report");
        assert!(text.contains("messages.has-more"), "{format}");
    }
}

#[test]
fn a_run_that_is_killed_or_refused_leaves_the_old_report_as_it_was() {
    let place = Place::new();
    let served = Served::start(&["--first-chunk", "20s"]);
    let old = place.write("out.json", "the old report");
    let flags = served.chat_flags();
    let one = scenario("chat-stream");
    let mut running = place.start(&with(&["check", &one, "--report", "json=out.json"], &flags));
    // Its file is opened beside the old one before anything is sent.
    let begun = Instant::now();
    let opened = || {
        let names =
            std::fs::read_dir(place.path()).expect("a folder").filter_map(|e| e.ok()?.file_name().into_string().ok());
        names.filter(|name| name.starts_with(".out.json.")).count() > 0
    };
    while !opened() {
        assert!(begun.elapsed() < Duration::from_secs(20), "no file was opened");
        std::thread::sleep(Duration::from_millis(5));
    }
    running.signal("KILL");
    let _ = running.end();
    assert_eq!(std::fs::read_to_string(&old).expect("the file"), "the old report");
    place.run(&["check", "--report", "json=out.json", "--report", "nonsense=x"]).exits(2);
    place.run(&["check", "--report", "json=out.json", "--profile", "nonsense"]).exits(2);
    assert_eq!(std::fs::read_to_string(&old).expect("the file"), "the old report");
}

#[test]
fn narrow_terminals_get_pages_that_fit() {
    let served = Served::start(&MUTANT);
    let one = scenario("chat-three-turns");
    let flags = served.chat_flags();
    for columns in ["40", "60"] {
        let place = Place::new();
        let mut command = place.command(&with(&["check", &one], &flags));
        command.env("COLUMNS", columns);
        let ran = Running::of(command).wait().exits(1);
        let width: usize = columns.parse().expect("a number");
        for line in ran.stdout.lines() {
            // Commands are for copying and stay in one piece.
            let command = line.trim_start().starts_with("curl ") || line.trim_start().starts_with("-H ");
            assert!(command || line.chars().count() <= width, "{columns}: {line}");
        }
        assert!(ran.stdout.contains("FAIL  messages.has-more"), "{}", ran.stdout);
    }
}
