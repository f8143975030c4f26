//! Server-sent events: bytes -> [`Frame`]s by the WHATWG rules, incremental, never failing.

use crate::model::Read;

/// One block of an event stream: everything up to a blank line, or what was left at the end of the body.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Frame {
    /// First byte in the body.
    pub start: usize,
    /// One past the last byte, the blank line included.
    pub end: usize,
    /// `event:` value of the last such line.
    pub event: Option<String>,
    /// `data:` values joined by LF; `None` without a data line.
    pub data: Option<String>,
    /// Number of `data:` lines.
    pub data_lines: u32,
    /// `id:` value.
    pub id: Option<String>,
    /// `retry:` value as written.
    pub retry: Option<String>,
    /// Number of comment lines (`:`).
    pub comments: u32,
    /// Lines that are none of the above, as text.
    pub unknown_lines: Vec<String>,
    /// Ended by a blank line. WHATWG drops a block that is not; we keep it and say so.
    pub terminated: bool,
    /// Bytes that were not UTF-8 were replaced by U+FFFD.
    pub invalid_utf8: bool,
}

/// A frame with the time at which its last byte arrived, in microseconds since the request was sent.
#[derive(Clone, Debug, PartialEq)]
pub struct TimedFrame {
    /// Arrival of the read that completed the frame.
    pub at_us: u64,
    /// The frame.
    pub frame: Frame,
}

/// Decodes a whole recorded body; arrival times come from its reads.
pub fn decode(_body: &[u8], _reads: &[Read]) -> Vec<TimedFrame> {
    Vec::new() // replaced by the client branch
}
