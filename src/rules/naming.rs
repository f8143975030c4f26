//! Area `chat`, names of conversations: given at once, by the first turn only.

use super::notes::Notes;
use super::rule::{CHATS, Judge, Load, Rule, always};
use super::run::{Conversation, Run};
use super::seen::Seen;
use super::stream::clip;
use crate::model::{App, Endpoint, Level};
use serde_json::Value;

/// Characters of the query that a name begins with.
const NAME_CHARS: usize = 20;

fn name(item: &Value) -> &str {
    item.get("name").and_then(Value::as_str).unwrap_or("")
}

/// Successful renames of a conversation, by anybody.
fn renames<'r, 't>(
    run: &'r Run<'t>,
    app: &'r App,
    conversation: &'r Conversation,
) -> impl Iterator<Item = &'r Seen<'t>> {
    let own = |s: &&Seen| s.route.ids.first().is_some_and(|id| id.eq_ignore_ascii_case(&conversation.id));
    run.calls(app, Endpoint::ConversationRename).filter(|s| s.succeeded()).filter(own)
}

fn flag(s: &Seen, member: &str) -> Option<bool> {
    s.sent.member(member).and_then(Value::as_bool)
}

/// Source: Dify source, `_init_generate_records`: the first 20 characters of the query, until a model has made a title.
fn generated(run: &Run, app: &App, n: &mut Notes) {
    for conversation in run.conversations_of(app) {
        let Some(first) = conversation.first() else { continue };
        let renamed = renames(run, app, conversation).map(|s| s.exchange.timing.sent_us).min();
        let mut lists = run.lists(app).filter(|l| l.seen.exchange.timing.sent_us >= first.ended_us);
        let Some((read, item)) = lists.find_map(|l| l.item(&conversation.id).map(|i| (l.seen, i))) else { continue };
        if renamed.is_some_and(|at| at < read.exchange.ended_us()) {
            continue;
        }
        let shown = name(item);
        let named =
            n.expect(!shown.trim().is_empty(), read, "empty", "a non-empty name", || "an empty name".to_owned());
        if named && flag(run.at(first), "auto_generate_name") == Some(false) {
            let start: String = first.query.chars().take(NAME_CHARS).collect();
            // In an incomplete recording it may have been renamed, but not to what the server calls every new one.
            let by_hand = !run.transcript.complete && shown != "New conversation";
            let holds = shown.trim().starts_with(start.trim()) || by_hand;
            n.expect(holds, read, "prefix", format!("a name that starts with `{start}`"), || {
                format!("`{}`", clip(shown))
            });
        }
    }
}

/// Source: Dify source, `MessageCycleManager` names on the first message only.
fn first_turn_only(run: &Run, app: &App, n: &mut Notes) {
    for conversation in run.conversations_of(app) {
        let all: Vec<&Seen> = renames(run, app, conversation).collect();
        for rename in all.iter().filter(|s| flag(s, "auto_generate") != Some(true)) {
            let given = rename.sent.member("name").and_then(Value::as_str).unwrap_or("").trim();
            let next =
                all.iter().map(|s| s.exchange.timing.sent_us).filter(|at| *at > rename.exchange.timing.sent_us).min();
            let before_next = |at: u64| next.is_none_or(|next| at <= next);
            let turn = conversation.turns.iter().find(|t| {
                let may_name = flag(run.at(t), "auto_generate_name") != Some(false);
                t.completed && may_name && t.sent_us >= rename.exchange.ended_us() && before_next(t.ended_us)
            });
            let Some(turn) = turn.filter(|_| !given.is_empty()) else { continue };
            let lists = run.lists(app).filter(|l| l.seen.exchange.timing.sent_us >= turn.ended_us);
            for list in lists.filter(|l| before_next(l.seen.exchange.ended_us())) {
                let Some(item) = list.item(&conversation.id) else { continue };
                let kept = name(item).trim() == given || !run.transcript.complete;
                n.expect(kept, list.seen, "kept", format!("the name `{}` given by hand", clip(given)), || {
                    format!("`{}` after a later turn", clip(name(item)))
                });
                if !kept {
                    n.with(run.at(turn));
                }
            }
        }
    }
}

/// The rows of this area.
pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "chat.name.generated",
        area: "chat",
        level: Level::Should,
        title: "The conversation gets a name",
        statement: "A new conversation has a non-empty name at once (prefix of the query) and, with auto_generate_name true, may be renamed asynchronously later.",
        source: "spec auto_generate_name; src _init_generate_records (first 20 chars + ellipsis), message_cycle_manager.py",
        modes: CHATS,
        tested: "auto_generate_name=false: the list shows a name that starts with the first 20 characters of the query. true: a non-empty name at once; its text is a model's and not compared.",
        versions: Some("0.15.3 calls it \"New conversation\""),
        load: Load::Sampled,
        judge: Judge::Run(generated),
        absent: always,
    },
    Rule {
        id: "chat.auto-name-first-turn-only",
        area: "chat",
        level: Level::Should,
        title: "Only the first turn may auto-rename",
        statement: "A manual rename survives later turns.",
        source: "src message_cycle_manager.py (is_first_message)",
        modes: CHATS,
        tested: "Turn 1 with auto_generate_name=false; rename; turn 2 with true; 5 s later the list still shows the name given by hand.",
        versions: None,
        load: Load::Sampled,
        judge: Judge::Run(first_turn_only),
        absent: always,
    },
];
