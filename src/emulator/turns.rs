//! `POST /chat-messages` and `POST /completion-messages`: from the body to a generation under way.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::agent;
use super::answer::{Answer, Reply};
use super::behaviour::LaterInputs;
use super::config::AppMode;
use super::conversations::title;
use super::core::Core;
use super::custom::Turn;
use super::fault::Fault;
use super::form::{self, InputFault};
use super::generation::{Generation, Opening};
use super::model::{self, Ending, HISTORY_WORDS, Plan, Prompt};
use super::payload::Payload;
use super::refusal::Refusal;
use super::replies::Ids;
use super::request::{Request, user_in_body};
use super::state::{Attachment, Conversation, Message, Moment, State};

/// Characters of the query that name a conversation.
const NAME_CHARS: usize = 20;

/// The conversation a turn belongs to, found or opened.
pub(super) struct Place {
    /// The owner of the conversation.
    pub(super) user: String,
    pub(super) conversation: String,
    pub(super) inputs: Map<String, Value>,
    pub(super) first: bool,
}

impl Core {
    /// `POST /chat-messages`.
    pub(super) fn chat(self: &Arc<Self>, app: usize, request: &Request, now: Moment) -> Reply {
        self.turn(app, AppMode::Chat, request, now)
    }

    /// `POST /completion-messages`.
    pub(super) fn completion(self: &Arc<Self>, app: usize, request: &Request, now: Moment) -> Reply {
        self.turn(app, AppMode::Completion, request, now)
    }

    fn turn(self: &Arc<Self>, app: usize, mode: AppMode, request: &Request, now: Moment) -> Reply {
        let begun = self.body_of_turn(request).and_then(|body| {
            let payload = self.payload(app, mode, &body);
            if let Some(reply) = self.refused_in_stream(app, &body, &payload, now) {
                return Ok(reply);
            }
            if payload.is_err() {
                self.touch_in_vain(app, &body);
            }
            let payload = payload?;
            if let Some(answer) = self.crowded(&self.state(app), &payload.user) {
                return Ok(Reply::Whole(answer));
            }
            let (user, streaming) = (payload.user.clone(), payload.streaming);
            self.demand_slot(app, &user)?;
            self.begun(app, mode, &body, payload, now).inspect_err(|_| self.leak_slot(app, &user, streaming))
        });
        begun.unwrap_or_else(|refusal| Reply::Whole(self.refuse(&refusal)))
    }

    fn begun(
        self: &Arc<Self>,
        app: usize,
        mode: AppMode,
        body: &Map<String, Value>,
        payload: Payload,
        now: Moment,
    ) -> Result<Reply, Refusal> {
        let streaming = payload.streaming;
        let generation = match self.apps[app].mode() {
            AppMode::AdvancedChat => return self.chatflow_turn(app, body, payload, now),
            AppMode::Chat => self.begin_chat(app, payload, now)?,
            AppMode::AgentChat | AppMode::Agent => {
                self.demand_streaming(app, streaming)?;
                self.begin_chat(app, payload, now)?
            }
            AppMode::Completion | AppMode::Workflow => self.begin_completion(app, payload, now)?,
        };
        Ok(self.playing(mode, streaming, generation))
    }

    /// Agents only stream.
    fn demand_streaming(&self, app: usize, streaming: bool) -> Result<(), Refusal> {
        if streaming || self.broken(Fault::AgentBlocks) {
            return Ok(());
        }
        Err(if self.apps[app].mode() == AppMode::Agent {
            Refusal::new(400, "bad_request", "Agent App does not support blocking mode")
        } else {
            Refusal::invalid("Agent Chat App does not support blocking mode")
        })
    }

    fn playing(&self, mode: AppMode, streaming: bool, generation: Generation) -> Reply {
        if !streaming {
            return Reply::Blocking(Box::new(generation));
        }
        let status = if mode == AppMode::Completion && self.broken(Fault::StreamStatus201) { 201 } else { 200 };
        let headers = self.headers("text/event-stream; charset=utf-8", true);
        Reply::Streaming(Answer { status, headers, body: Vec::new() }, Box::new(generation))
    }

