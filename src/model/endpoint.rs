//! Which documented operation a request line means.

use serde::{Deserialize, Serialize};

/// Operations of the Service API for apps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)] // each name is its operation
pub enum Endpoint {
    Info,
    Parameters,
    Meta,
    Site,
    ChatMessages,
    ChatStop,
    CompletionMessages,
    CompletionStop,
    WorkflowRun,
    WorkflowRunById,
    WorkflowStop,
    WorkflowRunDetail,
    WorkflowLogs,
    WorkflowEvents,
    Messages,
    Feedback,
    AppFeedbacks,
    Suggested,
    Conversations,
    ConversationDelete,
    ConversationRename,
    Variables,
    VariableUpdate,
    FileUpload,
    FilePreview,
    AudioToText,
    TextToAudio,
    Annotations,
    AnnotationCreate,
    Annotation,
    AnnotationReply,
    AnnotationReplyStatus,
    EndUser,
    HumanInputForm,
    Other,
}

/// A request line, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The operation; [`Endpoint::Other`] when no documented one matches method and path.
    pub endpoint: Endpoint,
    /// Path parameters in order, percent-decoded.
    pub ids: Vec<String>,
    /// Query parameters in order, percent-decoded.
    pub query: Vec<(String, String)>,
}

/// Method and path pattern of every operation; `*` is one path parameter.
pub const PATTERNS: &[(&str, &str, Endpoint)] = &[
    ("GET", "info", Endpoint::Info),
    ("GET", "parameters", Endpoint::Parameters),
    ("GET", "meta", Endpoint::Meta),
    ("GET", "site", Endpoint::Site),
    ("POST", "chat-messages", Endpoint::ChatMessages),
    ("POST", "chat-messages/*/stop", Endpoint::ChatStop),
    ("POST", "completion-messages", Endpoint::CompletionMessages),
    ("POST", "completion-messages/*/stop", Endpoint::CompletionStop),
    ("POST", "workflows/run", Endpoint::WorkflowRun),
    ("POST", "workflows/tasks/*/stop", Endpoint::WorkflowStop),
    ("POST", "workflows/*/run", Endpoint::WorkflowRunById),
    ("GET", "workflows/run/*", Endpoint::WorkflowRunDetail),
    ("GET", "workflows/logs", Endpoint::WorkflowLogs),
    ("GET", "workflow/*/events", Endpoint::WorkflowEvents),
    ("GET", "messages", Endpoint::Messages),
    ("POST", "messages/*/feedbacks", Endpoint::Feedback),
    ("GET", "messages/*/suggested", Endpoint::Suggested),
    ("GET", "app/feedbacks", Endpoint::AppFeedbacks),
    ("GET", "conversations", Endpoint::Conversations),
    ("DELETE", "conversations/*", Endpoint::ConversationDelete),
    ("POST", "conversations/*/name", Endpoint::ConversationRename),
    ("GET", "conversations/*/variables", Endpoint::Variables),
    ("PUT", "conversations/*/variables/*", Endpoint::VariableUpdate),
    ("POST", "files/upload", Endpoint::FileUpload),
    ("GET", "files/*/preview", Endpoint::FilePreview),
    ("POST", "audio-to-text", Endpoint::AudioToText),
    ("POST", "text-to-audio", Endpoint::TextToAudio),
    ("GET", "apps/annotations", Endpoint::Annotations),
    ("POST", "apps/annotations", Endpoint::AnnotationCreate),
    ("PUT", "apps/annotations/*", Endpoint::Annotation),
    ("DELETE", "apps/annotations/*", Endpoint::Annotation),
    ("POST", "apps/annotation-reply/*", Endpoint::AnnotationReply),
    ("GET", "apps/annotation-reply/*/status/*", Endpoint::AnnotationReplyStatus),
    ("GET", "end-users/*", Endpoint::EndUser),
    ("GET", "form/human_input/*", Endpoint::HumanInputForm),
    ("POST", "form/human_input/*", Endpoint::HumanInputForm),
];

impl Endpoint {
    /// The operation of a path without query below whatever base path: the longest rest of it that is documented.
    pub fn of(method: &str, path: &str) -> Endpoint {
        let rests = path.match_indices('/').filter_map(|(at, _)| path.get(at..));
        rests.filter_map(|rest| known(method, rest)).map(|(_, endpoint)| endpoint).next().unwrap_or(Endpoint::Other)
    }

    /// Whether the operation generates (chat, completion or workflow run).
    pub fn generates(self) -> bool {
        matches!(
            self,
            Endpoint::ChatMessages | Endpoint::CompletionMessages | Endpoint::WorkflowRun | Endpoint::WorkflowRunById
        )
    }

    /// Whether the operation stops a running task.
    pub fn stops(self) -> bool {
        matches!(self, Endpoint::ChatStop | Endpoint::CompletionStop | Endpoint::WorkflowStop)
    }
}

impl Route {
    /// Understands a request line. The base path (`/v1`, or a gateway's longer one) is stripped by matching from the
    /// end of the path, so it need not be known; `base_path` is used first where it fits.
    pub fn of(method: &str, target: &str, base_path: &str) -> Route {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let base = base_path.trim_end_matches('/');
        let path = path.strip_prefix(base).unwrap_or(path);
        let query = query.split('&').filter(|p| !p.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(&name.replace('+', " ")), decode(&value.replace('+', " ")))
        });
        let query = query.collect();
        match known(method, path) {
            Some((pattern, endpoint)) => {
                let parts = path.split('/').skip(1);
                let ids = pattern.split('/').zip(parts).filter(|(want, _)| *want == "*");
                Route { endpoint, ids: ids.map(|(_, part)| decode(part)).collect(), query }
            }
            None => Route { endpoint: Endpoint::Other, ids: Vec::new(), query },
        }
    }

    /// First value of a query parameter.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

/// The documented operation of a path without a base path.
fn known(method: &str, path: &str) -> Option<(&'static str, Endpoint)> {
    let inner = path.strip_prefix('/')?;
    let fit = |(verb, pattern, _): &&(&str, &str, Endpoint)| {
        *verb == method && (*pattern == inner || pattern.contains('*') && fits(pattern, inner))
    };
    PATTERNS.iter().find(fit).map(|(_, pattern, endpoint)| (*pattern, *endpoint))
}

fn fits(pattern: &str, inner: &str) -> bool {
    let mut parts = inner.split('/');
    pattern.split('/').all(|want| parts.next().is_some_and(|part| want == "*" || want == part))
        && parts.next().is_none()
}

fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        let hex = (bytes[i] == b'%').then(|| bytes.get(i + 1..i + 3)).flatten();
        match hex.and_then(|h| std::str::from_utf8(h).ok()).and_then(|h| u8::from_str_radix(h, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                i += 3;
            }
            None => {
                out.push(bytes[i]);
                i += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_lines_are_understood_with_and_without_a_base_path() {
        let route = Route::of("POST", "/v1/conversations/abc/name", "/v1");
        assert_eq!((route.endpoint, route.ids.as_slice()), (Endpoint::ConversationRename, &["abc".to_owned()][..]));
        let route = Route::of("GET", "/api/v1/messages?user=a%20b&limit=2", "/api/v1");
        assert_eq!((route.endpoint, route.param("user")), (Endpoint::Messages, Some("a b")));
        assert_eq!(Route::of("GET", "/v1/chat-messages", "/v1").endpoint, Endpoint::Other);
    }
}
