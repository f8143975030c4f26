//! The events of one run under way, to be read by any number of clients, from any point.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};

/// One block of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The name of the event.
    pub event: &'static str,
    /// The bytes, the closing blank line included.
    pub bytes: Vec<u8>,
}

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Blocks written.
    pub blocks: usize,
    /// How often it was paused.
    pub pauses: usize,
    /// Nothing more will come.
    pub ended: bool,
}

/// The events of a run; clones share them.
#[derive(Debug, Clone)]
pub struct Feed {
    blocks: Arc<Mutex<Vec<Block>>>,
    progress: Arc<watch::Sender<Progress>>,
    arrival: Arc<Notify>,
}

impl Feed {
    /// A run without events.
    pub fn new() -> Self {
        Self {
            blocks: Arc::default(),
            progress: Arc::new(watch::Sender::new(Progress::default())),
            arrival: Arc::default(),
        }
    }

    fn blocks(&self) -> MutexGuard<'_, Vec<Block>> {
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a block.
    pub fn push(&self, block: Block) {
        let count = {
            let mut blocks = self.blocks();
            blocks.push(block);
            blocks.len()
        };
        self.progress.send_modify(|progress| progress.blocks = count);
    }

    /// The run waits for a person.
    pub fn pause(&self) {
        self.progress.send_modify(|progress| progress.pauses += 1);
    }

    /// Nothing more will come.
    pub fn end(&self) {
        self.progress.send_modify(|progress| progress.ended = true);
    }

    /// The block at a place.
    pub fn block(&self, at: usize) -> Option<Block> {
        self.blocks().get(at).cloned()
    }

    /// Counts as somebody who reads, until it is dropped.
    fn watch(&self) -> watch::Receiver<Progress> {
        let watch = self.progress.subscribe();
        self.arrival.notify_one();
        watch
    }

    /// Whether anybody reads.
    pub fn is_watched(&self) -> bool {
        self.progress.receiver_count() > 0
    }

    /// Ends when nobody reads any more.
    pub async fn deserted(&self) {
        self.progress.closed().await;
    }

    /// How far the run is.
    pub fn progress(&self) -> Progress {
        *self.progress.borrow()
    }

    /// Ends when somebody reads.
    pub async fn watched(&self) {
        // a stored notice may be of a reader that has left
        while self.progress.receiver_count() == 0 {
            self.arrival.notified().await;
        }
    }
}

/// One reader of a feed.
#[derive(Debug)]
pub struct Reader {
    feed: Feed,
    /// The next place to read.
    pub next: usize,
    /// It leaves when the run pauses more often than this.
    pub leaves_after_pauses: Option<usize>,
    /// Blocks given before those of the feed.
    pub preface: VecDeque<Vec<u8>>,
    watch: watch::Receiver<Progress>,
}

/// What a reader finds.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// The next block.
    Bytes(Vec<u8>),
    /// Nothing yet.
    Nothing,
    /// The end.
    End,
}

impl Reader {
    /// A reader from a place on.
    pub fn new(feed: Feed, next: usize, leaves_after_pauses: Option<usize>) -> Self {
        let watch = feed.watch();
        Self { feed, next, leaves_after_pauses, preface: VecDeque::new(), watch }
    }

    /// What comes next, without waiting.
    pub fn read(&mut self) -> Found {
        if let Some(bytes) = self.preface.pop_front() {
            return Found::Bytes(bytes);
        }
        let progress = *self.watch.borrow_and_update();
        if let Some(block) = self.feed.block(self.next) {
            self.next += 1;
            return Found::Bytes(block.bytes);
        }
        let leaves = self.leaves_after_pauses.is_some_and(|pauses| progress.pauses > pauses);
        if progress.ended || leaves { Found::End } else { Found::Nothing }
    }

    /// Waits until there may be more.
    pub async fn changed(&mut self) {
        // the sender lives as long as the feed this reader holds
        let _ = self.watch.changed().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(text: &str) -> Block {
        Block { event: "message", bytes: text.as_bytes().to_vec() }
    }

    fn bytes(text: &str) -> Found {
        Found::Bytes(text.as_bytes().to_vec())
    }

    #[test]
    fn a_late_reader_starts_where_it_is_told() {
        let feed = Feed::new();
        feed.push(block("a"));
        feed.push(block("b"));
        let mut late = Reader::new(feed.clone(), 1, None);
        assert_eq!((late.read(), late.read()), (bytes("b"), Found::Nothing));
        feed.end();
        assert_eq!(late.read(), Found::End);
    }

    #[test]
    fn a_pause_ends_a_reader_that_does_not_wait_for_more() {
        let feed = Feed::new();
        let (mut leaves, mut stays) = (Reader::new(feed.clone(), 0, Some(0)), Reader::new(feed.clone(), 0, None));
        feed.push(block("a"));
        feed.pause();
        assert_eq!((leaves.read(), leaves.read()), (bytes("a"), Found::End));
        assert_eq!((stays.read(), stays.read()), (bytes("a"), Found::Nothing));
    }
}
