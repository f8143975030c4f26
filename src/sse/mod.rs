//! Server-sent events: bytes -> [`Frame`]s by the WHATWG event stream rules, incremental, never failing.
//!
//! Unlike a browser's decoder nothing is dropped: comments, unknown lines and a block cut off by the end of the body
//! are reported, because what a server puts on the wire is the subject here. What a browser would dispatch is
//! [`Frame::dispatched`].

mod decoder;
mod frame;
mod parsed;
mod stream;

pub use decoder::{Decoder, MAX_FRAME, MAX_UNKNOWN_LINES};
pub use frame::{Frame, TimedFrame};
pub use parsed::Parsed;
pub use stream::{Event, Stream, clip};

use crate::model::Read;

/// Decodes a whole recorded body; arrival times come from its reads.
///
/// Each frame has the time of the read that holds its last byte; a last frame that no blank line ended has the time
/// of the last read. Without reads all times are 0.
pub fn decode(body: &[u8], reads: &[Read]) -> Vec<TimedFrame> {
    let mut frames = Vec::new();
    let mut decoder = Decoder::new();
    decoder.feed(body, &mut frames);
    decoder.finish(&mut frames);
    let last = reads.last().map_or(0, |r| r.at_us);
    let mut pending = reads.iter().peekable();
    let stamp = |frame: Frame| {
        while pending.next_if(|r| r.upto < frame.end as u64).is_some() {}
        let at_us = match pending.peek() {
            Some(read) if frame.terminated => read.at_us,
            _ => last,
        };
        TimedFrame { at_us, frame }
    };
    frames.into_iter().map(stamp).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads(of: &[(u64, u64)]) -> Vec<Read> {
        of.iter().map(|&(at_us, upto)| Read { at_us, upto }).collect()
    }

    #[test]
    fn a_frame_has_the_time_of_the_read_that_holds_its_last_byte() {
        let body = b"data: 1\n\ndata: 2\n\ndata: 3";
        let times = |r: &[Read]| decode(body, r).iter().map(|f| f.at_us).collect::<Vec<_>>();
        assert_eq!(times(&reads(&[(10, 9), (20, 18), (30, 25)])), [10, 20, 30]);
        assert_eq!(times(&reads(&[(10, 8), (20, 20), (30, 25)])), [20, 20, 30]);
        assert_eq!(times(&reads(&[(10, 25)])), [10, 10, 10]);
        assert_eq!(times(&reads(&[(10, 10), (20, 12)])), [10, 20, 20], "reads that end early: the last one");
        assert_eq!(times(&[]), [0, 0, 0]);
    }
}
