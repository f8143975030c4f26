//! `difyprobe.toml` and what writes it, as a user meets them; completions and manual pages.

use crate::cli_support::*;
use std::process::{Command, Stdio};

/// Starts a command with variables.
fn with_env(place: &Place, args: &[&str], variables: &[(&str, &str)]) -> Running {
    let mut command = place.command(args);
    command.envs(variables.iter().copied());
    Running::of(command)
}

const DRY: [&str; 5] = ["check", "--dry-run", "--only", "usage.sum", "--quiet"];

#[test]
fn the_server_and_the_apps_of_the_file_are_used_and_keys_stay_out_of_sight() {
    let served = Served::start(&["--profile", "dify-1.12"]);
    let place = Place::new();
    place.write(
        "difyprobe.toml",
        &format!(
            "base-url = \"{}\"\nreports = \"out\"\n[apps]\nchat = {{ env = \"KEY_A\" }}\ncompletion = {{ env = \"KEY_B\" }}\n",
            served.base_url
        ),
    );
    let keys = [("KEY_A", served.chat.as_str()), ("KEY_B", served.completion.as_str())];
    let ran = with_env(&place, &["check", "--only", "usage.sum", "--quick"], &keys).wait().exits(0);
    let ran = ran.says(&["settings of difyprobe.toml: base-url, reports, apps", "dify-1.12"]);
    assert!(place.path().join("out/check.json").is_file(), "the folder of the file");
    let mut all = format!("{}{}", ran.stdout, ran.stderr);
    for (_, bytes) in place.files() {
        all.push_str(&String::from_utf8_lossy(&bytes));
    }
    assert!(!all.contains(&served.chat) && !all.contains(&served.completion), "a key was written");
}

#[test]
fn flags_win_over_the_environment_and_the_environment_over_the_file() {
    let [a, b, c] = [(); 3].map(|()| Served::start(&["--app", "chat", "--app", "completion"]));
    let place = Place::new();
    place.write("difyprobe.toml", &format!("base-url = \"{}\"\n[apps]\nchat = {{ env = \"KEY_A\" }}\n", a.base_url));
    let file = ("KEY_A", a.chat.as_str());
    with_env(&place, &DRY, &[file]).wait().exits(0).says(&[&format!("target {}", a.base_url)]);
    let env = [file, ("DIFY_BASE_URL", b.base_url.as_str()), ("DIFY_API_KEY", b.chat.as_str())];
    let ran = with_env(&place, &DRY, &env).wait().exits(0);
    ran.says(&[&format!("target {}", b.base_url), "they belong to its base-url"]);
    let flags: Vec<&str> = DRY.into_iter().chain(["--base-url", &c.base_url, "--api-key", &c.chat]).collect();
    with_env(&place, &flags, &env).wait().exits(0).says(&[&format!("target {}", c.base_url)]);
    let off: Vec<&str> = DRY.into_iter().chain(["--no-config"]).collect();
    let ran = with_env(&place, &off, &[file]).wait().exits(0);
    assert!(!ran.stdout.contains(&a.base_url), "{}", ran.stdout);
    // the keys of the file are for its server alone
    let other: Vec<&str> = DRY.into_iter().chain(["--base-url", &c.base_url]).collect();
    with_env(&place, &other, &[file]).wait().exits(2).says(&["no API key", "they belong to its base-url"]);
    let nothing = [file, ("DIFY_BASE_URL", ""), ("DIFY_API_KEY", "")];
    with_env(&place, &DRY, &nothing).wait().exits(0).says(&[&format!("target {}", a.base_url)]);
}

