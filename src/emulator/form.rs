//! Input forms: the declared variables of an app and the check of given inputs against them.

use serde_json::{Map, Number, Value, json};

/// One declared variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// Its name in `inputs` and prompts.
    pub name: String,
    /// Its text in the form.
    pub label: String,
    /// Whether it must be given.
    pub required: bool,
    /// What it takes.
    pub field: Field,
    /// What stands for it where it is left out.
    pub default: Option<String>,
}

/// What a variable takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    /// One line of at most this many characters.
    Line(usize),
    /// Text of any length.
    Paragraph,
    /// One of these.
    Select(Vec<String>),
    /// A number, also as text.
    Number,
}

impl Field {
    fn wire(&self) -> &'static str {
        match self {
            Field::Line(_) => "text-input",
            Field::Paragraph => "paragraph",
            Field::Select(_) => "select",
            Field::Number => "number",
        }
    }
}

impl Variable {
    /// The variable as an entry of `user_input_form`.
    pub fn document(&self) -> Value {
        let mut inner = json!({"default": self.default.as_deref().unwrap_or_default(), "label": self.label});
        match &self.field {
            Field::Line(max) => inner["max_length"] = json!(max),
            Field::Select(options) => inner["options"] = json!(options),
            Field::Paragraph | Field::Number => {}
        }
        inner["required"] = json!(self.required);
        inner["variable"] = json!(self.name);
        let mut wrapper = Map::new();
        wrapper.insert(self.field.wire().to_owned(), inner);
        Value::Object(wrapper)
    }

    /// The variable as workflow-backed apps publish it: without default, with the members of every control.
    pub fn flow_document(&self) -> Value {
        let kind = self.field.wire();
        let max_length = match &self.field {
            Field::Line(max) => json!(max),
            Field::Paragraph | Field::Select(_) | Field::Number => Value::Null,
        };
        let options = match &self.field {
            Field::Select(options) => json!(options),
            Field::Line(_) | Field::Paragraph | Field::Number => json!([]),
        };
        let inner = json!({
            "label": self.label, "max_length": max_length, "options": options, "required": self.required,
            "type": kind, "variable": self.name
        });
        let mut wrapper = Map::new();
        wrapper.insert(kind.to_owned(), inner);
        Value::Object(wrapper)
    }
}

/// Why inputs were refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InputFault {
    /// A plain refusal with its text.
    Refused(String),
    /// A number variable given as something that is neither number nor text.
    OddNumber,
}

/// Checks `given` against the form.
///
/// Returns every declared variable in form order, null where an optional one was not given; undeclared inputs are
/// dropped. `fill_required` lets missing required variables become empty text.
pub fn check(
    form: &[Variable],
    given: &Map<String, Value>,
    fill_required: bool,
) -> Result<Map<String, Value>, InputFault> {
    let mut checked = Map::new();
    for variable in form {
        let value = match given.get(&variable.name) {
            None | Some(Value::Null) if variable.required && fill_required => json!(""),
            None | Some(Value::Null) if variable.required => {
                return Err(InputFault::Refused(format!("{} is required in input form", variable.name)));
            }
            None | Some(Value::Null) => match &variable.default {
                Some(default) => check_value(variable, &json!(default))?,
                None => Value::Null,
            },
            Some(value) => check_value(variable, value)?,
        };
        checked.insert(variable.name.clone(), value);
    }
    Ok(checked)
}

fn check_value(variable: &Variable, value: &Value) -> Result<Value, InputFault> {
    let name = variable.name.as_str();
    match &variable.field {
        Field::Number => check_number(name, value),
        Field::Line(_) | Field::Paragraph | Field::Select(_) => {
            let Value::String(text) = value else {
                let kind = variable.field.wire();
                return Err(InputFault::Refused(format!("(type '{kind}') {name} in input form must be a string")));
            };
            match &variable.field {
                Field::Line(max) if text.chars().count() > *max => {
                    Err(InputFault::Refused(format!("{name} in input form must be less than {max} characters")))
                }
                Field::Select(options) if !options.contains(text) => {
                    let known: Vec<String> = options.iter().map(|o| format!("'{o}'")).collect();
                    Err(InputFault::Refused(format!(
                        "{name} in input form must be one of the following: [{}]",
                        known.join(", ")
                    )))
                }
                _ => Ok(value.clone()),
            }
        }
    }
}

