//! Paused runs: the form a person fills in, and its two requests.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::answer::{Answer, Reply};
use super::core::Core;
use super::fault::Fault;
use super::flow_events::{self, Frame};
use super::memory::Form;
use super::refusal::Refusal;
use super::request::{Request, user_in_body};
use super::runner::Run;

/// The node that asks.
pub const NODE: (&str, &str) = ("approval", "Approval");
/// Seconds a form stays open.
pub const PATIENCE: i64 = 86_400;

fn inputs() -> Value {
    json!([{"type": "paragraph", "output_variable_name": "comment", "default": {"type": "constant", "selector": [],
            "value": ""}}])
}

fn actions() -> Value {
    json!([
        {"id": "approve", "title": "Approve", "button_style": "primary"},
        {"id": "reject", "title": "Reject", "button_style": "default"}
    ])
}

/// The title of an action; none if the form does not offer it.
pub fn action_title(id: &str) -> Option<&'static str> {
    match id {
        "approve" => Some("Approve"),
        "reject" => Some("Reject"),
        _ => None,
    }
}

/// `human_input_required`.
pub fn required(frame: &Frame, form: &Form, token: &str) -> Map<String, Value> {
    let data = json!({
        "form_id": form.id, "node_id": NODE.0, "node_title": NODE.1, "form_content": form.content,
        "inputs": inputs(), "actions": actions(), "display_in_ui": true, "form_token": token,
        "resolved_default_values": {"comment": ""}, "expiration_time": form.expires_at
    });
    flow_events::event("human_input_required", frame, data)
}

/// `workflow_paused`.
pub fn paused(
    frame: &Frame,
    form_id: &str,
    created_at: i64,
    elapsed: f64,
    tokens: u64,
    steps: u64,
) -> Map<String, Value> {
    let data = json!({
        "workflow_run_id": frame.run, "paused_nodes": [NODE.0], "outputs": {},
        "reasons": [{"TYPE": "human_input_required", "form_id": form_id, "node_id": NODE.0, "node_title": NODE.1}],
        "status": "paused", "created_at": created_at, "elapsed_time": elapsed, "total_tokens": tokens,
        "total_steps": steps
    });
    flow_events::event("workflow_paused", frame, data)
}

/// `human_input_form_filled`.
pub fn filled(frame: &Frame, action: &str, content: &str, submitted: &Map<String, Value>) -> Map<String, Value> {
    let data = json!({
        "node_id": NODE.0, "node_title": NODE.1, "rendered_content": content, "action_id": action,
        "action_text": action_title(action), "submitted_data": submitted
    });
    flow_events::event("human_input_form_filled", frame, data)
}

fn not_found() -> Refusal {
    Refusal::not_found("Form not found")
}

impl Core {
    /// The app whose form this is, if the key may see it.
    fn app_of_form(&self, app: usize, token: &str) -> Option<usize> {
        let knows = |app: &usize| self.state(*app).memory.forms.contains_key(token);
        if self.broken(Fault::FormOfAnyApp) {
            return (0..self.app_count()).find(knows);
        }
        Some(app).filter(knows)
    }

    /// `GET /form/human_input/{token}`.
    pub(super) fn show_form(&self, app: usize, token: &str) -> Result<Answer, Refusal> {
        let app = self.app_of_form(app, token).ok_or_else(not_found)?;
        let state = self.state(app);
        let form = state.memory.forms.get(token).ok_or_else(not_found)?;
        if form.parked.is_none() && !self.broken(Fault::FormTwice) {
            return Err(submitted(&form.id));
        }
        let body = json!({
            "form_content": form.content, "inputs": inputs(), "resolved_default_values": {"comment": ""},
            "user_actions": actions(), "expiration_time": form.expires_at
        });
        drop(state);
        Ok(self.json(200, &body))
    }

    /// `POST /form/human_input/{token}`: the run goes on.
    pub(super) fn submit_form(self: &Arc<Self>, app: usize, token: &str, request: &Request) -> Result<Reply, Refusal> {
        let body = request.json(&self.behaviour)?;
        user_in_body(&body).ok_or_else(Refusal::user_missing)?;
        let app = self.app_of_form(app, token).ok_or_else(not_found)?;
        let mut state = self.state(app);
        let form = state.memory.forms.get_mut(token).ok_or_else(not_found)?;
        if form.parked.is_none() {
            if self.broken(Fault::FormTwice) {
                drop(state);
                return Ok(Reply::Whole(self.json(200, &json!({}))));
            }
            return Err(submitted(&form.id));
        }
        let wrong = |text: &str| Refusal::new(400, "invalid_form_data", text);
        let action = body.get("action").and_then(Value::as_str).unwrap_or_default();
        if action_title(action).is_none() {
            return Err(wrong(&format!("Invalid action: {action}")));
        }
        let Some(Value::Object(given)) = body.get("inputs") else {
            return Err(wrong("inputs must be an object"));
        };
        if !given.get("comment").is_some_and(Value::is_string) {
            return Err(wrong("Missing required inputs: comment"));
        }
        let story = form.parked.take().ok_or_else(not_found)?;
        drop(state);
        let run = Run::resumed(Arc::clone(self), *story, action.to_owned(), given.clone());
        Ok(Reply::Resumed(self.json(200, &json!({})), Box::new(run)))
    }
}

fn submitted(form_id: &str) -> Refusal {
    let text = format!("This form has already been submitted by another user, form_id={form_id}");
    Refusal::new(412, "human_input_form_submitted", text)
}
