//! One exchange -> one sample. Definitions of the times: [`super::Metric`].

use super::event::{self, Event, Kind, Usage};
use super::{FailureClass, Metric};
use crate::model::{AppMode, Endpoint, Exchange, Reply};
use crate::sse::{self, Parsed, Stream, TimedFrame};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// Which turn of a conversation a request is. A first turn names the conversation, which costs Dify about one second
/// (its `auto_generate_name`), so the two are never mixed in one line only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Turn {
    /// A chat request with an absent, null or blank `conversation_id`.
    First,
    /// A chat request that continues a conversation.
    Later,
    /// Completions and workflow runs.
    NotATurn,
}

/// What one generation request measured; times in microseconds since the send unless said otherwise.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Response head complete; `None` when none arrived.
    pub ttfb_us: Option<u64>,
    /// First event but `ping`.
    pub ttfe_us: Option<u64>,
    /// First content chunk that is not empty.
    pub ttft_us: Option<u64>,
    /// Last content chunk that is not empty.
    pub last_content_us: Option<u64>,
    /// Terminal event of the app type, or the whole body when blocking; of a failed request, when it ended.
    pub e2e_us: u64,
    /// The same end counted from the planned send.
    pub e2e_sched_us: Option<u64>,
    /// Actual minus planned send.
    pub sched_lag_us: Option<u64>,
    /// Gaps between consecutive content chunks.
    pub gaps_us: Vec<u64>,
    /// Events but pings.
    pub events: u64,
    /// Pings.
    pub pings: u64,
    /// `usage.completion_tokens`.
    pub completion_tokens: Option<u64>,
    /// `usage.latency`.
    pub server_latency_us: Option<u64>,
    /// `usage.time_to_first_token`.
    pub server_ttft_us: Option<u64>,
    /// Currency and `usage.total_price` in units of 1e-9.
    pub cost: Option<(String, u64)>,
    /// Turn.
    pub turn: Turn,
    /// Operation.
    pub endpoint: Endpoint,
    /// The reply was an event stream; without a reply, whether one was asked for.
    pub streaming: bool,
    /// Success, or why not.
    pub outcome: Result<(), FailureClass>,
}

impl Sample {
    /// Time per output token by the server's own count; `None` below two tokens.
    pub fn tpot_us(&self) -> Option<u64> {
        let tokens = self.completion_tokens.filter(|t| *t >= 2)?;
        Some(self.last_content_us?.saturating_sub(self.ttft_us?) / (tokens - 1))
    }

    /// End to end minus what the server says it took.
    pub fn overhead_us(&self) -> Option<u64> {
        Some(self.e2e_us.saturating_sub(self.server_latency_us?))
    }

    /// Every time that a request has once; the gaps are apart.
    pub fn times(&self) -> [(Metric, Option<u64>); 11] {
        [
            (Metric::SchedLag, self.sched_lag_us),
            (Metric::Ttfb, self.ttfb_us),
            (Metric::Ttfe, self.ttfe_us),
            (Metric::Ttft, self.ttft_us),
            (Metric::Tpot, self.tpot_us()),
            (Metric::LastContent, self.last_content_us),
            (Metric::E2e, Some(self.e2e_us)),
            (Metric::E2eSched, self.e2e_sched_us),
            (Metric::ServerLatency, self.server_latency_us),
            (Metric::ServerTtft, self.server_ttft_us),
            (Metric::Overhead, self.overhead_us()),
        ]
    }
}

/// Measures an exchange; `None` unless it is a generation request (chat, completion, workflow run).
/// `mode` is the app's mode where known; it decides which terminal event ends the stream.
pub fn sample(exchange: &Exchange, mode: Option<AppMode>) -> Option<Sample> {
    let frames = match &exchange.reply {
        Some(reply) if is_stream(reply) && operation(exchange).generates() => {
            sse::decode(&reply.body.bytes(), &reply.reads)
        }
        _ => Vec::new(),
    };
    sample_from_frames(exchange, mode, &frames)
}

