//! Area `chat`, turns of one conversation: history, memory, queries, rejected turns; other users kept out.

use super::echo::needs_echo;
use super::notes::Notes;
use super::request::{Asked, canonical_uuid};
use super::rule::{CHATS, Judge, Load, Rule, always};
use super::run::{Conversation, Run, ids};
use super::seen::Seen;
use super::stream::clip;
use crate::model::{App, AppMode, Endpoint, Level};
use serde_json::Value;

/// Source: OpenAPI `GET /messages`.
fn history_grows(run: &Run, app: &App, n: &mut Notes) {
    for conversation in run.conversations_of(app).filter(|c| c.from_start) {
        for read in run.histories(app, conversation).filter(|h| h.whole() && !conversation.busy_during(h.seen)) {
            let turns: Vec<_> = conversation.turns_before(read.seen).collect();
            let shown = ids(read.items);
            let wanted: Vec<&str> = turns.iter().map(|t| t.message_id.as_str()).collect();
            let missing = wanted.iter().find(|id| !shown.contains(id));
            n.expect(missing.is_none(), read.seen, "missing", format!("all {} messages", wanted.len()), || {
                format!("{} messages, without {}", shown.len(), missing.unwrap_or(&""))
            });
            let mut extra =
                shown.iter().filter(|id| !wanted.contains(id) || shown.iter().filter(|o| o == id).count() > 1);
            if run.transcript.complete {
                let surplus = extra.next();
                n.expect(surplus.is_none(), read.seen, "surplus", format!("exactly {} messages", wanted.len()), || {
                    format!("{} messages; {} is one too many", shown.len(), surplus.unwrap_or(&""))
                });
            }
            for turn in turns.iter().filter(|t| t.query.is_ascii()) {
                let query = read.item(&turn.message_id).and_then(|i| i.get("query")).and_then(Value::as_str);
                let same = query.is_none_or(|q| q == turn.query);
                n.expect(
                    same,
                    read.seen,
                    "query",
                    format!("query `{}` for {}", clip(&turn.query), turn.message_id),
                    || clip(query.unwrap_or("")),
                );
            }
        }
    }
}

/// Source: guide, conversation memory; real bugs: langgenius/dify issues 9130, 9179, 8910. Judged on apps whose answers
/// repeat the labelled prompt, by the text of an earlier query, never by an input value.
fn context(run: &Run, app: &App, n: &mut Notes) {
    if app.mode == Some(AppMode::AdvancedChat) && !remembers(run, app) {
        return;
    }
    for conversation in run.conversations_of(app) {
        for (index, later) in conversation.turns.iter().enumerate().filter(|(_, t)| t.completed) {
            let Some(answer) = run.at(later).answer() else { continue };
            let earlier = conversation.turns[..index].iter().rev().find(|e| {
                let labelled = run.at(e).answer().is_some_and(|a| a.contains(&format!("user: {}", e.query)));
                e.completed
                    && labelled
                    && e.ended_us <= later.sent_us
                    && e.query.chars().count() >= 8
                    && !later.query.contains(&e.query)
            });
            let Some(earlier) = earlier else { continue };
            let remembers = answer.contains(&earlier.query);
            n.expect(
                remembers,
                run.at(later),
                "forgotten",
                format!("the earlier query `{}` in the prompt", clip(&earlier.query)),
                || format!("a prompt without it: {}", clip(&answer)),
            );
            if !remembers {
                n.with(run.at(earlier));
            }
        }
    }
}

/// Whether some turn of an app repeated the query of an earlier one. The memory of a chatflow's model can be off.
fn remembers(run: &Run, app: &App) -> bool {
    run.conversations_of(app).flat_map(|c| c.turns.windows(2)).any(|pair| {
        let (earlier, later) = (&pair[0].query, &pair[1]);
        let told = run.at(later).answer().is_some_and(|answer| answer.contains(earlier.as_str()));
        earlier.chars().count() >= 8 && !later.query.contains(earlier.as_str()) && told
    })
}

fn no_prompt_echo(run: &Run, app: &App) -> Option<String> {
    (!run.echoes_prompt(app)).then(|| needs_echo("the answers do not repeat the prompt"))
}

