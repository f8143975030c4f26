//! The incremental decoder: any partition of a body into reads gives the same frames.

use super::Frame;

/// Bytes of one frame that are kept; what a longer one goes on with is dropped until its blank line.
pub const MAX_FRAME: usize = 4 << 20;

/// Lines of one frame that are kept in [`Frame::unknown_lines`].
pub const MAX_UNKNOWN_LINES: usize = 1024;

const BOM: &[u8] = b"\xEF\xBB\xBF";

/// Turns bytes into frames as they arrive. Memory is bounded by [`MAX_FRAME`] whatever comes.
///
/// A CR at the very end of what was fed waits for the next byte (it may be half a CRLF), so a stream with bare CR
/// line ends yields each frame one byte late.
#[derive(Debug, Default)]
pub struct Decoder {
    /// Bytes of a byte order mark matched so far; `BOM.len() + 1` once the start of the body is behind us.
    bom: usize,
    /// Body offset of the next byte.
    offset: usize,
    /// Body offset of the current line.
    line_start: usize,
    /// The part of the current line that earlier feeds brought, up to the cap.
    line: Vec<u8>,
    /// The last byte fed was a CR that may be half a CRLF.
    pending_cr: bool,
    /// The block under construction, once its first line has begun.
    frame: Frame,
    /// Whether `frame` has a line.
    open: bool,
}

impl Decoder {
    /// A decoder at the start of a body.
    pub fn new() -> Decoder {
        Decoder::default()
    }

    /// Takes the next bytes of the body and appends each frame they complete.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<Frame>) {
        let mut rest = self.skip_bom(bytes);
        while let Some(&first) = rest.first() {
            if std::mem::take(&mut self.pending_cr) {
                let eol = if first == b'\n' { 2 } else { 1 };
                rest = rest.get(eol - 1..).unwrap_or_default();
                self.end_line(&[], eol, out);
                continue;
            }
            let Some(at) = memchr::memchr2(b'\r', b'\n', rest) else {
                self.hold(rest);
                return;
            };
            let (line, tail) = rest.split_at(at);
            match tail {
                b"\r" => {
                    self.hold(line);
                    self.pending_cr = true;
                    return;
                }
                [b'\r', b'\n', next @ ..] => {
                    self.end_line(line, 2, out);
                    rest = next;
                }
                [_, next @ ..] => {
                    self.end_line(line, 1, out);
                    rest = next;
                }
                [] => return,
            }
        }
    }

    /// Ends the body: appends the block that no blank line ended, if there is one.
    pub fn finish(&mut self, out: &mut Vec<Frame>) {
        self.skip_bom_at_end();
        if std::mem::take(&mut self.pending_cr) {
            self.end_line(&[], 1, out);
        }
        if self.offset > self.line_start {
            self.end_line(&[], 0, out);
        }
        if self.open {
            self.emit(false, out);
        }
    }

    /// Consumes a byte order mark at the start of the body, also one split over feeds.
    fn skip_bom<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let mut rest = bytes;
        while let Some(wanted) = BOM.get(self.bom) {
            match rest.split_first() {
                Some((byte, next)) if byte == wanted => {
                    self.bom += 1;
                    rest = next;
                }
                Some(_) => self.skip_bom_at_end(),
                None => return rest,
            }
        }
        if self.bom == BOM.len() {
            self.bom += 1;
            self.offset = BOM.len();
            self.line_start = BOM.len();
        }
        rest
    }

    /// What began like a byte order mark is not one: it belongs to the first line.
    fn skip_bom_at_end(&mut self) {
        if let Some(begun) = BOM.get(..self.bom).filter(|b| b.len() < BOM.len()) {
            self.bom = BOM.len() + 1;
            self.hold(begun);
        }
    }

    /// Keeps part of a line whose end has not come yet.
    fn hold(&mut self, part: &[u8]) {
        let kept = part.get(..self.room()).unwrap_or(part);
        self.frame.oversized |= kept.len() < part.len();
        self.line.extend_from_slice(kept);
        self.offset += part.len();
    }

    /// Bytes from the current offset on that still belong to the kept part of the frame.
    fn room(&self) -> usize {
        let start = if self.open { self.frame.start } else { self.line_start };
        MAX_FRAME.saturating_sub(self.offset - start)
    }

    /// A line is complete: what is held, then `tail`, then a line end of `eol` bytes.
    fn end_line(&mut self, tail: &[u8], eol: usize, out: &mut Vec<Frame>) {
        let blank = self.offset + tail.len() == self.line_start;
        if blank {
            self.offset += eol;
            self.line_start = self.offset;
            if self.open {
                self.emit(true, out);
            }
            return;
        }
        let room = self.room();
        if !self.open {
            self.open = true;
            self.frame.start = self.line_start;
        }
        let began_past_cap = self.line_start - self.frame.start >= MAX_FRAME;
        if self.line.is_empty() && tail.len() <= room && !began_past_cap {
            self.frame.add_line(tail);
            self.offset += tail.len();
        } else {
            self.hold(tail);
            let mut line = std::mem::take(&mut self.line);
            let cut = self.offset - self.line_start > line.len();
            if cut {
                drop_split_code_point(&mut line);
            }
            if !line.is_empty() {
                self.frame.add_line(&line);
            }
            line.clear();
            // an oversized line must not keep its memory for the rest of the stream
            line.shrink_to(64 << 10);
            self.line = line;
        }
        self.offset += eol;
        self.line_start = self.offset;
    }

    fn emit(&mut self, terminated: bool, out: &mut Vec<Frame>) {
        let mut frame = std::mem::take(&mut self.frame);
        frame.end = self.offset;
        frame.terminated = terminated;
        self.open = false;
        out.push(frame);
    }
}

