//! A generation under way: what comes next and after how long, step by step, without a clock.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use super::agent::{self, Thought};
use super::agent_beats::remember;
use super::answer::Answer;
use super::beats::beats;
use super::bugs;
use super::config::AppMode;
use super::core::Core;
use super::fault::Fault;
use super::model::{self, Plan};
use super::refusal::{BadParameter, Problem, Refusal};
use super::replies::{self, Ids, Usage};
use super::state::{Moment, Running};

/// How a generation begins.
#[derive(Debug)]
pub struct Opening {
    /// The app.
    pub app: usize,
    /// Whose turn it is.
    pub user: String,
    /// Where the message is stored; none in completion apps.
    pub conversation: Option<String>,
    /// It opens its conversation.
    pub first: bool,
    /// What the user said.
    pub query: String,
    /// The ids of its events.
    pub ids: Ids,
    /// When it began.
    pub now: Moment,
    /// The user sent files.
    pub with_files: bool,
    /// The annotation that answers instead of the model.
    pub annotation: Option<String>,
}

/// A generation under way. Dropping it before its end leaves the stored answer empty.
#[derive(Debug)]
pub struct Generation {
    core: Arc<Core>,
    opening: Opening,
    beats: VecDeque<(Duration, Act)>,
    prompt_words: u64,
    duration: Duration,
    answer: String,
    last_chunk: String,
    /// The bytes before and after the piece in a block of text; empty until the first one.
    text_frame: (Vec<u8>, Vec<u8>),
    stop: CancellationToken,
    stopped: bool,
    committed: bool,
}

/// One thing that happens in a stream.
#[derive(Debug)]
pub(super) enum Act {
    Text(String),
    Replace(String),
    Fail(String),
    Speech(&'static str),
    End,
    // agents
    Thought(Box<Thought>),
    /// Text of the stored answer that is not sent.
    Silent(String),
    /// The complete answer in one event.
    Closing,
    // what only faults do
    /// A piece that is sent but not part of the answer.
    Extra(String),
    /// A piece of the answer sent as a file.
    AsFile(String),
    QuietEnd,
    NullText,
    Nameless,
}

impl Generation {
    /// Starts a plan and makes its task known.
    pub fn begin(core: Arc<Core>, opening: Opening, plan: Plan) -> Self {
        let stop = CancellationToken::new();
        let running = Running {
            user: opening.user.clone(),
            stop: stop.clone(),
            first: opening.first,
            query: opening.query.clone(),
            conversation: opening.conversation.clone(),
        };
        core.state(opening.app).running.insert(opening.ids.task.clone(), running);
        let duration = plan.duration();
        let prompt_words = plan.prompt_words;
        let beats = bugs::mixed(&core, &opening, beats(&core, &opening, plan));
        Self {
            core,
            opening,
            beats,
            prompt_words,
            duration,
            answer: String::new(),
            last_chunk: String::new(),
            text_frame: (Vec::new(), Vec::new()),
            stop,
            stopped: false,
            committed: false,
        }
    }

    /// The time between the previous step and the next one; `None` at the end.
    pub fn next_delay(&self) -> Option<Duration> {
        self.beats.front().map(|(delay, _)| *delay)
    }

    /// The whole time the model takes.
    pub fn duration(&self) -> Duration {
        self.duration
    }

    /// Fires when the user asks to end the turn.
    pub fn stop_signal(&self) -> &CancellationToken {
        &self.stop
    }

    /// Whether the stop was already obeyed.
    pub fn stopped(&self) -> bool {
        self.stopped
    }

    /// Takes the next step; the bytes are one block of the stream, or nothing.
    pub fn advance(&mut self, now: Moment) -> Vec<u8> {
        match self.beats.pop_front() {
            Some((_, act)) => self.perform(act, now),
            None => Vec::new(),
        }
    }

    /// Ends the turn early: what was said so far is the answer.
    pub fn obey_stop(&mut self) {
        self.stopped = true;
        self.beats.clear();
        if self.mode() == AppMode::Agent {
            self.beats.push_back((Duration::ZERO, Act::Closing));
        }
        self.beats.push_back((Duration::ZERO, Act::End));
    }