/// As [`sample`], with the frames of the reply already decoded (empty when it is no stream).
pub fn sample_from_frames(exchange: &Exchange, mode: Option<AppMode>, frames: &[TimedFrame]) -> Option<Sample> {
    measured(exchange, mode, None, |heard| heard.frames(frames))
}

/// As [`sample`], with the body of the reply already parsed.
pub fn sample_parsed(exchange: &Exchange, mode: Option<AppMode>, parsed: &Parsed) -> Option<Sample> {
    let stream = parsed.stream.as_ref().filter(|_| exchange.reply.as_ref().is_some_and(is_stream));
    // Data that is no event, and a block that nothing ended, are looked at as they came.
    let plain = |s: &Stream| s.bad_data.is_empty() && s.frames.last().is_none_or(|f| f.frame.terminated);
    let Some(stream) = stream.filter(|s| plain(s)) else {
        let frames = stream.map_or(&[][..], |s| &s.frames);
        return measured(exchange, mode, Some(parsed), |heard| heard.frames(frames));
    };
    measured(exchange, mode, Some(parsed), |heard| {
        heard.pings = stream.pings.len() as u64;
        stream.events.iter().for_each(|e| heard.frame(e.at_us, event::of(&e.name, &e.value)));
    })
}

/// Measures an exchange; `parsed` are its bodies where they are parsed already, `hear` takes in the events of the stream.
fn measured(
    exchange: &Exchange,
    mode: Option<AppMode>,
    parsed: Option<&Parsed>,
    hear: impl FnOnce(&mut Heard),
) -> Option<Sample> {
    let endpoint = operation(exchange);
    if !endpoint.generates() {
        return None;
    }
    let mut heard = Heard::default();
    hear(&mut heard);
    let asked = match parsed.and_then(|p| p.sent.as_ref()) {
        Some(sent) => Asked::of_json(sent, endpoint),
        None => Asked::of(exchange, endpoint),
    };
    let timing = &exchange.timing;
    let streaming = exchange.reply.as_ref().map_or(asked.streaming == Some(true), is_stream);
    let ended = match &exchange.reply {
        Some(reply) if !streaming => match parsed.and_then(|p| p.json.as_ref()) {
            Some(json) => heard.blocking_json(json, endpoint),
            None => heard.blocking(reply, endpoint),
        },
        _ => heard.ended(endpoint, mode),
    };
    let outcome = outside(exchange, &asked).map_or(ended.map(|_| ()), Err);
    // Bodies end when their last byte is here; a stream ends for the user at its terminal event.
    let at = if streaming { ended.ok().flatten() } else { None };
    let e2e_us = outcome.ok().and(at).unwrap_or(timing.end_us);
    let sched_lag_us = timing.planned_us.map(|planned| timing.sent_us.saturating_sub(planned));
    let usage = heard.usage.unwrap_or_default();
    Some(Sample {
        ttfb_us: timing.head_us,
        ttfe_us: heard.first_event,
        ttft_us: heard.first_content,
        last_content_us: heard.last_content,
        e2e_us,
        e2e_sched_us: timing.planned_us.map(|p| timing.sent_us.saturating_add(e2e_us).saturating_sub(p)),
        sched_lag_us,
        gaps_us: heard.gaps,
        events: heard.events,
        pings: heard.pings,
        completion_tokens: usage.completion_tokens,
        server_latency_us: usage.latency_us,
        server_ttft_us: usage.ttft_us,
        cost: usage.cost,
        turn: asked.turn,
        endpoint,
        streaming,
        outcome,
    })
}

fn is_stream(reply: &Reply) -> bool {
    reply.is_event_stream()
}

fn operation(exchange: &Exchange) -> Endpoint {
    Endpoint::of(&exchange.request.method, exchange.request.path())
}

/// What the request asked for.
struct Asked {
    turn: Turn,
    streaming: Option<bool>,
}

