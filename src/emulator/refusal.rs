//! Refused requests: status, code and text as each profile words them.

use serde_json::{Map, Value, json};

use super::behaviour::{Behaviour, OddBody, ParameterErrors};

/// A request refused with an error body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// The `code` member.
    pub code: &'static str,
    /// The `message` member.
    pub message: String,
    /// The `params` member of old servers, which stands instead of `status`.
    pub params: Option<&'static str>,
    /// The body has a `status` member.
    pub with_status: bool,
}

/// What is wrong with a parameter.
#[derive(Debug, Clone, PartialEq)]
pub enum Problem {
    /// It is not there; the whole body is shown.
    Missing,
    /// It is no object.
    NotObject,
    /// It is no text.
    NotText,
    /// It is no boolean.
    NotBool,
    /// It is none of these.
    NoChoice(&'static [&'static str]),
    /// It is no whole number.
    NotInteger,
    /// It is below the least value.
    Below(u64),
    /// It is above the greatest value.
    Above(u64),
    /// It has the wrong value, in these words.
    Value(&'static str),
}

/// A parameter that does not fit.
#[derive(Debug, Clone, PartialEq)]
pub struct BadParameter {
    /// The name of the schema in the texts of validation libraries.
    pub schema: &'static str,
    /// The parameter.
    pub name: &'static str,
    /// What is wrong.
    pub problem: Problem,
    /// What was given; the whole body where the parameter is missing.
    pub given: Value,
}

impl Refusal {
    /// An error with the usual three members.
    pub fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), params: None, with_status: true }
    }

    /// 400 `invalid_param`.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, "invalid_param", message)
    }

    /// 401.
    pub fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(401, "unauthorized", message)
    }

    /// 404 of something that should exist.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(404, "not_found", message)
    }

    /// 400 for a body that is no JSON.
    pub fn malformed_json() -> Self {
        let text = "The browser (or proxy) sent a request that this server could not understand.";
        Self::new(400, "bad_request", text)
    }

    /// 415.
    pub fn unsupported_media_type() -> Self {
        let text = "Did not attempt to load JSON data because the request Content-Type was not 'application/json'.";
        Self::new(415, "unsupported_media_type", text)
    }

    /// 400 for a workflow operation with another app's key.
    pub fn not_workflow_app() -> Self {
        Self::new(400, "not_workflow_app", "Please check if your app mode matches the right API route.")
    }

    /// 400 for a request without its user.
    pub fn user_missing() -> Self {
        Self::invalid("Arg user must be provided.")
    }

    /// 500 with the code that stands for an unexpected exception.
    pub fn unknown(behaviour: &Behaviour) -> Self {
        let with_status = behaviour.non_object_body != OddBody::SlipsWithoutStatus;
        Self { with_status, ..Self::new(500, "unknown", "Internal Server Error") }
    }

    /// 500 inside a controller.
    pub fn internal() -> Self {
        let text = "The server encountered an internal error and was unable to complete your request. Either the \
                    server is overloaded or there is an error in the application.";
        Self::new(500, "internal_server_error", text)
    }

    /// The body.
    pub fn body(&self) -> Value {
        let mut body = Map::new();
        if self.code == "unknown" {
            body.insert("message".to_owned(), json!(self.message));
            body.insert("code".to_owned(), json!(self.code));
        } else {
            body.insert("code".to_owned(), json!(self.code));
            body.insert("message".to_owned(), json!(self.message));
        }
        if let Some(params) = self.params {
            body.insert("params".to_owned(), json!(params));
        } else if self.with_status {
            body.insert("status".to_owned(), json!(self.status));
        }
        Value::Object(body)
    }
}

impl BadParameter {
    /// The refusal in the words of the profile.
    pub fn refusal(&self, behaviour: &Behaviour) -> Refusal {
        match behaviour.parameter_errors {
            ParameterErrors::Plain => Refusal::invalid(self.plain()),
            ParameterErrors::Pydantic => Refusal::invalid(self.pydantic()),
            ParameterErrors::Reqparse => Refusal { params: Some(self.name), ..Refusal::invalid(self.reqparse()) },
        }
    }

    fn plain(&self) -> String {
        let name = self.name;
        match &self.problem {
            Problem::Missing => format!("{name} is required"),
            Problem::NotObject => format!("{name} must be an object"),
            Problem::NotText => format!("{name} must be a string"),
            Problem::NotBool => format!("{name} must be a boolean"),
            Problem::NoChoice(known) => format!("{name} must be one of: {}", known.join(", ")),
            Problem::NotInteger => format!("{name} must be an integer"),
            Problem::Below(least) => format!("{name} must be at least {least}"),
            Problem::Above(most) => format!("{name} must be at most {most}"),
            Problem::Value(text) => format!("{name}: {text}"),
        }
    }

