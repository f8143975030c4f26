//! Area `authentication`: keys are demanded everywhere, only in the header, and never shown.

use super::notes::Notes;
use super::rule::{ANY, CHATS, Judge, Load, Rule, always};
use super::run::Run;
use super::seen::Seen;
use crate::model::{App, Credential, Endpoint, Level};
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
fn every_endpoint(run: &Run, app: &App, n: &mut Notes) {
    // A server that answers unknown routes in JSON leaves its 404s without meaning here.
    let unknown_route_in_json = run.calls(app, Endpoint::Other).any(|s| s.is(404) && s.json.is_some());
    for s in run.on(app).filter(|s| matches!(form(s), Form::Missing | Form::UnknownKey) && well_formed(s)) {
        if route_exists(s) && !s.is(405) && !(s.is(404) && unknown_route_in_json) {
            n.expect(s.is(401), s, "status", "status 401", || s.outcome_text());
        }
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

/// The rows of this area.
pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "auth.missing-key.401",
        area: "authentication",
        level: Level::Must,
        title: "Request without Authorization header is rejected",
        statement: "Every Service API endpoint answers 401 with the three-field error body and code `unauthorized` when no Authorization header is sent.",
        source: "spec securitySchemes.ApiKeyAuth; guide errors.mdx status table; src controllers/service_api/wraps.py:validate_and_get_api_token",
        modes: ANY,
        tested: "For each endpoint of the app mode send the otherwise valid request without the header. Assert status==401, JSON body, code==\"unauthorized\", status field==401.",
        versions: None,
        load: Load::No,
        judge: Judge::Exchange(missing_key_401),
        absent: always,
    },
    Rule {
        id: "auth.invalid-key.401",
        area: "authentication",
        level: Level::Must,
        title: "Unknown key is rejected",
        statement: "A syntactically valid but unknown bearer token is refused with 401 `unauthorized`.",
        source: "spec securitySchemes; src wraps.py:validate_and_get_api_token",
        modes: ANY,
        tested: "GET /info, POST generation, GET /conversations with `Bearer app-` + 24 random chars. Assert 401/unauthorized.",
        versions: None,
        load: Load::No,
        judge: Judge::Exchange(invalid_key_401),
        absent: always,
    },
    Rule {
        id: "auth.scheme.bearer-only",
        area: "authentication",
        level: Level::Must,
        title: "Only the Bearer scheme is accepted",
        statement: "A key sent bare, under Basic/Token, or as `Bearer` with no token must be refused with 401.",
        source: "spec securitySchemes (http bearer); src wraps.py:validate_and_get_api_token",
        modes: ANY,
        tested: "GET /info with a valid key as (a) `Authorization: <key>`, (b) `Basic <key>`, (c) `Bearer` alone, (d) empty value. Assert 401 for each.",
        versions: None,
        load: Load::No,
        judge: Judge::Exchange(scheme_bearer_only),
        absent: always,
    },
    Rule {
        id: "auth.scheme.case-insensitive",
        area: "authentication",
        level: Level::Should,
        title: "Scheme name compares case-insensitively",
        statement: "`bearer`, `BEARER` and `Bearer` are the same scheme.",
        source: "src wraps.py (scheme lower-cased); RFC 9110",
        modes: ANY,
        tested: "GET /info with `bearer <key>`. Assert 200.",
        versions: None,
        load: Load::No,
        judge: Judge::Exchange(scheme_case_insensitive),
        absent: always,
    },
    Rule {
        id: "auth.precedes-validation",
        area: "authentication",
        level: Level::Should,
        title: "Authentication is decided before body validation",
        statement: "An unauthenticated request with a broken body is answered 401, never 400/415/500, so that callers without a key learn nothing.",
        source: "src wraps.py:validate_app_token decorator order",
        modes: ANY,
        tested: "POST generation endpoint, no key, body `{`. Assert 401.",
        versions: None,
        load: Load::No,
        judge: Judge::Exchange(precedes_validation),
        absent: always,
    },
    Rule {
        id: "auth.no-side-effect",
        area: "authentication",
        level: Level::Must,
        title: "Rejected requests leave no trace",
        statement: "A 401-rejected chat request must not create a conversation or a message.",
        source: "src wraps.py (raise before view)",
        modes: CHATS,
        tested: "user=U fresh: POST chat without key, then (valid key) GET /conversations?user=U. Assert data==[].",
        versions: None,
        load: Load::Sampled,
        judge: Judge::Run(no_side_effect),
        absent: always,
    },
    Rule {
        id: "auth.every-endpoint",
        area: "authentication",
        level: Level::Must,
        title: "No endpoint is forgotten",
        statement: "The key check covers reads, writes, stop, files, audio, annotations, forms and event resume alike.",
        source: "spec global `security`",
        modes: ANY,
        tested: "Iterate all app endpoints of the spec (25) without key and with a bad key. Assert 401 for all; 404/405 only when the endpoint does not exist for this version (compare with a valid-key call first: if that is 404-route, SKIP).",
        versions: None,
        load: Load::No,
        judge: Judge::Run(every_endpoint),
        absent: always,
    },
    Rule {
        id: "auth.key-selects-app",
        area: "authentication",
        level: Level::Must,
        title: "The key alone selects the app",
        statement: "Responses to key A always describe app A; no header, query or body parameter can switch the app.",
        source: "guide get-started.mdx (key scoped to one app); src wraps.py:validate_app_token",
        modes: ANY,
        tested: "With keys A and B: GET /info each, interleaved 50x and also with ?app_id=<B>. Assert names/modes constant per key.",
        versions: None,
        load: Load::Every,
        judge: Judge::Run(key_selects_app),
        absent: one_key,
    },
    Rule {
        id: "auth.key-not-accepted-elsewhere",
        area: "authentication",
        level: Level::Should,
        title: "Key in query, body or cookie does not authenticate",
        statement: "Only the Authorization header authenticates, so keys cannot leak through URLs.",
        source: "spec securitySchemes",
        modes: ANY,
        tested: "GET /info?api_key=K, ?token=K, Cookie: api_key=K, without header. Assert 401.",
        versions: None,
        load: Load::No,
        judge: Judge::Exchange(key_not_accepted_elsewhere),
        absent: always,
    },
    Rule {
        id: "auth.key-never-echoed",
        area: "authentication",
        level: Level::Must,
        title: "The key never appears in any response",
        statement: "No body, header, SSE event, error message or redirect may contain the key (keys are secret).",
        source: "documentation (to July 2026); olddoc developing-with-apis (never expose keys)",
        modes: ANY,
        tested: "Search every response (headers+body, all modes, all error paths) for the key and for its last 16 characters. Assert absent.",
        versions: Some("dify-plus fork 1.12.1 violates it by Set-Cookie x-token; upstream does not"),
        load: Load::Every,
        judge: Judge::Exchange(key_never_echoed),
        absent: always,
    },
];
