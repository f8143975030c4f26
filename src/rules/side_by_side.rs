//! Area `concurrency`, turns of one conversation and first contacts side by side; what is visible when; repeats.

use super::notes::Notes;
use super::offered::provider_failed;
use super::request::{Asked, canonical_uuid};
use super::rule::{ANY, CHATS, Judge, Load, Rule, always};
use super::run::{Conversation, Run, Turn};
use super::seen::Seen;
use super::stream::clip;
use crate::model::{App, Endpoint, Level};
use serde_json::Value;
use std::collections::HashMap;

fn overlap(a: &Seen, b: &Seen) -> bool {
    a.exchange.timing.sent_us < b.exchange.ended_us() && b.exchange.timing.sent_us < a.exchange.ended_us()
}

/// Valid turns of a conversation by its own user that were under way together with another one.
fn together<'r, 't>(run: &'r Run<'t>, app: &'r App, conversation: &Conversation) -> Vec<&'r Seen<'t>> {
    let asked = Asked::Id(conversation.id.clone());
    let own = |s: &&Seen| s.sent.conversation == asked && s.sent.user.as_deref() == Some(&conversation.user);
    let turns: Vec<&Seen> = run
        .calls(app, Endpoint::ChatMessages)
        .filter(|s| s.sent.valid() && s.exchange.reply.is_some() && conversation.alive_during(s))
        .filter(own)
        .collect();
    let beside = |s: &&&Seen| turns.iter().any(|o| o.exchange.id != s.exchange.id && overlap(s, o));
    turns.iter().filter(beside).copied().collect()
}

/// Source: real bugs: langgenius/dify issues 18627, 16450. A clean refusal is a policy, too.
fn same_conversation(run: &Run, app: &App, n: &mut Notes) {
    for conversation in run.conversations_of(app) {
        let turns = together(run, app, conversation);
        let Some(end) = turns.iter().map(|s| s.exchange.ended_us()).max() else { continue };
        for (index, s) in turns.iter().enumerate() {
            let refused = (400..500).contains(&s.exchange.status()) && s.error_code().is_some();
            let answered = s.is(200) || refused;
            n.expect(answered, s, "answered", "an answer or a clean refusal", || s.outcome_text());
            if !s.is(200) || s.cut() {
                continue;
            }
            let id = s.text("conversation_id").and_then(canonical_uuid);
            let same = id.as_deref() == Some(&conversation.id);
            n.expect(same, s, "conversation", format!("conversation_id {}", conversation.id), || s.ids_text());
            let twin = turns[..index].iter().find(|o| o.text("message_id") == s.text("message_id"));
            n.expect(twin.is_none(), s, "message-id", "a message_id of its own", || s.ids_text());
            own_text(run, s, n);
        }
        each_once(run, app, conversation, end, n);
        if let Some(next) = run.next_turn(app, conversation, end) {
            // what the model refuses, or one turn too many, says nothing about the conversation
            let elsewhere = provider_failed(next) || next.is(429);
            let usable = next.is(200) || (elsewhere && next.exchange.status() < 500);
            n.expect(usable, next, "later-turn", "a later turn to be accepted", || next.outcome_text());
        }
    }
}

/// On apps that repeat their labelled prompt an answer holds the turn's own query.
fn own_text(run: &Run, s: &Seen, n: &mut Notes) {
    let Some(query) = s.sent.query().filter(|q| q.chars().count() >= 8 && run.echoes_prompt(s.app)) else { return };
    let Some(answer) = s.answer().filter(|_| s.completed()) else { return };
    let own = answer.contains(&format!("user: {query}"));
    n.expect(own, s, "own-text", format!("an answer to `{}`", clip(query)), || clip(&answer));
}

