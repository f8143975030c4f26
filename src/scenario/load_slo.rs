//! Objectives in a load file: a line or a map -> [`Slo`].

use super::ast::At;
use super::check::inside;
use super::diagnostic::Problems;
use super::load_file::{text_of, time};
use super::scalar::{Scalar, scalar};
use super::suggest;
use super::yaml::{Kind, Node};
use crate::metrics::{Scope, Slo, SloError, SloParts};

/// An objective with its place in the file.
pub(super) struct Placed {
    /// What it says.
    pub slo: Slo,
    /// Where each part of its scope stands: the key, its text and the place.
    pub scope: Vec<(&'static str, String, At, u32)>,
    /// Where it stands.
    pub at: At,
    /// Characters to underline.
    pub width: u32,
}

/// Reads an objective; `None` where it has problems, which are reported.
pub(super) fn objective(node: &Node, problems: &mut Problems) -> Option<Placed> {
    if matches!(node.kind, Kind::Map(_)) { from_map(node, problems) } else { from_line(node, problems) }
}

fn from_line(node: &Node, problems: &mut Problems) -> Option<Placed> {
    let text = text_of(node);
    match Slo::parse(&text) {
        Ok(slo) => {
            let (at, width) = (node.at, node.width());
            Some(Placed { scope: parts(&slo.scope, |_| (at, width)), slo, at, width })
        }
        Err(error) => {
            let (from, length) = error.at;
            let at = inside(node, &text, from);
            let width = if at == node.at && from > 0 { node.width() } else { length as u32 };
            problems.add(at, width, error.message.clone(), help(&error));
            None
        }
    }
}

fn from_map(node: &Node, problems: &mut Problems) -> Option<Placed> {
    let word = |key: &str| node.get(key).map(text_of).unwrap_or_default();
    let bound = if node.get("max").is_some() { "max" } else { "min" };
    let op = if bound == "max" { "<=" } else { ">=" };
    let parts_of = SloParts {
        metric: word("metric"),
        stat: word("stat"),
        op: op.to_owned(),
        limit: word(bound),
        class: word("class"),
    };
    let report = |error: &SloError, problems: &mut Problems| {
        let key = match error.part {
            "metric" if node.get("class").is_some() && error.message.contains("class") => "class",
            "stat" => "stat",
            "limit" | "op" => bound,
            _ => "metric",
        };
        let place = node.get(key).or_else(|| node.get("metric")).unwrap_or(node);
        problems.add(place.at, place.width(), error.message.clone(), help(error));
    };
    let mut slo = match parts_of.read() {
        Ok(slo) => slo,
        Err(error) => {
            report(&error, problems);
            return None;
        }
    };
    let text = |key: &str| node.get(key).map(text_of);
    let flag = |key: &str| node.get(key).and_then(scalar) == Some(Scalar::Flag(true));
    let stages = node.get("in").map(|n| if n.text().is_some() { vec![text_of(n)] } else { list(n) });
    slo.scope = Scope {
        scenario: text("scenario"),
        step: text("step"),
        turn: text("turn"),
        stages: stages.unwrap_or_default(),
    };
    slo.abort = flag("abort");
    slo.advisory = flag("advisory");
    slo.grace = node.get("grace").and_then(time).unwrap_or_default();
    slo.text += &braces(node);
    if let Err(error) = slo.check_scope() {
        report(&error, problems);
        return None;
    }
    let place = |value: &str| {
        let holder = ["scenario", "step", "in"].iter().filter_map(|key| node.get(key));
        let mut all = holder.flat_map(|n| std::iter::once(n).chain(n.items()));
        all.find(|n| n.text() == Some(value)).map_or((node.at, 1), |n| (n.at, n.width()))
    };
    let width = node.entries().first().map_or(1, |(key, _)| key.width());
    Some(Placed { scope: parts(&slo.scope, place), slo, at: node.at, width })
}

fn list(node: &Node) -> Vec<String> {
    node.items().iter().map(text_of).collect()
}

/// The scope as it would stand on a line.
fn braces(node: &Node) -> String {
    let mut entries: Vec<String> = ["scenario", "step", "turn"]
        .iter()
        .filter_map(|key| Some(format!("{key}: {}", node.get(key)?.text()?)))
        .collect();
    if let Some(stages) = node.get("in") {
        let text = stages.text().map_or_else(|| format!("[{}]", list(stages).join(", ")), str::to_owned);
        entries.push(format!("in: {text}"));
    }
    if entries.is_empty() { String::new() } else { format!(" {{{}}}", entries.join(", ")) }
}

/// The names in a scope that must exist, each with its place.
fn parts(scope: &Scope, place: impl Fn(&str) -> (At, u32)) -> Vec<(&'static str, String, At, u32)> {
    let names = scope.scenario.iter().map(|name| ("scenario", name));
    let names = names.chain(scope.step.iter().map(|name| ("step", name)));
    let names = names.chain(scope.stages.iter().map(|name| ("in", name)));
    names
        .map(|(key, name)| {
            let (at, width) = place(name);
            (key, name.clone(), at, width)
        })
        .collect()
}

fn help(error: &SloError) -> String {
    match &error.unknown {
        Some((word, known)) => suggest::help(word, known),
        None => error.help.to_owned(),
    }
}
