//! Text of a baseline -> entries, or all its problems with line and column.

use super::version::VersionCondition;
use super::{Baseline, Entry};
use crate::scenario::{Diagnostic, Kind, Node, Problems, ast::At, read_tree, report_duplicates, suggestion};
use jiff::civil::Date;

/// A baseline without entries, for messages.
pub const EMPTY: &str = "difyprobe-baseline: 1\nknown: []\n";

const TOP: [&str; 2] = ["difyprobe-baseline", "known"];
const KEYS: [&str; 5] = ["rule", "app", "version", "reason", "expires"];

impl Baseline {
    /// Reads a baseline (YAML, or JSON, which is YAML too); all problems at once, in file order.
    ///
    /// # Errors
    /// The problems, each with its place and what to do about it.
    pub fn parse(file: &str, text: &str) -> Result<Baseline, Vec<Diagnostic>> {
        let mut problems = Problems::new(file);
        let entries = read(text, &mut problems);
        if problems.is_empty() { Ok(Baseline { file: file.to_owned(), entries }) } else { Err(problems.finish()) }
    }
}

fn read(text: &str, problems: &mut Problems) -> Vec<Entry> {
    let start = At { line: 1, column: 1 };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        problems.add(start, 1, "the file is empty", "a baseline starts with `difyprobe-baseline: 1`");
        return Vec::new();
    }
    let Some(root) = read_tree(text, problems) else { return Vec::new() };
    report_duplicates(&root, problems);
    if !matches!(root.kind, Kind::Map(_)) {
        let help = "a baseline has the keys `difyprobe-baseline: 1` and `known:`, a list of entries";
        problems.add(root.at, root.width(), "this is no baseline", help);
        return Vec::new();
    }
    known_keys(&root, &TOP, problems);
    match root.get("difyprobe-baseline") {
        None => {
            let message = "the key `difyprobe-baseline` is missing";
            problems.add(start, 1, message, "put `difyprobe-baseline: 1` into the first line");
        }
        Some(node) if node.text() != Some("1") => {
            problems.add(node.at, node.width(), "only layout 1 is known", "write `difyprobe-baseline: 1`");
        }
        Some(_) => {}
    }
    let Some(known) = root.get("known") else {
        problems.add(start, 1, "the key `known` is missing", "`known: []` is an empty list");
        return Vec::new();
    };
    let empty = known.text().is_some_and(str::is_empty);
    if !matches!(known.kind, Kind::List(_)) && !empty {
        problems.add(known.at, known.width(), "`known` is a list of entries", "each entry starts with `- rule: ID`");
    }
    let entries: Vec<Entry> = known.items().iter().filter_map(|node| entry(node, problems)).collect();
    report_repeated(&entries, problems);
    entries
}

fn known_keys(node: &Node, keys: &[&str], problems: &mut Problems) {
    for (key, _) in node.entries() {
        let name = key.text().unwrap_or_default();
        if !keys.contains(&name) {
            problems.add(key.at, key.width(), format!("unknown key `{name}`"), suggestion(name, keys));
        }
    }
}

fn entry(node: &Node, problems: &mut Problems) -> Option<Entry> {
    if !matches!(node.kind, Kind::Map(_)) {
        let help = "write `- rule: ID` and, below it, `reason: ...`";
        problems.add(node.at, node.width(), "an entry is a map", help);
        return None;
    }
    known_keys(node, &KEYS, problems);
    let rule = required(node, "rule", "name the rule, e.g. `rule: messages.has-more`", problems);
    let reason = required(node, "reason", "say why the failure is accepted; a ticket helps", problems);
    let app = optional(node, "app", problems).map(|(_, text)| text);
    let version = optional(node, "version", problems).and_then(|(at, text)| {
        let read = VersionCondition::parse(&text);
        read.map_err(|why| {
            problems.add(at.at, at.width(), why, "write e.g. `version: \"1.12\"` or `\">=1.10, <1.13\"`")
        })
        .ok()
    });
    let expires = optional(node, "expires", problems).and_then(|(at, text)| {
        let help = "write the last day as `expires: 2027-03-31`";
        let read = day(&text).ok_or_else(|| problems.add(at.at, at.width(), format!("`{text}` is not a date"), help));
        read.ok()
    });
    Some(Entry { line: node.at.line, column: node.at.column, rule: rule?, app, version, reason: reason?, expires })
}

/// `2027-03-31` and nothing shorter or longer.
fn day(text: &str) -> Option<Date> {
    text.parse().ok().filter(|date: &Date| date.to_string() == text)
}

