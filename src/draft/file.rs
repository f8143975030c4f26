//! Flows that are alike -> one scenario file.

use super::step::{SAID, Step};
use super::writer::Written;
use super::yaml::{Node, comment, document, map};
use super::{DraftFile, Drafts};
use crate::model::App;
use serde_json::{Map, Value};

/// Longest file that is written; the reader takes 1 MiB.
const LONGEST: usize = 900 << 10;

/// Most rows of one scenario.
const MOST_ROWS: usize = 500;

/// Characters of a text that is shortened because the file would be too long.
const SHORTENED: usize = 2000;

/// Flows with the same steps.
struct Fold {
    written: Written,
    rows: Vec<Map<String, Value>>,
    /// How often it was seen.
    times: usize,
    /// Pauses after each step, of all flows.
    pauses: Vec<Vec<u64>>,
}

/// Adds the files of an app.
pub(super) fn files(app: &App, name: &str, flows: Vec<Written>, rest: Option<Written>, drafts: &mut Drafts) {
    let mut folds: Vec<(String, Fold)> = Vec::new();
    let mut homeless = Vec::new();
    for mut written in flows.into_iter().chain(rest) {
        if written.steps.is_empty() {
            homeless.append(&mut written.notes);
            continue;
        }
        let shape = shape(&written);
        match folds.iter_mut().find(|(known, _)| *known == shape) {
            Some((_, fold)) => fold.add(written),
            None => folds.push((shape, Fold::new(written))),
        }
    }
    let mut numbers: Vec<(&str, usize)> = Vec::new();
    let mut header = homeless;
    for (_, fold) in &folds {
        let kind = fold.written.kind;
        let number = match numbers.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, number)) => {
                *number += 1;
                *number
            }
            None => {
                numbers.push((kind, 1));
                1
            }
        };
        let stem = format!("{kind}-{number}");
        let id = format!("{}.{}.{stem}", word(name), word(&app.label));
        let path = format!("{}/{stem}.yaml", word(&app.label));
        let title = fold.title();
        let text = fold.file(app, &id, &title, &std::mem::take(&mut header));
        drafts.files.push(DraftFile { path, title, text });
    }
    drafts.notes.extend(header.into_iter().map(|note| format!("app {}: {note}", app.label)));
}

/// What must be the same for two flows to be one scenario.
fn shape(written: &Written) -> String {
    let steps = Node::List(written.steps.iter().map(|step| step.node(None)).collect());
    let notes = written.notes.join("\n");
    format!("{} {} {}\n{notes}", written.kind, written.mode, document(&[("steps".to_owned(), steps)]))
}

/// Lower-case letters, digits and single `-`, as ids are made of.
fn word(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let parts = lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| !part.is_empty());
    let word = parts.collect::<Vec<_>>().join("-");
    if word.is_empty() { "recorded".to_owned() } else { word }
}

impl Fold {
    fn new(written: Written) -> Fold {
        let mut fold = Fold {
            rows: Vec::new(),
            times: 0,
            pauses: written.steps.iter().map(|_| Vec::new()).collect(),
            written: Written { row: Map::new(), steps: written.steps.clone(), notes: written.notes.clone(), ..written },
        };
        fold.take(written.row, &written.steps);
        fold
    }

    fn add(&mut self, written: Written) {
        self.written.exchanges += written.exchanges;
        self.take(written.row, &written.steps);
    }

    fn take(&mut self, row: Map<String, Value>, steps: &[Step]) {
        self.times += 1;
        for (pauses, step) in self.pauses.iter_mut().zip(steps) {
            pauses.extend(step.pause_us);
        }
        if !row.is_empty() && !self.rows.contains(&row) {
            self.rows.push(row);
        }
    }

