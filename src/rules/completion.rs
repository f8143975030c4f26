//! Area `completion`: one request, one text, no conversation.

use super::grammar;
use super::notes::Notes;
use super::run::Run;
use super::seen::Seen;
use super::stream::clip;
use crate::model::{App, AppMode, Endpoint};
use crate::schema::Document;
use serde_json::{Map, Value};

fn is_completion(s: &Seen) -> bool {
    s.endpoint() == Endpoint::CompletionMessages
}

/// Source: OpenAPI `CompletionResponse`.
fn blocking_shape(s: &Seen, n: &mut Notes) {
    let Some(json) = s.json.as_ref().filter(|_| is_completion(s) && s.sent.valid() && s.is(200)) else { return };
    n.fits(s, Document::CompletionBlocking, json);
    let is = |member: &str, value: &str| json.get(member).and_then(Value::as_str) == Some(value);
    n.expect(is("event", "message"), s, "event", "`event` to be `message`", || format!("{:?}", json.get("event")));
    n.expect(is("mode", "completion"), s, "mode", "`mode` to be `completion`", || format!("{:?}", json.get("mode")));
    n.expect(s.has_uuids(&["task_id", "id", "message_id"]), s, "ids", "UUIDs in task_id, id and message_id", || s.ids_text());
}

/// Source: OpenAPI: completion answers and events have no conversation; conversation operations need a chat app.
fn no_conversation(s: &Seen, n: &mut Notes) {
    if is_completion(s) && s.is(200) && (s.json.is_some() || s.stream.is_some()) {
        let shown = s.member("conversation_id").map(Value::to_string);
        n.expect(shown.is_none(), s, "member", "no conversation_id", || format!("conversation_id {}", shown.clone().unwrap_or_default()));
    }
    if s.endpoint() == Endpoint::Conversations && s.app.mode == Some(AppMode::Completion) && s.has_key() && s.sent.user.is_some() {
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
    (!own.is_empty() && own.iter().all(|t| answer.contains(t.as_str()))).then_some((own, answer))
}

/// Source: introduction guide: completion apps keep no conversation.
fn stateless(run: &Run, app: &App, n: &mut Notes) {
    for s in run.on(app).filter(|s| is_completion(s) && s.sent.valid() && s.sent.member("conversation_id").is_some()) {
        let accepted = s.error_code() != Some("not_found") && s.error_code() != Some("invalid_param");
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
        let accepted = s.error_code() != Some("invalid_param");
        n.expect(accepted, s, "status", "no parameter error when `query` is left out", || s.outcome_text());
    }
}

/// Source: streaming guide, event order of completion apps.
fn stream_grammar(s: &Seen, n: &mut Notes) {
    if let Some(stream) = s.stream.as_ref().filter(|_| is_completion(s) && !s.cut()) {
        grammar::judge_message_stream(s, stream, n);
    }
}

/// Source: OpenAPI `StreamEventBase`.
fn stream_ids(s: &Seen, n: &mut Notes) {
    if let Some(stream) = s.stream.as_ref().filter(|_| is_completion(s)) {
        for member in ["message_id", "task_id", "created_at"] {
            n.one_value(s, stream, member);
        }
    }
}

/// Source: guide: both response modes run the same app; real bug: blocking held only the first chunk (issue 20883).
fn parity(run: &Run, app: &App, n: &mut Notes) {
    super::parity::judge(run, app, Endpoint::CompletionMessages, n);
}

fn no_echo(run: &Run, app: &App) -> Option<String> {
    (!run.on(app).any(|s| echoed(s).is_some()))
        .then(|| "the answers do not repeat what was sent; point the key at an echo app".to_owned())
}
