//! Bodies of requests, as the specification has them.

use super::Violation;
use super::library::library;
use crate::model::Endpoint;
use serde_json::Value;

macro_rules! requests {
    ($($name:literal),* $(,)?) => {
        &[$((
            concat!("requests/", $name, ".json"),
            include_str!(concat!("../../schemas/requests/", $name, ".json")),
        )),*]
    };
}

/// Every file of request bodies below `schemas/`, with its text.
pub(super) const FILES: &[(&str, &str)] = requests![
    "chat-messages",
    "completion-messages",
    "workflow-run",
    "stop",
    "feedback",
    "rename",
    "conversation-delete",
];

/// The file below `schemas/` that describes the JSON body of requests to an endpoint; `None` where none does.
pub fn request_file(endpoint: Endpoint) -> Option<&'static str> {
    Some(match endpoint {
        Endpoint::ChatMessages => "requests/chat-messages.json",
        Endpoint::CompletionMessages => "requests/completion-messages.json",
        Endpoint::WorkflowRun | Endpoint::WorkflowRunById => "requests/workflow-run.json",
        Endpoint::ChatStop | Endpoint::CompletionStop | Endpoint::WorkflowStop => "requests/stop.json",
        Endpoint::Feedback => "requests/feedback.json",
        Endpoint::ConversationRename => "requests/rename.json",
        Endpoint::ConversationDelete => "requests/conversation-delete.json",
        _ => return None,
    })
}

/// What is wrong with the body of a request, as [`super::check`] says it; empty when it fits or nothing describes it.
pub fn check_request(endpoint: Endpoint, body: &Value) -> Vec<Violation> {
    let schema = request_file(endpoint).and_then(|file| library().get(file));
    schema.map(|schema| schema.violations(body)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn places(endpoint: Endpoint, body: Value) -> Vec<String> {
        check_request(endpoint, &body).into_iter().map(|v| v.path).collect()
    }

    #[test]
    fn documented_requests_fit_and_others_are_told_by_place() {
        let turn = json!({"inputs": {"n": 1}, "query": "hi", "user": "u", "response_mode": "streaming",
            "files": [{"type": "image", "transfer_method": "local_file", "upload_file_id": "f"}]});
        assert_eq!(places(Endpoint::ChatMessages, turn.clone()), [] as [&str; 0]);
        assert_eq!(places(Endpoint::CompletionMessages, json!({"inputs": {}, "user": "u"})), [] as [&str; 0]);
        let mut odd = turn;
        odd["query"] = json!(null);
        odd["response_mode"] = json!("stream");
        odd["files"][0]["transfer_method"] = json!("remote_url");
        let found = places(Endpoint::ChatMessages, odd);
        for place in ["/query", "/response_mode", "/files/0/url"] {
            assert!(found.iter().any(|p| p == place), "{place}: {found:?}");
        }
        assert_eq!(places(Endpoint::Feedback, json!({"user": "u", "rating": "love"})), ["/rating"]);
        assert_eq!(places(Endpoint::ChatStop, json!({})), ["/user"]);
        assert_eq!(places(Endpoint::Info, json!(5)), [] as [&str; 0]);
    }

    #[test]
    fn every_described_endpoint_has_its_file() {
        for (file, _) in FILES {
            assert!(library().get(file).is_some(), "{file}");
        }
        for endpoint in [Endpoint::WorkflowRunById, Endpoint::ConversationRename, Endpoint::ConversationDelete] {
            let file = request_file(endpoint).unwrap();
            assert!(FILES.iter().any(|(f, _)| *f == file), "{file}");
        }
    }
}
