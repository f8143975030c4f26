//! Which names are visible where, and whether the templates of a file use only those.

use super::ast::At;
use super::diagnostic::Problems;
use super::expression::{Piece, names, split, tokens};
use super::keys::{SCENARIO, STEP};
use super::shape::{Names, Shape};
use super::suggest;
use super::template::FUNCTIONS;
use super::yaml::{Kind, Node};
use std::collections::HashMap;

/// Names that are always there, with their members where they are objects.
pub(crate) static BUILT_IN: &[(&str, &[&str])] = &[
    ("run", &["id", "seed"]),
    (
        "app",
        &[
            "label",
            "mode",
            "text_input",
            "required_input",
            "limited_input",
            "max_length",
            "select_input",
            "select_option",
            "number_input",
            "defaulted_input",
            "default_value",
        ],
    ),
    ("user", &[]),
    ("vu", &[]),
    ("iteration", &[]),
    ("lane", &[]),
];

/// A visible name.
struct Name {
    text: String,
    /// Members, where all are known.
    members: Option<Vec<String>>,
}

/// Checks all templates of a file.
pub(crate) fn check(root: &Node, text: &str, problems: &mut Problems) {
    let mut captures = HashMap::new();
    for list in ["steps", "finally"].iter().filter_map(|k| root.get(k)) {
        super::meaning::each_step(list, &mut |step| {
            for (name, _) in step.get("capture").map(Node::entries).unwrap_or_default() {
                let id = step.get("id").and_then(Node::text).unwrap_or_default();
                captures.entry(name.text().unwrap_or_default().to_owned()).or_insert_with(|| id.to_owned());
            }
        });
    }
    let built_in = BUILT_IN.iter().map(|(name, members)| Name {
        text: (*name).to_owned(),
        members: (!members.is_empty()).then(|| members.iter().map(|m| (*m).to_owned()).collect()),
    });
    let vars = root.get("vars").map(Node::entries).unwrap_or_default();
    let vars = vars.iter().filter_map(|(key, _)| key.text().map(str::to_owned)).collect();
    let mut walk =
        Walk { source: Source::new(text), problems, captures, vars, visible: built_in.collect(), captured: Vec::new() };
    walk.scenario(root);
}

struct Walk<'a> {
    source: Source<'a>,
    problems: &'a mut Problems,
    /// Name -> step that captures it, over the whole file, for hints.
    captures: HashMap<String, String>,
    /// All names of `vars`, for hints.
    vars: Vec<String>,
    visible: Vec<Name>,
    /// Captures in the order they were met, also repeated ones.
    captured: Vec<String>,
}