    fn title(&self) -> String {
        let steps = self.written.steps.len();
        let what = match (self.written.kind, steps) {
            ("conversation", 1) => "A conversation of one turn".to_owned(),
            ("conversation", _) => format!("A conversation in {steps} steps"),
            ("completion", _) => "A completion".to_owned(),
            ("workflow", _) => "A run of the workflow".to_owned(),
            (_, 1) => "A request that belongs to nothing else".to_owned(),
            _ => format!("{steps} requests that belong to nothing else"),
        };
        let seen = match self.times {
            1 => "recorded once".to_owned(),
            2 => "recorded twice".to_owned(),
            times => format!("recorded {times} times"),
        };
        format!("{what}, {seen}")
    }

    fn file(&self, app: &App, id: &str, title: &str, header: &[String]) -> String {
        let mut rows: Vec<Map<String, Value>> = self.rows.iter().take(MOST_ROWS).cloned().collect();
        let mut text = self.with_rows(&rows, app, id, title, header);
        while text.len() > LONGEST && rows.len() > 1 {
            rows.truncate(rows.len() / 2);
            text = self.with_rows(&rows, app, id, title, header);
        }
        if text.len() > LONGEST {
            rows.iter_mut().for_each(|row| row.values_mut().for_each(shorten));
            let mut header = header.to_vec();
            header.push("What was said is shortened: it was too long for a scenario file.".to_owned());
            text = self.with_rows(&rows, app, id, title, &header);
        }
        text
    }

    fn with_rows(&self, rows: &[Map<String, Value>], app: &App, id: &str, title: &str, header: &[String]) -> String {
        let mut out = String::new();
        comment(
            "Made by `difyprobe record` of real traffic. Queries, inputs and files are as they were: read them before",
            &mut out,
        );
        comment("you share this file.", &mut out);
        header.iter().for_each(|note| comment(note, &mut out));
        let missing = self.rows.len() - rows.len();
        if missing > 0 {
            comment(&format!("{missing} more rows were recorded; the file would be too long with them."), &mut out);
        }
        let modes: Vec<Node> = match app.mode {
            Some(mode) => vec![Node::word(mode.as_str())],
            None => self.written.modes.iter().map(|mode| Node::word(mode.as_str())).collect(),
        };
        let target =
            map(vec![("app", Node::Inline(Box::new(Node::List(modes)))), ("mode", Node::word(self.written.mode))]);
        let mut members = vec![
            ("difyprobe", Node::word("1")),
            ("id", Node::word(id)),
            ("title", Node::text(title)),
            ("target", Node::Inline(Box::new(target))),
        ];
        if !rows.is_empty() {
            let each = Node::List(rows.iter().map(|row| Node::Json(Value::Object(row.clone()))).collect());
            members.push(("data", map(vec![(SAID, map(vec![("each", each)]))])));
        }
        let steps = self.written.steps.iter().zip(&self.pauses).map(|(step, pauses)| step.node(think(pauses)));
        members.push(("steps", Node::List(steps.collect())));
        let members: Vec<(String, Node)> = members.into_iter().map(|(key, node)| (key.to_owned(), node)).collect();
        out.push_str(&document(&members));
        self.written.notes.iter().for_each(|note| comment(note, &mut out));
        out
    }
}

/// The median pause as think time; none where nobody waited.
fn think(pauses: &[u64]) -> Option<String> {
    let mut sorted = pauses.to_vec();
    sorted.sort_unstable();
    let ms = sorted.get(sorted.len() / 2)?.div_euclid(1000).min(60_000);
    match ms {
        0..200 => None,
        200..1000 => Some(format!("{ms}ms")),
        _ => Some(format!("{}.{}s", ms / 1000, ms % 1000 / 100)),
    }
}

/// Cuts long texts; what they are templates of is cut with them.
fn shorten(value: &mut Value) {
    match value {
        Value::String(text) if text.chars().count() > SHORTENED => {
            let mut short: String = text.chars().take(SHORTENED).collect();
            // half an expression is none
            if let Some(open) = short.rfind("${{")
                && !short.get(open..).is_some_and(|rest| rest.contains("}}"))
            {
                short.truncate(open);
            }
            *text = format!("{} ...", short.trim_end_matches('$'));
        }
        Value::Array(items) => items.iter_mut().for_each(shorten),
        Value::Object(members) => members.values_mut().for_each(shorten),
        _ => {}
    }
}