    fn perform(&mut self, act: Act, now: Moment) -> Vec<u8> {
        let ids = &self.opening.ids;
        let event = match act {
            Act::Text(text) => return self.text_block(text),
            Act::Replace(text) => {
                let event = replies::replace_event(ids, &text);
                if self.core.broken(Fault::ReplacementAppended) {
                    self.answer.push_str(&text);
                } else {
                    self.answer = text;
                }
                event
            }
            Act::Fail(message) => {
                self.store_failure(&message);
                self.error_event(&message)
            }
            Act::Speech(audio) => {
                let raw = self.core.broken(Fault::RawAudio) && !audio.is_empty();
                replies::speech_event(ids, if raw { "ID3\u{4}\u{0}\u{ff}\u{fb}" } else { audio })
            }
            Act::End => {
                self.store(now);
                self.end_event(now)
            }
            Act::QuietEnd => {
                self.store(now);
                return Vec::new();
            }
            Act::Thought(thought) => {
                self.remember(&thought);
                thought.event(ids)
            }
            Act::Silent(text) => {
                self.answer.push_str(&text);
                return Vec::new();
            }
            Act::Closing => replies::message_event(ids, &self.answer),
            Act::Extra(text) => self.piece_event(&text),
            Act::AsFile(text) => {
                let mut event = self.piece_event(&text);
                event.insert("event".to_owned(), json!("message_file"));
                self.answer.push_str(&text);
                event
            }
            Act::NullText => {
                let mut event = replies::message_event(ids, "");
                event.insert("answer".to_owned(), Value::Null);
                event
            }
            Act::Nameless => {
                let mut event = replies::message_event(ids, "");
                event.insert("event".to_owned(), json!(0));
                event
            }
        };
        self.block(event)
    }

    /// A block with a piece of the answer: the bytes around the piece are the same in a whole stream and made once.
    fn text_block(&mut self, text: String) -> Vec<u8> {
        self.answer.push_str(&text);
        if text.is_empty() && self.breaks_in_chat(Fault::TaskChanges) {
            let ids = Ids { task: self.fresh_id(), ..self.opening.ids.clone() };
            let mut event = self.piece_event(&text);
            event.insert("task_id".to_owned(), json!(ids.task));
            return self.block(event);
        }
        let style = self.core.behaviour.sse_json;
        if self.text_frame.0.is_empty() {
            self.text_frame = self.frame_around_text();
        }
        let (before, after) = &self.text_frame;
        let block = [before.as_slice(), &style.write(&json!(text)), after.as_slice()].concat();
        if !text.is_empty() {
            self.last_chunk = text;
        }
        block
    }

    /// The event of a piece of the answer, under the name the server gives it.
    fn piece_event(&self, text: &str) -> Map<String, Value> {
        let ids = &self.opening.ids;
        if self.mode().thinks() && !self.core.broken(Fault::AgentTextAsMessage) {
            return agent::message_event(ids, text);
        }
        let mut event = replies::message_event(ids, text);
        let misnamed = self.core.behaviour.pieces_as_files || self.core.broken(Fault::PiecesAsFiles);
        if self.opening.with_files && misnamed {
            event.insert("event".to_owned(), json!("message_file"));
        }
        event
    }

    /// Stores what an agent thought so far.
    fn remember(&self, thought: &Thought) {
        remember(&self.core, &self.opening, thought);
    }

    fn frame_around_text(&self) -> (Vec<u8>, Vec<u8>) {
        // no id holds this text, so it marks the place of the piece
        const PLACE: &str = "<piece>";
        let block = self.block(self.piece_event(PLACE));
        let place = format!("\"{PLACE}\"").into_bytes();
        let at = block.windows(place.len()).position(|window| window == place).unwrap_or(block.len());
        let after = block.get(at + place.len()..).unwrap_or_default().to_vec();
        (block.get(..at).unwrap_or_default().to_vec(), after)
    }

