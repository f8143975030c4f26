//! What an OpenAI-compatible request says to the model: its messages, the tools it offers, what it wants.

use serde_json::{Map, Value, json};

/// Suggested follow-up questions, as a Dify server asks its model for them.
const QUESTIONS: &str = r#"["Q one?", "Q two?", "Q three?"]"#;
/// A name for a conversation, as a Dify server asks its model for it.
const TITLE: &str = r#"{"Language Type": "The user's input is pure English", "Your Reasoning": "An echo has no opinion.", "Your Output": "Echo conversation"}"#;

/// One message: who says what.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Message {
    role: String,
    text: String,
}

/// A function that can be called, with the arguments it is going to get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// A JSON object as text: a value by type for every required parameter.
    pub arguments: String,
}

/// A request, read.
#[derive(Debug, Clone, Default)]
pub struct Conversation {
    messages: Vec<Message>,
    /// Offered in `tools`.
    tools: Vec<Function>,
    /// Offered in `functions`, the older form.
    functions: Vec<Function>,
}

impl Conversation {
    /// Reads a body of `/chat/completions`; the error says what is wrong with it.
    pub fn of_chat(body: &Map<String, Value>) -> Result<Self, String> {
        let Some(messages) = body.get("messages").and_then(Value::as_array).filter(|list| !list.is_empty()) else {
            return Err("Missing required parameter: 'messages'".to_owned());
        };
        let messages = messages.iter().enumerate().map(|(at, value)| message(at, value)).collect::<Result<_, _>>()?;
        let refused = |key: &str| body.get(key).and_then(Value::as_str) == Some("none");
        let list = |key: &str| body.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
        let tools = if refused("tool_choice") { Vec::new() } else { list("tools") };
        let functions = if refused("function_call") { Vec::new() } else { list("functions") };
        Ok(Self {
            messages,
            tools: tools.iter().filter_map(|tool| tool.get("function")).filter_map(function).collect(),
            functions: functions.iter().filter_map(function).collect(),
        })
    }

    /// Reads a body of `/completions`.
    pub fn of_text(body: &Map<String, Value>) -> Result<Self, String> {
        let text = match body.get("prompt") {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Array(texts)) if texts.iter().all(Value::is_string) => {
                texts.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n")
            }
            _ => return Err("Missing required parameter: 'prompt'".to_owned()),
        };
        Ok(Self { messages: vec![Message { role: "user".to_owned(), text }], ..Self::default() })
    }

    /// The messages with their roles, as the echo repeats them.
    pub fn labelled(&self) -> String {
        let parts: Vec<String> = self.messages.iter().map(|m| format!("{}: {}", m.role, m.text)).collect();
        parts.join(" | ")
    }

    /// The text whose words steer the model: the last user message. A word may also follow a `=`, as in `Q=fail`, because
    /// that is how templates set a query.
    pub fn steering(&self) -> String {
        let last = self.messages.iter().rev().find(|message| message.role == "user");
        last.map(|message| message.text.replace('=', " ")).unwrap_or_default()
    }

    /// The answer to what a Dify server asks its model besides the turn itself: three questions, or a name. Words of the
    /// user do not steer those.
    pub fn chore(&self) -> Option<&'static str> {
        let said = |text: &str| self.messages.iter().any(|message| message.text.contains(text));
        if said("predict the three most likely") {
            Some(QUESTIONS)
        } else if said("\"Your Output\"") {
            Some(TITLE)
        } else {
            None
        }
    }

    /// An offered function by name and whether calls of it have ids; none once the tool has answered.
    pub fn offered(&self, name: &str) -> Option<(Function, bool)> {
        let asked = self.messages.last().is_some_and(|message| message.role == "user");
        let find = |list: &[Function]| list.iter().find(|function| function.name == name).cloned();
        let found = find(&self.tools).map(|f| (f, true)).or_else(|| find(&self.functions).map(|f| (f, false)));
        found.filter(|_| asked)
    }
}

