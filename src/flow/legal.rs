//! Our own requests are held against the documentation before they are sent: what a scenario did not mean to break must not
//! be blamed on a server.

use crate::model::Endpoint;
use crate::scenario::ast::{Action, Step};
use crate::schema;
use serde_json::Value;

/// What is wrong with the body that a step is about to send, in words; `None` for a legal body, and for one that the
/// scenario breaks on purpose: a turn that changes members by `with` or `omit`, a `request` that is spelled out.
pub(super) fn fault(step: &Step, body: &Value) -> Option<String> {
    let endpoint = match &step.action {
        Action::Chat(turn) | Action::Completion(turn) | Action::Workflow(turn)
            if !(turn.with.is_empty() && turn.omit.is_empty()) =>
        {
            return None;
        }
        Action::Chat(_) => Endpoint::ChatMessages,
        Action::Completion(_) => Endpoint::CompletionMessages,
        Action::Workflow(_) => Endpoint::WorkflowRun,
        // The three operations take one body.
        Action::Stop { .. } => Endpoint::ChatStop,
        Action::Feedback { .. } => Endpoint::Feedback,
        Action::Rename { .. } => Endpoint::ConversationRename,
        Action::Delete { .. } => Endpoint::ConversationDelete,
        _ => return None,
    };
    let violations = schema::check_request(endpoint, body);
    let first = violations.first()?;
    Some(format!(
        "its request is not what schemas/{} allows: {first}; if that is meant, use `with`, `omit` or `request`",
        schema::request_file(endpoint).unwrap_or_default()
    ))
}
