//! The text of a first scenario.

use crate::flow;
use crate::model::{App, AppMode, ControlKind, InputField};
use crate::scenario::template::Renderer;
use serde_json::Value;

/// A scenario file, not yet written.
pub struct First {
    /// Path beside the settings.
    pub path: String,
    /// Content.
    pub text: String,
}

/// A scenario for an app, with the inputs that it declares.
pub fn first(app: &App) -> First {
    let mode = app.mode.unwrap_or(AppMode::Chat);
    let inputs = inputs(&app.inputs);
    let text = match mode {
        AppMode::Workflow => single(mode, "workflow", "", &inputs),
        AppMode::Completion => single(mode, "completion", "      query: \"What can you do?\"\n", &inputs),
        _ => chat(mode, &inputs),
    };
    First { path: format!("scenarios/{mode}-first.yaml"), text }
}

fn head(mode: AppMode, title: &str) -> String {
    format!(
        "# A first scenario. `difyprobe lint` checks it, `difyprobe check` judges it, `difyprobe load` runs it as a load.\n\
         # The language: docs/scenarios.md\n\
         difyprobe: 1\n\
         id: {mode}.first\n\
         title: {title}\n\
         target: {{ app: {mode} }}\n\
         steps:\n"
    )
}

fn chat(mode: AppMode, inputs: &str) -> String {
    head(mode, "A question, and a second one in the same conversation")
        + "  - id: question\n    chat:\n      query: \"What can you do?\"\n"
        + inputs
        + "    capture: { conversation: $.conversation_id }\n    expect:\n      - status: 200\n      \
           - answer: { is: non-empty }\n      - timing: { of: ttft, max: 20s }\n    think: 1s..3s\n"
        + "  - id: follow-up\n    chat:\n      query: \"Tell me more.\"\n      conversation: \"${{ conversation }}\"\n"
        + "    expect:\n      - status: 200\n      - json: { at: $.conversation_id, equals: \"${{ conversation }}\" }\n"
        + "finally:\n  - id: clean\n    delete: { conversation: \"${{ conversation }}\" }\n"
}

fn single(mode: AppMode, action: &str, query: &str, inputs: &str) -> String {
    let answer = if mode == AppMode::Workflow { "" } else { "      - answer: { is: non-empty }\n" };
    let body = format!("{query}{inputs}");
    // comments alone would leave the action empty
    let is_said = body.lines().any(|line| !line.trim_start().starts_with('#'));
    let body = if is_said { body } else { format!("      inputs: {{}}\n{body}") };
    head(mode, "One run, and what comes of it")
        + &format!("  - id: run\n    {action}:\n{body}    expect:\n      - status: 200\n{answer}")
        + "      - timing: { of: e2e, max: 60s }\n    think: 1s..3s\n"
}

/// The declared inputs: required ones filled, the others as comments.
fn inputs(fields: &[InputField]) -> String {
    let mut required = String::new();
    let mut others = String::new();
    for field in fields {
        let name = quoted(&field.variable);
        let about = about(field);
        let value =
            flow::fill(std::slice::from_ref(&InputField { required: true, ..field.clone() }), &Renderer::new(1));
        let value = value.ok().and_then(|made| made.get(&field.variable).cloned());
        match (field.required, value) {
            (true, Some(value)) => required += &format!("        {name}: {}  # {about}\n", json(&value)),
            (true, None) => {
                others += &format!("        # {name}: ...  required: {about}; give it yourself, see `upload`\n")
            }
            (false, Some(value)) => others += &format!("        # {name}: {}  # {about}\n", json(&value)),
            (false, None) => others += &format!("        # {name}: ...  # {about}\n"),
        }
    }
    match (required.is_empty(), others.is_empty()) {
        (true, true) => String::new(),
        (true, false) => format!("      # inputs:\n{others}"),
        (false, _) => {
            format!("      inputs:  # left out, difyprobe would fill the required ones by itself\n{required}{others}")
        }
    }
}

fn about(field: &InputField) -> String {
    let kind = match field.kind {
        ControlKind::Text => "a line of text",
        ControlKind::Paragraph => "text",
        ControlKind::Select => "one of",
        ControlKind::Number => "a number",
        ControlKind::Checkbox => "true or false",
        ControlKind::File => "a file",
        ControlKind::FileList => "files",
        ControlKind::Other => "of a kind that difyprobe does not know",
    };
    let mut text = kind.to_owned();
    if field.kind == ControlKind::Select {
        text = format!("{text} {}", field.options.iter().map(|o| one_line(o)).collect::<Vec<_>>().join(", "));
    }
    if let Some(most) = field.max_length {
        text += &format!(", at most {most} characters");
    }
    text
}

/// JSON is YAML; what a template would take for its own is left alone.
fn json(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        other => other.to_string(),
    }
}

/// A text of the server as a YAML scalar, in which nothing is a template.
fn quoted(text: &str) -> String {
    let escaped: String = Value::from(text.replace("${{", "$${{")).to_string();
    // YAML takes these for the end of a line; JSON does not
    escaped.chars().map(|c| if needs_escape(c) { format!("\\u{:04X}", u32::from(c)) } else { c.to_string() }).collect()
}

fn needs_escape(c: char) -> bool {
    matches!(c, '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{feff}')
}

/// A text of the server within a comment.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || needs_escape(c) { ' ' } else { c }).take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{parse, render_all};

    fn field(kind: ControlKind, variable: &str, required: bool) -> InputField {
        let options = vec!["a \" # b".to_owned(), "line\nbreak ${{ user }}".to_owned()];
        InputField { variable: variable.to_owned(), kind, required, max_length: Some(5), options, default: None }
    }

    #[test]
    fn every_mode_and_control_makes_a_scenario_without_problems() {
        let kinds = [
            ControlKind::Text,
            ControlKind::Paragraph,
            ControlKind::Select,
            ControlKind::Number,
            ControlKind::Checkbox,
            ControlKind::File,
            ControlKind::FileList,
            ControlKind::Other,
        ];
        let hostile = ["plain", "with blank: and #", "quote\"", "\u{202e}\u{2028}", "${{ oops }}", "- dash\nline"];
        for mode in AppMode::ALL {
            for (required, variable) in [true, false].into_iter().flat_map(|r| hostile.map(|v| (r, v))) {
                let fields = kinds.map(|kind| field(kind, &format!("{variable}{kind:?}"), required)).to_vec();
                for inputs in [fields, Vec::new()] {
                    let app = App {
                        label: mode.to_string(),
                        mode: Some(mode),
                        inputs,
                        form_known: true,
                        server_version: None,
                    };
                    let first = first(&app);
                    parse(&first.path, &first.text).unwrap_or_else(|problems| {
                        panic!("{}\n{}", first.text, render_all(&problems, &first.text, false))
                    });
                }
            }
        }
    }

    #[test]
    fn required_inputs_stand_there_and_others_as_comments() {
        let text = inputs(&[field(ControlKind::Number, "age", true), field(ControlKind::Text, "name", false)]);
        assert!(text.contains("\n        \"age\": ") && text.contains("\n        # \"name\": "), "{text}");
    }
}
