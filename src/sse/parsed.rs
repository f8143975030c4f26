//! The bodies of an exchange, decoded and parsed once for all who look at them.

use super::stream::Stream;
use crate::model::{Exchange, Reply};
use serde_json::Value;

/// What the bodies of an exchange are.
#[derive(Clone, Debug, Default)]
pub struct Parsed {
    /// The body of the request, where it is one JSON document.
    pub sent: Option<Value>,
    /// The body of the reply, where it is one JSON document.
    pub json: Option<Value>,
    /// The body of the reply, where it is an event stream (also under a wrong media type).
    pub stream: Option<Stream>,
}

impl Parsed {
    /// Parses the bodies of an exchange; without a reply there is nothing of it.
    pub fn of(exchange: &Exchange) -> Parsed {
        let sent = exchange.request.body.as_ref().and_then(|body| serde_json::from_slice(&body.bytes()).ok());
        Parsed::with_sent(sent, exchange.reply.as_ref())
    }

    /// Parses the body of a reply to a request whose body is known.
    pub fn with_sent(sent: Option<Value>, reply: Option<&Reply>) -> Parsed {
        let Some(reply) = reply else { return Parsed { sent, ..Parsed::default() } };
        let bytes = reply.body.bytes();
        let looks_like_stream = reply.status == 200 && (bytes.starts_with(b"data:") || bytes.starts_with(b"event:"));
        if looks_like_stream || reply.is_event_stream() {
            return Parsed { sent, json: None, stream: Some(Stream::of(super::decode(&bytes, &reply.reads))) };
        }
        Parsed { sent, json: serde_json::from_slice(&bytes).ok(), stream: None }
    }
}
