//! What metrics need of one SSE event, read without building a JSON tree.

use crate::sse::Frame;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// What one frame means to the clock.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Keep-alive; counted, never timed.
    Ping,
    /// No data: comments, or a block that the end of the body cut off.
    Nothing,
    /// Data that is not a JSON object with an `event`.
    Malformed,
    /// A content chunk that is not empty.
    Content(Kind),
    /// `workflow_started`.
    WorkflowStarted,
    /// `workflow_finished` with its status.
    WorkflowFinished(String),
    /// `workflow_paused`: a form waits for a person; the stream ends here.
    WorkflowPaused,
    /// `message_end`, with `metadata.usage` where present.
    MessageEnd(Option<Usage>),
    /// `error`.
    Error,
    /// Anything else: it is an event, but starts or ends nothing.
    Other,
}

/// Where a content chunk came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `message`, or `message_file` that carries an `answer` (a mislabelling of some versions).
    Message,
    /// `agent_message`.
    AgentMessage,
    /// `text_chunk` of a workflow.
    Text,
    /// `reasoning_chunk`.
    Reasoning,
}

/// `metadata.usage`, as far as it is measured.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Usage {
    /// `completion_tokens`.
    pub completion_tokens: Option<u64>,
    /// `latency`, in microseconds.
    pub latency_us: Option<u64>,
    /// `time_to_first_token`, in microseconds.
    pub ttft_us: Option<u64>,
    /// `total_price` in units of 1e-9 of the currency, and the currency.
    pub cost: Option<(String, u64)>,
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow)]
    event: Option<&'a RawValue>,
    #[serde(borrow)]
    answer: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    reasoning: Option<&'a RawValue>,
    #[serde(borrow)]
    status: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Metadata {
    usage: Option<UsageWire>,
}

#[derive(Deserialize)]
struct UsageWire {
    completion_tokens: Option<serde_json::Value>,
    latency: Option<serde_json::Value>,
    time_to_first_token: Option<serde_json::Value>,
    total_price: Option<serde_json::Value>,
    currency: Option<serde_json::Value>,
}

/// Reads one frame.
pub fn read(frame: &Frame) -> Event {
    let Some(data) = frame.data.as_deref().filter(|_| frame.terminated) else {
        let ping = frame.terminated && frame.event.as_deref() == Some("ping");
        return if ping { Event::Ping } else { Event::Nothing };
    };
    let Ok(wire) = serde_json::from_str::<Wire>(data) else {
        return if frame.event.as_deref() == Some("ping") { Event::Ping } else { Event::Malformed };
    };
    let Some(name) = wire.event.and_then(string) else {
        return Event::Malformed;
    };
    let chunk = |text: Option<&RawValue>, kind| if filled(text) { Event::Content(kind) } else { Event::Other };
    match name.as_ref() {
        "message" | "message_file" => chunk(wire.answer, Kind::Message),
        "agent_message" => chunk(wire.answer, Kind::AgentMessage),
        "text_chunk" => chunk(inner(wire.data).and_then(|d| d.text), Kind::Text),
        "reasoning_chunk" => chunk(inner(wire.data).and_then(|d| d.reasoning), Kind::Reasoning),
        "message_end" => Event::MessageEnd(wire.metadata.and_then(|m| usage(m.get()))),
        "workflow_started" => Event::WorkflowStarted,
        "workflow_finished" => {
            let status = inner(wire.data).and_then(|d| d.status).and_then(string);
            Event::WorkflowFinished(status.map(|s| s.into_owned()).unwrap_or_default())
        }
        "workflow_paused" => Event::WorkflowPaused,
        "error" => Event::Error,
        "ping" => Event::Ping,
        _ => Event::Other,
    }
}

/// What an event means whose data is parsed already; the same as [`read`] says of its frame.
pub fn of(name: &str, value: &Value) -> Event {
    let filled = |text: Option<&Value>| text.and_then(Value::as_str).is_some_and(|t| !t.is_empty());
    let data = |member: &str| value.get("data").and_then(|d| d.get(member));
    let chunk = |text: Option<&Value>, kind| if filled(text) { Event::Content(kind) } else { Event::Other };
    match name {
        "message" | "message_file" => chunk(value.get("answer"), Kind::Message),
        "agent_message" => chunk(value.get("answer"), Kind::AgentMessage),
        "text_chunk" => chunk(data("text"), Kind::Text),
        "reasoning_chunk" => chunk(data("reasoning"), Kind::Reasoning),
        "message_end" => Event::MessageEnd(value.get("metadata").and_then(usage_in)),
        "workflow_started" => Event::WorkflowStarted,
        "workflow_finished" => {
            Event::WorkflowFinished(data("status").and_then(Value::as_str).unwrap_or_default().to_owned())
        }
        "workflow_paused" => Event::WorkflowPaused,
        "error" => Event::Error,
        "ping" => Event::Ping,
        _ => Event::Other,
    }
}

/// Reads the JSON text of a `metadata` member.
pub fn usage(metadata: &str) -> Option<Usage> {
    usage_of(serde_json::from_str::<Metadata>(metadata).ok()?.usage?)
}

/// Reads a `metadata` member.
pub fn usage_in(metadata: &Value) -> Option<Usage> {
    usage_of(Metadata::deserialize(metadata).ok()?.usage?)
}

fn usage_of(wire: UsageWire) -> Option<Usage> {
    let currency = wire.currency.as_ref().and_then(|c| c.as_str()).unwrap_or("").to_owned();
    Some(Usage {
        completion_tokens: wire.completion_tokens.and_then(|t| t.as_u64()),
        // A chatflow without a model reports 0, which is no measurement.
        latency_us: wire.latency.and_then(micros).filter(|us| *us > 0),
        ttft_us: wire.time_to_first_token.and_then(micros),
        cost: wire.total_price.and_then(|p| nanos(&p)).map(|price| (currency, price)),
    })
}

