//! Step -> [`Call`]: which request a step means.

use super::body::{BuildError, TurnContext, TurnKind, turn_body};
use super::scope::Names;
use super::target::AppTarget;
use super::{legal, seed, upload, url};
use crate::client::{Call, Limits, Place};
use crate::model::AppMode;
use crate::scenario::ast::{Action, Auth, Query, Raw, RawBody, ResponseMode, Step, Timeouts, Turn};
use serde_json::{Map, Value, json};

/// Who sends a step's request, and from where.
pub struct Caller<'a> {
    /// Base URL without a final slash.
    pub base_url: &'a str,
    /// The app that is asked.
    pub app: &'a AppTarget,
    /// Key of another app of the target, if there is one.
    pub other_key: Option<&'a str>,
    /// Response mode of the scenario.
    pub mode: ResponseMode,
    /// Values for the required inputs, or why there are none.
    pub filled: &'a Result<Map<String, Value>, String>,
    /// Limits where the step gives none.
    pub limits: Limits,
    /// What templates see.
    pub names: Names<'a>,
    /// Seed of whatever the step makes up.
    pub seed: u64,
}

/// A request ready to send.
pub struct Built {
    /// The request.
    pub call: Box<Call>,
    /// The end user it speaks for, where it names one as text.
    pub user: Option<String>,
    /// Its body, where that is JSON: whoever looks at the recording need not parse it again.
    pub json: Option<Value>,
    /// Whether a stream of events was asked for.
    pub streams: bool,
    /// How it comes to its place among the requests in flight.
    pub place: Place,
}

/// Method, path below the base URL, and body.
struct Line {
    method: String,
    path: String,
    body: Option<Sent>,
}

enum Sent {
    Json(Value),
    Text(String),
    Form(upload::Form),
}

impl Sent {
    fn content_type(&self) -> &str {
        match self {
            Sent::Json(_) | Sent::Text(_) => JSON,
            Sent::Form(form) => &form.content_type,
        }
    }
}

const JSON: &str = "application/json";

/// The request of a step.
///
/// # Errors
/// A template that cannot be rendered, a required input that cannot be filled, a body that is not legal without being meant
/// to be so, an action that is no request.
pub fn build(step: &Step, caller: &Caller<'_>) -> Result<Built, BuildError> {
    let user = match &step.user {
        Some(text) => caller.names.text(text)?,
        None => caller.names.values.get("user").and_then(Value::as_str).unwrap_or_default().to_owned(),
    };
    let line = line(&step.action, caller, &user)?;
    if let Some(Sent::Json(body)) = &line.body
        && let Some(fault) = legal::fault(step, body)
    {
        return Err(BuildError::Invalid(fault));
    }
    let named = line.body.as_ref().and_then(user_in);
    let streams = matches!(&line.body, Some(Sent::Json(body)) if body["response_mode"] == "streaming");
    let hang_up_after = match &step.action {
        Action::Chat(turn) | Action::Completion(turn) | Action::Workflow(turn) => turn.hang_up_after,
        _ => None,
    };
    let mut headers = headers(step, caller, line.body.as_ref().map(Sent::content_type))?;
    if let Some(Sent::Form(form)) = &line.body {
        // recordings of large forms are cut: this tells their size
        headers.push(("Content-Length".to_owned(), form.body.len().to_string()));
    }
    let (body, json) = match line.body {
        None => (None, None),
        Some(Sent::Json(value)) => (Some(value.to_string().into()), Some(value)),
        Some(Sent::Text(text)) => (Some(text.into()), None),
        Some(Sent::Form(form)) => (Some(form.body.into()), None),
    };
    let call = Call {
        method: line.method,
        url: format!("{}{}", caller.base_url, line.path),
        headers,
        body,
        limits: limits(caller.limits, &step.timeout),
        planned: None,
        hang_up_after,
    };
    Ok(Built { call: Box::new(call), user: named, json, streams, place: Place::Queue })
}

fn user_in(sent: &Sent) -> Option<String> {
    match sent {
        Sent::Json(body) => body.get("user").and_then(Value::as_str).map(str::to_owned),
        Sent::Text(_) | Sent::Form(_) => None,
    }
}

