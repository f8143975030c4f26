//! The response document: what captures and expectations look at.
//!
//! A JSON body is its own document. A stream becomes `{events, event, conversation_id, message_id, task_id,
//! workflow_run_id, created_at, answer, metadata}`: `events` in order without pings, `event` the name of the last one,
//! ids from the first event that has them, `answer` as a client would show it, `metadata` of `message_end`.

use super::observed::Observed;
use crate::model::{AppMode, Reply};
use crate::sse::{Event, Stream, TimedFrame};
use serde_json::{Map, Value, json};
use std::cell::OnceCell;

const IDS: [&str; 5] = ["conversation_id", "message_id", "task_id", "workflow_run_id", "created_at"];

/// The response document of an exchange, made as far as it is asked for.
pub struct Document<'e> {
    observed: &'e Observed,
    mode: Option<AppMode>,
    of_stream: OnceCell<Value>,
}

impl<'e> Document<'e> {
    /// The document of an exchange with an app of this mode.
    pub fn new(observed: &'e Observed, mode: Option<AppMode>) -> Document<'e> {
        Document { observed, mode, of_stream: OnceCell::new() }
    }

    /// All of it; null where the body is neither JSON nor an event stream.
    pub fn whole(&self) -> &Value {
        match (self.stream(), &self.observed.parsed().json) {
            (Some(stream), _) => self.of_stream.get_or_init(|| document_of_frames(&stream.frames, self.mode)),
            (None, Some(json)) => json,
            (None, None) => &Value::Null,
        }
    }

    /// A member; an id of a stream without making the rest.
    pub fn member(&self, name: &str) -> Option<&Value> {
        match self.plain_events() {
            Some(events) if IDS.contains(&name) => {
                events.iter().filter_map(|e| e.value.get(name)).find(|v| !v.is_null())
            }
            _ => self.whole().get(name),
        }
    }

    /// Names of the events in order; `None` where the reply is no stream.
    pub fn event_names(&self) -> Option<Vec<&str>> {
        match self.plain_events() {
            Some(events) => Some(events.iter().map(|e| e.name.as_str()).collect()),
            None => Some(self.whole().get("events")?.as_array()?.iter().map(name).collect()),
        }
    }

    /// The stream, where the reply says that it is one.
    fn stream(&self) -> Option<&'e Stream> {
        let told = self.observed.reply.as_ref().is_some_and(Reply::is_event_stream);
        self.observed.parsed().stream.as_ref().filter(|_| told)
    }

    /// The events of the document where they are those of the stream: not where data is no event, or is beside a name.
    fn plain_events(&self) -> Option<&'e [Event]> {
        let stream = self.stream()?;
        let plain = stream.bad_data.is_empty() && stream.frames.iter().all(|f| f.frame.event.is_none());
        plain.then_some(stream.events.as_slice())
    }
}

/// The response document of the frames that have arrived so far.
pub fn document_of_frames(frames: &[TimedFrame], mode: Option<AppMode>) -> Value {
    let events: Vec<Value> = frames.iter().filter_map(event).collect();
    let mut document = Map::new();
    for id in IDS {
        let first = events.iter().filter_map(|e| e.get(id)).find(|v| !v.is_null());
        if let Some(value) = first {
            document.insert(id.to_owned(), value.clone());
        }
    }
    document.insert("answer".into(), json!(answer(&events, mode)));
    if let Some(metadata) = events.iter().rev().filter(|e| name(e) == "message_end").find_map(|e| e.get("metadata")) {
        document.insert("metadata".into(), metadata.clone());
    }
    document.insert("event".into(), events.last().and_then(|e| e.get("event")).cloned().unwrap_or(Value::Null));
    document.insert("events".into(), Value::Array(events));
    Value::Object(document)
}

/// Whether a frame is a keep-alive: `event: ping`, or a data member that says so.
pub(super) fn is_ping(frame: &TimedFrame) -> bool {
    event(frame).is_none()
}

