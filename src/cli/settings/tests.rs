use super::file::{From, parse};
use super::*;
use crate::cli::args::Command;
use crate::scenario::render_all;

/// All problems of a text, as they are shown.
fn problems(text: &str) -> String {
    match parse(Path::new("difyprobe.toml"), text) {
        Ok(_) => panic!("no problem in\n{text}"),
        Err((problems, shown)) => render_all(&problems, &shown, false),
    }
}

#[track_caller]
fn says(text: &str, wanted: &[&str]) {
    let said = problems(text);
    for part in wanted {
        assert!(said.contains(part), "`{part}` is not in\n{said}");
    }
}

#[test]
fn every_problem_is_shown_with_its_place_and_a_remedy() {
    says(
        "base_url = \"http://a\"\nprofil = \"auto\"\n\n[chek]\nstrict = true\n\n[check]\nstrct = true\n",
        &[
            "unknown key `base_url`\n --> difyprobe.toml:1:1",
            "did you mean `base-url`?",
            "unknown key `profil`\n --> difyprobe.toml:2:1",
            "did you mean `profile`?",
            "unknown section `chek`\n --> difyprobe.toml:4:2",
            "did you mean `check`?",
            "unknown key `strct` of `check`\n --> difyprobe.toml:8:1",
            "did you mean `strict`?",
            "4 problems",
        ],
    );
    says("what-is-this = 1\n", &["keys are the names of flags: `difyprobe check --help` shows them"]);
}

#[test]
fn values_are_checked_as_on_the_command_line() {
    says("timeout = \"5 parsecs\"\n", &["`timeout`: ", " --> difyprobe.toml:1:11"]);
    says("[check]\nstrict = \"yes\"\n", &["`strict` is a switch", "write true or false"]);
    says("color = \"alwys\"\n", &["`alwys` is none of its values", "did you mean `always`?"]);
    says("seed = 1.5\n", &["`seed`: "]);
    says("seed = true\n", &["`seed` takes a value"]);
    says("scenarios = [[1]]\n", &["this is no value of a flag", "difyprobe.toml:1:14"]);
    says("profile = \"dify-1.21\"\n", &["did you mean `dify-1.12`?"]);
    says("config = \"a.toml\"\n", &["`config` cannot be set here"]);
}

#[test]
fn broken_toml_has_a_place_too() {
    says("seed = 1\nseed = 2\n", &["duplicate key", "difyprobe.toml:2:1"]);
    says("seed = \n", &["difyprobe.toml:1:"]);
    says("[check\nstrict = true\n", &["difyprobe.toml:1:"]);
}

#[test]
fn a_key_in_the_file_is_refused_and_never_shown() {
    for text in [
        "[apps]\nchat = \"app-SECRETSECRET\"\n",
        "[apps]\nchat = { env = \"app-SECRETSECRET\" }\n",
        "[apps]\nchatty = \"SECRET of another form\"\n",
        "[apps]\nchat = \"SECRET\", \"other\"\n",
        "api-key = \"SECRET of another form\"\n",
        "app = [\"chat=SECRET\"]\n",
        "apps = { chat = \"app-SECRETSECRET\" }\n",
        "[apps]\nchat = app-SECRETSECRET\n",
        "[apps]\nchat = \"app-SECRETSECRET\n",
    ] {
        let said = problems(text);
        assert!(said.contains("difyprobe.toml:") && !said.contains("SECRETSECRET"), "{said}");
        assert!(!said.contains("SECRET of") && !said.contains("=SECRET"), "{said}");
    }
    says("[apps]\nagent-chat = \"app-x\"\n", &["write { env = \"DIFY_AGENT_CHAT_KEY\" }"]);
    says("[apps]\nagentchat = { env = \"A\" }\n", &["there is no mode `agentchat`", "did you mean `agent-chat`?"]);
    says("[apps]\nchat = { env = \"A\", mode = 1 }\n", &["unknown key `mode`", "only `env` stands here"]);
}

#[test]
fn several_apps_of_a_mode_and_values_from_the_environment_are_read() {
    let text = "base-url = { env = \"URL\" }\n[apps]\nchatflow = [{ env = \"A\" }, { env = \"B\" }]\n";
    let settings = parse(Path::new("x.toml"), text).unwrap_or_else(|_| panic!("{}", problems(text)));
    let variables: Vec<_> = settings.apps.iter().map(|(mode, word)| (mode.as_str(), word.from.clone())).collect();
    let env = |name: &str| From::Env(name.to_owned());
    assert_eq!(variables, [("advanced-chat", env("A")), ("advanced-chat", env("B"))]);
    assert_eq!(settings.entries.first().map(|e| e.words[0].from.clone()), Some(env("URL")));
}

