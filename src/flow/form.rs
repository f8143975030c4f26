//! Legal values for the inputs that an app requires.

use crate::model::{ControlKind, InputField};
use crate::scenario::template::Renderer;
use serde_json::{Map, Value, json};

/// Legal values for the required inputs.
///
/// # Errors
/// A sentence that names a required input nobody can make up: a file, a select without options, an unknown control.
pub fn fill(fields: &[InputField], renderer: &Renderer) -> Result<Map<String, Value>, String> {
    let mut inputs = Map::new();
    for field in fields.iter().filter(|f| f.required) {
        inputs.insert(field.variable.clone(), value_for(field, renderer)?);
    }
    Ok(inputs)
}

fn value_for(field: &InputField, renderer: &Renderer) -> Result<Value, String> {
    let name = &field.variable;
    match field.kind {
        ControlKind::Text | ControlKind::Paragraph => {
            let longest = field.max_length.and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX);
            Ok(json!(renderer.words(1).chars().take(longest).collect::<String>()))
        }
        ControlKind::Number => Ok(json!(1 + renderer.pick(9))),
        ControlKind::Checkbox => Ok(json!(true)),
        ControlKind::Select => match field.options.first() {
            Some(option) => Ok(json!(option)),
            None => Err(format!("the app requires input `{name}`, a select without options")),
        },
        ControlKind::File | ControlKind::FileList => {
            Err(format!("the app requires a file as input `{name}`; give it in the scenario's `inputs`"))
        }
        ControlKind::Other => Err(format!(
            "the app requires input `{name}`, whose control is not known; give it in the scenario's `inputs`"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::parse_form;

    #[test]
    fn a_form_is_read_with_its_types_and_limits() {
        let parameters = json!({"user_input_form": [
            {"text-input": {"label": "Name", "max_length": 48, "required": true, "variable": "name"}},
            {"select": {"options": ["en", "fr"], "required": false, "variable": "lang"}},
            {"number": {"default": "", "required": false, "variable": "age", "max_length": 0}},
        ]});
        let fields = parse_form(&parameters);
        let names: Vec<&str> = fields.iter().map(|f| f.variable.as_str()).collect();
        assert_eq!(names, ["name", "lang", "age"]);
        assert_eq!((fields[0].kind, fields[0].required, fields[0].max_length), (ControlKind::Text, true, Some(48)));
        assert_eq!(fields[1].options, ["en", "fr"]);
        assert_eq!(fields[2].max_length, None);
    }

    #[test]
    fn junk_in_a_form_is_left_out() {
        for junk in [json!(null), json!([]), json!({"user_input_form": "x"}), json!({"user_input_form": [1, {"a": 2}]})]
        {
            assert_eq!(parse_form(&junk), vec![]);
        }
        let odd = parse_form(&json!({"user_input_form": [{"hologram": {"variable": "h", "required": "yes"}}]}));
        assert_eq!((odd[0].kind, odd[0].required), (ControlKind::Other, false));
    }

    fn required(kind: ControlKind, max_length: Option<u64>, options: &[&str]) -> InputField {
        let options = options.iter().map(|o| (*o).to_owned()).collect();
        InputField { variable: "v".into(), kind, required: true, max_length, options, default: None }
    }

    #[test]
    fn required_inputs_get_legal_values() {
        let renderer = Renderer::new(1);
        let one = |field| fill(&[field], &renderer).map(|m| m["v"].clone());
        assert_eq!(one(required(ControlKind::Text, Some(3), &[])).unwrap().as_str().unwrap().chars().count(), 3);
        assert!(one(required(ControlKind::Number, None, &[])).unwrap().is_u64());
        assert_eq!(one(required(ControlKind::Select, None, &["b", "a"])).unwrap(), "b");
        assert_eq!(one(required(ControlKind::Checkbox, None, &[])).unwrap(), true);
        assert!(one(required(ControlKind::File, None, &[])).unwrap_err().contains("`v`"));
    }

    #[test]
    fn optional_inputs_are_left_out() {
        let field = InputField { required: false, ..required(ControlKind::FileList, None, &[]) };
        assert_eq!(fill(&[field], &Renderer::new(1)), Ok(Map::new()));
    }
}