#[test]
fn the_file_is_found_from_below_in_the_repository_and_its_paths_are_beside_it() {
    let place = Place::new();
    std::fs::create_dir_all(place.path().join(".git")).expect("a folder");
    std::fs::create_dir_all(place.path().join("a/b")).expect("a folder");
    place.write("difyprobe.toml", "reports = \"out\"\n[check]\nscenarios = [\"one.yaml\"]\n");
    std::fs::copy(scenario("completion"), place.path().join("one.yaml")).expect("copied");
    let mut command = place.command(&["check"]);
    command.current_dir(place.path().join("a/b"));
    Running::of(command).wait().exits(0).says(&["difyprobe.toml: scenarios, reports", "PASS"]);
    assert!(place.path().join("out/check.html").is_file());
    assert!(!place.path().join("a/b/reports").exists());
}

#[test]
fn problems_of_the_file_end_the_run_before_anything_is_sent() {
    let place = Place::new();
    place.write("difyprobe.toml", "base-url = \"http://127.0.0.1:1/v1\"\nprofil = \"auto\"\n");
    let ran = place.run(&["check"]).exits(2);
    ran.says(&["the settings have problems", "difyprobe.toml:2:1", "did you mean `profile`?"]);
    place.run(&["lint", "difyprobe.toml"]).exits(2).says(&["did you mean `profile`?"]);
    place.run(&["rules"]).exits(0);
    place.write("difyprobe.toml", "base-url = \"http://127.0.0.1:1/v1\"\n[apps]\nchat = { env = \"NO_SUCH\" }\n");
    place.run(&["check"]).exits(2).says(&["difyprobe.toml:3:16", "no variable NO_SUCH"]);
    place.run(&["check", "--config", "other.toml"]).exits(2).says(&["other.toml", "difyprobe init"]);
}

#[test]
fn init_writes_settings_and_a_scenario_that_lint_and_run_on_the_server_they_were_written_for() {
    let served = Served::start(&["--profile", "dify-1.12", "--app", "completion", "--app", "chat"]);
    let place = Place::new();
    let apps = [format!("--app=chat={}", served.chat), format!("--app=completion={}", served.completion)];
    let init = ["init", "--base-url", &served.base_url, &apps[0], &apps[1]];
    let ran = place.run(&init).exits(0);
    let ran = ran.says(&["dify-1.12", "X-Version is 1.12.1", "export DIFY_CHAT_KEY=", "scenarios/chat-first.yaml"]);
    assert!(!ran.stdout.contains(&served.chat) && !ran.stderr.contains(&served.chat), "a key was shown");
    let toml = std::fs::read_to_string(place.path().join("difyprobe.toml")).expect("written");
    assert!(toml.contains("chat = { env = \"DIFY_CHAT_KEY\" }") && toml.contains(&served.base_url), "{toml}");
    let written: String = place.files().iter().map(|(_, bytes)| String::from_utf8_lossy(bytes).into_owned()).collect();
    assert!(!written.contains(&served.chat) && !written.contains(&served.completion), "a key was written");
    place.run(&["lint", "difyprobe.toml", "scenarios"]).exits(0).says(&["2 files checked, no problems"]);
    let keys = [("DIFY_CHAT_KEY", served.chat.as_str()), ("DIFY_COMPLETION_KEY", served.completion.as_str())];
    with_env(&place, &["check", "scenarios/chat-first.yaml"], &keys).wait().exits(0).says(&["PASS"]);
    with_env(&place, &["snapshot", "--update"], &keys).wait().exits(0);
    with_env(&place, &["snapshot", "--check"], &keys).wait().exits(0);
    let load = ["load", "--users", "1", "--iterations", "1", "--no-think", "--reports", "load-reports"];
    with_env(&place, &load, &keys).wait().exits(0).says(&["objective"]);
    // what is there stays there
    place.write("difyprobe.toml", "seed = 7\n");
    place.run(&init).exits(2).says(&["difyprobe.toml is there already; --force writes over it"]);
    assert_eq!(std::fs::read_to_string(place.path().join("difyprobe.toml")).expect("kept"), "seed = 7\n");
    place.run(&[&init[..], &["--force"]].concat()).exits(0);
}

