//! Area `errors`: the error body, its codes, and errors inside streams.

use super::echo::needs_echo;
use super::notes::Notes;
use super::request::{Defect, canonical_uuid};
use super::rule::{ANY, Judge, Load, Rule, always};
use super::run::Run;
use super::seen::Seen;
use super::stream::{Event, clip};
use crate::model::{App, Endpoint, Level};
use regex::Regex;
use serde_json::Value;
use std::sync::LazyLock;

/// Codes of the app endpoints with their status. Source: error guide; Dify source `controllers/service_api/app/error.py`.
const CODES: &[(&str, u16)] = &[
    ("unauthorized", 401),
    ("forbidden", 403),
    ("invalid_param", 400),
    ("bad_request", 400),
    ("not_chat_app", 400),
    ("not_workflow_app", 400),
    ("not_completion_app", 400),
    ("app_unavailable", 400),
    ("conversation_completed", 400),
    ("agent_not_published", 400),
    ("provider_not_initialize", 400),
    ("provider_quota_exceeded", 400),
    ("model_currently_not_support", 400),
    ("completion_request_error", 400),
    ("no_file_uploaded", 400),
    ("too_many_files", 400),
    ("filename_not_exists_error", 400),
    ("file_extension_blocked", 400),
    ("no_audio_uploaded", 400),
    ("provider_not_support_speech_to_text", 400),
    ("speech_to_text_disabled", 400),
    ("invalid_form_data", 400),
    ("not_found", 404),
    ("file_not_found", 404),
    ("file_access_denied", 403),
    ("end_user_not_found", 404),
    ("workflow_version_execution_not_allowed", 403),
    ("method_not_allowed", 405),
    ("human_input_form_submitted", 412),
    ("human_input_form_expired", 412),
    ("file_too_large", 413),
    ("audio_too_large", 413),
    ("unsupported_file_type", 415),
    ("unsupported_audio_type", 415),
    ("unsupported_media_type", 415),
    ("too_many_requests", 429),
    ("rate_limit_error", 429),
    ("internal_server_error", 500),
];

/// Pairs legal inside streams. Source: Dify source, `_error_to_stream_response`.
const STREAM_CODES: &[(&str, u64)] = &[
    ("invalid_param", 400),
    ("provider_not_initialize", 400),
    ("provider_quota_exceeded", 400),
    ("model_currently_not_support", 400),
    ("completion_request_error", 400),
    ("internal_server_error", 500),
];

/// Operations that every measured version has.
const EVERYWHERE: &[Endpoint] = &[
    Endpoint::ChatMessages,
    Endpoint::ChatStop,
    Endpoint::CompletionMessages,
    Endpoint::CompletionStop,
    Endpoint::WorkflowRun,
    Endpoint::WorkflowStop,
    Endpoint::Messages,
    Endpoint::Suggested,
    Endpoint::Feedback,
    Endpoint::Conversations,
    Endpoint::ConversationDelete,
    Endpoint::ConversationRename,
];

/// Whether a 404 may come from the framework, in HTML: versions lack some operations, and an id in the path that is no
/// UUID matches no route.
fn may_lack_route(s: &Seen) -> bool {
    !EVERYWHERE.contains(&s.endpoint()) || s.route.ids.iter().any(|id| canonical_uuid(id).is_none())
}

/// A JSON API answers it: not an unknown route or malformed path id (HTML 404 in real servers), not a gateway.
fn api_error(s: &Seen) -> bool {
    let status = s.exchange.status();
    let unknown_route = status == 404 && s.json.is_none() && may_lack_route(s);
    status >= 400
        && s.endpoint() != Endpoint::Other
        && !unknown_route
        && !(matches!(status, 502 | 504) && s.json.is_none())
}

/// Source: error guide: `{code, message, status}` on every error.
fn body_shape(s: &Seen, n: &mut Notes) {
    if !api_error(s) {
        return;
    }
    let Some(body) = s.json.and_then(Value::as_object) else {
        n.expect(false, s, "json", "a JSON error body", || format!("{} body", s.media_type()));
        return;
    };
    n.expect(body.get("code").is_some_and(Value::is_string), s, "code", "a string `code`", || {
        format!("{:?}", body.get("code"))
    });
    n.expect(body.get("message").is_some_and(Value::is_string), s, "message", "a string `message`", || {
        format!("{:?}", body.get("message"))
    });
    let status = body.get("status");
    if n.expect(status.is_some(), s, "status-member", "a `status` member", || "no `status` member".to_owned()) {
        let equal = status.and_then(Value::as_u64) == Some(u64::from(s.exchange.status()));
        n.expect(equal, s, "status-equal", format_args!("`status` {}", s.exchange.status()), || format!("{status:?}"));
    }
}