    fn begin_completion(self: &Arc<Self>, app: usize, payload: Payload, now: Moment) -> Result<Generation, Refusal> {
        let served = &self.apps[app];
        let inputs = self.checked(app, &payload.inputs, payload.streaming)?;
        let files = self.attachments(app, &payload.user, &payload.files)?;
        let given = inputs.get("query").and_then(Value::as_str).map(str::to_owned);
        let line = served.completion_line(&inputs, &payload.query);
        // a top-level query is a message of its own unless the template already took it
        let taken = given.is_none() && line.contains("Q=");
        let mut prompt = Prompt {
            steering: format!("{} {}", given.clone().unwrap_or_default(), payload.query),
            ..Prompt::default()
        };
        if payload.query.is_empty() || taken {
            prompt.user = Some(shown(&files, line));
        } else {
            prompt.system = Some(line);
            prompt.user = Some(shown(&files, payload.query.clone()));
        }
        let mut state = self.state(app);
        let message = self.message_id(&mut state, &payload);
        let said = given.unwrap_or(payload.query);
        let addition = match state.latest_queries.get(&payload.user) {
            Some(before) if self.broken(Fault::CompletionRemembers) && payload.conversation_sent => {
                format!(" | before: {before}")
            }
            _ => String::new(),
        };
        if self.broken(Fault::CompletionRemembers) {
            state.latest_queries.insert(payload.user.clone(), said.clone());
        }
        let ids = Ids { task: state.uuid(), message, conversation: None, created_at: now.unix_seconds() };
        state.add_lone_message(&payload.user, &ids.message);
        drop(state);
        let turn = Turn { user: &payload.user, query: &said, number: 1, inputs: &inputs };
        let plan =
            self.described_plan(app, &turn, &prompt).unwrap_or_else(|| model::plan(&prompt, self.pace, &addition));
        let opening = Opening {
            app,
            user: payload.user,
            conversation: None,
            first: true,
            query: said,
            ids,
            now,
            with_files: !files.is_empty(),
            annotation: None,
        };
        Ok(Generation::begin(Arc::clone(self), opening, plan))
    }

    fn begin_chat(self: &Arc<Self>, app: usize, payload: Payload, now: Moment) -> Result<Generation, Refusal> {
        let files = match self.attachments(app, &payload.user, &payload.files) {
            Err(refusal) => return self.without_file(app, payload, refusal, now),
            Ok(files) => files,
        };
        let mut state = self.state(app);
        let place = self.place(app, &mut state, &payload, now)?;
        let mut addition = self.foreign_query(&state, &payload.user);
        if self.apps[app].mode().thinks() {
            addition.push_str(&agent::tool_turns(&payload.query));
        }
        let history = match state.conversation(&place.user, &place.conversation) {
            Some(conversation) if !self.broken(Fault::Forgetful) => history(conversation),
            _ => Vec::new(),
        };
        let number = state.conversation(&place.user, &place.conversation).map_or(0, |c| c.messages.len()) + 1;
        let inputs = place.inputs.clone();
        let prompt = Prompt {
            system: self.apps[app].system_line(&place.inputs),
            history,
            user: Some(shown(&files, self.query_for_model(&state, &place.conversation, &payload.query))),
            steering: payload.query.clone(),
        };
        let annotation = self.matching_annotation(&state, &payload.query, payload.streaming);
        let with_files = !files.is_empty();
        let message = Message {
            id: state.uuid(),
            inputs: place.inputs,
            query: self.stored_query(&mut state, &payload),
            answer: String::new(),
            error: None,
            created_at: now.unix_seconds(),
            rating: None,
            files,
        };
        let task = if self.broken(Fault::TaskIsConversation) { place.conversation.clone() } else { state.uuid() };
        let shown = if self.broken(Fault::FreshConversationIdInReply) && !place.first && !payload.streaming {
            state.uuid()
        } else {
            place.conversation.clone()
        };
        let created_at = message.created_at;
        let ids = Ids { task, message: message.id.clone(), conversation: Some(shown), created_at };
        if let Some(conversation) = state.conversation_mut(&place.user, &place.conversation) {
            self.touch(conversation, now);
            if self.broken(Fault::LaterTurnRenames) && !place.first && payload.name_by_model {
                conversation.name = title(&payload.query);
            }
        }
        state.add_message(&place.user, &place.conversation, message);
        // the echo grows with the history: built outside the lock
        drop(state);
        let plan = match &annotation {
            Some(annotation) => model::recite(annotation.answer.clone(), 1, "", self.pace),
            None => {
                let turn = Turn { user: &place.user, query: &payload.query, number: number as u64, inputs: &inputs };
                let described = self.described_plan(app, &turn, &prompt);
                described.unwrap_or_else(|| model::plan(&prompt, self.pace, &addition))
            }
        };
        let opening = Opening {
            app,
            user: place.user,
            conversation: Some(place.conversation),
            first: place.first,
            query: payload.query,
            ids,
            now,
            with_files,
            annotation: annotation.map(|annotation| annotation.id),
        };
        Ok(Generation::begin(Arc::clone(self), opening, plan))
    }

