//! Which members hold what changes from run to run, and what is shown in their place.

use super::Text;
use crate::model::Endpoint;
use serde_json::Value;

/// Where a document stands.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    /// The operation that was called.
    pub endpoint: Endpoint,
    /// Name of the stream event that the document is, if it is one.
    pub event: Option<&'a str>,
    /// Part of the reply, not of the request.
    pub reply: bool,
    /// How model texts are shown.
    pub text: Text,
}

/// Where a value stands in its document.
#[derive(Clone, Copy, Default)]
pub(super) struct At<'a> {
    /// Name of the nearest member around it.
    pub member: &'a str,
    /// Name of the member around the object that has that member.
    pub owner: &'a str,
    /// Inside `inputs` or `outputs`, whose names the app's author chose: no name means anything there.
    pub data: bool,
    /// Inside `outputs`, which a model may have written.
    pub model: bool,
}

impl<'a> At<'a> {
    /// The place of a member of an object that stands here.
    pub(super) fn member(self, name: &'a str) -> At<'a> {
        if self.model && name == "usage" {
            // A model node puts the usage of its call among its outputs.
            return At { member: name, owner: self.member, data: false, model: false };
        }
        let model = self.model || MODEL_DATA.contains(&name);
        At { member: name, owner: self.member, data: self.data || model || name == "inputs", model }
    }
}

const MODEL_DATA: &[&str] = &["outputs", "process_data"];

/// Members whose value is an id, and the stem of its name.
const IDS: &[(&str, &str)] = &[
    ("conversation_id", "conv"),
    ("message_id", "msg"),
    ("parent_message_id", "msg"),
    ("first_id", "msg"),
    ("task_id", "task"),
    ("workflow_run_id", "run"),
    ("workflow_id", "workflow"),
    ("app_id", "app"),
    ("upload_file_id", "file"),
    ("end_user_id", "end-user"),
    ("from_end_user_id", "end-user"),
    ("created_by", "end-user"),
    ("node_execution_id", "node-run"),
    ("form_id", "form"),
    ("dataset_id", "dataset"),
    ("document_id", "document"),
    ("segment_id", "segment"),
    ("annotation_id", "annotation"),
];

/// What `id` means below these members.
const OWNERS: &[(&str, &str)] = &[
    ("agent_thoughts", "thought"),
    ("message_files", "file"),
    ("files", "file"),
    ("workflow_run", "run"),
    ("created_by", "end-user"),
    ("created_by_end_user", "end-user"),
];

/// What `id` means in these events; in events not named here, nothing is known.
const EVENT_IDS: &[(&str, &str)] = &[
    ("message", "msg"),
    ("agent_message", "msg"),
    ("message_end", "msg"),
    ("message_replace", "msg"),
    ("agent_thought", "thought"),
    ("message_file", "file"),
    ("workflow_started", "run"),
    ("workflow_finished", "run"),
    ("node_started", "node-run"),
    ("node_finished", "node-run"),
    ("node_retry", "node-run"),
];

/// Whether the member holds the name of an end user.
pub(super) fn is_user(at: At<'_>) -> bool {
    at.member == "sys.user_id" || !at.data && matches!(at.member, "user" | "session_id")
}

/// The stem by the name of the member alone.
pub(super) fn id_member(member: &str) -> Option<&'static str> {
    let name = member.strip_prefix("sys.").unwrap_or(member);
    IDS.iter().find(|(n, _)| *n == name).map(|(_, stem)| *stem)
}

/// The stem by name and place; `None` where the place does not tell.
pub(super) fn id_stem(at: At<'_>, scope: Scope<'_>) -> Option<&'static str> {
    if at.data && !at.member.starts_with("sys.") {
        return None;
    }
    match at.member {
        "id" => own_id(at.owner, scope),
        "last_id" if scope.endpoint == Endpoint::Conversations => Some("conv"),
        name => id_member(name),
    }
}

