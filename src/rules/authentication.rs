//! Area `authentication`: keys are demanded everywhere, only in the header, and never shown.

use super::notes::Notes;
use super::run::Run;
use super::seen::Seen;
use crate::model::{App, Credential, Endpoint};
use serde_json::Value;

/// How a request authenticated, finer than [`Credential`].
#[derive(PartialEq)]
enum Form {
    Missing,
    Key,
    KeyInOddCase,
    UnknownKey,
    /// Bare key, other scheme, `Bearer` without token, empty value.
    NotBearer,
    /// No header, but the key stands elsewhere in the request.
    KeyElsewhere,
}

fn form(s: &Seen) -> Form {
    let request = &s.exchange.request;
    let Some(value) = request.header("authorization") else {
        return if key_elsewhere(s) { Form::KeyElsewhere } else { Form::Missing };
    };
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    let bearer = scheme.eq_ignore_ascii_case("bearer");
    match request.credential() {
        Credential::Key(_) if scheme == "Bearer" => Form::Key,
        Credential::Key(_) => Form::KeyInOddCase,
        _ if bearer && !token.trim().is_empty() && !token.contains("[key:") => Form::UnknownKey,
        _ => Form::NotBearer,
    }
}

fn key_elsewhere(s: &Seen) -> bool {
    let request = &s.exchange.request;
    let body = request.body.as_ref().and_then(|b| b.text()).unwrap_or("");
    let headers = request.headers.iter().any(|(_, value)| value.contains("[key:"));
    request.target.contains("[key:") || headers || body.contains("[key:")
}

/// An unknown route is answered 404 in HTML whatever the key; that says nothing about the key.
fn route_exists(s: &Seen) -> bool {
    s.endpoint() != Endpoint::Other && !(s.is(404) && s.json.is_none()) && s.exchange.reply.is_some()
}

fn core(endpoint: Endpoint) -> bool {
    use Endpoint::{Conversations, Info, Messages, Parameters};
    endpoint.generates() || matches!(endpoint, Info | Parameters | Conversations | Messages)
}

fn well_formed(s: &Seen) -> bool {
    s.exchange.request.body.is_none() || s.sent.body.is_some()
}

/// Source: OpenAPI `securitySchemes.ApiKeyAuth`; error guide, status table.
fn missing_key_401(s: &Seen, n: &mut Notes) {
    if core(s.endpoint()) && form(s) == Form::Missing && well_formed(s) && route_exists(s) {
        n.refused(s, 401, "unauthorized");
    }
}

/// Source: error guide, status table.
fn invalid_key_401(s: &Seen, n: &mut Notes) {
    if core(s.endpoint()) && form(s) == Form::UnknownKey && well_formed(s) && route_exists(s) {
        n.refused(s, 401, "unauthorized");
    }
}

/// Source: OpenAPI `securitySchemes.ApiKeyAuth` (`Authorization: Bearer {API_KEY}`).
fn scheme_bearer_only(s: &Seen, n: &mut Notes) {
    if form(s) == Form::NotBearer && route_exists(s) {
        n.refused(s, 401, "unauthorized");
    }
}

/// Source: RFC 9110 section 11.1, scheme names are case-insensitive.
fn scheme_case_insensitive(s: &Seen, n: &mut Notes) {
    if form(s) == Form::KeyInOddCase && s.endpoint() == Endpoint::Info {
        n.expect(s.is(200), s, "status", "status 200", || s.outcome_text());
    }
}

/// Source: Dify service API, the key is checked before the body is read.
fn precedes_validation(s: &Seen, n: &mut Notes) {
    let broken = s.exchange.request.body.is_some() && s.sent.body.is_none();
    if s.endpoint().generates() && broken && matches!(form(s), Form::Missing | Form::UnknownKey) {
        n.expect(s.is(401), s, "status", "status 401", || s.outcome_text());
    }
}

/// Source: error guide: a 401 request is not processed.
fn no_side_effect(run: &Run, app: &App, n: &mut Notes) {
    for attempt in run.calls(app, Endpoint::ChatMessages) {
        let Some(user) = attempt.sent.user.as_deref().filter(|_| form(attempt) != Form::Key) else { continue };
        let own_turn = |s: &&Seen| s.sent.user.as_deref() == Some(user) && form(s) == Form::Key && s.is(200);
        if run.calls(app, Endpoint::ChatMessages).any(|s| own_turn(&s)) {
            continue;
        }
        let later = run.lists(app).filter(|l| l.user == user && l.seen.exchange.id > attempt.exchange.id);
        for list in later.take(1) {
            let empty = list.items.is_empty();
            n.expect(empty, list.seen, "conversation-created", "an empty conversation list", || {
                format!("{} conversation(s) after a request without a valid key", list.items.len())
            });
            if !empty {
                n.with(attempt);
            }
        }
    }
}

/// Source: OpenAPI security section: every operation of the app API is protected.
fn every_endpoint(s: &Seen, n: &mut Notes) {
    if matches!(form(s), Form::Missing | Form::UnknownKey) && well_formed(s) && route_exists(s) && !s.is(405) {
        n.expect(s.is(401), s, "status", "status 401", || s.outcome_text());
    }
}

/// Source: introduction guide: a key belongs to one app.
fn key_selects_app(run: &Run, app: &App, n: &mut Notes) {
    let infos = || run.calls(app, Endpoint::Info).filter(|s| s.is(200) && form(s) == Form::Key);
    let plain = |s: &&Seen| s.route.query.is_empty();
    let Some(first) = infos().find(plain) else { return };
    let about = |s: &Seen| {
        let part = |m: &str| s.member(m).map(Value::to_string).unwrap_or_default();
        format!("name {} mode {}", part("name"), part("mode"))
    };
    let told = about(first);
    for other in infos().filter(|s| s.exchange.id != first.exchange.id) {
        let now = about(other);
        n.expect(now == told, other, "app", format!("the app of the key ({told})"), || now.clone());
    }
}

/// Source: introduction guide: keys stay in the backend; the header is the one place for them.
fn key_not_accepted_elsewhere(s: &Seen, n: &mut Notes) {
    if form(s) == Form::KeyElsewhere && route_exists(s) {
        n.expect(s.is(401), s, "status", "status 401", || s.outcome_text());
    }
}

/// Source: introduction guide: keys are secret.
fn key_never_echoed(s: &Seen, n: &mut Notes) {
    let Some(reply) = &s.exchange.reply else { return };
    let marks = ["[key:", "[key-tail:"];
    let shows = |text: &str| marks.iter().any(|m| text.contains(m));
    let header = reply.headers.iter().find(|(_, value)| shows(value)).map(|(name, _)| format!("header `{name}`"));
    let place = header.or_else(|| reply.body.text().filter(|t| shows(t)).map(|_| "the body".to_owned()));
    n.expect(place.is_none(), s, "key", "the key nowhere in the answer", || {
        format!("the key (or its last 16 characters) in {}", place.clone().unwrap_or_default())
    });
}

fn one_key(run: &Run, _: &App) -> Option<String> {
    (run.transcript.apps.len() < 2).then(|| "only one app key was given; two are needed".to_owned())
}
