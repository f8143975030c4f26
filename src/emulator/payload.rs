//! The body of a turn: presence and types of its members, before forms and conversations are looked at.

use serde_json::{Map, Value, json};

use super::config::AppMode;
use super::core::Core;
use super::fault::Fault;
use super::refusal::{BadParameter, Problem, Refusal, python_repr};
use super::request::{COLUMN_CHARS, Request, user_in_body};

/// What a turn asks for, after the check of its types.
#[derive(Debug, Clone)]
pub struct Payload {
    /// Whose turn it is.
    pub user: String,
    /// The inputs, not yet checked against the form.
    pub inputs: Map<String, Value>,
    /// What the user says.
    pub query: String,
    /// The answer is to be streamed.
    pub streaming: bool,
    /// The conversation to continue, in normal form.
    pub conversation: Option<String>,
    /// A model is to name a new conversation.
    pub name_by_model: bool,
    /// The body has a `conversation_id`, whatever it holds.
    pub conversation_sent: bool,
    /// Files as given, each an object.
    pub files: Vec<Map<String, Value>>,
}

impl Core {
    /// The body of a turn as a JSON object.
    pub(super) fn body_of_turn(&self, request: &Request) -> Result<Map<String, Value>, Refusal> {
        if let Some(slip) = self.slip_of_body(request) {
            return slip;
        }
        request.json(&self.behaviour).map_err(|refusal| {
            if refusal.code == "bad_request" && self.broken(Fault::MalformedJson415) {
                Refusal::unsupported_media_type()
            } else {
                refusal
            }
        })
    }

    /// Checks presence and types of the members of a turn.
    pub(super) fn payload(&self, app: usize, mode: AppMode, body: &Map<String, Value>) -> Result<Payload, Refusal> {
        let blocking_asked = body.get("response_mode").and_then(Value::as_str) != Some("streaming");
        let user = match user_in_body(body) {
            Some(user) => user,
            None if self.broken(Fault::AnonymousUser) && blocking_asked => "anonymous".to_owned(),
            None => return Err(Refusal::user_missing()),
        };
        let user = self.spelled_as_kept(user);
        if self.behaviour.database_slips && user.chars().count() > COLUMN_CHARS {
            return Err(Refusal::unknown(&self.behaviour));
        }
        self.demand_mode(app, mode)?;
        self.refuse_unknown_fields(body)?;
        let schema = match mode {
            AppMode::Chat | AppMode::AgentChat | AppMode::Agent | AppMode::AdvancedChat => "ChatRequestPayload",
            AppMode::Workflow => "WorkflowRunPayload",
            AppMode::Completion => "CompletionRequestPayload",
        };
        let inputs = match self.inputs_member(schema, body) {
            Err(_) if self.broken(Fault::InputsOptional) && mode == AppMode::Completion && blocking_asked => Map::new(),
            other => other?,
        };
        let query = self.query_member(schema, mode, body, blocking_asked)?;
        let conversation = match mode {
            AppMode::Chat | AppMode::AgentChat | AppMode::Agent | AppMode::AdvancedChat => {
                self.conversation_member(schema, body)?
            }
            AppMode::Completion | AppMode::Workflow => None,
        };
        let streaming = self.streaming_member(schema, body, conversation.is_some())?;
        let name_by_model = match body.get("auto_generate_name") {
            None => true,
            Some(Value::Bool(wanted)) => *wanted,
            Some(_) if self.behaviour.lenient_types || mode == AppMode::Completion => true,
            Some(other) => return Err(self.bad(schema, "auto_generate_name", Problem::NotBool, other.clone())),
        };
        let conversation_sent = body.contains_key("conversation_id");
        let files = self.files_member(schema, body)?;
        Ok(Payload { user, inputs, query, streaming, conversation, name_by_model, conversation_sent, files })
    }

    fn bad(&self, schema: &'static str, name: &'static str, problem: Problem, given: Value) -> Refusal {
        BadParameter { schema, name, problem, given }.refusal(&self.behaviour)
    }

    fn files_member(
        &self,
        schema: &'static str,
        body: &Map<String, Value>,
    ) -> Result<Vec<Map<String, Value>>, Refusal> {
        const NAMES: [&str; 4] = ["files.0", "files.1", "files.2", "files.3"];
        let items = match body.get("files") {
            None | Some(Value::Null) => return Ok(Vec::new()),
            Some(Value::Array(items)) => items,
            Some(_) if self.behaviour.lenient_types => return Err(Refusal::unknown(&self.behaviour)),
            Some(other) => return Err(self.bad(schema, "files", Problem::NotList, other.clone())),
        };
        let names = NAMES.into_iter().chain(std::iter::repeat("files"));
        let member = |(item, name): (&Value, &'static str)| match item {
            Value::Object(file) => Ok(file.clone()),
            other => Err(self.bad(schema, name, Problem::NotObject, other.clone())),
        };
        items.iter().zip(names).map(member).collect()
    }

