//! What a recorded reply lets one expect of the next one.

use super::said::Seen;
use super::yaml::Node;
use crate::model::Reply;
use serde_json::Value;

/// Expectations of a step that gets the same kind of reply. `conversation` is what stands for the conversation that a turn
/// goes on with; `whole` says that the reply runs to its end this time, too.
pub(super) fn of(seen: &Seen<'_>, conversation: Option<&str>, whole: bool) -> Vec<Node> {
    let Some(reply) = &seen.exchange.reply else { return Vec::new() };
    let mut expects = vec![one("status", Node::word(reply.status.to_string()))];
    if reply.status >= 400 {
        let code = seen.reply.json.as_ref().and_then(|body| body.get("code")).and_then(Value::as_str);
        expects.extend(code.map(|code| json_equals("$.code", &super::text::escape(code))));
        return expects;
    }
    if reply.is_event_stream() {
        let name = ("name", Node::word("content-type"));
        expects.push(one("header", Node::inline(vec![name, ("media-type", Node::word("text/event-stream"))])));
    }
    if let Some(conversation) = conversation.filter(|_| is_answer(reply)) {
        expects.push(json_equals("$.conversation_id", conversation));
    }
    let last = seen.reply.stream.as_ref().and_then(|s| s.events.last()).filter(|e| whole && e.closes_run());
    if let Some(last) = last {
        expects.push(json_equals("$.event", &super::text::escape(&last.name)));
    }
    expects
}

fn is_answer(reply: &Reply) -> bool {
    reply.is_event_stream() || reply.has_media_type("application/json")
}

fn one(key: &str, node: Node) -> Node {
    Node::Inline(Box::new(Node::Map(vec![(key.to_owned(), node)])))
}

fn json_equals(at: &str, value: &str) -> Node {
    one("json", Node::inline(vec![("at", Node::text(at)), ("equals", Node::text(value))]))
}