/// Source: OpenAPI `ChatRequest.query`.
fn query_processed(run: &Run, app: &App, n: &mut Notes) {
    for s in run.calls(app, Endpoint::ChatMessages).filter(|s| s.sent.valid()) {
        let started = s.stream.and_then(|st| st.find("workflow_started"));
        let seen = started.and_then(|e| Some((e, e.data("inputs")?.get("sys.query")?.as_str()?)));
        if let (Some((event, seen)), Some(query)) = (seen, s.sent.query().filter(|q| !q.contains('\0'))) {
            n.expect(seen == query, s, "sys-query", format!("sys.query `{}`", clip(query)), || clip(seen));
            if seen != query {
                n.at_frame(event.frame);
            }
        }
    }
    for conversation in run.conversations_of(app) {
        for turn in conversation.turns.iter().filter(|t| !t.query.contains('\0') && t.query.is_ascii()) {
            for (read, item) in run.stored(app, conversation, turn).into_iter().take(1) {
                let stored = item.get("query").and_then(Value::as_str).unwrap_or("");
                let same = stored == turn.query;
                n.expect(same, read, "stored", format!("query `{}`", clip(&turn.query)), || {
                    format!("query `{}`", clip(stored))
                });
                if !same {
                    n.with(run.at(turn));
                }
            }
        }
    }
}

/// Source: error guide: a rejected request is not processed.
fn rejected_adds_nothing(run: &Run, app: &App, n: &mut Notes) {
    for conversation in run.conversations_of(app) {
        let rejected: Vec<&Seen> =
            run.calls(app, Endpoint::ChatMessages).filter(|s| rejected_on(s, conversation)).collect();
        let reads: Vec<_> = run.histories(app, conversation).filter(|h| h.whole()).collect();
        for pair in reads.windows(2) {
            let (before, after) = (&pair[0], &pair[1]);
            if let Some(bad) =
                between(&rejected, before.seen, after.seen).filter(|_| quiet(conversation, before.seen, after.seen))
            {
                let (was, is) = (ids(before.items), ids(after.items));
                if !run.transcript.complete
                    && !is.iter().any(|id| after.item(id).is_some_and(|i| i.get("query") == bad.sent.member("query")))
                {
                    n.judged += 1;
                    continue;
                }
                n.expect(was == is, after.seen, "message", format!("{} messages as before", was.len()), || {
                    format!("{} messages", is.len())
                });
                if was != is {
                    n.with(bad);
                }
            }
        }
        if !run.transcript.complete {
            continue;
        }
        let touched = |value: &Value| value.get("updated_at").and_then(Value::as_i64);
        let lists: Vec<_> = run
            .lists(app)
            .filter(|l| l.user == conversation.user)
            .filter_map(|l| l.item(&conversation.id).map(|i| (l.seen, i)))
            .collect();
        for pair in lists.windows(2) {
            let ((before, was), (after, is)) = (pair[0], pair[1]);
            if let Some(bad) = between(&rejected, before, after).filter(|_| quiet(conversation, before, after)) {
                let same = touched(was) == touched(is);
                n.expect(same, after, "updated-at", format!("updated_at {:?} as before", touched(was)), || {
                    format!("updated_at {:?}", touched(is))
                });
                if !same {
                    n.with(bad);
                }
            }
        }
    }
}

fn rejected_on(s: &Seen, conversation: &Conversation) -> bool {
    let names_it =
        s.sent.conversation == Asked::Id(conversation.id.clone()) && s.sent.user.as_deref() == Some(&conversation.user);
    names_it && matches!(s.exchange.status(), 400 | 404) && !matches!(s.error_code(), Some("completion_request_error"))
}

fn between<'s, 't>(rejected: &[&'s Seen<'t>], before: &Seen, after: &Seen) -> Option<&'s Seen<'t>> {
    let inside = |s: &&&Seen| {
        s.exchange.timing.sent_us >= before.exchange.ended_us()
            && s.exchange.ended_us() <= after.exchange.timing.sent_us
    };
    rejected.iter().find(inside).copied()
}

/// No accepted turn between two reads, and the conversation lives.
fn quiet(conversation: &Conversation, before: &Seen, after: &Seen) -> bool {
    let (from, to) = (before.exchange.timing.sent_us, after.exchange.ended_us());
    conversation.alive_during(after) && !conversation.turns.iter().any(|t| t.ended_us >= from && t.sent_us <= to)
}

