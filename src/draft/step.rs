//! One step of a draft, and the names that a flow gives to things.

use super::said::Seen;
use super::text::{self, Users};
use super::yaml::{Node, map};
use crate::model::Endpoint;
use serde_json::Value;
use std::collections::{HashMap, HashSet};

/// Name of the data of a scenario.
pub(super) const SAID: &str = "said";

/// Names that captures may not take.
const TAKEN: [&str; 10] = ["run", "app", "user", "vu", "iteration", "lane", SAID, "nonce", "uuid", "words"];

/// One step.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) id: String,
    /// The action's key and what stands under it.
    pub(super) action: &'static str,
    pub(super) members: Vec<(String, Node)>,
    /// End user, where it is not the first one of the flow.
    pub(super) user: Option<String>,
    pub(super) headers: Vec<(String, Node)>,
    pub(super) captures: Vec<(String, String)>,
    pub(super) expects: Vec<Node>,
    /// Steps while the stream is open, after so many events.
    pub(super) during: Option<(usize, Vec<Step>)>,
    /// Comments before it.
    pub(super) notes: Vec<String>,
    /// From the end of this exchange to the sending of the next one, in microseconds.
    pub(super) pause_us: Option<u64>,
}

impl Step {
    pub(super) fn new(id: String, action: &'static str, members: Vec<(String, Node)>) -> Step {
        Step {
            id,
            action,
            members,
            user: None,
            headers: Vec::new(),
            captures: Vec::new(),
            expects: Vec::new(),
            during: None,
            notes: Vec::new(),
            pause_us: None,
        }
    }

    /// The step as it stands in a file; `think` is the pause after it.
    pub(super) fn node(&self, think: Option<String>) -> Node {
        let mut members = self.members.clone();
        if let Some((after, steps)) = &self.during {
            let steps = Node::List(steps.iter().map(|s| s.node(None)).collect());
            let during = map(vec![("after-events", Node::word(after.to_string())), ("steps", steps)]);
            members.push(("during".to_owned(), during));
        }
        let mut step = vec![("id", Node::word(self.id.clone())), (self.action, Node::Map(members))];
        if let Some(user) = &self.user {
            step.push(("user", Node::text(user.clone())));
        }
        if !self.headers.is_empty() {
            step.push(("headers", Node::Map(self.headers.clone())));
        }
        if !self.captures.is_empty() {
            let captures = self.captures.iter().map(|(name, path)| (name.clone(), Node::text(path.clone())));
            step.push(("capture", Node::Map(captures.collect())));
        }
        if !self.expects.is_empty() {
            step.push(("expect", Node::List(self.expects.clone())));
        }
        if let Some(think) = think {
            step.push(("think", Node::word(think)));
        }
        let step = map(step);
        if self.notes.is_empty() { step } else { Node::Noted(self.notes.clone(), Box::new(step)) }
    }
}

/// What a flow knows while its steps are written.
#[derive(Default)]
pub(super) struct Scope {
    pub(super) users: Users,
    /// What was said: name in the data row, and the value as template JSON.
    pub(super) row: Vec<(String, Value)>,
    /// Id -> where it was given.
    known: HashMap<String, Source>,
    /// Names of captures.
    names: HashSet<String>,
    /// Captures that are used: step, name, path.
    pub(super) used: Vec<(String, String, String)>,
}

#[derive(Clone)]
struct Source {
    /// Id of the step.
    step: String,
    path: String,
    /// What to call it.
    wanted: String,
    /// Its name, once it is used.
    name: Option<String>,
}

impl Scope {
    /// Notes the ids that the reply of a step gave.
    pub(super) fn learn(&mut self, step: &str, seen: &Seen<'_>) {
        for given in &seen.given {
            let wanted = capture_name(&given.member, seen.route.endpoint);
            self.known.entry(given.id.clone()).or_insert_with(|| Source {
                step: step.to_owned(),
                path: given.path.clone(),
                wanted,
                name: None,
            });
        }
    }

    /// The template that stands for an id of an earlier reply.
    pub(super) fn reference(&mut self, id: &str) -> Option<String> {
        let names = &self.names;
        let source = self.known.get_mut(id)?;
        if source.name.is_none() {
            let taken = |name: &str| TAKEN.contains(&name) || names.contains(name);
            let name = text::unused(&source.wanted, taken);
            self.names.insert(name.clone());
            self.used.push((source.step.clone(), name.clone(), source.path.clone()));
            source.name = Some(name);
        }
        source.name.as_ref().map(|name| format!("${{{{ {name} }}}}"))
    }

    /// Puts a value into the data row and gives the template for it.
    pub(super) fn datum(&mut self, wanted: &str, value: &Value) -> String {
        let name = text::unused(&text::identifier(wanted), |name| self.row.iter().any(|(n, _)| n == name));
        self.row.push((name.clone(), self.users.escape_json(value)));
        format!("${{{{ {SAID}.{name} }}}}")
    }

    /// JSON with ids of earlier replies as references and all else escaped. Tells whether there were any.
    pub(super) fn resolve(&mut self, value: &Value) -> (Value, bool) {
        match value {
            Value::String(id) => match self.reference(id) {
                Some(reference) => (Value::String(reference), true),
                None => (self.users.escape_json(value), false),
            },
            Value::Array(items) => {
                let resolved: Vec<(Value, bool)> = items.iter().map(|item| self.resolve(item)).collect();
                let any = resolved.iter().any(|(_, found)| *found);
                (resolved.into_iter().map(|(value, _)| value).collect(), any)
            }
            Value::Object(members) => {
                let mut any = false;
                let resolved = members.iter().map(|(key, value)| {
                    let (value, found) = self.resolve(value);
                    any |= found;
                    (self.users.escape(key), value)
                });
                let resolved = Value::Object(resolved.collect());
                (resolved, any)
            }
            other => (other.clone(), false),
        }
    }

    /// What was said, as a template: a reference where an id is in it, else a member of the data row.
    pub(super) fn said(&mut self, wanted: &str, value: &Value) -> Node {
        match self.resolve(value) {
            (resolved, true) => Node::Json(resolved),
            (_, false) => Node::text(self.datum(wanted, value)),
        }
    }
}

/// What an id is called in the file.
fn capture_name(member: &str, endpoint: Endpoint) -> String {
    let name = match (member, endpoint) {
        ("conversation_id", _) | ("id", Endpoint::Conversations) => "conversation",
        ("message_id", _) | ("id", Endpoint::Messages) => "message",
        ("task_id", _) => "task",
        ("workflow_run_id", _) => "workflow_run",
        ("id", Endpoint::FileUpload) => "file",
        ("id", Endpoint::AnnotationCreate | Endpoint::Annotations) => "annotation",
        (other, _) => return text::identifier(other),
    };
    name.to_owned()
}
