//! Area `conversations`: list, sort, pages, rename, delete.

use super::notes::Notes;
use super::request::canonical_uuid;
use super::rule::{CHATS, Judge, Load, Rule, always};
use super::run::{Conversation, List, Run, Turn, ids};
use super::seen::Seen;
use super::stream::clip;
use crate::model::{App, AppMode, Endpoint, Level};
use crate::schema::Document;
use serde_json::Value;

fn number(item: &Value, member: &str) -> i64 {
    item.get(member).and_then(Value::as_i64).unwrap_or(0)
}

/// Source: OpenAPI `GET /conversations` 200.
fn list_shape(s: &Seen, n: &mut Notes) {
    if let Some(json) = s.json.filter(|_| s.endpoint() == Endpoint::Conversations && s.is(200)) {
        n.fits(s, Document::Conversations, json);
        let items = json.get("data").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let odd = items.iter().find(|i| i.get("status").is_some_and(|v| v != "normal"));
        n.expect(odd.is_none(), s, "status", "status `normal`", || {
            odd.map(|o| o["status"].to_string()).unwrap_or_default()
        });
    }
}

/// Source: OpenAPI `GET /conversations`. Only in runs of our own, where nothing about a user is missing.
fn list_complete(run: &Run, app: &App, n: &mut Notes) {
    for list in run.lists(app).filter(|l| run.transcript.complete && l.whole()) {
        let sent = list.seen.exchange.timing.sent_us;
        let ended = list.seen.exchange.ended_us();
        let own = || run.conversations_of(app).filter(|c| c.user == list.user && c.from_start);
        let busy = own().any(|c| c.turns.first().is_some_and(|t| t.sent_us < ended && t.ended_us > sent));
        let unsure = run.raced(app, list.user) || run.lost_count(app, list.user);
        if own().next().is_none() || busy || unsure {
            continue;
        }
        let there = own().filter(|c| {
            c.turns.first().is_some_and(|t| t.ended_us <= sent) && c.deleted_us.is_none_or(|at| at > ended)
        });
        let shown = ids(list.items);
        for conversation in there {
            let listed = shown.contains(&conversation.id.as_str());
            n.expect(listed, list.seen, "missing", format!("conversation {} in the list", conversation.id), || {
                format!("{} conversations without it", shown.len())
            });
        }
        if unanswered_turn(run, app, list.user) {
            continue;
        }
        let surplus =
            shown.iter().find(|id| !own().any(|c| c.id == **id) || shown.iter().filter(|o| o == id).count() > 1);
        n.expect(surplus.is_none(), list.seen, "surplus", "only the user's conversations, each once", || {
            format!("also {}", surplus.unwrap_or(&""))
        });
    }
}

/// A valid first turn failed: whether it left a conversation behind is not known.
fn unanswered_turn(run: &Run, app: &App, user: &str) -> bool {
    run.calls(app, Endpoint::ChatMessages).any(|s| {
        let first = s.sent.valid() && s.sent.starts_conversation() && s.sent.user.as_deref() == Some(user);
        first && s.text("conversation_id").is_none()
    })
}

/// Source: OpenAPI `GET /conversations`, `sort_by`.
fn sort(s: &Seen, n: &mut Notes) {
    if s.endpoint() != Endpoint::Conversations
        || !s.has_key()
        || !s.app.mode.is_some_and(AppMode::is_chat)
        || s.sent.user.is_none()
    {
        return;
    }
    let key = s.route.param("sort_by").unwrap_or("-updated_at");
    let field = key.trim_start_matches('-');
    if !matches!(field, "created_at" | "updated_at") {
        n.expect(s.is(400), s, "unknown-key", "status 400 for an unknown sort_by", || s.outcome_text());
        return;
    }
    let Some(items) = s.json.filter(|_| s.is(200)).and_then(|j| j.get("data")).and_then(Value::as_array) else {
        return;
    };
    if items.len() >= 2 {
        let values: Vec<i64> = items.iter().map(|i| number(i, field)).collect();
        let sorted = values.windows(2).all(|w| if key.starts_with('-') { w[0] >= w[1] } else { w[0] <= w[1] });
        n.expect(sorted, s, "order", format!("items ordered by {key}"), || format!("{field} {values:?}"));
    }
}