/// Source: error guide, code tables.
fn code_known(s: &Seen, n: &mut Notes) {
    if let Some(code) = s.error_code().filter(|_| api_error(s)) {
        let known = CODES.iter().any(|(c, _)| *c == code);
        n.expect(known, s, "code", "a documented snake_case code", || format!("`{}`", clip(code)));
    }
}

/// Source: error guide: 5xx mean a fault on the server's side; real bugs per version are known deviations.
fn status_class(s: &Seen, n: &mut Notes) {
    let status = s.exchange.status();
    let negative = s.sent.defects.iter().any(|d| *d != Defect::Credential) || (400..600).contains(&status);
    if status == 0 || s.endpoint() == Endpoint::Other || !negative || matches!(status, 502..=504) {
        return;
    }
    let check = match s.sent.defects.as_slice() {
        [Defect::NotAnObject] => "non-object-body",
        defects if defects.contains(&Defect::Odd) => "odd-value",
        _ => match s.endpoint() {
            Endpoint::ConversationRename => "rename",
            Endpoint::AnnotationReply => "annotation-reply",
            Endpoint::WorkflowRunDetail => "run-detail",
            Endpoint::Variables => "variables",
            _ => "server-error",
        },
    };
    n.expect(status < 500, s, check, "a 4xx answer to a client's mistake", || s.outcome_text());
}

/// Source: error guide: HTTP status tells success.
fn no_200(s: &Seen, n: &mut Notes) {
    let Some(body) = s.json.and_then(Value::as_object).filter(|_| s.is(200)) else { return };
    let error = body.get("code").is_some_and(Value::is_string)
        && body.get("message").is_some()
        && body.get("status").and_then(Value::as_u64).is_some_and(|status| status >= 400);
    n.expect(!error, s, "status", "an error status for an error body", || {
        format!("200 with code {}", body.get("code").unwrap_or(&Value::Null))
    });
}

fn stream_error<'s>(s: &'s Seen) -> Option<(&'s Event, Option<&'s Event>)> {
    let stream = s.stream?;
    let at = stream.events.iter().position(|e| e.name == "error")?;
    Some((&stream.events[at], stream.events.get(at + 1)))
}

/// Source: streaming guide, `error` event.
fn in_stream_shape(s: &Seen, n: &mut Notes) {
    let Some((error, next)) = stream_error(s) else { return };
    let status = error.value.get("status").and_then(Value::as_u64);
    let parts = [
        ("status", status.is_some_and(|v| v >= 400), "an integer status of 400 or more"),
        ("code", error.text("code").is_some(), "a string `code`"),
        ("message", error.text("message").is_some(), "a string `message`"),
        (
            "message-id",
            error.text("message_id").is_some() || s.app.mode == Some(crate::model::AppMode::Workflow),
            "the stream's message_id",
        ),
    ];
    for (check, holds, expected) in parts {
        n.expect(holds, s, check, expected, || clip(&error.value.to_string()));
    }
    let last = next.is_none_or(|e| e.name == "tts_message_end" || e.name == "tts_message");
    n.expect(last, s, "last", "nothing after the error event", || {
        next.map(|e| format!("`{}`", e.name)).unwrap_or_default()
    });
}

/// Source: Dify source, `_error_to_stream_response`.
fn in_stream_code_class(s: &Seen, n: &mut Notes) {
    let Some((error, _)) = stream_error(s) else { return };
    let pair = (error.text("code").unwrap_or(""), error.value.get("status").and_then(Value::as_u64).unwrap_or(0));
    n.expect(STREAM_CODES.contains(&pair), s, "pair", "a documented pair of code and status", || {
        format!("`{}` with {}", clip(pair.0), pair.1)
    });
}

static LEAK: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let traces =
        r#"Traceback|sqlalchemy|File "/|psycopg|\bat [\w.$<>]+\([\w$]+\.(?:java|kt|scala):\d+\)|goroutine \d+ \["#;
    let sql = r"(?i:\bselect .{1,200} from |\binsert into \w|\bupdate \w+ set |\bdelete from \w)";
    let paths = r#"(?:^|[\s"'(=])(?:/[\w.-]+){2,}\.(?:py|java|go|rs|rb|php|js|ts|so)\b"#;
    let keys = r"app-[A-Za-z0-9]{16}|\[key:";
    Regex::new(&[traces, sql, paths, keys].join("|")).ok()
});

