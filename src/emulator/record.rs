//! What the emulator itself says of when it did what: to hold a client's clock against.

use std::sync::Arc;

use serde_json::{Value, json};

use super::state::Moment;

/// Takes the record of a generation when its answer has been sent.
pub type Sink = Arc<dyn Fn(Played) + Send + Sync>;

/// When the answer to a generation request was made. Times are microseconds since the Unix epoch, on one clock that never
/// goes back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Played {
    /// Path of the request.
    pub path: String,
    /// The request was read.
    pub received_us: u64,
    /// The response head was ready.
    pub head_us: u64,
    /// Each event of a stream was handed to the connection; without pings, empty for an answer in one piece.
    pub events_us: Vec<u64>,
    /// The last byte was handed to the connection, or the client had left.
    pub ended_us: u64,
    /// `message_id` of the answer.
    pub message_id: Option<String>,
    /// `task_id` of the answer.
    pub task_id: Option<String>,
}

impl Played {
    /// As one line of JSON.
    pub fn to_line(&self) -> String {
        let line: Value = json!({
            "path": self.path,
            "received_us": self.received_us,
            "head_us": self.head_us,
            "events_us": self.events_us,
            "ended_us": self.ended_us,
            "message_id": self.message_id,
            "task_id": self.task_id,
        });
        line.to_string()
    }
}

/// Whether requests to this path generate.
pub(super) fn generates(path: &str) -> bool {
    let operation = path.strip_prefix("/v1/").unwrap_or(path);
    let run = operation.strip_prefix("workflows/").and_then(|rest| rest.strip_suffix("run"));
    matches!(operation, "chat-messages" | "completion-messages") || run.is_some_and(|id| !id.contains("run/"))
}

/// The record of one answer, while it lasts.
pub(super) struct Tape {
    sink: Sink,
    played: Played,
}

impl Tape {
    pub(super) fn new(sink: Sink, path: String, received: Moment) -> Self {
        Self { sink, played: Played { path, received_us: received.0, ..Played::default() } }
    }

    pub(super) fn head(&mut self, now: Moment) {
        self.played.head_us = now.0;
    }

    /// One block of a stream, or a whole answer.
    pub(super) fn bytes(&mut self, bytes: &[u8], now: Moment) {
        if self.played.message_id.is_none() {
            self.played.message_id = text_of(bytes, b"\"message_id\"");
        }
        if self.played.task_id.is_none() {
            self.played.task_id = text_of(bytes, b"\"task_id\"");
        }
        if bytes.starts_with(b"data:") {
            self.played.events_us.push(now.0);
        }
    }

    pub(super) fn end(mut self, now: Moment) {
        self.played.ended_us = now.0;
        (self.sink)(self.played);
    }
}

/// The text of the first member with this (quoted) name.
fn text_of(bytes: &[u8], name: &[u8]) -> Option<String> {
    let at = bytes.windows(name.len()).position(|window| window == name)? + name.len();
    let rest = std::str::from_utf8(bytes.get(at..)?).ok()?.trim_start().strip_prefix(':')?.trim_start();
    rest.strip_prefix('"')?.split('"').next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[test]
    fn a_tape_keeps_ids_and_the_time_of_every_event_but_pings() {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let sink: Sink = {
            let kept = Arc::clone(&kept);
            Arc::new(move |played| kept.lock().unwrap().push(played))
        };
        let mut tape = Tape::new(sink, "/v1/chat-messages".into(), Moment(10));
        tape.head(Moment(11));
        tape.bytes(b"data: {\"event\": \"message\", \"message_id\": \"m\", \"task_id\": \"t\"}\n\n", Moment(12));
        tape.bytes(b"event: ping\n\n", Moment(13));
        tape.bytes(b"data: {\"event\": \"message_end\", \"message_id\": \"other\"}\n\n", Moment(14));
        tape.end(Moment(15));
        let line = kept.lock().unwrap()[0].to_line();
        let told: Value = serde_json::from_str(&line).unwrap();
        let wanted = json!({"path": "/v1/chat-messages", "received_us": 10, "head_us": 11, "events_us": [12, 14],
            "ended_us": 15, "message_id": "m", "task_id": "t"});
        assert_eq!(told, wanted);
    }

    #[test]
    fn only_generations_are_recorded() {
        let yes = ["/v1/chat-messages", "/v1/completion-messages", "/v1/workflows/run", "/v1/workflows/abc/run"];
        assert!(yes.into_iter().all(generates));
        let no =
            ["/v1/messages", "/v1/chat-messages/t/stop", "/v1/workflows/run/abc", "/v1/workflows/logs", "/v1/info"];
        assert!(!no.into_iter().any(generates));
    }
}
