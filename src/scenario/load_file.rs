//! Load files: text -> [`Workload`], with all problems at once.
//!
//! Read like scenario files (same YAML, same kind of messages). docs/load.md describes the language. Not done here: finding
//! the scenarios and the recording that a load file names, since that takes other files.

use super::ast::{Action, At, Scenario, Step};
use super::diagnostic::{Diagnostic, Problems};
use super::load_keys::LOAD;
use super::load_slo::{Placed, objective};
use super::load_stages::arrivals;
use super::scalar::{Scalar, scalar};
use super::shape::Shape;
use super::yaml::Node;
use super::{check, duration, load_text, read, suggest};
use crate::metrics::Slo;
use crate::workload::{Arrivals, Budget, Schedule, Share, StopWhen, Workload, defaults};
use std::sync::Arc;
use std::time::Duration;

/// A load as its file describes it, with what it needs from other files.
pub struct LoadFile {
    /// The load. A replay has no times yet.
    pub workload: Workload,
    /// The recording to replay, as written.
    pub replay: Option<String>,
    /// Whether the file says how many scenarios may be under way at the same time; always so but for some replays.
    pub limits_in_flight: bool,
    places: Places,
}

/// Where names of other files stand.
struct Places {
    shares: Vec<(At, u32)>,
    replay: (At, u32),
    scopes: Vec<(&'static str, String, At, u32)>,
}

static SHAPE: Shape = Shape::Map(&LOAD);

/// Whether a text is meant to be a load file, even if it is a broken one: it has the marker key at the start of a line.
pub fn is_load(bytes: &[u8]) -> bool {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    text.split(|b| matches!(b, b'\n' | b'\r')).any(|line| line.starts_with(b"difyprobe-load"))
}

/// Reads a load file; all problems at once, in file order.
///
/// `file` is its name as shown to people, `bytes` its content of at most 1 MiB.
pub fn parse_load(file: &str, bytes: &[u8]) -> Result<LoadFile, Vec<Diagnostic>> {
    let text = read::utf8(file, bytes)?;
    let mut problems = Problems::new(file);
    let Some(root) = read::tree(text, &mut problems) else { return Err(problems.finish()) };
    check::check(&root, &SHAPE, &mut problems);
    if !problems.is_empty() {
        return Err(problems.finish());
    }
    let load = load(file, &root, &mut problems);
    if problems.is_empty() { Ok(load) } else { Err(problems.finish()) }
}

fn load(file: &str, root: &Node, problems: &mut Problems) -> LoadFile {
    let (scenarios, shares) = shares(root, problems);
    let requests = count(root, "requests");
    let arrival = root.get("arrival").unwrap_or(root);
    let before = problems.is_empty();
    let arrivals = arrivals(arrival, requests.is_some(), problems);
    if before && problems.is_empty() {
        check_schedule(arrival, &arrivals, &scenarios, problems);
    }
    let placed: Vec<Placed> = objectives(root, "slo", problems);
    let validity = root.get("validity").map(|_| objectives(root, "validity", problems));
    let all = || placed.iter().chain(validity.iter().flatten());
    all().for_each(|objective| check_objective(objective, &arrivals, problems));
    let scopes = all().flat_map(|o| o.scope.iter().cloned()).filter(|(key, ..)| *key != "in").collect();
    let replay = arrival.get("replay").and_then(|r| r.get("file"));
    let slos = |list: Vec<Placed>| list.into_iter().map(|o| o.slo).collect::<Vec<Slo>>();
    let validity = validity.map_or_else(|| defaults::validity(&arrivals), slos);
    LoadFile {
        replay: replay.map(text_of),
        limits_in_flight: !matches!(arrivals, Arrivals::Replay { max_in_flight: 0, .. }),
        places: Places { shares, replay: replay.map_or((root.at, 1), |n| (n.at, n.width())), scopes },
        workload: Workload {
            id: root.get("id").map(text_of).unwrap_or_default(),
            file: file.to_owned(),
            seed: count(root, "seed"),
            scenarios,
            arrivals,
            slos: slos(placed),
            validity,
            stop_when: one_or_more(root, "stop-when").iter().filter_map(|n| stop_when(n, problems)).collect(),
            budget: budget(root, problems),
            requests,
            drain: root.get("drain").and_then(time).unwrap_or(defaults::DRAIN),
            think: root.get("think").and_then(Node::text) != Some("none"),
        },
    }
}

fn shares(root: &Node, problems: &mut Problems) -> (Vec<Share>, Vec<(At, u32)>) {
    let mut shares: Vec<Share> = Vec::new();
    let mut places = Vec::new();
    for node in root.get("scenarios").map(Node::items).unwrap_or_default() {
        let name = node.get("use").unwrap_or(node);
        let scenario = text_of(name);
        if shares.iter().any(|share| share.scenario == scenario) {
            let message = format!("the scenario `{scenario}` is there twice");
            problems.add(name.at, name.width(), message, "add the weights up in one entry");
        }
        let weight = count(node, "weight").and_then(|n| u32::try_from(n).ok()).unwrap_or(1);
        shares.push(Share { scenario, weight, at: Some((name.at.line as usize, name.at.column as usize)) });
        places.push((name.at, name.width()));
    }
    (shares, places)
}

/// What only the schedule itself can say, e.g. that nothing begins.
fn check_schedule(node: &Node, arrivals: &Arrivals, shares: &[Share], problems: &mut Problems) {
    let weights: Vec<u32> = shares.iter().map(|share| share.weight).collect();
    if matches!(arrivals, Arrivals::Replay { .. }) {
        return;
    }
    if let Err(error) = Schedule::new(arrivals, &weights, 0) {
        problems.add(node.at, 1, format!("the schedule cannot be made: {error}"), "");
    }
}

fn objectives(root: &Node, key: &str, problems: &mut Problems) -> Vec<Placed> {
    one_or_more(root, key).iter().filter_map(|node| objective(node, problems)).collect()
}

/// Elements of a list, or the one value in its place.
fn one_or_more<'a>(root: &'a Node, key: &str) -> &'a [Node] {
    let Some(node) = root.get(key) else { return &[] };
    if matches!(node.kind, super::yaml::Kind::List(_)) { node.items() } else { std::slice::from_ref(node) }
}