fn own_id(owner: &str, scope: Scope<'_>) -> Option<&'static str> {
    if let Some((_, stem)) = OWNERS.iter().find(|(n, _)| *n == owner) {
        return Some(stem);
    }
    if let Some(event) = scope.event {
        return EVENT_IDS.iter().find(|(n, _)| *n == event).map(|(_, stem)| *stem);
    }
    if !matches!(owner, "" | "data") {
        return None;
    }
    match scope.endpoint {
        Endpoint::ChatMessages | Endpoint::CompletionMessages | Endpoint::Messages => Some("msg"),
        Endpoint::Conversations | Endpoint::ConversationRename => Some("conv"),
        Endpoint::WorkflowRun | Endpoint::WorkflowRunById | Endpoint::WorkflowRunDetail => Some("run"),
        Endpoint::WorkflowLogs => Some("log"),
        Endpoint::Variables | Endpoint::VariableUpdate => Some("variable"),
        Endpoint::FileUpload => Some("file"),
        Endpoint::Annotations | Endpoint::AnnotationCreate | Endpoint::Annotation => Some("annotation"),
        Endpoint::AppFeedbacks => Some("feedback"),
        Endpoint::EndUser => Some("end-user"),
        _ => None,
    }
}

/// The stem of the path parameters of an operation.
pub(super) fn path_stem(endpoint: Endpoint) -> &'static str {
    match endpoint {
        Endpoint::ChatStop | Endpoint::CompletionStop | Endpoint::WorkflowStop | Endpoint::WorkflowEvents => "task",
        Endpoint::WorkflowRunDetail => "run",
        Endpoint::WorkflowRunById => "workflow",
        Endpoint::Feedback | Endpoint::Suggested => "msg",
        Endpoint::ConversationDelete
        | Endpoint::ConversationRename
        | Endpoint::Variables
        | Endpoint::VariableUpdate => "conv",
        Endpoint::FilePreview => "file",
        Endpoint::Annotation => "annotation",
        Endpoint::EndUser => "end-user",
        _ => "id",
    }
}

/// What stands in place of the value; `None` where the value itself is shown.
pub(super) fn shown(value: &Value, at: At<'_>, scope: Scope<'_>) -> Option<String> {
    if let Some(shown) = delta(value, at, scope) {
        return Some(shown);
    }
    if at.member == "sys.timestamp" {
        return Some(unix_seconds(value));
    }
    if scope.reply && is_model_text(at, scope) {
        return model_text(value, scope.text);
    }
    if at.data || value.is_null() {
        return None;
    }
    let name = at.member;
    if TIMES.contains(&name) {
        Some(unix_seconds(value))
    } else if name.ends_with("_tokens") || name == "tokens" || counts_the_app(name, scope) {
        Some(tokens(value))
    } else if name.ends_with("_price") || name.ends_with("_price_unit") {
        Some(price(value))
    } else if SECONDS.contains(&name) {
        Some(if value.is_number() { "[seconds]".to_owned() } else { unexpected("seconds", value) })
    } else {
        None
    }
}

/// Counters over the whole app, other users and runs included.
fn counts_the_app(name: &str, scope: Scope<'_>) -> bool {
    name == "sequence_number" || (scope.endpoint == Endpoint::WorkflowLogs && name == "total")
}

const TIMES: &[&str] = &[
    "created_at",
    "updated_at",
    "started_at",
    "finished_at",
    "paused_at",
    "resumed_at",
    "deleted_at",
    "expires_at",
    "expiration_time",
];

const SECONDS: &[&str] =
    &["latency", "elapsed_time", "time_to_first_token", "time_to_generate", "provider_response_latency"];

fn unix_seconds(value: &Value) -> String {
    match value.as_i64() {
        Some(1_000_000_000..=9_999_999_999) => "[unix-seconds]".to_owned(),
        _ => unexpected("unix-seconds", value),
    }
}

fn tokens(value: &Value) -> String {
    if value.as_u64().is_some() { "[int]".to_owned() } else { unexpected("int", value) }
}

fn price(value: &Value) -> String {
    match value {
        Value::Number(_) => "[number]".to_owned(),
        // Python's Decimal also writes `0E-7`.
        Value::String(s) if s.starts_with(|c: char| c.is_ascii_digit() || c == '-') && s.parse::<f64>().is_ok() => {
            "[decimal-string]".to_owned()
        }
        _ => unexpected("price", value),
    }
}

const DAYS: &[&str] = &["Mon,", "Tue,", "Wed,", "Thu,", "Fri,", "Sat,", "Sun,"];
const MONTHS: &[&str] =
    &[" Jan ", " Feb ", " Mar ", " Apr ", " May ", " Jun ", " Jul ", " Aug ", " Sep ", " Oct ", " Nov ", " Dec "];

/// A value of another kind than expected, without what changes from run to run in it.
fn unexpected(wanted: &str, value: &Value) -> String {
    let seen = match value {
        Value::Number(n) if n.is_f64() => "fraction".to_owned(),
        Value::Number(n) if n.as_i64().is_some_and(|i| i < 0) => "negative".to_owned(),
        Value::Number(n) => format!("{} digits", n.to_string().len()),
        Value::String(s) => {
            let digits: String = s.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
            let named =
                |form: String, (names, name): (&[&str], &str)| names.iter().fold(form, |f, n| f.replace(n, name));
            format!("string {}", Value::String([(DAYS, "Day,"), (MONTHS, " Month ")].into_iter().fold(digits, named)))
        }
        Value::Null => "null".to_owned(),
        Value::Bool(b) => b.to_string(),
        Value::Array(_) => "array".to_owned(),
        Value::Object(_) => "object".to_owned(),
    };
    format!("[NOT {wanted}: {seen}]")
}