impl Walk<'_> {
    fn scenario(&mut self, root: &Node) {
        let mut data = Vec::new();
        for (key, value) in root.get("data").map(Node::entries).unwrap_or_default() {
            self.templates(value, SCENARIO.key("data").map(|k| k.shape).unwrap_or(&Shape::Json));
            if let Some(each) = value.get("each") {
                self.json(each);
            }
            data.push((
                key.text().unwrap_or_default().to_owned(),
                value.get("each").map(Node::items).and_then(members),
            ));
        }
        data.into_iter().for_each(|(text, members)| self.visible.push(Name { text, members }));
        for (key, value) in root.get("vars").map(Node::entries).unwrap_or_default() {
            self.json(value);
            let text = key.text().unwrap_or_default().to_owned();
            self.visible.push(Name { text, members: members(std::slice::from_ref(value)) });
        }
        for list in ["steps", "finally"].iter().filter_map(|k| root.get(k)) {
            self.steps(list);
        }
    }

    fn steps(&mut self, list: &Node) {
        list.items().iter().for_each(|step| self.step(step));
    }

    fn step(&mut self, step: &Node) {
        let (mark, captured) = (self.visible.len(), self.captured.len());
        if let Some((name, rows)) = step.get("for-each").and_then(|n| n.entries().first()) {
            self.json(rows);
            let text = name.text().unwrap_or_default().to_owned();
            self.visible.push(Name { text, members: members(rows.items()) });
        }
        let bound = self.visible.len() > mark;
        for (key, value) in step.entries() {
            match key.text().and_then(|k| STEP.key(k)) {
                Some(known) if known.name != "for-each" => self.templates(value, known.shape),
                _ => {}
            }
        }
        for (name, _) in step.get("capture").map(Node::entries).unwrap_or_default() {
            self.bind(name.text().unwrap_or_default());
        }
        for turn in ["chat", "completion", "workflow"].iter().filter_map(|k| step.get(k)) {
            if let Some(list) = turn.get("during").and_then(|d| d.get("steps")) {
                self.steps(list);
            }
        }
        if let Some(parallel) = step.get("parallel") {
            self.parallel(parallel);
        }
        if bound {
            self.visible.remove(mark);
        }
        if bound || step.get("parallel").is_some() {
            // what ran several times leaves all its values besides the last one
            let names: Vec<String> = self.captured.iter().skip(captured).map(|n| format!("{n}_all")).collect();
            names.iter().for_each(|name| self.bind(name));
        }
    }

    /// Branches do not see each other's captures; what follows sees all of them.
    fn parallel(&mut self, parallel: &Node) {
        let mut found = Vec::new();
        let branches = parallel.get("branches").map(Node::items).unwrap_or_default();
        for branch in branches.iter().chain(parallel.get("steps")) {
            let mark = self.visible.len();
            self.steps(branch);
            found.extend(self.visible.drain(mark..));
        }
        self.visible.extend(found);
    }

    fn bind(&mut self, name: &str) {
        self.captured.push(name.to_owned());
        match self.visible.iter_mut().find(|n| n.text == name) {
            // a captured value replaces the one before, and its members are not known
            Some(known) => known.members = None,
            None => self.visible.push(Name { text: name.to_owned(), members: None }),
        }
    }

    /// Checks all templates under a node, but for those of nested steps.
    fn templates(&mut self, node: &Node, shape: &'static Shape) {
        match shape {
            Shape::Template | Shape::TemplateOrWhole | Shape::TemplateOrNull => self.template(node),
            Shape::Json => self.json(node),
            Shape::Map(table) => {
                for (key, value) in node.entries() {
                    if let Some(known) = key.text().and_then(|k| table.key(k)) {
                        self.templates(value, known.shape);
                    }
                }
            }
            Shape::Free(free) => {
                for (key, value) in node.entries() {
                    if free.names == Names::Templates {
                        self.template(key);
                    }
                    self.templates(value, free.of);
                }
            }
            Shape::List(of, _) => node.items().iter().for_each(|item| self.templates(item, of)),
            Shape::OneOrMore(of) | Shape::ScalarOrMap(_, of) => self.templates(node, of),
            _ => {}
        }
    }

    fn json(&mut self, node: &Node) {
        self.template(node);
        node.items().iter().for_each(|item| self.json(item));
        for (key, value) in node.entries() {
            self.template(key);
            self.json(value);
        }
    }

    fn template(&mut self, node: &Node) {
        let Some(text) = node.text().filter(|t| t.contains("${{")) else { return };
        let pieces = match split(text) {
            Ok(pieces) => pieces,
            Err(error) => {
                let (at, width) = self.source.place(node, text, error.start, "", 0..0);
                return self.problems.add(at, width, error.message, "write `$${{` for a literal `${{`");
            }
        };
        for piece in pieces {
            let Piece::Expression { source, start } = piece else { continue };
            match names(source) {
                Err(reason) => {
                    let (at, width) = self.source.place(node, text, start - 3, source, trimmed(source));
                    let message = format!("`{}` is no expression: {reason}", source.trim());
                    self.problems.add(at, width, message, "");
                }
                Ok(names) => names.iter().for_each(|name| self.name(node, text, source, start, name)),
            }
        }
    }

    /// Checks one name of an expression: `conv` or `person.name`.
    fn name(&mut self, node: &Node, text: &str, source: &str, start: usize, name: &str) {
        let mut parts = name.split('.');
        let (root, member) = (parts.next().unwrap_or_default(), parts.next());
        if FUNCTIONS.contains(&root) {
            return;
        }
        let Some(known) = self.visible.iter().rev().find(|n| n.text == root) else {
            let (at, width) = self.source.place(node, text, start - 3, source, find(source, root, None));
            return self.problems.add(at, width, format!("unknown variable `{root}`"), self.unknown_help(root));
        };
        let (Some(member), Some(members)) = (member, &known.members) else { return };
        if !members.iter().any(|m| m == member) {
            let help = suggest::help(member, &members.iter().map(String::as_str).collect::<Vec<_>>());
            let (at, width) = self.source.place(node, text, start - 3, source, find(source, root, Some(member)));
            self.problems.add(at, width, format!("`{root}` has no member `{member}`"), help);
        }
    }

    fn unknown_help(&self, name: &str) -> String {
        if self.problems.are_many() {
            // looking for close names among thousands takes minutes, and nobody reads the result
            return String::new();
        }
        if let Some(step) = self.captures.get(name) {
            return format!("step `{step}` captures `{name}`; only steps that run after it see it");
        }
        if self.vars.iter().any(|v| v == name) {
            return format!("`{name}` stands further down; vars see only the ones before them");
        }
        let visible: Vec<&str> = self.visible.iter().map(|n| n.text.as_str()).chain(FUNCTIONS).collect();
        suggest::help(name, &visible)
    }
}

