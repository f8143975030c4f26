//! The echo model behind an OpenAI-compatible interface: one request in, the words of the model with their times out.
//!
//! It says what the model of the emulated apps says (`ECHO:` and the labelled prompt) and obeys the same words of the last
//! user message, so that apps of a real server can be built on it. Tokens are words. `max_tokens`, `stop`, `n` and the
//! sampling parameters are accepted and have no effect: the echo is always whole.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::agent;
use super::answer::Answer;
use super::config::Pace;
use super::model::{self, Ending, Plan};
use super::model_prompt::{Conversation, Function};
use super::model_stream::Chunks;
use super::request::Request;
use super::state::Moment;

/// The name of the model; requests may name any other.
pub const MODEL: &str = "echo-1";

/// The model without clock and socket.
#[derive(Debug)]
pub struct ModelApi {
    key: Option<String>,
    pace: Pace,
    answered: AtomicU64,
}

/// What goes back: after `wait` the head with its body, then the blocks, each after its time.
#[derive(Debug, Default)]
pub struct Speech {
    /// Time before anything is sent.
    pub wait: Duration,
    /// A whole answer, or the head of a stream.
    pub answer: Answer,
    /// The blocks of a stream.
    pub blocks: Vec<(Duration, Vec<u8>)>,
    /// The connection breaks at the end.
    pub cut: bool,
}

/// Which of the two ways of asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// `/chat/completions`.
    Chat,
    /// `/completions`.
    Text,
}

/// What the answers to one request have in common.
#[derive(Debug, Clone)]
pub struct Envelope {
    /// The way it was asked.
    pub way: Way,
    /// Its id.
    pub id: String,
    /// The model as the request named it.
    pub model: String,
    /// Unix seconds.
    pub created: i64,
}

/// Words of prompt and answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Words of the prompt.
    pub prompt: u64,
    /// Words of the answer.
    pub answer: u64,
}

impl Counts {
    /// The object `usage`.
    pub fn usage(self) -> Value {
        json!({
            "prompt_tokens": self.prompt, "completion_tokens": self.answer, "total_tokens": self.prompt + self.answer
        })
    }
}

/// What the model decides to say.
struct Decision {
    plan: Plan,
    call: Option<Call>,
    steering: String,
}

/// A tool to be called.
#[derive(Debug, Clone)]
pub struct Call {
    /// Which one.
    pub function: Function,
    /// Its id; none in the older form of `functions`.
    pub id: Option<String>,
}

impl ModelApi {
    /// A model that demands a key, or none.
    pub fn new(key: Option<String>, pace: Pace) -> Self {
        Self { key, pace, answered: AtomicU64::new(0) }
    }

    /// The answer to one request.
    pub fn speak(&self, request: &Request, now: Moment) -> Speech {
        self.route(request, now).unwrap_or_else(|refused| whole(refused.0, &refused.1))
    }

    fn route(&self, request: &Request, now: Moment) -> Result<Speech, Refused> {
        let path = request.path.strip_prefix("/v1").unwrap_or(&request.path).trim_end_matches('/');
        self.demand_key(request)?;
        match (request.method.as_str(), path) {
            ("GET", "/models") => Ok(whole(200, &json!({"object": "list", "data": [described(MODEL)]}))),
            ("GET", _) if path.starts_with("/models/") => {
                Ok(whole(200, &described(path.strip_prefix("/models/").unwrap_or(MODEL))))
            }
            ("POST", "/chat/completions") => self.complete(Way::Chat, &body(request)?, now),
            ("POST", "/completions") => self.complete(Way::Text, &body(request)?, now),
            (_, "/models" | "/chat/completions" | "/completions") => {
                Err(refused(405, "method_not_allowed", format!("Not allowed: {} {}", request.method, request.path)))
            }
            _ => Err(refused(404, "unknown_url", format!("Invalid URL ({} {})", request.method, request.path))),
        }
    }

    fn demand_key(&self, request: &Request) -> Result<(), Refused> {
        let Some(key) = &self.key else { return Ok(()) };
        let given = request.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        if given.map(str::trim) == Some(key) {
            return Ok(());
        }
        Err(refused(401, "invalid_api_key", "Incorrect API key provided"))
    }

    fn complete(&self, way: Way, body: &Map<String, Value>, now: Moment) -> Result<Speech, Refused> {
        let conversation = match way {
            Way::Chat => Conversation::of_chat(body),
            Way::Text => Conversation::of_text(body),
        };
        let conversation = conversation.map_err(|problem| refused(400, "invalid_request", problem))?;
        let number = self.answered.fetch_add(1, Ordering::Relaxed) + 1;
        let envelope = Envelope {
            way,
            id: format!("{}-{number}", if way == Way::Chat { "chatcmpl" } else { "cmpl" }),
            model: body.get("model").and_then(Value::as_str).unwrap_or(MODEL).to_owned(),
            created: now.unix_seconds(),
        };
        let decision = self.decide(&conversation, number);
        let streaming = body.get("stream").and_then(Value::as_bool).unwrap_or(false);
        if let Ending::Failure(message) = &decision.plan.ending
            && (!streaming || decision.plan.chunks.is_empty())
        {
            return Ok(failed(&decision, message));
        }
        let asks_usage = body.get("stream_options").and_then(|options| options.get("include_usage"));
        Ok(if streaming {
            streamed(&envelope, decision, asks_usage == Some(&Value::Bool(true)))
        } else {
            blocking(&envelope, &decision)
        })
    }

