//! Everything but turns as steps: reads, changes, uploads, and any other request spelled out.

use super::form::Part;
use super::ids;
use super::said::Seen;
use super::step::{Scope, Step};
use super::text;
use super::yaml::Node;
use crate::model::{AppMode, Endpoint};
use crate::schema;
use base64::Engine as _;
use serde_json::Value;

/// Largest file that is written into a scenario; of larger ones only the size.
const INLINE: usize = 32 << 10;

/// An exchange as a step, or why it cannot be one.
pub(super) fn step(seen: &Seen<'_>, id: String, mode: Option<AppMode>, scope: &mut Scope) -> Result<Step, String> {
    if seen.below.is_none() {
        return Err("it is not below the base URL".to_owned());
    }
    let known = match seen.route.endpoint {
        Endpoint::FileUpload | Endpoint::AudioToText => return upload(seen, id, scope),
        Endpoint::Info | Endpoint::Parameters => bare_read(seen, id.clone()),
        Endpoint::Messages => read(seen, id.clone(), "history", &HISTORY, scope),
        Endpoint::Conversations => read(seen, id.clone(), "conversations", &CONVERSATIONS, scope),
        Endpoint::ConversationRename
        | Endpoint::ConversationDelete
        | Endpoint::Feedback
        | Endpoint::ChatStop
        | Endpoint::CompletionStop
        | Endpoint::WorkflowStop => change(seen, id.clone(), mode, scope),
        _ => None,
    };
    match known {
        Some(step) => Ok(step),
        None => spelled_out(seen, id, scope),
    }
}

fn bare_read(seen: &Seen<'_>, id: String) -> Option<Step> {
    let action = if seen.route.endpoint == Endpoint::Info { "info" } else { "parameters" };
    seen.route.query.is_empty().then(|| Step::new(id, action, Vec::new()))
}

const HISTORY: [(&str, &str); 3] = [("conversation_id", "conversation"), ("limit", "limit"), ("first_id", "first-id")];
const CONVERSATIONS: [(&str, &str); 3] = [("limit", "limit"), ("last_id", "last-id"), ("sort_by", "sort-by")];

/// A read whose parameters all have a key.
fn read(seen: &Seen<'_>, id: String, action: &'static str, keys: &[(&str, &str)], scope: &mut Scope) -> Option<Step> {
    let mut members: Vec<(String, Node)> = Vec::new();
    for (name, value) in &seen.route.query {
        if name == "user" {
            continue;
        }
        let (_, key) = keys.iter().find(|(wire, _)| wire == name)?;
        if value.is_empty() || members.iter().any(|(known, _)| known == key) {
            return None;
        }
        let node = match scope.reference(value) {
            Some(reference) => Node::text(reference),
            None if ids::is_id(value) => return None,
            None if *key == "limit" && is_small(value) => Node::word(value.clone()),
            None => Node::text(scope.users.escape(value)),
        };
        members.push(((*key).to_owned(), node));
    }
    if seen.route.param("user").is_none() {
        members.push(("no-user".to_owned(), Node::word("true")));
    }
    Some(Step::new(id, action, members))
}

fn is_small(value: &str) -> bool {
    value.parse::<u16>().is_ok_and(|n| n.to_string() == value)
}

/// A change of something that an earlier step made.
fn change(seen: &Seen<'_>, id: String, mode: Option<AppMode>, scope: &mut Scope) -> Option<Step> {
    let body = seen.body.as_ref()?;
    let legal = schema::check_request(seen.route.endpoint, body).is_empty() && body.get("user").is_some();
    let known = |names: &[&str]| body.as_object().is_some_and(|b| b.keys().all(|k| names.contains(&k.as_str())));
    if !legal || !seen.route.query.is_empty() {
        return None;
    }
    let target = seen.route.ids.first()?;
    // an id that no step gives is not sent again as it is: see below
    let target = Node::text(scope.reference(target)?);
    let step = |action, members: Vec<(&str, Node)>| {
        let members = members.into_iter().map(|(key, node)| (key.to_owned(), node)).collect();
        Some(Step::new(id.clone(), action, members))
    };
    match seen.route.endpoint {
        Endpoint::ConversationDelete if known(&["user"]) => step("delete", vec![("conversation", target)]),
        Endpoint::ConversationRename if known(&["user", "name", "auto_generate"]) => {
            let mut members = vec![("conversation", target)];
            members.extend(body.get("name").map(|name| ("name", scope.said("name", name))));
            let auto = body.get("auto_generate").and_then(Value::as_bool);
            members.extend(auto.map(|auto| ("auto", Node::word(auto.to_string()))));
            step("rename", members)
        }
        Endpoint::Feedback if known(&["user", "rating", "content"]) => {
            let rating = scope.users.escape_json(body.get("rating")?);
            let mut members = vec![("message", target), ("rating", Node::Json(rating))];
            match body.get("content") {
                None => {}
                Some(content @ Value::String(_)) => members.push(("content", scope.said("content", content))),
                Some(_) => return None,
            }
            step("feedback", members)
        }
        stop if stop.stops() && known(&["user"]) && stops_of(mode) == stop => step("stop", vec![("task", target)]),
        _ => None,
    }
}

/// Where `stop` goes to in an app of this mode.
fn stops_of(mode: Option<AppMode>) -> Endpoint {
    match mode {
        Some(AppMode::Completion) => Endpoint::CompletionStop,
        Some(AppMode::Workflow) => Endpoint::WorkflowStop,
        _ => Endpoint::ChatStop,
    }
}