fn foreign<'r>(run: &'r Run, s: &Seen) -> Option<&'r Conversation> {
    let id = match s.endpoint() {
        Endpoint::ChatMessages => match &s.sent.conversation {
            Asked::Id(id) if s.sent.valid() => id.clone(),
            _ => return None,
        },
        Endpoint::Messages => canonical_uuid(s.route.param("conversation_id")?)?,
        _ => canonical_uuid(s.route.ids.first()?)?,
    };
    let conversation = run.conversation(s.app, &id)?;
    let other_user = s.sent.user.as_deref().is_some_and(|u| u != conversation.user);
    let known = conversation.turns.first().is_some_and(|t| t.ended_us <= s.exchange.timing.sent_us);
    (other_user && known && s.has_key() && conversation.alive_during(s)).then_some(conversation)
}

/// Source: OpenAPI `ChatRequest.user`: conversations are isolated per end user.
fn user_continue(run: &Run, app: &App, n: &mut Notes) {
    for s in run.calls(app, Endpoint::ChatMessages) {
        let Some(conversation) = foreign(run, s) else { continue };
        n.refused(s, 404, "not_found");
        let query = s.sent.query().unwrap_or("");
        for read in run.histories(app, conversation).filter(|h| h.whole() && h.seen.exchange.id > s.exchange.id).take(1)
        {
            let added = read.items.iter().any(|i| i.get("query").and_then(Value::as_str) == Some(query));
            n.expect(!added, read.seen, "message-added", "a history without the other user's query", || {
                format!("query `{}`", clip(query))
            });
        }
    }
}

/// Source: OpenAPI `user` parameter of the conversation operations.
fn user_read(run: &Run, app: &App, n: &mut Notes) {
    for s in run.on(app).filter(|s| s.exchange.reply.is_some()) {
        let check = match s.endpoint() {
            Endpoint::Messages => "messages",
            Endpoint::ConversationRename => "rename",
            Endpoint::Variables => "variables",
            Endpoint::Suggested | Endpoint::Feedback => {
                foreign_message(run, s, n);
                continue;
            }
            _ => continue,
        };
        if foreign(run, s).is_some() && !(s.is(404) && s.json.is_none()) {
            n.expect(s.is(404), s, check, "status 404 for another user's conversation", || s.outcome_text());
        }
    }
    for list in run.lists(app) {
        let others = run.conversations_of(app).find(|c| c.user != list.user && list.item(&c.id).is_some());
        if run.conversations_of(app).any(|c| c.user != list.user) {
            n.expect(others.is_none(), list.seen, "list", "only conversations of the user", || {
                others.map(|c| format!("conversation {} of another user", c.id)).unwrap_or_default()
            });
        }
    }
}

fn foreign_message(run: &Run, s: &Seen, n: &mut Notes) {
    let Some(message) = s.route.ids.first() else { return };
    let owner = run.conversations_of(s.app).find(|c| c.turns.iter().any(|t| t.message_id == *message));
    let other_user = owner.is_some_and(|c| s.sent.user.as_deref().is_some_and(|u| !u.is_empty() && u != c.user));
    if other_user && s.has_key() {
        let check = if s.endpoint() == Endpoint::Suggested { "suggested" } else { "feedback" };
        n.expect(s.is(404), s, check, "status 404 for another user's message", || s.outcome_text());
    }
}

/// Source: OpenAPI `DELETE /conversations/{id}`; langgenius/dify PR 32686.
fn user_delete(run: &Run, app: &App, n: &mut Notes) {
    for s in run.calls(app, Endpoint::ConversationDelete).filter(|s| s.exchange.reply.is_some()) {
        let Some(conversation) =
            s.route.ids.first().and_then(|id| canonical_uuid(id)).and_then(|id| run.conversation(app, &id))
        else {
            continue;
        };
        let other_user = s.sent.user.as_deref().is_some_and(|u| u != conversation.user);
        let gone_before = conversation.deleted_us.is_some_and(|at| at < s.exchange.timing.sent_us);
        if !other_user || gone_before || !s.has_key() {
            continue;
        }
        n.expect(s.is(404), s, "status", "status 404 for another user's conversation", || s.outcome_text());
        let owner_reads = run.calls(app, Endpoint::Messages).filter(|r| {
            r.exchange.id > s.exchange.id
                && r.sent.user.as_deref() == Some(&conversation.user)
                && r.route.param("conversation_id") == Some(&conversation.id)
                && !conversation.deleted_by_owner
        });
        for read in owner_reads.take(1) {
            n.expect(read.is(200), read, "gone", "the conversation still there for its owner", || read.outcome_text());
        }
    }
}

