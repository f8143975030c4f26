//! What a run would send, without sending it: the steps of every scenario on every app, as lines for people.

use super::select::Selection;
use crate::model::{App, AppMode};
use crate::scenario::ast::{Action, Query, ResponseMode, Scenario, Step, Turn};

/// One scenario on one app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedRun {
    /// Scenario id.
    pub scenario: String,
    /// Its file.
    pub file: String,
    /// App label.
    pub app: String,
    /// Its steps, in order.
    pub steps: Vec<PlannedStep>,
    /// Requests that are sent whatever the answers are, clean-up left out.
    pub at_least: u64,
    /// How many of them go to endpoints that generate an answer.
    pub generating: u64,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedStep {
    /// Step id.
    pub id: String,
    /// How deep it stands inside of other steps, from 0.
    pub depth: usize,
    /// How often it is done, with all steps around it.
    pub times: u64,
    /// `POST /chat-messages streaming`; templates stand as in the file. `None` for a pause or a group.
    pub request: Option<String>,
    /// What else a reader should know, e.g. `finally`.
    pub note: &'static str,
}

/// Every job of a selection, in order. Nothing is asked of the server.
pub fn plan(selection: &Selection, apps: &[App]) -> Vec<PlannedRun> {
    let run = |job: &crate::engine::Job| Some(planned_run(&job.scenario, apps.get(job.app)?));
    selection.jobs.iter().filter_map(run).collect()
}

/// One scenario on one app.
pub fn planned_run(scenario: &Scenario, app: &App) -> PlannedRun {
    let mut walk = Walk { scenario, app, steps: Vec::new(), at_least: 0, generating: 0, sure: true };
    walk.all(&scenario.steps, 0, 1, "");
    walk.sure = false;
    walk.all(&scenario.finally, 0, 1, "finally");
    PlannedRun {
        scenario: scenario.id.clone(),
        file: scenario.file.clone(),
        app: app.label.clone(),
        steps: walk.steps,
        at_least: walk.at_least,
        generating: walk.generating,
    }
}

struct Walk<'w> {
    scenario: &'w Scenario,
    app: &'w App,
    steps: Vec<PlannedStep>,
    at_least: u64,
    generating: u64,
    /// Nothing before could end the scenario early.
    sure: bool,
}

impl Walk<'_> {
    fn all(&mut self, steps: &[Step], depth: usize, times: u64, note: &'static str) {
        for step in steps {
            self.step(step, depth, times, note);
        }
    }

    fn step(&mut self, step: &Step, depth: usize, times: u64, note: &'static str) {
        let rows = step.for_each.as_ref().map_or(1, |(_, rows)| rows.len() as u64);
        let times = times.saturating_mul(rows);
        let request = self.request(&step.action);
        if let Some((method, path)) = &request
            && self.sure
        {
            self.at_least = self.at_least.saturating_add(times);
            self.generating = self.generating.saturating_add(if generates(method, path) { times } else { 0 });
        }
        let said = request.map(|(method, path)| format!("{method} {path}{}", self.mode(&step.action)));
        let skips = step.or_skip.is_some() && note.is_empty();
        let told = if skips { "may end the scenario here" } else { note };
        self.steps.push(PlannedStep { id: step.id.clone(), depth, times, request: said, note: told });
        match &step.action {
            Action::Parallel(parallel) => {
                for branch in &parallel.branches {
                    self.all(branch, depth + 1, times.saturating_mul(u64::from(parallel.times)), "side by side");
                }
            }
            Action::Chat(turn) | Action::Completion(turn) | Action::Workflow(turn) => {
                if let Some(during) = &turn.during {
                    // The answer may be over before they have their turn.
                    let sure = std::mem::replace(&mut self.sure, false);
                    self.all(&during.steps, depth + 1, times, "while it streams");
                    self.sure = sure;
                }
            }
            _ => {}
        }
        self.sure &= step.or_skip.is_none();
    }

    fn mode(&self, action: &Action) -> &'static str {
        let (Action::Chat(turn) | Action::Completion(turn) | Action::Workflow(turn)) = action else { return "" };
        let blocks = turn.mode.unwrap_or(self.scenario.mode) == ResponseMode::Blocking;
        if blocks && self.app.mode.is_none_or(AppMode::can_block) { " blocking" } else { " streaming" }
    }

    fn request(&self, action: &Action) -> Option<(String, String)> {
        let post = |path: String| Some(("POST".to_owned(), path));
        let get = |path: String| Some(("GET".to_owned(), path));
        match action {
            Action::Chat(_) => post("/chat-messages".to_owned()),
            Action::Completion(_) => post("/completion-messages".to_owned()),
            Action::Workflow(Turn { version: Some(version), .. }) => post(format!("/workflows/{version}/run")),
            Action::Workflow(_) => post("/workflows/run".to_owned()),
            Action::History(query) => get(with_query("/messages", query)),
            Action::Conversations(query) => get(with_query("/conversations", query)),
            Action::Rename { conversation, .. } => post(format!("/conversations/{conversation}/name")),
            Action::Delete { conversation } => Some(("DELETE".to_owned(), format!("/conversations/{conversation}"))),
            Action::Feedback { message, .. } => post(format!("/messages/{message}/feedbacks")),
            Action::Stop { task } => post(match self.app.mode {
                Some(AppMode::Completion) => format!("/completion-messages/{task}/stop"),
                Some(AppMode::Workflow) => format!("/workflows/tasks/{task}/stop"),
                _ => format!("/chat-messages/{task}/stop"),
            }),
            Action::Info => get("/info".to_owned()),
            Action::Parameters => get("/parameters".to_owned()),
            Action::Upload(upload) => post(if upload.speech { "/audio-to-text" } else { "/files/upload" }.to_owned()),
            Action::Request(raw) => Some((raw.method.to_ascii_uppercase(), raw.path.clone())),
            Action::Parallel(_) | Action::Pause(_) => None,
        }
    }
}

