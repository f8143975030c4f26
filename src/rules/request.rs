//! What a request asked for, and what is wrong with it: the facts that decide which answer is right.

use super::form::Form;
use crate::model::{App, AppMode, ControlKind, Endpoint, Exchange, InputField, Route};
use serde_json::{Map, Value};

/// One thing that makes a generation request invalid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Defect {
    /// No usable key.
    Credential,
    /// The key belongs to an app of a mode that this operation does not serve.
    WrongApp,
    /// Not declared as `application/json`.
    ContentType,
    /// Body does not parse.
    BrokenJson,
    /// Body is JSON but no object.
    NotAnObject,
    /// `user` absent, null or empty.
    User,
    /// `inputs` absent, null, a string, an array or another non-object.
    Inputs(&'static str),
    /// A required input is absent or null.
    InputMissing(String),
    /// An input breaks its form: type, length, option.
    InputInvalid(String),
    /// `query` absent, empty, null or not a string.
    Query(&'static str),
    /// `response_mode` is none of the legal values.
    Mode,
    /// `blocking` asked of an app that cannot.
    Unblockable,
    /// `conversation_id` is text but no UUID.
    ConversationMalformed,
    /// A workflow version is asked for by text that is no UUID.
    VersionMalformed,
    /// A workflow version is asked for by a UUID; whether it exists cannot be told from the request.
    Version,
    /// Something the rules make no statement about (e.g. a numeric conversation id).
    Odd,
}

/// How a request names its conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Member absent.
    Absent,
    /// null.
    Null,
    /// Empty text.
    Empty,
    /// White space.
    Blank,
    /// A UUID, in canonical lower-case form.
    Id(String),
    /// Anything else.
    Other,
}

/// A request, understood.
#[derive(Clone, Debug)]
pub struct Sent<'t> {
    /// JSON object of the body, where it is one.
    pub body: Option<&'t Map<String, Value>>,
    /// Form of the body, where it is one.
    pub form: Option<Form>,
    /// End user of the request: body member, form field or query parameter `user`.
    pub user: Option<String>,
    /// How the conversation was named (generation requests).
    pub conversation: Asked,
    /// `streaming` was asked for.
    pub streaming: bool,
    /// Everything wrong with a generation request; empty for a valid one and for other operations.
    pub defects: Vec<Defect>,
}

impl<'t> Sent<'t> {
    /// Understands a request, whose body is `json` where it is one JSON document.
    pub fn of(exchange: &Exchange, json: Option<&'t Value>, app: &App, route: &Route) -> Sent<'t> {
        let raw = exchange.request.body.as_ref();
        let content_type = exchange.request.header("content-type").unwrap_or("");
        let form = raw.and_then(|b| Form::of(content_type, exchange.request.header("content-length"), b));
        let json = json.filter(|_| form.is_none());
        let body = json.and_then(Value::as_object);
        let field = form.as_ref().and_then(|f| f.field("user")).map(str::to_owned);
        let user = field
            .or_else(|| body.and_then(|b| b.get("user")).map(plain))
            .or_else(|| route.param("user").map(str::to_owned));
        let conversation = body.map_or(Asked::Absent, asked);
        let streaming = member(body, "response_mode").and_then(Value::as_str) == Some("streaming");
        let mut sent = Sent { body, form, user, conversation, streaming, defects: Vec::new() };
        if route.endpoint.generates() {
            sent.defects = defects(exchange, app, route, &sent, json.is_some());
            // Without the form a parameter error may well be about an input.
            if sent.defects.is_empty() && !app.form_known && exchange.status() == 400 {
                sent.defects.push(Defect::Odd);
            }
        }
        sent
    }

    /// A member of the body.
    pub fn member(&self, name: &str) -> Option<&Value> {
        member(self.body, name)
    }

    /// `query` as text.
    pub fn query(&self) -> Option<&str> {
        self.member("query").and_then(Value::as_str)
    }

    /// `inputs` as object.
    pub fn inputs(&self) -> Option<&Map<String, Value>> {
        self.member("inputs").and_then(Value::as_object)
    }

    /// Whether a chat request starts a conversation.
    pub fn starts_conversation(&self) -> bool {
        matches!(self.conversation, Asked::Absent | Asked::Null | Asked::Empty)
    }

    /// Nothing wrong with it.
    pub fn valid(&self) -> bool {
        self.defects.is_empty()
    }

    /// Exactly one thing is wrong, and it is this.
    pub fn only(&self, defect: &Defect) -> bool {
        self.defects.len() == 1 && self.defects[0] == *defect
    }
}

/// Canonical lower-case form of a UUID written with or without hyphens, in any case.
pub fn canonical_uuid(text: &str) -> Option<String> {
    let looks = text.len() == 32 || text.len() == 36;
    looks.then(|| uuid::Uuid::parse_str(text).ok()).flatten().map(|id| id.as_hyphenated().to_string())
}

/// Whether text is a hyphenated UUID other than nil.
pub fn is_uuid(text: &str) -> bool {
    text.len() == 36 && uuid::Uuid::parse_str(text).is_ok_and(|id| !id.is_nil())
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn member<'b>(body: Option<&'b Map<String, Value>>, name: &str) -> Option<&'b Value> {
    body?.get(name)
}