/// The cap may fall into a code point; its first bytes are not the server's fault.
fn drop_split_code_point(line: &mut Vec<u8>) {
    let keep = match line.utf8_chunks().last() {
        Some(chunk) if is_begun_code_point(chunk.invalid()) => line.len() - chunk.invalid().len(),
        _ => return,
    };
    line.truncate(keep);
}

fn is_begun_code_point(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|e| e.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(parts: &[&[u8]]) -> Vec<Frame> {
        let mut out = Vec::new();
        let mut decoder = Decoder::new();
        for part in parts {
            decoder.feed(part, &mut out);
        }
        decoder.finish(&mut out);
        out
    }

    fn one(body: &[u8]) -> Frame {
        let mut all = frames(&[body]);
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }

    fn data(body: &[u8]) -> Vec<String> {
        frames(&[body]).into_iter().map(|f| f.data.unwrap_or_default()).collect()
    }

    #[test]
    fn lf_cr_and_crlf_end_lines_and_nothing_else_does() {
        assert_eq!(data(b"data: 1\n\ndata: 2\r\rdata: 3\r\n\r\n"), ["1", "2", "3"]);
        assert_eq!(data(b"data: 1\r\n\ndata: 2\n\r\n"), ["1", "2"], "mixed line ends");
        let separators = "a\u{2028}b\u{85}c\u{b}d\u{c}e\u{2029}f";
        assert_eq!(data(format!("data: {separators}\n\n").as_bytes()), [separators]);
    }

    #[test]
    fn offsets_cover_the_blank_line_but_no_extra_ones() {
        let all = frames(&[b"\n\r\ndata: 1\n\n\n\n: c\n\ndata: 2\n"]);
        let spans: Vec<_> = all.iter().map(|f| (f.start, f.end, f.terminated)).collect();
        assert_eq!(spans, [(3, 12, true), (14, 19, true), (19, 27, false)]);
    }

    #[test]
    fn several_data_lines_are_joined_by_lf() {
        let frame = one(b"data: a\ndata\ndata:b\n\n");
        assert_eq!((frame.data.as_deref(), frame.data_lines), (Some("a\n\nb"), 3));
        assert_eq!(one(b"data\n\n").data.as_deref(), Some(""));
    }

    #[test]
    fn only_one_space_after_the_colon_is_dropped() {
        assert_eq!(data(b"data:  a \n\ndata:a: b\n\ndata: \n\ndata:\ta\n\n"), [" a ", "a: b", "", "\ta"]);
    }

    #[test]
    fn all_fields_are_read_and_the_rest_is_kept_as_lines() {
        let frame = one(b"event: e\nid: 7\nretry: 10\n: hi\nfoo: bar\nDATA: x\n data: y\nevent\nid: a\0b\n\n");
        assert_eq!(frame.event.as_deref(), Some(""));
        assert_eq!((frame.id.as_deref(), frame.retry.as_deref()), (Some("7"), Some("10")));
        assert_eq!(frame.unknown_lines, ["foo: bar", "DATA: x", " data: y", "id: a\0b"]);
        assert_eq!((frame.comments, frame.data), (1, None));
    }

    #[test]
    fn a_block_of_comments_is_a_frame_and_blank_lines_are_not() {
        let frame = one(b"\n\n:\n: two\n\n\n\n");
        assert!(frame.is_comment() && frame.terminated);
        assert_eq!(frame.comments, 2);
        assert_eq!(frames(&[b"\n\r\r\n\n"]), []);
        assert_eq!(frames(&[b""]), []);
    }

    #[test]
    fn ping_is_recognised_and_dispatches_nothing() {
        let frame = one(b"event: ping\n\n");
        assert!(frame.is_ping());
        assert_eq!(frame.dispatched(), None);
        assert!(!one(b"event: ping\ndata: 1\n\n").is_ping());
    }

    #[test]
    fn a_byte_order_mark_is_dropped_at_the_start_only() {
        let all = frames(&[b"\xEF\xBB\xBFdata: 1\n\n\xEF\xBB\xBFdata: 2\n\n"]);
        assert_eq!(all[0].data.as_deref(), Some("1"));
        assert_eq!((all[0].start, all[0].end), (3, 12));
        assert_eq!(all[1].unknown_lines, ["\u{feff}data: 2"]);
        assert_eq!(frames(&[b"\xEF\xBB"])[0].unknown_lines, ["\u{fffd}"], "half a mark is a broken line");
        assert_eq!(frames(&[b"\xEF\xBB\xBF"]), []);
        assert_eq!(frames(&[b"\xEF", b"\xBB", b"\xBF\xEF\xBB\xBFa\n\n"])[0].unknown_lines, ["\u{feff}a"]);
    }

    #[test]
    fn a_last_block_without_blank_line_is_kept_and_marked() {
        for body in [&b"data: 1"[..], b"data: 1\n", b"data: 1\r", b"data: 1\r\n"] {
            let frame = one(body);
            assert_eq!((frame.data.as_deref(), frame.terminated), (Some("1"), false));
            assert_eq!((frame.end, frame.dispatched()), (body.len(), None));
        }
        assert!(one(b"data: 1\r\r").terminated);
    }

    #[test]
    fn invalid_utf8_is_replaced_and_noted() {
        let frame = one(b"data: a\xFFb\xE2\x82\n\n");
        assert_eq!(frame.data.as_deref(), Some("a\u{fffd}b\u{fffd}"));
        assert!(frame.invalid_utf8);
        assert!(!one("data: \u{20ac}\n\n".as_bytes()).invalid_utf8);
    }

    #[test]
    fn an_endless_line_is_cut_at_the_cap_and_the_next_frame_is_whole() {
        let text = "\u{20ac}".repeat(MAX_FRAME / 3 + 10);
        let body = format!("event: x\ndata: {text}\ndata: lost\n\ndata: 2\n\n");
        let whole = frames(&[body.as_bytes()]);
        let kept = whole[0].data.as_deref().unwrap_or_default();
        assert!(kept.len() > MAX_FRAME - 20 && kept.len() < MAX_FRAME && text.starts_with(kept));
        assert!(whole[0].oversized && !whole[0].invalid_utf8 && whole[0].terminated);
        assert_eq!((whole[1].data.as_deref(), whole[1].oversized), (Some("2"), false));
        assert_eq!(whole[1].end, body.len());
        let parts: Vec<&[u8]> = body.as_bytes().chunks(4099).collect();
        assert!(frames(&parts) == whole, "the cap does not depend on the reads");
    }

    #[test]
    fn the_cap_falls_at_the_same_byte_for_every_partition() {
        for pad in 0..12 {
            let body = format!(": {}\ndata: 1\nfoo\n\ndata: 2\n\n", "c".repeat(MAX_FRAME - pad));
            let whole = frames(&[body.as_bytes()]);
            let at = MAX_FRAME - 8;
            for split in at..at + 20 {
                let (a, b) = body.as_bytes().split_at(split);
                assert!(frames(&[a, b]) == whole, "pad {pad}, split {split}");
            }
        }
    }

    #[test]
    fn memory_stays_bounded_by_the_cap() {
        let mut decoder = Decoder::new();
        let mut out = Vec::new();
        for _ in 0..1024 {
            decoder.feed(&[b'x'; 64 << 10], &mut out);
            assert!(decoder.line.capacity() <= 2 * MAX_FRAME);
        }
        decoder.feed(b"\n\n", &mut out);
        assert!(decoder.line.capacity() <= 64 << 10);
        assert!(out[0].oversized);
        assert_eq!(out[0].unknown_lines[0].len(), MAX_FRAME);
    }

    #[test]
    fn unknown_lines_are_capped_in_number() {
        let frame = one(format!("{}data: 1\n\n", "x\n".repeat(MAX_UNKNOWN_LINES + 1)).as_bytes());
        assert_eq!(frame.unknown_lines.len(), MAX_UNKNOWN_LINES);
        assert!(frame.oversized);
        assert_eq!(frame.data.as_deref(), Some("1"), "only the unknown lines are dropped");
    }
}
