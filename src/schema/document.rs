//! Whole answers, and which one an endpoint gives.

use super::Violation;
use super::library::library;
use crate::model::Endpoint;
use serde_json::Value;

// One table, so that no document can be without its file.
macro_rules! documents {
    ($($(#[$doc:meta])* $document:ident = $name:literal,)*) => {
        /// An answer that has a schema.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Document {
            $($(#[$doc])* $document,)*
        }

        /// Every document with its file below `schemas/` and the text of that file.
        pub(super) const FILES: &[(Document, &str, &str)] = &[$((
            Document::$document,
            concat!($name, ".json"),
            include_str!(concat!("../../schemas/", $name, ".json")),
        ),)*];
    };
}

documents! {
    /// `GET /info`
    Info = "info",
    /// `GET /parameters`
    Parameters = "parameters",
    /// `GET /meta`
    Meta = "meta",
    /// `GET /site`
    Site = "site",
    /// `POST /chat-messages`, blocking
    ChatMessages = "chat-messages",
    /// `POST /completion-messages`, blocking
    CompletionMessages = "completion-messages",
    /// `POST /workflows/run`, blocking
    WorkflowRun = "workflow-run",
    /// `GET /messages`: a page of the history
    Messages = "messages",
    /// `GET /conversations`: a page of the list
    Conversations = "conversations",
    /// One conversation: the answer to renaming
    Conversation = "conversation",
    /// `{"result": "success"}`: stop, feedback, and deletion in Dify 0.15
    Result = "result",
    /// `GET /messages/{id}/suggested`
    Suggested = "suggested",
    /// `GET /app/feedbacks`
    AppFeedbacks = "app-feedbacks",
    /// `POST /files/upload`
    FileUpload = "file-upload",
    /// `POST /audio-to-text`
    AudioToText = "audio-to-text",
    /// `GET /apps/annotations`: a page of the list
    Annotations = "annotations",
    /// One annotation: the answer to creating or updating it
    Annotation = "annotation",
    /// A job that switches annotation replies, and its status
    AnnotationJob = "annotation-job",
    /// `GET /end-users/{id}`
    EndUser = "end-user",
    /// `GET /conversations/{id}/variables`
    Variables = "variables",
    /// One variable: the answer to updating it
    Variable = "variable",
    /// `GET /workflows/run/{id}`
    WorkflowRunDetail = "workflow-run-detail",
    /// `GET /workflows/logs`
    WorkflowLogs = "workflow-logs",
    /// `GET /form/human_input/{token}`
    HumanInputForm = "human-input-form",
    /// The body of an error, whatever the endpoint
    ErrorEnvelope = "error",
}

impl Document {
    /// Every document.
    pub fn all() -> impl Iterator<Item = Document> {
        FILES.iter().map(|(document, _, _)| *document)
    }

    /// Its file below `schemas/`, e.g. `chat-messages.json`.
    pub fn file(self) -> &'static str {
        FILES.iter().find(|(document, _, _)| *document == self).map_or("", |(_, file, _)| file)
    }
}

/// The document of an endpoint's successful JSON answer (of generating endpoints: in blocking mode); `None` where no
/// schema covers it. Deletion has one for Dify 0.15 only: later versions answer 204 without a body.
pub fn for_endpoint(endpoint: Endpoint) -> Option<Document> {
    match endpoint {
        Endpoint::Info => Some(Document::Info),
        Endpoint::Parameters => Some(Document::Parameters),
        Endpoint::Meta => Some(Document::Meta),
        Endpoint::Site => Some(Document::Site),
        Endpoint::ChatMessages => Some(Document::ChatMessages),
        Endpoint::CompletionMessages => Some(Document::CompletionMessages),
        Endpoint::WorkflowRun | Endpoint::WorkflowRunById => Some(Document::WorkflowRun),
        Endpoint::Messages => Some(Document::Messages),
        Endpoint::Conversations => Some(Document::Conversations),
        Endpoint::ConversationRename => Some(Document::Conversation),
        Endpoint::ChatStop
        | Endpoint::CompletionStop
        | Endpoint::WorkflowStop
        | Endpoint::Feedback
        | Endpoint::ConversationDelete => Some(Document::Result),
        Endpoint::Suggested => Some(Document::Suggested),
        Endpoint::AppFeedbacks => Some(Document::AppFeedbacks),
        Endpoint::Variables => Some(Document::Variables),
        Endpoint::FileUpload => Some(Document::FileUpload),
        Endpoint::AudioToText => Some(Document::AudioToText),
        Endpoint::Annotations => Some(Document::Annotations),
        Endpoint::AnnotationCreate | Endpoint::Annotation => Some(Document::Annotation),
        Endpoint::AnnotationReply | Endpoint::AnnotationReplyStatus => Some(Document::AnnotationJob),
        Endpoint::EndUser => Some(Document::EndUser),
        Endpoint::VariableUpdate => Some(Document::Variable),
        Endpoint::WorkflowRunDetail => Some(Document::WorkflowRunDetail),
        Endpoint::WorkflowLogs => Some(Document::WorkflowLogs),
        Endpoint::WorkflowEvents
        | Endpoint::FilePreview
        | Endpoint::TextToAudio
        | Endpoint::HumanInputForm
        | Endpoint::Other => None,
    }
}

/// What is wrong with an answer: at most 10 violations, no two with the same path and keyword; empty when it fits.
pub fn check(document: Document, value: &Value) -> Vec<Violation> {
    library().get(document.file()).map(|schema| schema.violations(value)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_document_has_a_compiled_schema() {
        for document in Document::all() {
            assert!(library().get(document.file()).is_some(), "{document:?}");
        }
    }

    #[test]
    fn a_good_answer_has_no_violations_and_a_bad_one_says_where() {
        assert_eq!(check(Document::Result, &json!({"result": "success", "more": 1})), []);
        let found = check(Document::Result, &json!({"result": "ok"}));
        let places: Vec<_> = found.iter().map(|v| (v.path.as_str(), v.keyword.as_str())).collect();
        assert_eq!(places, [("/result", "const")]);
        let page = json!({"limit": 20, "has_more": false, "data": [{"id": 7}]});
        let found = check(Document::Conversations, &page);
        assert!(found.iter().any(|v| v.path == "/data/0/id" && v.keyword == "type"), "{found:?}");
        assert!(found.iter().any(|v| v.path == "/data/0/name" && v.keyword == "required"), "{found:?}");
    }
}
