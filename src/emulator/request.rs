//! A request as the pure part sees it, and how its body is read.

use serde_json::{Map, Value};

use super::behaviour::{Behaviour, OddBody};
use super::refusal::Refusal;

/// The user that requests without one belong to.
pub const DEFAULT_USER: &str = "DEFAULT-USER";
/// Longest user name and conversation name the imitated databases hold.
pub const COLUMN_CHARS: usize = 255;

/// One HTTP request, decoded as far as HTTP goes.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Method in capitals.
    pub method: String,
    /// Path as sent.
    pub path: String,
    /// Decoded query pairs in order.
    pub query: Vec<(String, String)>,
    /// Header pairs, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body bytes.
    pub body: Vec<u8>,
}

impl Request {
    /// The first header of this lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The first query parameter of this name.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The body as a JSON object.
    pub fn json(&self, behaviour: &Behaviour) -> Result<Map<String, Value>, Refusal> {
        let media_type = self.header("content-type").unwrap_or_default();
        let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if essence != "application/json" && !(essence.starts_with("application/") && essence.ends_with("+json")) {
            return Err(Refusal::unsupported_media_type());
        }
        match serde_json::from_slice(&self.body) {
            Ok(Value::Object(members)) => Ok(members),
            Ok(_) => Err(match behaviour.non_object_body {
                OddBody::Refused => Refusal::malformed_json(),
                OddBody::Slips | OddBody::SlipsWithoutStatus => Refusal::unknown(behaviour),
            }),
            Err(_) => Err(Refusal::malformed_json()),
        }
    }

    /// The user of a request that carries it in the query; `None` if absent or empty.
    pub fn user_in_query(&self) -> Option<String> {
        self.param("user").filter(|user| !user.is_empty()).map(str::to_owned)
    }
}

/// The user of a body; `None` if absent, null or empty. Other JSON than text counts by its text.
pub fn user_in_body(body: &Map<String, Value>) -> Option<String> {
    match body.get("user") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) if text.is_empty() => None,
        Some(Value::String(text)) => Some(text.clone()),
        Some(other) => Some(other.to_string()),
    }
}

/// The normal form of a UUID given in any accepted spelling.
pub fn uuid_text(text: &str) -> Option<String> {
    uuid::Uuid::parse_str(text).ok().map(|id| id.to_string())
}