fn asked(body: &Map<String, Value>) -> Asked {
    match body.get("conversation_id") {
        None => Asked::Absent,
        Some(Value::Null) => Asked::Null,
        Some(Value::String(text)) if text.is_empty() => Asked::Empty,
        Some(Value::String(text)) if text.trim().is_empty() => Asked::Blank,
        Some(Value::String(text)) => canonical_uuid(text.trim()).map_or(Asked::Other, Asked::Id),
        Some(_) => Asked::Other,
    }
}

fn defects(exchange: &Exchange, app: &App, route: &Route, sent: &Sent, parses: bool) -> Vec<Defect> {
    let mut found = Vec::new();
    if exchange.request.key_label() != Some(&app.label) {
        found.push(Defect::Credential);
    }
    if app.mode.is_some_and(|mode| !serves(route.endpoint, mode)) {
        found.push(Defect::WrongApp);
    }
    let content_type = exchange.request.header("content-type").unwrap_or("");
    let start = content_type.get(.."application/json".len());
    if !start.is_some_and(|t| t.eq_ignore_ascii_case("application/json")) {
        found.push(Defect::ContentType);
    }
    match sent.body {
        Some(body) => body_defects(body, app, route, sent, &mut found),
        None if parses => found.push(Defect::NotAnObject),
        None => found.push(Defect::BrokenJson),
    }
    found
}

fn serves(endpoint: Endpoint, mode: AppMode) -> bool {
    match endpoint {
        Endpoint::ChatMessages => mode.is_chat(),
        Endpoint::CompletionMessages => mode == AppMode::Completion,
        _ => mode == AppMode::Workflow,
    }
}

