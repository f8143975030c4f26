//! The events of one recorded stream.

use super::TimedFrame;
use serde_json::Value;

/// Members among which a name is found by looking at each.
const FEW: usize = 16;

/// One event with a JSON object as data.
#[derive(Clone, Debug)]
pub struct Event {
    /// Number of its frame, from 1.
    pub frame: usize,
    /// Arrival, microseconds since the request was sent.
    pub at_us: u64,
    /// The `event` member.
    pub name: String,
    /// The whole object.
    pub value: Value,
}

impl Event {
    /// A member. Events have few of them: to look at each takes less than to hash the name.
    pub fn member(&self, name: &str) -> Option<&Value> {
        match self.value.as_object() {
            Some(members) if members.len() <= FEW => members.iter().find(|(known, _)| *known == name).map(|(_, v)| v),
            other => other?.get(name),
        }
    }

    /// A string member.
    pub fn text(&self, member: &str) -> Option<&str> {
        self.member(member).and_then(Value::as_str)
    }

    /// Text for the reader: `answer` of message events, `text` of workflow chunks.
    pub fn content(&self) -> Option<&str> {
        match self.name.as_str() {
            "message" | "agent_message" | "message_file" => self.text("answer"),
            "text_chunk" => self.value.pointer("/data/text").and_then(Value::as_str),
            _ => None,
        }
    }

    /// A member of `data`.
    pub fn data(&self, member: &str) -> Option<&Value> {
        self.member("data")?.get(member)
    }

    /// Whether streams of message modes (completion, chat, agent) end with it.
    pub fn closes_message(&self) -> bool {
        matches!(self.name.as_str(), "message_end" | "error")
    }

    /// Whether streams of runs end with it, or with it and another one.
    pub fn closes_run(&self) -> bool {
        self.closes_message() || matches!(self.name.as_str(), "workflow_finished" | "workflow_paused")
    }
}

/// A decoded stream.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    /// All frames as they came.
    pub frames: Vec<TimedFrame>,
    /// Frames whose data is a JSON object with a string `event`, in order, pings left out.
    pub events: Vec<Event>,
    /// Frame number (from 1) and reason for every data payload that is not such an object.
    pub bad_data: Vec<(usize, String)>,
    /// Frame numbers of bare pings.
    pub pings: Vec<usize>,
}

impl Stream {
    /// Reads frames; never fails.
    pub fn of(frames: Vec<TimedFrame>) -> Stream {
        let mut stream = Stream::default();
        for (index, timed) in frames.iter().enumerate() {
            let number = index + 1;
            let frame = &timed.frame;
            let Some(data) = &frame.data else {
                if frame.event.as_deref() == Some("ping") {
                    stream.pings.push(number);
                }
                continue;
            };
            match serde_json::from_str::<Value>(data) {
                Ok(value @ Value::Object(_)) => match value.get("event").and_then(Value::as_str) {
                    Some("ping") => stream.bad_data.push((number, "a ping that carries data".to_owned())),
                    Some(name) => {
                        let name = name.to_owned();
                        stream.events.push(Event { frame: number, at_us: timed.at_us, name, value });
                    }
                    None => stream.bad_data.push((number, "an object without a string `event`".to_owned())),
                },
                Ok(other) => {
                    stream.bad_data.push((number, format!("JSON that is not an object: {}", clip(&other.to_string()))))
                }
                Err(error) => stream.bad_data.push((number, format!("not JSON ({error}): {}", clip(data)))),
            }
        }
        stream.frames = frames;
        stream
    }

    /// The first event with this name.
    pub fn find(&self, name: &str) -> Option<&Event> {
        self.events.iter().find(|e| e.name == name)
    }

    /// Text a reader has at the end: chunks appended, `message_replace` starts over. The closing `message` of a New Agent
    /// repeats what its chunks said and adds nothing.
    pub fn answer(&self) -> String {
        let agent = self.find("agent_message").is_some();
        let mut answer = String::new();
        for event in self.events.iter().filter(|e| !(agent && e.name == "message")) {
            if event.name == "message_replace" {
                answer = event.text("answer").unwrap_or("").to_owned();
            } else if let Some(text) = event.content() {
                answer.push_str(text);
            }
        }
        answer
    }

    /// Distinct string or number values of a member over the events that have it, in order of appearance, with the
    /// frame of the first.
    pub fn distinct(&self, member: &str) -> Vec<(String, usize)> {
        let mut values: Vec<(String, usize)> = Vec::new();
        let mut last = &Value::Null;
        for event in &self.events {
            let value = match event.member(member) {
                None | Some(Value::Null) => continue,
                // Almost always: a stream is about one message.
                Some(same) if same == last => continue,
                Some(value) => value,
            };
            last = value;
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            if !values.iter().any(|(seen, _)| *seen == text) {
                values.push((text, event.frame));
            }
        }
        values
    }

    /// Event names with repeats folded, for people: `message x12, message_end`.
    pub fn outline(&self) -> String {
        let mut parts: Vec<(&str, usize)> = Vec::new();
        for event in &self.events {
            match parts.last_mut() {
                Some((name, count)) if *name == event.name => *count += 1,
                _ => parts.push((&event.name, 1)),
            }
        }
        let show =
            |(name, count): &(&str, usize)| if *count > 1 { format!("{name} x{count}") } else { (*name).to_owned() };
        if parts.is_empty() { "no events".to_owned() } else { parts.iter().map(show).collect::<Vec<_>>().join(", ") }
    }
}

/// A value for a message, cut to a line's length.
pub fn clip(text: &str) -> String {
    const MOST: usize = 120;
    let mut clipped: String = text.chars().take(MOST).collect();
    if clipped.len() < text.len() {
        clipped.push('…');
    }
    clipped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_of_small_and_of_large_events_are_found() {
        for extra in [0, FEW, 3 * FEW] {
            let mut value = serde_json::json!({"event": "message", "answer": "a", "data": {"text": "t"}});
            (0..extra).for_each(|n| value[format!("more_{n}")] = n.into());
            let event = Event { frame: 1, at_us: 0, name: "message".to_owned(), value };
            assert_eq!((event.text("answer"), event.member("absent")), (Some("a"), None));
            assert_eq!(event.data("text").and_then(Value::as_str), Some("t"));
        }
    }
}
