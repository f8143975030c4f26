//! What goes back to the client: a whole answer, or a generation that has to be played.

use super::generation::Generation;

/// A whole HTTP answer; for a stream, its head.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers in order.
    pub headers: Vec<(&'static str, String)>,
    /// Body bytes; empty for the head of a stream.
    pub body: Vec<u8>,
}

/// The reply to a request.
#[derive(Debug)]
pub enum Reply {
    /// Send this at once.
    Whole(Answer),
    /// Wait for the generation, then send its answer.
    Blocking(Box<Generation>),
    /// Send this head, then play the generation event by event.
    Streaming(Answer, Box<Generation>),
}
