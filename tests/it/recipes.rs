//! The recipes of docs/ci.md work as they stand.

use crate::cli_support::*;
use crate::docs::{blocks, page};
use saphyr_parser::{Event, Parser};
use std::path::Path;
use std::process::Command;

/// Runs lines of a shell in a folder, with the built binary as `difyprobe`.
fn shell(place: &Place, script: &str) -> Ran {
    let binary = Path::new(env!("CARGO_BIN_EXE_difyprobe")).parent().expect("a folder");
    let mut command = Command::new("bash");
    command.args(["-e", "-o", "pipefail", "-c", script]).current_dir(place.path()).env_clear();
    command.env("PATH", format!("{}:/usr/bin:/bin", binary.display())).env("HOME", place.path());
    command.env("GITHUB_ENV", place.path().join("github.env")).env("GITHUB_STEP_SUMMARY", place.path().join("step.md"));
    Running::of(command).wait()
}

/// All texts below keys of this name in a YAML text: the text itself, or those of a list.
fn texts_under(yaml: &str, key: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut last = String::new();
    let mut within = false;
    for event in Parser::new_from_str(yaml) {
        match event.expect("valid YAML").0 {
            Event::Scalar(text, ..) => {
                if last == key || within {
                    found.push(text.to_string());
                }
                last = text.to_string();
            }
            Event::SequenceStart(..) => within = last == key,
            Event::SequenceEnd => within = false,
            _ => {}
        }
    }
    found
}

/// The block of a language in a section of the page.
fn recipe(section: &str, language: &str) -> String {
    let text = page("docs/ci.md");
    let from = text.find(&format!("\n## {section}\n")).unwrap_or_else(|| panic!("no section {section}"));
    blocks(&text[from..], language).into_iter().next().unwrap_or_else(|| panic!("{section} has no block"))
}

#[test]
fn the_recipes_for_ci_run_as_they_stand() {
    let place = Place::new();
    // A part of the rules and of the scenarios is enough to see the recipes work.
    let part =
        format!("[check]\nonly = [\"usage.*\"]\n[snapshot]\nscenarios = [\"{}\"]\n", scenario("chat-three-turns"));
    place.write("difyprobe.toml", &part);
    let plain = recipe("A plain shell", "sh");
    shell(&place, &plain).exits(0).says(&["PASS:"]);
    assert!(place.path().join("my-snapshots").is_dir() && place.path().join("junit.xml").is_file());
    std::fs::remove_file(place.path().join("target.env")).expect("written by serve");
    // the second time it compares
    shell(&place, &plain).exits(0);
    let github = recipe("GitHub Actions", "yaml");
    let steps = texts_under(&github, "run");
    assert!(steps.len() >= 4, "{steps:?}");
    // Each step is a shell of its own, with the variables that earlier ones gave to the job.
    let steps: Vec<String> =
        steps.iter().map(|step| format!("touch github.env; (set -a; . ./github.env; set +a\n{step}\n)")).collect();
    let own = "rm target.env junit.xml\n".to_owned();
    let script = own.clone() + &steps.join("\n");
    assert!(script.contains("GITHUB_STEP_SUMMARY"));
    shell(&place, &stopping_server(&script)).exits(0);
    let said = std::fs::read_to_string(place.path().join("step.md")).expect("a summary");
    assert!(said.contains("PASS"), "{said}");
    let gitlab = texts_under(&recipe("GitLab CI", "yaml"), "script").join("\n");
    assert!(gitlab.contains("difyprobe snapshot"), "{gitlab}");
    shell(&place, &stopping_server(&(own + &gitlab))).exits(0);
    assert!(place.path().join("junit.xml").is_file());
}

/// A runner ends what a job left running; here the server writes down its number for that.
fn stopping_server(script: &str) -> String {
    let numbered = script.replace("> serve.log &", "> serve.log & echo $! > serve.pid");
    assert_ne!(numbered, script, "the server is started as the page says");
    format!("trap 'kill $(cat serve.pid)' EXIT\n{numbered}")
}

#[test]
fn the_action_is_valid_yaml_and_its_inputs_are_used() {
    let text = page("action.yml");
    let runs = texts_under(&text, "run");
    assert!(runs.iter().any(|run| run.contains("difyprobe $COMMAND")), "{runs:?}");
    for input in ["command", "base-url", "api-key", "working-directory"] {
        assert!(text.contains(&format!("inputs.{input} ")), "{input}");
    }
    // inputs reach the script by the environment only: none is pasted into it
    assert!(runs.iter().all(|run| !run.contains("${{")), "{runs:?}");
}