fn with_query(path: &str, query: &Query) -> String {
    let user = (!query.no_user).then(|| "user=${{ user }}".to_owned());
    let params = user.into_iter().chain(query.params.iter().map(|(name, value)| format!("{name}={value}")));
    let params: Vec<String> = params.collect();
    if params.is_empty() { path.to_owned() } else { format!("{path}?{}", params.join("&")) }
}

/// Whether a request asks a model or a workflow for an answer, if the server does not refuse it.
fn generates(method: &str, path: &str) -> bool {
    let path = path.split('?').next().unwrap_or_default();
    let workflow = path.starts_with("/workflows/") && path.ends_with("/run");
    method == "POST" && (matches!(path, "/chat-messages" | "/completion-messages") || workflow)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "
difyprobe: 1
id: a.b
title: t
target: { app: [chat, completion] }
steps:
  - id: hello
    chat: { query: hi, during: { after-events: 1, steps: [{ id: halt, stop: { task: \"${{ task }}\" } }] } }
    capture: { task: $.task_id }
  - id: many
    for-each: { n: [1, 2, 3] }
    request: { method: GET, path: \"/messages?limit=${{ n }}\" }
  - id: both
    parallel:
      times: 2
      branches:
        - [{ id: one, chat: { query: a, mode: blocking } }]
        - [{ id: two, info: {} }]
  - id: maybe
    conversations: { limit: 1 }
    capture: { c: $.data }
    or-skip: nothing there
  - id: later
    parameters: {}
finally:
  - id: gone
    delete: { conversation: \"${{ c }}\" }
";

    fn app(mode: AppMode) -> App {
        App { label: "x".into(), mode: Some(mode), inputs: Vec::new(), form_known: true, server_version: None }
    }

    fn run(mode: AppMode) -> PlannedRun {
        let scenario = crate::scenario::parse("a.yaml", TEXT)
            .unwrap_or_else(|d| panic!("{}", crate::scenario::render_all(&d, TEXT, false)));
        planned_run(&scenario, &app(mode))
    }

    #[test]
    fn steps_stand_with_method_path_and_how_often() {
        let lines: Vec<String> = run(AppMode::Chat)
            .steps
            .iter()
            .map(|s| format!("{} {} {} {} {}", s.depth, s.id, s.times, s.request.as_deref().unwrap_or("-"), s.note))
            .collect();
        assert_eq!(
            lines,
            [
                "0 hello 1 POST /chat-messages streaming ",
                "1 halt 1 POST /chat-messages/${{ task }}/stop while it streams",
                "0 many 3 GET /messages?limit=${{ n }} ",
                "0 both 1 - ",
                "1 one 2 POST /chat-messages blocking side by side",
                "1 two 2 GET /info side by side",
                "0 maybe 1 GET /conversations?user=${{ user }}&limit=1 may end the scenario here",
                "0 later 1 GET /parameters ",
                "0 gone 1 DELETE /conversations/${{ c }} finally",
            ]
        );
    }

    #[test]
    fn only_what_is_sent_whatever_the_answers_are_is_counted() {
        let run = run(AppMode::Chat);
        assert_eq!((run.at_least, run.generating), (1 + 3 + 2 + 2 + 1, 3));
    }

    #[test]
    fn paths_and_modes_follow_the_app() {
        let request = |mode, id: &str| {
            run(mode).steps.iter().find(|s| s.id == id).and_then(|s| s.request.clone()).unwrap_or_default()
        };
        assert_eq!(request(AppMode::Completion, "halt"), "POST /completion-messages/${{ task }}/stop");
        assert_eq!(request(AppMode::AgentChat, "one"), "POST /chat-messages streaming");
    }
}
