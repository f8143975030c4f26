//! One request and what came back, as recorded: no judgement, secrets already redacted.

use serde::{Deserialize, Serialize};

/// One HTTP exchange.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Exchange {
    /// Order of sending in the run, from 1.
    pub id: u64,
    /// Label of the app whose key (or whose absence) this request is about.
    pub app: String,
    /// Which step of which scenario sent it.
    pub origin: Origin,
    /// What was sent.
    pub request: Request,
    /// What came back; `None` when no response head arrived.
    pub reply: Option<Reply>,
    /// What cut the exchange short, if anything did.
    pub fault: Option<Fault>,
    /// When what happened.
    pub timing: Timing,
}

impl Exchange {
    /// HTTP status, 0 when no response head arrived.
    pub fn status(&self) -> u16 {
        self.reply.as_ref().map_or(0, |r| r.status)
    }

    /// Offset of the last byte (or of the fault) from the start of the run, in microseconds.
    pub fn ended_us(&self) -> u64 {
        self.timing.sent_us + self.timing.end_us
    }
}

/// Where in the user's files a request comes from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// Scenario id; `discovery` for the tool's own first requests.
    pub scenario: String,
    /// Step id.
    pub step: String,
    /// Scenario file as shown to people.
    pub file: String,
    /// Line of the step, from 1; 0 when there is no file.
    pub line: u32,
    /// Column of the step, from 1.
    pub column: u32,
    /// Virtual user, from 0.
    pub user: u32,
    /// Iteration of that virtual user, from 0.
    pub iteration: u32,
}

/// What was sent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Request {
    /// HTTP method, upper case.
    pub method: String,
    /// Path and query as on the request line, e.g. `/v1/messages?user=a`.
    pub target: String,
    /// Headers in order; keys are shown as `[key:LABEL]`.
    pub headers: Vec<(String, String)>,
    /// Body, where one was sent.
    pub body: Option<Body>,
}

/// What a request said about who sends it. Derived from the redacted `Authorization` header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// No `Authorization` header.
    Missing,
    /// `Bearer` (any case) and a key of the app with this label.
    Key(String),
    /// Anything else: wrong scheme, unknown key, no token.
    Refused,
}

impl Request {
    /// First value of a header, by name in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    /// Path part of the request target.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or("")
    }

    /// Who the request says it is.
    pub fn credential(&self) -> Credential {
        match (self.key_label(), self.header("authorization")) {
            (Some(label), _) => Credential::Key(label.to_owned()),
            (None, Some(_)) => Credential::Refused,
            (None, None) => Credential::Missing,
        }
    }

    /// Label of the app whose key the request carries as a bearer token.
    pub fn key_label(&self) -> Option<&str> {
        let (scheme, token) = self.header("authorization")?.split_once(' ')?;
        let label = token.trim().strip_prefix("[key:")?.strip_suffix(']')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(label)
    }
}

/// Body bytes, kept as text where they are UTF-8.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Body {
    /// UTF-8 text.
    Text(String),
    /// Standard base64 of bytes that are not UTF-8.
    Base64(String),
}

impl Body {
    /// Keeps bytes losslessly.
    pub fn from_bytes(bytes: &[u8]) -> Body {
        use base64::Engine as _;
        match std::str::from_utf8(bytes) {
            Ok(text) => Body::Text(text.to_owned()),
            Err(_) => Body::Base64(base64::engine::general_purpose::STANDARD.encode(bytes)),
        }
    }

    /// The bytes as they were; empty where the base64 of a hand-edited file is broken.
    pub fn bytes(&self) -> std::borrow::Cow<'_, [u8]> {
        use base64::Engine as _;
        match self {
            Body::Text(text) => text.as_bytes().into(),
            Body::Base64(text) => base64::engine::general_purpose::STANDARD.decode(text).unwrap_or_default().into(),
        }
    }

    /// The text, if the body is text.
    pub fn text(&self) -> Option<&str> {
        match self {
            Body::Text(text) => Some(text),
            Body::Base64(_) => None,
        }
    }
}

/// What came back.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Reply {
    /// As on the status line, e.g. `HTTP/1.1`.
    pub http_version: String,
    /// Status code.
    pub status: u16,
    /// Headers in order of arrival, redacted.
    pub headers: Vec<(String, String)>,
    /// Body as received, after transfer decoding, up to the cap.
    pub body: Body,
    /// Bytes received, also those past the cap, before secrets were replaced.
    pub body_bytes: u64,
    /// When which part of the body arrived; one entry per read of a stream, one in all for other bodies.
    pub reads: Vec<Read>,
}

impl Reply {
    /// First value of a header, by name in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    /// Media type in lower case without parameters; empty when there is no `Content-Type`.
    pub fn media_type(&self) -> String {
        let value = self.header("content-type").unwrap_or("");
        value.split(';').next().unwrap_or("").trim().to_ascii_lowercase()
    }

    /// Whether the media type is that of an event stream.
    pub fn is_event_stream(&self) -> bool {
        self.has_media_type("text/event-stream")
    }

    /// Whether [`Reply::media_type`] is this one, given in lower case.
    pub fn has_media_type(&self, wanted: &str) -> bool {
        let value = self.header("content-type").unwrap_or("");
        value.split(';').next().unwrap_or("").trim().eq_ignore_ascii_case(wanted)
    }

    /// Whether part of the body was dropped at the cap. The reads tell, because replacing secrets changes the length
    /// of the kept body but not that; without reads `body_bytes` does.
    pub fn truncated(&self) -> bool {
        let received = self.reads.last().map_or(self.body_bytes, |r| r.upto);
        received > self.body.bytes().len() as u64
    }
}

/// One read from the connection.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Read {
    /// Microseconds since the request was sent.
    pub at_us: u64,
    /// Bytes of the body received so far, this read included; an offset in the kept (redacted) body.
    pub upto: u64,
}

/// What cut an exchange short.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// Which kind.
    pub class: FaultClass,
    /// For people: the operating system's or library's words.
    pub detail: String,
}

/// Kinds of transport faults; the names are the failure classes of reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultClass {
    /// Name resolution or TCP connect failed.
    Connect,
    /// TLS handshake or certificate failed.
    Tls,
    /// Connect took longer than its limit.
    TimeoutConnect,
    /// TLS handshake took longer than its limit.
    TimeoutTls,
    /// No response head within its limit.
    TimeoutFirstByte,
    /// A stream without its first event within the limit.
    TimeoutFirstEvent,
    /// Silence longer than the limit in the middle of a body.
    TimeoutIdle,
    /// The whole exchange took longer than its limit.
    TimeoutTotal,
    /// The connection ended in the middle of the response.
    Truncated,
    /// Bytes that are not HTTP, or that break its framing.
    Protocol,
    /// The body went on past the cap and was cut by us.
    TooLarge,
    /// We stopped on purpose: interrupt, or a step that hangs up.
    Cancelled,
}

/// Offsets in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// Planned send, since the start of the run (open model).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned_us: Option<u64>,
    /// Actual send, since the start of the run. All offsets below count from here.
    pub sent_us: u64,
    /// Name resolution and TCP connect; `None` when the connection was reused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect_us: Option<u64>,
    /// TLS handshake; `None` when there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_us: Option<u64>,
    /// Response head complete (time to first byte).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head_us: Option<u64>,
    /// Last byte of the body, or the fault.
    pub end_us: u64,
}

fn header<'h>(headers: &'h [(String, String)], name: &str) -> Option<&'h str> {
    headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
}
