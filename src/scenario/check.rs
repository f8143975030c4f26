//! Compares a tree with its [`Shape`]: unknown and missing keys, wrong types, impossible values.

use super::ast::At;
use super::diagnostic::Problems;
use super::keys::{HEADER, STEP, TABLES, VARIABLE};
use super::load_keys::{CURRENCY, LOAD_TABLES};
use super::scalar::{Scalar, describe, scalar};
use super::shape::{Form, Free, Group, Names, Shape, Table};
use super::yaml::{Kind, Node};
use super::{duration, events, suggest};
use serde_json_path::JsonPath;

static STEP_SHAPE: Shape = Shape::Map(&STEP);

/// Reports everything in which the node differs from the shape.
pub(crate) fn check(node: &Node, shape: &'static Shape, problems: &mut Problems) {
    if matches!(node.kind, Kind::Refused) {
        return;
    }
    match shape {
        Shape::Json => json(node, problems),
        Shape::Empty => empty(node, problems),
        Shape::Map(table) => map(node, table, problems),
        Shape::Free(free) => free_map(node, free, problems),
        Shape::List(of, least) => list(node, of, *least, problems),
        Shape::OneOrMore(of) if matches!(node.kind, Kind::List(_)) => list(node, of, 1, problems),
        Shape::OneOrMore(of) => check(node, of, problems),
        Shape::ScalarOrMap(_, of) if matches!(node.kind, Kind::Map(_)) => check(node, of, problems),
        Shape::ScalarOrMap(of, _) => check(node, of, problems),
        Shape::Steps => list(node, &STEP_SHAPE, 1, problems),
        Shape::Branches => list(node, &Shape::Steps, 1, problems),
        _ => match scalar(node) {
            None => expected(node, what(shape), "", problems),
            Some(Scalar::Wrong(why)) if !is_time(shape) => wrong(node, why, problems),
            Some(value) => leaf(node, &value, shape, problems),
        },
    }
}

fn is_time(shape: &Shape) -> bool {
    matches!(shape, Shape::Limit | Shape::Time | Shape::TimeRange)
}

/// What a scalar shape wants, for messages.
fn what(shape: &Shape) -> &'static str {
    match shape {
        Shape::Version => "the number 1",
        Shape::Word(form) | Shape::Amount(form) => form.what,
        Shape::Choice(_) => "one word",
        Shape::Flag => "`true` or `false`",
        Shape::Whole(..) => "a whole number",
        Shape::Number | Shape::Positive => "a number",
        Shape::Limit | Shape::Time => "a duration",
        Shape::TimeRange => "a duration or a range of durations",
        Shape::Path => "a path such as `$.conversation_id`",
        Shape::Regex => "a regular expression",
        Shape::Events => "an order of events",
        Shape::TemplateOrWhole => "text or a whole number",
        Shape::TemplateOrNull => "text or null",
        _ => "text",
    }
}

fn expected(node: &Node, wanted: &str, help: &str, problems: &mut Problems) {
    let width = if matches!(node.kind, Kind::Scalar { .. }) { node.width() } else { 1 };
    problems.add(node.at, width, format!("expected {wanted}, found {}", describe(node)), help);
}

fn wrong(node: &Node, why: &str, problems: &mut Problems) {
    problems.add(node.at, node.width(), format!("`{}` {why}", node.text().unwrap_or_default()), "");
}

