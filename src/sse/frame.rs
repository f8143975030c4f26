//! One block of an event stream.

/// One block of an event stream: everything up to a blank line, or what was left at the end of the body.
///
/// A block of comments alone is a frame too; a run of blank lines is not.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Frame {
    /// First byte in the body; blank lines before the block and a byte order mark are not part of it.
    pub start: usize,
    /// One past the last byte, the blank line included.
    pub end: usize,
    /// `event:` value of the last such line.
    pub event: Option<String>,
    /// `data:` values joined by LF; `None` without a data line.
    pub data: Option<String>,
    /// Number of `data:` lines.
    pub data_lines: u32,
    /// `id:` value of the last such line.
    pub id: Option<String>,
    /// `retry:` value as written.
    pub retry: Option<String>,
    /// Number of comment lines (`:`).
    pub comments: u32,
    /// Lines that are none of the above, as text; also an `id:` with a NUL, which WHATWG ignores.
    pub unknown_lines: Vec<String>,
    /// Ended by a blank line. WHATWG drops a block that is not; we keep it and say so.
    pub terminated: bool,
    /// Bytes that were not UTF-8 were replaced by U+FFFD.
    pub invalid_utf8: bool,
    /// Longer than [`super::MAX_FRAME`] bytes or [`super::MAX_UNKNOWN_LINES`]: what went past is not in here.
    pub oversized: bool,
}

impl Frame {
    /// Type and data of the event that a browser would dispatch for this frame, if any: a block needs a data line
    /// and a blank line at its end; the type is `message` where none is given.
    pub fn dispatched(&self) -> Option<(&str, &str)> {
        let data = self.data.as_deref().filter(|_| self.terminated)?;
        let event = self.event.as_deref().filter(|e| !e.is_empty()).unwrap_or("message");
        Some((event, data))
    }

    /// Whether this is Dify's keep-alive: `event: ping` without data.
    pub fn is_ping(&self) -> bool {
        self.event.as_deref() == Some("ping") && self.data.is_none()
    }

    /// Whether the frame consists of comments alone.
    pub fn is_comment(&self) -> bool {
        self.comments > 0
            && self.event.is_none()
            && self.data.is_none()
            && self.id.is_none()
            && self.retry.is_none()
            && self.unknown_lines.is_empty()
    }

    /// Adds one line without its line end. Field rules: name up to the first colon, one space after it is dropped.
    pub(super) fn add_line(&mut self, line: &[u8]) {
        let (name, value) = match memchr::memchr(b':', line) {
            Some(0) => {
                self.comments += 1;
                return;
            }
            Some(colon) => {
                let (name, value) = line.split_at(colon);
                let value = value.strip_prefix(b":").unwrap_or(value);
                (name, value.strip_prefix(b" ").unwrap_or(value))
            }
            None => (line, &b""[..]),
        };
        match name {
            b"data" => self.add_data(value),
            b"event" => self.event = Some(self.text(value)),
            b"id" if memchr::memchr(0, value).is_none() => self.id = Some(self.text(value)),
            b"retry" => self.retry = Some(self.text(value)),
            _ if self.unknown_lines.len() < super::MAX_UNKNOWN_LINES => {
                let text = self.text(line);
                self.unknown_lines.push(text);
            }
            _ => self.oversized = true,
        }
    }

    fn add_data(&mut self, value: &[u8]) {
        self.data_lines += 1;
        let Some(mut data) = self.data.take() else {
            self.data = Some(self.text(value));
            return;
        };
        data.push('\n');
        match std::str::from_utf8(value) {
            Ok(text) => data.push_str(text),
            Err(_) => data.push_str(&self.text(value)),
        }
        self.data = Some(data);
    }

    /// Line ends are ASCII, so decoding line by line gives the same text as decoding the stream.
    fn text(&mut self, bytes: &[u8]) -> String {
        match std::str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(_) => {
                self.invalid_utf8 = true;
                String::from_utf8_lossy(bytes).into_owned()
            }
        }
    }
}

/// A frame with the time at which its last byte arrived, in microseconds since the request was sent.
#[derive(Clone, Debug, PartialEq)]
pub struct TimedFrame {
    /// Arrival of the read that completed the frame.
    pub at_us: u64,
    /// The frame.
    pub frame: Frame,
}
