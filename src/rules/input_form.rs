//! Area `request-validation`, declared inputs: lengths, options, types, undeclared ones, defaults.

use super::echo::needs_echo;
use super::notes::Notes;
use super::request::Defect;
use super::rule::{ANY, CHATS, Judge, Load, Rule, always};
use super::run::{Conversation, Run};
use super::seen::Seen;
use super::stream::clip;
use crate::model::{App, AppMode, ControlKind, Endpoint, InputField, Level};
use serde_json::Value;

/// Whether inputs are validated in any version: first turns, completions, workflow runs.
fn opens(s: &Seen) -> bool {
    s.endpoint().generates() && (s.endpoint() != Endpoint::ChatMessages || s.sent.starts_conversation())
}

/// The declared inputs that a request gives, with their values.
fn given<'s>(s: &'s Seen) -> impl Iterator<Item = (&'s InputField, &'s Value)> {
    let inputs = s.sent.inputs();
    s.app.inputs.iter().filter_map(move |f| Some((f, inputs?.get(&f.variable).filter(|v| !v.is_null())?)))
}

/// The one input that is wrong with a request, and nothing else is.
fn only_bad_input<'s>(s: &'s Seen) -> Option<(&'s InputField, &'s Value)> {
    let [Defect::InputInvalid(variable)] = s.sent.defects.as_slice() else { return None };
    given(s).find(|(f, _)| f.variable == *variable).filter(|_| opens(s))
}

/// Refused because of this input, as far as the message tells.
fn refused_for(s: &Seen, field: &InputField) -> bool {
    s.refused_as_sent() && s.error_message().is_some_and(|m| m.contains(field.variable.as_str()))
}

/// Values of a valid request that a rule is about must not be refused.
fn accepted(s: &Seen, n: &mut Notes, check: &'static str, fits: impl Fn(&InputField, &Value) -> bool) {
    if !opens(s) || !s.sent.valid() || s.exchange.reply.is_none() {
        return;
    }
    for (field, value) in given(s).filter(|(f, v)| fits(f, v)) {
        let expected = format!("`{}` = {} to be accepted", field.variable, clip(&value.to_string()));
        n.expect(!refused_for(s, field), s, check, expected, || s.outcome_text());
    }
}

fn length(value: &Value) -> Option<u64> {
    value.as_str().map(|text| text.chars().count() as u64)
}

/// Source: OpenAPI `TextInputControl.max_length`; the greatest length itself is legal, whatever the message says.
fn max_length(s: &Seen, n: &mut Notes) {
    if only_bad_input(s).is_some_and(|(f, v)| f.kind.is_text() && v.is_string()) {
        n.refused(s, 400, "invalid_param");
    }
    accepted(s, n, "greatest-length", |f, v| f.kind.is_text() && f.max_length.is_some() && length(v) == f.max_length);
}

/// Source: OpenAPI `SelectControl.options`. The empty text for an optional select is left out.
fn select_options(s: &Seen, n: &mut Notes) {
    let outside =
        |(f, v): (&InputField, &Value)| f.kind == ControlKind::Select && v.as_str().is_some_and(|t| !t.is_empty());
    if only_bad_input(s).is_some_and(outside) {
        n.refused(s, 400, "invalid_param");
    }
    accepted(s, n, "listed-option", |f, v| f.kind == ControlKind::Select && v.is_string());
}

/// Source: Dify source, `_validate_inputs`. Lists for a number are left out: versions differ.
fn types(s: &Seen, n: &mut Notes) {
    let mistyped = |(f, v): (&InputField, &Value)| match f.kind {
        ControlKind::Text | ControlKind::Paragraph | ControlKind::Select => !v.is_string(),
        ControlKind::Number => v.is_string(),
        _ => false,
    };
    if only_bad_input(s).is_some_and(mistyped) {
        n.refused(s, 400, "invalid_param");
    }
    accepted(s, n, "numeric-text", |f, v| f.kind == ControlKind::Number && v.is_string());
}

