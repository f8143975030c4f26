//! The served apps: forms, prompts and the documents that describe them.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::behaviour::Behaviour;
use super::config::{AppKind, AppMode};
use super::custom::CustomApp;
use super::form::{Field, Variable, in_prompt};

/// One served app.
#[derive(Debug, Clone)]
pub struct App {
    /// Its kind.
    pub kind: AppKind,
    /// The bearer token that selects it.
    pub key: String,
    /// Its variables.
    pub form: Vec<Variable>,
    /// Playback of answers is automatic.
    pub autoplay: bool,
    /// What its user wrote about it; none for the built-in apps.
    pub custom: Option<Arc<CustomApp>>,
}

impl App {
    /// An app of a kind under a key.
    pub fn new(kind: AppKind, key: String, tts_autoplay: bool) -> Self {
        let autoplay = tts_autoplay && kind.mode() == AppMode::Chat;
        Self { kind, key, form: form_of(kind), autoplay, custom: None }
    }

    /// An app that its user described, under a key.
    pub fn custom(app: CustomApp, key: String) -> Self {
        Self { form: app.form.clone(), custom: Some(Arc::new(app.clone())), ..Self::new(app.kind(), key, false) }
    }

    /// Gives optional variables their defaults, as newer forms have them.
    pub fn with_defaults(mut self) -> Self {
        for variable in self.form.iter_mut().filter(|variable| !variable.required) {
            let default = match variable.name.as_str() {
                "lang" => Some("en".to_owned()),
                "tone" => Some("plain".to_owned()),
                _ => None,
            };
            variable.default = default;
        }
        self
    }

    /// The name under which its key is listed.
    pub fn label(&self) -> &str {
        self.custom.as_ref().map_or(self.kind.id(), |app| &app.name)
    }

    /// Its mode.
    pub fn mode(&self) -> AppMode {
        self.kind.mode()
    }

    /// Whether follow-up questions are offered.
    pub fn suggests(&self) -> bool {
        self.kind == AppKind::Chat || self.custom.as_ref().is_some_and(|app| !app.follow_ups.is_empty())
    }

    /// The follow-up questions.
    pub fn follow_ups(&self) -> Vec<String> {
        match &self.custom {
            Some(app) => app.follow_ups.clone(),
            None => ["Q one?", "Q two?", "Q three?"].map(str::to_owned).to_vec(),
        }
    }

    /// Whether turns may bring files.
    pub fn takes_files(&self) -> bool {
        matches!(self.kind, AppKind::Chat | AppKind::Completion)
    }

    /// Whether speech becomes text.
    pub fn hears(&self) -> bool {
        self.kind == AppKind::Chat
    }

    /// Whether text becomes speech.
    pub fn speaks(&self) -> bool {
        self.kind == AppKind::Chat || self.autoplay
    }

    /// The system line of a chat prompt.
    pub fn system_line(&self, inputs: &Map<String, Value>) -> Option<String> {
        if self.custom.is_some() {
            return None;
        }
        let shown = |name: &str| in_prompt(inputs.get(name));
        match self.kind {
            AppKind::Chat => {
                Some(format!("You talk to {} lang={} age={}.\n", shown("name"), shown("lang"), shown("age")))
            }
            AppKind::AgentChat => Some(format!("You talk to {}.\n", shown("name"))),
            _ => None,
        }
    }

    /// The filled template of a completion app; `query` stands in where the form has none or none was given.
    pub fn completion_line(&self, inputs: &Map<String, Value>, query: &str) -> String {
        if self.custom.is_some() {
            let given: Vec<String> =
                inputs.iter().map(|(name, value)| format!("{name}={}", in_prompt(Some(value)))).collect();
            return given.join(" ");
        }
        let tone = in_prompt(inputs.get("tone"));
        if self.kind == AppKind::CompletionNoQuery {
            return format!("TONE={tone}\n");
        }
        match inputs.get("query") {
            Some(Value::String(given)) => format!("TONE={tone} Q={given}\n"),
            _ => format!("TONE={tone} Q={query}\n"),
        }
    }

    /// The opening statement of a conversation.
    pub fn introduction(&self, inputs: &Map<String, Value>) -> String {
        if let Some(app) = &self.custom {
            return app.introduction(inputs);
        }
        match self.kind {
            AppKind::Chat => format!("Hi {}, welcome", in_prompt(inputs.get("name"))),
            AppKind::AdvancedChat => format!("Welcome {}", in_prompt(inputs.get("name"))),
            _ => String::new(),
        }
    }

    /// `GET /info`.
    pub fn info(&self, behaviour: &Behaviour) -> Value {
        let name = self.label();
        let mut info = json!({"name": name, "description": format!("{name} app"), "tags": []});
        if behaviour.full_info {
            info["mode"] = json!(self.mode().wire());
            info["author_name"] = json!("emulator");
        }
        info
    }