fn message(at: usize, value: &Value) -> Result<Message, String> {
    let role = value.get("role").and_then(Value::as_str);
    let role = role.ok_or_else(|| format!("Missing required parameter: 'messages[{at}].role'"))?;
    let text = match value.get("content") {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            // a mark per attachment, then the text
            let marks: String = parts.iter().filter_map(mark).collect();
            let texts: String = parts.iter().filter_map(|part| part.get("text")?.as_str()).collect();
            marks + &texts
        }
        Some(_) => return Err(format!("Invalid type for 'messages[{at}].content'")),
    };
    // the older form of a tool's answer
    let role = if role == "function" { "tool" } else { role };
    Ok(Message { role: role.to_owned(), text })
}

fn mark(part: &Value) -> Option<&'static str> {
    match part.get("type")?.as_str()? {
        "image_url" => Some("<image>"),
        "input_audio" => Some("<audio>"),
        "video_url" => Some("<video>"),
        "file" => Some("<file>"),
        _ => None,
    }
}

fn function(value: &Value) -> Option<Function> {
    let name = value.get("name")?.as_str()?.to_owned();
    let schema = value.get("parameters");
    let required = schema.and_then(|s| s.get("required")).and_then(Value::as_array).cloned().unwrap_or_default();
    let mut arguments = Map::new();
    for name in required.iter().filter_map(Value::as_str) {
        let parameter = schema.and_then(|s| s.get("properties")).and_then(|p| p.get(name));
        arguments.insert(name.to_owned(), sample(parameter));
    }
    Some(Function { name, arguments: Value::Object(arguments).to_string() })
}

/// A value that a parameter takes.
fn sample(schema: Option<&Value>) -> Value {
    let first = |key: &str| schema.and_then(|s| s.get(key)).and_then(Value::as_array).and_then(|list| list.first());
    if let Some(value) = first("enum") {
        return value.clone();
    }
    match schema.and_then(|s| s.get("type")).and_then(Value::as_str) {
        Some("integer" | "number") => json!(1),
        Some("boolean") => json!(true),
        Some("array") => json!([]),
        Some("object") => json!({}),
        _ => json!("echo"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: Value) -> Result<Conversation, String> {
        Conversation::of_chat(body.as_object().unwrap())
    }

    #[test]
    fn messages_are_labelled_in_order_with_a_mark_per_attachment() {
        let parts = json!([{"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": "x"}}]);
        let conversation = read(json!({"messages": [
            {"role": "system", "content": "S\n"}, {"role": "user", "content": parts},
            {"role": "assistant", "content": null}, {"role": "function", "name": "f", "content": "7"}]}))
        .unwrap();
        assert_eq!(conversation.labelled(), "system: S\n | user: <image>see | assistant:  | tool: 7");
    }

    #[test]
    fn a_body_without_messages_or_roles_is_refused_with_the_place() {
        assert!(read(json!({"messages": []})).unwrap_err().contains("messages"));
        assert!(read(json!({"messages": [{"content": "x"}]})).unwrap_err().contains("messages[0].role"));
        assert!(Conversation::of_text(&Map::new()).unwrap_err().contains("prompt"));
    }

    #[test]
    fn required_parameters_get_a_value_of_their_type() {
        let parameters = json!({"required": ["a", "b", "c"], "properties": {
            "a": {"type": "integer"}, "b": {"enum": ["x", "y"]}, "c": {"type": "string"}, "d": {"type": "string"}}});
        let body = json!({"messages": [{"role": "user", "content": "go"}],
            "tools": [{"type": "function", "function": {"name": "f", "parameters": parameters}}]});
        let (function, with_id) = read(body).unwrap().offered("f").unwrap();
        assert_eq!((function.arguments.as_str(), with_id), (r#"{"a":1,"b":"x","c":"echo"}"#, true));
    }

    #[test]
    fn a_tool_that_has_answered_is_not_called_again_and_none_means_none() {
        let tools = json!([{"type": "function", "function": {"name": "f"}}]);
        let messages = json!([{"role": "user", "content": "tool:f"}, {"role": "tool", "content": "1"}]);
        assert!(read(json!({"messages": messages, "tools": tools})).unwrap().offered("f").is_none());
        let messages = json!([{"role": "user", "content": "tool:f"}]);
        let refused = json!({"messages": messages, "tools": tools, "tool_choice": "none"});
        assert!(read(refused).unwrap().offered("f").is_none());
    }
}