fn required(node: &Node, key: &str, help: &str, problems: &mut Problems) -> Option<String> {
    if node.get(key).is_none() {
        problems.add(node.at, 1, format!("the key `{key}` is missing"), help);
        return None;
    }
    let (at, text) = optional(node, key, problems)?;
    if text.trim().is_empty() || (text == "~" || text == "null") && is_plain(at) {
        problems.add(at.at, at.width(), format!("`{key}` is empty"), help);
        return None;
    }
    Some(text)
}

fn is_plain(node: &Node) -> bool {
    matches!(node.kind, Kind::Scalar { plain: true, .. })
}

fn optional<'n>(node: &'n Node, key: &str, problems: &mut Problems) -> Option<(&'n Node, String)> {
    let value = node.get(key)?;
    match value.text() {
        Some(text) => Some((value, text.to_owned())),
        None => {
            problems.add(value.at, value.width(), format!("`{key}` is a text"), "");
            None
        }
    }
}

fn report_repeated(entries: &[Entry], problems: &mut Problems) {
    for (index, entry) in entries.iter().enumerate() {
        let same = |e: &&Entry| e.rule == entry.rule && e.app == entry.app && e.version == entry.version;
        if let Some(first) = entries.iter().take(index).find(same) {
            let message = format!("an entry for the same rule, app and version stands in line {}", first.line);
            problems.add(At { line: entry.line, column: entry.column }, 1, message, "keep one of them");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        let all = Baseline::parse("b.yaml", text).expect_err("problems");
        all.iter().map(|d| format!("{}:{} {}", d.at.line, d.at.column, d.message)).collect()
    }

    #[test]
    fn a_whole_entry_is_read_with_its_place() {
        let text = "# ours\ndifyprobe-baseline: 1\nknown:\n  - rule: messages.has-more\n    app: chat\n    \
                    version: '>=1.10, <1.13'\n    reason: OPS-12\n    expires: 2027-03-31\n  - { rule: a.b, reason: r }\n";
        let baseline = Baseline::parse("b.yaml", text).expect("clean");
        let first = &baseline.entries[0];
        assert_eq!((first.line, first.column, first.rule.as_str()), (4, 5, "messages.has-more"));
        assert_eq!((first.app.as_deref(), first.reason.as_str()), (Some("chat"), "OPS-12"));
        assert_eq!(first.version.as_ref().map(|v| v.as_str()), Some(">=1.10, <1.13"));
        assert_eq!(first.expires.map(|d| d.to_string()).as_deref(), Some("2027-03-31"));
        assert_eq!((baseline.entries.len(), baseline.entries[1].line), (2, 9));
        assert_eq!(Baseline::parse("b", EMPTY).expect("clean").entries, []);
        let json = r#"{"difyprobe-baseline": 1, "known": [{"rule": "a.b", "reason": "r"}]}"#;
        assert_eq!(Baseline::parse("b.json", json).expect("clean").entries.len(), 1);
    }

    #[test]
    fn every_problem_is_told_at_its_place() {
        let text = "difyprobe-baseline: 2\nknow: []\nknown:\n  - rule: a.b\n  - reason: r\n    rul: a.b\n  - x\n  \
                    - { rule: a.b, reason: ' ' }\n  - { rule: a.b, reason: r, version: new, expires: 31.3.2027 }\n  \
                    - { rule: c, reason: r }\n  - { rule: c, reason: r }\n  - { rule: d, reason: [r] }\n";
        assert_eq!(
            problems(text),
            [
                "1:21 only layout 1 is known",
                "2:1 unknown key `know`",
                "4:5 the key `reason` is missing",
                "5:5 the key `rule` is missing",
                "6:5 unknown key `rul`",
                "7:5 an entry is a map",
                "8:26 `reason` is empty",
                "9:38 `new` is not a version number",
                "9:52 `31.3.2027` is not a date",
                "11:5 an entry for the same rule, app and version stands in line 10",
                "12:24 `reason` is a text",
            ]
        );
    }

    #[test]
    fn texts_that_are_no_baseline_are_refused() {
        assert_eq!(problems(" \n# nothing\n"), ["1:1 the file is empty"]);
        assert_eq!(problems("[1]"), ["1:1 this is no baseline"]);
        assert_eq!(problems("known: []\n"), ["1:1 the key `difyprobe-baseline` is missing"]);
        assert_eq!(problems("difyprobe-baseline: 1\n"), ["1:1 the key `known` is missing"]);
        assert_eq!(problems("difyprobe-baseline: 1\nknown: {}\n"), ["2:8 `known` is a list of entries"]);
        assert!(problems("a: [").len() == 1 && problems("a: 1\na: 2\n")[0].contains("1"));
    }
}