fn leaf(node: &Node, value: &Scalar<'_>, shape: &'static Shape, problems: &mut Problems) {
    match (shape, value) {
        (Shape::Version, Scalar::Number(n)) if n.as_u64() == Some(1) => {}
        (Shape::Version, _) => {
            let message =
                format!("`{}` is no format version that this difyprobe reads", node.text().unwrap_or_default());
            problems.add(node.at, node.width(), message, "write `1`");
        }
        (Shape::Flag, Scalar::Flag(_)) => {}
        (Shape::Flag, Scalar::Text("yes" | "no" | "on" | "off")) => {
            expected(node, what(shape), "YAML 1.2 has no `yes` and `no`", problems);
        }
        (Shape::Whole(least, most), Scalar::Number(n)) => {
            if !n.as_u64().is_some_and(|n| (*least..=*most).contains(&n)) {
                let message = format!("{n} is no whole number from {least} to {most}");
                problems.add(node.at, node.width(), message, "");
            }
        }
        (Shape::Number, Scalar::Number(_)) => {}
        (Shape::Positive, Scalar::Number(n)) if n.as_f64().is_some_and(|n| n >= 0.0) => {}
        (Shape::Positive, Scalar::Number(n)) => problems.add(node.at, node.width(), format!("{n} is negative"), ""),
        (Shape::Limit | Shape::Time | Shape::TimeRange, _) => time(node, shape, problems),
        (Shape::Amount(form), Scalar::Number(_) | Scalar::Text(_)) => {
            word(node, node.text().unwrap_or_default(), form, problems);
        }
        (Shape::TemplateOrWhole, Scalar::Number(n)) if n.is_i64() || n.is_u64() => {}
        (Shape::TemplateOrNull, Scalar::Null) => {}
        (shape, Scalar::Text(text)) => text_leaf(node, text, shape, problems),
        (Shape::Choice(words), _) => expected(node, "one word", &suggest::help("", words), problems),
        (_, Scalar::Number(_) | Scalar::Flag(_)) if takes_text(shape) => {
            expected(node, what(shape), "put it in quotes to make it a text", problems);
        }
        _ => expected(node, what(shape), "", problems),
    }
}

fn takes_text(shape: &Shape) -> bool {
    matches!(shape, Shape::Line | Shape::Template | Shape::TemplateOrNull | Shape::TemplateOrWhole | Shape::Word(_))
}

fn text_leaf(node: &Node, text: &str, shape: &'static Shape, problems: &mut Problems) {
    let plain = matches!(shape, Shape::Line | Shape::Word(_) | Shape::Choice(_) | Shape::Path | Shape::Events);
    if plain && text.contains("${{") {
        let message = "`${{ }}` is not rendered here";
        problems.add(node.at, node.width(), message, "write the value out");
        return;
    }
    match shape {
        Shape::Template | Shape::TemplateOrWhole | Shape::TemplateOrNull => {}
        Shape::Line if text.trim().is_empty() => problems.add(node.at, node.width(), "empty text", ""),
        Shape::Line if text.contains(['\n', '\r']) => problems.add(node.at, 1, "text of more than one line", ""),
        Shape::Line => {}
        Shape::Word(form) => word(node, text, form, problems),
        Shape::Choice(words) if words.contains(&text) => {}
        Shape::Choice(words) => {
            problems.add(node.at, node.width(), format!("`{text}` is not known here"), suggest::help(text, words));
        }
        Shape::Path => path(node, text, problems),
        Shape::Regex => {
            if let Err(error) = regex::Regex::new(text) {
                problems.add(
                    node.at,
                    node.width(),
                    format!("`{text}` is no regular expression: {}", short(&error)),
                    "",
                );
            }
        }
        Shape::Events => {
            if let Err(error) = events::Pattern::new(text) {
                let place = inside(node, text, error.offset);
                let width = if place == node.at { node.width() } else { 1 };
                problems.add(place, width, format!("order of events: {}", error.message), EVENTS_HELP);
            }
        }
        _ => expected(node, what(shape), "", problems),
    }
}

const EVENTS_HELP: &str =
    "event names with `|`, `( )`, `*`, `+` and `?`, e.g. `(message | agent_message)+ message_end`";