#[test]
fn init_names_the_variable_that_held_the_key_and_does_without_a_server() {
    let served = Served::start(&["--app", "workflow", "--app", "chat", "--app", "completion"]);
    let place = Place::new();
    let env = [("DIFY_BASE_URL", served.base_url.as_str()), ("DIFY_API_KEY", served.completion.as_str())];
    with_env(&place, &["init", "tests"], &env).wait().exits(0).says(&["cd tests", "tests/difyprobe.toml"]);
    let toml = std::fs::read_to_string(place.path().join("tests/difyprobe.toml")).expect("written");
    assert!(toml.contains("completion = { env = \"DIFY_API_KEY\" }"), "{toml}");
    let mut check = place.command(&["check", "scenarios/completion-first.yaml"]);
    check.envs(env).current_dir(place.path().join("tests"));
    Running::of(check).wait().exits(0);
    let bare = Place::new();
    bare.run(&["init"]).exits(0).says(&["the embedded emulator (no --base-url was given)"]);
    bare.run(&["lint", "difyprobe.toml", "scenarios"]).exits(0);
    bare.run(&["check", "scenarios"]).exits(0).says(&["PASS"]);
    bare.run(&["init", "--force", "--base-url", "http://127.0.0.1:1/v1", "--api-key", "app-x"]).exits(3);
}

#[test]
fn completions_and_manual_pages_know_every_command() {
    let place = Place::new();
    let commands = commands_of(&place);
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = place.run(&["completions", shell]).exits(0).stdout;
        for name in &commands {
            assert!(script.contains(name.as_str()), "{shell} does not know {name}");
        }
    }
    let bash = place.run(&["completions", "bash"]).exits(0).stdout;
    let file = place.write("completions.bash", &bash);
    let sound = Command::new("bash").arg("-n").arg(&file).stderr(Stdio::piped()).output().expect("bash");
    assert!(sound.status.success(), "{}", String::from_utf8_lossy(&sound.stderr));
    place.run(&["completions", "tcsh"]).exits(2).says(&["tcsh", "possible values"]);
    assert!(place.run(&["man"]).exits(0).stdout.contains(".TH difyprobe 1"));
    place.run(&["man", "pages"]).exits(0).says(&["manual pages in pages"]);
    for name in &commands {
        let page = place.path().join(format!("pages/difyprobe-{name}.1"));
        let text = std::fs::read_to_string(&page).unwrap_or_else(|e| panic!("{}: {e}", page.display()));
        assert!(text.contains(".SH SYNOPSIS") && text.contains(".SH OPTIONS") || name == "rules", "{text}");
    }
}

/// Names of the commands, from the page of help.
fn commands_of(place: &Place) -> Vec<String> {
    let help = place.run(&["--help"]).exits(0).stdout;
    let list = help.split("Commands:\n").nth(1).and_then(|rest| rest.split("\n\n").next()).expect("a list");
    let names = list.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names: Vec<String> = names.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect();
    assert!(names.len() >= 13, "{names:?}");
    names.into_iter().filter(|name| name != "help").collect()
}

#[test]
fn every_command_has_help_with_an_example_that_fits_a_narrow_terminal() {
    let place = Place::new();
    for name in commands_of(&place) {
        let mut command = place.command(&[&name, "--help"]);
        command.env("COLUMNS", "60").env("NO_COLOR", "1").env("CI", "true");
        let help = Running::of(command).wait().exits(0).stdout;
        assert!(help.contains("Example") && help.contains(&format!("difyprobe {name}")), "{name}\n{help}");
        assert!(!help.contains('\u{1b}'), "{name} has colours");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_reason_to_panic() {
    let place = Place::new();
    for args in [&["rules", "list"][..], &["completions", "zsh"], &["man"], &["--help"], &["load", "--help"]] {
        let mut child = place.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary");
        drop(child.stdout.take());
        let ended = child.wait_with_output().expect("an end");
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(!said.contains("panicked") && ended.status.code() == Some(0), "{args:?}: {said}");
    }
}
