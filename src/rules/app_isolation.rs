//! Areas `chat` and `authentication`, keys of something else: another app's key, a key of a knowledge base.

use super::notes::Notes;
use super::request::{Asked, canonical_uuid};
use super::rule::{ANY, CHATS, Judge, Load, Rule};
use super::run::{Conversation, Run, ids};
use super::seen::Seen;
use crate::model::{App, Credential, Endpoint, Level};
use serde_json::Value;

/// Requests that were sent with the key of another app that has conversations, too.
fn foreign<'r, 't>(run: &'r Run<'t>, app: &'r App) -> impl Iterator<Item = &'r Seen<'t>> {
    let converses = |label: &str| {
        let other = run.transcript.apps.iter().find(|a| a.label == label);
        other.is_some_and(|a| a.label != app.label && a.mode.is_some_and(|m| m.is_chat()))
    };
    let theirs = run.seen.iter().filter(move |s| s.asker().is_some_and(|label| converses(&label)));
    theirs.filter(|s| s.exchange.reply.is_some() && !(s.is(404) && s.json.is_none()))
}

/// Conversations of an app that were there when a request was sent, under the end user of the request.
fn there<'r>(run: &'r Run, app: &'r App, s: &'r Seen) -> impl Iterator<Item = &'r Conversation> {
    let own = move |c: &&Conversation| s.sent.user.as_deref() == Some(&c.user) && c.alive_during(s);
    let ended = move |c: &&Conversation| c.turns_before(s).next().is_some();
    run.conversations_of(app).filter(own).filter(ended)
}

/// The conversation that a request names, and what it does to it.
fn named(s: &Seen) -> Option<(&'static str, String)> {
    let in_path = || s.route.ids.first().and_then(|id| canonical_uuid(id));
    Some(match (s.endpoint(), &s.sent.conversation) {
        (Endpoint::ChatMessages, Asked::Id(id)) => ("chat", id.clone()),
        (Endpoint::Messages, _) => ("messages", canonical_uuid(s.route.param("conversation_id")?)?),
        (Endpoint::ConversationRename, _) => ("rename", in_path()?),
        (Endpoint::Variables, _) => ("variables", in_path()?),
        _ => return None,
    })
}

/// Source: introduction guide: a key belongs to one app; Dify source, rows are looked up by app.
fn isolation(run: &Run, app: &App, n: &mut Notes) {
    for s in foreign(run, app) {
        if let Some((check, id)) = named(s) {
            if there(run, app, s).any(|c| c.id == id) {
                let closed = s.is(404) && s.error_code() == Some("not_found");
                let expected = "status 404 `not_found` for a conversation of another app";
                n.expect(closed, s, check, expected, || s.outcome_text());
            }
        } else if s.endpoint() == Endpoint::Conversations && s.is(200) {
            let items = s.json.and_then(|j| j.get("data")).and_then(Value::as_array);
            if there(run, app, s).next().is_none() {
                continue;
            }
            let listed = ids(items.map_or(&[][..], Vec::as_slice));
            let shown = there(run, app, s).find(|c| listed.contains(&c.id.as_str()));
            n.expect(shown.is_none(), s, "list", "a list without conversations of another app", || {
                format!("conversation {} of {}", shown.map(|c| c.id.as_str()).unwrap_or_default(), app.label)
            });
        }
    }
}

fn one_chat_key(_: &Run, _: &App) -> Option<String> {
    let reason = "nothing was asked with the key of another app that has conversations; needs the keys of two such apps \
                  (--app chat=KEY --app agent-chat=KEY)";
    Some(reason.to_owned())
}

/// Keys of knowledge bases begin so.
const DATASET: &str = "dataset-";

/// Source: OpenAPI `securitySchemes`; Dify source, a token is looked up with the type that the operation demands.
fn wrong_key_type(s: &Seen, n: &mut Notes) {
    let no_such_route = s.endpoint() == Endpoint::Other || (s.is(404) && s.json.is_none());
    if sends_dataset_key(s) && !no_such_route && s.exchange.reply.is_some() {
        n.refused(s, 401, "unauthorized");
    }
}

fn sends_dataset_key(s: &Seen) -> bool {
    let request = &s.exchange.request;
    let token = request.header("authorization").and_then(|value| value.split_once(' ')).map(|(_, token)| token.trim());
    request.credential() == Credential::Refused && token.is_some_and(|token| token.starts_with(DATASET))
}

fn no_dataset_key(run: &Run, app: &App) -> Option<String> {
    (!run.on(app).any(sends_dataset_key)).then(|| {
        "no request was sent with a key of a knowledge base; a scenario does it with \
         `auth: { header: \"Bearer dataset-...\" }`"
            .to_owned()
    })
}

/// The rows of these areas.
pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "chat.isolation.app",
        area: "chat",
        level: Level::Must,
        title: "Conversations are private to the app",
        statement: "The same end user under another app's key sees nothing of an app: its conversations cannot be continued, read or renamed (404), and are not listed.",
        source: "guide get-started.mdx; src app_id conditions",
        modes: CHATS,
        tested: "With the keys of two apps that have conversations and one user: a conversation of the first, then chat, GET /messages and rename with the key of the second (404), GET /conversations with it (not there). Deleting by others is for chat.isolation.user-delete.",
        versions: None,
        load: Load::Sampled,
        judge: Judge::Run(isolation),
        absent: one_chat_key,
    },
    Rule {
        id: "auth.wrong-key-type.401",
        area: "authentication",
        level: Level::Must,
        title: "Dataset keys do not open app endpoints",
        statement: "App endpoints take app keys only; a key of a knowledge base (`dataset-...`) gets 401.",
        source: "spec securitySchemes description; src wraps.py (ApiToken.type == scope)",
        modes: ANY,
        tested: "GET /info and /parameters with a made-up key of that form. A real one is tried where a scenario of yours sends it in a header: auth: { header: \"Bearer dataset-...\" } (it then stands in the recording).",
        versions: None,
        load: Load::No,
        judge: Judge::Exchange(wrong_key_type),
        absent: no_dataset_key,
    },
];
