//! Area `chat`, what happens to `inputs` of later turns: the heart of the matter, and where documentation and servers differ.
//!
//! Three oracles say which policy a server follows, none of them the wording of a model: the inputs stored with a message
//! (`GET /messages`, found by message id, never by position); `inputs: {}` on a later turn while a variable is required;
//! and, on apps that repeat their labelled prompt, the part of the prompt before the history. The history itself repeats old
//! values, and `GET /conversations` shows the first turn's inputs under either policy: neither is used.

use super::notes::Notes;
use super::request::{Asked, Defect};
use super::rule::{CHATS, Judge, Load, Rule};
use super::run::{Conversation, Run, Turn};
use super::seen::Seen;
use super::stream::clip;
use crate::model::{App, Endpoint, Level};
use crate::profile::InputsPolicy;
use serde_json::{Map, Value};

/// What one later turn says about the policy.
struct Evidence<'r, 't> {
    oracle: &'static str,
    policy: Option<InputsPolicy>,
    turn: &'r Seen<'t>,
    shown_by: &'r Seen<'t>,
    saw: String,
}

fn sent_inputs<'s>(s: &'s Seen) -> Option<&'s Map<String, Value>> {
    s.sent.inputs()
}

/// Whether a variable is declared as text; without the form every variable that was sent as text counts.
fn takes_text(app: &App, variable: &str) -> bool {
    !app.form_known || app.inputs.iter().any(|f| f.variable == variable && f.kind.is_text())
}

/// A declared text variable whose value differs between the first turn and this one.
fn differing<'s>(app: &App, first: &'s Seen, later: &'s Seen) -> Option<(&'s str, &'s str, String)> {
    let (old, new) = (sent_inputs(first)?, sent_inputs(later)?);
    old.keys().filter(|variable| takes_text(app, variable)).find_map(|variable| {
        let was = old.get(variable)?.as_str()?;
        let is = new.get(variable)?.as_str()?;
        (was != is).then(|| (was, is, variable.clone()))
    })
}

fn evidence<'r, 't>(run: &'r Run<'t>, app: &'r App) -> Vec<Evidence<'r, 't>> {
    let mut found = Vec::new();
    for conversation in run.conversations_of(app) {
        let Some(first) = conversation.first() else { continue };
        for turn in conversation.turns.iter().skip(1) {
            found.extend(stored_evidence(run, app, conversation, first, turn));
            found.extend(echo_evidence(run, app, first, turn));
        }
        found.extend(empty_evidence(run, app, conversation));
    }
    found
}

fn stored_evidence<'r, 't>(
    run: &'r Run<'t>,
    app: &'r App,
    conversation: &'r Conversation,
    first: &'r Turn,
    turn: &'r Turn,
) -> Option<Evidence<'r, 't>> {
    let (was, is, variable) = differing(app, run.at(first), run.at(turn))?;
    let (read, item) = run.stored(app, conversation, turn).into_iter().next()?;
    let stored = item.get("inputs").and_then(|i| i.get(&variable)).cloned();
    if stored.is_none() && !app.form_known {
        return None; // may well be an undeclared variable, which is dropped
    }
    let stored = stored.unwrap_or(Value::Null);
    let policy = match stored.as_str() {
        Some(text) if text == is => Some(InputsPolicy::Applied),
        Some(text) if text == was => Some(InputsPolicy::Ignored),
        _ => None,
    };
    let saw = format!(
        "stored inputs with `{variable}` = {} (first turn `{}`, this turn `{}`)",
        clip(&stored.to_string()),
        clip(was),
        clip(is)
    );
    Some(Evidence { oracle: "stored", policy, turn: run.at(turn), shown_by: read, saw })
}

fn echo_evidence<'r, 't>(run: &'r Run<'t>, app: &'r App, first: &'r Turn, turn: &'r Turn) -> Option<Evidence<'r, 't>> {
    let seen = run.at(turn);
    let (was, is, variable) = differing(app, run.at(first), seen)?;
    let answer = seen.answer().filter(|a| turn.completed && a.contains(&format!("user: {}", turn.query)))?;
    let head = &answer[..answer.find("user: ")?];
    let policy = match (head.contains(is), head.contains(was)) {
        (true, false) => InputsPolicy::Applied,
        (false, true) => InputsPolicy::Ignored,
        _ => return None,
    };
    let saw = format!(
        "a prompt that starts `{}` (`{variable}`: first turn `{}`, this turn `{}`)",
        clip(head),
        clip(was),
        clip(is)
    );
    Some(Evidence { oracle: "echo", policy: Some(policy), turn: seen, shown_by: seen, saw })
}

