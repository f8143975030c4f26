//! `POST /workflows/run` and chatflow turns: from the body to a run under way.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::answer::{Answer, Reply};
use super::config::{AppKind, AppMode};
use super::core::Core;
use super::fault::Fault;
use super::first_contact::name_of;
use super::flow_behaviour::Members;
use super::flow_events::Frame;
use super::graph::{Act, Script};
use super::messages::pseudo_uuid;
use super::payload::Payload;
use super::refusal::Refusal;
use super::request::{COLUMN_CHARS, Request, user_in_body, uuid_text};
use super::runner::Run;
use super::scripts::{self, Source, Written};
use super::state::{Message, Moment};
use super::story::{Cast, Story};

const SCHEMA: &str = "WorkflowRunPayload";

impl Core {
    /// The id of the one published version of an app's workflow.
    pub(super) fn workflow_id(app: usize) -> String {
        pseudo_uuid(&(app, "workflow"))
    }

    /// `POST /workflows/run`, or `POST /workflows/{id}/run`.
    pub(super) fn run_workflow(
        self: &Arc<Self>,
        app: usize,
        pinned: Option<&str>,
        request: &Request,
        now: Moment,
    ) -> Reply {
        let begun = self.body_of_turn(request).and_then(|body| {
            let user = user_in_body(&body).ok_or_else(Refusal::user_missing)?;
            if self.behaviour.database_slips && user.chars().count() > COLUMN_CHARS {
                return Err(Refusal::unknown(&self.behaviour));
            }
            let inputs = self.inputs_member(SCHEMA, &body)?;
            let streaming = self.streaming_member(SCHEMA, &body, false)?;
            self.demand_mode(app, AppMode::Workflow)?;
            if let Some(id) = pinned {
                self.demand_workflow(app, id, None)?;
            }
            self.demand_slot(app, &user)?;
            let inputs =
                self.checked(app, &inputs, streaming).inspect_err(|_| self.leak_slot(app, &user, streaming))?;
            let (frame, sequence) = {
                let mut state = self.state(app);
                let frame =
                    Frame { task: state.uuid(), run: state.uuid(), workflow: Self::workflow_id(app), chat: None };
                (frame, state.memory.run_order.len() as u64 + 1)
            };
            let query = String::new();
            let cast = Cast { app, user, frame, shown: Map::new(), query, sequence, streaming, began: now };
            Ok(self.start_run(cast, inputs, Map::new()))
        });
        begun.unwrap_or_else(|refusal| Reply::Whole(self.refuse(&refusal)))
    }

    /// Refuses an id that is not the published version.
    pub(super) fn demand_workflow(&self, app: usize, id: &str, path: Option<&str>) -> Result<(), Refusal> {
        let ignores = if path.is_some() { Fault::WorkflowIdIgnored } else { Fault::RunByIdIgnored };
        if !self.behaviour.flow.pinned_workflows || self.broken(ignores) {
            return Ok(());
        }
        match uuid_text(id) {
            None => Err(Refusal::new(400, "bad_request", format!("Invalid workflow_id format: '{id}'. "))),
            Some(known) if known == Self::workflow_id(app) => Ok(()),
            Some(_) => {
                let text = format!("Workflow not found with id: {id}");
                Err(path
                    .map_or_else(|| Refusal::not_found(text.clone()), |path| self.hinted(&format!("{text}."), path)))
            }
        }
    }

    /// A turn of a chatflow.
    pub(super) fn chatflow_turn(
        self: &Arc<Self>,
        app: usize,
        body: &Map<String, Value>,
        payload: Payload,
        now: Moment,
    ) -> Result<Reply, Refusal> {
        if let Some(id) = body.get("workflow_id").and_then(Value::as_str).filter(|id| !id.is_empty()) {
            self.demand_workflow(app, id, Some("chat-messages"))?;
        }
        let mut state = self.state(app);
        let place = self.place(app, &mut state, &payload, now)?;
        let message = Message {
            id: state.uuid(),
            inputs: place.inputs.clone(),
            query: payload.query.clone(),
            answer: String::new(),
            error: None,
            created_at: now.unix_seconds(),
            rating: None,
            files: Vec::new(),
        };
        let before = match state.conversation_mut(&place.user, &place.conversation) {
            Some(conversation) => {
                self.touch(conversation, now);
                conversation.messages.len() as u64
            }
            None => 0,
        };
        let chat = Some((place.conversation.clone(), message.id.clone(), message.created_at));
        state.add_message(&place.user, &place.conversation, message);
        let frame = Frame { task: state.uuid(), run: state.uuid(), workflow: Self::workflow_id(app), chat };
        let sequence = state.memory.run_order.len() as u64 + 1;
        self.open_variables(&mut state, &place.conversation, now);
        drop(state);
        let count = if self.broken(Fault::DialogueCountAlwaysOne) { 0 } else { before };
        let mut sys = Map::new();
        sys.insert("sys.query".to_owned(), json!(payload.query));
        sys.insert("sys.conversation_id".to_owned(), json!(place.conversation));
        let first = self.behaviour.flow.first_dialogue + u64::from(self.broken(Fault::DialogueCountFromOne));
        sys.insert("sys.dialogue_count".to_owned(), json!(count + first));
        let streaming = payload.streaming || self.broken(Fault::ChatflowBlockingStreams);
        let (user, query) = (place.user, payload.query);
        let cast = Cast { app, user, frame, shown: Map::new(), query, sequence, streaming, began: now };
        Ok(self.start_run(cast, place.inputs, sys))
    }

