//! A run, ready to be driven: its story, its feed, and how it can be ended early.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use super::answer::Answer;
use super::core::Core;
use super::fault::Fault;
use super::feed::{Block, Feed, Reader};
use super::first_contact::name_of;
use super::memory::{LiveRun, RunRecord, Status};
use super::state::Moment;
use super::story::Story;

/// A run under way.
#[derive(Debug)]
pub struct Run {
    core: Arc<Core>,
    story: Story,
    feed: Feed,
    stop: CancellationToken,
    abort: CancellationToken,
    resumed: bool,
    /// The last event before a pause: sent when the form can be submitted.
    held: Option<Block>,
}

impl Run {
    /// Makes a new run known.
    pub fn begun(core: Arc<Core>, story: Story, inputs: Map<String, Value>) -> Self {
        let feed = Feed::default();
        let cast = &story.cast;
        {
            let mut state = core.state(cast.app);
            let record = RunRecord {
                id: cast.frame.run.clone(),
                user: name_of(&cast.user).to_owned(),
                log: state.uuid(),
                inputs,
                outputs: Value::Null,
                status: Status::Running,
                error: None,
                steps: 0,
                tokens: 0,
                created_at: cast.began.unix_seconds(),
                finished_at: None,
                elapsed: 0.0,
                feed: Some(feed.clone()),
                finished: None,
            };
            state.memory.run_order.push(record.id.clone());
            state.memory.runs.insert(record.id.clone(), record);
        }
        Self::live(core, story, feed, false)
    }

    /// Goes on with a paused run.
    pub fn resumed(core: Arc<Core>, mut story: Story, action: String, given: Map<String, Value>) -> Self {
        let feed = {
            let mut state = core.state(story.cast.app);
            let record = state.memory.runs.get_mut(&story.cast.frame.run);
            let feed = record.and_then(|record| {
                record.status = Status::Running;
                record.feed.clone()
            });
            feed.unwrap_or_default()
        };
        story.go_on(action, given);
        Self::live(core, story, feed, true)
    }

    fn live(core: Arc<Core>, story: Story, feed: Feed, resumed: bool) -> Self {
        let (stop, abort) = (CancellationToken::new(), CancellationToken::new());
        let live = LiveRun { user: name_of(&story.cast.user).to_owned(), stop: stop.clone(), abort: abort.clone() };
        core.state(story.cast.app).memory.live.insert(story.cast.frame.task.clone(), live);
        Self { core, story, feed, stop, abort, resumed, held: None }
    }

    /// A reader from the first event on that leaves at a pause.
    pub fn reader(&self) -> Reader {
        Reader::new(self.feed.clone(), 0, Some(0))
    }

    /// The events.
    pub fn feed(&self) -> &Feed {
        &self.feed
    }

    /// Whether it goes on after a pause: then it waits a moment for somebody to listen.
    pub fn is_resumed(&self) -> bool {
        self.resumed
    }

    /// Whether it dies when nobody listens any more.
    pub fn dies_alone(&self) -> bool {
        let outlives = self.core.behaviour.flow.outlives_client && !self.core.broken(Fault::DisconnectKills);
        !outlives && self.story.cast.streaming && !self.resumed
    }

    /// How long its stream stays open after its last event.
    pub fn lingers(&self) -> Duration {
        let cast = &self.story.cast;
        let ended = cast.frame.chat.is_none() && cast.streaming && !self.story.waits && cast.sequence <= 2;
        let open = ended && self.core.broken(Fault::StreamStaysOpen);
        Duration::from_secs(if open { 8 } else { 0 })
    }

    /// Fires when the run is to end early.
    pub fn stop_signal(&self) -> &CancellationToken {
        &self.stop
    }

    /// Whether a stop was already obeyed.
    pub fn stopped(&self) -> bool {
        self.story.stopped()
    }

    /// Ends the run early.
    pub fn obey_stop(&mut self) {
        self.story.obey_stop(&self.core);
    }

    /// The time before the next event; `None` at the end and while the run waits.
    pub fn next_delay(&self) -> Option<Duration> {
        self.story.next_delay()
    }

    /// Takes the next step.
    pub fn advance(&mut self, now: Moment) {
        if self.abort.is_cancelled() {
            self.story.abort();
        }
        let heard = self.feed.is_watched();
        let block = self.story.advance(&self.core, now, heard);
        if self.story.waits {
            self.held = block;
        } else if let Some(block) = block {
            self.feed.push(block);
        }
    }

    /// Ends or parks the run; returns what a blocking request gets.
    pub fn close(self, now: Moment) -> Answer {
        let answer = self.story.blocking_answer(&self.core, now);
        let cast = &self.story.cast;
        let mut state = self.core.state(cast.app);
        state.memory.live.remove(&cast.frame.task);
        state.make_known(&cast.user);
        if self.story.waits {
            let token = self.story.form_token().map(str::to_owned);
            if let Some(form) = token.and_then(|token| state.memory.forms.get_mut(&token)) {
                form.parked = Some(Box::new(self.story));
            }
            drop(state);
            if let Some(block) = self.held {
                self.feed.push(block);
            }
            self.feed.pause();
        } else {
            if let Some(record) = state.memory.runs.get_mut(&cast.frame.run) {
                record.feed = None;
            }
            drop(state);
            self.feed.end();
        }
        answer
    }

    /// Gives the run up where it is: its record keeps saying running.
    pub fn abandon(self) {
        let cast = &self.story.cast;
        let mut state = self.core.state(cast.app);
        state.memory.live.remove(&cast.frame.task);
        state.make_known(&cast.user);
        drop(state);
        self.feed.end();
    }
}