/// `inputs: {}` on a later turn while the form requires a variable: validated (400) or not (200).
fn empty_evidence<'r, 't>(run: &'r Run<'t>, app: &'r App, conversation: &'r Conversation) -> Vec<Evidence<'r, 't>> {
    let asks = |s: &&Seen| {
        s.sent.conversation == Asked::Id(conversation.id.clone())
            && s.sent.user.as_deref() == Some(&conversation.user)
            && !s.sent.defects.is_empty()
            && s.sent.defects.iter().all(|d| matches!(d, Defect::InputMissing(_)))
            && conversation.alive_during(s)
    };
    let calls = run.calls(app, Endpoint::ChatMessages).filter(asks);
    calls
        .filter_map(|s| {
            let policy = match s.exchange.status() {
                200 => Some(InputsPolicy::Ignored),
                400 if s.error_code() == Some("invalid_param") => Some(InputsPolicy::Applied),
                _ => return None,
            };
            let saw = format!("{} to a later turn without the required inputs", s.outcome_text());
            Some(Evidence { oracle: "empty-inputs", policy, turn: s, shown_by: s, saw })
        })
        .collect()
}

fn demand(run: &Run, app: &App, policy: InputsPolicy, expected: &str, n: &mut Notes) {
    for e in evidence(run, app) {
        let holds = e.policy == Some(policy);
        n.expect(holds, e.turn, e.oracle, expected, || e.saw.clone());
        if !holds && e.shown_by.exchange.id != e.turn.exchange.id {
            n.with(e.shown_by);
        }
    }
}

/// Source: developing-with-APIs guide (to July 2026): with an existing conversation_id new `inputs` are ignored. Dify did that
/// until 0.15.3 and applies them since 1.0 (langgenius/dify PR 7955).
fn ignored_on_continuation(run: &Run, app: &App, n: &mut Notes) {
    demand(run, app, InputsPolicy::Ignored, "the first turn's inputs in force; only `query` processed", n);
}

/// Source: langgenius/dify PR 7955, issues 7952, 13588, 20051. Judged where a version profile describes the server.
fn applied_on_continuation(run: &Run, app: &App, n: &mut Notes) {
    if run.profile.window.is_some() {
        demand(run, app, InputsPolicy::Applied, "each turn run with, and stored with, its own inputs", n);
    }
}

/// Source: langgenius/dify PR 7955 ("takes effect every time").
fn consistent_policy(run: &Run, app: &App, n: &mut Notes) {
    let all = evidence(run, app);
    let Some((first, reference)) = all.iter().find_map(|e| e.policy.map(|p| (p, e))) else { return };
    for e in &all {
        let holds = e.policy.is_none_or(|p| p == first);
        n.expect(
            holds,
            e.turn,
            "mixed",
            format!("{first:?} as in exchange {}", reference.turn.exchange.id).to_lowercase(),
            || e.saw.clone(),
        );
        if !holds {
            n.with(reference.turn);
        }
    }
}

/// First turn's declared text and number inputs, as sent.
fn declared<'s>(app: &'s App, s: &'s Seen) -> Vec<(&'s str, &'s Value)> {
    let Some(inputs) = sent_inputs(s) else { return Vec::new() };
    let plain = app.inputs.iter().filter(|f| f.kind.is_text() || f.kind == crate::model::ControlKind::Select);
    plain.filter_map(|f| inputs.get(&f.variable).filter(|v| v.is_string()).map(|v| (f.variable.as_str(), v))).collect()
}

/// Source: OpenAPI `Conversation.inputs`; real bug: langgenius/dify issue 18482.
fn first_turn_stored(run: &Run, app: &App, n: &mut Notes) {
    each_listing(run, app, n, |first, later, item, list, n| {
        if !later {
            for (variable, sent) in declared(app, first) {
                let stored = item.get("inputs").and_then(|i| i.get(variable));
                n.expect(stored == Some(sent), list, "stored", format!("inputs with `{variable}` = {sent}"), || {
                    format!("{:?}", stored)
                });
            }
        }
    });
}

/// Source: Dify source: `Conversation.inputs` is written once. Holds under either policy.
fn conversation_frozen(run: &Run, app: &App, n: &mut Notes) {
    each_listing(run, app, n, |first, later, item, list, n| {
        if later {
            for (variable, sent) in declared(app, first) {
                let Some(stored) = item.get("inputs").and_then(|i| i.get(variable)) else { continue };
                n.expect(stored == sent, list, "changed", format!("the first turn's `{variable}` = {sent}"), || {
                    stored.to_string()
                });
            }
        }
    });
}