/// The event of a frame; none for pings and for frames with comments only. Data that is no JSON object is kept as text.
pub(super) fn event(timed: &TimedFrame) -> Option<Value> {
    let frame = &timed.frame;
    if frame.event.as_deref() == Some("ping") {
        return None;
    }
    let data = frame.data.as_deref()?;
    match serde_json::from_str::<Value>(data) {
        Ok(value) if name(&value) == "ping" => None,
        Ok(Value::Object(event)) => Some(Value::Object(event)),
        _ => Some(json!({"event": frame.event, "data": data})),
    }
}

/// Name of an event, empty where it has none.
pub(super) fn name(event: &Value) -> &str {
    event.get("event").and_then(Value::as_str).unwrap_or("")
}

/// The piece of answer that an event brings, empty where it brings none.
pub(super) fn content(event: &Value) -> &str {
    let text = match name(event) {
        "message" | "agent_message" => event.get("answer"),
        "text_chunk" => event.pointer("/data/text"),
        _ => None,
    };
    text.and_then(Value::as_str).unwrap_or("")
}

fn answer(events: &[Value], mode: Option<AppMode>) -> String {
    // New Agent apps close with one `message` that repeats the whole answer.
    let repeats = mode == Some(AppMode::Agent) && events.iter().any(|e| name(e) == "agent_message");
    let mut answer = String::new();
    for event in events {
        match name(event) {
            "message" if repeats => {}
            "message_replace" => answer = event.get("answer").and_then(Value::as_str).unwrap_or("").to_owned(),
            _ => answer.push_str(content(event)),
        }
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sse::Frame;

    fn frames(data: &[Value]) -> Vec<TimedFrame> {
        let frame = |d: &Value| Frame { data: Some(d.to_string()), data_lines: 1, ..Frame::default() };
        data.iter().map(|d| TimedFrame { at_us: 0, frame: frame(d) }).collect()
    }

    #[test]
    fn a_stream_becomes_its_events_ids_answer_and_metadata() {
        let mut stream = frames(&[
            json!({"event": "message", "conversation_id": "c", "message_id": "m", "task_id": "t", "answer": "Hel"}),
            json!({"event": "ping"}),
            json!({"event": "message", "conversation_id": "other", "answer": "lo"}),
            json!({"event": "message_end", "metadata": {"usage": {}}, "created_at": 5}),
        ]);
        stream.push(TimedFrame { at_us: 0, frame: Frame { event: Some("ping".into()), ..Frame::default() } });
        let document = document_of_frames(&stream, Some(AppMode::Chat));
        assert_eq!(document["events"].as_array().unwrap().len(), 3);
        for (name, value) in [
            ("conversation_id", json!("c")),
            ("task_id", json!("t")),
            ("created_at", json!(5)),
            ("answer", json!("Hello")),
            ("metadata", json!({"usage": {}})),
            ("event", json!("message_end")),
        ] {
            assert_eq!(document[name], value, "{name}");
        }
    }

    #[test]
    fn a_replacement_starts_the_answer_anew_and_an_agents_closing_message_is_not_counted_twice() {
        let said = |event: &str, answer: &str| json!({"event": event, "answer": answer});
        let replaced = frames(&[said("message", "bad"), said("message_replace", "ok"), said("message", "!")]);
        assert_eq!(document_of_frames(&replaced, Some(AppMode::Chat))["answer"], "ok!");
        let agent = frames(&[said("agent_message", "a"), said("agent_message", "b"), said("message", "ab")]);
        assert_eq!(document_of_frames(&agent, Some(AppMode::Agent))["answer"], "ab");
        assert_eq!(document_of_frames(&agent, Some(AppMode::AgentChat))["answer"], "abab");
    }

    #[test]
    fn data_that_is_not_json_is_kept_as_text_and_comments_are_nothing() {
        let odd = TimedFrame { at_us: 0, frame: Frame { data: Some("[DONE]".into()), ..Frame::default() } };
        let comment = TimedFrame { at_us: 0, frame: Frame { comments: 1, ..Frame::default() } };
        assert!(is_ping(&comment));
        assert_eq!(document_of_frames(&[odd, comment], None)["events"], json!([{"event": null, "data": "[DONE]"}]));
    }
}
