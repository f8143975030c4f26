//! One request over HTTP, timed and recorded: [`Call`] -> [`Recorded`].
//!
//! HTTP/1.1 with keep-alive, HTTP/2 where TLS agrees on it, proxies of the environment. Redirects are not followed,
//! nothing is decompressed, cookies are not kept. All secrets leave the recordings here.

mod arrivals;
mod base_url;
mod connect;
mod exchange;
mod fault;
mod options;
mod pool;
mod proxy;
mod redact;
mod slots;
mod target;
mod tls;
mod watchdog;

pub use base_url::{BaseUrl, BaseUrlError, parse_base_url};
pub use options::{Call, Limits, Options, Recorded, Secret};
pub use proxy::ProxySettings;
pub use slots::{Place, Reserved};

use crate::model::{Body, Fault, Reply, Request};
use crate::sse::TimedFrame;
use exchange::Flight;
use redact::Redactor;
use slots::Slots;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use target::Sites;
use tokio::sync::OnceCell;
use tokio::sync::mpsc::UnboundedSender;
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;
use watchdog::Progress;

/// A client with one shared connection pool. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

struct Shared {
    options: Options,
    redactor: Redactor,
    pool: pool::Pool,
    slots: Slots,
    /// Bytes of bodies kept so far.
    kept: AtomicU64,
    tls: OnceCell<TlsConnector>,
    sites: Sites,
}

impl Client {
    /// Prepares a client; nothing is connected yet.
    pub fn new(options: Options) -> Client {
        let shared = Shared {
            kept: AtomicU64::new(0),
            redactor: Redactor::new(&options.secrets),
            pool: pool::Pool::default(),
            slots: Slots::new(options.max_in_flight),
            tls: OnceCell::new(),
            sites: Sites::default(),
            options,
        };
        Client { shared: Arc::new(shared) }
    }

    /// Sends one request and records what happens. Redirects are not followed. Nothing is retried but this: a pooled
    /// connection that turns out to be closed is replaced once, if the request was not written to it or is a GET, HEAD
    /// or OPTIONS.
    ///
    /// `watch` gets each SSE frame when it arrives, redacted; offsets in it are those of the body as received.
    /// Ends at once with `Cancelled` when `stop` fires; what had come by then is kept.
    ///
    /// Limits: `connect` and `tls` count from their phase, `first_byte` and `first_event` from the moment the request
    /// is handed to the open connection, `total` from `sent_us`, which is just before a connection is taken or opened.
    pub async fn send(
        &self,
        call: Call,
        watch: Option<UnboundedSender<TimedFrame>>,
        stop: &CancellationToken,
    ) -> Recorded {
        self.send_in(Place::Queue, Box::new(call), watch, stop).await
    }

    /// As [`Client::send`], in a place of the caller's choice. The call is on the heap: each of the functions that it is handed
    /// through would keep room for it as long as its stream is open.
    pub async fn send_in(
        &self,
        place: Place,
        call: Box<Call>,
        watch: Option<UnboundedSender<TimedFrame>>,
        stop: &CancellationToken,
    ) -> Recorded {
        let shared = &*self.shared;
        let mut flight = Flight::new(shared.room());
        let end = shared.fly(place, &call, &mut flight, watch, stop).await;
        shared.recorded(call, flight, end)
    }

    /// Places for requests that are to be in flight together: `wanted` of them, or as many as there may be at once.
    /// Waits until they are free at the same moment; none when `stop` fires first.
    pub async fn reserve(&self, wanted: usize, stop: &CancellationToken) -> Vec<Reserved> {
        let (stopped, places) = (pin!(watchdog::stopped(stop)), pin!(self.shared.slots.many(wanted)));
        watchdog::unless(stopped, places).await.unwrap_or_default()
    }
}

/// What is kept of a body when [`Options::keep_total`] is used up.
const KEEP_WHEN_FULL: usize = 64 << 10;

impl Shared {
    /// Bytes that may be kept of the next body.
    fn room(&self) -> usize {
        let full = self.kept.load(Relaxed) >= self.options.keep_total;
        if full { self.options.keep_body.min(KEEP_WHEN_FULL) } else { self.options.keep_body }
    }

