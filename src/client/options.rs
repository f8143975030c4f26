//! What goes into a client and what comes out.

use super::ProxySettings;
use crate::model::{Fault, Reply, Request, Timing};
use std::time::{Duration, Instant};
use tokio_rustls::rustls::pki_types::CertificateDer;

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
    /// Bytes of all bodies together after which only the first 64 KiB of further ones are kept.
    pub keep_total: u64,
    /// Bytes after which a body is cut with `TooLarge`.
    pub max_body: u64,
    /// Limits where a call gives none: what callers fill [`Call::limits`] from.
    pub limits: Limits,
    /// Requests in flight at once; waiting for a slot is not part of the timing.
    pub max_in_flight: usize,
    /// Certificates (DER) trusted besides the system's roots.
    pub extra_roots: Vec<CertificateDer<'static>>,
    /// Proxies to go through.
    pub proxy: ProxySettings,
}

impl Default for Options {
    /// No secrets, offset 0 now, 8 MiB of a body kept and 256 MiB read, 1024 in flight, proxies of the environment.
    fn default() -> Options {
        Options {
            secrets: Vec::new(),
            epoch: Instant::now(),
            keep_body: 8 << 20,
            keep_total: u64::MAX,
            max_body: 256 << 20,
            limits: Limits::default(),
            max_in_flight: 1024,
            extra_roots: Vec::new(),
            proxy: ProxySettings::from_env(),
        }
    }
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
    /// First SSE event; a ping is one, a comment is not.
    pub first_event: Duration,
    /// Silence within a body.
    pub idle: Duration,
    /// The whole exchange.
    pub total: Duration,
}

impl Default for Limits {
    /// Generous: 10 s to connect, 10 s for TLS, 60 s for the first byte, the first event and silence, 300 s in all.
    fn default() -> Limits {
        Limits {
            connect: Duration::from_secs(10),
            tls: Duration::from_secs(10),
            first_byte: Duration::from_secs(60),
            first_event: Duration::from_secs(60),
            idle: Duration::from_secs(60),
            total: Duration::from_secs(300),
        }
    }
}

/// What to send.
#[derive(Clone)]
pub struct Call {
    /// HTTP method.
    pub method: String,
    /// Absolute URL, percent-encoded.
    pub url: String,
    /// Headers in order, real secrets inside. `Host`, `Content-Length` and `User-Agent` are added by the client where
    /// they are missing; the recording shows the headers given here.
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
#[derive(Clone, Debug)]
pub struct Recorded {
    /// As sent.
    pub request: Request,
    /// The recorded body is the one that was sent: nothing in it was replaced or cut.
    pub body_as_sent: bool,
    /// As received.
    pub reply: Option<Reply>,
    /// What cut it short.
    pub fault: Option<Fault>,
    /// When.
    pub timing: Timing,
}
