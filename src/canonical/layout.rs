//! The parts of an exchange in reading order: request line, its headers and body, the status, headers and body back.

use super::ids::{Ids, redact_keys};
use super::mask::{Scope, path_stem};
use super::{Options, stream, value};
use crate::model::endpoint::PATTERNS;
use crate::model::{Body, Endpoint, Exchange, Reply, Request, Route};
use crate::sse;
use serde_json::Value;

/// Headers of a request that are shown: they decide how it is understood.
const SENT: &[&str] = &["authorization", "content-type", "accept"];

/// Headers of a reply that are shown: clients act on them, and they do not change by themselves.
const RECEIVED: &[&str] = &["content-type", "www-authenticate", "location", "allow", "content-disposition"];

/// Longest piece of a body shown that is neither JSON nor an event stream, in characters.
const CLIP: usize = 2000;

pub(super) fn render(exchange: &Exchange, route: &Route, options: &Options, ids: &mut Ids) -> String {
    let request = &exchange.request;
    let sent = Scope { endpoint: route.endpoint, event: None, reply: false, text: options.text };
    let document = request.body.as_ref().and_then(json);
    name_request(request, route, document.as_ref(), sent, ids);

    let mut out = format!("{} {}\n", request.method, target(request, route, ids));
    headers(&mut out, &request.headers, SENT.iter().copied(), ids);
    if let Some(body) = &request.body {
        out.push('\n');
        match &document {
            Some(document) => out.push_str(&value::write(document, sent, ids)),
            None => out.push_str(&raw_body(body, request.header("content-type"), ids)),
        }
        out.push('\n');
    }
    match &exchange.reply {
        Some(reply) => render_reply(&mut out, reply, Scope { reply: true, ..sent }, &options.headers, ids),
        None => out.push_str("\nno response\n"),
    }
    if let Some(fault) = &exchange.fault {
        let class = serde_json::to_value(fault.class).unwrap_or_default();
        out.push_str(&format!("\nfault: {}\n", class.as_str().unwrap_or("unknown")));
    }
    redact_keys(&out)
}

/// What a request says, as far as its ids and users have names: the order of requests that run side by side.
pub(super) fn sort_key(exchange: &Exchange, ids: &Ids) -> String {
    let body = exchange.request.body.as_ref().and_then(Body::text).unwrap_or_default();
    ids.replace(&format!("{} {}\n{body}", exchange.request.method, exchange.request.target))
}

/// Users before ids (a user's name may hold an id), the path before the query before the body.
fn name_request(request: &Request, route: &Route, document: Option<&Value>, scope: Scope<'_>, ids: &mut Ids) {
    if let Some(host) = request.header("host") {
        ids.note_host(host);
    }
    let in_body = document.and_then(|d| d.get("user")).and_then(Value::as_str);
    let in_form = request.body.as_ref().and_then(Body::text).and_then(form_user);
    for user in route.param("user").into_iter().chain(in_body).chain(in_form) {
        ids.note_user(user);
    }
    for id in &route.ids {
        ids.note(id, path_stem(route.endpoint));
    }
    if route.endpoint == Endpoint::Other {
        ids.note(request.path(), "id");
    }
    let query = route.query.iter().map(|(n, v)| (n.clone(), Value::String(v.clone()))).collect();
    value::name_ids(&Value::Object(query), scope, ids);
    if let Some(document) = document {
        value::name_ids(document, scope, ids);
    }
}

/// The plain field `user` of a form.
fn form_user(body: &str) -> Option<&str> {
    let (_, rest) = body.split_once("name=\"user\"\r\n\r\n")?;
    rest.split("\r\n").next()
}

/// Path and query without the base path, where the operation is known: servers differ in it.
fn target(request: &Request, route: &Route, ids: &Ids) -> String {
    let arity = |pattern: &str| pattern.split('/').filter(|part| *part == "*").count();
    let known = PATTERNS.iter().find(|(method, pattern, endpoint)| {
        *endpoint == route.endpoint && *method == request.method && arity(pattern) == route.ids.len()
    });
    let mut out = match known {
        Some((_, pattern, _)) => {
            let mut path_ids = route.ids.iter();
            let parts = pattern.split('/').map(|part| match part {
                "*" => escaped(&ids.replace(path_ids.next().map_or("", String::as_str)), "/?#%"),
                fixed => fixed.to_owned(),
            });
            parts.fold(String::new(), |path, part| format!("{path}/{part}"))
        }
        None => ids.replace(request.path()),
    };
    for (n, (name, given)) in route.query.iter().enumerate() {
        out.push(if n == 0 { '?' } else { '&' });
        let user = ids.user(given).filter(|_| name == "user");
        let shown = user.unwrap_or_else(|| ids.replace(given));
        out.push_str(&format!("{}={}", escaped(&ids.replace(name), "&=#%+"), escaped(&shown, "&#%+")));
    }
    out
}

/// Percent-encodes blanks, control characters and the given ones; leaves all else readable.
fn escaped(text: &str, special: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_whitespace() || c.is_control() || special.contains(c) {
            let mut bytes = [0; 4];
            for byte in c.encode_utf8(&mut bytes).bytes() {
                out.push_str(&format!("%{byte:02X}"));
            }
        } else {
            out.push(c);
        }
    }
    out
}

