//! Area `request-validation`: broken requests are refused with the documented status and code, valid ones are not.

use super::notes::Notes;
use super::request::Defect;
use super::rule::{ANY, BLOCKING, CHATS, Judge, Load, Rule, always};
use super::run::Run;
use super::seen::Seen;
use super::stream::clip;
use crate::model::{App, Endpoint, Level};
use serde_json::Value;

/// Source: OpenAPI request schemas (`user` required); Dify source, `fetch_user`.
fn user_required(s: &Seen, n: &mut Notes) {
    let endpoint = s.endpoint();
    let lacks = if endpoint.generates() {
        s.sent.only(&Defect::User)
    } else if endpoint.stops() || endpoint == Endpoint::Feedback {
        s.has_key() && s.sent.body.is_some() && s.sent.user.as_deref().is_none_or(|u| u.is_empty() || u == "null")
    } else {
        endpoint == Endpoint::Suggested && s.has_key() && s.sent.user.as_deref().is_none_or(str::is_empty)
    };
    if lacks {
        n.refused(s, 400, "invalid_param");
    }
}

/// Source: OpenAPI request schemas (`inputs` required, type object).
fn inputs_required(s: &Seen, n: &mut Notes) {
    if let [Defect::Inputs(kind)] = s.sent.defects.as_slice() {
        let refused = s.is(400) && s.error_code() == Some("invalid_param");
        n.expect(refused, s, kind, "status 400 `invalid_param`", || s.outcome_text());
    }
    let empty = s.sent.inputs().is_some_and(|i| i.is_empty()) && s.app.required_input().is_none();
    if s.endpoint().generates() && s.sent.valid() && empty && s.exchange.reply.is_some() {
        let accepted = !s.refused_for("inputs");
        n.expect(accepted, s, "empty-object", "`inputs` {} accepted where nothing is required", || s.outcome_text());
    }
}

/// Source: OpenAPI `ChatRequest.query` (required string).
fn query_required(s: &Seen, n: &mut Notes) {
    let [Defect::Query(kind)] = s.sent.defects.as_slice() else { return };
    let refused = s.is(400) && s.error_code() == Some("invalid_param");
    if *kind == "not a string" {
        n.advise(refused, s, "not-a-string", "status 400 `invalid_param`", || s.outcome_text());
    } else {
        n.expect(refused, s, kind, "status 400 `invalid_param`", || s.outcome_text());
    }
}

/// Source: OpenAPI `response_mode` enum.
fn response_mode_enum(s: &Seen, n: &mut Notes) {
    if s.sent.only(&Defect::Mode) {
        n.refused(s, 400, "invalid_param");
    }
}

/// Source: OpenAPI `response_mode`: default blocking.
fn response_mode_default(s: &Seen, n: &mut Notes) {
    if s.endpoint().generates() && s.sent.valid() && s.sent.member("response_mode").is_none() && s.generated() {
        let document = s.json.is_some_and(Value::is_object) && s.media_type() == "application/json";
        n.expect(document, s, "document", "one JSON document", || s.form_text());
    }
}

/// Source: OpenAPI `response_mode`; real bug: blocking ignored by chatflows of 1.13.0 (langgenius/dify issue 32391).
fn response_mode_honoured(s: &Seen, n: &mut Notes) {
    if !s.endpoint().generates() || !s.sent.valid() || !s.generated() {
        return;
    }
    match s.sent.member("response_mode").and_then(Value::as_str) {
        Some("streaming") => {
            n.expect(s.stream.is_some(), s, "streaming", "an event stream", || s.form_text());
        }
        Some("blocking") => {
            let document = s.json.is_some_and(Value::is_object);
            n.expect(document, s, "blocking", "one JSON document", || s.form_text());
        }
        _ => {}
    }
}

/// Source: error guide: bad_request; the code differs between versions and is only advised.
fn json_malformed(s: &Seen, n: &mut Notes) {
    if s.sent.only(&Defect::BrokenJson) && s.exchange.request.body.is_some() {
        let shaped = s.is(400) && s.error_code().is_some();
        if n.expect(shaped, s, "status", "status 400 with an error body", || s.outcome_text()) {
            let code = s.error_code() == Some("bad_request");
            n.advise(code, s, "code", "error code `bad_request`", || s.outcome_text());
        }
    }
}

