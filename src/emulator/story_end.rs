//! How a run ends: its last events, what is stored, what a blocking request gets.

use serde_json::{Map, Value, json};

use super::answer::Answer;
use super::core::Core;
use super::fault::Fault;
use super::first_contact::name_of;
use super::flow_behaviour::StopPolicy;
use super::flow_events::{self, Totals};
use super::memory::{Latest, Status};
use super::messages::pseudo_uuid;
use super::refusal::Refusal;
use super::replies::{self, Ids, Usage};
use super::state::Moment;
use super::story::{Ended, Story};

impl Story {
    /// The ids of message events; none in workflow apps.
    pub(super) fn ids(&self) -> Option<Ids> {
        let (conversation, message, created_at) = self.cast.frame.chat.clone()?;
        Some(Ids { task: self.cast.frame.task.clone(), message, conversation: Some(conversation), created_at })
    }

    fn totals<'a>(&'a self, app: usize, ended: &'a Ended) -> Totals<'a> {
        Totals {
            status: ended.status.wire(),
            outputs: &ended.outputs,
            error: ended.error.as_deref(),
            elapsed: ended.at.seconds_since(self.cast.began),
            tokens: self.tokens,
            steps: self.started_nodes,
            user: (pseudo_uuid(&(app, &self.cast.user)), name_of(&self.cast.user)),
            created_at: self.cast.began.unix_seconds(),
            finished_at: ended.at.unix_seconds(),
            sequence: self.cast.sequence,
        }
    }

    /// The end of the run: its record is closed.
    pub(super) fn finish(&mut self, core: &Core, result: Result<Value, String>, now: Moment) -> Map<String, Value> {
        let nothing = if core.behaviour.flow.null_outputs { Value::Null } else { json!({}) };
        let stopped = self.stopped || (self.resumed && core.broken(Fault::ResumesAsStopped));
        let (status, outputs, error) = match result {
            _ if stopped => (Status::Stopped, nothing, Some("Stopped by user.".to_owned())),
            Ok(outputs) => (Status::Succeeded, outputs, None),
            Err(error) => (Status::Failed, nothing, Some(error)),
        };
        let app = self.cast.app;
        let own = Latest { id: self.cast.frame.run.clone(), inputs: self.cast.shown.clone() };
        let (latest, before) = {
            let memory = &mut core.state(app).memory;
            let before = memory.latest_outputs.insert(self.cast.user.clone(), outputs.clone());
            (memory.latest.replace(own), before)
        };
        let mixed_up = core.broken(Fault::PreviousOutputs) && status == Status::Succeeded;
        let outputs = before.filter(|_| mixed_up).unwrap_or(outputs);
        let ended = Ended { status, outputs, error, at: now };
        let mut event = flow_events::finished(&self.cast.frame, &core.behaviour.flow, &self.totals(app, &ended));
        self.spoil_finish(core, latest, &mut event);
        self.settle(core, &ended, &event);
        self.ended = Some(ended);
        event
    }

    /// The faults of `workflow_finished`.
    fn spoil_finish(&self, core: &Core, latest: Option<Latest>, event: &mut Map<String, Value>) {
        let workflow = self.cast.frame.chat.is_none();
        let Some(data) = event.get_mut("data") else {
            return;
        };
        if core.broken(Fault::StatusSuccess) && data["status"] == "succeeded" {
            data["status"] = json!("success");
        }
        if core.broken(Fault::StreamWithoutOutputs) && workflow {
            data["outputs"] = json!({});
        }
        if core.broken(Fault::TotalTokensNull) {
            data["total_tokens"] = Value::Null;
        }
        if core.broken(Fault::PreviousRunId)
            && let Some(latest) = latest
        {
            data["id"] = json!(latest.id);
        }
    }

    /// Writes the end into the record of the run.
    fn settle(&self, core: &Core, ended: &Ended, event: &Map<String, Value>) {
        let mut state = core.state(self.cast.app);
        let Some(record) = state.memory.runs.get_mut(&self.cast.frame.run) else {
            return;
        };
        record.finished = Some(event.clone());
        let stuck = match ended.status {
            Status::Stopped => core.behaviour.flow.stop == StopPolicy::Anybody,
            _ => core.broken(Fault::RunDetailRunning),
        };
        if stuck {
            (record.steps, record.tokens) = (0, 0);
            return;
        }
        let wrong = core.broken(Fault::StoppedShownSucceeded) && ended.status == Status::Stopped;
        record.status = if wrong { Status::Succeeded } else { ended.status };
        record.error.clone_from(&ended.error);
        record.outputs = ended.outputs.clone();
        (record.steps, record.tokens) = (self.started_nodes, self.tokens);
        record.finished_at = Some(ended.at.unix_seconds());
        record.elapsed = ended.at.seconds_since(self.cast.began);
    }

