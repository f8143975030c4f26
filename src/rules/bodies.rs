//! Area `request-validation`, bodies: media type, JSON that is no object, members nobody knows.

use super::notes::Notes;
use super::request::Defect;
use super::rule::{ANY, Judge, Load, Rule, always};
use super::seen::Seen;
use crate::model::{Endpoint, Level};

/// Members of generation requests in any version; everything else is unknown.
const KNOWN: &[&str] = &[
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

/// Source: Dify source, `request.get_json()`; 400 is what other implementations answer.
fn content_type(s: &Seen, n: &mut Notes) {
    if !s.sent.only(&Defect::ContentType) {
        return;
    }
    let refused = matches!(s.exchange.status(), 400 | 415);
    n.expect(refused, s, "status", "status 415 (or 400)", || s.outcome_text());
    if s.is(415) {
        let code = s.error_code() == Some("unsupported_media_type");
        n.advise(code, s, "code", "error code `unsupported_media_type`", || s.outcome_text());
    }
}

/// Source: error guide: a client's mistake is a 4xx.
fn non_object(s: &Seen, n: &mut Notes) {
    if s.sent.only(&Defect::NotAnObject) && s.exchange.reply.is_some() {
        let refused = (400..500).contains(&s.exchange.status());
        n.expect(refused, s, "status", "a 4xx answer to JSON that is no object", || s.outcome_text());
    }
}

/// Source: Dify source, request models ignore extra members.
fn unknown_fields_ignored(s: &Seen, n: &mut Notes) {
    // a later turn can be refused because of its conversation
    let opens = s.endpoint() != Endpoint::ChatMessages || s.sent.starts_conversation();
    let judged = s.endpoint().generates() && s.sent.valid() && opens;
    let Some(body) = s.sent.body.filter(|_| judged) else { return };
    let Some(unknown) = body.keys().find(|name| !KNOWN.contains(&name.as_str())) else { return };
    if s.exchange.reply.is_some() {
        let expected = format!("the unknown member `{unknown}` to be ignored");
        n.expect(!s.refused_as_sent(), s, "accepted", expected, || s.outcome_text());
    }
}

/// The rows of this area.
pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "req.json.content-type",
        area: "request-validation",
        level: Level::Should,
        title: "Non-JSON content type is a 415",
        statement: "A body without Content-Type: application/json is refused with 415 `unsupported_media_type`.",
        source: "src wraps.py request.get_json() + handle_http_exception (reproduced: 415)",
        modes: ANY,
        tested: "Valid JSON as text/plain, and without a Content-Type. Assert 415; 400 is tolerated.",
        versions: None,
        load: Load::No,
        judge: Judge::Exchange(content_type),
        absent: always,
    },
    Rule {
        id: "req.json.non-object",
        area: "request-validation",
        level: Level::Should,
        title: "A JSON array or null body is a client error",
        statement: "`[]`, `null`, a string or a number as body must be answered 4xx, never 5xx.",
        source: "guide errors.mdx (400 = request invalid)",
        modes: ANY,
        tested: "Send [], null, \"x\" and 5. Assert 400<=status<500.",
        versions: Some("up to 1.12 (measured on 0.15.3 and 1.12.1): 500 `unknown`"),
        load: Load::No,
        judge: Judge::Exchange(non_object),
        absent: always,
    },
    Rule {
        id: "req.unknown-fields-ignored",
        area: "request-validation",
        level: Level::Should,
        title: "Unknown body fields are ignored",
        statement: "Extra keys (e.g. parent_message_id, model_config, foo) do not fail the request.",
        source: "src pydantic default extra=ignore",
        modes: ANY,
        tested: "Add \"foo\":1,\"parent_message_id\":\"x\",\"model_config\":{}. Assert 200 and normal result.",
        versions: None,
        load: Load::No,
        judge: Judge::Exchange(unknown_fields_ignored),
        absent: always,
    },
];