    pub(super) fn place(
        &self,
        app: usize,
        state: &mut State,
        payload: &Payload,
        now: Moment,
    ) -> Result<Place, Refusal> {
        let Some(id) = payload.conversation.clone().filter(|_| !self.opens_anew(payload)) else {
            return self.open(app, state, payload, None, now);
        };
        self.poison(state, &id);
        if self.broken(Fault::DeletedContinues)
            && let Some((owner, mut conversation)) = state.graveyard.remove(&id)
        {
            (conversation.listed, conversation.committed) = (false, false);
            state.restore(&owner, conversation);
        }
        let locked = state.slips.locked.contains(&id);
        let user = match state.owner(&id) {
            Some(owner) if self.broken(Fault::StrangerContinues) => owner.to_owned(),
            _ => payload.user.clone(),
        };
        let Some(conversation) = state
            .conversation_mut(&user, &id)
            .filter(|conversation| conversation.committed || self.broken(Fault::DeletedContinues))
            .filter(|conversation| !self.loses_second_turn(conversation, payload))
        else {
            let unheard_of = state.owner(&id).is_none() && !state.deleted.contains_key(&id);
            if self.broken(Fault::UnknownConversationCreated) && unheard_of && !payload.streaming {
                return self.open(app, state, payload, Some(id), now);
            }
            return Err(self.conversation_not_found("chat-messages"));
        };
        if locked {
            let text = "The conversation has ended. Please start a new conversation.";
            return Err(Refusal::new(400, "conversation_completed", text));
        }
        let inputs = self.later_inputs(app, conversation, payload)?;
        Ok(Place { user, conversation: id, inputs, first: false })
    }

    /// The inputs a later turn is answered with.
    fn later_inputs(
        &self,
        app: usize,
        conversation: &mut Conversation,
        payload: &Payload,
    ) -> Result<Map<String, Value>, Refusal> {
        let first = conversation.messages.first().map_or(&conversation.inputs, |message| &message.inputs).clone();
        if self.behaviour.later_inputs == LaterInputs::Applied && !self.broken(Fault::LaterInputsDropped) {
            return self.checked(app, &payload.inputs, payload.streaming);
        }
        if self.broken(Fault::LaterInputsChecked) {
            self.checked(app, &payload.inputs, payload.streaming)?;
        }
        let new = form::check(&self.apps[app].form, &payload.inputs, false).ok();
        if self.broken(Fault::InputsFollowTurns) {
            conversation.inputs = new.unwrap_or_else(|| first.clone());
            return Ok(first);
        }
        let used =
            self.broken(Fault::LaterInputsUsed) || (self.broken(Fault::LaterInputsUsedInStreams) && payload.streaming);
        Ok(new.filter(|_| used).unwrap_or(first))
    }

    pub(super) fn open(
        &self,
        app: usize,
        state: &mut State,
        payload: &Payload,
        id: Option<String>,
        now: Moment,
    ) -> Result<Place, Refusal> {
        let inputs = self.checked(app, &payload.inputs, payload.streaming)?;
        let id = id.unwrap_or_else(|| self.new_conversation_id(state, payload));
        let unlisted = self.broken(Fault::ParallelFirstTurnsUnlisted)
            && state.running.values().any(|running| running.first && running.user == payload.user);
        let name = self.new_name(payload);
        let introduction = self.apps[app].introduction(&inputs);
        let user = self.end_user_row(state, &payload.user, &payload.query);
        let conversation = state.open(&user, id.clone(), name, inputs.clone(), introduction, now);
        conversation.listed = !unlisted;
        conversation.committed = !self.broken(Fault::CommittedAtEnd);
        Ok(Place { user, conversation: id, inputs, first: true })
    }

    fn new_conversation_id(&self, state: &mut State, payload: &Payload) -> String {
        let id = state.uuid();
        if self.broken(Fault::ConversationIdPrefixed) && payload.streaming {
            return format!("conv-{}", id.replace('-', ""));
        }
        if self.broken(Fault::ConversationIdShared) {
            let other = state.running_of_namesake(&payload.user).filter(|running| running.first);
            return other.and_then(|running| running.conversation.clone()).unwrap_or(id);
        }
        id
    }

    fn new_name(&self, payload: &Payload) -> String {
        if self.broken(Fault::NameEmpty) {
            return String::new();
        }
        let by_model = payload.name_by_model && self.behaviour.version.is_some();
        if by_model {
            return title(&payload.query);
        }
        if !self.behaviour.name_from_query {
            return "New conversation".to_owned();
        }
        let mut name: String = payload.query.chars().take(NAME_CHARS).collect();
        if payload.query.chars().nth(NAME_CHARS).is_some() {
            name.push('…');
        }
        name
    }

