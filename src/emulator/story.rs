//! One run under way, without clock: its script, what has happened so far, and the events that tell of it.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::core::Core;
use super::fault::Fault;
use super::feed::Block;
use super::flow_events::{self, Execution, Frame, Outcome};
use super::graph::{Act, Node};
use super::human_input;
use super::memory::{Form, Status};
use super::replies;
use super::scripts::{Words, Written};
use super::state::Moment;

/// Who runs what.
#[derive(Debug, Clone)]
pub struct Cast {
    /// The app.
    pub app: usize,
    /// Whose run it is.
    pub user: String,
    /// What its events carry.
    pub frame: Frame,
    /// Inputs as `workflow_started` shows them.
    pub shown: Map<String, Value>,
    /// What the user said; empty in workflow apps.
    pub query: String,
    /// Its number among the runs of the app.
    pub sequence: u64,
    /// The answer is streamed.
    pub streaming: bool,
    /// When it began.
    pub began: Moment,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    /// Its final status.
    pub status: Status,
    /// What it put out.
    pub outputs: Value,
    /// Why it failed or was stopped.
    pub error: Option<String>,
    /// When.
    pub at: Moment,
}

/// One run under way.
#[derive(Debug)]
pub struct Story {
    /// Who runs what.
    pub cast: Cast,
    /// It waits for a person.
    pub waits: bool,
    /// How it ended.
    pub ended: Option<Ended>,
    beats: VecDeque<(Duration, Act)>,
    pub(super) words: Option<Words>,
    open: HashMap<&'static str, Execution>,
    pub(super) started_nodes: u64,
    predecessor: Option<&'static str>,
    pub(super) tokens: u64,
    pub(super) answer: String,
    pub(super) first_text: Option<Moment>,
    pub(super) stopped: bool,
    pub(super) aborted: bool,
    pub(super) resumed: bool,
    /// Token and id of the form the run waits for.
    form: Option<(String, String)>,
}

impl Story {
    /// A run at its beginning.
    pub fn new(cast: Cast, (script, words): Written) -> Self {
        Self {
            cast,
            waits: false,
            ended: None,
            beats: script.into(),
            words,
            open: HashMap::new(),
            started_nodes: 0,
            predecessor: None,
            tokens: 0,
            answer: String::new(),
            first_text: None,
            stopped: false,
            aborted: false,
            resumed: false,
            form: None,
        }
    }

    /// The time before the next event; `None` at the end and while the run waits.
    pub fn next_delay(&self) -> Option<Duration> {
        if self.waits { None } else { self.beats.front().map(|(delay, _)| *delay) }
    }

    /// Whether a stop was already obeyed.
    pub fn stopped(&self) -> bool {
        self.stopped
    }

    /// Ends the run early.
    pub fn obey_stop(&mut self, core: &Core) {
        self.stopped = true;
        let mut ends = vec![Act::Finish(Ok(Value::Null))];
        if self.cast.frame.chat.is_some() {
            ends.push(Act::EndMessage);
            if core.behaviour.flow.message_end_first {
                ends.reverse();
            }
        }
        self.beats = ends.into_iter().map(|act| (Duration::ZERO, act)).collect();
    }

    /// Makes the run fail at its end.
    pub fn abort(&mut self) {
        if std::mem::replace(&mut self.aborted, true) {
            return;
        }
        let error = "Aborted: User requested stop".to_owned();
        self.beats.retain(|(_, act)| !matches!(act, Act::Finish(_) | Act::EndMessage | Act::Complain(_)));
        let complaint = format!("Run failed: {error}");
        self.beats.extend([Act::Finish(Err(error)), Act::Complain(complaint)].map(|act| (Duration::ZERO, act)));
    }

    /// Goes on after a pause.
    pub fn go_on(&mut self, action: String, given: Map<String, Value>) {
        self.waits = false;
        self.resumed = true;
        self.beats.push_front((Duration::ZERO, Act::Filled(action, given)));
    }

    /// Takes the next step. `heard` says whether anybody listens.
    pub fn advance(&mut self, core: &Core, now: Moment, heard: bool) -> Option<Block> {
        let (_, act) = self.beats.pop_front()?;
        let (name, event) = self.perform(core, act, now, heard)?;
        let mut bytes = b"data: ".to_vec();
        bytes.extend(core.behaviour.sse_json.write(&Value::Object(event)));
        bytes.extend(b"\n\n");
        Some(Block { event: name, bytes })
    }