fn each_once(run: &Run, app: &App, conversation: &Conversation, end: u64, n: &mut Notes) {
    let read = run.histories(app, conversation).find(|h| h.whole() && h.seen.exchange.timing.sent_us >= end);
    let Some(read) = read else { return };
    for turn in conversation.turns.iter().filter(|t| t.ended_us <= end) {
        let of_turn = |i: &&Value| i.get("id").and_then(Value::as_str) == Some(&turn.message_id);
        let shown = read.items.iter().filter(of_turn).count();
        n.expect(shown == 1, read.seen, "stored", format!("message {} once", turn.message_id), || {
            format!("{shown} times")
        });
        let s = run.at(turn);
        let (Some(item), Some(said)) = (read.items.iter().find(of_turn), s.answer()) else { continue };
        let stored = item.get("answer").and_then(Value::as_str).unwrap_or("");
        // an answer that was not stored whole is for another rule
        if turn.completed && s.stream.is_some() && !s.cut() && stored.contains(&turn.query) {
            let told = |q: &&str| q.chars().count() >= 8 && said.matches(*q).count() > stored.matches(*q).count();
            let beside = |t: &&Turn| t.sent_us < turn.ended_us && turn.sent_us < t.ended_us;
            let others = conversation.turns.iter().filter(|t| t.message_id != turn.message_id).filter(beside);
            let stray = others.map(|t| t.query.as_str()).find(told);
            n.expect(
                stray.is_none(),
                s,
                "own-pieces",
                "no more text of another turn than the stored answer has",
                || format!("`{}`, the query of another turn", clip(stray.unwrap_or_default())),
            );
        }
    }
}

/// Source: streaming guide: history shows what was saved. The first read after the end of a turn counts.
fn read_your_write(run: &Run, app: &App, n: &mut Notes) {
    for conversation in run.conversations_of(app) {
        for turn in conversation.turns.iter().filter(|t| t.completed) {
            let mut reads = run.histories(app, conversation).filter(|h| {
                let later = h.seen.exchange.timing.sent_us >= turn.ended_us && conversation.alive_during(h.seen);
                later && (h.whole() || h.item(&turn.message_id).is_some())
            });
            let Some(read) = reads.next() else { continue };
            let lag = (read.seen.exchange.timing.sent_us - turn.ended_us) as f64 / 1e6;
            let item = read.item(&turn.message_id);
            let text = |m: &str| item.and_then(|i| i.get(m)).and_then(Value::as_str).unwrap_or("");
            let said = run.at(turn).answer().unwrap_or_default();
            let visible = item.is_some() && (said.trim().is_empty() || !text("answer").is_empty());
            let whole = visible && text("status") == "normal";
            n.expect(whole, read.seen, "visible", "the turn with its answer and status normal", || {
                let shown = item.map_or_else(|| "nothing".to_owned(), Value::to_string);
                format!("{} {lag:.2} s after its end", clip(&shown))
            });
            if !whole {
                n.with(run.at(turn));
            }
        }
    }
}

/// Source: error guide ("What to retry"): a repeated request generates again.
fn no_idempotency(run: &Run, app: &App, n: &mut Notes) {
    let mut asked: HashMap<(Endpoint, &str), Vec<&Seen>> = HashMap::new();
    for s in run.on(app).filter(|s| s.endpoint().generates() && s.sent.valid() && s.is(200)) {
        let Some(body) = s.exchange.request.body.as_ref().and_then(|b| b.text()) else { continue };
        let earlier = asked.entry((s.endpoint(), body)).or_default();
        if let Some(own) = id(s) {
            if let Some(first) = earlier.first() {
                let same = earlier.iter().find(|e| id(e) == Some(own));
                n.expect(same.is_none(), s, "same-id", "a message of its own for a repeated request", || {
                    format!("{own} again")
                });
                if same.is_some() {
                    n.with(first);
                }
            }
            earlier.push(s);
        }
    }
}

fn id<'s>(s: &'s Seen) -> Option<&'s str> {
    s.text("message_id").or_else(|| s.text("workflow_run_id"))
}