/// Source: OpenAPI `Conversation.updated_at`.
fn updated_at(run: &Run, app: &App, n: &mut Notes) {
    for conversation in run.conversations_of(app) {
        let reads: Vec<_> = run
            .lists(app)
            .filter(|l| l.user == conversation.user)
            .filter_map(|l| l.item(&conversation.id).map(|i| (l.seen, i)))
            .collect();
        for (read, item) in &reads {
            let (created, updated) = (number(item, "created_at"), number(item, "updated_at"));
            n.expect(updated >= created, read, "before-creation", "updated_at not before created_at", || {
                format!("{updated} < {created}")
            });
        }
        for pair in reads.windows(2) {
            let ((before, was), (after, is)) = (pair[0], pair[1]);
            let constant = number(was, "created_at") == number(is, "created_at");
            n.expect(constant, after, "created-at", "created_at constant", || {
                format!("{} then {}", number(was, "created_at"), number(is, "created_at"))
            });
            let changed = conversation.turns.iter().any(|t| {
                let inside = t.sent_us >= before.exchange.ended_us() && t.ended_us <= after.exchange.timing.sent_us;
                // In the second of a turn that nobody saw it need not grow.
                let apart = after.unix_at(t.sent_us) >= number(was, "updated_at") as f64 + 2.0;
                let apart = apart || run.transcript.complete;
                t.completed && inside && apart && surely_later(run, conversation, before, t)
            });
            if changed {
                let grew = number(is, "updated_at") > number(was, "updated_at");
                n.expect(grew, after, "turn", "updated_at to grow with a turn", || {
                    format!("{} then {}", number(was, "updated_at"), number(is, "updated_at"))
                });
            }
        }
    }
}

/// Whether a turn came so long after the activity that a read showed that the whole seconds must differ. Creation rounds
/// to seconds and later updates truncate, so the first update needs more distance than those after it.
fn surely_later(run: &Run, conversation: &Conversation, read: &Seen, turn: &Turn) -> bool {
    let before: Vec<&Turn> = conversation.turns_before(read).collect();
    let distance_us = if before.len() >= 2 { 1_050_000 } else { 2_000_000 };
    let of_conversation = |s: &&Seen| s.route.ids.first().is_some_and(|id| *id == conversation.id) && s.succeeded();
    let renames = run.seen.iter().filter(|s| s.endpoint() == Endpoint::ConversationRename).filter(of_conversation);
    let renamed = renames.map(|s| s.exchange.ended_us()).filter(|at| *at <= turn.sent_us);
    let last = before.iter().map(|t| t.ended_us).max().map(|last| renamed.fold(last, u64::max));
    last.is_some_and(|last| turn.sent_us >= last + distance_us)
}

fn walks<'r, 't>(run: &'r Run<'t>, app: &'r App) -> Vec<Vec<List<'r, 't>>> {
    let mut walks: Vec<Vec<List>> = Vec::new();
    for page in run.lists(app) {
        if page.from_top {
            walks.push(vec![page]);
            continue;
        }
        let cursor = page.seen.route.param("last_id").unwrap_or("");
        let same = |a: &Seen, b: &Seen| {
            a.route.param("limit") == b.route.param("limit") && a.route.param("sort_by") == b.route.param("sort_by")
        };
        let follows = |w: &Vec<List>| {
            w.last().is_some_and(|l| {
                l.has_more && l.user == page.user && ids(l.items).last() == Some(&cursor) && same(l.seen, page.seen)
            })
        };
        if let Some(walk) = walks.iter_mut().find(|w| follows(w)) {
            walk.push(page);
        }
    }
    walks
}