    fn block(&self, event: Map<String, Value>) -> Vec<u8> {
        let mut block = b"data: ".to_vec();
        block.extend(self.core.behaviour.sse_json.write(&Value::Object(event)));
        if self.core.broken(Fault::EventIds) {
            block.extend(b"\nid: 1");
        }
        block.extend(b"\n\n");
        block
    }

    fn error_event(&self, message: &str) -> Map<String, Value> {
        let code = if message == "query is required" { "invalid_param" } else { "completion_request_error" };
        let status = if self.core.broken(Fault::StreamErrorStatus500) { 500 } else { 400 };
        let mut event = replies::error_event(&self.opening.ids, code, status, message);
        if self.core.broken(Fault::StreamErrorWithoutMessage) {
            event.insert("message".to_owned(), Value::Null);
        }
        event
    }

    fn end_event(&self, now: Moment) -> Map<String, Value> {
        let mut ids = self.opening.ids.clone();
        let chat = self.mode() == AppMode::Chat;
        if self.core.broken(Fault::CompletionTaskChanges) && !chat {
            ids.task = self.fresh_id();
        }
        if self.core.broken(Fault::CreatedAtDrifts) && chat {
            ids.created_at += 1;
        }
        if self.core.broken(Fault::EndWithoutConversationId) && self.opening.first {
            ids.conversation = None;
        }
        replies::end_event(&ids, self.metadata(now))
    }

    fn metadata(&self, now: Moment) -> Value {
        let behaviour = &self.core.behaviour;
        // the newer server reports no tokens for a stopped turn
        let counted = !(self.stopped && behaviour.recent_metadata);
        let usage = Usage {
            prompt: if counted { self.prompt_words } else { 0 },
            completion: if counted { model::words(&self.answer) } else { 0 },
            latency: now.seconds_since(self.opening.now),
        };
        let mut members = replies::usage(behaviour, usage);
        if self.mode() == AppMode::AgentChat && !behaviour.agents_count {
            members["total_tokens"] = json!(0);
            members["latency"] = json!(0.0);
        }
        if self.core.broken(Fault::TotalIsCompletion) {
            members["total_tokens"] = json!(usage.completion);
        }
        if self.core.broken(Fault::TotalTokensZero) {
            members["total_tokens"] = json!(0);
        }
        if self.core.broken(Fault::UnitPriceIsNumber) {
            members["prompt_unit_price"] = json!(0.001);
        }
        if self.core.broken(Fault::LatencyZero) {
            members["latency"] = json!(0.0);
        }
        let mut metadata = replies::metadata(behaviour, members);
        if let Some(annotation) = &self.opening.annotation {
            metadata["annotation_reply"] =
                json!({"id": annotation, "account": {"id": super::messages::pseudo_uuid(&"editor"), "name": "editor"}});
        }
        if self.mode() == AppMode::Agent
            && let Some(metadata) = metadata.as_object_mut()
        {
            metadata.shift_remove("retriever_resources");
        }
        if self.breaks_in_chat(Fault::NoUsage)
            && let Some(metadata) = metadata.as_object_mut()
        {
            metadata.shift_remove("usage");
        }
        metadata
    }

    /// The answer of a blocking turn, after [`Self::duration`] has passed.
    pub fn finish_blocking(&mut self, now: Moment) -> Answer {
        let mut failure = None;
        while let Some((_, act)) = self.beats.pop_front() {
            match act {
                Act::Thought(thought) => self.remember(&thought),
                Act::Silent(text) | Act::AsFile(text) => self.answer.push_str(&text),
                Act::Text(text) => {
                    self.answer.push_str(&text);
                    if !text.is_empty() {
                        self.last_chunk = text;
                    }
                }
                Act::Replace(text) => self.answer = text,
                Act::Fail(message) => failure = Some(message),
                Act::End | Act::QuietEnd => break,
                Act::Speech(_) | Act::NullText | Act::Nameless | Act::Closing | Act::Extra(_) => {}
            }
        }
        if let Some(message) = failure {
            self.store_failure(&message);
            return self.core.refuse(&Refusal::new(400, "completion_request_error", message));
        }
        if self.answer.is_empty() && self.core.behaviour.empty_blocking_refused {
            let bad = BadParameter { schema: "Data", name: "answer", problem: Problem::NotText, given: json!([]) };
            return self.core.refuse(&bad.refusal(&self.core.behaviour));
        }
        if self.breaks_in_chat(Fault::ChatBlockingLosesPrefix) {
            self.answer = self.answer.trim_start_matches("ECHO:").to_owned();
        }
        self.store(now);
        let body = Value::Object(self.blocking_body(now));
        let headers = self.core.headers(self.core.behaviour.generation_type, true);
        Answer { status: 200, headers, body: self.core.behaviour.whole_json.write(&body) }
    }

