//! What some faults do to requests before they are understood, and to what is kept of them.

use serde_json::{Map, Value, json};

use super::answer::Answer;
use super::core::Core;
use super::fault::Fault;
use super::form::{self, Field, InputFault, Variable};
use super::payload::Payload;
use super::refusal::Refusal;
use super::request::Request;
use super::routes::Endpoint;
use super::state::State;

/// Turns of one user side by side that the fault of crowds endures.
const CROWD: usize = 5;
/// Members of a turn that the documentation names.
const KNOWN_FIELDS: &[&str] = &[
    "inputs",
    "query",
    "response_mode",
    "conversation_id",
    "user",
    "files",
    "auto_generate_name",
    "workflow_id",
    "trace_id",
];

impl Core {
    /// The body where a fault reads it otherwise than it should.
    pub(super) fn slip_of_body(&self, request: &Request) -> Option<Result<Map<String, Value>, Refusal>> {
        if !self.broken(Fault::AnyContentType) && !self.broken(Fault::NonObjectSlips) {
            return None;
        }
        match serde_json::from_slice(&request.body) {
            Ok(Value::Object(members)) if self.broken(Fault::AnyContentType) => Some(Ok(members)),
            Ok(Value::Object(_)) | Err(_) => None,
            Ok(_) => self.broken(Fault::NonObjectSlips).then(|| Err(Refusal::internal())),
        }
    }

    /// A user's name as the server compares it.
    pub(super) fn spelled_as_kept(&self, user: String) -> String {
        if self.broken(Fault::UsersInLowerCase) { user.to_lowercase() } else { user }
    }

    /// The fault that refuses members it does not know.
    pub(super) fn refuse_unknown_fields(&self, body: &Map<String, Value>) -> Result<(), Refusal> {
        let unknown = body.keys().find(|name| !KNOWN_FIELDS.contains(&name.as_str()));
        match unknown.filter(|_| self.broken(Fault::UnknownFieldsRefused)) {
            Some(name) => Err(Refusal::invalid(format!("{name}: extra inputs are not permitted"))),
            None => Ok(()),
        }
    }

    /// Checks inputs against the form of an app, as carelessly as the fault in force.
    pub(super) fn check_inputs(
        &self,
        form: &[Variable],
        given: &Map<String, Value>,
        fill: bool,
    ) -> Result<Map<String, Value>, InputFault> {
        let mut form = form.to_vec();
        let mut given = given.clone();
        for variable in &mut form {
            let value = given.get(&variable.name).cloned().unwrap_or(Value::Null);
            match (&variable.field, value) {
                (Field::Line(most), Value::String(text)) if self.broken(Fault::LongInputCut) => {
                    given.insert(variable.name.clone(), json!(text.chars().take(*most).collect::<String>()));
                }
                (Field::Select(_), _) if self.broken(Fault::SelectUnchecked) => variable.field = Field::Paragraph,
                (Field::Line(_) | Field::Paragraph, Value::Number(number)) if self.broken(Fault::InputsAsText) => {
                    given.insert(variable.name.clone(), json!(number.to_string()));
                }
                _ => {}
            }
            if self.broken(Fault::DefaultsForgotten) {
                variable.default = None;
            }
        }
        let mut checked = form::check(&form, &given, fill)?;
        if self.broken(Fault::UndeclaredKept) {
            for (name, value) in given {
                checked.entry(name).or_insert(value);
            }
        }
        Ok(checked)
    }

    /// The app a request is answered for: that of its key, or under a fault the one whose conversation it reads.
    pub(super) fn app_asked(&self, app: usize, endpoint: &Endpoint, request: &Request) -> usize {
        let read = request.param("conversation_id").filter(|_| *endpoint == Endpoint::Messages);
        let Some(id) = read.filter(|_| self.broken(Fault::ConversationsOfAnyApp)) else { return app };
        (0..self.app_count()).find(|other| self.state(*other).owner(id).is_some()).unwrap_or(app)
    }

    /// The fault that turns away one turn too many with a page for people.
    pub(super) fn crowded(&self, state: &State, user: &str) -> Option<Answer> {
        let crowd = state.running.values().filter(|running| running.user == user).count();
        if self.broken(Fault::CrowdSlips) && crowd >= CROWD {
            return Some(self.refuse(&Refusal::unknown(&self.behaviour)));
        }
        (self.broken(Fault::CrowdRefusedInHtml) && crowd >= CROWD).then(|| Answer {
            status: 503,
            headers: self.headers("text/html; charset=utf-8", false),
            body: b"<html><h1>503 Service Unavailable</h1></html>\n".to_vec(),
        })
    }

    /// A fresh message id, or under the fault of caches that of the same request before.
    pub(super) fn message_id(&self, state: &mut State, payload: &Payload) -> String {
        let id = state.uuid();
        if !self.broken(Fault::CachedByBody) || payload.streaming {
            return id;
        }
        let asked = json!([payload.user, payload.inputs, payload.query, payload.conversation_sent]).to_string();
        state.slips.replies.entry(asked).or_insert(id).clone()
    }

    /// What the model is told: under the fault of twins the query of another turn of the same conversation.
    pub(super) fn query_for_model(&self, state: &State, conversation: &str, own: &str) -> String {
        let other = state.running.values().find(|running| running.conversation.as_deref() == Some(conversation));
        match other.filter(|_| self.broken(Fault::TwinTurnsMixed)) {
            Some(running) => running.query.clone(),
            None => own.to_owned(),
        }
    }
}