fn each_listing(run: &Run, app: &App, n: &mut Notes, judge: impl Fn(&Seen, bool, &Value, &Seen, &mut Notes)) {
    for conversation in run.conversations_of(app) {
        let Some(first) = conversation.first() else { continue };
        for list in run.lists(app).filter(|l| l.user == conversation.user) {
            let Some(item) = list.item(&conversation.id) else { continue };
            let before: Vec<&Turn> = conversation.turns_before(list.seen).collect();
            if before.is_empty() {
                continue;
            }
            let changed = before.iter().any(|t| differing(app, run.at(first), run.at(t)).is_some());
            judge(run.at(first), changed, item, list.seen, n);
        }
    }
}

fn no_text_input(_: &Run, app: &App) -> Option<String> {
    app.text_input().is_none().then(|| "the app's form declares no text variable".to_owned())
}

fn no_text_input_or_documented(run: &Run, app: &App) -> Option<String> {
    if run.profile.window.is_none() {
        return Some("the documented profile promises that later inputs are ignored".to_owned());
    }
    no_text_input(run, app)
}

/// The rows of this area.
pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "chat.inputs.first-turn-stored",
        area: "chat",
        level: Level::Must,
        title: "First-turn inputs are stored on the conversation",
        statement: "GET /conversations returns the inputs given on the first turn (declared variables only).",
        source: "spec ConversationListItem.inputs; src Conversation.inputs",
        modes: CHATS,
        tested: "First turn inputs {v:N1}. Assert list item inputs[v]==N1.",
        versions: None,
        load: Load::Sampled,
        judge: Judge::Run(first_turn_stored),
        absent: no_text_input,
    },
    Rule {
        id: "chat.inputs.conversation-frozen",
        area: "chat",
        level: Level::Must,
        title: "Conversation-level inputs never change after turn 1",
        statement: "Whatever inputs later turns send, the conversation's own inputs stay those of the first turn. Holds in the sources examined (0.6-era excerpt and 1.12.1, on both sides of PR #7955), therefore the portable half of the input rule.",
        source: "src _init_generate_records (Conversation.inputs only set on creation)",
        modes: CHATS,
        tested: "Turn 1 {v:N1}, turn 2 same C {v:N2}. GET /conversations: inputs[v]==N1.",
        versions: None,
        load: Load::Sampled,
        judge: Judge::Run(conversation_frozen),
        absent: no_text_input,
    },
    Rule {
        id: "chat.inputs.ignored-on-continuation",
        area: "chat",
        level: Level::Must,
        title: "New inputs on an existing conversation are ignored",
        statement: "When a conversation_id is passed, new `inputs` have no effect and only `query` is processed; the message of turn 2 is stored with the first turn's inputs.",
        source: "documentation (to July 2026); olddoc developing-with-apis.mdx \"Key considerations\" (present until docs commit 7ccb166c, 2026-07-09); src <=0.15.x chat/app_generator.py `inputs=conversation.inputs if conversation else ...`",
        modes: CHATS,
        tested: "Turn 1 {v:N1}; turn 2 C {v:N2}. Oracle A: GET /messages item2.inputs[v]==N1. Oracle B (chatflow): workflow_started.data.inputs[v]==N1. Oracle C (echo app): answer 2 shows N1. Pick expectation from profile inputs_on_continuation = ignored | applied | either.",
        versions: Some("ignored: <=0.15.x; applied: >=1.0.0 (PR #7955; issues #7952 #13588 #20051)"),
        load: Load::Sampled,
        judge: Judge::Run(ignored_on_continuation),
        absent: no_text_input,
    },
    Rule {
        id: "chat.inputs.applied-on-continuation",
        area: "chat",
        level: Level::Should,
        title: "(>=1.0 profile) New inputs are used and stored per message",
        statement: "On Dify >=1.0 each turn is run with its own inputs: message n stores the inputs of request n, and required variables are validated again on every turn.",
        source: "src 1.12.1 chat/app_generator.py:_prepare_user_inputs on every call; issue #20051",
        modes: CHATS,
        tested: "Same two turns; item2.inputs[v]==N2. Turn 3 without required v: 400 invalid_param.",
        versions: None,
        load: Load::Sampled,
        judge: Judge::Run(applied_on_continuation),
        absent: no_text_input_or_documented,
    },
    Rule {
        id: "chat.inputs.consistent-policy",
        area: "chat",
        level: Level::Should,
        title: "One input policy per server",
        statement: "Whichever policy a server follows, it follows it for every conversation, app mode, response mode and under load.",
        source: "derived from the two rules above",
        modes: CHATS,
        tested: "Classify each sampled turn 2 as ignored/applied; assert a single class per app over the run.",
        versions: None,
        load: Load::Sampled,
        judge: Judge::Run(consistent_policy),
        absent: no_text_input,
    },
];
