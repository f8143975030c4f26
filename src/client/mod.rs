//! One request over HTTP, timed and recorded: [`Call`] -> [`Recorded`].

use crate::model::{Fault, Reply, Request, Timing};
use crate::sse::TimedFrame;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// A secret and what stands for it in every recording: `[key:LABEL]`, and `[key-tail:LABEL]` for its last 16 characters.
#[derive(Clone)]
pub struct Secret {
    /// App label.
    pub label: String,
    /// The key itself; never printed.
    pub key: String,
}

/// Settings of a client.
#[derive(Clone)]
pub struct Options {
    /// Secrets to redact from everything recorded.
    pub secrets: Vec<Secret>,
    /// Offset 0 of all recorded times.
    pub epoch: Instant,
    /// Bytes of a body that are kept; reading goes on (counting) to `max_body`.
    pub keep_body: usize,
    /// Bytes after which a body is cut with `TooLarge`.
    pub max_body: u64,
    /// Limits where a call gives none.
    pub limits: Limits,
    /// Requests in flight at once; waiting for a slot is not part of the timing.
    pub max_in_flight: usize,
}

/// Time limits of a call.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Name resolution and TCP connect.
    pub connect: Duration,
    /// TLS handshake.
    pub tls: Duration,
    /// Response head.
    pub first_byte: Duration,
    /// First SSE event.
    pub first_event: Duration,
    /// Silence within a body.
    pub idle: Duration,
    /// The whole exchange.
    pub total: Duration,
}

/// What to send.
#[derive(Clone)]
pub struct Call {
    /// HTTP method.
    pub method: String,
    /// Absolute URL, percent-encoded.
    pub url: String,
    /// Headers in order, real secrets inside. `Host` and `Content-Length` are added by the client.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Option<bytes::Bytes>,
    /// Time limits.
    pub limits: Limits,
    /// Planned send (open model).
    pub planned: Option<Instant>,
    /// Hang up (fault `Cancelled`) after this many SSE events other than ping.
    pub hang_up_after: Option<u32>,
}

/// What happened; secrets redacted.
pub struct Recorded {
    /// As sent.
    pub request: Request,
    /// As received.
    pub reply: Option<Reply>,
    /// What cut it short.
    pub fault: Option<Fault>,
    /// When.
    pub timing: Timing,
}

/// A client with one shared connection pool. Cheap to clone.
#[derive(Clone)]
pub struct Client {}

impl Client {
    /// Prepares a client; nothing is connected yet.
    pub fn new(_options: Options) -> Client {
        Client {}
    }

    /// Sends one request and records what happens. Redirects are not followed, nothing is retried.
    /// `watch` gets each SSE frame when it arrives. Ends at once with `Cancelled` when `stop` fires.
    pub async fn send(
        &self,
        _call: Call,
        _watch: Option<tokio::sync::mpsc::UnboundedSender<TimedFrame>>,
        _stop: &CancellationToken,
    ) -> Recorded {
        unimplemented!("replaced by the client branch")
    }
}