/// The rows of this area.
pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "chat.continuity.history-grows",
        area: "chat",
        level: Level::Must,
        title: "Each accepted turn adds exactly one message",
        statement: "After n successful turns GET /messages lists exactly n messages, in order, with the sent queries and the returned message_ids.",
        source: "documentation (to July 2026); spec GET /messages; src MessageService.pagination_by_first_id",
        modes: CHATS,
        tested: "3 turns with nonces; GET /messages?limit=100. Assert 3 items, queries equal in order, ids == returned message_ids, all conversation_id==C.",
        versions: None,
        load: Load::Sampled,
        judge: Judge::Run(history_grows),
        absent: always,
    },
    Rule {
        id: "chat.continuity.context",
        area: "chat",
        level: Level::Must,
        title: "Earlier turns reach the model",
        statement: "On turn 2 the app sees turn 1 (memory on).",
        source: "guide chatflow.mdx; src TokenBufferMemory",
        modes: CHATS,
        tested: "Stub model that returns the concatenated history: turn 1 nonce N1, turn 2 ask; assert N1 in answer 2. Chatflow echo app: sys.dialogue_count==2 and a conversation variable set in turn 1 is returned in turn 2.",
        versions: None,
        load: Load::Sampled,
        judge: Judge::Run(context),
        absent: no_prompt_echo,
    },
    Rule {
        id: "chat.rejected-turn-adds-nothing",
        area: "chat",
        level: Level::Must,
        title: "A rejected turn leaves the conversation unchanged",
        statement: "400/404 answers add no message and do not touch updated_at.",
        source: "src validation precedes _init_generate_records",
        modes: CHATS,
        tested: "GET /messages + list before; send query \"\" and bad inputs with C; re-read. Assert equal count and updated_at.",
        versions: None,
        load: Load::No,
        judge: Judge::Run(rejected_adds_nothing),
        absent: always,
    },
    Rule {
        id: "chat.query.processed",
        area: "chat",
        level: Level::Must,
        title: "The query of this request is the one answered",
        statement: "The stored message holds exactly the sent query, and in chatflow streams workflow_started.data.inputs[\"sys.query\"] equals it.",
        source: "spec; src workflow_response_converter.py:_prepare_workflow_inputs",
        modes: CHATS,
        tested: "Nonce per request; compare sys.query (chatflow, every stream) or GET /messages (others, sampled).",
        versions: None,
        load: Load::Every,
        judge: Judge::Run(query_processed),
        absent: always,
    },
    Rule {
        id: "chat.isolation.user-continue",
        area: "chat",
        level: Level::Must,
        title: "Another user cannot continue the conversation",
        statement: "Conversation of user A used by user B gives 404 `not_found`; no message is added.",
        source: "guide end-user-identity.mdx; src get_conversation (from_end_user_id)",
        modes: CHATS,
        tested: "A creates C; B posts with C: 404; A GET /messages unchanged.",
        versions: None,
        load: Load::Sampled,
        judge: Judge::Run(user_continue),
        absent: always,
    },
    Rule {
        id: "chat.isolation.user-read",
        area: "chat",
        level: Level::Must,
        title: "Another user cannot read, list, rename or inspect",
        statement: "For user B every read/rename on A's conversation or message is 404 and B's list lacks it.",
        source: "guide end-user-identity.mdx; src ConversationService/MessageService",
        modes: CHATS,
        tested: "B: GET /messages?conversation_id=C ->404; list lacks C; rename ->404; variables ->404; suggested ->404 (or 400 if disabled). A's name unchanged.",
        versions: None,
        load: Load::Sampled,
        judge: Judge::Run(user_read),
        absent: always,
    },
    Rule {
        id: "chat.isolation.user-delete",
        area: "chat",
        level: Level::Must,
        title: "Another user cannot delete",
        statement: "DELETE by user B of A's conversation gives 404 and leaves it intact.",
        source: "guide end-user-identity.mdx; spec 404",
        modes: CHATS,
        tested: "B: DELETE C. Assert 404. A: GET /messages -> 200.",
        versions: Some("fixed >=1.13.1"),
        load: Load::No,
        judge: Judge::Run(user_delete),
        absent: always,
    },
];
