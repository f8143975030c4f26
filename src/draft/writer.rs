//! A flow -> steps and the row of what was said in it.

use super::flows::Flow;
use super::said::Seen;
use super::step::{Scope, Step};
use super::{expect, request, turn};
use crate::model::{AppMode, Endpoint, FaultClass};
use serde_json::{Map, Value};

/// A flow, written.
pub(super) struct Written {
    /// What it is: `conversation`, `completion`, `workflow` or `requests`.
    pub(super) kind: &'static str,
    /// Modes of apps that it fits, where the app's is not known.
    pub(super) modes: Vec<AppMode>,
    /// `streaming` or `blocking`.
    pub(super) mode: &'static str,
    pub(super) steps: Vec<Step>,
    pub(super) row: Map<String, Value>,
    /// What could not be written, behind the last step.
    pub(super) notes: Vec<String>,
    /// Exchanges that are in it.
    pub(super) exchanges: usize,
}

/// Writes the exchanges of a flow.
pub(super) fn write_flow(seen: &[Seen<'_>], flow: &Flow, app: Option<AppMode>) -> Written {
    let of: Vec<&Seen<'_>> = flow.iter().filter_map(|index| seen.get(*index)).collect();
    let turns: Vec<&&Seen<'_>> = of.iter().filter(|s| s.route.endpoint.generates()).collect();
    let mode = match turns.iter().find_map(|s| turn::mode_of(s)) {
        Some("blocking") => "blocking",
        _ => "streaming",
    };
    let (kind, modes) = kind(&of);
    let mut writer = Writer::new(app, mode);
    let mut at = 0;
    while let Some(one) = of.get(at) {
        let inside = of.iter().skip(at + 1).take_while(|later| is_inside(one, later)).count();
        writer.add(one, of.get(at + 1..at + 1 + inside).unwrap_or_default());
        at += 1 + inside;
        let next = of.get(at).map(|next| next.exchange.timing.sent_us);
        if let Some(step) = writer.steps.last_mut() {
            step.pause_us = next.map(|next| next.saturating_sub(one.exchange.ended_us()));
        }
    }
    writer.written(kind, modes, of.len())
}

/// Writes what belongs to no flow, each distinct request once; `None` where there is nothing.
pub(super) fn write_rest(seen: &[Seen<'_>], rest: &Flow, app: Option<AppMode>) -> Option<Written> {
    /// More distinct requests than this make no scenario that anybody reads.
    const MOST: usize = 100;
    let of: Vec<&Seen<'_>> = rest.iter().filter_map(|index| seen.get(*index)).collect();
    let mut writer = Writer::new(app, "streaming");
    let mut known: Vec<String> = Vec::new();
    for one in &of {
        let rows = writer.scope.row.len();
        let before = writer.steps.len();
        writer.add(one, &[]);
        let Some(step) = writer.steps.get(before) else { continue };
        // what is said in it does not make a request another one
        let mut alike = Step { id: String::new(), pause_us: None, ..step.clone() };
        (alike.user, alike.captures, alike.notes) = (None, Vec::new(), Vec::new());
        let names: Vec<String> = writer.scope.row.iter().skip(rows).map(|(name, _)| name.clone()).collect();
        let text = names.iter().fold(format!("{alike:?}"), |text, name| text.replace(name.as_str(), "_"));
        let text = writer.scope.users.anybody(text);
        let too_many = known.len() >= MOST && !known.contains(&text);
        if too_many {
            writer.pending.push(format!("Left out: {}, as {MOST} requests of other kinds are here.", one.shown()));
        }
        if too_many || known.contains(&text) {
            let dropped = writer.steps.split_off(before);
            writer.pending.extend(dropped.into_iter().flat_map(|step| step.notes));
            writer.scope.row.truncate(rows);
            writer.ids.truncate(before);
        } else {
            known.push(text);
        }
    }
    let (_, modes) = kind(&of);
    (!of.is_empty()).then(|| writer.written("requests", modes, of.len()))
}

/// Whether a request was sent to stop a stream that was still open.
fn is_inside(turn: &Seen<'_>, later: &Seen<'_>) -> bool {
    let sent = later.exchange.timing.sent_us;
    turn.reply.stream.is_some()
        && turn.route.endpoint.generates()
        && later.route.endpoint.stops()
        && sent < turn.exchange.ended_us()
        && turn.events_until(sent) > 0
}

fn kind(of: &[&Seen<'_>]) -> (&'static str, Vec<AppMode>) {
    let has = |endpoint: Endpoint| of.iter().any(|s| s.route.endpoint == endpoint);
    if has(Endpoint::CompletionMessages) {
        ("completion", vec![AppMode::Completion])
    } else if has(Endpoint::WorkflowRun) || has(Endpoint::WorkflowRunById) {
        ("workflow", vec![AppMode::Workflow])
    } else if has(Endpoint::ChatMessages) {
        ("conversation", AppMode::ALL.into_iter().filter(|m| m.is_chat()).collect())
    } else {
        ("requests", AppMode::ALL.to_vec())
    }
}

struct Writer {
    app: Option<AppMode>,
    mode: &'static str,
    scope: Scope,
    steps: Vec<Step>,
    /// Ids of steps so far.
    ids: Vec<String>,
    /// Comments for the next step.
    pending: Vec<String>,
}

impl Writer {
    fn new(app: Option<AppMode>, mode: &'static str) -> Writer {
        Writer { app, mode, scope: Scope::default(), steps: Vec::new(), ids: Vec::new(), pending: Vec::new() }
    }

    /// Adds an exchange, and what was sent while its stream was open.
    fn add(&mut self, seen: &Seen<'_>, inside: &[&Seen<'_>]) {
        let user = seen.user().map(|user| self.scope.users.stand_in(user));
        let id = self.new_id(seen);
        let made = if seen.route.endpoint.generates() {
            turn::step(seen, id.clone(), self.mode, &mut self.scope)
        } else {
            None
        };
        let (mut step, conversation) = match made {
            Some(made) => made,
            None => match request::step(seen, id.clone(), self.app, &mut self.scope) {
                Ok(step) => (step, None),
                Err(why) => {
                    self.ids.pop();
                    self.pending.push(format!("Left out: {}, as {why}.", seen.shown()));
                    return;
                }
            },
        };
        step.user = user.filter(|user| user != "${{ user }}");
        self.scope.learn(&id, seen);
        let mut notes = std::mem::take(&mut self.pending);
        notes.append(&mut step.notes);
        step.notes = notes;
        let stopped = !inside.is_empty();
        let left = seen.was_left();
        self.note_end(seen, &mut step);
        step.expects = expect::of(seen, conversation.as_deref(), !stopped && !left && seen.exchange.fault.is_none());
        if let Some(first) = inside.first() {
            let after = seen.events_until(first.exchange.timing.sent_us).max(1);
            let before = std::mem::take(&mut self.steps);
            inside.iter().for_each(|one| self.add(one, &[]));
            let steps = std::mem::replace(&mut self.steps, before);
            step.during = Some((after, steps)).filter(|(_, steps)| !steps.is_empty());
        }
        self.steps.push(step);
    }

    /// What the end of the recorded reply means for the step.
    fn note_end(&self, seen: &Seen<'_>, step: &mut Step) {
        let Some(fault) = &seen.exchange.fault else { return };
        if fault.class != FaultClass::Cancelled {
            let class = format!("{:?}", fault.class).to_lowercase();
            step.notes.push(format!("When this was recorded, the server did not finish its reply ({class})."));
        } else if seen.was_left() {
            match (seen.events(), step.action) {
                (events @ 1..=10_000, "chat" | "completion" | "workflow") => {
                    step.members.push(("hang-up-after".to_owned(), super::yaml::Node::word(events.to_string())));
                }
                _ => step
                    .notes
                    .push("The program hung up here before the reply was over; this step does not.".to_owned()),
            }
        }
    }

    /// An id for the next step, by what it does.
    fn new_id(&mut self, seen: &Seen<'_>) -> String {
        let name = match seen.route.endpoint {
            Endpoint::ChatMessages => "turn",
            Endpoint::CompletionMessages => "complete",
            Endpoint::WorkflowRun | Endpoint::WorkflowRunById => "run",
            Endpoint::Messages => "history",
            Endpoint::Conversations => "conversations",
            Endpoint::ConversationRename => "rename",
            Endpoint::ConversationDelete => "delete",
            Endpoint::Feedback => "feedback",
            Endpoint::ChatStop | Endpoint::CompletionStop | Endpoint::WorkflowStop => "stop",
            Endpoint::FileUpload => "upload",
            Endpoint::AudioToText => "speech",
            Endpoint::Info => "info",
            Endpoint::Parameters => "parameters",
            Endpoint::Suggested => "suggested",
            _ => "request",
        };
        let id = super::text::unused(name, |name| self.ids.iter().any(|id| *id == name.replace('_', "-")));
        let id = id.replace('_', "-");
        self.ids.push(id.clone());
        id
    }

    fn written(mut self, kind: &'static str, modes: Vec<AppMode>, exchanges: usize) -> Written {
        for (id, name, path) in self.scope.used {
            if let Some(step) = self.steps.iter_mut().find(|step| step.id == id) {
                step.captures.push((name, path));
            }
        }
        let row = self.scope.row.into_iter().collect();
        Written { kind, modes, mode: self.mode, steps: self.steps, row, notes: self.pending, exchanges }
    }
}
