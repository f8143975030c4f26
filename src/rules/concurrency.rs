//! Area `concurrency`: requests side by side do not disturb each other.

use super::notes::Notes;
use super::request::canonical_uuid;
use super::rule::{ANY, CHATS, Judge, Load, Rule, always};
use super::run::Run;
use super::seen::Seen;
use super::stream::clip;
use crate::model::{App, Endpoint, Level};
use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet};

fn overlap(a: &Seen, b: &Seen) -> bool {
    a.exchange.timing.sent_us < b.exchange.ended_us() && b.exchange.timing.sent_us < a.exchange.ended_us()
}

/// Source: OpenAPI `ChatResponse.conversation_id`. The user must be known: brand-new users have a rule of their own.
fn parallel_new(run: &Run, app: &App, n: &mut Notes) {
    let firsts: Vec<&Seen> = run
        .calls(app, Endpoint::ChatMessages)
        .filter(|s| s.sent.valid() && s.is(200) && s.sent.starts_conversation() && !s.cut())
        .collect();
    let mut by_user: HashMap<&str, Vec<&Seen>> = HashMap::new();
    for s in firsts {
        by_user.entry(s.sent.user.as_deref().unwrap_or("")).or_default().push(s);
    }
    for (user, turns) in by_user {
        let parallel: Vec<&Seen> = turns
            .iter()
            .copied()
            .filter(|s| turns.iter().any(|o| o.exchange.id != s.exchange.id && overlap(s, o)))
            .collect();
        let known = |s: &Seen| turns.iter().any(|o| o.exchange.ended_us() <= s.exchange.timing.sent_us);
        if parallel.len() < 2 || !parallel.iter().all(|s| known(s)) {
            continue;
        }
        let mut ids = HashSet::new();
        for s in &parallel {
            let id = s.text("conversation_id").and_then(canonical_uuid).unwrap_or_default();
            n.expect(
                ids.insert(id.clone()),
                s,
                "same-id",
                "a conversation of its own for each parallel first turn",
                || format!("conversation {id} again"),
            );
        }
        let end = parallel.iter().map(|s| s.exchange.ended_us()).max().unwrap_or(0);
        let alive = |id: &str| run.conversation(app, id).is_some_and(|c| c.deleted_us.is_none());
        for list in
            run.lists(app).filter(|l| l.user == user && l.whole() && l.seen.exchange.timing.sent_us >= end).take(1)
        {
            let missing =
                ids.iter().find(|id| list.item(id).is_none() && (alive(id) || alive_at(run, app, id, list.seen)));
            n.expect(missing.is_none(), list.seen, "listed", format!("all {} conversations listed", ids.len()), || {
                format!("without {}", missing.cloned().unwrap_or_default())
            });
        }
    }
}

fn alive_at(run: &Run, app: &App, id: &str, s: &Seen) -> bool {
    run.conversation(app, id).is_some_and(|c| c.alive_during(s))
}

/// What identifies a request's own text: its query and input texts, long enough to be unmistakable.
fn marks(s: &Seen) -> Vec<String> {
    let inputs = s.sent.inputs().into_iter().flat_map(Map::values).filter_map(Value::as_str);
    let texts = s.sent.query().into_iter().chain(inputs);
    texts.filter(|t| t.chars().count() >= 8).map(str::to_owned).collect()
}

