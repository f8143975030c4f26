//! What has come back so far: bytes up to the cap, when they came, and the events in them.

use super::redact::Redactor;
use crate::model::Read;
use crate::sse::{Decoder, Frame, TimedFrame};
use tokio::sync::mpsc::UnboundedSender;

/// The body of one response, as it arrives.
pub(super) struct Arrivals {
    pub(super) kept: Vec<u8>,
    pub(super) received: u64,
    pub(super) reads: Vec<Read>,
    keep: usize,
    /// Decodes the body while somebody wants to know about its events.
    events: Option<Events>,
    is_stream: bool,
}

struct Events {
    decoder: Decoder,
    frames: Vec<Frame>,
    watch: Option<UnboundedSender<TimedFrame>>,
    hang_up_after: Option<u32>,
    /// Events other than ping so far.
    counted: u32,
    /// Whether any event came, ping included.
    any: bool,
}

/// What the newest bytes mean for going on.
pub(super) enum After {
    /// Read on.
    GoOn,
    /// The caller wanted this many events and no more.
    HangUp(u32),
}

impl Arrivals {
    /// Keeps at most `keep` bytes.
    pub(super) fn new(keep: usize) -> Arrivals {
        Arrivals { kept: Vec::new(), received: 0, reads: Vec::new(), keep, events: None, is_stream: false }
    }

    /// From now on the body is an event stream.
    pub(super) fn expect_events(&mut self, watch: Option<UnboundedSender<TimedFrame>>, hang_up_after: Option<u32>) {
        self.is_stream = true;
        self.events =
            Some(Events { decoder: Decoder::new(), frames: Vec::new(), watch, hang_up_after, counted: 0, any: false });
    }

    /// Makes room for a body whose length was announced, as far as that is to be believed.
    pub(super) fn announce(&mut self, length: u64) {
        let sane = length.min(self.keep as u64).min(1 << 20);
        self.kept.reserve(sane as usize);
    }

    /// Whether the first event is still to come.
    pub(super) fn waits_for_event(&self) -> bool {
        self.events.as_ref().is_some_and(|e| !e.any)
    }

    /// Takes one read.
    pub(super) fn add(&mut self, bytes: &[u8], at_us: u64, redactor: &Redactor) -> After {
        let room = self.keep - self.kept.len();
        self.kept.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        let before = self.received;
        self.received += bytes.len() as u64;
        let earlier_us = self.reads.last().map_or(at_us, |r| r.at_us);
        let read = Read { at_us, upto: self.received };
        match self.reads.last_mut() {
            // past the cap single reads say nothing that is kept, and an endless stream must not grow a list
            Some(last) if !self.is_stream || before >= self.keep as u64 => *last = read,
            _ => self.reads.push(read),
        }
        let Some(events) = &mut self.events else {
            return After::GoOn;
        };
        events.decoder.feed(bytes, &mut events.frames);
        let stamp = |frame: &Frame| if frame.end as u64 <= before { earlier_us } else { at_us };
        let after = events.pass_on(stamp, redactor);
        if events.any && events.watch.is_none() && events.hang_up_after.is_none() {
            self.events = None;
        }
        after
    }

    /// The body has ended, one way or another: passes on what no blank line ended.
    pub(super) fn end(&mut self, redactor: &Redactor) {
        let last_us = self.reads.last().map_or(0, |r| r.at_us);
        if let Some(mut events) = self.events.take() {
            events.decoder.finish(&mut events.frames);
            events.pass_on(|_| last_us, redactor);
        }
    }
}

impl Events {
    fn pass_on(&mut self, stamp: impl Fn(&Frame) -> u64, redactor: &Redactor) -> After {
        for mut frame in self.frames.drain(..) {
            self.any |= !frame.is_comment();
            self.counted += u32::from(!frame.is_comment() && !frame.is_ping());
            let at_us = stamp(&frame);
            if let Some(watch) = &self.watch {
                redactor.frame(&mut frame);
                // nobody listening any more is no reason to stop recording
                let _ = watch.send(TimedFrame { at_us, frame });
            }
            if let Some(wanted) = self.hang_up_after.filter(|&w| self.counted >= w) {
                self.hang_up_after = None;
                self.watch = None;
                return After::HangUp(wanted);
            }
        }
        After::GoOn
    }
}