#[derive(Deserialize)]
struct AskedWire<'a> {
    #[serde(borrow)]
    conversation_id: Option<&'a RawValue>,
    #[serde(borrow)]
    response_mode: Option<&'a RawValue>,
}

impl Asked {
    fn of(exchange: &Exchange, endpoint: Endpoint) -> Asked {
        let text = exchange.request.body.as_ref().and_then(|b| b.text()).unwrap_or("");
        let wire: Option<AskedWire> = serde_json::from_str(text).ok();
        let conversation = wire.as_ref().and_then(|w| w.conversation_id);
        let blank = conversation.is_none_or(|id| event::string(id).is_some_and(|id| id.trim().is_empty()));
        let mode = wire.as_ref().and_then(|w| w.response_mode).and_then(event::string);
        Asked::told(endpoint, blank, mode.as_deref())
    }

    /// As [`Asked::of`], of a body that is parsed already.
    fn of_json(sent: &Value, endpoint: Endpoint) -> Asked {
        let blank = match sent.get("conversation_id") {
            None | Some(Value::Null) => true,
            Some(id) => id.as_str().is_some_and(|id| id.trim().is_empty()),
        };
        Asked::told(endpoint, blank, sent.get("response_mode").and_then(Value::as_str))
    }

    fn told(endpoint: Endpoint, blank: bool, mode: Option<&str>) -> Asked {
        let turn = match (endpoint, blank) {
            (Endpoint::ChatMessages, true) => Turn::First,
            (Endpoint::ChatMessages, false) => Turn::Later,
            _ => Turn::NotATurn,
        };
        let streaming = match mode {
            Some("streaming") => Some(true),
            Some("blocking") => Some(false),
            _ => None,
        };
        Asked { turn, streaming }
    }
}

/// Failures that show without looking into the body: status first (a cut error page is still the status's fault).
fn outside(exchange: &Exchange, asked: &Asked) -> Option<FailureClass> {
    let Some(reply) = &exchange.reply else {
        let fault = exchange.fault.as_ref().map(|f| FailureClass::of_fault(f.class));
        return Some(fault.unwrap_or(FailureClass::Protocol));
    };
    if let Some(class) = FailureClass::of_status(reply.status) {
        return Some(class);
    }
    if let Some(fault) = &exchange.fault {
        return Some(FailureClass::of_fault(fault.class));
    }
    if asked.streaming.is_some_and(|streaming| streaming != is_stream(reply)) {
        return Some(FailureClass::Schema);
    }
    reply.truncated().then_some(FailureClass::TooLarge)
}

/// What the frames of a stream said so far.
#[derive(Default)]
struct Heard {
    first_event: Option<u64>,
    first_content: Option<u64>,
    last_content: Option<u64>,
    gaps: Vec<u64>,
    events: u64,
    pings: u64,
    agent_text: bool,
    malformed: bool,
    error: bool,
    workflow_started: bool,
    workflow_finished: Option<(u64, String)>,
    paused: Option<u64>,
    message_end: Option<u64>,
    usage: Option<Usage>,
}

impl Heard {
    fn frames(&mut self, frames: &[TimedFrame]) {
        frames.iter().for_each(|f| self.frame(f.at_us, event::read(&f.frame)));
    }

    fn frame(&mut self, at_us: u64, event: Event) {
        match event {
            Event::Nothing => return,
            Event::Ping => {
                self.pings += 1;
                return;
            }
            Event::Content(kind) => self.content(at_us, kind),
            Event::Malformed => self.malformed = true,
            Event::Error => self.error = true,
            Event::WorkflowStarted => self.workflow_started = true,
            Event::WorkflowFinished(status) => self.workflow_finished = Some((at_us, status)),
            Event::WorkflowPaused => self.paused = Some(at_us),
            Event::MessageEnd(usage) => {
                self.message_end = Some(at_us);
                self.usage = usage.or(self.usage.take());
            }
            Event::Other => {}
        }
        self.events += 1;
        self.first_event.get_or_insert(at_us);
    }