/// Header values that are secrets by their nature: only their length is shown.
const SECRET: &[&str] = &["set-cookie", "cookie", "proxy-authorization", "authorization", "x-api-key"];

fn headers<'n>(out: &mut String, all: &[(String, String)], chosen: impl Iterator<Item = &'n str>, ids: &mut Ids) {
    for wanted in chosen {
        for (_, value) in all.iter().filter(|(name, _)| name.eq_ignore_ascii_case(wanted)) {
            let value = match value.split_once("boundary=") {
                // Of a form: random, and repeated in the body.
                Some((before, _)) => format!("{before}boundary=[boundary]"),
                None => value.clone(),
            };
            ids.note(&value, "id");
            out.push_str(&format!("{wanted}: {}\n", printable(&ids.replace(&value))));
        }
    }
}

/// Headers that somebody asked for, in the order of their names. Of secrets only the length is shown.
fn chosen_headers(out: &mut String, all: &[(String, String)], chosen: &[String], ids: &mut Ids) {
    let mut names: Vec<String> = chosen.iter().map(|name| name.to_ascii_lowercase()).collect();
    names.sort();
    names.dedup();
    names.retain(|name| !RECEIVED.contains(&name.as_str()));
    for name in names {
        if !SECRET.contains(&name.as_str()) {
            headers(out, all, std::iter::once(name.as_str()), ids);
            continue;
        }
        for (_, value) in all.iter().filter(|(n, _)| n.eq_ignore_ascii_case(&name)) {
            out.push_str(&format!("{name}: [secret, {} characters]\n", value.chars().count()));
        }
    }
}

fn render_reply(out: &mut String, reply: &Reply, scope: Scope<'_>, more: &[String], ids: &mut Ids) {
    out.push_str(&format!("\n-> {}\n", reply.status));
    // Ids of the body come first: they are named there.
    let media = reply.media_type();
    let document = json(&reply.body).filter(|d| media.ends_with("json") || d.is_object() || d.is_array());
    let body = match document {
        _ if reply.body_bytes == 0 => "(empty body)\n".to_owned(),
        _ if media == "text/event-stream" => {
            let frames: Vec<_> =
                sse::decode(&reply.body.bytes(), &reply.reads).into_iter().map(|timed| timed.frame).collect();
            stream::render(&frames, scope, ids)
        }
        Some(mut document) => {
            if scope.endpoint == Endpoint::WorkflowLogs {
                value::leave_out_others(&mut document, ids);
            }
            value::settle(&mut document, ids);
            value::name_ids(&document, scope, ids);
            value::write(&document, scope, ids) + "\n"
        }
        None => other_body(reply, &media, ids),
    };
    headers(out, &reply.headers, RECEIVED.iter().copied(), ids);
    chosen_headers(out, &reply.headers, more, ids);
    out.push('\n');
    out.push_str(&body);
    if reply.truncated() {
        out.push_str("(the recording ends here: the body was longer than its limit)\n");
    }
}

fn json(body: &Body) -> Option<Value> {
    serde_json::from_str(body.text()?).ok()
}

/// A request body that is not JSON, as it was sent: it is the scenario's own text.
fn raw_body(body: &Body, content_type: Option<&str>, ids: &mut Ids) -> String {
    let Some(text) = body.text() else {
        return format!("({} bytes that are not UTF-8)", body.bytes().len());
    };
    let boundary = content_type.and_then(|t| t.split_once("boundary=")).map(|(_, b)| b.trim_matches('"'));
    let text = match boundary {
        Some(boundary) if !boundary.is_empty() => text.replace(boundary, "[boundary]"),
        _ => text.to_owned(),
    };
    ids.note(&text, "id");
    let lines = ids.replace(&text);
    clipped(&lines).split('\n').map(|line| printable(line) + "\n").collect::<String>().trim_end().to_owned()
}

/// A reply body of another kind: its class of length and its first line; the rest is markup or sound.
fn other_body(reply: &Reply, media: &str, ids: &mut Ids) -> String {
    let kind = match media {
        "" => "no media type",
        json if json.ends_with("json") => "not JSON",
        other => other,
    };
    let size = match reply.body_bytes {
        0..1_000 => "under 1 kB",
        1_000..10_000 => "under 10 kB",
        10_000..100_000 => "under 100 kB",
        100_000..1_000_000 => "under 1 MB",
        _ => "1 MB or more",
    };
    let first = reply.body.text().and_then(|t| t.lines().find(|line| !line.trim().is_empty()));
    match first {
        Some(line) => {
            ids.note(line, "id");
            format!("({kind}, {size})\n{}\n", printable(&clipped(&ids.replace(line))))
        }
        None => format!("({kind}, {size}, no text)\n"),
    }
}

fn clipped(text: &str) -> String {
    match text.char_indices().nth(CLIP) {
        Some((end, _)) => format!("{} (cut here)", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// Control characters as escapes: a snapshot is read in a terminal and kept in version control.
pub(super) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}
