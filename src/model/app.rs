//! One application of the target, as discovery found it.

use serde::{Deserialize, Serialize};

/// The app modes of Dify, as `GET /info` names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AppMode {
    /// Text generation from `inputs`; no conversation.
    Completion,
    /// Basic chat app.
    Chat,
    /// Chat app with tools.
    AgentChat,
    /// Chatflow.
    AdvancedChat,
    /// New Agent (mid-2026).
    Agent,
    /// Workflow without a conversation.
    Workflow,
}

impl AppMode {
    /// All modes, in the order reports show them.
    pub const ALL: [AppMode; 6] = [
        AppMode::Completion,
        AppMode::Chat,
        AppMode::AgentChat,
        AppMode::AdvancedChat,
        AppMode::Agent,
        AppMode::Workflow,
    ];

    /// The wire name, e.g. `advanced-chat`.
    pub fn as_str(self) -> &'static str {
        match self {
            AppMode::Completion => "completion",
            AppMode::Chat => "chat",
            AppMode::AgentChat => "agent-chat",
            AppMode::AdvancedChat => "advanced-chat",
            AppMode::Agent => "agent",
            AppMode::Workflow => "workflow",
        }
    }

    /// The mode with this wire name; `chatflow` is accepted for `advanced-chat`.
    pub fn parse(text: &str) -> Option<AppMode> {
        if text == "chatflow" {
            return Some(AppMode::AdvancedChat);
        }
        AppMode::ALL.into_iter().find(|m| m.as_str() == text)
    }

    /// Whether the mode keeps conversations (`POST /chat-messages`).
    pub fn is_chat(self) -> bool {
        matches!(self, AppMode::Chat | AppMode::AgentChat | AppMode::AdvancedChat | AppMode::Agent)
    }

    /// Whether blocking responses exist in this mode.
    pub fn can_block(self) -> bool {
        !matches!(self, AppMode::AgentChat | AppMode::Agent)
    }
}

impl std::fmt::Display for AppMode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A control of `user_input_form` in `GET /parameters`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ControlKind {
    /// `text-input`
    Text,
    /// `paragraph`
    Paragraph,
    /// `select`
    Select,
    /// `number`
    Number,
    /// `checkbox`
    Checkbox,
    /// `file`
    File,
    /// `file-list`
    FileList,
    /// A control this version of difyprobe does not know.
    Other,
}

impl ControlKind {
    /// Whether free text can be sent for this control.
    pub fn is_text(self) -> bool {
        matches!(self, ControlKind::Text | ControlKind::Paragraph)
    }
}

/// One declared input variable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct InputField {
    /// The key to use in `inputs`.
    pub variable: String,
    /// The control that the form shows.
    pub kind: ControlKind,
    /// Whether a first turn without it is refused.
    pub required: bool,
    /// Longest accepted value in characters, where declared and not 0.
    pub max_length: Option<u64>,
    /// Legal values of a select.
    pub options: Vec<String>,
    /// What stands for it where it is left out; `None` where the form says nothing, null or the empty text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<serde_json::Value>,
}

/// One application of the target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct App {
    /// Name in reports: the mode, or what the user called it on the command line. Unique in a run.
    pub label: String,
    /// Mode from `GET /info` or from the command line; `None` where neither told it.
    pub mode: Option<AppMode>,
    /// Declared input variables of `GET /parameters`; empty where none are declared.
    pub inputs: Vec<InputField>,
    /// Whether `GET /parameters` was seen, so that `inputs` is all there is.
    pub form_known: bool,
    /// `X-Version` header of the server's answers, where it sends one.
    pub server_version: Option<String>,
}

impl App {
    /// The first declared variable that takes free text (required ones first), if any.
    pub fn text_input(&self) -> Option<&InputField> {
        let text = |f: &&InputField| f.kind.is_text();
        self.inputs.iter().filter(text).find(|f| f.required).or_else(|| self.inputs.iter().find(text))
    }

    /// The first text variable with a greatest length, if any.
    pub fn limited_input(&self) -> Option<&InputField> {
        self.inputs.iter().find(|f| f.kind.is_text() && f.max_length.is_some())
    }

    /// The first variable of this kind, if any.
    pub fn input_of(&self, kind: ControlKind) -> Option<&InputField> {
        self.inputs.iter().find(|f| f.kind == kind)
    }

    /// The first optional variable with a default, if any.
    pub fn defaulted_input(&self) -> Option<&InputField> {
        self.inputs.iter().find(|f| !f.required && f.default.is_some())
    }

    /// The first required variable, if any.
    pub fn required_input(&self) -> Option<&InputField> {
        self.inputs.iter().find(|f| f.required)
    }
}