fn upload(seen: &Seen<'_>, id: String, scope: &mut Scope) -> Result<Step, String> {
    let Some(form) = &seen.form else { return Err("its body is no form that can be read".to_owned()) };
    let mut members = Vec::new();
    if seen.route.endpoint == Endpoint::AudioToText {
        members.push(("to".to_owned(), Node::word("speech")));
    }
    let mut notes = Vec::new();
    let user = |part: &&Part| part.name == "user" && part.file.is_none();
    let files = form.parts.iter().filter(|part| !user(part)).map(|part| file(part, scope, &mut notes));
    let files: Vec<Node> = files.collect();
    members.push(("files".to_owned(), Node::List(files)));
    if !form.parts.iter().any(|part| user(&part)) {
        members.push(("no-user".to_owned(), Node::word("true")));
    }
    let mut step = Step::new(id, "upload", members);
    step.notes = notes;
    Ok(step)
}

fn file(part: &Part, scope: &mut Scope, notes: &mut Vec<String>) -> Node {
    let mut members: Vec<(String, Node)> = Vec::new();
    if part.name != "file" {
        members.push(("part".to_owned(), Node::text(scope.users.escape(&part.name))));
    }
    if let Some(name) = &part.file {
        members.push(("name".to_owned(), Node::text(scope.datum("file_name", &Value::String(name.clone())))));
    }
    if let Some(mime) = &part.mime {
        members.push(("mime".to_owned(), Node::text(scope.users.escape(mime))));
    }
    let whole = part.size == part.content.len();
    let (key, node) = match std::str::from_utf8(&part.content) {
        Ok(text) if whole && part.size <= INLINE => {
            ("text", Node::text(scope.datum("file_text", &Value::String(text.to_owned()))))
        }
        Err(_) if whole && part.size <= INLINE => {
            let text = base64::engine::general_purpose::STANDARD.encode(&part.content);
            ("base64", Node::text(scope.datum("file_base64", &Value::String(text))))
        }
        _ => {
            notes
                .push(format!("The recorded file is too large for a scenario: {} bytes of filler instead.", part.size));
            ("size", Node::text(scope.datum("file_size", &Value::from(part.size))))
        }
    };
    members.push((key.to_owned(), node));
    Node::Map(members)
}

/// Method, path and body as they were.
fn spelled_out(seen: &Seen<'_>, id: String, scope: &mut Scope) -> Result<Step, String> {
    let request = &seen.exchange.request;
    if !request.method.bytes().all(|b| b.is_ascii_uppercase()) {
        return Err("its method is none that a scenario can have".to_owned());
    }
    let mut members = vec![("method".to_owned(), Node::word(request.method.clone()))];
    members.push(("path".to_owned(), Node::text(path(seen, scope)?)));
    let mut headers = Vec::new();
    match (&seen.body, &request.body) {
        (Some(json), _) if text::is_writable(json) => members.push(("json".to_owned(), body(json, scope))),
        (_, Some(raw)) => {
            let Some(raw) = raw.text().filter(|raw| raw.len() <= INLINE) else {
                return Err("its body is neither JSON nor a short text".to_owned());
            };
            if raw.contains("[key:") {
                return Err("a key is in its body".to_owned());
            }
            members.push(("text".to_owned(), Node::text(scope.users.escape(raw))));
            let sent = request.header("content-type").filter(|sent| *sent != "application/json");
            headers.extend(sent.map(|sent| ("Content-Type".to_owned(), Node::text(scope.users.escape(sent)))));
        }
        _ => {}
    }
    let mut step = Step::new(id, "request", members);
    step.headers = headers;
    Ok(step)
}

/// A body with its end user, its ids, and what was said in it taken out.
fn body(json: &Value, scope: &mut Scope) -> Node {
    let Value::Object(members) = json else { return Node::Json(scope.resolve(json).0) };
    let members = members.iter().map(|(name, value)| {
        let node = match (name.as_str(), value) {
            ("user", Value::String(user)) => Node::text(scope.users.stand_in(user)),
            (_, Value::String(text)) if is_prose(text) => scope.said(name, value),
            _ => Node::Json(scope.resolve(value).0),
        };
        (scope.users.escape(name), node)
    });
    Node::Map(members.collect())
}

/// Words of a person rather than of a protocol.
fn is_prose(text: &str) -> bool {
    text.chars().any(|c| c.is_whitespace() || !c.is_ascii()) || text.len() > 40
}

/// Path and query below the base URL, with references for ids.
fn path(seen: &Seen<'_>, scope: &mut Scope) -> Result<String, String> {
    let unknown = || "it names something from before the recording".to_owned();
    let below = seen.below.unwrap_or_default();
    let (path, query) = below.split_once('?').map_or((below, None), |(path, query)| (path, Some(query)));
    let mut out = String::new();
    for part in path.split('/').skip(1) {
        let part = match scope.reference(part) {
            Some(reference) => reference,
            None if ids::is_id(part) => return Err(unknown()),
            None => scope.users.escape(part),
        };
        out.push('/');
        out.push_str(&part);
    }
    let mut separator = '?';
    let pairs = query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    // the route has the same pairs, decoded
    for (pair, (name, value)) in pairs.zip(&seen.route.query) {
        let raw = pair.split_once('=').map_or(pair, |(_, value)| value);
        let value = match scope.reference(value) {
            _ if name == "user" => scope.users.stand_in(value),
            Some(reference) => reference,
            None if ids::is_id(value) => return Err(unknown()),
            None => scope.users.escape(raw),
        };
        let raw_name = scope.users.escape(pair.split('=').next().unwrap_or_default());
        out.push_str(&format!("{separator}{raw_name}={value}"));
        separator = '&';
    }
    Ok(out)
}
