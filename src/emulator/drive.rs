//! Runs on the clock: what drives them, and the streams that follow them.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use tokio::task::JoinHandle;
use tokio::time::{Instant, Sleep};

use super::answer::Answer;
use super::fault::Fault;
use super::feed::{Found, Reader};
use super::runner::Run;
use super::serve::{PING, PING_WITH_DATA, Shared};

/// How long a run that goes on after a pause waits for somebody to listen.
const AUDIENCE: Duration = Duration::from_secs(2);

/// Drives a run to its end or its next pause on a task of its own; the task returns what a blocking request gets.
pub(super) fn drive(shared: Arc<Shared>, run: Box<Run>, listener: Option<Reader>) -> JoinHandle<Answer> {
    tokio::spawn(async move {
        // counts as an audience as long as the run lasts
        let _listener = listener;
        let mut run = run;
        if run.is_resumed() {
            // on real servers the worker takes a while too: a client that submits, then listens, misses nothing
            let _ = tokio::time::timeout(AUDIENCE, run.feed().watched()).await;
        }
        let dies_alone = run.dies_alone();
        let mut due = Instant::now();
        while let Some(delay) = run.next_delay() {
            due = due.max(Instant::now() - Duration::from_millis(5)) + delay;
            let stop = run.stop_signal().clone();
            let (feed, stoppable) = (run.feed().clone(), !run.stopped());
            tokio::select! {
                biased;
                () = shared.shutdown.cancelled() => return Answer { status: 503, ..Answer::default() },
                () = stop.cancelled(), if stoppable => {
                    run.obey_stop();
                    due = Instant::now();
                    continue;
                }
                () = feed.deserted(), if dies_alone => {
                    run.abandon();
                    return Answer { status: 503, ..Answer::default() };
                }
                () = tokio::time::sleep_until(due) => run.advance(shared.clock.now()),
            }
        }
        tokio::time::sleep(run.lingers()).await;
        run.close(shared.clock.now())
    })
}

/// A stream that follows a run, with pings.
pub(super) struct Follower {
    shared: Arc<Shared>,
    reader: Box<Reader>,
    ping_at: Instant,
    timer: Pin<Box<Sleep>>,
}

impl Follower {
    pub(super) fn new(shared: Arc<Shared>, reader: Box<Reader>) -> Self {
        let ping_at = Instant::now() + shared.ping_every;
        Self { shared, reader, ping_at, timer: Box::pin(tokio::time::sleep_until(ping_at)) }
    }

    /// The next block; `None` at the end, or when the emulator stops.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        loop {
            if self.ping_at <= Instant::now() {
                self.ping_at += self.shared.ping_every;
                self.timer.as_mut().reset(self.ping_at);
                if !self.shared.core.broken(Fault::NoPing) {
                    let with_data = self.shared.core.broken(Fault::PingWithData);
                    return Some(Bytes::from_static(if with_data { PING_WITH_DATA } else { PING }));
                }
            }
            match self.reader.read() {
                Found::Bytes(bytes) => return Some(Bytes::from(bytes)),
                Found::End => return None,
                Found::Nothing => {}
            }
            tokio::select! {
                () = self.shared.shutdown.cancelled() => return None,
                () = self.reader.changed() => {}
                () = &mut self.timer => {}
            }
        }
    }
}