    fn perform(
        &mut self,
        core: &Core,
        act: Act,
        now: Moment,
        heard: bool,
    ) -> Option<(&'static str, Map<String, Value>)> {
        let frame = self.cast.frame.clone();
        let flow = &core.behaviour.flow;
        let workflow = frame.chat.is_none();
        match act {
            Act::Begin if workflow && core.broken(Fault::NoWorkflowStarted) => None,
            Act::Begin if self.start_is_dropped(core) => None,
            Act::Begin => {
                let shown = self.shown_inputs(core);
                let at = self.cast.began.unix_seconds();
                Some(("workflow_started", flow_events::started(&frame, flow, &shown, at, self.cast.sequence)))
            }
            Act::Enter(node) => {
                let execution = self.enter(core, node.id, now);
                let event = flow_events::node_started(&frame, flow, &node, &execution);
                Some(("node_started", self.spoiled_node(core, event)))
            }
            Act::Leave(node, error) => Some(("node_finished", self.leave(core, &node, error, now))),
            Act::Again(node, attempt) => {
                let execution = self.enter(core, node.id, now);
                let outcome = outcome("retry", Some("connection refused"), &execution, now);
                let event = flow_events::node_finished(&frame, flow, &node, &execution, &outcome, Some(attempt));
                Some(("node_retry", self.spoiled_node(core, event)))
            }
            Act::Say(..) if self.resumed && core.broken(Fault::AnswerAfterFormLost) => None,
            Act::Say(text, from) => {
                self.first_text.get_or_insert(now);
                self.answer.push_str(&text);
                let event = flow_events::text(&frame, &text, from);
                Some((if workflow { "text_chunk" } else { "message" }, event))
            }
            Act::Mute(text) => {
                self.answer.push_str(&text);
                None
            }
            Act::Replace(text) => {
                self.answer.clone_from(&text);
                let name = if workflow { "text_replace" } else { "message_replace" };
                Some((name, flow_events::replaced(&frame, &text)))
            }
            Act::Open(..) | Act::Round(..) | Act::Close(..) => self.container(core, act, now),
            Act::Ask => Some(("human_input_required", self.ask(core, now))),
            Act::Pause => self.pause(core, now),
            Act::Filled(action, given) => {
                let content = self.form_content();
                Some(("human_input_form_filled", human_input::filled(&frame, &action, &content, &given)))
            }
            Act::Memorise => {
                self.memorise(core, now);
                None
            }
            Act::Finish(result) => {
                let event = self.finish(core, result, now);
                (!self.end_is_dropped(core, true)).then_some(("workflow_finished", event))
            }
            Act::EndMessage if self.answer_is_lost(core) => None,
            Act::EndMessage => self.end_message(core, now, heard).filter(|_| !self.end_is_dropped(core, false)),
            Act::Complain(error) => {
                self.store_failure(core, &error);
                let event = replies::error_event(&self.ids()?, "invalid_param", 400, &error);
                Some(("error", event))
            }
        }
    }
    /// The inputs `workflow_started` shows.
    fn shown_inputs(&self, core: &Core) -> Map<String, Value> {
        let shared = core.broken(Fault::RunInputsShared) && self.cast.frame.chat.is_some();
        let latest = core.state(self.cast.app).memory.latest.as_ref().filter(|_| shared).map(|run| run.inputs.clone());
        latest.unwrap_or_else(|| self.cast.shown.clone())
    }

    /// The execution of a node, begun if it is not under way.
    fn enter(&mut self, core: &Core, node: &'static str, now: Moment) -> Execution {
        if let Some(execution) = self.open.get(node) {
            return execution.clone();
        }
        self.started_nodes += 1;
        let execution = Execution {
            id: core.state(self.cast.app).uuid(),
            index: self.started_nodes,
            predecessor: self.predecessor,
            created_at: now.unix_seconds(),
            began: now,
        };
        self.open.insert(node, execution.clone());
        execution
    }