/// Source: OpenAPI: an answer belongs to its request; real bug: langgenius/dify issue 18627. Turns of one conversation share
/// history and are left out; so is text that both requests sent.
fn no_cross_talk(run: &Run, app: &App, n: &mut Notes) {
    let calls: Vec<(&Seen, Vec<String>, String)> = run
        .on(app)
        .filter(|s| s.endpoint().generates() && s.sent.valid() && s.is(200))
        .filter_map(|s| s.answer().map(|a| (s, marks(s), a)))
        .collect();
    for (own, mine, answer) in &calls {
        // The answer of an echo model repeats the conversation, where somebody may have said the same before.
        let id = own.text("conversation_id").and_then(canonical_uuid);
        let conversation = id.and_then(|id| run.conversation(app, &id));
        let history: Vec<&str> = conversation.into_iter().flat_map(|c| &c.turns).map(|t| t.query.as_str()).collect();
        let sent = own.exchange.request.body.as_ref().and_then(|b| b.text()).unwrap_or("");
        let others = calls
            .iter()
            .filter(|(o, _, _)| o.exchange.id != own.exchange.id && overlap(own, o) && !same_conversation(own, o));
        for (other, theirs, _) in others {
            let foreign = theirs.iter().find(|t| {
                !mine.contains(t)
                    && !sent.contains(t.as_str())
                    && !history.iter().any(|q| q.contains(t.as_str()))
                    && answer.contains(t.as_str())
            });
            n.expect(foreign.is_none(), own, "foreign-text", "an answer to its own request only", || {
                format!("text of a request sent at the same time: `{}`", clip(foreign.map_or("", String::as_str)))
            });
            if foreign.is_some() {
                n.with(other);
            }
            ids_apart(own, other, n);
            inputs_apart(own, other, n);
        }
    }
}

fn same_conversation(a: &Seen, b: &Seen) -> bool {
    let id = |s: &Seen| s.text("conversation_id").map(str::to_owned);
    id(a).is_some() && id(a) == id(b)
}

/// No event of one stream carries the message id of the other.
fn ids_apart(own: &Seen, other: &Seen, n: &mut Notes) {
    let (Some(stream), Some(id)) = (&own.stream, other.text("message_id")) else { return };
    let first_is_own = stream.events.first().and_then(|e| e.text("message_id")) != Some(id);
    let strayed = stream.events.iter().find(|e| e.text("message_id") == Some(id)).filter(|_| first_is_own);
    n.expect(strayed.is_none(), own, "foreign-event", "events of its own message only", || {
        format!("an event of message {id}")
    });
    if let Some(event) = strayed {
        n.at_frame(event.frame);
        n.with(other);
    }
}

/// A run starts with the inputs of its own request, not with a text of the other.
fn inputs_apart(own: &Seen, other: &Seen, n: &mut Notes) {
    let started = own.stream.and_then(|s| s.find("workflow_started"));
    let Some(inputs) = started.and_then(|e| e.data("inputs")?.as_object()) else { return };
    let sent = own.exchange.request.body.as_ref().and_then(|b| b.text()).unwrap_or("");
    let texts = inputs.values().filter_map(Value::as_str);
    let foreign = texts.filter(|t| !sent.contains(*t)).find(|t| marks(other).iter().any(|m| m == t));
    n.expect(foreign.is_none(), own, "foreign-inputs", "workflow_started with its own inputs", || {
        format!("an input of a request sent at the same time: `{}`", clip(foreign.unwrap_or("")))
    });
    if foreign.is_some() {
        n.with(other);
    }
}

/// The rows of this area.
pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "concurrency.parallel-new",
        area: "concurrency",
        level: Level::Must,
        title: "Parallel first turns get distinct conversations",
        statement: "k simultaneous first turns of one user give k conversation_ids, all listed afterwards.",
        source: "spec; src",
        modes: CHATS,
        tested: "k=20 same user; set size 20; list complete.",
        versions: None,
        load: Load::Every,
        judge: Judge::Run(parallel_new),
        absent: always,
    },
    Rule {
        id: "concurrency.no-cross-talk",
        area: "concurrency",
        level: Level::Must,
        title: "Parallel streams never mix",
        statement: "Under N parallel requests of different users every event of a stream belongs to it: constant ids, own inputs/query echo, answer contains its own nonce and no other's.",
        source: "documentation (to July 2026)/implicit; guide streaming.mdx; issue #18627",
        modes: ANY,
        tested: "Nonce per request. Layer 1 (no LLM): ids constant, workflow_started.data.inputs == mine. Layer 2 (echo app): answer nonce set == {mine}. Layer 3: GET /messages query/answer pairs.",
        versions: None,
        load: Load::Every,
        judge: Judge::Run(no_cross_talk),
        absent: always,
    },
];
