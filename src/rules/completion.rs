//! Area `completion`: one request, one text, no conversation.

use super::echo::needs_echo;
use super::grammar;
use super::notes::Notes;
use super::rule::{COMPLETION, Judge, Load, Rule, always};
use super::run::Run;
use super::seen::Seen;
use super::stream::clip;
use crate::model::{App, AppMode, Endpoint, Level};
use crate::schema::Document;
use serde_json::{Map, Value};

fn is_completion(s: &Seen) -> bool {
    s.endpoint() == Endpoint::CompletionMessages
}

/// Source: OpenAPI `CompletionResponse`.
fn blocking_shape(s: &Seen, n: &mut Notes) {
    let Some(json) = s.json.filter(|_| is_completion(s) && s.sent.valid() && s.is(200)) else { return };
    n.fits(s, Document::CompletionMessages, json);
    let is = |member: &str, value: &str| json.get(member).and_then(Value::as_str) == Some(value);
    n.expect(is("event", "message"), s, "event", "`event` to be `message`", || format!("{:?}", json.get("event")));
    n.expect(is("mode", "completion"), s, "mode", "`mode` to be `completion`", || format!("{:?}", json.get("mode")));
    n.expect(s.has_uuids(&["task_id", "id", "message_id"]), s, "ids", "UUIDs in task_id, id and message_id", || {
        s.ids_text()
    });
    // Source: Dify source; the specification does not say it.
    n.advise(json.get("id") == json.get("message_id"), s, "id-equal", "`id` equal to message_id", || s.ids_text());
}

/// Source: OpenAPI: completion answers and events have no conversation; conversation operations need a chat app.
fn no_conversation(s: &Seen, n: &mut Notes) {
    if is_completion(s) && s.is(200) && (s.json.is_some() || s.stream.is_some()) {
        let shown = s.member("conversation_id").map(Value::to_string);
        n.expect(shown.is_none(), s, "member", "no conversation_id", || {
            format!("conversation_id {}", shown.clone().unwrap_or_default())
        });
    }
    if s.endpoint() == Endpoint::Conversations
        && s.app.mode == Some(AppMode::Completion)
        && s.has_key()
        && s.sent.user.is_some()
    {
        n.refused(s, 400, "not_chat_app");
    }
}

/// What a completion said in its own words: texts of its inputs and its query, long enough to recognise.
fn own_texts(s: &Seen) -> Vec<String> {
    let inputs = s.sent.inputs().into_iter().flat_map(Map::values).filter_map(Value::as_str);
    inputs.chain(s.sent.query()).filter(|t| t.chars().count() >= 8).map(str::to_owned).collect()
}

fn echoed(s: &Seen) -> Option<(Vec<String>, String)> {
    let answer = s.answer().filter(|_| is_completion(s) && s.completed())?;
    let own = own_texts(s);
    own.iter().any(|t| answer.contains(t.as_str())).then_some((own, answer))
}

/// Source: introduction guide: completion apps keep no conversation.
fn stateless(run: &Run, app: &App, n: &mut Notes) {
    for s in run.on(app).filter(|s| is_completion(s) && s.sent.valid() && s.sent.member("conversation_id").is_some()) {
        let accepted = s.error_code() != Some("not_found") && !s.refused_for("conversation_id");
        n.expect(accepted, s, "conversation-id-ignored", "a conversation_id to be ignored", || s.outcome_text());
    }
    let calls: Vec<_> = run.on(app).filter_map(|s| echoed(s).map(|(own, answer)| (s, own, answer))).collect();
    for (later, own, answer) in &calls {
        let earlier = calls.iter().filter(|(e, _, _)| e.exchange.ended_us() <= later.exchange.timing.sent_us);
        let mut leaks = earlier.flat_map(|(e, texts, _)| texts.iter().map(move |t| (e, t)));
        let leak = leaks.find(|(_, text)| !own.contains(text) && answer.contains(text.as_str()));
        n.expect(leak.is_none(), later, "text-of-another-call", "no text of an earlier call", || {
            leak.map(|(_, text)| format!("the text `{}` of an earlier call", clip(text))).unwrap_or_default()
        });
        if let Some((source, _)) = leak {
            n.with(source);
        }
    }
}

/// Source: OpenAPI `CompletionRequest`: only `inputs` and `user` are required.
fn query_optional(s: &Seen, n: &mut Notes) {
    if is_completion(s) && s.sent.valid() && s.sent.member("query").is_none() && s.exchange.reply.is_some() {
        let accepted = !s.refused_for("query");
        n.expect(accepted, s, "status", "no parameter error when `query` is left out", || s.outcome_text());
    }
}

/// Source: streaming guide, event order of completion apps.
fn stream_grammar(s: &Seen, n: &mut Notes) {
    if let Some(stream) = s.stream.filter(|_| is_completion(s) && !s.cut()) {
        grammar::judge(s, stream, n);
    }
}