/// The text of a JSON string; borrowed unless it holds escapes. `None` for other JSON.
pub fn string(raw: &RawValue) -> Option<std::borrow::Cow<'_, str>> {
    let inside = raw.get().strip_prefix('"')?.strip_suffix('"')?;
    if inside.contains('\\') {
        return serde_json::from_str::<String>(raw.get()).ok().map(Into::into);
    }
    Some(inside.into())
}

/// Whether a JSON value is a string that is not empty.
fn filled(raw: Option<&RawValue>) -> bool {
    raw.is_some_and(|r| r.get().starts_with('"') && r.get() != "\"\"")
}

fn inner(data: Option<&RawValue>) -> Option<Data<'_>> {
    serde_json::from_str(data?.get()).ok()
}

/// Seconds as JSON -> microseconds; nothing for negative or absurd values.
fn micros(value: serde_json::Value) -> Option<u64> {
    let seconds = value.as_f64().filter(|s| (0.0..=1e9).contains(s))?;
    Some((seconds * 1e6).round() as u64)
}

/// A price, as a decimal string or a number -> units of 1e-9, exactly for strings with up to 9 places.
fn nanos(value: &serde_json::Value) -> Option<u64> {
    let number;
    let text = match value {
        serde_json::Value::String(text) => text.as_str(),
        serde_json::Value::Number(n) => {
            number = format!("{:.9}", n.as_f64()?);
            number.as_str()
        }
        _ => return None,
    };
    let (whole, places) = text.split_once('.').unwrap_or((text, ""));
    if !places.bytes().chain(whole.bytes()).all(|b| b.is_ascii_digit()) {
        return None;
    }
    let digits: String = places.chars().chain(std::iter::repeat('0')).take(9).collect();
    let whole: u64 = whole.parse().ok()?;
    whole.checked_mul(1_000_000_000)?.checked_add(digits.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(data: &str) -> Event {
        read(&Frame { data: Some(data.to_owned()), terminated: true, ..Frame::default() })
    }

    #[test]
    fn content_is_a_string_that_is_not_empty() {
        assert_eq!(of(r#"{"event":"message","answer":"a"}"#), Event::Content(Kind::Message));
        assert_eq!(of(r#"{"event":"message","answer":""}"#), Event::Other);
        assert_eq!(of(r#"{"event":"message","answer":7}"#), Event::Other);
        assert_eq!(of(r#"{"event":"message"}"#), Event::Other);
        assert_eq!(of(r#"{"event":"message_file","answer":"a"}"#), Event::Content(Kind::Message));
        assert_eq!(of(r#"{"event":"message_file","url":"u"}"#), Event::Other);
        assert_eq!(of(r#"{"event":"text_chunk","data":{"text":"a"}}"#), Event::Content(Kind::Text));
        assert_eq!(of(r#"{"event":"reasoning_chunk","data":{"reasoning":"a"}}"#), Event::Content(Kind::Reasoning));
        assert_eq!(of(r#"{"event":"\u006dessage","answer":"a"}"#), Event::Content(Kind::Message));
    }

    #[test]
    fn pings_are_known_with_and_without_data() {
        let ping = |data: Option<&str>| {
            let frame = Frame { event: Some("ping".into()), data: data.map(Into::into), ..Frame::default() };
            read(&Frame { terminated: true, ..frame })
        };
        assert_eq!(ping(None), Event::Ping);
        assert_eq!(ping(Some("")), Event::Ping);
        assert_eq!(of(r#"{"event":"ping"}"#), Event::Ping);
    }

    #[test]
    fn what_a_client_would_never_dispatch_is_nothing() {
        assert_eq!(read(&Frame { comments: 1, terminated: true, ..Frame::default() }), Event::Nothing);
        let cut = Frame { data: Some(r#"{"event":"message_end"}"#.into()), ..Frame::default() };
        assert_eq!(read(&cut), Event::Nothing);
    }

    #[test]
    fn data_that_is_no_event_object_is_malformed() {
        for data in ["", "[DONE]", "{", "[]", "null", "{}", r#"{"event":7}"#] {
            assert_eq!(of(data), Event::Malformed, "{data}");
        }
    }

    #[test]
    fn usage_of_a_real_server_is_read_and_strange_types_are_left_out() {
        let seen = usage(
            r#"{"annotation_reply":null,"usage":{"completion_tokens":10,"total_price":"0.0000300",
            "currency":"USD","latency":1.0446998899999471,"time_to_first_token":null}}"#,
        );
        let wanted = Usage {
            completion_tokens: Some(10),
            latency_us: Some(1_044_700),
            ttft_us: None,
            cost: Some(("USD".into(), 30_000)),
        };
        assert_eq!(seen, Some(wanted));
        let odd = usage(r#"{"usage":{"completion_tokens":"10","latency":-1,"total_price":"free"}}"#);
        assert_eq!(odd, Some(Usage::default()));
        assert_eq!(usage(r#"{"usage":null}"#), None);
        assert_eq!(usage("7"), None);
    }

    #[test]
    fn prices_are_exact() {
        assert_eq!(nanos(&json!("1.000000001")), Some(1_000_000_001));
        assert_eq!(nanos(&json!(0.5)), Some(500_000_000));
        assert_eq!(nanos(&json!("-1")), None);
        assert_eq!(nanos(&json!("0.+5")), None);
        assert_eq!(nanos(&json!("99999999999999")), None);
    }
}