    fn decide(&self, conversation: &Conversation, number: u64) -> Decision {
        let prompt = conversation.labelled();
        let prompt_words = model::words(&prompt).max(1);
        if let Some(text) = conversation.chore() {
            let plan = model::recite(text.to_owned(), prompt_words, "", self.pace);
            return Decision { plan, call: None, steering: String::new() };
        }
        let steering = conversation.steering();
        let wanted = agent::wanted_tool(&steering).and_then(|name| conversation.offered(name));
        let call = wanted.map(|(function, with_id)| Call { function, id: with_id.then(|| format!("call_{number}")) });
        let text = if call.is_some() { agent::CALLING.to_owned() } else { format!("ECHO:{prompt}") };
        let mut plan = model::recite(text, prompt_words, &steering, self.pace);
        if call.is_some() {
            plan.chunks = vec![plan.chunks.concat()];
        }
        Decision { plan, call, steering }
    }
}

/// A refusal: status and body.
struct Refused(u16, Value);

fn refused(status: u16, code: &str, message: impl Into<String>) -> Refused {
    let kind = match status {
        429 => "rate_limit_error",
        500.. => "server_error",
        _ => "invalid_request_error",
    };
    let message = message.into();
    Refused(status, json!({"error": {"message": message, "type": kind, "param": null, "code": code}}))
}

fn described(name: &str) -> Value {
    json!({"id": name, "object": "model", "created": 1_700_000_000, "owned_by": "difyprobe"})
}

fn body(request: &Request) -> Result<Map<String, Value>, Refused> {
    match serde_json::from_slice(&request.body) {
        Ok(Value::Object(members)) => Ok(members),
        _ => Err(refused(400, "invalid_json", "The body of the request is not a JSON object")),
    }
}

fn whole(status: u16, value: &Value) -> Speech {
    let headers = vec![("content-type", "application/json".to_owned())];
    Speech { answer: Answer { status, headers, body: value.to_string().into_bytes() }, ..Speech::default() }
}

/// A failure before the first piece: an HTTP status, or a broken connection.
fn failed(decision: &Decision, message: &str) -> Speech {
    let kind = decision.steering.split_whitespace().find_map(|word| word.strip_prefix("fail:")).unwrap_or_default();
    let (status, code) = match kind {
        "rate" => (429, "rate_limit_exceeded"),
        "auth" => (401, "invalid_api_key"),
        "bad" => (400, "invalid_request"),
        "daemon" => (503, "service_unavailable"),
        _ => (500, "server_error"),
    };
    let refused = refused(status, code, message);
    let wait = decision.plan.first;
    if kind == "conn" {
        let headers = vec![("content-type", "application/json".to_owned())];
        let answer = Answer { status: 200, headers, body: Vec::new() };
        return Speech { wait, answer, cut: true, ..Speech::default() };
    }
    Speech { wait, ..whole(refused.0, &refused.1) }
}

/// The text of a plan: nothing is masked, that is a task of the server in front.
fn spoken(plan: &Plan) -> String {
    plan.chunks.concat()
}

fn blocking(envelope: &Envelope, decision: &Decision) -> Speech {
    let text = spoken(&decision.plan);
    let counts = Counts { prompt: decision.plan.prompt_words, answer: model::words(&text) };
    let (object, choice) = match envelope.way {
        Way::Chat => ("chat.completion", chat_choice(&text, decision.call.as_ref())),
        Way::Text => ("text_completion", json!({"index": 0, "text": text, "logprobs": null, "finish_reason": "stop"})),
    };
    let body = json!({
        "id": envelope.id, "object": object, "created": envelope.created, "model": envelope.model,
        "choices": [choice], "usage": counts.usage(), "system_fingerprint": null
    });
    Speech { wait: decision.plan.duration(), ..whole(200, &body) }
}

fn chat_choice(text: &str, call: Option<&Call>) -> Value {
    let mut message = json!({"role": "assistant", "content": text});
    let mut reason = "stop";
    if let Some(call) = call {
        let function = json!({"name": call.function.name, "arguments": call.function.arguments});
        match &call.id {
            Some(id) => {
                message["tool_calls"] = json!([{"id": id, "type": "function", "function": function}]);
                reason = "tool_calls";
            }
            None => {
                message["function_call"] = function;
                reason = "function_call";
            }
        }
    }
    json!({"index": 0, "message": message, "logprobs": null, "finish_reason": reason})
}

fn streamed(envelope: &Envelope, decision: Decision, asks_usage: bool) -> Speech {
    let text = spoken(&decision.plan);
    let counts = Counts { prompt: decision.plan.prompt_words, answer: model::words(&text) };
    let mut chunks = Chunks::new(envelope);
    let Plan { chunks: pieces, first, gap, ending, .. } = decision.plan;
    chunks.open(first);
    for (at, piece) in pieces.into_iter().enumerate() {
        chunks.text(if at == 0 { Duration::ZERO } else { gap }, &piece);
    }
    match ending {
        Ending::Failure(message) => chunks.fail(gap, &refused(500, "server_error", message).1),
        Ending::Complete | Ending::Replaced(_) => {
            if let Some(call) = &decision.call {
                chunks.call(call);
            }
            chunks.close(decision.call.as_ref(), counts, asks_usage);
        }
    }
    let headers =
        vec![("content-type", "text/event-stream; charset=utf-8".to_owned()), ("cache-control", "no-cache".to_owned())];
    Speech { answer: Answer { status: 200, headers, body: Vec::new() }, blocks: chunks.blocks, ..Speech::default() }
}

#[cfg(test)]
#[path = "model_api_tests.rs"]
mod tests;