/// Source: OWASP API8:2023; not applied to a workflow's own error texts.
fn message_no_leak(s: &Seen, n: &mut Notes) {
    let in_stream = stream_error(s).and_then(|(e, _)| e.text("message"));
    let Some(message) = s.error_message().filter(|_| api_error(s)).or(in_stream) else { return };
    let hit = LEAK.as_ref().and_then(|r| r.find(message));
    n.expect(hit.is_none(), s, "internals", "a message without stack traces, SQL, paths or keys", || clip(message));
}

fn no_stream_error(_: &Run, _: &App) -> Option<String> {
    Some(needs_echo("no generation failed inside its stream, as an echo model does on the word `fail`"))
}

/// The rows of this area.
pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "error.body.shape",
        area: "errors",
        level: Level::Must,
        title: "Three-field error body",
        statement: "Every 4xx/5xx of the API is JSON {code:string, message:string, status:int} with status equal to the HTTP status.",
        source: "guide errors.mdx",
        modes: ANY,
        tested: "Check on every non-2xx.",
        versions: None,
        load: Load::Every,
        judge: Judge::Exchange(body_shape),
        absent: always,
    },
    Rule {
        id: "error.code.known",
        area: "errors",
        level: Level::Should,
        title: "Codes come from the documented set",
        statement: "code is one of ERRORS.md; snake_case.",
        source: "guide errors.mdx; spec per endpoint",
        modes: ANY,
        tested: "Lookup; unknown => warning.",
        versions: None,
        load: Load::Every,
        judge: Judge::Exchange(code_known),
        absent: always,
    },
    Rule {
        id: "error.status.class",
        area: "errors",
        level: Level::Should,
        title: "Client faults are 4xx, never 5xx",
        statement: "Invalid requests of this suite never produce 5xx.",
        source: "guide errors.mdx",
        modes: ANY,
        tested: "Any 5xx during negative tests => finding.",
        versions: None,
        load: Load::No,
        judge: Judge::Exchange(status_class),
        absent: always,
    },
    Rule {
        id: "error.no-200",
        area: "errors",
        level: Level::Must,
        title: "Errors are not 200",
        statement: "A blocking body with an error code never has HTTP 200.",
        source: "guide errors.mdx",
        modes: ANY,
        tested: "If 200 JSON has keys code+message+status>=400 => violation.",
        versions: None,
        load: Load::Every,
        judge: Judge::Exchange(no_200),
        absent: always,
    },
    Rule {
        id: "error.in-stream.shape",
        area: "errors",
        level: Level::Must,
        title: "In-stream error event",
        statement: "error has integer status>=400, string code, string message, the ids of the stream, and is the last data event.",
        source: "guide errors.mdx \"Errors inside streams\"; spec StreamEventChatError",
        modes: ANY,
        tested: "Shape + nothing after (except tts_message_end/ping).",
        versions: None,
        load: Load::Every,
        judge: Judge::Exchange(in_stream_shape),
        absent: no_stream_error,
    },
    Rule {
        id: "error.in-stream.code-class",
        area: "errors",
        level: Level::Should,
        title: "In-stream codes match the HTTP table",
        statement: "code/status pairs in streams are those of ERRORS.md (e.g. completion_request_error/400, internal_server_error/500).",
        source: "guide errors.mdx; src _error_to_stream_response",
        modes: ANY,
        tested: "Pair lookup.",
        versions: None,
        load: Load::Every,
        judge: Judge::Exchange(in_stream_code_class),
        absent: no_stream_error,
    },
    Rule {
        id: "error.message.no-leak",
        area: "errors",
        level: Level::Should,
        title: "Errors do not leak internals",
        statement: "No stack traces, SQL, file paths or keys in messages.",
        source: "src external_api.py (generic 500 text); guide errors.mdx",
        modes: ANY,
        tested: "Search for stack traces (Python, JVM, Go), names of database libraries, SQL statements, paths of source files, keys.",
        versions: None,
        load: Load::Every,
        judge: Judge::Exchange(message_no_leak),
        absent: always,
    },
];