/// Source: OpenAPI `GET /conversations`, `last_id`, `has_more`.
fn pagination(run: &Run, app: &App, n: &mut Notes) {
    for s in run
        .calls(app, Endpoint::Conversations)
        .filter(|s| s.has_key() && s.sent.user.is_some() && app.mode.is_some_and(AppMode::is_chat))
    {
        match s.route.param("last_id").filter(|id| !id.is_empty()) {
            Some(id) if canonical_uuid(id).is_none() => {
                n.expect(s.is(400), s, "malformed", "status 400 for a malformed last_id", || s.outcome_text());
            }
            Some(id) if run.transcript.complete && !run.conversations.iter().any(|c| c.id == id) => {
                n.expect(s.is(404), s, "unknown", "status 404 for an unknown last_id", || s.outcome_text());
            }
            _ => {}
        }
    }
    for walk in walks(run, app)
        .iter()
        .filter(|w| run.transcript.complete && w.iter().any(|l| l.seen.route.param("limit").is_some()))
    {
        judge_walk(run, app, walk, n);
    }
}

fn judge_walk(run: &Run, app: &App, walk: &[List], n: &mut Notes) {
    let (Some(first), Some(last)) = (walk.first(), walk.last()) else { return };
    let (from, to) = (first.seen.exchange.timing.sent_us, last.seen.exchange.ended_us());
    let own = || run.conversations_of(app).filter(|c| c.user == first.user && c.from_start);
    let quiet = own().all(|c| {
        let still = c.turns.iter().all(|t| t.ended_us <= from || t.sent_us >= to);
        still && c.deleted_us.is_none_or(|at| at < from || at > to)
    });
    if !quiet || run.raced(app, first.user) || run.lost_count(app, first.user) {
        return;
    }
    let known = own()
        .filter(|c| c.turns.first().is_some_and(|t| t.ended_us <= from) && c.deleted_us.is_none_or(|at| at > to))
        .count();
    let mut shown: Vec<&str> = Vec::new();
    for page in walk {
        shown.extend(ids(page.items));
        let remaining = known.saturating_sub(shown.len()) > 0;
        n.expect(
            page.has_more == remaining,
            page.seen,
            "has-more",
            format!("has_more {remaining} ({} of {known} shown)", shown.len()),
            || format!("has_more {}", page.has_more),
        );
    }
    let repeated = shown.iter().find(|id| shown.iter().filter(|o| o == id).count() > 1);
    n.expect(repeated.is_none(), last.seen, "repeated", "each conversation once", || {
        format!("{} twice", repeated.unwrap_or(&""))
    });
}

fn renames<'r, 't>(run: &'r Run<'t>, app: &'r App, auto: bool) -> impl Iterator<Item = &'r Seen<'t>> {
    let asked = move |s: &&Seen| s.sent.member("auto_generate").and_then(Value::as_bool).unwrap_or(false) == auto;
    run.calls(app, Endpoint::ConversationRename).filter(|s| s.has_key() && s.sent.body.is_some()).filter(asked)
}

fn own_living(run: &Run, s: &Seen) -> bool {
    let id = s.route.ids.first().and_then(|id| canonical_uuid(id));
    id.and_then(|id| run.conversation(s.app, &id))
        .is_some_and(|c| s.sent.user.as_deref() == Some(&c.user) && run.there(c, s))
}

