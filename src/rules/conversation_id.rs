//! Area `chat`, conversation ids: generated, distinct, stable, persisted; unknown, malformed and deleted ones refused.

use super::notes::Notes;
use super::request::{Asked, Defect, canonical_uuid, is_uuid};
use super::rule::{ANY, BLOCKING_CHATS, CHATS, Judge, Load, Rule, always};
use super::run::{Conversation, Run};
use super::seen::Seen;
use crate::model::{App, Endpoint, Level};
use serde_json::Value;
use std::collections::{HashMap, HashSet};

fn is_chat(s: &Seen) -> bool {
    s.endpoint() == Endpoint::ChatMessages
}

/// Source: OpenAPI `ChatResponse.conversation_id`; Dify source, `Conversation.id`.
fn generated(s: &Seen, n: &mut Notes) {
    if is_chat(s) && s.sent.valid() && s.sent.starts_conversation() && s.is(200) && !s.cut() {
        let id = s.text("conversation_id").unwrap_or("");
        n.expect(is_uuid(id), s, "uuid", "a conversation_id in UUID form", || {
            format!("conversation_id {:?}", s.member("conversation_id"))
        });
    }
}

/// Source: OpenAPI `ChatRequest.conversation_id`; langgenius/dify issue 14893 (null refused by some releases).
fn blank_forms(run: &Run, app: &App, n: &mut Notes) {
    let mut ids: HashSet<String> = HashSet::new();
    for s in run.on(app).filter(|s| is_chat(s) && s.sent.valid() && s.sent.starts_conversation()) {
        let about_it = s.error_message().is_some_and(|m| m.to_ascii_lowercase().contains("conversation"));
        let refused = s.refused_as_sent() && about_it;
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
        n.expect(before.is_none(), s, "repeated", "an id that no other first turn got", || {
            format!("conversation_id {id} again")
        });
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
    n.expect(other.is_none(), s, "other-id", format_args!("conversation_id {asked} as sent"), || {
        format!("conversation_id {}", other.map(|(id, _)| id.as_str()).unwrap_or_default())
    });
    if let Some((_, frame)) = other.filter(|(_, frame)| *frame > 0) {
        n.at_frame(*frame);
    }
}

/// Source: Dify source: the rows are committed before the first event; real bugs: issues 14893, 8858, 20401, 28481.
fn persisted(run: &Run, app: &App, n: &mut Notes) {
    for conversation in run.conversations_of(app) {
        let raced = run.raced(app, &conversation.user);
        let Some(first) = conversation.first().filter(|_| !raced) else { continue };
        let known_at = first_event_us(run.at(first));
        for s in run.on(app).filter(|s| s.exchange.timing.sent_us >= known_at && run.there(conversation, s)) {
            persisted_for(run, conversation, s, n);
        }
    }
}

fn persisted_for(run: &Run, conversation: &Conversation, s: &Seen, n: &mut Notes) {
    let own = s.sent.user.as_deref() == Some(&conversation.user) && s.has_key();
    let first = conversation.first().map(|t| run.at(t));
    let verdict = match s.endpoint() {
        Endpoint::ChatMessages
            if own && s.sent.valid() && s.sent.conversation == Asked::Id(conversation.id.clone()) =>
        {
            Some(("continue", s.exchange.status() != 404))
        }
        Endpoint::Messages
            if own
                && s.route.param("conversation_id") == Some(&conversation.id)
                && s.route.param("first_id").is_none() =>
        {
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
    let first = s.stream.and_then(|stream| stream.events.first());
    first.map_or(s.exchange.ended_us(), |e| s.exchange.timing.sent_us + e.at_us)
}

fn unknown_id(run: &Run, s: &Seen) -> Option<String> {
    let Asked::Id(id) = &s.sent.conversation else { return None };
    let created = run.conversations.iter().any(|c| {
        c.id == *id && (c.from_start || c.turns.first().is_some_and(|t| run.at(t).exchange.id < s.exchange.id))
    });
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
            let listed = run
                .lists(app)
                .find(|l| Some(l.user) == user && l.seen.exchange.id > s.exchange.id && l.item(&id).is_some());
            if let Some(list) = listed {
                n.expect(false, list.seen, "created", "no conversation under the refused id", || {
                    format!("conversation {id} in the list")
                });
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
            n.expect(gone, list.seen, "list", "a list without the deleted conversation", || {
                format!("conversation {} still listed", conversation.id)
            });
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
            n.expect(before.is_none(), s, "repeated", format!("a {member} that no other request got"), || {
                format!("{member} {id} again")
            });
            if let Some(before) = before {
                n.with(before);
            }
        }
    }
}

/// Source: OpenAPI `ChatResponse`.
fn blocking_shape(s: &Seen, n: &mut Notes) {
    let Some(json) = s.json.filter(|_| is_chat(s) && s.sent.valid() && s.is(200)) else { return };
    n.fits(s, crate::schema::Document::ChatMessages, json);
    let event = json.get("event").and_then(Value::as_str);
    n.expect(event == Some("message"), s, "event", "`event` to be `message`", || {
        format!("event {:?}", json.get("event"))
    });
    let mode = json.get("mode").and_then(Value::as_str);
    if let Some(expected) = s.app.mode {
        n.expect(mode == Some(expected.as_str()), s, "mode", format!("mode `{expected}`"), || {
            format!("mode {:?}", json.get("mode"))
        });
    }
    let members = ["task_id", "id", "message_id", "conversation_id"];
    n.expect(s.has_uuids(&members), s, "ids", "UUIDs in task_id, id, message_id and conversation_id", || s.ids_text());
    // Source: Dify source; the specification does not say it.
    n.advise(json.get("id") == json.get("message_id"), s, "id-equal", "`id` equal to message_id", || s.ids_text());
}

/// Source: guide: both response modes run the same app; real bug: langgenius/dify issue 6201.
fn parity(run: &Run, app: &App, n: &mut Notes) {
    super::parity::judge(run, app, Endpoint::ChatMessages, n);
}

fn not_deterministic(run: &Run, app: &App) -> Option<String> {
    super::parity::absent(run, app, Endpoint::ChatMessages)
}

/// The rows of this area.
pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "chat.blocking.shape",
        area: "chat",
        level: Level::Must,
        title: "Blocking chat body has the documented fields",
        statement: "event==\"message\", task_id, id, message_id, conversation_id UUIDs, mode equal to the app mode, answer string, metadata object, created_at integer.",
        source: "spec ChatCompletionResponse; src chat/generate_response_converter.py",
        modes: BLOCKING_CHATS,
        tested: "POST blocking; assert presence/types; mode == GET /info mode.",
        versions: None,
        load: Load::Every,
        judge: Judge::Exchange(blocking_shape),
        absent: always,
    },
    Rule {
        id: "chat.conversation-id.generated",
        area: "chat",
        level: Level::Must,
        title: "A new conversation gets a server-made UUID",
        statement: "With no prior conversation the response carries a non-empty conversation_id in UUID form.",
        source: "documentation (to July 2026); spec ChatRequest.conversation_id; src message_based_app_generator.py:_init_generate_records",
        modes: CHATS,
        tested: "POST with conversation_id \"\". Assert UUID, not nil UUID.",
        versions: None,
        load: Load::Every,
        judge: Judge::Exchange(generated),
        absent: always,
    },
    Rule {
        id: "chat.conversation-id.blank-forms",
        area: "chat",
        level: Level::Must,
        title: "\"\", null, absent all start a new conversation",
        statement: "The three blank forms behave the same; each creates a fresh conversation.",
        source: "spec (omit or empty string); src normalize_conversation_id",
        modes: CHATS,
        tested: "Three calls same user. Assert three distinct new ids, all listed by GET /conversations.",
        versions: None,
        load: Load::No,
        judge: Judge::Run(blank_forms),
        absent: always,
    },
    Rule {
        id: "chat.conversation-id.distinct",
        area: "chat",
        level: Level::Must,
        title: "Every new conversation gets its own id",
        statement: "Ids of new conversations never repeat, within or across users, sequentially or in parallel.",
        source: "spec; src uuid primary key",
        modes: CHATS,
        tested: "Collect ids of all first turns in the run; assert set size == count.",
        versions: None,
        load: Load::Every,
        judge: Judge::Run(distinct),
        absent: always,
    },
    Rule {
        id: "chat.conversation-id.stable",
        area: "chat",
        level: Level::Must,
        title: "Continuation keeps the id",
        statement: "When conversation_id C is sent, every event/body of the reply carries exactly C.",
        source: "documentation (to July 2026); spec; src conversation reuse",
        modes: CHATS,
        tested: "Turn 2 with C; assert all conversation_id == C (case-normalised).",
        versions: None,
        load: Load::Every,
        judge: Judge::Exchange(stable),
        absent: always,
    },
    Rule {
        id: "chat.conversation-id.persisted",
        area: "chat",
        level: Level::Must,
        title: "The returned id is immediately usable",
        statement: "As soon as the client has the id (first event in streaming mode), it is listed, readable and continuable by the same user.",
        source: "src _init_generate_records commits before the worker starts; spec GET /conversations",
        modes: CHATS,
        tested: "On first SSE event: GET /conversations?user and GET /messages. Assert 200 and id present; after the end a second turn gives 200.",
        versions: None,
        load: Load::Sampled,
        judge: Judge::Run(persisted),
        absent: always,
    },
    Rule {
        id: "chat.conversation-id.unknown-404",
        area: "chat",
        level: Level::Must,
        title: "Unknown conversation_id is 404",
        statement: "A well-formed UUID that is no conversation of this app+user gives 404 `not_found`, both modes, and creates nothing.",
        source: "spec 404 Conversation Not Exists; src ConversationService.get_conversation",
        modes: CHATS,
        tested: "Random v4 UUID. Assert 404 not_found JSON; GET /conversations unchanged.",
        versions: None,
        load: Load::No,
        judge: Judge::Run(unknown_404),
        absent: always,
    },
    Rule {
        id: "chat.conversation-id.malformed-400",
        area: "chat",
        level: Level::Must,
        title: "Malformed conversation_id is 400",
        statement: "A non-UUID string gives 400 `invalid_param`.",
        source: "src completion.py:normalize_conversation_id; spec (not listed for chat explicitly)",
        modes: CHATS,
        tested: "\"not-a-uuid\", \"123\", a UUID with one char missing. Assert 400 invalid_param.",
        versions: None,
        load: Load::No,
        judge: Judge::Exchange(malformed_400),
        absent: always,
    },
    Rule {
        id: "chat.conversation-id.deleted-404",
        area: "chat",
        level: Level::Must,
        title: "A deleted conversation cannot be continued",
        statement: "After DELETE the id answers 404 everywhere and is gone from the list.",
        source: "spec DELETE /conversations; src is_deleted filter",
        modes: CHATS,
        tested: "Create, DELETE (204/200), then chat, GET /messages, rename, variables with it. Assert 404 each; list lacks it.",
        versions: None,
        load: Load::No,
        judge: Judge::Run(deleted_404),
        absent: always,
    },
    Rule {
        id: "chat.message-id.distinct",
        area: "chat",
        level: Level::Must,
        title: "message_id and task_id are unique per request",
        statement: "No two requests of a run share message_id, task_id or workflow_run_id.",
        source: "spec",
        modes: ANY,
        tested: "Global set over the run.",
        versions: None,
        load: Load::Every,
        judge: Judge::Run(message_id_distinct),
        absent: always,
    },
    Rule {
        id: "chat.parity",
        area: "chat",
        level: Level::Should,
        title: "Blocking and streaming chat agree",
        statement: "With a deterministic app both modes store and return the same answer and the same metadata keys.",
        source: "spec; src common pipeline",
        modes: BLOCKING_CHATS,
        tested: "Echo app, same query, two fresh conversations. Compare answers (trim) and GET /messages answers.",
        versions: None,
        load: Load::Sampled,
        judge: Judge::Run(parity),
        absent: not_deterministic,
    },
];