/// Members that at least one of the rows has; `None` if a row is no map or has rendered keys.
fn members(rows: &[Node]) -> Option<Vec<String>> {
    let mut all = Vec::new();
    for row in rows {
        let Kind::Map(entries) = &row.kind else { return None };
        for (key, _) in entries {
            all.push(key.text().filter(|k| !k.contains("${{"))?.to_owned());
        }
    }
    Some(all).filter(|a| !a.is_empty())
}

/// Bytes of an expression without the blanks around it.
fn trimmed(source: &str) -> std::ops::Range<usize> {
    let start = source.len() - source.trim_start().len();
    start..start + source.trim().len()
}

/// Where a name, or a member of it, stands in an expression.
fn find(source: &str, root: &str, member: Option<&str>) -> std::ops::Range<usize> {
    let (mut before, mut last) = ("", "");
    for token in tokens(source) {
        let found = match member {
            None => token == root && last != ".",
            Some(member) => token == member && last == "." && before == root,
        };
        if found {
            // tokens are slices of the expression
            let start = (token.as_ptr() as usize).saturating_sub(source.as_ptr() as usize);
            return start..start + token.len();
        }
        (before, last) = (last, token);
    }
    trimmed(source)
}

/// The text of the file with its lines.
struct Source<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Source<'a> {
    fn new(text: &'a str) -> Source<'a> {
        let begin = text.as_ptr() as usize;
        let starts = super::diagnostic::lines(text).map(|l| (l.as_ptr() as usize).saturating_sub(begin)).collect();
        Source { text, starts }
    }

    /// Position and width of a part of an expression, of which `open` bytes of the template stand before its `${{`.
    ///
    /// Falls back to the `${{`, where escapes or folded lines make the file differ from the text, or to the scalar.
    fn place(&self, node: &Node, text: &str, open: usize, source: &str, part: std::ops::Range<usize>) -> (At, u32) {
        let earlier = text.get(..open).unwrap_or_default().matches("${{").count();
        let found = self.byte(node.at).zip(self.byte(node.end)).and_then(|(from, to)| {
            let raw = self.text.get(from..to)?;
            let (at, _) = raw.match_indices("${{").nth(earlier)?;
            Some(from + at)
        });
        let Some(open) = found else { return (node.at, node.width()) };
        let body = self.text.get(open + 3..).unwrap_or_default();
        if !part.is_empty() && body.starts_with(source) {
            let width = source.get(part.clone()).map_or(1, |p| p.chars().count() as u32);
            return (self.at(open + 3 + part.start), width);
        }
        (self.at(open), 3)
    }

    fn byte(&self, at: At) -> Option<usize> {
        let start = *self.starts.get((at.line as usize).checked_sub(1)?)?;
        let rest = self.text.get(start..)?;
        let column = at.column.saturating_sub(1) as usize;
        Some(start + rest.char_indices().nth(column).map_or(rest.len(), |(at, _)| at))
    }

    fn at(&self, byte: usize) -> At {
        let line = self.starts.partition_point(|s| *s <= byte);
        let start = line.checked_sub(1).and_then(|l| self.starts.get(l)).copied().unwrap_or(0);
        let column = self.text.get(start..byte).map_or(0, |t| t.chars().count());
        At { line: line.max(1) as u32, column: column as u32 + 1 }
    }
}
