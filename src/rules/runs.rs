//! Workflow runs of one app, and what was read about them afterwards.

use super::run::Run;
use super::seen::Seen;
use crate::model::{App, AppMode, Endpoint};
use serde_json::Value;

/// Modes that run workflows.
pub(super) const RUNS: &[AppMode] = &[AppMode::AdvancedChat, AppMode::Workflow];
/// Workflow apps.
pub(super) const WORKFLOW: &[AppMode] = &[AppMode::Workflow];
/// Chatflows.
pub(super) const CHATFLOW: &[AppMode] = &[AppMode::AdvancedChat];

/// One run that a generation started.
pub(super) struct Flow<'r, 't> {
    /// The generation.
    pub(super) seen: &'r Seen<'t>,
    /// Its run id.
    pub(super) id: &'r str,
}

/// Runs that generations of an app started, in order of sending.
pub(super) fn flows<'r, 't>(run: &'r Run<'t>, app: &'r App) -> impl Iterator<Item = Flow<'r, 't>> {
    let generations = run.on(app).filter(|s| s.endpoint().generates() && s.is(200));
    generations.filter_map(|seen| seen.run_id().map(|id| Flow { seen, id }))
}

impl<'r, 't> Flow<'r, 't> {
    /// Reads of its detail on its app, sent after its stream had ended, that found it.
    pub(super) fn details(&self, run: &'r Run<'t>) -> Vec<(&'r Seen<'t>, &'r Value)> {
        let ended = self.seen.exchange.ended_us();
        let reads = run.calls(self.seen.app, Endpoint::WorkflowRunDetail);
        let own = reads.filter(|s| s.has_key() && s.route.ids.first().is_some_and(|id| id == self.id));
        own.filter(|s| s.is(200) && s.exchange.timing.sent_us >= ended)
            .filter_map(|s| s.json.map(|json| (s, json)))
            .collect()
    }

    /// The latest such read: servers may write the record a little after the end of the stream.
    pub(super) fn detail(&self, run: &'r Run<'t>) -> Option<(&'r Seen<'t>, &'r Value)> {
        self.details(run).pop()
    }

    /// A successful call asked the server to stop it, by its own user and key.
    pub(super) fn stopped_by_owner(&self, run: &Run) -> bool {
        let task = self.seen.text("task_id");
        let own = |s: &&Seen| s.endpoint().stops() && s.is(200) && s.sent.user == self.seen.sent.user;
        run.on(self.seen.app).filter(own).any(|s| s.route.ids.first().map(String::as_str) == task)
    }

    /// Anybody tried to stop it.
    pub(super) fn stop_tried(&self, run: &Run) -> bool {
        let task = self.seen.text("task_id");
        run.seen.iter().any(|s| s.endpoint().stops() && s.route.ids.first().map(String::as_str) == task)
    }

    /// Workflow it belongs to.
    pub(super) fn workflow_id(&self) -> Option<&'r str> {
        let of = |value: &'r Value| value.pointer("/data/workflow_id").and_then(Value::as_str);
        match &self.seen.stream {
            Some(stream) => stream.events.iter().find_map(|e| of(&e.value)),
            None => of(self.seen.json?),
        }
    }
}

/// What decides the answer of a deterministic app.
pub(super) fn question(s: &Seen) -> String {
    format!("{:?} {:?}", s.sent.member("inputs"), s.sent.query())
}

/// Whether a request asks what made runs fail: streams to the same question on its app ended so, and none otherwise.
pub(super) fn fails(run: &Run, s: &Seen) -> bool {
    let same =
        run.on(s.app).filter(|o| o.stream.is_some() && o.endpoint() == s.endpoint() && question(o) == question(s));
    let stopped = |o: &&Seen| o.run_id().is_some_and(|id| Flow { seen: o, id }.stop_tried(run)) || aborted(o);
    let mut ends = same.filter(|o| !stopped(o)).filter_map(Seen::run_status).peekable();
    ends.peek().is_some() && ends.all(|status| status == "failed")
}

/// Failed since somebody stopped it, as some servers have it.
pub(super) fn aborted(s: &Seen) -> bool {
    let error = s.run_end().and_then(|d| d.get("error")).and_then(Value::as_str);
    error.is_some_and(|text| text.contains("User requested stop"))
}

/// A member that is an object, or JSON text of one.
pub(super) fn object(value: Option<&Value>) -> Option<Value> {
    match value? {
        Value::String(text) => serde_json::from_str(text).ok().filter(Value::is_object),
        value @ Value::Object(_) => Some(value.clone()),
        _ => None,
    }
}

/// Whether a read found no such run, in the words of the documentation or of servers that answer 200 with nulls.
pub(super) fn nothing_found(s: &Seen) -> bool {
    let nulls = s.is(200) && s.json.is_some_and(|j| j.get("id").is_some_and(Value::is_null));
    s.is(404) || nulls
}