/// Source: Dify service API: validation happens before the stream opens.
fn rejected_before_stream(s: &Seen, n: &mut Notes) {
    let [defect] = s.sent.defects.as_slice() else { return };
    let first = s.endpoint() != Endpoint::ChatMessages || s.sent.starts_conversation();
    let certain = match defect {
        Defect::User | Defect::ConversationMalformed => true,
        Defect::Inputs(kind) => matches!(*kind, "absent" | "scalar"),
        Defect::Query(kind) => *kind != "not a string",
        Defect::InputMissing(_) => first,
        _ => false,
    };
    if s.sent.streaming && certain {
        let refused = matches!(s.exchange.status(), 400 | 404) && s.media_type() == "application/json";
        n.expect(refused, s, "answer", "a 400 or 404 JSON answer", || s.form_text());
    }
}

/// Source: OpenAPI `/parameters` (`required`); INPUTS: missing means absent or null.
fn input_required_missing(s: &Seen, n: &mut Notes) {
    let [Defect::InputMissing(variable)] = s.sent.defects.as_slice() else { return };
    let first = s.endpoint() != Endpoint::ChatMessages || s.sent.starts_conversation();
    if first && n.refused(s, 400, "invalid_param") {
        let named = s.error_message().is_some_and(|m| m.contains(variable.as_str()));
        n.expect(named, s, "names-variable", format!("a message that names `{variable}`"), || {
            format!("message `{}`", clip(s.error_message().unwrap_or("")))
        });
    }
}

/// Source: OpenAPI: query is text; JSON is UTF-8 (RFC 8259 section 8.1).
fn unicode_roundtrip(run: &Run, app: &App, n: &mut Notes) {
    for conversation in run.conversations_of(app) {
        for turn in conversation.turns.iter().filter(|t| !t.query.is_ascii() && !t.query.contains('\0')) {
            for (read, item) in run.stored(app, conversation, turn).into_iter().take(1) {
                let stored = item.get("query").and_then(Value::as_str).unwrap_or("");
                let same = stored == turn.query;
                n.expect(same, read, "query", format!("the query as sent: {}", clip(&turn.query)), || clip(stored));
                if !same {
                    n.with(run.at(turn));
                }
            }
        }
    }
}

fn no_required_input(_: &Run, app: &App) -> Option<String> {
    app.required_input().is_none().then(|| "the app's form has no required variable".to_owned())
}