    fn pydantic(&self) -> String {
        let (kind, text) = match &self.problem {
            Problem::Missing => ("missing", "Field required".to_owned()),
            Problem::NotObject => ("dict_type", "Input should be a valid dictionary".to_owned()),
            Problem::NotText => ("string_type", "Input should be a valid string".to_owned()),
            Problem::NotBool => ("bool_type", "Input should be a valid boolean".to_owned()),
            Problem::NoChoice(known) => ("literal_error", format!("Input should be {}", choices(known))),
            Problem::NotInteger => {
                ("int_parsing", "Input should be a valid integer, unable to parse string as an integer".to_owned())
            }
            Problem::Below(least) => {
                ("greater_than_equal", format!("Input should be greater than or equal to {least}"))
            }
            Problem::Above(most) => ("less_than_equal", format!("Input should be less than or equal to {most}")),
            Problem::Value(text) => ("value_error", format!("Value error, {text}")),
        };
        format!(
            "1 validation error for {}\n{}\n  {text} [type={kind}, input_value={}, input_type={}]\n    \
             For further information visit https://errors.pydantic.dev/2.11/v/{kind}",
            self.schema,
            self.name,
            shortened(&python_repr(&self.given)),
            python_type(&self.given),
        )
    }

    fn reqparse(&self) -> String {
        let given = match &self.given {
            Value::String(text) => text.clone(),
            other => python_repr(other),
        };
        match &self.problem {
            Problem::Missing => "Missing required parameter in the JSON body".to_owned(),
            Problem::NoChoice(_) => format!("{given} is not a valid choice"),
            Problem::NotInteger => format!("invalid literal for int() with base 10: '{given}'"),
            Problem::Below(_) | Problem::Above(_) => {
                format!("Invalid argument: {given}. argument must be within the range 1 - 100")
            }
            Problem::NotObject | Problem::NotText | Problem::NotBool => format!("invalid value: {given}"),
            Problem::Value(_) => format!("{given} is not a valid uuid."),
        }
    }
}

fn choices(known: &[&str]) -> String {
    let quoted: Vec<String> = known.iter().map(|k| format!("'{k}'")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}

/// A value in the notation of the imitated server's language.
pub fn python_repr(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'").replace('\n', "\\n")),
        Value::Array(items) => format!("[{}]", items.iter().map(python_repr).collect::<Vec<_>>().join(", ")),
        Value::Object(members) => {
            let parts: Vec<String> = members.iter().map(|(k, v)| format!("'{k}': {}", python_repr(v))).collect();
            format!("{{{}}}", parts.join(", "))
        }
    }
}

fn python_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "NoneType",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "int",
        Value::String(_) => "str",
        Value::Array(_) => "list",
        Value::Object(_) => "dict",
    }
}

/// At most 50 characters: the first 25, three dots, the last 24.
fn shortened(text: &str) -> String {
    let length = text.chars().count();
    if length <= 50 {
        return text.to_owned();
    }
    let head: String = text.chars().take(25).collect();
    let tail: String = text.chars().skip(length - 24).collect();
    format!("{head}...{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulator::config::Profile;

    fn missing_inputs(profile: Profile) -> Refusal {
        let given = json!({"query": "turn six", "response_mode": "blocking", "user": "u1",
                           "conversation_id": "fd853225-a19d-4ecc-aa8e-d85ed0a21a45"});
        BadParameter { schema: "ChatRequestPayload", name: "inputs", problem: Problem::Missing, given }
            .refusal(&Behaviour::of(profile))
    }

    #[test]
    fn the_text_of_1_12_is_that_of_the_validation_library() {
        assert_eq!(
            missing_inputs(Profile::Dify112).message,
            "1 validation error for ChatRequestPayload\ninputs\n  Field required [type=missing, \
             input_value={'query': 'turn six', 're...4ecc-aa8e-d85ed0a21a45'}, input_type=dict]\n    \
             For further information visit https://errors.pydantic.dev/2.11/v/missing"
        );
    }

    #[test]
    fn the_body_of_0_15_has_params_and_no_status() {
        assert_eq!(
            missing_inputs(Profile::Dify015).body(),
            json!({"code": "invalid_param", "message": "Missing required parameter in the JSON body",
                   "params": "inputs"})
        );
    }

    #[test]
    fn the_documented_body_has_exactly_code_message_and_status() {
        assert_eq!(
            missing_inputs(Profile::Documented).body(),
            json!({"code": "invalid_param", "message": "inputs is required", "status": 400})
        );
    }

    #[test]
    fn choices_are_joined_as_a_sentence() {
        assert_eq!(choices(&["a", "b", "c"]), "'a', 'b' or 'c'");
    }
}
