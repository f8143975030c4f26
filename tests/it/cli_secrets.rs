//! Keys are in no output and in no file, whatever the server does with them.

use crate::cli_support::*;

/// Asserts that none of these keys, nor its last 16 characters, is anywhere in the outputs or the files.
#[track_caller]
fn nowhere(place: &Place, runs: &[Ran], keys: &[&str]) {
    let files = place.files();
    let outputs = runs.iter().flat_map(|r| [("stdout", r.stdout.as_bytes()), ("stderr", r.stderr.as_bytes())]);
    let outputs = outputs.map(|(name, text)| (name.to_owned(), text.to_vec()));
    let files = files.into_iter().map(|(path, bytes)| (path.display().to_string(), bytes));
    for (name, bytes) in outputs.chain(files) {
        let text = String::from_utf8_lossy(&bytes);
        for key in keys {
            assert!(!text.contains(&key[key.len() - 16..]), "the end of {key} is in {name}");
            assert!(!text.contains(&key[..key.len() - 8]), "the start of {key} is in {name}");
        }
    }
}

#[test]
fn keys_stay_out_of_everything_that_is_written() {
    let place = Place::new();
    for mutant in [&[][..], &["--mutant", "auth.key-never-echoed/header"]] {
        let served = Served::start(mutant);
        let code = i32::from(!mutant.is_empty());
        let flags = served.chat_flags();
        let (auth, turns) = (scenario("auth-chat"), scenario("chat-rename"));
        let check = ["check", &auth, &turns, "-v", "--save-transcripts", "saved", "--report", "json=extra.json"];
        let mut runs = vec![place.run(&with(&check, &flags)).exits(code)];
        let mut command = place.command(&["load", &turns, "-v", "--iterations", "1", "--base-url", &served.base_url]);
        command.env("DIFY_API_KEY", &served.chat).env("RUST_LOG", "trace").env("RUST_BACKTRACE", "1");
        runs.push(Running::of(command).wait());
        runs.push(place.run(&["judge", "saved", "-v"]).exits(code));
        runs.push(place.run(&with(&["snapshot", &turns], &flags)));
        assert!(matches!(runs[3].code, 0 | 6), "{}", runs[3].stderr);
        assert!(place.files().len() > 15, "{}", place.files().len());
        nowhere(&place, &runs, &[&served.chat, &served.completion]);
        std::fs::remove_dir_all(place.path().join("saved")).unwrap();
    }
}

#[test]
fn keys_stay_out_of_failures_and_of_the_help() {
    let place = Place::new();
    let key = "app-RecognisableKeyAAAABBBBCCCC";
    let served = Served::start(&[]);
    let mut runs = Vec::new();
    for url in ["http://127.0.0.1:1/v1", "http://no.such.host.invalid/v1", &served.base_url] {
        let mut command = place.command(&["check", "-v", "--base-url", url]);
        command.env("DIFY_API_KEY", key).env("RUST_LOG", "trace");
        runs.push(Running::of(command).wait().exits(3));
        runs.push(place.run(&["check", "-v", "--base-url", url, &format!("--app=chat={key}")]).exits(3));
        runs.push(
            place
                .run(&["load", &scenario("chat-stream"), "--iterations=1", "--base-url", url, "--api-key", key])
                .exits(3),
        );
        runs.push(place.run(&["snapshot", "--base-url", url, "--api-key", key]).exits(3));
    }
    for args in [vec!["check", "--help"], vec!["load", "-h"], vec!["help", "snapshot"], vec!["check", "--nonsense"]] {
        let mut command = place.command(&args);
        command.env("DIFY_API_KEY", key).env("DIFY_BASE_URL", format!("http://{key}/v1"));
        runs.push(Running::of(command).wait());
    }
    nowhere(&place, &runs, &[key]);
}