    fn blocking_body(&self, now: Moment) -> Map<String, Value> {
        let core = &self.core;
        let mode = self.mode();
        let mut body = replies::blocking(&self.opening.ids, mode.wire(), &self.answer, self.metadata(now));
        self.core.spoil_blocking(&self.opening, &mut body);
        match mode {
            AppMode::Chat if core.broken(Fault::ChatWithoutMode) => {
                body.shift_remove("mode");
            }
            AppMode::Completion if core.broken(Fault::CompletionWithoutMessageId) => {
                body.shift_remove("message_id");
            }
            AppMode::Completion if core.broken(Fault::CompletionWithConversationId) => {
                body.insert("conversation_id".to_owned(), json!(self.fresh_id()));
            }
            AppMode::Completion if core.broken(Fault::CompletionBlockingLosesPrefix) => {
                body.insert("answer".to_owned(), json!(self.answer.trim_start_matches("ECHO:")));
            }
            AppMode::Completion if core.broken(Fault::CreatedAtMilliseconds) => {
                body.insert("created_at".to_owned(), json!(self.opening.ids.created_at * 1000));
            }
            AppMode::Chat | AppMode::Completion => {}
            AppMode::AgentChat | AppMode::Agent | AppMode::AdvancedChat | AppMode::Workflow => {}
        }
        body
    }

    fn mode(&self) -> AppMode {
        self.core.apps.get(self.opening.app).map_or(AppMode::Chat, super::apps::App::mode)
    }

    fn breaks_in_chat(&self, fault: Fault) -> bool {
        self.core.broken(fault) && self.mode() == AppMode::Chat
    }

    fn fresh_id(&self) -> String {
        self.core.state(self.opening.app).uuid()
    }

    fn store(&mut self, now: Moment) {
        if std::mem::replace(&mut self.committed, true) {
            return;
        }
        let Some(id) = &self.opening.conversation else {
            return;
        };
        let truncated = (self.core.broken(Fault::LaterAnswerTruncated) && !self.opening.first)
            || (self.core.broken(Fault::AgentKeepsLastChunk) && self.mode().thinks());
        let lost = self.stopped && self.core.broken(Fault::StoppedAnswerLost);
        let answer = match (lost, truncated) {
            (true, _) => "",
            (false, true) => self.last_chunk.trim(),
            (false, false) => self.answer.trim(),
        };
        let mut state = self.core.state(self.opening.app);
        if self.core.broken(Fault::AnswerReadLate) && !self.opening.first && !self.stopped {
            state.slips.unread.insert(self.opening.ids.message.clone());
        }
        if self.stopped && self.core.broken(Fault::StoppedConversationLocked) {
            state.slips.locked.insert(id.clone());
        }
        if let Some(message) = state.message_mut(&self.opening.user, id, &self.opening.ids.message) {
            message.answer = answer.to_owned();
        }
        if let Some(conversation) = state.conversation_mut(&self.opening.user, id) {
            conversation.committed |= self.core.broken(Fault::CommittedAtEnd);
            if self.core.broken(Fault::ThirdTurnDoesNotTouch) && conversation.messages.len() >= 3 {
                return;
            }
            self.core.touch(conversation, now);
        }
    }