fn check_number(name: &str, value: &Value) -> Result<Value, InputFault> {
    match value {
        Value::Number(_) | Value::Bool(_) => Ok(value.clone()),
        Value::String(text) if text.trim().is_empty() => Ok(Value::Null),
        Value::String(text) => {
            let text = text.trim();
            let number = text
                .parse::<i64>()
                .ok()
                .map(Number::from)
                .or_else(|| text.parse::<f64>().ok().and_then(Number::from_f64));
            number
                .map(Value::Number)
                .ok_or_else(|| InputFault::Refused(format!("{name} in input form must be a valid number")))
        }
        Value::Null | Value::Array(_) | Value::Object(_) => Err(InputFault::OddNumber),
    }
}

/// The text a value takes inside a prompt.
pub fn in_prompt(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "None".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Bool(true)) => "True".to_owned(),
        Some(Value::Bool(false)) => "False".to_owned(),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form() -> Vec<Variable> {
        let variable = |name: &str, required, field| Variable {
            name: name.to_owned(),
            label: name.to_owned(),
            required,
            field,
            default: None,
        };
        vec![
            variable("name", true, Field::Line(5)),
            variable("lang", false, Field::Select(vec!["en".to_owned(), "fr".to_owned()])),
            variable("age", false, Field::Number),
        ]
    }

    fn checked(given: Value) -> Result<Value, InputFault> {
        check(&form(), given.as_object().unwrap(), false).map(Value::Object)
    }

    fn refusal(text: &str) -> Result<Value, InputFault> {
        Err(InputFault::Refused(text.to_owned()))
    }

    #[test]
    fn optional_variables_left_out_become_null_and_undeclared_ones_are_dropped() {
        assert_eq!(checked(json!({"name": "A", "zzz": 1})), Ok(json!({"name": "A", "lang": null, "age": null})));
    }

    #[test]
    fn a_default_stands_for_what_is_left_out_and_for_nothing_else() {
        let field = Field::Select(vec!["en".to_owned(), "fr".to_owned()]);
        let (name, label, default) = ("lang".to_owned(), "Lang".to_owned(), Some("en".to_owned()));
        let form = [Variable { name, label, required: false, field, default }];
        let lang = |given: Value| check(&form, given.as_object().unwrap(), false).unwrap()["lang"].clone();
        assert_eq!([lang(json!({})), lang(json!({"lang": null})), lang(json!({"lang": "fr"}))], ["en", "en", "fr"]);
        assert_eq!(form[0].document()["select"]["default"], "en");
    }

    #[test]
    fn a_required_variable_must_be_given_but_may_be_empty_text() {
        assert_eq!(checked(json!({})), refusal("name is required in input form"));
        assert_eq!(checked(json!({"name": null})), refusal("name is required in input form"));
        assert!(checked(json!({"name": ""})).is_ok());
    }

    #[test]
    fn the_maximum_length_is_inclusive() {
        assert!(checked(json!({"name": "ééééé"})).is_ok());
        assert_eq!(checked(json!({"name": "éééééé"})), refusal("name in input form must be less than 5 characters"));
    }

    #[test]
    fn a_select_takes_only_its_options() {
        let refused = refusal("lang in input form must be one of the following: ['en', 'fr']");
        assert_eq!(checked(json!({"name": "A", "lang": "de"})), refused);
        assert_eq!(checked(json!({"name": "A", "lang": ""})), refused);
    }

    #[test]
    fn a_number_may_come_as_text_but_not_as_a_list() {
        assert_eq!(checked(json!({"name": "A", "age": "12.5"})).unwrap()["age"], json!(12.5));
        assert_eq!(checked(json!({"name": "A", "age": "33"})).unwrap()["age"], json!(33));
        assert_eq!(checked(json!({"name": "A", "age": "x"})), refusal("age in input form must be a valid number"));
        assert_eq!(checked(json!({"name": "A", "age": [1]})), Err(InputFault::OddNumber));
    }

    #[test]
    fn a_variable_is_documented_as_a_one_key_wrapper() {
        assert_eq!(
            form()[0].document(),
            json!({"text-input": {"default": "", "label": "name", "max_length": 5, "required": true, "variable": "name"}})
        );
    }
}