fn line(action: &Action, caller: &Caller<'_>, user: &str) -> Result<Line, BuildError> {
    let names = caller.names;
    let post = |path: String, body: Value| Line { method: "POST".into(), path, body: Some(Sent::Json(body)) };
    let get = |path: &str| Line { method: "GET".into(), path: path.to_owned(), body: None };
    let id = |text: &str| names.text(text).map(|t| url::component(&t));
    Ok(match action {
        Action::Chat(turn) => post("/chat-messages".into(), turn_json(turn, TurnKind::Chat, caller, user)?),
        Action::Completion(turn) => {
            post("/completion-messages".into(), turn_json(turn, TurnKind::Completion, caller, user)?)
        }
        Action::Workflow(turn) => {
            let path = match &turn.version {
                Some(version) => format!("/workflows/{}/run", id(version)?),
                None => "/workflows/run".to_owned(),
            };
            post(path, turn_json(turn, TurnKind::Workflow, caller, user)?)
        }
        Action::History(query) => get(&read("/messages", query, user, names)?),
        Action::Conversations(query) => get(&read("/conversations", query, user, names)?),
        Action::Rename { conversation, name, auto } => {
            let mut body = Map::new();
            if let Some(name) = name {
                body.insert("name".into(), names.json(name)?);
            }
            if let Some(auto) = auto {
                body.insert("auto_generate".into(), json!(auto));
            }
            body.insert("user".into(), json!(user));
            post(format!("/conversations/{}/name", id(conversation)?), Value::Object(body))
        }
        Action::Delete { conversation } => deletion(&names.text(conversation)?, user),
        Action::Feedback { message, rating, content } => {
            let mut body = Map::new();
            body.insert("rating".into(), names.json(rating)?);
            if let Some(content) = content {
                body.insert("content".into(), json!(names.text(content)?));
            }
            body.insert("user".into(), json!(user));
            post(format!("/messages/{}/feedbacks", id(message)?), Value::Object(body))
        }
        Action::Stop { task } => post(stop_path(caller.app.app.mode, &id(task)?), json!({"user": user})),
        Action::Info => get("/info"),
        Action::Parameters => get("/parameters"),
        Action::Upload(upload) => Line {
            method: "POST".into(),
            path: upload::path(upload).into(),
            body: Some(Sent::Form(upload::form(upload, user, names, caller.seed)?)),
        },
        Action::Request(raw) => spelled_out(raw, caller)?,
        Action::Parallel(_) => return Err(BuildError::NotARequest("parallel")),
        Action::Pause(_) => return Err(BuildError::NotARequest("pause")),
    })
}

/// `DELETE /conversations/{id}`, which carries a body.
fn deletion(conversation: &str, user: &str) -> Line {
    Line {
        method: "DELETE".into(),
        path: format!("/conversations/{}", url::component(conversation)),
        body: Some(Sent::Json(json!({"user": user}))),
    }
}

fn turn_json(turn: &Turn, kind: TurnKind, caller: &Caller<'_>, user: &str) -> Result<Value, BuildError> {
    let context = TurnContext {
        app_mode: caller.app.app.mode,
        mode: caller.mode,
        filled: caller.filled,
        user,
        names: caller.names,
    };
    turn_body(turn, kind, &context).map(Value::Object)
}

fn read(path: &str, query: &Query, user: &str, names: Names<'_>) -> Result<String, BuildError> {
    let mut params = Vec::new();
    if !query.no_user {
        params.push(("user".to_owned(), user.to_owned()));
    }
    for (name, value) in &query.params {
        params.push((name.clone(), names.text(value)?));
    }
    Ok(url::with_query(path, &params))
}

fn stop_path(mode: Option<AppMode>, task: &str) -> String {
    match mode {
        Some(AppMode::Completion) => format!("/completion-messages/{task}/stop"),
        Some(AppMode::Workflow) => format!("/workflows/tasks/{task}/stop"),
        _ => format!("/chat-messages/{task}/stop"),
    }
}