    fn store_failure(&mut self, text: &str) {
        self.committed = true;
        let Some(id) = &self.opening.conversation else {
            return;
        };
        let mut state = self.core.state(self.opening.app);
        if let Some(message) = state.message_mut(&self.opening.user, id, &self.opening.ids.message) {
            message.error = Some(text.to_owned());
        }
        if let Some(conversation) = state.conversation_mut(&self.opening.user, id) {
            if self.core.broken(Fault::FailedTurnForgotten) {
                conversation.messages.retain(|message| message.id != self.opening.ids.message);
            }
            conversation.committed |= self.core.broken(Fault::CommittedAtEnd);
        }
    }
}

impl Drop for Generation {
    fn drop(&mut self) {
        let mut state = self.core.state(self.opening.app);
        state.running.remove(&self.opening.ids.task);
        state.make_known(&self.opening.user);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulator::answer::Reply;
    use crate::emulator::config::{AppKind, Config, Profile};
    use crate::emulator::request::Request;

    const SECOND: u64 = 1_000_000;

    fn begin(profile: Profile, query: &str) -> (Arc<Core>, Generation) {
        let config = Config { profile, apps: vec![AppKind::ChatPlain], ..Config::default() };
        let core = Arc::new(Core::new(&config));
        let body = json!({"inputs": {}, "query": query, "user": "u", "response_mode": "streaming"});
        let request = Request {
            method: "POST".to_owned(),
            path: "/v1/chat-messages".to_owned(),
            headers: vec![
                ("authorization".to_owned(), format!("Bearer {}", core.apps[0].key)),
                ("content-type".to_owned(), "application/json".to_owned()),
            ],
            body: body.to_string().into_bytes(),
            ..Request::default()
        };
        match core.reply(&request, Moment(1_700_000_000 * SECOND)) {
            Reply::Streaming(_, generation) => (Arc::clone(&core), *generation),
            other => panic!("no stream: {other:?}"),
        }
    }

    fn play(generation: &mut Generation, now: Moment) -> Vec<Value> {
        let mut events = Vec::new();
        while generation.next_delay().is_some() {
            let block = String::from_utf8(generation.advance(now)).unwrap();
            let data = block.strip_prefix("data: ").and_then(|rest| rest.strip_suffix("\n\n")).unwrap();
            events.push(serde_json::from_str(data).unwrap());
        }
        events
    }

    #[test]
    fn a_stream_needs_no_clock_and_latency_is_what_the_moments_say() {
        let (_core, mut generation) = begin(Profile::Documented, "hello");
        let events = play(&mut generation, Moment(1_700_000_002 * SECOND));
        let end = events.last().unwrap();
        assert_eq!(end["metadata"]["usage"]["latency"], json!(2.0));
        assert_eq!(end["created_at"], json!(1_700_000_000));
    }

    #[test]
    fn pieces_keep_every_character_in_both_styles() {
        let query = "\"<piece>\" \\ \u{2028} é😀\n";
        for profile in Profile::ALL {
            let (_core, mut generation) = begin(profile, query);
            let events = play(&mut generation, Moment::default());
            let text: String = events.iter().filter_map(|event| event["answer"].as_str()).collect();
            assert_eq!(text, format!("ECHO:user: {query}"));
        }
    }

    #[test]
    fn a_stopped_generation_ends_at_once_with_its_part() {
        let (core, mut generation) = begin(Profile::Documented, "hello");
        generation.advance(Moment::default());
        generation.stop_signal().cancel();
        generation.obey_stop();
        assert_eq!(play(&mut generation, Moment::default())[0]["event"], "message_end");
        let state = core.state(0);
        let conversation = state.conversations("u").next().unwrap();
        assert!("ECHO:user: hello".starts_with(&conversation.messages[0].answer));
        assert!(!conversation.messages[0].answer.is_empty());
    }

    #[test]
    fn a_task_is_known_until_its_generation_is_dropped() {
        let (core, generation) = begin(Profile::Documented, "hello");
        assert_eq!(core.state(0).running.len(), 1);
        drop(generation);
        assert!(core.state(0).running.is_empty());
    }
}