/// Pieces of a streamed text: shown joined at the end of the stream.
fn delta(value: &Value, at: At<'_>, scope: Scope<'_>) -> Option<String> {
    let event = scope.event?;
    if !value.is_string() {
        return None;
    }
    match (event, at.member, at.owner) {
        ("message" | "agent_message" | "message_file", "answer", "") => Some("[delta]".to_owned()),
        ("text_chunk", "text", "data") | ("reasoning_chunk", "reasoning", "data") => Some("[delta]".to_owned()),
        ("tts_message", "audio", "") => Some("[base64]".to_owned()),
        _ => None,
    }
}

/// Members that a model writes.
fn is_model_text(at: At<'_>, scope: Scope<'_>) -> bool {
    if at.model {
        return true;
    }
    match at.member {
        "answer" | "thought" | "observation" | "tool_input" | "text" | "reasoning" if !at.data => true,
        "name" if !at.data => {
            matches!(scope.endpoint, Endpoint::Conversations | Endpoint::ConversationRename)
        }
        "data" => scope.endpoint == Endpoint::Suggested,
        _ => false,
    }
}

fn model_text(value: &Value, text: Text) -> Option<String> {
    match (text, value) {
        (Text::Exact, _) => None,
        (Text::Ignored, _) => Some("[ignored]".to_owned()),
        (Text::Shape, Value::String(s)) if s.is_empty() => Some("[empty text]".to_owned()),
        (Text::Shape, Value::String(_)) => Some("[text]".to_owned()),
        (Text::Shape, Value::Array(_)) => Some("[array]".to_owned()),
        (Text::Shape, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn scope() -> Scope<'static> {
        Scope { endpoint: Endpoint::ChatMessages, event: None, reply: true, text: Text::Exact }
    }

    fn mask(name: &str, value: Value) -> String {
        shown(&value, At::default().member(name), scope()).unwrap_or_else(|| value.to_string())
    }

    #[test]
    fn times_are_shown_by_shape_and_other_shapes_stay_visible() {
        assert_eq!(mask("created_at", json!(1795423930)), "[unix-seconds]");
        assert_eq!(mask("created_at", json!(1795423930123_u64)), "[NOT unix-seconds: 13 digits]");
        assert_eq!(mask("finished_at", json!("2026-11-23")), "[NOT unix-seconds: string \"0000-00-00\"]");
        assert_eq!(mask("created_at", json!(1795423930.5)), "[NOT unix-seconds: fraction]");
        let date = json!("Mon, 23 Nov 2026 10:24:33 -0000");
        assert_eq!(mask("created_at", date), "[NOT unix-seconds: string \"Day, 00 Month 0000 00:00:00 -0000\"]");
        assert_eq!(mask("finished_at", Value::Null), "null");
    }

    #[test]
    fn usage_keeps_the_difference_between_numbers_and_strings() {
        assert_eq!(mask("prompt_tokens", json!(10)), "[int]");
        assert_eq!(mask("prompt_tokens", json!("10")), "[NOT int: string \"00\"]");
        assert_eq!(mask("total_price", json!("0.0000300")), "[decimal-string]");
        assert_eq!(mask("total_price", json!("0E-7")), "[decimal-string]");
        assert_eq!(mask("total_price", json!(0.00003)), "[number]");
        assert_eq!(mask("latency", json!(1)), "[seconds]");
        assert_eq!(mask("latency", json!("1.0")), "[NOT seconds: string \"0.0\"]");
        assert_eq!(mask("currency", json!("USD")), "\"USD\"");
    }

    #[test]
    fn names_inside_inputs_mean_nothing() {
        let at = At::default().member("inputs").member("created_at");
        assert_eq!(shown(&json!(1795423930), at, scope()), None);
        let usage = At::default().member("outputs").member("usage").member("latency");
        assert_eq!(shown(&json!(0.077), usage, scope()).as_deref(), Some("[seconds]"));
        assert_eq!(id_stem(At::default().member("inputs").member("task_id"), scope()), None);
        assert_eq!(id_stem(At::default().member("inputs").member("sys.workflow_run_id"), scope()), Some("run"));
    }
}