/// Source: end-user guide; Dify source, `end_user_service.py` selects, then inserts without a guard (issue 28675).
fn end_user_race(run: &Run, app: &App, n: &mut Notes) {
    let mut users: Vec<&str> = run.conversations_of(app).map(|c| c.user.as_str()).collect();
    users.sort_unstable();
    users.dedup();
    for user in users.into_iter().filter(|u| run.transcript.complete && run.raced(app, u)) {
        let firsts = run.calls(app, Endpoint::ChatMessages).filter(|s| s.sent.user.as_deref() == Some(user));
        let firsts: Vec<&Seen> = firsts.filter(|s| s.sent.starts_conversation() && s.is(200)).collect();
        let Some(end) = firsts.iter().map(|s| s.exchange.ended_us()).max() else { continue };
        let own = || run.conversations_of(app).filter(|c| c.user == user && c.from_start);
        let list = run.lists(app).find(|l| l.user == user && l.whole() && l.seen.exchange.timing.sent_us >= end);
        if let Some(list) = list {
            let there: Vec<&Conversation> = own().filter(|c| c.alive_during(list.seen)).collect();
            let listed = there.iter().filter(|c| list.item(&c.id).is_some()).count();
            let all = there.len();
            n.expect(listed == all, list.seen, "listed", format!("all {all} conversations listed"), || {
                format!("{listed} of them")
            });
        }
        for conversation in own() {
            if let Some(next) = run.next_turn(app, conversation, end) {
                n.expect(next.is(200), next, "continued", "each conversation to go on", || next.outcome_text());
            }
        }
    }
}

/// The rows of this area.
pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "concurrency.same-conversation",
        area: "concurrency",
        level: Level::Must,
        title: "Two simultaneous turns in one conversation",
        statement: "Both are answered (or one is cleanly refused 4xx); both streams are intact, share C, differ in message_id; the history holds each accepted turn once; later turns work.",
        source: "issues #18627 #16450; src no lock",
        modes: CHATS,
        tested: "A turn on a conversation while another one streams; check answers, ids, GET /messages, then one more turn.",
        versions: None,
        load: Load::Sampled,
        judge: Judge::Run(same_conversation),
        absent: always,
    },
    Rule {
        id: "concurrency.read-your-write",
        area: "concurrency",
        level: Level::Should,
        title: "Completed turns are visible at once",
        statement: "After the terminal event GET /messages shows the message with the full answer and status normal.",
        source: "guide streaming.mdx; src _save_message precedes message_end",
        modes: CHATS,
        tested: "GET /messages right after the end of a turn; a read that comes too early shows its distance from the end.",
        versions: None,
        load: Load::Sampled,
        judge: Judge::Run(read_your_write),
        absent: always,
    },
    Rule {
        id: "concurrency.no-idempotency",
        area: "concurrency",
        level: Level::May,
        title: "Repeating a request is a new turn",
        statement: "There is no idempotency: the same body twice gives two messages or runs, so nobody may repeat a generation silently.",
        source: "source (no idempotency key); guide errors.mdx \"What to retry\"",
        modes: ANY,
        tested: "The same body twice; distinct message_ids.",
        versions: None,
        load: Load::Sampled,
        judge: Judge::Run(no_idempotency),
        absent: always,
    },
    Rule {
        id: "concurrency.end-user-race",
        area: "concurrency",
        level: Level::Must,
        title: "Parallel first contact of a user is one user",
        statement: "If a brand-new `user` sends k parallel requests, all k conversations are later listed and continuable for that user.",
        source: "guide end-user-identity.mdx; src end_user_service.py (select-then-insert without unique guard); issue #28675",
        modes: CHATS,
        tested: "A brand-new user sends 3 first turns at once; the list must hold all, and each must be continuable.",
        versions: Some("fails on 0.15.3 and 1.12.1, mostly with two requests already"),
        load: Load::No,
        judge: Judge::Run(end_user_race),
        absent: always,
    },
];
