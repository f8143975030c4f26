//! Area `chat`, turns that were accepted and then failed.

use super::echo::needs_echo;
use super::notes::Notes;
use super::rule::{CHATS, Judge, Load, Rule};
use super::run::Run;
use super::stream::clip;
use crate::model::{App, Level};
use serde_json::Value;

/// Source: OpenAPI `ConversationMessageItem.status` and `error`; real bug: langgenius/dify issue 21121.
fn recorded(run: &Run, app: &App, n: &mut Notes) {
    for conversation in run.conversations_of(app) {
        for turn in &conversation.turns {
            let s = run.at(turn);
            if s.stream.is_none_or(|st| st.find("error").is_none()) || s.cut() {
                continue;
            }
            let mut reads = run.histories(app, conversation).filter(|h| {
                let later = h.seen.exchange.timing.sent_us >= turn.ended_us && conversation.alive_during(h.seen);
                later && (h.whole() || h.item(&turn.message_id).is_some())
            });
            if let Some(read) = reads.next() {
                let item = read.item(&turn.message_id);
                let there = n.expect(item.is_some(), read.seen, "missing", "the failed turn in the history", || {
                    format!("{} messages without {}", read.items.len(), turn.message_id)
                });
                if !there {
                    n.with(s);
                }
                if let Some(item) = item {
                    let status = item.get("status").and_then(Value::as_str);
                    n.expect(status == Some("error"), read.seen, "status", "status `error`", || format!("{status:?}"));
                    let text = item.get("error").and_then(Value::as_str).unwrap_or("");
                    n.expect(!text.is_empty(), read.seen, "error-text", "a non-empty `error`", || {
                        clip(&item.to_string())
                    });
                }
            }
            if let Some(next) = run.next_turn(app, conversation, turn.ended_us) {
                let usable = !next.refused_as_sent() && next.exchange.status() < 500;
                n.expect(usable, next, "usable", "the conversation to go on after a failed turn", || {
                    next.outcome_text()
                });
            }
        }
    }
}

fn nothing_failed(_: &Run, _: &App) -> Option<String> {
    Some(needs_echo("no generation failed inside its stream, as an echo model does on the word `fail`"))
}

/// The rows of this area.
pub(super) const RULES: &[Rule] = &[Rule {
    id: "chat.failed-turn-is-recorded",
    area: "chat",
    level: Level::Should,
    title: "A failed generation is stored as an error message",
    statement: "If generation fails after acceptance, the turn stays in the history with status \"error\" and a non-empty error, and the conversation stays usable.",
    source: "spec ConversationMessageItem.status/error; src based_generate_task_pipeline.py:handle_error",
    modes: CHATS,
    tested: "An echo model told to fail: read the error event; GET /messages shows the turn with status \"error\" and an error text; the next turn is accepted.",
    versions: None,
    load: Load::Sampled,
    judge: Judge::Run(recorded),
    absent: nothing_failed,
}];
