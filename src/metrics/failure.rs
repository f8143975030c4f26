//! Why a generation request does not count as a success. HTTP 200 alone is no success.

use crate::model::FaultClass;
use serde::{Deserialize, Serialize};

/// Class of a failed request; each failed request has exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// Name resolution or TCP connect.
    Connect,
    /// TLS handshake or certificate.
    Tls,
    /// Any time limit.
    Timeout,
    /// Status 400 to 499 but 429.
    #[serde(rename = "http_4xx")]
    Http4xx,
    /// Status 429.
    #[serde(rename = "http_429")]
    Http429,
    /// Status 500 and above.
    #[serde(rename = "http_5xx")]
    Http5xx,
    /// Any other status than 200, e.g. a redirect.
    HttpOther,
    /// An `error` event in the stream.
    ErrorEvent,
    /// `workflow_finished`, or a blocking workflow answer, with status `failed`.
    WorkflowFailed,
    /// The connection ended in the middle of the response.
    Truncated,
    /// The stream ended in good order without the terminal event of the app type.
    MissingTerminal,
    /// The answer does not have the form of an answer: not JSON, no `answer`, not a stream where one was asked for.
    Schema,
    /// A conformance rule does not hold; set by whoever judges.
    Rule,
    /// Bytes that are not HTTP.
    Protocol,
    /// Cut by us on purpose, or a workflow run that somebody stopped.
    Cancelled,
    /// The body went past what we read or keep, so its end is unknown.
    TooLarge,
}

impl FailureClass {
    /// All classes, in the order of tables.
    pub const ALL: [FailureClass; 16] = [
        FailureClass::Connect,
        FailureClass::Tls,
        FailureClass::Timeout,
        FailureClass::Http4xx,
        FailureClass::Http429,
        FailureClass::Http5xx,
        FailureClass::HttpOther,
        FailureClass::ErrorEvent,
        FailureClass::WorkflowFailed,
        FailureClass::Truncated,
        FailureClass::MissingTerminal,
        FailureClass::Schema,
        FailureClass::Rule,
        FailureClass::Protocol,
        FailureClass::Cancelled,
        FailureClass::TooLarge,
    ];

    /// The name in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            FailureClass::Connect => "connect",
            FailureClass::Tls => "tls",
            FailureClass::Timeout => "timeout",
            FailureClass::Http4xx => "http_4xx",
            FailureClass::Http429 => "http_429",
            FailureClass::Http5xx => "http_5xx",
            FailureClass::HttpOther => "http_other",
            FailureClass::ErrorEvent => "error_event",
            FailureClass::WorkflowFailed => "workflow_failed",
            FailureClass::Truncated => "truncated",
            FailureClass::MissingTerminal => "missing_terminal",
            FailureClass::Schema => "schema",
            FailureClass::Rule => "rule",
            FailureClass::Protocol => "protocol",
            FailureClass::Cancelled => "cancelled",
            FailureClass::TooLarge => "too_large",
        }
    }

    /// The class of a transport fault.
    pub fn of_fault(class: FaultClass) -> FailureClass {
        match class {
            FaultClass::Connect => FailureClass::Connect,
            FaultClass::Tls => FailureClass::Tls,
            FaultClass::TimeoutConnect
            | FaultClass::TimeoutTls
            | FaultClass::TimeoutFirstByte
            | FaultClass::TimeoutFirstEvent
            | FaultClass::TimeoutIdle
            | FaultClass::TimeoutTotal => FailureClass::Timeout,
            FaultClass::Truncated => FailureClass::Truncated,
            FaultClass::Protocol => FailureClass::Protocol,
            FaultClass::TooLarge => FailureClass::TooLarge,
            FaultClass::Cancelled => FailureClass::Cancelled,
        }
    }

    /// The class of a status; `None` for 200.
    pub fn of_status(status: u16) -> Option<FailureClass> {
        match status {
            200 => None,
            429 => Some(FailureClass::Http429),
            400..=499 => Some(FailureClass::Http4xx),
            500.. => Some(FailureClass::Http5xx),
            _ => Some(FailureClass::HttpOther),
        }
    }
}

impl std::fmt::Display for FailureClass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serde_names_are_the_names_of_reports() {
        for class in FailureClass::ALL {
            assert_eq!(serde_json::to_value(class).ok(), Some(serde_json::Value::from(class.as_str())));
        }
    }

    #[test]
    fn only_200_is_no_failure_by_status() {
        let of = FailureClass::of_status;
        assert_eq!(of(200), None);
        assert_eq!(of(429), Some(FailureClass::Http429));
        assert_eq!(of(404), Some(FailureClass::Http4xx));
        assert_eq!(of(503), Some(FailureClass::Http5xx));
        assert_eq!(of(302), Some(FailureClass::HttpOther));
        assert_eq!(of(204), Some(FailureClass::HttpOther));
    }
}
