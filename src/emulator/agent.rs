//! Agents: the thoughts beside the text, and the tool a query may ask for with `tool:NAME`.

use serde_json::{Map, Value, json};

use super::replies::{self, Ids};

/// What the model says before it uses a tool.
pub const CALLING: &str = "calling tool";

/// One step of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thought {
    /// Its id; the same in every event about it.
    pub id: String,
    /// Its place, from 1.
    pub position: u64,
    /// What the model said in this step; empty while it speaks.
    pub text: String,
    /// The tool it called; empty if none.
    pub tool: String,
    /// What the tool answered.
    pub observation: String,
    /// Unix seconds.
    pub created_at: i64,
}

impl Thought {
    /// A step that has just begun.
    pub fn new(id: String, position: u64, created_at: i64) -> Self {
        let empty = String::new;
        Self { id, position, text: empty(), tool: empty(), observation: empty(), created_at }
    }

    fn tool_input(&self) -> String {
        if self.tool.is_empty() { String::new() } else { format!("{{\"{}\": {{}}}}", self.tool) }
    }

    fn tool_labels(&self) -> Value {
        let mut labels = Map::new();
        if self.tool == "current_time" {
            labels.insert(
                self.tool.clone(),
                json!({"zh_Hans": "获取当前时间", "en_US": "Current Time", "pt_BR": "Current Time",
                       "ja_JP": "Current Time"}),
            );
        } else if !self.tool.is_empty() {
            labels.insert(self.tool.clone(), json!({"en_US": self.tool}));
        }
        Value::Object(labels)
    }

    /// What the tool answers, as the observation shows it.
    pub fn observed(tool: &str) -> String {
        format!("{{\"{tool}\": \"2026\"}}")
    }

    /// The event `agent_thought`.
    pub fn event(&self, ids: &Ids) -> Map<String, Value> {
        let mut event = replies::event("agent_thought", ids);
        event.insert("id".to_owned(), json!(self.id));
        event.insert("position".to_owned(), json!(self.position));
        event.insert("thought".to_owned(), json!(self.text));
        event.insert("observation".to_owned(), json!(self.observation));
        event.insert("tool".to_owned(), json!(self.tool));
        event.insert("tool_labels".to_owned(), self.tool_labels());
        event.insert("tool_input".to_owned(), json!(self.tool_input()));
        event.insert("message_files".to_owned(), json!([]));
        event
    }

    /// One entry of `agent_thoughts` in `GET /messages`.
    pub fn row(&self, message: &str) -> Value {
        json!({
            "id": self.id, "chain_id": null, "message_id": message, "position": self.position, "thought": self.text,
            "tool": self.tool, "tool_labels": self.tool_labels(), "tool_input": self.tool_input(),
            "created_at": self.created_at, "observation": self.observation, "files": []
        })
    }
}

/// The event `agent_message`: a piece of the answer.
pub fn message_event(ids: &Ids, text: &str) -> Map<String, Value> {
    let mut event = replies::event("agent_message", ids);
    event.insert("id".to_owned(), json!(ids.message));
    event.insert("answer".to_owned(), json!(text));
    event
}

/// The tool a query asks for.
pub fn wanted_tool(query: &str) -> Option<&str> {
    let tool = query.split_whitespace().find_map(|word| word.strip_prefix("tool:"))?;
    (!tool.is_empty()).then_some(tool)
}

/// What a tool call adds to the prompt of the next step.
pub fn tool_turns(query: &str) -> String {
    if wanted_tool(query).is_some() { format!(" | assistant: {CALLING} | tool: 2026") } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_is_asked_for_by_name() {
        assert_eq!(wanted_tool("please tool:current_time now"), Some("current_time"));
        assert_eq!(wanted_tool("tool: x"), None);
        assert_eq!(tool_turns("no tools"), "");
    }

    #[test]
    fn a_step_without_tool_shows_empty_members() {
        let row = Thought::new("t".to_owned(), 1, 5).row("m");
        assert_eq!((&row["tool"], &row["tool_input"], &row["tool_labels"]), (&json!(""), &json!(""), &json!({})));
    }
}
