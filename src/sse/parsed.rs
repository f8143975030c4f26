//! A reply's body, decoded and parsed once for all who look at it.

use super::stream::Stream;
use crate::model::Reply;
use serde_json::Value;

/// What the body of a reply is.
#[derive(Clone, Debug, Default)]
pub struct Parsed {
    /// The body, where it is one JSON document.
    pub json: Option<Value>,
    /// The body, where it is an event stream (also under a wrong media type).
    pub stream: Option<Stream>,
}

impl Parsed {
    /// Parses the body of a reply; without a reply there is nothing.
    pub fn of(reply: Option<&Reply>) -> Parsed {
        let Some(reply) = reply else { return Parsed::default() };
        let bytes = reply.body.bytes();
        let looks_like_stream = reply.status == 200 && (bytes.starts_with(b"data:") || bytes.starts_with(b"event:"));
        if looks_like_stream || reply.is_event_stream() {
            return Parsed { json: None, stream: Some(Stream::of(super::decode(&bytes, &reply.reads))) };
        }
        Parsed { json: serde_json::from_slice(&bytes).ok(), stream: None }
    }
}
