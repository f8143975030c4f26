//! Order of events in message streams (completion and chat), as a small automaton:
//! `content* (message_end | error) tts_message* tts_message_end?`, pings anywhere.

use super::notes::Notes;
use super::seen::Seen;
use super::stream::Stream;

const CONTENT: &[&str] = &["message", "message_file", "message_replace", "tts_message"];
const AGENT_CONTENT: &[&str] = &["agent_message", "agent_thought"];
const WORKFLOW: &[&str] = &[
    "workflow_started",
    "workflow_finished",
    "workflow_paused",
    "node_started",
    "node_finished",
    "node_retry",
    "iteration_started",
    "iteration_next",
    "iteration_completed",
    "loop_started",
    "loop_next",
    "loop_completed",
    "text_chunk",
];

/// Judges a completion or chat stream that was read to its end.
pub(super) fn judge_message_stream(s: &Seen, stream: &Stream, n: &mut Notes) {
    let mut closed: Option<&str> = None;
    let mut tts_ended = false;
    for event in &stream.events {
        let name = event.name.as_str();
        let problem = match closed {
            None if CONTENT.contains(&name) => None,
            None if event.closes_message() => {
                closed = Some(name);
                None
            }
            None if AGENT_CONTENT.contains(&name) || WORKFLOW.contains(&name) || name == "tts_message_end" => {
                Some("message, message_file, message_replace, tts_message, message_end or error".to_owned())
            }
            Some(last) if name == "tts_message" || name == "tts_message_end" => {
                let late = tts_ended;
                tts_ended |= name == "tts_message_end";
                late.then(|| format!("nothing after tts_message_end (stream closed by {last})"))
            }
            Some(last) => Some(format!("nothing but tts events after {last}")),
            None => None, // an event this version does not know is legal: forward compatibility
        };
        if let Some(expected) = problem {
            n.expect(false, s, "order", expected, || {
                format!("event {} is `{name}` (stream: {})", event.frame, stream.outline())
            });
            n.at_frame(event.frame);
            return;
        }
    }
    n.expect(closed.is_some(), s, "close", "message_end or error at the end", || {
        format!("the stream ended after: {}", stream.outline())
    });
}