    /// Everything that is not part of the timing, then the exchange within its limits.
    async fn fly(
        &self,
        place: Place,
        call: &Call,
        flight: &mut Flight,
        watch: Option<UnboundedSender<TimedFrame>>,
        stop: &CancellationToken,
    ) -> Result<(), Fault> {
        let target = self.sites.target(call, &self.options.proxy)?;
        let _slot = watchdog::unless(pin!(watchdog::stopped(stop)), pin!(self.slots.take(place))).await?;
        let tls = match (target.origin.https, self.tls.get()) {
            (false, _) => None,
            (true, Some(tls)) => Some(tls),
            (true, None) => Some(watchdog::unless(pin!(watchdog::stopped(stop)), pin!(self.tls())).await?),
        };
        flight.sent = Instant::now();
        let progress = Progress::new(flight.sent);
        let overdue = pin!(progress.overdue_or(stop, &call.limits));
        let exchange = pin!(exchange::run(self, &target, call, tls, flight, &progress, watch));
        watchdog::unless(overdue, exchange).await
    }

    async fn tls(&self) -> Result<&TlsConnector, Fault> {
        self.tls.get_or_try_init(|| tls::load(self.options.extra_roots.clone())).await
    }

    fn recorded(&self, call: Box<Call>, mut flight: Flight, end: Result<(), Fault>) -> Recorded {
        let mut timing = flight.timing;
        timing.end_us = micros(flight.sent.elapsed());
        timing.sent_us = micros(flight.sent.saturating_duration_since(self.options.epoch));
        timing.planned_us = call.planned.map(|p| micros(p.saturating_duration_since(self.options.epoch)));
        flight.body.end(&self.redactor);
        let fault = end.err().map(|f| Fault { class: f.class, detail: self.redactor.text(f.detail) });
        let (request, body_as_sent) = self.request(*call);
        Recorded { reply: self.reply(flight, fault.is_some()), request, body_as_sent, fault, timing }
    }

    /// The record of a call, and whether its body is recorded as it was sent.
    fn request(&self, call: Call) -> (Request, bool) {
        let form =
            call.headers.iter().any(|(n, v)| n.eq_ignore_ascii_case("content-type") && v.starts_with("multipart/"));
        let mut as_sent = true;
        let body = call.body.map(|b| {
            let cut = form && b.len() > LARGE_FORM;
            let kept = if cut { b.slice(..KEPT_OF_FORM) } else { b };
            let (kept, edits) = self.redactor.bytes(kept.into(), cut);
            as_sent = !cut && edits.is_empty();
            into_body(kept)
        });
        let request = Request {
            method: call.method,
            target: self.redactor.text(target::request_target(&call.url)),
            headers: call.headers.into_iter().map(|(n, v)| self.sent_header(n, v)).collect(),
            body,
        };
        (request, as_sent)
    }

    fn sent_header(&self, name: String, value: String) -> (String, String) {
        let value = self.redactor.text(value);
        let value = if name.eq_ignore_ascii_case("authorization") { redact::foreign_token(value) } else { value };
        (name, value)
    }

    fn reply(&self, flight: Flight, faulty: bool) -> Option<Reply> {
        let head = flight.head?;
        let body = flight.body;
        self.kept.fetch_add(body.kept.len() as u64, Relaxed);
        let cut = faulty || body.received > body.kept.len() as u64;
        let (kept, edits) = self.redactor.bytes(body.kept, cut);
        let mut reads = body.reads;
        redact::shift_reads(&mut reads, &edits);
        Some(Reply {
            http_version: version(head.version).to_owned(),
            status: head.status,
            headers: head.headers.into_iter().map(|(name, value)| (name, self.redactor.text(value))).collect(),
            body: into_body(kept),
            body_bytes: body.received,
            reads,
        })
    }
}

/// Forms of more bytes than this are recorded in part.
const LARGE_FORM: usize = 1 << 20;
/// Bytes of such a form that are kept; its `Content-Length` header tells its size.
const KEPT_OF_FORM: usize = 64 << 10;

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn into_body(bytes: Vec<u8>) -> Body {
    String::from_utf8(bytes).map_or_else(|e| Body::from_bytes(e.as_bytes()), Body::Text)
}

fn version(version: hyper::Version) -> &'static str {
    match version {
        hyper::Version::HTTP_09 => "HTTP/0.9",
        hyper::Version::HTTP_10 => "HTTP/1.0",
        hyper::Version::HTTP_2 => "HTTP/2",
        hyper::Version::HTTP_3 => "HTTP/3",
        _ => "HTTP/1.1",
    }
}