    fn leave(&mut self, core: &Core, node: &Node, error: Option<String>, now: Moment) -> Map<String, Value> {
        let late_start = core.broken(Fault::NodeFinishedFirst) && !self.open.contains_key(node.id);
        let execution = self.enter(core, node.id, now);
        if !late_start {
            self.open.remove(node.id);
        }
        if node.inside.is_none() {
            self.predecessor = Some(node.id);
        }
        if error.is_none() {
            self.tokens += node.tokens;
        }
        let status = if error.is_some() { "failed" } else { "succeeded" };
        let outcome = outcome(status, error.as_deref(), &execution, now);
        let flow = &core.behaviour.flow;
        let event = flow_events::node_finished(&self.cast.frame, flow, node, &execution, &outcome, None);
        self.spoiled_node(core, event)
    }

    /// The faults of node events.
    fn spoiled_node(&self, core: &Core, mut event: Map<String, Value>) -> Map<String, Value> {
        if core.broken(Fault::NodeIndexZero)
            && let Some(data) = event.get_mut("data")
        {
            data["index"] = json!(0);
        }
        if core.broken(Fault::RunIdPerNode) && self.cast.frame.chat.is_some() {
            event.insert("workflow_run_id".to_owned(), json!(core.state(self.cast.app).uuid()));
        }
        event
    }

    fn container(&mut self, core: &Core, act: Act, now: Moment) -> Option<(&'static str, Map<String, Value>)> {
        let frame = self.cast.frame.clone();
        let (kind, step) = match &act {
            Act::Open(kind, _) => (*kind, 0),
            Act::Round(kind, _) => (*kind, 1),
            Act::Close(kind, _) => (*kind, 2),
            _ => return None,
        };
        let execution = self.enter(core, kind.id(), now);
        let name = kind.events()[step];
        match act {
            Act::Open(..) if core.broken(Fault::IterationNotStarted) => None,
            Act::Open(_, rounds) => Some((name, flow_events::container_started(&frame, kind, &execution, rounds))),
            Act::Round(_, round) => Some((name, flow_events::container_next(&frame, kind, &execution, round))),
            Act::Close(_, rounds) => {
                self.open.remove(kind.id());
                self.predecessor = Some(kind.id());
                let outcome = outcome("succeeded", None, &execution, now);
                Some((name, flow_events::container_completed(&frame, kind, &execution, &outcome, rounds)))
            }
            _ => None,
        }
    }

    fn form_content(&self) -> String {
        format!("Please review: {}", if self.cast.query.is_empty() { "the run" } else { &self.cast.query })
    }

    fn ask(&mut self, core: &Core, now: Moment) -> Map<String, Value> {
        let mut state = core.state(self.cast.app);
        let expires_at = now.unix_seconds() + human_input::PATIENCE;
        let form = Form { id: state.uuid(), content: self.form_content(), expires_at, parked: None };
        let token = state.uuid().replace('-', "");
        let mut event = human_input::required(&self.cast.frame, &form, &token);
        if core.broken(Fault::EmptyFormEvent) {
            event.insert("data".to_owned(), json!({}));
        }
        self.form = Some((token.clone(), form.id.clone()));
        state.memory.forms.insert(token, form);
        event
    }

    fn pause(&mut self, core: &Core, now: Moment) -> Option<(&'static str, Map<String, Value>)> {
        self.waits = true;
        if let Some(record) = core.state(self.cast.app).memory.runs.get_mut(&self.cast.frame.run) {
            record.status = Status::Paused;
            (record.steps, record.tokens) = (self.started_nodes, self.tokens);
        }
        let form = self.form.as_ref().map(|(_, id)| id.clone()).unwrap_or_default();
        let event = human_input::paused(
            &self.cast.frame,
            &form,
            self.cast.began.unix_seconds(),
            now.seconds_since(self.cast.began),
            self.tokens,
            self.started_nodes,
        );
        (!core.broken(Fault::PausesSilently)).then_some(("workflow_paused", event))
    }

    /// The form the run waits for.
    pub fn form_token(&self) -> Option<&str> {
        self.form.as_ref().map(|(token, _)| token.as_str())
    }
}

fn outcome<'a>(status: &'static str, error: Option<&'a str>, execution: &Execution, now: Moment) -> Outcome<'a> {
    let elapsed = now.seconds_since(execution.began);
    Outcome { status, error, elapsed, finished_at: now.unix_seconds() }
}