/// Source: OpenAPI `POST /conversations/{id}/name`.
fn rename(run: &Run, app: &App, n: &mut Notes) {
    for s in renames(run, app, false).filter(|s| own_living(run, s)) {
        let name = match s.sent.member("name") {
            None | Some(Value::Null) => {
                n.expect(s.is(400), s, "missing-name", "status 400 without a name", || s.outcome_text());
                continue;
            }
            Some(Value::String(name)) if name.trim().is_empty() => {
                n.expect(s.is(400), s, "blank-name", "status 400 for a blank name", || s.outcome_text());
                continue;
            }
            Some(Value::String(name)) if name.chars().count() <= 255 => name,
            _ => continue,
        };
        if n.expect(s.is(200), s, "status", "status 200", || s.outcome_text()) {
            let shown = s.text("name").unwrap_or("");
            n.expect(shown.trim() == name.trim(), s, "name", format!("name `{}`", clip(name)), || {
                format!("name `{}`", clip(shown))
            });
            let id = s.route.ids.first().map(String::as_str).unwrap_or("");
            let next_rename = renames(run, app, false)
                .chain(renames(run, app, true))
                .filter(|o| o.route.ids == s.route.ids && o.succeeded());
            let until =
                next_rename.map(|o| o.exchange.timing.sent_us).filter(|at| *at > s.exchange.timing.sent_us).min();
            let later = run.lists(app).filter(|l| l.seen.exchange.timing.sent_us >= s.exchange.ended_us());
            let later = later.filter(|l| until.is_none_or(|at| l.seen.exchange.ended_us() <= at));
            for (list, item) in later.filter_map(|l| l.item(id).map(|i| (l.seen, i))).take(1) {
                let listed = item.get("name").and_then(Value::as_str).unwrap_or("");
                let told = listed.trim() == name.trim() || !run.transcript.complete;
                n.expect(told, list, "listed", format!("name `{}`", clip(name)), || format!("name `{}`", clip(listed)));
            }
        }
    }
}

/// Source: OpenAPI `POST /conversations/{id}/name`, `auto_generate`.
fn rename_auto(run: &Run, app: &App, n: &mut Notes) {
    for s in renames(run, app, true).filter(|s| own_living(run, s)) {
        if n.expect(s.is(200), s, "status", "status 200", || s.outcome_text()) {
            let shown = s.text("name").unwrap_or("");
            n.expect(!shown.trim().is_empty(), s, "empty", "a non-empty name", || "an empty name".to_owned());
            if let Some(given) = s.sent.member("name").and_then(Value::as_str).filter(|g| !g.is_empty()) {
                n.expect(shown != given, s, "given-name", "a generated name", || {
                    format!("the given name `{}`", clip(given))
                });
            }
        }
    }
}

/// Source: OpenAPI `DELETE /conversations/{id}`; langgenius/dify issues 5400, 6907, 9680.
fn delete(run: &Run, app: &App, n: &mut Notes) {
    let calls: Vec<&Seen> =
        run.calls(app, Endpoint::ConversationDelete).filter(|s| s.has_key() && s.sent.body.is_some()).collect();
    for s in calls.iter().copied().filter(|s| s.exchange.reply.is_some()) {
        let Some(id) = s.route.ids.first().and_then(|id| canonical_uuid(id)) else { continue };
        let Some(conversation) = run.conversation(app, &id) else {
            if run.transcript.complete {
                n.expect(s.is(404), s, "unknown", "status 404 for an unknown conversation", || s.outcome_text());
            }
            continue;
        };
        let raced = run.raced(app, &conversation.user);
        if raced
            || conversation.mixed_up
            || s.sent.user.as_deref() != Some(&conversation.user)
            || !conversation.turns.iter().any(|t| t.completed)
        {
            continue;
        }
        let first = conversation.deleted_us.is_none_or(|at| at == s.exchange.timing.sent_us);
        if !first {
            n.expect(s.is(404), s, "second-delete", "status 404 for a deleted conversation", || s.outcome_text());
            continue;
        }
        let empty = s.exchange.reply.as_ref().is_some_and(|r| r.body_bytes == 0);
        let clean = s.is(204) && empty;
        if s.is(404) && !run.transcript.complete {
            continue; // an earlier DELETE may be missing
        }
        n.expect(clean, s, "success-status", "status 204 without a body", || s.outcome_text());
        let reads = run.calls(app, Endpoint::Messages).filter(|r| {
            let own =
                r.sent.user.as_deref() == Some(&conversation.user) && r.route.param("conversation_id") == Some(&id);
            own && s.succeeded() && r.exchange.timing.sent_us >= s.exchange.ended_us()
        });
        for read in reads.take(1) {
            n.expect(read.is(404), read, "still-there", "status 404 for the history of a deleted conversation", || {
                read.outcome_text()
            });
        }
    }
}