    fn content(&mut self, at_us: u64, kind: Kind) {
        // New Agent apps close with one `message` that repeats the whole answer: no new content.
        if kind == Kind::Message && self.agent_text {
            return;
        }
        self.agent_text |= kind == Kind::AgentMessage;
        self.first_content.get_or_insert(at_us);
        if let Some(last) = self.last_content.replace(at_us) {
            self.gaps.push(at_us.saturating_sub(last));
        }
    }

    /// When a stream reached its end, or why it did not.
    fn ended(&self, endpoint: Endpoint, mode: Option<AppMode>) -> Result<Option<u64>, FailureClass> {
        match self.workflow_finished.as_ref().map(|(_, status)| status.as_str()) {
            Some("failed") => return Err(FailureClass::WorkflowFailed),
            _ if self.error => return Err(FailureClass::ErrorEvent),
            _ if self.malformed => return Err(FailureClass::Schema),
            Some("stopped") => return Err(FailureClass::Cancelled),
            _ => {}
        }
        let finished = self.workflow_finished.as_ref().map(|(at, _)| *at);
        let chatflow = self.workflow_started && mode.is_none_or(|m| m == AppMode::AdvancedChat);
        let end = match endpoint {
            Endpoint::WorkflowRun | Endpoint::WorkflowRunById => finished,
            // An annotation reply answers without starting the workflow: then only `message_end` is due.
            Endpoint::ChatMessages if chatflow => self.message_end.zip(finished).map(|(a, b)| a.max(b)),
            _ => self.message_end,
        };
        end.or(self.paused).map(Some).ok_or(FailureClass::MissingTerminal)
    }

    /// As [`Heard::blocking`], of an answer that is parsed already.
    fn blocking_json(&mut self, json: &Value, endpoint: Endpoint) -> Result<Option<u64>, FailureClass> {
        let json = json.as_object().ok_or(FailureClass::Schema)?;
        self.usage = json.get("metadata").and_then(event::usage_in);
        if !matches!(endpoint, Endpoint::WorkflowRun | Endpoint::WorkflowRunById) {
            return json.get("answer").filter(|a| a.is_string()).map(|_| None).ok_or(FailureClass::Schema);
        }
        match json.get("data").and_then(|data| data.get("status")).and_then(Value::as_str) {
            Some("failed") => Err(FailureClass::WorkflowFailed),
            Some("stopped") => Err(FailureClass::Cancelled),
            Some(_) => Ok(None),
            None => Err(FailureClass::Schema),
        }
    }

    /// Reads a blocking answer.
    fn blocking(&mut self, reply: &Reply, endpoint: Endpoint) -> Result<Option<u64>, FailureClass> {
        let body = reply.body.bytes();
        let wire: BlockingWire = serde_json::from_slice(&body).map_err(|_| FailureClass::Schema)?;
        self.usage = wire.metadata.and_then(|m| event::usage(m.get()));
        if !matches!(endpoint, Endpoint::WorkflowRun | Endpoint::WorkflowRunById) {
            let answer = wire.answer.and_then(event::string);
            return answer.map(|_| None).ok_or(FailureClass::Schema);
        }
        let data: Option<RunWire> = wire.data.and_then(|d| serde_json::from_str(d.get()).ok());
        match data.and_then(|d| d.status).and_then(event::string).as_deref() {
            Some("failed") => Err(FailureClass::WorkflowFailed),
            Some("stopped") => Err(FailureClass::Cancelled),
            Some(_) => Ok(None),
            None => Err(FailureClass::Schema),
        }
    }
}

#[derive(Deserialize)]
struct BlockingWire<'a> {
    #[serde(borrow)]
    answer: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct RunWire<'a> {
    #[serde(borrow)]
    status: Option<&'a RawValue>,
}

#[cfg(test)]
#[path = "sample_tests.rs"]
mod tests;
