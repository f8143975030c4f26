//! Chat turns, completions and runs as steps.

use super::said::Seen;
use super::step::{Scope, Step};
use super::text;
use super::yaml::Node;
use crate::model::Endpoint;
use crate::schema;
use serde_json::{Map, Value};

/// A turn as a step, and what stands for its conversation where it goes on with one. `None` where only a spelled-out
/// request can say the same.
pub(super) fn step(seen: &Seen<'_>, id: String, mode: &str, scope: &mut Scope) -> Option<(Step, Option<String>)> {
    let body = seen.body.as_ref()?.as_object()?;
    let whole = Value::Object(body.clone());
    let inputs = body.get("inputs").and_then(Value::as_object)?;
    let legal = schema::check_request(seen.route.endpoint, &whole).is_empty();
    if !legal || !text::is_writable(&whole) || !seen.route.query.is_empty() {
        return None;
    }
    let action = match seen.route.endpoint {
        Endpoint::ChatMessages => "chat",
        Endpoint::CompletionMessages => "completion",
        Endpoint::WorkflowRun | Endpoint::WorkflowRunById => "workflow",
        _ => return None,
    };
    if action == "chat" && !body.contains_key("query") {
        return None;
    }
    let mut turn = Turn { members: Vec::new(), notes: Vec::new() };
    if seen.route.endpoint == Endpoint::WorkflowRunById {
        let version = seen.route.ids.first()?;
        let version = scope.reference(version).unwrap_or_else(|| scope.users.escape(version));
        turn.add("version", Node::text(version));
    }
    if let Some(query) = body.get("query") {
        turn.add("query", scope.said("query", query));
    }
    turn.inputs(inputs, scope);
    turn.add("fill", Node::word("false"));
    let conversation = turn.conversation(body, action, scope);
    let sent_mode = body.get("response_mode").and_then(Value::as_str);
    if let Some(sent) = sent_mode.filter(|sent| *sent != mode) {
        turn.add("mode", Node::word(sent));
    }
    turn.others(body, action, sent_mode.is_some(), scope);
    let mut step = Step::new(id, action, turn.members);
    step.notes = turn.notes;
    Some((step, conversation))
}

/// Response mode that a turn asks for.
pub(super) fn mode_of<'s>(seen: &'s Seen<'_>) -> Option<&'s str> {
    let mode = seen.body.as_ref()?.get("response_mode")?.as_str()?;
    matches!(mode, "streaming" | "blocking").then_some(mode)
}

struct Turn {
    members: Vec<(String, Node)>,
    notes: Vec<String>,
}

impl Turn {
    fn add(&mut self, key: &str, node: Node) {
        self.members.push((key.to_owned(), node));
    }

    fn inputs(&mut self, inputs: &Map<String, Value>, scope: &mut Scope) {
        if inputs.is_empty() {
            return;
        }
        let mut members = Vec::new();
        for (name, value) in inputs {
            members.push((scope.users.escape(name), scope.said(name, value)));
        }
        self.add("inputs", Node::Map(members));
    }

    /// The conversation that the turn goes on with, as template; a new one otherwise.
    fn conversation(&mut self, body: &Map<String, Value>, action: &str, scope: &mut Scope) -> Option<String> {
        let id = body.get("conversation_id").filter(|_| action != "workflow")?;
        let Some(id) = id.as_str().filter(|id| !id.is_empty()) else {
            self.add("conversation", Node::Json(id.clone()));
            return None;
        };
        let reference = scope.reference(id);
        match &reference {
            Some(reference) => self.add("conversation", Node::text(reference.clone())),
            None => self
                .notes
                .push("The conversation began before the recording: this turn begins a new one instead.".to_owned()),
        }
        reference
    }

    /// Members that have no key of their own, and those that were not there.
    fn others(&mut self, body: &Map<String, Value>, action: &str, has_mode: bool, scope: &mut Scope) {
        let mut with = Vec::new();
        for (name, value) in body {
            match name.as_str() {
                "query" | "inputs" | "user" | "response_mode" => {}
                "conversation_id" if action != "workflow" => {}
                // left out means true, which costs the server a call of the model
                "auto_generate_name" if action == "chat" => {}
                "files" => with.extend(self.files(value, scope)),
                _ => with.push((name.clone(), Node::Json(scope.resolve(value).0))),
            }
        }
        let auto_name = body.get("auto_generate_name").is_none_or(|v| v == &Value::Bool(true));
        if action == "chat" && auto_name && !body.get("conversation_id").is_some_and(is_filled) {
            self.add("auto-name", Node::word("true"));
        }
        if !with.is_empty() {
            self.add("with", Node::Map(with));
        }
        let mut omit = Vec::new();
        if !has_mode {
            omit.push(Node::word("response_mode"));
        }
        if !body.contains_key("user") {
            omit.push(Node::word("user"));
        }
        if !omit.is_empty() {
            self.add("omit", Node::Inline(Box::new(Node::List(omit))));
        }
    }

    /// Files of a turn, but for those whose upload was not recorded.
    fn files(&mut self, files: &Value, scope: &mut Scope) -> Option<(String, Node)> {
        let Value::Array(files) = files else {
            return Some(("files".to_owned(), Node::Json(scope.resolve(files).0)));
        };
        let mut kept = Vec::new();
        for file in files {
            let upload = file.get("upload_file_id").and_then(Value::as_str).filter(|id| !id.is_empty());
            let resolved = scope.resolve(file);
            if upload.is_some() && !resolved.1 {
                self.notes.push("A file is left out: its upload was not recorded.".to_owned());
            } else {
                kept.push(resolved.0);
            }
        }
        (!kept.is_empty()).then(|| ("files".to_owned(), Node::Json(Value::Array(kept))))
    }
}

fn is_filled(id: &Value) -> bool {
    id.as_str().is_some_and(|id| !id.is_empty())
}
