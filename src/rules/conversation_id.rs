//! Area `chat`, conversation ids: generated, distinct, stable, persisted; unknown, malformed and deleted ones refused.

use super::notes::Notes;
use super::request::{Asked, Defect, canonical_uuid, is_uuid};
use super::run::{Conversation, Run};
use super::seen::Seen;
use crate::model::{App, Credential, Endpoint};
use serde_json::Value;
use std::collections::{HashMap, HashSet};

fn is_chat(s: &Seen) -> bool {
    s.endpoint() == Endpoint::ChatMessages
}

/// Source: OpenAPI `ChatResponse.conversation_id`; Dify source, `Conversation.id`.
fn generated(s: &Seen, n: &mut Notes) {
    if is_chat(s) && s.sent.valid() && s.sent.starts_conversation() && s.is(200) && !s.cut() {
        let id = s.text("conversation_id").unwrap_or("");
        n.expect(is_uuid(id), s, "uuid", "a conversation_id in UUID form", || format!("conversation_id {:?}", s.member("conversation_id")));
    }
}

/// Source: OpenAPI `ChatRequest.conversation_id`; langgenius/dify issue 14893 (null refused by some releases).
fn blank_forms(run: &Run, app: &App, n: &mut Notes) {
    let mut ids: HashSet<String> = HashSet::new();
    for s in run.on(app).filter(|s| is_chat(s) && s.sent.valid() && s.sent.starts_conversation()) {
        let refused = matches!(s.error_code(), Some("not_found" | "invalid_param" | "bad_request"));
        let id = s.text("conversation_id").unwrap_or("");
        let fresh = !refused && (id.is_empty() || ids.insert(id.to_owned()));
        let (check, form) = match s.sent.conversation {
            Asked::Absent => ("absent", "no conversation_id"),
            Asked::Null => ("null", "conversation_id null"),
            _ => ("empty", "conversation_id \"\""),
        };
        let demand = format!("{form} to start a new conversation");
        let actual = || if refused { s.outcome_text() } else { format!("conversation {id}, seen before") };
        if check == "null" {
            n.advise(fresh, s, check, demand, actual);
        } else {
            n.expect(fresh, s, check, demand, actual);
        }
    }
}

/// Source: OpenAPI `ChatResponse.conversation_id` (unique).
fn distinct(run: &Run, app: &App, n: &mut Notes) {
    let mut seen: HashMap<&str, &Seen> = HashMap::new();
    let firsts = run.on(app).filter(|s| is_chat(s) && s.is(200) && s.sent.starts_conversation());
    for s in firsts {
        let Some(id) = s.text("conversation_id").filter(|id| !id.is_empty()) else { continue };
        let before = seen.insert(id, s);
        n.expect(before.is_none(), s, "repeated", "an id that no other first turn got", || format!("conversation_id {id} again"));
        if let Some(before) = before {
            n.with(before);
        }
    }
}

/// Source: OpenAPI `ChatRequest.conversation_id`; real bug: langgenius/dify issue 8820.
fn stable(s: &Seen, n: &mut Notes) {
    let Asked::Id(asked) = &s.sent.conversation else { return };
    if !is_chat(s) || !s.sent.valid() || !s.is(200) {
        return;
    }
    let shown: Vec<(String, usize)> = match &s.stream {
        Some(stream) => stream.distinct("conversation_id"),
        None => s.text("conversation_id").map(|id| (id.to_owned(), 0)).into_iter().collect(),
    };
    let other = shown.iter().find(|(id, _)| canonical_uuid(id).as_ref() != Some(asked));
    n.expect(other.is_none(), s, "other-id", format!("conversation_id {asked} as sent"), || {
        format!("conversation_id {}", other.map(|(id, _)| id.as_str()).unwrap_or_default())
    });
    if let Some((_, frame)) = other.filter(|(_, frame)| *frame > 0) {
        n.at_frame(*frame);
    }
}

/// Source: Dify source: the rows are committed before the first event; real bugs: issues 14893, 8858, 20401, 28481.
fn persisted(run: &Run, app: &App, n: &mut Notes) {
    for conversation in run.conversations_of(app) {
        let Some(first) = conversation.first() else { continue };
        let known_at = first_event_us(run.at(first));
        for s in run.on(app).filter(|s| s.exchange.timing.sent_us >= known_at && conversation.alive_during(s)) {
            persisted_for(run, conversation, s, n);
        }
    }
}

fn persisted_for(run: &Run, conversation: &Conversation, s: &Seen, n: &mut Notes) {
    let own = s.sent.user.as_deref() == Some(&conversation.user) && s.has_key();
    let first = conversation.first().map(|t| run.at(t));
    let verdict = match s.endpoint() {
        Endpoint::ChatMessages if own && s.sent.valid() && s.sent.conversation == Asked::Id(conversation.id.clone()) => {
            Some(("continue", s.exchange.status() != 404))
        }
        Endpoint::Messages if own && s.route.param("conversation_id") == Some(&conversation.id) => {
            Some(("messages", s.exchange.status() != 404))
        }
        _ => None,
    };
    if let Some((check, holds)) = verdict
        && !n.expect(holds, s, check, "the conversation to be there from its first event on", || s.outcome_text())
        && let Some(first) = first
    {
        n.with(first);
    }
}

/// When a client knew the conversation id: first event of a stream, end of a blocking answer.
fn first_event_us(s: &Seen) -> u64 {
    let first = s.stream.as_ref().and_then(|stream| stream.events.first());
    first.map_or(s.exchange.ended_us(), |e| s.exchange.timing.sent_us + e.at_us)
}

