//! The JSON body of a chat turn, a completion or a workflow run.

use super::scope::Names;
use crate::model::AppMode;
use crate::scenario::ast::{ResponseMode, Turn};
use crate::scenario::template::TemplateError;
use serde_json::{Map, Value, json};

/// Why a request could not be put together.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A template names something that is not there, most often a capture that did not come.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// No legal value for a required input could be made up.
    #[error("{0}")]
    Fill(String),
    /// The content of a file is no content.
    #[error("{0}")]
    File(String),
    /// The body is not one that the documentation allows, and nothing says that this is meant.
    #[error("{0}")]
    Invalid(String),
    /// The action is not one request.
    #[error("`{0}` is not a request")]
    NotARequest(&'static str),
}

/// Which operation a turn goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TurnKind {
    /// `POST /chat-messages`
    Chat,
    /// `POST /completion-messages`
    Completion,
    /// `POST /workflows/run`
    Workflow,
}

/// What a body takes from outside the step.
pub struct TurnContext<'a> {
    /// Mode of the app; `None` where it is not known.
    pub app_mode: Option<AppMode>,
    /// Response mode of the scenario.
    pub mode: ResponseMode,
    /// Values for the required inputs, or why there are none.
    pub filled: &'a Result<Map<String, Value>, String>,
    /// End user.
    pub user: &'a str,
    /// What templates see.
    pub names: Names<'a>,
}

/// The body of a turn. Members stand in the order of the documentation's examples.
///
/// # Errors
/// A template that cannot be rendered, or a required input that cannot be filled.
pub fn turn_body(turn: &Turn, kind: TurnKind, context: &TurnContext<'_>) -> Result<Map<String, Value>, BuildError> {
    let names = context.names;
    let mut body = Map::with_capacity(6 + turn.with.len());
    body.insert("inputs".into(), Value::Object(inputs(turn, context)?));
    if let Some(query) = &turn.query {
        body.insert("query".into(), names.json(query)?);
    }
    body.insert("response_mode".into(), json!(response_mode(turn, context)));
    if let Some(conversation) = &turn.conversation {
        body.insert("conversation_id".into(), names.json(conversation)?);
    }
    body.insert("user".into(), json!(context.user));
    if kind == TurnKind::Chat {
        body.insert("auto_generate_name".into(), json!(turn.auto_name.unwrap_or(false)));
    }
    for (name, value) in &turn.with {
        body.insert(name.clone(), names.json(value)?);
    }
    for name in &turn.omit {
        body.shift_remove(name);
    }
    Ok(body)
}

fn inputs(turn: &Turn, context: &TurnContext<'_>) -> Result<Map<String, Value>, BuildError> {
    let mut inputs = Map::new();
    let mut given = Map::new();
    for (name, value) in &turn.inputs {
        given.insert(context.names.text(name)?, context.names.json(value)?);
    }
    if !turn.no_fill {
        match context.filled {
            Ok(filled) => inputs.extend(filled.clone()),
            // A scenario that gives inputs itself knows the app; the server is asked then.
            Err(_) if !given.is_empty() => {}
            Err(reason) => return Err(BuildError::Fill(reason.clone())),
        }
    }
    inputs.extend(given);
    for name in &turn.omit_inputs {
        inputs.shift_remove(&context.names.text(name)?);
    }
    Ok(inputs)
}

fn response_mode(turn: &Turn, context: &TurnContext<'_>) -> &'static str {
    let wanted = turn.mode.unwrap_or(context.mode);
    match wanted {
        ResponseMode::Blocking if context.app_mode.is_none_or(AppMode::can_block) => "blocking",
        ResponseMode::Blocking | ResponseMode::Streaming => "streaming",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::template::Renderer;

    fn body(turn: &Turn, kind: TurnKind, mode: AppMode) -> Value {
        let filled = Ok(json!({"name": "amber"}).as_object().unwrap().clone());
        let (renderer, values) = (Renderer::new(1), json!({}));
        let context = TurnContext {
            app_mode: Some(mode),
            mode: ResponseMode::Blocking,
            filled: &filled,
            user: "u1",
            names: Names { renderer: &renderer, values: &values, base: &Value::Null },
        };
        Value::Object(turn_body(turn, kind, &context).unwrap())
    }

    #[test]
    fn a_plain_turn_has_the_documented_members_in_order() {
        let turn = Turn { query: Some(json!("hi")), ..Turn::default() };
        assert_eq!(
            body(&turn, TurnKind::Chat, AppMode::Chat).to_string(),
            r#"{"inputs":{"name":"amber"},"query":"hi","response_mode":"blocking","user":"u1","auto_generate_name":false}"#
        );
        assert_eq!(
            body(&Turn::default(), TurnKind::Completion, AppMode::Completion).to_string(),
            r#"{"inputs":{"name":"amber"},"response_mode":"blocking","user":"u1"}"#
        );
    }

    #[test]
    fn agents_are_never_asked_to_block() {
        for (mode, sent) in
            [(AppMode::AgentChat, "streaming"), (AppMode::Agent, "streaming"), (AppMode::Chat, "blocking")]
        {
            assert_eq!(body(&Turn::default(), TurnKind::Chat, mode)["response_mode"], sent);
        }
    }

    #[test]
    fn given_inputs_lie_over_filled_ones_and_members_can_be_replaced_or_left_out() {
        let turn = Turn {
            inputs: vec![("name".into(), json!(5)), ("more".into(), json!(null))],
            omit_inputs: vec!["more".into()],
            with: vec![("user".into(), json!([])), ("files".into(), json!([1]))],
            omit: vec!["response_mode".into(), "auto_generate_name".into()],
            ..Turn::default()
        };
        assert_eq!(
            body(&turn, TurnKind::Chat, AppMode::Chat).to_string(),
            r#"{"inputs":{"name":5},"user":[],"files":[1]}"#
        );
        let bare = Turn { no_fill: true, ..Turn::default() };
        assert_eq!(body(&bare, TurnKind::Chat, AppMode::Chat)["inputs"], json!({}));
    }

    #[test]
    fn an_input_that_cannot_be_filled_is_told_unless_the_scenario_gives_inputs() {
        let filled = Err("a file is required".to_owned());
        let (renderer, values) = (Renderer::new(1), json!({}));
        let names = Names { renderer: &renderer, values: &values, base: &Value::Null };
        let context = TurnContext { app_mode: None, mode: ResponseMode::Streaming, filled: &filled, user: "u", names };
        let error = turn_body(&Turn::default(), TurnKind::Chat, &context).unwrap_err();
        assert_eq!(error.to_string(), "a file is required");
        let given = Turn { inputs: vec![("f".into(), json!({}))], ..Turn::default() };
        assert!(turn_body(&given, TurnKind::Chat, &context).is_ok());
    }
}
