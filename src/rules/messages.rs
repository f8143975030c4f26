//! Area `messages`: reading a conversation's history.

use super::notes::Notes;
use super::request::{canonical_uuid, is_uuid};
use super::rule::{CHATS, Judge, Load, Rule, always};
use super::run::{Conversation, History, Run, ids};
use super::seen::Seen;
use super::stream::clip;
use crate::model::{App, AppMode, Endpoint, Level};
use crate::schema::Document;
use serde_json::Value;

fn is_history(s: &Seen) -> bool {
    s.endpoint() == Endpoint::Messages
}

fn limit(s: &Seen) -> Option<usize> {
    s.route.param("limit").map_or(Some(20), |text| text.parse().ok())
}

/// Source: OpenAPI `GET /messages` 200.
fn shape(s: &Seen, n: &mut Notes) {
    let Some(json) = s.json.filter(|_| is_history(s) && s.is(200)) else { return };
    n.fits(s, Document::Messages, json);
    let Some(items) = json.get("data").and_then(Value::as_array) else { return };
    if let Some(most) = limit(s) {
        n.expect(items.len() <= most, s, "limit", format!("at most {most} items"), || items.len().to_string());
    }
    let asked = s.route.param("conversation_id").and_then(canonical_uuid);
    let other =
        items.iter().find(|i| i.get("conversation_id").and_then(Value::as_str).and_then(canonical_uuid) != asked);
    n.expect(asked.is_none() || other.is_none(), s, "conversation", "items of the asked conversation", || {
        other.and_then(|o| o.get("conversation_id")).map(Value::to_string).unwrap_or_default()
    });
}

fn created(item: &Value) -> i64 {
    item.get("created_at").and_then(Value::as_i64).unwrap_or(0)
}

/// Known turns were sent in different seconds, so that their order is certain.
fn spaced(conversation: &Conversation) -> bool {
    conversation.turns.windows(2).all(|w| w[1].sent_us >= w[0].ended_us + 1_000_000)
}

/// Source: Dify source `MessageService.pagination_by_first_id`: newest page, ascending inside. The documentation says newest
/// first, which no measured version does.
fn order(run: &Run, app: &App, n: &mut Notes) {
    for conversation in run.conversations_of(app).filter(|c| c.from_start) {
        for read in run.histories(app, conversation) {
            if read.items.len() >= 2 {
                let ascending = read.items.windows(2).all(|w| created(&w[0]) <= created(&w[1]));
                n.expect(ascending, read.seen, "ascending", "created_at ascending inside the page", || {
                    format!("{:?}", read.items.iter().map(created).collect::<Vec<_>>())
                });
            }
            let turns: Vec<&str> = conversation.turns_before(read.seen).map(|t| t.message_id.as_str()).collect();
            if read.from_newest
                && read.has_more
                && spaced(conversation)
                && turns.len() > read.items.len()
                && !conversation.busy_during(read.seen)
            {
                let newest = &turns[turns.len() - read.items.len()..];
                let mut shown = ids(read.items);
                shown.sort_unstable();
                let mut wanted = newest.to_vec();
                wanted.sort_unstable();
                if !run.transcript.complete && !shown.iter().all(|id| turns.contains(id)) {
                    continue;
                }
                n.expect(shown == wanted, read.seen, "newest-page", "the newest messages on the first page", || {
                    format!("{shown:?}")
                });
            }
        }
    }
}

/// Pages of one walk: a first page, then pages whose first_id is the oldest id of the page before.
fn walks<'r, 't>(run: &'r Run<'t>, app: &'r App, conversation: &'r Conversation) -> Vec<Vec<History<'r, 't>>> {
    let mut walks: Vec<Vec<History>> = Vec::new();
    for page in run.histories(app, conversation) {
        if page.from_newest {
            walks.push(vec![page]);
            continue;
        }
        let cursor = page.seen.route.param("first_id").unwrap_or("");
        let follows = |w: &Vec<History>| {
            w.last().is_some_and(|last| {
                last.has_more && oldest(last.items) == Some(cursor) && limit(last.seen) == limit(page.seen)
            })
        };
        if let Some(walk) = walks.iter_mut().find(|w| follows(w)) {
            walk.push(page);
        }
    }
    walks
}

fn oldest(items: &[Value]) -> Option<&str> {
    items.iter().min_by_key(|i| created(i)).and_then(|i| i.get("id")).and_then(Value::as_str)
}