    /// `GET /meta`.
    pub fn meta(&self) -> Value {
        if self.kind == AppKind::AgentChat {
            return json!({"tool_icons": {"current_time": "http://localhost/tool-provider/builtin/time/icon"}});
        }
        json!({"tool_icons": {}})
    }

    /// `GET /site`.
    pub fn site(&self) -> Value {
        json!({
            "title": self.label(), "chat_color_theme": null, "chat_color_theme_inverted": false,
            "icon_type": "emoji", "icon": "X", "icon_background": "#FFEAD5", "description": null, "copyright": null,
            "privacy_policy": null, "custom_disclaimer": "", "default_language": "en-US", "show_workflow_steps": true,
            "use_icon_as_answer_icon": false, "icon_url": null
        })
    }

    /// `GET /parameters`.
    pub fn parameters(&self, behaviour: &Behaviour, annotation_reply: bool) -> Value {
        let runs = self.mode().runs();
        let form: Vec<Value> = self.form.iter().map(|v| if runs { v.flow_document() } else { v.document() }).collect();
        let (opening, questions) = match self.kind {
            _ if self.custom.is_some() => self.custom.as_ref().map_or(("", json!([])), |app| app.greeting()),
            AppKind::Chat => ("Hi {{name}}, welcome", json!(["What?", "Why?"])),
            AppKind::AdvancedChat => ("Welcome {{name}}", json!(["A?"])),
            _ => ("", json!([])),
        };
        let mut parameters = json!({
            "opening_statement": opening,
            "suggested_questions": questions,
            "suggested_questions_after_answer": {"enabled": self.suggests()},
            "speech_to_text": {"enabled": self.hears()},
            "text_to_speech": self.text_to_speech(behaviour),
            "retriever_resource": {"enabled": true},
            "annotation_reply": {"enabled": annotation_reply},
            "more_like_this": {"enabled": false},
            "user_input_form": form,
            "sensitive_word_avoidance": {"configs": [], "enabled": false, "type": ""},
            "file_upload": {
                "allowed_file_extensions": [], "allowed_file_types": ["image", "document"],
                "allowed_file_upload_methods": ["local_file", "remote_url"], "enabled": self.takes_files(),
                "image": {"detail": "low", "enabled": self.takes_files(), "number_limits": 3,
                          "transfer_methods": ["local_file", "remote_url"]},
                "number_limits": 3
            },
            "system_parameters": {
                "image_file_size_limit": 10, "video_file_size_limit": 100, "audio_file_size_limit": 50,
                "file_size_limit": 15, "workflow_file_upload_limit": 10
            }
        });
        if runs {
            parameters["sensitive_word_avoidance"] = json!({"enabled": false});
        }
        if runs || self.mode().thinks() {
            parameters["file_upload"]["allowed_file_types"] = json!(["image"]);
            parameters["file_upload"]["image"] =
                json!({"enabled": false, "number_limits": 3, "transfer_methods": ["local_file", "remote_url"]});
        }
        parameters
    }

    fn text_to_speech(&self, behaviour: &Behaviour) -> Value {
        let voice = if self.speaks() { ("en-US", "alloy") } else { ("", "") };
        let mut speech = json!({"enabled": self.speaks(), "language": voice.0, "voice": voice.1});
        if behaviour.announces_autoplay || self.autoplay {
            speech["autoPlay"] = json!(if self.autoplay { "enabled" } else { "disabled" });
        }
        speech
    }
}

fn form_of(kind: AppKind) -> Vec<Variable> {
    let variable = |name: &str, label: &str, required, field| Variable {
        name: name.to_owned(),
        label: label.to_owned(),
        required,
        field,
        default: None,
    };
    let tone = || variable("tone", "Tone", false, Field::Line(20));
    match kind {
        AppKind::Chat => vec![
            variable("name", "Name", true, Field::Line(48)),
            variable("lang", "Lang", false, Field::Select(vec!["en".to_owned(), "fr".to_owned()])),
            variable("age", "Age", false, Field::Number),
        ],
        AppKind::ChatPlain => vec![],
        AppKind::Completion => vec![variable("query", "Query", false, Field::Paragraph), tone()],
        AppKind::CompletionQuery => vec![variable("query", "Query", true, Field::Paragraph), tone()],
        AppKind::CompletionNoQuery => vec![tone()],
        AppKind::AgentChat => vec![variable("name", "Name", true, Field::Line(48))],
        AppKind::Agent => vec![],
        AppKind::AdvancedChat => {
            vec![variable("name", "name", true, Field::Line(48)), variable("extra", "extra", false, Field::Line(48))]
        }
        AppKind::Workflow => {
            vec![variable("name", "name", true, Field::Line(200)), variable("count", "count", false, Field::Number)]
        }
        AppKind::WorkflowLlm => vec![variable("q", "q", true, Field::Paragraph)],
    }
}
