//! The `arrival` of a load file: nodes -> [`Arrivals`].

use super::diagnostic::Problems;
use super::load_file::{count, text_of, time};
use super::load_text;
use super::scalar::{Scalar, scalar};
use super::yaml::{Kind, Node};
use crate::workload::{Arrivals, Process, Stage, defaults, labels};
use std::time::Duration;

/// When scenarios begin. A replay has no times yet: they are in another file.
pub(super) fn arrivals(node: &Node, has_other_end: bool, problems: &mut Problems) -> Arrivals {
    if let Some(open) = node.get("open") {
        let stages = open.get("stages").map(|list| stages(list, true, problems)).unwrap_or_default();
        let highest = stages.iter().map(|s| s.from.max(s.to)).fold(0.0, f64::max);
        let poisson = open.get("process").and_then(Node::text) == Some("poisson");
        let process = if poisson { Process::Poisson } else { Process::Constant };
        return Arrivals::Open { process, stages, max_in_flight: in_flight(open, defaults::max_in_flight(highest)) };
    }
    if let Some(closed) = node.get("closed") {
        return self::closed(closed, has_other_end, problems);
    }
    let max_in_flight = node.get("replay").map_or(1, |replay| in_flight(replay, 0));
    Arrivals::Replay { at_us: Vec::new(), max_in_flight }
}

/// `max-in-flight`; 0 of a replay stands for a default that depends on its times.
fn in_flight(node: &Node, default: usize) -> usize {
    count(node, "max-in-flight").and_then(|n| usize::try_from(n).ok()).unwrap_or(default)
}

fn closed(node: &Node, has_other_end: bool, problems: &mut Problems) -> Arrivals {
    let iterations = count(node, "iterations").and_then(|n| u32::try_from(n).ok());
    if let Some(list) = node.get("stages") {
        return Arrivals::Closed { stages: stages(list, false, problems), iterations };
    }
    let length = node.get("for").and_then(time);
    if let Some(users) = node.get("users").filter(|_| length.is_none() && iterations.is_none() && !has_other_end) {
        let help = "add `for: 30s` or `iterations: 100` beside it, or `requests: 1000` at the top";
        problems.add(users.at, users.width(), "this load has no end", help);
    }
    let users = count(node, "users").unwrap_or(1) as f64;
    let (label, length) = ("hold".to_owned(), length.unwrap_or(Duration::MAX));
    Arrivals::Closed { stages: vec![Stage { label, from: users, to: users, length, measure: true }], iterations }
}

fn stages(list: &Node, is_rate: bool, problems: &mut Problems) -> Vec<Stage> {
    let mut level = 0.0;
    let mut stages = Vec::new();
    for node in list.items() {
        let (from, to) = levels(node, level, is_rate, problems);
        level = to;
        let length = node.get("for").and_then(time).unwrap_or_default();
        let measure = node.get("measure").and_then(scalar) != Some(Scalar::Flag(false));
        stages.push(Stage { label: String::new(), from, to, length, measure });
    }
    let named: Vec<(Option<&str>, &str)> = list.items().iter().map(|node| (label(node), kind(node))).collect();
    for (stage, label) in stages.iter_mut().zip(labels(&named)) {
        stage.label = label;
    }
    for (index, node) in list.items().iter().enumerate() {
        let Some(given) = node.get("label") else { continue };
        if named.iter().take(index).any(|(label, _)| *label == given.text()) {
            let message = format!("two stages have the label `{}`", text_of(given));
            problems.add(given.at, given.width(), message, "labels are unique");
        }
    }
    if !stages.iter().any(|stage| stage.measure) {
        problems.add(list.at, 1, "no stage is measured", "leave `measure: false` out where it counts");
    } else if stages.iter().all(|stage| stage.from == 0.0 && stage.to == 0.0) {
        problems.add(list.at, 1, "nothing begins: all levels are 0", "");
    }
    stages
}

fn label(node: &Node) -> Option<&str> {
    node.get("label").and_then(Node::text)
}

/// What a stage does, which is its name where it has none.
fn kind(node: &Node) -> &'static str {
    ["ramp", "hold", "step"].into_iter().find(|kind| node.get(kind).is_some()).unwrap_or("hold")
}

fn levels(node: &Node, before: f64, is_rate: bool, problems: &mut Problems) -> (f64, f64) {
    if let Some(flat) = node.get("hold").or_else(|| node.get("step")) {
        let level = level(flat, &text_of(flat), is_rate, problems);
        return (level, level);
    }
    let Some(ramp) = node.get("ramp") else { return (before, before) };
    if matches!(ramp.kind, Kind::Map(_)) {
        let mut of = |key: &str| ramp.get(key).map(|n| level(n, &text_of(n), is_rate, problems));
        return (of("from").unwrap_or(before), of("to").unwrap_or(before));
    }
    let text = text_of(ramp);
    let (from, to) = text.split_once("..").unwrap_or((&text, &text));
    (level(ramp, from, is_rate, problems), level(ramp, to, is_rate, problems))
}

fn level(node: &Node, text: &str, is_rate: bool, problems: &mut Problems) -> f64 {
    let read = if is_rate {
        load_text::rate(text)
    } else {
        let whole = text.parse::<u32>().ok().filter(|users| *users <= 1_000_000);
        whole.map(f64::from).ok_or_else(|| "is no number of users from 0 to 1000000".to_owned())
    };
    read.unwrap_or_else(|why| {
        problems.add(node.at, node.width(), format!("`{text}` {why}"), "");
        1.0 // not 0, about which there is more to say
    })
}