    fn start_run(self: &Arc<Self>, mut cast: Cast, declared: Map<String, Value>, sys: Map<String, Value>) -> Reply {
        let mut inputs = declared;
        for (name, value) in [
            ("sys.files", json!([])),
            ("sys.user_id", json!(name_of(&cast.user))),
            ("sys.app_id", json!(pseudo_uuid(&cast.app))),
            ("sys.workflow_id", json!(cast.frame.workflow)),
            ("sys.workflow_run_id", json!(cast.frame.run)),
        ] {
            inputs.insert(name.to_owned(), value);
        }
        inputs.extend(sys);
        cast.shown.clone_from(&inputs);
        let old = self.behaviour.flow.members == Members::Old;
        if !old {
            cast.shown.shift_remove("sys.conversation_id");
        }
        if cast.frame.chat.is_none() && !old {
            inputs.insert("sys.timestamp".to_owned(), json!(cast.began.unix_seconds()));
        }
        let (mut script, words) = self.written(&cast, &inputs);
        self.spoil_script(cast.frame.chat.is_none(), &mut script);
        let streaming = cast.streaming;
        let run = Run::begun(Arc::clone(self), Story::new(cast, (script, words)), inputs);
        if !streaming {
            return Reply::BlockingRun(Box::new(run));
        }
        Reply::StreamingRun(self.stream_head(), Box::new(run))
    }

    /// The head of a stream.
    pub(super) fn stream_head(&self) -> Answer {
        Answer { status: 200, headers: self.headers("text/event-stream; charset=utf-8", true), body: Vec::new() }
    }

    fn written(&self, cast: &Cast, inputs: &Map<String, Value>) -> Written {
        let source = Source { flow: &self.behaviour.flow, pace: self.pace, inputs };
        if let Some(written) = self.written_by_user(cast, &source) {
            return written;
        }
        let Some((conversation, _, _)) = &cast.frame.chat else {
            return match self.apps[cast.app].kind {
                AppKind::WorkflowLlm => scripts::workflow_llm(&source),
                _ => scripts::workflow(&source),
            };
        };
        let memo = self.memo(cast.app, conversation);
        scripts::chatflow(&source, &memo)
    }

    /// The faults that change the order of things, or leave one out.
    fn spoil_script(&self, workflow: bool, script: &mut Script) {
        if !workflow {
            self.misplace_text(script);
        }
        if self.broken(Fault::NodeBeforeWorkflowStarted) && !workflow {
            let leave = script.iter().position(|(_, act)| matches!(act, Act::Leave(..)));
            if let Some(at) = leave {
                script.get_mut(..=at).unwrap_or_default().rotate_right(1);
            }
        }
        if self.broken(Fault::NodeFinishedFirst) && workflow {
            let place = |wanted: fn(&Act) -> bool| script.iter().position(|(_, act)| wanted(act));
            let enter = place(|act| matches!(act, Act::Enter(node) if node.id == "end"));
            let leave = place(|act| matches!(act, Act::Leave(node, _) if node.id == "end"));
            if let (Some(enter), Some(leave)) = (enter, leave) {
                script.swap(enter, leave);
            }
        }
        let drops = if workflow { Fault::LastTextChunkDropped } else { Fault::ChatflowChunkDropped };
        if self.broken(drops) {
            let last = script.iter_mut().rev().find_map(|(_, act)| match act {
                Act::Say(text, _) if !text.trim().is_empty() => Some(act),
                _ => None,
            });
            if let Some(act) = last
                && let Act::Say(text, _) = act
            {
                *act = Act::Mute(std::mem::take(text));
            }
        }
        if self.broken(Fault::TerminalsSwapped) && matches!(script.last(), Some((_, Act::EndMessage | Act::Finish(_))))
        {
            let end = script.len();
            if !workflow && end >= 2 {
                script.swap(end - 1, end - 2);
            }
        }
        if self.broken(Fault::MessageEndAfterFailure) && matches!(script.last(), Some((_, Act::Complain(_)))) {
            script.push((std::time::Duration::ZERO, Act::EndMessage));
        }
    }
}