/// The rows of this area.
pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "req.user.required",
        area: "request-validation",
        level: Level::Must,
        title: "`user` is mandatory where documented",
        statement: "Absent, null or empty `user` gives 400 `invalid_param`.",
        source: "spec ChatRequest/CompletionRequest/WorkflowExecutionRequest required; spec stop+feedback bodies; src wraps.py (Arg user must be provided)",
        modes: ANY,
        tested: "Send each request without user, with null, with \"\". Assert 400 and code invalid_param, JSON body (even when response_mode=streaming).",
        versions: None,
        load: Load::No,
        judge: Judge::Exchange(user_required),
        absent: always,
    },
    Rule {
        id: "req.inputs.required",
        area: "request-validation",
        level: Level::Must,
        title: "`inputs` must be present and an object",
        statement: "Missing, null, array or string `inputs` is refused with 400 `invalid_param`; {} is fine.",
        source: "spec required:[inputs]; src completion.py:ChatRequestPayload, workflow.py:WorkflowRunPayload",
        modes: ANY,
        tested: "Send inputs absent, null, [], \"x\". Assert 400 invalid_param. Send {} (app without required vars). Assert 200.",
        versions: None,
        load: Load::No,
        judge: Judge::Exchange(inputs_required),
        absent: always,
    },
    Rule {
        id: "req.query.required",
        area: "request-validation",
        level: Level::Must,
        title: "`query` must be a non-empty string for chat",
        statement: "Absent, empty, null or non-string query gives 400 `invalid_param`.",
        source: "spec ChatRequest.required; src chat/app_generator.py (query is required)",
        modes: CHATS,
        tested: "Send query absent, \"\", null, 5, [\"a\"]. Assert 400 invalid_param, no message added to the conversation.",
        versions: None,
        load: Load::No,
        judge: Judge::Exchange(query_required),
        absent: always,
    },
    Rule {
        id: "req.response-mode.enum",
        area: "request-validation",
        level: Level::Must,
        title: "Unknown response_mode is refused",
        statement: "Only `streaming` and `blocking` are legal; anything else is 400 `invalid_param`.",
        source: "spec enum; src Literal[\"blocking\",\"streaming\"]",
        modes: ANY,
        tested: "response_mode=\"async\". Assert 400.",
        versions: None,
        load: Load::No,
        judge: Judge::Exchange(response_mode_enum),
        absent: always,
    },
    Rule {
        id: "req.response-mode.default",
        area: "request-validation",
        level: Level::Must,
        title: "Omitted response_mode means blocking",
        statement: "Without response_mode the server answers one JSON document.",
        source: "spec ChatRequest.response_mode; src `streaming = payload.response_mode == \"streaming\"`",
        modes: BLOCKING,
        tested: "Omit the field. Assert Content-Type application/json and the blocking shape.",
        versions: None,
        load: Load::No,
        judge: Judge::Exchange(response_mode_default),
        absent: always,
    },
    Rule {
        id: "req.response-mode.honoured",
        area: "request-validation",
        level: Level::Must,
        title: "The Content-Type follows response_mode",
        statement: "blocking => application/json with one object; streaming => text/event-stream.",
        source: "spec 200 response text",
        modes: ANY,
        tested: "Send both modes. Assert media type (ignoring charset) and that the blocking body parses as one JSON object and the streaming body is SSE.",
        versions: None,
        load: Load::Every,
        judge: Judge::Exchange(response_mode_honoured),
        absent: always,
    },
    Rule {
        id: "req.json.malformed",
        area: "request-validation",
        level: Level::Should,
        title: "Malformed JSON is a 400",
        statement: "Unparsable JSON gives 400 with code `bad_request` (Dify) and the JSON error body.",
        source: "src libs/external_api.py:handle_http_exception (reproduced locally: 400 bad_request)",
        modes: ANY,
        tested: "Body `{\"a\":` with Content-Type application/json. Assert 400 and error body.",
        versions: None,
        load: Load::No,
        judge: Judge::Exchange(json_malformed),
        absent: always,
    },
    Rule {
        id: "req.input.required-missing",
        area: "request-validation",
        level: Level::Must,
        title: "A missing required variable is refused",
        statement: "When user_input_form marks a variable required, leaving it out on a first turn gives 400 `invalid_param` naming the variable.",
        source: "guide chat.mdx (GET /parameters is the basis for inputs); src base_app_generator.py:_validate_inputs",
        modes: ANY,
        tested: "Read GET /parameters, pick required variable v, send inputs without v (new conversation). Assert 400 invalid_param and v in message.",
        versions: None,
        load: Load::No,
        judge: Judge::Exchange(input_required_missing),
        absent: no_required_input,
    },
    Rule {
        id: "req.unicode-roundtrip",
        area: "request-validation",
        level: Level::Must,
        title: "Text survives unchanged",
        statement: "Emoji, combining marks, RTL, CJK, quotes, backslashes, newlines and U+2028 in query come back identical from GET /messages.",
        source: "spec ConversationMessageItem.query",
        modes: CHATS,
        tested: "Send a torture string; GET /messages; assert item.query == string.",
        versions: None,
        load: Load::Sampled,
        judge: Judge::Run(unicode_roundtrip),
        absent: always,
    },
    Rule {
        id: "req.rejected-before-stream",
        area: "request-validation",
        level: Level::Must,
        title: "Request errors are HTTP errors, also in streaming mode",
        statement: "Invalid user/query/inputs/conversation_id with response_mode=streaming produce a 4xx JSON answer, not a 200 stream holding an error event.",
        source: "guide streaming.mdx (errors after the stream opens stay 200) read with spec 400/404; src generators validate before the worker starts",
        modes: ANY,
        tested: "For each invalid request in streaming mode: assert status in {400,404} and Content-Type application/json.",
        versions: Some("<=1.12: synchronous; >=1.13 chatflow/workflow: partly asynchronous"),
        load: Load::No,
        judge: Judge::Exchange(rejected_before_stream),
        absent: always,
    },
];
