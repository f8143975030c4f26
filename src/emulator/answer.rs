//! What goes back to the client: a whole answer, or a generation that has to be played.

use super::feed::Reader;
use super::generation::Generation;
use super::runner::Run;

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
    /// Drive the run, then send its answer.
    BlockingRun(Box<Run>),
    /// Send this head, drive the run and send its events as they come.
    StreamingRun(Answer, Box<Run>),
    /// Send this at once and drive the run, to which others listen.
    Resumed(Answer, Box<Run>),
    /// Send this head and the events of a run that is driven already.
    Following(Answer, Box<Reader>),
}