/// Source: OpenAPI `GET /messages`, `first_id` and `has_more`. Turns inside one second are skipped by real servers, so only
/// spaced conversations are judged.
fn pagination_partition(run: &Run, app: &App, n: &mut Notes) {
    for conversation in run.conversations_of(app).filter(|c| c.from_start && spaced(c)) {
        for walk in walks(run, app, conversation).iter().filter(|w| w.len() >= 2) {
            let Some(last) = walk.last() else { continue };
            let shown: Vec<&str> = walk.iter().flat_map(|p| ids(p.items)).collect();
            let repeated = shown.iter().find(|id| shown.iter().filter(|o| o == id).count() > 1);
            n.expect(repeated.is_none(), last.seen, "repeated", "each message once", || {
                format!("{} twice", repeated.unwrap_or(&""))
            });
            if last.has_more {
                continue;
            }
            let missing = conversation.turns_before(walk[0].seen).find(|t| !shown.contains(&t.message_id.as_str()));
            n.expect(missing.is_none(), last.seen, "gap", "all messages after has_more turned false", || {
                missing.map(|t| format!("{} never shown", t.message_id)).unwrap_or_default()
            });
        }
    }
}

/// Source: OpenAPI `GET /messages`, `has_more`.
fn has_more(run: &Run, app: &App, n: &mut Notes) {
    for conversation in run.conversations_of(app).filter(|c| c.from_start) {
        for read in run.histories(app, conversation).filter(|h| h.from_newest && !conversation.busy_during(h.seen)) {
            let Some(most) = limit(read.seen) else { continue };
            if read.has_more {
                n.expect(
                    read.items.len() == most,
                    read.seen,
                    "short-page",
                    format!("a full page of {most} while has_more is true"),
                    || read.items.len().to_string(),
                );
            }
            let known = conversation.turns_before(read.seen).count();
            if run.transcript.complete {
                let expected = known > most;
                n.expect(
                    read.has_more == expected,
                    read.seen,
                    "has-more",
                    format!("has_more {expected} ({known} messages, limit {most})"),
                    || format!("has_more {} with {} items", read.has_more, read.items.len()),
                );
            }
        }
    }
}

/// Source: OpenAPI `GET /messages` 400 and 404.
fn conversation_id_required(run: &Run, app: &App, n: &mut Notes) {
    for s in run
        .calls(app, Endpoint::Messages)
        .filter(|s| s.has_key() && s.sent.user.is_some() && app.mode.is_some_and(AppMode::is_chat))
    {
        if s.exchange.reply.is_none() || s.route.param("limit").is_some_and(|l| !matches!(l.parse(), Ok(1..=100))) {
            continue;
        }
        let first_id = s.route.param("first_id").filter(|id| !id.is_empty());
        match s.route.param("conversation_id") {
            None => {
                n.expect(s.is(400), s, "missing", "status 400 without conversation_id", || s.outcome_text());
            }
            Some(id) if !id.is_empty() && canonical_uuid(id).is_none() => {
                n.expect(s.is(400), s, "malformed", "status 400 for a malformed conversation_id", || s.outcome_text());
            }
            Some(id) => {
                let known = canonical_uuid(id).and_then(|id| run.conversation(app, &id));
                if known.is_none() && run.transcript.complete && is_uuid(id) {
                    n.expect(s.is(404), s, "unknown", "status 404 for an unknown conversation_id", || s.outcome_text());
                }
                let known = known.filter(|c| !c.mixed_up);
                if let (Some(conversation), Some(first_id)) = (known, first_id.filter(|id| is_uuid(id))) {
                    let own = s.sent.user.as_deref() == Some(&conversation.user);
                    let message = conversation.turns.iter().any(|t| t.message_id == first_id);
                    if own && !message && run.transcript.complete && conversation.alive_during(s) {
                        n.expect(s.is(404), s, "first-id", "status 404 for an unknown first_id", || s.outcome_text());
                    }
                }
            }
        }
    }
}

/// Source: OpenAPI `GET /messages`, `answer`; real bug: langgenius/dify issue 41712.
fn answer_matches(run: &Run, app: &App, n: &mut Notes) {
    for conversation in run.conversations_of(app) {
        for turn in conversation.turns.iter().filter(|t| t.completed) {
            let s = run.at(turn);
            let replaced = s.stream.is_some_and(|st| st.find("message_replace").is_some());
            let Some(answer) = s.answer().filter(|a| !a.contains("{{") && !replaced && !s.truncated()) else {
                continue;
            };
            for (read, item) in run.stored(app, conversation, turn).into_iter().take(1) {
                let stored = item.get("answer").and_then(Value::as_str).unwrap_or("");
                let same = comparable(stored, app) == comparable(&answer, app);
                n.expect(same, read, "stored", format!("the answer as delivered: {}", clip(&answer)), || {
                    format!("stored: {}", clip(stored))
                });
                if !same {
                    n.with(s);
                }
            }
        }
    }
}