/// The last line of a regex error holds the reason; the ones before draw a picture of the pattern.
fn short(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

fn word(node: &Node, text: &str, form: &Form, problems: &mut Problems) {
    if !form.fits(text) {
        let message = format!("`{text}` is not {}", form.what);
        problems.add(node.at, node.width(), message, format!("for example `{}`", form.example));
    }
}

/// Deepest nesting of brackets in a path. The parser takes three times as long per nested filter: 10 levels are 17 ms in
/// a debug build, 22 are minutes.
const DEEPEST_PATH: usize = 8;
/// Longest path in bytes.
const LONGEST_PATH: usize = 1000;

fn path(node: &Node, text: &str, problems: &mut Problems) {
    let depths = text.chars().scan(0usize, |depth, c| {
        match c {
            '[' | '(' => *depth += 1,
            ']' | ')' => *depth = depth.saturating_sub(1),
            _ => {}
        }
        Some(*depth)
    });
    if text.len() > LONGEST_PATH || depths.max().unwrap_or(0) > DEEPEST_PATH {
        let message = format!("a path of more than {LONGEST_PATH} bytes or {DEEPEST_PATH} nested brackets");
        problems.add(node.at, node.width(), message, "select less at once, and test the parts in expectations");
        return;
    }
    if let Err(error) = JsonPath::parse(text) {
        let place = inside(node, text, text.get(..error.position()).map_or(0, |t| t.chars().count()));
        let width = if place == node.at { node.width() } else { 1 };
        let message = format!("`{text}` is no JSONPath: {}", error.message());
        problems.add(place, width, message, "paths follow RFC 9535, e.g. `$.data[0].id`");
    }
}

/// Position of a character of a one-line scalar; the start of the node where it cannot be told.
pub(super) fn inside(node: &Node, text: &str, offset: usize) -> At {
    let length = text.chars().count() as u32;
    // quotes without escapes inside add exactly two characters
    let shift = match node.width().checked_sub(length) {
        Some(0) => 0,
        Some(2) => 1,
        _ => return node.at,
    };
    if node.at.line != node.end.line || offset as u32 > length {
        return node.at;
    }
    At { line: node.at.line, column: node.at.column + shift + offset as u32 }
}

fn time(node: &Node, shape: &Shape, problems: &mut Problems) {
    let text = node.text().unwrap_or_default();
    let problem = match shape {
        Shape::TimeRange => duration::parse_range(text).err(),
        Shape::Limit => match duration::parse(text) {
            Ok(time) if time.is_zero() => Some("is no time at all; nothing can be that fast"),
            other => other.err(),
        },
        _ => duration::parse(text).err(),
    };
    match problem {
        Some(_) if text.is_empty() => expected(node, what(shape), "for example `1.5s`", problems),
        Some(why) => wrong(node, why, problems),
        None => {}
    }
}

fn json(node: &Node, problems: &mut Problems) {
    if let Some(Scalar::Wrong(why)) = scalar(node) {
        wrong(node, why, problems);
    }
    node.items().iter().for_each(|item| json(item, problems));
    node.entries().iter().for_each(|(_, value)| json(value, problems));
}

fn empty(node: &Node, problems: &mut Problems) {
    let nothing = matches!(scalar(node), Some(Scalar::Null)) || matches!(&node.kind, Kind::Map(m) if m.is_empty());
    if !nothing {
        expected(node, "`{}`", "this action has no keys", problems);
    }
}

fn list(node: &Node, of: &'static Shape, least: usize, problems: &mut Problems) {
    let Kind::List(items) = &node.kind else {
        let help = if matches!(node.kind, Kind::Map(_)) { "start each element with `- `" } else { "" };
        return expected(node, "a list", help, problems);
    };
    if items.len() < least {
        problems.add(node.at, node.width(), "an empty list", "at least one element must be here");
    }
    items.iter().for_each(|item| check(item, of, problems));
}

fn free_map(node: &Node, free: &Free, problems: &mut Problems) {
    let Kind::Map(entries) = &node.kind else { return expected(node, "a map", "", problems) };
    if free.single && entries.len() != 1 {
        problems.add(node.at, 1, format!("expected one entry, found {}", entries.len()), "write `name: [..]`");
    }
    for (key, value) in entries {
        if let Some(text) = key.text() {
            match free.names {
                Names::Variables => word(key, text, &VARIABLE, problems),
                Names::Headers => word(key, text, &HEADER, problems),
                Names::Currencies => word(key, text, &CURRENCY, problems),
                Names::Members | Names::Templates => {}
            }
        }
        check(value, free.of, problems);
    }
}

fn map(node: &Node, table: &'static Table, problems: &mut Problems) {
    let Kind::Map(entries) = &node.kind else {
        let keys = table.names().join(", ");
        return expected(node, &format!("{} (a map)", table.name), &format!("its keys: {keys}"), problems);
    };
    for (key, value) in entries {
        let Some(text) = key.text() else { continue };
        match table.key(text) {
            Some(known) => check(value, known.shape, problems),
            None => {
                let message = format!("unknown key `{text}` in {}", table.name);
                problems.add(key.at, key.width(), message, unknown_help(text, table));
            }
        }
    }
    let meant = misspelt(node, table);
    for key in table.keys.iter().filter(|k| k.required && node.get(k.name).is_none() && !meant.contains(&k.name)) {
        let message = format!("{} needs the key `{}`", table.name, key.name);
        problems.add(node.at, first_width(node), message, key.doc);
    }
    table.groups.iter().for_each(|group| check_group(node, table, group, problems));
}

/// Keys of the table that unknown keys of the map were probably meant to be: they are not reported as missing too.
fn misspelt(node: &Node, table: &'static Table) -> Vec<&'static str> {
    let unknown = node.entries().iter().filter_map(|(k, _)| k.text()).filter(|t| table.key(t).is_none());
    unknown.filter_map(|t| suggest::closest(t, table.names())).collect()
}

fn unknown_help(key: &str, table: &'static Table) -> String {
    let names = table.names();
    if let Some(found) = suggest::closest(key, names.iter().copied()) {
        return format!("did you mean `{found}`?");
    }
    let of_load = LOAD_TABLES.iter().any(|t| t.name == table.name);
    let tables = if of_load { LOAD_TABLES } else { TABLES };
    let homes: Vec<&str> = tables.iter().filter(|t| t.key(key).is_some()).map(|t| t.name).collect();
    if homes.is_empty() { suggest::help(key, &names) } else { format!("`{key}` belongs in {}", homes.join(" or ")) }
}

fn first_width(node: &Node) -> u32 {
    node.entries().first().filter(|(k, _)| k.at == node.at).map_or(1, |(k, _)| k.width())
}

fn check_group(node: &Node, table: &Table, group: &Group, problems: &mut Problems) {
    let (Group::One(names) | Group::AtMostOne(names) | Group::Some(names)) = group;
    let found: Vec<&Node> =
        node.entries().iter().map(|(k, _)| k).filter(|k| k.text().is_some_and(|t| names.contains(&t))).collect();
    // an unknown key is reported already, and was probably meant to be the one that is missing
    let unknown = node.entries().iter().any(|(k, _)| k.text().is_some_and(|t| table.key(t).is_none()));
    if found.is_empty() && !unknown && !matches!(group, Group::AtMostOne(_)) {
        let number = if matches!(group, Group::One(_)) { "one of" } else { "at least one of" };
        let message = format!("{} needs {number}: {}", table.name, names.join(", "));
        problems.add(node.at, first_width(node), message, "");
    }
    if matches!(group, Group::Some(_)) {
        return;
    }
    let first = found.first().and_then(|k| k.text()).unwrap_or_default();
    for extra in found.iter().skip(1) {
        let message = format!("`{}` does not go together with `{first}`", extra.text().unwrap_or_default());
        problems.add(
            extra.at,
            extra.width(),
            message,
            format!("{} takes only one of: {}", table.name, names.join(", ")),
        );
    }
}