    pub(super) fn inputs_member(
        &self,
        schema: &'static str,
        body: &Map<String, Value>,
    ) -> Result<Map<String, Value>, Refusal> {
        match body.get("inputs") {
            Some(Value::Object(inputs)) => Ok(inputs.clone()),
            Some(Value::Null) if self.behaviour.lenient_types => Ok(Map::new()),
            Some(Value::Array(items)) if self.behaviour.lenient_types && items.is_empty() => Ok(Map::new()),
            Some(other) => Err(self.bad(schema, "inputs", Problem::NotObject, other.clone())),
            None => Err(self.bad(schema, "inputs", Problem::Missing, Value::Object(body.clone()))),
        }
    }

    fn query_member(
        &self,
        schema: &'static str,
        mode: AppMode,
        body: &Map<String, Value>,
        blocking: bool,
    ) -> Result<String, Refusal> {
        let query = match body.get("query") {
            Some(Value::String(text)) => Ok(text.clone()),
            None | Some(Value::Null) if mode == AppMode::Completion => Ok(String::new()),
            None => Err(self.bad(schema, "query", Problem::Missing, Value::Object(body.clone()))),
            Some(Value::Null) if self.behaviour.lenient_types => {
                Err(self.bad(schema, "query", Problem::Missing, Value::Null))
            }
            Some(other) if self.behaviour.lenient_types => Ok(python_repr(other)),
            Some(other) => Err(self.bad(schema, "query", Problem::NotText, other.clone())),
        };
        let first_turn = body.get("conversation_id").is_none_or(|id| id.is_null() || id == "");
        let query = match query {
            Err(_) if self.broken(Fault::QueryOptional) && blocking && first_turn => return Ok(String::new()),
            other => other?,
        };
        if mode == AppMode::Chat && query.is_empty() {
            return Err(Refusal::invalid("query is required"));
        }
        let in_inputs = body.get("inputs").and_then(|inputs| inputs.get("query"));
        if self.broken(Fault::CompletionNeedsQuery) && query.is_empty() && in_inputs.is_none() {
            return Err(Refusal::invalid("query is required"));
        }
        Ok(query)
    }

    fn conversation_member(&self, schema: &'static str, body: &Map<String, Value>) -> Result<Option<String>, Refusal> {
        let text = match body.get("conversation_id") {
            None => return Ok(None),
            Some(Value::Null) if !self.broken(Fault::NullConversationIdRefused) => return Ok(None),
            Some(Value::String(text)) => text,
            Some(Value::Number(_)) if self.behaviour.database_slips && !self.behaviour.lenient_types => {
                return Err(Refusal::unknown(&self.behaviour));
            }
            Some(other) => return Err(self.bad(schema, "conversation_id", Problem::NotText, other.clone())),
        };
        if text.is_empty() || (self.behaviour.spaces_are_blank && text.trim().is_empty()) {
            return Ok(None);
        }
        match self.conversation_id(text.trim()) {
            Some(id) => Ok(Some(id)),
            None if self.broken(Fault::MalformedConversationId404) => Err(self.conversation_not_found("chat-messages")),
            None => {
                let problem = Problem::Value("conversation_id must be a valid UUID");
                Err(self.bad(schema, "conversation_id", problem, json!(text)))
            }
        }
    }

    pub(super) fn streaming_member(
        &self,
        schema: &'static str,
        body: &Map<String, Value>,
        later: bool,
    ) -> Result<bool, Refusal> {
        const MODES: &[&str] = &["blocking", "streaming"];
        match body.get("response_mode") {
            None => Ok(self.broken(Fault::StreamsByDefault)),
            Some(Value::Null) if self.behaviour.null_response_mode => Ok(false),
            Some(Value::String(mode)) if mode == "blocking" => Ok(later && self.broken(Fault::StreamsLaterBlocking)),
            Some(Value::String(mode)) if mode == "streaming" => Ok(true),
            Some(_) if self.broken(Fault::AnyModeBlocks) => Ok(false),
            Some(other) => Err(self.bad(schema, "response_mode", Problem::NoChoice(MODES), other.clone())),
        }
    }
}