/// Inputs stored with a conversation, as every read of it after its first turn shows them.
fn stored_inputs<'r, 't>(
    run: &'r Run<'t>,
    app: &'r App,
    conversation: &'r Conversation,
) -> Vec<(&'r Seen<'t>, &'r Value)> {
    let Some(first) = conversation.first() else { return Vec::new() };
    let lists =
        run.lists(app).filter(|l| l.user == conversation.user && l.seen.exchange.timing.sent_us >= first.ended_us);
    let listed = lists.filter_map(|l| l.item(&conversation.id).map(|item| (l.seen, item)));
    let items = listed.chain(run.stored(app, conversation, first));
    items.filter_map(|(read, item)| Some((read, item.get("inputs").filter(|i| i.is_object())?))).collect()
}

/// Source: Dify source, `_prepare_user_inputs` goes through the declared variables.
fn undeclared_dropped(run: &Run, app: &App, n: &mut Notes) {
    let declared = |name: &str| app.inputs.iter().any(|f| f.variable == name);
    for conversation in run.conversations_of(app).filter(|_| app.form_known) {
        let Some(first) = conversation.first() else { continue };
        let sent = run.at(first).sent.inputs();
        let Some(extra) = sent.and_then(|i| i.keys().find(|name| !declared(name))) else { continue };
        for (read, inputs) in stored_inputs(run, app, conversation) {
            let kept = inputs.as_object().and_then(|i| i.keys().find(|name| !declared(name)));
            n.expect(kept.is_none(), read, "stored", format!("no `{extra}` among the stored inputs"), || {
                format!("stored inputs {}", clip(&inputs.to_string()))
            });
            if kept.is_some() {
                n.with(run.at(first));
            }
        }
    }
}

/// The optional inputs with a default that a request leaves out.
fn left_out<'s>(s: &'s Seen) -> impl Iterator<Item = (&'s InputField, &'s Value)> {
    let inputs = s.sent.inputs();
    let absent = move |f: &&InputField| inputs.is_some_and(|i| i.get(&f.variable).is_none_or(Value::is_null));
    s.app.inputs.iter().filter(|f| !f.required).filter(absent).filter_map(|f| Some((f, f.default.as_ref()?)))
}

/// Source: OpenAPI `TextInputControl.default`. Two oracles: the inputs stored with a conversation, and for completions an
/// app that repeats its prompt. A default that is empty or null is none.
fn default_applied(run: &Run, app: &App, n: &mut Notes) {
    for conversation in run.conversations_of(app) {
        let Some(first) = conversation.first().map(|t| run.at(t)) else { continue };
        for (read, inputs) in stored_inputs(run, app, conversation) {
            for (field, default) in left_out(first) {
                let stored = inputs.get(&field.variable).unwrap_or(&Value::Null);
                let expected = format!("`{}` stored with its default {default}", field.variable);
                n.expect(stored == default, read, "stored", expected, || clip(&stored.to_string()));
            }
        }
    }
    for s in run.calls(app, Endpoint::CompletionMessages).filter(|s| s.sent.valid() && s.completed()) {
        let Some(answer) = s.answer() else { continue };
        for (field, default) in left_out(s) {
            let Some(text) = default.as_str().filter(|t| t.len() >= 4) else { continue };
            let Some(shown_by) = shown_when_given(run, s, field, text) else { continue };
            let expected = format!("the default `{text}` of `{}` in the prompt", field.variable);
            if !n.expect(answer.contains(text), s, "echo", expected, || clip(&answer)) {
                n.with(shown_by);
            }
        }
    }
}

/// A completion that gave this value and nothing else otherwise, and whose answer repeats it.
fn shown_when_given<'r, 't>(run: &'r Run<'t>, s: &'r Seen, field: &InputField, text: &str) -> Option<&'r Seen<'t>> {
    let rest = |s: &Seen| {
        let mut inputs = s.sent.inputs().cloned().unwrap_or_default();
        inputs.shift_remove(&field.variable);
        (inputs, s.sent.query().map(str::to_owned))
    };
    let wanted = rest(s);
    run.calls(s.app, Endpoint::CompletionMessages).filter(|o| o.sent.valid() && o.completed()).find(|o| {
        let given = o.sent.inputs().and_then(|i| i.get(&field.variable)).and_then(Value::as_str);
        given == Some(text) && rest(o) == wanted && o.answer().is_some_and(|a| a.contains(text))
    })
}

