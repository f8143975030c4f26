//! An exchange that has ended, and what its bodies say: parsed once, by whoever asks first.

use crate::model::Exchange;
use crate::sse::Parsed;
use serde_json::Value;
use std::ops::Deref;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// An exchange and its bodies, understood.
#[derive(Debug)]
pub struct Observed {
    /// The recording.
    pub exchange: Arc<Exchange>,
    /// The body of the request as it was put together, until somebody asks for what is parsed.
    sent: Mutex<Option<Value>>,
    parsed: OnceLock<Parsed>,
}

impl Observed {
    /// Nothing is parsed yet. `sent` is the body of the request, where it is known to be what is recorded.
    pub fn new(exchange: Exchange, sent: Option<Value>) -> Observed {
        Observed { exchange: Arc::new(exchange), sent: Mutex::new(sent), parsed: OnceLock::new() }
    }

    /// What the bodies are. Captures, expectations, measurements and rules share it.
    pub fn parsed(&self) -> &Parsed {
        self.parsed.get_or_init(|| match self.sent.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(sent) => Parsed::with_sent(Some(sent), self.exchange.reply.as_ref()),
            None => Parsed::of(&self.exchange),
        })
    }
}

impl Deref for Observed {
    type Target = Exchange;

    fn deref(&self) -> &Exchange {
        &self.exchange
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Body, Request, Timing};
    use serde_json::json;

    fn exchange(body: &str) -> Exchange {
        Exchange {
            id: 1,
            app: String::new(),
            origin: Default::default(),
            request: Request {
                method: "POST".to_owned(),
                target: "/v1/completion-messages".to_owned(),
                headers: Vec::new(),
                body: Some(Body::Text(body.to_owned())),
            },
            reply: None,
            fault: None,
            timing: Timing::default(),
        }
    }

    #[test]
    fn what_was_sent_is_taken_as_it_was_put_together_or_read_from_the_recording() {
        let known = Observed::new(exchange("not looked at"), Some(json!({"a": 1})));
        assert_eq!(known.parsed().sent, Some(json!({"a": 1})));
        assert_eq!(known.parsed().sent, Some(json!({"a": 1})), "asked again");
        assert_eq!(Observed::new(exchange(r#"{"b":2}"#), None).parsed().sent, Some(json!({"b": 2})));
        assert_eq!(Observed::new(exchange("no JSON"), None).parsed().sent, None);
    }
}
