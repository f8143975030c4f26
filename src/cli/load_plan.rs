//! What a `load` command line means: the load, its scenarios, its shard.

use super::args::LoadArgs;
use super::exit::Failure;
use super::output::chain;
use super::shard::{self, Lookup};
use super::{load_files, load_flags, scenarios};
use crate::scenario::ast::Scenario;
use crate::scenario::load_file::is_load;
use crate::store;
use crate::workload::{Budget, Schedule, Shard, Share, Workload, config_hash, defaults};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A load, ready to be run.
pub struct Planned {
    /// What is sent, and when.
    pub workload: Workload,
    /// The scenarios with their shares, in the order of `workload.scenarios`.
    pub scenarios: Vec<(Arc<Scenario>, u32)>,
    /// Seed of the schedule and of all data.
    pub seed: u64,
    /// Which part of the schedule this process runs.
    pub shard: Shard,
    /// When the schedule begins, in microseconds since 1970; `None` is at once.
    pub start_at_unix_us: Option<u64>,
    /// Folder in which the shards wait for each other.
    pub barrier: Option<PathBuf>,
    /// Hash of everything that decides what is sent and when.
    pub config_hash: String,
    /// What the reader should know.
    pub notes: Vec<String>,
}

/// A plan with the texts of its scenarios.
pub(super) struct Draft {
    pub workload: Workload,
    pub scenarios: Vec<Arc<Scenario>>,
    pub texts: Vec<Vec<u8>>,
}

/// Reads the load file or the scenarios and lays the flags over them. `env` looks up environment variables.
///
/// # Errors
/// Files with problems, flags that do not go together, a shard that is none: all exit 2.
pub fn plan(args: &LoadArgs, env: Lookup<'_>) -> Result<Planned, Failure> {
    let mut draft = match load_file(&args.scenarios)? {
        Some(path) => from_file(args, &path)?,
        None => from_flags(args)?,
    };
    load_flags::lay_over(&mut draft.workload, &args.ends)?;
    if args.arrivals.no_think {
        draft.workload.think = false;
    }
    if let Some(name) = &args.together.name {
        check_name(name)?;
        draft.workload.id.clone_from(name);
    }
    check_objectives(&draft)?;
    let (shard, note) = shard::choose(args.together.shard.as_deref(), env)?;
    let seed = args.target.seed.or(draft.workload.seed);
    if seed.is_none() && shard != Shard::WHOLE {
        return Err(Failure::usage("shards share a schedule: give all of them the same --seed"));
    }
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    let weights: Vec<u32> = draft.workload.scenarios.iter().map(|share| share.weight).collect();
    let schedule = Schedule::new(&draft.workload.arrivals, &weights, seed)
        .map_err(|e| Failure::usage(format!("the schedule cannot be made: {e}")))?;
    let (users, shards) = (schedule.peak_users(), shard.count as usize);
    if draft.workload.arrivals.model() == "closed" && users < shards {
        let help = "take fewer shards or more users";
        return Err(Failure::usage(format!("{users} users are too few for {shards} shards: {help}")));
    }
    let start_at_unix_us = args.together.start_at.as_deref().map(start_at).transpose()?;
    let texts: Vec<&[u8]> = draft.texts.iter().map(Vec::as_slice).collect();
    Ok(Planned {
        config_hash: config_hash(&draft.workload, &texts, seed),
        scenarios: draft.scenarios.into_iter().zip(weights).collect(),
        workload: draft.workload,
        seed,
        shard,
        start_at_unix_us,
        barrier: args.together.barrier.clone(),
        notes: note.into_iter().collect(),
    })
}

/// The load file among the named files; folders hold scenarios.
fn load_file(paths: &[PathBuf]) -> Result<Option<PathBuf>, Failure> {
    let loads = |path: &&PathBuf| path.is_file() && store::read_bytes(path).is_ok_and(|bytes| is_load(&bytes));
    let found: Vec<&PathBuf> = paths.iter().filter(loads).collect();
    match (found.as_slice(), paths) {
        ([], _) => Ok(None),
        ([one], [_]) => Ok(Some((*one).clone())),
        ([one], _) => {
            let name = one.display();
            Err(Failure::usage(format!("{name} is a load file, which names its scenarios itself: give it alone")))
        }
        _ => Err(Failure::usage("one load file at a time: they would disturb each other")),
    }
}

