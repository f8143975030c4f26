//! The events of one run under way, to be read by any number of clients, from any point.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

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

#[derive(Debug, Default)]
struct Inside {
    blocks: Vec<Block>,
    pauses: usize,
    ended: bool,
    readers: usize,
    news: CancellationToken,
}

/// The events of a run; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Feed(Arc<Mutex<Inside>>);

impl Feed {
    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes something and tells everybody who waits.
    fn change(&self, change: impl FnOnce(&mut Inside)) {
        let told = {
            let mut inside = self.inside();
            change(&mut inside);
            std::mem::take(&mut inside.news)
        };
        told.cancel();
    }

    /// Adds a block.
    pub fn push(&self, block: Block) {
        self.change(|inside| inside.blocks.push(block));
    }

    /// The run waits for a person.
    pub fn pause(&self) {
        self.change(|inside| inside.pauses += 1);
    }

    /// Nothing more will come.
    pub fn end(&self) {
        self.change(|inside| inside.ended = true);
    }

    /// Fires at the next change. To miss none, take it before looking.
    pub fn news(&self) -> CancellationToken {
        self.inside().news.clone()
    }

    /// The block at a place.
    pub fn block(&self, at: usize) -> Option<Block> {
        self.inside().blocks.get(at).cloned()
    }

    /// Whether anybody reads.
    pub fn is_watched(&self) -> bool {
        self.inside().readers > 0
    }

    /// How far the run is.
    pub fn progress(&self) -> Progress {
        let inside = self.inside();
        Progress { blocks: inside.blocks.len(), pauses: inside.pauses, ended: inside.ended }
    }
}

/// One reader of a feed; dropping it means nobody reads there any more.
#[derive(Debug)]
pub struct Reader {
    feed: Feed,
    next: usize,
    /// It leaves when the run pauses more often than this.
    leaves_after_pauses: Option<usize>,
    /// Blocks given before those of the feed.
    pub preface: VecDeque<Vec<u8>>,
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
        feed.change(|inside| inside.readers += 1);
        Self { feed, next, leaves_after_pauses, preface: VecDeque::new() }
    }

    /// What comes next, without waiting.
    pub fn read(&mut self) -> Found {
        if let Some(bytes) = self.preface.pop_front() {
            return Found::Bytes(bytes);
        }
        let inside = self.feed.inside();
        if let Some(block) = inside.blocks.get(self.next) {
            self.next += 1;
            return Found::Bytes(block.bytes.clone());
        }
        let leaves = self.leaves_after_pauses.is_some_and(|pauses| inside.pauses > pauses);
        if inside.ended || leaves { Found::End } else { Found::Nothing }
    }

    /// Fires at the next change. To miss none, take it before reading.
    pub fn news(&self) -> CancellationToken {
        self.feed.news()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.feed.change(|inside| inside.readers -= 1);
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
        let feed = Feed::default();
        feed.push(block("a"));
        feed.push(block("b"));
        let mut late = Reader::new(feed.clone(), 1, None);
        assert_eq!((late.read(), late.read()), (bytes("b"), Found::Nothing));
        feed.end();
        assert_eq!(late.read(), Found::End);
    }

    #[test]
    fn a_pause_ends_a_reader_that_does_not_wait_for_more() {
        let feed = Feed::default();
        let (mut leaves, mut stays) = (Reader::new(feed.clone(), 0, Some(0)), Reader::new(feed.clone(), 0, None));
        feed.push(block("a"));
        feed.pause();
        assert_eq!((leaves.read(), leaves.read()), (bytes("a"), Found::End));
        assert_eq!((stays.read(), stays.read()), (bytes("a"), Found::Nothing));
    }

    #[test]
    fn every_change_is_told_and_readers_are_counted() {
        let feed = Feed::default();
        let news = feed.news();
        let reader = Reader::new(feed.clone(), 0, None);
        assert!(news.is_cancelled() && feed.is_watched());
        let news = feed.news();
        drop(reader);
        assert!(news.is_cancelled() && !feed.is_watched());
        let news = feed.news();
        feed.push(block("a"));
        assert!(news.is_cancelled() && !feed.news().is_cancelled());
    }
}
