//! Which server a command talks to, and with which settings.

use super::args::TargetArgs;
use super::exit::Failure;
use crate::client::{Limits, Options, parse_base_url};
use crate::emulator::{self, Config};
use crate::flow::Given;
use crate::model::AppMode;
use crate::profile::{PROFILES, Profile};
use crate::suite::matrix::keys_of;
use crate::suite::{Choice, Request};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Bytes of a body after which it is cut; the longest answers of real apps are far below.
const MAX_BODY: u64 = 16 << 20;
/// Bytes of all recorded bodies together, so that a server that floods fills neither memory nor disk.
pub const KEEP_TOTAL: u64 = 128 << 20;

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
    choose_with(args, default_seed, None).await
}

/// As [`choose`]; the embedded emulator has a limit on generations side by side, so that rules about limits are shown.
pub async fn choose_limited(args: &TargetArgs, default_seed: u64) -> Result<Chosen, Failure> {
    choose_with(args, default_seed, Some(emulator::TURNS_AT_ONCE)).await
}

async fn choose_with(args: &TargetArgs, default_seed: u64, turns_at_once: Option<usize>) -> Result<Chosen, Failure> {
    let profile = profile(&args.profile)?;
    let seed = args.seed.unwrap_or(default_seed);
    let base_url = args.base_url.clone().filter(|u| !u.is_empty());
    let mut notes = Vec::new();
    let (base_url, keys, server) = match base_url {
        Some(text) => {
            let url = parse_base_url(&text).map_err(|e| Failure::usage(format!("--base-url: {e}")))?;
            notes.extend(url.warning());
            (url.as_str().to_owned(), keys(args)?, None)
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

/// A key on the command line, rather than one that happens to be in the environment.
fn typed_key(args: &TargetArgs) -> bool {
    args.api_key.as_deref().is_some_and(|key| std::env::var("DIFY_API_KEY").as_deref() != Ok(key))
}

/// The profile that `--profile` names; `None` for auto.
pub fn profile(id: &str) -> Result<Option<&'static Profile>, Failure> {
    if id == "auto" {
        return Ok(None);
    }
    let known: Vec<&str> = PROFILES.iter().map(|p| p.id).collect();
    let found = Profile::by_id(id).map(Some);
    found.ok_or_else(|| Failure::usage(format!("--profile {id}: unknown; known are auto, {}", known.join(", "))))
}

/// The embedded emulator imitates the profile it is judged by.
fn imitated(profile: Option<&'static Profile>) -> emulator::Profile {
    let same = |p: &emulator::Profile| profile.is_some_and(|wanted| wanted.id == p.id());
    emulator::Profile::ALL.into_iter().find(same).unwrap_or(emulator::Profile::Documented)
}

fn keys(args: &TargetArgs) -> Result<Vec<Given>, Failure> {
    let mut keys = Vec::new();
    for (index, text) in args.app.iter().enumerate() {
        // The text holds a key: messages name the flag by its number, never by its value.
        let bad =
            |why: &str| Failure::usage(format!("--app number {}: {why}; write MODE=KEY, e.g. chat=app-...", index + 1));
        let (mode, key) = text.split_once('=').ok_or_else(|| bad("no `=`"))?;
        let mode = AppMode::parse(mode)
            .ok_or_else(|| bad("the mode is none of completion, chat, agent-chat, advanced-chat, agent, workflow"))?;
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
        return Err(Failure::usage("no API key: set DIFY_API_KEY, or pass --api-key KEY or --app MODE=KEY"));
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