fn no_limited(_: &Run, app: &App) -> Option<String> {
    app.limited_input().is_none().then(|| "the app's form has no text variable with a greatest length".to_owned())
}

fn no_select(_: &Run, app: &App) -> Option<String> {
    app.input_of(ControlKind::Select).is_none().then(|| "the app's form has no select".to_owned())
}

fn no_typed(_: &Run, app: &App) -> Option<String> {
    app.inputs.is_empty().then(|| "the app's form has no variables".to_owned())
}

fn no_default(_: &Run, app: &App) -> Option<String> {
    if app.defaulted_input().is_none() {
        return Some("the app's form has no optional variable with a default".to_owned());
    }
    (app.mode == Some(AppMode::Completion)).then(|| needs_echo("the answers do not repeat what was sent"))
}

/// The rows of this area.
pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "req.input.max-length",
        area: "request-validation",
        level: Level::Should,
        title: "Over-long text input is refused",
        statement: "A text/paragraph value longer than max_length (in characters) gives 400 `invalid_param`; max_length itself is legal.",
        source: "src base_app_generator.py:_validate_inputs",
        modes: ANY,
        tested: "One character more than max_length: 400 invalid_param; exactly max_length characters: accepted.",
        versions: None,
        load: Load::No,
        judge: Judge::Exchange(max_length),
        absent: no_limited,
    },
    Rule {
        id: "req.input.select-options",
        area: "request-validation",
        level: Level::Should,
        title: "Select values are checked",
        statement: "A value outside the select options gives 400 `invalid_param`.",
        source: "spec SelectControl.options; src _validate_inputs",
        modes: ANY,
        tested: "Send \"__nope__\". Assert 400; a listed option: 200.",
        versions: None,
        load: Load::No,
        judge: Judge::Exchange(select_options),
        absent: no_select,
    },
    Rule {
        id: "req.input.types",
        area: "request-validation",
        level: Level::Should,
        title: "Value types are checked per control",
        statement: "number controls take numbers or numeric strings; text and select controls only strings.",
        source: "src _validate_inputs",
        modes: ANY,
        tested: "number \"abc\": 400; number \"12\": accepted; text 5: 400. Lists for a number are left out (500 on 1.12.1, accepted by 0.15.3), and so are file controls.",
        versions: None,
        load: Load::No,
        judge: Judge::Exchange(types),
        absent: no_typed,
    },
    Rule {
        id: "req.input.undeclared-dropped",
        area: "request-validation",
        level: Level::Should,
        title: "Undeclared inputs are dropped",
        statement: "Keys not declared in user_input_form are not stored: the stored inputs hold declared variables only (omitted optional ones may appear as null).",
        source: "src base_app_generator.py:_prepare_user_inputs (iterates declared variables)",
        modes: CHATS,
        tested: "New conversation with an undeclared input beside the declared ones; GET /conversations and GET /messages show it nowhere.",
        versions: None,
        load: Load::No,
        judge: Judge::Run(undeclared_dropped),
        absent: always,
    },
    Rule {
        id: "req.input.default-applied",
        area: "request-validation",
        level: Level::Should,
        title: "Defaults apply to omitted optional variables",
        statement: "An omitted optional variable takes the default shown by GET /parameters; an empty or null default is none.",
        source: "spec TextInputControl.default; src _validate_inputs (variable_entity.default)",
        modes: ANY,
        tested: "Leave out an optional variable that has a default. Chat: the stored inputs hold the default. Completion: an echo app's prompt holds it. Not measured on a real server: no measured app had a default.",
        versions: None,
        load: Load::No,
        judge: Judge::Run(default_applied),
        absent: no_default,
    },
];
