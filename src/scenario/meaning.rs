//! What no shape can say: ids that stand twice, keys without effect, limits that exclude each other, names taken.

use super::ast::At;
use super::diagnostic::Problems;
use super::duration;
use super::keys::ACTIONS;
use super::names::BUILT_IN;
use super::scalar::{Scalar, scalar};
use super::template::FUNCTIONS;
use super::yaml::Node;
use std::collections::HashMap;

/// Keys of a step that say something about its exchange.
static OF_AN_EXCHANGE: &[&str] = &["user", "auth", "headers", "capture", "or-skip", "expect", "timeout", "snapshot"];
/// Words of the expression language.
static KEYWORDS: &[&str] = &["and", "or", "not", "in", "is", "if", "else", "true", "false", "none"];

/// Calls `f` for every step of a list, also for nested ones, in file order.
pub(crate) fn each_step<'a>(list: &'a Node, f: &mut dyn FnMut(&'a Node)) {
    for step in list.items() {
        f(step);
        for turn in ["chat", "completion", "workflow"].iter().filter_map(|k| step.get(k)) {
            if let Some(list) = turn.get("during").and_then(|d| d.get("steps")) {
                each_step(list, f);
            }
        }
        if let Some(parallel) = step.get("parallel") {
            let branches = parallel.get("branches").map(Node::items).unwrap_or_default();
            branches.iter().chain(parallel.get("steps")).for_each(|branch| each_step(branch, f));
        }
    }
}

/// Reports what is wrong in a file although its shape is right.
pub(crate) fn check(root: &Node, problems: &mut Problems) {
    names(root, problems);
    let blocking = |node: &Node| node.get("mode").and_then(Node::text).map(|m| m == "blocking");
    let by_default = root.get("target").and_then(blocking).unwrap_or(false);
    let mut ids: HashMap<&str, At> = HashMap::new();
    for list in ["steps", "finally"].iter().filter_map(|k| root.get(k)) {
        each_step(list, &mut |step| {
            if let Some((node, id)) = step.get("id").and_then(|n| Some((n, n.text()?))) {
                match ids.get(id) {
                    None => drop(ids.insert(id, node.at)),
                    Some(first) => {
                        let help =
                            format!("the first one is in line {}; ids are unique over the whole file", first.line);
                        problems.add(node.at, node.width(), format!("step id `{id}` is there twice"), help);
                    }
                }
            }
            for turn in ["chat", "completion", "workflow"].iter().filter_map(|k| step.get(k)) {
                if blocking(turn).unwrap_or(by_default) {
                    no_stream(turn, problems);
                }
            }
            step_keys(step, problems);
            step_values(step, problems);
        });
    }
}

/// Names that templates see: none may hide a built-in one, and `vars` and `data` share one space.
fn names(root: &Node, problems: &mut Problems) {
    let vars = root.get("vars").map(Node::entries).unwrap_or_default();
    for (key, _) in vars {
        reserved(key, true, problems);
    }
    for (key, _) in root.get("data").map(Node::entries).unwrap_or_default() {
        reserved(key, false, problems);
        if vars.iter().any(|(k, _)| k.text() == key.text()) {
            let message = format!("`{}` is in `vars` already", key.text().unwrap_or_default());
            problems.add(key.at, key.width(), message, "give the data another name");
        }
    }
    for list in ["steps", "finally"].iter().filter_map(|k| root.get(k)) {
        each_step(list, &mut |step| {
            for holder in ["capture", "for-each"].iter().filter_map(|k| step.get(k)) {
                holder.entries().iter().for_each(|(key, _)| reserved(key, false, problems));
            }
        });
    }
}

fn reserved(key: &Node, may_be_user: bool, problems: &mut Problems) {
    let Some(text) = key.text() else { return };
    let built_in = BUILT_IN.iter().any(|(name, _)| *name == text) || FUNCTIONS.contains(&text);
    if (built_in && !(may_be_user && text == "user")) || KEYWORDS.contains(&text) {
        let help = if text == "user" { "only `vars` can set `user`" } else { "choose another name" };
        problems.add(key.at, key.width(), format!("`{text}` is a name of the language itself"), help);
    }
}

fn no_stream(turn: &Node, problems: &mut Problems) {
    for (key, _) in turn.entries().iter().filter(|(k, _)| matches!(k.text(), Some("during" | "hang-up-after"))) {
        let message = format!("`{}` needs a stream, and this turn is blocking", key.text().unwrap_or_default());
        problems.add(key.at, key.width(), message, "add `mode: streaming` to the turn");
    }
}

fn step_keys(step: &Node, problems: &mut Problems) {
    let action = step.entries().iter().find_map(|(k, _)| k.text().filter(|t| ACTIONS.contains(t)));
    let Some(action) = action else { return };
    if matches!(action, "pause" | "parallel") {
        for (key, _) in step.entries().iter().filter(|(k, _)| k.text().is_some_and(|t| OF_AN_EXCHANGE.contains(&t))) {
            let message = format!("`{}` has no effect on `{action}`", key.text().unwrap_or_default());
            let help = if action == "parallel" { "put it into the inner steps" } else { "a pause sends nothing" };
            problems.add(key.at, key.width(), message, help);
        }
    }
    if matches!(action, "chat" | "completion" | "workflow" | "request") {
        return;
    }
    for (key, _) in step.get("expect").map(Node::items).unwrap_or_default().iter().flat_map(Node::entries) {
        if let Some(text @ ("answer" | "events")) = key.text() {
            let message = format!("`{action}` has no {}", if text == "answer" { "answer" } else { "events" });
            problems.add(key.at, key.width(), message, "`json` looks into the response document");
        }
    }
}

fn step_values(step: &Node, problems: &mut Problems) {
    for (_, body) in step.get("expect").map(Node::items).unwrap_or_default().iter().flat_map(Node::entries) {
        let (min, max) = (body.get("min").and_then(number), body.get("max").and_then(number));
        if let (Some(min), Some(max), Some(node)) = (min, max, body.get("min"))
            && min > max
        {
            problems.add(node.at, node.width(), format!("`min` {min} is more than `max` {max}"), "nothing can be both");
        }
    }
    if let Some(shape) = step.get("think").and_then(|t| t.get("lognormal")) {
        let time = |key| shape.get(key).and_then(|n| Some((n, duration::parse(n.text()?).ok()?)));
        if let (Some((_, median)), Some((node, max))) = (time("median"), time("max"))
            && max < median
        {
            problems.add(node.at, node.width(), "`max` is less than the median", "half of the times would be cut");
        }
    }
    let path = step.get("request").and_then(|r| r.get("path"));
    if let Some((node, text)) = path.and_then(|n| Some((n, n.text()?)))
        && !text.starts_with('/')
        && !text.starts_with("${{")
    {
        let help = if text.contains("://") { "paths are below the base URL of the target" } else { "" };
        problems.add(node.at, node.width(), "a path starts with `/`", help);
    }
}

fn number(node: &Node) -> Option<f64> {
    match scalar(node)? {
        Scalar::Number(number) => number.as_f64(),
        _ => None,
    }
}

/// A file for `load` looks much like a scenario; say so instead of listing its keys.
pub(crate) fn is_other_kind(root: &Node, problems: &mut Problems) -> bool {
    let first = root.entries().iter().find(|(k, _)| k.text() == Some("difyprobe-load"));
    if let (Some((key, _)), None) = (first, root.get("difyprobe")) {
        problems.add(key.at, key.width(), "this is a load profile, not a scenario", "`difyprobe load` runs it");
        return true;
    }
    false
}