    /// The end of the message; what was said is stored if anybody listened.
    pub(super) fn end_message(
        &mut self,
        core: &Core,
        now: Moment,
        heard: bool,
    ) -> Option<(&'static str, Map<String, Value>)> {
        let ids = self.ids()?;
        if let (true, Some(conversation)) = (heard, &ids.conversation) {
            let mut state = core.state(self.cast.app);
            if let Some(message) = state.message_mut(&self.cast.user, conversation, &ids.message) {
                message.answer = self.answer.trim().to_owned();
            }
            if let Some(conversation) = state.conversation_mut(&self.cast.user, conversation) {
                core.touch(conversation, now);
            }
        }
        let mut event = replies::end_event(&ids, self.metadata(core, now));
        event.insert("files".to_owned(), json!([]));
        (!core.broken(Fault::ChatflowWithoutMessageEnd)).then_some(("message_end", event))
    }

    pub(super) fn store_failure(&self, core: &Core, error: &str) {
        let Some((conversation, message, _)) = &self.cast.frame.chat else {
            return;
        };
        if let Some(message) = core.state(self.cast.app).message_mut(&self.cast.user, conversation, message) {
            message.error = Some(error.to_owned());
        }
        if core.broken(Fault::FailedChatflowTurnForgotten)
            && let Some(found) = core.state(self.cast.app).conversation_mut(&self.cast.user, conversation)
        {
            found.messages.retain(|kept| kept.id != *message);
        }
    }

    fn metadata(&self, core: &Core, now: Moment) -> Value {
        let behaviour = &core.behaviour;
        let waited = self.first_text.map_or(0.0, |at| at.seconds_since(self.cast.began));
        let mut usage = match self.words {
            Some(words) if !self.stopped => {
                let latency = now.seconds_since(self.cast.began);
                replies::usage(behaviour, Usage { prompt: words.prompt, completion: words.answer, latency })
            }
            _ => json!({
                "prompt_tokens": 0, "prompt_unit_price": "0.0", "prompt_price_unit": "0.0", "prompt_price": "0.0",
                "completion_tokens": 0, "completion_unit_price": "0.0", "completion_price_unit": "0.0",
                "completion_price": "0.0", "total_tokens": 0, "total_price": "0.0", "currency": "USD", "latency": 0.0
            }),
        };
        if behaviour.recent_metadata {
            usage["time_to_first_token"] = json!(waited);
            usage["time_to_generate"] = json!(now.seconds_since(self.cast.began) - waited);
        }
        replies::metadata(behaviour, usage)
    }

    /// What a blocking request gets.
    pub fn blocking_answer(&self, core: &Core, now: Moment) -> Answer {
        let body = match self.ids() {
            Some(ids) => match self.blocking_message(core, &ids, now) {
                Ok(body) => body,
                Err(refusal) => return core.refuse(&refusal),
            },
            None => self.blocking_run(core, now),
        };
        let headers = core.headers(core.behaviour.generation_type, true);
        Answer { status: 200, headers, body: core.behaviour.whole_json.write(&Value::Object(body)) }
    }

    /// A run that has not ended waits for a person.
    fn ended_or_waiting(&self, now: Moment) -> Ended {
        let waiting = Ended { status: Status::Paused, outputs: json!({}), error: None, at: now };
        self.ended.clone().unwrap_or(waiting)
    }

    fn blocking_message(&self, core: &Core, ids: &Ids, now: Moment) -> Result<Map<String, Value>, Refusal> {
        let ended = self.ended_or_waiting(now);
        let mut answer = self.answer.trim();
        if let Some(error) = ended.error.as_ref().filter(|_| ended.status == Status::Failed) {
            if !core.broken(Fault::ChatflowFailureIs200) {
                return Err(Refusal::invalid(format!("Run failed: {error}")));
            }
            answer = "";
        }
        if core.broken(Fault::ChatflowBlockingEmpty) {
            answer = "";
        }
        let mut body = replies::blocking(ids, "advanced-chat", answer, self.metadata(core, now));
        if ended.status == Status::Paused {
            body.insert("event".to_owned(), json!("workflow_paused"));
            body.insert("workflow_run_id".to_owned(), json!(self.cast.frame.run));
        }
        Ok(body)
    }

    fn blocking_run(&self, core: &Core, now: Moment) -> Map<String, Value> {
        let ended = self.ended_or_waiting(now);
        let mut data = flow_events::run_data(&self.cast.frame, &self.totals(self.cast.app, &ended));
        if core.broken(Fault::RunDataIdIsWorkflow) {
            data.insert("id".to_owned(), json!(self.cast.frame.workflow));
        }
        if core.broken(Fault::FailureSucceeds) && ended.status == Status::Failed {
            data.insert("status".to_owned(), json!("succeeded"));
            data.insert("outputs".to_owned(), Value::Null);
        }
        if core.broken(Fault::StatusSuccess) && ended.status == Status::Succeeded {
            data.insert("status".to_owned(), json!("success"));
        }
        if core.broken(Fault::WorkflowBlockingEmpty) && ended.status == Status::Succeeded {
            data.insert("outputs".to_owned(), Value::Null);
        }
        let mut body = Map::new();
        body.insert("task_id".to_owned(), json!(self.cast.frame.task));
        body.insert("workflow_run_id".to_owned(), json!(self.cast.frame.run));
        body.insert("data".to_owned(), Value::Object(data));
        body
    }
}