    pub(super) fn checked(
        &self,
        app: usize,
        given: &Map<String, Value>,
        streaming: bool,
    ) -> Result<Map<String, Value>, Refusal> {
        let fill = self.broken(Fault::RequiredFilled) && !streaming;
        self.check_inputs(&self.apps[app].form, given, fill).map_err(|fault| match fault {
            InputFault::Refused(text) => Refusal::invalid(text),
            InputFault::OddNumber if self.behaviour.number_list_slips => Refusal::internal(),
            InputFault::OddNumber => Refusal::invalid("a number in the input form must be a valid number"),
        })
    }

    fn stored_query(&self, state: &mut State, payload: &Payload) -> String {
        let query = &payload.query;
        if self.broken(Fault::QueryStoredAsLatin1) {
            return query.chars().map(|ch| if u32::from(ch) > 255 { '?' } else { ch }).collect();
        }
        if self.broken(Fault::QueryOfPreviousTurn) {
            let before = state.latest_queries.insert(payload.user.clone(), query.clone());
            return before.unwrap_or_else(|| query.clone());
        }
        query.clone()
    }

    fn foreign_query(&self, state: &State, user: &str) -> String {
        if !self.broken(Fault::ForeignQueryInAnswer) {
            return String::new();
        }
        state.running_of_namesake(user).map(|running| format!(" | user: {}", running.query)).unwrap_or_default()
    }

    /// Moves `updated_at` to now.
    pub(super) fn touch(&self, conversation: &mut Conversation, now: Moment) {
        if self.broken(Fault::ThirdTurnDoesNotTouch) && conversation.messages.len() >= 2 {
            return;
        }
        conversation.updated_at = conversation.updated_at.max(now.unix_seconds());
    }

    /// The fault that lets a refused turn change its conversation.
    fn touch_in_vain(&self, app: usize, body: &Map<String, Value>) {
        if !self.broken(Fault::RejectedTurnTouches) {
            return;
        }
        let id = body.get("conversation_id").and_then(Value::as_str).and_then(|id| self.conversation_id(id));
        let (Some(user), Some(id)) = (user_in_body(body), id) else {
            return;
        };
        if let Some(conversation) = self.state(app).conversation_mut(&user, &id) {
            conversation.updated_at += 2;
        }
    }

    /// The fault that checks the query inside the stream.
    fn refused_in_stream(
        self: &Arc<Self>,
        app: usize,
        body: &Map<String, Value>,
        payload: &Result<Payload, Refusal>,
        now: Moment,
    ) -> Option<Reply> {
        let refusal = payload.as_ref().err()?;
        let streaming = body.get("response_mode").and_then(Value::as_str) == Some("streaming");
        let about_query =
            matches!(body.get("query"), None | Some(Value::Null)) || body.get("query") == Some(&json!(""));
        if !self.broken(Fault::QueryRefusedInStream) || !streaming || !about_query {
            return None;
        }
        let user = user_in_body(body)?;
        let mut state = self.state(app);
        let conversation = Some(state.uuid());
        let ids = Ids { task: state.uuid(), message: state.uuid(), conversation, created_at: now.unix_seconds() };
        drop(state);
        let plan = Plan {
            chunks: Vec::new(),
            first: self.pace.first_chunk,
            gap: self.pace.gap,
            ending: Ending::Failure(refusal.message.clone()),
            prompt_words: 1,
        };
        let opening = Opening {
            app,
            user,
            conversation: None,
            first: true,
            query: String::new(),
            ids,
            now,
            with_files: false,
            annotation: None,
        };
        Some(self.playing(AppMode::Chat, true, Generation::begin(Arc::clone(self), opening, plan)))
    }

    /// The fault that writes the conversation before it looks at the key.
    pub(super) fn leave_row(&self, request: &Request, now: Moment) {
        let Some(app) = self.apps.iter().position(|app| app.mode() == AppMode::Chat) else {
            return;
        };
        let Ok(payload) = request.json(&self.behaviour).and_then(|body| self.payload(app, AppMode::Chat, &body)) else {
            return;
        };
        let mut state = self.state(app);
        // a turn whose inputs do not fit leaves nothing, as with a key
        let _ = self.open(app, &mut state, &payload, None, now);
    }
}

/// What a prompt shows of a message with files: a mark per image before its text.
fn shown(files: &[Attachment], text: String) -> String {
    let images = files.iter().filter(|file| file.kind == "image").count();
    format!("{}{text}", "<image>".repeat(images))
}

/// The turns that fit the window, oldest first.
fn history(conversation: &Conversation) -> Vec<(String, String)> {
    let mut budget = HISTORY_WORDS;
    let newest_first = conversation.messages.iter().rev().map_while(|message| {
        let words = usize::try_from(model::words(&message.query) + model::words(&message.answer)).unwrap_or(usize::MAX);
        budget = budget.checked_sub(words)?;
        Some((message.query.clone(), message.answer.clone()))
    });
    let mut turns: Vec<(String, String)> = newest_first.collect();
    turns.reverse();
    turns
}
