//! Which server a command talks to, and with which settings.

use super::args::{CandidateArgs, TargetArgs};
use super::exit::Failure;
use crate::client::{Limits, Options, parse_base_url};
use crate::emulator::{self, Config};
use crate::flow::Given;
use crate::model::AppMode;
use crate::profile::Profile;
use crate::scenario::suggestion;
use crate::suite::matrix::keys_of;
use crate::suite::{Choice, Request};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Bytes of a body after which it is cut; the longest answers of real apps are far below.
const MAX_BODY: u64 = 16 << 20;
/// Bytes of all recorded bodies together, so that a server that floods fills neither memory nor disk.
const KEEP_TOTAL: u64 = 128 << 20;

/// A target, resolved. Holds the embedded emulator, where that is the target.
pub struct Chosen {
    /// Base URL.
    pub base_url: String,
    /// Keys.
    pub keys: Vec<Given>,
    /// Profile asked for; `None` picks by version.
    pub profile: Option<&'static Profile>,
    /// Settings of the client.
    pub client: Options,
    /// Seed.
    pub seed: u64,
    /// It is the embedded emulator.
    pub embedded: bool,
    /// What the reader should know.
    pub notes: Vec<String>,
    _server: Option<emulator::Running>,
}

impl Chosen {
    /// The examination of this target by some scenarios.
    pub fn request(&self, choice: Choice, keep: bool, stop: &CancellationToken) -> Request {
        Request {
            base_url: self.base_url.clone(),
            keys: self.keys.clone(),
            profile: self.profile,
            choice,
            seed: self.seed,
            run_id: None,
            keep,
            think: false,
            client: self.client.clone(),
            at_once: 0,
            stop: stop.clone(),
        }
    }
}

/// Resolves the target of a command; starts the embedded emulator where none was named.
pub async fn choose(args: &TargetArgs, default_seed: u64) -> Result<Chosen, Failure> {
    choose_with(args, default_seed, None, &TARGET).await
}

/// The server that is compared with that of `args`; keys and settings that were not given are taken from there.
pub async fn choose_candidate(args: &TargetArgs, of: &CandidateArgs, default_seed: u64) -> Result<Chosen, Failure> {
    let own = of.candidate_api_key.as_ref().is_some_and(|key| !key.is_empty()) || !of.candidate_app.is_empty();
    let typed = TargetArgs {
        base_url: of.candidate.clone(),
        api_key: if own { of.candidate_api_key.clone() } else { args.api_key.clone() },
        app: if own { of.candidate_app.clone() } else { args.app.clone() },
        profile: of.candidate_profile.clone(),
        ..args.clone()
    };
    let mut chosen = choose_with(&typed, default_seed, None, &CANDIDATE).await?;
    if !own {
        chosen.notes.push("no key was given for the candidate: it was asked with the keys of A".to_owned());
    }
    Ok(chosen)
}

/// What the flags of a server are called.
struct Words {
    base_url: &'static str,
    app: &'static str,
    keys: &'static str,
    profile: &'static str,
}

const TARGET: Words = Words {
    base_url: "--base-url",
    app: "--app",
    keys: "set DIFY_API_KEY, or pass --api-key KEY or --app MODE=KEY",
    profile: "--profile",
};

const CANDIDATE: Words = Words {
    base_url: "--candidate",
    app: "--candidate-app",
    keys: "set DIFY_CANDIDATE_API_KEY, or pass --candidate-api-key KEY or --candidate-app MODE=KEY",
    profile: "--candidate-profile",
};

/// As [`choose`]; the embedded emulator has a limit on generations side by side, so that rules about limits are shown.
pub async fn choose_limited(args: &TargetArgs, default_seed: u64) -> Result<Chosen, Failure> {
    choose_with(args, default_seed, Some(emulator::TURNS_AT_ONCE), &TARGET).await
}