/// Labels must be those of stages, and a closed load has no lateness.
fn check_objective(objective: &Placed, arrivals: &Arrivals, problems: &mut Problems) {
    let labels = arrivals.labels();
    for (_, label, at, width) in objective.scope.iter().filter(|(key, ..)| *key == "in") {
        if !labels.contains(&label.as_str()) {
            problems.add(*at, *width, format!("there is no stage `{label}`"), suggest::help(label, &labels));
        }
    }
    if let Some(why) = defaults::unfit(&objective.slo, arrivals) {
        problems.add(objective.at, objective.width, why, "leave it out, or use `open`");
    }
}

fn stop_when(node: &Node, problems: &mut Problems) -> Option<StopWhen> {
    if let Some(text) = node.text() {
        return match load_text::stop_when(text) {
            Ok(condition) => Some(condition),
            Err(why) => {
                problems.add(node.at, node.width(), format!("`{text}` {why}"), "");
                None
            }
        };
    }
    let rate = node.get("error-rate")?;
    let over = rate.get("over")?;
    match load_text::share(&text_of(over)) {
        Ok(share) => Some(StopWhen { over: share, window: rate.get("for").and_then(time)? }),
        Err(why) => {
            problems.add(over.at, over.width(), format!("`{}` {why}", text_of(over)), "");
            None
        }
    }
}

fn budget(root: &Node, problems: &mut Problems) -> Budget {
    let Some(node) = root.get("budget") else { return Budget::default() };
    let mut cost = Vec::new();
    for (currency, price) in node.get("cost").map(Node::entries).unwrap_or_default() {
        match load_text::price(&text_of(price)) {
            Ok(nano) => cost.push((text_of(currency), nano)),
            Err(why) => problems.add(price.at, price.width(), format!("`{}` {why}", text_of(price)), ""),
        }
    }
    Budget { tokens: count(node, "tokens"), cost }
}

impl LoadFile {
    /// A problem with the scenario of a share.
    pub fn problem_of_share(&self, index: usize, message: String, help: String) -> Diagnostic {
        let (at, width) = self.places.shares.get(index).copied().unwrap_or((At { line: 1, column: 1 }, 1));
        self.problem(at, width, message, help)
    }

    /// A problem with the recording.
    pub fn problem_of_replay(&self, message: String) -> Diagnostic {
        let (at, width) = self.places.replay;
        self.problem(at, width, message, String::new())
    }

    /// Objectives about scenarios and steps that the load does not have.
    pub fn check_scopes(&self, scenarios: &[Arc<Scenario>]) -> Vec<Diagnostic> {
        let ids: Vec<&str> = scenarios.iter().map(|s| s.id.as_str()).collect();
        let steps: Vec<&str> = scenarios.iter().flat_map(|s| step_ids(&s.steps)).collect();
        let unknown = self.places.scopes.iter().filter_map(|(key, name, at, width)| {
            let known = if *key == "scenario" { &ids } else { &steps };
            let missing = !known.contains(&name.as_str());
            let message = format!("there is no {key} `{name}` in this load");
            missing.then(|| self.problem(*at, *width, message, suggest::help(name, known)))
        });
        unknown.collect()
    }

    fn problem(&self, at: At, width: u32, message: String, help: String) -> Diagnostic {
        let help = Some(help).filter(|h| !h.is_empty());
        Diagnostic { file: self.workload.file.clone(), at, width, message, help }
    }
}

fn inner_steps(step: &Step) -> Vec<&[Step]> {
    match &step.action {
        Action::Chat(turn) | Action::Completion(turn) | Action::Workflow(turn) => {
            turn.during.iter().map(|during| during.steps.as_slice()).collect()
        }
        Action::Parallel(parallel) => parallel.branches.iter().map(Vec::as_slice).collect(),
        _ => Vec::new(),
    }
}

/// Ids of steps, also of nested ones.
pub(crate) fn step_ids(steps: &[Step]) -> Vec<&str> {
    steps
        .iter()
        .flat_map(|step| {
            let inner = inner_steps(step);
            std::iter::once(step.id.as_str()).chain(inner.into_iter().flat_map(step_ids))
        })
        .collect()
}

pub(super) fn text_of(node: &Node) -> String {
    node.text().unwrap_or_default().to_owned()
}

pub(super) fn time(node: &Node) -> Option<Duration> {
    duration::parse(node.text()?).ok()
}

pub(super) fn count(node: &Node, key: &str) -> Option<u64> {
    match scalar(node.get(key)?)? {
        Scalar::Number(number) => number.as_u64(),
        _ => None,
    }
}

#[cfg(test)]
#[path = "load_file_tests.rs"]
mod tests;
