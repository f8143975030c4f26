//! Area `request-validation`, operations that do not serve the mode of the key's app.

use super::notes::Notes;
use super::request::{Defect, canonical_uuid};
use super::rule::{Judge, Load, Rule, always};
use super::seen::Seen;
use crate::model::{AppMode, Endpoint, Level};

/// Modes without conversations.
const NOT_CHAT: &[AppMode] = &[AppMode::Completion, AppMode::Workflow];
/// Modes other than completion, of those that were measured.
const NOT_COMPLETION: &[AppMode] = &[AppMode::Chat, AppMode::AgentChat, AppMode::AdvancedChat, AppMode::Workflow];
/// Modes that no workflow operation serves; run details also serve chatflows.
const NOT_WORKFLOW: &[AppMode] = &[AppMode::Chat, AppMode::AgentChat, AppMode::Completion];

/// The key is the app's own and the user is named: a missing user is told first.
fn named(s: &Seen) -> bool {
    s.has_key() && s.sent.user.as_deref().is_some_and(|u| !u.is_empty() && u != "null")
}

/// Source: OpenAPI 400 `not_chat_app`.
fn chat(s: &Seen, n: &mut Notes) {
    if !s.app.mode.is_some_and(|m| NOT_CHAT.contains(&m)) {
        return;
    }
    let telling = match s.endpoint() {
        Endpoint::ChatMessages => s.sent.only(&Defect::WrongApp),
        Endpoint::Conversations | Endpoint::ChatStop => named(s),
        Endpoint::Messages => {
            named(s) && s.route.param("conversation_id").is_some_and(|id| canonical_uuid(id).is_some())
        }
        _ => false,
    };
    if telling && s.exchange.reply.is_some() {
        n.refused(s, 400, "not_chat_app");
    }
}

/// Source: OpenAPI 400 `app_unavailable`, the documented, if odd, code.
fn completion(s: &Seen, n: &mut Notes) {
    if !s.app.mode.is_some_and(|m| NOT_COMPLETION.contains(&m)) {
        return;
    }
    let telling = match s.endpoint() {
        Endpoint::CompletionMessages => s.sent.only(&Defect::WrongApp),
        Endpoint::CompletionStop => named(s),
        _ => false,
    };
    if telling && s.exchange.reply.is_some() && n.expect(s.is(400), s, "status", "status 400", || s.outcome_text()) {
        let code = matches!(s.error_code(), Some("app_unavailable" | "not_completion_app"));
        n.expect(code, s, "code", "error code `app_unavailable`", || s.outcome_text());
    }
}

/// Source: OpenAPI 400 `not_workflow_app`.
fn workflow(s: &Seen, n: &mut Notes) {
    if !s.app.mode.is_some_and(|m| NOT_WORKFLOW.contains(&m)) {
        return;
    }
    let telling = match s.endpoint() {
        Endpoint::WorkflowRun => s.sent.only(&Defect::WrongApp),
        Endpoint::WorkflowStop => named(s),
        Endpoint::WorkflowRunDetail => {
            s.has_key() && s.route.ids.first().is_some_and(|id| canonical_uuid(id).is_some())
        }
        _ => false,
    };
    let no_such_route = s.is(404) && s.json.is_none();
    if telling && s.exchange.reply.is_some() && !no_such_route {
        n.refused(s, 400, "not_workflow_app");
    }
}

/// The rows of this area.
pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "req.wrong-mode.chat",
        area: "request-validation",
        level: Level::Must,
        title: "Chat endpoints refuse non-chat apps",
        statement: "A completion or workflow key on chat endpoints gives 400 `not_chat_app`.",
        source: "spec 400 not_chat_app; src NotChatAppError",
        modes: NOT_CHAT,
        tested: "A turn, the list, a history and a stop with the key of a completion or workflow app, user given. Assert 400 not_chat_app.",
        versions: None,
        load: Load::No,
        judge: Judge::Exchange(chat),
        absent: always,
    },
    Rule {
        id: "req.wrong-mode.completion",
        area: "request-validation",
        level: Level::Must,
        title: "/completion-messages refuses non-completion apps",
        statement: "Any other mode gets 400 `app_unavailable` (the documented, if odd, code).",
        source: "spec 400 app_unavailable; src completion.py:CompletionApi",
        modes: NOT_COMPLETION,
        tested: "A completion and the stop of one with the key of another app. Assert 400; code app_unavailable (not_completion_app tolerated).",
        versions: None,
        load: Load::No,
        judge: Judge::Exchange(completion),
        absent: always,
    },
    Rule {
        id: "req.wrong-mode.workflow",
        area: "request-validation",
        level: Level::Must,
        title: "Workflow endpoints refuse other modes",
        statement: "Keys of chat, agent and completion apps get 400 `not_workflow_app`; run detail and event resume accept workflow and chatflow.",
        source: "spec 400; src workflow.py",
        modes: NOT_WORKFLOW,
        tested: "A run, the stop of one and a run's detail with such a key. Assert 400 not_workflow_app.",
        versions: None,
        load: Load::No,
        judge: Judge::Exchange(workflow),
        absent: always,
    },
];