/// What a command line means in a folder with these settings.
fn meant(toml: &str, line: &str) -> Result<Understood, String> {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join(NAME);
    crate::store::write_atomic(&path, toml.as_bytes()).expect("written");
    let env = |name: &str| (name == "KEY_OF_CHAT").then(|| "app-secret".to_owned());
    let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
    let understood = understand(&words, dir.path(), &env).map_err(|error| match error {
        Misunderstood::Typed(error) => error.to_string(),
        Misunderstood::Settings(failure) => failure.to_string(),
    });
    understood.map(|u| Understood {
        notes: u.notes.into_iter().map(|n| n.replace(&dir.path().display().to_string(), "")).collect(),
        ..u
    })
}

fn check(toml: &str, line: &str) -> (crate::cli::args::CheckArgs, Vec<String>) {
    let understood = meant(toml, line).unwrap_or_else(|e| panic!("{e}"));
    match understood.args.command {
        Command::Check(args) => (args, understood.notes),
        _ => panic!("another command"),
    }
}

#[test]
fn what_is_typed_wins_over_the_section_and_the_section_over_the_rest() {
    let toml = "seed = 1\nstrict = true\n[check]\nseed = 2\n[load]\nseed = 3\n";
    let (args, notes) = check(toml, "difyprobe check");
    assert_eq!((args.target.seed, args.strict), (Some(2), true));
    assert_eq!(notes, ["settings of difyprobe.toml: seed, strict"]);
    let (args, notes) = check(toml, "difyprobe check --seed 9 -q");
    assert_eq!((args.target.seed, notes.len()), (Some(9), 0));
    assert_eq!(check(toml, "difyprobe check --no-config").0.target.seed, None);
}

#[test]
fn what_excludes_something_typed_gives_way() {
    let (args, _) = check("[check]\nslow = true\nonly = [\"usage.*\", \"audio\"]\n", "difyprobe check --quick");
    assert_eq!((args.quick, args.slow, args.only), (true, false, vec!["usage.*".to_owned(), "audio".to_owned()]));
}

const TARGET: &str = "base-url = \"http://a.example/v1\"\n[apps]\nchat = { env = \"KEY_OF_CHAT\" }\n";

#[test]
fn keys_come_from_the_environment_and_only_for_the_server_of_the_file() {
    let apps = |line: &str| {
        let (args, notes) = check(TARGET, line);
        (args.target.base_url.unwrap_or_default(), args.target.app, notes.join("; "))
    };
    let own = vec!["chat=app-secret".to_owned()];
    let (url, keys, notes) = apps("difyprobe check");
    assert_eq!((url.as_str(), &keys), ("http://a.example/v1", &own));
    assert!(!notes.contains("secret"), "{notes}");
    assert_eq!(apps("difyprobe check --base-url http://a.example/v1/").1, own);
    let (url, keys, notes) = apps("difyprobe check --base-url http://b.example/v1");
    assert_eq!((url.as_str(), keys.len()), ("http://b.example/v1", 0));
    assert!(notes.contains("they belong to its base-url"), "{notes}");
    let (_, keys, notes) = apps("difyprobe check --app completion=app-typed");
    assert_eq!(keys, ["completion=app-typed"]);
    assert!(notes.contains("--app was given"), "{notes}");
    assert!(apps("difyprobe check --api-key app-typed").1.is_empty());
}

#[test]
fn a_variable_that_is_not_set_is_named_with_its_place() {
    let toml = "base-url = \"http://a\"\n[apps]\nchat = { env = \"NOT_THERE\" }\n";
    let error = meant(toml, "difyprobe check").err().unwrap_or_default();
    assert!(error.contains("difyprobe.toml:3:16") && error.contains("export NOT_THERE="), "{error}");
    assert!(meant(toml, "difyprobe check --api-key app-x").is_ok(), "not needed here");
    assert!(meant(toml, "difyprobe rules").is_ok(), "takes no settings");
}

#[test]
fn scenarios_of_the_file_stand_for_those_that_a_command_needs() {
    let error = meant("seed = 1\n", "difyprobe load").err().unwrap_or_default();
    assert!(error.contains("required"), "{error}");
    let understood =
        meant("[load]\nscenarios = [\"a.yaml\", \"b\"]\n", "difyprobe load").unwrap_or_else(|e| panic!("{e}"));
    let Command::Load(args) = understood.args.command else { panic!("another command") };
    let names: Vec<_> = args.scenarios.iter().map(|p| p.file_name().unwrap_or_default().to_owned()).collect();
    assert_eq!(names, ["a.yaml", "b"]);
    assert!(args.scenarios.iter().all(|p| p.parent() == Some(Path::new("")) || p.is_absolute()), "beside the file");
}

#[test]
fn a_file_is_refused_where_no_settings_are_taken() {
    let error = meant("seed = 1\n", "difyprobe rules --config x.toml").err().unwrap_or_default();
    assert!(error.contains("`difyprobe rules` takes no settings"), "{error}");
    let error = meant("seed = 1\n", "difyprobe check --config missing.toml").err().unwrap_or_default();
    assert!(error.contains("missing.toml") && error.contains("difyprobe init"), "{error}");
}

#[test]
fn the_definition_of_the_command_line_is_sound() {
    Args::command().debug_assert();
}