fn from_file(args: &LoadArgs, path: &Path) -> Result<Draft, Failure> {
    if let Some(flag) = load_flags::typed(&args.arrivals) {
        let name = path.display();
        return Err(Failure::usage(format!("{flag} does not go with {name}: its `arrival` says when scenarios begin")));
    }
    let bytes = store::read_bytes(path).map_err(|e| Failure::usage(chain(&e)))?;
    let mut draft = load_files::resolve(path, &bytes)?.map_err(|problems| {
        Failure::usage(format!("the load file has problems\n\n{}", scenarios::show(&problems, &bytes, false)))
    })?;
    if let Some(most) = args.target.max_in_flight {
        load_files::limit_in_flight(&mut draft.workload.arrivals, most as usize)?;
    }
    Ok(draft)
}

fn from_flags(args: &LoadArgs) -> Result<Draft, Failure> {
    let arrivals = load_flags::arrivals(args)?;
    let read = scenarios::read_quietly(&args.scenarios)?;
    if read.scenarios.is_empty() {
        return Err(Failure::usage("there is no scenario in these folders; name a load file itself"));
    }
    let share = |s: &Arc<Scenario>| Share { scenario: s.id.clone(), weight: 1, at: None };
    let id = match read.scenarios.as_slice() {
        [one] => one.id.clone(),
        _ => "load".to_owned(),
    };
    let workload = Workload {
        id,
        file: String::new(),
        seed: None,
        scenarios: read.scenarios.iter().map(share).collect(),
        validity: defaults::validity(&arrivals),
        arrivals,
        slos: Vec::new(),
        stop_when: Vec::new(),
        budget: Budget::default(),
        requests: None,
        drain: defaults::DRAIN,
        think: true,
    };
    Ok(Draft { workload, scenarios: read.scenarios, texts: read.texts })
}

/// Objectives of flags name stages, scenarios and steps; those of a file are checked there, with their place.
fn check_objectives(draft: &Draft) -> Result<(), Failure> {
    let workload = &draft.workload;
    let ids: Vec<&str> = draft.scenarios.iter().map(|s| s.id.as_str()).collect();
    let steps: Vec<&str> =
        draft.scenarios.iter().flat_map(|s| crate::scenario::load_file::step_ids(&s.steps)).collect();
    let labels = workload.arrivals.labels();
    for slo in &workload.slos {
        let refuse = |message: String| Err(Failure::usage(format!("objective `{}`: {message}", slo.text)));
        let named = slo.scope.scenario.iter().map(|name| ("scenario", name, &ids));
        let named = named.chain(slo.scope.step.iter().map(|name| ("step", name, &steps)));
        let mut named = named.chain(slo.scope.stages.iter().map(|name| ("stage", name, &labels)));
        if let Some((what, name, known)) = named.find(|(_, name, known)| !known.contains(&name.as_str())) {
            let help = crate::scenario::suggestion(name, known);
            return refuse(format!("there is no {what} `{name}` in this load; {help}"));
        }
        if let Some(why) = defaults::unfit(slo, &workload.arrivals) {
            return refuse(why.to_owned());
        }
    }
    Ok(())
}

fn check_name(name: &str) -> Result<(), Failure> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.' | '_');
    let plain = name.chars().all(fits) && name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.len() <= 80;
    if plain {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "--name `{name}`: it names a folder; write lower-case letters, digits, `-`, `.` and `_`"
    )))
}

/// `--start-at`, in microseconds since 1970.
fn start_at(text: &str) -> Result<u64, Failure> {
    let wrong = |why: &str| Failure::usage(format!("--start-at {text}: {why}"));
    if text.bytes().all(|b| b.is_ascii_digit()) {
        let millis = text.parse::<u64>().ok().and_then(|ms| ms.checked_mul(1000));
        // A time in seconds would be in 1970, one in microseconds in the year 50,000.
        let plausible = millis.filter(|us| (1_000_000_000_000_000..10_000_000_000_000_000).contains(us));
        return plausible.ok_or_else(|| wrong("these are no milliseconds since 1970 of our time"));
    }
    let time: jiff::Timestamp =
        text.parse().map_err(|_| wrong("write milliseconds since 1970, or a time such as 2026-11-24T18:00:00Z"))?;
    u64::try_from(time.as_microsecond()).map_err(|_| wrong("this is before 1970"))
}

#[cfg(test)]
#[path = "load_plan_tests.rs"]
mod tests;