fn body_defects(body: &Map<String, Value>, app: &App, route: &Route, sent: &Sent, found: &mut Vec<Defect>) {
    let (endpoint, version) = (route.endpoint, route.ids.first());
    match body.get("user") {
        None | Some(Value::Null) => found.push(Defect::User),
        Some(Value::String(text)) if text.is_empty() => found.push(Defect::User),
        Some(Value::String(text)) if text.chars().count() > 255 => found.push(Defect::Odd),
        Some(Value::String(_) | Value::Number(_)) => {}
        Some(_) => found.push(Defect::Odd),
    }
    match body.get("inputs") {
        None => found.push(Defect::Inputs("absent")),
        Some(Value::Null) => found.push(Defect::Inputs("null")),
        Some(Value::Array(_)) => found.push(Defect::Inputs("array")),
        Some(Value::Object(inputs)) => input_defects(inputs, app, found),
        Some(_) => found.push(Defect::Inputs("scalar")),
    }
    match body.get("response_mode") {
        None if app.mode.is_some_and(|m| !m.can_block()) => found.push(Defect::Unblockable),
        None => {}
        Some(Value::String(text)) if text == "streaming" => {}
        Some(Value::String(text)) if text == "blocking" => {
            found.extend(app.mode.filter(|m| !m.can_block()).map(|_| Defect::Unblockable));
        }
        Some(Value::String(_)) => found.push(Defect::Mode),
        Some(_) => found.push(Defect::Odd),
    }
    if endpoint == Endpoint::ChatMessages {
        chat_defects(body, sent, found);
    }
    if endpoint == Endpoint::WorkflowRunById {
        found.extend(version.map(|id| version_defect(id)));
    }
    if body.get("files").is_some_and(|f| f.as_array().is_none_or(|a| !a.is_empty())) {
        found.push(Defect::Odd);
    }
}

fn version_defect(text: &str) -> Defect {
    if uuid::Uuid::parse_str(text).is_ok() { Defect::Version } else { Defect::VersionMalformed }
}

fn chat_defects(body: &Map<String, Value>, sent: &Sent, found: &mut Vec<Defect>) {
    match body.get("query") {
        None => found.push(Defect::Query("absent")),
        Some(Value::Null) => found.push(Defect::Query("null")),
        Some(Value::String(text)) if text.is_empty() => found.push(Defect::Query("empty")),
        Some(Value::String(_)) => {}
        Some(_) => found.push(Defect::Query("not a string")),
    }
    match (&sent.conversation, body.get("conversation_id")) {
        (Asked::Other, Some(Value::String(_))) => found.push(Defect::ConversationMalformed),
        (Asked::Other | Asked::Blank, _) => found.push(Defect::Odd),
        _ => {}
    }
    let legal_flag = |v: Option<&Value>| matches!(v, None | Some(Value::Bool(_)));
    if !legal_flag(body.get("auto_generate_name")) {
        found.push(Defect::Odd);
    }
    match body.get("workflow_id") {
        None => {}
        Some(Value::String(text)) if !text.is_empty() => found.push(version_defect(text)),
        Some(_) => found.push(Defect::Odd),
    }
}

fn input_defects(inputs: &Map<String, Value>, app: &App, found: &mut Vec<Defect>) {
    // Lists fit no input but one of files, whose items are objects.
    let list = |v: &Value| v.as_array().is_some_and(|items| !items.iter().all(Value::is_object));
    if !app.form_known && inputs.values().any(list) {
        found.push(Defect::Odd);
    }
    for field in &app.inputs {
        match inputs.get(&field.variable) {
            None | Some(Value::Null) if field.required => found.push(Defect::InputMissing(field.variable.clone())),
            None | Some(Value::Null) => {}
            Some(value) => {
                if let Some(defect) = input_defect(field, value) {
                    found.push(defect);
                }
            }
        }
    }
}

fn input_defect(field: &InputField, value: &Value) -> Option<Defect> {
    let invalid = || Some(Defect::InputInvalid(field.variable.clone()));
    match (field.kind, value) {
        (ControlKind::Text | ControlKind::Paragraph, Value::String(text)) => {
            let length = text.chars().count() as u64;
            if field.max_length.is_some_and(|most| length > most) { invalid() } else { None }
        }
        (ControlKind::Text | ControlKind::Paragraph, _) => invalid(),
        (ControlKind::Select, Value::String(text)) if field.options.contains(text) => None,
        (ControlKind::Select, _) => invalid(),
        (ControlKind::Number, Value::Number(_)) => None,
        (ControlKind::Number, Value::String(text)) if text.trim().parse::<f64>().is_ok() => None,
        (ControlKind::Number, Value::String(_)) => invalid(),
        _ => Some(Defect::Odd),
    }
}
