//! The other files that a load file names: scenarios and recordings.

use super::exit::Failure;
use super::load_flags::{mean_rate, recorded};
use super::load_plan::Draft;
use super::output::chain;
use crate::rules;
use crate::scenario::ast::Scenario;
use crate::scenario::load_file::{LoadFile, parse_load};
use crate::scenario::{self, Diagnostic, lint_rules, parse_bytes};
use crate::store;
use crate::suite::builtin;
use crate::workload::{Arrivals, defaults};
use std::path::Path;
use std::sync::Arc;

/// A scenario and the text that it was read from.
type Found = (Arc<Scenario>, Vec<u8>);

/// Reads a load file and everything that it names. The inner error holds the problems of the file.
///
/// # Errors
/// Files that cannot be read.
pub fn resolve(path: &Path, bytes: &[u8]) -> Result<Result<Draft, Vec<Diagnostic>>, Failure> {
    let mut file = match parse_load(&path.display().to_string(), bytes) {
        Ok(file) => file,
        Err(problems) => return Ok(Err(problems)),
    };
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut problems = Vec::new();
    let mut found = Vec::new();
    let shelf = Shelf::of(folder, &file)?;
    for (index, share) in file.workload.scenarios.iter().enumerate() {
        match shelf.find(folder, &share.scenario) {
            Ok(scenario) => found.push(scenario),
            Err((message, help)) => problems.push(file.problem_of_share(index, message, help)),
        }
    }
    let scenarios: Vec<Arc<Scenario>> = found.iter().map(|(scenario, _)| Arc::clone(scenario)).collect();
    if problems.is_empty() {
        problems.extend(doubled(&file, &scenarios));
        problems.extend(file.check_scopes(&scenarios));
    }
    problems.extend(replay(folder, &mut file));
    if !problems.is_empty() {
        problems.sort_by_key(|d| (d.at.line, d.at.column));
        return Ok(Err(problems));
    }
    let texts = found.into_iter().map(|(_, text)| text).collect();
    Ok(Ok(Draft { workload: file.workload, scenarios, texts }))
}

/// Puts the recorded times in; the problem where that cannot be done.
fn replay(folder: &Path, file: &mut LoadFile) -> Option<Diagnostic> {
    let name = file.replay.clone()?;
    let times = match recorded(&folder.join(&name)) {
        Ok(times) => times,
        Err(failure) => return Some(file.problem_of_replay(failure.to_string())),
    };
    if let Arrivals::Replay { at_us, max_in_flight } = &mut file.workload.arrivals {
        if !file.limits_in_flight {
            *max_in_flight = defaults::max_in_flight(mean_rate(&times));
        }
        *at_us = times;
    }
    None
}

/// Two shares of one scenario under two names.
fn doubled(file: &LoadFile, scenarios: &[Arc<Scenario>]) -> Option<Diagnostic> {
    let twice = |(index, s): &(usize, &Arc<Scenario>)| scenarios.iter().take(*index).any(|other| other.id == s.id);
    let (index, scenario) = scenarios.iter().enumerate().find(twice)?;
    let message = format!("the scenario id `{}` is there twice", scenario.id);
    Some(file.problem_of_share(index, message, "ids must be unique in a load".to_owned()))
}

/// Takes a limit of the command line.
///
/// # Errors
/// A closed load, whose users are the limit.
pub fn limit_in_flight(arrivals: &mut Arrivals, most: usize) -> Result<(), Failure> {
    match arrivals {
        Arrivals::Open { max_in_flight, .. } | Arrivals::Replay { max_in_flight, .. } => *max_in_flight = most,
        Arrivals::Closed { .. } => {
            return Err(Failure::usage(
                "--max-in-flight limits arrivals; the users of a closed load are a limit itself",
            ));
        }
    }
    Ok(())
}

/// Scenarios that can be named by their ids: those beside the load file, then the built-in ones.
struct Shelf(Vec<Found>);

impl Shelf {
    fn of(folder: &Path, file: &LoadFile) -> Result<Shelf, Failure> {
        if file.workload.scenarios.iter().all(|share| is_path(&share.scenario)) {
            return Ok(Shelf(Vec::new()));
        }
        let here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let beside = store::files_below(here, &["yaml", "yml"]).map_err(|e| Failure::usage(chain(&e)))?;
        // A neighbour with problems is nobody's business here unless it is named: then its id is not found.
        let read = |path: &std::path::PathBuf| {
            let bytes = store::read_bytes(path).ok()?;
            let scenario = parse_bytes(&path.display().to_string(), &bytes).ok()?;
            Some((Arc::new(scenario), bytes))
        };
        let mut found: Vec<Found> = beside.iter().filter_map(read).collect();
        let built_in = builtin::files();
        let parsed = built_in
            .iter()
            .filter_map(|(name, text)| Some((Arc::new(scenario::parse(name, text).ok()?), text.as_bytes().to_vec())));
        found.extend(parsed);
        Ok(Shelf(found))
    }

    /// The scenario, or a message and a remedy.
    fn find(&self, folder: &Path, name: &str) -> Result<Found, (String, String)> {
        if !is_path(name) {
            let found = self.0.iter().find(|(scenario, _)| scenario.id == name).cloned();
            let ids: Vec<&str> = self.0.iter().map(|(scenario, _)| scenario.id.as_str()).collect();
            return found.ok_or_else(|| {
                let help = scenario::closest(name, ids).map(|id| format!("did you mean `{id}`?"));
                let other =
                    "name a scenario in this folder, a built-in one, or the path of a file that ends in `.yaml`";
                (format!("there is no scenario `{name}`"), help.unwrap_or_else(|| other.to_owned()))
            });
        }
        let path = folder.join(name);
        let bytes = store::read_bytes(&path).map_err(|e| (chain(&e), String::new()))?;
        let lint = || format!("`difyprobe lint {}` shows them", path.display());
        let read = parse_bytes(&path.display().to_string(), &bytes)
            .ok()
            .filter(|s| lint_rules(s, &|id| rules::find(id).is_some()).is_empty());
        let scenario = read.ok_or_else(|| (format!("the scenario file `{name}` has problems"), lint()))?;
        Ok((Arc::new(scenario), bytes))
    }
}

fn is_path(name: &str) -> bool {
    name.ends_with(".yaml") || name.ends_with(".yml") || name.contains('/')
}