/// Text without what may differ: agents put line breaks between the answers of their steps when they store them.
pub(super) fn comparable(text: &str, app: &App) -> String {
    let masked = mask_files(text);
    match app.mode {
        Some(AppMode::AgentChat | AppMode::Agent) => masked.split_whitespace().collect(),
        _ => masked,
    }
}

/// Trims, and hides the signature of file URLs, which changes with every read.
pub(super) fn mask_files(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.trim();
    while let Some(at) = rest.find("/files/") {
        let tail = &rest[at..];
        let end = tail.find(|c: char| c.is_whitespace() || matches!(c, ')' | '"')).unwrap_or(tail.len());
        out.push_str(&rest[..at]);
        out.push_str(tail[..end].split('?').next().unwrap_or(""));
        rest = &tail[end..];
    }
    out.push_str(rest);
    out
}

/// The rows of this area.
pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "messages.shape",
        area: "messages",
        level: Level::Must,
        title: "History page shape",
        statement: "{limit, has_more, data[]} with items holding id, conversation_id, inputs object, query, answer, status, created_at, feedback, message_files[], agent_thoughts[], retriever_resources[].",
        source: "spec ConversationHistoryResponse/ConversationMessageItem; src fields/message_fields.py",
        modes: CHATS,
        tested: "Type check of every page; data.length<=limit; item.conversation_id==C.",
        versions: None,
        load: Load::Every,
        judge: Judge::Exchange(shape),
        absent: always,
    },
    Rule {
        id: "messages.order",
        area: "messages",
        level: Level::Should,
        title: "Pages go back in time, items ascend inside a page",
        statement: "The first page holds the latest messages; items inside a page are in ascending created_at (as the server really does).",
        source: "src message_service.py:pagination_by_first_id (order=\"asc\"); issues #802 #15188",
        modes: CHATS,
        tested: "5 spaced turns, limit 2: page 1 == turns 4,5 in that order.",
        versions: None,
        load: Load::No,
        judge: Judge::Run(order),
        absent: always,
    },
    Rule {
        id: "messages.pagination.partition",
        area: "messages",
        level: Level::Must,
        title: "first_id walk visits each message once",
        statement: "Walking with first_id = oldest id of the page yields all messages, no repeats, no gaps, until has_more is false.",
        source: "spec first_id; src",
        modes: CHATS,
        tested: "n=7 spaced turns, limit 3; union == all ids; has_more == (remaining>0) on every page.",
        versions: None,
        load: Load::No,
        judge: Judge::Run(pagination_partition),
        absent: always,
    },
    Rule {
        id: "messages.has-more",
        area: "messages",
        level: Level::Must,
        title: "has_more is exact",
        statement: "has_more is true iff older messages exist beyond the page; data.length==limit when true.",
        source: "spec has_more; src fetch limit+1",
        modes: CHATS,
        tested: "limit = n-1, n, n+1.",
        versions: None,
        load: Load::Sampled,
        judge: Judge::Run(has_more),
        absent: always,
    },
    Rule {
        id: "messages.conversation-id.required",
        area: "messages",
        level: Level::Must,
        title: "conversation_id is required and checked",
        statement: "Missing: 400; unknown UUID or foreign: 404; unknown first_id: 404.",
        source: "spec 400/404; src MessageListQuery",
        modes: CHATS,
        tested: "Four calls; assert statuses.",
        versions: None,
        load: Load::No,
        judge: Judge::Run(conversation_id_required),
        absent: always,
    },
    Rule {
        id: "messages.answer.matches",
        area: "messages",
        level: Level::Must,
        title: "Stored answer equals the delivered answer",
        statement: "Blocking answer (or effective streamed text) equals item.answer for that message_id.",
        source: "spec; guide streaming.mdx (history shows what was saved)",
        modes: CHATS,
        tested: "Compare after trim and /files/ URL masking.",
        versions: None,
        load: Load::Sampled,
        judge: Judge::Run(answer_matches),
        absent: always,
    },
];
