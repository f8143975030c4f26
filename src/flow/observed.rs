//! An exchange that has ended, and what its reply says: parsed once, by whoever asks first.

use crate::model::Exchange;
use crate::sse::Parsed;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

/// An exchange and its reply, understood.
#[derive(Debug)]
pub struct Observed {
    /// The recording.
    pub exchange: Arc<Exchange>,
    parsed: OnceLock<Parsed>,
}

impl Observed {
    /// Nothing is parsed yet.
    pub fn new(exchange: Exchange) -> Observed {
        Observed { exchange: Arc::new(exchange), parsed: OnceLock::new() }
    }

    /// What the body of the reply is. Captures, expectations, measurements and rules share it.
    pub fn parsed(&self) -> &Parsed {
        self.parsed.get_or_init(|| Parsed::of(self.exchange.reply.as_ref()))
    }
}

impl Deref for Observed {
    type Target = Exchange;

    fn deref(&self) -> &Exchange {
        &self.exchange
    }
}
