//! `user_input_form` of `GET /parameters`: which inputs an app declares.

use super::{ControlKind, InputField};
use serde_json::Value;

/// Declared inputs, in form order. Each item is an object of one member, named after its control; anything else is
/// left out.
pub fn parse_form(parameters: &Value) -> Vec<InputField> {
    let items = parameters.get("user_input_form").and_then(Value::as_array);
    items.into_iter().flatten().filter_map(Value::as_object).flat_map(|item| item.iter()).filter_map(field).collect()
}

fn field((control, about): (&String, &Value)) -> Option<InputField> {
    let variable = about.get("variable")?.as_str()?.to_owned();
    let options = about.get("options").and_then(Value::as_array).into_iter().flatten();
    Some(InputField {
        variable,
        kind: kind(control),
        required: about.get("required").and_then(Value::as_bool).unwrap_or(false),
        max_length: about.get("max_length").and_then(Value::as_u64).filter(|n| *n > 0),
        options: options.filter_map(text_of).collect(),
        default: about.get("default").filter(|d| !d.is_null() && d.as_str() != Some("")).cloned(),
    })
}

fn kind(control: &str) -> ControlKind {
    match control {
        "text-input" => ControlKind::Text,
        "paragraph" => ControlKind::Paragraph,
        "select" => ControlKind::Select,
        "number" => ControlKind::Number,
        "checkbox" => ControlKind::Checkbox,
        "file" => ControlKind::File,
        "file-list" => ControlKind::FileList,
        _ => ControlKind::Other,
    }
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