/// Source: OpenAPI `StreamEventBase`.
fn stream_ids(s: &Seen, n: &mut Notes) {
    if let Some(stream) = s.stream.filter(|_| is_completion(s)) {
        for member in ["message_id", "task_id", "created_at"] {
            n.one_value(s, stream, member);
        }
    }
}

/// Source: guide: both response modes run the same app; real bug: blocking held only the first chunk (issue 20883).
fn parity(run: &Run, app: &App, n: &mut Notes) {
    super::parity::judge(run, app, Endpoint::CompletionMessages, n);
}

fn not_deterministic(run: &Run, app: &App) -> Option<String> {
    super::parity::absent(run, app, Endpoint::CompletionMessages)
}

fn no_echo(run: &Run, app: &App) -> Option<String> {
    (!run.on(app).any(|s| echoed(s).is_some())).then(|| needs_echo("the answers do not repeat what was sent"))
}

/// The rows of this area.
pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "completion.blocking.shape",
        area: "completion",
        level: Level::Must,
        title: "Blocking body has the documented fields",
        statement: "event==\"message\", task_id, id, message_id UUIDs, mode==\"completion\", answer string, metadata object, created_at integer.",
        source: "spec CompletionResponse; src completion/generate_response_converter.py",
        modes: COMPLETION,
        tested: "POST blocking; assert presence, types, UUID syntax; id==message_id (source) is a warning only.",
        versions: None,
        load: Load::Every,
        judge: Judge::Exchange(blocking_shape),
        absent: always,
    },
    Rule {
        id: "completion.no-conversation",
        area: "completion",
        level: Level::Must,
        title: "Completion answers carry no conversation state",
        statement: "No conversation_id in blocking bodies or events, and conversation endpoints refuse the app.",
        source: "guide completion.mdx (no conversation state); src CompletionAppStreamResponse",
        modes: COMPLETION,
        tested: "Assert \"conversation_id\" absent from body and from every event; GET /conversations -> 400 not_chat_app.",
        versions: None,
        load: Load::Every,
        judge: Judge::Exchange(no_conversation),
        absent: always,
    },
    Rule {
        id: "completion.stateless",
        area: "completion",
        level: Level::Should,
        title: "Calls are independent",
        statement: "Sending a conversation_id (ignored) or repeating calls never leaks one call's text into another.",
        source: "guide completion.mdx",
        modes: COMPLETION,
        tested: "Stub model echoing its prompt: call twice with nonces N1,N2 (second with conversation_id of a random UUID). Assert answer 2 contains N2, not N1, and status 200.",
        versions: None,
        load: Load::Sampled,
        judge: Judge::Run(stateless),
        absent: no_echo,
    },
    Rule {
        id: "completion.query-optional",
        area: "completion",
        level: Level::Must,
        title: "`query` is optional for completion",
        statement: "Omitting query is legal and equals the empty string.",
        source: "spec CompletionRequest.query default \"\"; src Field(default=\"\")",
        modes: COMPLETION,
        tested: "Omit query. Assert 200.",
        versions: None,
        load: Load::No,
        judge: Judge::Exchange(query_optional),
        absent: always,
    },
    Rule {
        id: "completion.stream.grammar",
        area: "completion",
        level: Level::Must,
        title: "Event sequence of a completion stream",
        statement: "Per EVENTS.md machine: zero or more message/message_file/message_replace/tts, then exactly one message_end or one error; tts_message_end may trail.",
        source: "spec /completion-messages text/event-stream; guide completion.mdx; src easy_ui_based_generate_task_pipeline.py",
        modes: COMPLETION,
        tested: "Run the `completion` state machine on every stream.",
        versions: None,
        load: Load::Every,
        judge: Judge::Exchange(stream_grammar),
        absent: always,
    },
    Rule {
        id: "completion.stream.ids",
        area: "completion",
        level: Level::Must,
        title: "Ids are constant within a completion stream",
        statement: "All events of one stream share message_id and created_at; all but error share task_id; no event carries another request's ids.",
        source: "spec StreamEvent fields; src CompletionAppGenerateResponseConverter",
        modes: COMPLETION,
        tested: "Set of message_id, task_id, created_at over events has size 1.",
        versions: None,
        load: Load::Every,
        judge: Judge::Exchange(stream_ids),
        absent: always,
    },
    Rule {
        id: "completion.parity",
        area: "completion",
        level: Level::Should,
        title: "Blocking and streaming agree",
        statement: "With a deterministic model, the streamed chunks concatenate to the blocking answer and metadata has the same keys.",
        source: "spec; src same pipeline",
        modes: COMPLETION,
        tested: "Same inputs both modes; compare text after trim, metadata key sets.",
        versions: None,
        load: Load::Sampled,
        judge: Judge::Run(parity),
        absent: not_deterministic,
    },
];