fn unknown_id(run: &Run, s: &Seen) -> Option<String> {
    let Asked::Id(id) = &s.sent.conversation else { return None };
    let created = run.conversations.iter().any(|c| c.id == *id && (c.from_start || c.turns.first().is_some_and(|t| run.at(t).exchange.id < s.exchange.id)));
    (!created).then(|| id.clone())
}

/// Source: OpenAPI 404 of `POST /chat-messages`; error guide `not_found`.
fn unknown_404(run: &Run, app: &App, n: &mut Notes) {
    for s in run.on(app).filter(|s| is_chat(s) && s.sent.valid() && s.exchange.reply.is_some()) {
        let Some(id) = unknown_id(run, s) else { continue };
        if !run.transcript.complete && !matches!(s.exchange.status(), 404 | 500) {
            continue;
        }
        if n.refused(s, 404, "not_found") {
            let user = s.sent.user.as_deref();
            let listed = run.lists(app).find(|l| Some(l.user) == user && l.seen.exchange.id > s.exchange.id && l.item(&id).is_some());
            if let Some(list) = listed {
                n.expect(false, list.seen, "created", "no conversation under the refused id", || format!("conversation {id} in the list"));
            }
        }
    }
}

/// Source: error guide `invalid_param`; Dify source: `uuid_value`.
fn malformed_400(s: &Seen, n: &mut Notes) {
    if is_chat(s) && s.sent.only(&Defect::ConversationMalformed) {
        n.refused(s, 400, "invalid_param");
    }
}

/// Source: OpenAPI `DELETE /conversations/{id}`; real bug: langgenius/dify issue 12488.
fn deleted_404(run: &Run, app: &App, n: &mut Notes) {
    for conversation in run.conversations_of(app).filter(|c| c.deleted_by_owner) {
        let Some(deleted) = conversation.deleted_us else { continue };
        let own = |s: &&Seen| s.sent.user.as_deref() == Some(&conversation.user) && s.has_key();
        for s in run.on(app).filter(|s| s.exchange.timing.sent_us > deleted).filter(own) {
            let names_it = match s.endpoint() {
                Endpoint::ChatMessages => s.sent.valid() && s.sent.conversation == Asked::Id(conversation.id.clone()),
                Endpoint::Messages => s.route.param("conversation_id") == Some(&conversation.id),
                Endpoint::ConversationRename | Endpoint::Variables => s.route.ids.first() == Some(&conversation.id),
                _ => false,
            };
            if names_it {
                let check = match s.endpoint() {
                    Endpoint::ChatMessages => "chat",
                    Endpoint::Messages => "messages",
                    Endpoint::ConversationRename => "rename",
                    _ => "variables",
                };
                n.expect(s.is(404), s, check, "status 404 after the conversation was deleted", || s.outcome_text());
            }
        }
        for list in run.lists(app).filter(|l| l.user == conversation.user && l.seen.exchange.timing.sent_us > deleted) {
            let gone = list.item(&conversation.id).is_none();
            n.expect(gone, list.seen, "list", "a list without the deleted conversation", || format!("conversation {} still listed", conversation.id));
        }
    }
}

/// Source: OpenAPI: ids identify one message, one task.
fn message_id_distinct(run: &Run, app: &App, n: &mut Notes) {
    let mut owners: HashMap<(&str, String), &Seen> = HashMap::new();
    for s in run.on(app).filter(|s| s.endpoint().generates() && s.is(200)) {
        for member in ["message_id", "task_id", "workflow_run_id"] {
            let Some(id) = s.member(member).and_then(Value::as_str) else { continue };
            let before = owners.insert((member, id.to_owned()), s);
            n.expect(before.is_none(), s, "repeated", format!("a {member} that no other request got"), || format!("{member} {id} again"));
            if let Some(before) = before {
                n.with(before);
            }
        }
    }
}

/// Source: OpenAPI `ChatResponse`.
fn blocking_shape(s: &Seen, n: &mut Notes) {
    let Some(json) = s.json.as_ref().filter(|_| is_chat(s) && s.sent.valid() && s.is(200)) else { return };
    n.fits(s, crate::schema::Document::ChatBlocking, json);
    let event = json.get("event").and_then(Value::as_str);
    n.expect(event == Some("message"), s, "event", "`event` to be `message`", || format!("event {:?}", json.get("event")));
    let mode = json.get("mode").and_then(Value::as_str);
    if let Some(expected) = s.app.mode {
        n.expect(mode == Some(expected.as_str()), s, "mode", format!("mode `{expected}`"), || format!("mode {:?}", json.get("mode")));
    }
    let members = ["task_id", "id", "message_id", "conversation_id"];
    n.expect(s.has_uuids(&members), s, "ids", "UUIDs in task_id, id, message_id and conversation_id", || s.ids_text());
}

/// Source: guide: both response modes run the same app; real bug: langgenius/dify issue 6201.
fn parity(run: &Run, app: &App, n: &mut Notes) {
    super::parity::judge(run, app, Endpoint::ChatMessages, n);
}

fn not_deterministic(run: &Run, app: &App) -> Option<String> {
    super::parity::absent(run, app, Endpoint::ChatMessages)
}

/// Whether the request authenticated with the app's own key.
pub(super) fn has_own_key(s: &Seen) -> bool {
    s.exchange.request.credential() == Credential::Key(s.app.label.clone())
}
