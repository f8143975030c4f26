//! The server-sent events of an OpenAI-compatible model.

use std::time::Duration;

use serde_json::{Value, json};

use super::model_api::{Call, Counts, Envelope, Way};

/// Blocks of a stream under construction.
#[derive(Debug)]
pub struct Chunks<'a> {
    envelope: &'a Envelope,
    /// The blocks so far, each with the time before it.
    pub blocks: Vec<(Duration, Vec<u8>)>,
}

impl<'a> Chunks<'a> {
    /// An empty stream.
    pub fn new(envelope: &'a Envelope) -> Self {
        Self { envelope, blocks: Vec::new() }
    }

    /// The chunk that says who speaks; text streams have none, their time goes to the first piece.
    pub fn open(&mut self, first: Duration) {
        match self.envelope.way {
            Way::Chat => self.delta(first, json!({"role": "assistant", "content": ""})),
            Way::Text => self.blocks.push((first, Vec::new())),
        }
    }

    /// A piece of the answer.
    pub fn text(&mut self, delay: Duration, text: &str) {
        match self.envelope.way {
            Way::Chat => self.delta(delay, json!({"content": text})),
            Way::Text => {
                self.chunk(delay, json!([{"index": 0, "text": text, "logprobs": null, "finish_reason": null}]), None);
            }
        }
    }

    /// A call: its name first, then its arguments, as servers send them.
    pub fn call(&mut self, call: &Call) {
        let (name, arguments) = (&call.function.name, &call.function.arguments);
        match &call.id {
            Some(id) => {
                let named = json!({"name": name, "arguments": ""});
                let head = json!({"index": 0, "id": id, "type": "function", "function": named});
                self.delta(Duration::ZERO, json!({"tool_calls": [head]}));
                let rest = json!({"index": 0, "function": {"arguments": arguments}});
                self.delta(Duration::ZERO, json!({"tool_calls": [rest]}));
            }
            None => {
                let call = json!({"name": name, "arguments": arguments});
                self.delta(Duration::ZERO, json!({"function_call": call}));
            }
        }
    }

    /// The reason of the end, the usage and the closing mark.
    ///
    /// `asks_usage` is `stream_options.include_usage`: usage then comes in a chunk of its own. Without it, it stands in
    /// the last chunk all the same, because Dify does not ask for it and counts nothing where it is missing.
    pub fn close(&mut self, call: Option<&Call>, counts: Counts, asks_usage: bool) {
        let reason = match call {
            Some(Call { id: Some(_), .. }) => "tool_calls",
            Some(Call { id: None, .. }) => "function_call",
            None => "stop",
        };
        let choices = match self.envelope.way {
            Way::Chat => json!([{"index": 0, "delta": {}, "logprobs": null, "finish_reason": reason}]),
            Way::Text => json!([{"index": 0, "text": "", "logprobs": null, "finish_reason": reason}]),
        };
        self.chunk(Duration::ZERO, choices, (!asks_usage).then(|| counts.usage()));
        if asks_usage {
            self.chunk(Duration::ZERO, json!([]), Some(counts.usage()));
        }
        self.blocks.push((Duration::ZERO, b"data: [DONE]\n\n".to_vec()));
    }

    /// An error in the middle; nothing follows.
    pub fn fail(&mut self, delay: Duration, error: &Value) {
        self.blocks.push((delay, format!("data: {error}\n\n").into_bytes()));
    }

    fn delta(&mut self, delay: Duration, delta: Value) {
        self.chunk(delay, json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": null}]), None);
    }

    fn chunk(&mut self, delay: Duration, choices: Value, usage: Option<Value>) {
        let object = match self.envelope.way {
            Way::Chat => "chat.completion.chunk",
            Way::Text => "text_completion",
        };
        let mut chunk = json!({
            "id": self.envelope.id, "object": object, "created": self.envelope.created, "model": self.envelope.model,
            "choices": choices
        });
        if let Some(usage) = usage {
            chunk["usage"] = usage;
        }
        self.blocks.push((delay, format!("data: {chunk}\n\n").into_bytes()));
    }
}
