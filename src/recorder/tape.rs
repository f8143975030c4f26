//! What was recorded so far: in memory, and on disk after every exchange.

use crate::model::{App, Exchange, Transcript};
use crate::store::{GrowingTranscript, StoreError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio_util::sync::CancellationToken;

/// Is told of every exchange when it has ended.
pub type Watcher = Arc<dyn Fn(&Exchange) + Send + Sync>;

/// The recording under way.
pub struct Tape {
    state: Mutex<State>,
    watcher: Watcher,
    /// Exchanges of programs after which the recording is full; 0 for no end.
    most: u64,
    full: CancellationToken,
}

struct State {
    transcript: Transcript,
    file: Option<GrowingTranscript>,
    /// What went wrong with the file, once.
    failed: Option<StoreError>,
    next_id: u64,
    /// Exchanges of programs so far.
    passed: u64,
}

impl Tape {
    /// An empty tape that writes to a file. It is full after `most` exchanges.
    pub fn new(begun: Transcript, file: GrowingTranscript, most: Option<u64>, watcher: Watcher) -> Tape {
        let state = State { transcript: begun, file: Some(file), failed: None, next_id: 1, passed: 0 };
        Tape { state: Mutex::new(state), watcher, most: most.unwrap_or(0), full: CancellationToken::new() }
    }

    /// Fires when the tape is full, or cannot be written any more.
    pub fn full(&self) -> &CancellationToken {
        &self.full
    }

    /// The next id, to be taken when a request is passed on.
    pub(super) fn next_id(&self) -> u64 {
        let mut state = self.lock();
        state.next_id += 1;
        state.next_id - 1
    }

    /// Adds an app, or replaces what is known of it.
    pub(super) fn set_app(&self, app: App) {
        let mut state = self.lock();
        match state.transcript.apps.iter_mut().find(|known| known.label == app.label) {
            Some(known) => *known = app,
            None => state.transcript.apps.push(app),
        }
    }

    /// Adds the proxy's own requests.
    pub(super) fn add_own(&self, exchanges: Vec<Exchange>) {
        let mut state = self.lock();
        for mut exchange in exchanges {
            exchange.id = state.next_id;
            state.next_id += 1;
            state.keep(exchange, &self.full);
        }
    }

    /// Adds an exchange of a program that has ended.
    pub(super) fn add(&self, exchange: Exchange) {
        (self.watcher)(&exchange);
        let mut state = self.lock();
        state.keep(exchange, &self.full);
        state.passed += 1;
        if state.passed == self.most {
            self.full.cancel();
        }
    }

    /// The whole recording, exchanges in the order of sending; the file is finished, or removed where no program came.
    ///
    /// # Errors
    /// Why an exchange or the finished file could not be written. The file has what could be.
    pub fn finish(&self) -> (Transcript, Result<(), StoreError>) {
        let mut state = self.lock();
        let mut transcript = state.transcript.clone();
        transcript.exchanges.sort_by_key(|e| (e.timing.sent_us, e.id));
        for (exchange, id) in transcript.exchanges.iter_mut().zip(1..) {
            exchange.id = id;
        }
        let finished = match state.file.take() {
            Some(file) if state.passed > 0 => file.finish(&transcript),
            Some(file) => {
                file.discard();
                Ok(())
            }
            None => Ok(()),
        };
        let written = state.failed.take().map_or(finished, Err);
        (transcript, written)
    }

    /// Removes the file: nothing was recorded that it could hold.
    pub fn discard(&self) {
        if let Some(file) = self.lock().file.take() {
            file.discard();
        }
    }

    /// Exchanges of programs so far.
    pub fn passed(&self) -> u64 {
        self.lock().passed
    }

    /// What is behind the lock is valid after every statement.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn keep(&mut self, exchange: Exchange, full: &CancellationToken) {
        if let Some(file) = self.file.as_mut().filter(|_| self.failed.is_none()) {
            self.failed = file.add(&exchange, &self.transcript.apps).err();
            if self.failed.is_some() {
                full.cancel();
            }
        }
        self.transcript.exchanges.push(exchange);
    }
}
