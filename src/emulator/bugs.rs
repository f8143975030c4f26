//! What the bugs of released servers do, as far as it takes more than a line where it bites.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::core::Core;
use super::fault::Fault;
use super::generation::{Act as Beat, Generation, Opening};
use super::graph::{Act, Script};
use super::model::{Ending, Plan};
use super::payload::Payload;
use super::refusal::Refusal;
use super::replies::Ids;
use super::state::{Conversation, Moment, State};
use super::story::Story;

/// How long a stream stays open in which nothing will come.
const NOTHING_COMES: Duration = Duration::from_millis(500);

impl Core {
    /// A later turn opens a conversation of its own.
    pub(super) fn opens_anew(&self, payload: &Payload) -> bool {
        self.broken(Fault::ContinuationOpensNew) && !payload.streaming
    }

    /// The second turn does not find its conversation.
    pub(super) fn loses_second_turn(&self, conversation: &Conversation, payload: &Payload) -> bool {
        self.broken(Fault::SecondTurnNotFound) && !payload.streaming && conversation.messages.len() == 1
    }

    /// A turn beside another one of its conversation closes the conversation for good.
    pub(super) fn poison(&self, state: &mut State, conversation: &str) {
        let busy = state.running.values().any(|running| running.conversation.as_deref() == Some(conversation));
        if busy && self.broken(Fault::ParallelTurnPoisons) {
            state.slips.locked.insert(conversation.to_owned());
        }
    }

    /// A streamed turn with a file that does not exist: refused, or a stream in which nothing comes.
    pub(super) fn without_file(
        self: &Arc<Self>,
        app: usize,
        payload: Payload,
        refusal: Refusal,
        now: Moment,
    ) -> Result<Generation, Refusal> {
        if !self.broken(Fault::BadFileInStream) || !payload.streaming {
            return Err(refusal);
        }
        let mut state = self.state(app);
        let conversation = Some(state.uuid());
        let ids = Ids { task: state.uuid(), message: state.uuid(), conversation, created_at: now.unix_seconds() };
        drop(state);
        let (first, gap) = (self.pace.first_chunk, self.pace.gap);
        let plan = Plan { chunks: Vec::new(), first, gap, ending: Ending::Complete, prompt_words: 1 };
        let opening = Opening {
            app,
            user: payload.user,
            conversation: None,
            first: true,
            query: payload.query,
            ids,
            now,
            with_files: true,
            annotation: None,
        };
        Ok(Generation::begin(Arc::clone(self), opening, plan))
    }

    /// Blocking answers that lack text.
    pub(super) fn spoil_blocking(&self, opening: &Opening, body: &mut Map<String, Value>) {
        let answer = body.get("answer").and_then(Value::as_str).unwrap_or_default();
        if self.broken(Fault::BlockingFirstToken) {
            let first = answer.split_inclusive([':', ' ']).next().unwrap_or_default().to_owned();
            body.insert("answer".to_owned(), json!(first));
        } else if self.broken(Fault::AnnotationEmptyInBlocking) && opening.annotation.is_some() {
            body.insert("answer".to_owned(), json!(""));
        }
    }

    /// Text of a chatflow that comes too early, or in another order.
    pub(super) fn misplace_text(&self, script: &mut Script) {
        let is_text = |act: &Act| matches!(act, Act::Say(text, _) if !text.trim().is_empty());
        let mut places = script.iter().enumerate().filter(|(_, (_, act))| is_text(act)).map(|(at, _)| at);
        let (first, second) = (places.next(), places.next());
        if self.broken(Fault::TextBeforeNodes)
            && let Some(first) = first
        {
            let said = script.remove(first);
            script.insert(1, said);
        }
        if self.broken(Fault::PiecesOutOfOrder)
            && let (Some(first), Some(second)) = (first, second)
        {
            script.swap(first, second);
        }
    }
}

/// The steps of a generation as the bugs of streams leave them.
pub(super) fn mixed(
    core: &Core,
    opening: &Opening,
    mut beats: VecDeque<(Duration, Beat)>,
) -> VecDeque<(Duration, Beat)> {
    let nowhere = opening.conversation.is_none() && opening.ids.conversation.is_some();
    if core.broken(Fault::BadFileInStream) && nowhere {
        return VecDeque::from([(NOTHING_COMES, Beat::QuietEnd)]);
    }
    if core.broken(Fault::ChunksMixed) {
        let state = core.state(opening.app);
        let beside = |task: &String, conversation: &Option<String>| {
            *task != opening.ids.task && conversation.is_some() && *conversation == opening.conversation
        };
        let other = state.running.iter().find(|(task, running)| beside(task, &running.conversation));
        if let Some((_, running)) = other {
            let first = beats.iter().position(|(_, act)| matches!(act, Beat::Text(_))).unwrap_or_default();
            beats.insert(first + 1, (Duration::ZERO, Beat::Extra(running.query.clone())));
        }
    }
    beats
}

impl Story {
    /// Beside another run of the app, a stream lacks its first event.
    pub(super) fn start_is_dropped(&self, core: &Core) -> bool {
        let beside = core.broken(Fault::StartDroppedInParallel) && self.cast.streaming;
        beside && core.state(self.cast.app).memory.live.len() > 1
    }

    /// The closing events of some streams are lost: `run` asks about `workflow_finished`, else about `message_end`.
    pub(super) fn end_is_dropped(&self, core: &Core, run: bool) -> bool {
        let model = core.broken(Fault::NoFinishWithModelNode) && run && self.words.is_some();
        // which streams it strikes depends on what was asked, so that a run of the tests can be repeated
        let struck = self.cast.query.bytes().map(u32::from).sum::<u32>() % 3 == 0;
        model || (core.broken(Fault::EndsNowAndThen) && struck && self.cast.frame.chat.is_some())
    }

    /// The end of a later turn is neither sent nor written.
    pub(super) fn answer_is_lost(&self, core: &Core) -> bool {
        let Some((conversation, _, _)) =
            self.cast.frame.chat.as_ref().filter(|_| core.broken(Fault::ChatflowAnswerLost))
        else {
            return false;
        };
        let state = core.state(self.cast.app);
        state.conversation(&self.cast.user, conversation).is_some_and(|found| found.messages.len() > 1)
    }
}