/// The rows of this area.
pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "conversations.list.shape",
        area: "conversations",
        level: Level::Must,
        title: "Conversation list shape",
        statement: "{limit, has_more, data[]} with id, name, inputs, status \"normal\", introduction, created_at, updated_at.",
        source: "spec ConversationsListResponse; src SimpleConversation",
        modes: CHATS,
        tested: "Type check.",
        versions: None,
        load: Load::Every,
        judge: Judge::Exchange(list_shape),
        absent: always,
    },
    Rule {
        id: "conversations.list.complete",
        area: "conversations",
        level: Level::Must,
        title: "The list holds exactly the user's live conversations",
        statement: "For a fresh user, after k new chats and d deletes the walked list is exactly the k-d ids.",
        source: "spec; guide end-user-identity.mdx",
        modes: CHATS,
        tested: "k=5,d=1; limit 100.",
        versions: None,
        load: Load::Sampled,
        judge: Judge::Run(list_complete),
        absent: always,
    },
    Rule {
        id: "conversations.sort",
        area: "conversations",
        level: Level::Must,
        title: "sort_by orders the list",
        statement: "created_at, -created_at, updated_at, -updated_at order accordingly; default -updated_at; other values 400.",
        source: "spec sort_by; src _get_sort_params",
        modes: CHATS,
        tested: "3 spaced conversations, new turn on the first: default order puts it first; created_at ascending; sort_by=name -> 400.",
        versions: None,
        load: Load::No,
        judge: Judge::Exchange(sort),
        absent: always,
    },
    Rule {
        id: "conversations.updated-at",
        area: "conversations",
        level: Level::Should,
        title: "A turn and a rename advance updated_at",
        statement: "updated_at strictly grows with each spaced turn or rename and is >= created_at; created_at is constant.",
        source: "src conversation.updated_at = now",
        modes: CHATS,
        tested: "Spaced turns; compare.",
        versions: None,
        load: Load::Sampled,
        judge: Judge::Run(updated_at),
        absent: always,
    },
    Rule {
        id: "conversations.pagination",
        area: "conversations",
        level: Level::Must,
        title: "last_id walk partitions the list",
        statement: "Cursor walk returns each conversation once; has_more exact for each sort; unknown last_id 404; malformed 400.",
        source: "spec last_id; src pagination_by_last_id",
        modes: CHATS,
        tested: "5 spaced conversations, limit 2, all four sorts; random UUID -> 404; \"x\" -> 400.",
        versions: None,
        load: Load::No,
        judge: Judge::Run(pagination),
        absent: always,
    },
    Rule {
        id: "conversations.rename",
        area: "conversations",
        level: Level::Must,
        title: "Rename sets and returns the name",
        statement: "200 with the conversation item carrying the new name; the list shows it; name missing/blank with auto_generate false: 400.",
        source: "spec ConversationRenameRequest; src ConversationRenamePayload",
        modes: CHATS,
        tested: "Rename to nonce; list; blank -> 400.",
        versions: None,
        load: Load::No,
        judge: Judge::Run(rename),
        absent: always,
    },
    Rule {
        id: "conversations.rename.auto",
        area: "conversations",
        level: Level::Should,
        title: "auto_generate ignores the given name",
        statement: "auto_generate true returns 200 with a non-empty name and other fields unchanged, even if the naming model fails.",
        source: "spec auto_generate; src suppress(Exception)",
        modes: CHATS,
        tested: "auto_generate:true,name:\"ZZ\" -> name non-empty.",
        versions: None,
        load: Load::No,
        judge: Judge::Run(rename_auto),
        absent: always,
    },
    Rule {
        id: "conversations.delete",
        area: "conversations",
        level: Level::Must,
        title: "Delete is final, scoped and 204",
        statement: "204 with no body; a second delete is 404; messages unreadable.",
        source: "spec 204/404; src",
        modes: CHATS,
        tested: "Delete; assert 204 and empty body; again -> 404; GET /messages -> 404.",
        versions: Some("204 documented since 2025"),
        load: Load::No,
        judge: Judge::Run(delete),
        absent: always,
    },
];
