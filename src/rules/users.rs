//! Area `request-validation`, end users: any text names one, and no name at all is one more user, not everybody.

use super::notes::Notes;
use super::request::canonical_uuid;
use super::rule::{CHATS, Judge, Load, Rule, always};
use super::run::{Conversation, Run, ids};
use super::seen::Seen;
use crate::model::{App, Endpoint, Level};
use serde_json::Value;

/// The user of requests that name none, as Dify calls it.
const DEFAULT_USER: &str = "DEFAULT-USER";

fn nameless(s: &Seen) -> bool {
    s.has_key() && s.sent.user.is_none()
}

/// The conversation of a named user with this id, there for certain when a request was sent.
fn of_a_named_user<'r>(run: &'r Run, app: &App, id: &str, s: &Seen) -> Option<&'r Conversation> {
    let conversation = run.conversation(app, &canonical_uuid(id)?)?;
    let named = !conversation.user.is_empty() && conversation.user != DEFAULT_USER;
    let there = conversation.turns_before(s).next().is_some() && conversation.alive_during(s);
    (named && there).then_some(conversation)
}

/// Source: OpenAPI (`user` is no required parameter of reads); Dify source, `get_or_create_end_user_by_type`.
fn optional_default(run: &Run, app: &App, n: &mut Notes) {
    for s in run.calls(app, Endpoint::Conversations).filter(|s| nameless(s) && s.is(200)) {
        let known = run.conversations_of(app).any(|c| of_a_named_user(run, app, &c.id, s).is_some());
        let items = s.json.and_then(|j| j.get("data")).and_then(Value::as_array);
        let Some(items) = items.filter(|_| known) else { continue };
        let foreign = ids(items).into_iter().find(|id| of_a_named_user(run, app, id, s).is_some());
        n.expect(foreign.is_none(), s, "list", "no conversation of a named user without `user`", || {
            format!("conversation {} of a named user", foreign.unwrap_or(""))
        });
    }
    let reads = run.calls(app, Endpoint::Messages).map(|s| (s, "history", s.route.param("conversation_id")));
    let named = run.calls(app, Endpoint::ConversationRename).filter(|s| s.sent.body.is_some());
    let renames = named.map(|s| (s, "rename", s.route.ids.first().map(String::as_str)));
    for (s, check, id) in reads.chain(renames).filter(|(s, ..)| nameless(s)) {
        if id.is_some_and(|id| of_a_named_user(run, app, id, s).is_some()) {
            n.expect(s.is(404), s, check, "status 404 without `user`", || s.outcome_text());
        }
    }
}

/// A user that is more than lower-case letters, digits and simple signs, or a number.
fn unusual(s: &Seen) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.@".contains(c);
    match s.sent.member("user") {
        Some(Value::String(text)) => text.chars().count() <= 255 && !text.chars().all(plain),
        Some(Value::Number(_)) => true,
        _ => false,
    }
}

/// Source: end-user guide (`user` is defined by the caller). Names over 255 characters are left out.
fn opaque(run: &Run, app: &App, n: &mut Notes) {
    for s in run.calls(app, Endpoint::ChatMessages).filter(|s| s.sent.valid() && unusual(s)) {
        if s.exchange.reply.is_some() && s.sent.starts_conversation() {
            n.expect(!s.refused_as_sent(), s, "accepted", "a turn of any user to be accepted", || s.outcome_text());
        }
    }
    for list in run.lists(app).filter(|l| l.whole() && l.seen.has_key() && !run.raced(app, l.user)) {
        let own: Vec<&Conversation> = run.conversations_of(app).filter(|c| c.user == list.user).collect();
        if !own.iter().any(|c| c.first().is_some_and(|t| unusual(run.at(t)))) {
            continue;
        }
        let there = |c: &&&Conversation| c.turns_before(list.seen).next().is_some() && c.alive_during(list.seen);
        let lacks = |c: &&&Conversation| there(c) && list.item(&c.id).is_none() && run.transcript.complete;
        let missing = own.iter().find(lacks);
        n.expect(missing.is_none(), list.seen, "missing", "the user's own conversations", || {
            format!("without {}", missing.map_or("", |c| &c.id))
        });
        let of_another = |id: &&str| run.conversation(app, id).is_some_and(|c| c.user != list.user);
        let foreign = ids(list.items).into_iter().find(of_another);
        n.expect(foreign.is_none(), list.seen, "foreign", "conversations of no other user", || {
            let owner = foreign.and_then(|id| run.conversation(app, id)).map_or("", |c| c.user.as_str());
            format!("a conversation of `{owner}`")
        });
    }
}

/// The rows of this area.
pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "req.user.optional-default",
        area: "request-validation",
        level: Level::Should,
        title: "Reads without `user` use the shared default end user",
        statement: "Where user is optional, leaving it out acts as the shared DEFAULT-USER and never as \"all users\".",
        source: "spec (user not required on lists; files/upload text); src services/end_user_service.py:get_or_create_end_user_by_type",
        modes: CHATS,
        tested: "A user opens a conversation. GET /conversations without user does not show it; GET /messages and a rename of it without user are 404.",
        versions: None,
        load: Load::Sampled,
        judge: Judge::Run(optional_default),
        absent: always,
    },
    Rule {
        id: "req.user.opaque",
        area: "request-validation",
        level: Level::Should,
        title: "`user` is an opaque string",
        statement: "Any non-empty string up to 255 characters works as user (spaces, unicode, slash) and compares exactly, case included; numbers are taken as their text.",
        source: "guide end-user-identity.mdx; src wraps.py (str(user_id))",
        modes: CHATS,
        tested: "New conversations of users that differ only in case, with spaces, other scripts, a slash, and of a number; each user's list shows exactly its own.",
        versions: None,
        load: Load::No,
        judge: Judge::Run(opaque),
        absent: always,
    },
];