async fn choose_with(
    args: &TargetArgs,
    default_seed: u64,
    turns_at_once: Option<usize>,
    words: &Words,
) -> Result<Chosen, Failure> {
    let profile = profile_of(words.profile, &args.profile)?;
    let seed = args.seed.unwrap_or(default_seed);
    let base_url = args.base_url.clone().filter(|u| !u.is_empty());
    let mut notes = Vec::new();
    let (base_url, keys, server) = match base_url {
        Some(text) => {
            let url = parse_base_url(&text).map_err(|e| Failure::usage(format!("{}: {e}", words.base_url)))?;
            notes.extend(url.warning());
            (url.as_str().to_owned(), keys(args, words)?, None)
        }
        None if typed_key(args) => {
            return Err(Failure::usage(
                "--api-key needs --base-url (or DIFY_BASE_URL); without both the embedded emulator is used",
            ));
        }
        None if !args.app.is_empty() => return Err(Failure::usage("--app needs --base-url (or DIFY_BASE_URL)")),
        None => {
            let config = Config { profile: imitated(profile), turns_at_once, ..Config::default() };
            let server = emulator::start(config).await.map_err(|e| Failure::internal(super::output::chain(&e)))?;
            let unused = if args.api_key.is_some() { ", and DIFY_API_KEY was not used" } else { "" };
            notes.push(format!("no --base-url: this is the embedded emulator{unused}"));
            (server.base_url(), keys_of(&server), Some(server))
        }
    };
    let embedded = server.is_some();
    let max_in_flight = args.max_in_flight.map_or(if embedded { 64 } else { 4 }, |n| n as usize);
    if max_in_flight == 1 {
        notes.push("--max-in-flight 1: rules about requests side by side cannot be shown".to_owned());
    }
    let client = Options {
        epoch: Instant::now(),
        limits: limits(args.timeout),
        max_in_flight,
        keep_total: KEEP_TOTAL,
        max_body: MAX_BODY,
        ..Options::default()
    };
    Ok(Chosen { base_url, keys, profile, client, seed, embedded, notes, _server: server })
}

/// The variable that holds the key of an app, where nobody chose another: `DIFY_CHAT_KEY`.
pub fn key_variable(label: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    format!("DIFY_{}_KEY", label.chars().map(plain).collect::<String>())
}

/// A key on the command line, rather than one that happens to be in the environment.
fn typed_key(args: &TargetArgs) -> bool {
    args.api_key.as_deref().is_some_and(|key| std::env::var("DIFY_API_KEY").as_deref() != Ok(key))
}

/// The profile that `--profile` names; `None` for auto.
pub fn profile(id: &str) -> Result<Option<&'static Profile>, Failure> {
    profile_of(TARGET.profile, id)
}

fn profile_of(flag: &str, id: &str) -> Result<Option<&'static Profile>, Failure> {
    if id == "auto" {
        return Ok(None);
    }
    // The parser of the flag lets only known ones in.
    Profile::by_id(id).map(Some).ok_or_else(|| Failure::internal(format!("{flag} {id}: unknown")))
}

/// The embedded emulator imitates the profile it is judged by.
fn imitated(profile: Option<&'static Profile>) -> emulator::Profile {
    let same = |p: &emulator::Profile| profile.is_some_and(|wanted| wanted.id == p.id());
    emulator::Profile::ALL.into_iter().find(same).unwrap_or(emulator::Profile::Documented)
}

fn keys(args: &TargetArgs, words: &Words) -> Result<Vec<Given>, Failure> {
    let mut keys = Vec::new();
    for (index, text) in args.app.iter().enumerate() {
        // The text holds a key: messages name the flag by its number, never by its value.
        let (flag, number) = (words.app, index + 1);
        let bad =
            |why: &str| Failure::usage(format!("{flag} number {number}: {why}; write MODE=KEY, e.g. chat=app-..."));
        let (mode, key) = text.split_once('=').ok_or_else(|| bad("no `=`"))?;
        let known = AppMode::ALL.map(AppMode::as_str);
        let mode =
            AppMode::parse(mode).ok_or_else(|| bad(&format!("there is no such mode; {}", suggestion(mode, &known))))?;
        if key.is_empty() {
            return Err(bad("the key is empty"));
        }
        keys.push(Given { label: None, key: key.to_owned(), mode: Some(mode) });
    }
    if keys.is_empty()
        && let Some(key) = args.api_key.clone().filter(|k| !k.is_empty())
    {
        keys.push(Given { label: None, key, mode: None });
    }
    if keys.is_empty() {
        return Err(Failure::usage(format!("no API key: {}", words.keys)));
    }
    let unprintable = |k: &Given| k.key.bytes().any(|b| !(0x21..0x7f).contains(&b));
    if keys.iter().any(unprintable) {
        return Err(Failure::usage(
            "an API key holds a blank or a character that is not ASCII; check how it was pasted",
        ));
    }
    Ok(keys)
}

fn limits(total: Option<Duration>) -> Limits {
    let defaults = Limits::default();
    let Some(total) = total else { return defaults };
    Limits {
        connect: defaults.connect.min(total),
        tls: defaults.tls.min(total),
        first_byte: defaults.first_byte.min(total),
        first_event: defaults.first_event.min(total),
        idle: defaults.idle.min(total),
        total,
    }
}