/// `{key}` in the path stands for the key: to show that a server does not take it from there.
fn spelled_out(raw: &Raw, caller: &Caller<'_>) -> Result<Line, BuildError> {
    let names = caller.names;
    let body = match &raw.body {
        None => None,
        Some(RawBody::Json(json)) => Some(Sent::Json(names.json(json)?)),
        Some(RawBody::Text(text)) => Some(Sent::Text(names.text(text)?)),
    };
    let path = url::spelled_out(&names.text(&raw.path)?.replace("{key}", &caller.app.key));
    Ok(Line { method: raw.method.to_ascii_uppercase(), path, body })
}

fn headers(step: &Step, caller: &Caller<'_>, content_type: Option<&str>) -> Result<Vec<(String, String)>, BuildError> {
    let mut headers = standard_headers(&rendered(&step.auth, caller)?, caller.app, caller.seed, content_type);
    for (name, value) in &step.headers {
        let value = value.as_ref().map(|text| caller.names.text(text)).transpose()?;
        let value = value.map(|text| text.replace("{key}", &caller.app.key));
        let known = headers.iter().position(|(n, _)| n.eq_ignore_ascii_case(name));
        match (known, value) {
            (Some(i), None) => drop(headers.remove(i)),
            (Some(i), Some(value)) => headers.splice(i..=i, [(name.clone(), value)]).for_each(drop),
            (None, None) => {}
            (None, Some(value)) => headers.push((name.clone(), value)),
        }
    }
    Ok(headers)
}

/// Credentials with their templates rendered; `{key}` is put in later, as templates never see a key.
fn rendered(auth: &Auth, caller: &Caller<'_>) -> Result<Auth, BuildError> {
    Ok(match auth {
        Auth::Header(text) => Auth::Header(caller.names.text(text)?),
        Auth::OtherApp => {
            let key = caller.other_key.ok_or_else(|| BuildError::Fill("there is no other app".to_owned()))?;
            Auth::Header(format!("Bearer {key}"))
        }
        other => other.clone(),
    })
}

fn standard_headers(auth: &Auth, app: &AppTarget, seed: u64, content_type: Option<&str>) -> Vec<(String, String)> {
    let mut headers = Vec::new();
    let authorization = match auth {
        Auth::Key => Some(format!("Bearer {}", app.key)),
        Auth::None | Auth::OtherApp => None, // the other key was put in before
        Auth::Unknown => {
            let mut rng = seed::generator(seed, &["unknown-key"]);
            let token: String = (0..24).map(|_| rng.alphanumeric()).collect();
            Some(format!("Bearer app-{token}"))
        }
        Auth::Header(text) => Some(text.replace("{key}", &app.key)),
    };
    if let Some(value) = authorization {
        headers.push(("Authorization".to_owned(), value));
    }
    if let Some(content_type) = content_type {
        headers.push(("Content-Type".to_owned(), content_type.to_owned()));
    }
    headers.push(("User-Agent".to_owned(), USER_AGENT.to_owned()));
    headers
}

const USER_AGENT: &str = concat!("difyprobe/", env!("CARGO_PKG_VERSION"));

fn limits(run: Limits, step: &Timeouts) -> Limits {
    Limits {
        connect: step.connect.unwrap_or(run.connect),
        tls: step.tls.unwrap_or(run.tls),
        first_byte: step.first_byte.unwrap_or(run.first_byte),
        first_event: step.first_event.unwrap_or(run.first_event),
        idle: step.idle.unwrap_or(run.idle),
        total: step.total.unwrap_or(run.total),
    }
}

/// A request of the tool itself: discovery or clean-up.
pub(super) fn own_call(
    base_url: &str,
    app: &AppTarget,
    limits: Limits,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> Call {
    Call {
        method: method.to_owned(),
        url: format!("{base_url}{path}"),
        headers: standard_headers(&Auth::Key, app, 0, body.map(|_| JSON)),
        body: body.map(|b| b.to_string().into()),
        limits,
        planned: None,
        hang_up_after: None,
    }
}

/// The clean-up request for a conversation.
pub(super) fn deletion_call(base_url: &str, app: &AppTarget, limits: Limits, conversation: &str, user: &str) -> Call {
    let path = format!("/conversations/{}", url::component(conversation));
    own_call(base_url, app, limits, "DELETE", &path, Some(&json!({"user": user})))
}

#[cfg(test)]
#[path = "call_tests.rs"]
mod tests;
